"""The harness of all tests of examples: run one as a reader would, in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import tinygen as tg

EXAMPLES = Path(tg.__file__).parents[1] / "examples"

# A few steps of each system's example, with networks as small as they can be.
TINY = {
    "mixture": "--steps 4 --components 3",
    "markov_field": "--epochs 2 --batch 512 --hidden 4 --k 1 --chains 20",
    "made": "--epochs 2 --batch 512 --hidden 16 --orders 2",
    "pixelcnn": "--epochs 2 --batch 512 --width 4 --layers 2",
    "image_gpt": "--epochs 2 --batch 512 --width 8 --layers 1 --heads 2",
    "flow": "--steps 4 --batch 16 --hidden 4 --layers 2 --points 100",
    "pixelrnn": "--epochs 2 --batch 512 --width 4 --layers 1",
    "autoencoder": "--epochs 2 --batch 512 --latent 4 --kind denoising",
    "vae": "--epochs 2 --batch 512 --hidden 8 --importance 2 --objective iwae",
    "hierarchical": "--epochs 2 --batch 512 --hidden 8 --sizes 4 2 --importance 2",
    "gan": "--steps 4 --batch 16 --hidden 8 --virtual 4 --pack 2",
    "dcgan": "--steps 4 --batch 16 --width 2 --virtual 4 --noise 0.1 --encoding 3"
    " --encoding-steps 2",
    "cgan": "--steps 4 --batch 16 --width 2",
    "acgan": "--steps 4 --batch 16 --width 2",
    "biggan": "--steps 4 --batch 16 --width 2",
    "text_gan": "--steps 4 --batch 8 --width 2 --scenes 60 --n 4 --text-width 8",
    "semi_gan": "--steps 4 --batch 16 --hidden 8 --labelled 20",
    "wgan": "--steps 4 --batch 16 --width 2 --warm 1 --critic-steps 2",
    "began": "--steps 4 --batch 16 --width 2",
    "sdgan": "--steps 4 --batch 16 --width 2 --judge-steps 2",
    "progan": "--steps 4 --batch 8 --width 2 --most 4 --side 8 --stage-steps 2",
    "stylegan": "--steps 4 --batch 8 --width 2 --most 4 --side 8 --latent 4 --layers 2",
    "bigan": "--steps 4 --batch 16 --width 2 --hidden 8",
    "aae": "--epochs 2 --batch 512 --hidden 8",
    "diffusion_2d": "--steps 4 --batch 16 --hidden 8 --T 4",
    "ddpm": "--epochs 2 --batch 512 --width 4 --T 4",
    "score": "--steps 4 --batch 16 --hidden 8 --levels 3 --chain 2",
    "vqgan": "--data digits --steps 4 --batch 64 --width 4 --dim 4 --size 8 --d-width 4",
    "vqvae": "--data digits --epochs 2 --batch 512 --width 4 --dim 4 --size 8",
    "latent_diffusion": "--data digits --steps 4 --first 0.5 --batch 32 --width 4 --ae-width 4"
    " --halvings 1 --T 4 --n 20",
    "token_prior": "--epochs 2 --batch 512 --codes-epochs 2 --codes-width 4 --dim 4 --size 8"
    " --width 8 --layers 1 --heads 2",
    "pix2pix": "--steps 4 --batch 16 --width 4 --d-width 4",
    "clip": "--steps 4 --batch 8 --width 4 --n 20 --scenes 60 --text-width 8 --text-layers 1",
    "text_to_image": "--steps 4 --first 0.5 --batch 8 --width 8 --ae-width 4 --T 4 --n 4"
    " --scenes 60 --text-width 8 --text-layers 1",
    "unclip": "--steps 4 --first 0.5 --batch 8 --width 8 --ae-width 4 --hidden 8 --T 4 --n 4 --k 2"
    " --scenes 60",
    "ncsn": "--epochs 2 --batch 512 --width 4 --levels 2 --chain 2",
    "energy": "--steps 4 --batch 16 --hidden 8 --chain 2 --size 50 --walk 4",
}


def run(folder: Path, slug: str, *options: object) -> subprocess.CompletedProcess[str]:
    """examples/<slug>.py in `folder`, where its output lands in runs/<slug> unless told."""
    return _python(folder, str(EXAMPLES / f"{slug}.py"), *options)


def _python(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": str(EXAMPLES.parent),
        "OPENBLAS_NUM_THREADS": "1",  # matrices are tiny here, and other tests want the cores
    }
    command = [sys.executable, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def checked(folder: Path, slug: str, *options: object) -> str:
    """What a run prints that must not fail."""
    done = run(folder, slug, *options)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def inside(folder: Path, patch: str, slug: str, *options: object) -> str:
    """What a run says after `patch`, a few lines of Python, in its own process."""
    lines = "import runpy, sys\nsys.argv = sys.argv[1:]\n" + patch
    lines += "\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    done = _python(folder, "-c", lines, EXAMPLES / f"{slug}.py", *options)
    return done.stdout + done.stderr


def steps(out: Path) -> list[int]:
    """The steps in a run's log."""
    return [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()]


# Patches for `inside`: nothing that draws; Ctrl-C in the second step; a data set of 40 small random
# pictures, 28 x 28.
UNDRAWN = "sys.modules['matplotlib'] = None"
INTERRUPT = """
import signal
from tinygen.run import Run
log, sent = Run.log, []
def stopping(self, **values):
    if self.step == 2 and not sent:  # a second one would stop it at once
        sent.append(2)
        signal.raise_signal(signal.SIGINT)
    log(self, **values)
Run.log = stopping
"""
FASHION = """
import numpy as np
from tinygen import data
def load(name, split="train", **options):
    rng = np.random.default_rng(len(split))
    images = rng.integers(0, 256, (40, 1, 28, 28)).astype(np.uint8)
    return data.ImageDataset.of(name, images, np.arange(40) % 10, data.SOURCES[name].classes)
data.load = load
"""
