"""A density beside its samples: two panels of one extent, and bad input named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tinygen as tg

pytest.importorskip("matplotlib", reason="pictures need tinygen[plot]")

from tinygen.models.likelihoods import standard_normal_log_prob  # noqa: E402
from tinygen.plot.flow import density_and_samples  # noqa: E402


def test_the_density_is_brightest_where_it_is_largest(tmp_path: Path) -> None:
    x, box = tg.randn(30, 2), (-3.0, 3.0, -2.0, 4.0)
    figure = density_and_samples(
        standard_normal_log_prob, x, x, box, resolution=31, title="step 1", path=tmp_path / "a.png"
    )
    left, right = figure.axes
    shown = np.asarray(left.images[0].get_array())
    assert np.unravel_index(shown.argmax(), shown.shape) == (10, 15)  # the origin, y from below
    assert left.get_xlim() == right.get_xlim() == box[:2] and left.get_ylim() == box[2:]
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_points_of_the_plane_are_wanted() -> None:
    with pytest.raises(ValueError, match="density_and_samples"):
        density_and_samples(
            standard_normal_log_prob, tg.randn(3, 3), tg.randn(3, 2), (-1, 1, -1, 1)
        )
