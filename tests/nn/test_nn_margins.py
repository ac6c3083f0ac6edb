"""Losses with margins and counts: formulas in loops, gradients at order 2, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import nn
from tinygen.testing import check_grads

REDUCE = {"none": lambda v: v, "mean": np.mean, "sum": np.sum}


def normal(*shape, seed=0):
    return tg.tensor(np.random.default_rng(seed).standard_normal(shape))


def signs(*shape, seed=0):
    return tg.tensor(np.random.default_rng(seed).choice([-1.0, 1.0], shape))


def distance(a, b, p=2):
    return (np.abs(a - b + 1e-6) ** p).sum(-1) ** (1 / p)


def cosine(a, b):
    return (a * b).sum(-1) / np.sqrt(((a * a).sum(-1) + 1e-12) * ((b * b).sum(-1) + 1e-12))


# name: (loss, the same on arrays, how many inputs of (n, d), is the target of (n,)?)
LOSSES = {
    "margin_ranking_loss": (
        lambda x, y, t, r: F.margin_ranking_loss(x, y, t, 0.3, r),
        lambda x, y, t: np.maximum(0, -t * (x - y) + 0.3), 2, False,
    ),
    "hinge_embedding_loss": (
        lambda x, t, r: F.hinge_embedding_loss(x, t, 0.3, r),
        lambda x, t: np.where(t == 1, x, np.maximum(0, 0.3 - x)), 1, False,
    ),
    "soft_margin_loss": (F.soft_margin_loss, lambda x, t: np.log(1 + np.exp(-t * x)), 1, False),
    "cosine_embedding_loss": (
        lambda x, y, t, r: F.cosine_embedding_loss(x, y, t, 0.2, r),
        lambda x, y, t: np.where(t == 1, 1 - cosine(x, y), np.maximum(0, cosine(x, y) - 0.2)),
        2, True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCE)
@pytest.mark.parametrize("name", LOSSES)
@given(n=st.integers(1, 3), d=st.integers(2, 4), seed=st.integers(0, 99))
def test_losses_with_signs(name, reduction, n, d, seed):
    loss, formula, count, rows = LOSSES[name]
    xs = [normal(n, d, seed=seed + k) for k in range(count)]
    t = signs(n, seed=seed) if rows else signs(n, d, seed=seed)
    expected = REDUCE[reduction](formula(*(x.numpy() for x in xs), t.numpy()))
    np.testing.assert_allclose(loss(*xs, t, reduction).numpy(), expected, rtol=1e-9, atol=1e-12)
    check_grads(lambda *xs: loss(*xs, t.to(xs[0].dtype), reduction), *xs)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("reduction", REDUCE)
@given(n=st.integers(1, 3), d=st.integers(1, 4), seed=st.integers(0, 99))
def test_triplet_margin_loss(reduction, swap, n, d, seed):
    xs = [normal(n, d, seed=seed + k) for k in range(3)]
    a, p, n = (x.numpy() for x in xs)
    far = np.minimum(distance(a, n), distance(p, n)) if swap else distance(a, n)
    expected = REDUCE[reduction](np.maximum(0, distance(a, p) - far + 0.7))

    def loss(*xs):
        return F.triplet_margin_loss(*xs, margin=0.7, swap=swap, reduction=reduction)

    np.testing.assert_allclose(loss(*xs).numpy(), expected, rtol=1e-9, atol=1e-12)
    check_grads(loss, *xs)
    np.testing.assert_allclose(
        F.pairwise_distance(xs[0], xs[1], 3.0).numpy(), distance(a, p, 3), rtol=1e-9
    )


@pytest.mark.parametrize("p", [1, 2])
@given(n=st.integers(1, 3), classes=st.integers(1, 4), seed=st.integers(0, 99))
def test_multi_margin_loss(p, n, classes, seed):
    x, w = normal(n, classes, seed=seed), tg.tensor(np.arange(1.0, classes + 1))
    t = np.random.default_rng(seed).integers(0, classes, n)
    rows = [
        w.numpy()[c] / classes * sum(max(0, 0.4 - r[c] + r[k]) ** p
                                     for k in range(classes) if k != c)
        for r, c in zip(x.numpy(), t, strict=True)
    ]  # fmt: skip

    def loss(x, w):
        return F.multi_margin_loss(x, tg.tensor(t), p, 0.4, w, "none")

    np.testing.assert_allclose(loss(x, w).numpy(), rows, rtol=1e-9, atol=1e-12)
    check_grads(loss, x, w)


@given(counts=st.lists(st.integers(0, 9), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_poisson_nll_loss_is_the_likelihood_of_counts(counts, seed):
    """With Stirling's formula within 1 / (12 t) of log t!."""
    t, x = tg.tensor(np.array(counts, float)), normal(len(counts), seed=seed)
    exact = np.exp(x.numpy()) - t.numpy() * x.numpy()
    close = F.poisson_nll_loss(x, t, reduction="none").numpy()
    np.testing.assert_allclose(close, exact, rtol=1e-12)
    rates = F.poisson_nll_loss(x.exp(), t, log_input=False, reduction="none").numpy()
    np.testing.assert_allclose(rates, exact, rtol=1e-6)
    full = F.poisson_nll_loss(x, t, full=True, reduction="none").numpy() - exact
    for count, stirling in zip(counts, full, strict=True):
        assert abs(stirling - math.lgamma(count + 1)) <= 1 / (12 * max(count, 1)) + 1e-9
    check_grads(lambda x, t: F.poisson_nll_loss(x, t + 1.5, full=True), x, t)


def test_modules_are_their_functions():
    x, y, z, t = normal(4, 3), normal(4, 3, seed=1), normal(4, 3, seed=2), signs(4, 3)
    labels, w = tg.tensor([0, 2, 1, 1]), tg.tensor([1.0, 2.0, 3.0], dtype=tg.float64)
    pairs = [
        (nn.MarginRankingLoss(0.2, "sum")(x, y, t), F.margin_ranking_loss(x, y, t, 0.2, "sum")),
        (nn.HingeEmbeddingLoss(0.2)(x, t), F.hinge_embedding_loss(x, t, 0.2)),
        (nn.SoftMarginLoss("none")(x, t), F.soft_margin_loss(x, t, "none")),
        (nn.MultiMarginLoss(2, 0.3, w)(x, labels), F.multi_margin_loss(x, labels, 2, 0.3, w)),
        (nn.PairwiseDistance(1.0, 0.1, True)(x, y), F.pairwise_distance(x, y, 1.0, 0.1, True)),
        (
            nn.TripletMarginLoss(0.3, 1.0, 0.1, True, "sum")(x, y, z),
            F.triplet_margin_loss(x, y, z, 0.3, 1.0, 0.1, True, "sum"),
        ),
        (
            nn.CosineEmbeddingLoss(0.1)(x, y, t[:, 0]),
            F.cosine_embedding_loss(x, y, t[:, 0], 0.1),
        ),
        (
            nn.PoissonNLLLoss(False, True, 0.1, "sum")(x.exp(), y.exp()),
            F.poisson_nll_loss(x.exp(), y.exp(), False, True, 0.1, "sum"),
        ),
    ]
    for ours, function in pairs:
        np.testing.assert_array_equal(ours.numpy(), function.numpy())


X = tg.ones(4, 3)
BAD = {
    "power": (lambda: F.multi_margin_loss(X, tg.tensor([0] * 4), 3), ValueError, "p = 1 or 2"),
    "power of a module": (lambda: nn.MultiMarginLoss(3), ValueError, "MultiMarginLoss: .*got 3"),
    "class": (
        lambda: F.multi_margin_loss(X, tg.tensor([0, 1, 3, 2])), IndexError, "Target 3 is out of",
    ),
    "shapes": (
        lambda: F.cosine_embedding_loss(X, X, X), RuntimeError, r"\(N, D\) and a target \(N,\)",
    ),
    "reduction": (lambda: F.soft_margin_loss(X, X, "avg"), ValueError, "avg is not a valid"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, error, text = BAD[name]
    with pytest.raises(error, match=text):
        call()
