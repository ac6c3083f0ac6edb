"""TransformedDistribution: a draw, and its density, under a change of variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..tape import no_grad
from ..tensor import Tensor
from .distribution import Distribution, sum_rightmost
from .multivariate import Independent
from .transforms import AffineTransform, ComposeTransform, Transform

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """y = t_n(... t_1(x)) with x of the base: log p(y) = log p(x) - sum log |dt_i|.

    >>> D = tg.distributions  # the logistic distribution, of NICE
    >>> logistic = D.TransformedDistribution(D.Uniform(0.0, 1.0), [D.SigmoidTransform().inv])
    >>> logistic.log_prob(tg.tensor(0.0)).exp()
    tensor(0.25)
    """

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Transform | Sequence[Transform],
        validate_args: bool | None = None,
    ) -> None:
        parts = [transforms] if isinstance(transforms, Transform) else list(transforms)
        if not all(isinstance(part, Transform) for part in parts):
            raise ValueError(f"TransformedDistribution: expected Transforms, got {transforms!r}")
        whole, base = ComposeTransform(parts), base_distribution
        shape = tuple(base.batch_shape + base.event_shape)
        if len(shape) < whole.domain.event_dim:
            raise ValueError(
                f"TransformedDistribution: expected a base of {whole.domain.event_dim} dimensions "
                f"or more, got one of shape {shape}"
            )
        wider = np.broadcast_shapes(shape, *map(_shape_of, parts))
        if wider != shape:
            base = base.expand(wider[: len(wider) - len(base.event_shape)])
        missing = whole.domain.event_dim - len(base.event_shape)
        base = Independent(base, missing) if missing > 0 else base
        self.base_dist, self.transforms = base, parts
        extra = len(base.event_shape) - whole.domain.event_dim
        cut = len(wider) - whole.codomain.event_dim - extra
        super().__init__(wider[:cut], wider[cut:], validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return self._forward(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self._forward(self.base_dist.rsample(sample_shape))

    def _forward(self, x: Tensor) -> Tensor:
        for transform in self.transforms:
            x = transform(x)
        return x

    def log_prob(self, value: Tensor) -> Tensor:
        event_dim, y = len(self._event_shape), value
        log_det: Any = 0.0
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            event_dim += transform.domain.event_dim - transform.codomain.event_dim
            slack = event_dim - transform.domain.event_dim
            log_det = log_det + sum_rightmost(transform.log_abs_det_jacobian(x, y), slack)
            y = x
        base = self.base_dist
        log_prob = sum_rightmost(base.log_prob(y), event_dim - len(base.event_shape))
        return log_prob - log_det  # type: ignore[no-any-return]

    def _flip(self, p: Tensor) -> Tensor:
        """P(y <= .) of P(x <= .): 1 - p where the transforms turn the order around."""
        sign = 1
        for transform in self.transforms:
            sign = sign * transform.sign
        return sign * (p - 0.5) + 0.5

    def cdf(self, value: Tensor) -> Tensor:
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        return self._flip(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        return self._forward(self.base_dist.icdf(self._flip(value)))

    def expand(self, batch_shape: Any) -> TransformedDistribution:
        extra = self._event_shape[: len(self._event_shape) - len(self.base_dist.event_shape)]
        base = self.base_dist.expand((*batch_shape, *extra))
        return type(self)(base, self.transforms, validate_args=False)

    def __repr__(self) -> str:
        return f"TransformedDistribution({self.base_dist!r}, {self.transforms!r})"


def _shape_of(transform: Transform) -> tuple[int, ...]:
    """What a transform's own numbers broadcast to."""
    if isinstance(transform, ComposeTransform):
        return np.broadcast_shapes(*map(_shape_of, transform.parts))
    at = transform if isinstance(transform, AffineTransform) else transform.inv
    numbers = (at.loc, at.scale) if isinstance(at, AffineTransform) else ()
    return np.broadcast_shapes(*(x.shape for x in numbers if isinstance(x, Tensor)))
