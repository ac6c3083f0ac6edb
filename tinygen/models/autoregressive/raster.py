"""What the densities of grey pictures in raster order share: log p(x), the loss, drawing.

    log p(x) = sum_i log p(x_i | x_1 .. x_{i-1})

A network gives the numbers of all pixels' laws in one pass, those of pixel i made of the pixels
before it alone. A sample is drawn pixel by pixel, each given those that were drawn already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ... import nn
from ...backend import Generator
from ...checks import integers
from ...nn import functional as F
from ...tape import no_grad
from ...tensor import Tensor
from ..nets.condition import check_labels
from ..systems import split
from .pixels import LAWS, begun, grey_values

__all__ = ["Raster"]


class Raster(nn.Module):
    """A density of pictures (B, 1, H, W) in [0, 1] of `levels` grey values, by a subclass.

    likelihood: "bernoulli" (levels 2), "softmax" or "logistic". classes: labels the pictures have.
    embedding: instead of labels, numbers (B, embedding) that a picture is given. ValueError where
    these cannot go together, and for pixels that are no grey value.

    >>> import tinygen as tg
    >>> from tinygen.models.autoregressive import Raster
    >>> class Independent(Raster):                   # every pixel's logit is 0: fair coins
    ...     def forward(self, x, given=None):
    ...         return tg.zeros(len(x), 1, *x.shape[2:])
    >>> Independent((1, 2, 2)).log_prob(tg.ones(1, 1, 2, 2))      # 4 log 1/2
    tensor([-2.7726])
    """

    pixels = (0.0, 1.0)

    def __init__(
        self, shape: Sequence[int], likelihood: str = "bernoulli", levels: int = 2,
        classes: int = 0, embedding: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        name = type(self).__name__
        if likelihood not in LAWS:
            raise ValueError(f"{name}: likelihood {likelihood!r}; there are {', '.join(LAWS)}")
        if len(shape) != 3 or shape[0] != 1:
            raise ValueError(f"{name}: expected grey pictures (1, H, W), got {tuple(shape)}")
        if classes and embedding:
            raise ValueError(f"{name}: give classes or an embedding, not both")
        self.shape, self.classes, self.given = tuple(shape), classes, classes or embedding
        self.law = LAWS[likelihood](levels)

    def forward(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """The law's numbers of every pixel: (B, 1, H, W) -> (B, channels, H, W).

        given: labels (B,) or an embedding (B, d), where the model was made for them. The last rows
        of the picture may be left out.
        """
        raise NotImplementedError

    def in_turn(
        self, x: Tensor, given: Tensor | None = None, seen: int = 0
    ) -> Iterator[tuple[int, int, Tensor]]:
        """Row, column and numbers (B, channels) of pixel seen, seen + 1, ..., each from a pass.

        x (B, 1, H, W) is read as it stands when a pixel's turn comes, which lets it be drawn on.
        """
        _, height, width = self.shape
        for i in range(seen, height * width):
            row, column = divmod(i, width)
            yield row, column, self(x[:, :, : row + 1], given)[:, :, row, column]

    def log_prob(self, x: Tensor, given: Tensor | None = None) -> Tensor:
        """log P(x | given) in nats, (B,)."""
        grey_values(type(self).__name__, x, self.shape, self.law.levels)  # or an error
        return self.law.log_prob(x, self(x, given))

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log P(x) in nats, the mean over the batch (x,) or (x, labels)."""
        x, labels = split(batch)
        log_p = self.log_prob(x, labels if self.classes else None).mean()
        return {"loss": -log_p, "log_prob": log_p}

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        embedding: Tensor | None = None, temperature: float = 1.0, top_k: int | None = None,
        given: Tensor | None = None, seen: int = 0, cache: bool = True,
    ) -> Tensor:  # fmt: skip
        """n pictures (n, 1, H, W), pixel by pixel.

        temperature below 1: the likelier values; top_k: only the k likeliest of a pixel. given,
        seen: the first `seen` pixels of pictures (n, 1, H, W) stay as they are. cache: what a pass
        made of the pixels before is kept where the network can; without, a whole pass a pixel.
        """
        name = f"{type(self).__name__}.sample"
        if not temperature > 0.0:
            raise ValueError(f"{name}: expected temperature > 0, got {temperature}")
        if top_k is not None:
            integers(name, 1, top_k=top_k)
        told = labels if labels is not None else embedding
        like = next(iter(self.parameters()))
        x = begun(name, n, self.shape, self.law.levels, given, seen).to(like)
        pixels = self.in_turn(x, told, seen) if cache else Raster.in_turn(self, x, told, seen)
        for row, column, numbers in pixels:
            x[:, 0, row, column] = self.law.draw(numbers, generator, temperature, top_k)
        return x

    def _given(self, given: Tensor | None, n: int) -> Tensor | None:
        if (given is None) == bool(self.given):
            raise ValueError(
                f"{type(self).__name__}: the model has {self.classes} classes and {self.given} "
                "numbers to be given, but "
                f"{'nothing' if given is None else f'shape {given.shape}'} was given"
            )
        if given is None or not self.classes:
            return given
        name, weight = type(self).__name__, next(iter(self.parameters()))
        return F.one_hot(check_labels(name, given, n, self.classes), self.classes).to(weight)
