"""Elementwise ops on a GPU: in the order of the memory, and as one kernel where there is one; and
sums over the pixels of images.

CuPy writes what a ufunc computes in C order, whatever the order of its inputs (NumPy keeps theirs).
An image that lies channels-last would leave the first activation channels-first, and the next
convolution would have to copy it back. So its dimensions are turned to the order in which they lie,
for the time of the op: views, no copies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import threads
from ..backend import Array

__all__ = ["compute", "total"]

launch: Callable[..., Array] | None = None  # runs a kernel by its name; cuda/fused.py gives it
channel_sums: Callable[..., Array] | None = None  # (x, of the batch, too); given there as well


def total(x: Array, dims: tuple[int, ...], keepdims: bool) -> Array:
    """threads.total, by our kernel for the pixels of a float32 image that lies channels-last."""
    if x.__class__ is np.ndarray or channel_sums is None or not _sums_pixels(x, dims):
        return threads.total(x, dims, keepdims)
    sums = channel_sums(x, dims[0] == 0)
    return sums.reshape((-1 if dims[0] else 1, x.shape[1], 1, 1)) if keepdims else sums


def _sums_pixels(x: Array, dims: tuple[int, ...]) -> bool:
    if dims not in ((2, 3), (0, 2, 3)) or x.ndim != 4 or x.dtype != np.float32 or not x.size:
        return False
    return bool(x.transpose(0, 2, 3, 1).flags.c_contiguous)


def compute(spec: Any, arrays: list[Any], constants: dict[str, Any]) -> Array:
    """spec.forward(*arrays, **constants) for an elementwise op, its result channels-last in memory
    if one of the arrays is."""
    ndim = max(getattr(a, "ndim", 0) for a in arrays)
    if not any(_channels_last(a, ndim) for a in arrays):
        return _run(spec, arrays, constants)
    out = _run(spec, [_turned(a, ndim) for a in arrays], constants)
    return out.transpose(0, ndim - 1, *range(1, ndim - 1))


def _channels_last(a: Any, ndim: int) -> bool:
    """Is `a`, of the shape (N, C, ...), one of `ndim` dimensions whose channels lie innermost?"""
    if getattr(a, "ndim", 0) != ndim or ndim < 3 or a.flags.c_contiguous:
        return False
    return bool(0 < a.strides[1] < min(a.strides[0], *a.strides[2:]))


def _turned(a: Any, ndim: int) -> Any:
    """(N, C, ...) as (N, ..., C), with the dimensions of size 1 that broadcasting would add."""
    if not getattr(a, "ndim", 0):
        return a
    full = a.reshape((1,) * (ndim - a.ndim) + a.shape)
    return full.transpose(0, *range(2, ndim), 1)


def _run(spec: Any, arrays: list[Any], constants: dict[str, Any]) -> Array:
    """By the op's own kernel, if it has one and these arrays fit it."""
    if spec.kernel is not None and launch is not None and _fit_a_kernel(arrays):
        return launch(spec.kernel, *arrays, **constants)
    return spec.forward(*arrays, **constants)


def _fit_a_kernel(arrays: list[Any]) -> bool:
    """float32, of one shape, in C order."""
    return all(
        getattr(a, "dtype", None) == np.float32
        and a.shape == arrays[0].shape
        and a.flags.c_contiguous
        for a in arrays
    )
