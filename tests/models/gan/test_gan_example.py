"""examples/gan.py: laws in the plane and pictures, with any objective and all devices."""

import json
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
        ("--data digits --objective hinge --spectral", "one Gaussian: "),
        ("--data digits --penalty r1 --no-batch-norm", "neighbours.png"),
    ],
)
def test_variants(tmp_path: Path, options: str, expected: str) -> None:
    said = checked(tmp_path, "gan", "--steps", 3, *options.split())
    assert expected in said and ("warp.png" in said) == (not {"digits", "3"} & {*options.split()})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", {"latent": 2, "hidden": 128, "batch_norm": False, "weight": 0.1, "ema": 0.995}),
        ("--data grid --latent 3", {"latent": 3, "hidden": 64, "weight": 0.1}),
        ("--data digits --hidden 8", {"latent": 16, "hidden": 8, "batch_norm": True, "ema": 0.995}),
    ],
)
def test_a_law_has_its_own_defaults_and_options_win(
    tmp_path: Path, options: str, expected: dict[str, object]
) -> None:
    said = checked(tmp_path, "gan", "--steps", 1, *options.split())
    config = json.loads((tmp_path / "runs" / "gan" / "config.json").read_text())["config"]
    assert {name: config[name] for name in expected} == expected
    assert ("one Gaussian " in said) == ("modes" in said)
