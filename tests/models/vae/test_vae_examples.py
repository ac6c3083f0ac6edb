"""Every example runs, for a few steps, from another folder, and goes on where it stopped."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygen as tg

EXAMPLES = Path(__file__).parents[3] / "examples"
pytest.importorskip("matplotlib")


def run(folder: Path, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / script), "--out", str(folder / "run"), *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


def checked(folder: Path, script: str, *options: str) -> str:
    done = run(folder, script, *options)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def steps(folder: Path) -> list[int]:
    lines = (folder / "run" / "log.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


SHORT = ["--epochs", "1", "--batch", "512"]
VAE = [*SHORT, "--importance", "3", "--hidden", "16"]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--latent", "3", "--net", "conv", "--likelihood", "gaussian", "--beta", "4"],
        ["--objective", "iwae", "--k", "3", "--likelihood", "pixel"],
        ["--objective", "score", "--k", "3", "--likelihood", "fixed"],
        ["--conditional", "--net", "conv"],
        ["--conditional", "--objective", "iwae"],
    ],
    ids=" ".join,
)
def test_vae(tmp_path: Path, options: list[str]) -> None:
    said = checked(tmp_path, "vae.py", *VAE, *options)
    assert "test ELBO" in said and "log p(x) >=" in said and "active units" in said
    grey = {"gaussian", "pixel", "fixed"} & set(options)
    assert f"bits/dim, {17 if grey else 2} values a pixel" in said
    pictures = {path.name for path in (tmp_path / "run").glob("*.png")}
    assert {
        "samples.png",
        "reconstructions.png",
        "curves.png",
        "walks.png",
        "bolder.png",
    } <= pictures
    assert ("manifold.png" in pictures) == (not {"--latent", "--conditional"} & set(options))


def inside(folder: Path, patch: str, script: str, *options: str) -> str:
    """Run an example after `patch`, a few lines of Python, in its own process."""
    lines = f"import runpy, sys\n{patch}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    script, out = str(EXAMPLES / script), str(folder / "run")
    command = [sys.executable, "-c", f"import sys; sys.argv = sys.argv[1:]\n{lines}", script]
    done = subprocess.run(
        [*command, "--out", out, *options], capture_output=True, text=True, cwd=folder
    )
    return done.stdout + done.stderr


INTERRUPT = """
import signal
from tinygen.run import Run
log = Run.log
def stopping(self, **values):
    if self.step == 3:
        signal.raise_signal(signal.SIGINT)
    log(self, **values)
Run.log = stopping
"""


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("vae.py", ["--hidden", "16", "--importance", "3", "--objective", "iwae"]),
        ("autoencoder.py", ["--kind", "denoising"]),
        ("hvae.py", ["--hidden", "16", "--importance", "3"]),
    ],
)
def test_an_interrupted_run_goes_on_to_the_same_numbers(
    tmp_path: Path, script: str, options: list[str]
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    options = [*options, "--batch", "512", "--epochs", "3"]
    checked(whole, script, *options)
    assert "stopped after step 3 of 6" in inside(parts, INTERRUPT, script, *options)
    checked(parts, script, *options, "--resume")
    assert steps(parts) == steps(whole) == [1, 2, 3, 4, 5, 6]
    a, b = (tg.load(folder / "run" / "last.npz")["objects"]["model"] for folder in (whole, parts))
    for name, value in a.items():
        assert np.array_equal(value.numpy(), b[name].numpy()), name


SMALL = """
import numpy as np
from tinygen import data
def load(name, split="train", **options):
    rng = np.random.default_rng(len(split))
    images = rng.integers(0, 256, (40, 1, 28, 28)).astype(np.uint8)
    return data.ImageDataset.of(name, images, np.arange(40) % 10, data.SOURCES[name].classes)
data.load = load
"""


@pytest.mark.parametrize(
    ("script", "options"),
    [
        ("vae.py", ["--importance", "2"]),
        ("vae.py", ["--importance", "2", "--net", "conv", "--conditional"]),
        ("autoencoder.py", ["--net", "conv", "--loss", "ssim"]),
        ("autoencoder.py", ["--kind", "denoising", "--net", "notes", "--latent", "30"]),
        ("hvae.py", ["--importance", "2"]),
        ("hvae.py", ["--importance", "2", "--shared", "2", "--fixed"]),
    ],
)
def test_fashion_s_size(tmp_path: Path, script: str, options: list[str]) -> None:
    said = inside(
        tmp_path, SMALL, script, "--data", "fashion", "--epochs", "1", "--batch", "20", *options
    )
    assert (tmp_path / "run" / "samples.png").exists(), said[-2000:]


def test_resuming_with_another_architecture_says_so(tmp_path: Path) -> None:
    checked(tmp_path, "vae.py", *VAE)
    done = run(tmp_path, "vae.py", *VAE, "--resume", "--latent", "5")
    assert (
        done.returncode != 0
        and "last.npz" in done.stderr
        and "latent: 2 then, 5 now" in done.stderr
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--kind", "plain", "--labels", "20"],
        ["--kind", "linear"],
        ["--kind", "denoising", "--net", "conv", "--loss", "ssim"],
        ["--kind", "denoising", "--net", "notes"],
        ["--kind", "ksparse", "--loss", "l1"],
        ["--kind", "sparse", "--loss", "perceptual"],
    ],
    ids=" ".join,
)
def test_autoencoder(tmp_path: Path, options: list[str]) -> None:
    said = checked(tmp_path, "autoencoder.py", *SHORT, *options)
    assert "PSNR" in said and (tmp_path / "run" / "reconstructions.png").exists()
    assert ("PCA's is" in said) == ("linear" in options)
    assert ("20 labels, pre-trained" in said) == ("--labels" in options)
    if "ksparse" in options:
        assert "8.0 of 16 units speak" in said


def test_ssim_as_a_loss_gives_the_pictures_and_not_their_negatives(tmp_path: Path) -> None:
    said = checked(tmp_path, "autoencoder.py", "--loss", "ssim", "--epochs", "10")
    assert float(said.split("PSNR ")[1].split(" dB")[0]) > 8.0


@pytest.mark.parametrize(
    "options", [[], ["--shared", "3"], ["--shared", "3", "--fixed"]], ids=" ".join
)
def test_hvae(tmp_path: Path, options: list[str]) -> None:
    said = checked(tmp_path, "hvae.py", *SHORT, "--importance", "3", "--hidden", "16", *options)
    assert "test ELBO" in said and (tmp_path / "run" / "samples.png").exists()


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        ("autoencoder.py", ["--kind", "ksparse", "--k", "17"], "--k 17 is more than the code has"),
        ("autoencoder.py", ["--labels", "1416"], "--labels 1416: there are 1415 training images"),
        ("autoencoder.py", ["--kind", "linear", "--loss", "ssim"], "--kind linear is PCA"),
        ("vae.py", ["--objective", "iwae", "--beta", "2"], "--beta weighs the KL of the ELBO"),
        ("hvae.py", ["--fixed"], "--fixed goes with --shared"),
        ("vae.py", ["--data", "cats"], "no data set is called 'cats'"),
    ],
)
def test_bad_options_are_named(
    tmp_path: Path, script: str, options: list[str], message: str
) -> None:
    done = run(tmp_path, script, *SHORT, *options)
    assert done.returncode != 0 and message in done.stderr
    assert "Traceback" not in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("script", "option", "value"),
    [
        ("vae.py", "--epochs", "0"),
        ("vae.py", "--epochs", "-1"),
        ("vae.py", "--device", "gpu"),
        ("vae.py", "--beta", "-1"),
        ("vae.py", "--importance", "0"),
        ("vae.py", "--lr", "nan"),
        ("autoencoder.py", "--labels", "-1"),
        ("hvae.py", "--sizes", "0"),
        ("hvae.py", "--warmup", "2"),
        ("mixture.py", "--components", "0"),
        ("gan.py", "--steps", "0"),
        ("gan.py", "--d-steps", "0"),
        ("dcgan.py", "--smoothing", "-1"),
        ("cgan.py", "--batch", "0"),
        ("wgan.py", "--steps", "0"),
        ("wgan.py", "--clip", "0"),
        ("ddpm.py", "--T", "0"),
        ("diffusion_2d.py", "--hidden", "x"),
        ("sample.py", "--n", "0"),
    ],
)
def test_impossible_options_are_refused_before_anything_runs(
    tmp_path: Path, script: str, option: str, value: str
) -> None:
    done = run(tmp_path, script, option, value)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout
    assert f"{script}: argument {option}: expected " in done.stderr
    assert f"got {value!r}" in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_every_number_of_an_example_has_a_range(script: Path) -> None:
    """No plain int; a plain float only where any number means something."""
    for line in script.read_text().splitlines():
        if "add_argument" in line and "--guidance" not in line:
            assert "type=int" not in line and "type=float" not in line, line
            assert '"--device"' not in line or "type=device" in line, line


def test_mixture(tmp_path: Path) -> None:
    """EM never falls, and more components explain the test pictures better."""
    one = checked(tmp_path, "mixture.py", "--components", "1", "--iterations", "2")
    many = checked(tmp_path, "mixture.py", "--components", "10", "--iterations", "21")
    bounds = [float(b) for b in re.findall(r"log p\(x\) +(-\S+) nats on", many)]
    assert bounds == sorted(bounds) and len(bounds) == 3
    (few,), (more,) = (re.findall(r"test log p\(x\) (-\S+)", said) for said in (one, many))
    assert float(more) > float(few) + 1
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"samples.png", "components.png"}
