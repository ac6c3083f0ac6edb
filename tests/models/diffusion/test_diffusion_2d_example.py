"""examples/diffusion_2d.py: its three pictures, for every law."""

from pathlib import Path

import pytest

from examples import checked


@pytest.mark.parametrize("options", ["--data two_moons", "--data grid --sampler renoise"])
def test_variants(tmp_path: Path, options: str) -> None:
    short = ["--steps", 5, "--T", 4, "--hidden", 8]
    said = checked(tmp_path, "diffusion_2d", *short, *options.split())
    assert "chain.gif, paths.png, samples.png" in said and "variance of the samples" in said
