"""The base of all distributions: shapes, sample and rsample, log_prob, checks of what is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Array, default_generator, refuse
from ..constants import Size
from ..ops import as_tensor
from ..tape import no_grad
from ..tensor import Tensor, wrap
from .constraints import Constraint

__all__ = ["Distribution", "broadcast_all", "draw", "sum_rightmost"]


def broadcast_all(*values: Any) -> list[Tensor]:
    """Numbers and Tensors as Tensors of their common shape; numbers get the Tensors' dtype."""
    like = next((v for v in values if isinstance(v, Tensor)), None)
    dtype, device = (None, None) if like is None else (like.dtype, like.device)
    tensors = [
        v if isinstance(v, Tensor) else as_tensor(float(v), dtype=dtype, device=device)
        for v in values
    ]
    shape = np.broadcast_shapes(*(t.shape for t in tensors))
    return [t.expand(shape) for t in tensors]


def sum_rightmost(x: Tensor, dims: int) -> Tensor:
    """The sum over the last `dims` dimensions."""
    return x.sum(tuple(range(-dims, 0))) if dims else x


def draw(like: Tensor, sample: Callable[[np.random.Generator], Array]) -> Tensor:
    """What `sample` draws from the default generator, in like's dtype and on its device."""
    out = wrap(np.asarray(sample(default_generator.numpy), dtype=like.dtype))
    return out.to(like.device)


class Distribution:
    """To subclass: rsample (or sample), log_prob, and what else is asked for.

    sample(sample_shape) has the shape sample_shape + batch_shape + event_shape; log_prob(value)
    sums over the event's dimensions. A draw of rsample() has a gradient in the parameters.
    arg_constraints and support say what is checked, unless validate_args=False: ValueError for a
    parameter or a value that is none. Numbers are drawn from the default generator.
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: dict[str, Constraint] = {}
    support: Any = None
    _validate_args = True

    def __init__(
        self,
        batch_shape: tuple[int, ...] = (),
        event_shape: tuple[int, ...] = (),
        validate_args: bool | None = None,
    ) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        self._given = [k for k in self.arg_constraints if isinstance(vars(self).get(k), Tensor)]
        if self._validate_args:
            for name in self._given:
                self._check(name, vars(self)[name], self.arg_constraints[name])

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether parameters and values are checked where validate_args is not given."""
        Distribution._validate_args = bool(value)

    def _check(self, name: str, value: Tensor, constraint: Constraint) -> None:
        good = constraint.check(value.detach())
        refuse((~good).any()._array, lambda: ValueError(
            f"{type(self).__name__}: expected {name} to be {constraint.says}, got "
            f"{_first(value, good)}"
        ))  # fmt: skip

    def _validate_sample(self, value: Any) -> None:
        if not isinstance(value, Tensor):
            raise ValueError(
                f"{type(self).__name__}: expected a Tensor as value, got {type(value).__name__}"
            )
        try:
            np.broadcast_shapes(value.shape, self._batch_shape + self._event_shape)
        except ValueError:
            raise ValueError(
                f"{type(self).__name__}: a value of shape {value.shape} does not broadcast with "
                f"batch_shape {self._batch_shape} + event_shape {self._event_shape}"
            ) from None
        if self.support is not None:
            self._check("value", value, self.support)

    @property
    def batch_shape(self) -> Size:
        """The shape of the parameters: so many distributions side by side."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one draw of one of them."""
        return self._event_shape

    def _extended_shape(self, sample_shape: Any = ()) -> Size:
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A draw, sample_shape + batch_shape + event_shape, through which no gradient flows."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A draw that is a differentiable function of the parameters, where has_rsample says so."""
        raise NotImplementedError(
            f"{type(self).__name__} has no rsample: its draws have no derivative here; use sample()"
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """log p(value) in nats: the density's, or the probability's where draws are discrete."""
        raise self._missing("log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """P(draw <= value)."""
        raise self._missing("cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """The quantile: where cdf is `value`."""
        raise self._missing("icdf")

    def entropy(self) -> Tensor:
        """-E log p in nats."""
        raise self._missing("entropy")

    def perplexity(self) -> Tensor:
        """e^entropy."""
        return self.entropy().exp()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values that a discrete draw can have."""
        raise self._missing("enumerate_support")

    @property
    def mean(self) -> Tensor:
        """The expected draw."""
        raise self._missing("mean")

    @property
    def mode(self) -> Tensor:
        """The most probable draw."""
        raise self._missing("mode")

    @property
    def variance(self) -> Tensor:
        """The expected squared distance from the mean, place by place."""
        raise self._missing("variance")

    @property
    def stddev(self) -> Tensor:
        """The root of the variance."""
        return self.variance.sqrt()

    def expand(self, batch_shape: Any) -> Any:
        """The same distribution with its parameters expanded to another batch_shape."""
        shape, parameters = tuple(batch_shape), {}
        for name in self._given:
            value, event_dim = vars(self)[name], self.arg_constraints[name].event_dim
            parameters[name] = value.expand((*shape, *value.shape[value.ndim - event_dim :]))
        return type(self)(**parameters, validate_args=False)

    def _missing(self, what: str) -> NotImplementedError:
        return NotImplementedError(f"{type(self).__name__} has no {what}")

    def __repr__(self) -> str:
        values = {name: vars(self)[name] for name in self._given}
        given = [
            f"{name}: {value.item():g}" if value.numel() == 1 else f"{name}: {value.shape}"
            for name, value in values.items()
        ]
        return f"{type(self).__name__}({', '.join(given)})"


def _first(value: Tensor, good: Tensor) -> str:
    """The first number (or the shape of the event) that is not good."""
    if good.shape != value.shape:
        return f"a Tensor of shape {value.shape}"
    bad = value.detach()[~good].reshape(-1)
    return f"{bad[0].item():g}" if bad.numel() else "nothing"
