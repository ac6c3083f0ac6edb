"""A restricted Boltzmann machine: hidden units between the pixels (Smolensky 1986, Hinton 2002)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ... import nn
from ...backend import Generator
from ...checks import positive
from ...nn import functional as F
from ...ops import bernoulli, cat, logsumexp, rand, randn, sigmoid, where, zeros
from ...tape import no_grad
from ...tensor import Tensor
from ..systems import split
from .fields import MarkovField, all_binary

__all__ = ["RBM"]


class RBM(MarkovField):
    """Binary x of `shape` and `hidden` binary units, no edges among either; the units summed out:

        E(x) = -b x - sum_j log(1 + e^(c_j + (x W)_j)),     the free energy

    `terms` is contrastive divergence: E(x) of the data minus E of pictures that Gibbs sampling gave
    in k sweeps, from the data (CD) or, chains > 0, from where so many chains were left the last
    time (persistent CD, Tieleman 2008). Its gradient is nearly that of -log p(x); its value says
    little. log Z is exact while 2^hidden or 2^D is small. ValueError for pixels not 0 or 1.

    >>> import tinygen as tg
    >>> model = tg.models.build("markov_field", {"model": "rbm", "shape": (1, 3, 3), "hidden": 4})
    >>> x = tg.ones(5, 1, 3, 3)
    >>> model.log_prob(x).shape, model.gibbs(x).shape, float(model.terms((x,))["loss"]) < 9
    ((5,), (5, 1, 3, 3), True)
    """

    def __init__(
        self, shape: Sequence[int], hidden: int = 16, k: int = 1, chains: int = 100
    ) -> None:
        super().__init__()
        positive("RBM", hidden=hidden, k=k)
        self.shape, self.k, size = tuple(shape), k, math.prod(shape)
        self.W = nn.Parameter(0.05 * randn(size, hidden))
        self.b, self.c = nn.Parameter(zeros(size)), nn.Parameter(zeros(hidden))
        self.register_buffer("chains", (rand(chains, *shape) < 0.5).to(self.b.dtype))

    @no_grad()
    def start(self, x: Tensor) -> None:
        self.b.copy_(self._log_odds(x).flatten())

    def energy(self, x: Tensor) -> Tensor:
        v = self._checked(x).flatten(1)
        return -(v @ self.b) - F.softplus(self.c + v @ self.W).sum(1)

    def log_z(self) -> Tensor:
        """The sum over the smaller side, pixels or hidden units; the other is summed by hand."""
        size, hidden = self.W.shape
        W, b, c, units = self.W.T, self.c, self.b, "pixels"
        if hidden <= size:
            W, b, c, units = self.W, self.b, self.c, "hidden units"
        self._affordable(len(c), f"states of the {units}")
        parts = all_binary(len(c), c).split(4096)
        return logsumexp(cat([h @ c + F.softplus(b + h @ W.T).sum(1) for h in parts]), 0)

    def features(self, x: Tensor) -> Tensor:
        """p(h_j = 1 | x), (B, hidden)."""
        return sigmoid(self.c + x.flatten(1) @ self.W)

    @no_grad()
    def gibbs(
        self, x: Tensor, generator: Generator | None = None, seen: Tensor | None = None
    ) -> Tensor:
        """All hidden units given the pixels, all pixels given these."""
        h = bernoulli(self.features(x), generator=generator)
        p = sigmoid(self.b + h @ self.W.T)
        drawn = bernoulli(p, generator=generator).reshape(x.shape)
        return drawn if seen is None else where(seen, x, drawn)

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = E(x) of the data minus E of the chains' pictures, the means of both."""
        x = split(batch)[0]
        made = self.chains if len(self.chains) else x
        for _ in range(self.k):
            made = self.gibbs(made)
        if len(self.chains):
            self.chains.copy_(made)
        data, model = self.energy(x).mean(), self.energy(made).mean()
        return {"loss": data - model, "energy": data, "energy_of_chains": model}
