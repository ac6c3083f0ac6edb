"""plot.fields: arrows where the field points, none longer than a cell; bad fields are named."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen.models.likelihoods import standard_normal_log_prob

pytest.importorskip("matplotlib", reason="this is about pictures: tinygen[plot]")
from tinygen.plot.fields import field_2d


def test_arrows_point_along_the_field_and_fit_their_cells() -> None:
    figure = field_2d(lambda x: -x, (-4, 4, -2, 2), standard_normal_log_prob, side=8)
    (axes,) = figure.axes
    (arrows,) = (c for c in axes.collections if hasattr(c, "U"))
    u, v = np.asarray(arrows.U), np.asarray(arrows.V)
    x, y = arrows.XY.T
    assert (u * x < 0).all() and (v * y < 0).all()
    assert np.abs(u * y - v * x).max() < 1e-5, "parallel to -x"
    length = np.hypot(u, v)
    assert length.max() == pytest.approx(0.5, abs=1e-6), "the smaller side of a cell"
    assert np.argmax(length) == np.argmax(np.hypot(x, y)) and len(axes.images) == 1


def test_bad_fields_are_named() -> None:
    with pytest.raises(ValueError, match=r"field_2d: the field gave \(64,\) for points \(64, 2\)"):
        field_2d(lambda x: x[:, 0], side=8)
    with pytest.raises(ValueError, match="extent must be"):
        field_2d(lambda x: x, (1, -1, 0, 1))
    nothing = field_2d(lambda x: tg.zeros(*x.shape), side=3)
    assert nothing.axes
