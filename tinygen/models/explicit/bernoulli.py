"""A mixture of Bernoullis: every component is a picture of coins, one for each pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...backend import Generator
from ...ops import bernoulli, multinomial, rand, where
from ...tape import no_grad
from ...tensor import Tensor
from .components import Mixture, far_apart

__all__ = ["BernoulliMixture"]


class BernoulliMixture(Mixture):
    """`components` pictures of coins for binary x of `shape`.

        p(x) = sum_j w_j prod_i m_ji^x_i (1 - m_ji)^(1 - x_i)

    prior: so many imagined heads and as many tails are added to every coin, and one picture to
    every component, so that no probability is 0. ValueError unless components >= 1 and prior > 0,
    and for pixels that are not 0 or 1.

    >>> import tinygen as tg
    >>> model = tg.models.build("mixture", {"shape": (1, 2, 2), "components": 3})
    >>> x = tg.ones(5, 1, 2, 2)
    >>> model.log_prob(x).shape, model.posterior(x).shape, model.sample(4).shape
    ((5,), (5, 3), (4, 1, 2, 2))
    >>> bool(model.em_step(x) < model.em_step(x))      # a round of EM explains x better
    True
    """

    coins: Tensor

    def __init__(self, shape: Sequence[int], components: int, prior: float = 0.3) -> None:
        super().__init__(components)
        if not prior > 0.0:
            raise ValueError(f"{type(self).__name__}: expected prior > 0, got {prior}")
        self.shape, self.prior = tuple(shape), prior
        self.register_buffer("coins", 0.25 + 0.5 * rand(components, math.prod(shape)))

    def log_each(self, x: Tensor, seen: Tensor | None) -> Tensor:
        """A coin that is not seen has probability 1 in all, and drops out of the product."""
        coins = self.coins if seen is None else self.coins[:, seen]
        x = x if seen is None else x[:, seen]
        return x @ coins.log().T + (1.0 - x) @ (1.0 - coins).log().T

    def conditional(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """p(rest | x_seen) as a mixture again: its weights (B, K) and its coins (K, unseen)."""
        return self.posterior(x, seen), self.coins[:, self._mask(seen).logical_not()]

    @no_grad()
    def start(self, x: Tensor, generator: Generator | None = None) -> None:
        """Lean each component's coins to a picture of x, pictures far apart (`far_apart`)."""
        x = self._flat(x)
        for j, i in enumerate(far_apart(x, len(self.coins), generator)):
            self.restart(j, x[i])

    def restart(self, j: int, x: Tensor) -> None:
        self.coins[j] = 0.25 + 0.5 * x

    def refit(self, x: Tensor, share: Tensor) -> None:
        """Each coin from the pictures that its component explains.

        What EM does not let fall is then sum log p(x) + sum log w + prior sum (log m + log(1 - m));
        log p(x) alone may fall a little when it is near its top.
        """
        heads = share.T @ x + self.prior
        self.coins.copy_(heads / (share.sum(0) + 2.0 * self.prior).unsqueeze(1))

    @no_grad()
    def fill(self, x: Tensor, seen: Tensor, generator: Generator | None = None) -> Tensor:
        which = multinomial(self.posterior(x, seen), 1, generator=generator)[:, 0]
        drawn = bernoulli(self.coins[which], generator=generator).reshape(x.shape)
        return where(seen, x, drawn)

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """n pictures of zeros and ones, (n, *shape); ValueError for labels."""
        self._no_labels(labels)
        which = multinomial(self.weights, n, replacement=True, generator=generator)
        return bernoulli(self.coins[which], generator=generator).reshape(n, *self.shape)
