"""examples/autoencoder.py: every kind, every loss."""

from pathlib import Path

import pytest

from examples import FASHION, checked, inside


@pytest.mark.parametrize(
    "options",
    [
        "--kind plain --labels 20",
        "--kind linear",
        "--kind denoising --net conv --loss ssim",
        "--kind denoising --net notes",
        "--kind ksparse --loss l1",
        "--kind sparse --loss perceptual",
    ],
)
def test_kinds_and_losses(tmp_path: Path, options: str) -> None:
    said = checked(tmp_path, "autoencoder", "--epochs", 1, "--batch", 512, *options.split())
    assert "PSNR" in said and "reconstructions.png" in said
    assert ("PCA's is" in said) == ("linear" in options)
    assert ("20 labels, pre-trained" in said) == ("--labels" in options)
    if "ksparse" in options:
        assert "8.0 of 16 units speak" in said


def test_ssim_as_a_loss_gives_the_pictures_and_not_their_negatives(tmp_path: Path) -> None:
    said = checked(tmp_path, "autoencoder", "--loss", "ssim", "--epochs", 10)
    assert float(said.split("PSNR ")[1].split(" dB")[0]) > 8.0


@pytest.mark.parametrize(
    "options", ["--net conv --loss ssim", "--kind denoising --net notes --latent 30"]
)
def test_fashion_s_size(tmp_path: Path, options: str) -> None:
    words = ["--data", "fashion", "--epochs", 1, "--batch", 20, *options.split()]
    assert "samples.png" in inside(tmp_path, FASHION, "autoencoder", *words)
