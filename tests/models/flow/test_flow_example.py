"""examples/flow.py: every kind runs, and what it learns is better than one Gaussian."""

import re
from pathlib import Path

from examples import checked

SHORT = "--batch 32 --hidden 8 --layers 2 --ode-steps 1 --points 200".split()


def test_flows_in_the_plane_are_drawn(tmp_path: Path) -> None:
    said = checked(tmp_path, "flow", "--flow", "matching", "--steps", 50, *SHORT, "--data", "ring")
    assert "curves.png, film.gif, grid.png, paths.png, samples.png" in said
    said = checked(tmp_path, "flow", "--flow", "ffjord", "--steps", 4, *SHORT)
    assert "curves.png, grid.png, paths.png, samples.png" in said


def test_the_likelihood_falls_below_a_gaussian_and_stays_above_the_law(tmp_path: Path) -> None:
    said = checked(tmp_path, "flow", "--flow", "maf", "--steps", 60, "--points", 2000)
    (own,) = re.findall(r"-log p\(x\) (\S+)", said)
    law, entropy, one = re.findall(r"itself (\S+) \(its entropy (\S+)\), one Gaussian (\S+)", said)[
        0
    ]
    assert float(entropy) - 0.1 < float(law) < float(own) < float(one)


def test_pictures_are_told_in_bits(tmp_path: Path) -> None:
    said = checked(tmp_path, "flow", "--data", "digits", "--steps", 4, *SHORT, "--scales", 1)
    (own, one) = re.findall(r"(\d\S+) ± \S+ bits .* one Gaussian (\S+)", said)[0]
    assert 1.0 < float(one) < float(own) < 8.0, "four steps are not enough"
    assert "curves.png, samples.png" in said
