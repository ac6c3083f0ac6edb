"""The error function's kin and the gamma function's, x log y, logit: what statistics asks for.

NumPy has none of them. All are computed in float64, whatever the dtype, to a relative 1e-13 (near a
zero of the function: to an absolute 1e-15).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from ..backend import Array, is_numpy
from ..tensor import Tensor, wrap
from .activations import by_c_library
from .elementwise import exp, log, where
from .half import through_float32
from .kinks import clamp
from .op import floating, promote
from .promotion import Operand

__all__ = ["digamma", "erfc", "erfinv", "lgamma", "logit", "polygamma", "xlogy"]
METHODS = {*__all__} - {"polygamma"}
IN_PLACE = METHODS


# --- logarithms -------------------------------------------------------------------------------


@floating
def _xlogy(x: Array, y: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((x == 0) & (y == y), 0, x * np.log(y))


_xlogy.vjp(
    lambda g, x, y: g * log(where((x == 0) & (y <= 0), 1.0, y)),
    lambda g, x, y: g * where(x == 0, 0.0, x / where(x == 0, 1.0, y)),
)


@through_float32
def xlogy(input: Operand, other: Operand) -> Tensor:
    """x log y, and 0 where x = 0, whatever y is (but for NaN); there the gradients are finite too

    >>> tg.xlogy(tg.tensor([0.0, 2.0]), tg.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    x, y = promote("xlogy", [input, other])
    if not isinstance(y, Tensor):
        y = wrap(np.full_like(x._array, y, shape=()))
    return _xlogy(x if isinstance(x, Tensor) else wrap(np.full_like(y._array, x, shape=())), y)


@floating
def _logit(x: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(x / (1 - x))


_logit.vjp(lambda g, x, out: g / where(out == out, x * (1.0 - x), math.nan))


@through_float32
def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), the inverse of sigmoid; with eps, of x held within [eps, 1 - eps]

    >>> tg.tensor([0.5, 1.0]).logit(eps=0.25).exp()
    tensor([1., 3.])
    """
    return _logit(input if eps is None else clamp(input, eps, 1.0 - eps))


# --- the error function -----------------------------------------------------------------------


@through_float32
@floating
def erfc(x: Array) -> Array:
    """1 - erf(x), exact far out too, where erf is 1"""
    if not is_numpy(x):
        from cupyx.scipy.special import erfc as erfc_on_gpu

        return erfc_on_gpu(x)
    return by_c_library(math.erfc, x)


erfc.vjp(lambda g, x: g * exp(-x * x) * (-2.0 / math.sqrt(math.pi)))

# Wichura's algorithm AS 241 (1988) for the normal distribution's quantile: P / Q in three ranges.
_CENTRE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_OUTSIDE = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177,
     1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959,
     1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966,
     0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494,
     2.05319162663775882187, 1.0),
)  # fmt: skip
_FAR = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
     0.026532189526576123093, 0.29656057182850489123, 1.7848265399172913358,
     5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
     7.868691311456132591e-4, 0.0148753612908506148525, 0.13692988092273580531,
     0.59983220655588793769, 1.0),
)  # fmt: skip


def _ratio(coefficients: Any, r: Array) -> Array:
    over, under = (np.full_like(r, c[0]) for c in coefficients)
    for p, q in zip(coefficients[0][1:], coefficients[1][1:]):
        over, under = over * r + p, under * r + q
    return over / under


@through_float32
@floating
def erfinv(x: Array) -> Array:
    """The inverse of erf, on (-1, 1): inf at 1, -inf at -1, NaN outside.

    >>> tg.tensor([0.3, -0.9]).erfinv().erf()
    tensor([ 0.3, -0.9])
    """
    half = x.astype(np.float64) / 2
    near = np.abs(half) <= 0.425
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.sqrt(-np.log(0.5 - np.where(near, 0, np.abs(half))))
        tail = np.where(r <= 5, _ratio(_OUTSIDE, r - 1.6), _ratio(_FAR, r - 5))
        tail = np.copysign(np.where(np.isinf(r), r, tail), half)
        centre = half * _ratio(_CENTRE, 0.180625 - np.where(near, half, 0) ** 2)
        return (np.where(near, centre, tail) * math.sqrt(0.5)).astype(x.dtype)


erfinv.vjp(lambda g, out: g * exp(out * out) * (0.5 * math.sqrt(math.pi)))


# --- the gamma function -----------------------------------------------------------------------

BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)  # B_2, B_4


@cache
def _near_two() -> tuple[float, ...]:
    """The power series of log Gamma(2 + z) / z: 1 - gamma, then (-1)^k (zeta(k) - 1) / k."""
    powers = [1.0 - 0.57721566490153286061]
    for k in range(2, 30):
        rest = 200 ** (1 - k) / (k - 1) + 200**-k / 2 + k * 200 ** (-k - 1) / 12
        rest -= k * (k + 1) * (k + 2) * 200 ** (-k - 3) / 720  # Euler's and Maclaurin's
        zeta = math.fsum(n**-k for n in range(2, 200)) + rest  # zeta(k) - 1
        powers.append((-1) ** k * zeta / k)
    return tuple(reversed(powers))


def _log_gamma(x: Array) -> Array:
    """log Gamma(x) for x > 0: its power series around 2 for x up to 2.5, else Stirling's."""
    z = np.clip(np.where(x > 1.5, x - 2, np.where(x > 0.5, x - 1, x)), -0.5, 0.5)
    series = np.zeros_like(z)
    for c in _near_two():
        series = series * z + c
    series = series * z - np.where(x > 1.5, 0, np.log(np.minimum(x, 1.5)))
    series = series - np.where(x > 0.5, 0, np.log1p(z))
    shifted, product = x, np.ones_like(x)
    for _ in range(8):  # Gamma(x + 1) = x Gamma(x), up to x >= 10
        small = shifted < 10
        product, shifted = product * np.where(small, shifted, 1), shifted + small
    stirling = (shifted - 0.5) * (np.log(shifted) - 1) + (0.5 * math.log(2 * math.pi) - 0.5)
    for k, b in enumerate(BERNOULLI, start=1):
        stirling = stirling + b / (2 * k * (2 * k - 1)) * shifted ** (1 - 2 * k)
    return np.where(x > 2.5, stirling - np.log(product), series)


@through_float32
@floating
def lgamma(x: Array) -> Array:
    """log |Gamma(x)|, and Gamma(n) = (n - 1)!; inf at 0, -1, -2, ...

    >>> tg.tensor([3.0, 4.0, 5.0]).lgamma().exp()
    tensor([ 2.,  6., 24.])
    """
    wide = x.astype(np.float64)
    positive = np.where(wide > 0, wide, 1 - wide)
    out = _log_gamma(positive)
    with np.errstate(divide="ignore", invalid="ignore"):  # Gamma(x) Gamma(1 - x) sin(pi x) = pi
        sine = np.abs(np.sin(math.pi * (wide - np.round(wide))))
        out = np.where(wide > 0, out, math.log(math.pi) - np.log(sine) - out)
    return np.where(np.isinf(wide), math.inf, out).astype(x.dtype)


lgamma.vjp(lambda g, x: g * digamma(x))


@through_float32
@floating
def digamma(x: Array) -> Array:
    """The derivative of log Gamma(x); -inf at 0, NaN at -1, -2, ..."""
    wide = x.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        shifted, out = np.where(wide > 0, wide, 1 - wide), np.zeros_like(wide)
        for _ in range(10):  # psi(x + 1) = psi(x) + 1 / x, up to x >= 10
            small = shifted < 10
            out, shifted = out - np.where(small, 1 / shifted, 0), shifted + small
        out = out + np.log(shifted) - 0.5 / shifted
        for k, b in enumerate(BERNOULLI, start=1):
            out = out - b / (2 * k) * shifted ** (-2 * k)
        turn = wide - np.round(wide)
        reflected = np.where(turn == 0, np.nan, out - math.pi / np.tan(math.pi * turn))
        out = np.where(wide > 0, out, np.where(wide == 0, np.copysign(np.inf, -wide), reflected))
    return out.astype(x.dtype)


digamma.vjp(lambda g, x: g * _polygamma(x, n=1))


@through_float32
@floating
def _polygamma(x: Array, *, n: int) -> Array:
    """(-1)^(n + 1) n! sum_k (x + k)^-(n + 1), by Euler and Maclaurin's sum from k = 12 + n on."""
    wide, s = x.astype(np.float64), n + 1
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        positive = np.where(wide > 0, wide, 1 - wide)
        out = np.zeros_like(wide)
        for k in range(12 + n):
            out = out + (positive + k) ** -s
        far = positive + (12 + n)
        out = out + far ** (1 - s) / (s - 1) + 0.5 * far**-s
        for k, b in enumerate(BERNOULLI, start=1):
            rising = math.prod(range(s, s + 2 * k - 1)) / math.factorial(2 * k)
            out = out + b * rising * far ** (1 - s - 2 * k)
        out = (-1) ** s * math.factorial(n) * out
        turn = wide - np.round(wide)
        cot = 1 / np.tan(math.pi * turn)
        slopes = np.polynomial.Polynomial([0.0, 1.0])  # of cot, as a polynomial in it
        for _ in range(n):
            slopes = np.polynomial.Polynomial([-1.0, 0.0, -1.0]) * slopes.deriv()
        bend = np.zeros_like(wide)
        for c in reversed(slopes.coef.tolist()):
            bend = bend * cot + c
        reflected = np.where(turn == 0, (-1) ** s * np.inf, (-1) ** n * out - math.pi**s * bend)
    return np.where(wide > 0, out, reflected).astype(x.dtype)


_polygamma.vjp(lambda g, x, n: g * _polygamma(x, n=n + 1))


def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma, n >= 0; RuntimeError for another n.

    >>> tg.polygamma(1, tg.tensor(1.0)) * 6 / np.pi**2
    tensor(1.)
    """
    if n < 0:
        raise RuntimeError(f"polygamma: expected n >= 0, got {n}")
    return _polygamma(input, n=n) if n else digamma(input)
