"""Mixtures of Bernoullis and of Gaussians: densities, EM, the dead mended, k-means."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygen as tg
from tinygen.models.explicit import BernoulliMixture, GaussianMixture


def test_the_density_of_all_pictures_sums_to_one_and_is_that_of_the_formula() -> None:
    model = BernoulliMixture((1, 2, 2), 3)
    model.weights.copy_(tg.tensor([0.5, 0.3, 0.2]))
    x = tg.tensor(list(itertools.product([0.0, 1.0], repeat=4))).reshape(16, 1, 2, 2)
    assert model.log_prob(x).exp().sum().item() == pytest.approx(1.0, abs=1e-5)
    coins, weights, picture = model.coins.numpy(), model.weights.numpy(), x[5].flatten().numpy()
    each = (coins**picture * (1 - coins) ** (1 - picture)).prod(1)
    assert model.log_prob(x[5:6]).exp().item() == pytest.approx(float(weights @ each), rel=1e-5)
    posterior = model.posterior(x[5:6])[0].numpy()
    assert posterior == pytest.approx(weights * each / (weights @ each), rel=1e-4)


def test_em_never_falls_and_finds_two_kinds_of_pictures() -> None:
    kind = (tg.rand(400, 1) < 0.25).float()
    coins = kind * tg.tensor([0.9, 0.9, 0.1]) + (1 - kind) * tg.tensor([0.1, 0.1, 0.9])
    x = tg.bernoulli(coins)
    model = BernoulliMixture((3,), 2, prior=1e-3)
    found = [model.em_step(x).item() for _ in range(30)]
    assert all(b >= a - 1e-3 for a, b in zip(found, found[1:]))  # the prior counts a little
    assert sorted(model.weights.tolist()) == pytest.approx([0.25, 0.75], abs=0.07)
    samples = model.sample(4000, tg.Generator().manual_seed(0))
    assert samples.mean(0).tolist() == pytest.approx(x.mean(0).tolist(), abs=0.05)


def test_components_begin_apart_and_none_dies() -> None:
    """30 kinds of pictures, a pixel each: k-means++ gives every component its own, EM keeps it."""
    kinds = tg.eye(30).repeat_interleave(20, 0)
    model = BernoulliMixture((30,), 30, prior=0.1)
    model.start(kinds, tg.Generator().manual_seed(0))
    first = model.coins.clone()
    assert sorted(first.argmax(1).tolist()) == list(range(30))
    assert sorted({*first.flatten().tolist()}) == pytest.approx([0.25, 0.75])
    found = [model.em_step(kinds).item() for _ in range(20)]
    assert all(b >= a - 1e-3 for a, b in zip(found, found[1:]))
    assert found[-1] > -4.0 and model.weights.min().item() > 0.03  # log 30 is 3.4
    model.start(kinds[:1].expand(5, 30))  # fewer pictures than components: they must do


def test_dead_components_begin_anew_at_what_is_explained_worst() -> None:
    """From coins all near one kind, half of the kinds are never found; mended, all are."""
    kinds = tg.eye(8).repeat_interleave(20, 0)
    model = BernoulliMixture((8,), 8, prior=0.1)
    model.coins.copy_(0.25 + 0.5 * kinds[[0] * 4 + [20] * 4] + 1e-3 * tg.rand(8, 8))
    for _ in range(10):
        model.em_step(kinds)
    before = model.log_prob(kinds).mean().item()
    model.weights[3:] = 1e-8  # nobody's
    model.weights.div_(model.weights.sum())
    assert model.mend(kinds) == 5
    assert len({*model.coins[3:].argmax(1).tolist()}) == 5, "each at another kind"
    assert model.weights.sum().item() == pytest.approx(1.0)
    assert model.weights[3:].min().item() > 0.05
    assert model.log_prob(kinds).amin().item() > -7.0, "each kind is somebody's now"
    mended = 5
    for _ in range(10):
        for _ in range(5):
            model.em_step(kinds)
        mended += model.mend(kinds)
    assert model.mend(kinds) == 0 and mended < 20
    for _ in range(5):
        model.em_step(kinds)
    assert model.log_prob(kinds).mean().item() > before + 0.3
    BernoulliMixture((8,), 8).mend(kinds[:2])  # fewer pictures than dead components: they must do


# --- Gaussians ------------------------------------------------------------------------------------


def bent(seed: int = 0, components: int = 3) -> tuple[GaussianMixture, tg.Tensor]:
    """Fitted to points of the plane, in float64."""
    tg.manual_seed(seed)
    x = tg.data.two_moons(300).double()
    model = GaussianMixture((2,), components).double()
    model.start(x)
    for _ in range(5):
        model.em_step(x)
    return model, x


def test_gaussian_density_marginal_and_conditional_by_quadrature() -> None:
    model, x = bent()
    line = tg.linspace(-6, 7, 1301, dtype=tg.float64)
    step = 0.01
    points = tg.stack([x[0, 0].expand(1301), line], 1)  # x_1 of the first point, every x_2
    p = model.log_prob(points).exp()
    seen = tg.tensor([True, False])
    total = (p.sum() * step).item()
    assert model.log_prob(x[:1], seen).exp().item() == pytest.approx(total, rel=1e-9)
    weights, means, covariances = (a.numpy() for a in model.conditional(x[:1], seen))
    assert weights.sum() == pytest.approx(1.0)
    mean = ((p * line).sum() * step).item() / total
    second = ((p * line.square()).sum() * step).item() / total
    assert (weights @ means[0]).item() == pytest.approx(mean, rel=1e-8)
    assert (weights @ (means[0] ** 2 + covariances[:, 0])).item() == pytest.approx(second, rel=1e-8)
    a, b = tg.linspace(-6, 7, 261, dtype=tg.float64), tg.linspace(-6, 7, 261, dtype=tg.float64)
    grid = tg.stack([a.repeat_interleave(261), b.repeat(261)], 1)
    assert (model.log_prob(grid).exp().sum() * 0.05**2).item() == pytest.approx(1.0, abs=1e-4)
    filled = model.fill(x[:1].expand(20000, 2), seen, tg.Generator().manual_seed(0))
    assert (filled[:, 0] == x[0, 0]).all()
    error = ((second - mean**2) / 20000) ** 0.5
    assert filled[:, 1].mean().item() == pytest.approx(mean, abs=4 * error)
    assert filled[:, 1].square().mean().item() == pytest.approx(second, rel=0.05)


def test_gaussian_density_and_samples_are_those_of_the_formula() -> None:
    model, x = bent(components=2)
    w, m, S = model.weights.numpy(), model.means.numpy(), model.covariances.numpy()
    away = x.numpy()[:, None] - m
    square = np.einsum("bki,kij,bkj->bk", away, np.linalg.inv(S), away)
    p = (w * np.exp(-0.5 * square) / (2 * np.pi * np.sqrt(np.linalg.det(S)))).sum(1)
    assert np.allclose(model.log_prob(x).numpy(), np.log(p), rtol=1e-10)
    draws = model.sample(20000, tg.Generator().manual_seed(0)).numpy()
    assert draws.mean(0) == pytest.approx(w @ m, abs=0.03)
    truth = np.einsum("k,kij->ij", w, S + m[:, :, None] * m[:, None]) - np.outer(w @ m, w @ m)
    assert np.cov(draws.T).ravel() == pytest.approx(truth.ravel(), abs=0.03)


def test_gaussian_em_never_falls_above_its_floor() -> None:
    """Also where a component collapses: 50 points are one and the same."""
    tg.manual_seed(1)
    x = tg.cat([tg.randn(100, 3), tg.ones(50, 3) * 3.0]).double()
    model = GaussianMixture((3,), 4, floor=1e-2).double()
    model.start(x)
    found = []
    for _ in range(30):
        found.append((model.log_prob(x).sum() + model.weights.log().sum()).item())
        model.em_step(x)
    assert min(b - a for a, b in zip(found, found[1:])) > -1e-9 and found[-1] > found[0]
    least = np.linalg.eigvalsh(model.covariances.numpy()).min(1)
    assert least.min() == pytest.approx(1e-2)
    assert np.allclose(model.covariances.numpy(), model.covariances.mT.numpy(), atol=1e-12)


def test_k_means_finds_clusters_that_lie_apart() -> None:
    tg.manual_seed(0)
    centers = tg.data.grid_centers(3, 4.0)
    x = tg.data.gaussian_grid(900, 3, 4.0, std=0.2)
    model = GaussianMixture((2,), 9)
    model.start(x)
    order = lambda points: sorted(map(tuple, np.round(points.numpy(), 0) + 0.0))
    assert order(model.means) == order(centers)
    assert model.covariances.mean(0).numpy() == pytest.approx(0.04 * np.eye(2), abs=0.01)
    assert model.mend(x) == 0


def test_bad_gaussians_are_named() -> None:
    with pytest.raises(ValueError, match=r"GaussianMixture: expected floor > 0, got 0\.0"):
        GaussianMixture((2,), 2, floor=0.0)
    with pytest.raises(ValueError, match=r"GaussianMixture: expected x \(B, 2\), got \(5, 3\)"):
        GaussianMixture((2,), 2).log_prob(tg.zeros(5, 3))
