"""What holds for every example: it runs, goes on where it stopped, keeps what `sample` needs."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import tinygen as tg
from examples import EXAMPLES, INTERRUPT, TINY, UNDRAWN, checked, inside, run, steps
from tinygen import cli, models

pytest.importorskip("matplotlib", reason="the examples draw: tinygen[plot]")
pytest.importorskip("PIL", reason="the examples draw: tinygen[plot]")


@pytest.mark.parametrize("slug", models.SYSTEMS)
def test_a_run_that_was_stopped_goes_on_bit_for_bit(slug: str, tmp_path: Path) -> None:
    """In runs/<slug>, which is where it goes unless told; and its model can be sampled from."""
    options, out = TINY[slug].split(), tmp_path / "runs" / slug
    said = checked(tmp_path, slug, *options)
    assert steps(out) == [1, 2, 3, 4]
    pictures = re.search(rf"^pictures in runs/{slug}/: (.*)$", said, re.MULTILINE)
    assert pictures and all((out / name).stat().st_size > 500 for name in pictures[1].split(", "))
    main = {"samples.png", "guided.png", "reconstructions.png", "retrieved.png"}
    assert main & set(pictures[1].split(", "))
    assert re.search(r" in \d+\.\d s", said)

    parts = tmp_path / "parts"
    stopped = inside(tmp_path, INTERRUPT, slug, *options, "--out", parts)
    assert "stopped after step 2 of 4" in stopped
    checked(tmp_path, slug, *options, "--out", parts, "--resume")
    assert steps(parts) == [1, 2, 3, 4]
    a, b = (tg.load(folder / "last.npz")["objects"]["model"] for folder in (out, parts))
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert np.array_equal(value.numpy(), b[name].numpy()), name

    found, config, model = models.restore(out / "last.npz")
    labels = tg.arange(3) if model.classes else None
    assert found == slug and config["out"] == f"runs/{slug}"
    if hasattr(model, "sample"):  # test_systems.py knows which have none
        assert model.sample(3, tg.Generator().manual_seed(0), labels).shape[0] == 3


@pytest.mark.parametrize("slug", models.SYSTEMS)
def test_without_what_draws_a_run_says_so_first_and_goes_on(slug: str, tmp_path: Path) -> None:
    said = inside(tmp_path, UNDRAWN, slug, *TINY[slug].split())
    words = "no pictures: tinygen.plot needs matplotlib: pip install 'tinygen[plot]'"
    assert said.count(words) == 2 and "Traceback" not in said, said
    assert f"{words}\n{slug}.py: {words}\n" in said  # the end of stdout, the beginning of stderr
    assert steps(tmp_path / "runs" / slug) == [1, 2, 3, 4]
    assert not [*tmp_path.rglob("*.png"), *tmp_path.rglob("*.gif")]


@pytest.mark.parametrize("slug", models.SYSTEMS)
def test_a_label_says_what_to_expect(slug: str) -> None:
    """Seconds or minutes on two cores, and a figure of what it prints."""
    assert re.search(r"\d+ (s|min) on 2 cores; .*\d", cli.label(slug)), cli.label(slug)


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_reads_in_ten_minutes_and_every_number_has_a_range(script: Path) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= 160
    assert "type=int" not in text and "type=float" not in text
    assert f"python examples/{script.name}" in text.split('"""')[1]


@pytest.mark.parametrize(
    ("slug", "option", "value"),
    [
        ("vae", "--epochs", "0"),
        ("vae", "--device", "gpu"),
        ("vae", "--beta", "-1"),
        ("vae", "--importance", "0"),
        ("vae", "--latent", "0"),
        ("vae", "--lr", "nan"),
        ("autoencoder", "--labels", "-1"),
        ("hierarchical", "--sizes", "0"),
        ("hierarchical", "--warmup", "2"),
        ("mixture", "--components", "0"),
        ("gan", "--steps", "0"),
        ("gan", "--d-steps", "0"),
        ("dcgan", "--smoothing", "-1"),
        ("began", "--gamma", "1.5"),
        ("cgan", "--batch", "0"),
        ("wgan", "--clip", "0"),
        ("ddpm", "--T", "0"),
        ("diffusion_2d", "--hidden", "x"),
        ("sample", "--n", "0"),
    ],
)
def test_impossible_options_are_refused_before_anything_runs(
    tmp_path: Path, slug: str, option: str, value: str
) -> None:
    done = run(tmp_path, slug, option, value)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout
    assert f"{slug}.py: argument {option}: expected " in done.stderr
    assert f"got {value!r}" in done.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("slug", "options", "message"),
    [
        ("autoencoder", "--kind ksparse --k 17", "--k 17 is more than the code has"),
        ("autoencoder", "--labels 1416", "--labels 1416: there are 1415 training images"),
        ("autoencoder", "--kind linear --loss ssim", "--kind linear is PCA"),
        ("vae", "--objective iwae --beta 2", "--beta weighs the KL of the ELBO"),
        ("vae", "--data cats", "argument --data: invalid choice: 'cats' (choose from"),
        ("hierarchical", "--fixed", "--fixed goes with --shared"),
        ("gan", "--objective began", "argument --objective: invalid choice: 'began'"),
        ("gan", "--steps 40 --lr 1e30", "gan.py: step "),
        ("dcgan", "--smoothing 0.5", "GAN: expected 0 <= smoothing < 0.5, got 0.5"),
    ],
)
def test_what_cannot_work_is_one_line(
    tmp_path: Path, slug: str, options: str, message: str
) -> None:
    done = run(tmp_path, slug, *options.split())
    assert done.returncode != 0 and message in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"{slug}.py: ")
