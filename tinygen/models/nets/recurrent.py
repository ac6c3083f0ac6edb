"""Recurrent layers over pictures that cannot see what comes later (van den Oord et al. 2016).

An LSTM whose state is a line of pixels: all the input's part of the gates comes from one masked
convolution, and the state's part from a convolution of the line before (arXiv:1601.06759).

    o, f, i, g = input(x)_t + state(h_{t-1})
    c_t = sigmoid(f) c_{t-1} + sigmoid(i) tanh(g),    h_t = sigmoid(o) tanh(c_t)

The lines are the rows, or, for the diagonal one, the anti-diagonals: the picture is skewed, row i
pushed i to the right, so that a column holds pixels none of which comes before another.
"""

from __future__ import annotations

from ... import nn
from ...nn import functional as F
from ...ops import flip, sigmoid, stack, tanh, unbind, zeros
from ...tensor import Tensor

__all__ = ["DiagonalBiLSTM", "LineLSTM", "RowLSTM", "cell", "skew", "unskew"]


def skew(x: Tensor) -> Tensor:
    """Row i pushed i columns to the right, zeros around it: (..., H, W) -> (..., H, W + H - 1).

    >>> import tinygen as tg
    >>> from tinygen.models.nets.recurrent import skew
    >>> skew(tg.tensor([[1, 2, 3], [4, 5, 6]]))
    tensor([[1, 2, 3, 0],
            [0, 4, 5, 6]])
    """
    *some, height, width = x.shape
    rows = F.pad(x, (0, height)).flatten(-2)  # cut one column narrower, each row begins one later
    return rows[..., :-height].reshape(*some, height, width + height - 1)


def unskew(x: Tensor) -> Tensor:
    """What skew was given: (..., H, W + H - 1) -> (..., H, W).

    >>> import tinygen as tg
    >>> from tinygen.models.nets.recurrent import skew, unskew
    >>> unskew(skew(tg.tensor([[1, 2, 3], [4, 5, 6]])))
    tensor([[1, 2, 3],
            [4, 5, 6]])
    """
    *some, height, both = x.shape
    rows = F.pad(x.flatten(-2), (0, height)).reshape(*some, height, both + 1)
    return rows[..., : both + 1 - height]


def cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """h and c of an LSTM: gates o, f, i, g in (B, 4 hidden, ...), the c before (B, hidden, ...).

    >>> import tinygen as tg
    >>> from tinygen.models.nets.recurrent import cell
    >>> h, c = cell(tg.zeros(1, 4), tg.ones(1, 1))
    >>> h, c                                         # tanh(1 / 2) / 2, 1 / 2
    (tensor([[0.2311]]), tensor([[0.5]]))
    """
    hidden = c.shape[1]
    o, f, i = sigmoid(gates[:, : 3 * hidden]).chunk(3, 1)
    c = f * c + i * tanh(gates[:, 3 * hidden :])
    return o * tanh(c), c


class LineLSTM(nn.Module):
    """The recurrence from line to line; `before`, `after`: neighbours in the line before.

    >>> import tinygen as tg
    >>> from tinygen.models.nets.recurrent import LineLSTM
    >>> LineLSTM(8, before=1, after=1)(tg.zeros(3, 32, 6, 5)).shape
    (3, 8, 6, 5)
    """

    def __init__(self, hidden: int, before: int, after: int) -> None:
        super().__init__()
        self.hidden, self.reach = hidden, (before, after)
        # without a bias the state is 0 where there is no picture
        self.state = nn.Conv1d(hidden, 4 * hidden, before + 1 + after, bias=False)

    def forward(self, gates: Tensor) -> Tensor:
        """The input's part of the gates (B, 4 hidden, lines, n) -> h (B, hidden, lines, n)."""
        c = h = zeros(len(gates), self.hidden, gates.shape[3]).to(gates)
        lines = []
        for line in unbind(gates, 2):
            h, c = cell(line + self.state(F.pad(h, self.reach)), c)
            lines.append(h)
        return stack(lines, 2)


class RowLSTM(nn.Module):
    """Row by row, each pixel from three of the row above: (B, C, H, W) -> (B, hidden, H, W).

    The input's convolution of three in a row is masked, kind B: a pixel and its left neighbour. A
    pixel sees the triangle above it, one column more on either side a row, and no more with more
    layers to the right.

    >>> import tinygen as tg
    >>> tg.models.nets.RowLSTM(2, 8)(tg.zeros(3, 2, 6, 5)).shape
    (3, 8, 6, 5)
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Conv2d(channels, 4 * hidden, (1, 2))
        self.lines = LineLSTM(hidden, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.lines(self.input(F.pad(x, (1, 0, 0, 0))))


class DiagonalBiLSTM(nn.Module):
    """Along the diagonals from both upper corners: (B, C, H, W) -> (B, hidden, H, W).

    Each pixel's state is made from that of its neighbour in the row and that above it. From the
    upper left a pixel sees all above and to the left of it, itself too; from the upper right, one
    row late, all rows above and what is to the right there. Together that is all before it.

    >>> import tinygen as tg
    >>> tg.models.nets.DiagonalBiLSTM(2, 8)(tg.zeros(3, 2, 6, 5)).shape
    (3, 8, 6, 5)
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Conv2d(channels, 8 * hidden, 1)
        self.left, self.right = LineLSTM(hidden, 1, 0), LineLSTM(hidden, 1, 0)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.input(x).chunk(2, 1)
        left = self._diagonals(left, self.left)
        right = flip(self._diagonals(flip(right, (3,)), self.right), (3,))
        return left + F.pad(right, (0, 0, 1, 0))[:, :, :-1]

    @staticmethod
    def _diagonals(gates: Tensor, lines: nn.Module) -> Tensor:
        return unskew(lines(skew(gates).transpose(2, 3)).transpose(2, 3))
