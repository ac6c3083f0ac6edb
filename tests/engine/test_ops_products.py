"""Matrix products and einsum: against NumPy's, gradients to order 2, shapes that don't multiply."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import Tensor, ops
from tinygen.testing import broadcastable_shapes, check_grads, lay_out, sample, tensors


@st.composite
def factors(draw: Any) -> tuple[Tensor, Tensor]:
    """Two tensors that matmul accepts: vectors, matrices, batches that broadcast, empty ones."""
    n, k, m = (draw(st.integers(0, 4)) for _ in range(3))
    left, right = draw(broadcastable_shapes(max_dims=2, min_side=0, max_side=3))
    x_shape = (k,) if draw(st.booleans()) and not left else (*left, n, k)
    y_shape = (k,) if draw(st.booleans()) and not right else (*right, k, m)
    return draw(tensors(x_shape)), draw(tensors(y_shape))


@given(factors())
def test_matmul(case: tuple[Tensor, Tensor]) -> None:
    x, y = case
    expected = np.matmul(x.numpy().astype(np.float64), y.numpy().astype(np.float64))
    for out in (x @ y, tg.matmul(x, y)):
        assert out.shape == expected.shape and out.dtype == tg.float32
        np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5, atol=1e-5)
    check_grads(tg.matmul, x, y)


@pytest.mark.parametrize("layout", ["plain", "transposed", "strided", "reversed"])
def test_layouts(layout: str) -> None:
    x = tg.from_numpy(lay_out(sample((3, 4), 1), layout))
    y = tg.from_numpy(lay_out(sample((4, 2), 2), layout))
    np.testing.assert_allclose((x @ y).numpy(), x.numpy().copy() @ y.numpy().copy())
    check_grads(tg.matmul, x, y)
    check_grads(ops.linear, x, y.T, tg.zeros(2))


@pytest.mark.parametrize(
    ("f", "shapes", "equation"),
    [
        (ops.mm, [(2, 3), (3, 4)], "ij,jk->ik"),
        (ops.bmm, [(5, 2, 3), (5, 3, 4)], "bij,bjk->bik"),
        (ops.mv, [(2, 3), (3,)], "ij,j->i"),
        (ops.dot, [(3,), (3,)], "i,i->"),
        (ops.outer, [(3,), (2,)], "i,j->ij"),
        (ops.linear, [(5, 3), (4, 3)], "bi,oi->bo"),
        (ops.linear, [(2, 5, 3), (4, 3)], "abi,oi->abo"),
        (ops.linear, [(3,), (4, 3)], "i,oi->o"),
    ],
)
def test_named_products(f: Any, shapes: list, equation: str) -> None:
    x, y = (tg.tensor(sample(shape, k)) for k, shape in enumerate(shapes))
    np.testing.assert_allclose(f(x, y).numpy(), np.einsum(equation, x.numpy(), y.numpy()))
    check_grads(f, x, y)


@pytest.mark.parametrize("batch", [(), (5,), (2, 5), (0,), (2, 0)])
def test_linear_with_bias(batch: tuple[int, ...]) -> None:
    x, w, b = (tg.tensor(sample(s, k)) for k, s in enumerate([(*batch, 3), (4, 3), (4,)]))
    np.testing.assert_allclose(ops.linear(x, w, b).numpy(), x.numpy() @ w.numpy().T + b.numpy())
    check_grads(ops.linear, x, w, b)


def test_addmm() -> None:
    b, x, y = (tg.tensor(sample(s, k)) for k, s in enumerate([(4,), (2, 3), (3, 4)]))
    out = ops.addmm(b, x, y, beta=0.5, alpha=2.0)
    np.testing.assert_allclose(out.numpy(), 0.5 * b.numpy() + 2 * (x.numpy() @ y.numpy()))
    check_grads(lambda *a: ops.addmm(*a, beta=0.5, alpha=2.0), b, x, y)


EQUATIONS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ij->ji", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("ij->i", [(2, 3)]),
    ("ii->i", [(3, 3)]),
    ("ii", [(3, 3)]),
    ("iij->j", [(3, 3, 2)]),
    ("i,j->ij", [(2,), (3,)]),
    ("i,i->", [(4,), (4,)]),
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]),
    ("bhqd,bhkd->bhqk", [(2, 2, 3, 4), (2, 2, 5, 4)]),
    ("...ij,...jk->...ik", [(2, 3, 4), (4, 5)]),
    ("...ij,...jk", [(5, 1, 3, 4), (2, 4, 2)]),
    ("ij,kj->ik", [(2, 1), (4, 3)]),
    ("i,ij,j->", [(2,), (2, 3), (3,)]),
    ("ij,kj,lk->il", [(2, 3), (4, 3), (5, 4)]),
    ("ij,k->i", [(2, 3), (4,)]),
    ("nchw,ocij->no", [(2, 3, 2, 2), (4, 3, 2, 2)]),
    ("ij,ij->ij", [(2, 3), (2, 3)]),
    (",i->i", [(), (3,)]),
    ("ij,jk->ik", [(0, 3), (3, 2)]),
]


@pytest.mark.parametrize("case", range(len(EQUATIONS)), ids=lambda i: EQUATIONS[i][0])
def test_einsum(case: int) -> None:
    equation, shapes = EQUATIONS[case]
    xs = [tg.tensor(sample(shape, k)) for k, shape in enumerate(shapes)]
    expected = np.einsum(equation, *(x.numpy() for x in xs))
    out = tg.einsum(equation, *xs)
    assert out.shape == expected.shape
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-12)
    check_grads(lambda *a: tg.einsum(equation, *a), *xs)


def test_einsum_of_one_tensor_with_itself() -> None:
    check_grads(lambda x: tg.einsum("ij,kj->ik", x, x), tg.tensor(sample((2, 3), 0)), order=3)


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda: tg.zeros(2, 3) @ tg.zeros(4, 5), r"matmul.*\(2, 3\).*\(4, 5\).*multiplied"),
        (lambda: tg.zeros(3) @ tg.zeros(4), r"matmul.*\(3,\).*\(4,\)"),
        (lambda: tg.zeros(2, 2, 3) @ tg.zeros(3, 3, 4), r"matmul.*\(2, 2, 3\).*\(3, 3, 4\)"),
        (lambda: tg.zeros(()) @ tg.zeros(3), r"matmul.*\(\).*\(3,\)"),
        (lambda: tg.zeros(2, 2) @ tg.zeros(2, 2, dtype=tg.float64), "dtype.*float32.*float64"),
        (lambda: ops.mm(tg.zeros(3), tg.zeros(3, 2)), r"mm.*\(3,\)"),
        (lambda: ops.bmm(tg.zeros(2, 3, 4), tg.zeros(3, 4, 5)), r"bmm.*\(2, 3, 4\).*\(3, 4, 5\)"),
        (lambda: ops.dot(tg.zeros(3), tg.zeros(4)), r"dot.*\(3,\).*\(4,\)"),
        (lambda: ops.outer(tg.zeros(3, 1), tg.zeros(4)), r"outer.*\(3, 1\)"),
        (lambda: ops.linear(tg.zeros(2, 3), tg.zeros(4, 5)), r"linear.*\(2, 3\).*\(4, 5\)"),
        (lambda: ops.linear(tg.zeros(2, 3), tg.zeros(4, 3), tg.zeros(3)), r"linear.*bias.*\(3,\)"),
        (lambda: tg.einsum("ij,jk->ik", tg.zeros(2, 3), tg.zeros(4, 5)), "einsum.*'j'.*3 and 4"),
        (lambda: tg.einsum("ij->ik", tg.zeros(2, 3)), "einsum.*output"),
        (lambda: tg.einsum("ijk->i", tg.zeros(2, 3)), r"einsum.*ijk.*\(2, 3\)"),
        (lambda: tg.einsum("ij,jk", tg.zeros(2, 3)), "einsum.*2 operands, got 1"),
    ],
)
def test_errors(f: Any, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        f()


def test_matmul_of_something_else_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="matmul"):
        tg.zeros(2, 2) @ 3.0
