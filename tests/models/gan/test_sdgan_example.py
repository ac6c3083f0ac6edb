"""examples/sdgan.py: pairs of one font, of any two, and a loss with a penalty."""

from pathlib import Path

import pytest

from examples import checked


@pytest.mark.parametrize("options", ["--mismatched --norm spectral", "--objective wgan_gp"])
def test_variants(tmp_path: Path, options: str) -> None:
    short = ["--steps", 3, "--width", 2, "--batch", 16, "--judge-steps", 2]
    said = checked(tmp_path, "sdgan", *short, *options.split())
    assert "AUC of samples that share the identity" in said and "walks.png" in said
