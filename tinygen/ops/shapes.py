"""Ops that move elements without changing them. The vjp of each is the move back."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import Array
from ..tape import thread
from ..tensor import Tensor
from ..threads import in_parts
from ..view import View, one_of_several
from .op import broadcast_to, op, promote, view_op

__all__ = [
    "cat", "chunk", "clone", "flatten", "movedim", "narrow", "permute",
    "reshape", "split", "squeeze", "stack", "t", "transpose", "unbind", "unflatten", "unsqueeze",
]  # fmt: skip
METHODS = {*__all__, "contiguous", "expand", "expand_as", "repeat"} - {"cat", "stack"}

Shape = tuple[int, ...]


def ints(sizes: Any, more: tuple[Any, ...] = ()) -> Shape:
    """f((2, 3)) and f(2, 3) mean the same; what the first parameter leaves over is in `more`."""
    several = sizes if isinstance(sizes, (tuple, list)) and not more else (sizes, *more)
    try:
        return tuple(map(operator.index, several))
    except TypeError:
        raise TypeError(f"expected integers as sizes, got {several}") from None


def position(name: str, dim: int, ndim: int) -> int:
    """dim as a non-negative index into ndim dimensions."""
    if not -ndim <= dim < ndim:
        raise IndexError(f"{name}: dimension out of range: dim {dim} of {ndim} dimensions")
    return dim % ndim


# --- reshape --------------------------------------------------------------------------------


@view_op
def _reshape(x: Array, *, shape: Shape) -> Array:
    return x.reshape(shape)


_reshape.vjp(lambda g, x_shape: _reshape(g, shape=x_shape))


def reshape(input: Tensor, shape: Any = (), *more: int) -> Tensor:
    """The same elements, in C order, in another shape; one size may be -1. A view if it can be.

    x.view does the same: it copies where PyTorch's would refuse.

    >>> tg.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    sizes = ints(shape, more)
    known, n = abs(math.prod(sizes)), input._array.size  # a -1 makes no difference to known
    fits = known == n
    if -1 in sizes:
        fits = known > 0 and n % known == 0 and sizes.count(-1) == 1
    if not fits:
        raise RuntimeError(f"reshape: shape {sizes} is invalid for an input of shape {input.shape}")
    return _reshape(input, shape=sizes)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Make one dimension of the dimensions start_dim..end_dim; x itself if they are one already."""
    x = input
    if x.ndim == 0:
        return reshape(x, 1)
    first, last = position("flatten", start_dim, x.ndim), position("flatten", end_dim, x.ndim)
    if first > last:
        raise RuntimeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    if first == last and thread.grad:  # in no_grad mode, what comes out requires no gradient
        return x
    return reshape(
        x, (*x.shape[:first], math.prod(x.shape[first : last + 1]), *x.shape[last + 1 :])
    )


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Split one dimension into several of the given sizes; one may be -1.

    >>> tg.zeros(2, 6).unflatten(1, (3, -1)).shape
    (2, 3, 2)
    """
    x = input
    dim = position("unflatten", dim, x.ndim)
    known = math.prod(n for n in sizes if n != -1)
    full = tuple(n if n != -1 else x.shape[dim] // max(known, 1) for n in sizes)
    if math.prod(full) != x.shape[dim]:
        raise RuntimeError(f"unflatten: {tuple(sizes)} don't multiply up to {x.shape[dim]}")
    return reshape(x, (*x.shape[:dim], *full, *x.shape[dim + 1 :]))


def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Drop dimensions of size 1: all, or those of `dim` (an int or several) that have size 1."""
    x = input
    if x.ndim == 0:
        return reshape(x, ())
    asked = range(x.ndim) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    gone = {position("squeeze", d, x.ndim) for d in asked}
    return reshape(x, tuple(n for i, n in enumerate(x.shape) if not (i in gone and n == 1)))


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new dimension of size 1 at `dim`: (A, B) becomes (A, 1, B) for dim = 1."""
    dim = position("unsqueeze", dim, input.ndim + 1)
    return reshape(input, (*input.shape[:dim], 1, *input.shape[dim:]))


# --- permute --------------------------------------------------------------------------------


@view_op
def _permute(x: Array, *, dims: Shape) -> Array:
    return x.transpose(dims)


_permute.vjp(lambda g, dims: _permute(g, dims=_inverse(dims)))


def _inverse(dims: Shape) -> Shape:
    back = [0] * len(dims)
    for i, d in enumerate(dims):
        back[d] = i
    return tuple(back)


def permute(input: Tensor, dims: Any = (), *more: int) -> Tensor:
    """Dimension i of the output is dimension dims[i] of the input; a view.

    >>> tg.zeros(2, 3, 4).permute(2, 0, 1).shape
    (4, 2, 3)
    """
    order = ints(dims, more)
    if sorted(d % max(input.ndim, 1) for d in order) != list(range(input.ndim)):
        raise RuntimeError(f"permute: {order} is not an order of the {input.ndim} dimensions of x")
    return _permute(input, dims=tuple(d % input.ndim for d in order))


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Swap two dimensions; a view."""
    order = list(range(input.ndim))
    a, b = position("transpose", dim0, input.ndim), position("transpose", dim1, input.ndim)
    order[a], order[b] = b, a
    return _permute(input, dims=tuple(order))


def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Take dimension `source` out and put it in at `destination`, or several each; a view.

    >>> tg.zeros(2, 3, 4).movedim((0, 1), (-1, 0)).shape
    (3, 4, 2)
    """
    of, to = ([position("movedim", d, input.ndim) for d in ints(s)] for s in (source, destination))
    if len(of) != len(to) or len({*of}) != len(of) or len({*to}) != len(to):
        raise RuntimeError(
            f"movedim: expected as many sources as destinations, each once, got {source} and "
            f"{destination}"
        )
    order = [i for i in range(input.ndim) if i not in of]
    for d, s in sorted(zip(to, of)):
        order.insert(d, s)
    return _permute(input, dims=tuple(order))


def t(input: Tensor) -> Tensor:
    """Matrix transpose of a tensor with at most two dimensions; a view."""
    if input.ndim > 2:
        raise RuntimeError(
            f"t() expects a tensor with <= 2 dimensions, but got shape {input.shape}"
        )
    return reverse_dims(input)


def reverse_dims(input: Tensor) -> Tensor:
    """x.T: all dimensions in reverse order."""
    return _permute(input, dims=tuple(reversed(range(input.ndim))))


def matrix_transpose(input: Tensor) -> Tensor:
    """x.mT: the last two dimensions swapped."""
    n = input.ndim
    if n < 2:
        raise RuntimeError(f"mT: expected at least 2 dimensions, got shape {input.shape}")
    return _permute(input, dims=(*range(n - 2), n - 1, n - 2))


# --- repeat ---------------------------------------------------------------------------------


def expand(input: Tensor, size: Any = (), *more: int) -> Tensor:
    """Repeat along size-1 (and new leading) dimensions without a copy; -1 keeps a size.

    >>> tg.tensor([[1], [2]]).expand(-1, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    x = input
    shape = ints(size, more)
    new = len(shape) - x.ndim
    full = tuple(x.shape[i - new] if n == -1 and i >= new else n for i, n in enumerate(shape))
    if new < 0 or any(n not in (1, full[new + i]) for i, n in enumerate(x.shape)):
        raise RuntimeError(f"expand: a tensor of shape {x.shape} does not expand to {shape}")
    return broadcast_to(x, shape=full)


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """expand to the other's shape."""
    return expand(input, other.shape)


def repeat(input: Tensor, repeats: Any = (), *more: int) -> Tensor:
    """Copies of the input, repeats[i] of them along dimension i (NumPy's tile).

    >>> tg.tensor([1, 2]).repeat(2), tg.tensor([1, 2]).repeat_interleave(2)
    (tensor([1, 2, 1, 2]), tensor([1, 1, 2, 2]))
    """
    counts = ints(repeats, more)
    if len(counts) < input.ndim:
        raise RuntimeError(f"repeat: {len(counts)} counts for the {input.ndim} dimensions of x")
    shape = (1,) * (len(counts) - input.ndim) + input.shape
    between = tuple(m for n in shape for m in (1, n))
    full = tuple(m for c, n in zip(counts, shape, strict=True) for m in (c, n))
    tiled = broadcast_to(reshape(input, between), shape=full)
    return _copied(reshape(tiled, tuple(c * n for c, n in zip(counts, shape, strict=True))))


def _copied(x: Tensor) -> Tensor:
    """What reshape made, as a copy also where it could do with a view."""
    return clone(x) if isinstance(x, View) else x


# --- join and part --------------------------------------------------------------------------


@op
def _cat(*xs: Array, axis: int, starts: tuple[int, ...]) -> Array:
    out = np.empty_like(xs[0], shape=(*xs[0].shape[:axis], starts[-1], *xs[0].shape[axis + 1 :]))
    if axis == 0:
        return np.concatenate(xs, axis=0, out=out)
    in_parts(lambda out, *xs: np.concatenate(xs, axis=axis, out=out), out, *xs)
    return out


_cat.vjp(lambda g, i, axis, starts: g[(slice(None),) * axis + (slice(starts[i], starts[i + 1]),)])


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join along an existing dimension; the other sizes must agree, dtypes promote.

    >>> tg.cat([tg.zeros(2, 3), tg.zeros(1, 3)]).shape, tg.stack([tg.zeros(3), tg.zeros(3)]).shape
    ((3, 3), (2, 3))
    """
    parts = list(tensors)
    if not parts:
        raise RuntimeError("cat: expected a non-empty list of Tensors")
    if len({x.dtype for x in parts}) > 1:
        parts = promote("cat", parts)
    axis = position("cat", dim, parts[0].ndim) if parts[0].ndim else 0
    first = parts[0].shape
    for i, x in enumerate(parts):
        same = x.ndim == len(first) and x.ndim > 0
        if not same or any(n != m for d, (n, m) in enumerate(zip(x.shape, first)) if d != axis):
            raise RuntimeError(
                f"cat: sizes must match except in dim {axis}, but tensor {i} has shape {x.shape} "
                f"and tensor 0 has shape {first}"
            )
    starts = [0]
    for x in parts:
        starts.append(starts[-1] + x.shape[axis])
    return _cat(*parts, axis=axis, starts=tuple(starts))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join along a new dimension, which is `dim`; all shapes must be equal."""
    parts = list(tensors)
    shapes = {x.shape for x in parts}
    if len(shapes) != 1:
        raise RuntimeError(f"stack: expects tensors of equal shape (at least one), got {shapes}")
    return cat([unsqueeze(x, dim) for x in parts], dim)


def split(tensor: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of split_size slices each (the last may be smaller), or of the given sizes.

    >>> [part.tolist() for part in tg.arange(5).split(2)]
    [[0, 1], [2, 3], [4]]
    """
    x = tensor
    dim = position("split", dim, x.ndim)
    n = x.shape[dim]
    if isinstance(split_size, int):
        if split_size <= 0:
            raise RuntimeError(f"split: expected a split_size > 0, got {split_size}")
        sizes = [min(split_size, n - i) for i in range(0, n, split_size)] or [0]
    else:
        sizes = list(split_size)
        if sum(sizes) != n:
            raise RuntimeError(f"split: sizes {sizes} don't add up to {n}, the size of dim {dim}")
    parts, start = [], 0
    for size in sizes:
        parts.append(x[(slice(None),) * dim + (slice(start, start + size),)])
        start += size
    return one_of_several(parts)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal size (the last may be smaller)."""
    if chunks <= 0:
        raise RuntimeError(f"chunk: expected chunks > 0, got {chunks}")
    return split(input, max(-(-input.shape[dim] // chunks), 1), dim)


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices along `dim`, without it; views."""
    dim = position("unbind", dim, input.ndim)
    return one_of_several([input[(slice(None),) * dim + (i,)] for i in range(input.shape[dim])])


def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` slices along `dim`, from `start`; a view."""
    dim = position("narrow", dim, input.ndim)
    if start < 0 or length < 0 or start + length > input.shape[dim]:
        raise RuntimeError(
            f"narrow: {start} + {length} exceeds size {input.shape[dim]} of dim {dim}"
        )
    return input[(slice(None),) * dim + (slice(start, start + length),)]


# --- copy -----------------------------------------------------------------------------------


@op
def clone(x: Array) -> Array:
    """A copy in memory of its own, with the gradient flowing through."""
    return x.copy(order="K")


clone.vjp(lambda g: g)


@op
def _contiguous(x: Array) -> Array:
    return x.copy(order="C")


_contiguous.vjp(lambda g: g)


def contiguous(x: Tensor) -> Tensor:
    """The same elements in C-ordered memory: a copy, or x itself if they lie so already."""
    return x if x.is_contiguous() else _contiguous(x)
