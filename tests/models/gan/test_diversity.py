"""The entropy of a batch: closed forms, what moves it and what does not, and how G is paid."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen.autograd import grad
from tinygen.models import gan
from tinygen.models.gan import dcgan, entropy
from tinygen.testing import check_grads


def points(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def test_three_points_by_hand() -> None:
    """0, 1 and 3 on the line: nearest 1, 1, 2 away; psi(3) - psi(1) = 1 + 1/2, V_1 = 2."""
    x = tg.tensor([[0.0], [1.0], [3.0]], dtype=tg.float64)
    assert entropy(x).item() == pytest.approx(1.5 + np.log(2) + np.log(2) / 3, rel=1e-11)
    second = 0.5 + np.log(2) + (2 * np.log(3) + np.log(2)) / 3  # 3, 2 and 3 away
    assert entropy(x, k=2).item() == pytest.approx(second, rel=1e-11)


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_it_estimates_the_entropy_of_known_laws(d: int, k: int) -> None:
    gaussian = tg.tensor(0.3 * points(1000, d))
    expected = d * (0.5 * np.log(2 * np.pi * np.e) + np.log(0.3))
    assert entropy(gaussian, k).item() == pytest.approx(expected, abs=0.12)
    cube = tg.tensor(2.0 * np.random.default_rng(1).random((1000, d)))
    assert entropy(cube, k).item() == pytest.approx(d * np.log(2.0), abs=0.12 + 0.05 * d)


def test_scale_adds_its_logarithm_and_order_place_and_turn_nothing() -> None:
    x = points(40, 3)
    H = entropy(tg.tensor(x)).item()
    turn = np.linalg.qr(points(3, 3, 1))[0]
    for other in (x[::-1].copy(), x + 5.0, x @ turn):
        assert entropy(tg.tensor(other)).item() == pytest.approx(H, rel=1e-9)
    assert entropy(tg.tensor(7.0 * x)).item() == pytest.approx(H + 3 * np.log(7), rel=1e-9)


@pytest.mark.parametrize("k", [1, 3])
def test_its_gradient(k: int) -> None:
    """Against differences, order 2; x . grad H = d, since H(a x) = H(x) + d log a; no drift."""
    x = tg.tensor(points(9, 2), requires_grad=True)
    check_grads(lambda x: entropy(x, k), x, order=2)
    (slope,) = grad(entropy(x, k), [x])
    assert (slope * x).sum().item() == pytest.approx(2.0, rel=1e-9)
    assert np.abs(slope.sum(0).numpy()).max() < 1e-12


def test_look_alikes_are_driven_apart_and_copies_are_finite() -> None:
    x = tg.tensor([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0]], dtype=tg.float64, requires_grad=True)
    (slope,) = grad(entropy(x), [x])
    assert slope[0, 0].item() < -1.0 and slope[1, 0].item() > 1.0
    copies = tg.zeros(6, 2, dtype=tg.float64, requires_grad=True)
    H = entropy(copies)
    assert H.item() < -20.0 and np.isfinite(grad(H, [copies])[0].numpy()).all()


def test_g_is_paid_for_entropy_and_for_nothing_else_anew() -> None:
    config = {"shape": (1, 8, 8), "width": 2, "latent": 3, "norm": "layer"}
    terms, models = [], []
    for extra in ({}, {"entropy": 0.7}):
        tg.manual_seed(0)
        models.append(dcgan.build(config | extra).double())
        tg.manual_seed(1)
        terms.append(models[-1].generator_terms(8))
    tg.manual_seed(1)
    samples = models[1].G(models[1].draw(8)).flatten(1)
    nats = entropy(samples).item() / 64
    assert terms[1]["entropy"].item() == pytest.approx(nats, rel=1e-12)
    assert terms[1]["loss"].item() == pytest.approx(terms[0]["loss"].item() - 0.7 * nats, rel=1e-12)
    assert list(terms[0]) == ["loss"]
    x = tg.rand(8, 1, 8, 8, dtype="float64")
    losses = []
    for model in models:  # D's loss is as it was
        tg.manual_seed(2)
        losses.append(model.discriminator_terms((x,))["loss"].item())
    assert losses[0] == losses[1]


def test_a_collapsed_g_comes_apart() -> None:
    """Gradient steps on the entropy alone spread codes that all go to one place."""
    tg.manual_seed(0)
    G, D = tg.models.nets.mlp_gan((2,), 2, 16)
    with tg.no_grad():
        for p in list(G.parameters())[-2:]:
            p.mul_(1e-3)
    model = gan.GAN(G, D, "non_saturating", 2, entropy=1.0)
    before = gan.spread(model.sample(64))
    opt = tg.optim.Adam(G.parameters(), lr=1e-2)
    for _ in range(30):
        loss = -model.generator_terms(64)["entropy"]
        opt.zero_grad()
        loss.backward()
        opt.step()
    assert gan.spread(model.sample(64)) > 50 * before


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="entropy: expected more than k = 3 samples, got 3"):
        entropy(tg.zeros(3, 2), k=3)
    with pytest.raises(ValueError, match="entropy: expected k >= 1"):
        entropy(tg.zeros(3, 2), k=0)
    with pytest.raises(ValueError, match="GAN: expected entropy >= 0"):
        dcgan.build({"shape": (1, 8, 8), "entropy": -1.0})
