"""Ops that work on each element: arithmetic, functions with smooth derivatives, choices.

In rising difficulty of their derivatives. Broadcasting and dtypes are the decorator's business.
"""

from __future__ import annotations

from typing import Any, overload

import numpy as np

from ..backend import Array, refuse
from ..tensor import Tensor, as_array, wrap
from ..threads import compute
from .half import through_float32
from .op import elementwise, floating, promote
from .promotion import Operand

__all__ = [
    "acos", "add", "arccos", "cos", "div", "divide", "exp", "expm1", "floor_divide", "fmod", "log",
    "log1p", "mul", "multiply", "neg", "negative", "pow", "reciprocal", "remainder", "rsqrt", "sin",
    "sqrt", "square", "sub", "subtract", "tanh", "true_divide", "where",
]  # fmt: skip
METHODS = IN_PLACE = {*__all__} - {"where"}
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
