"""Losses: closed forms in float64, gradients at order 2, stability at the ends, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import nn
from tinygen.testing import check_grads

REDUCTIONS = ["none", "mean", "sum"]


def normal(*shape, seed=0):
    return tg.tensor(np.random.default_rng(seed).standard_normal(shape))


def uniform(*shape, seed=0):
    return tg.tensor(np.random.default_rng(seed).uniform(0.05, 0.95, shape))


def reduced(values, reduction):
    return {"none": lambda v: v, "mean": np.mean, "sum": np.sum}[reduction](values)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def huber(d, delta):
    return np.where(np.abs(d) < delta, d * d / 2, delta * (np.abs(d) - delta / 2))


# name: (loss on Tensors, the same on arrays, input, target)
ENTRYWISE = {
    "mse": (F.mse_loss, lambda x, t: (x - t) ** 2, normal, normal),
    "l1": (F.l1_loss, lambda x, t: np.abs(x - t), normal, normal),
    "smooth_l1": (F.smooth_l1_loss, lambda x, t: huber(x - t, 1.0), normal, normal),
    "smooth_l1, beta": (
        lambda x, t, reduction: F.smooth_l1_loss(x, t, reduction, beta=0.3),
        lambda x, t: huber(x - t, 0.3) / 0.3, normal, normal,
    ),
    "smooth_l1, beta 0": (
        lambda x, t, reduction: F.smooth_l1_loss(x, t, reduction, beta=0.0),
        lambda x, t: np.abs(x - t), normal, normal,
    ),
    "huber": (
        lambda x, t, reduction: F.huber_loss(x, t, reduction, delta=0.7),
        lambda x, t: huber(x - t, 0.7), normal, normal,
    ),
    "bce": (
        F.binary_cross_entropy,
        lambda x, t: -(t * np.log(x) + (1 - t) * np.log(1 - x)), uniform, uniform,
    ),
    "bce with logits": (
        F.binary_cross_entropy_with_logits,
        lambda x, t: -(t * np.log(sigmoid(x)) + (1 - t) * np.log(sigmoid(-x))), normal, uniform,
    ),
    "kl_div": (F.kl_div, lambda x, t: t * (np.log(t) - x), normal, uniform),
    "kl_div, log target": (
        lambda x, t, reduction: F.kl_div(x, t, reduction, log_target=True),
        lambda x, t: np.exp(t) * (t - x), normal, normal,
    ),
    "gaussian nll": (
        lambda x, t, reduction: F.gaussian_nll_loss(x, t, t.exp(), True, reduction=reduction),
        lambda x, t: 0.5 * (np.log(2 * np.pi) + t + (x - t) ** 2 / np.exp(t)), normal, normal,
    ),
}  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ENTRYWISE)
def test_entrywise_losses(name, reduction):
    loss, formula, draw_x, draw_t = ENTRYWISE[name]
    x, t = draw_x(4, 3), draw_t(4, 3, seed=1)
    expected = reduced(formula(x.numpy(), t.numpy()), reduction)
    np.testing.assert_allclose(loss(x, t, reduction=reduction).numpy(), expected, rtol=1e-12)
    check_grads(lambda x, t: loss(x, t, reduction=reduction), x, t)


def test_weights():
    x, t, w, p = normal(4, 3), uniform(4, 3), uniform(4, 3, seed=2), uniform(3, seed=3)
    a, b, c, d = (v.numpy() for v in (x, t, w, p))
    loss = -c * (d * b * np.log(sigmoid(a)) + (1 - b) * np.log(sigmoid(-a)))
    out = F.binary_cross_entropy_with_logits(x, t, w, pos_weight=p)
    np.testing.assert_allclose(out.item(), loss.mean(), rtol=1e-12)
    bce = F.binary_cross_entropy(t, t, w, reduction="sum").item()
    np.testing.assert_allclose(bce, -(c * (b * np.log(b) + (1 - b) * np.log(1 - b))).sum())
    np.testing.assert_allclose(
        F.huber_loss(x, t, "sum", 0.3, w).item(), (c * huber(a - b, 0.3)).sum()
    )
    check_grads(
        lambda x, t, w, p: F.binary_cross_entropy_with_logits(x, t, w, "none", p), x, t, w, p
    )


def test_logits_at_the_ends():
    x = tg.tensor([-1e4, -100.0, -20.0, 0.0, 20.0, 100.0, 1e4]).requires_grad_()
    for target, sign in ((tg.ones(7), -1.0), (tg.zeros(7), 1.0)):
        loss = F.binary_cross_entropy_with_logits(x, target, reduction="none")
        exact = np.logaddexp(0, sign * x.detach().numpy().astype(np.float64))
        np.testing.assert_allclose(loss.detach().numpy(), exact, rtol=1e-6, atol=1e-44)
        (g,) = tg.autograd.grad(loss.sum(), x)
        with np.errstate(over="ignore"):
            slope = sign / (1 + np.exp(-sign * x.detach().numpy().astype(np.float64)))
        np.testing.assert_allclose(g.numpy(), slope, rtol=1e-5, atol=1e-7)


def test_binary_cross_entropy_at_0_and_1_is_finite():
    x = tg.tensor([0.0, 1.0, 0.0, 1.0]).requires_grad_()
    loss = F.binary_cross_entropy(x, tg.tensor([0.0, 1.0, 1.0, 0.0]), reduction="none")
    assert loss.tolist() == [0.0, 0.0, 100.0, 100.0]
    loss.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [0, 0, -1e12, 1e12], rtol=1e-6)


def test_discriminator_at_one_half_loses_log_4():
    logits = tg.zeros(8)
    total = F.binary_cross_entropy_with_logits(logits, tg.ones(8))
    total = total + F.binary_cross_entropy_with_logits(logits, tg.zeros(8))
    assert total.item() == pytest.approx(math.log(4), rel=1e-6)


def test_kl_div_of_zero_probability_and_batchmean():
    t = tg.tensor([[0.0, 1.0], [0.5, 0.5]], dtype=tg.float64)
    x = tg.tensor(np.log([[0.25, 0.75], [0.5, 0.5]]))
    assert F.kl_div(x, t, "sum").item() == pytest.approx(-math.log(0.75))
    assert F.kl_div(x, t, "batchmean").item() == pytest.approx(-math.log(0.75) / 2)
    assert F.kl_div(x, t, "mean").item() == pytest.approx(-math.log(0.75) / 4)


def test_huber_is_smooth_at_equality():
    x = tg.zeros(3, dtype=tg.float64)
    check_grads(lambda x: F.smooth_l1_loss(x, tg.zeros(3, dtype=x.dtype), "none"), x)


# --- classes ------------------------------------------------------------------------------------


def reference(x, t, weight, ignore, reduction, smoothing):
    """Cross entropy one entry at a time. x (N, C, ...), t (N, ...)."""
    x, t = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1]), t.reshape(-1)
    classes = x.shape[1]
    losses, weights = np.zeros(len(t)), np.zeros(len(t))
    for k, (row, label) in enumerate(zip(x, t, strict=True)):
        if label != ignore:
            logp = row - np.log(np.exp(row).sum())
            uniform_part = -(logp * weight).sum() / classes
            losses[k] = -(1 - smoothing) * weight[label] * logp[label] + smoothing * uniform_part
            weights[k] = weight[label]
    return losses.sum() / weights.sum() if reduction == "mean" else reduced(losses, reduction)


@given(
    st.integers(1, 4), st.integers(1, 5), st.sampled_from([(), (3,), (2, 2)]),
    st.sampled_from(REDUCTIONS), st.sampled_from([0.0, 0.2, 1.0]), st.booleans(),
    st.integers(0, 99),
)  # fmt: skip
def test_cross_entropy(n, classes, space, reduction, smoothing, weighted, seed):
    rng = np.random.default_rng(seed)
    x = tg.tensor(rng.standard_normal((n, classes, *space)))
    t = rng.integers(0, classes, (n, *space))
    t.flat[1:][rng.random(t.size - 1) < 0.2] = -100
    weight = rng.uniform(0.5, 2, classes) if weighted else np.ones(classes)
    w = tg.tensor(weight) if weighted else None
    out = F.cross_entropy(x, tg.tensor(t), w, reduction=reduction, label_smoothing=smoothing)
    expected = reference(x.numpy(), t, weight, -100, reduction, smoothing)
    np.testing.assert_allclose(out.numpy().reshape(-1), np.reshape(expected, -1), 1e-9, 1e-12)
    if smoothing == 0.0:
        nll = F.nll_loss(F.log_softmax(x, 1), tg.tensor(t), w, reduction=reduction)
        np.testing.assert_allclose(nll.numpy(), out.numpy(), rtol=1e-12)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_gradients(reduction, smoothing):
    t = tg.tensor([[0, 2], [1, -100], [3, 3]])

    def f(x, w):
        return F.cross_entropy(x, t, w, reduction=reduction, label_smoothing=smoothing)

    check_grads(f, normal(3, 4, 2), uniform(4))
    check_grads(lambda x: f(x, None), normal(3, 4, 2))
    check_grads(lambda x: F.nll_loss(x, t, reduction=reduction), normal(3, 4, 2))
    check_grads(lambda x: F.cross_entropy(x, tg.tensor(2)), normal(4))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_of_probabilities(reduction):
    x, w = normal(3, 4, 2), uniform(4)
    t = F.softmax(normal(3, 4, 2, seed=5), 1)
    logp = F.log_softmax(x, 1).numpy()
    mixed = 0.9 * t.numpy() + 0.1 / 4
    losses = -(logp * mixed * w.numpy()[:, None]).sum(1)
    out = F.cross_entropy(x, t, w, reduction=reduction, label_smoothing=0.1)
    np.testing.assert_allclose(out.numpy(), reduced(losses, reduction), rtol=1e-12)
    check_grads(lambda x, t, w: F.cross_entropy(x, t, w, reduction=reduction), x, t, w)


def test_one_hot_probabilities_equal_indices():
    x, t = normal(5, 3), tg.tensor([0, 2, 1, 1, 0])
    hot = F.one_hot(t, 3).to(x.dtype)
    for smoothing in (0.0, 0.3):
        a = F.cross_entropy(x, t, label_smoothing=smoothing).item()
        assert F.cross_entropy(x, hot, label_smoothing=smoothing).item() == pytest.approx(a)


def test_an_ignored_entry_may_be_infinite():
    x = tg.tensor([[-math.inf, 0.0], [1.0, 2.0]]).requires_grad_()
    loss = F.nll_loss(x, tg.tensor([7, 1]), ignore_index=7)
    assert loss.item() == -2.0
    loss.backward()
    assert x.grad.tolist() == [[0.0, 0.0], [0.0, -1.0]]


def test_cross_entropy_of_huge_logits():
    x = tg.tensor([[1e4, 0.0], [-1e4, 0.0]])
    assert F.cross_entropy(x, tg.tensor([1, 0]), reduction="none").tolist() == [1e4, 1e4]


# --- modules ---------------------------------------------------------------------------------


def test_modules_are_their_functions():
    x, t, p, w = normal(4, 3), normal(4, 3, seed=1), uniform(4, 3), uniform(3)
    labels = tg.tensor([0, 2, 1, -1])
    log = F.log_softmax(x, 1)
    pairs = [
        (nn.MSELoss("sum")(x, t), F.mse_loss(x, t, "sum")),
        (nn.L1Loss()(x, t), F.l1_loss(x, t)),
        (nn.SmoothL1Loss("none", 0.4)(x, t), F.smooth_l1_loss(x, t, "none", 0.4)),
        (nn.HuberLoss(delta=0.4)(x, t), F.huber_loss(x, t, delta=0.4)),
        (nn.BCELoss(w)(p, p), F.binary_cross_entropy(p, p, w)),
        (
            nn.BCEWithLogitsLoss(w, "sum", pos_weight=w)(x, p),
            F.binary_cross_entropy_with_logits(x, p, w, "sum", w),
        ),
        (nn.NLLLoss(w, -1)(log, labels), F.nll_loss(log, labels, w, -1)),
        (
            nn.CrossEntropyLoss(w, -1, "sum", 0.2)(x, labels),
            F.cross_entropy(x, labels, w, -1, "sum", 0.2),
        ),
        (nn.KLDivLoss("batchmean")(log, p), F.kl_div(log, p, "batchmean")),
        (nn.GaussianNLLLoss(full=True)(x, t, p), F.gaussian_nll_loss(x, t, p, True)),
    ]
    for ours, function in pairs:
        np.testing.assert_array_equal(ours.numpy(), function.numpy())
    assert list(nn.BCELoss(w).state_dict()) == ["weight"]
    assert nn.CrossEntropyLoss(uniform(3)).float().weight.dtype == tg.float32


# --- bad input ---------------------------------------------------------------------------------

X = tg.ones(4, 3)
BAD = {
    "reduction": (lambda: F.mse_loss(X, X, "avg"), ValueError, "avg is not a valid value"),
    "reduction of classes": (
        lambda: F.nll_loss(X, tg.tensor([0, 1, 2, 0]), reduction="batchmean"), ValueError, "valid",
    ),
    "reduction of a module": (lambda: nn.BCELoss(reduction="avg"), ValueError, "BCELoss: 'avg'"),
    "bce shapes": (
        lambda: F.binary_cross_entropy(X * 0.5, tg.ones(4, 1)), ValueError, r"\(4, 1\) must be",
    ),
    "bce integer target": (
        lambda: F.binary_cross_entropy_with_logits(X, X.long()), RuntimeError, "floating-point",
    ),
    "bce input range": (lambda: F.binary_cross_entropy(X * 2, X), RuntimeError, "of input.*and 1"),
    "bce target range": (lambda: F.binary_cross_entropy(X, -X), RuntimeError, "of target.*and 1"),
    "bce NaN": (lambda: F.binary_cross_entropy(X * math.nan, X), RuntimeError, "nan"),
    "class range": (
        lambda: F.cross_entropy(X, tg.tensor([0, 1, 3, 2])), IndexError, "Target 3 is out of",
    ),
    "class negative": (
        lambda: F.cross_entropy(X, tg.tensor([0, 1, -1, 2])), IndexError, "Target -1",
    ),
    "class dtype": (
        lambda: F.cross_entropy(X, tg.ones(4)), RuntimeError, "integer dtype .int64., got float32",
    ),
    "class shape": (
        lambda: F.cross_entropy(X, tg.tensor([0, 1])), ValueError, r"target of shape \(4,\)",
    ),
    "class weight": (
        lambda: F.cross_entropy(X, tg.tensor([0, 1, 2, 0]), tg.ones(2)), RuntimeError, "3 classes",
    ),
    "smoothing": (
        lambda: F.cross_entropy(X, X, label_smoothing=1.5), RuntimeError, "between 0 and 1",
    ),
    "beta": (lambda: F.smooth_l1_loss(X, X, beta=-1.0), RuntimeError, "beta >= 0"),
    "delta": (lambda: F.huber_loss(X, X, delta=0.0), ValueError, "delta > 0"),
    "negative variance": (lambda: F.gaussian_nll_loss(X, X, -X), ValueError, "negative"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, error, text = BAD[name]
    with pytest.raises(error, match=text):
        call()


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_broadcasting_shapes_warn(loss):
    with pytest.warns(UserWarning, match=r"target size \(4, 1\).*input size \(4, 3\)"):
        loss(X, tg.ones(4, 1))
