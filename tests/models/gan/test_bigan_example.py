"""examples/bigan.py: unary terms, a stochastic encoder, other norms, larger pictures."""

from pathlib import Path

import pytest

from examples import FASHION, checked, inside

SHORT = ["--steps", 3, "--width", 2, "--batch", 16, "--hidden", 8]


@pytest.mark.parametrize(
    "options", ["--unary --objective hinge --norm spectral", "--stochastic --norm batch"]
)
def test_variants(tmp_path: Path, options: str) -> None:
    said = checked(tmp_path, "bigan", *SHORT, *options.split())
    assert "a linear classifier of codes names" in said and "reconstructions.png" in said


def test_other_pictures(tmp_path: Path) -> None:
    said = inside(tmp_path, FASHION, "bigan", "--data", "fashion", *SHORT)
    assert "% of 40 test pictures" in said and "of the variance of x" in said
    assert not (tmp_path / "runs" / "bigan" / "nan.npz").exists() and "Traceback" not in said
