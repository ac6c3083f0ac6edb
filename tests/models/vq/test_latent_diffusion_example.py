"""examples/latent_diffusion.py: each space, and what it says of it."""

from pathlib import Path

import pytest

from examples import checked

WORDS = "--steps 4 --batch 16 --width 4 --ae-width 4 --T 4 --n 16".split()


@pytest.mark.parametrize("space", ["vq", "pixels"])
def test_spaces(tmp_path: Path, space: str) -> None:
    said = checked(tmp_path, "latent_diffusion", *WORDS, "--space", space)
    assert "Frechet distance of 16 samples to training pictures" in said
    assert ("PSNR" in said) == (space == "vq") and "s a step of diffusion" in said
