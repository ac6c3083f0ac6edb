"""Ops that reduce dimensions: sums, largest and smallest values, norms.

`dim` is None (all), an int or a tuple of ints; `axis` and `keepdims` are accepted for `dim` and
`keepdim`. A reduction's vjp stretches the cotangent back over the dimensions that went away.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import numpy as np

from ..backend import Array, as_dtype
from ..tensor import Tensor, wrap
from . import on_gpu
from .elementwise import where
from .half import through_float32
from .kinks import abs as abs_
from .kinks import trunc
from .op import broadcast_to, cast, floating, op
from .rearrange import flip
from .shapes import cat, clone, reshape

__all__ = [
    "all", "amax", "amin", "any", "cumprod", "cumsum", "mean", "norm", "prod", "std", "sum", "var",
]  # fmt: skip
METHODS = {*__all__}

F = TypeVar("F", bound=Callable[..., Any])
Dim = int | tuple[int, ...] | None


def numpy_names(function: F) -> F:
    """Accept NumPy's `axis` and `keepdims` for PyTorch's `dim` and `keepdim`."""

    @wraps(function)
    def aliased(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            if "axis" in kwargs:
                kwargs["dim"] = kwargs.pop("axis")
            if "keepdims" in kwargs:
                kwargs["keepdim"] = kwargs.pop("keepdims")
        return function(*args, **kwargs)

    return aliased  # type: ignore[return-value]


def axes(name: str, x: Tensor, dim: Any) -> tuple[int, ...]:
    """`dim` as a sorted tuple of non-negative dimensions; None and () mean all of them."""
    if dim is None or dim == ():
        return tuple(range(x.ndim))
    if dim.__class__ is int and x.ndim:
        return (one_axis(name, x, dim),)
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    dims = tuple(sorted(one_axis(name, x, d) for d in dims))
    return dims if x.ndim else ()


def one_axis(name: str, x: Tensor, dim: int) -> int:
    n = x._array.ndim or 1
    if not -n <= dim < n:
        raise IndexError(
            f"{name}: dimension out of range: a tensor of shape {x.shape} has no dim {dim}"
        )
    return dim % n


def floats_only(name: str, x: Tensor) -> Tensor:
    if x.dtype.kind != "f":
        raise RuntimeError(f"{name}: expected a floating-point tensor, got {x.dtype}")
    return x


def stretch(g: Tensor, shape: tuple[int, ...], dims: tuple[int, ...]) -> Tensor:
    """Undo a reduction: repeat g over the dimensions that it lost (or kept with size 1)."""
    if g.ndim != len(shape):
        g = reshape(g, tuple([1 if i in dims else n for i, n in enumerate(shape)]))
    return broadcast_to(g, shape=shape)


# --- sums -----------------------------------------------------------------------------------


@op
def _sum(x: Array, *, dims: tuple[int, ...], keepdim: bool) -> Array:
    return on_gpu.total(x, dims, keepdim)


_sum.vjp(lambda g, x_shape, dims: stretch(g, x_shape, dims))


@numpy_names
def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """Sum over `dim` (None: all, an int or several); bools and integers add up in int64.

    >>> x = tg.arange(6).reshape(2, 3)
    >>> x.sum(), x.sum(0), x.sum(1, keepdim=True).shape
    (tensor(15), tensor([3, 5, 7]), (2, 1))
    """
    x = input
    if dtype is not None:
        x = in_dtype(x, dtype)
    elif x.dtype.kind == "u":  # NumPy would add in uint64
        x = cast(x, dtype=np.dtype(np.int64))
    return _sum(x, dims=axes("sum", x, dim), keepdim=keepdim)


@through_float32
@numpy_names
def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Arithmetic mean over `dim`; NaN of nothing, RuntimeError for integers."""
    if dtype is not None:
        return mean(in_dtype(input, dtype), dim, keepdim)
    x = input
    if x.dtype.kind != "f":
        raise RuntimeError(f"mean: expected a floating-point tensor, got {x.dtype}; use x.float()")
    dims = axes("mean", x, dim)
    n = math.prod(x.shape[d] for d in dims)
    return _sum(x, dims=dims, keepdim=keepdim) * (1.0 / n if n else math.nan)


@through_float32
@numpy_names
def var(
    input: Tensor,
    dim: Dim = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    correction: int | None = None,
) -> Tensor:
    """Variance over `dim`: squared deviations summed, over n - correction (1 unless given).

    var(unbiased), var(dim, unbiased, keepdim) and keywords, as in PyTorch; NaN if n <= correction.

    >>> x = tg.tensor([1.0, 3.0])
    >>> x.var(), x.var(correction=0)
    (tensor(2.), tensor(1.))
    """
    x = input
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise RuntimeError("var: give unbiased or correction, not both")
    delta = int(unbiased) if unbiased is not None else 1 if correction is None else correction
    dims = axes("var", x, dim)
    freedom = builtins.max(math.prod(x.shape[d] for d in dims) - delta, 0)
    deviation = x - mean(x, dims, keepdim=True)
    total = _sum(deviation * deviation, dims=dims, keepdim=keepdim)
    return total * (1.0 / freedom if freedom else math.nan)


@through_float32
@numpy_names
def std(
    input: Tensor,
    dim: Dim = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    correction: int | None = None,
) -> Tensor:
    """Standard deviation, the root of var; its gradient at 0 is 0."""
    return _root(var(input, dim, unbiased, keepdim, correction), p=2)


@floating
def _root(x: Array, *, p: float) -> Array:
    """x^(1/p) for x >= 0; the derivative at 0 is taken as 0"""
    return np.sqrt(x) if p == 2 else x ** (1.0 / p)


def _root_vjp(g: Tensor, x: Tensor, p: float) -> Tensor:
    slope = where(x == 0, 1.0, x) ** (1.0 / p - 1.0) * (1.0 / p)
    return where(x == 0, 0.0, g * slope)


_root.vjp(_root_vjp)


@through_float32
@numpy_names
def prod(
    input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Product over `dim`, by folding halves onto each other: right at any order, zeros or not."""
    if dtype is not None:
        return prod(in_dtype(input, dtype), dim, keepdim)
    shape, x = input.shape, _int64(input)
    if dim is None:
        x, axis = reshape(x, (-1,)), 0
    else:
        axis = one_axis("prod", x, dim)
    if x.ndim == 0:
        return x * 1
    if x.shape[axis] == 1:  # nothing to fold
        x = clone(x)
    while (n := x.shape[axis]) > 1:
        half, front = n // 2, (slice(None),) * axis
        folded = x[(*front, slice(0, half))] * x[(*front, slice(half, 2 * half))]
        x = folded if n % 2 == 0 else cat([folded, x[(*front, slice(n - 1, n))]], axis)
    if x.shape[axis] == 0:
        x = sum(x, axis, keepdim=True) + 1
    if keepdim:
        return reshape(x, (1,) * len(shape)) if dim is None else x
    return reshape(x, x.shape[:axis] + x.shape[axis + 1 :])


@op
def _cumsum(x: Array, *, axis: int) -> Array:
    return np.cumsum(x, axis=axis)


_cumsum.vjp(lambda g, axis: flip(_cumsum(flip(g, (axis,)), axis=axis), (axis,)))


@through_float32
@numpy_names
def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sum along `dim`; bools and integers add up in int64.

    >>> tg.tensor([1, 2, 3]).cumsum(0)
    tensor([1, 3, 6])
    """
    if dtype is not None:
        return cumsum(in_dtype(input, dtype), dim)
    x = cast(input, dtype=np.dtype(np.int64)) if input.dtype.kind == "u" else input
    axis = one_axis("cumsum", x, dim)
    return _cumsum(x, axis=axis) if x.ndim else sum(x)


@numpy_names
def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running product along `dim`, by doubling strides: log2(n) multiplications, any order.

    Bools and integers multiply in int64.
    """
    if dtype is not None:
        return cumprod(in_dtype(input, dtype), dim)
    axis, x = one_axis("cumprod", input, dim), _int64(input)
    front, step = (slice(None),) * axis, 1
    while x.ndim and step < x.shape[axis]:
        later = x[(*front, slice(step, None))] * x[(*front, slice(None, -step))]
        x = cat([x[(*front, slice(None, step))], later], axis)
        step *= 2
    return x if step > 1 else clone(x)


def in_dtype(x: Tensor, dtype: Any) -> Tensor:
    """x in the dtype that was asked for"""
    return x if x.dtype == dtype else cast(x, dtype=as_dtype(dtype))


def _int64(x: Tensor) -> Tensor:
    """Floats as they are; bools and integers multiply in int64."""
    return x if x.dtype.kind == "f" else cast(x, dtype=np.dtype(np.int64))


# --- extrema --------------------------------------------------------------------------------


@op
def _amax(x: Array, *, dims: tuple[int, ...], keepdim: bool) -> Array:
    return np.max(x, axis=dims, keepdims=keepdim)


_amax.vjp(lambda g, x, out, dims: stretch(g, x.shape, dims) * ties(x, out, dims))


def ties(x: Tensor, extremum: Tensor, dims: tuple[int, ...]) -> Tensor:
    """1 / (number of ties) where x is the extremum, else 0."""
    kept = tuple(1 if i in dims else n for i, n in enumerate(x.shape))
    hits = x._array == extremum._array.reshape(kept)
    return wrap((hits / np.sum(hits, axis=dims, keepdims=True)).astype(x.dtype))


@numpy_names
def amax(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Largest value over `dim` (None: all, an int or several); ties share the gradient evenly."""
    dims = axes("amax", input, dim)
    refuse_empty("amax", input, dims)
    return _amax(input, dims=dims, keepdim=keepdim)


@op
def _amin(x: Array, *, dims: tuple[int, ...], keepdim: bool) -> Array:
    return np.min(x, axis=dims, keepdims=keepdim)


_amin.vjp(lambda g, x, out, dims: stretch(g, x.shape, dims) * ties(x, out, dims))


@numpy_names
def amin(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Smallest value over `dim` (None: all, an int or several); ties share the gradient evenly."""
    dims = axes("amin", input, dim)
    refuse_empty("amin", input, dims)
    return _amin(input, dims=dims, keepdim=keepdim)


def refuse_empty(name: str, x: Tensor, dims: tuple[int, ...]) -> None:
    if builtins.any(x.shape[d] == 0 for d in dims):
        raise IndexError(
            f"{name}: expected reduction dimensions with at least one element, got {x.shape}"
        )


@op
def _all(x: Array, *, dims: tuple[int, ...], keepdim: bool) -> Array:
    return np.all(x, axis=dims, keepdims=keepdim)


@numpy_names
def all(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Is every element over `dim` non-zero? True of nothing."""
    return _all(input, dims=() if dim == () else axes("all", input, dim), keepdim=keepdim)


@op
def _any(x: Array, *, dims: tuple[int, ...], keepdim: bool) -> Array:
    return np.any(x, axis=dims, keepdims=keepdim)


@numpy_names
def any(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Is some element over `dim` non-zero? False of nothing."""
    return _any(input, dims=() if dim == () else axes("any", input, dim), keepdim=keepdim)


# --- norms ----------------------------------------------------------------------------------


@through_float32
@numpy_names
def norm(input: Tensor, p: Any = 2, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """(sum |x|^p)^(1/p); p = inf is the largest |x|, p = 0 counts what is not 0.

    The gradient is 0 where the norm is, and where |x|^p has none.
    """
    x = floats_only("norm", input)
    if p in (2, "fro", None):
        return _root(sum(x * x, dim, keepdim), p=2)
    if p in (math.inf, -math.inf):
        return (amax if p > 0 else amin)(abs_(x), dim, keepdim)
    if p == 0:
        return sum(trunc(where(x == 0, x, 1.0)), dim, keepdim)
    size = abs_(x)
    if p == 1:
        return sum(size, dim, keepdim)
    if p > 1:
        return _root(sum(size**p, dim, keepdim), p=p)
    refuse_empty("norm", x, axes("norm", x, dim) if p < 0 else ())
    powers = where(x == 0, 0.0 if p > 0 else math.inf, where(x == 0, 1.0, size) ** p)
    return _root(sum(powers, dim, keepdim), p=p)
