"""check_grads catches wrong gradients that training does not; the strategies draw what they say."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import tinygen as tg
from tinygen import Tensor, ops
from tinygen.ops.op import REGISTRY, elementwise, op, sum_to
from tinygen.testing import (
    ConvGeometry,
    GradientError,
    Program,
    broadcastable_shapes,
    check_grads,
    conv_geometries,
    lay_out,
    programs,
    sample,
    shapes,
    tensors,
)


def planted(decorate: Callable, name: str, forward: Callable, *vjps: Callable | None) -> Callable:
    """An op that is not left in the registry."""
    forward.__name__ = name
    made = decorate(forward)
    REGISTRY.pop(made.spec.name)
    made.vjp(*vjps)
    return made


# --- gradients that are wrong, and train all the same ---------------------------------------------


def _linear_forward(x, w, b):
    return x @ w + b


def linear_with(gx: Callable, gw: Callable, gb: Callable, name: str) -> Callable:
    return planted(op, name, _linear_forward, gx, gw, gb)


def _cross_entropy(logits, one_hot):
    top = logits.max(1, keepdims=True)
    log_z = np.log(np.exp(logits - top).sum(1)) + top[:, 0]
    return (log_z - (logits * one_hot).sum(1)).mean()


def batch_norm(h: Tensor) -> Tensor:
    d = h - h.mean(0)
    return d * ((d * d).mean(0) + 1e-5).rsqrt()


def batch_norm_bug(h: Tensor) -> Tensor:
    """The variance term is missing: 1/std is taken for a constant."""
    d = h - h.mean(0)
    return d * ((d * d).mean(0) + 1e-5).rsqrt().detach()


def all_but_class_0(t: Tensor) -> Tensor:
    return t * tg.tensor([0.0] + [1.0] * (t.shape[1] - 1), dtype=t.dtype)


tanh_bug = planted(elementwise, "tanh_bug", lambda x: np.tanh(x), lambda g, out: g * (1.0 - out))
relu_bug = planted(elementwise, "relu_bug", lambda x: np.maximum(x, 0), lambda g: g)
sigmoid_bug = planted(
    elementwise, "sigmoid_bug", lambda x: 1 / (1 + np.exp(-x)), lambda g, out: g * out
)
good = (
    lambda g, w: g @ w.mT,
    lambda g, x: x.mT @ g,
    lambda g, b_shape: sum_to(g, shape=b_shape),
)
linear = linear_with(*good, name="linear_ok")
bias_bug = linear_with(good[0], good[1], lambda g: g.mean(0), name="bias_bug")
broadcast_bug = linear_with(good[0], good[1], lambda g: g[0], name="broadcast_bug")
matmul_bug = linear_with(lambda g, w: 2.0 * (g @ w.mT), good[1], good[2], name="matmul_bug")
transposed_bug = linear_with(
    good[0], lambda g, x: (x.mT @ g) * (1.0 / x.shape[0]), good[2], name="transposed_bug"
)
entropy = planted(
    op, "entropy_ok", _cross_entropy,
    lambda g, logits, one_hot: g * (logits.softmax(1) - one_hot) / logits.shape[0], None,
)  # fmt: skip
entropy_bug = planted(
    op, "entropy_bug", _cross_entropy,
    lambda g, logits, one_hot: g * (logits.softmax(1) - all_but_class_0(one_hot)) / logits.shape[0],
    None,
)  # fmt: skip
factor_bug = planted(
    op, "factor_bug", _cross_entropy,
    lambda g, logits, one_hot: g * (logits.softmax(1) - one_hot) * 2.0 / logits.shape[0], None,
)  # fmt: skip

RIGHT = {"linear": linear, "norm": batch_norm, "act": ops.tanh, "loss": entropy}
BUGS: dict[str, dict[str, Callable]] = {
    "tanh' = 1 - h": {"act": tanh_bug},
    "bias gradient is the mean, not the sum": {"linear": bias_bug},
    "bias gradient is the first row's": {"linear": broadcast_bug},
    "batch norm without its variance term": {"norm": batch_norm_bug},
    "relu' = 1 everywhere": {"act": relu_bug},
    "sigmoid' = s": {"act": sigmoid_bug},
    "cross-entropy forgets the one-hot of class 0": {"loss": entropy_bug},
    "cross-entropy's gradient is twice too large": {"loss": factor_bug},
    "x's gradient of x W is twice too large": {"linear": matmul_bug},
    "W's gradient of x W is divided by the batch": {"linear": transposed_bug},
}


def digits() -> tuple[Tensor, Tensor]:
    from tinygen.data import load

    data = load("digits", "all")
    return data.to_unit().reshape(-1, 64), data.labels


def accuracy_after_training(
    linear: Callable, norm: Callable, act: Callable, loss: Callable
) -> float:
    """A 64-32-32-10 network on the digits, Adam, 250 steps; accuracy on the 360 held out."""
    images, labels = digits()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(labels))
    train, test = order[:-360], order[-360:]
    sizes = [64, 32, 32, 10]
    params = []
    for n, m in itertools.pairwise(sizes):
        params.append(tg.tensor(rng.normal(0, n**-0.5, (n, m)).astype("f4"), requires_grad=True))
        params.append(tg.zeros(m, requires_grad=True))

    def forward(x: Tensor) -> Tensor:
        h = act(norm(linear(x, *params[0:2])))
        h = act(norm(linear(h, *params[2:4])))
        return linear(h, *params[4:6])

    moments = [[np.zeros(p.shape, "f4"), np.zeros(p.shape, "f4")] for p in params]
    targets = ops.one_hot(labels, 10).float()
    for step in range(1, 251):
        batch = train[rng.integers(0, len(train), 64)]
        grads = tg.autograd.grad(loss(forward(images[batch]), targets[batch]), params)
        for p, g, (m, v) in zip(params, grads, moments, strict=True):
            m[...] = 0.9 * m + 0.1 * g.numpy()
            v[...] = 0.99 * v + 0.01 * g.numpy() ** 2
            with tg.no_grad():
                p -= tg.tensor(0.01 * m / (1 - 0.9**step) / (np.sqrt(v / (1 - 0.99**step)) + 1e-8))
    with tg.no_grad():
        predicted = forward(images[test]).argmax(1).numpy()
    return float((predicted == labels[test].numpy()).mean())


def check_part(part: str, f: Callable) -> None:
    if part == "linear":
        check_grads(f, *(tg.tensor(sample(s, k)) for k, s in enumerate([(5, 4), (4, 3), (3,)])))
    elif part == "loss":
        one_hot = ops.one_hot(tg.tensor([0, 1, 2, 0]), 3).double()
        x = tg.tensor(sample((4, 3), 1))
        check_grads(lambda x: f(x, one_hot), x, float32=False)
    else:
        check_grads(f, tg.tensor(sample((5, 3), 1, avoid=(0.0,))))


@pytest.mark.parametrize("part", RIGHT)
def test_the_right_parts_pass(part: str) -> None:
    check_part(part, RIGHT[part])


def test_the_right_network_learns_the_digits() -> None:
    assert accuracy_after_training(**RIGHT) > 0.95


@pytest.mark.parametrize("bug", BUGS)
def test_a_wrong_gradient_trains_all_the_same_and_is_flagged(bug: str) -> None:
    parts = {**RIGHT, **BUGS[bug]}
    assert accuracy_after_training(**parts) > 0.85
    for part, f in BUGS[bug].items():
        with pytest.raises(GradientError, match="order 1"):
            check_part(part, f)


# --- what else check_grads sees -------------------------------------------------------------------


X = tg.tensor(sample((2, 3), 0))


def test_second_order_catches_a_raw_array_in_a_vjp() -> None:
    raw = planted(
        elementwise, "raw", lambda x: np.tanh(x), lambda g, out: g * (1.0 - out.detach() ** 2)
    )
    check_grads(raw, X, order=1)
    with pytest.raises(GradientError, match="raw, order 2.*input 0"):
        check_grads(raw, X)


def test_third_order_catches_what_the_second_does_not() -> None:
    curve = planted(
        elementwise, "curve", lambda x: 6 * x, lambda g, x: g * 6 + 0 * (x * x).detach()
    )
    check_grads(curve, X, order=3)
    slope = planted(elementwise, "slope", lambda x: 3 * x * x, lambda g, x: g * (6 * x.detach()))
    cube = planted(elementwise, "cube", lambda x: x**3, lambda g, x: g * slope(x))
    check_grads(cube, X, order=2)
    with pytest.raises(GradientError, match="order 3"):
        check_grads(cube, X, order=3)


@pytest.mark.parametrize("full", [False, True])
def test_the_message_shows_the_worst_entry(full: bool) -> None:
    def scaled(x: Tensor, y: Tensor) -> Tensor:
        factor = np.ones((2, 3))
        factor[1, 2] = 1.5
        return x + (y * tg.tensor(factor)).detach() * 0 + wrong(y, factor=factor)

    def forward(y, *, factor):
        return 2 * y

    wrong = planted(
        op, "wrong", forward, lambda g, factor: g * 2 * tg.tensor(factor, dtype=g.dtype)
    )
    with pytest.raises(GradientError) as caught:
        check_grads(scaled, X, X + 1, full=full, float32=False)
    text = str(caught.value)
    assert "input 1" in text and "index (1, 2)" in text and "analytic/numeric 1.5" in text
    assert "1 of 6 entries" in text
    if full:
        assert "output entry (1, 2)" in text and "analytic 3" in text and "numeric 2" in text


def test_a_gradient_that_was_cut_off_is_seen() -> None:
    with pytest.raises(GradientError, match="analytic 0"):
        check_grads(lambda x: x.detach() * 2, X)
    with pytest.raises(GradientError, match="input 1"):
        check_grads(lambda x, y: x * y.detach(), X, X + 1)


def test_nan_does_not_pass() -> None:
    bad = planted(elementwise, "bad", lambda x: x * 1, lambda g: g * float("nan"))
    for full in (False, True):
        with pytest.raises(GradientError):
            check_grads(bad, X, full=full, order=1)


def test_shapes_and_dtypes_of_gradients() -> None:
    column = planted(op, "column", lambda x: x.sum(1, keepdims=True), lambda g: g)
    with pytest.raises(GradientError, match=r"\(2, 1\).*\(2, 3\)"):
        check_grads(column, X)
    upcast = planted(op, "upcast", lambda x: x * 2, lambda g: g.double() * 2)
    with pytest.raises(GradientError, match="float64.*float32"):
        check_grads(upcast, X)
    with pytest.raises(GradientError, match="output 0 is float64 for float32"):
        check_grads(lambda x: x * tg.ones(2, 3, dtype=tg.float64), X)
    check_grads(lambda x: x * tg.ones(2, 3, dtype=tg.float64), X, float32=False)


def test_functions_that_cannot_be_checked_say_so() -> None:
    with pytest.raises(GradientError, match="different results"):
        check_grads(lambda x: x * tg.randn(2, 3), X)

    def changes(x: Tensor) -> Tensor:
        with tg.no_grad():
            x += 1
        return x * 2

    with pytest.raises((GradientError, RuntimeError), match="in place"):
        check_grads(changes, X.clone())
    with pytest.raises(ValueError, match="no Tensor of floating dtype"):
        check_grads(lambda n: X * n, 3)
    with pytest.raises(TypeError, match="returned float"):
        check_grads(lambda x: 1.0, X)
    with pytest.raises(ValueError, match="order"):
        check_grads(lambda x: x, X, order=0)


def test_arguments_that_are_not_tensors_and_outputs_that_are_tuples() -> None:
    index = tg.tensor([0, 1, 1])

    def f(x: Tensor, i: Tensor, n: int, names: list[str], y: Tensor) -> tuple:
        assert names == ["a"] and i is index
        return x[i] ** n, (y > 0), [x.sum() * y][0], y.argmax()

    for full in (False, True):
        check_grads(f, X, index, 3, ["a"], X - 0.3, full=full)


def test_the_arguments_are_left_alone() -> None:
    x = tg.tensor(sample((2, 2), 1).astype("f4"), requires_grad=True)
    before = x.tolist()
    check_grads(lambda v: v.exp(), x)
    assert x.tolist() == before and x.grad is None and x.dtype == tg.float32 and x.is_leaf
    with tg.no_grad():
        check_grads(lambda v: v.exp(), x)


def test_params_are_differentiated_and_put_back() -> None:
    w = tg.tensor(sample((3, 2), 4).astype("f4"), requires_grad=True)
    kept = w._array
    check_grads(lambda x: (x @ w).tanh(), X, params=[w])
    assert w._array is kept and w.requires_grad and w.is_leaf and w.grad is None
    with pytest.raises(GradientError, match="input 1"):
        check_grads(lambda x: x @ w.detach(), X, params=[w])
    assert w._array is kept


def test_it_is_itself_a_bilinear_identity() -> None:
    """Full mode agrees with a Jacobian in closed form: d softmax_i / d x_j = s_i (d_ij - s_j)."""
    x = tg.tensor(sample((4,), 3), requires_grad=True)
    s = x.softmax(0)
    rows = [tg.autograd.grad(s, x, tg.eye(4, dtype=tg.float64)[i], retain_graph=True)[0].numpy()
            for i in range(4)]  # fmt: skip
    p = s.detach().numpy()
    np.testing.assert_allclose(rows, np.diag(p) - np.outer(p, p), atol=1e-15)
    check_grads(lambda v: v.softmax(0), x, full=True)


# --- the strategies -------------------------------------------------------------------------------


@settings(max_examples=100)
@given(broadcastable_shapes(3))
def test_broadcastable_shapes_broadcast(drawn: tuple) -> None:
    np.broadcast_shapes(*drawn)


def test_the_strategies_reach_the_awkward_cases() -> None:
    for wanted in (
        lambda x: x.ndim == 0,
        lambda x: 0 in x.shape,
        lambda x: not x.is_contiguous() and x.ndim == 2,
        lambda x: x.numel() and x.ndim and min(x.stride()) < 0,
    ):
        find(tensors(), wanted)
    find(broadcastable_shapes(), lambda s: len(s[0]) < len(s[1]) and 1 in s[0])
    for transposed in (False, True):
        found = conv_geometries(transposed=transposed)
        find(found, lambda c: c.groups > 1 and c.stride[0] != c.stride[1] and c.dilation[0] == 2)
    find(conv_geometries(transposed=True), lambda c: c.output_padding != (0, 0))


@given(x=tensors(low=-1, high=1, avoid=(0.0, 0.5), requires_grad=True))
def test_tensors_stay_away_from_kinks(x: Tensor) -> None:
    a = x.detach().numpy()
    assert x.requires_grad and a.dtype == np.float32
    assert (np.abs(a) >= 0.0499).all() and (np.abs(a - 0.5) >= 0.0499).all()


@given(shape=shapes(max_dims=3), seed=st.integers(0, 100))
def test_distinct_samples_and_layouts(shape: tuple, seed: int) -> None:
    a = sample(shape, seed, distinct=True)
    assert a.shape == shape and len(np.unique(a)) == a.size
    for layout in ("plain", "transposed", "strided", "reversed"):
        np.testing.assert_array_equal(lay_out(a, layout), a)


@settings(max_examples=200)
@given(st.booleans().flatmap(lambda t: conv_geometries(transposed=t)))
def test_conv_geometries_are_possible(c: ConvGeometry) -> None:
    """Against a count by hand: how many windows start within the padded rows."""
    assert min(c.out_shape) >= 1 and c.C % c.groups == c.O % c.groups == 0
    for i, n in enumerate((c.H, c.W)):
        reach = c.dilation[i] * (c.kernel[i] - 1)
        if not c.transposed:
            starts = range(-c.padding[i], n + c.padding[i] - reach, c.stride[i])
            assert c.out_shape[2 + i] == len(starts)
        else:  # the sizes that conv2d maps back to n
            back = (c.out_shape[2 + i] + 2 * c.padding[i] - reach - 1) // c.stride[i] + 1
            assert c.output_padding[i] >= c.stride[i] or back == n


@settings(max_examples=50)
@given(programs())
def test_programs_are_readable_source_in_a_sane_range(program: Program) -> None:
    compile(program.source, "program", "exec")
    assert program.source.startswith("def program(a") and "return" in program.source
    for out in program.function()(*program.inputs):
        assert np.isfinite(out.numpy()).all() and np.abs(out.numpy()).max(initial=0) <= 9


def test_check_grads_needs_no_hypothesis() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import tinygen as tg\n"
        "from tinygen.testing import check_grads, tensors\n"
        "check_grads(tg.exp, tg.randn(3))\n"
        "try:\n    tensors()\n"
        "except ImportError as error:\n    print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "pip install 'tinygen[test]'" in run.stdout
