"""A mixture of any components: posterior, EM, a start with components apart, the dead mended."""

from __future__ import annotations

import math

from ...backend import Generator
from ...checks import positive
from ...ops import full, logsumexp, minimum, multinomial, softmax
from ...tape import no_grad
from ...tensor import Tensor
from .queries import ExactDensity

__all__ = ["Mixture", "far_apart"]


class Mixture(ExactDensity):
    """p(x) = sum_j w_j p(x | j).

    A subclass gives `log_each`, `refit` and `restart`, and then `fill` by its own conditionals.
    ValueError unless components >= 1.
    """

    weights: Tensor

    def __init__(self, components: int) -> None:
        super().__init__()
        positive(type(self).__name__, components=components)
        self.register_buffer("weights", full((components,), 1.0 / components))

    def log_each(self, x: Tensor, seen: Tensor | None) -> Tensor:
        """log p(x_seen | j): x (B, D), seen (D,) or None for all -> (B, components)."""
        raise NotImplementedError

    def refit(self, x: Tensor, share: Tensor) -> None:
        """The M step of the components: each from x (n, D) with its column of share (n, K)."""
        raise NotImplementedError

    def restart(self, j: int, x: Tensor) -> None:
        """Component j anew about one x (D,)."""
        raise NotImplementedError

    def log_joint(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """log w_j + log p(x | j) of every x and component: (B, ...) -> (B, components)."""
        if seen is None:
            return self.weights.log() + self.log_each(self._flat(x), None)
        return self.weights.log() + self.log_each(*self._parts(x, seen))

    def log_prob(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """log p(x), or log p(x_seen), of each example in nats, (B,)."""
        return logsumexp(self.log_joint(x, seen), 1)

    def posterior(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """p(j | x_seen), who explains x: (B, ...) -> (B, components), rows that sum to 1."""
        return softmax(self.log_joint(x, seen), 1)

    @no_grad()
    def em_step(self, x: Tensor) -> Tensor:
        """One round of EM on all x (n, ...); the mean log p(x) before it, in nats.

        E: who explains which x. M: each component from what it explains, and one x more, so that no
        weight is 0: sum log p(x) + sum log w never falls, plus what `refit` adds.
        """
        joint = self.log_joint(x)
        self._maximise(x.flatten(1), softmax(joint, 1))
        return logsumexp(joint, 1).mean()

    def _maximise(self, x: Tensor, share: Tensor) -> None:
        count = share.sum(0)  # examples that each component explains
        self.weights.copy_((count + 1.0) / (count + 1.0).sum())
        self.refit(x, share)

    @no_grad()
    def mend(self, x: Tensor) -> int:
        """How many components were dead, explaining less than one of x (n, ...) in all.

        Each begins anew, with an equal share, at one of the worst explained x, no two alike.
        """
        joint, flat = self.log_joint(x), x.flatten(1)
        dead = [j for j, n in enumerate(softmax(joint, 1).sum(0).tolist()) if n < 1.0]
        log_p = logsumexp(joint, 1)
        for j in dead:
            worst = flat[int(log_p.argmin().item())]
            self.restart(j, worst)
            self.weights[j] = 1.0 / len(self.weights)
            log_p = log_p.masked_fill((flat == worst).all(1), math.inf)
        self.weights.div_(self.weights.sum())
        return len(dead)


def far_apart(x: Tensor, k: int, generator: Generator | None = None) -> list[int]:
    """Which k of x (n, D), far from each other: k-means++ (Arthur and Vassilvitskii 2007).

    The first is the first; the next is drawn with probability in proportion to its squared distance
    from the nearest one chosen so far. With k > n some come twice.

    >>> import tinygen as tg
    >>> from tinygen.models.explicit.components import far_apart
    >>> sorted(far_apart(tg.tensor([[0.0], [0.0], [0.0], [9.0]]), 2))
    [0, 3]
    """
    distance, chosen = full((len(x),), math.inf).to(x), [0]
    while len(chosen) < k:
        distance = minimum(distance, (x - x[chosen[-1]]).square().sum(1) + 1e-6)
        chosen.append(int(multinomial(distance, 1, generator=generator).item()))
    return chosen
