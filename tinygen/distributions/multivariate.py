"""Vectors as events: MultivariateNormal, and Independent, which makes one event of a batch."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from .. import ops
from ..linalg import solve_triangular
from ..tensor import Tensor
from . import constraints
from .distribution import Distribution, sum_rightmost

__all__ = ["Independent", "MultivariateNormal"]


class MultivariateNormal(Distribution):
    """N(loc, Sigma) on vectors (..., d); give one of Sigma, its inverse, its Cholesky factor.

    log_prob is -(d log 2 pi + log det Sigma + (x - loc)^T Sigma^-1 (x - loc)) / 2. RuntimeError
    for a matrix that is not positive definite.

    >>> normal = tg.distributions.MultivariateNormal(tg.zeros(2), tg.eye(2))
    >>> normal.log_prob(tg.zeros(2)), normal.sample((3,)).shape
    (tensor(-1.8379), (3, 2))
    """

    has_rsample = True
    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        matrices = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        given = {name: matrix for name, matrix in matrices.items() if matrix is not None}
        if len(given) != 1:
            raise ValueError(f"MultivariateNormal: expected exactly one of {', '.join(matrices)}")
        ((name, matrix),) = given.items()
        d = loc.shape[-1] if loc.ndim else 0
        if not d or matrix.ndim < 2 or matrix.shape[-2:] not in ((d, d), (d, 1), (1, d), (1, 1)):
            raise ValueError(
                f"MultivariateNormal: expected loc (..., d) and {name} (..., d, d), got shapes "
                f"{loc.shape} and {matrix.shape}"
            )
        batch = np.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.loc = loc.expand((*batch, d))
        vars(self)[name] = matrix.expand((*batch, d, d))
        super().__init__(batch, (d,), validate_args)
        _ = self.scale_tril  # a matrix that has none is refused here

    @cached_property
    def scale_tril(self) -> Tensor:
        """L with L L^T = Sigma."""
        known = vars(self)
        if "covariance_matrix" in known:
            return ops.cholesky(self.covariance_matrix)
        # P = L^-T L^-1; from below, P's own factor is upper, which is what L^-T is.
        upper = ops.cholesky(self.precision_matrix.flip(-2, -1)).flip(-2, -1)
        eye = ops.eye(self._event_shape[0], dtype=self.loc.dtype, device=self.loc.device)
        return self._solve(upper.mT, eye)

    @cached_property
    def covariance_matrix(self) -> Tensor:
        """Sigma, (..., d, d)."""
        return self.scale_tril @ self.scale_tril.mT

    @cached_property
    def precision_matrix(self) -> Tensor:
        """Its inverse."""
        return ops.inverse(self.covariance_matrix)

    def _solve(self, lower: Tensor, b: Tensor) -> Tensor:
        batch = np.broadcast_shapes(lower.shape[:-2], b.shape[:-2])
        lower, b = (x.expand((*batch, *x.shape[-2:])) for x in (lower, b))
        return solve_triangular(lower, b, upper=False)

    def _half_log_det(self) -> Tensor:
        i = ops.arange(self._event_shape[0], device=self.loc.device)
        return self.scale_tril[..., i, i].log().sum(-1)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        eps = ops.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
        return self.loc + (self.scale_tril @ eps.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        d: int = self._event_shape[0]
        lower, away = self.scale_tril, value - self.loc
        if lower.ndim == 2:  # one matrix for all values: they are its columns
            z = solve_triangular(lower, away.reshape(-1, d).mT, upper=False).mT.reshape(away.shape)
        else:
            z = self._solve(lower, away.unsqueeze(-1)).squeeze(-1)
        return -0.5 * (d * math.log(2 * math.pi) + z.square().sum(-1)) - self._half_log_det()

    def entropy(self) -> Tensor:
        d: int = self._event_shape[0]
        return 0.5 * d * (1 + math.log(2 * math.pi)) + self._half_log_det()

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.scale_tril.square().sum(-1)


class Independent(Distribution):
    """The last batch dimensions of another distribution as dimensions of one event.

    >>> rows = tg.distributions.Independent(tg.distributions.Normal(tg.zeros(3, 2), 1.0), 1)
    >>> rows.batch_shape, rows.event_shape, rows.log_prob(tg.zeros(3, 2)).shape
    ((3,), (2,), (3,))
    """

    def __init__(
        self,
        base_distribution: Distribution,
        reinterpreted_batch_ndims: int,
        validate_args: bool | None = None,
    ) -> None:
        batch, event = base_distribution.batch_shape, base_distribution.event_shape
        if not 0 <= reinterpreted_batch_ndims <= len(batch):
            raise ValueError(
                f"Independent: expected 0 <= reinterpreted_batch_ndims <= {len(batch)}, the "
                f"dimensions of the base's batch_shape, got {reinterpreted_batch_ndims}"
            )
        self.base_dist, self.reinterpreted_batch_ndims = (
            base_distribution,
            reinterpreted_batch_ndims,
        )
        cut = len(batch) - reinterpreted_batch_ndims
        super().__init__(batch[:cut], batch[cut:] + event, validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @property
    def support(self) -> Any:
        """The base's, in each place of the event."""
        base, n = self.base_dist.support, self.reinterpreted_batch_ndims
        return base if base is None else constraints.independent(base, n)

    def expand(self, batch_shape: Any) -> Independent:
        n = self.reinterpreted_batch_ndims
        base = self.base_dist.expand((*batch_shape, *self._event_shape[:n]))
        return type(self)(base, n, validate_args=False)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Tensor:
        return sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    @property
    def mean(self) -> Tensor:
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance

    def __repr__(self) -> str:
        return f"Independent({self.base_dist!r}, {self.reinterpreted_batch_ndims})"
