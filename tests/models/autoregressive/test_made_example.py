"""examples/made.py: learns more than the pixels' means, in one order and in several."""

import re
from pathlib import Path

import pytest

from examples import checked


@pytest.mark.parametrize("orders", [1, 3])
def test_log_p_rises_above_independent_pixels(tmp_path: Path, orders: int) -> None:
    said = checked(tmp_path, "made", "--epochs", 80, "--hidden", 150, "--orders", orders)
    (log_p,) = re.findall(r"test log p\(x\) (-\S+)", said)
    assert float(log_p) > -26.65, "one Bernoulli a pixel has -26.65"
    for name in ("samples", "completions", "curves"):
        assert f"{name}.png" in said
