"""Ops on each element whose slope jumps: the derivative at the kink is a convention, and stated."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import Array
from ..tensor import Tensor, wrap
from ..threads import GRAIN, compute, in_parts, pays
from .elementwise import expm1, where, zero
from .half import through_float32
from .op import cast, elementwise, floating, promote

__all__ = [
    "abs", "absolute", "ceil", "clamp", "clip", "copysign", "elu", "fix", "floor", "leaky_relu",
    "maximum", "minimum", "relu", "round", "sign", "trunc",
]  # fmt: skip
METHODS = {*__all__} - {"elu", "leaky_relu"}
IN_PLACE = METHODS - {"maximum", "minimum"}
OPERATORS = {"__abs__": "abs"}


@elementwise
def gate(x: Array, condition: Array) -> Array:
    """x where the condition is > 0, else 0"""
    out = np.empty_like(x)
    if not pays(x.size, GRAIN):
        _gate_into(out, x, condition)
    else:
        in_parts(_gate_into, out, *np.broadcast_arrays(x, condition))
    return out


def _gate_into(out: Array, x: Array, condition: Array) -> None:
    np.greater(condition, 0, out=out, casting="unsafe")  # 0.0 or 1.0; np.where is ten times slower
    out *= x


gate.vjp(lambda g, condition: gate(g, condition), None)
gate.spec.kernel = "gate"  # of kernels/activations.cu


@elementwise
def relu(x: Array) -> Array:
    """max(x, 0); the derivative at 0 is 0"""
    return compute(np.maximum, x, 0)


relu.vjp(lambda g, out: gate(g, out))


@floating
def _leaky(x: Array, sign_of: Array, *, slope: float) -> Array:
    """x where sign_of > 0, else slope x"""
    out = np.empty_like(x)
    x, sign_of = np.broadcast_arrays(x, sign_of)
    in_parts(lambda out, x, s: _leaky_into(out, x, s, slope), out, x, sign_of)
    return out


def _leaky_into(out: Array, x: Array, sign_of: Array, slope: float) -> None:
    np.greater(sign_of, 0, out=out, casting="unsafe")
    out *= 1.0 - slope
    out += slope
    out *= x


_leaky.vjp(lambda g, sign_of, slope: _leaky(g, sign_of, slope=slope), None)
_leaky.spec.kernel = "leaky"


def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope x; the derivative at 0 is negative_slope"""
    return _leaky(input, input.detach(), slope=negative_slope)


@through_float32
def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha (e^x - 1) (Clevert et al. 2016); the derivative at 0 is alpha"""
    return where(input > 0, input, alpha * expm1(clamp(input, max=0.0)))


@elementwise
def abs(x: Array) -> Array:  # noqa: A001
    """|x|; the derivative at 0 is 0"""
    return np.abs(x)


abs.vjp(lambda g, x: g * sign(x))


@elementwise
def sign(x: Array) -> Array:
    """-1, 0 or 1; of NaN it is NaN; the gradient is 0"""
    return np.sign(x) if x.dtype.kind != "b" else x.copy()


sign.vjp(zero)


@floating
def copysign(x: Array, y: Array) -> Array:
    """|x| with the sign of y, that of -0.0 too; the derivative at x = 0 is 0, and y gets none"""
    return np.copysign(x, y)


copysign.vjp(lambda g, x, y: g * copysign(sign(x) * sign(x), y) * sign(x), None)


@elementwise
def maximum(x: Array, y: Array) -> Array:
    """The larger one; NaN wins, and at a tie each gets half of the gradient

    >>> x, y = (tg.tensor(1.0, requires_grad=True) for _ in "xy")
    >>> tg.autograd.grad(tg.maximum(x, y), [x, y])
    (tensor(0.5), tensor(0.5))
    """
    return np.maximum(x, y)


maximum.vjp(lambda g, x, y: g * _share(x, y), lambda g, x, y: g * _share(y, x))


@elementwise
def minimum(x: Array, y: Array) -> Array:
    """The smaller one; NaN wins, and at a tie each gets half of the gradient"""
    return np.minimum(x, y)


minimum.vjp(lambda g, x, y: g * _share(y, x), lambda g, x, y: g * _share(x, y))


@elementwise
def _share(x: Array, y: Array) -> Array:
    """0 where x < y, 1/2 where x = y, else 1, of NaN too; -inf = -inf, though x - y is NaN"""
    dtype = np.result_type(x, y)
    share = np.less(x, y).astype(dtype)
    share += np.less_equal(x, y)
    share *= dtype.type(-0.5)
    share += dtype.type(1)
    return share


_share.vjp(None, None)


@elementwise
def _clamp(x: Array, *, low: float | None, high: float | None) -> Array:
    return np.clip(x, low, high)


def _inside(x: Tensor, low: float | None, high: float | None) -> Tensor:
    array = x._array
    inside = np.ones_like(array, dtype=bool)
    if low is not None:
        inside &= array >= low
    if high is not None:
        inside &= array <= high
    return wrap(inside)


_clamp.vjp(lambda g, x, low, high: g * cast(_inside(x, low, high), dtype=g.dtype))


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:  # noqa: A002
    """x held within [min, max], numbers or Tensors; the derivative at a bound is 1

    >>> tg.tensor([-2.0, 0.5, 3.0]).clamp(0, 1)
    tensor([0. , 0.5, 1. ])
    """
    x = input
    if min is None and max is None:
        raise RuntimeError("clamp: at least one of min and max must not be None")
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        x = x if min is None else _bounded(x, min, maximum)
        return x if max is None else _bounded(x, max, minimum)
    if x.dtype.kind != "f" and (isinstance(min, float) or isinstance(max, float)):
        (x, _) = promote("clamp", [x, 1.0])
    return _clamp(x, low=min, high=max)


def _bounded(x: Tensor, bound: Any, extremum: Any) -> Tensor:
    """extremum(x, bound), whose gradient at a tie goes to x alone"""
    value = extremum(x.detach(), bound.detach() if isinstance(bound, Tensor) else bound)
    return where((value == x) | (x != x), x, bound)


@elementwise
def floor(x: Array) -> Array:
    """The largest integer <= x, in x's dtype; the gradient is 0"""
    return np.floor(x)


@elementwise
def ceil(x: Array) -> Array:
    """The smallest integer >= x, in x's dtype; the gradient is 0"""
    return np.ceil(x)


@elementwise
def round(x: Array, *, decimals: int = 0) -> Array:  # noqa: A001
    """The nearest multiple of 10^-decimals; halves go to the even one, and the gradient is 0

    >>> tg.tensor([0.5, 1.5, 2.5]).round(), tg.tensor(0.125).round(decimals=2)
    (tensor([0., 2., 2.]), tensor(0.12))
    """
    return np.round(x, decimals)


@elementwise
def trunc(x: Array) -> Array:
    """x without its fraction, towards 0; the gradient is 0"""
    return np.trunc(x)


for _step in (floor, ceil, round, trunc):
    _step.vjp(zero)

absolute, clip, fix = abs, clamp, trunc
