"""Networks that are told something beside x: a label."""

from __future__ import annotations

from ... import nn
from ...nn import functional as F
from ...ops import cat
from ...tensor import Tensor


def with_labels(x: Tensor, labels: Tensor, classes: int) -> Tensor:
    """x beside its label: (B, d + classes), or (B, C + classes, H, W) with planes of 0 and 1."""
    hot = F.one_hot(labels, classes).to(x.dtype)
    if x.ndim == 4:
        hot = hot.reshape(*hot.shape, 1, 1).expand(*hot.shape, *x.shape[2:])
    return cat([x, hot], 1)


class Conditional(nn.Module):
    """A network of (x, labels): `net` gets both, side by side (Mirza and Osindero 2014).

    For G, x is the code z; for D the picture. Build `net` for `classes` more inputs or channels.
    """

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net, self.classes = net, classes

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.net(with_labels(x, labels, self.classes))


class Beside(nn.Module):
    """net(x with c): a condition c (B, m) is m more inputs, or m constant planes of an image."""

    def __init__(self, net: nn.Module, planes: bool = False) -> None:
        super().__init__()
        self.net, self.planes = net, planes

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        if not self.planes:
            return self.net(cat([x.flatten(1), c.to(x.dtype)], 1))
        planes = c.to(x.dtype).reshape(*c.shape, 1, 1).expand(*c.shape, *x.shape[2:])
        return self.net(cat([x, planes], 1))
