"""PixelCNN: a picture drawn pixel by pixel, each from those above and to the left.

    log p(x) = sum_i log p(x_i | x_1 .. x_{i-1}),    in raster order, all in one pass

gated: two stacks of gated convolutions, which together see all pixels before (van den Oord et al.
2016, arXiv:1606.05328); otherwise one stack of masked ones (arXiv:1601.06759), which has a blind
spot. A pixel's law is Bernoulli, a table of grey values, or a mixture of logistics (PixelCNN++).

What goes wrong: a mask one pixel too wide lets the network copy, and the loss falls to 0; sampling
takes a pass a pixel; without the vertical stack a triangle above to the right is never seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...backend import Generator
from ...checks import positive
from ...nn import functional as F
from ...ops import relu, zeros
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..nets.condition import check_labels
from ..systems import NEEDED, settings, split
from .pixels import LAWS, grey_values

__all__ = ["PixelCNN", "build"]


class PixelCNN(nn.Module):
    """A density of pictures (B, 1, H, W) in [0, 1] of `levels` grey values.

    likelihood: "bernoulli" (levels 2), "softmax" or "logistic". classes: labels the pictures have.
    embedding: instead of labels, numbers (B, embedding) that the picture is given, so that a
    PixelCNN can be the decoder of an autoencoder. ValueError where these cannot go together, and
    for pixels that are no grey value.

    >>> import tinygen as tg
    >>> model = tg.models.build("pixelcnn", {"shape": (1, 4, 4), "width": 8, "layers": 2})
    >>> x = tg.ones(5, 1, 4, 4)
    >>> model.log_prob(x).shape, model.sample(3).shape
    ((5,), (3, 1, 4, 4))
    """

    pixels = (0.0, 1.0)

    def __init__(
        self, shape: Sequence[int], width: int = 32, layers: int = 6, kernel: int = 3,
        *, gated: bool = True, likelihood: str = "bernoulli", levels: int = 2, classes: int = 0,
        embedding: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        positive("PixelCNN", width=width, layers=layers)
        if likelihood not in LAWS:
            raise ValueError(f"PixelCNN: likelihood {likelihood!r}; there are {', '.join(LAWS)}")
        if len(shape) != 3 or shape[0] != 1:
            raise ValueError(f"PixelCNN: expected grey pictures (1, H, W), got {tuple(shape)}")
        if classes and embedding:
            raise ValueError("PixelCNN: give classes or an embedding, not both")
        if (classes or embedding) and not gated:
            raise ValueError("PixelCNN: only the gated network is told labels or an embedding")
        self.shape, self.classes, self.given = tuple(shape), classes, classes or embedding
        self.law = LAWS[likelihood](levels)
        self.gated = gated
        if gated:
            self.body = nn.ModuleList(
                nets.GatedBlock(width if i else 1, width, kernel if i else kernel + 4, self.given,
                                first=i == 0) for i in range(layers)
            )  # fmt: skip
        else:
            self.body = nn.ModuleList(
                nets.MaskedConv2d("B" if i else "A", width if i else 1, width,
                                  kernel if i else kernel + 4) for i in range(layers)
            )  # fmt: skip
        self.head = nn.Sequential(
            nn.ReLU(), nn.Conv2d(width, 2 * width, 1), nn.ReLU(),
            nn.Conv2d(2 * width, self.law.channels, 1),
        )  # fmt: skip

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """The law's numbers of every pixel: (B, 1, H, W) -> (B, channels, H, W).

        given: labels (B,) or an embedding (B, d), where the model was made for them.
        """
        c = self._given(given, len(x))
        if self.gated:
            v = h = x - 0.5
            for block in self.body:
                v, h = block(v, h, c)
            return self.head(h)
        h = self.body[0](x - 0.5)
        for layer in list(self.body)[1:]:
            h = h + layer(relu(h))
        return self.head(h)

    def log_prob(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """log P(x | given) in nats, (B,)."""
        grey_values("PixelCNN", x, self.shape, self.law.levels)  # or an error
        return self.law.log_prob(x, self(x, given))

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log P(x) in nats, the mean over the batch (x,) or (x, labels)."""
        x, labels = split(batch)
        log_p = self.log_prob(x, labels if self.classes else None).mean()
        return {"loss": -log_p, "log_prob": log_p}

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        embedding: Tensor | None = None, temperature: float = 1.0, given: Tensor | None = None,
        seen: int = 0,
    ) -> Tensor:  # fmt: skip
        """n pictures (n, 1, H, W), a pass a pixel; temperature below 1: the likelier values.

        given, seen: the first `seen` pixels of pictures (n, 1, H, W) stay as they are.
        """
        if not temperature > 0.0:
            raise ValueError(f"PixelCNN.sample: expected temperature > 0, got {temperature}")
        told = labels if labels is not None else embedding
        like, (_, height, width) = next(iter(self.parameters())), self.shape
        x = zeros(n, *self.shape).to(like) if given is None else given.clone().to(like)
        for i in range(seen if given is not None else 0, height * width):
            row, column = divmod(i, width)
            numbers = self(x[:, :, : row + 1], told)[:, :, row, column]  # rows below are not needed
            x[:, 0, row, column] = self.law.draw(numbers, generator, temperature)
        return x

    def _given(self, given: Tensor | None, n: int) -> Tensor | None:
        if (given is None) == bool(self.given):
            raise ValueError(
                f"PixelCNN: the model has {self.classes} classes and {self.given} numbers to be "
                f"given, but {'nothing' if given is None else f'shape {given.shape}'} was given"
            )
        if given is None or not self.classes:
            return given
        return F.one_hot(check_labels("PixelCNN", given, n, self.classes), self.classes).float()


def build(config: Mapping[str, Any]) -> PixelCNN:
    """gated, width, layers, likelihood, levels, classes: see PixelCNN."""
    c = settings("pixelcnn", config, shape=NEEDED, width=32, layers=6, kernel=3, gated=True,
                 likelihood="bernoulli", levels=2, classes=0)  # fmt: skip
    return PixelCNN(c.shape, c.width, c.layers, c.kernel, gated=c.gated, likelihood=c.likelihood,
                    levels=c.levels, classes=c.classes)  # fmt: skip
