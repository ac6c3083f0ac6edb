"""Images of trained diffusion models, judged by a classifier of our own; bits; averaged weights.

    python examples/ddpm.py --out runs/simple-0 --seed 0     # then --loss vlb, other seeds, ..
    python benchmarks/quality/diffusion_images.py runs/simple-* runs/vlb-*
    python benchmarks/quality/diffusion_images.py --report    # the tables again, from the JSON

Samples with labels, as many a class, against training images in the classifier's features: Frechet
distance and KID. `agree` is the share whose label the classifier confirms. Samples without a label
(--n as well, ddim 50): how many the classifier puts into each class, and chi-square of these counts
against even ones: 9 degrees of freedom, 16.9 is exceeded by 5 % of even draws. `near`: the mean
distance of a sample to its nearest training image, in pixels; that of training images to their
nearest other one stands beside it: much less would be memory. bits: the variational bound on test
images, one draw a step. Samples have equal classes, unlike independent draws: KID may fall below 0.

Results go to benchmarks/results/diffusion/diffusion-images.json and .md, pictures beside them.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import diffusion, restore

RESULTS = Path(__file__).parents[1] / "results" / "diffusion"
SAMPLED: dict[str, dict[str, Any]] = {
    "ancestral, all steps": {"sampler": "ancestral"},
    "ddim 50": {"sampler": "ddim", "steps": 50},
    "ddim 20": {"sampler": "ddim", "steps": 20},
    "ddim 10": {"sampler": "ddim", "steps": 10},
    "heun 10": {"sampler": "heun", "steps": 10},
    "ddim 20, guidance 2": {"sampler": "ddim", "steps": 20, "guidance": 2.0},
    "renoise, all steps": {"sampler": "renoise"},
}
FEW = ["ancestral, all steps", "ddim 50"]  # of other losses than the simple one
LOOK = {"value_range": (-1, 1), "clip": True}


class Judge:
    """What samples of one data set are held against."""

    def __init__(self, name: str, root: str | None, n: int) -> None:
        train, test = (data.load(name, split, root=root) for split in ("train", "test"))
        order = np.random.default_rng(0).permutation(len(train))[:20_000]  # digits come by writer
        self.train, self.test = train.to_symmetric()[order], test.to_symmetric()
        self.labels, self.levels, self.n = test.labels, test.maximum + 1, n
        if name == "digits":
            self.classifier = metrics.digits_classifier()
        else:
            tg.manual_seed(0)
            net = metrics.Classifier(*train.images.shape[1:3])
            self.classifier = metrics.fit_classifier(
                net, self.train, train.labels[order], steps=600
            )
        self.real = self.classifier.features(self.train[:n])
        self.y = tg.arange(n) * 10 // n

    def measure(self, x: tg.Tensor, y: tg.Tensor) -> dict[str, float]:
        p, features = self.classifier.probabilities(x), self.classifier.features(x)
        return {
            "frechet": metrics.frechet_distance(self.real, features),
            "kid": metrics.kernel_distance(self.real, features)[0],
            "agree": 100 * float((p.argmax(1) == y.numpy()).mean()),
            "near": self.near(x),
        }

    def near(self, x: tg.Tensor) -> float:
        """The mean distance to the nearest training image, per root of a pixel."""
        distances, _ = metrics.nearest_neighbours(x.clamp(-1, 1), self.train)
        return float(distances.mean()) / x[0].numel() ** 0.5

    def balance(self, x: tg.Tensor) -> dict[str, Any]:
        counts = metrics.class_counts(self.classifier.probabilities(x))
        chi2 = float(((counts - counts.mean()) ** 2 / counts.mean()).sum())
        return {"counts": counts.tolist(), "chi2": chi2}

    def own(self) -> dict[str, Any]:
        """The same of the data itself: test images, and training images beyond the first n."""
        n = min(self.n, len(self.test))
        more = self.classifier.features(self.train[self.n : 2 * self.n])
        apart, _ = metrics.nearest_neighbours(self.train[: self.n], self.train, 2)
        return {
            "near_more": float(apart[:, 1].mean()) / self.test[0].numel() ** 0.5,
            "n": n, **self.measure(self.test[:n], self.labels[:n]), **self.balance(self.test[:n]),
            "n_more": len(more), "frechet_more": metrics.frechet_distance(self.real, more),
            "kid_more": metrics.kernel_distance(self.real, more)[0],
        }  # fmt: skip


def draw(model: diffusion.DDPM, y: Any, n: int, **how: Any) -> tg.Tensor:
    """n images in parts of 100, the same noise for every model."""
    generator = tg.Generator().manual_seed(2)
    parts = [
        model.sample(100, generator, None if y is None else y[i : i + 100], **how)
        for i in range(0, n, 100)
    ]  # fmt: skip
    return tg.cat(parts)


def judge_run(
    folder: Path, judge: Judge, samplers: list[str], tested: int, pictures: bool
) -> list[dict[str, Any]]:
    """A row for each sampler and kind of weights."""
    rows = []
    for average in (True, False):
        _, config, model = restore(folder / "last.npz", average)
        images, labels = judge.test[:tested], judge.labels[:tested]
        draws = tg.Generator().manual_seed(1)
        bound = diffusion.vlb(model, images, labels, judge.levels, draws).total
        common = {
            "loss": config["loss"], "seed": config["seed"],
            "weights": "averaged" if average else "raw",
            "bits": metrics.bits_per_dim(bound, images[0].numel()).mean().item(),
        }  # fmt: skip
        free = draw(model, None, judge.n, **SAMPLED["ddim 50"])
        common |= judge.balance(free)
        names = samplers if config["loss"] == "simple" else FEW
        for name in names if average else ["ddim 50"]:
            began = time.process_time()
            x = draw(model, judge.y, judge.n, **SAMPLED[name])
            seconds = (time.process_time() - began) / judge.n
            rows.append(common | {"sampler": name, "seconds": seconds, **judge.measure(x, judge.y)})
            print(folder.name, rows[-1], flush=True)
            if pictures and average and config["seed"] == 0:
                keep(x, config, name.replace(", ", "-").replace(" ", "-"))
    if pictures and config["seed"] == 0 and config["loss"] == "simple":
        inpaint(restore(folder / "last.npz")[2], judge, config["data"])
    return rows


def keep(x: tg.Tensor, config: dict[str, Any], name: str) -> None:
    """Ten of each class, a class a row."""
    each = len(x) // 10
    some = x[[k * each + i for k in range(10) for i in range(10)]]
    path = RESULTS / f"diffusion-{config['data']}-{config['loss']}-{name}.png"
    plot.save_image(some, path, nrow=10, **LOOK)


def inpaint(model: diffusion.Diffusion, judge: Judge, name: str) -> None:
    x, y = judge.test[:20], judge.labels[:20]
    mask = tg.zeros(1, *x.shape[1:])
    mask[..., : x.shape[3] // 2] = 1.0
    made = diffusion.sample(
        model, x.shape, "ddim", 50, eta=1.0, labels=y, known=(mask, x), resample=5,
        generator=tg.Generator().manual_seed(3),
    )  # fmt: skip
    path = RESULTS / f"diffusion-{name}-inpainting.png"
    plot.reconstruction_pairs(x, made, labels=("original", "right half made"), path=path, **LOOK)


# --- the tables -----------------------------------------------------------------------------------


def spread(rows: list[dict[str, Any]], key: str, digits: int) -> str:
    values = [row[key] for row in rows]
    error = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{error}"


def groups(rows: list[dict[str, Any]], *keys: str) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return found


def report(results: dict[str, Any]) -> str:
    lines = ["# DDPM on small images"]
    for name, entry in results.items():
        own, rows = entry["own"], entry["rows"]
        lines += [
            f"\n## {name}\n\n{entry['settings']}\n",
            "| loss | weights | sampler | seeds | Fréchet | KID | agree % | near | ms an image |",
            "|---|---|---|--:|--:|--:|--:|--:|--:|",
        ]
        for (loss, weights, sampler), group in groups(rows, "loss", "weights", "sampler").items():
            ms = 1000 * statistics.mean(row["seconds"] for row in group)
            lines.append(
                f"| {loss} | {weights} | {sampler} | {len(group)} | {spread(group, 'frechet', 2)} "
                f"| {spread(group, 'kid', 3)} | {spread(group, 'agree', 1)} "
                f"| {spread(group, 'near', 3)} | {ms:.0f} |"
            )
        lines += [
            f"| {own['n']} test images | | | | {own['frechet']:.2f} | {own['kid']:.3f} "
            f"| {own['agree']:.1f} | {own['near']:.3f} | |",
            f"| {own['n_more']} other training images | | | | {own['frechet_more']:.2f} "
            f"| {own['kid_more']:.3f} | | {own['near_more']:.3f} | |",
            "\n| loss | weights | seed | bits/dim | classes without a label | chi-square |",
            "|---|---|--:|--:|---|--:|",
        ]
        for (loss, weights, seed), group in groups(rows, "loss", "weights", "seed").items():
            row = group[0]
            lines.append(
                f"| {loss} | {weights} | {seed} | {row['bits']:.3f} "
                f"| {' '.join(map(str, row['counts']))} | {row['chi2']:.1f} |"
            )
        lines.append(f"| {own['n']} test images | | | | {' '.join(map(str, own['counts']))} "
                     f"| {own['chi2']:.1f} |\n\n{entry['note']}{ordering(rows)}")  # fmt: skip
    return "\n".join(lines) + "\n"


def ordering(rows: list[dict[str, Any]]) -> str:
    """Does L_vlb win in bits and L_simple in samples, as in Ho et al. 2020? Counted over seeds."""
    chosen = [r for r in rows if r["weights"] == "averaged" and r["sampler"] == FEW[0]]
    of = {(r["loss"], r["seed"]): r for r in chosen}
    pairs = [(of["simple", k], of["vlb", k]) for loss, k in of if loss == "vlb"]
    bits = sum(vlb["bits"] < simple["bits"] for simple, vlb in pairs)
    better = sum(vlb["frechet"] > simple["frechet"] for simple, vlb in pairs)
    return (
        f"\nL_vlb has fewer bits than L_simple in {bits} of {len(pairs)} seeds, and L_simple the "
        f"smaller Fréchet distance (ancestral) in {better}."
        if pairs
        else ""
    )


def settings(configs: list[dict[str, Any]], folders: list[Path]) -> str:
    """How the runs were trained, and how long it took."""
    keys = ("epochs", "batch", "lr", "width", "depth", "T", "schedule", "parameterisation",
            "drop", "ema")  # fmt: skip
    seeds = sorted({config["seed"] for config in configs})
    states = [tg.load(folder / "last.npz") for folder in folders]
    times = ", ".join(f"{state['step']} steps in {state['seconds']:.0f} s" for state in states)
    return (
        f"Runs of examples/ddpm.py, seeds {seeds}: "
        + ", ".join(f"{key} {configs[0][key]}" for key in keys)
        + f"; one BLAS thread of a machine with other work: {times}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="*", help="folders of examples/ddpm.py, one data")
    parser.add_argument("--root", help="the folder that holds the files of the data")
    parser.add_argument("--name", help="of a section of its own, without pictures")
    parser.add_argument("--n", type=int, default=1000, help="samples, a multiple of 100")
    parser.add_argument("--samplers", nargs="+", choices=SAMPLED, default=list(SAMPLED),
                        help="of the runs with the simple loss")  # fmt: skip
    parser.add_argument("--tested", type=int, default=400, help="test images for the bits")
    parser.add_argument("--report", action="store_true", help="write the tables of the JSON anew")
    args = parser.parse_args()
    path = RESULTS / "diffusion-images.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    if not args.report:
        configs = [restore(folder / "last.npz")[1] for folder in args.runs]
        name = configs[0]["data"]
        judge = Judge(name, args.root, args.n)
        tested = min(args.tested, len(judge.test))
        note = (
            f"{args.n} samples against {args.n} training images; bits on {tested} test images, "
            f"{judge.levels} grey levels; 32 features of our own classifier, each with standard "
            f"deviation 1. tinygen {tg.__version__}, NumPy {np.__version__}, Python "
            f"{platform.python_version()}. Mean ± standard deviation over the seeds; CPU time."
        )
        rows: list[dict[str, Any]] = []
        entry = {"settings": settings(configs, args.runs), "note": note, "own": judge.own()}
        results[args.name or name] = entry | {"rows": rows}
        for folder in args.runs:
            rows += judge_run(folder, judge, args.samplers, tested, args.name is None)
            path.write_text(json.dumps(results, indent=1) + "\n")
    text = report(results)
    path.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
