"""examples/gan.py: laws in the plane and pictures, with any objective and all devices."""

from pathlib import Path

import pytest

from examples import checked


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--objective wgan --hidden 16", "reverse KL"),
        ("--data grid --objective wgan_gp --d-steps 1", "/25, high-quality"),
        ("--data swiss_roll --pack 2 --optimistic --ema 0.9", "lab.gif"),
        ("--minibatch 2 --virtual 16 --batch 16 --hidden 8 --latent 3", "lab.gif"),
        ("--data digits --spectral --batch-norm", "neighbours.png"),
    ],
)
def test_variants(tmp_path: Path, options: str, expected: str) -> None:
    said = checked(tmp_path, "gan", "--steps", 3, *options.split())
    assert expected in said and ("warp.png" in said) == (not {"digits", "3"} & {*options.split()})
