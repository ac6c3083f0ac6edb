"""torch.distributions.constraints: what parameters and samples must be, and how many dims that is.

`constraint.check(x)` is a Tensor of bools, one for each event; `event_dim` is how many of the last
dimensions make one event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import ops
from ..tensor import Tensor

__all__ = [
    "Constraint", "boolean", "greater_than", "half_open_interval", "independent",
    "integer_interval", "interval", "lower_cholesky", "nonnegative", "positive",
    "positive_definite", "real", "real_vector", "simplex", "unit_interval",
]  # fmt: skip


class Constraint:
    """A condition in words ("> 0"), its test of a Tensor, and the dimensions of one event."""

    is_discrete = False

    def __init__(self, says: str, check: Callable[[Tensor], Tensor], event_dim: int = 0) -> None:
        self.says, self.check, self.event_dim = says, check, event_dim

    def __repr__(self) -> str:
        return f"Constraint({self.says})"


def interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """lower_bound <= x <= upper_bound."""
    says = f"in [{_said(lower_bound)}, {_said(upper_bound)}]"
    return Constraint(says, lambda x: (x >= lower_bound) & (x <= upper_bound))


def half_open_interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """lower_bound <= x < upper_bound."""
    says = f"in [{_said(lower_bound)}, {_said(upper_bound)})"
    return Constraint(says, lambda x: (x >= lower_bound) & (x < upper_bound))


def integer_interval(lower_bound: int, upper_bound: int) -> Constraint:
    """An integer from lower_bound to upper_bound."""
    says = f"an integer in [{lower_bound}, {upper_bound}]"
    return Constraint(says, lambda x: (x % 1 == 0) & (x >= lower_bound) & (x <= upper_bound))


def greater_than(lower_bound: Any) -> Constraint:
    """x > lower_bound."""
    return Constraint(f"> {_said(lower_bound)}", lambda x: x > lower_bound)


def independent(base_constraint: Constraint, reinterpreted_batch_ndims: int) -> Constraint:
    """The base's condition in each place of an event that has so many dimensions more."""

    def check(x: Tensor) -> Tensor:
        return _all_of(base_constraint.check(x), reinterpreted_batch_ndims)

    ndims = base_constraint.event_dim + reinterpreted_batch_ndims
    return Constraint(base_constraint.says, check, ndims)


def _all_of(good: Tensor, ndims: int) -> Tensor:
    for _ in range(ndims):
        good = good.all(-1)
    return good


def _said(bound: Any) -> str:
    several = isinstance(bound, Tensor) and bound.numel() != 1
    return "its bound" if several else f"{float(bound):g}"


def _simplex(x: Tensor) -> Tensor:
    return (x >= 0).all(-1) & ((x.sum(-1) - 1).abs() < 1e-6)


def _symmetric(x: Tensor) -> Tensor:
    return ((x - x.mT).abs() < 1e-6).all(-1).all(-1)


def _lower_cholesky(x: Tensor) -> Tensor:
    eye = ops.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    return (x.tril() == x).all(-1).all(-1) & ((x * eye).sum(-1) > 0).all(-1)


real = Constraint("a number", lambda x: ops.logical_not(ops.isnan(x)))
real_vector = independent(real, 1)
positive = greater_than(0.0)
nonnegative = Constraint(">= 0", lambda x: x >= 0)
unit_interval = interval(0.0, 1.0)
boolean = Constraint("0 or 1", lambda x: (x == 0) | (x == 1))
simplex = Constraint(">= 0 with the sum 1 over the last dimension", _simplex, 1)
lower_cholesky = Constraint("lower triangular, > 0 on the diagonal", _lower_cholesky, 2)
positive_definite = Constraint("symmetric, positive definite", _symmetric, 2)
