"""examples/vqvae.py: pictures better than their mean."""

import re
from pathlib import Path

import pytest

from examples import checked


@pytest.mark.parametrize("kind", ["ema", "scales", "fsq"])
def test_quantisers(tmp_path: Path, kind: str) -> None:
    words = "--data digits --epochs 8 --batch 64 --lr 4e-3 --width 8 --size 16 --dim 4".split()
    said = checked(tmp_path, "vqvae", *words, "--quantiser", kind)
    (psnr,) = re.findall(r"PSNR (\S+) dB", said)
    assert float(psnr) > 11.44, "the mean picture has 11.43 dB"
    for name in ("reconstructions", "independent", "curves"):
        assert f"{name}.png" in said
