"""examples/cgan.py: what is asked for is what is judged."""

from pathlib import Path

import pytest

from examples import checked


@pytest.mark.parametrize("options", ["", "--objective hinge --norm spectral --d-steps 2"])
def test_variants(tmp_path: Path, options: str) -> None:
    short = ["--steps", 3, "--width", 4, "--batch", 16]
    said = checked(tmp_path, "cgan", *short, *options.split())
    assert "are what was asked for" in said and "bolder.png" in said
