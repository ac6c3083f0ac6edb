"""examples/ncsn.py: bits a pixel, the classifier's word, both samplers' pictures."""

import re
from pathlib import Path

from examples import checked


def test_it_says_bits_and_distances(tmp_path: Path) -> None:
    words = "--epochs 2 --batch 512 --width 4 --levels 3 --chain 1 --objective sliced".split()
    said = checked(tmp_path, "ncsn", *words)
    (bits,) = re.findall(r"(\d\.\d+) ± \d\.\d+ bits/dim of 100 test images", said)
    assert float(bits) < 10.0 and "17 grey levels" in said
    assert "Frechet of 1000 samples by the probability flow" in said
    for name in ("chain.gif", "expected.gif", "flow.png", "samples.png"):
        assert name in said
