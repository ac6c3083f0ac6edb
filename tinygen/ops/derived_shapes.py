"""PyTorch's other names for joining, parting and turning: each is a line or two of ops above."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import module_of, move
from ..tensor import Tensor, wrap
from ..view import one_of_several
from .comparisons import ne
from .rearrange import flip, pad
from .shapes import (
    _copied,
    cat,
    expand,
    flatten,
    ints,
    movedim,
    narrow,
    position,
    repeat,
    reshape,
    split,
    transpose,
    unflatten,
    unsqueeze,
)

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "broadcast_tensors", "broadcast_to",
    "column_stack", "concat", "concatenate", "diff", "dstack", "fliplr", "flipud", "hstack",
    "ravel", "repeat_interleave", "rot90", "select", "split_with_sizes", "tensor_split", "tile",
    "vstack",
]  # fmt: skip
METHODS = {
    "broadcast_to", "diff", "fliplr", "flipud", "ravel", "repeat_interleave", "rot90", "select",
    "split_with_sizes", "tensor_split", "tile", "unfold",
}  # fmt: skip

# --- at least so many dimensions ------------------------------------------------------------


def _one_or_several(tensors: tuple[Any, ...]) -> tuple[list[Tensor], bool]:
    """f(x), f(x, y) and f([x, y]): the tensors, and whether it was f(x)."""
    alone = len(tensors) == 1 and isinstance(tensors[0], Tensor)
    listed = len(tensors) == 1 and not alone
    return list(tensors[0] if listed else tensors), alone


def atleast_1d(*tensors: Any) -> Any:
    """x as it is, a 0-d one as (1,); several give a tuple."""
    several, alone = _one_or_several(tensors)
    out = tuple(x if x.ndim else reshape(x, 1) for x in several)
    return out[0] if alone else out


def atleast_2d(*tensors: Any) -> Any:
    """x as it is, a vector as the one row of a matrix; several give a tuple.

    >>> tg.atleast_2d(tg.arange(3)).shape
    (1, 3)
    """
    several, alone = _one_or_several(tensors)
    out = tuple(x if x.ndim > 1 else reshape(x, (1, -1)) for x in several)
    return out[0] if alone else out


def atleast_3d(*tensors: Any) -> Any:
    """x as it is, a matrix as (n, m, 1), a vector as (1, n, 1); several give a tuple."""
    several, alone = _one_or_several(tensors)
    out = tuple(x if x.ndim > 2 else unsqueeze(atleast_2d(x), -1) for x in several)
    return out[0] if alone else out


# --- join -----------------------------------------------------------------------------------


def concat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """cat"""
    return cat(tensors, dim)


def concatenate(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """cat"""
    return cat(tensors, dim)


def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Vectors end to end, matrices side by side: cat along dimension 1, of vectors along 0.

    >>> x = tg.tensor([1, 2])
    >>> tg.hstack([x, x]), tg.vstack([x, x]).shape, tg.dstack([x, x]).shape
    (tensor([1, 2, 1, 2]), (2, 2), (1, 2, 2))
    """
    parts = atleast_1d(list(tensors))
    return cat(parts, 0 if all(x.ndim == 1 for x in parts) else 1)


def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """One below the other: cat along dimension 0, vectors as rows."""
    return cat(atleast_2d(list(tensors)), 0)


def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """One behind the other: cat along dimension 2, of tensors that atleast_3d has made so."""
    return cat(atleast_3d(list(tensors)), 2)


def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """As hstack, with vectors (and numbers) as columns."""
    return hstack([x if x.ndim > 1 else reshape(x, (-1, 1)) for x in tensors])


def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the given ones along its diagonal, 0 elsewhere; vectors count as rows.

    >>> tg.block_diag(tg.tensor([[1, 2]]), tg.tensor(3))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    blocks = [atleast_2d(x) for x in tensors]
    if wrong := [x.shape for x in blocks if x.ndim != 2]:
        raise RuntimeError(f"block_diag: expected at most 2 dimensions, got shape {wrong[0]}")
    width, left, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        rows.append(pad(x, (left, width - left - x.shape[1])))
        left += x.shape[1]
    return cat(rows)


# --- part -----------------------------------------------------------------------------------


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice `index` along `dim`, without that dimension; a view, as x[:, index]."""
    return input[(slice(None),) * position("select", dim, input.ndim) + (index,)]


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """split, by a list of sizes"""
    return split(input, list(split_sizes), dim)


def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views: n nearly equal ones, the larger first, or parted before each of the given indices.

    >>> [x.tolist() for x in tg.arange(5).tensor_split(3)], len(tg.arange(5).tensor_split([1, 3]))
    ([[0, 1], [2, 3], [4]], 3)
    """
    at = indices_or_sections
    at = at.tolist() if isinstance(at, Tensor) else at
    dim = position("tensor_split", dim, input.ndim)
    n = input.shape[dim]
    if isinstance(at, int):
        if at < 1:
            raise RuntimeError(f"tensor_split: expected 1 or more sections, got {at}")
        at = [(i * (n // at) + min(i, n % at)) for i in range(1, at)]
    cuts = [0, *(slice(i, None).indices(n)[0] for i in at), n]  # as x[i:] reads an i
    parts = [narrow(input, dim, a, max(b - a, 0)) for a, b in zip(cuts, cuts[1:])]
    return one_of_several(parts)


def unfold(x: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """Windows of `size` slices, `step` apart: (..., n, ...) -> (..., windows, ..., size).

    windows = (n - size) // step + 1. A copy (PyTorch's is a view) unless the windows lie side by
    side, step = size; what no window reaches is left out.

    >>> tg.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    dim = position("unfold", dimension, x.ndim)
    n = x.shape[dim]
    if not 0 < size <= n or step < 1:
        raise RuntimeError(f"unfold: no windows of size {size} and step {step} in {n} slices")
    windows = (n - size) // step + 1
    if step == size:
        parts = unflatten(narrow(x, dim, 0, windows * size), dim, (windows, size))
    else:
        at = module_of(x._array).arange(windows)[:, None] * step
        at = at + module_of(x._array).arange(size)
        parts = x[(slice(None),) * dim + (wrap(at),)]
    return movedim(parts, dim + 1, -1)


# --- turn, repeat, subtract -----------------------------------------------------------------


def fliplr(input: Tensor) -> Tensor:
    """flip along dimension 1: the columns of a matrix in reverse order."""
    return flip(input, 1)


def flipud(input: Tensor) -> Tensor:
    """flip along dimension 0: the rows of a matrix in reverse order."""
    return flip(input, 0)


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k right angles, from the first of the two dimensions towards the second.

    >>> tg.rot90(tg.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    if len(dims) != 2:
        raise RuntimeError(f"rot90: expected two dimensions, got {tuple(dims)}")
    a, b = (position("rot90", d, input.ndim) for d in dims)
    if a == b:
        raise RuntimeError(f"rot90: expected two different dimensions, got {tuple(dims)}")
    turned = input if k % 4 in (0, 2) else transpose(input, a, b)
    over = {0: (), 1: (a,), 2: (a, b), 3: (b,)}[k % 4]
    return flip(turned, over)


def ravel(input: Tensor) -> Tensor:
    """All elements as one dimension; a view if it can be."""
    return flatten(input)


def repeat_interleave(input: Tensor, repeats: int | Tensor, dim: int | None = None) -> Tensor:
    """Each element (or each slice along `dim`) `repeats` times in a row: a number, or one for each.

    >>> tg.tensor([5, 6, 7]).repeat_interleave(tg.tensor([2, 0, 1]))
    tensor([5, 5, 7])
    """
    x = input
    if dim is None:
        x, dim = reshape(x, -1), 0
    dim = position("repeat_interleave", dim, x.ndim)
    if isinstance(repeats, Tensor):
        return _repeat_each(x, repeats, dim)
    if repeats < 0:
        raise RuntimeError("repeat_interleave: repeats can not be negative")
    shape = (*x.shape[: dim + 1], repeats, *x.shape[dim + 1 :])
    return _copied(flatten(expand(unsqueeze(x, dim + 1), shape), dim, dim + 1))


def _repeat_each(x: Tensor, repeats: Tensor, dim: int) -> Tensor:
    counts, n = repeats._array, x.shape[dim]
    if counts.dtype.kind != "i" or counts.shape not in ((n,), (1,), ()):
        raise RuntimeError(
            f"repeat_interleave: expected integers, one for each of {n} slices, got "
            f"{counts.dtype} {counts.shape}"
        )
    counts = np.broadcast_to(move(counts, "cpu"), n)  # the size of what comes out
    if (counts < 0).any():
        raise RuntimeError("repeat_interleave: repeats can not be negative")
    return x[(slice(None),) * dim + (np.repeat(np.arange(n), counts),)]


def tile(input: Tensor, dims: Any = (), *more: int) -> Tensor:
    """NumPy's tile: as repeat, and fewer counts than dimensions are of the last ones."""
    counts = ints(dims, more)
    return repeat(input, (1,) * (input.ndim - len(counts)) + counts)


def broadcast_to(input: Tensor, size: Any = (), *more: int) -> Tensor:
    """expand"""
    return expand(input, size, *more)


def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All of them expanded to the one shape that they broadcast to; RuntimeError without one.

    >>> [x.shape for x in tg.broadcast_tensors(tg.zeros(3, 1), tg.zeros(2))]
    [(3, 2), (3, 2)]
    """
    shapes = [x.shape for x in tensors]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise RuntimeError(f"broadcast_tensors: shapes {shapes} do not broadcast") from None
    return tuple(expand(x, shape) for x in tensors)


def diff(
    input: Tensor,
    n: int = 1,
    dim: int = -1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """x[i + 1] - x[i] along `dim`, n times over; of bools, whether they differ.

    >>> tg.tensor([1, 4, 9]).diff(), tg.tensor([1, 4, 9]).diff(n=2)
    (tensor([3, 5]), tensor([2]))
    """
    if n < 0:
        raise RuntimeError(f"diff: expected n >= 0, got {n}")
    dim = position("diff", dim, input.ndim)
    parts = [part for part in (prepend, input, append) if part is not None]
    x = cat(parts, dim) if len(parts) > 1 else input
    for _ in range(min(n, x.shape[dim])):
        size = max(x.shape[dim] - 1, 0)
        left, right = narrow(x, dim, 0, size), narrow(x, dim, x.shape[dim] - size, size)
        x = ne(right, left) if x.dtype == np.bool_ else right - left
    return x
