"""Indexing: NumPy's answer for every kind of index, its gradient to order 2, assignment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import Tensor, ops
from tinygen.testing import check_grads, lay_out, sample, tensors

MASK = np.array([[True, False, True], [False, True, False]])
INDICES: dict[str, Any] = {
    # on shape (2, 3, 4)
    "int": 1,
    "negative int": -1,
    "slice": slice(0, 1),
    "step": (slice(None), slice(0, 3, 2)),
    "ellipsis": (..., 2),
    "none": (None, slice(None), None, 1),
    "many": (1, slice(1, 3), None, ..., slice(None, None, 2)),
    "full tuple": (1, 2, 3),
    "list": [1, 0, 1],
    "list in tuple": (slice(None), [2, 0, 2, 2]),
    "negative list": (slice(None), slice(None), [-1, -4]),
    "array": np.array([[0, 1], [1, 1]]),
    "two arrays": (np.array([0, 1, 1]), np.array([2, 0, 0])),
    "two arrays apart": (np.array([0, 1, 1]), slice(None), np.array([2, 0, 0])),
    "arrays broadcast": (np.array([[0], [1]]), np.array([2, 0, 0])),
    "array and none": (np.array([1, 0]), None),
    "mask": MASK,
    "full mask": np.arange(24).reshape(2, 3, 4) % 3 == 0,
    "mask in tuple": (slice(None), np.array([True, False, True])),
    "mask as list": [True, False],
    "mask of nothing": np.zeros((2, 3), dtype=bool),
    "empty list": [],
    "empty slice": slice(2, 2),
}


def as_tensors(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(as_tensors(part) for part in index)
    return tg.tensor(index) if isinstance(index, np.ndarray) else index


def for_numpy(index: Any) -> Any:
    return np.array(index, dtype=None if index else int) if isinstance(index, list) else index


@pytest.mark.parametrize("name", INDICES)
@given(x=tensors((2, 3, 4)))
def test_getitem(name: str, x: Tensor) -> None:
    index = INDICES[name]
    expected = x.numpy()[for_numpy(index)]
    for form in (index, as_tensors(index)):
        out = x[form]
        assert out.shape == expected.shape and out.dtype == tg.float32
        np.testing.assert_array_equal(out.numpy(), expected)
    check_grads(lambda v: v[as_tensors(index)], x)


@pytest.mark.parametrize("name", INDICES)
def test_setitem(name: str) -> None:
    """In place without a tape; with one, the gradient of the old and of the new values is right."""
    index = INDICES[name]
    x = tg.tensor(sample((2, 3, 4), 1))
    expected, shape = x.numpy().copy(), x[as_tensors(index)].shape
    value = tg.tensor(sample(shape, 2))
    repeats = "list" in name or "array" in name
    if not repeats:
        expected[for_numpy(index)] = value.numpy()
        x[as_tensors(index)] = value
        np.testing.assert_array_equal(x.numpy(), expected)

        def assigned(v: Tensor, w: Tensor) -> Tensor:
            out = v * 1.0
            out[as_tensors(index)] = w
            return out

        check_grads(assigned, x, value)
    x[as_tensors(index)] = 7.0
    expected[for_numpy(index)] = 7.0
    np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 1), (2, 3, 4)])
def test_assigned_values_broadcast(shape: tuple[int, ...]) -> None:
    def assigned(v: Tensor, w: Tensor) -> Tensor:
        out = v.clone()
        out[:] = w
        return out * out

    check_grads(assigned, tg.tensor(sample((2, 3, 4), 1)), tg.tensor(sample(shape, 2)))


def test_repeated_indices_add_up_in_the_gradient() -> None:
    x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    x[[0, 0, 2, 0]].backward(tg.tensor([1.0, 10.0, 5.0, 100.0]))
    assert x.grad.tolist() == [111.0, 0.0, 5.0]


@pytest.mark.parametrize("name", INDICES)
def test_gradients_of_several_parts_add_up(name: str) -> None:
    """The later ones are added to the first's in place; recorded, they are ops as any other."""
    x, indices = tg.randn(2, 3, 4).requires_grad_(), [INDICES[name], 0, INDICES[name], (..., 1)]
    parts = [x[index] for index in indices]
    us = [tg.randn(*part.shape) for part in parts]
    expected = np.zeros((2, 3, 4))
    for index, u in zip(indices, us, strict=True):
        np.add.at(expected, index, u.numpy())
    before = [u.numpy().copy() for u in us]
    for recorded in (False, True):
        (g,) = tg.autograd.grad(parts, [x], us, retain_graph=True, create_graph=recorded)
        np.testing.assert_allclose(g.numpy(), expected, rtol=1e-6, atol=1e-6)
    assert all(np.array_equal(u.numpy(), b) for u, b in zip(us, before, strict=True))


def test_basic_indices_give_views_and_others_copies() -> None:
    x = tg.zeros(3, 4)
    with tg.no_grad():
        x[1].fill_(5.0)
        x[:, 2:].add_(1.0)
        x[[0]].add_(100.0)
        x[x > 50] = 0
    assert x.tolist() == [[0, 0, 1, 1], [5, 5, 6, 6], [0, 0, 1, 1]]


@pytest.mark.parametrize("layout", ["plain", "transposed", "strided", "reversed"])
def test_layouts(layout: str) -> None:
    values = sample((2, 3, 4), 1)
    x = tg.from_numpy(lay_out(values, layout))
    for index in INDICES.values():
        np.testing.assert_array_equal(x[index].numpy(), values[for_numpy(index)])
        check_grads(lambda v, index=index: v[index], x)


@st.composite
def gathers(draw: Any) -> tuple[Tensor, int, Tensor]:
    x = draw(tensors(min_dims=1, max_dims=3, min_side=1))
    dim = draw(st.integers(-x.ndim, x.ndim - 1))
    shape = [draw(st.integers(0, n)) for n in x.shape]
    shape[dim] = draw(st.integers(0, 4))
    index = np.random.default_rng(draw(st.integers(0, 99))).integers(0, x.shape[dim], shape)
    return x, dim, tg.tensor(index)


@given(gathers())
def test_gather_and_scatter_add(case: tuple[Tensor, int, Tensor]) -> None:
    x, dim, index = case
    out = x.gather(dim, index)
    part = x.numpy()[
        tuple(slice(None) if d == dim % x.ndim else slice(n) for d, n in enumerate(index.shape))
    ]
    np.testing.assert_array_equal(out.numpy(), np.take_along_axis(part, index.numpy(), dim))
    check_grads(lambda v: v.gather(dim, index), x)
    src = tg.tensor(sample(index.shape, 5).astype(np.float32))
    total = ops.scatter_add(x, dim, index, src)
    assert total.sum().item() == pytest.approx(x.sum().item() + src.sum().item(), abs=1e-3)
    check_grads(lambda v, w: ops.scatter_add(v, dim, index, w), x, src)


@given(x=tensors(min_dims=1, max_dims=3, min_side=1), data=st.data())
def test_index_select(x: Tensor, data: st.DataObject) -> None:
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    index = data.draw(st.lists(st.integers(0, x.shape[dim] - 1), max_size=5))
    chosen = tg.tensor(np.array(index, dtype=int))
    out = x.index_select(dim, chosen)
    np.testing.assert_array_equal(out.numpy(), np.take(x.numpy(), np.array(index, int), axis=dim))
    check_grads(lambda v: v.index_select(dim, chosen), x)


@given(x=tensors(max_dims=3))
def test_masked_fill_and_select(x: Tensor) -> None:
    mask = x > 0.3
    a, m = x.numpy(), mask.numpy()
    np.testing.assert_array_equal(x.masked_fill(mask, -1.0).numpy(), np.where(m, np.float32(-1), a))
    check_grads(lambda v: v.masked_fill(mask, -1.0), x)
    np.testing.assert_array_equal(ops.masked_select(x, mask).numpy(), a[m].reshape(-1))
    check_grads(lambda v: ops.masked_select(v, mask), x)


def test_masked_fill_with_infinity_leaves_gradients_finite() -> None:
    x = tg.tensor([[1.0, 2.0, 3.0]], requires_grad=True)
    mask = tg.tensor([[False, True, False]])
    x.masked_fill(mask, -float("inf")).softmax(1).backward(tg.tensor([[1.0, 2.0, 3.0]]))
    assert np.isfinite(x.grad.numpy()).all() and x.grad[0, 1].item() == 0


def test_one_hot_and_nonzero() -> None:
    x = tg.tensor([[2, 0], [1, 1]])
    np.testing.assert_array_equal(ops.one_hot(x).numpy(), np.eye(3, dtype=int)[x.numpy()])
    np.testing.assert_array_equal(ops.one_hot(x, 5).numpy(), np.eye(5, dtype=int)[x.numpy()])
    assert ops.one_hot(x).dtype == tg.int64
    assert ops.nonzero(x).tolist() == [[0, 0], [1, 0], [1, 1]]
    rows, columns = tg.where(x > 0)
    assert rows.tolist() == [0, 1, 1] and columns.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("f", "kind", "words"),
    [
        (lambda x: x[5], IndexError, r"out of bounds.*\(2, 3\)"),
        (lambda x: x[0, 0, 0], IndexError, r"too many indices.*\(2, 3\)"),
        (lambda x: x[tg.tensor([0.5])], IndexError, "integers or bools.*float32"),
        (lambda x: x[[7]], IndexError, r"out of bounds.*\(2, 3\)"),
        (lambda x: x[tg.tensor([True, False, True])], IndexError, r"bool.*\(2, 3\)"),
        (lambda x: x.gather(1, tg.tensor([[3]])), (IndexError, RuntimeError), "out of bounds.*3"),
        (lambda x: x.gather(1, tg.tensor([0])), RuntimeError, r"gather.*\(1,\).*\(2, 3\)"),
        (lambda x: x.gather(1, tg.tensor([[0.0]])), RuntimeError, "gather.*integers"),
        (lambda x: x.index_select(0, tg.tensor([[0]])), RuntimeError, "index_select.*1-D"),
        (lambda x: x.index_select(0, tg.tensor([2])), IndexError, "out of bounds"),
        (lambda x: x.masked_fill(x, 0.0), RuntimeError, "masked_fill.*bool"),
        (lambda x: ops.one_hot(tg.tensor([3]), 2), RuntimeError, "one_hot.*0..1"),
        (lambda x: ops.one_hot(x), RuntimeError, "one_hot.*integer"),
        (lambda x: x.__setitem__(slice(0, 1), tg.zeros(2, 2)), (ValueError, RuntimeError),
         r"\(2, 3\)"),
        (lambda x: x.__setitem__(9, 0.0), IndexError, "out of bounds"),
    ],
)  # fmt: skip
def test_errors(f: Any, kind: Any, words: str) -> None:
    with pytest.raises(kind, match=words):
        f(tg.zeros(2, 3))
