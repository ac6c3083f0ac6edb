"""examples/clip.py: what it claims, what it looks for, and a caption that it cannot read."""

from pathlib import Path

from examples import TINY, checked, run

WORDS = TINY["clip"].split()


def test_texts_are_looked_for_and_every_claim_stands_beside_chance(tmp_path: Path) -> None:
    said = checked(tmp_path, "clip", *WORDS, "--text", "a red cross", "a green circle")
    for name in ("seen", "unseen"):
        assert f"{name} pairs, 20 scenes: picture to caption" in said
    assert said.count("one thing of 24: ") == said.count("(chance 4.2%), its colour") == 2
    assert "with the colours exchanged" in said and "scale 14." in said
    assert (tmp_path / "runs" / "clip" / "retrieved.png").exists()
    done = run(tmp_path, "sample", "runs/clip/last.npz")  # it compares, and does not draw
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "runs/clip/last.npz holds a clip, which does not draw" in done.stderr


def test_a_text_that_cannot_be_read_is_said_at_once(tmp_path: Path) -> None:
    done = run(tmp_path, "clip", *WORDS, "--text", "a red dog")
    assert done.returncode == 1 and not (tmp_path / "runs").exists()
    assert len(done.stderr.splitlines()) == 1 and "the word 'dog' is not known" in done.stderr
