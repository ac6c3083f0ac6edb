"""Angles, hyperbolas, logarithms of 2 and 10: functions of one or two numbers, of known slopes."""

from __future__ import annotations

import math

import numpy as np

from ..backend import Array
from ..tensor import Tensor
from .elementwise import rsqrt, where
from .half import through_float32
from .op import floating

__all__ = [
    "acosh", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin",
    "asinh", "atan", "atan2", "atanh", "cosh", "exp2", "hypot", "log10", "log2", "sinc", "sinh",
    "tan",
]  # fmt: skip
METHODS = {*__all__}
IN_PLACE = METHODS


# --- powers and logarithms --------------------------------------------------------------------


@through_float32
@floating
def exp2(x: Array) -> Array:
    """2^x; inf where it overflows"""
    return np.exp2(x)


exp2.vjp(lambda g, out: g * out * math.log(2))


@through_float32
@floating
def log2(x: Array) -> Array:
    """Logarithm to the base 2, exact for powers of 2; -inf at 0, NaN below"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log2(x)


log2.vjp(lambda g, x: g / (x * math.log(2)))


@through_float32
@floating
def log10(x: Array) -> Array:
    """Logarithm to the base 10; -inf at 0, NaN below"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(x)


log10.vjp(lambda g, x: g / (x * math.log(10)))


@through_float32
@floating
def hypot(x: Array, y: Array) -> Array:
    """sqrt(x^2 + y^2), without overflow; the gradient at (0, 0) is 0

    >>> tg.hypot(tg.tensor(3e30), tg.tensor(4e30))
    tensor(5.e+30)
    """
    return np.hypot(x, y)


hypot.vjp(
    lambda g, x, out: g * (x / where(out == 0, 1.0, out)),
    lambda g, y, out: g * (y / where(out == 0, 1.0, out)),
)


# --- angles, in radians -----------------------------------------------------------------------


@through_float32
@floating
def tan(x: Array) -> Array:
    """Tangent, x in radians"""
    return np.tan(x)


tan.vjp(lambda g, out: g * (out * out + 1.0))


@through_float32
@floating
def asin(x: Array) -> Array:
    """The angle whose sine is x, -pi/2 to pi/2; NaN outside [-1, 1]"""
    with np.errstate(invalid="ignore"):
        return np.arcsin(x)


asin.vjp(lambda g, x: g * rsqrt(1.0 - x * x))


@through_float32
@floating
def atan(x: Array) -> Array:
    """The angle whose tangent is x, -pi/2 to pi/2"""
    return np.arctan(x)


atan.vjp(lambda g, x: g / (x * x + 1.0))


@through_float32
@floating
def atan2(x: Array, y: Array) -> Array:
    """The angle of the point (y, x), -pi to pi: atan(x / y) in all four quadrants.

    The gradient at (0, 0) is 0.

    >>> tg.atan2(tg.tensor([1.0, -1.0]), tg.tensor([-1.0, -1.0])) / np.pi
    tensor([ 0.75, -0.75])
    """
    return np.arctan2(x, y)


def _over_square(z: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """z / (x^2 + y^2), 0 at (0, 0)"""
    square = x * x + y * y
    return z / where(square == 0, 1.0, square)


atan2.vjp(
    lambda g, x, y: g * _over_square(y, x, y),
    lambda g, x, y: -g * _over_square(x, x, y),
)


# --- hyperbolas -------------------------------------------------------------------------------


@through_float32
@floating
def sinh(x: Array) -> Array:
    """(e^x - e^-x) / 2"""
    return np.sinh(x)


sinh.vjp(lambda g, x: g * cosh(x))


@through_float32
@floating
def cosh(x: Array) -> Array:
    """(e^x + e^-x) / 2"""
    return np.cosh(x)


cosh.vjp(lambda g, x: g * sinh(x))


@through_float32
@floating
def asinh(x: Array) -> Array:
    """The inverse of sinh: log(x + sqrt(x^2 + 1))"""
    return np.arcsinh(x)


asinh.vjp(lambda g, x: g * rsqrt(x * x + 1.0))


@through_float32
@floating
def acosh(x: Array) -> Array:
    """The inverse of cosh, >= 0: log(x + sqrt(x^2 - 1)); NaN below 1"""
    with np.errstate(invalid="ignore"):
        return np.arccosh(x)


acosh.vjp(lambda g, x: g * rsqrt(x * x - 1.0))


@through_float32
@floating
def atanh(x: Array) -> Array:
    """The inverse of tanh: log((1 + x) / (1 - x)) / 2; NaN outside [-1, 1]"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.arctanh(x)


atanh.vjp(lambda g, x: g / (1.0 - x * x))


# --- sinc -------------------------------------------------------------------------------------


@floating
def _sinc(x: Array, *, n: int) -> Array:
    """f_n(z) = j_n(z) / z^n for z = pi x, j_n the spherical Bessel functions; f_0 = sin(z) / z.

    Smooth and even, with f_n' = -z f_(n + 1), so that there is a derivative of any order at 0 too.
    By f_(n + 1) = ((2 n + 1) f_n - f_(n - 1)) / z^2 or, where that cancels, by the power series.
    """
    z, turns = x * x.dtype.type(math.pi), np.round(x)
    square, far, sign = z * z, np.abs(z) > n + 1, 1 - 2 * (turns % 2)
    rest = (x - turns) * x.dtype.type(math.pi)  # sin(z) = sign sin(rest), and 0 where x is whole
    before, here = sign * np.cos(rest), sign * np.sin(rest) / np.where(far, z, 1)
    for k in range(n):
        before, here = here, ((2 * k + 1) * here - before) / np.where(far, square, 1)
    term = np.full_like(z, 1 / math.prod(range(1, 2 * n + 2, 2)))
    near, square = term, np.where(far, 0, square)
    for k in range(1, 16 + n):
        term = term * square / (-2 * k * (2 * n + 2 * k + 1))
        near = near + term
    return np.where(far, here, near)


_sinc.vjp(lambda g, x, n: g * (-(math.pi**2) * x) * _sinc(x, n=n + 1))


@through_float32
def sinc(input: Tensor) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0

    >>> tg.sinc(tg.tensor([0.0, 0.5, 2.0])).round(decimals=4)
    tensor([1.    , 0.6366, 0.    ])
    """
    return _sinc(input, n=0)


arccosh, arcsin, arcsinh = acosh, asin, asinh
arctan, arctan2, arctanh = atan, atan2, atanh
