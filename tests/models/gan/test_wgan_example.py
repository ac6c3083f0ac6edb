"""examples/wgan.py: the clipping holds, and on the line the critic's gap is beside the exact W1."""

import re
from pathlib import Path

import numpy as np
import pytest

import tinygen as tg
from examples import checked


@pytest.mark.parametrize("net", ["dcgan", "mlp"])
def test_the_critic_s_weights_are_clipped(tmp_path: Path, net: str) -> None:
    words = ["--steps", 3, "--warm", 0, "--width", 4, "--batch", 16, "--net", net, "--clip", 0.02]
    assert "max |w| of the critic 0.02" in checked(tmp_path, "wgan", *words)
    state = tg.load(tmp_path / "runs" / "wgan" / "last.npz")["objects"]["model"]
    weights = [
        np.abs(v.numpy()).max()
        for name, v in state.items()
        if name.startswith("D.") and name.endswith(("weight", "bias"))
    ]
    assert max(weights) == np.float32(0.02)


def test_the_line(tmp_path: Path) -> None:
    said = checked(tmp_path, "wgan", "--line", "--steps", 20, "--warm", 2)
    assert "W1 = |theta|" in said and "w1.png" in said
    rows = re.findall(r"^ +(-?[\d.]+) +([\d.]+) +([\d.]+) +[\d.]+ +1$", said, re.MULTILINE)
    assert len(rows) == 6
    for theta, w1, found in rows:  # a critic trained for one theta finds W1 = |theta|
        assert abs(float(theta)) == float(w1) == pytest.approx(float(found), rel=0.25, abs=0.05)
