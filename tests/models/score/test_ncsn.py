"""The score of pictures: the network under it, its density in 64 dimensions, its levels."""

from __future__ import annotations

import math

import pytest

import tinygen as tg
from tinygen import models
from tinygen.models import likelihoods
from tinygen.models.ode import divergence

PICTURE = {"shape": (1, 8, 8), "width": 4}


def test_an_untrained_network_is_one_gaussian_and_a_probe_says_its_density() -> None:
    model = models.build("ncsn", PICTURE).double()
    x = 0.8 * tg.randn(3, 1, 8, 8, dtype=tg.float64)
    true = likelihoods.gaussian_log_prob(x, 0 * x, math.log(0.8**2 + 0.02**2))
    found = model.log_prob(x, steps=60, probes=1, generator=tg.Generator().manual_seed(0))
    assert (found - true).abs().max().item() < 1e-3


def test_a_probe_estimates_the_divergence_of_pictures() -> None:
    tg.manual_seed(0)
    model = models.build("ncsn", PICTURE).double()
    for p in model.parameters():
        p.data.add_(0.1 * tg.randn(p.shape, dtype=p.dtype))
    x = tg.randn(1, 1, 8, 8, dtype=tg.float64)
    score = lambda x: model.score(x, 0.5)
    exact = divergence(score, x)[1].item()
    probes = models.score.signs(x.expand(400, 1, 8, 8), tg.Generator().manual_seed(0))
    many = divergence(score, x.repeat_interleave(400, 0), probes)[1].numpy()
    assert abs(many.mean() - exact) < 4 * many.std() / math.sqrt(400) and many.std() > 0


def test_levels_fall_by_equal_factors_and_the_network_is_told_where_it_is() -> None:
    times = []

    class Listening(tg.nn.Module):
        def forward(self, x: tg.Tensor, time: tg.Tensor) -> tg.Tensor:
            times.append(time[0].item())
            return 0.0 * x

    model = models.build("ncsn", PICTURE | {"levels": 5, "chain": 1})
    ratios = [b / a for a, b in zip(model.sigmas, model.sigmas[1:])]
    assert ratios == pytest.approx([(0.02 / 8) ** 0.25] * 4) and model.sigmas[0] == 8.0
    model.net = Listening()
    x = model.start(2, 8.0) if list(model.parameters()) else tg.randn(2, 1, 8, 8)
    for sigma in model.sigmas:
        model.score(x, sigma)
    assert times == pytest.approx([1000, 750, 500, 250, 0], abs=1e-3)


def test_the_last_noise_is_taken_off() -> None:
    """Data that are one picture of zeros: the score is -x / sigma^2, the mean is that picture."""
    model = models.build("ncsn", PICTURE | {"std": 1e-6, "levels": 4, "chain": 30, "step": 1.0})
    *_, x = model.path(50, tg.Generator().manual_seed(0))
    assert x.std().item() == pytest.approx(0.02 / math.sqrt(1 - 0.25), rel=0.05)
    assert model.denoise(x).abs().max().item() < 1e-5
