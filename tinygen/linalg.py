"""torch.linalg: what ops/linalg.py computes, by the names that it has there, and norms."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from . import ops
from .names import missing
from .ops.decompositions import eigh, qr, svd
from .ops.linalg import Slogdet, lu_unpack, solve, solve_triangular
from .ops.reductions import Dim, axes
from .tensor import Tensor

__all__ = [
    "LinAlgError", "cholesky", "det", "eigh", "eigvalsh", "inv", "lu", "lu_factor", "matrix_norm",
    "multi_dot", "norm", "qr", "slogdet", "solve", "solve_triangular", "svd", "svdvals",
    "vector_norm",
]  # fmt: skip

LinAlgError = RuntimeError


def inv(A: Tensor) -> Tensor:
    """A^-1 of square matrices (..., n, n); RuntimeError for a singular one."""
    return ops.inverse(A)


def det(A: Tensor) -> Tensor:
    """The determinant of (..., n, n); its gradient needs an invertible matrix."""
    return ops.det(A)


def slogdet(A: Tensor) -> Slogdet:
    """(sign, logabsdet) of (..., n, n), without overflow."""
    return ops.slogdet(A)


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """L with A = L L^T (upper=True: L^T), of symmetric positive definite matrices."""
    return ops.cholesky(A, upper)


def lu_factor(A: Tensor, *, pivot: bool = True) -> tuple[Tensor, Tensor]:
    """(LU, pivots) in the packed form that lu_unpack takes."""
    return ops.lu(A, pivot)


def lu(A: Tensor, *, pivot: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """(P, L, U) with A = P L U, of square matrices."""
    return lu_unpack(*ops.lu(A, pivot))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices (..., n, n), ascending (..., n)."""
    return eigh(A, UPLO).eigenvalues


def svdvals(A: Tensor) -> Tensor:
    """The singular values of (..., n, m), descending (..., min(n, m))."""
    return svd(A, full_matrices=False).S


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of several matrices, from the left (PyTorch looks for the cheapest order)."""
    return functools.reduce(ops.matmul, tensors)


# --- norms ------------------------------------------------------------------------------------


def vector_norm(
    x: Tensor, ord: float = 2, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """(sum |x|^ord)^(1 / ord) over `dim` (None: all), as norm: inf the largest, 0 a count.

    >>> tg.linalg.vector_norm(tg.tensor([[3.0, 4.0], [6.0, 8.0]]), dim=1)
    tensor([ 5., 10.])
    """
    return ops.norm(x if dtype is None else x.to(dtype), ord, dim, keepdim)


def matrix_norm(
    A: Tensor,
    ord: float | str = "fro",
    dim: tuple[int, int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Tensor:
    """The norm of the matrices that lie along `dim`.

    "fro": the root of the sum of squares. "nuc", 2, -2: the sum, the largest, the smallest of the
    singular values. 1, -1 (inf, -inf): the largest, the smallest column (row) sum of |A|.

    >>> tg.linalg.matrix_norm(tg.tensor([[3.0, 0.0], [0.0, -4.0]]), 2)
    tensor(4.)
    """
    A = A if dtype is None else A.to(dtype)
    rows, columns = (axes("matrix_norm", A, d)[0] for d in dim)
    if rows == columns:
        raise RuntimeError(f"matrix_norm: dim must name two dimensions, got {dim}")
    last = A.permute([d for d in range(A.ndim) if d not in (rows, columns)] + [rows, columns])
    if ord == "fro":
        found = ops.norm(last, 2, (-2, -1))
    elif ord in ("nuc", 2, -2):
        values = svdvals(last)
        found = values.sum(-1) if ord == "nuc" else values[..., 0 if ord == 2 else -1]
    elif ord in (1, -1, math.inf, -math.inf):
        sums = last.abs().sum(-2 if abs(ord) == 1 else -1)
        found = sums.amax(-1) if ord > 0 else sums.amin(-1)
    else:
        raise RuntimeError(
            f"matrix_norm: ord must be 'fro', 'nuc', inf, -inf, 1, -1, 2 or -2, got {ord!r}"
        )
    return found.unsqueeze(min(rows, columns)).unsqueeze(max(rows, columns)) if keepdim else found


def norm(
    A: Tensor,
    ord: float | str | None = None,
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Tensor:
    """vector_norm or matrix_norm: a matrix's if `dim` has two numbers, or A two dimensions and
    `ord` is given. With neither `ord` nor `dim`: the root of the sum of all squares.
    """
    two = isinstance(dim, (tuple, list)) and len(dim) == 2
    if ord is not None and (two or (dim is None and A.ndim == 2) or isinstance(ord, str)):
        pair = tuple(dim) if isinstance(dim, (tuple, list)) else (-2, -1)
        return matrix_norm(A, ord, pair, keepdim, dtype=dtype)  # type: ignore[arg-type]
    return vector_norm(A, 2 if ord is None else ord, dim, keepdim, dtype=dtype)


if not TYPE_CHECKING:  # for a type checker, a name that is not there is an error of its own

    def __getattr__(name: str) -> NoReturn:
        raise missing(__name__, name, __all__)
