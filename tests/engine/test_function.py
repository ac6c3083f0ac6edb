"""Function, hooks, Jacobians: ops of one's own by PyTorch's recipe, and what is derived of grad."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from hypothesis import given

import tinygen as tg
from tinygen import Tensor
from tinygen.autograd import Function, function, functional, grad, gradcheck, gradgradcheck
from tinygen.testing import GradientError, check_grads, sample, tensors


class Exp(Function):
    """saves its output"""

    @staticmethod
    def forward(ctx, x):
        out = x.exp()
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, g):
        (out,) = ctx.saved_tensors
        return g * out


class Mixed(Function):
    """Several outputs, one of them constant and one no Tensor; an argument that is no Tensor."""

    @staticmethod
    def forward(ctx, x, k, y):
        ctx.k = k
        product, power = x * y, (k * x).exp()
        sign = x.sign()
        ctx.mark_non_differentiable(sign)
        ctx.save_for_backward(x, None, y, power)
        return product, sign, power, "word"

    @staticmethod
    def backward(ctx, g_product, g_sign, g_power, g_word):
        x, nothing, y, power = ctx.saved_tensors
        assert nothing is None and g_word is None and not g_sign.any()
        return g_product * y + g_power * ctx.k * power, None, g_product * x


class Cube(Function):
    """in the form with setup_context"""

    @staticmethod
    def forward(x):
        return x * x * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * g * x * x


def leaf(*values: float) -> Tensor:
    return tg.tensor(list(values), dtype=tg.float64, requires_grad=True)


# --- Function -----------------------------------------------------------------------------------


@given(x=tensors(max_dims=3, low=-2, high=2))
def test_gradients_of_any_order(x: Tensor) -> None:
    check_grads(Exp.apply, x, order=3)
    check_grads(Cube.apply, x, order=3)
    check_grads(lambda x: Exp.apply(Cube.apply(x) * 0.1) * Exp.apply(x), x)


@given(x=tensors((2, 3), low=-2, high=2, avoid=(0.0,)))
def test_several_outputs(x: Tensor) -> None:
    def f(x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        product, _, power, word = Mixed.apply(x, 0.5, y)
        assert word == "word"
        return product, power, product * power

    check_grads(f, x, x.flip(0) * 2 + 1)
    check_grads(lambda x: Mixed.apply(x, 0.5, x)[0], x)
    check_grads(lambda x: Mixed.apply(x, 0.5, x.detach())[2], x)


def test_what_comes_out() -> None:
    x, y = leaf(1.0, -2.0), leaf(3.0, 4.0)
    product, sign, power, word = Mixed.apply(x, 0.5, y)
    assert product.tolist() == [3, -8] and sign.tolist() == [1, -1] and word == "word"
    assert product.requires_grad and power.requires_grad and not sign.requires_grad
    with tg.no_grad():
        assert not Exp.apply(x).requires_grad
    assert not Exp.apply(x.detach()).requires_grad
    assert "Exp" in repr(Exp.apply(x).grad_fn)


def test_needs_input_grad_and_gradients_of_none() -> None:
    seen = []

    class Half(Function):
        @staticmethod
        def forward(ctx, x, y):
            seen.append(ctx.needs_input_grad)
            return x + y

        @staticmethod
        def backward(ctx, g):
            seen.append(ctx.needs_input_grad)
            return g, None

    x, y = leaf(1.0), leaf(2.0)
    Half.apply(x, y).backward()
    assert seen == [(True, True)] * 2 and x.grad.tolist() == [1] and y.grad.tolist() == [0]
    Half.apply(x, y.detach())
    assert seen[-1] == (True, False)


def test_an_output_that_is_an_input_is_a_copy() -> None:
    class Reverse(Function):
        @staticmethod
        def forward(ctx, x):
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            return -g

    x = leaf(1.0, 2.0)
    h = x * 1
    out = Reverse.apply(h)
    out.add_(1)
    assert h.tolist() == [1, 2]
    out.sum().backward()
    assert x.grad.tolist() == [-1, -1]


def test_dtypes_of_outputs_may_differ() -> None:
    class Both(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x.double() * 3, x > 0

        @staticmethod
        def backward(ctx, g, g64, g_bool):
            assert g.dtype == tg.float32 and g64.dtype == tg.float64
            return g * 2 + g64 * 3  # float64: converted

    x = tg.tensor([1.0, 2.0], requires_grad=True)
    a, b, c = Both.apply(x)
    assert (a.dtype, b.dtype, c.dtype) == (tg.float32, tg.float64, tg.bool)
    (a.sum() + b.sum()).backward()
    assert x.grad.tolist() == [5, 5] and x.grad.dtype == tg.float32


def test_saved_tensors_are_freed_and_guarded() -> None:
    x = leaf(1.0, 2.0)
    out = Exp.apply(x).sum()
    out.backward(retain_graph=True)
    out.backward()
    with pytest.raises(RuntimeError, match="Exp: trying to backward through the graph a second"):
        out.backward()
    h = x * 1
    out = Cube.apply(h)
    h.add_(1)
    with pytest.raises(RuntimeError, match=r"Cube: .*modified by an inplace.*saved_tensors\[0\]"):
        out.sum().backward()
    out = Exp.apply(x)
    out.mul_(2)
    with pytest.raises(RuntimeError, match=r"Exp: .*modified by an inplace.*saved_tensors\[0\]"):
        out.sum().backward()


def test_memory_goes_with_the_output() -> None:
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        for f in (lambda: Exp.apply(x), lambda: Mixed.apply(x, 0.5, x)[2]):
            out = f()
            array = weakref.ref(out._array if out._array.base is None else out._array.base)
            del out
            assert array() is None
    finally:
        gc.enable()


def test_once_differentiable() -> None:
    class Once(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @function.once_differentiable
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return tg.from_numpy(2 * g.numpy() * x.detach().numpy())

    x = leaf(1.0, 2.0)
    assert grad(Once.apply(x).sum(), x)[0].tolist() == [2, 4]
    (g,) = grad(Once.apply(x).sum(), x, create_graph=True)
    assert g.tolist() == [2, 4]
    with pytest.raises(RuntimeError, match="differentiate twice.*once_differentiable"):
        g.sum().backward()


def test_errors() -> None:
    def mine(backward: Any) -> type[Function]:
        methods = {"forward": staticmethod(lambda ctx, x, y: x + y)}
        return type("Mine", (Function,), methods | {"backward": staticmethod(backward)})

    x, y = leaf(1.0), leaf(2.0)
    cases = [
        (lambda ctx, g: g, r"Mine.backward returned an incorrect number.*expected 2.*got 1"),
        (lambda ctx, g: (g, g, g), r"incorrect number.*expected 2.*got 3"),
        (lambda ctx, g: (g, 3.0), "Mine.backward: expected a Tensor or None for argument 1.*float"),
        (lambda ctx, g: (g.sum(), g), r"backward of Mine, input 0: .*shape \(\)"),
    ]
    for backward, words in cases:
        with pytest.raises((RuntimeError, TypeError), match=words):
            mine(backward).apply(x, y).backward()
    assert mine(lambda ctx, g: (g, g, None)).apply(x, y).backward() is None
    with pytest.raises(NotImplementedError, match="static forward"):
        Function.apply(x)

    listed = type("Listed", (Function,), {"forward": staticmethod(lambda ctx, x: [x, x])})
    with pytest.raises(TypeError, match="Listed.forward: return several outputs as a tuple"):
        listed.apply(x)

    class Dirty(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)

    with pytest.raises(RuntimeError, match="mark_dirty: forward must not change its inputs"):
        Dirty.apply(x)


def test_anomaly_mode_knows_where_it_was_called() -> None:
    class Bad(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g * float("nan")

    x = leaf(1.0)
    with (
        tg.autograd.detect_anomaly(),
        pytest.raises(
            RuntimeError, match="gradient of Bad for its input 0 is NaN.*test_function.py"
        ),
    ):
        Bad.apply(x).backward()


# --- gradcheck ----------------------------------------------------------------------------------


class Wrong(Function):
    """right at order 1; its own derivative is cut off"""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * g * x.detach()


def test_gradcheck() -> None:
    x = tg.tensor(sample((2, 3), 0), requires_grad=True)
    assert gradcheck(Exp.apply, x) and gradgradcheck(Exp.apply, (x,))
    assert gradcheck(Wrong.apply, [x]) and not gradgradcheck(Wrong.apply, x, raise_exception=False)
    with pytest.raises(GradientError, match="order 2"):
        gradgradcheck(Wrong.apply, x)
    steps = x.detach()
    assert gradcheck(lambda a, b: a * b.round(), (x, steps))  # b is not differentiated
    with pytest.raises(ValueError, match="gradcheck: expected an input that requires a gradient"):
        gradcheck(Exp.apply, steps)


# --- hooks --------------------------------------------------------------------------------------


def test_hooks_see_and_change_gradients() -> None:
    x, seen = leaf(1.0, 2.0), []
    h = x * 3
    h.register_hook(lambda g: g * 10)
    handle = h.register_hook(lambda g: seen.append(g.tolist()))
    h.retain_grad()
    x.register_hook(lambda g: g + 1)
    (h * h).sum().backward()
    assert seen == [[60, 120]] and h.grad.tolist() == [60, 120] and x.grad.tolist() == [181, 361]
    handle.remove()
    handle.remove()
    x.grad = None
    assert grad((x * 2).sum(), x)[0].tolist() == [3, 3]
    assert len(seen) == 1


def test_hooks_run_once_the_gradient_is_complete() -> None:
    x, seen = leaf(2.0), []
    h = x * 1
    h.register_hook(lambda g: seen.append(g.item()))
    x.register_hook(lambda g: seen.append(g.item()))
    (h * 3 + h * 4 + x).backward()
    assert seen == [7, 8]


def test_hooks_are_differentiated() -> None:
    x = leaf(2.0)
    h = x * 1
    h.register_hook(lambda g: g * h)  # g = 3 h^2 comes, 3 h^3 goes on to x
    (g,) = grad((h * h * h).sum(), x, create_graph=True)
    assert g.item() == 24
    assert grad(g, x)[0].item() == 36 * 2  # 9 h^2 comes to h, where the hook waits again


def test_a_hook_must_fit() -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(RuntimeError, match=r"a hook of register_hook: .*shape \(\)"):
        x.sum().backward()
    with pytest.raises(RuntimeError, match="cannot register a hook.*doesn't require gradient"):
        x.detach().register_hook(lambda g: g)


# --- grad's other arguments ---------------------------------------------------------------------


def test_only_inputs_and_materialize_grads() -> None:
    x, y = leaf(1.0, 2.0), leaf(3.0)
    (g,) = grad((x * x).sum(), x, only_inputs=True)
    assert g.tolist() == [2, 4]
    with pytest.warns(FutureWarning, match="only_inputs=False is ignored"):
        grad((x * x).sum(), x, only_inputs=False)
    assert grad((x * x).sum(), [x, y], materialize_grads=True)[1].tolist() == [0]
    old = tg.autograd.Variable(x * 2, requires_grad=True)
    assert old.is_leaf and old.requires_grad and not tg.autograd.Variable(x).requires_grad


# --- functional ---------------------------------------------------------------------------------


def quadratic(x: Tensor) -> Tensor:
    return (x.exp().outer(x) * tg.arange(9.0).double().reshape(3, 3)).sum(1)


@given(tensors((3,), dtype=tg.float64))
def test_jacobian_hessian_and_products(x: Tensor) -> None:
    J = functional.jacobian(quadratic, x)
    a = tg.arange(9.0).double().reshape(3, 3)
    e = x.exp()
    exact = tg.eye(3).double() * (e * (a @ x)).unsqueeze(1) + e.unsqueeze(1) * a
    np.testing.assert_allclose(J.numpy(), exact.numpy(), rtol=1e-12, atol=1e-12)
    u, v = (tg.tensor(sample((3,), k)) for k in (1, 2))
    out, pulled = functional.vjp(quadratic, x, u)
    np.testing.assert_allclose(pulled.numpy(), (u @ J).numpy(), rtol=1e-10, atol=1e-12)
    _, pushed = functional.jvp(quadratic, x, v)
    np.testing.assert_allclose(pushed.numpy(), (J @ v).numpy(), rtol=1e-10, atol=1e-12)
    assert tg.equal(out, quadratic(x)) and not J.requires_grad and not x.requires_grad
    H = functional.hessian(lambda x: quadratic(x).sum(), x)
    np.testing.assert_allclose(H.numpy(), H.numpy().T, rtol=1e-10, atol=1e-12)
    for product in (functional.hvp, functional.vhp):
        _, Hv = product(lambda x: quadratic(x).sum(), x, v)
        np.testing.assert_allclose(Hv.numpy(), (H @ v).numpy(), rtol=1e-10, atol=1e-12)


def test_several_inputs_and_outputs() -> None:
    def f(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return x @ y, (y * y).sum()

    x, y = tg.tensor(sample((2, 3), 0)), tg.tensor(sample((3,), 1))
    J = functional.jacobian(f, (x, y))
    assert [[part.shape for part in row] for row in J] == [[(2, 2, 3), (2, 3)], [(2, 3), (3,)]]
    assert tg.equal(J[0][1], x) and tg.equal(J[1][1], 2 * y) and not J[1][0].any()
    H = functional.hessian(lambda x, y: (x @ y).square().sum(), (x, y))
    assert [[part.shape for part in row] for row in H] == [
        [(2, 3, 2, 3), (2, 3, 3)], [(3, 2, 3), (3, 3)]
    ]  # fmt: skip
    np.testing.assert_allclose(H[1][1].numpy(), (2 * x.T @ x).numpy(), rtol=1e-12)
    (_, second), (gx, gy) = functional.vjp(
        f, (x, y), (tg.zeros(2).double(), tg.tensor(3.0).double())
    )
    assert second.item() == (y * y).sum().item() and not gx.any() and tg.equal(gy, 6 * y)


def test_they_can_be_differentiated() -> None:
    x = tg.tensor(sample((3,), 0), requires_grad=True)
    J = functional.jacobian(lambda x: x**3, x, create_graph=True)
    J.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), 6 * x.detach().numpy(), rtol=1e-12)
    assert functional.vjp(lambda x: (x**3).sum(), x, create_graph=True)[1].requires_grad
    with tg.no_grad():
        assert functional.jacobian(lambda x: x * x, x).shape == (3, 3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: functional.vjp(lambda x: x, x), "vjp: v can only be left out"),
        (lambda x: functional.vjp(lambda x: x, x, x[:1]), r"vjp \(v\): .*\(1,\) and \(2,\)"),
        (lambda x: functional.jvp(lambda x: x, x, (x, x)), "jvp: expected 1 Tensors as v, got 2"),
        (
            lambda x: functional.hessian(lambda x: x, x),
            "hessian: func must return .* single number",
        ),
        (lambda x: functional.hvp(lambda x: x, x, x), "hvp: func must return a Tensor with a sin"),
        (
            lambda x: functional.jacobian(lambda x: x.detach(), x, strict=True),
            "jacobian: strict=True, and an output does not depend on an input",
        ),
    ],
)
def test_errors_of_functional(call: Any, words: str) -> None:
    with pytest.raises((RuntimeError, ValueError), match=words):
        call(tg.ones(2))
    assert functional.jacobian(lambda x: x.detach(), tg.ones(2)).tolist() == [[0, 0], [0, 0]]
