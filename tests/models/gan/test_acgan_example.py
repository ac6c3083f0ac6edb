"""examples/acgan.py: what is asked for is judged, and how various a class is."""

from pathlib import Path

import pytest

from examples import checked, run


@pytest.mark.parametrize("options", ["", "--objective hinge --norm spectral --class-weight 0"])
def test_variants(tmp_path: Path, options: str) -> None:
    short = ["--steps", 3, "--width", 4, "--batch", 16]
    said = checked(tmp_path, "acgan", *short, *options.split())
    assert "are what was asked for" in said and "times as far apart as two data" in said
    assert "walks.png" in said


def test_a_row_with_a_penalty_is_no_choice(tmp_path: Path) -> None:
    done = run(tmp_path, "acgan", "--objective", "wgan_gp")
    assert done.returncode == 2 and "invalid choice: 'wgan_gp'" in done.stderr
