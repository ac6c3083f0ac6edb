"""Linear algebra of matrices (..., n, m): inverses, determinants, factorisations.

LAPACK does it, by way of NumPy; but for LU, which NumPy has not. What has several results (Q and
R, ...) is one op whose results stand side by side in one array, and is taken apart afterwards. On a
GPU a singular matrix gives inf or NaN, where here it is an error.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..backend import Array, module_of
from ..tensor import Tensor, wrap
from .elementwise import where
from .half import through_float32
from .op import op
from .products import unbroadcast
from .rearrange import tril, triu
from .reductions import floats_only
from .shapes import unsqueeze

__all__ = ["cholesky", "det", "inverse", "logdet", "lu", "lu_unpack", "slogdet"]
METHODS = {*__all__} - {"lu_unpack"}


def matrices(name: str, *xs: Tensor, square: bool = True) -> None:
    """Raise unless these are floating (square) matrices."""
    for x in xs:
        floats_only(name, x)
        if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
            kind = "square matrices (..., n, n)" if square else "matrices (..., m, n)"
            raise RuntimeError(f"{name}: expected {kind}, got shape {x.shape}")


def eye(x: Tensor, n: int) -> Tensor:
    """The n x n identity, as x is."""
    return wrap(module_of(x._array).eye(n, dtype=x.dtype))


# --- inverse and solve ------------------------------------------------------------------------


@through_float32
@op
def _inv(x: Array) -> Array:
    return np.linalg.inv(x)


_inv.vjp(lambda g, out: -(out.mT @ g @ out.mT))


def inverse(input: Tensor) -> Tensor:
    """x^-1 of square matrices (..., n, n); RuntimeError for a singular one.

    >>> tg.inverse(tg.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5 , 0.  ],
            [0.  , 0.25]])
    """
    matrices("inverse", input)
    return _inv(input)


@through_float32
@op
def _solve(a: Array, b: Array) -> Array:
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])  # CuPy's solve does not broadcast
    a = np.broadcast_to(a, (*batch, *a.shape[-2:]))
    return np.linalg.solve(a, np.broadcast_to(b, (*batch, *b.shape[-2:])))


_solve.vjp(
    lambda g, a, out, a_shape: unbroadcast(-(_solve(a.mT, g) @ out.mT), a_shape),
    lambda g, a, b_shape: unbroadcast(_solve(a.mT, g), b_shape),
)


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B (left=False: X A = B): (..., n, n) and (..., n, k), or one vector (..., n).

    B is vectors if it has one dimension, or one less than A and the batch shape of A.
    RuntimeError for a singular A.
    """
    matrices("solve", A)
    if B.ndim == 1 or (B.ndim == A.ndim - 1 and B.shape == A.shape[:-1]):
        return solve(A, unsqueeze(B, -1)).squeeze(-1) if left else solve(A.mT, B)
    matrices("solve", B, square=False)
    if A.shape[-1] != B.shape[-2 if left else -1]:
        raise RuntimeError(f"solve: A {A.shape} and B {B.shape} do not fit (left={left})")
    return _solve(A, B) if left else _solve(A.mT, B.mT).mT


def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """solve for a triangular A, whose other triangle is not looked at (nor, unitriangular, its 1s).

    >>> L, b = tg.tensor([[2.0, 7.0], [1.0, 1.0]]), tg.tensor([[2.0], [3.0]])
    >>> tg.linalg.solve_triangular(L, b, upper=False)
    tensor([[1.],
            [2.]])
    """
    matrices("solve_triangular", A)
    matrices("solve_triangular", B, square=False)
    return solve(triangle(A, upper, unitriangular), B, left=left)


def triangle(x: Tensor, upper: bool, unit: bool) -> Tensor:
    """The upper or lower triangle of x, with ones on its diagonal if `unit`."""
    part = triu(x, int(unit)) if upper else tril(x, -int(unit))
    return part + eye(x, x.shape[-1]) if unit else part


# --- determinants -----------------------------------------------------------------------------


@through_float32
@op
def _det(x: Array) -> Array:
    return np.linalg.det(x)


_det.vjp(lambda g, x, out: (g * out)[..., None, None] * _inv(x).mT)


def det(input: Tensor) -> Tensor:
    """The determinant of (..., n, n); its gradient needs an invertible matrix."""
    matrices("det", input)
    return _det(input)


class Slogdet(NamedTuple):
    """What slogdet returns."""

    sign: Tensor
    logabsdet: Tensor


@through_float32
@op
def _slogdet(x: Array) -> Array:
    sign, logabsdet = np.linalg.slogdet(x)
    return np.concatenate([sign[..., None], logabsdet[..., None]], axis=-1)


_slogdet.vjp(lambda g, x: g[..., 1, None, None] * _inv(x).mT)


def slogdet(input: Tensor) -> Slogdet:
    """(sign, log |det|) of (..., n, n), without overflow; (0, -inf) for a singular matrix.

    >>> tg.slogdet(tg.tensor([[0.0, 2.0], [2.0, 0.0]]))  # log 4
    Slogdet(sign=tensor(-1.), logabsdet=tensor(1.3863))
    """
    matrices("slogdet", input)
    both = _slogdet(input)
    return Slogdet(both[..., 0].detach(), both[..., 1])


def logdet(input: Tensor) -> Tensor:
    """log det of (..., n, n); NaN where the determinant is negative"""
    sign, logabsdet = slogdet(input)
    return where(sign < 0, math.nan, logabsdet)


# --- Cholesky ---------------------------------------------------------------------------------


@through_float32
@op
def _cholesky(x: Array) -> Array:
    return np.linalg.cholesky(x)


def _cholesky_vjp(g: Tensor, out: Tensor) -> Tensor:
    """L^-T P L^-1 made symmetric, P being the lower triangle of L^T g with its diagonal halved."""
    lower = tril(out.mT @ tril(g))
    half = lower - 0.5 * lower * eye(lower, lower.shape[-1])
    pulled = _solve(out.mT, _solve(out.mT, half.mT).mT)  # L^-T P L^-1
    return 0.5 * (pulled + pulled.mT)


_cholesky.vjp(_cholesky_vjp)


def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """L, lower triangular, with x = L L^T (upper=True: L^T), of symmetric positive definite x.

    Only the lower triangle of x is looked at, and the gradient is symmetric. RuntimeError where x
    is not positive definite.

    >>> tg.cholesky(tg.tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """
    matrices("cholesky", input)
    return _cholesky(input).mT if upper else _cholesky(input)


# --- LU ---------------------------------------------------------------------------------------


@through_float32
@op
def _lu(x: Array, *, pivot: bool) -> Array:
    """(..., n + 1, n): L and U in one array, below them which row each row was exchanged with."""
    arange, n = module_of(x).arange, x.shape[-1]
    a, every = x.reshape(-1, n, n).copy(), arange(x.size // max(n * n, 1))
    swaps = np.zeros_like(a, shape=(len(a), 1, n))
    for k in range(n):
        other = k + (np.abs(a[:, k:, k]).argmax(1) if pivot else 0 * every)
        swaps[:, 0, k] = other
        row = a[every, other]
        a[every, other] = a[:, k]
        a[:, k] = row
        with np.errstate(divide="ignore", invalid="ignore"):  # a singular matrix has no LU
            a[:, k + 1 :, k] /= a[:, k, k, None]
            a[:, k + 1 :, k + 1 :] -= a[:, k + 1 :, k, None] * a[:, k, None, k + 1 :]
    return np.concatenate([a, swaps], axis=1).reshape(*x.shape[:-2], n + 1, n)


def _lu_vjp(g: Tensor, out: Tensor) -> Tensor:
    """P L^-T (tril(L^T gL, -1) + triu(gU U^T)) U^-T"""
    packed, g = out[..., :-1, :], g[..., :-1, :]
    lower, upper = triangle(packed, False, True), triu(packed)
    inner = tril(lower.mT @ tril(g, -1), -1) + triu(triu(g) @ upper.mT)
    pulled = _solve(upper, _solve(lower.mT, inner).mT).mT
    return _permutation(out[..., -1, :].detach(), g) @ pulled


_lu.vjp(_lu_vjp)


def _permutation(swaps: Tensor, like: Tensor) -> Tensor:
    """P (..., n, n) of P L U from the exchanges (..., n)."""
    n = swaps.shape[-1]
    arange, plain = module_of(like._array).arange, swaps._array.reshape(-1, n).astype(np.int64)
    every = arange(len(plain))
    order = every[:, None] * 0 + arange(n)  # the row of the matrix that comes to each place
    for k in range(n):
        row = order[every, plain[:, k]]
        order[every, plain[:, k]] = order[:, k]
        order[:, k] = row
    there = order[:, None, :] == arange(n)[:, None]
    return wrap(there.reshape(*swaps.shape, n).astype(like.dtype))


def lu(A: Tensor, pivot: bool = True) -> tuple[Tensor, Tensor]:
    """(LU, pivots) of square matrices: U, and L below its diagonal, whose ones are not stored.

    pivots (int32, from 1, as LAPACK's) say which row each row was exchanged with: lu_unpack makes
    P, L and U of them. pivot=False exchanges none.
    """
    matrices("lu", A)
    packed = _lu(A, pivot=pivot)
    return packed[..., :-1, :], (packed[..., -1, :].detach() + 1).int()


class PLU(NamedTuple):
    """What lu_unpack returns, with A = P L U."""

    P: Tensor
    L: Tensor
    U: Tensor


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor) -> PLU:
    """(P, L, U) with A = P L U, from lu(A)

    >>> P, L, U = tg.lu_unpack(*tg.lu(tg.tensor([[1.0, 2.0], [2.0, 2.0]])))
    >>> L, U, P @ L @ U
    (tensor([[1. , 0. ],
            [0.5, 1. ]]), tensor([[2., 2.],
            [0., 1.]]), tensor([[1., 2.],
            [2., 2.]]))
    """
    lower, upper = triangle(LU_data, False, True), triu(LU_data)
    return PLU(_permutation(LU_pivots - 1, LU_data), lower, upper)
