"""Elementwise ops: values against closed forms in float64, gradients to order 2, kinks, dtypes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import Tensor, ops
from tinygen.testing import broadcastable_shapes, check_grads, lay_out, sample, tensors

erf = np.vectorize(math.erf, otypes=[float])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


UNARY: dict[str, tuple[Callable, float, float, tuple[float, ...]]] = {
    # name: closed form, range of x, kinks
    "exp": (np.exp, -3, 3, ()),
    "expm1": (lambda x: np.exp(x) - 1, -3, 3, ()),
    "log": (np.log, 0.1, 5, ()),
    "log1p": (lambda x: np.log(1 + x), -0.8, 5, ()),
    "sqrt": (lambda x: x**0.5, 0.1, 5, ()),
    "rsqrt": (lambda x: x**-0.5, 0.2, 5, ()),
    "square": (lambda x: x * x, -3, 3, ()),
    "reciprocal": (lambda x: 1 / x, 0.2, 4, ()),
    "neg": (lambda x: -x, -3, 3, ()),
    "abs": (lambda x: np.maximum(x, -x), -3, 3, (0.0,)),
    "sign": (lambda x: (x > 0) * 1.0 - (x < 0), -3, 3, (0.0,)),
    "sin": (np.sin, -4, 4, ()),
    "cos": (np.cos, -4, 4, ()),
    "tanh": (np.tanh, -3, 3, ()),
    "sigmoid": (sigmoid, -4, 4, ()),
    "erf": (erf, -3, 3, ()),
    "relu": (lambda x: x * (x > 0), -3, 3, (0.0,)),
    "leaky_relu": (lambda x: np.where(x > 0, x, 0.01 * x), -3, 3, (0.0,)),
    "elu": (lambda x: np.where(x > 0, x, np.exp(x) - 1), -3, 3, (0.0,)),
    "gelu": (lambda x: x * (1 + erf(x / 2**0.5)) / 2, -3, 3, ()),
    "silu": (lambda x: x * sigmoid(x), -4, 4, ()),
    "softplus": (lambda x: np.log(1 + np.exp(x)), -4, 4, (0.0,)),
    "floor": (lambda x: np.floor(x), -3, 3, (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)),
    "ceil": (lambda x: np.ceil(x), -3, 3, (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)),
    "trunc": (lambda x: np.trunc(x), -3, 3, (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)),
    "round": (lambda x: np.round(x), -2, 2, (-1.5, -0.5, 0.5, 1.5)),
    "frac": (lambda x: x - np.trunc(x), -3, 3, (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)),
    "exp2": (lambda x: np.exp(x * np.log(2)), -3, 3, ()),
    "log2": (lambda x: np.log(x) / np.log(2), 0.1, 5, ()),
    "log10": (lambda x: np.log(x) / np.log(10), 0.1, 5, ()),
    "tan": (lambda x: np.sin(x) / np.cos(x), -1.2, 1.2, ()),
    "asin": (lambda x: np.arctan2(x, np.sqrt(1 - x * x)), -0.9, 0.9, ()),
    "acos": (lambda x: np.arctan2(np.sqrt(1 - x * x), x), -0.9, 0.9, ()),
    "atan": (lambda x: np.arctan2(x, 1), -3, 3, ()),
    "sinh": (lambda x: (np.exp(x) - np.exp(-x)) / 2, -3, 3, ()),
    "cosh": (lambda x: (np.exp(x) + np.exp(-x)) / 2, -3, 3, ()),
    "asinh": (lambda x: np.log(x + np.sqrt(x * x + 1)), -2, 3, ()),
    "acosh": (lambda x: np.log(x + np.sqrt(x * x - 1)), 1.2, 4, ()),
    "atanh": (lambda x: np.log((1 + x) / (1 - x)) / 2, -0.9, 0.9, ()),
    "sinc": (np.sinc, -4, 4, ()),
    "erfc": (lambda x: 1 - erf(x), -2, 2, ()),
    "logit": (lambda x: np.log(x) - np.log(1 - x), 0.1, 0.9, ()),
    "lgamma": (np.vectorize(math.lgamma, otypes=[float]), 0.2, 9, ()),
}
BINARY: dict[str, tuple[Callable, float, float]] = {
    # name: closed form, range of both
    "add": (lambda x, y: x + y, -3, 3),
    "sub": (lambda x, y: x - y, -3, 3),
    "mul": (lambda x, y: x * y, -3, 3),
    "div": (lambda x, y: x / y, 0.3, 3),
    "pow": (lambda x, y: np.exp(y * np.log(x)), 0.3, 2),
    "maximum": (lambda x, y: np.where(x > y, x, y), -3, 3),
    "minimum": (lambda x, y: np.where(x > y, y, x), -3, 3),
    "logaddexp": (lambda x, y: np.log(np.exp(x) + np.exp(y)), -3, 3),
    "hypot": (lambda x, y: np.sqrt(x * x + y * y), 0.2, 3),
    "atan2": (lambda x, y: np.arctan(x / y), 0.2, 3),
    "xlogy": (lambda x, y: x * np.log(y), 0.1, 3),
    "fmax": (lambda x, y: np.where(x > y, x, y), -3, 3),
    "fmin": (lambda x, y: np.where(x > y, y, x), -3, 3),
    "ldexp": (lambda x, y: x * np.exp(y * np.log(2)), -3, 3),
    "clamp_min": (lambda x, y: np.where(x > y, x, y), -3, 3),
    "clamp_max": (lambda x, y: np.where(x > y, y, x), -3, 3),
}
THREE: dict[str, tuple[Callable, dict]] = {
    # of three tensors in [0.5, 2]: closed form, keywords
    "lerp": (lambda x, y, w: x * (1 - w) + y * w, {}),
    "addcmul": (lambda x, y, z: x - 1.5 * y * z, {"value": -1.5}),
    "addcdiv": (lambda x, y, z: x + 0.5 * y / z, {"value": 0.5}),
}


def close(out: Tensor, expected: np.ndarray) -> None:
    """Equal shapes, and equal values to the precision of out's dtype."""
    expected = np.asarray(expected)
    assert out.shape == expected.shape
    rtol = 1e-5 if out.dtype == np.float32 else 1e-11
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(out.detach().numpy(), expected, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
@pytest.mark.parametrize("name", UNARY)
@given(data=st.data())
def test_unary_values(name: str, dtype: np.dtype, data: st.DataObject) -> None:
    exact, low, high, kinks = UNARY[name]
    x = data.draw(tensors(dtype=dtype, low=low, high=high, avoid=kinks))
    out = getattr(ops, name)(x)
    assert out.dtype == dtype
    close(out, exact(x.numpy().astype(np.float64)))


@pytest.mark.parametrize("name", UNARY)
@given(data=st.data())
def test_unary_gradients(name: str, data: st.DataObject) -> None:
    _, low, high, kinks = UNARY[name]
    x = data.draw(tensors(max_dims=3, low=low, high=high, avoid=kinks))
    check_grads(getattr(ops, name), x)


@pytest.mark.parametrize("name", ["tanh", "silu", "softplus", "gelu", "rsqrt", "div", "pow"])
def test_third_order(name: str) -> None:
    low, high = (UNARY.get(name) or BINARY[name])[1:3]
    args = [tg.tensor(sample((3,), seed, low, high)) for seed in range(1 + (name in BINARY))]
    check_grads(getattr(ops, name), *args, order=3)


def two(data: st.DataObject, low: float, high: float, dtype: np.dtype) -> list[Tensor]:
    shapes = data.draw(broadcastable_shapes())
    return [data.draw(tensors(shape, dtype=dtype, low=low, high=high)) for shape in shapes]


@pytest.mark.parametrize("name", BINARY)
@given(data=st.data())
def test_binary_values(name: str, data: st.DataObject) -> None:
    exact, low, high = BINARY[name]
    for dtype in (tg.float32, tg.float64):
        x, y = two(data, low, high, dtype)
        out = getattr(ops, name)(x, y)
        assert out.dtype == dtype
        close(out, exact(x.numpy().astype(np.float64), y.numpy().astype(np.float64)))


@pytest.mark.parametrize("name", BINARY)
@given(data=st.data())
def test_binary_gradients(name: str, data: st.DataObject) -> None:
    _, low, high = BINARY[name]
    x, y = two(data, low, high, tg.float32)
    check_grads(getattr(ops, name), x, y * 0.9 + 0.07)  # no ties


@pytest.mark.parametrize("name", THREE)
@given(data=st.data())
def test_of_three(name: str, data: st.DataObject) -> None:
    exact, keywords = THREE[name]
    shapes = data.draw(broadcastable_shapes(3))
    xs = [data.draw(tensors(shape, low=0.5, high=2)) for shape in shapes]
    out = getattr(ops, name)(*xs, **keywords)
    assert out.dtype == tg.float32
    np.testing.assert_allclose(
        out.numpy(), exact(*(x.numpy().astype(np.float64) for x in xs)), rtol=1e-5, atol=1e-5
    )
    check_grads(lambda *xs: getattr(ops, name)(*xs, **keywords), *xs)


@given(data=st.data())
def test_alpha_and_rounding_modes(data: st.DataObject) -> None:
    x, y = two(data, 0.4, 3, tg.float32)
    a, b = (v.numpy().astype(np.float64) for v in (x, y))
    close(tg.add(x, y, alpha=2.5), a + 2.5 * b)
    close(x.sub(y, alpha=-0.5), a + 0.5 * b)
    check_grads(lambda x, y: tg.add(x, y, alpha=2.5), x, y)
    check_grads(lambda x, y: tg.sub(x, y, alpha=-0.5), x, y)
    close(x.clone().add_(1, alpha=3), a + 3)
    apart = np.abs(a / b - np.round(a / b)) > 1e-5
    quotient = np.where(apart, tg.div(-x, y, rounding_mode="trunc").numpy(), 0)
    np.testing.assert_array_equal(quotient, np.where(apart, np.trunc(-a / b), 0))
    quotient = np.where(apart, tg.div(-x, y, rounding_mode="floor").numpy(), 0)
    np.testing.assert_array_equal(quotient, np.where(apart, np.floor(-a / b), 0))


def test_division_of_integers_towards_0() -> None:
    x, y = tg.tensor([-7, 7, -7, 7, 6]), tg.tensor([2, 2, -2, -2, -3])
    out = tg.div(x, y, rounding_mode="trunc")
    assert out.tolist() == [-3, 3, 3, -3, -2] and out.dtype == tg.int64
    assert x.fmod(y).tolist() == [-1, 1, -1, 1, 0]
    for call in (lambda: x.div(0, rounding_mode="trunc"), lambda: x.fmod(0)):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            call()
    with pytest.raises(RuntimeError, match="rounding_mode must be None, 'floor' or 'trunc'"):
        tg.div(x, y, rounding_mode="ceil")


@given(x=tensors(low=-7, high=7), y=st.sampled_from([2.0, -3.0, 1.5]))
def test_fmod(x: Tensor, y: float) -> None:
    a = x.numpy().astype(np.float64)
    np.testing.assert_allclose(x.fmod(y).numpy(), np.fmod(a, y), atol=3e-6)
    check_grads(ops.fmod, tg.tensor([5.3, -4.1, 2.2]), tg.tensor([2.0, 3.0, -1.5]))


def test_copysign() -> None:
    x, y = tg.tensor([1.5, -2.0, 3.0, 0.0]), tg.tensor([-0.0, 3.0, -1.0, -1.0])
    assert x.copysign(y).tolist() == [-1.5, 2.0, -3.0, -0.0]
    assert math.copysign(1, x.copysign(y)[3].item()) == -1
    check_grads(lambda x: x.copysign(y[:3]), x[:3])


def test_round_to_decimals() -> None:
    x = tg.tensor([1.2345, -0.125], dtype=tg.float64)
    assert x.round(decimals=2).tolist() == [1.23, -0.12]
    assert tg.round(tg.tensor([1250.0]), decimals=-2).tolist() == [1200.0]
    assert x.round_(decimals=1).tolist() == [1.2, -0.1]


def test_nan_to_num_and_its_gradient() -> None:
    x = tg.tensor([1.0, np.nan, np.inf, -np.inf], requires_grad=True)
    top = np.finfo(np.float32).max
    assert x.nan_to_num().tolist() == [1.0, 0.0, top, -top]
    assert x.nan_to_num(nan=7, posinf=8, neginf=9).tolist() == [1.0, 7.0, 8.0, 9.0]
    x.nan_to_num().sum().backward()
    assert x.grad.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert tg.tensor([1, 2]).nan_to_num().tolist() == [1, 2]


def test_float_power_is_in_float64() -> None:
    out = tg.float_power(tg.tensor([2, 3]), 2)
    assert out.dtype == tg.float64 and out.tolist() == [4.0, 9.0]
    assert tg.float_power(2, tg.tensor([3.0])).tolist() == [8.0]
    check_grads(tg.float_power, tg.tensor([0.5, 2.0]), tg.tensor([1.5, -1.0]), float32=False)


def test_other_names_are_the_same_functions() -> None:
    for name, same in {
        "arccos": "acos", "arcsin": "asin", "arctan": "atan", "arctan2": "atan2",
        "arccosh": "acosh", "arcsinh": "asinh", "arctanh": "atanh", "multiply": "mul",
        "subtract": "sub", "divide": "div", "true_divide": "div", "negative": "neg",
        "absolute": "abs", "clip": "clamp", "fix": "trunc",
    }.items():  # fmt: skip
        assert getattr(tg, name) is getattr(tg, same)
        assert getattr(Tensor, name) is getattr(Tensor, same)


@pytest.mark.parametrize("number", [2, 2.5, -1.0, 0.5])
@given(x=tensors(max_dims=2, low=0.3, high=2.0))
def test_numbers_on_either_side(number: float, x: Tensor) -> None:
    for f in (
        lambda v: v + number, lambda v: number + v, lambda v: v - number, lambda v: number - v,
        lambda v: v * number, lambda v: number * v, lambda v: v / number, lambda v: number / v,
        lambda v: v**number,
    ):  # fmt: skip
        out = f(x)
        assert out.dtype == tg.float32
        close(out, f(x.numpy().astype(np.float64)))
        check_grads(f, x)
    if number > 0:
        close(number**x, number ** x.numpy().astype(np.float64))
        check_grads(lambda v: number**v, x)


@pytest.mark.parametrize("y", [0.0, 1.0, 2.0, -1.0, 0.5])
@pytest.mark.parametrize("x", [2.0, 0.5])
def test_mixed_derivatives_of_pow(x: float, y: float) -> None:
    """d2 x^y / dx dy = x^(y - 1) (1 + y log x), in both orders; at y = 0 it is 1 / x."""
    a, b = (tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in (x, y))
    first = tg.autograd.grad(a**b, [a, b], create_graph=True)
    expected = x ** (y - 1) * (1 + y * np.log(x))
    for g, other in zip(first, (b, a), strict=True):
        (mixed,) = tg.autograd.grad(g, other, retain_graph=True)
        assert mixed.item() == pytest.approx(expected, rel=1e-14)


def test_slopes_of_pow_where_the_base_is_not_positive() -> None:
    """As PyTorch: 0 for 0^y with y >= 0, -inf for y < 0, NaN where x < 0 has no slope in y."""
    y = tg.tensor([0.0, 2.0, -1.0], dtype=tg.float64, requires_grad=True)
    for x in (tg.zeros(3, dtype=tg.float64), 0.0):
        with np.errstate(all="ignore"):
            (g,) = tg.autograd.grad((x**y).sum(), y)
        assert g.tolist() == [0.0, 0.0, -np.inf]
    with np.errstate(all="ignore"):
        (g,) = tg.autograd.grad(((-2.0) ** y).sum(), y)
    assert np.isnan(g.numpy()).all()


def test_pow_at_zero_base_and_zero_exponent() -> None:
    x = tg.tensor([0.0, 2.0], requires_grad=True)
    (x**0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]
    x.grad = None
    (x**2).sum().backward()
    assert x.grad.tolist() == [0.0, 4.0]
    y = tg.tensor([2.0, 3.0], requires_grad=True)
    (g,) = tg.autograd.grad((x**y).sum(), y)
    assert g[0].item() == 0 and abs(g[1].item() - 8 * math.log(2)) < 1e-5
    check_grads(lambda v: v**3, tg.tensor([-1.5, 0.0, 2.0]))
    check_grads(lambda v: v**2, tg.tensor([0.0, -1.0]), order=3)


@given(x=tensors(low=-7, high=7), y=st.sampled_from([2.0, -3.0, 1.5]))
def test_floor_division_and_remainder(x: Tensor, y: float) -> None:
    a = x.numpy().astype(np.float64)
    close(x // y, np.floor(a / y))
    np.testing.assert_allclose((x % y).numpy(), a - y * np.floor(a / y), atol=3e-6)


def test_remainder_gradients() -> None:
    x = tg.tensor([5.3, -4.1, 2.2])
    y = tg.tensor([2.0, 3.0, -1.5])
    check_grads(ops.remainder, x, y)


@given(data=st.data())
def test_where(data: st.DataObject) -> None:
    condition, x, y = (
        data.draw(tensors(shape, low=-2, high=2)) for shape in data.draw(broadcastable_shapes(3))
    )
    mask = condition > 0
    close(tg.where(mask, x, y), np.where(mask.numpy(), x.numpy(), y.numpy()))
    check_grads(lambda a, b: tg.where(mask, a, b), x, y)
    check_grads(lambda a: tg.where(mask, a, 0.5), x)


@given(x=tensors(low=-2, high=2, avoid=(-0.7, 0.9)))
def test_clamp(x: Tensor) -> None:
    a = x.numpy()
    close(x.clamp(-0.7, 0.9), np.minimum(np.maximum(a, np.float32(-0.7)), np.float32(0.9)))
    close(x.clamp(min=-0.7), np.maximum(a, np.float32(-0.7)))
    close(x.clamp(max=0.9), np.minimum(a, np.float32(0.9)))
    for bounds in [(-0.7, 0.9), (None, 0.9), (-0.7, None)]:
        check_grads(lambda v, bounds=bounds: v.clamp(*bounds), x)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_gelu_forms(approximate: str) -> None:
    x = tg.tensor(np.linspace(-3, 3, 7))
    close_to = 1e-12 if approximate == "none" else 1e-3
    expected = x.numpy() * (1 + erf(x.numpy() / 2**0.5)) / 2
    assert np.abs(ops.gelu(x, approximate=approximate).numpy() - expected).max() < close_to
    check_grads(lambda v: ops.gelu(v, approximate=approximate), x)


def test_gelu_of_a_large_array_is_that_of_its_rows() -> None:
    """It is computed in pieces, of memory where the layouts agree, else of rows."""
    rows = np.random.default_rng(0).standard_normal((2, 70, 700)).astype(np.float32)
    turned = np.ascontiguousarray(rows.transpose(0, 2, 1)).transpose(0, 2, 1)
    for x, v in ((rows[0], rows[1]), (turned[0], turned[1]), (turned[0], rows[1])):
        a = tg.from_numpy(x).requires_grad_()
        out = ops.gelu(a)
        (slope,) = tg.autograd.grad(out, [a], tg.from_numpy(v))
        for i in (0, 33, 69):
            b = tg.from_numpy(np.ascontiguousarray(x[i])).requires_grad_()
            row = ops.gelu(b)
            (its,) = tg.autograd.grad(row, [b], tg.from_numpy(np.ascontiguousarray(v[i])))
            assert np.array_equal(out[i].detach().numpy(), row.detach().numpy())
            assert np.array_equal(slope[i].numpy(), its.numpy())


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("eq", np.equal), ("ne", np.not_equal), ("lt", np.less), ("le", np.less_equal),
        ("gt", np.greater), ("ge", np.greater_equal), ("logical_and", np.logical_and),
        ("logical_or", np.logical_or), ("logical_xor", np.logical_xor),
    ],
)  # fmt: skip
@given(data=st.data())
def test_comparisons_and_logic(name: str, exact: Callable, data: st.DataObject) -> None:
    x, y = (
        data.draw(tensors(s, low=-1, high=1, dtype=tg.int64))
        for s in data.draw(broadcastable_shapes())
    )
    out = getattr(ops, name)(x.float().requires_grad_(), y)
    assert out.dtype == tg.bool and not out.requires_grad
    np.testing.assert_array_equal(out.numpy(), exact(x.numpy(), y.numpy()))


def test_bit_operators() -> None:
    a, b = np.array([True, True, False]), np.array([True, False, False])
    x, y = tg.tensor(a), tg.tensor(b)
    for out, expected in [(x & y, a & b), (x | y, a | b), (x ^ y, a ^ b), (~x, ~a)]:
        assert out.dtype == tg.bool
        np.testing.assert_array_equal(out.numpy(), expected)


def test_nan_inf_finite() -> None:
    x = tg.tensor([1.0, float("nan"), float("inf"), -float("inf")])
    assert tg.isnan(x).tolist() == [False, True, False, False]
    assert tg.isinf(x).tolist() == [False, False, True, True]
    assert tg.isfinite(x).tolist() == [True, False, False, False]


# --- kinks, as decided ---------------------------------------------------------------------------


def slope(f: Callable[[Tensor], Tensor], at: float) -> float:
    x = tg.tensor([at], requires_grad=True)
    (g,) = tg.autograd.grad(f(x).reshape(1), x, tg.tensor([3.0]))
    return g.item() / 3.0


@pytest.mark.parametrize(
    ("f", "at", "expected"),
    [
        (ops.relu, 0.0, 0.0),
        (ops.abs, 0.0, 0.0),
        (ops.leaky_relu, 0.0, 0.01),
        (ops.elu, 0.0, 1.0),
        (lambda x: x.clamp(-1.0, 1.0), 1.0, 1.0),
        (lambda x: x.clamp(-1.0, 1.0), -1.0, 1.0),
        (lambda x: ops.maximum(x, tg.tensor([2.0])), 2.0, 0.5),
        (lambda x: ops.minimum(x, tg.tensor([2.0])), 2.0, 0.5),
        (lambda x: ops.maximum(x, x), 2.0, 1.0),
        (lambda x: x.norm(), 0.0, 0.0),
        (lambda x: tg.hypot(x, tg.tensor([0.0])), 0.0, 0.0),
        (lambda x: tg.atan2(x, tg.tensor([0.0])), 0.0, 0.0),
        (lambda x: tg.xlogy(x, tg.tensor([0.0])), 0.0, 0.0),
        (lambda x: tg.xlogy(tg.tensor([0.0]), x), 0.0, 0.0),
        (lambda x: x.fmax(tg.tensor([2.0])), 2.0, 1.0),
        (lambda x: x.fmin(tg.tensor([2.0])), 2.0, 1.0),
        (lambda x: tg.tensor([np.nan]).fmin(x), 2.0, 1.0),
        (lambda x: x.clamp_max(tg.tensor([2.0])), 2.0, 1.0),
    ],
)
def test_kinks(f: Callable, at: float, expected: float) -> None:
    assert slope(f, at) == pytest.approx(expected)


# --- far out, where a naive formula overflows ----------------------------------------------------


@pytest.mark.filterwarnings("error")
def test_no_overflow_and_no_warning_far_out() -> None:
    x = tg.tensor([-1e4, -100.0, 100.0, 1e4], requires_grad=True)
    for name, expected in [
        ("sigmoid", [0, 0, 1, 1]),
        ("softplus", [0, 0, 100, 1e4]),
        ("silu", [0, 0, 100, 1e4]),
        ("tanh", [-1, -1, 1, 1]),
        ("elu", [-1, -1, 100, 1e4]),
        ("gelu", [0, 0, 100, 1e4]),
    ]:
        out = getattr(ops, name)(x)
        np.testing.assert_allclose(out.detach().numpy(), expected, atol=1e-30)
        (g,) = tg.autograd.grad(out.sum(), x)
        assert np.isfinite(g.numpy()).all(), name
    y = tg.tensor([1e4, -1e4, 0.0, 1e4], requires_grad=True)
    out = ops.logaddexp(x, y)
    assert out.tolist() == [1e4, -100.0, 100.0, pytest.approx(1e4 + math.log(2))]
    assert np.isfinite(tg.autograd.grad(out.sum(), [x, y])[0].numpy()).all()


def test_expm1_and_log1p_are_exact_near_zero() -> None:
    x = tg.tensor([1e-12], dtype=tg.float64)
    assert ops.expm1(x).item() == pytest.approx(1e-12, rel=1e-10)
    assert ops.log1p(x).item() == pytest.approx(1e-12, rel=1e-10)


# --- dtypes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
@pytest.mark.parametrize("shape", [(), (2, 3), (0,)])
def test_gradients_have_the_dtype_of_their_input(
    name: str, dtype: np.dtype, shape: tuple[int, ...]
) -> None:
    low, high = (UNARY.get(name) or BINARY[name])[1:3]
    args = [
        tg.tensor(sample(shape, k, low, high).astype(dtype), requires_grad=True)
        for k in range(1 + (name in BINARY))
    ]
    out = getattr(ops, name)(*args)
    assert out.dtype == dtype
    out.sum().backward()
    for x in args:
        assert x.grad.dtype == dtype and x.grad.shape == shape


def test_mixed_dtypes_promote_and_gradients_come_back_in_theirs() -> None:
    x = tg.tensor([1.0, 2.0], dtype=tg.float32, requires_grad=True)
    y = tg.tensor([3.0, 4.0], dtype=tg.float64, requires_grad=True)
    k = tg.tensor([2, 3])
    out = x * y + x * k
    assert out.dtype == tg.float64
    out.sum().backward()
    assert x.grad.dtype == tg.float32 and y.grad.dtype == tg.float64
    assert x.grad.tolist() == [5.0, 7.0] and y.grad.tolist() == [1.0, 2.0]


def test_a_scalar_array_does_not_upcast() -> None:
    x = tg.tensor([1.0], requires_grad=True)
    for scalar in (np.float64(2.0), tg.tensor(2.0, dtype=tg.float64), 2, True):
        assert (x * scalar).dtype == tg.float32
        assert (scalar * x).dtype == tg.float32
        assert (x / scalar).dtype == tg.float32


@pytest.mark.parametrize("layout", ["plain", "transposed", "strided", "reversed", "broadcast"])
def test_layouts_do_not_change_a_result(layout: str) -> None:
    values = sample((3, 4), 1, 0.3, 2.0)
    values = np.broadcast_to(values[:1], (3, 4)) if layout == "broadcast" else values
    x = tg.from_numpy(lay_out(values, layout))
    y = tg.tensor(values[:, ::-1].copy())
    for name in BINARY:
        out = getattr(ops, name)(x, y)
        plain = getattr(ops, name)(tg.tensor(values.copy()), y)
        assert np.allclose(out.numpy(), plain.numpy(), rtol=4e-16, atol=0), name  # NumPy's atan2
        check_grads(getattr(ops, name), x, y)


def test_square_of_bools_counts() -> None:
    out = tg.tensor([True, False]).square()
    assert out.dtype == tg.int64 and out.tolist() == [1, 0]
