"""MixtureSameFamily: a Categorical chooses one of K distributions of one family."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..tensor import Tensor
from .discrete import Categorical
from .distribution import Distribution

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """p(x) = sum_k pi_k p_k(x): pi of the Categorical, p_k along the components' last batch dim.

    >>> D = tg.distributions
    >>> mixture = D.MixtureSameFamily(
    ...     D.Categorical(tg.tensor([0.5, 0.5])), D.Normal(tg.tensor([-9.0, 9.0]), tg.ones(2))
    ... )
    >>> mixture.mean, mixture.log_prob(tg.tensor(9.0))  # log(1/2) - log(2 pi) / 2
    (tensor(0.), tensor(-1.6121))
    """

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                "MixtureSameFamily: expected a Categorical as mixture_distribution, got "
                f"{type(mixture_distribution).__name__}"
            )
        parts = component_distribution.batch_shape
        weights = tuple(mixture_distribution.param_shape)
        if not parts or weights not in (tuple(parts), tuple(parts[-1:])):
            raise ValueError(
                "MixtureSameFamily: expected components with a batch_shape (..., K) as that of "
                f"probs, got {tuple(parts)} and {weights}"
            )
        self.mixture_distribution = mixture_distribution
        self.component_distribution = component_distribution
        self._event_ndims = len(component_distribution.event_shape)
        super().__init__(parts[:-1], component_distribution.event_shape, validate_args)

    @property
    def support(self) -> Any:
        """None: the components check."""
        return None

    def _pad(self, x: Tensor) -> Tensor:
        """A dimension for the components before the event's."""
        return x.unsqueeze(-1 - self._event_ndims)

    def _weighted(self, x: Tensor) -> Tensor:
        """sum_k pi_k x_k over the components' dimension."""
        probs = self.mixture_distribution.probs
        probs = probs.reshape(*probs.shape, *[1] * self._event_ndims)
        return (probs * x).sum(-1 - self._event_ndims)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        drawn = self.component_distribution.sample(sample_shape)
        which = self.mixture_distribution.expand(self._batch_shape).sample(sample_shape)
        which = which.reshape(*which.shape, *[1] * (1 + self._event_ndims))
        dim = which.ndim - 1 - self._event_ndims
        index = which.expand((*which.shape[: dim + 1], *self._event_shape))
        return ops.gather(drawn, dim, index).reshape(shape)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        each = self.component_distribution.log_prob(self._pad(value))
        return (each + self.mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def cdf(self, value: Tensor) -> Tensor:
        each = self.component_distribution.cdf(self._pad(value))
        return (each * self.mixture_distribution.probs).sum(-1)

    @property
    def mean(self) -> Tensor:
        return self._weighted(self.component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        parts = self.component_distribution
        apart = parts.mean - self._pad(self.mean)
        return self._weighted(parts.variance) + self._weighted(apart.square())

    def expand(self, batch_shape: Any) -> MixtureSameFamily:
        k = self.mixture_distribution.param_shape[-1]
        return type(self)(
            self.mixture_distribution.expand(batch_shape),
            self.component_distribution.expand((*batch_shape, k)),
            validate_args=False,
        )

    def __repr__(self) -> str:
        return f"MixtureSameFamily({self.mixture_distribution!r}, {self.component_distribution!r})"
