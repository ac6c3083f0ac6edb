"""What a Markov field answers: an energy for every x at once, and a normaliser that has to be paid.

p(x) = e^-E(x) / Z,     Z = the sum of e^-E(x) over all 2^D binary pictures
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import nn
from ...backend import Generator
from ...ops import arange, bernoulli, full, where
from ...tape import no_grad
from ...tensor import Tensor
from ..systems import split
from .queries import checked_mask

__all__ = ["MOST", "MarkovField", "all_binary"]

MOST = 20  # log2 of the terms that log Z may take: a million


def all_binary(size: int, like: Tensor) -> Tensor:
    """All 2^size rows of `size` zeros and ones, (2^size, size), of `like`'s dtype and device.

    >>> import tinygen as tg
    >>> from tinygen.models.explicit.fields import all_binary
    >>> all_binary(2, tg.zeros(1)).tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    code = arange(2**size, device=like.device).unsqueeze(1)
    powers = 2 ** arange(size - 1, -1, -1, device=like.device)
    return (code // powers % 2).to(like)


class MarkovField(nn.Module):
    """A density of binary x of `shape`, known up to Z; a subclass gives `energy` and `gibbs`.

    `log_z` is exact where it can be paid and raises ValueError where it cannot: see each class. No
    picture can be drawn at once either: `sample` runs a Markov chain, Gibbs sampling, from coins.
    """

    shape: tuple[int, ...]
    classes = 0
    pixels = (0.0, 1.0)
    sweeps = 200  # of a sample

    def energy(self, x: Tensor) -> Tensor:
        """E(x) of zeros and ones (B, *shape): (B,)."""
        raise NotImplementedError

    def log_z(self) -> Tensor:
        """log Z, (); its gradient is minus the mean gradient of the energy under p."""
        raise NotImplementedError

    def gibbs(
        self, x: Tensor, generator: Generator | None = None, seen: Tensor | None = None
    ) -> Tensor:
        """x (B, *shape) after one sweep of Gibbs sampling: each pixel drawn anew given others.

        seen: a mask of `shape`; pixels where it is True stay as they are.
        """
        raise NotImplementedError

    def start(self, x: Tensor) -> None:
        """Begin at independent pixels with the means of x (n, *shape), all else as it is."""
        raise NotImplementedError

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) = -E(x) - log Z of each example in nats, (B,)."""
        return -self.energy(x) - self.log_z()

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log p(x) in nats, the mean over the batch (x,), exactly."""
        log_p = self.log_prob(split(batch)[0]).mean()
        return {"loss": -log_p, "log_prob": log_p}

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """n pictures (n, *shape), each the end of a chain of `sweeps` sweeps.

        They follow p only as far as the chains forget where they began. ValueError for labels.
        """
        if labels is not None:
            raise ValueError(f"{type(self).__name__}: labels were given; this model has none")
        like = next(iter(self.parameters()))
        x = bernoulli(full((n, *self.shape), 0.5).to(like), generator=generator)
        for _ in range(self.sweeps):
            x = self.gibbs(x, generator)
        return x

    @no_grad()
    def fill(self, x: Tensor, seen: Tensor, generator: Generator | None = None) -> Tensor:
        """x with a chain's end in place of all that is not seen (a mask of `shape`)."""
        seen = checked_mask(type(self).__name__, seen, self.shape)
        coins = bernoulli(full(x.shape, 0.5).to(x), generator=generator)
        filled = self._checked(where(seen, x, coins))
        for _ in range(self.sweeps):
            filled = self.gibbs(filled, generator, seen)
        return filled

    def _checked(self, x: Tensor) -> Tensor:
        if x.shape[1:] != self.shape or not ((x == 0) | (x == 1)).all():
            raise ValueError(
                f"{type(self).__name__}: expected zeros and ones "
                f"(B, {', '.join(map(str, self.shape))}), got {x.shape} from "
                f"{x.min().item():.3g} to {x.max().item():.3g}; binarise grey values"
            )
        return x

    def _log_odds(self, x: Tensor) -> Tensor:
        """log p / (1 - p) of every pixel's mean over x (n, *shape), one picture of 1/2 added."""
        p = (self._checked(x).sum(0) + 0.5) / (len(x) + 1.0)
        return p.log() - (1.0 - p).log()

    def _affordable(self, bits: int, what: str) -> None:
        if bits > MOST:
            raise ValueError(
                f"{type(self).__name__}: log Z sums over all 2^{bits} {what}; it is exact up to "
                f"2^{MOST}"
            )
