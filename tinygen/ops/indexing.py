"""Ops that pick elements by index, and the ops that put them back (in_place.py: x[index] = ...)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Array, is_numpy, module_of, move, refuse
from ..tensor import Tensor, same_device, wrap
from .elementwise import where
from .op import cast, op, view_op
from .shapes import position

__all__ = [
    "gather", "index_select", "masked_fill", "masked_select", "nonzero", "one_hot", "scatter_add",
    "take_along_dim",
]  # fmt: skip
METHODS = {*__all__} - {"one_hot"}
IN_PLACE = {"masked_fill", "scatter_add"}
OPERATORS = {"__getitem__": "getitem"}

Index = Any  # int, slice, None, Ellipsis, integer or bool array, or a tuple of these


@view_op
def _getitem(x: Array, *, index: Index) -> Array:
    out = x[index]
    if isinstance(out, np.generic):  # not a copy of the number, but the place where it stands
        return x[(*index, ...) if isinstance(index, tuple) else (index, ...)]
    return out


@op
def _put(x: Array, *, shape: tuple[int, ...], index: Index) -> Array:
    """Zeros of `shape`, plus x at `index`; where indices repeat, the values add up."""
    if repeats(index) and x.dtype == np.float16:  # whose sums would stop at 2048
        return _put.spec.forward(x.astype(np.float32), shape=shape, index=index).astype(x.dtype)
    out = np.zeros_like(x, shape=shape)
    if not repeats(index):
        out[index] = x
    elif is_numpy(x):
        np.add.at(out, index, x)
    else:
        from cupyx import scatter_add

        kind = (
            np.uint64 if x.dtype == np.int64 else x.dtype
        )  # it has no int64; the sum's bits agree
        scatter_add(out.view(kind), index, x.view(kind))
    return out


def _add_to(total: Array, g: Array, *, x_shape: tuple[int, ...], index: Index) -> None:
    """What a second part of x adds to the gradient of x, without zeros around it."""
    if repeats(index):
        total += _put.spec.forward(g, shape=x_shape, index=index)
    else:
        total[index] += g


_getitem.vjp(lambda g, x_shape, index: _put(g, shape=x_shape, index=index))
_getitem.spec.add_to = _add_to
_put.vjp(lambda g, index: _getitem(g, index=index))


def repeats(index: Index) -> bool:
    """Can one element be picked twice? Only by an array of integers."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(hasattr(p, "dtype") and p.dtype.kind in "iu" and p.size > 1 for p in parts)


def plain_index(x: Tensor, index: Index) -> Index:
    """The index with Tensors and lists in it made arrays on x's device."""
    parts = index if isinstance(index, tuple) else (index,)
    plain = tuple(_part(part) for part in parts)
    if x.is_cuda:
        _refuse_outside(x, plain)
    plain = tuple(move(p, x.device) if hasattr(p, "dtype") else p for p in plain)
    return plain if isinstance(index, tuple) else plain[0]


def _refuse_outside(x: Tensor, parts: tuple[Index, ...]) -> None:
    """IndexError for integers out of bounds, as from NumPy; CuPy would wrap them around."""
    takes = [0 if p is None or p is Ellipsis else p.ndim if _is_mask(p) else 1 for p in parts]
    axis = 0
    for p, n in zip(parts, takes, strict=True):
        if hasattr(p, "dtype") and not _is_mask(p) and p.size:
            low, high, size = p.min(), p.max(), x.shape[axis]
            refuse((low < -size) | (high >= size), _outside(low, high, axis, x.shape))
        axis += x.ndim - sum(takes) if p is Ellipsis else n


def _outside(low: Any, high: Any, axis: int, shape: tuple[int, ...]) -> Callable[[], Exception]:
    size = shape[axis]
    return lambda: IndexError(
        f"index: index {int(low) if low < -size else int(high)} is out of bounds for dim {axis} "
        f"with size {size}; the tensor has shape {shape}"
    )


def _is_mask(part: Any) -> bool:
    return hasattr(part, "dtype") and part.dtype == np.bool_


def _is_int(part: Any) -> bool:
    return isinstance(part, int) and not isinstance(part, bool)


def steps_of(index: Index) -> tuple[Index, ...]:
    """x[index] as x[step][step]: ints beside arrays act first, as in PyTorch.

    NumPy makes an array of such an int, and so puts the dimensions of x[0, :, array] in front.
    """
    parts = index if isinstance(index, tuple) else ()
    if not any(map(_is_int, parts)) or not any(hasattr(part, "dtype") for part in parts):
        return (index,)
    ints: list[Index] = []
    for part in parts:
        if _is_int(part) or part is Ellipsis:
            ints.append(part)
        elif isinstance(part, slice):
            ints.append(slice(None))
        elif hasattr(part, "dtype"):  # a bool array takes as many dimensions as it has
            ints += [slice(None)] * (part.ndim if part.dtype == np.bool_ else 1)
    return tuple(ints), tuple(part for part in parts if not _is_int(part))


def _part(part: Any) -> Any:
    if isinstance(part, Tensor):
        part = part._array
    elif isinstance(part, (list, range)):
        part = np.asarray(part, dtype=None if len(part) else np.int64)
        if part.dtype == object:
            raise IndexError("index: a list of indices must hold integers or bools")
    if not hasattr(part, "dtype"):
        return part
    if part.dtype.kind not in "iub":
        raise IndexError(f"tensors used as indices must be integers or bools, got {part.dtype}")
    if part.dtype == np.uint8:
        warnings.warn(
            "indexing with dtype uint8 is now deprecated, please use a dtype bool instead",
            stacklevel=5,  # the line that says x[mask]
        )
        part = part.astype(bool)
    if part.ndim == 0 and part.dtype != np.bool_:
        return int(part)
    return part


def getitem(x: Tensor, index: Index) -> Tensor:
    """x[index]: a view for ints, slices, None and Ellipsis; a copy for arrays of ints or bools.

    A uint8 array is a mask, with a warning, as in PyTorch.

    >>> x = tg.arange(6).reshape(2, 3)
    >>> x[:, 1], x[0, [2, 0]], x[x > 3]
    (tensor([1, 4]), tensor([2, 0]), tensor([4, 5]))
    """
    out = x
    try:
        for step in steps_of(plain_index(x, index)):
            out = _getitem(out, index=step)
    except IndexError as error:
        if str(error).startswith("index: index "):
            raise
        text = str(error).removeprefix("getitem: ")
        raise IndexError(f"index: {text}; the tensor has shape {x.shape}") from None
    return out


# --- by an index tensor ---------------------------------------------------------------------


def _mesh(x: Tensor, dim: int, index: Tensor) -> Index:
    """The index tuple that picks x[i, index[i, j], ...] with `index` standing at `dim`."""
    arange, ndim = module_of(x._array).arange, index.ndim
    mesh = [
        index._array if d == dim else arange(n).reshape((1,) * d + (n,) + (1,) * (ndim - d - 1))
        for d, n in enumerate(index.shape)
    ]
    return tuple(mesh)


def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """out[i][j][k] = x[i][index[i][j][k]][k] for dim = 1; out has index's shape.

    IndexError out of bounds; indices are not negative.

    >>> tg.tensor([[1, 2, 3], [4, 5, 6]]).gather(1, tg.tensor([[2], [0]]))
    tensor([[3],
            [4]])
    """
    dim = position("gather", dim, input.ndim)
    _check_index("gather", input, dim, index)
    return gather_within(input, dim, index)


def gather_within(x: Tensor, dim: int, index: Tensor) -> Tensor:
    """gather by an index that is known to be in bounds"""
    return _getitem(x, index=_mesh(x, dim, index))


def rows_within(x: Tensor, index: Tensor) -> Tensor:
    """x[index] by an index that is known to be in bounds"""
    return _getitem(x, index=index._array)


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """x plus, for dim = 1, src[i][j][k] at [i][index[i][j][k]][k]; the adjoint of gather.

    >>> tg.zeros(3).scatter_add(0, tg.tensor([0, 2, 2]), tg.ones(3))
    tensor([1., 0., 2.])
    """
    x = input
    dim = position("scatter_add", dim, x.ndim)
    _check_index("scatter_add", x, dim, index)
    part = src[tuple(slice(n) for n in index.shape)]
    return x + _put(part, shape=x.shape, index=_mesh(x, dim, index))


def _check_index(name: str, x: Tensor, dim: int, index: Tensor) -> None:
    same_device(name, x, index)
    if index.dtype.kind not in "iu":
        raise RuntimeError(f"{name}: expected an index of integers, got {index.dtype}")
    if index.ndim != x.ndim or any(
        n > m for d, (n, m) in enumerate(zip(index.shape, x.shape)) if d != dim
    ):
        raise RuntimeError(
            f"{name}: the index of shape {index.shape} does not fit the tensor of shape {x.shape}: "
            f"as many dimensions, and no larger except in dim {dim}"
        )
    if index.numel():
        low, high, size = index._array.min(), index._array.max(), x.shape[dim]
        refuse((low < 0) | (high >= size), lambda: IndexError(
            f"{name}: index out of bounds: it holds {int(low)}..{int(high)}, dim {dim} has size "
            f"{size}"
        ))  # fmt: skip


def take_along_dim(input: Tensor, indices: Tensor, dim: int) -> Tensor:
    """NumPy's take_along_axis: gather with the other dimensions broadcast; `dim` must be given."""
    x = input
    dim = position("take_along_dim", dim, x.ndim)
    shape = tuple(m if d == dim else max(n, m) for d, (n, m) in enumerate(
        zip(x.shape, indices.shape, strict=True)))  # fmt: skip
    full = tuple(n if d == dim else m for d, (n, m) in enumerate(zip(x.shape, shape, strict=True)))
    return gather(x.expand(full), dim, indices.expand(shape))


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of x along `dim` that a 1-D index of integers names, in its order."""
    if index.ndim > 1 or index.dtype.kind not in "iu":
        raise RuntimeError(
            f"index_select: expected a 1-D index of integers, got {index.dtype} {index.shape}"
        )
    dim = position("index_select", dim, input.ndim)
    if index.dtype == np.uint8:  # which getitem takes for a mask
        index = cast(index, dtype=np.dtype(np.int64))
    return getitem(input, (slice(None),) * dim + (index.reshape(-1),))


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """x with `value` where the mask is True, in x's dtype: integers take its integer part.

    The mask (bool) and x broadcast. A Tensor as value promotes instead, as in where.
    """
    if mask.dtype != np.bool_:
        raise RuntimeError(f"masked_fill: expected a bool mask, got {mask.dtype}")
    if input.dtype.kind != "f" and not isinstance(value, Tensor):
        try:
            value = bool(value) if input.dtype == np.bool_ else int(value)
        except (ValueError, OverflowError):
            raise RuntimeError(f"masked_fill: {input.dtype} has no {value}") from None
    return where(mask, value, input)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements of x where the mask (bool, broadcast) is True, in C order as a 1-D tensor."""
    if mask.dtype != np.bool_:
        raise RuntimeError(f"masked_select: expected a bool mask, got {mask.dtype}")
    shape = np.broadcast_shapes(input.shape, mask.shape)
    return getitem(input.expand(shape), mask.expand(shape))


def nonzero(input: Tensor) -> Tensor:
    """The indices of the non-zero elements, int64 (count, x.ndim), one row each."""
    array = input._array.reshape(input.shape or 1)
    return wrap(np.stack(np.nonzero(array), axis=-1)[:, : input.ndim])


def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """int64 (..., num_classes): 1 at the class, else 0; -1 takes the largest class + 1.

    RuntimeError for a class outside of 0..num_classes - 1.

    >>> tg.one_hot(tg.tensor([2, 0]), 3)
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    if input.dtype.kind not in "iu":
        raise RuntimeError(f"one_hot: expected integer class labels, got {input.dtype}")
    low, high = (input._array.min(), input._array.max()) if input.numel() else (0, -1)
    classes = int(high) + 1 if num_classes == -1 else num_classes
    refuse((low < 0) | (high >= classes), lambda: RuntimeError(
        f"one_hot: class values must be in 0..{classes - 1}, got values from {int(low)} to "
        f"{int(high)}"
    ))  # fmt: skip
    every = module_of(input._array).arange(max(classes, 0))
    return wrap((input._array[..., None] == every).astype(np.int64))
