"""Networks and layers that are told something beside x: a label, or a vector."""

from __future__ import annotations

from ... import nn
from ...backend import refuse
from ...nn import functional as F
from ...ops import cat
from ...tensor import Tensor

__all__ = ["Conditional", "ConditionalBatchNorm2d", "check_labels"]


def check_labels(name: str, labels: Tensor, batch: int, classes: int) -> Tensor:
    """The labels, if they are `batch` integers in 0..classes-1; else ValueError: `name`: ..."""
    if labels.shape != (batch,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"{name}: expected {batch} integer labels, got {labels.dtype} of shape {labels.shape}"
        )
    if batch:
        low, high, last = labels._array.min(), labels._array.max(), classes - 1
        refuse((low < 0) | (high > last), lambda: ValueError(
            f"{name}: expected labels in 0..{last}, got {int(low)}..{int(high)}"
        ))  # fmt: skip
    return labels


class Conditional(nn.Module):
    """A network of (x, labels): `net` sees x with the label beside it (Mirza and Osindero 2014).

    x (B, d) gets `classes` more numbers, one of them 1; an image (B, C, H, W) gets as many planes,
    or with planes=False is flattened first. `net` is built for so many more inputs or channels.
    ValueError for labels that are not (B,) integers in 0..classes-1.

    >>> import tinygen as tg
    >>> net = tg.models.nets.Conditional(tg.nn.Linear(2 + 3, 1), classes=3)
    >>> net(tg.zeros(5, 2), tg.tensor([0, 1, 2, 0, 1])).shape
    (5, 1)
    """

    def __init__(self, net: nn.Module, classes: int, planes: bool = True) -> None:
        super().__init__()
        self.net, self.classes, self.planes = net, classes, planes

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """net of x (B, d) or (B, C, H, W) with the one-hot labels (B,) beside it."""
        check_labels("Conditional", labels, x.shape[0], self.classes)
        hot = F.one_hot(labels, self.classes).to(x.dtype)
        if x.ndim == 4 and self.planes:
            hot = hot.reshape(*hot.shape, 1, 1).expand(*hot.shape, *x.shape[2:])
        else:
            x = x.flatten(1)
        return self.net(cat([x, hot], 1))


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm with a scale and a shift for each example, read from a vector that it is told.

        (1 + W c) norm(x) + V c,     x (B, channels, H, W), c (B, told) -> shaped as x

    norm: that of nn.BatchNorm2d, without weights. c may be a label's embedding, or several things
    side by side. De Vries et al. 2017 (arXiv:1707.00683), in the linear form of Brock et al. 2019
    (arXiv:1809.11096).

    >>> import tinygen as tg
    >>> layer = tg.models.nets.ConditionalBatchNorm2d(channels=3, told=2)
    >>> layer(tg.randn(5, 3, 4, 4), tg.zeros(5, 2)).mean((0, 2, 3)).abs().max() < 1e-6
    tensor(True)
    """

    def __init__(self, channels: int, told: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Linear(told, channels, bias=False)
        self.shift = nn.Linear(told, channels, bias=False)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """x (B, channels, H, W), told (B, told) -> shaped as x."""
        scale, shift = 1.0 + self.scale(told), self.shift(told)
        out: Tensor = self.norm(x) * scale[:, :, None, None] + shift[:, :, None, None]
        return out
