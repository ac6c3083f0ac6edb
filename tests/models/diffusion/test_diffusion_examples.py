"""The diffusion examples run, a few steps each, resume, and say what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinygen as tg

pytest.importorskip("matplotlib")
pytest.importorskip("PIL")
ROOT = Path(tg.__file__).resolve().parents[1]
DDPM = ["--width", "4", "--T", "6", "--out"]


def run(script: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / script), *map(str, words)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "ddpm"
    done = run("ddpm.py", *DDPM, folder, "--epochs", 1, "--loss", "hybrid")
    assert done.returncode == 0, done.stderr
    assert "bits/dim, 17 grey levels" in done.stdout
    for name in ("guided.png", "ancestral.png", "raw.png", "curves.png", "chain.gif", "last.npz"):
        assert (folder / name).stat().st_size > 500, name
    return folder


def test_2d_draws_its_pictures(tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run("diffusion_2d.py", "--data", "moons", "--steps", 5, "--T", 4, "--out", out)
    assert done.returncode == 0, done.stderr
    assert {"samples.png", "paths.png", "chain.gif"} <= {p.name for p in out.iterdir()}


@pytest.mark.parametrize(
    "words",
    [
        ["--sampler", "ddim", "--steps", 3, "--guidance", 2, "--threshold", 0.99],
        ["--sampler", "heun", "--label", 3, "--raw"],
        ["--variance", "large", "--eta", 0.5],
        ["--inpaint", "--resample", 2, "--steps", 2],
    ],
)
def test_sample_reads_the_checkpoint(trained: Path, tmp_path: Path, words: list[object]) -> None:
    out = tmp_path / "picture.png"
    done = run("sample.py", trained / "last.npz", "--n", 20, "--out", out, *words)
    assert done.returncode == 0, done.stderr
    assert out.stat().st_size > 500


def test_bad_input_is_named(trained: Path, tmp_path: Path) -> None:
    done = run("sample.py", tmp_path / "nothing.npz")
    assert done.returncode == 1 and "train a model with examples/ddpm.py first" in done.stderr
    done = run("sample.py", trained / "last.npz", "--steps", 7)
    assert "1 <= steps <= T = 6, got 7 sampler steps" in done.stderr
    done = run("sample.py", trained / "last.npz", "--label", 11)
    assert "labels must be in 0..9" in done.stderr


def test_going_on_with_another_schedule_is_refused(trained: Path) -> None:
    words = [*DDPM, trained, "--loss", "hybrid", "--epochs", 2, "--resume"]
    done = run("ddpm.py", *words, "--schedule", "linear_scaled")
    assert done.returncode == 1 and "trained with another schedule" in done.stderr
    assert json.loads((trained / "config.json").read_text())["config"]["schedule"] == "cosine"
