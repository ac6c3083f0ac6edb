"""examples/flow.py: every kind runs, and what it learns is better than one Gaussian."""

import re
from pathlib import Path

import pytest

from examples import checked

SHORT = "--batch 32 --hidden 8 --layers 2 --ode-steps 2".split()


@pytest.mark.parametrize("options", ["--flow ffjord", "--flow matching --data ring"])
def test_flows_in_the_plane(tmp_path: Path, options: str) -> None:
    said = checked(tmp_path, "flow", "--steps", 5, *SHORT, *options.split())
    assert "curves.png, film.gif, grid.png, paths.png, samples.png" in said


def test_the_likelihood_falls_below_a_gaussian_and_stays_above_the_law(tmp_path: Path) -> None:
    said = checked(tmp_path, "flow", "--flow", "glow", "--steps", 80, "--batch", 128)
    (own,) = re.findall(r"-log p\(x\) (\S+)", said)
    law, entropy, one = re.findall(r"itself (\S+) \(its entropy (\S+)\), one Gaussian (\S+)", said)[
        0
    ]
    assert float(entropy) - 0.05 < float(law) < float(own) < float(one)


def test_pictures_are_told_in_bits(tmp_path: Path) -> None:
    said = checked(tmp_path, "flow", "--data", "digits", "--steps", 4, *SHORT, "--scales", 1)
    (own, one) = re.findall(r"(\d\S+) ± \S+ bits .* one Gaussian (\S+)", said)[0]
    assert 1.0 < float(one) < float(own) < 8.0, "four steps are not enough"
    assert "curves.png, samples.png" in said
