"""examples/stylegan.py: its variants, and samples from the checkpoint."""

from pathlib import Path

import pytest

from examples import checked

SHORT = "--steps 2 --batch 8 --width 2 --most 4 --side 8 --latent 4 --layers 2".split()


@pytest.mark.parametrize("options", ["--adain --ada 0", "--path-weight 0 --data digits"])
def test_variants(tmp_path: Path, options: str) -> None:
    said = checked(tmp_path, "stylegan", *SHORT, *options.split())
    assert "path length |J^T y| of 1000 w" in said and "mixing.png" in said
    if "--adain" in options:
        assert "4 samples of a stylegan" in checked(
            tmp_path, "sample", "runs/stylegan/last.npz", "--n", 4
        )
