"""What every density of this family answers: log p(x), log p of a part of x, the rest given it."""

from __future__ import annotations

from collections.abc import Sequence

from ... import nn
from ...backend import Generator, bool_
from ...ops import ones, zeros
from ...tape import no_grad
from ...tensor import Tensor
from ..systems import split

__all__ = ["ExactDensity", "checked_mask"]


def checked_mask(name: str, seen: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`seen` as it is, a mask of `shape`; else ValueError.

    >>> import tinygen as tg
    >>> from tinygen.models.explicit.queries import checked_mask
    >>> checked_mask("me", tg.tensor([True, False]), (2,))
    tensor([ True, False])
    """
    if seen.shape != shape or seen.dtype != bool_:
        raise ValueError(
            f"{name}: expected seen, a mask {shape} of bools, got {seen.dtype} {seen.shape}"
        )
    return seen


class ExactDensity(nn.Module):
    """A density of x of `shape` whose sums can be done: marginals, conditionals and samples.

    `seen` is a mask of `shape`, one for the whole batch: True where x is known. What x holds
    elsewhere plays no part; None means that all of x is seen. A subclass gives `log_prob` and
    `fill`; ValueError for x of another shape, and for pixels that are not 0 or 1 where `binary`.

    >>> import tinygen as tg
    >>> model = tg.models.build("mixture", {"shape": (1, 2, 2), "components": 3})
    >>> x, left = tg.ones(5, 1, 2, 2), tg.tensor([[[True, False], [True, False]]])
    >>> bool((model.log_prob(x, left) > model.log_prob(x)).all())      # fewer pixels, likelier
    True
    >>> model.fill(x, left).shape                                      # the right half anew
    (5, 1, 2, 2)
    """

    shape: tuple[int, ...]
    classes = 0
    pixels = (0.0, 1.0)
    binary = True

    def log_prob(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """log p(x) in nats, (B,), or log p(x_seen), the sum over all that is not seen."""
        raise NotImplementedError

    def fill(self, x: Tensor, seen: Tensor, generator: Generator | None = None) -> Tensor:
        """x with a draw of p(rest | x_seen) in place of all that is not seen, (B, *shape)."""
        raise NotImplementedError

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log p(x) in nats, the mean over the batch (x,) or (x, labels)."""
        log_p = self.log_prob(split(batch)[0]).mean()
        return {"loss": -log_p, "log_prob": log_p}

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """n draws, (n, *shape): nothing is seen, all is filled. ValueError for labels."""
        self._no_labels(labels)
        like = next(iter(self.buffers()))
        nothing = zeros(self.shape, dtype=bool_, device=like.device)
        return self.fill(zeros(n, *self.shape).to(like), nothing, generator)

    def _no_labels(self, labels: Tensor | None) -> None:
        if labels is not None:
            raise ValueError(f"{type(self).__name__}: labels were given; this model has none")

    def _flat(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """(B, *shape) -> (B, D), checked; zeros stand where x is not seen (D,)."""
        name, shape = type(self).__name__, ", ".join(map(str, self.shape))
        if x.shape[1:] != self.shape:
            raise ValueError(f"{name}: expected x (B, {shape}), got {x.shape}")
        x = x.flatten(1) if seen is None else x.flatten(1).masked_fill(seen.logical_not(), 0.0)
        if self.binary and not ((x == 0) | (x == 1)).all():
            raise ValueError(
                f"{name}: expected zeros and ones, got {x.min().item():.3g} to "
                f"{x.max().item():.3g}; binarise grey values"
            )
        return x

    def _mask(self, seen: Tensor | None) -> Tensor:
        """`seen` as a flat mask, (D,)."""
        if seen is None:
            like = next(iter(self.buffers()))
            return ones(self.shape, dtype=bool_, device=like.device).flatten()
        return checked_mask(type(self).__name__, seen, self.shape).flatten()

    def _parts(self, x: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        """x (B, D) and `seen` (D,), both checked; zeros stand where x is not seen."""
        mask = self._mask(seen)
        return self._flat(x, mask), mask
