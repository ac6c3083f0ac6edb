"""A mixture of Bernoullis, fitted by EM (Dempster, Laird and Rubin 1977).

    p(x) = sum_j w_j prod_i m_ji^x_i (1 - m_ji)^(1 - x_i)

A component is a picture of probabilities: choose component j with probability w_j and toss a coin
for every pixel. Density, samples and the posterior p(j | x) are exact.

What goes wrong: components that begin alike stay alike or die, no picture choosing them (hence
`start`); a coin that is never heads makes one unseen heads impossible (hence the prior); pixels are
independent within a component, so samples are noisy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...backend import Generator
from ...checks import positive
from ...ops import bernoulli, full, logsumexp, minimum, multinomial, rand, softmax
from ...tape import no_grad
from ...tensor import Tensor
from ..systems import NEEDED, settings, split

__all__ = ["BernoulliMixture", "build"]


class BernoulliMixture(nn.Module):
    """`components` pictures of coins for binary x of `shape`.

    prior: so many imagined heads and as many tails are added to every coin, and one picture to
    every component, so that no probability is 0. ValueError unless components >= 1 and prior > 0.

    >>> import tinygen as tg
    >>> model = tg.models.build("mixture", {"shape": (1, 2, 2), "components": 3})
    >>> x = tg.ones(5, 1, 2, 2)
    >>> model.log_prob(x).shape, model.posterior(x).shape, model.sample(4).shape
    ((5,), (5, 3), (4, 1, 2, 2))
    >>> bool(model.em_step(x) < model.em_step(x))      # a round of EM explains x better
    True
    """

    weights: Tensor
    coins: Tensor
    classes = 0
    pixels = (0.0, 1.0)

    def __init__(self, shape: Sequence[int], components: int, prior: float = 0.3) -> None:
        super().__init__()
        positive("BernoulliMixture", components=components)
        if not prior > 0.0:
            raise ValueError(f"BernoulliMixture: expected prior > 0, got {prior}")
        self.shape, self.prior = tuple(shape), prior
        self.register_buffer("weights", full((components,), 1.0 / components))
        self.register_buffer("coins", 0.25 + 0.5 * rand(components, math.prod(shape)))

    def log_joint(self, x: Tensor) -> Tensor:
        """log w_j + log p(x | j) of every picture and component: (B, ...) -> (B, components)."""
        x = x.flatten(1)
        return self.weights.log() + x @ self.coins.log().T + (1.0 - x) @ (1.0 - self.coins).log().T

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) of each example in nats, (B,)."""
        return logsumexp(self.log_joint(x), 1)

    def posterior(self, x: Tensor) -> Tensor:
        """p(j | x), who explains x: (B, ...) -> (B, components), rows that sum to 1."""
        return softmax(self.log_joint(x), 1)

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log p(x) in nats, the mean over the batch (x,) or (x, labels)."""
        log_p = self.log_prob(split(batch)[0]).mean()
        return {"loss": -log_p, "log_prob": log_p}

    @no_grad()
    def start(self, x: Tensor, generator: Generator | None = None) -> None:
        """Lean each component's coins to a picture of x, pictures far from each other (k-means++).

        The next picture is drawn with probability in proportion to its squared distance from the
        nearest one chosen so far (Arthur and Vassilvitskii 2007): no two components begin alike.
        """
        x = x.flatten(1)
        distance = full((len(x),), math.inf)
        chosen = 0
        for coins in self.coins:
            coins.copy_(0.25 + 0.5 * x[chosen])
            distance = minimum(distance, (x - x[chosen]).square().sum(1) + 1e-6)
            chosen = int(multinomial(distance, 1, generator=generator).item())

    @no_grad()
    def em_step(self, x: Tensor) -> Tensor:
        """One round of EM on all pictures x (n, ...); the mean log p(x) before it, in nats.

        E: who explains which picture. M: each coin from the pictures that its component explains.
        What never falls is sum log p(x) + sum log w + prior sum (log m + log(1 - m)), m the coins;
        log p(x) alone may fall a little when it is near its top.
        """
        joint = self.log_joint(x)
        share = softmax(joint, 1)  # p(j | x), (n, components)
        count = share.sum(0)  # pictures that each component explains
        self.weights.copy_((count + 1.0) / (count + 1.0).sum())
        heads = share.T @ x.flatten(1) + self.prior
        self.coins.copy_(heads / (count + 2.0 * self.prior).unsqueeze(1))
        return logsumexp(joint, 1).mean()

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """n pictures of zeros and ones, (n, *shape); ValueError for labels."""
        if labels is not None:
            raise ValueError("BernoulliMixture: labels were given; this model has none")
        which = multinomial(self.weights, n, replacement=True, generator=generator)
        return bernoulli(self.coins[which], generator=generator).reshape(n, *self.shape)


def build(config: Mapping[str, Any]) -> BernoulliMixture:
    """components, prior: see BernoulliMixture."""
    c = settings("mixture", config, shape=NEEDED, components=40, prior=0.3)
    return BernoulliMixture(c.shape, c.components, c.prior)
