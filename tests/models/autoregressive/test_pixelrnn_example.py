"""examples/pixelrnn.py: learns more than the pixels' means, by rows and by diagonals."""

import re
from pathlib import Path

import pytest

from examples import checked


@pytest.mark.parametrize("model", ["row", "diagonal"])
def test_log_p_rises_above_independent_pixels(tmp_path: Path, model: str) -> None:
    words = "--epochs 3 --width 12 --layers 1 --lr 2e-2".split()
    said = checked(tmp_path, "pixelrnn", *words, "--model", model)
    (log_p,) = re.findall(r"test log p\(x\) (-\S+)", said)
    assert float(log_p) > -26.65, "one Bernoulli a pixel has -26.65"
    for name in ("samples", "completions", "context", "curves"):
        assert f"{name}.png" in said
