"""Train, shrink and measure the checkpoints that come with the package.

    python benchmarks/quality/pretrained.py                  # all of them
    python benchmarks/quality/pretrained.py vae-fashion      # one
    python benchmarks/quality/pretrained.py text_to_image --keep runs    # in runs/NAME, resumable
    python benchmarks/quality/pretrained.py --page           # its README.md, from the figures

Each is a run of an example by the command below. Of its last checkpoint the weights are kept, those
averaged where there is an average, as float16, beside what `models.restore` builds the model from:
tinygen/models/pretrained/NAME.npz. What the command printed, and what the model *as it is read back
from that file* measures, is in figures.json there; README.md is made of that.

Frechet distances: 1000 samples (of diffusion 500) against 1000 training pictures, in 32 features of
a classifier of our own; that of 1000 other training pictures stands beside them. Of what draws
captions: the share of their facts that an oracle finds in the pictures.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import diffusion, likelihoods, restore
from tinygen.models.systems import PRETRAINED

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "benchmarks" / "results" / "pretrained"

COMMANDS = {
    "vae-digits": "vae.py --data digits --latent 2 --hidden 256 --epochs 300 --batch 128 --lr 2e-3",
    "vae-fashion": "vae.py --data fashion --latent 2 --hidden 256 --epochs 20 --batch 128 --lr 1e-3"
    " --importance 20",
    "dcgan-digits": "dcgan.py --data digits --width 32 --steps 3000 --lr 5e-4",
    "dcgan-fashion": "dcgan.py --data fashion --width 16 --steps 3000 --lr 5e-4",
    "ddpm-digits": "ddpm.py --data digits --width 16 --epochs 60 --batch 64 --lr 2e-3 --drop 0.1",
    "ddpm-fashion": "ddpm.py --data fashion --width 16 --epochs 1 --batch 64 --lr 2e-3 --drop 0.1",
    "text_to_image": "text_to_image.py --steps 12000 --first 0.11",
}
OF_THE_RUN = ("out", "root", "download", "resume", "device", "demo")  # no part of the model


def train(name: str, folder: Path) -> list[str]:
    """Run the command in `folder`, or go on with what is there; what it printed."""
    script, *options = shlex.split(COMMANDS[name])
    command = [sys.executable, str(ROOT / "examples" / script), *options, "--out", str(folder)]
    command += ["--resume"] * (folder / "last.npz").exists()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT,
                          env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)  # fmt: skip
    return done.stdout.replace(str(folder), "runs").splitlines()


def shrink(name: str, checkpoint: Path) -> Path:
    """The model's averaged weights as float16, its buffers as they are, and its config, packed."""
    slug, config, model = restore(checkpoint)
    weights = {key for key, _ in model.named_parameters()}
    state = {k: v.half() if k in weights else v for k, v in model.state_dict().items()}
    config = {key: value for key, value in config.items() if key not in OF_THE_RUN}
    path = PRETRAINED / f"{name}.npz"
    tg.save({"system": slug, "config": config, "objects": {"model": state}}, path)
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for entry, content in entries.items():
            archive.writestr(zipfile.ZipInfo(entry), content, zipfile.ZIP_DEFLATED, 9)
    return path


@cache
def judge(name: str) -> tuple[Any, Any, float]:
    """A classifier of a data set, its features of 1000 pictures, their distance to 1000 others."""
    train_set = data.load(name)
    order = np.random.default_rng(0).permutation(len(train_set))[:20_000]
    x, labels = train_set.to_symmetric()[order], train_set.labels[order]
    if name == "digits":
        classifier = metrics.digits_classifier()
    else:
        tg.manual_seed(0)
        net = metrics.Classifier(*train_set.images.shape[1:3])
        with tg.enable_grad():
            classifier = metrics.fit_classifier(net, x, labels, steps=600)
    n = min(1000, len(x) // 2)
    real, others = (classifier.features(part) for part in (x[:n], x[n : 2 * n]))
    return classifier, real, metrics.frechet_distance(real, others)


@tg.no_grad()
def measure(name: str) -> dict[str, float]:
    """The figures of a bundled checkpoint; its samples go to PICTURES."""
    slug, config, model = restore(name)
    if slug == "text_to_image":
        return read_by_an_oracle(name, config, model)
    seeded = lambda seed: tg.Generator().manual_seed(seed)
    n, how = (500, {"sampler": "ddim", "steps": 20}) if slug == "ddpm" else (1000, {})
    labels = tg.arange(n) * model.classes // n if model.classes else None
    samples = model.sample(n, seeded(0), labels, **how)
    few = model.sample(100, seeded(1), labels[:: n // 100] if model.classes else None, **how)
    plot.save_image(few, PICTURES / f"{name}.png", nrow=20, value_range=model.pixels, clip=True,
                    scale=2 if config["data"] == "digits" else 1)  # fmt: skip
    low, high = model.pixels
    classifier, real, floor = judge(config["data"])
    x = (samples - low) / (high - low) * 2 - 1
    distance = metrics.frechet_distance(real, classifier.features(x))
    figures = {"frechet": distance, "frechet of other pictures": floor}
    test = data.load(config["data"], "test")
    if slug == "vae":
        x = likelihoods.binarise(test.to_unit(), seeded(1))
        figures["elbo"] = model(x, generator=seeded(2)).elbo.item()
        figures["bits_per_dim"] = metrics.bits_per_dim(-figures["elbo"], x[0].numel())
    if slug == "ddpm":
        x, levels = test.to_symmetric()[:50], test.maximum + 1
        bound = diffusion.vlb(model, x, test.labels[:50], levels, seeded(1)).total.mean().item()
        figures["bits_per_dim"] = metrics.bits_per_dim(bound, x[0].numel())
    return {key: round(value, 3) for key, value in figures.items()}


def read_by_an_oracle(name: str, config: dict[str, Any], model: Any) -> dict[str, float]:
    """Facts right in pictures of 300 captions of seen and of unseen pairs; some of them drawn."""
    figures, drawn = {}, []
    for split, what in (("test", "seen"), ("held_out", "unseen")):
        captions = data.scenes(300, 0, split, most=2).captions
        x = tg.cat([
            model.sample(100, tg.Generator().manual_seed(i), captions=captions[i : i + 100],
                         sampler="ddim", steps=20, guidance=config["guidance"])
            for i in range(0, 300, 100)
        ])  # fmt: skip
        score = metrics.caption_score((0.5 * x + 0.5).clamp(0.0, 1.0), captions)
        figures |= {f"facts, {what} pairs": score.facts, f"pictures, {what} pairs": score.exact}
        drawn += captions[:3]
    x = model.sample(60, tg.Generator().manual_seed(1), sampler="ddim", steps=20, captions=[
        text for text in drawn for _ in range(10)], guidance=config["guidance"])  # fmt: skip
    plot.captioned(x, drawn, (-1, 1), PICTURES / f"{name}.png", clip=True)
    return {key: round(value, 3) for key, value in figures.items()}


def page(rows: dict[str, Any]) -> str:
    """README.md of the folder."""
    lines = [
        "# Pretrained checkpoints\n",
        "Small models to look at without training: `tinygen sample vae-fashion`, in Python "
        '`models.restore("vae-fashion")`. The weights are float16; `benchmarks/quality/'
        "pretrained.py` made them and this page, from the commands below. They are as good as some "
        "minutes of a shared CPU make them, and no better.\n",
        "| name | kB | trained in | steps | Fréchet | bits/dim | ELBO | facts, seen | unseen |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    columns = ("frechet", "bits_per_dim", "elbo", "facts, seen pairs", "facts, unseen pairs")
    floor = "frechet of other pictures"
    for name, row in rows.items():
        figures = [f"{row['figures'][key]:.2f}" if key in row["figures"] else "" for key in columns]
        lines.append(
            f"| {name} | {row['bytes'] / 1000:.0f} | {row['seconds'] / 60:.1f} min | "
            f"{row['steps']:,} | {' | '.join(figures)} |"
        )
    floors = {key.partition("-")[2]: row["figures"][floor]
              for key, row in rows.items() if floor in row["figures"]}  # fmt: skip
    beside = ", ".join(f"{value:.2f} on {key}" for key, value in sorted(floors.items()))
    lines += [
        "\nThe Fréchet distance is that of samples (1000, of the ddpm 500 by 20 steps of DDIM) to "
        "1000 training pictures (707 of digits), in the features of a classifier of our own; as "
        f"many other training pictures have {beside}. bits/dim bounds the test pictures' code "
        "length: of binarised pixels for the vae (its ELBO in nats), of grey values for the ddpm "
        "(50 pictures). Facts: the share of those of 300 captions, of pairs of colour and shape "
        "that the training pictures show or never show, that an oracle reads in their pictures "
        "(20 steps of DDIM). The minutes are those of one or two threads beside other work.\n",
        "| name | command | samples |",
        "|---|---|---|",
    ]
    for name in rows:
        picture = Path(os.path.relpath(PICTURES / f"{name}.png", PRETRAINED)).as_posix()
        lines.append(f"| {name} | `python examples/{COMMANDS[name]}` | ![]({picture}) |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="all unless given: " + ", ".join(COMMANDS))
    parser.add_argument("--keep", type=Path, help="a folder for the runs, gone on with if stopped")
    parser.add_argument("--page", action="store_true", help="train nothing, print README.md anew")
    args = parser.parse_args()
    if strangers := sorted(set(args.names) - set(COMMANDS)):
        parser.error(f"there is no {', '.join(strangers)}")
    path = PRETRAINED / "figures.json"
    rows = json.loads(path.read_text()) if path.exists() else {}
    if args.page:
        print(page(rows), end="")
        return
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in args.names or COMMANDS:
        with tempfile.TemporaryDirectory() as folder:
            run = args.keep / name if args.keep else Path(folder)
            said = train(name, run)
            file, state = shrink(name, run / "last.npz"), tg.load(run / "last.npz")
        rows[name] = {
            "command": f"examples/{COMMANDS[name]}", "seconds": round(state["seconds"], 1),
            "steps": state["step"], "bytes": file.stat().st_size, "figures": measure(name),
            "said": said,
        }  # fmt: skip
        print(name, rows[name]["figures"], f"{state['seconds']:.0f} s", flush=True)
        rows = {key: rows[key] for key in COMMANDS if key in rows}
        path.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
        (PRETRAINED / "README.md").write_text(page(rows))


if __name__ == "__main__":
    main()
