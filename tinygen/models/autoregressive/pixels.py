"""The law of one pixel given those before it: two values, a table of grey values, or logistics.

Pixels are x in [0, 1], grey value k of `levels` as k / (levels - 1). A law says how many numbers a
pixel takes, log P(x) in nats of a picture, and how a pixel is drawn from its numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...backend import Generator
from ...checks import integers, positive
from ...nn import functional as F
from ...ops import (
    arange,
    cat,
    clamp,
    log_softmax,
    logsumexp,
    multinomial,
    rand,
    softmax,
    where,
    zeros,
)  # fmt: skip
from ...tensor import Tensor
from ..likelihoods import logistic_bins, sum_dims

__all__ = ["Coin", "LAWS", "Logistics", "PixelLaw", "Table", "begun", "grey_values", "likeliest"]


def grey_values(name: str, x: Tensor, shape: Sequence[int], levels: int) -> Tensor:
    """Pictures (B, *shape) in [0, 1] as integers 0..levels-1; ValueError if they are others.

    >>> import tinygen as tg
    >>> from tinygen.models.autoregressive.pixels import grey_values
    >>> grey_values("me", tg.tensor([[[[0.0, 0.5]]]]), (1, 1, 2), levels=3)
    tensor([[[[0, 1]]]])
    """
    top = levels - 1
    grey = (x * top).round()
    if (
        x.shape[1:] != tuple(shape)
        or not (((x * top - grey).abs() < 1e-3) & (grey >= 0) & (grey <= top)).all()
    ):
        raise ValueError(
            f"{name}: expected pictures (B, {', '.join(map(str, shape))}) of {levels} grey values "
            f"0, 1/{top}, .., 1, got {x.shape} with others; likelihoods.binarise makes zeros and "
            "ones"
        )
    return grey.long()


def begun(
    name: str, n: int, shape: Sequence[int], levels: int, given: Tensor | None, seen: int
) -> Tensor:
    """Pictures (n, *shape) to draw on: the first `seen` pixels of those given, then zeros.

    ValueError where these are not n pictures of `shape` with so many pixels, or no grey values.

    >>> import tinygen as tg
    >>> from tinygen.models.autoregressive.pixels import begun
    >>> begun("me", 1, (1, 1, 3), 2, tg.ones(1, 1, 1, 3), seen=2)
    tensor([[[[1., 1., 0.]]]])
    """
    shape, size = (n, *shape), math.prod(shape)
    integers(name, 0, seen=seen)
    if seen > size or (given is None and seen) or (given is not None and given.shape != shape):
        raise ValueError(
            f"{name}: expected given {shape} and seen in 0..{size}, got "
            f"{'nothing' if given is None else given.shape} and {seen}"
        )
    if given is None:
        return zeros(shape)
    x = given.flatten(1).masked_fill(arange(size, device=given.device) >= seen, 0.0).reshape(shape)
    grey_values(name, x, shape[1:], levels)
    return x


def likeliest(logits: Tensor, k: int | None) -> Tensor:
    """The k largest logits of each row (n, values), the others -inf; all of them if k is None.

    >>> import tinygen as tg
    >>> from tinygen.models.autoregressive.pixels import likeliest
    >>> likeliest(tg.tensor([[0.0, 3.0, 1.0]]), 2)
    tensor([[-inf,   3.,   1.]])
    """
    if k is None:
        return logits
    positive("likeliest", k=k)
    rank = logits.argsort(1, descending=True).argsort(1)  # 0 for the largest; of a tie, one
    return where(rank < k, logits, -math.inf)


class PixelLaw:
    """`channels` numbers a pixel for a law of `levels` grey values, 0, 1/(levels-1), ..., 1."""

    def __init__(self, levels: int, channels: int) -> None:
        integers("pixel law", 2, levels=levels)
        self.levels, self.channels = levels, channels

    def log_prob(self, x: Tensor, numbers: Tensor) -> Tensor:
        """log P(x) in nats: x (B, 1, H, W), numbers (B, channels, H, W) -> (B,)."""
        return sum_dims(self.each(x, numbers))

    def each(self, x: Tensor, numbers: Tensor) -> Tensor:
        """log P of each pixel, (B, H, W)."""
        raise NotImplementedError

    def table(self, numbers: Tensor, temperature: float = 1.0) -> Tensor:
        """log P of each grey value but for a constant: numbers (n, channels) -> (n, levels)."""
        raise NotImplementedError

    def draw(
        self, numbers: Tensor, generator: Generator | None = None, temperature: float = 1.0,
        top_k: int | None = None,
    ) -> Tensor:  # fmt: skip
        """One pixel of each row of numbers (n, channels), of its top_k values: (n,) in [0, 1]."""
        p = softmax(likeliest(self.table(numbers, temperature), top_k), 1)
        grey = multinomial(p, 1, generator=generator)[:, 0]
        return grey.to(numbers.dtype) / (self.levels - 1)


class Table(PixelLaw):
    """A probability for each of the grey values: softmax over `levels` numbers.

    >>> import tinygen as tg
    >>> from tinygen.models.autoregressive import Table
    >>> Table(256).log_prob(tg.zeros(1, 1, 2, 2), tg.zeros(1, 256, 2, 2))      # -4 log 256
    tensor([-22.1807])
    """

    def __init__(self, levels: int) -> None:
        super().__init__(levels, levels)

    def each(self, x: Tensor, numbers: Tensor) -> Tensor:
        grey = (x[:, 0] * (self.levels - 1)).round().long()
        return -F.cross_entropy(numbers, grey, reduction="none")

    def table(self, numbers: Tensor, temperature: float = 1.0) -> Tensor:
        return numbers / temperature


class Logistics(PixelLaw):
    """A mixture of logistic laws cut at the grey values (Salimans et al. 2017, arXiv:1701.05517).

        P(x) = sum_m w_m P_m(x),   P_m those of likelihoods.logistic_bins

    Numbers: `mixture` each of logits of w, mu in units of the whole range about its middle, and log
    s (at least -7).
    """

    def __init__(self, levels: int, mixture: int = 5) -> None:
        positive("Logistics", mixture=mixture)
        super().__init__(levels, 3 * mixture)
        self.mixture = mixture

    def each(self, x: Tensor, numbers: Tensor) -> Tensor:
        weight, mean, log_s = numbers.split(self.mixture, 1)
        bins = logistic_bins(2.0 * x - 1.0, mean, clamp(log_s, min=-7.0), self.levels)
        return logsumexp(log_softmax(weight, 1) + bins, 1)

    def table(self, numbers: Tensor, temperature: float = 1.0) -> Tensor:
        weight, mean, log_s = numbers.split(self.mixture, 1)
        cooled = cat([weight / temperature, mean, log_s + math.log(temperature)], 1)
        grey = (arange(self.levels).to(numbers) / (self.levels - 1)).reshape(1, 1, 1, -1)
        return self.each(grey, cooled.reshape(*cooled.shape, 1, 1))[:, 0]

    def draw(
        self, numbers: Tensor, generator: Generator | None = None, temperature: float = 1.0,
        top_k: int | None = None,
    ) -> Tensor:  # fmt: skip
        if top_k is not None:
            return super().draw(numbers, generator, temperature, top_k)
        weight, mean, log_s = numbers.split(self.mixture, 1)
        m = multinomial(softmax(weight / temperature, 1), 1, generator=generator)
        mean, log_s = mean.gather(1, m)[:, 0], clamp(log_s.gather(1, m)[:, 0], min=-7.0)
        u = clamp(rand(len(numbers), generator=generator).to(numbers), 1e-6, 1.0 - 1e-6)
        x = mean + temperature * log_s.exp() * (u.log() - (1.0 - u).log())
        top = self.levels - 1
        return clamp(((x + 1.0) / 2.0 * top).round(), 0.0, float(top)) / top


class Coin(PixelLaw):
    """Zeros and ones, by one logit."""

    def __init__(self, levels: int = 2) -> None:
        super().__init__(levels, 1)
        if levels != 2:
            raise ValueError(f"a Bernoulli pixel has 2 values, got levels={levels}")

    def each(self, x: Tensor, numbers: Tensor) -> Tensor:
        return -F.binary_cross_entropy_with_logits(numbers[:, 0], x[:, 0], reduction="none")

    def table(self, numbers: Tensor, temperature: float = 1.0) -> Tensor:
        return cat([0.0 * numbers, numbers], 1) / temperature


LAWS = {"bernoulli": Coin, "softmax": Table, "logistic": Logistics}
