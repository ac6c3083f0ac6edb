"""Writing at indices and counting: NumPy's answer in a loop, gradients to order 2, bad input."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import Tensor
from tinygen.testing import check_grads, sample, tensors

Case = tuple[Tensor, int, Tensor, Tensor]


@st.composite
def scatters(draw: Any, distinct: bool) -> Case:
    """x, dim, an index that fits (no place twice, if distinct), and a src that is as large."""
    x = draw(tensors(min_dims=1, max_dims=3, min_side=1))
    dim = draw(st.integers(-x.ndim, x.ndim - 1))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    places = (
        rng.random(x.shape).argsort(dim) if distinct else rng.integers(0, x.shape[dim], x.shape)
    )
    index = places[tuple(slice(draw(st.integers(0, n))) for n in x.shape)]
    src = sample([n + draw(st.integers(0, 1)) for n in index.shape], 5).astype(np.float32)
    return x, dim, tg.tensor(index), tg.tensor(src)


def places(case: Case) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Where in src, and where in x."""
    _, dim, index, _ = case
    for at in np.ndindex(index.shape):
        to = list(at)
        to[dim] = index[at].item()
        yield at, tuple(to)


@given(scatters(distinct=True))
def test_scatter(case: Case) -> None:
    x, dim, index, src = case
    expected, filled = x.numpy().copy(), x.numpy().copy()
    for at, to in places(case):
        expected[to], filled[to] = src[at].item(), 2.5
    np.testing.assert_array_equal(x.scatter(dim, index, src).numpy(), expected)
    np.testing.assert_array_equal(x.scatter(dim, index, 2.5).numpy(), filled)
    np.testing.assert_array_equal(x.clone().scatter_(dim, index, src).numpy(), expected)
    check_grads(lambda v, w: v.scatter(dim, index, w), x, src)
    check_grads(lambda v: v.scatter(dim, index, value=2.5), x)


@pytest.mark.parametrize("reduce", ["add", "multiply"])
@given(case=scatters(distinct=False))
def test_scatter_that_reduces(reduce: str, case: Case) -> None:
    x, dim, index, src = case
    expected = x.numpy().astype(np.float64)
    for at, to in places(case):
        value = src[at].item()
        expected[to] = expected[to] + value if reduce == "add" else expected[to] * value
    out = x.scatter(dim, index, src, reduce=reduce)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-5, atol=1e-6)
    check_grads(lambda v, w: v.scatter(dim, index, w, reduce=reduce), x, src)


def test_of_equal_places_one_stays_and_gets_the_gradient() -> None:
    src = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    out = tg.zeros(2).scatter(0, tg.tensor([1, 1, 0]), src)
    out.sum().backward()
    assert out.tolist() == [3.0, 2.0] and src.grad.tolist() == [0.0, 1.0, 1.0]


@given(x=tensors(min_dims=1, max_dims=3, min_side=1), data=st.data())
def test_slices_along_a_dimension(x: Tensor, data: Any) -> None:
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    n, d = x.shape[dim], dim % x.ndim
    some = st.lists(st.integers(0, n - 1), max_size=4)
    repeated = np.array(data.draw(some), dtype=np.int64)
    different = np.array(data.draw(st.lists(st.integers(0, n - 1), unique=True)), dtype=np.int64)

    def source(count: int) -> Tensor:
        shape = (*x.shape[:d], count, *x.shape[d + 1 :])
        return tg.tensor(sample(shape, 4).astype(np.float32))

    added, filled, copied = (np.moveaxis(x.numpy().copy(), dim, 0) for _ in range(3))
    y, z = source(len(repeated)), source(len(different))
    np.add.at(added, repeated, np.moveaxis(y.numpy(), dim, 0) * np.float32(-2))
    filled[repeated], copied[different] = 7.0, np.moveaxis(z.numpy(), dim, 0)
    i, j = tg.tensor(repeated), tg.tensor(different)
    for out, expected in (
        (x.index_add(dim, i, y, alpha=-2), added),
        (x.index_fill(dim, i, 7.0), filled),
        (x.index_copy(dim, j, z), copied),
        (x.clone().index_copy_(dim, j, z), copied),
    ):
        np.testing.assert_allclose(np.moveaxis(out.numpy(), dim, 0), expected, rtol=1e-6)
    check_grads(lambda v, w: v.index_add(dim, i, w, alpha=-2), x, y)
    check_grads(lambda v: v.index_fill(dim, i, 7.0), x)
    check_grads(lambda v, w: v.index_fill(dim, i, w), x, tg.tensor(0.5))
    check_grads(lambda v, w: v.index_copy(dim, j, w), x, z)


@given(x=tensors(min_dims=1, max_dims=3, min_side=1), data=st.data())
def test_anywhere(x: Tensor, data: Any) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    flat = tg.tensor(rng.integers(-x.numel(), x.numel(), (2, 3)))
    np.testing.assert_array_equal(x.take(flat).numpy(), x.numpy().reshape(-1)[flat.numpy()])
    check_grads(lambda v: v.take(flat), x)

    at = tuple(tg.tensor(rng.integers(0, n, 4)) for n in x.shape)
    values, expected = tg.tensor(sample((4,), 1).astype(np.float32)), x.numpy().copy()
    np.add.at(expected, tuple(i.numpy() for i in at), values.numpy())
    out = x.index_put(at, values, accumulate=True)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-6)
    check_grads(lambda v, w: v.index_put(at, w, accumulate=True), x, values)
    check_grads(lambda v, w: v.index_put(at[:1], w), x, tg.tensor(0.5))

    mask, source = x > 0.3, tg.tensor(sample((x.numel() + 1,), 2).astype(np.float32))
    expected = x.numpy().copy()
    expected[mask.numpy()] = source.numpy()[: int(mask.sum())]
    np.testing.assert_array_equal(x.masked_scatter(mask, source).numpy(), expected)
    check_grads(lambda v, w: v.masked_scatter(mask, w), x, source)


# --- counting ---------------------------------------------------------------------------------

NUMBERS = st.lists(st.integers(-4, 4), max_size=6)


@given(NUMBERS, NUMBERS, st.booleans())
def test_searchsorted_as_numpy(sequence: list[int], values: list[int], right: bool) -> None:
    a, v = np.sort(np.array(sequence, float)), np.array(values, float)
    side = "right" if right else "left"
    expected = np.searchsorted(a, v, side).tolist()
    order = tg.tensor(np.argsort(sequence), dtype=tg.int64)
    keys, x = tg.tensor(a), tg.tensor(v)
    unsorted = tg.tensor(np.array(sequence, float))
    assert tg.searchsorted(keys, x, right=right).tolist() == expected
    assert tg.searchsorted(keys, x, side=side).tolist() == expected
    assert tg.searchsorted(unsorted, x, right=right, sorter=order).tolist() == expected
    assert tg.bucketize(x, keys, right=right).tolist() == expected
    rows = tg.searchsorted(tg.stack([keys, keys + 1]), tg.stack([x, x]), right=right)
    assert rows.tolist() == [expected, np.searchsorted(a + 1, v, side).tolist()]


def test_what_searchsorted_gives() -> None:
    keys = tg.tensor([1.0, 3.0])
    assert tg.searchsorted(keys, 2.0).item() == 1 and tg.searchsorted(keys, 2.0).shape == ()
    assert tg.searchsorted(keys, keys, out_int32=True).dtype == tg.int32
    nan = tg.tensor([float("nan")])
    assert tg.searchsorted(keys, nan).tolist() == [2]
    assert tg.searchsorted(keys[None], nan[None]).tolist() == [[2]]


@given(st.lists(st.integers(0, 6), max_size=8), st.integers(0, 9))
def test_bincount_as_numpy(values: list[int], minlength: int) -> None:
    x = tg.tensor(values, dtype=tg.int64)
    assert tg.bincount(x, minlength=minlength).tolist() == (
        np.bincount(np.array(values, int), minlength=minlength).tolist()
    )
    w = sample((len(values),), 1)
    out = x.bincount(tg.tensor(w), minlength)
    np.testing.assert_allclose(out.numpy(), np.bincount(np.array(values, int), w, minlength))


@given(st.lists(st.sampled_from([0.0, 1.0, -2.0, float("nan")]), max_size=6))
def test_unique(values: list[float]) -> None:
    x = tg.tensor(values)
    out, inverse, counts = tg.unique(x, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(out[inverse].numpy(), x.numpy())
    assert counts.sum() == len(values)
    finite = sorted({v for v in values if v == v})
    nans = [v for v in values if v != v]  # each differs from the others
    np.testing.assert_array_equal(out.numpy(), np.array(finite + nans, np.float32))


def test_unique_rows() -> None:
    x = tg.tensor([[1, 2], [0, 5], [1, 2]])
    rows, inverse = x.unique(return_inverse=True, dim=0)
    assert rows.tolist() == [[0, 5], [1, 2]] and inverse.tolist() == [1, 0, 1]
    assert x.unique(return_inverse=True)[1].shape == x.shape


# --- uint8 ------------------------------------------------------------------------------------


def test_a_uint8_index_is_a_mask_with_a_warning() -> None:
    x, mask = tg.arange(4), tg.tensor([1, 0, 2, 0], dtype=tg.uint8)
    with pytest.warns(UserWarning, match="uint8 is now deprecated") as caught:
        assert x[mask].tolist() == [0, 2]
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="uint8 is now deprecated") as caught:
        x[mask] = 9
    assert caught[0].filename == __file__
    assert x.tolist() == [9, 1, 9, 3]


def test_what_takes_labels_takes_uint8_labels() -> None:
    labels = tg.tensor([2, 0], dtype=tg.uint8)
    x, weight = tg.tensor(sample((2, 3), 1)), tg.tensor([1.0, 2.0, 4.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for f in (F.cross_entropy, F.nll_loss):
            assert f(x, labels, weight).item() == f(x, labels.long(), weight).item()
        smooth = F.cross_entropy(x, labels, weight, label_smoothing=0.1)
        assert (
            smooth.item() == F.cross_entropy(x, labels.long(), weight, label_smoothing=0.1).item()
        )
        assert F.embedding(labels, weight[:, None]).tolist() == [[4.0], [1.0]]
        assert weight.index_select(0, labels).tolist() == [4.0, 1.0]
        assert tg.bincount(labels).tolist() == [1, 0, 1]


# --- bad input --------------------------------------------------------------------------------

X, I = tg.zeros(2, 3), tg.tensor([[0, 2], [1, 1]])
ERRORS: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: X.scatter(1, I + 2, 1.0), IndexError, "scatter: index out of bounds.*2..4.*size 3"),
    (lambda: X.scatter(1, I, X[:1]), RuntimeError, r"scatter: an index of shape \(2, 2\) .*\(1, 3"),
    (lambda: X.scatter(1, I), TypeError, "scatter: expected a Tensor or a number as src, got None"),
    (lambda: X.scatter(1, I, 1.0, reduce="mean"), RuntimeError, "'add' or 'multiply', got 'mean'"),
    (lambda: X.scatter(1, I.float(), 1.0), RuntimeError, "scatter: expected an index of integers"),
    (lambda: X.index_add(1, I, X), RuntimeError, "index_add: expected a 1-D index of integers"),
    (lambda: X.index_add(1, I[0], X), RuntimeError, r"expected a source of shape \(2, 2"),
    (lambda: X.index_copy(0, I[0], X.double()), RuntimeError, "index_copy: .*float32.*float64"),
    (lambda: X.index_copy(0, I[0], X), IndexError, "out of bounds"),
    (lambda: X.index_fill(0, I[1], X), RuntimeError, "index_fill: expected a number as value"),
    (lambda: X.masked_scatter(X, X), RuntimeError, "masked_scatter: expected a bool mask"),
    (lambda: X.masked_scatter(X == 0, X[0]), RuntimeError, "the mask has 6 True, the source 3"),
    (lambda: X.take(tg.tensor([6])), IndexError, "out of bounds"),
    (lambda: X.take(X), RuntimeError, "take: expected an index of integers, got float32"),
    (lambda: tg.searchsorted(X, X[0]), RuntimeError, r"searchsorted: expected .*\(2, 3\) and \(3,"),
    (lambda: tg.searchsorted(X, X, right=True, side="left"), RuntimeError, "do not go together"),
    (lambda: tg.bucketize(X, X), RuntimeError, "bucketize: expected a vector of boundaries"),
    (lambda: tg.bincount(I), RuntimeError, r"bincount: expected a vector of integers.*\(2, 2\)"),
    (lambda: tg.bincount(-I[0]), RuntimeError, "bincount: expected integers >= 0, got -2"),
    (lambda: tg.bincount(I[0], X[0]), RuntimeError, r"bincount: weights \(3,\) for .*\(2,\)"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), ERRORS)
def test_errors(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
