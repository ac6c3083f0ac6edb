"""examples/hierarchical.py: codes of their own sizes, or levels of the picture's size."""

from pathlib import Path

import pytest

from examples import FASHION, checked, inside

SHORT = "--epochs 1 --batch 512 --importance 3 --hidden 16".split()


@pytest.mark.parametrize("options", ["--sizes 6 4 2", "--shared 3", "--shared 3 --fixed"])
def test_variants(tmp_path: Path, options: str) -> None:
    said = checked(tmp_path, "hierarchical", *SHORT, *options.split())
    assert "test ELBO" in said and "log p(x) >=" in said and "samples.png" in said


@pytest.mark.parametrize("options", ["", "--shared 2 --fixed"])
def test_fashion_s_size(tmp_path: Path, options: str) -> None:
    words = ["--data", "fashion", "--epochs", 1, "--batch", 20, "--importance", 2]
    assert "samples.png" in inside(tmp_path, FASHION, "hierarchical", *words, *options.split())
