"""examples/unclip.py: what it draws; with a CLIP that is trained already; checkpoints of others."""

from pathlib import Path

import tinygen as tg
from examples import TINY, checked, run
from tinygen import models

WORDS = TINY["unclip"].split()


def test_with_a_trained_clip_it_is_that_which_sees(tmp_path: Path) -> None:
    checked(tmp_path, "clip", *TINY["clip"].split())
    said = checked(tmp_path, "unclip", *WORDS, "--clip", "runs/clip/last.npz")
    for name in ("seen", "unseen"):
        assert f"{name} pairs, with the prior: facts right" in said
        assert f"{name} pairs, with it, the best of 2 by CLIP" in said
        assert f"{name} pairs, of the true picture's embedding" in said
    out = tmp_path / "runs" / "unclip"
    assert {"samples.png", "variations.png"} <= {path.name for path in out.iterdir()}
    clip, model = (models.restore(tmp_path / "runs" / slug / "last.npz")[2]
                   for slug in ("clip", "unclip"))  # fmt: skip
    for name, value in clip.state_dict().items():
        assert (value - model.clip.state_dict()[name]).abs().max().item() < 1e-6, name
    checked(tmp_path, "sample", "runs/unclip/last.npz", "--n", 4, "--sampler", "ddim", "--steps", 2)


def test_a_checkpoint_of_another_model_is_no_clip(tmp_path: Path) -> None:
    tg.save({"system": "vae", "config": {"shape": (1, 8, 8)},
             "objects": {"model": models.build("vae", {"shape": (1, 8, 8)}).state_dict()}},
            tmp_path / "vae.npz")  # fmt: skip
    done = run(tmp_path, "unclip", *WORDS, "--clip", "vae.npz")
    assert done.returncode == 2 and "--clip: vae.npz holds a vae" in done.stderr
    assert not (tmp_path / "runs").exists()
