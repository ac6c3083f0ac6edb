"""The layers of masked.py one pixel after the other: what each keeps of the pixels before.

A pass of the whole network for every pixel repeats nearly all of the work of the pass before. Here
a layer is given its features at one pixel, in raster order, and keeps those that later pixels see;
what comes out is what the layer gives there in a pass of the whole picture.
"""

from __future__ import annotations

from ...nn import functional as F
from ...ops import cat, zeros
from ...tensor import Tensor
from .masked import GatedBlock, MaskedConv2d, gate

__all__ = ["GatedPixels", "MaskedPixels"]


class MaskedPixels:
    """A MaskedConv2d on n pictures of `width` columns, pixel by pixel.

    >>> import tinygen as tg
    >>> layer = tg.models.nets.MaskedConv2d("B", 2, 4, 3)
    >>> one = tg.models.nets.MaskedPixels(layer, n=1, width=8)
    >>> x, last = tg.randn(1, 2, 2, 8), tg.zeros(1, 4)
    >>> for row in range(2):
    ...     one.next_row()
    ...     for column in range(8):
    ...         one.write(x[:, :, row, column], column)
    ...         last = one.read(column)
    >>> tg.allclose(last, layer(x)[:, :, 1, 7], atol=1e-6)
    True
    """

    def __init__(self, layer: MaskedConv2d, n: int, width: int) -> None:
        out, channels, kernel, _ = layer.weight.shape
        self.kernel, self.bias = kernel, layer.bias
        up = kernel // 2 + 1  # rows that the mask leaves
        self.weight = (layer.weight * layer.mask)[:, :, :up].flatten(1)
        self.rows = zeros(n, channels, up, width + kernel - 1).to(layer.weight)

    def next_row(self) -> None:
        """The row that was written last moves up."""
        new = 0.0 * self.rows[:, :, :1]
        self.rows = cat([self.rows[:, :, 1:], new], 2)

    def write(self, x: Tensor, column: int) -> None:
        """Its input at a pixel of this row, (n, channels)."""
        self.rows[:, :, -1, column + self.kernel // 2] = x

    def read(self, column: int) -> Tensor:
        """Its output there, (n, out)."""
        window = self.rows[..., column : column + self.kernel].flatten(1)
        return F.linear(window, self.weight, self.bias)


class GatedPixels:
    """A GatedBlock on n pictures of `width` columns: v a row at a time, h pixel by pixel.

    c: what the block is given beside the pictures, (n, given).
    """

    def __init__(self, block: GatedBlock, n: int, width: int, c: Tensor | None = None) -> None:
        self.block, reach = block, block.reach
        weight = block.horizontal.weight
        two, channels, _, self.taps = weight.shape
        self.weight = weight.flatten(1)
        self.rows = zeros(n, channels, reach, width + 2 * reach).to(weight)  # of v, finished
        self.left = zeros(n, channels, reach + width).to(weight)  # h of this row
        told = block.given(c) if block.given is not None and c is not None else None
        told = zeros(n, 2 * two).to(weight) if told is None else told
        self.for_v, self.for_h = told[:, :two], told[:, two:]
        self._above(zeros(n, two, 1, width).to(weight))

    def _above(self, v: Tensor) -> None:
        self.above = self.block.across(v)[:, :, 0] + self.for_h.unsqueeze(-1)

    def next_row(self, v: Tensor) -> Tensor:
        """v of a finished row, (n, channels, 1, W) -> (n, width, 1, W); the next row begins."""
        reach = self.block.reach
        rows = cat([self.rows, F.pad(v, (reach, reach, 0, 0))], 2)
        v = self.block.vertical(rows)
        self.rows = rows[:, :, 1:]
        self._above(v)
        return gate(v + self.for_v.unsqueeze(-1).unsqueeze(-1))

    def read(self, h: Tensor, column: int) -> Tensor:
        """h at a pixel of this row, (n, channels) -> (n, width); the first block of a network is
        given the pixel to the left instead, zeros at the border."""
        first, block = self.block.first, self.block
        self.left[:, :, column + block.reach - first] = h
        window = self.left[..., column : column + self.taps].flatten(1)
        new = F.linear(window, self.weight, block.horizontal.bias) + self.above[..., column]
        out = F.linear(gate(new), block.out.weight.flatten(1), block.out.bias)
        return out if first else out + h
