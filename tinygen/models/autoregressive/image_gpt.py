"""Image transformer: pixels as words, each drawn given all before (Chen et al. 2020, iGPT).

    log p(x) = sum_i log p(x_i | x_1 .. x_{i-1}),    in raster order, all in one pass

Pixel i's law comes from token i, which stands for pixel i - 1 (the first for the label, or for
nothing) and attends to the tokens before it, however far: no convolution, no blind spot; that
pixels are neighbours has to be learned, by way of the positions. A pixel's law is that of PixelCNN.

What goes wrong: tokens that are not moved by one see the pixel that they are to tell, and the loss
falls to 0; attention costs the square of the number of pixels; a cache that is off by one place
draws pictures that the density does not know.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ... import nn
from ...ops import cat, full
from ...tensor import Tensor
from .. import nets
from ..systems import NEEDED, settings
from .raster import Raster

__all__ = ["ImageGPT", "build"]


class ImageGPT(Raster):
    """A density of pictures (B, 1, H, W) in [0, 1] of `levels` grey values.

    likelihood: "bernoulli" (levels 2), "softmax" or "logistic". classes: labels the pictures have.
    ValueError where these cannot go together, and for pixels that are no grey value.

    >>> import tinygen as tg
    >>> model = tg.models.build("image_gpt", {"shape": (1, 4, 4), "width": 8, "layers": 2})
    >>> x = tg.ones(5, 1, 4, 4)
    >>> model.log_prob(x).shape, model.sample(3).shape
    ((5,), (3, 1, 4, 4))
    """

    def __init__(
        self, shape: Sequence[int], width: int = 64, layers: int = 4, heads: int = 4, *,
        likelihood: str = "bernoulli", levels: int = 2, classes: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(shape, likelihood, levels, classes)
        self.embedding = nn.Embedding(levels + max(1, classes), width)  # grey values, then starts
        self.net = nets.Transformer(math.prod(shape), width, layers, heads)
        self.head = nn.Linear(width, self.law.channels)

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        numbers = self.head(self.net(self.tokens(x, given)))
        return numbers.transpose(1, 2).unflatten(2, x.shape[2:])

    def tokens(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """What the transformer reads, (B, H W, width): a start, then all pixels but the last."""
        return self.embedding(cat([self._start(len(x), given), self._grey(x)[:, :-1]], 1))

    def in_turn(
        self, x: Tensor, given: Tensor | None = None, seen: int = 0
    ) -> Iterator[tuple[int, int, Tensor]]:
        start, cache = self._start(len(x), given), nets.Cache(self.net.length)
        for i in range(seen, self.net.length):
            new = cat([start, self._grey(x)[:, :i]], 1)[:, cache.seen :]
            h = self.net(self.embedding(new), cache)[:, -1]
            yield *divmod(i, self.shape[2]), self.head(h)

    def _grey(self, x: Tensor) -> Tensor:
        """The pixels as integers, (B, H W)"""
        return (x.flatten(1) * (self.law.levels - 1)).round().long()

    def _start(self, n: int, given: Tensor | None) -> Tensor:
        """The first token of n pictures, (n, 1): one for each class, or one for all."""
        hot = self._given(given, n)
        if hot is None:
            return full((n, 1), self.law.levels, device=self.head.weight.device)
        return self.law.levels + hot.argmax(1, keepdim=True)


def build(config: Mapping[str, Any]) -> ImageGPT:
    """width, layers, heads, likelihood, levels, classes: see ImageGPT."""
    c = settings("image_gpt", config, shape=NEEDED, width=64, layers=4, heads=4,
                 likelihood="bernoulli", levels=2, classes=0)  # fmt: skip
    return ImageGPT(c.shape, c.width, c.layers, c.heads, likelihood=c.likelihood, levels=c.levels,
                    classes=c.classes)  # fmt: skip
