"""examples/pix2pix.py: variants, pairs of one's own, a picture translated after training."""

from pathlib import Path

import numpy as np
import pytest

from examples import checked, run

Image = pytest.importorskip("PIL.Image")
WORDS = "--steps 2 --batch 16 --width 4 --d-width 4".split()


def test_labels_by_the_distance_alone(tmp_path: Path) -> None:
    said = checked(tmp_path, "pix2pix", *WORDS, *"--data labels --judge 0 --distance l2".split())
    assert "an oracle reads the right shapes in 0.0 %" in said and "samples.png" in said
    assert "d_loss" not in (tmp_path / "runs" / "pix2pix" / "log.jsonl").read_text()


def test_pairs_of_ones_own_and_a_picture_after_training(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for i in range(12):
            pixels = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
    Image.new("L", (40, 30), 255).save(tmp_path / "sketch.png")
    own = ["--folders", "a", "b", "--size", 16, "--patch", "full", "--no-skips", "--blind"]
    said = checked(tmp_path, "pix2pix", *WORDS, *own, "--batch", 4, "--input", "sketch.png")
    assert "1 held-out pairs" in said and "Frechet" not in said
    notice = "sketch.png: 40 x 30 pixels, L; its middle square is taken, at 16 x 16, in colour"
    drawn = tmp_path / "sketch-translated.png"
    assert notice in said and drawn.exists()
    drawn.unlink()
    checkpoint = "runs/pix2pix/last.npz"
    assert notice in checked(tmp_path, "sample", checkpoint, "--input", "sketch.png")
    assert drawn.exists()
    without = run(tmp_path, "sample", checkpoint)
    assert without.returncode == 2 and "which translates: give it --input FILE" in without.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [("--judge 0 --weight 0", "nothing is left to train G by"),
     ("--input none.png", "--input: there is no file none.png")],
)  # fmt: skip
def test_what_cannot_be_is_said_before_anything_runs(tmp_path: Path, words: str, says: str) -> None:
    done = run(tmp_path, "pix2pix", *words.split())
    assert done.returncode == 2 and says in done.stderr and not done.stdout
