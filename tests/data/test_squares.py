"""Square pictures at the side that is asked for, padded or resized."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import tinygen as tg
from tinygen import data


def test_faces_are_those_of_the_bundled_emoji() -> None:
    x, emoji = data.squares("faces", 32), data.load("emoji", "all")
    named = [i for i, group in enumerate(emoji.details["subgroups"]) if group.startswith("face")]
    assert np.array_equal(x.numpy(), emoji.to_symmetric().numpy()[named])
    assert len(data.squares("emoji", 32)) == len(emoji) == 1377


@pytest.mark.parametrize(("stored", "side"), [(28, 32), (28, 64), (32, 32), (8, 16), (30, 8)])
def test_what_is_missing_to_eights_is_padded_and_the_rest_resized(
    stored: int, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.full((3, 1, stored, stored), 255, np.uint8)
    known = data.ImageDataset.of("fashion", images, np.zeros(3, int), ("a",))
    module = sys.modules["tinygen.data.squares"]  # the function has its name
    monkeypatch.setattr(module, "load", lambda name, **options: known)
    x = data.squares("fashion", side).numpy()
    assert x.shape == (3, 1, side, side) and x.min() >= -1 and x.max() == pytest.approx(1)
    if (stored, side) == (28, 32):
        assert (x[:, :, 2:-2, 2:-2] == 1).all() and (x[:, :, :2] == -1).all()
    if stored % 8 == 0:
        assert np.allclose(x, 1)


def test_names() -> None:
    assert data.SQUARES[:3] == ("faces", "people", "emoji")
    assert set(data.SOURCES) < set(data.SQUARES)
    with pytest.raises(ValueError, match="squares: no set is called 'cats'; there are faces, "):
        data.squares("cats", 32)
    with pytest.raises(ValueError, match="squares: expected side >= 1, got 0"):
        data.squares("faces", 0)


def test_emoji_features_see_grey_and_other_sides() -> None:
    x = data.squares("faces", 32)[:4]
    classifier = tg.metrics.emoji_classifier()
    assert np.array_equal(tg.metrics.emoji_features(x), classifier.features(x))
    assert np.array_equal(
        tg.metrics.emoji_features(3 * x), classifier.features((3 * x).clamp(-1, 1))
    )
    grey = x[:, :1]
    assert np.array_equal(
        tg.metrics.emoji_features(grey), classifier.features(tg.cat([grey] * 3, 1))
    )
    large = tg.nn.functional.interpolate(x, scale_factor=2)
    apart = abs(tg.metrics.emoji_features(large) - classifier.features(x)).max()
    assert large.shape[2] == 64 and apart < 1
