"""Ops that write at indices, out of place: a copy of x, and an assignment to it (in_place.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import move
from ..tensor import Tensor, same_device, wrap
from .in_place import setitem
from .indexing import Index, _check_index, _mesh, _put, getitem, plain_index, scatter_add
from .shapes import clone, expand, position, reshape

__all__ = [
    "index_add", "index_copy", "index_fill", "index_put", "masked_scatter", "scatter", "take",
]  # fmt: skip
METHODS = {*__all__}
IN_PLACE = METHODS - {"take"}


def _written(x: Tensor, index: Index, value: Any) -> Tensor:
    """A copy of x with `value` at `index`, on the tape."""
    out = clone(x)
    setitem(out, index, value)
    return out


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None,
    reduce: str | None = None,
) -> Tensor:  # fmt: skip
    """x with, for dim = 1, src[i][j][k] at [i][index[i][j][k]][k]; src (or value) may be a number.

    Where indices repeat, one of the values stays, and the gradient goes to that one (PyTorch's goes
    to all). reduce="add" adds them all to x, "multiply" multiplies.

    >>> tg.zeros(2, 3).scatter(1, tg.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    dim = position("scatter", dim, input.ndim)
    _check_index("scatter", input, dim, index)
    src = value if src is None else src
    if isinstance(src, Tensor) and src.ndim:
        if src.ndim != index.ndim or any(n > m for n, m in zip(index.shape, src.shape)):
            raise RuntimeError(
                f"scatter: an index of shape {index.shape} does not fit in src of shape {src.shape}"
            )
        src = src[tuple(slice(n) for n in index.shape)]
    elif not isinstance(src, (Tensor, bool, int, float)):
        raise TypeError(f"scatter: expected a Tensor or a number as src, got {type(src).__name__}")
    if reduce is None:
        return _written(input, tuple(map(wrap, _mesh(input, dim, index))), src)
    if not isinstance(src, Tensor):
        src = wrap(np.full_like(input._array, src, shape=index.shape))
    src = expand(src, index.shape)
    if reduce == "add":
        return scatter_add(input, dim, index, src)
    if reduce == "multiply":
        return _scatter_multiply(input, dim, index, src)
    raise RuntimeError(f"scatter: reduce must be 'add' or 'multiply', got {reduce!r}")


def _scatter_multiply(x: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """In rounds: the first src of each place, then the second, ...; no place twice in a round."""
    host = wrap(move(index._array, "cpu"))
    mesh = np.broadcast_arrays(*_mesh(host, dim, host))
    at = np.ravel_multi_index([part.reshape(-1) for part in mesh], x.shape)
    out, left, src = reshape(x, -1), np.arange(at.size), reshape(src, -1)
    while left.size:
        _, first = np.unique(at[left], return_index=True)
        place, now = wrap(at[left[first]]), wrap(left[first])
        out = _written(out, place, out[place] * src[now])
        left = np.delete(left, first)
    return reshape(out, x.shape)


# --- slices of one dimension ----------------------------------------------------------------


def _slices(name: str, x: Tensor, dim: int, index: Tensor) -> tuple[int, Index]:
    """The dimension, and x's index at the slices that a vector of integers names."""
    dim = position(name, dim, x.ndim)
    same_device(name, x, index)
    if index.ndim > 1 or index.dtype.kind != "i":
        raise RuntimeError(
            f"{name}: expected a 1-D index of integers, got {index.dtype} {index.shape}"
        )
    return dim, (slice(None),) * dim + (reshape(index, -1),)


def _source(name: str, x: Tensor, dim: int, index: Tensor, source: Tensor) -> None:
    expected = (*x.shape[:dim], index.numel(), *x.shape[dim + 1 :])
    if source.shape != expected or source.dtype != x.dtype:
        raise RuntimeError(
            f"{name}: expected a source of shape {expected} and {x.dtype}, got {source.shape} and "
            f"{source.dtype}"
        )


def index_add(
    input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1
) -> Tensor:
    """x plus alpha source, whose slice i is added to the slice index[i] of x along `dim`.

    >>> tg.zeros(3).index_add(0, tg.tensor([0, 2, 2]), tg.ones(3))
    tensor([1., 0., 2.])
    """
    dim, at = _slices("index_add", input, dim, index)
    _source("index_add", input, dim, index, source)
    put = _put(source, shape=input.shape, index=plain_index(input, at))
    return input + (put if alpha == 1 else put * alpha)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """x with slice i of the source in place of its slice index[i] along `dim`."""
    dim, at = _slices("index_copy", input, dim, index)
    _source("index_copy", input, dim, index, source)
    return _written(input, at, source)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """x with `value`, a number or a 0-d Tensor, in the slices along `dim` that the index names."""
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"index_fill: expected a number as value, got shape {value.shape}")
    _, at = _slices("index_fill", input, dim, index)
    return _written(input, at, value)


# --- anywhere -------------------------------------------------------------------------------


def index_put(
    input: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False
) -> Tensor:
    """x with x[indices] = values; accumulate=True adds them, where indices repeat too.

    >>> at = (tg.tensor([0, 0, 1]),)
    >>> tg.zeros(2).index_put(at, tg.tensor(1.0), accumulate=True)
    tensor([2., 1.])
    """
    at = tuple(indices)
    if not accumulate:
        return _written(input, at, values)
    picked = getitem(input.detach(), at)
    put = _put(expand(values, picked.shape), shape=input.shape, index=plain_index(input, at))
    return input + put


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """x with the first elements of the source, in C order, where the mask (bool) is True.

    >>> tg.zeros(3).masked_scatter(tg.tensor([True, False, True]), tg.tensor([5.0, 6.0, 7.0]))
    tensor([5., 0., 6.])
    """
    if mask.dtype != np.bool_:
        raise RuntimeError(f"masked_scatter: expected a bool mask, got {mask.dtype}")
    shape = np.broadcast_shapes(input.shape, mask.shape)
    mask = expand(mask, shape)
    count = int(mask._array.sum())
    if source.numel() < count:
        raise RuntimeError(
            f"masked_scatter: the mask has {count} True, the source {source.numel()} elements"
        )
    return _written(expand(input, shape), mask, reshape(source, -1)[:count])


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened x at the index (integers), in the index's shape.

    >>> tg.tensor([[1, 2], [3, 4]]).take(tg.tensor([3, 0]))
    tensor([4, 1])
    """
    if index.dtype.kind != "i":
        raise RuntimeError(f"take: expected an index of integers, got {index.dtype}")
    return getitem(reshape(input, -1), index)
