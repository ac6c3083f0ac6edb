"""Elementwise ops on a GPU: in the order of the memory, and as one kernel where there is one.

CuPy writes what a ufunc computes in C order, whatever the order of its inputs (NumPy keeps theirs).
An image that lies channels-last would leave the first activation channels-first, and the next
convolution would have to copy it back. So its dimensions are turned to the order in which they lie,
for the time of the op: views, no copies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Array

__all__ = ["compute"]

launch: Callable[..., Array] | None = None  # runs a kernel by its name; cuda/fused.py gives it


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
