"""examples/vqgan.py: with its judge and without."""

from pathlib import Path

import pytest

from examples import checked


@pytest.mark.parametrize("options", ["", "--plain", "--perceptual 0"])
def test_variants(tmp_path: Path, options: str) -> None:
    words = "--steps 4 --batch 16 --width 4 --dim 4 --size 8 --d-width 4".split()
    said = checked(tmp_path, "vqgan", *words, *options.split())
    assert "Frechet of test pictures and reconstructions" in said and "independent.png" in said
    log = (tmp_path / "runs" / "vqgan" / "log.jsonl").read_text()
    assert ("adversarial" in log) == (options != "--plain")
