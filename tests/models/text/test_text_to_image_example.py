"""examples/text_to_image.py: what it draws, and a caption that it cannot read."""

from pathlib import Path

from examples import TINY, checked, run

WORDS = TINY["text_to_image"].split()


def test_texts_are_drawn_and_lead_to_one_another(tmp_path: Path) -> None:
    said = checked(tmp_path, "text_to_image", *WORDS, "--text", "a red cross", "a green circle")
    assert "captions of unseen pairs: facts right" in said and "PSNR" in said
    made = {path.name for path in (tmp_path / "runs" / "text_to_image").iterdir()}
    assert {"texts.png", "between.png", "reconstructions.png", "curves.png"} <= made
    sample = ["sample", "runs/text_to_image/last.npz", "--out", "drawn.png", "--n", "2"]
    said = checked(tmp_path, *sample, "--captions", "a red cross", "a green circle")
    assert "4 samples of a text_to_image" in said and (tmp_path / "drawn.png").exists()
    assert "2 samples" in checked(tmp_path, *sample)
    done = run(tmp_path, *sample, "--captions", "a red dog")
    assert done.returncode == 1 and "the word 'dog' is not known" in done.stderr


def test_captions_are_for_what_reads(tmp_path: Path) -> None:
    done = run(tmp_path, "sample", "vae-digits", "--captions", "a seven")
    assert done.returncode == 2 and "--captions: the vae of vae-digits does not read" in done.stderr


def test_pixels_and_one_text(tmp_path: Path) -> None:
    said = checked(tmp_path, "text_to_image", *WORDS, "--space", "pixels", "--text", "a red cross")
    assert "pixels of 3 x 32 x 32 numbers" in said and "PSNR" not in said
    assert not (tmp_path / "runs" / "text_to_image" / "between.png").exists()


def test_a_text_that_cannot_be_read_is_said_at_once(tmp_path: Path) -> None:
    done = run(tmp_path, "text_to_image", *WORDS, "--text", "a red dog")
    assert done.returncode == 1 and not (tmp_path / "runs").exists()
    assert len(done.stderr.splitlines()) == 1 and "the word 'dog' is not known" in done.stderr
