"""examples/sdgan.py: pairs of one font, of any two, and a loss with a penalty."""

from pathlib import Path

import pytest

from examples import checked, inside


@pytest.mark.parametrize("options", ["--mismatched --norm spectral", "--objective wgan_gp"])
def test_variants(tmp_path: Path, options: str) -> None:
    short = ["--steps", 3, "--width", 2, "--batch", 16, "--judge-steps", 2]
    said = checked(tmp_path, "sdgan", *short, *options.split())
    assert "AUC of samples that share the identity" in said and "walks.png" in said


PEOPLE = """
import numpy as np
from tinygen import data
def emoji(size, variants):
    images = np.random.default_rng(0).integers(0, 256, (96, 3, size, size)).astype(np.uint8)
    return data.ImageDataset.of("emoji", images, np.arange(96) // 6, ("a person",) * 16)
data.fonts.emoji = emoji
"""


def test_people_at_32_pixels_without_the_font(tmp_path: Path) -> None:
    short = ["--steps", 2, "--width", 2, "--batch", 16, "--judge-steps", 2, "--size", 32]
    said = inside(tmp_path, PEOPLE, "sdgan", "--data", "people", *short)
    assert "non_saturating on people: 2 steps" in said and "of new identities" in said
