"""examples/vqgan.py: with its judge and without."""

from pathlib import Path

import pytest

from examples import checked, run
from tinygen import models

WORDS = "--steps 4 --batch 16 --width 4 --dim 4 --size 8 --d-width 4".split()


@pytest.mark.parametrize("options", ["", "--plain", "--perceptual 0"])
def test_variants(tmp_path: Path, options: str) -> None:
    said = checked(tmp_path, "vqgan", *WORDS, *options.split())
    assert "Frechet of test pictures and reconstructions" in said and "independent.png" in said
    log = (tmp_path / "runs" / "vqgan" / "log.jsonl").read_text()
    assert ("adversarial" in log) == (options != "--plain")


@pytest.mark.parametrize("options", ["--condition lines", "--data scenes --beyond 40 48"])
def test_a_prior_is_trained_where_something_is_drawn(tmp_path: Path, options: str) -> None:
    words = [*WORDS, "--plain", "--prior-steps", 2, *options.split()]
    said = run(tmp_path, "vqgan", *words)
    assert said.returncode == 0, said.stderr
    assert "prior: 2 steps" in said.stdout
    lines = said.stdout.count("distance P to the truth")
    assert (lines, "coloured.png" in said.stdout) == (
        (4, True) if "lines" in options else (0, False)
    )
    assert ("beyond.png" in said.stdout) == ("beyond" in options)
    slug, config, prior = models.restore(tmp_path / "runs" / "vqgan" / "prior" / "last.npz")
    assert slug == "token_prior" and isinstance(prior, models.vq.Conditioned) == (
        "lines" in options
    )
    wrong = run(tmp_path, "vqgan", "--condition", "lines", "--data", "digits")
    assert wrong.returncode == 2 and "only emoji come with drawings" in wrong.stderr
