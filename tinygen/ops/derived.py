"""Functions of two lines: PyTorch has a name for what the ops above already do."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from .products import bmm, einsum, matmul, mv, outer
from .promotion import Operand
from .reductions import Dim, amax, amin, floats_only, mean, norm, numpy_names, std, var
from .reductions import sum as total
from .shapes import permute, position, reshape, unsqueeze

__all__ = [
    "addcdiv", "addcmul", "addmv", "addr", "aminmax", "baddbmm", "cdist", "clamp_max", "clamp_min",
    "count_nonzero", "dist", "float_power", "fmax", "fmin", "frac", "ger", "inner", "kron", "ldexp",
    "lerp", "nan_to_num", "nanmean", "nansum", "std_mean", "tensordot", "trace", "var_mean",
]  # fmt: skip
METHODS = {*__all__} - {"cdist", "std_mean", "tensordot", "var_mean"}
IN_PLACE = {
    "addcdiv", "addcmul", "addmv", "addr", "baddbmm", "clamp_max", "clamp_min", "float_power",
    "frac", "ldexp", "lerp", "nan_to_num",
}  # fmt: skip


# --- on each element --------------------------------------------------------------------------


@through_float32
def lerp(input: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """x + weight (end - x): x at weight 0, `end` at 1, both exactly if the weight is a number

    >>> tg.lerp(tg.tensor([0.0, 10.0]), tg.tensor([4.0, 20.0]), 0.25)
    tensor([ 1. , 12.5])
    """
    if not isinstance(weight, Tensor) and weight >= 0.5:
        return end - (end - input) * (1 - weight)
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
    n = total(x == x, dim, keepdim)
    return nansum(x, dim, keepdim) / where(n == 0, math.nan, n)


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


# --- products and distances -------------------------------------------------------------------


@through_float32
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1.0, alpha: float = 1.0
) -> Tensor:
    """beta input + alpha batch1 batch2: (B, n, m) and (B, m, p), to which input broadcasts."""
    return _sum_of(input, beta, bmm(batch1, batch2), alpha)


@through_float32
def addmv(
    input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1.0, alpha: float = 1.0
) -> Tensor:
    """beta input + alpha mat vec: (n, m) and (m), to which input broadcasts."""
    return _sum_of(input, beta, mv(mat, vec), alpha)


@through_float32
def addr(
    input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1.0, alpha: float = 1.0
) -> Tensor:
    """beta input + alpha vec1 vec2^T: (n) and (m), to which input broadcasts."""
    return _sum_of(input, beta, outer(vec1, vec2), alpha)


def _sum_of(x: Tensor, beta: float, product: Tensor, alpha: float) -> Tensor:
    """beta x + alpha product; with beta = 0, a NaN in x does not count."""
    product = product if alpha == 1 else product * alpha
    return product if beta == 0 else (x if beta == 1 else x * beta) + product


def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """x_i y_j of two vectors: another name of outer."""
    return outer(input, vec2)


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal; of bools and integers in int64."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, got shape {input.shape}")
    n = min(input.shape)
    return einsum("ii", input[:n, :n])


def inner(input: Tensor, other: Tensor) -> Tensor:
    """sum_k x[..., k] y[..., k] over the last dimensions: (*A, k) and (*B, k) -> (*A, *B)."""
    x, y = input, other
    return x * y if 0 in (x.ndim, y.ndim) else tensordot(x, y, ((-1,), (-1,)))


def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The product summed over `dims`: the last n dimensions of a with the first n of b, or two
    lists that name them; what is left of a comes first, then of b.

    >>> tg.tensordot(tg.ones(2, 3, 4), tg.ones(4, 3, 5), dims=([1, 2], [1, 0])).shape
    (2, 5)
    """
    if isinstance(dims, int):
        dims = (range(a.ndim - dims, a.ndim), range(dims))
    of_a = [position("tensordot", d, a.ndim) for d in dims[0]]
    of_b = [position("tensordot", d, b.ndim) for d in dims[1]]
    if [a.shape[d] for d in of_a] != [b.shape[d] for d in of_b]:
        raise RuntimeError(
            f"tensordot: dims {of_a} of shape {a.shape} and {of_b} of shape {b.shape} do not fit"
        )
    left = [d for d in range(a.ndim) if d not in of_a]
    right = [d for d in range(b.ndim) if d not in of_b]
    n = math.prod(a.shape[d] for d in of_a)
    rows, columns = [a.shape[d] for d in left], [b.shape[d] for d in right]
    x = reshape(permute(a, left + of_a), (math.prod(rows), n))
    y = reshape(permute(b, of_b + right), (n, math.prod(columns)))
    return reshape(matmul(x, y), (*rows, *columns))


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of x times all of y, side by side as x's elements are.

    >>> tg.kron(tg.tensor([1, 10]), tg.tensor([1, 2, 3]))
    tensor([ 1,  2,  3, 10, 20, 30])
    """
    n = max(input.ndim, other.ndim)
    x, y = (reshape(v, (1,) * (n - v.ndim) + v.shape) for v in (input, other))
    apart = _interleaved(x.shape, (1,) * n), _interleaved((1,) * n, y.shape)
    product = reshape(x, apart[0]) * reshape(y, apart[1])
    return reshape(product, [a * b for a, b in zip(x.shape, y.shape)])


def _interleaved(a: Sequence[int], b: Sequence[int]) -> list[int]:
    return [n for pair in zip(a, b) for n in pair]


@through_float32
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of x - y, all elements together."""
    return norm(input - other, p)


@through_float32
def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "") -> Tensor:
    """The p-norms of all differences: (..., n, d) and (..., m, d) -> (..., n, m).

    The differences are all in memory, n m d numbers; compute_mode has no effect. The gradient of
    a distance 0 is 0.

    >>> tg.cdist(tg.tensor([[0.0, 0.0], [3.0, 0.0]]), tg.tensor([[0.0, 4.0]]))
    tensor([[4.],
            [5.]])
    """
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"cdist: expected (..., n, d) and (..., m, d), got {x1.shape} and {x2.shape}"
        )
    return norm(unsqueeze(x1, -2) - unsqueeze(x2, -3), p, -1)
