"""models/ode.py: the order of every method, backwards in time, and the gradient through it."""

import math

import numpy as np
import pytest

import tinygen as tg
from tinygen.models.ode import METHODS, divergence, integrate
from tinygen.testing import gradcheck


def swing(t: float, state: tuple[tg.Tensor, ...]) -> tuple[tg.Tensor, tg.Tensor]:
    """x'' = -x with a push: x = sin t + t^2, so that f depends on t as well."""
    x, v = state
    return v, -x + 2.0 + t * t


def error(method: str, steps: int) -> float:
    start = (tg.zeros(1, dtype=tg.float64), tg.ones(1, dtype=tg.float64))
    x, v = integrate(swing, start, 0.0, 2.0, steps, method)[-1]
    return math.hypot(x.item() - math.sin(2.0) - 4.0, v.item() - math.cos(2.0) - 4.0)


@pytest.mark.parametrize("method", METHODS)
def test_the_error_has_the_order_that_is_claimed(method: str) -> None:
    rate = math.log2(error(method, 40) / error(method, 80))
    assert rate == pytest.approx(METHODS[method].order, abs=0.15)


def test_the_way_back_leads_to_the_start() -> None:
    rng = np.random.default_rng(0)
    x = tg.tensor(rng.standard_normal((5, 3)))
    bend = lambda t, state: (state[0].sin() * t,)
    there = integrate(bend, (x,), 0.0, 1.5, 60)
    back = integrate(bend, there[-1], 1.5, 0.0, 60)
    assert len(there) == 61 and (there[0][0] == x).all()
    assert (back[-1][0] - x).abs().max().item() < 1e-7


def test_the_gradient_goes_through_the_steps() -> None:
    x = tg.tensor([[0.3, -0.8]], dtype=tg.float64, requires_grad=True)
    a = tg.tensor(0.7, dtype=tg.float64, requires_grad=True)
    end = lambda x, a: integrate(lambda t, s: (a * s[0].tanh(),), (x,), 0.0, 1.0, 4)[-1][0]
    assert gradcheck(end, (x, a))


def test_a_velocity_that_ignores_its_place_has_no_divergence() -> None:
    wind = tg.tensor([2.0, -1.0], requires_grad=True)
    blown = lambda x: wind.expand(len(x), 2)
    for probe in (None, tg.ones(3, 2)):
        y, trace = divergence(blown, tg.zeros(3, 2), probe)
        assert (y == wind).all() and trace.tolist() == [0.0, 0.0, 0.0]
    assert divergence(lambda x: x**2, tg.zeros(0, 2))[1].shape == (0,)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="method 'rk45'; there are euler, midpoint, heun, rk4"):
        integrate(swing, (tg.ones(1),), 0.0, 1.0, 2, "rk45")
    with pytest.raises(ValueError, match="steps"):
        integrate(swing, (tg.ones(1),), 0.0, 1.0, 0)
