"""Optimizers, schedules and EMA against closed forms, in float64. The parity suite has torch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygen as tg
from tinygen import optim
from tinygen.optim import lr_scheduler
from tinygen.tensor import Tensor, wrap


def leaf(values, dtype=np.float64):
    return wrap(np.array(values, dtype=dtype)).requires_grad_()


def set_grad(p, array):
    p.grad = wrap(np.asarray(array, dtype=p.dtype).reshape(p.shape))


def descend(opt, p, gradient, steps):
    """The path of p under the gradient function, one copy a step."""
    path = []
    for _ in range(steps):
        set_grad(p, gradient(p._array))
        opt.step()
        path.append(p._array.copy())
    return np.array(path)


# --- closed forms ---------------------------------------------------------------------------

CURVATURE = np.array([0.5, 1.0, 3.0])


def test_sgd_in_a_bowl_is_a_power():
    p = leaf([1.0, -2.0, 3.0])
    start = p._array.copy()
    path = descend(optim.SGD([p], lr=0.1), p, lambda x: CURVATURE * x, 40)
    powers = (1 - 0.1 * CURVATURE) ** np.arange(1, 41)[:, None]
    np.testing.assert_allclose(path, start * powers, rtol=1e-12)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_in_a_bowl_is_a_linear_recurrence(nesterov):
    lr, mu = 0.05, 0.9
    p = leaf([1.0, -2.0, 3.0])
    start = p._array.copy()
    opt = optim.SGD([p], lr=lr, momentum=mu, nesterov=nesterov)
    path = descend(opt, p, lambda x: CURVATURE * x, 50)
    for c, x0, xs in zip(CURVATURE, start, path.T, strict=True):
        # buf' = mu buf + c x;  x' = x - lr buf', nesterov: x - lr (c x + mu buf')
        if nesterov:
            m = [[1 - lr * c * (1 + mu), -lr * mu * mu], [c, mu]]
        else:
            m = [[1 - lr * c, -lr * mu], [c, mu]]
        state = np.array([x0, 0.0])
        for x in xs:
            state = np.array(m) @ state
            assert x == pytest.approx(state[0], rel=1e-11, abs=1e-13)


def test_dampening_spares_the_first_step():
    p = leaf([0.0])
    opt = optim.SGD([p], lr=1.0, momentum=0.5, dampening=0.75)
    path = descend(opt, p, lambda x: np.ones(1), 3)[:, 0]
    buf1, buf2 = 0.5 + 0.25, 0.5 * (0.5 + 0.25) + 0.25
    np.testing.assert_allclose(path, -np.cumsum([1.0, buf1, buf2]), rtol=1e-14)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e6])
def test_first_adam_step_is_the_sign_of_the_gradient(scale):
    g = scale * np.array([1.0, -2.0, 0.5, -0.01])
    p = leaf(np.zeros(4))
    descend(optim.Adam([p], lr=0.3, eps=0.0), p, lambda x: g, 1)
    np.testing.assert_allclose(p._array, -0.3 * np.sign(g), rtol=1e-12)


def test_adam_under_a_constant_gradient_moves_lr_a_step():
    p = leaf(np.zeros(3))
    g = np.array([2.0, -1e-3, 7.0])
    path = descend(optim.Adam([p], lr=0.01, eps=0.0), p, lambda x: g, 300)
    np.testing.assert_allclose(path[-1], -3.0 * np.sign(g), rtol=1e-11)


def adam_by_the_paper(x, gradients, lr, beta1, beta2, eps, decay, decoupled, amsgrad):
    """Algorithm 1, with the bias corrections written out."""
    m = v = largest = np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        if decoupled:
            x = x - lr * decay * x
        else:
            g = g + decay * x
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        largest = np.maximum(largest, v) if amsgrad else v
        x = x - lr * (m / (1 - beta1**t)) / (np.sqrt(largest / (1 - beta2**t)) + eps)
    return x


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.sampled_from([(), (1,), (0,), (5,), (3, 4), (2, 3, 2, 2)]),
    decoupled=st.booleans(),
    amsgrad=st.booleans(),
    maximize=st.booleans(),
    decay=st.sampled_from([0.0, 0.1]),
    eps=st.sampled_from([1e-8, 0.1]),
)
def test_adam_is_the_papers(seed, shape, decoupled, amsgrad, maximize, decay, eps):
    rng = np.random.default_rng(seed)
    p = leaf(rng.normal(size=shape))
    start = p._array.copy()
    gradients = rng.normal(size=(7, *shape)) * rng.choice([0.1, 1.0, 10.0], size=7).reshape(
        7, *[1] * len(shape)
    )
    kind = optim.AdamW if decoupled else optim.Adam
    opt = kind([p], 0.02, (0.8, 0.95), eps, weight_decay=decay, amsgrad=amsgrad, maximize=maximize)
    for g in gradients:
        set_grad(p, g)
        opt.step()
        np.testing.assert_array_equal(p.grad._array, g)  # the gradient is left alone
    signed = -gradients if maximize else gradients
    expected = adam_by_the_paper(start, signed, 0.02, 0.8, 0.95, eps, decay, decoupled, amsgrad)
    np.testing.assert_allclose(p._array, expected, rtol=1e-10, atol=1e-13)


def test_rmsprop_first_steps():
    g = np.array([2.0, -0.5])
    p = leaf(np.zeros(2))
    descend(optim.RMSprop([p], lr=0.1, alpha=0.9, eps=0.0), p, lambda x: g, 1)
    np.testing.assert_allclose(p._array, -0.1 / math.sqrt(0.1) * np.sign(g), rtol=1e-12)
    p = leaf(np.zeros(2))
    opt = optim.RMSprop([p], lr=0.1, alpha=0.9, eps=0.0, centered=True)
    descend(opt, p, lambda x: g, 1)
    variance = 0.1 - 0.1**2  # of a running mean that has seen g once, over g^2
    np.testing.assert_allclose(p._array, -0.1 / math.sqrt(variance) * np.sign(g), rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    momentum=st.sampled_from([0.0, 0.7]),
    centered=st.booleans(),
    maximize=st.booleans(),
    decay=st.sampled_from([0.0, 0.1]),
)
def test_rmsprop_is_its_formula(seed, momentum, centered, maximize, decay):
    rng = np.random.default_rng(seed)
    p = leaf(rng.normal(size=(3, 2)))
    opt = optim.RMSprop([p], 0.02, 0.8, 1e-3, decay, momentum, centered, maximize=maximize)
    x = p._array.copy()
    v = mean = buf = np.zeros_like(x)
    for _ in range(6):
        given_gradient = rng.normal(size=x.shape)
        set_grad(p, given_gradient)
        opt.step()
        np.testing.assert_array_equal(p.grad._array, given_gradient)
        g = (-given_gradient if maximize else given_gradient) + decay * x
        v, mean = 0.8 * v + 0.2 * g * g, 0.8 * mean + 0.2 * g
        buf = momentum * buf + g / (np.sqrt(v - centered * mean**2) + 1e-3)
        x = x - 0.02 * buf
    np.testing.assert_allclose(p._array, x, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("kind", [optim.SGD, optim.RMSprop, optim.Adam, optim.AdamW])
def test_weight_decay_alone_pulls_to_zero(kind):
    p = leaf([3.0, -4.0])
    opt = kind([p], lr=0.01, weight_decay=0.5)
    path = np.abs(descend(opt, p, lambda x: np.zeros(2), 20))
    assert (np.diff(path, axis=0) < 0).all()
    if kind in (optim.SGD, optim.AdamW):
        np.testing.assert_allclose(path[-1], np.array([3.0, 4.0]) * (1 - 0.005) ** 20, rtol=1e-12)


POLYNOMIALS = [(3.4445, -4.775, 2.0315), (1.5, -0.5, 0.0), (2.0, -1.5, 0.5)]


@pytest.mark.parametrize("coefficients", POLYNOMIALS)
@pytest.mark.parametrize("shape", [(4, 4), (3, 7), (7, 3), (1, 5), (5, 1)])
def test_muon_s_iteration_is_its_polynomial_of_the_singular_values(shape, coefficients):
    g = np.random.default_rng(0).normal(size=shape)
    u, s, v = np.linalg.svd(g, full_matrices=False)
    s /= np.linalg.norm(g)
    a, b, c = coefficients
    for _ in range(5):
        s = a * s + b * s**3 + c * s**5
    found = optim.muon.orthogonalised(g, coefficients, 5, 1e-7)
    np.testing.assert_allclose(found, (u * s) @ v, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(6, 4), (5, 2, 3, 3)])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("adjust", [None, "match_rms_adamw"])
def test_muon_moves_by_orthogonal_matrices(shape, nesterov, adjust):
    """Enough steps of a polynomial that converges: momentum's polar factor, of its singular value
    decomposition."""
    rng = np.random.default_rng(1)
    p, buf = leaf(rng.normal(size=shape)), np.zeros((shape[0], math.prod(shape[1:])))
    x, mu, lr, decay = p._array.reshape(buf.shape).copy(), 0.8, 0.1, 0.3
    opt = optim.Muon([p], lr, decay, mu, nesterov, (1.5, -0.5, 0.0), 0.0, 60, adjust)
    for _ in range(3):
        g = rng.normal(size=buf.shape)
        set_grad(p, g)
        opt.step()
        buf = mu * buf + (1 - mu) * g
        u, _, v = np.linalg.svd((1 - mu) * g + mu * buf if nesterov else buf, full_matrices=False)
        n, m = buf.shape
        ratio = 0.2 * max(n, m) ** 0.5 if adjust else max(1.0, n / m) ** 0.5
        x = (1 - lr * decay) * x - lr * ratio * (u @ v)
        np.testing.assert_allclose(p._array.reshape(buf.shape), x, rtol=1e-8, atol=1e-9)


def test_muon_stays_where_there_is_no_gradient_and_keeps_float16():
    p = leaf(np.ones((2, 3)), np.float16)
    opt = optim.Muon([p], weight_decay=0.0)
    set_grad(p, np.zeros((2, 3)))
    opt.step()
    assert (p._array == 1).all() and p._array.dtype == np.float16
    set_grad(p, np.full((2, 3), 6e4))
    opt.step()
    assert np.isfinite(p._array).all() and (p._array < 1).all()


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 3, 3)])
def test_muon_passes_over_what_is_empty(shape):
    p = leaf(np.zeros(shape))
    set_grad(p, np.zeros(shape))
    optim.Muon([p]).step()
    assert p.shape == shape


def test_muon_hides_no_nan():
    p = leaf(np.ones((2, 3)))
    set_grad(p, [[np.nan, 0.0, 0.0], [0.0, 0.0, 0.0]])
    optim.Muon([p]).step()
    assert np.isnan(p._array).any()


def test_matrices_are_muon_s_and_all_else_is_adam_s():
    net = tg.nn.Sequential(tg.nn.Conv2d(1, 2, 3), tg.nn.GroupNorm(1, 2), tg.nn.Linear(2, 2))
    muon, adam = optim.muon.with_adam(net.named_parameters(), 0.1, 0.2, ["1."], 0.3).param_groups
    assert [p.ndim for p in muon["params"]] == [4, 2] and {p.ndim for p in adam["params"]} == {1}
    assert (muon["lr"], adam["lr"]) == (0.1, 0.2) and muon["adjust_lr_fn"] == "match_rms_adamw"
    assert muon["weight_decay"] == adam["weight_decay"] == 0.3
    muon, adam = optim.muon.with_adam(net.named_parameters(), 0.1, 0.2, ["0."]).param_groups
    assert muon["params"] == [net[2].weight] and len(adam["params"]) == 5


# --- what all optimizers share --------------------------------------------------------------

KINDS = {
    "sgd": lambda ps: optim.SGD(ps, lr=0.1),
    "momentum": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True),
    "rmsprop": lambda ps: optim.RMSprop(ps, momentum=0.5, centered=True, weight_decay=0.01),
    "adam": lambda ps: optim.Adam(ps, amsgrad=True),
    "adamw": lambda ps: optim.AdamW(ps),
    "muon": lambda ps: optim.Muon(ps),
}
kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


@kinds
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_in_place_with_dtype_layout_and_version_kept(make, dtype):
    rng = np.random.default_rng(0)
    array = rng.normal(size=(2, 5, 3, 4)).astype(dtype).transpose(0, 3, 1, 2)  # channels last
    p, before = wrap(array).requires_grad_(), array.copy()
    opt = make([p])
    for step in range(3):
        set_grad(p, rng.normal(size=p.shape))
        opt.step()
        assert p._version[0] == step + 1
    assert p._array is array and array.dtype == dtype
    assert (array != before).all()
    for value in opt.state[p].values():
        if isinstance(value, Tensor):
            assert value.dtype == dtype and value._array.strides == array.strides


@kinds
def test_layouts_do_not_change_the_numbers(make):
    rng = np.random.default_rng(1)
    a = rng.normal(size=(3, 4, 5))
    p = leaf(a)
    q = wrap(a.transpose(2, 0, 1).copy().transpose(1, 2, 0)).requires_grad_()
    assert p._array.strides != q._array.strides
    one, two = make([p]), make([q])
    for _ in range(5):
        g = rng.normal(size=p.shape)
        set_grad(p, g)
        set_grad(q, g)
        one.step()
        two.step()
    np.testing.assert_array_equal(p._array, q._array)


@kinds
def test_a_parameter_without_gradient_is_left_alone(make):
    p, q = leaf([[1.0, 2.0]]), leaf([[3.0]])
    opt = make([p, q])
    set_grad(p, [[1.0, 1.0]])
    opt.step()
    assert q._array.tolist() == [[3.0]] and q._version[0] == 0 and q not in opt.state
    assert p._array.tolist() != [[1.0, 2.0]]


@kinds
def test_state_dict_round_trip_continues_bit_for_bit(make):
    rng = np.random.default_rng(2)
    gradients = rng.normal(size=(10, 2, 3)).astype(np.float32)

    def train(p, opt, gradients):
        for g in gradients:
            set_grad(p, g)
            opt.step()

    p = leaf(np.ones((2, 3)), np.float32)
    opt = make([p])
    train(p, opt, gradients[:4])
    q = leaf(p._array, np.float32)
    other = make([q])
    other.load_state_dict(opt.state_dict())
    train(p, opt, gradients[4:])  # also shows that the loaded state is a copy
    train(q, other, gradients[4:])
    np.testing.assert_array_equal(p._array, q._array)


def test_state_dict_has_pytorchs_structure():
    p, q, r = leaf([1.0]), leaf([2.0]), leaf([3.0])
    opt = optim.Adam([{"params": [p, q], "lr": 0.5}, {"params": r, "betas": (0.5, 0.9)}])
    set_grad(q, [1.0])
    opt.step()
    saved = opt.state_dict()
    assert list(saved["state"]) == [1]
    assert set(saved["state"][1]) == {"step", "exp_avg", "exp_avg_sq"}
    assert [g["params"] for g in saved["param_groups"]] == [[0, 1], [2]]
    assert saved["param_groups"][0]["lr"] == 0.5
    assert saved["param_groups"][1]["betas"] == (0.5, 0.9)


def test_groups_keep_their_own_settings():
    p, q, r = leaf([0.0]), leaf([0.0]), leaf([0.0])
    opt = optim.SGD([{"params": [p]}, {"params": [q], "lr": 0.5}], lr=0.1)
    opt.add_param_group({"params": [r], "lr": 2.0})
    for x in (p, q, r):
        set_grad(x, [1.0])
    opt.step()
    assert [x.item() for x in (p, q, r)] == [-0.1, -0.5, -2.0]


def test_zero_grad():
    p = leaf([1.0, 2.0])
    opt = optim.SGD([p], lr=1.0)
    set_grad(p, [1.0, 2.0])
    kept = p.grad
    opt.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0.0, 0.0] and kept.tolist() == [1.0, 2.0]
    opt.zero_grad()
    assert p.grad is None


def test_closure_is_evaluated_with_gradients_on():
    from tinygen.tape import is_grad_enabled, no_grad

    p = leaf([1.0])
    seen = []

    def closure():
        seen.append(is_grad_enabled())
        set_grad(p, [1.0])
        return 42

    with no_grad():
        assert optim.SGD([p], lr=0.5).step(closure) == 42
    assert seen == [True] and p.item() == 0.5


def test_backward_after_step_notices_the_change():
    p = tg.tensor([1.0, 2.0], requires_grad=True)
    loss = (p * p).sum()
    loss.backward(retain_graph=True)
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


ONE = [leaf([1.0])]
TWO = [wrap(np.ones((2, 2))).requires_grad_()]
BAD = [
    (lambda: optim.SGD([]), ValueError, "empty parameter list"),
    (lambda: optim.SGD(ONE[0]), TypeError, "iterable of Tensors"),
    (lambda: optim.SGD({"a": 1}), TypeError, "iterable of Tensors"),
    (lambda: optim.SGD([1.0]), TypeError, "can only optimize Tensors, but one is float"),
    (lambda: optim.SGD([wrap(np.arange(3))]), TypeError, "floating-point Tensors.*int64"),
    (lambda: optim.SGD([{"params": set(ONE)}]), TypeError, "fixed order"),
    (lambda: optim.SGD([{"lr": 1.0}]), ValueError, "needs 'params'"),
    (lambda: optim.SGD([{"params": ONE}, {"params": ONE}]), ValueError, "more than one parameter"),
    (lambda: lr_scheduler.OneCycleLR(optim.Adagrad(ONE), 1.0, 5), ValueError, "momentum or beta1"),
    (lambda: lr_scheduler.OneCycleLR(optim.SGD(ONE), 1.0), ValueError, "expected total_steps, or"),
    (lambda: lr_scheduler.OneCycleLR(optim.SGD(ONE), [1.0, 2.0], 5), ValueError, "one max_lr or 1"),
    (lambda: lr_scheduler.CyclicLR(optim.SGD(ONE), 0.1, 1.0, mode="up"), ValueError, "mode"),
    (lambda: lr_scheduler.CyclicLR(3, 0.1, 1.0), TypeError, "int is not an Optimizer"),
    (lambda: lr_scheduler.ReduceLROnPlateau(optim.SGD(ONE), "low"), ValueError, "mode 'min' or"),
    (lambda: optim.SGD(ONE, lr=-1), ValueError, "SGD: expected lr >= 0, got -1"),
    (lambda: optim.SGD(ONE, lr=math.nan), ValueError, "SGD: expected a finite lr, got nan"),
    (lambda: optim.SGD(ONE, momentum=-1), ValueError, "SGD: expected momentum >= 0, got -1"),
    (lambda: optim.SGD(ONE, weight_decay=-1), ValueError, "SGD: expected weight_decay >= 0"),
    (lambda: optim.SGD(ONE, nesterov=True), ValueError, "Nesterov momentum requires"),
    (lambda: optim.RMSprop(ONE, alpha=-1), ValueError, "RMSprop: expected alpha >= 0"),
    (lambda: optim.RMSprop(ONE, eps=-1), ValueError, "RMSprop: expected eps >= 0"),
    (lambda: optim.Adam(ONE, betas=(1.0, 0.9)), ValueError, "Invalid beta parameter at index 0"),
    (lambda: optim.Adam(ONE, betas=(0.9, 1.0)), ValueError, "Invalid beta parameter at index 1"),
    (lambda: optim.Adam(ONE, eps=-1), ValueError, "Adam: expected eps >= 0, got -1"),
    (lambda: optim.AdamW(ONE, weight_decay=-1), ValueError, "AdamW: expected weight_decay"),
    (lambda: optim.Muon(ONE), ValueError, r"Muon: expected matrices.*shape .*give it to Adam"),
    (lambda: optim.Muon(TWO, adjust_lr_fn="x"), ValueError, "adjust_lr_fn 'x'; there are original"),
    (lambda: optim.Muon(TWO, momentum=-1), ValueError, "Muon: expected momentum >= 0, got -1"),
    (lambda: optim.Muon(TWO, ns_steps=0), ValueError, "Muon: expected ns_steps >= 1, got 0"),
    (lambda: optim.Together(optim.SGD(ONE), 3), TypeError, "Together: int is not an Optimizer"),
    (lambda: optim.Together(optim.SGD(ONE), optim.Adam(ONE)), ValueError, "parameters of its own"),
    (lambda: optim.Together(), ValueError, "Together: expected optimizers"),
    (lambda: optim.Together(optim.SGD(ONE)).add_param_group({}), TypeError, "one of its optimizer"),
    (lambda: optim.EMA(ONE, decay=1.0), ValueError, r"decay in \[0, 1\)"),
    (lambda: optim.EMA(3), TypeError, "expected a Module or a list of Tensors, got int"),
    (lambda: optim.clip_weights_(ONE, 0.0), ValueError, "expected c > 0, got 0.0"),
]


@pytest.mark.parametrize("call, error, message", BAD)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_load_state_dict_that_does_not_fit_changes_nothing():
    p, q = leaf([1.0]), leaf([1.0, 2.0])
    one, two, three = optim.Adam([p]), optim.Adam([p, q]), optim.Adam([q])
    for x in (p, q):
        set_grad(x, np.ones(x.shape))
    one.step()
    three.step()
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        two.load_state_dict(one.state_dict())
    grouped = optim.Adam([{"params": p}, {"params": q}])
    with pytest.raises(ValueError, match="different number of parameter groups: 2"):
        two.load_state_dict(grouped.state_dict())
    one.param_groups[0]["lr"] = 5.0
    with pytest.raises(ValueError, match=r"'exp_avg' has shape \(1,\), but its parameter \(2,\)"):
        three.load_state_dict(one.state_dict())
    assert three.param_groups[0]["lr"] == 1e-3 and three.state[q]["step"] == 1


def test_clip_weights():
    p = leaf([-3.0, -0.005, 0.0, 0.2])
    optim.clip_weights_([p], 0.01)
    assert p.tolist() == [-0.01, -0.005, 0.0, 0.01] and p._version[0] == 1


# --- schedules ------------------------------------------------------------------------------


def rates(make, steps, lr=0.8):
    opt = optim.SGD([leaf([0.0])], lr=lr)
    schedule = make(opt)
    out = [opt.param_groups[0]["lr"]]
    for _ in range(steps):
        schedule.step()
        out.append(opt.param_groups[0]["lr"])
        assert schedule.get_last_lr() == [out[-1]]
    return np.array(out)


T = np.arange(31)
SCHEDULES = {
    "lambda": (lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t)), 1 / (1 + T)),
    "step": (lambda o: lr_scheduler.StepLR(o, 7, gamma=0.5), 0.5 ** (T // 7)),
    "multistep": (
        lambda o: lr_scheduler.MultiStepLR(o, [20, 5, 5], gamma=0.5),
        0.5 ** (2.0 * (T >= 5) + (T >= 20)),
    ),
    "exponential": (lambda o: lr_scheduler.ExponentialLR(o, 0.9), 0.9**T),
    "cosine": (
        lambda o: lr_scheduler.CosineAnnealingLR(o, 10, eta_min=0.08),
        0.1 + 0.9 * (1 + np.cos(np.pi * T / 10)) / 2,
    ),
    "linear": (
        lambda o: lr_scheduler.LinearLR(o, 0.25, 0.75, total_iters=8),
        0.25 + 0.5 * np.minimum(T, 8) / 8,
    ),
    "warmup": (
        lambda o: lr_scheduler.SequentialLR(
            o,
            [
                lr_scheduler.LinearLR(o, 0.1, total_iters=9),
                lr_scheduler.CosineAnnealingLR(o, T_max=21),
            ],
            milestones=[9],
        ),
        np.where(T < 9, 0.1 + 0.1 * T, (1 + np.cos(np.pi * (T - 9) / 21)) / 2),
    ),
}


@pytest.mark.parametrize("make, factor", SCHEDULES.values(), ids=SCHEDULES.keys())
def test_schedule_is_its_closed_form(make, factor):
    np.testing.assert_allclose(rates(make, 30), 0.8 * factor, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("make", [m for m, _ in SCHEDULES.values()], ids=SCHEDULES.keys())
def test_schedule_resumes(make):
    whole = rates(make, 30)
    opt = optim.SGD([leaf([0.0])], lr=0.8)
    schedule = make(opt)
    for _ in range(8):
        schedule.step()
    opt2 = optim.SGD([leaf([0.0])], lr=0.8)
    schedule2 = make(opt2)
    opt2.load_state_dict(opt.state_dict())
    schedule2.load_state_dict(schedule.state_dict())
    rest = [opt2.param_groups[0]["lr"]]
    for _ in range(22):
        schedule2.step()
        rest.append(opt2.param_groups[0]["lr"])
    np.testing.assert_array_equal(rest, whole[8:])


def test_schedules_chain_and_respect_groups():
    opt = optim.SGD([{"params": leaf([0.0])}, {"params": leaf([0.0]), "lr": 0.1}], lr=1.0)
    decay, steps = lr_scheduler.ExponentialLR(opt, 0.5), lr_scheduler.StepLR(opt, 2, 0.1)
    for _ in range(2):
        decay.step()
        steps.step()
    np.testing.assert_allclose([g["lr"] for g in opt.param_groups], [0.025, 0.0025])


def test_a_numpy_rate_keeps_float32():
    p = leaf([1.0], np.float32)
    opt = optim.SGD([p], lr=1.0)
    lr_scheduler.LambdaLR(opt, lambda t: np.float64(0.5))
    set_grad(p, [1.0])
    opt.step()
    assert p.dtype == np.float32 and p.item() == 0.5
    assert type(opt.param_groups[0]["lr"]) is float


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda o: lr_scheduler.StepLR(3, 1), TypeError, "int is not an Optimizer"),
        (lambda o: lr_scheduler.StepLR(o, 0), ValueError, "step_size >= 1, got 0"),
        (lambda o: lr_scheduler.CosineAnnealingLR(o, 0), ValueError, "T_max >= 1, got 0"),
        (lambda o: lr_scheduler.LinearLR(o, 0.0), ValueError, r"in \(0, 1\], got 0.0"),
        (lambda o: lr_scheduler.LinearLR(o, 0.5, 2.0), ValueError, r"in \[0, 1\], got 2.0"),
        (lambda o: lr_scheduler.LambdaLR(o, []), ValueError, "Expected 1 lr_lambdas, but got 0"),
        (lambda o: lr_scheduler.StepLR(o, 1, last_epoch=3), KeyError, "'initial_lr' is not spec"),
        (lambda o: lr_scheduler.SequentialLR(o, [], [3]), ValueError, "one more than"),
        (
            lambda o: lr_scheduler.StepLR(o, 1).load_state_dict({"gamma": 1}),
            ValueError,
            r"StepLR.load_state_dict: expected the entries .* got \['gamma'\]",
        ),
    ],
)
def test_bad_schedules(make, error, message):
    with pytest.raises(error, match=message):
        make(optim.SGD(ONE))


# --- EMA ------------------------------------------------------------------------------------


def test_ema_with_warmup_is_a_weighted_mean():
    rng = np.random.default_rng(3)
    p = leaf(rng.normal(size=4))
    ema = optim.EMA([p], decay=0.5)
    expected = p._array.copy()
    for t in range(20):
        p._array[...] = rng.normal(size=4)
        decay = min(0.5, (1 + t) / (10 + t))
        assert ema.current_decay() == decay
        ema.update()
        expected = decay * expected + (1 - decay) * p._array
        np.testing.assert_allclose(ema.shadow["0"]._array, expected, rtol=1e-13)
    assert ema.current_decay() == 0.5  # the warm-up is over after 8 updates


def test_ema_without_warmup_forgets_as_a_power():
    p = leaf([1.0])
    ema = optim.EMA([p], decay=0.9, warmup=False)
    p._array[...] = 0.0
    for _ in range(10):
        ema.update()
    assert ema.shadow["0"].item() == pytest.approx(0.9**10, rel=1e-12)


def test_ema_swap_gives_the_weights_back_even_after_an_error():
    p = leaf([1.0, 2.0])
    ema = optim.EMA([p])
    p._array[...] = [5.0, 6.0]
    with pytest.raises(ZeroDivisionError), ema.swap():
        assert p.tolist() == [1.0, 2.0] and p._version[0] == 1
        with pytest.raises(RuntimeError, match="inside swap"):
            ema.update()
        with pytest.raises(RuntimeError, match="already inside"), ema.swap():
            pass
        raise ZeroDivisionError
    assert p.tolist() == [5.0, 6.0]
    other = leaf([0.0, 0.0])
    ema.copy_to([other])
    assert other.tolist() == [1.0, 2.0]


def test_ema_state_dict_round_trip_and_misfit():
    p = leaf([1.0, 2.0])
    ema = optim.EMA([p], decay=0.7)
    p._array[...] = 3.0
    ema.update()
    fresh = optim.EMA([leaf([0.0, 0.0])], decay=0.1, warmup=False)
    fresh.load_state_dict(ema.state_dict())
    assert fresh.num_updates == 1 and fresh.current_decay() == ema.current_decay()
    assert fresh.shadow["0"].tolist() == ema.shadow["0"].tolist()
    with pytest.raises(RuntimeError, match=r"missing '1'; '0' has shape \(2,\), expected \(3,\)"):
        optim.EMA([leaf([0.0] * 3), leaf([0.0])]).load_state_dict(ema.state_dict())


# --- together -------------------------------------------------------------------------------


def both(seed=0):
    rng = np.random.default_rng(seed)
    a, b = leaf(rng.normal(size=(2, 3))), leaf(rng.normal(size=4))
    return a, b, optim.Together(optim.Muon([a], lr=0.1), optim.Adam([b], lr=0.01))


def run_both(a, b, opt, steps, seed=1):
    rng, schedule = np.random.default_rng(seed), lr_scheduler.ExponentialLR(opt, 0.9)
    for _ in range(steps):
        set_grad(a, rng.normal(size=a.shape))
        set_grad(b, rng.normal(size=b.shape))
        opt.step()
        schedule.step()
    return schedule


def test_together_is_each_alone_under_one_schedule():
    a, b, opt = both()
    c, d, _ = both()
    schedule = run_both(a, b, opt, 4)
    assert schedule.get_last_lr() == pytest.approx([0.1 * 0.9**4, 0.01 * 0.9**4])
    rng, alone = np.random.default_rng(1), [optim.Muon([c], lr=0.1), optim.Adam([d], lr=0.01)]
    rates = [lr_scheduler.ExponentialLR(each, 0.9) for each in alone]
    for _ in range(4):
        set_grad(c, rng.normal(size=c.shape))
        set_grad(d, rng.normal(size=d.shape))
        for each, rate in zip(alone, rates):
            each.step()
            rate.step()
    assert np.array_equal(a._array, c._array) and np.array_equal(b._array, d._array)
    assert set(opt.state) == {a, b}
    opt.zero_grad()
    assert a.grad is None and b.grad is None


def test_together_goes_on_bit_for_bit_and_loads_all_or_nothing():
    a, b, opt = both()
    run_both(a, b, opt, 3)
    c, d, other = both(5)
    c.data.copy_(a.detach())
    d.data.copy_(b.detach())
    other.load_state_dict(opt.state_dict())
    run_both(a, b, opt, 3, seed=2)
    run_both(c, d, other, 3, seed=2)
    assert np.array_equal(a._array, c._array) and np.array_equal(b._array, d._array)
    good = other.state_dict()["optimizers"]
    held = other.optimizers[0].state[c]["momentum_buffer"].numpy().copy()
    _, _, new = both()
    wrong = {"optimizers": [new.state_dict()["optimizers"][0], {"state": {}, "param_groups": []}]}
    with pytest.raises(ValueError, match="different number of parameter groups"):
        other.load_state_dict(wrong)
    assert np.array_equal(other.optimizers[0].state[c]["momentum_buffer"].numpy(), held)
    with pytest.raises(ValueError, match="of 1 optimizers, here are 2"):
        other.load_state_dict({"optimizers": good[:1]})


def test_together_takes_a_closure_once():
    a, b, opt = both()
    calls = []

    def closure():
        calls.append(1)
        opt.zero_grad()
        loss = (a * a).sum() + (b * b).sum()
        loss.backward()
        return loss

    before = float((a._array**2).sum() + (b._array**2).sum())
    assert opt.step(closure).item() == pytest.approx(before) and calls == [1]


# --- pieces -----------------------------------------------------------------------------------

EVERY = {
    "SGD": dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "RMSprop": dict(lr=0.1, momentum=0.9, centered=True),
    "Adam": dict(lr=0.1, amsgrad=True, weight_decay=0.1, maximize=True),
    "AdamW": dict(lr=0.1),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("shape", [(), (1,), (97,), (7, 13), (5, 3, 2, 2), (1, 40), (0, 3)])
def test_a_parameter_cut_into_pieces_is_updated_as_a_whole_one(name, shape, monkeypatch):
    """Bit for bit; the gradient and the parameter may lie in memory in different orders."""

    def trained(piece):
        monkeypatch.setattr(tg.optim.optimizer, "PIECE", piece)
        rng = np.random.default_rng(0)
        p = tg.tensor(rng.standard_normal(shape), dtype=tg.float32, requires_grad=True)
        if p.ndim == 4:  # channels-last
            p._array = np.ascontiguousarray(p._array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        optimizer = getattr(tg.optim, name)([p], **EVERY[name])
        for _ in range(3):
            p.grad = tg.tensor(rng.standard_normal(shape), dtype=tg.float32)
            optimizer.step()
        return p.detach().numpy()

    assert np.array_equal(trained(5), trained(10**6))
