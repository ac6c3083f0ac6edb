"""examples/aae.py: every encoder and prior, with labels and without."""

from pathlib import Path

import pytest

from examples import checked


@pytest.mark.parametrize(
    "options",
    [
        "--encoder gaussian", "--prior mixture --labels 50", "--weight 0 --latent 3",
        "--prior classes --labels 50 --only-labelled --latent 3",
    ],
)  # fmt: skip
def test_variants(tmp_path: Path, options: str) -> None:
    said = checked(tmp_path, "aae", "--epochs", 2, "--batch", 256, "--hidden", 16, *options.split())
    assert "neighbours tell codes" in said and "samples.png" in said
    assert ("50 labels: " in said) == ("--labels" in options)
    assert ("prior.png" in said) == ("--latent" not in options)
