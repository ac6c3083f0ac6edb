"""The checkpoints that come with tinygen: small, whole, and as good as is written beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygen as tg
from tinygen import data, metrics, models
from tinygen.models import likelihoods
from tinygen.models.systems import PRETRAINED

SCRIPT = Path(tg.__file__).parents[1] / "benchmarks" / "quality" / "pretrained.py"
FIGURES = json.loads((PRETRAINED / "figures.json").read_text())


def test_each_has_its_figures_and_together_they_are_small() -> None:
    names = models.pretrained()
    assert names == sorted(FIGURES) and names
    sizes = [(PRETRAINED / f"{name}.npz").stat().st_size for name in names]
    assert max(sizes) <= 3e6 and sum(sizes) <= 7e6
    for row in FIGURES.values():
        assert (
            row["seconds"] > 0 and row["said"] and np.isfinite(list(row["figures"].values())).all()
        )


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_it_is_restored_by_name(name: str) -> None:
    slug, config, model = models.restore(name)
    assert name in (slug, f"{slug}-{config['data']}")
    assert FIGURES[name]["command"].startswith(f"examples/{slug}")
    saved = tg.load(PRETRAINED / f"{name}.npz")["objects"]["model"]
    weights = dict(model.named_parameters())
    assert all(saved[key].dtype == tg.float16 for key in weights)
    assert all(value.dtype == tg.float32 for value in weights.values()) and not model.training
    labels = tg.arange(2) if model.classes else None
    options = {"sampler": "ddim", "steps": 2} if slug in ("ddpm", "text_to_image") else {}
    x = model.sample(2, tg.Generator().manual_seed(0), labels, **options)
    assert x.shape == (2, *config["shape"]) and np.isfinite(x.numpy()).all()
    assert not {"out", "root", "device"} & set(config), "a path of the machine it was made on"


def test_a_figure_is_what_the_file_gives() -> None:
    """Of the binarised test digits, with the seeds that the script takes."""
    _, _, model = models.restore("vae-digits")
    seeded = lambda seed: tg.Generator().manual_seed(seed)
    x = likelihoods.binarise(data.load("digits", "test").to_unit(), seeded(1))
    with tg.no_grad():
        elbo = model(x, generator=seeded(2)).elbo.item()
    assert abs(elbo - FIGURES["vae-digits"]["figures"]["elbo"]) < 0.01


def test_the_pictures_say_what_the_captions_say() -> None:
    """Of the first third of the script's captions, with its seed."""
    _, config, model = models.restore("text_to_image")
    captions = data.scenes(300, 0, "test", most=2).captions[:100]
    x = model.sample(100, tg.Generator().manual_seed(0), captions=captions, sampler="ddim",
                     steps=20, guidance=config["guidance"])  # fmt: skip
    right = metrics.caption_score((0.5 * x + 0.5).clamp(0.0, 1.0), captions).facts
    assert abs(right - FIGURES["text_to_image"]["figures"]["facts, seen pairs"]) < 0.08


@pytest.mark.skipif(not SCRIPT.exists(), reason="no clone")
def test_the_page_is_what_the_figures_say() -> None:
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parents[2])}
    command = [sys.executable, SCRIPT, "--page"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout == (PRETRAINED / "README.md").read_text(), done.stderr
