"""examples/pixelcnn.py: every likelihood, gated or plain, with labels or without."""

import re
from pathlib import Path

import pytest

from examples import checked

VARIANTS = ["", "--plain", "--likelihood softmax", "--conditional --likelihood logistic"]


@pytest.mark.parametrize("options", VARIANTS)
def test_variants(tmp_path: Path, options: str) -> None:
    words = "--epochs 2 --batch 256 --width 8 --layers 2".split()
    said = checked(tmp_path, "pixelcnn", *words, *options.split())
    levels = 17 if "likelihood" in options else 2
    assert f"bits a pixel of {levels} values" in said
    for name in ("samples", "completions", "curves"):
        assert f"{name}.png" in said


def test_log_p_rises_above_independent_pixels(tmp_path: Path) -> None:
    said = checked(tmp_path, "pixelcnn", "--epochs", 6, "--batch", 32, "--width", 12, "--layers", 2)
    (log_p,) = re.findall(r"test log p\(x\) (-\S+)", said)
    assert float(log_p) > -26.65, "one Bernoulli a pixel has -26.65"
