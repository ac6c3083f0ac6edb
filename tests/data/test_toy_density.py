"""The toys' densities: they integrate to 1, and are those of the points that `toy` draws."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygen as tg
from tinygen import data
from tinygen.data.toy_density import DENSITIES


@pytest.mark.parametrize("name", DENSITIES)
def test_the_entropy_is_the_mean_over_draws(name: str) -> None:
    n = 5000
    log_p = data.toy_log_prob(name, data.toy(name, n, tg.Generator().manual_seed(0))).numpy()
    assert abs(-log_p.mean() - data.toy_entropy(name)) < 4 * log_p.std() / math.sqrt(n)


def test_a_density_integrates_to_one() -> None:
    line = np.linspace(-2.0, 3.0, 120)
    grid = tg.tensor(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2))
    total = data.toy_log_prob("two_moons", grid).exp().sum().item() * (line[1] - line[0]) ** 2
    assert total == pytest.approx(1.0, abs=1e-6)


def test_the_entropy_of_modes_far_apart_is_in_closed_form() -> None:
    exact = math.log(25 * 2 * math.pi * math.e * 0.05**2)
    assert data.toy_entropy("grid") == pytest.approx(exact, abs=1e-7)


def test_a_law_without_a_density_is_named() -> None:
    with pytest.raises(ValueError, match="that of 'pinwheel' is not here; of ring, grid, swiss"):
        data.toy_entropy("pinwheel")
    for shape in ((2,), (4, 3)):
        with pytest.raises(ValueError, match=r"expected points of the plane \(n, 2\), got"):
            data.toy_log_prob("ring", tg.zeros(*shape))
