"""PixelCNN: a picture drawn pixel by pixel, each from those above and to the left.

    log p(x) = sum_i log p(x_i | x_1 .. x_{i-1}),    in raster order, all in one pass

gated: two stacks of gated convolutions, which together see all pixels before (van den Oord et al.
2016, arXiv:1606.05328); otherwise one stack of masked ones (arXiv:1601.06759), which has a blind
spot. A pixel's law is Bernoulli, a table of grey values, or a mixture of logistics (PixelCNN++).

What goes wrong: a mask one pixel too wide lets the network copy, and the loss falls to 0; sampling
goes pixel by pixel, though what earlier pixels gave is kept; without the vertical stack a triangle
above to the right is never seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from ... import nn
from ...checks import positive
from ...ops import relu, zeros
from ...tensor import Tensor
from .. import nets
from ..systems import NEEDED, settings
from .raster import Raster

__all__ = ["PixelCNN", "build"]


class PixelCNN(Raster):
    """A density of pictures (B, 1, H, W) in [0, 1] of `levels` grey values.

    likelihood: "bernoulli" (levels 2), "softmax" or "logistic". classes: labels the pictures have.
    embedding: instead of labels, numbers (B, embedding) that the picture is given, so that a
    PixelCNN can be the decoder of an autoencoder. symbols: the values have no order, as those of a
    codebook; each is read as a vector of its own. ValueError where these cannot go together, and
    for pixels that are no grey value.

    >>> import tinygen as tg
    >>> model = tg.models.build("pixelcnn", {"shape": (1, 4, 4), "width": 8, "layers": 2})
    >>> x = tg.ones(5, 1, 4, 4)
    >>> model.log_prob(x).shape, model.sample(3).shape
    ((5,), (3, 1, 4, 4))
    """

    def __init__(
        self, shape: Sequence[int], width: int = 32, layers: int = 6, kernel: int = 3,
        *, gated: bool = True, likelihood: str = "bernoulli", levels: int = 2, classes: int = 0,
        embedding: int = 0, symbols: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(shape, likelihood, levels, classes, embedding)
        positive("PixelCNN", width=width, layers=layers)
        if self.given and not gated:
            raise ValueError("PixelCNN: only the gated network is told labels or an embedding")
        self.gated = gated
        self.vectors = nn.Embedding(levels, width) if symbols else None
        self.channels = width if symbols else 1  # of what the first layer reads
        if gated:
            self.body = nn.ModuleList(
                nets.GatedBlock(width if i else self.channels, width, kernel if i else kernel + 4,
                                self.given, first=i == 0) for i in range(layers)
            )  # fmt: skip
        else:
            self.body = nn.ModuleList(
                nets.MaskedConv2d("B" if i else "A", width if i else self.channels, width,
                                  kernel if i else kernel + 4) for i in range(layers)
            )  # fmt: skip
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, 2 * width, 1), nn.ReLU(),
            nn.Conv2d(2 * width, self.law.channels, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        c = self._given(given, len(x))
        x = self._read(x)
        if self.gated:
            v = h = x
            for block in self.body:
                v, h = block(v, h, c)
            return self.head(h)
        h = self.body[0](x)
        for layer in list(self.body)[1:]:
            h = h + layer(relu(h))
        return self.head(h)

    def _read(self, x: Tensor) -> Tensor:
        """What the first layer sees of pixels, (B, 1, H, W) -> (B, channels, H, W)."""
        if self.vectors is None:
            return x - 0.5
        return self.vectors((x[:, 0] * (self.law.levels - 1)).round().long()).movedim(-1, 1)

    def in_turn(
        self, x: Tensor, given: Tensor | None = None, seen: int = 0
    ) -> Iterator[tuple[int, int, Tensor]]:
        c = self._given(given, len(x))
        for i, h in enumerate(self._gated_features(x, c) if self.gated else self._features(x)):
            if i >= seen:
                yield *divmod(i, self.shape[2]), self.head(h.reshape(*h.shape, 1, 1))[:, :, 0, 0]

    def _gated_features(self, x: Tensor, c: Tensor | None) -> Iterator[Tensor]:
        """The last block's h, (B, width), of one pixel after the other."""
        n, (_, height, width) = len(x), self.shape
        blocks = [nets.GatedPixels(cast(nets.GatedBlock, b), n, width, c) for b in self.body]
        for row in range(height):
            for column in range(width):
                left = x[:, :, row : row + 1, column - 1 : column]
                h = self._read(left)[:, :, 0, 0] if column else zeros(n, self.channels).to(x)
                for block in blocks:
                    h = block.read(h, column)
                yield h
            v = self._read(x[:, :, row : row + 1])
            for block in blocks:
                v = block.next_row(v)

    def _features(self, x: Tensor) -> Iterator[Tensor]:
        """The same of the plain network."""
        n, (_, height, width) = len(x), self.shape
        first, *layers = (
            nets.MaskedPixels(cast(nets.MaskedConv2d, layer), n, width) for layer in self.body
        )
        for row in range(height):
            for layer in (first, *layers):
                layer.next_row()
            for column in range(width):
                h = first.read(column)
                for layer in layers:
                    layer.write(relu(h), column)
                    h = h + layer.read(column)
                yield h
                new = self._read(x[:, :, row : row + 1, column : column + 1])
                first.write(new[:, :, 0, 0], column)


def build(config: Mapping[str, Any]) -> PixelCNN:
    """gated, width, layers, likelihood, levels, classes: see PixelCNN."""
    c = settings("pixelcnn", config, shape=NEEDED, width=32, layers=6, kernel=3, gated=True,
                 likelihood="bernoulli", levels=2, classes=0)  # fmt: skip
    return PixelCNN(c.shape, c.width, c.layers, c.kernel, gated=c.gated, likelihood=c.likelihood,
                    levels=c.levels, classes=c.classes)  # fmt: skip
