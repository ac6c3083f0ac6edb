"""Gamma, Beta, Dirichlet: positive numbers, shares of 1. Their draws have no derivative here."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..backend import move
from ..constants import finfo
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, broadcast_all, draw

__all__ = ["Beta", "Dirichlet", "Gamma"]


def _standard_gamma(concentration: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Draws of Gamma(concentration, 1), never 0."""
    a = move(concentration.detach()._array, "cpu").astype(np.float64)
    return draw(concentration, lambda rng: rng.standard_gamma(a, size=shape)).clamp(
        min=finfo(concentration.dtype).tiny
    )


class Gamma(Distribution):
    """p(x) = rate^a x^(a - 1) e^(-rate x) / Gamma(a), a = concentration; its mean is a / rate.

    >>> tg.distributions.Gamma(2.0, 1.0).log_prob(tg.tensor(1.0))  # log(1 * e^-1)
    tensor(-1.)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, (), validate_args)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        drawn = _standard_gamma(self.concentration, self._extended_shape(sample_shape))
        return drawn / self.rate.detach()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a, rate = self.concentration, self.rate
        return ops.xlogy(a, rate) + ops.xlogy(a - 1, value) - rate * value - ops.lgamma(a)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + ops.lgamma(a) + (1 - a) * ops.digamma(a)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate.square()


class Dirichlet(Distribution):
    """p(x) = prod x_k^(a_k - 1) / B(a) on shares that sum to 1, a = concentration (..., K).

    >>> uniform = tg.distributions.Dirichlet(tg.ones(3))
    >>> uniform.log_prob(tg.tensor([0.2, 0.3, 0.5])), uniform.sample().sum()  # log 2
    (tensor(0.6931), tensor(1.))
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.ndim < 1:
            raise ValueError("Dirichlet: expected a concentration (..., K), got a number")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        drawn = _standard_gamma(self.concentration, self._extended_shape(sample_shape))
        return drawn / drawn.sum(-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a = self.concentration
        log_b = ops.lgamma(a).sum(-1) - ops.lgamma(a.sum(-1))
        return ops.xlogy(a - 1, value).sum(-1) - log_b

    def entropy(self) -> Tensor:
        a = self.concentration
        a0, k = a.sum(-1), a.shape[-1]
        log_b = ops.lgamma(a).sum(-1) - ops.lgamma(a0)
        return log_b - (k - a0) * ops.digamma(a0) - ((a - 1) * ops.digamma(a)).sum(-1)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def variance(self) -> Tensor:
        a, a0 = self.concentration, self.concentration.sum(-1, keepdim=True)
        return a * (a0 - a) / (a0.square() * (a0 + 1))


class Beta(Distribution):
    """p(x) = x^(a - 1) (1 - x)^(b - 1) / B(a, b), a = concentration1, b = concentration0.

    >>> tg.distributions.Beta(2.0, 2.0).log_prob(tg.tensor(0.5)).exp()  # 6 x (1 - x)
    tensor(1.5)
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval

    def __init__(
        self, concentration1: Any, concentration0: Any, validate_args: bool | None = None
    ) -> None:
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        super().__init__(self.concentration1.shape, (), validate_args)

    def _dirichlet(self) -> Dirichlet:
        both = ops.stack([self.concentration1, self.concentration0], -1)
        return Dirichlet(both, validate_args=False)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self._dirichlet().sample(sample_shape)[..., 0]

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self._dirichlet().log_prob(ops.stack([value, 1 - value], -1))

    def entropy(self) -> Tensor:
        return self._dirichlet().entropy()

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def variance(self) -> Tensor:
        return self._dirichlet().variance[..., 0]
