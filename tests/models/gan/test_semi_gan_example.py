"""examples/semi_gan.py: with the unlabelled pictures and without, and what it refuses."""

from pathlib import Path

import pytest

from examples import checked, run

SHORT = ["--steps", 3, "--hidden", 8, "--batch", 16]


@pytest.mark.parametrize("options", ["--labelled 10", "--fool"])
def test_variants(tmp_path: Path, options: str) -> None:
    said = checked(tmp_path, "semi_gan", *SHORT, *options.split())
    assert "without the unlabelled pictures" in said and "samples.png" in said
    assert f"{10 if '10' in options else 100} labels of 1415 digits" in said


@pytest.mark.parametrize(
    ("labelled", "message"),
    [(55, "expected a multiple of the 10 classes, got 55"),
     (1400, "digits has fewer than 140 pictures of some class")],
)  # fmt: skip
def test_bad_numbers_of_labels(tmp_path: Path, labelled: int, message: str) -> None:
    done = run(tmp_path, "semi_gan", "--labelled", labelled)
    assert done.returncode == 2 and message in done.stderr
