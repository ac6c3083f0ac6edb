"""Triangles: the distance to their manifold is 0 on it and large off it."""

import numpy as np
import pytest

from tinygen import data
from tinygen.data import polygons


def test_the_fit_finds_the_triangle_of_a_picture():
    d = data.polygons.triangles(60, seed=3)
    x = d.images.numpy()[:, 0] / 255
    corners, error = polygons.fit(x)
    assert error.max() < 0.01
    own = d.details["corners"].numpy()
    turns = [np.roll(corners, k, axis=1) for k in range(3)]
    gap = np.min([abs(t - own).max((1, 2)) for t in turns], axis=0)
    assert np.quantile(gap, 0.9) < 0.01, "a sharp corner is less certain than a blunt one"


def test_pictures_off_the_manifold_are_far():
    x = data.polygons.triangles(40, seed=4).images.numpy()[:, 0] / 255
    y, x_ = np.mgrid[:32, :32] - 15.5
    disc = (np.hypot(y, x_) < 9)[None].astype(float)
    assert polygons.fit(disc)[1].min() > 0.2
    assert np.median(polygons.fit((x[:20] + x[20:]) / 2)[1]) > 0.1
    assert polygons.fit(np.random.default_rng(0).random((3, 32, 32)))[1].min() > 0.4


def test_coverage_is_the_area():
    rng = np.random.default_rng(0)
    points = polygons.corners(50, rng)
    area = polygons._area(points)
    assert (area >= polygons.LEAST).all()
    assert np.allclose(polygons.draw(points, 64).mean((1, 2)), area, atol=0.004)


def test_precision_and_recall():
    real = data.polygons.triangles(100, seed=1).images.numpy()[:, 0] / 255
    same = data.polygons.triangles(400, seed=2).images.numpy()[:, 0] / 255
    precision, recall = polygons.precision_recall(same, real)
    assert precision == 1.0 and recall > 0.85
    assert polygons.precision_recall(np.repeat(same[:1], 50, 0), real)[1] < 0.2
    assert polygons.precision_recall((same[:50] + same[50:100]) / 2, real)[0] < 0.5
    with pytest.raises(ValueError, match="triangles: expected n"):
        data.polygons.triangles(0)
