"""examples/score.py: the other objectives, one level of noise and several."""

import re
from pathlib import Path

import pytest

from examples import checked

VARIANTS = ["--objective exact --levels 2 --data ring", "--objective sliced --levels 1"]


@pytest.mark.parametrize("options", VARIANTS)
def test_variants(tmp_path: Path, options: str) -> None:
    short = "--steps 5 --batch 16 --hidden 8 --chain 2".split()
    said = checked(tmp_path, "score", *short, *options.split())
    for name in ("field.png", "langevin.gif", "samples.png"):
        assert name in said
    several = "--levels 1" not in options
    flow = re.search(r"by the probability flow -?\d+\.\d+ nats, of the law -\d", said)
    assert bool(flow) == several == ("paths.png" in said) == ("annealed.gif" in said)
