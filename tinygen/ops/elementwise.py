"""Ops that work on each element: arithmetic, functions with smooth derivatives, choices.

In rising difficulty of their derivatives. Broadcasting and dtypes are the decorator's business.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, overload

import numpy as np

from ..backend import Array, is_numpy, refuse
from ..tensor import Tensor, as_array, wrap
from ..threads import GRAIN, compute, in_parts
from .half import through_float32
from .op import elementwise, floating, promote
from .promotion import Operand

__all__ = [
    "acos", "add", "arccos", "cos", "div", "divide", "erf", "exp", "expm1", "floor_divide", "fmod",
    "gelu", "log", "log1p", "logaddexp", "mul", "multiply", "neg", "negative", "pow", "reciprocal",
    "remainder", "rsqrt", "sigmoid", "silu", "sin", "softplus", "sqrt", "square", "sub",
    "subtract", "tanh", "true_divide", "where",
]  # fmt: skip
METHODS = {*__all__} - {"gelu", "where"}
IN_PLACE = METHODS - {"logaddexp", "silu", "softplus"}
OPERATORS = {  # of the bare ops: an operator has no alpha and no rounding_mode to look at
    "__add__": "_add", "__sub__": "_sub", "__mul__": "mul", "__truediv__": "_div",
    "__floordiv__": "floor_divide", "__mod__": "remainder", "__pow__": "pow", "__neg__": "neg",
}  # fmt: skip


def zero(g: Tensor) -> Tensor:
    """The gradient of a function that is constant almost everywhere."""
    return wrap(np.zeros_like(g._array))


# --- arithmetic -----------------------------------------------------------------------------


@elementwise
def _add(x: Array, y: Array) -> Array:
    return compute(np.add, x, y)


_add.vjp(lambda g: g, lambda g: g)


def _scaled(y: Any, alpha: float) -> Any:
    return y if alpha == 1 else y * alpha


def add(input: Operand, other: Operand, *, alpha: float = 1) -> Tensor:
    """x + alpha y; shapes broadcast and dtypes promote, as in all elementwise ops.

    >>> tg.tensor([[1], [2]]) + tg.tensor([0.5, 1.0])
    tensor([[1.5, 2. ],
            [2.5, 3. ]])
    """
    return _add(input, _scaled(other, alpha))


@elementwise
def _sub(x: Array, y: Array) -> Array:
    return compute(np.subtract, x, y)


_sub.vjp(lambda g: g, lambda g: -g)


def sub(input: Operand, other: Operand, *, alpha: float = 1) -> Tensor:
    """x - alpha y"""
    return _sub(input, _scaled(other, alpha))


@elementwise
def mul(x: Array, y: Array) -> Array:
    """x y, element by element; @ is the matrix product"""
    return compute(np.multiply, x, y)


mul.vjp(lambda g, y: g * y, lambda g, x: g * x)


@floating
def _div(x: Array, y: Array) -> Array:
    return compute(np.divide, x, y)


_div.vjp(lambda g, y: g / y, lambda g, y, out: -g * out / y)


def div(input: Operand, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
    """x / y; of integers too it is the true quotient, and x / 0 is inf or NaN.

    rounding_mode="floor" is floor_divide; "trunc" rounds towards 0, and integers stay integers.
    """
    if rounding_mode is None:
        return _div(input, other)
    if rounding_mode not in ("floor", "trunc"):
        raise RuntimeError(
            f"div: rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}"
        )
    return (floor_divide if rounding_mode == "floor" else _trunc_divide)(input, other)


@elementwise
def neg(x: Array) -> Array:
    """-x; integers of uint8 wrap around"""
    return np.negative(x)


neg.vjp(lambda g: -g)


@elementwise
def pow(x: Array, exponent: Array) -> Array:
    """x to the power y. The gradient of 0^y is 0 for y >= 0, and that of 0^0 for x too."""
    return x**exponent


def _pow_vjp_x(g: Tensor, x: Tensor, exponent: Any) -> Tensor:
    """g y x^(y - 1), y being the exponent; 0 for 0^0"""
    y = exponent
    if isinstance(y, Tensor):
        return g * y * x ** where((x == 0) & (y == 0), y, y - 1)
    return g * (y * x ** (y - 1)) if y != 0 else zero(g)


def _pow_vjp_exponent(g: Tensor, x: Any, exponent: Tensor, out: Tensor) -> Tensor:
    """g x^y log x; 0 where x = 0 and y >= 0"""
    if not isinstance(x, Tensor):
        x = wrap(np.full_like(exponent._array, x, shape=()))
    return g * out * log(where((x == 0) & (exponent >= 0), 1.0, x))


pow.vjp(_pow_vjp_x, _pow_vjp_exponent)


@elementwise
def square(x: Array) -> Array:
    """x^2; of bools in int64"""
    return np.square(x) if x.dtype.kind != "b" else x.astype(np.int64)


square.vjp(lambda g, x: g * (2.0 * x))


@elementwise
def floor_divide(x: Array, y: Array) -> Array:
    """floor(x / y), towards -inf; RuntimeError for an integer by 0"""
    _refuse_zero("floor_divide", x, y)
    return np.floor_divide(x, y)


floor_divide.vjp(zero, zero)


@elementwise
def _trunc_divide(x: Array, y: Array) -> Array:
    _refuse_zero("div", x, y)
    if np.result_type(x, y).kind == "f":
        return np.trunc(np.divide(x, y))
    return np.floor_divide(x - np.fmod(x, y), y)


_trunc_divide.vjp(zero, zero)


@elementwise
def remainder(x: Array, y: Array) -> Array:
    """x - y floor(x / y): the sign is y's, as for Python's %. RuntimeError for an integer by 0.

    >>> tg.tensor([-3, 3]) % 2, tg.tensor([-3, 3]) // 2
    (tensor([1, 1]), tensor([-2,  1]))
    """
    _refuse_zero("remainder", x, y)
    return np.remainder(x, y)


remainder.vjp(lambda g: g, lambda g, x, y: -g * floor_divide(x, y))


@elementwise
def fmod(x: Array, y: Array) -> Array:
    """x - y trunc(x / y): the sign is x's, as in C. RuntimeError for an integer by 0.

    >>> tg.tensor([-3, 3]).fmod(2)
    tensor([-1,  1])
    """
    _refuse_zero("fmod", x, y)
    return np.fmod(x, y)


fmod.vjp(lambda g: g, lambda g, x, y: -g * _trunc_divide(x, y))


def _refuse_zero(name: str, x: Array, y: Array) -> None:
    """Integers have no inf and no NaN to say what x / 0 is."""
    if (x if hasattr(x, "dtype") else y).dtype.kind != "f" and getattr(x, "size", 1):
        refuse((y == 0).any() if hasattr(y, "any") else y == 0, lambda: RuntimeError(
            f"{name}: ZeroDivisionError: an integer is divided by 0"
        ))  # fmt: skip


# --- functions with smooth derivatives ------------------------------------------------------


@floating
def exp(x: Array) -> Array:
    """e^x; inf where it overflows (float32: x > 88.7)"""
    return np.exp(x)


exp.vjp(lambda g, out: g * out)


@through_float32
@floating
def expm1(x: Array) -> Array:
    """e^x - 1, exact near 0

    >>> tg.tensor(1e-8).expm1().item() > 0, (tg.tensor(1e-8).exp() - 1).item()
    (True, 0.0)
    """
    return np.expm1(x)


expm1.vjp(lambda g, out: g * (out + 1.0))


@floating
def log(x: Array) -> Array:
    """Natural logarithm; -inf at 0, NaN below, as in PyTorch (no warning)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(x)


log.vjp(lambda g, x: g / x)


@floating
def log1p(x: Array) -> Array:
    """log(1 + x), exact near 0; -inf at -1, NaN below"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log1p(x)


log1p.vjp(lambda g, x: g / (x + 1.0))


@floating
def sqrt(x: Array) -> Array:
    """Square root; NaN below 0, and at 0 the gradient is inf"""
    with np.errstate(invalid="ignore"):
        return np.sqrt(x)


sqrt.vjp(lambda g, out: g * 0.5 / out)


@floating
def rsqrt(x: Array) -> Array:
    """1 / sqrt(x); inf at 0, NaN below"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1.0 / np.sqrt(x)


rsqrt.vjp(lambda g, out: g * -0.5 * out * out * out)


@floating
def reciprocal(x: Array) -> Array:
    """1 / x; inf at 0"""
    with np.errstate(divide="ignore"):
        return np.reciprocal(x)


reciprocal.vjp(lambda g, out: -g * out * out)


@floating
def sin(x: Array) -> Array:
    """Sine, x in radians"""
    return np.sin(x)


sin.vjp(lambda g, x: g * cos(x))


@floating
def cos(x: Array) -> Array:
    """Cosine, x in radians"""
    return np.cos(x)


cos.vjp(lambda g, x: -g * sin(x))


@through_float32
@floating
def acos(x: Array) -> Array:
    """The angle whose cosine is x, in radians, 0 to pi; NaN outside [-1, 1]"""
    with np.errstate(invalid="ignore"):
        return np.arccos(x)


acos.vjp(lambda g, x: -g * rsqrt(1.0 - x * x))


@through_float32
@floating
def tanh(x: Array) -> Array:
    """(e^x - e^-x) / (e^x + e^-x)"""
    return np.tanh(x)


tanh.vjp(lambda g, out: tanh_grad(g, out))


@elementwise
def tanh_grad(v: Array, h: Array) -> Array:
    """v tanh'(x) = v (1 - h^2), with h = tanh(x)"""
    slope = 1.0 - h * h
    slope *= v
    return slope


tanh_grad.vjp(lambda g, h: tanh_grad(g, h), lambda g, v, h: g * v * (-2.0 * h))
tanh_grad.spec.kernel = "tanh_grad"


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
    out = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        out *= x
        out += c
    return out


erf.vjp(lambda g, x: g * exp(-x * x) * (2.0 / math.sqrt(math.pi)))


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
    return x * normal_cdf(x)


@floating
def normal_cdf(x: Array) -> Array:
    """Phi(x) = (1 + erf(x / sqrt(2))) / 2"""
    return _in_cache(_normal_cdf_into, x)


def _normal_cdf_into(out: Array, x: Array) -> None:
    _erf_into(out, x * math.sqrt(0.5))
    out += 1.0
    out *= 0.5


normal_cdf.vjp(lambda g, x: normal_density_times(g, x))


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


# --- choices --------------------------------------------------------------------------------


def _where_forward(condition: Array, x: Array, y: Array) -> Array:
    return np.where(condition, x, y)


_where_forward.__name__ = "where"
_where = elementwise(_where_forward, promotes=False)
_where.vjp(
    None,
    lambda g, condition: where(condition, g, 0.0),
    lambda g, condition: where(condition, 0.0, g),
)


@overload
def where(condition: Any) -> tuple[Tensor, ...]: ...
@overload
def where(condition: Any, input: Any, other: Any) -> Tensor: ...
def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """x where the condition holds, else y; with the condition alone, the indices where it holds

    >>> x = tg.tensor([-1.0, 2.0])
    >>> tg.where(x > 0, x, 0.0), tg.where(x > 0)
    (tensor([0., 2.]), (tensor([1]),))
    """
    x, y = input, other
    condition = as_tensor(condition)
    if x is None and y is None:
        return tuple(map(wrap, np.nonzero(condition._array.reshape(condition.shape or 1))))
    if condition.dtype.kind != "b":
        raise RuntimeError(f"where: expected a boolean condition, got {condition.dtype}")
    if not isinstance(x, Tensor) and not isinstance(y, Tensor):
        x = as_tensor(x)
    x, y = promote("where", [x, y])
    return _where(condition, x, y)


def as_tensor(x: Any) -> Tensor:
    """x itself if it is a Tensor, else a Tensor of it"""
    return x if isinstance(x, Tensor) else wrap(as_array(x))


arccos, multiply, subtract, negative = acos, mul, sub, neg
divide = true_divide = div
