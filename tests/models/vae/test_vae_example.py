"""examples/vae.py: every bound, every likelihood, with labels or without."""

from pathlib import Path

import pytest

from examples import FASHION, checked, inside, run

SHORT = "--epochs 1 --batch 512 --importance 3 --hidden 16".split()


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--latent 3 --net conv --likelihood gaussian --beta 4",
        "--objective iwae --k 3 --likelihood pixel",
        "--objective score --k 3 --likelihood fixed",
        "--conditional --net conv",
        "--conditional --objective iwae",
    ],
)
def test_variants(tmp_path: Path, options: str) -> None:
    said = checked(tmp_path, "vae", *SHORT, *options.split())
    assert "test ELBO" in said and "log p(x) >=" in said and "active units" in said
    grey = any(name in options for name in ("gaussian", "pixel", "fixed"))
    assert f"bits/dim, {17 if grey else 2} values a pixel" in said
    for name in ("samples", "reconstructions", "curves", "walks", "bolder"):
        assert f"{name}.png" in said
    assert ("manifold.png" in said) == (not any(w in options for w in ("latent", "conditional")))


@pytest.mark.parametrize("options", ["", "--net conv --conditional"])
def test_fashion_s_size(tmp_path: Path, options: str) -> None:
    words = ["--data", "fashion", "--epochs", 1, "--batch", 20, "--importance", 2]
    assert "samples.png" in inside(tmp_path, FASHION, "vae", *words, *options.split())


def test_resuming_with_another_architecture_says_so(tmp_path: Path) -> None:
    checked(tmp_path, "vae", *SHORT)
    done = run(tmp_path, "vae", *SHORT, "--resume", "--latent", 5)
    assert done.returncode != 0 and "last.npz" in done.stderr
    assert "latent: 2 then, 5 now" in done.stderr


def test_the_demo_goes_to_a_folder_of_its_own(tmp_path: Path) -> None:
    assert "in runs/demo/" in checked(tmp_path, "vae", "--demo", *SHORT)
