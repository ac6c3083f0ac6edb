"""Layers of masked.py and recurrent.py one pixel after the other: each keeps what later ones see.

A pass of the whole network for every pixel repeats nearly all of the work of the pass before. Here
a layer is given its features at one pixel, in raster order, and keeps those that later pixels see;
what comes out is what the layer gives there in a pass of the whole picture.
"""

from __future__ import annotations

from ...nn import functional as F
from ...ops import cat, stack, zeros
from ...tensor import Tensor
from .masked import GatedBlock, MaskedConv2d, gate
from .recurrent import DiagonalBiLSTM, LineLSTM, RowLSTM, cell

__all__ = ["DiagonalPixels", "GatedPixels", "MaskedPixels", "RowPixels"]


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


class RowPixels:
    """A RowLSTM on n pictures of `width` columns, pixel by pixel."""

    def __init__(self, layer: RowLSTM, n: int, width: int) -> None:
        self.layer, hidden = layer, layer.lines.hidden
        self.weight = layer.input.weight.flatten(1)
        self.h = zeros(n, hidden, width).to(self.weight)  # of the row above, then of this one
        self.c = 0.0 * self.h
        self.next_row()

    def next_row(self) -> None:
        """This row's states become those above."""
        self.above = self.layer.lines.state(F.pad(self.h, self.layer.lines.reach))
        self.left = zeros(len(self.h), self.layer.input.weight.shape[1]).to(self.weight)

    def read(self, x: Tensor, column: int) -> Tensor:
        """Its output at a pixel of this row, (n, channels) -> (n, hidden)."""
        window = stack([self.left, x], 2).flatten(1)
        gates = F.linear(window, self.weight, self.layer.input.bias) + self.above[..., column]
        h, self.c[..., column] = cell(gates, self.c[..., column])
        self.h[..., column], self.left = h, x
        return h


class DiagonalPixels:
    """A DiagonalBiLSTM on n pictures of `width` columns, pixel by pixel."""

    def __init__(self, layer: DiagonalBiLSTM, n: int, width: int) -> None:
        self.input = layer.input
        self.left, self.right = _Walk(layer.left, n, width), _Walk(layer.right, n, width)
        self.late = 0.0 * self.right.h  # of the row above, from the right
        self.gates = cat([self.late] * 4, 1)  # of this row, for the walk from the right

    def next_row(self) -> None:
        """This row is walked from the right too, and becomes the one above."""
        for column in reversed(range(self.late.shape[2])):
            self.right.step(self.gates[..., column], column)
        self.late = self.right.h.clone()
        self.left.next_row()
        self.right.next_row()

    def read(self, x: Tensor, column: int) -> Tensor:
        """Its output at a pixel of this row, (n, channels) -> (n, hidden)."""
        left, right = F.linear(x, self.input.weight.flatten(1), self.input.bias).chunk(2, 1)
        self.gates[..., column] = right
        return self.left.step(left, column) + self.late[..., column]


class _Walk:
    """A LineLSTM of diagonals along one row: the state comes from the last pixel and from above."""

    def __init__(self, lines: LineLSTM, n: int, width: int) -> None:
        self.weight = lines.state.weight
        self.h = zeros(n, lines.hidden, width).to(self.weight)
        self.next_row()

    def next_row(self) -> None:
        self.above = F.conv1d(self.h, self.weight[:, :, :1])
        self.last = self.c = 0.0 * self.h[..., 0]

    def step(self, gates: Tensor, column: int) -> Tensor:
        gates = gates + self.above[..., column] + F.linear(self.last, self.weight[:, :, 1])
        self.last, self.c = cell(gates, self.c)
        self.h[..., column] = self.last
        return self.last
