"""QR, eigenvalues, singular values: factors that are orthogonal.

Signs (and, among equal values, rotations) of the factors' columns are LAPACK's choice: only what
does not depend on them has a derivative, and the values must be distinct for it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..tape import thread
from ..tensor import Tensor, wrap
from .elementwise import where
from .half import through_float32
from .linalg import eye, matrices, solve
from .op import op
from .rearrange import tril, triu
from .shapes import cat

__all__: list[str] = []  # tinygen.linalg has their names
METHODS: set[str] = set()


class QR(NamedTuple):
    """What qr returns."""

    Q: Tensor
    R: Tensor


@through_float32
@op
def _qr(x: Array) -> Array:
    """(..., m + n, n) for x (..., m, n), m >= n: Q, and R below it."""
    q, r = np.linalg.qr(x)
    return np.concatenate([q, r], axis=-2)


def _qr_vjp(g: Tensor, out: Tensor, x_shape: tuple[int, ...]) -> Tensor:
    """(gQ + Q S) R^-T, with S = the symmetric matrix whose lower triangle is R gR^T - gQ^T Q's."""
    m = x_shape[-2]
    q, r, gq, gr = out[..., :m, :], out[..., m:, :], g[..., :m, :], triu(g[..., m:, :])
    lower = r @ gr.mT - gq.mT @ q
    symmetric = tril(lower) + tril(lower, -1).mT
    return solve(r.mT, gq + q @ symmetric, left=False)


_qr.vjp(_qr_vjp)


def qr(A: Tensor, mode: str = "reduced") -> QR:
    """(Q, R) with A = Q R: (..., m, n) -> (..., m, k) and (..., k, n), k = min(m, n).

    Q^T Q = 1 and R is upper triangular. mode="complete" makes Q (..., m, m), without a gradient if
    m > n. The first k columns must be independent for a gradient.

    >>> Q, R = tg.linalg.qr(tg.tensor([[3.0, 1.0], [4.0, 2.0]]))
    >>> R.abs()
    tensor([[5. , 2.2],
            [0. , 0.4]])
    """
    matrices("qr", A, square=False)
    m, n = A.shape[-2:]
    if mode == "complete" and m > n:
        _refuse_grad("qr: mode='complete' of more rows than columns", A, "mode='reduced'")
        return QR(*map(wrap, np.linalg.qr(A._array, mode="complete")))
    if mode not in ("reduced", "complete"):
        raise RuntimeError(f"qr: mode must be 'reduced' or 'complete', got {mode!r}")
    both = _qr(A[..., :m])  # the columns beyond the m-th are Q^T of themselves
    q, r = both[..., :m, :], both[..., m:, :]
    return QR(q, r if n <= m else cat([r, q.mT @ A[..., m:]], -1))


def _refuse_grad(what: str, x: Tensor, instead: str) -> None:
    if thread.grad and x.requires_grad:
        raise RuntimeError(f"{what} has no gradient; use {instead}, or x.detach()")


class Eigh(NamedTuple):
    """What eigh returns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


@through_float32
@op
def _eigh(x: Array, *, uplo: Any) -> Array:
    """(..., 1 + n, n): the eigenvalues, and the eigenvectors below them, as columns."""
    w, v = np.linalg.eigh(x, uplo)
    return np.concatenate([w[..., None, :], v], axis=-2)


def _gaps(x: Tensor) -> Tensor:
    """1 / (x_j - x_i) (..., n, n), and 0 where they are equal, as on the diagonal."""
    gaps = x[..., None, :] - x[..., :, None]
    same = gaps == 0
    return where(same, 0.0, 1.0 / where(same, 1.0, gaps))


def _eigh_vjp(g: Tensor, out: Tensor) -> Tensor:
    """V (diag(gw) + V^T gV / (w_j - w_i)) V^T"""
    w, v, gw, gv = out[..., 0, :], out[..., 1:, :], g[..., 0, :], g[..., 1:, :]
    inner = (v.mT @ gv) * _gaps(w) + gw[..., None] * eye(v, v.shape[-1])
    return v @ inner @ v.mT


_eigh.vjp(_eigh_vjp)


def eigh(A: Tensor, UPLO: str = "L") -> Eigh:
    """(w, V) with A V = V diag(w): eigenvalues (..., n), ascending, and eigenvectors in columns.

    Of symmetric A, of which only the lower triangle (UPLO="U": the upper) is looked at.

    >>> tg.linalg.eigh(tg.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    tensor([1., 3.])
    """
    matrices("eigh", A)
    both = _eigh(A, uplo=UPLO)
    return Eigh(both[..., 0, :], both[..., 1:, :])


class SVD(NamedTuple):
    """What svd returns."""

    U: Tensor
    S: Tensor
    Vh: Tensor


@through_float32
@op
def _svd(x: Array) -> Array:
    """(..., m + 1 + n, k): U, the singular values, and V, below each other."""
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return np.concatenate([u, s[..., None, :], np.swapaxes(vh, -1, -2)], axis=-2)


def _svd_vjp(g: Tensor, out: Tensor, x_shape: tuple[int, ...]) -> Tensor:
    """U (K_U S + S K_V + diag(gS)) V^T + (1 - U U^T) gU S^-1 V^T + U S^-1 gV^T (1 - V V^T)

    with K_U = (U^T gU - gU^T U) / (s_j^2 - s_i^2), and K_V so of V.
    """
    m = x_shape[-2]
    u, s, v = out[..., :m, :], out[..., m, :], out[..., m + 1 :, :]
    gu, gs, gv = g[..., :m, :], g[..., m, :], g[..., m + 1 :, :]
    row, column, gaps = s[..., None, :], s[..., None], _gaps(s * s)
    ku, kv = ((a.mT @ ga - ga.mT @ a) * gaps for a, ga in ((u, gu), (v, gv)))
    inner = ku * row + column * kv + gs[..., None] * eye(s, s.shape[-1])
    pulled = u @ inner @ v.mT
    if m > s.shape[-1]:
        pulled = pulled + ((gu - u @ (u.mT @ gu)) / row) @ v.mT
    if x_shape[-1] > s.shape[-1]:
        pulled = pulled + u @ ((gv - v @ (v.mT @ gv)) / row).mT
    return pulled


_svd.vjp(_svd_vjp)


def svd(A: Tensor, full_matrices: bool = True) -> SVD:
    """(U, S, V^T) with A = U diag(S) V^T: (..., m, n) -> (..., m, k), (..., k), (..., k, n).

    k = min(m, n); S descends. full_matrices=True makes U and V^T square, without a gradient unless
    A is square.

    >>> tg.linalg.svd(tg.tensor([[0.0, 3.0], [2.0, 0.0]])).S
    tensor([3., 2.])
    """
    matrices("svd", A, square=False)
    m, n = A.shape[-2:]
    if full_matrices and m != n:
        _refuse_grad("svd: full_matrices=True of what is not square", A, "full_matrices=False")
        return SVD(*map(wrap, np.linalg.svd(A._array)))
    out = _svd(A)
    return SVD(out[..., :m, :], out[..., m, :], out[..., m + 1 :, :].mT)
