"""examples/text_gan.py: captions of scenes, names of emoji, a caption that cannot be read."""

from pathlib import Path

from examples import checked, run

SHORT = "--steps 2 --batch 8 --width 2 --n 4 --text-width 8"


def test_emoji_and_a_d_without_wrong_captions(tmp_path: Path) -> None:
    said = checked(tmp_path, "text_gan", *SHORT.split(), "--data", "emoji", "--unaware")
    assert "of the pictures are of their group" in said and "between.png" in said


def test_without_captions_half_way(tmp_path: Path) -> None:
    short = [*SHORT.split(), "--scenes", 40, "--between", 0, "--objective", "hinge"]
    said = checked(tmp_path, "text_gan", *short, "--text", "a red square")
    assert "captions of unseen pairs: facts right" in said and "between.png" not in said
    last = tmp_path / "runs" / "text_gan" / "last.npz"
    checked(tmp_path, "sample", last, "--captions", "a red circle", "a blue cross", "--n", 2)


def test_an_unknown_word_is_said_at_once(tmp_path: Path) -> None:
    done = run(tmp_path, "text_gan", *SHORT.split(), "--scenes", 40, "--text", "a red cat")
    assert done.returncode == 1 and "the word 'cat' is not known" in done.stderr
