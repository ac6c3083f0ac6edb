"""Linear algebra: A x = b and its kin as equations, gradients of order 2, batches, what is refused.

Factors whose signs are LAPACK's choice are tested by functions that do not depend on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import Tensor, linalg
from tinygen.testing import broadcastable_shapes, check_grads, sample, tensors

BATCHES = st.lists(st.integers(1, 3), max_size=2).map(tuple)


def eye(n: int) -> Tensor:
    return tg.eye(n, dtype=tg.float64)


@st.composite
def squares(draw: Any) -> Tensor:
    """Well-conditioned matrices (..., n, n) whose rows LU has to exchange."""
    n = draw(st.integers(1, 4))
    x = draw(tensors((*draw(BATCHES), n, n), dtype=tg.float64, low=-0.4, high=0.4, distinct=True))
    order = draw(st.permutations(range(n)))
    return x + 2 * eye(n)[list(order)]


@st.composite
def rectangles(draw: Any) -> Tensor:
    """Matrices of full rank (..., m, n) with distinct singular values."""
    m, n = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    x = draw(tensors((*draw(BATCHES), m, n), dtype=tg.float64, low=-0.3, high=0.3, distinct=True))
    diagonal = np.zeros((m, n))
    np.fill_diagonal(diagonal, 1.5 * np.arange(1, min(m, n) + 1))
    return x + tg.tensor(diagonal)


def close(x: Tensor, y: Any, tolerance: float = 1e-10) -> None:
    y = y.detach().numpy() if isinstance(y, Tensor) else y
    np.testing.assert_allclose(x.detach().numpy(), y, rtol=tolerance, atol=tolerance)


# --- inverse, solve, determinant ----------------------------------------------------------------


@given(squares())
def test_inverse(x: Tensor) -> None:
    close(x @ tg.inverse(x), np.broadcast_to(np.eye(x.shape[-1]), x.shape))
    assert tg.equal(linalg.inv(x), x.inverse())
    check_grads(tg.inverse, x)


@given(squares(), st.data())
def test_solve(x: Tensor, data: st.DataObject) -> None:
    n, k = x.shape[-1], data.draw(st.integers(1, 3))
    b = data.draw(tensors((*x.shape[:-2], n, k), dtype=tg.float64))
    close(x @ linalg.solve(x, b), b)
    close(linalg.solve(x, b.mT, left=False) @ x, b.mT)
    check_grads(linalg.solve, x, b)
    check_grads(lambda a, b: linalg.solve(a, b, left=False), x, b.mT)
    vectors = b[..., 0]
    close((x @ linalg.solve(x, vectors)[..., None])[..., 0], vectors)
    check_grads(linalg.solve, x, vectors)


@given(st.data())
def test_solve_broadcasts_batches(data: st.DataObject) -> None:
    left, right = data.draw(broadcastable_shapes(max_dims=2, max_side=3))
    x = data.draw(tensors((*left, 2, 2), dtype=tg.float64, low=-0.4, high=0.4)) + 2 * eye(2)
    b = data.draw(tensors((*right, 2, 3), dtype=tg.float64))
    close(x @ linalg.solve(x, b), np.broadcast_to(b.numpy(), np.broadcast_shapes(
        (*left, 2, 3), b.shape)))  # fmt: skip
    check_grads(linalg.solve, x, b)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("unit", [False, True])
@given(x=squares(), data=st.data())
def test_solve_triangular(upper: bool, unit: bool, x: Tensor, data: st.DataObject) -> None:
    n = x.shape[-1]
    x = x.abs() + eye(n)
    b = data.draw(tensors((*x.shape[:-2], n, 2), dtype=tg.float64))
    part = np.triu(x.numpy(), int(unit)) if upper else np.tril(x.numpy(), -int(unit))
    part = tg.tensor(part + np.eye(n) * unit)
    options = {"upper": upper, "unitriangular": unit}
    close(part @ linalg.solve_triangular(x, b, **options), b)
    close(linalg.solve_triangular(x, b.mT, left=False, **options) @ part, b.mT)
    check_grads(lambda x, b: linalg.solve_triangular(x, b, **options), x, b)


@given(squares())
def test_determinants(x: Tensor) -> None:
    exact = np.linalg.det(x.numpy())
    close(tg.det(x), exact)
    sign, logabsdet = tg.slogdet(x)
    close(sign * logabsdet.exp(), exact)
    assert not sign.requires_grad and tg.equal(linalg.slogdet(x).sign, sign)
    square = x @ x.mT
    close(tg.logdet(square), np.log(exact**2))
    assert np.isnan(tg.logdet(-eye(3)).item())
    check_grads(lambda x: tg.slogdet(x).logabsdet, x)
    check_grads(tg.det, x)
    check_grads(lambda x: tg.logdet(x @ x.mT), x)


def test_slogdet_does_not_overflow() -> None:
    sign, logabsdet = tg.slogdet(-1e3 * tg.eye(301))
    assert sign.item() == -1 and logabsdet.item() == pytest.approx(301 * math.log(1e3))
    assert tuple(map(Tensor.item, tg.slogdet(tg.zeros(2, 2)))) == (0, -math.inf)


# --- Cholesky and LU ----------------------------------------------------------------------------


@given(squares())
def test_cholesky(x: Tensor) -> None:
    n = x.shape[-1]

    def positive(x: Tensor) -> Tensor:
        return x @ x.mT + eye(n).to(x.dtype)

    lower = tg.cholesky(positive(x))
    close(lower @ lower.mT, positive(x))
    assert tg.equal(lower.tril(), lower) and tg.equal(linalg.cholesky(positive(x)), lower)
    assert tg.equal(linalg.cholesky(positive(x), upper=True), lower.mT)
    check_grads(lambda x: tg.cholesky(positive(x)), x)
    symmetric = positive(x).detach().requires_grad_()
    (g,) = tg.autograd.grad(tg.cholesky(symmetric).sum(), symmetric)
    assert tg.equal(g, g.mT)


@given(squares())
def test_lu(x: Tensor) -> None:
    packed, pivots = tg.lu(x)
    assert pivots.dtype == tg.int32 and not pivots.requires_grad
    P, L, U = tg.lu_unpack(packed, pivots)
    close(P @ L @ U, x)
    close(P @ P.mT, np.broadcast_to(np.eye(x.shape[-1]), x.shape))
    assert tg.equal(L.tril(), L) and tg.equal(U.triu(), U) and L.abs().max().item() == 1
    assert all(tg.equal(a, b) for a, b in zip(linalg.lu(x), (P, L, U), strict=True))
    assert tg.equal(linalg.lu_factor(x)[0], packed)
    check_grads(lambda x: tg.lu(x)[0], x)
    check_grads(lambda x: linalg.lu(x)[1:], x)


@given(tensors((3, 3), dtype=tg.float64, low=-0.4, high=0.4))
def test_lu_without_exchanges(x: Tensor) -> None:
    x = x + 2 * eye(3)[[1, 2, 0]] + 0.5 * eye(3)
    P, L, U = linalg.lu(x, pivot=False)
    assert tg.equal(P, eye(3))
    close(L @ U, x, 1e-6)
    check_grads(lambda x: tg.lu(x, pivot=False)[0], x + 2 * eye(3))


# --- QR, eigenvalues, singular values -----------------------------------------------------------


@given(rectangles())
def test_qr(x: Tensor) -> None:
    k = min(x.shape[-2:])
    Q, R = linalg.qr(x)
    close(Q @ R, x)
    close(Q.mT @ Q, np.broadcast_to(np.eye(k), (*x.shape[:-2], k, k)))
    assert tg.equal(R.triu(), R) and Q.shape[-1] == R.shape[-2] == k

    def signless(x: Tensor) -> tuple[Tensor, ...]:
        Q, R = linalg.qr(x)
        return Q * Q, R * R, Q[..., :1, :] * R[..., :1].mT

    check_grads(signless, x)


def test_qr_of_all_rows() -> None:
    x = tg.tensor(sample((2, 4, 3), 1))
    Q, R = linalg.qr(x, "complete")
    assert Q.shape == (2, 4, 4) and R.shape == (2, 4, 3)
    close(Q @ R, x)
    with pytest.raises(RuntimeError, match="qr: mode='complete'.*no gradient; use mode='reduced'"):
        linalg.qr(x.requires_grad_(), mode="complete")
    with pytest.raises(RuntimeError, match="qr: mode must be 'reduced' or 'complete', got 'r'"):
        linalg.qr(x, mode="r")


@pytest.mark.parametrize("uplo", ["L", "U"])
@given(x=squares())
def test_eigh(uplo: str, x: Tensor) -> None:
    n = x.shape[-1]
    apart = tg.tensor(np.diag(4.0 * np.arange(n)))

    def symmetric(x: Tensor) -> Tensor:
        return x + x.mT + apart.to(x.dtype)

    w, V = linalg.eigh(symmetric(x), uplo)
    close(V * w[..., None, :] @ V.mT, symmetric(x))
    close(V.mT @ V, np.broadcast_to(np.eye(n), x.shape))
    close(linalg.eigvalsh(symmetric(x), uplo), w)

    def function_of_matrix(x: Tensor) -> Tensor:
        w, V = linalg.eigh(symmetric(x), uplo)
        return (V * w.sin()[..., None, :]) @ V.mT

    check_grads(function_of_matrix, x, rtol=1e-4)
    check_grads(lambda x: linalg.eigvalsh(symmetric(x), uplo), x, rtol=1e-4)


def test_eigenvalues_that_are_equal_still_have_a_sum() -> None:
    """f(A) = trace(A^3) has the gradient 3 A^2, whatever vectors LAPACK picks."""
    x = (2 * eye(3)).requires_grad_()
    (g,) = tg.autograd.grad((linalg.eigvalsh(x) ** 3).sum(), x)
    close(g, 12 * np.eye(3))


@given(rectangles())
def test_svd(x: Tensor) -> None:
    k = min(x.shape[-2:])
    U, S, Vh = linalg.svd(x, full_matrices=False)
    close((U * S[..., None, :]) @ Vh, x)
    assert U.shape[-1] == S.shape[-1] == Vh.shape[-2] == k
    assert (S[..., 1:] <= S[..., :-1]).all()
    close(linalg.svdvals(x), np.linalg.svd(x.numpy(), compute_uv=False))

    def rebuilt(x: Tensor) -> Tensor:
        U, S, Vh = linalg.svd(x, full_matrices=False)
        return (U * S.sin()[..., None, :]) @ Vh

    check_grads(rebuilt, x, rtol=1e-4)
    check_grads(linalg.svdvals, x, rtol=1e-4)


def test_svd_with_square_factors() -> None:
    x = tg.tensor(sample((2, 4, 3), 1))
    U, S, Vh = linalg.svd(x)
    assert U.shape == (2, 4, 4) and S.shape == (2, 3) and Vh.shape == (2, 3, 3)
    close((U[..., :3] * S[..., None, :]) @ Vh, x)
    with pytest.raises(RuntimeError, match="svd: full_matrices=True.*use full_matrices=False"):
        linalg.svd(x.requires_grad_())


# --- norms and products -------------------------------------------------------------------------

ORDERS = ["fro", "nuc", math.inf, -math.inf, 1, -1, 2, -2]


@pytest.mark.parametrize("ord", ORDERS)
@given(x=rectangles(), data=st.data())
def test_matrix_norm(ord: Any, x: Tensor, data: st.DataObject) -> None:
    keepdim = data.draw(st.booleans())
    exact = np.linalg.norm(x.numpy(), ord, (-2, -1), keepdim)
    close(linalg.matrix_norm(x, ord, keepdim=keepdim), exact)
    close(linalg.norm(x, ord, (-2, -1), keepdim), exact)
    away = x + 0.05 * (x >= 0).double() - 0.05 * (x < 0).double()  # from the kink of |x|
    check_grads(lambda x: linalg.matrix_norm(x, ord), away, rtol=1e-4)


def test_matrix_norm_along_other_dims() -> None:
    x = tg.tensor(sample((2, 3, 4), 1))
    for dim in ((0, 2), (2, 0), (-1, 1)):
        for ord in ("fro", "nuc", 1, math.inf):
            exact = np.linalg.norm(x.numpy(), ord, dim, True)
            close(linalg.matrix_norm(x, ord, dim, True), exact)
    with pytest.raises(RuntimeError, match="matrix_norm: dim must name two dimensions"):
        linalg.matrix_norm(x, dim=(1, -2))
    with pytest.raises(RuntimeError, match="matrix_norm: ord must be 'fro', .* got 3"):
        linalg.matrix_norm(x, 3)


@pytest.mark.parametrize("ord", [0, 1, 2, 3, 1.5, math.inf, -math.inf])
def test_vector_norm(ord: float) -> None:
    x = sample((3, 4), 1, avoid=(0.0,), distinct=True)
    for dim in (None, 0, -1, (0, 1)):
        flat = x.reshape(-1) if dim in (None, (0, 1)) else x
        exact = np.linalg.norm(flat, ord, None if flat.ndim == 1 else dim)
        close(linalg.vector_norm(tg.tensor(x), ord, dim), exact)
    close(linalg.norm(tg.tensor(x[0]), ord), np.linalg.norm(x[0], ord))
    check_grads(lambda v: linalg.vector_norm(v, ord, 1), tg.tensor(x))
    assert linalg.norm(tg.tensor(x), dtype=tg.float32).dtype == tg.float32


@given(st.data())
def test_products(data: st.DataObject) -> None:
    sides = data.draw(st.lists(st.integers(1, 3), min_size=4, max_size=4))
    xs = [data.draw(tensors(pair, dtype=tg.float64)) for pair in zip(sides, sides[1:])]
    close(linalg.multi_dot(xs), np.linalg.multi_dot([x.numpy() for x in xs]))
    check_grads(lambda *xs: linalg.multi_dot(xs), *xs)
    x, y = data.draw(tensors(max_dims=3)), data.draw(tensors(max_dims=3))
    close(tg.kron(x, y), np.kron(x.numpy(), y.numpy()), 1e-5)
    check_grads(tg.kron, x, y)
    a, b = data.draw(tensors((2, 3, *sides[:1]))), data.draw(tensors((3, 2, *sides[1:2])))
    for dims in ([(0, 1), (1, 0)], [(1,), (0,)], [(-3,), (1,)]):
        close(tg.tensordot(a, b, dims), np.tensordot(a.numpy(), b.numpy(), dims), 1e-5)
        check_grads(lambda a, b, dims=dims: tg.tensordot(a, b, dims), a, b)
    close(tg.tensordot(a, a, 0), np.tensordot(a.numpy(), a.numpy(), 0), 1e-5)
    close(tg.inner(a, b.transpose(0, 1)[..., :1] + a[0] * 0), np.inner(
        a.numpy(), (b.numpy().swapaxes(0, 1)[..., :1] + a.numpy()[0] * 0)), 1e-5)  # fmt: skip


SUMS: dict[str, tuple[str, list[tuple[int, ...]]]] = {
    "baddbmm": ("bij,bjk->bik", [(2, 3, 1), (2, 3, 4), (2, 4, 5)]),
    "addmv": ("ij,j->i", [(1,), (3, 4), (4,)]),
    "addr": ("i,j->ij", [(3, 1), (3,), (4,)]),
}


@pytest.mark.parametrize("name", SUMS)
def test_sums_of_products(name: str) -> None:
    equation, shapes = SUMS[name]
    xs = [tg.tensor(sample(shape, k)) for k, shape in enumerate(shapes)]
    f: Callable[..., Tensor] = getattr(tg, name)
    product = np.einsum(equation, xs[1].numpy(), xs[2].numpy())
    close(f(*xs, beta=0.5, alpha=2.0), 0.5 * xs[0].numpy() + 2 * product)
    close(f(xs[0] * np.nan, *xs[1:], beta=0), product)
    check_grads(lambda *xs: f(*xs, beta=0.5, alpha=2.0), *xs)


@pytest.mark.parametrize("p", [1, 2, 3.0, math.inf])
def test_distances(p: float) -> None:
    x, y = (tg.tensor(sample(s, k, distinct=True)) for k, s in enumerate([(2, 3, 4), (5, 4)]))
    exact = np.linalg.norm(x.numpy()[:, :, None] - y.numpy(), p, -1)
    close(tg.cdist(x, y, p), exact)
    close(tg.dist(x[0], y[:3], p), np.linalg.norm((x.numpy()[0] - y.numpy()[:3]).ravel(), p))
    check_grads(lambda x, y: tg.cdist(x, y, p), x, y)
    x = x[0].requires_grad_()
    tg.cdist(x, x.detach(), p).sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


def test_trace() -> None:
    x = tg.tensor(sample((3, 3), 1))
    close(tg.trace(x), np.trace(x.numpy()))
    check_grads(tg.trace, x)
    assert tg.trace(tg.ones(2, 2, dtype=tg.uint8)).dtype == tg.int64


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: linalg.inv(tg.zeros(2, 2)), r"inv: Singular matrix .*\(2, 2\)"),
        (lambda: linalg.solve(tg.ones(2, 2), tg.ones(2)), "solve: Singular matrix"),
        (lambda: tg.cholesky(-tg.eye(2)), "cholesky: Matrix is not positive definite"),
        (lambda: tg.inverse(tg.zeros(2, 3)), r"inverse: expected square matrices .*\(2, 3\)"),
        (lambda: tg.slogdet(tg.zeros(3)), r"slogdet: expected square matrices .*\(3,\)"),
        (lambda: tg.det(tg.eye(2).long()), "det: expected a floating-point tensor, got int64"),
        (lambda: linalg.qr(tg.zeros(3)), r"qr: expected matrices \(..., m, n\), got shape \(3,\)"),
        (lambda: linalg.solve(tg.eye(2), tg.ones(3, 1)), r"solve: A \(2, 2\) and B \(3, 1\) do no"),
        (lambda: linalg.eigh(tg.eye(2), "X"), "eigh: .*UPLO"),
        (lambda: tg.trace(tg.zeros(3)), r"trace: expected a matrix, got shape \(3,\)"),
        (lambda: tg.cdist(tg.zeros(2, 3), tg.zeros(2, 4)), r"cdist: .*\(2, 3\) and \(2, 4\)"),
        (lambda: tg.tensordot(tg.zeros(2, 3), tg.zeros(2, 3), 1), r"tensordot: .* do not fit"),
    ],
)
def test_errors(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(linalg.LinAlgError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
