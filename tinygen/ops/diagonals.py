"""The diagonal of matrices, and matrices of a diagonal: a view, and its adjoint."""

from __future__ import annotations

import numpy as np

from ..backend import Array, is_numpy
from ..tensor import Tensor
from .op import op, view_op
from .shapes import Shape, position

__all__ = ["diag", "diag_embed", "diagonal"]
METHODS = {*__all__}


@view_op
def _diagonal(x: Array, *, offset: int, dims: Shape) -> Array:
    out = np.diagonal(x, offset, *dims)
    if is_numpy(out):  # which NumPy does not let be written to, unless it is told so
        out.flags.writeable = x.flags.writeable
    return out


@op
def _on_diagonal(x: Array, *, shape: Shape, offset: int, dims: Shape) -> Array:
    """Zeros of `shape` with x on the diagonal."""
    out = np.zeros_like(x, shape=shape)
    _diagonal.spec.forward(out, offset=offset, dims=dims)[...] = x
    return out


_diagonal.vjp(
    lambda g, x_shape, offset, dims: _on_diagonal(g, shape=x_shape, offset=offset, dims=dims)
)
_on_diagonal.vjp(lambda g, offset, dims: _diagonal(g, offset=offset, dims=dims))


def _two(name: str, dim1: int, dim2: int, ndim: int) -> Shape:
    dims = position(name, dim1, ndim), position(name, dim2, ndim)
    if dims[0] == dims[1]:
        raise RuntimeError(f"{name}: expected two different dimensions, got {dim1} and {dim2}")
    return dims


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """x[..., i, i + offset] of the dimensions dim1 and dim2, as the last dimension; a view.

    >>> x = tg.arange(6).reshape(2, 3)
    >>> x.diagonal(), x.diagonal(1)
    (tensor([0, 4]), tensor([1, 5]))
    """
    return _diagonal(input, offset=offset, dims=_two("diagonal", dim1, dim2, input.ndim))


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """(..., n) -> matrices (..., n, n) with the last dimension on their diagonal, 0 elsewhere.

    With an offset they are n + |offset| wide; dim1 and dim2 say where the two dimensions stand.
    """
    if input.ndim == 0:
        raise RuntimeError("diag_embed: expected at least 1 dimension, got a 0-d tensor")
    dims = _two("diag_embed", dim1, dim2, input.ndim + 1)
    side, shape = input.shape[-1] + abs(offset), list(input.shape[:-1])
    for d in sorted(dims):
        shape.insert(d, side)
    return _on_diagonal(input, shape=tuple(shape), offset=offset, dims=dims)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, as a copy; of a vector, the matrix that has it on its diagonal.

    >>> tg.diag(tg.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RuntimeError(f"diag: expected a vector or a matrix, got shape {input.shape}")
    return _diagonal(input, offset=diagonal, dims=(0, 1)).clone()
