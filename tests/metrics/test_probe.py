"""The linear probe: what a plane can tell apart, in whatever units the codes are."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen.metrics import linear_probe


def classes(seed: int = 0, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Three Gaussians in the plane that overlap."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return 2.0 * np.eye(3)[y][:, :2] + rng.standard_normal((n, 2)), y


def test_it_finds_the_best_plane_of_two_gaussians() -> None:
    """N(-1, 1) and N(1, 1): the border is 0, and P(z > -1) = 84 % are right."""
    rng = np.random.default_rng(0)
    y = np.arange(20_000) % 2
    x = (2 * y - 1 + rng.standard_normal(20_000))[:, None]
    assert linear_probe(x[:2000], y[:2000], x, y) == pytest.approx(0.8413, abs=0.01)


def test_test_codes_are_moved_as_the_others_were() -> None:
    """A test set of one class is all of that class, wherever its own mean is."""
    x, y = classes()
    one = y == 1
    assert linear_probe(3 * x, y, 3 * x[one] + [0.0, 9.0], y[one]) == 1.0


def test_what_is_not_linear_is_not_seen() -> None:
    x = np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    xor = np.array([0, 0, 1, 1])
    assert linear_probe(x, xor, x, xor) == 0.5  # undecided: the first class
    assert linear_probe(x.prod(1, keepdims=True), xor, x.prod(1, keepdims=True), xor) == 1.0


def test_units_and_offsets_do_not_matter() -> None:
    (x, y), (z, asked) = classes(), classes(1)
    moved = lambda v: v * [1e3, 1e-3] + [5.0, -7.0]
    assert linear_probe(x, y, z, asked) == linear_probe(moved(x), y, moved(z), asked) > 0.6
    beside = np.ones((300, 1))  # a number that never changes says nothing
    padded = (np.concatenate([v, beside], 1) for v in (x, z))
    a, b = padded
    assert linear_probe(a, y, b, asked) == linear_probe(x, y, z, asked)


def test_labels_are_names() -> None:
    (x, y), (z, asked) = classes(), classes(1)
    swapped = np.array([2, 0, 1])
    assert linear_probe(x, swapped[y], z, swapped[asked]) == linear_probe(x, y, z, asked)


def test_its_minimum_is_that_of_the_loss() -> None:
    """300 steps come where many more come; a strong decay leaves the means of the classes."""
    (x, y), (z, asked) = classes(), classes(1)
    assert linear_probe(x, y, z, asked) == linear_probe(x, y, z, asked, steps=5000)
    assert linear_probe(x, y, z, asked, decay=1e3) > 0.6


def test_bad_input_is_named() -> None:
    x, y = classes()
    with pytest.raises(ValueError, match="linear_probe: expected codes"):
        linear_probe(x, y[:-1], x, y)
    with pytest.raises(ValueError, match="linear_probe: expected codes"):
        linear_probe(x, y, x[:, :1], y)
    with pytest.raises(ValueError, match="linear_probe: 1 of 300 samples hold NaN"):
        linear_probe(np.where(np.arange(600).reshape(300, 2) == 5, np.nan, x), y, x, y)
