"""The GAN examples run, go on exactly where they stopped, and refuse what cannot work."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygen as tg

pytest.importorskip("matplotlib", reason="the examples draw: tinygen[plot]")
EXAMPLES = Path(__file__).parents[3] / "examples"


def run(script: str, *arguments: object, fails: bool = False) -> str:
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}
    command = [sys.executable, str(EXAMPLES / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("script", "arguments", "expected"),
    [
        ("gan.py", ["--objective", "began", "--hidden", 16], "reverse KL"),
        ("gan.py", ["--data", "swiss_roll", "--pack", 2, "--optimistic", "--ema", 0.9], "lab.gif"),
        ("gan.py", ["--minibatch", 2, "--virtual", "--batch", 16, "--hidden", 8], "lab.gif"),
        ("gan.py", ["--data", "digits", "--spectral", "--batch-norm"], "interpolation.png"),
        ("dcgan.py", ["--objective", "wgan_gp", "--width", 4, "--batch", 16], "neighbours"),
        ("dcgan.py", ["--virtual", "--minibatch", 2, "--width", 4, "--batch", 16], "neighbours"),
        ("wgan.py", ["--warm", 0, "--width", 4, "--batch", 16], "max |w| of the critic"),
        ("wgan.py", ["--warm", 0, "--line"], "W1 = |theta|"),
        ("cgan.py", ["--width", 4, "--batch", 16], "what was asked for"),
    ],
)
def test_examples_run(script: str, arguments: list[object], expected: str, tmp_path: Path) -> None:
    assert expected in run(script, "--steps", 3, "--out", tmp_path, *arguments)


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("gan.py", ["--objective", "began", "--hidden", 8, "--ema", 0.9]),
        ("dcgan.py", ["--virtual", "--pack", 2, "--width", 2, "--batch", 8]),
        ("wgan.py", ["--warm", 1, "--width", 2, "--batch", 8]),
        ("cgan.py", ["--width", 2, "--batch", 8]),
    ],
)
def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    script: str, options: list[object], tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(script, "--steps", 6, "--out", whole, *options)
    run(script, "--steps", 3, "--out", parts, *options)
    run(script, "--steps", 6, "--out", parts, "--resume", *options)
    a, b = (tg.load(folder / "last.npz")["objects"] for folder in (whole, parts))
    assert a["model"].keys() == b["model"].keys()
    for name, value in a["model"].items():
        assert np.array_equal(value.numpy(), b["model"][name].numpy()), name
    for made in whole.glob("*.gif"):  # all frames, also those from before the resume
        assert made.read_bytes() == (parts / made.name).read_bytes()


def test_bad_arguments_are_named(tmp_path: Path) -> None:
    said = run("gan.py", "--objective", "vanilla", "--out", tmp_path, fails=True)
    assert "no GAN objective is called 'vanilla'; there are minimax" in said
    said = run("gan.py", "--steps", 40, "--lr", 1e30, "--out", tmp_path, fails=True)
    assert "gan.py: step" in said and "loss" in said and "Traceback" not in said
