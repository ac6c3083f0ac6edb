"""Score matching and Langevin dynamics against closed forms; the score model on Gaussians."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import tinygen as tg
from tinygen.models import likelihoods
from tinygen.models import score as scores
from tinygen.models.ode import divergence


def grid(nodes: int, dims: int) -> tuple[tg.Tensor, tg.Tensor]:
    """Points (nodes^dims, dims) and weights: E over N(0, I), exact to degree 2 nodes - 1."""
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    points = np.array(list(itertools.product(x, repeat=dims)))
    weights = np.prod(list(itertools.product(w / w.sum(), repeat=dims)), axis=1)
    return tg.tensor(points), tg.tensor(weights)


def cubic(x: tg.Tensor) -> tg.Tensor:
    """A field of the plane that is no gradient: polynomials of degree 3."""
    a, b = x[:, 0], x[:, 1]
    return tg.stack([b - 0.3 * a**3, -2.0 * a + 0.5 * a * b - 0.1 * b**3], 1)


def gaussian(variance: float) -> scores.Law:
    return scores.Law(tg.zeros(1, 2, dtype=tg.float64), math.sqrt(variance))


# --- losses -------------------------------------------------------------------------------------


def test_exact_matching_is_the_distance_of_the_scores_up_to_a_constant() -> None:
    law = gaussian(1.7)
    z, w = grid(6, 2)
    x = math.sqrt(1.7) * z
    true = law.score(x)
    distance = lambda s: (w * 0.5 * (s(x) - true).square().sum(1)).sum().item()
    loss = lambda s: (w * scores.exact(s, x)).sum().item()
    constant = -0.5 * 2 / 1.7  # -1/2 E |x|^2 / 1.7^2
    for field in (cubic, law.score, lambda x: 0.3 * x):
        assert loss(field) == pytest.approx(distance(field) + constant, abs=1e-10)


def test_sliced_matching_is_exact_in_the_mean_over_its_probes() -> None:
    x = tg.tensor(np.random.default_rng(0).standard_normal((7, 2)))
    probes = [tg.tensor([v] * 7, dtype=tg.float64) for v in itertools.product([1, -1], repeat=2)]
    mean = sum(scores.sliced(cubic, x, v) for v in probes) / 4
    assert (mean - scores.exact(cubic, x)).abs().max().item() < 1e-12
    one = scores.sliced(cubic, x, probes[0])
    assert (one - mean).abs().max().item() > 0.1
    v = scores.signs(tg.zeros(4000, 3, dtype=tg.float64), tg.Generator().manual_seed(0))
    second = (v.T @ v / 4000 - tg.eye(3, dtype=tg.float64)).abs()
    assert second.max().item() < 4 / math.sqrt(4000) and (v.abs() == 1).all()


@pytest.mark.parametrize("sigma", [0.1, 1.0, 5.0])
def test_denoising_is_exact_matching_of_the_noised_law_and_a_constant(sigma: float) -> None:
    z, w = grid(5, 4)
    x, eps = 1.3 * z[:, :2], z[:, 2:]
    denoising = (w * scores.denoising(cubic, x, eps, sigma)).sum().item()
    exact = (w * scores.exact(cubic, x + sigma * eps)).sum().item()
    assert denoising == pytest.approx(exact + 2 / (2 * sigma**2), rel=1e-9)


def test_the_losses_reach_the_network_and_are_those_of_the_model() -> None:
    tg.manual_seed(0)
    nets = {}
    for name in scores.OBJECTIVES:
        tg.manual_seed(0)
        model = tg.models.build("score", {"hidden": 8, "objective": name, "std": 1.5}).double()
        for p in model.parameters():
            p.data.add_(0.1 * tg.randn(p.shape, dtype=p.dtype))
        nets[name] = model
    x, sigma = tg.randn(4000, 2, dtype=tg.float64), tg.full((4000,), 0.7, dtype=tg.float64)
    loss = {name: m.losses(x, sigma, tg.Generator().manual_seed(1)) for name, m in nets.items()}
    assert nets["exact"].losses(x, sigma).requires_grad
    # sigma^2 (denoising - exact) = sigma^2 d / (2 sigma^2) = 1 in the mean, with the same noise
    for other, bound in (("denoising", 1.0), ("sliced", 0.0)):
        gap = (loss[other] - loss["exact"]).detach().numpy() - bound
        assert abs(gap.mean()) < 4 * gap.std() / math.sqrt(4000)


def test_the_weight_keeps_all_levels_of_one_size() -> None:
    model = tg.models.build("score", {"hidden": 8, "std": 1.0}).double()
    x = tg.randn(4000, 2, dtype=tg.float64)
    for sigma in (0.1, 1.0, 10.0):  # F = 0: sigma^2 E |s - s_eps|^2 / 2 = 1 / (1 + sigma^2) < 1
        found = model.losses(x, tg.full((4000,), sigma, dtype=tg.float64)).mean().item()
        assert found == pytest.approx(1.0 / (1.0 + sigma**2), rel=0.1)


# --- Langevin -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("variance", "step"), [(1.0, 1.0), (4.0, 2.0)])
def test_langevin_has_the_variance_of_its_step_and_mala_the_exact_one(
    variance: float, step: float
) -> None:
    law, generator = gaussian(variance), tg.Generator().manual_seed(0)
    start = math.sqrt(variance) * tg.randn(20_000, 2, generator=generator, dtype=tg.float64)
    error = 4 * variance * math.sqrt(2 / 40_000)
    *_, x = scores.ula(law.score, start, step, 25, generator)
    stationary = variance / (1 - step / (4 * variance))
    assert x.numpy().var() == pytest.approx(stationary, abs=1.4 * error)
    *_, (x, accepted) = scores.mala(law.log_prob, start, step, 25, generator)
    assert x.numpy().var() == pytest.approx(variance, abs=error)
    assert 0.5 < accepted.mean().item() < 0.99


def test_langevin_climbs_the_density_from_far_away() -> None:
    law = scores.Law(tg.tensor([[3.0, -2.0]], dtype=tg.float64), 1.0)
    start, generator = tg.full((2000, 2), 20.0, dtype=tg.float64), tg.Generator().manual_seed(0)
    *_, x = scores.ula(law.score, start, 0.3, 80, generator)
    assert (x.mean(0) - law.centres[0]).abs().max().item() < 0.15


def test_mala_is_exact_where_the_step_is_too_long_for_langevin() -> None:
    """p(x) ~ e^(-x^4 / 4): E x^2 = 2 Gamma(3/4) / Gamma(1/4)."""
    quartic = lambda x: -0.25 * (x**4).sum(1)
    generator = tg.Generator().manual_seed(0)
    *_, (x, _) = scores.mala(quartic, tg.zeros(20_000, 1, dtype=tg.float64), 0.8, 60, generator)
    squares = x.square().numpy().ravel()
    true = 2 * math.gamma(0.75) / math.gamma(0.25)
    assert squares.mean() == pytest.approx(true, abs=4 * squares.std() / math.sqrt(20_000))


def test_a_cut_drift_comes_home_from_far_out_and_stays_exact() -> None:
    quartic = lambda x: -0.25 * (x**4).sum(1)
    far, generator = tg.full((8000, 1), 30.0, dtype=tg.float64), tg.Generator().manual_seed(0)
    *_, (stuck, _) = scores.mala(quartic, far, 0.8, 60, generator)
    assert (stuck == 30.0).all()
    *_, (x, _) = scores.mala(quartic, far, 0.8, 100, generator, reach=0.7)
    squares = x.square().numpy().ravel()
    true = 2 * math.gamma(0.75) / math.gamma(0.25)
    assert squares.mean() == pytest.approx(true, abs=4 * squares.std() / math.sqrt(8000))


def test_annealed_langevin_finds_the_weights_that_plain_langevin_misses() -> None:
    law, generator = scores.LAWS["two_modes"](), tg.Generator().manual_seed(0)
    sigmas = np.geomspace(20.0, 0.3, 8).tolist()
    *_, x = scores.annealed(law.score, 20 * tg.randn(2000, 2, generator=generator), sigmas, 0.3, 25,
                            generator)  # fmt: skip
    assert law.shares(x)[0].item() == pytest.approx(0.8, abs=0.05)
    start = 16 * tg.rand(2000, 2, generator=generator) - 10
    *_, x = scores.ula(law.score, start, 0.1, 200, generator)
    assert law.shares(x)[0].item() < 0.7
    with pytest.raises(ValueError, match=r"noise levels that fall, got \[1.0, 2.0\]"):
        list(scores.annealed(law.score, x, [1.0, 2.0], 0.1, 1))
    with pytest.raises(ValueError, match="ula: expected step > 0, got 0"):
        list(scores.ula(law.score, x, 0.0, 1))


# --- laws that are known, and divergences ---------------------------------------------------------


@pytest.mark.parametrize("name", scores.LAWS)
def test_a_laws_score_is_the_slope_of_its_density(name: str) -> None:
    law, generator = scores.LAWS[name](), tg.Generator().manual_seed(0)
    law.centres, law.weights = law.centres.double(), law.weights.double()
    x = law.sample(50, generator)
    for sigma in (0.0, 0.7):
        value, slope = scores.gradient(lambda x, sigma=sigma: law.log_prob(x, sigma), x)
        assert (slope - law.score(x, sigma)).abs().max().item() < 1e-10
    axis = tg.linspace(-16, 16, 300).double()
    cells = tg.stack([a.flatten() for a in tg.meshgrid(axis, axis, indexing="ij")], 1)
    mass = law.log_prob(cells, 1.0).exp().sum().item() * (32 / 299) ** 2
    assert mass == pytest.approx(1.0, abs=1e-6)
    assert law.sample(4000, generator).mean(0).abs().max().item() < 0.3


def test_divergences() -> None:
    x = tg.tensor(np.random.default_rng(1).standard_normal((5, 2)))
    y, found = divergence(cubic, x)
    a, b = x[:, 0], x[:, 1]
    assert (y == cubic(x)).all()
    assert (found - (-0.9 * a**2 + 0.5 * a - 0.3 * b**2)).abs().max().item() < 1e-12
    probes = [tg.tensor([v] * 5, dtype=tg.float64) for v in itertools.product([1, -1], repeat=2)]
    mean = sum(divergence(cubic, x, v)[1] for v in probes) / 4
    assert (mean - found).abs().max().item() < 1e-12 and not found.requires_grad


# --- the model ------------------------------------------------------------------------------------


def test_the_flow_has_the_density_of_a_gaussian() -> None:
    model = tg.models.build("score", {"hidden": 8, "std": 1.5, "sigma_max": 8.0}).double()
    x = 2 * tg.randn(20, 2, dtype=tg.float64)
    true = likelihoods.gaussian_log_prob(x, 0 * x, math.log(1.5**2 + 0.1**2))
    assert (model.log_prob(x, steps=80) - true).abs().max().item() < 1e-6
    # A Gaussian's divergence is a multiple of the identity: one probe of signs says it exactly.
    generator = tg.Generator().manual_seed(0)
    assert (model.log_prob(x, 80, 2, generator) - true).abs().max().item() < 1e-6


def test_probes_are_unbiased() -> None:
    tg.manual_seed(0)
    model = tg.models.build("score", {"hidden": 8}).double()
    for p in model.parameters():
        p.data.add_(0.2 * tg.randn(p.shape, dtype=p.dtype))
    x = 2 * tg.randn(2, 2, dtype=tg.float64)
    exact, generator = model.log_prob(x, 10), tg.Generator().manual_seed(0)
    many = model.log_prob(x.repeat_interleave(500, 0), 10, 1, generator).reshape(2, 500).numpy()
    error = many.std(1) / math.sqrt(500)
    assert (np.abs(many.mean(1) - exact.numpy()) < 4 * error).all() and (error > 0).all()


@pytest.mark.parametrize(("sampler", "chain"), [("annealed", 60), ("langevin", 200), ("flow", 1)])
def test_every_sampler_draws_the_gaussian_that_the_model_begins_as(
    sampler: str, chain: int
) -> None:
    config = {"hidden": 8, "std": 1.5, "sigma_min": 0.5, "levels": 6, "chain": chain, "step": 0.4}
    model = tg.models.build("score", config)
    *_, x = model.path(1000, tg.Generator().manual_seed(0), sampler)
    assert x.std().item() == pytest.approx(math.hypot(1.5, 0.5), rel=0.08)
    clean = model.denoise(x) / x
    assert clean.mean().item() == pytest.approx(1.5**2 / (1.5**2 + 0.5**2), abs=1e-4)


def test_bad_input_is_named() -> None:
    build = lambda **c: tg.models.build("score", {"hidden": 8} | c)
    with pytest.raises(ValueError, match="objective 'hinge'; there are .'exact', 'sliced'"):
        build(objective="hinge")
    with pytest.raises(ValueError, match="0 < sigma_min < sigma_max, or the same for one level"):
        build(sigma_min=30.0)
    with pytest.raises(ValueError, match="this model has none"):
        build().sample(1, labels=tg.tensor([1]))
    with pytest.raises(ValueError, match="sampler 'euler'; there are annealed, langevin, flow"):
        build().path(1, sampler="euler")
    for flow in (lambda m: m.path(1, sampler="flow"), lambda m: m.log_prob(tg.zeros(1, 2))):
        with pytest.raises(ValueError, match="the probability flow needs levels > 1, got 1"):
            flow(build(levels=1))
    with pytest.raises(ValueError, match="ScoreModel.log_prob: expected probes >= 0, got -1"):
        build().log_prob(tg.zeros(1, 2), probes=-1)
    pictures = tg.models.build("ncsn", {"shape": (1, 8, 8), "width": 4, "levels": 2})
    with pytest.raises(ValueError, match=r"\(B, \*\(1, 8, 8\)\), got \(1, 1, 16, 16\)"):
        pictures.log_prob(tg.zeros(1, 1, 16, 16), probes=1)
    with pytest.raises(ValueError, match=r"expected centres \(K, d\), std > 0"):
        scores.Law(tg.zeros(3, 2), 0.0)
