"""examples/dcgan.py: other objectives, other norms, the devices against collapse."""

from pathlib import Path

import pytest

from examples import checked


@pytest.mark.parametrize(
    "options",
    [
        "--objective wgan_gp",
        "--objective wgan --norm layer",
        "--objective hinge --norm spectral",
        "--virtual 16 --minibatch 2 --smoothing 0.1",
        "--pack 2 --noise 0.1",
        "--encoding 3 --encoding-steps 2 --entropy 0.1 --pictures 40",
    ],
)
def test_variants(tmp_path: Path, options: str) -> None:
    short = ["--steps", 3, "--width", 4, "--batch", 16]
    said = checked(tmp_path, "dcgan", *short, *options.split())
    assert "neighbours.png" in said and "Frechet" in said
