"""Sigmoids and the activations made of them, and the normal distribution's: smooth, with an op of
their own for the gradient where one pass can do what several would.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..backend import Array, is_numpy
from ..tensor import Tensor
from ..threads import GRAIN, compute, in_parts
from .elementwise import exp
from .half import through_float32
from .op import elementwise, floating

__all__ = ["erf", "gelu", "logaddexp", "sigmoid", "silu", "softplus"]
METHODS = {*__all__} - {"gelu"}
IN_PLACE = {"erf", "sigmoid"}


@elementwise
def sigmoid_grad(v: Array, h: Array) -> Array:
    """v sigmoid'(x) = v h (1 - h), with h = sigmoid(x)"""
    slope = 1.0 - h
    slope *= h
    slope *= v
    return slope


sigmoid_grad.vjp(lambda g, h: sigmoid_grad(g, h), lambda g, v, h: g * v * (1.0 - 2.0 * h))
sigmoid_grad.spec.kernel = "sigmoid_grad"


@through_float32
@floating
def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x). An overflowing e^-x is a right answer here: 1 / inf = 0."""
    with np.errstate(over="ignore"):
        out = np.exp(-x)
    out += 1.0
    return np.reciprocal(out)


sigmoid.vjp(lambda g, out: sigmoid_grad(g, out))
sigmoid.spec.kernel = "sigmoid"  # of kernels/activations.cu


@through_float32
@floating
def softplus(x: Array) -> Array:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which does not overflow"""
    out = np.log1p(np.exp(-np.abs(x)))
    out += np.maximum(x, 0)
    return out


softplus.vjp(lambda g, x: g * sigmoid(x))
softplus.spec.kernel = "softplus"


@floating
def logaddexp(x: Array, y: Array) -> Array:
    """log(e^x + e^y), without overflow

    >>> tg.logaddexp(tg.tensor(100.0), tg.tensor(100.0)) - 100  # log 2
    tensor(0.6931)
    """
    return np.logaddexp(x, y)


logaddexp.vjp(lambda g, x, y: g * sigmoid(x - y), lambda g, x, y: g * sigmoid(y - x))


@floating
def silu_grad(v: Array, x: Array) -> Array:
    """v silu'(x) = v s (1 + x (1 - s)) with s = sigmoid(x)"""
    v, x = np.broadcast_arrays(v, x)
    out = np.empty_like(x)
    in_parts(_silu_slope_times, out, v, x, grain=GRAIN // 4)
    return out


def _silu_slope_times(out: Array, v: Array, x: Array) -> None:
    s = np.negative(x, out=np.empty_like(x))
    with np.errstate(over="ignore"):
        np.exp(s, out=s)
    np.reciprocal(np.add(s, 1.0, out=s), out=s)
    np.subtract(1.0, s, out=out)
    out *= x
    out += 1.0
    out *= s
    out *= v


silu_grad.vjp(lambda g, x: silu_grad(g, x), lambda g, v, x: g * v * _silu_curvature(x))
silu_grad.spec.kernel = "silu_grad"


def _silu_curvature(x: Tensor) -> Tensor:
    """silu''(x) = s (1 - s) (2 + x (1 - 2 s))"""
    s = sigmoid(x)
    return s * (1.0 - s) * (2.0 + x * (1.0 - 2.0 * s))


@through_float32
@floating
def silu(x: Array) -> Array:
    """x sigmoid(x), also called swish (Ramachandran et al. 2017)"""
    out = np.empty_like(x)
    in_parts(_silu_into, out, x, grain=GRAIN // 4)
    return out


def _silu_into(out: Array, x: Array) -> None:
    with np.errstate(over="ignore"):
        np.exp(np.negative(x, out=out), out=out)
    np.divide(x, np.add(out, 1.0, out=out), out=out)


silu.vjp(lambda g, x: silu_grad(g, x))
silu.spec.kernel = "silu"


IN_CACHE = 1 << 14  # elements; 64 KiB of float32

# erf(x) = x P(x^2) / Q(x^2) on [-4, 4]: a minimax fit, right to 4e-7 of the value in float32.
_ERF_P = (-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06,
          -5.69250639462346e-05, -7.34990630326855e-04, -2.95459980854025e-03,
          -1.60960333262415e-02)  # fmt: skip
_ERF_Q = (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03,
          -7.37332916720468e-03, -1.42647390514189e-02)  # fmt: skip


@through_float32
@floating
def erf(x: Array) -> Array:
    """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x.

    NumPy has none: float64 goes through the C library's, element by element, and float32 through
    a rational function.
    """
    return _in_cache(_erf_into, x)


def _erf_into(out: Array, x: Array) -> None:
    if not is_numpy(out):
        from cupyx.scipy.special import erf as erf_on_gpu

        out[...] = erf_on_gpu(x)
    elif x.dtype == np.float64:
        out[...] = by_c_library(math.erf, x)
    else:
        x = np.minimum(np.maximum(x, -4.0), 4.0)
        square_of_x = x * x
        np.multiply(x, _polynomial(_ERF_P, square_of_x), out=out)
        out /= _polynomial(_ERF_Q, square_of_x)


def _in_cache(body: Callable[..., None], *xs: Array) -> Array:
    """What body(out, *xs) writes, a piece after the other: its many steps stay in the cache."""
    out = np.empty_like(xs[0])
    if out.size <= IN_CACHE or not is_numpy(out):
        body(out, *xs)
        return out
    arrays = [out, *xs]
    if all(x.strides == out.strides for x in xs):  # `out` has no gaps, so neither have they
        arrays = [x.ravel("K") for x in arrays]
    step = max(1, IN_CACHE * len(out) // out.size) if arrays[0] is out else IN_CACHE

    def pieces(*parts: Array) -> None:
        for start in range(0, len(parts[0]), step):
            body(*(part[start : start + step] for part in parts))

    in_parts(pieces, *arrays, grain=GRAIN // 8)
    return out


def by_c_library(function: Callable[[float], float], x: Array) -> Array:
    """function of each element, computed in float64"""
    out = np.fromiter(map(function, x.flat), np.float64, x.size).reshape(x.shape)
    return out.astype(x.dtype, copy=False)


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's rule, highest power first."""
    out = np.multiply(x, coefficients[0], out=np.empty_like(x))
    out += coefficients[1]
    for c in coefficients[2:]:
        out *= x
        out += c
    return out


erf.vjp(lambda g, x: g * exp(-x * x) * (2.0 / math.sqrt(math.pi)))


@floating
def normal_density_times(v: Array, x: Array) -> Array:
    """v phi(x), phi = Phi', the standard normal's density"""
    return _in_cache(_normal_density_times_into, *np.broadcast_arrays(x, v))


def _normal_density_times_into(out: Array, x: Array, v: Array) -> None:
    np.multiply(x, x, out=out)
    out *= -0.5
    np.exp(out, out=out)
    out *= 1.0 / math.sqrt(2.0 * math.pi)
    out *= v


normal_density_times.vjp(
    lambda g, x: normal_density_times(g, x),
    lambda g, v, x: normal_density_times(-g * v * x, x),  # phi' = -x phi
)


@floating
def normal_cdf(x: Array) -> Array:
    """Phi(x) = (1 + erf(x / sqrt(2))) / 2"""
    return _in_cache(_normal_cdf_into, x)


# Phi(x) = 1 / (1 + e^(x R(x^2))) on [-6, 6]: a fit right to 1.4e-7, in the left tail to 1 % of Phi.
_CDF_R = (4.65468974e-11, -5.97793534e-09, 3.10548898e-07, -8.31784257e-06, 1.12172287e-04,
          6.23399989e-05, -7.26641485e-02, -1.59577024)  # fmt: skip


def _normal_cdf_into(out: Array, x: Array) -> None:
    if x.dtype == np.float64 or not is_numpy(x):
        _erf_into(out, x * math.sqrt(0.5))
        out += 1.0
        out *= 0.5
        return
    square = np.multiply(x, x, out=np.empty_like(x))
    np.multiply(x, _polynomial(_CDF_R, np.minimum(square, 36.0, out=square)), out=out)
    with np.errstate(over="ignore"):
        np.exp(out, out=out)
    np.reciprocal(np.add(out, 1.0, out=out), out=out)


normal_cdf.vjp(lambda g, x: normal_density_times(g, x))


@floating
def gelu_grad(v: Array, x: Array, cdf: Array) -> Array:
    """v gelu'(x) = v (cdf + x phi(x)), where cdf is Phi(x)"""
    return _in_cache(_gelu_slope_times, *np.broadcast_arrays(x, v, cdf))


def _gelu_slope_times(out: Array, x: Array, v: Array, cdf: Array) -> None:
    _normal_density_times_into(out, x, x)
    out += cdf
    out *= v


gelu_grad.vjp(
    lambda g, x, cdf: gelu_grad(g, x, cdf),
    lambda g, v, x: normal_density_times(g * v * (2.0 - x * x), x),  # (x Phi)'' = (2 - x^2) phi
    None,
)


@floating
def _times_cdf(x: Array, cdf: Array) -> Array:
    """x cdf, where cdf is Phi(x)"""
    return compute(np.multiply, x, cdf)


# cdf is a function of x: the vjps of x are total derivatives, those of cdf are None.
_times_cdf.vjp(lambda g, x, cdf: gelu_grad(g, x, cdf), None)


@through_float32
def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x Phi(x), Phi the standard normal's distribution function (Hendrycks & Gimpel 2016).

    approximate="tanh" is the paper's fit x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, right
    to 5e-4. RuntimeError for another word.
    """
    x = input
    if approximate == "tanh":
        inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * x * x * x)
        return x * sigmoid(2.0 * inner)  # = (1 + tanh(inner)) / 2, which would cancel far out
    if approximate != "none":
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    return _times_cdf(x, normal_cdf(x.detach()))
