"""examples/markov_field.py: each way of learning goes beyond independent pixels."""

import re
from pathlib import Path

import pytest

from examples import checked, run


@pytest.mark.parametrize(
    ("options", "picture"),
    [
        ("--epochs 25 --chains 100 --k 2", "weights"),
        ("--epochs 25 --chains 0 --k 2", "weights"),
        ("--epochs 2 --model ising --lr 0.05", "temperatures"),
        ("--epochs 6 --model ising --lr 0.05 --learn pseudo", "temperatures"),
    ],
)
def test_log_p_rises_above_independent_pixels(tmp_path: Path, options: str, picture: str) -> None:
    said = checked(tmp_path, "markov_field", *options.split())
    (log_p,) = re.findall(r"test log p\(x\) (-\S+)", said)
    assert float(log_p) > -26.4, "one Bernoulli a pixel has -26.65"
    for name in (picture, "samples", "completions", "curves"):
        assert f"{name}.png" in said
    assert said.count("log sum 0.0000") == 6, "a tree normalises itself, at any size"


def test_what_z_cannot_be_had_is_said(tmp_path: Path) -> None:
    done = run(tmp_path, "markov_field", "--epochs", 1, "--hidden", 30)
    assert done.returncode == 1
    assert "RBM: log Z sums over all 2^30 states of the hidden units" in done.stderr
    assert not list(tmp_path.iterdir()), "before a step is taken"
