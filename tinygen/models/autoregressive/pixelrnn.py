"""PixelRNN: LSTMs that walk over the picture (van den Oord et al. 2016, arXiv:1601.06759).

    log p(x) = sum_i log p(x_i | x_1 .. x_{i-1}),    in raster order

A masked convolution, kind A, hides a pixel from itself; residual layers of LSTMs follow, two 1 x 1
convolutions make the law. "row": from row to row, each pixel from three above, so that it sees a
triangle. "diagonal": both ways along the diagonals, so that it sees every pixel before.

What goes wrong: the states of a row or a diagonal wait for those before, so that a step takes H or
H + W - 1 passes one after the other; a skew that is off by one looks ahead or loses a part of what
it should see, and only the first of these shows in the loss. The states from the upper right come a
row late, and features hide their own pixel: the last pixel of the row above would be seen by none
but the last few of a row. A column of features more, right of the picture, has seen it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ... import nn
from ...checks import positive
from ...nn import functional as F
from ...tensor import Tensor
from .. import nets
from ..systems import NEEDED, settings
from .raster import Raster

__all__ = ["PixelRNN", "build"]

LSTMS = {"row": nets.RowLSTM, "diagonal": nets.DiagonalBiLSTM}
PIXELS: dict[str, Any] = {"row": nets.RowPixels, "diagonal": nets.DiagonalPixels}


class PixelRNN(Raster):
    """A density of pictures (B, 1, H, W) in [0, 1] of `levels` grey values.

    model: "row" or "diagonal". width: features of the LSTMs; twice as many flow by. kernel: of the
    first convolution, odd. ValueError for another model and for pixels that are no grey value.

    >>> import tinygen as tg
    >>> model = tg.models.build("pixelrnn", {"shape": (1, 4, 4), "width": 8, "layers": 2})
    >>> x = tg.ones(5, 1, 4, 4)
    >>> model.log_prob(x).shape, model.sample(3).shape
    ((5,), (3, 1, 4, 4))
    """

    def __init__(
        self, shape: Sequence[int], width: int = 16, layers: int = 3, kernel: int = 7,
        *, model: str = "row", likelihood: str = "bernoulli", levels: int = 2,
    ) -> None:  # fmt: skip
        super().__init__(shape, likelihood, levels)
        positive("PixelRNN", width=width, layers=layers)
        if model not in LSTMS:
            raise ValueError(f"PixelRNN: model {model!r}; there are {', '.join(LSTMS)}")
        self.model = model
        self.more = 1 if model == "diagonal" else 0  # columns of features right of the picture
        self.first = nets.MaskedConv2d("A", 1, 2 * width, kernel)
        self.body = nn.ModuleList(
            nn.Sequential(LSTMS[model](2 * width, width), nn.Conv2d(width, 2 * width, 1))
            for _ in range(layers)
        )
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv2d(2 * width, 2 * width, 1), nn.ReLU(),
            nn.Conv2d(2 * width, self.law.channels, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        self._given(given, len(x))
        h = self.first(F.pad(x - 0.5, (0, self.more, 0, 0)))
        for layer in self.body:
            h = h + layer(h)
        return self.head(h[..., : x.shape[3]])

    def in_turn(
        self, x: Tensor, given: Tensor | None = None, seen: int = 0
    ) -> Iterator[tuple[int, int, Tensor]]:
        self._given(given, len(x))
        n, (_, height, width) = len(x), self.shape
        first = nets.MaskedPixels(self.first, n, width + self.more)
        follow = PIXELS[self.model]
        layers = [(follow(lstm, n, width + self.more), up) for lstm, up in map(list, self.body)]
        for row in range(height):
            first.next_row()
            for column in range(width + self.more):
                h = first.read(column)
                for lstm, up in layers:
                    h = h + F.linear(lstm.read(h, column), up.weight.flatten(1), up.bias)
                if column < width:
                    if row * width + column >= seen:
                        yield row, column, self.head(h.reshape(*h.shape, 1, 1))[:, :, 0, 0]
                    first.write(x[:, :, row, column] - 0.5, column)
            for lstm, _ in layers:
                lstm.next_row()


def build(config: Mapping[str, Any]) -> PixelRNN:
    """model, width, layers, kernel, likelihood, levels: see PixelRNN."""
    c = settings("pixelrnn", config, shape=NEEDED, width=16, layers=3, kernel=7, model="row",
                 likelihood="bernoulli", levels=2)  # fmt: skip
    return PixelRNN(c.shape, c.width, c.layers, c.kernel, model=c.model, likelihood=c.likelihood,
                    levels=c.levels)  # fmt: skip
