"""Functions of two lines: PyTorch has a name for what the ops above already do."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..backend import float64
from ..tensor import Tensor
from .comparisons import isnan
from .elementwise import pow as power
from .elementwise import where
from .half import through_float32
from .kinks import clamp, trunc
from .op import promote
from .promotion import Operand
from .reductions import Dim, amax, amin, floats_only, mean, numpy_names, std, var
from .reductions import sum as total

__all__ = [
    "addcdiv", "addcmul", "aminmax", "clamp_max", "clamp_min", "count_nonzero", "float_power",
    "fmax", "fmin", "frac", "ldexp", "lerp", "nan_to_num", "nanmean", "nansum", "std_mean",
    "var_mean",
]  # fmt: skip
METHODS = {*__all__} - {"std_mean", "var_mean"}
IN_PLACE = {
    "addcdiv", "addcmul", "clamp_max", "clamp_min", "float_power", "frac", "ldexp", "lerp",
    "nan_to_num",
}  # fmt: skip


# --- on each element --------------------------------------------------------------------------


@through_float32
def lerp(input: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """x + weight (end - x): x at weight 0, `end` at 1

    >>> tg.lerp(tg.tensor([0.0, 10.0]), tg.tensor([4.0, 20.0]), 0.25)
    tensor([ 1. , 12.5])
    """
    return input + weight * (end - input)


@through_float32
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """x + value tensor1 tensor2"""
    return input + value * tensor1 * tensor2


@through_float32
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """x + value tensor1 / tensor2"""
    return input + value * tensor1 / tensor2


def fmax(input: Tensor, other: Operand) -> Tensor:
    """The larger one, of NaN and a number the number; at a tie the gradient is x's alone

    >>> tg.fmax(tg.tensor([1.0, float("nan")]), tg.tensor([2.0, 3.0]))
    tensor([2., 3.])
    """
    x, y = promote("fmax", [input, other])
    return where((x >= y) | (y != y), x, y)


def fmin(input: Tensor, other: Operand) -> Tensor:
    """The smaller one, of NaN and a number the number; at a tie the gradient is x's alone"""
    x, y = promote("fmin", [input, other])
    return where((x <= y) | (y != y), x, y)


def clamp_min(input: Tensor, min: Operand) -> Tensor:
    """x, or `min` where x is smaller, as clamp(min=...)"""
    return clamp(input, min=min)


def clamp_max(input: Tensor, max: Operand) -> Tensor:
    """x, or `max` where x is larger, as clamp(max=...)"""
    return clamp(input, max=max)


def nan_to_num(
    input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """`nan` for NaN, `posinf` for inf, `neginf` for -inf: else the dtype's largest and smallest.

    >>> tg.tensor([float("nan"), float("inf"), 1.0]).nan_to_num(posinf=9.0)
    tensor([0., 9., 1.])
    """
    if input.dtype.kind != "f":
        return input.clone()
    top = float(np.finfo(input.dtype).max)
    x = where(isnan(input), nan, input)
    x = where(x == np.inf, top if posinf is None else posinf, x)
    return where(x == -np.inf, -top if neginf is None else neginf, x)


def float_power(input: Operand, exponent: Operand) -> Tensor:
    """x to the power y, in float64 whatever the dtypes"""
    x, y = (v.to(float64) if isinstance(v, Tensor) else v for v in (input, exponent))
    return power(x, y)


def frac(input: Tensor) -> Tensor:
    """The fraction that trunc takes off, with x's sign: frac(-1.25) = -0.25. Floats only."""
    return floats_only("frac", input) - trunc(input)


@through_float32
def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """x 2^y"""
    return input * power(2.0, other)


# --- reductions -------------------------------------------------------------------------------


class MinMax(NamedTuple):
    """What aminmax returns."""

    min: Tensor
    max: Tensor


@numpy_names
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """(min, max) over `dim` (None: all); ties share the gradient evenly.

    >>> tg.tensor([3.0, 1.0, 2.0]).aminmax()
    MinMax(min=tensor(1.), max=tensor(3.))
    """
    return MinMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


@numpy_names
def count_nonzero(input: Tensor, dim: Dim = None) -> Tensor:
    """How many elements over `dim` are not 0: int64; NaN counts."""
    return total(input != 0, dim)


@numpy_names
def nansum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum over `dim` of what is not NaN; its gradient at NaN is 0."""
    return total(where(input != input, 0, input), dim, keepdim, dtype)


@through_float32
@numpy_names
def nanmean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Mean over `dim` of what is not NaN; NaN if nothing is left.

    >>> tg.tensor([1.0, float("nan"), 3.0]).nanmean()
    tensor(2.)
    """
    x = floats_only("nanmean", input if dtype is None else input.to(dtype))
    return nansum(x, dim, keepdim) / total(x == x, dim, keepdim)


def std_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    correction: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(std, mean) over `dim`; the arguments are those of std"""
    over = None if isinstance(dim, bool) else dim
    return std(input, dim, unbiased, keepdim, correction), mean(input, over, keepdim)


def var_mean(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    correction: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(var, mean) over `dim`; the arguments are those of var

    >>> tg.var_mean(tg.tensor([1.0, 3.0]))
    (tensor(2.), tensor(2.))
    """
    over = None if isinstance(dim, bool) else dim
    return var(input, dim, unbiased, keepdim, correction), mean(input, over, keepdim)
