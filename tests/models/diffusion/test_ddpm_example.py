"""examples/ddpm.py, and examples/sample.py and `tinygen sample` on what it and others trained."""

import json
from pathlib import Path

import pytest

from examples import TINY, checked, run
from tinygen import cli

DDPM = ["--width", 4, "--T", 6, "--loss", "hybrid"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ddpm")
    said = checked(folder, "ddpm", *DDPM, "--epochs", 1)
    assert "bits/dim, 17 grey levels" in said
    for name in ("guided.png", "ancestral.png", "raw.png", "curves.png", "chain.gif"):
        assert name in said
    return folder / "runs" / "ddpm"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ("--sampler ddim --steps 3 --guidance 2 --threshold 0.99", "sample-ddim-3.png"),
        ("--sampler heun --labels 3 --raw", "sample-heun.png"),
        ("--variance large --eta 0.5 --labels 1 2", "sample.png"),
        ("--inpaint --resample 2 --steps 2", "sample-2-inpaint.png"),
    ],
)
def test_sample_reads_the_checkpoint(
    trained: Path, tmp_path: Path, options: str, name: str
) -> None:
    said = checked(tmp_path, "sample", trained / "last.npz", "--n", 20, *options.split())
    assert said.startswith("20 samples of a ddpm in ") and said.endswith(f"{trained / name}\n")
    assert (trained / name).stat().st_size > 500


@pytest.mark.parametrize("slug", ["cgan", "diffusion_2d"])  # with labels; points in the plane
def test_sample_reads_those_of_other_systems(
    slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checked(tmp_path, slug, *TINY[slug].split())
    monkeypatch.chdir(tmp_path)
    words = ["sample", f"runs/{slug}/last.npz", "--n", "7", "--out", "a.png"]
    assert cli.main(words) == 0 and (tmp_path / "a.png").stat().st_size > 500
    assert f"7 samples of a {slug} in " in capsys.readouterr().out
    if slug == "diffusion_2d":
        assert cli.main([*words, "--labels", "1"]) == 2
        assert "diffusion_2d of runs/diffusion_2d/last.npz was trained without labels" in (
            capsys.readouterr().err
        )
        assert cli.main([*words, "--inpaint"]) == 2
        assert "--inpaint: for diffusion of pixels, but" in capsys.readouterr().err
    else:
        assert cli.main([*words, "--steps", "3", "--eta", "1"]) == 2
        said = capsys.readouterr().err
        assert "--steps, --eta: for diffusion models, but runs/cgan/last.npz holds a cgan" in said


def test_bad_input_is_named(trained: Path, tmp_path: Path) -> None:
    for words, message in (
        ([tmp_path / "nothing.npz"], "sample.py: restore: there is no "),
        ([trained / "last.npz", "--steps", 7], "1 <= steps <= T = 6, got 7 sampler steps"),
        ([trained / "last.npz", "--labels", 11], "--labels: expected 0..9, got 11"),
    ):
        done = run(tmp_path, "sample", *words)
        assert done.returncode != 0 and message in done.stderr and done.stderr.count("\n") == 1


def test_going_on_with_another_schedule_is_refused(trained: Path, tmp_path: Path) -> None:
    words = [*DDPM, "--out", trained, "--epochs", 2, "--resume"]
    done = run(tmp_path, "ddpm", *words, "--schedule", "linear_scaled")
    assert done.returncode == 1 and "trained with another schedule" in done.stderr
    assert json.loads((trained / "config.json").read_text())["config"]["schedule"] == "cosine"
