"""examples/biggan.py: the truncation's table, and the parts that can be left out."""

from pathlib import Path

from examples import checked


def test_variants(tmp_path: Path) -> None:
    options = "--steps 3 --width 4 --batch 16 --objective non_saturating --orthogonal 0"
    said = checked(tmp_path, "biggan", *options.split(), "--attention", 0, "--d-steps", 2)
    assert said.count("are what was asked for") == 5 and "z within all of N(0, 1)" in said
    assert "truncation.png" in said and "walks.png" in said
