"""Random programs: the engine against central differences, against itself, and against NumPy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygen as tg
from tinygen.autograd import grad
from tinygen.testing import Program, check_grads, programs


@settings(max_examples=60)
@given(programs())
def test_gradients_of_random_programs(program: Program) -> None:
    check_grads(program.function(), *program.inputs, rtol=1e-4)


@settings(max_examples=15)
@given(programs(max_ops=5))
def test_third_order(program: Program) -> None:
    check_grads(program.function(), *program.inputs, order=3, rtol=1e-4)


@settings(max_examples=15)
@given(programs(max_ops=6))
def test_whole_jacobians(program: Program) -> None:
    check_grads(program.function(), *program.inputs, order=1, full=True, rtol=1e-4)


@settings(max_examples=60)
@given(programs(max_ops=20), st.integers(0, 99))
def test_backward_agrees_with_grad_and_is_linear_in_the_cotangent(
    program: Program, seed: int
) -> None:
    f, rng = program.function(), np.random.default_rng(seed)
    xs = [x.double().detach().clone().requires_grad_() for x in program.inputs]
    outs = [y for y in f(*xs) if y.requires_grad]
    if not outs:
        return
    us, vs = ([tg.tensor(np.asarray(rng.standard_normal(y.shape))) for y in outs] for _ in "uv")
    along_u = grad(outs, xs, us, retain_graph=True, allow_unused=True)
    along_v = grad(outs, xs, vs, retain_graph=True, allow_unused=True)
    both = [u * 2 - v for u, v in zip(us, vs, strict=True)]
    tg.autograd.backward(outs, both)
    for x, gu, gv in zip(xs, along_u, along_v, strict=True):
        assert (x.grad is None) == (gu is None)
        if x.grad is not None:
            expected = 2 * gu.numpy() - gv.numpy()
            scale = max(1.0, float(np.abs(expected).max(initial=0)))
            np.testing.assert_allclose(x.grad.numpy(), expected, atol=1e-10 * scale)


@settings(max_examples=60)
@given(programs(max_ops=20))
def test_recording_changes_no_value_and_float32_is_close_to_float64(program: Program) -> None:
    f = program.function()
    with tg.no_grad():
        plain = f(*program.inputs)
        exact = f(*(x.double() for x in program.inputs))
    recorded = f(*(x.clone().requires_grad_() for x in program.inputs))
    for a, b, c in zip(plain, recorded, exact, strict=True):
        assert a.dtype == b.dtype == tg.float32 and c.dtype == tg.float64
        # the layouts differ, and with them the order in which sums are taken
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(a.numpy(), c.numpy(), rtol=1e-3, atol=2e-3)
