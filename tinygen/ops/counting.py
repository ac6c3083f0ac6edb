"""Questions whose answer is a place, a count or a list of values; no gradient flows through."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import float32, int32, int64, module_of, refuse
from ..tensor import Tensor, as_array, same_device, wrap

__all__ = ["bincount", "bucketize", "searchsorted", "unique"]
METHODS = {"bincount", "unique"}


def searchsorted(
    sorted_sequence: Tensor,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where each of the values would have to stand, so that the sequence stays in order.

    The number of elements < value, with right=True (or side="right") <= value. The sequence is a
    vector, for values of any shape, or (..., n), for values (..., m): each row has its own.
    `sorter` are indices that sort the sequence, if it is not sorted. Int64; RuntimeError for shapes
    that do not fit.

    >>> tg.searchsorted(tg.tensor([1, 3, 5]), tg.tensor([0, 3, 9]))
    tensor([0, 1, 3])
    """
    if side not in (None, "left", "right") or (side == "left" and right):
        raise RuntimeError(f"searchsorted: side {side!r} and right={right} do not go together")
    sequence, dtype = sorted_sequence, int32 if out_int32 else int64
    if not isinstance(input, Tensor):
        input = wrap(as_array(input, where=sequence.device))
    same_device("searchsorted", sequence, input)
    if sorter is not None:
        sequence = sequence.gather(-1, sorter)
    keys, values = sequence._array, input._array
    right = right or side == "right"
    if keys.ndim == 1:
        found = np.searchsorted(keys, values.reshape(-1), "right" if right else "left")
        return wrap(found.reshape(values.shape).astype(dtype))
    if keys.ndim == 0 or keys.shape[:-1] != values.shape[:-1]:
        raise RuntimeError(
            "searchsorted: expected a vector, or a sequence and values that differ in the last "
            f"dimension only, got {sequence.shape} and {input.shape}"
        )
    keys, values = keys[..., None, :], values[..., :, None]
    before = ~(keys > values) if right else ~(keys >= values)  # a NaN comes last
    return wrap(before.sum(-1).astype(dtype))


def bucketize(
    input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """searchsorted(boundaries, input): which of the buckets between the boundaries it falls into.

    >>> tg.bucketize(tg.tensor([0.5, 2.0]), tg.tensor([1.0, 2.0, 3.0]))
    tensor([0, 1])
    """
    if boundaries.ndim != 1:
        raise RuntimeError(f"bucketize: expected a vector of boundaries, got {boundaries.shape}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, ..., max(x) occurs among integers >= 0; with weights, their sums.

    At least `minlength` numbers; int64, or the weights' dtype (float64 unless that is float32).

    >>> tg.bincount(tg.tensor([2, 0, 2]), minlength=4)
    tensor([1, 0, 2, 0])
    """
    x = input._array
    if input.ndim != 1 or x.dtype.kind not in "iu":
        raise RuntimeError(f"bincount: expected a vector of integers, got {x.dtype} {input.shape}")
    if weights is not None and weights.shape != input.shape:
        raise RuntimeError(f"bincount: weights {weights.shape} for an input of {input.shape}")
    if x.size:
        low = x.min()
        refuse(low < 0, lambda: RuntimeError(f"bincount: expected integers >= 0, got {int(low)}"))
    if not x.size:
        return wrap(module_of(x).zeros(minlength, int64))
    counts = np.bincount(x, None if weights is None else weights._array, minlength)
    narrow = weights is not None and weights.dtype == float32
    return wrap(counts.astype(float32) if narrow else counts)


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements (along `dim`, the different slices), always in order.

    With return_inverse, also where among them each element of x is; with return_counts, also how
    often each occurs: then a tuple.

    >>> tg.unique(tg.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    asked: Any = {"return_inverse": return_inverse, "return_counts": return_counts}
    found: Any = np.unique(input._array, axis=dim, equal_nan=False, **asked)
    if not (return_inverse or return_counts):
        return wrap(found)
    out = [wrap(found[0])]
    if return_inverse:
        out.append(wrap(found[1].reshape(input.shape if dim is None else -1)))
    return (*out, *map(wrap, found[1 + return_inverse :]))
