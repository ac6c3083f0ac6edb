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
from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...backend import Generator
from ...checks import integers
from ...ops import cat, full, zeros
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..nets.condition import check_labels
from ..systems import NEEDED, settings, split
from .pixels import LAWS, grey_values

__all__ = ["ImageGPT", "build"]


class ImageGPT(nn.Module):
    """A density of pictures (B, 1, H, W) in [0, 1] of `levels` grey values.

    likelihood: "bernoulli" (levels 2), "softmax" or "logistic". classes: labels the pictures have.
    ValueError where these cannot go together, and for pixels that are no grey value.

    >>> import tinygen as tg
    >>> model = tg.models.build("image_gpt", {"shape": (1, 4, 4), "width": 8, "layers": 2})
    >>> x = tg.ones(5, 1, 4, 4)
    >>> model.log_prob(x).shape, model.sample(3).shape
    ((5,), (3, 1, 4, 4))
    """

    pixels = (0.0, 1.0)

    def __init__(
        self, shape: Sequence[int], width: int = 64, layers: int = 4, heads: int = 4, *,
        likelihood: str = "bernoulli", levels: int = 2, classes: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        integers("ImageGPT", 0, classes=classes)
        if likelihood not in LAWS:
            raise ValueError(f"ImageGPT: likelihood {likelihood!r}; there are {', '.join(LAWS)}")
        if len(shape) != 3 or shape[0] != 1:
            raise ValueError(f"ImageGPT: expected grey pictures (1, H, W), got {tuple(shape)}")
        self.shape, self.classes = tuple(shape), classes
        self.law = LAWS[likelihood](levels)
        self.embedding = nn.Embedding(levels + max(1, classes), width)  # grey values, then starts
        self.net = nets.Transformer(math.prod(shape), width, layers, heads)
        self.head = nn.Linear(width, self.law.channels)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """The law's numbers of every pixel: (B, 1, H, W) -> (B, channels, H, W)."""
        numbers = self.head(self.net(self.tokens(x, labels)))
        return numbers.transpose(1, 2).reshape(len(x), -1, *self.shape[1:])

    def tokens(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """What the transformer reads, (B, H W, width): a start, then all pixels but the last."""
        grey = grey_values("ImageGPT", x, self.shape, self.law.levels).flatten(1)
        return self.embedding(cat([self.start(len(x), labels), grey[:, :-1]], 1))

    def start(self, n: int, labels: Tensor | None = None) -> Tensor:
        """The first token of n pictures, (n, 1): one for each class, or one for all."""
        if (labels is None) == bool(self.classes):
            raise ValueError(
                f"ImageGPT: the model has {self.classes} classes, but "
                f"{'no' if labels is None else len(labels)} labels were given"
            )
        if labels is None:
            return full((n, 1), self.law.levels, device=self.head.weight.device)
        return self.law.levels + check_labels("ImageGPT", labels, n, self.classes).unsqueeze(1)

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(x | labels) in nats, (B,)."""
        return self.law.log_prob(x, self(x, labels))

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log P(x) in nats, the mean over the batch (x,) or (x, labels)."""
        x, labels = split(batch)
        log_p = self.log_prob(x, labels if self.classes else None).mean()
        return {"loss": -log_p, "log_prob": log_p}

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        temperature: float = 1.0, top_k: int | None = None, given: Tensor | None = None,
        seen: int = 0, cached: bool = True,
    ) -> Tensor:  # fmt: skip
        """n pictures (n, 1, H, W), pixel by pixel, a token a step where `cached`, else all so far.

        temperature below 1: the likelier values; top_k: the k likeliest only. given, seen: the
        first `seen` pixels of pictures (n, 1, H, W) stay as they are.
        """
        if not temperature > 0.0:
            raise ValueError(f"ImageGPT.sample: expected temperature > 0, got {temperature}")
        like, size, seen = self.head.weight, math.prod(self.shape), seen if given is not None else 0
        x = (zeros(n, *self.shape) if given is None else given.clone()).to(like)
        flat, cache = x.reshape(n, size), nets.Cache(size) if cached else None
        tokens = self.start(n, labels)
        if seen:
            grey = grey_values("ImageGPT.sample", x, self.shape, self.law.levels)
            tokens = cat([tokens, grey.flatten(1)[:, :seen]], 1)
        for i in range(seen, size):
            new = tokens if cache is None else tokens[:, cache.seen :]
            numbers = self.head(self.net(self.embedding(new), cache)[:, -1])
            flat[:, i] = self.law.draw(numbers, generator, temperature, top_k)
            grey = (flat[:, i : i + 1] * (self.law.levels - 1)).round().long()
            tokens = cat([tokens, grey], 1)
        return flat.reshape(n, *self.shape)


def build(config: Mapping[str, Any]) -> ImageGPT:
    """width, layers, heads, likelihood, levels, classes: see ImageGPT."""
    c = settings("image_gpt", config, shape=NEEDED, width=64, layers=4, heads=4,
                 likelihood="bernoulli", levels=2, classes=0)  # fmt: skip
    return ImageGPT(c.shape, c.width, c.layers, c.heads, likelihood=c.likelihood, levels=c.levels,
                    classes=c.classes)  # fmt: skip
