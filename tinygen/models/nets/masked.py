"""Layers that cannot see what comes later: masked products and convolutions.

A network of D inputs and D outputs is autoregressive in an order when output i depends only on
inputs that come before i in it. Every unit gets a number, its degree, and a weight is kept where
degrees allow it (Germain et al. 2015, arXiv:1502.03509). For pictures in raster order a convolution
is masked: type A sees the pixels before its own, type B its own features too (van den Oord et al.
2016, arXiv:1601.06759, 1606.05328).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import nn
from ...backend import Array
from ...checks import positive
from ...nn import functional as F
from ...ops import relu, sigmoid, tanh
from ...tensor import Tensor, wrap

__all__ = ["GatedBlock", "MaskedConv2d", "MaskedMLP", "gate"]


class MaskedMLP(nn.Module):
    """A perceptron whose output i sees the inputs before i in an order: (B, D) -> (B, D).

    orders: the orders there are, each a permutation of 0..D-1 that says which dimension comes
    first, second, ...; one set of weights serves them all. outputs: numbers an output; with more
    than one, (B, D) -> (B, outputs, D). ValueError for what is no permutation.

    >>> import tinygen as tg
    >>> net = tg.models.nets.MaskedMLP(4, [32, 32])
    >>> seen = tg.autograd.functional.jacobian(net, tg.randn(1, 4)).reshape(4, 4) != 0
    >>> seen.int()                                   # row i: what output i depends on
    tensor([[0, 0, 0, 0],
            [1, 0, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 1, 0]], int32)
    """

    def __init__(
        self, size: int, hidden: Sequence[int], orders: Sequence[Sequence[int]] | None = None,
        outputs: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        positive("MaskedMLP", size=size, outputs=outputs)
        orders = [list(range(size))] if orders is None else [list(order) for order in orders]
        for order in orders:
            if sorted(order) != list(range(size)):
                raise ValueError(
                    f"MaskedMLP: an order of {size} dimensions is a permutation of 0..{size - 1}, "
                    f"got {order if len(order) < 10 else f'{len(order)} numbers'}"
                )
        widths = [size, *hidden, outputs * size]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
        self.orders, self.outputs = orders, outputs
        degrees = [_degrees(width, max(1, size - 1)) for width in hidden]
        for m, order in enumerate(orders):
            for i, mask in enumerate(_masks(np.argsort(order), degrees, outputs)):
                self.register_buffer(f"mask_{m}_{i}", wrap(mask), persistent=False)

    def forward(self, x: Tensor, which: int = 0) -> Tensor:
        """(B, D) -> (B, D), or (B, outputs, D), in the order number `which`."""
        for i, layer in enumerate(self.layers):
            mask = getattr(self, f"mask_{which}_{i}")
            x = F.linear(relu(x) if i else x, layer.weight * mask, layer.bias)
        return x.unflatten(1, (self.outputs, -1)) if self.outputs > 1 else x


def _degrees(width: int, different: int) -> Array:
    """A hidden unit of degree d sees the inputs at places 0..d of the order."""
    if width >= different:
        return np.arange(width) % different
    return np.linspace(different - 1, 0, width).round().astype(int)[::-1]  # the last sees all


def _masks(place: Array, degrees: list[Array], outputs: int) -> list[Array]:
    """Which weights are kept, (out, in) each, where dimension i has place[i] in the order."""
    below = [place, *degrees]
    masks = [after[:, None] >= before for before, after in zip(below, degrees)]
    last = place[:, None] > below[-1]  # an output sees what is strictly before it
    masks.append(np.tile(last, (outputs, 1)))
    return [mask.astype(np.float32) for mask in masks]


class MaskedConv2d(nn.Conv2d):
    """A convolution of odd kernel whose middle row sees only what is left of the middle.

    kind "A": not the middle itself, for the first layer; "B": the middle too. Sizes are kept. Rows
    above are seen in full, but several such layers never see the triangle above and to the right:
    the blind spot.

    >>> import tinygen as tg
    >>> tg.models.nets.MaskedConv2d("A", 1, 4, 3)(tg.zeros(2, 1, 8, 8)).shape
    (2, 4, 8, 8)
    """

    mask: Tensor

    def __init__(self, kind: str, channels: int, out: int, kernel: int) -> None:
        if kind not in ("A", "B") or kernel % 2 == 0:
            raise ValueError(f"MaskedConv2d: kind A or B and an odd kernel, got {kind!r}, {kernel}")
        super().__init__(channels, out, kernel, padding=kernel // 2)
        mask = np.ones((1, 1, kernel, kernel), np.float32)
        mask[..., kernel // 2, kernel // 2 + (kind == "B") :] = 0
        mask[..., kernel // 2 + 1 :, :] = 0
        self.register_buffer("mask", wrap(mask), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class GatedBlock(nn.Module):
    """A layer of the gated PixelCNN: two stacks of features, one for rows above, one for this row.

        v: rows up to this one, all columns;  h: this row to the left, and v of the row above
        each is tanh(a) sigmoid(b), a and b from convolutions and from what the picture is given

    first: of the network, where h must not see its own pixel. given: numbers beside the picture
    (a one-hot label, an embedding), 0 for none. (v, h, c) -> (v, h), all (B, width, H, W), c (B,
    given). The stacks together see every pixel before, so there is no blind spot.
    """

    def __init__(
        self, channels: int, width: int, kernel: int, given: int = 0, first: bool = False
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"GatedBlock: the kernel must be odd, got {kernel}")
        self.reach, self.first = kernel // 2, first
        self.vertical = nn.Conv2d(channels, 2 * width, (self.reach + 1, kernel))
        self.across = nn.Conv2d(2 * width, 2 * width, 1)
        self.horizontal = nn.Conv2d(channels, 2 * width, (1, self.reach + (not first)))
        self.out = nn.Conv2d(width, width, 1)
        self.given = nn.Linear(given, 4 * width) if given else None

    def forward(self, v: Tensor, h: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        reach, before = self.reach, h
        v = self.vertical(F.pad(v, (reach, reach, reach, 0)))
        above = F.pad(v, (0, 0, 1, 0))[:, :, :-1]  # v of the row above
        left = F.pad(h, (reach, 0, 0, 0))
        left = left[..., :-1] if self.first else left
        h = self.horizontal(left) + self.across(above)
        if self.given is not None and c is not None:
            for_v, for_h = self.given(c).unsqueeze(-1).unsqueeze(-1).chunk(2, 1)
            v, h = v + for_v, h + for_h
        v, h = gate(v), self.out(gate(h))
        return v, h if self.first else h + before


def gate(x: Tensor) -> Tensor:
    """tanh(a) sigmoid(b) of the halves a and b of the features: (B, 2 C, ...) -> (B, C, ...).

    >>> import tinygen as tg
    >>> from tinygen.models.nets.masked import gate
    >>> gate(tg.tensor([[1.0, 0.0]]))                # tanh(1) / 2
    tensor([[0.3808]])
    """
    a, b = x.chunk(2, 1)
    return tanh(a) * sigmoid(b)
