"""Where the largest and the smallest are; sorting along a dimension, and what it gives: median,
k-th value, quantiles; and running extrema.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, module_of, refuse
from ..tensor import Tensor, as_array, wrap
from .elementwise import where
from .half import through_float32
from .indexing import gather, gather_within, getitem
from .kinks import ceil, floor
from .kinks import round as nearest
from .op import op
from .reductions import (
    amax,
    amin,
    axes,
    floats_only,
    mean,
    numpy_names,
    one_axis,
    refuse_empty,
    stretch,
    ties,
)
from .shapes import clone, movedim, reshape, unsqueeze

__all__ = [
    "argmax", "argmin", "argsort", "cummax", "cummin", "kthvalue", "max", "median", "min",
    "quantile", "sort", "topk",
]  # fmt: skip
METHODS = {*__all__}


class ValuesIndices(NamedTuple):
    """What max, min, sort and topk along a dimension return."""

    values: Tensor
    indices: Tensor


@numpy_names
def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """max(x): the largest value. max(x, dim): (values, indices), the first where several tie.
    max(x, y) or max(x, other=y): the elementwise maximum.

    >>> tg.tensor([[1.0, 3.0], [2.0, 0.0]]).max(1)
    ValuesIndices(values=tensor([3., 2.]), indices=tensor([1, 0]))
    """
    return _extremum(input, dim if other is None else other, keepdim, argmax, amax, "maximum")


@numpy_names
def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """min(x), min(x, dim) and min(x, y): as for max."""
    return _extremum(input, dim if other is None else other, keepdim, argmin, amin, "minimum")


def _extremum(x: Tensor, dim: Any, keepdim: bool, arg: Any, value: Any, pair: str) -> Any:
    if isinstance(dim, Tensor):
        return getattr(x, pair)(dim)
    if dim is None:
        return value(x)
    if x.ndim == 0:
        return ValuesIndices(clone(x), wrap(np.zeros_like(x._array, dtype=np.int64)))
    index = arg(x, dim, keepdim=True)
    values = gather(x, dim, index)
    if not keepdim:
        values, index = values.squeeze(dim), index.squeeze(dim)
    return ValuesIndices(values, index)


def _arg(name: str, function: Any, x: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    if dim is not None:
        dim = one_axis(name, x, dim)
    refuse_empty(name, x, axes(name, x, dim))
    if x.ndim == 0:
        return wrap(np.zeros_like(x._array, dtype=np.int64))
    index = function(x._array, axis=dim, keepdims=keepdim)
    return wrap(np.asarray(index) if isinstance(index, np.generic) else index)


@numpy_names
def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the first largest value is, int64; in the flattened tensor if dim is None."""
    return _arg("argmax", np.argmax, input, dim, keepdim)


@numpy_names
def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the first smallest value is, int64; in the flattened tensor if dim is None."""
    return _arg("argmin", np.argmin, input, dim, keepdim)


@numpy_names
def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The indices (int64) that sort x along `dim`; equal elements always keep their order."""
    if input.ndim == 0:
        return wrap(np.zeros_like(input._array, dtype=np.int64))
    axis, array = one_axis("argsort", input, dim), input._array
    if not descending:
        return wrap(np.argsort(array, axis=axis, kind="stable"))
    backwards = np.argsort(np.flip(array, axis), axis=axis, kind="stable")
    return wrap(array.shape[axis] - 1 - np.flip(backwards, axis))


@numpy_names
def sort(
    input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True
) -> ValuesIndices:
    """(values, indices) in order along `dim`; always stable.

    >>> tg.tensor([3, 1, 2]).sort().indices
    tensor([1, 2, 0])
    """
    x = input
    index = argsort(x, dim, descending)
    return ValuesIndices(gather(x, dim, index) if x.ndim else clone(x), index)


@numpy_names
def topk(
    input: Tensor,
    k: int,
    dim: int = -1,
    largest: bool = True,
    sorted: bool = True,
) -> ValuesIndices:
    """(values, indices) of the k largest (or smallest) along `dim`, always in order."""
    x = input
    size = x.shape[dim] if x.ndim else 1
    if not 0 <= k <= size:
        raise RuntimeError(f"topk: k = {k} is out of range for a dimension of size {size}")
    index = argsort(x, dim, descending=largest)
    front = (slice(None),) * one_axis("topk", x, dim)
    index = index[(*front, slice(0, k))] if x.ndim else index
    return ValuesIndices(gather(x, dim, index) if x.ndim else clone(x), index)


def _at(name: str, x: Tensor, dim: int, k: int, keepdim: bool) -> ValuesIndices:
    """The k-th value (from 0) in order along `dim`, NaN being the largest, and its place."""
    axis = one_axis(name, x, dim)
    if x.ndim == 0:
        return ValuesIndices(clone(x), wrap(np.zeros_like(x._array, dtype=np.int64)))
    index = argsort(x, axis)[(slice(None),) * axis + (slice(k, k + 1),)]
    return _picked(x, axis, index, keepdim)


def _picked(x: Tensor, axis: int, index: Tensor, keepdim: bool) -> ValuesIndices:
    values = gather_within(x, axis, index)
    if keepdim:
        return ValuesIndices(values, index)
    return ValuesIndices(values.squeeze(axis), index.squeeze(axis))


@numpy_names
def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesIndices:
    """(values, indices) of the k-th smallest along `dim`, k from 1; the first where several tie.

    >>> tg.tensor([3.0, 1.0, 2.0]).kthvalue(2)
    ValuesIndices(values=tensor(2.), indices=tensor(2))
    """
    n = input.shape[one_axis("kthvalue", input, dim)] if input.ndim else 1
    if not 1 <= k <= n:
        raise RuntimeError(f"kthvalue: k = {k} is out of range for a dimension of size {n}")
    return _at("kthvalue", input, dim, k - 1, keepdim)


@op
def _median(x: Array) -> Array:
    ordered = np.sort(x.reshape(-1))
    last, middle = ordered[-1:], ordered[(x.size - 1) // 2 :][:1]
    return np.where(last == last, middle, last).reshape(())


_median.vjp(
    lambda g, x, out: stretch(g, x.shape, axes("", x, None)) * ties(x, out, axes("", x, None))
)


@numpy_names
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle value, of two the lower; of all, where ties share the gradient evenly; or, along
    `dim`, (values, indices). NaN if there is one, and of nothing.

    >>> tg.tensor([4.0, 1.0, 3.0, 2.0]).median()
    tensor(2.)
    """
    x = input
    if dim is None:
        return _median(x) if x.numel() else mean(x)
    axis = one_axis("median", x, dim)
    n = x.shape[axis] if x.ndim else 1
    if n == 0:
        raise IndexError(f"median: expected at least one element along dim {dim}, got {x.shape}")
    found = _at("median", x, dim, (n - 1) // 2, True)
    if x.ndim and x.dtype.kind == "f":
        nan = np.isnan(x._array)
        first = nan.argmax(axis=axis, keepdims=True)
        place = np.where(nan.any(axis=axis, keepdims=True), first, found.indices._array)
        return _picked(x, axis, wrap(place), keepdim)
    return found if keepdim or not x.ndim else ValuesIndices(*(v.squeeze(axis) for v in found))


@through_float32
@numpy_names
def quantile(
    input: Tensor,
    q: Any,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The value below which a share q in [0, 1] of the elements lies: at place q (n - 1) in order.

    q is a number, or a vector of k: then the result has k in front. Between two places:
    interpolation "linear", "lower", "higher", "nearest" or "midpoint". NaN if there is a NaN.

    >>> tg.tensor([3.0, 0.0, 1.0]).quantile(tg.tensor([0.5, 0.75]))
    tensor([1., 2.])
    """
    x = floats_only("quantile", input)
    q = q if isinstance(q, Tensor) else wrap(as_array(q, x.dtype, x.device))
    refuse(((q._array < 0) | (q._array > 1)).any(), lambda: RuntimeError(
        f"quantile: q must be in the range [0, 1], got {q.tolist()}"
    ))  # fmt: skip
    axis = one_axis("quantile", x, dim) if dim is not None else 0
    kept = (1,) * x.ndim if dim is None else (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    x = x if dim is not None and x.ndim else reshape(x, -1)
    if q.ndim > 1 or q.dtype != x.dtype or x.shape[axis] == 0:
        raise RuntimeError(
            f"quantile: expected a number or a vector q of {x.dtype} and at least one element, got "
            f"q {q.dtype} {q.shape} and shape {input.shape}"
        )
    place = _place(q * (x.shape[axis] - 1), interpolation)
    low = floor(place)
    weight = (ceil(place) - low) * 0.5 if interpolation == "midpoint" else place - low
    ordered = movedim(sort(x, axis).values, axis, -1)
    below, above = (
        getitem(ordered, (..., p.detach().reshape(-1).long())) for p in (low, ceil(place))
    )
    gap = where(below.isinf(), 0.0, above - below)
    out = where(weight == 0, below, below + weight * gap)
    out = movedim(where(ordered[..., -1:].isnan(), np.nan, out), -1, 0)
    out = unsqueeze(out, axis + 1) if keepdim and dim is not None else out
    out = reshape(out, (len(out), *kept)) if keepdim else out
    return out if q.ndim else out[0]


def _place(place: Tensor, interpolation: str) -> Tensor:
    """The place in order, rounded if the interpolation says so."""
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "lower": floor, "higher": ceil, "nearest": nearest,
        "linear": lambda p: p, "midpoint": lambda p: p,
    }  # fmt: skip
    if interpolation not in ways:
        raise RuntimeError(
            f"quantile: interpolation must be one of {', '.join(ways)}, got {interpolation!r}"
        )
    return ways[interpolation](place)


# --- running extrema --------------------------------------------------------------------------


def _running(name: str, x: Tensor, dim: int, beats: Callable[[Array, Array], Array]) -> Any:
    """The best so far and its place, the last one where several tie; by doubling strides."""
    axis = one_axis(name, x, dim)
    if x.ndim == 0:
        return ValuesIndices(clone(x), wrap(np.zeros_like(x._array, dtype=np.int64)))
    best, step, n = np.moveaxis(x._array, axis, -1), 1, x.shape[axis]
    index = np.zeros_like(best, dtype=np.int64) + module_of(best).arange(n)
    while step < n:
        before, now = best[..., :-step], best[..., step:]
        newer = (now != now) | ((before == before) & beats(now, before))
        best, index = (
            np.concatenate([a[..., :step], np.where(newer, a[..., step:], a[..., :-step])], axis=-1)
            for a in (best, index)
        )
        step *= 2
    place = wrap(np.moveaxis(index, -1, axis))
    return ValuesIndices(gather_within(x, axis, place), place)


def cummax(input: Tensor, dim: int) -> ValuesIndices:
    """(values, indices) of the largest so far along `dim`, the last where several tie; NaN stays.

    >>> tg.tensor([1.0, 3.0, 2.0]).cummax(0)
    ValuesIndices(values=tensor([1., 3., 3.]), indices=tensor([0, 1, 1]))
    """
    return _running("cummax", input, dim, operator.ge)  # type: ignore[no-any-return]


def cummin(input: Tensor, dim: int) -> ValuesIndices:
    """(values, indices) of the smallest so far along `dim`, as cummax"""
    return _running("cummin", input, dim, operator.le)  # type: ignore[no-any-return]
