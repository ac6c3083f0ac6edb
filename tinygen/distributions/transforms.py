"""Invertible functions with the logarithm of their derivative, for changes of variables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..constants import finfo
from ..nn import functional as F
from ..tensor import Tensor
from . import constraints
from .distribution import sum_rightmost

__all__ = [
    "AffineTransform", "ComposeTransform", "ExpTransform", "SigmoidTransform", "SoftplusTransform",
    "TanhTransform", "Transform",
]  # fmt: skip


class Transform:
    """To subclass: `_call(x)`, `_inverse(y)`, `log_abs_det_jacobian(x, y)` = log |dy/dx|.

    t(x) is y and t.inv(y) is x. With cache_size=1 the last pair is remembered, so that t.inv of
    what t gave is exactly what it was given. domain and codomain say, by their event_dim, how many
    of the last dimensions one derivative is about.
    """

    bijective = True
    sign = 1
    domain: constraints.Constraint = constraints.real
    codomain: constraints.Constraint = constraints.real

    def __init__(self, cache_size: int = 0) -> None:
        if cache_size not in (0, 1):
            raise ValueError(f"{type(self).__name__}: expected cache_size 0 or 1, got {cache_size}")
        self._cache_size = cache_size
        self._pair: tuple[Any, Any] = (None, None)

    def __call__(self, x: Tensor) -> Tensor:
        """y = t(x)."""
        if x is self._pair[0]:
            return self._pair[1]  # type: ignore[no-any-return]
        return self._remember(x, self._call(x))[1]

    def _inv_call(self, y: Tensor) -> Tensor:
        if y is self._pair[1]:
            return self._pair[0]  # type: ignore[no-any-return]
        return self._remember(self._inverse(y), y)[0]

    def _remember(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        if self._cache_size:
            self._pair = (x, y)
        return x, y

    @property
    def inv(self) -> Transform:
        """The transform from y to x."""
        return _Inverse(self)

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no _call")

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no _inverse")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """log |dy/dx|, of both ends."""
        raise NotImplementedError(f"{type(self).__name__} has no log_abs_det_jacobian")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _Inverse(Transform):
    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self._inv = transform
        self.sign, self.bijective = transform.sign, transform.bijective
        self.domain, self.codomain = transform.codomain, transform.domain

    def __call__(self, x: Tensor) -> Tensor:
        return self._inv._inv_call(x)

    def _inv_call(self, y: Tensor) -> Tensor:
        return self._inv(y)

    @property
    def inv(self) -> Transform:
        return self._inv

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._inv.log_abs_det_jacobian(y, x)

    def __repr__(self) -> str:
        return f"{self._inv!r}.inv"


class AffineTransform(Transform):
    """y = loc + scale x, for numbers or Tensors.

    >>> shift = tg.distributions.AffineTransform(1.0, 2.0)
    >>> shift(tg.ones(1)), shift.inv(tg.ones(1))
    (tensor([3.]), tensor([0.]))
    """

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.loc, self.scale = loc, scale
        self.domain = self.codomain = constraints.independent(constraints.real, event_dim)

    @property
    def sign(self) -> Any:  # type: ignore[override]
        if isinstance(self.scale, Tensor):
            return self.scale.sign()
        return math.copysign(1, self.scale) if self.scale else 0

    def _call(self, x: Tensor) -> Tensor:
        out: Tensor = self.loc + self.scale * x
        return out

    def _inverse(self, y: Tensor) -> Tensor:
        out: Tensor = (y - self.loc) / self.scale
        return out

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        if isinstance(self.scale, Tensor):
            log = self.scale.abs().log().expand(x.shape)
        else:
            log = ops.full_like(x, math.log(abs(self.scale)))
        return sum_rightmost(log, self.domain.event_dim)


class ExpTransform(Transform):
    """y = e^x."""

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class SigmoidTransform(Transform):
    """y = 1 / (1 + e^-x), kept inside of (0, 1)."""

    codomain = constraints.unit_interval

    def _call(self, x: Tensor) -> Tensor:
        info = finfo(x.dtype)
        return x.sigmoid().clamp(info.tiny, 1 - info.eps)

    def _inverse(self, y: Tensor) -> Tensor:
        info = finfo(y.dtype)
        y = y.clamp(info.tiny, 1 - info.eps)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -F.softplus(-x) - F.softplus(x)


class SoftplusTransform(Transform):
    """y = log(1 + e^x)."""

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return F.softplus(x)

    def _inverse(self, y: Tensor) -> Tensor:
        return (-(-y).expm1()).log() + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -F.softplus(-x)


class TanhTransform(Transform):
    """y = tanh x. Far out its inverse loses digits: cache_size=1 keeps them."""

    codomain = constraints.interval(-1.0, 1.0)

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse(self, y: Tensor) -> Tensor:
        return 0.5 * (y.log1p() - (-y).log1p())

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return 2 * (math.log(2) - x - F.softplus(-2 * x))  # log(1 - tanh^2)


class ComposeTransform(Transform):
    """One transform after the other: parts[0] first.

    >>> D = tg.distributions
    >>> log_odds = D.ComposeTransform([D.AffineTransform(0.0, 2.0), D.SigmoidTransform()])
    >>> log_odds.inv(log_odds(tg.ones(1)))
    tensor([1.])
    """

    def __init__(self, parts: Sequence[Transform], cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.parts = list(parts)
        self.bijective = all(part.bijective for part in self.parts)
        into, out = 0, 0  # dimensions of an event, on the way back and on the way there
        for part in reversed(self.parts):
            into = part.domain.event_dim + max(into - part.codomain.event_dim, 0)
        for part in self.parts:
            out = part.codomain.event_dim + max(out - part.domain.event_dim, 0)
        self.domain = constraints.independent(constraints.real, into)
        self.codomain = constraints.independent(constraints.real, out)

    @property
    def sign(self) -> Any:  # type: ignore[override]
        return math.prod(part.sign for part in self.parts)

    def _call(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x

    def _inverse(self, y: Tensor) -> Tensor:
        for part in reversed(self.parts):
            y = part.inv(y)
        return y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        event_dim, total = self.domain.event_dim, ops.zeros_like(x)
        total = sum_rightmost(total, event_dim)
        for part in self.parts:
            y = part(x)
            slack = event_dim - part.domain.event_dim
            total = total + sum_rightmost(part.log_abs_det_jacobian(x, y), slack)
            event_dim += part.codomain.event_dim - part.domain.event_dim
            x = y
        return total

    def __repr__(self) -> str:
        return f"ComposeTransform({self.parts!r})"
