"""Reductions: values against float64 NumPy over any dims, gradients to order 2, ties, empties."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import Tensor, ops
from tinygen.testing import check_grads, lay_out, sample, tensors

LAYOUTS = ["plain", "transposed", "strided", "reversed"]


def logsumexp(a: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
    return np.log(np.sum(np.exp(a), axis=axis, keepdims=keepdims))


REDUCTIONS: dict[str, Callable] = {
    "sum": np.sum,
    "mean": np.mean,
    "var": lambda a, axis, keepdims: np.var(a, axis=axis, keepdims=keepdims, ddof=1),
    "std": lambda a, axis, keepdims: np.std(a, axis=axis, keepdims=keepdims, ddof=1),
    "amax": np.max,
    "amin": np.min,
    "logsumexp": logsumexp,
    "norm": lambda a, axis, keepdims: np.sqrt(np.sum(a * a, axis=axis, keepdims=keepdims)),
    "nansum": np.sum,
    "nanmean": np.mean,
}


@st.composite
def reducible(draw: Callable) -> tuple[Tensor, tuple[int, ...], bool]:
    """A tensor of distinct values, some of its dimensions (two elements at least), keepdim."""
    shape = draw(st.lists(st.integers(2, 4), min_size=1, max_size=3).map(tuple))
    x = draw(tensors(shape, low=-2, high=2, distinct=True))
    dims = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    back = draw(st.booleans())
    return x, tuple(d - len(shape) if back else d for d in dims), draw(st.booleans())


@pytest.mark.parametrize("name", REDUCTIONS)
@given(case=reducible())
def test_values_and_gradients(name: str, case: tuple) -> None:
    x, dims, keepdim = case
    expected = REDUCTIONS[name](x.numpy().astype(np.float64), axis=dims, keepdims=keepdim)
    out = getattr(x, name)(dim=dims, keepdim=keepdim)
    assert out.shape == expected.shape and out.dtype == tg.float32
    np.testing.assert_allclose(out.numpy(), expected, rtol=2e-5, atol=2e-5)
    same = getattr(x, name)(axis=dims, keepdims=keepdim)
    assert same.shape == out.shape and same.tolist() == out.tolist()
    check_grads(lambda v: getattr(v, name)(dim=dims, keepdim=keepdim), x)


@pytest.mark.parametrize("name", ["sum", "mean", "var", "std", "amax", "amin", "norm", "prod"])
@given(x=tensors(min_dims=1, min_side=2, max_dims=3, distinct=True))
def test_over_everything(name: str, x: Tensor) -> None:
    a = x.numpy().astype(np.float64)
    exact = {**REDUCTIONS, "prod": np.prod}[name]
    expected = exact(a, axis=None, keepdims=False)
    out = getattr(x, name)()
    assert out.shape == ()
    np.testing.assert_allclose(out.item(), expected, rtol=3e-5, atol=1e-5)
    check_grads(lambda v: getattr(v, name)(), x)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", [*REDUCTIONS, "softmax", "log_softmax", "cumsum"])
def test_layouts(name: str, layout: str) -> None:
    values = sample((3, 4), 3, distinct=True)
    x, y = tg.from_numpy(lay_out(values, layout)), tg.tensor(values)
    np.testing.assert_allclose(
        getattr(x, name)(dim=1).numpy(), getattr(y, name)(dim=1).numpy(), rtol=1e-14
    )
    check_grads(lambda v: getattr(v, name)(dim=1), x)


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin", "norm", "prod"])
def test_scalars(name: str) -> None:
    x = tg.tensor(1.5)
    assert getattr(x, name)().item() == 1.5
    check_grads(lambda v: getattr(v, name)(), x)


@pytest.mark.parametrize(("correction", "expected"), [(0, 1.25), (1, 5 / 3), (2, 2.5)])
def test_corrections(correction: int, expected: float) -> None:
    x = tg.tensor([1.0, 2.0, 3.0, 4.0])
    assert x.var(correction=correction).item() == pytest.approx(expected)
    assert x.std(correction=correction).item() == pytest.approx(expected**0.5)
    assert x.var(unbiased=bool(correction)).item() == pytest.approx([1.25, 5 / 3][correction > 0])
    check_grads(lambda v: v.var(0, correction=correction), x)


def test_empty() -> None:
    x = tg.zeros(0, 3, requires_grad=True)
    assert x.sum().item() == 0 and x.prod().item() == 1 and x.sum(0).tolist() == [0, 0, 0]
    assert np.isnan(x.mean().item()) and x.sum(1).shape == (0,)
    assert x.logsumexp(0).tolist() == [-np.inf] * 3
    assert x.softmax(1).shape == x.softmax(0).shape == (0, 3)
    assert x.amax(1).shape == (0,) and x.cumsum(0).shape == (0, 3)
    (g,) = tg.autograd.grad(x.sum() + x.sum(0).sum() + x.prod(), x)
    assert g.shape == (0, 3)
    for name in ("amax", "amin", "argmax", "argmin"):
        with pytest.raises(IndexError, match=f"{name}.*at least one element"):
            getattr(x, name)(dim=0)


# --- products and running sums --------------------------------------------------------------------


@given(x=tensors(min_dims=1, max_dims=3, min_side=1), data=st.data())
def test_prod_cumsum_cumprod(x: Tensor, data: st.DataObject) -> None:
    dim, a = data.draw(st.integers(-x.ndim, x.ndim - 1)), x.numpy().astype(np.float64)
    for name, exact in [("prod", np.prod), ("cumsum", np.cumsum), ("cumprod", np.cumprod)]:
        np.testing.assert_allclose(
            getattr(ops, name)(x, dim).numpy(), exact(a, axis=dim), rtol=1e-4, atol=1e-5
        )
        check_grads(lambda v, name=name: getattr(ops, name)(v, dim), x)


@pytest.mark.parametrize("zeros", [1, 2])
def test_prod_with_zeros(zeros: int) -> None:
    x = tg.tensor([2.0, 0.0, 3.0, 0.0, 5.0][: 2 + zeros] + [7.0])
    check_grads(lambda v: v.prod(), x, order=3)
    check_grads(lambda v: ops.cumprod(v, 0), x)


# --- softmax and its kin --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@given(x=tensors(min_dims=1, max_dims=3, min_side=1), data=st.data())
def test_softmax(name: str, x: Tensor, data: st.DataObject) -> None:
    dim, a = data.draw(st.integers(-x.ndim, x.ndim - 1)), x.numpy().astype(np.float64)
    expected = np.exp(a) / np.exp(a).sum(dim, keepdims=True)
    expected = np.log(expected) if name == "log_softmax" else expected
    np.testing.assert_allclose(getattr(x, name)(dim).numpy(), expected, rtol=1e-5, atol=1e-6)
    check_grads(lambda v: getattr(v, name)(dim), x)


@pytest.mark.filterwarnings("error")
def test_softmax_and_logsumexp_far_out() -> None:
    x = tg.tensor([[1e4, 0.0], [-1e4, -1e4]], requires_grad=True)
    assert x.softmax(1).tolist() == [[1, 0], [0.5, 0.5]]
    assert x.logsumexp(1).tolist() == [1e4, pytest.approx(-1e4 + np.log(2))]
    (g,) = tg.autograd.grad(x.logsumexp(1).sum() + x.log_softmax(1)[0, 0], x)
    assert np.isfinite(g.numpy()).all()


def test_a_cotangent_of_ones_would_prove_nothing_about_softmax() -> None:
    x = tg.randn(3, 5, dtype=tg.float64, requires_grad=True)
    (g,) = tg.autograd.grad(x.softmax(1).sum(), x)
    assert np.abs(g.numpy()).max() < 1e-15


# --- extrema --------------------------------------------------------------------------------------


def gradient(f: Callable[[Tensor], Tensor], values: list) -> list:
    x = tg.tensor(values, requires_grad=True)
    return tg.autograd.grad(f(x), x)[0].tolist()


def test_ties_are_split_evenly_by_amax_and_go_to_the_first_by_max_dim() -> None:
    tied = [1.0, 3.0, 3.0]
    assert gradient(lambda x: x.amax(), tied) == [0, 0.5, 0.5]
    assert gradient(lambda x: x.amax(0), tied) == [0, 0.5, 0.5]
    assert gradient(lambda x: x.max(), tied) == [0, 0.5, 0.5]
    assert gradient(lambda x: x.max(0).values, tied) == [0, 1, 0]
    tied = [1.0, 1.0, 3.0]
    assert gradient(lambda x: x.amin(0), tied) == [0.5, 0.5, 0]
    assert gradient(lambda x: x.min(), tied) == [0.5, 0.5, 0]
    assert gradient(lambda x: x.min(0).values, tied) == [1, 0, 0]
    assert gradient(lambda x: x.amax((0, 1)), [[2.0, 2.0], [2.0, 2.0]]) == [[0.25, 0.25]] * 2


@pytest.mark.parametrize("name", ["max", "min"])
@given(x=tensors(min_dims=1, max_dims=3, min_side=1, distinct=True), data=st.data())
def test_max_and_min_along_a_dim(name: str, x: Tensor, data: st.DataObject) -> None:
    dim, keepdim = data.draw(st.integers(-x.ndim, x.ndim - 1)), data.draw(st.booleans())
    values, indices = getattr(x, name)(dim, keepdim=keepdim)
    arg = {"max": np.argmax, "min": np.argmin}[name](x.numpy(), axis=dim, keepdims=keepdim)
    best = {"max": np.max, "min": np.min}[name](x.numpy(), axis=dim, keepdims=keepdim)
    np.testing.assert_array_equal(indices.numpy(), arg)
    np.testing.assert_array_equal(values.numpy(), best)
    assert indices.dtype == tg.int64
    np.testing.assert_array_equal(getattr(x, f"arg{name}")(dim, keepdim=keepdim).numpy(), arg)
    check_grads(lambda v: getattr(v, name)(dim, keepdim=keepdim).values, x)


def test_argmax_of_everything_and_of_ties() -> None:
    x = tg.tensor([[1, 5], [5, 0]])
    assert x.argmax().item() == 1 and x.argmin().item() == 3
    assert tg.tensor([2.0, 2.0]).argmax(0).item() == 0


@pytest.mark.parametrize("dim", [None, 0, (0, 1), -1])
def test_all_any(dim: object) -> None:
    a = np.array([[True, False], [True, True]])
    x = tg.tensor(a)
    for name in ("all", "any"):
        out = getattr(x, name)(dim) if dim is not None else getattr(x, name)()
        assert out.dtype == tg.bool
        np.testing.assert_array_equal(out.numpy(), getattr(np, name)(a, axis=dim))


@given(
    x=tensors(min_dims=1, max_dims=3, min_side=1, distinct=True), data=st.data(), down=st.booleans()
)
def test_sort_and_topk(x: Tensor, data: st.DataObject, down: bool) -> None:
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    expected = np.sort(x.numpy(), axis=dim)
    expected = np.flip(expected, dim) if down else expected
    values, indices = x.sort(dim, descending=down)
    np.testing.assert_array_equal(values.numpy(), expected)
    np.testing.assert_array_equal(np.take_along_axis(x.numpy(), indices.numpy(), dim), expected)
    k = data.draw(st.integers(0, x.shape[dim]))
    top, where = x.topk(k, dim, largest=down)
    np.testing.assert_array_equal(top.numpy(), np.take(expected, range(k), axis=dim))
    np.testing.assert_array_equal(np.take_along_axis(x.numpy(), where.numpy(), dim), top.numpy())
    check_grads(lambda v: v.sort(dim, descending=down).values, x)
    if k:
        check_grads(lambda v: v.topk(k, dim, largest=down).values, x)


def test_sort_is_stable_both_ways() -> None:
    x = tg.tensor([1.0, 0.0, 1.0, 0.0])
    assert x.sort(stable=True).indices.tolist() == [1, 3, 0, 2]
    assert x.sort(descending=True, stable=True).indices.tolist() == [0, 2, 1, 3]


# --- in order, and running ------------------------------------------------------------------------


@given(x=tensors(min_dims=1, max_dims=3, min_side=1, distinct=True), data=st.data())
def test_kthvalue_and_median(x: Tensor, data: st.DataObject) -> None:
    dim, keepdim = data.draw(st.integers(-x.ndim, x.ndim - 1)), data.draw(st.booleans())
    n = x.shape[dim]
    k = data.draw(st.integers(1, n))
    ordered = np.sort(x.numpy(), axis=dim)
    for (values, indices), place in (
        (x.kthvalue(k, dim, keepdim), k - 1), (x.median(dim, keepdim), (n - 1) // 2)
    ):  # fmt: skip
        exact = np.take(ordered, [place] if keepdim else place, axis=dim)
        np.testing.assert_array_equal(values.numpy(), exact)
        kept = indices.numpy() if keepdim else np.expand_dims(indices.numpy(), dim)
        found = np.take_along_axis(x.numpy(), kept, dim)
        np.testing.assert_array_equal(found, values.numpy().reshape(found.shape))
    assert x.median().item() == np.sort(x.numpy().reshape(-1))[(x.numel() - 1) // 2]
    check_grads(lambda v: v.kthvalue(k, dim, keepdim).values, x)
    check_grads(lambda v: v.median(dim).values, x)
    check_grads(lambda v: v.median(), x)


@pytest.mark.parametrize("interpolation", ["linear", "lower", "higher", "nearest", "midpoint"])
@given(x=tensors(min_dims=1, max_dims=3, min_side=1, distinct=True), data=st.data())
def test_quantile(interpolation: str, x: Tensor, data: st.DataObject) -> None:
    dim = data.draw(st.sampled_from([None, *range(-x.ndim, x.ndim)]))
    keepdim = data.draw(st.booleans())
    q = data.draw(st.sampled_from([0.0, 0.3, 0.77, 1.0, [0.1, 0.55, 0.9]]))
    as_float64 = x.double()
    out = as_float64.quantile(tg.tensor(q).double(), dim, keepdim, interpolation=interpolation)
    exact = np.quantile(
        as_float64.numpy(), np.float32(q).astype(float), dim, method=interpolation, keepdims=keepdim
    )
    np.testing.assert_allclose(out.numpy(), exact, rtol=1e-9, atol=1e-9)
    check_grads(lambda v: v.quantile(0.3, dim, keepdim, interpolation=interpolation), x)


def test_the_slope_of_a_quantile_along_q() -> None:
    x = tg.tensor(sample((7,), 2, distinct=True))
    check_grads(lambda x, q: x.quantile(q), x, tg.tensor([0.21, 0.55]))


@given(x=tensors(min_dims=1, max_dims=3, min_side=1, distinct=True), data=st.data())
def test_running_extrema_and_logcumsumexp(x: Tensor, data: st.DataObject) -> None:
    dim, a = data.draw(st.integers(-x.ndim, x.ndim - 1)), x.numpy()
    for name, exact in [("cummax", np.maximum), ("cummin", np.minimum)]:
        values, indices = getattr(x, name)(dim)
        np.testing.assert_array_equal(values.numpy(), exact.accumulate(a, dim))
        np.testing.assert_array_equal(np.take_along_axis(a, indices.numpy(), dim), values.numpy())
        check_grads(lambda v, name=name: getattr(v, name)(dim).values, x)
    exact = np.log(np.cumsum(np.exp(a.astype(np.float64)), axis=dim))
    np.testing.assert_allclose(x.logcumsumexp(dim).numpy(), exact, rtol=1e-5, atol=1e-5)
    check_grads(lambda v: v.logcumsumexp(dim), x)


def test_running_extrema_of_ties_and_nan() -> None:
    nan = float("nan")
    assert tg.tensor([1, 1, 0, 1]).cummax(0).indices.tolist() == [0, 1, 1, 3]
    assert tg.tensor([1, 1, 0, 0]).cummin(0).indices.tolist() == [0, 1, 2, 3]
    values, indices = tg.tensor([1, nan, 5, nan, 2]).cummax(0)
    assert np.isnan(values.numpy()[1:]).all() and indices.tolist() == [0, 1, 1, 3, 3]
    assert tg.tensor(2.0).cummin(0).values.item() == 2


@pytest.mark.filterwarnings("error")
def test_logcumsumexp_far_out() -> None:
    x = tg.tensor([-1e4, 1e4, 1e4], requires_grad=True)
    out = x.logcumsumexp(0)
    assert out.tolist() == [-1e4, 1e4, pytest.approx(1e4 + np.log(2))]
    assert tg.autograd.grad(out[2], x)[0].tolist() == [0, 0.5, 0.5]


@pytest.mark.filterwarnings("error")
def test_what_counts_where_there_are_nans() -> None:
    x = tg.tensor([[1.0, float("nan"), 3.0], [float("nan")] * 3], requires_grad=True)
    assert x.nansum(1).tolist() == [4, 0] and x.nanmean(1)[0].item() == 2
    assert np.isnan(x.nanmean(1)[1].item()) and np.isnan(x.median().item())
    assert np.isnan(x.detach().median(0).values.numpy()).all()
    assert x[:, 1:].median(1).indices.tolist() == [0, 0]
    assert np.isnan(x.quantile(0.5, 1).detach().numpy()).all()
    (g,) = tg.autograd.grad(x.nansum() + x[0].nanmean(), x)
    assert g.tolist() == [[1.5, 0, 1.5], [0, 0, 0]]
    assert x.count_nonzero().item() == 6 and x.count_nonzero(1).dtype == tg.int64
    assert tg.tensor([[0, 2], [3, 4]]).count_nonzero(0).tolist() == [1, 2]


def test_two_at_once() -> None:
    x = tg.tensor(sample((3, 4), 1))
    for (first, mean), of in (
        (tg.std_mean(x, 1, False), x.std(1, False)), (tg.var_mean(x, 1, False), x.var(1, False))
    ):  # fmt: skip
        assert tg.equal(first, of) and tg.equal(mean, x.mean(1))
    std, mean = tg.std_mean(x, dim=0, correction=0, keepdim=True)
    assert std.shape == mean.shape == (1, 4)
    low, high = x.aminmax(dim=1)
    assert tg.equal(low, x.amin(1)) and tg.equal(high, x.amax(1))
    assert x.aminmax().min.item() == x.min().item()


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "cumsum", "cumprod", "mean", "prod"])
def test_a_dtype_is_taken_before_the_sum(name: str) -> None:
    for dtype in (tg.int64, tg.float16, tg.float32):
        x = (tg.tensor(sample((2, 5), 1, 1, 4))).to(dtype)
        for wanted in (tg.float16, tg.float32, tg.float64):
            out = getattr(x, name)(1, dtype=wanted)
            assert out.dtype == wanted
            assert tg.equal(out, getattr(x.to(wanted), name)(1))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: x.kthvalue(4, 1), "kthvalue: k = 4 is out of range for a dimension of size 3"),
        (lambda x: x.kthvalue(0), "kthvalue: k = 0 is out of range"),
        (lambda x: x.quantile(1.5), r"quantile: q must be in the range \[0, 1\], got 1.5"),
        (
            lambda x: x.quantile(0.5, interpolation="cubic"),
            "quantile: interpolation must be one of",
        ),
        (lambda x: x.long().quantile(0.5), "quantile: expected a floating-point tensor, got int64"),
        (lambda x: x.quantile(tg.ones(2, 2)), r"quantile: expected a number or a vector q.*2, 2"),
        (lambda x: x[:0].median(0), r"median: expected at least one element along dim 0"),
        (lambda x: x.cummax(2), "cummax: dimension out of range"),
        (lambda x: x.long().logcumsumexp(0), "logcumsumexp: expected a floating-point tensor"),
    ],
)
def test_errors_of_order(call: Callable, words: str) -> None:
    with pytest.raises((RuntimeError, IndexError), match=words):
        call(tg.zeros(2, 3))


# --- norms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1, 2, 3, 2.5, float("inf"), -float("inf")])
@given(x=tensors(min_dims=1, max_dims=2, min_side=1, low=-2, high=2, distinct=True))
def test_norms(p: float, x: Tensor) -> None:
    a = np.abs(x.numpy().astype(np.float64)).reshape(-1)
    if np.isinf(p):
        expected = a.max() if p > 0 else a.min()
    else:
        expected = (a**p).sum() ** (1 / p)
    assert x.norm(p).item() == pytest.approx(expected, rel=1e-5)
    positive = x.abs() + 0.1 * tg.tensor(np.arange(x.numel()).reshape(x.shape))
    check_grads(lambda v: v.norm(p), positive)


def test_norm_at_zero_has_gradient_zero_not_nan() -> None:
    assert gradient(lambda x: x.norm(), [0.0, 0.0]) == [0, 0]
    assert gradient(lambda x: x.norm(dim=1).sum(), [[0.0, 0.0], [3.0, 4.0]]) == [
        [0, 0],
        [pytest.approx(0.6), pytest.approx(0.8)],
    ]


# --- integers and errors --------------------------------------------------------------------------


def test_integers() -> None:
    x = tg.tensor([[1, 2], [3, 4]], dtype=tg.uint8)
    assert x.sum().dtype == tg.int64 and x.sum().item() == 10
    assert x.prod().dtype == tg.int64 and x.prod().item() == 24
    assert tg.tensor([True, True]).sum().item() == 2
    assert x.amax().item() == 4 and x.amax().dtype == tg.uint8
    for name in ("mean", "var", "softmax", "log_softmax", "norm"):
        with pytest.raises(RuntimeError, match=f"{name if name != 'var' else ''}.*floating"):
            getattr(x, name)(dim=0)


@pytest.mark.parametrize("name", [*REDUCTIONS, "softmax", "cumsum", "max", "argmax", "sort"])
def test_a_dim_that_is_not_there(name: str) -> None:
    with pytest.raises(IndexError, match=r"out of range.*\(2, 3\).*5|out of range.*5"):
        getattr(tg.zeros(2, 3), name)(dim=5)
