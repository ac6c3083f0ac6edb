"""examples/image_gpt.py: either likelihood, with labels or without; learns more than the means."""

import re
from pathlib import Path

import pytest

from examples import checked

VARIANTS = ["--conditional", "--likelihood softmax --top-k 4"]


@pytest.mark.parametrize("options", VARIANTS)
def test_variants(tmp_path: Path, options: str) -> None:
    words = "--epochs 2 --batch 256 --width 8 --layers 1 --heads 2".split()
    said = checked(tmp_path, "image_gpt", *words, *options.split())
    levels = 17 if "likelihood" in options else 2
    assert f"bits a pixel of {levels} values" in said
    for name in ("samples", "completions", "attention", "curves"):
        assert f"{name}.png" in said


def test_log_p_rises_above_independent_pixels(tmp_path: Path) -> None:
    words = "--epochs 4 --batch 32 --width 16 --layers 2".split()
    said = checked(tmp_path, "image_gpt", *words)
    (log_p,) = re.findall(r"test log p\(x\) (-\S+)", said)
    assert float(log_p) > -26.65, "one Bernoulli a pixel has -26.65"
