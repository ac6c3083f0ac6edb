"""examples/token_prior.py: every prior, its two runs resumed, and a VQ-VAE that is given."""

import re
from pathlib import Path

import pytest

from examples import checked, run, steps

SMALL = "--epochs 2 --batch 512 --codes-epochs 2 --codes-width 4 --dim 4 --size 8 --width 8"


@pytest.mark.parametrize(
    "options", ["--conditional --top-p 0.9", "--prior pixelcnn", "--prior var", "--prior maskgit"]
)
def test_variants(tmp_path: Path, options: str) -> None:
    said = checked(tmp_path, "token_prior", *SMALL.split(), *options.split())
    for name in ("samples", "alone", "curves"):
        assert f"{name}.png" in said
    assert len(re.findall(r"Frechet of \d+ and 707 training pictures", said)) == 3


def test_a_vqvae_that_is_there_is_taken_as_it_is(tmp_path: Path) -> None:
    first = checked(tmp_path, "token_prior", *SMALL.split())
    codes = tmp_path / "runs" / "token_prior" / "codes" / "last.npz"
    told = [*SMALL.split(), "--codes", codes, "--out", tmp_path / "told"]
    again = checked(tmp_path, "token_prior", *told)
    alone = [re.findall(r"each integer alone (\S+)", said)[0] for said in (first, again)]
    assert alone[0] == alone[1], "what was measured is not in the checkpoint"
    assert steps(tmp_path / "told") == [1, 2, 3, 4] and not (tmp_path / "told" / "codes").exists()
    wrong = run(tmp_path, "token_prior", *told, "--data", "emoji")
    assert wrong.returncode == 2 and "expected a vqvae of pictures (3, 32, 32)" in wrong.stderr
