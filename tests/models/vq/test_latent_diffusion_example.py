"""examples/latent_diffusion.py: each space, and what it says of it."""

from pathlib import Path

import pytest

import tinygen as tg
from examples import INTERRUPT, checked, inside
from tinygen import models

WORDS = "--steps 4 --batch 16 --width 4 --ae-width 4 --T 4 --n 16".split()


@pytest.mark.parametrize("space", ["vq", "pixels"])
def test_spaces(tmp_path: Path, space: str) -> None:
    said = checked(tmp_path, "latent_diffusion", *WORDS, "--space", space)
    assert "Frechet distance of 16 samples to training pictures" in said
    assert ("PSNR" in said) == (space == "vq") and "s a step of diffusion" in said


def test_what_was_stopped_in_its_first_stage_is_restored_as_it_was(tmp_path: Path) -> None:
    """The average of the weights has not begun yet; the weights have been learned."""
    inside(tmp_path, INTERRUPT, "latent_diffusion", *WORDS, "--first", 0.75, "--data", "digits")
    checkpoint = tmp_path / "runs" / "latent_diffusion" / "last.npz"
    kept = tg.load(checkpoint)["objects"]
    model = models.restore(checkpoint)[2]
    for name, p in model.named_parameters():
        assert (p == kept["model"][name]).all(), name
    assert kept["ema"]["num_updates"] == 0
    moved = [
        (kept["model"][name] != shadow).any() for name, shadow in kept["ema"]["shadow"].items()
    ]
    assert any(moved), "nothing was learned"
