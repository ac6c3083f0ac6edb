"""Gamma and error functions: closed forms, functional equations, far out and beside the poles."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen.testing import check_grads, sample

EULER = 0.57721566490153286061


def wide(*values: float) -> tg.Tensor:
    return tg.tensor(np.array(values, np.float64))


def relative(out: tg.Tensor, exact: object) -> float:
    exact = np.asarray(exact)
    return float(np.max(np.abs(out.numpy() - exact) / np.abs(exact)))


def test_the_gamma_function_of_integers_and_halves() -> None:
    n = np.arange(1, 171)
    exact = [math.log(math.factorial(k - 1)) for k in n[2:]]
    assert relative(wide(*n[2:]).lgamma(), exact) < 1e-13
    assert wide(1.0, 2.0).lgamma().tolist() == [0, 0]
    steps = [0.5 * math.log(math.pi), *(math.log(0.5 + k) for k in range(60))]
    halves = [math.fsum(steps[:k]) for k in range(1, 62)]  # Gamma(x + 1) = x Gamma(x)
    assert relative(wide(*np.arange(0.5, 61)).lgamma(), halves) < 1e-13
    assert wide(-0.5).lgamma().item() == pytest.approx(math.log(2 * math.sqrt(math.pi)), rel=1e-14)


def test_lgamma_beside_its_zeros_keeps_its_digits() -> None:
    """log Gamma(1 + z) = -gamma z + pi^2 z^2 / 12 - ...: 1e-12 of the value, not of 1."""
    z = 2.0 ** -np.arange(16, 50)
    series = -EULER * z + np.pi**2 / 12 * z**2 - 1.2020569031595942854 / 3 * z**3
    assert relative(wide(*(1 + z)).lgamma(), series) < 1e-11
    beside_two = (1 - EULER) * z + (np.pi**2 / 12 - 0.5) * z**2
    assert relative(wide(*(2 + z[4:])).lgamma(), beside_two[4:]) < 1e-11


def test_digamma_and_polygamma_of_what_is_known() -> None:
    exact = [-EULER, -EULER - 2 * math.log(2), 1 - EULER, -EULER + 1.5]
    assert relative(wide(1.0, 0.5, 2.0, 3.0).digamma(), exact) < 1e-14
    zeta = {1: math.pi**2 / 6, 3: math.pi**4 / 15, 5: 8 * math.pi**6 / 63}  # n! zeta(n + 1)
    for n, value in zeta.items():
        assert tg.polygamma(n, wide(1.0)).item() == pytest.approx(value, rel=1e-14)
        half = tg.polygamma(n, wide(0.5)).item()
        assert half == pytest.approx((2 ** (n + 1) - 1) * value, rel=1e-14)
    assert tg.polygamma(0, wide(1.0)).item() == pytest.approx(-EULER, rel=1e-15)
    with pytest.raises(RuntimeError, match="polygamma: expected n >= 0, got -1"):
        tg.polygamma(-1, wide(1.0))


@given(st.floats(-6, 40).filter(lambda x: abs(x - round(x)) > 1e-3))
def test_functional_equations(x: float) -> None:
    """Gamma(x + 1) = x Gamma(x), and its logarithm's derivatives, for negative x as well."""
    here, there = wide(x), wide(x + 1)
    step = there.lgamma() - here.lgamma()
    assert step.item() == pytest.approx(
        math.log(abs(x)), abs=1e-12 * (1 + abs(here.lgamma().item()))
    )
    step = there.digamma() - here.digamma()
    assert step.item() == pytest.approx(1 / x, rel=1e-11, abs=1e-13)
    for n in (1, 2, 3):
        step = tg.polygamma(n, there) - tg.polygamma(n, here)
        exact, size = (
            (-1) ** n * math.factorial(n) / x ** (n + 1),
            tg.polygamma(n, here).abs().item(),
        )
        assert step.item() == pytest.approx(exact, rel=1e-11, abs=1e-12 * size)


@given(st.floats(-1, 1))
def test_erfinv_is_the_inverse(x: float) -> None:
    y = wide(x).erfinv()
    if abs(x) == 1:
        assert y.item() == math.copysign(math.inf, x)
    elif abs(x) > 1e-300:
        assert y.item() == pytest.approx(NormalDist().inv_cdf((1 + x) / 2) / math.sqrt(2), rel=1e-9)
        if abs(x) < 0.5:
            assert math.erf(y.item()) == pytest.approx(x, rel=1e-15)
        else:  # 1 - |x| is exact, and erf(y) there is not
            assert math.erfc(abs(y.item())) == pytest.approx(1 - abs(x), rel=1e-13)


def test_far_out_and_at_the_poles() -> None:
    inf, nan = math.inf, math.nan
    assert wide(30.0).erfc().item() == 0 and wide(26.0).erfc().item() == math.erfc(26)
    assert wide(0.0, -1.0, -2.0, inf, -inf).lgamma().tolist() == [inf] * 5
    assert wide(1e300).lgamma().item() == pytest.approx(1e300 * (math.log(1e300) - 1), rel=1e-14)
    assert wide(0.0, -0.0).digamma().tolist() == [-inf, inf]
    assert np.isnan(wide(-1.0, -2.0, nan).digamma().numpy()).all()
    assert np.isnan(wide(1.5, -1.5, nan).erfinv().numpy()).all()
    assert wide(0.0, 1.0).logit().tolist() == [-inf, inf]
    assert tg.xlogy(wide(0.0, 0.0, 2.0), wide(0.0, inf, 0.0)).tolist() == [0, 0, -inf]
    assert tg.xlogy(0.0, wide(0.0)).item() == 0 and tg.xlogy(wide(2.0), 1.0).item() == 0


@pytest.mark.parametrize("name", ["lgamma", "digamma", "erfinv", "erfc", "logit", "sinc", "tan"])
def test_third_order(name: str) -> None:
    check_grads(getattr(tg, name), tg.tensor(sample((4,), 3, 0.1, 0.9)), order=3)


@pytest.mark.parametrize("name", ["lgamma", "digamma"])
def test_gradients_for_negative_numbers(name: str) -> None:
    check_grads(getattr(tg, name), wide(-0.4, -1.6, -3.3), order=3, atol=1e-4)


def test_sinc_has_every_derivative_at_0() -> None:
    """sinc = 1 - (pi x)^2 / 6 + (pi x)^4 / 120 - ..."""
    y = x = wide(0.0).requires_grad_()
    y, found = tg.sinc(x), []
    for _ in range(5):
        found.append(y.item())
        (y,) = tg.autograd.grad(y, x, create_graph=True)
    pi = math.pi
    assert found == pytest.approx([1, 0, -(pi**2) / 3, 0, pi**4 / 5], rel=1e-14, abs=1e-14)
    check_grads(tg.sinc, wide(0.0, 1e-8, 0.3, 0.32, 0.64, 1.0, 2.5), order=3, full=True)


@pytest.mark.parametrize("name", ["lgamma", "digamma", "erfinv", "erfc"])
def test_float32_is_float64_rounded(name: str) -> None:
    x = sample((1000,), 1, 0.01, 0.99)
    for dtype, digits in ((np.float32, 1.2e-7), (np.float16, 1e-3)):
        low = x.astype(dtype)
        exact = getattr(tg, name)(tg.tensor(low.astype(np.float64)))
        assert relative(getattr(tg, name)(tg.tensor(low)), exact.numpy()) < digits
