"""Digits of trained models, judged by a classifier of our own: samplers, averaged weights, bits.

    python examples/ddpm.py --out runs/simple --seed 0        # then --loss vlb, other seeds, ..
    python benchmarks/diffusion_digits.py runs/simple runs/vlb [--out benchmarks/results/NAME]

agree: the share of 200 samples with a label (20 a class) that the classifier gives that label.
counts: of 200 samples without a label, how many the classifier puts into each class: the fewest
and the most, 20 being even. MMD^2: unbiased, in pixel space (Gaussian kernels of
widths 2, 4 and 8), of labelled samples against the test images: crude, but the same for all. bits:
the variational bound on 100 test images, one draw a step. The data's own line stands beside them.
"""

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tinygen as tg  # noqa: E402
from tinygen import data, nn  # noqa: E402
from tinygen.models import diffusion  # noqa: E402
from tinygen.models.unet import UNet  # noqa: E402

N = 200
SAMPLED: list[tuple[str, dict[str, Any]]] = [
    ("ancestral, all steps", {"sampler": "ancestral"}),
    ("ddim 50", {"sampler": "ddim", "steps": 50}),
    ("ddim 20", {"sampler": "ddim", "steps": 20}),
    ("ddim 10", {"sampler": "ddim", "steps": 10}),
    ("heun 10", {"sampler": "heun", "steps": 10}),
    ("ddim 20, guidance 2", {"sampler": "ddim", "steps": 20, "guidance": 2.0}),
    ("renoise (the wrong turn)", {"sampler": "renoise"}),
]


def classifier(train: data.ImageDataset) -> nn.Module:
    """A small convolutional network, trained for 30 epochs."""
    tg.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 32, 3, 1, 1), nn.SiLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.SiLU(),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 16, 10),
    )  # fmt: skip
    pairs = data.TensorDataset(train.to_symmetric(), train.labels)
    loader, opt = data.DataLoader(pairs, 64, shuffle=True), tg.optim.Adam(net.parameters(), 1e-3)
    for _ in range(30):
        for x, y in loader:
            loss = nn.functional.cross_entropy(net(x + 0.1 * tg.randn(*x.shape)), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
    return net.eval()


@tg.no_grad()
def classes_of(net: nn.Module, x: tg.Tensor) -> np.ndarray:
    found: np.ndarray = net(x).argmax(1).numpy()
    return found


def load(folder: Path, average: bool) -> tuple[diffusion.Diffusion, dict[str, Any]]:
    config = json.loads((folder / "config.json").read_text())["config"]
    state = tg.load(folder / "last.npz")["objects"]
    learned = config["loss"] == "hybrid"
    net = UNet(1, config["width"], depth=config["depth"], classes=10, out=2 if learned else 1)
    model = diffusion.Diffusion(
        diffusion.schedule(config["schedule"], config["T"]), net, config["parameterisation"],
        variance="learned" if learned else "small", classes=10, bounded=True,
    )  # fmt: skip
    model.load_state_dict(state["model"])
    if average:
        ema = tg.optim.EMA(model)
        ema.load_state_dict(state["ema"])
        ema.copy_to()
    return model, config


def mmd2(x: tg.Tensor, y: tg.Tensor) -> float:
    a, b = (t.flatten(1).numpy().astype(np.float64) for t in (x, y))

    def kernel(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        square = (p**2).sum(1)[:, None] + (q**2).sum(1) - 2 * p @ q.T
        return sum(np.exp(-square / (2 * h * h)) for h in (2.0, 4.0, 8.0)) / 3

    own = sum((k.sum() - np.trace(k)) / (n * (n - 1)) for k, n in
              ((kernel(a, a), len(a)), (kernel(b, b), len(b))))  # fmt: skip
    return 1e3 * float(own - 2 * kernel(a, b).mean())


def judge(net: nn.Module, x: tg.Tensor, y: tg.Tensor, free: tg.Tensor, test: tg.Tensor) -> dict:
    counts = np.bincount(classes_of(net, free), minlength=10)
    agree = 100 * float((classes_of(net, x) == y.numpy()).mean())
    return {"agree": agree, "counts": counts.tolist(), "mmd2": mmd2(x.clamp(-1, 1), test)}


def rows_of(
    folder: Path, net: nn.Module, test: data.ImageDataset, everything: bool
) -> list[dict[str, Any]]:
    rows, y, images = [], tg.arange(N) * 10 // N, test.to_symmetric()
    chosen = SAMPLED if everything else SAMPLED[2:3]
    for average in (True, False):
        model, config = load(folder, average)
        draws = tg.Generator().manual_seed(1)
        bound = diffusion.vlb(model, images[:100], test.labels[:100], test.maximum + 1, draws).total
        bits = diffusion.bits_per_dim(bound, 64).mean().item()
        for name, options in chosen if average else SAMPLED[2:3]:
            began = time.process_time()
            options = options | {"generator": tg.Generator().manual_seed(2)}
            x = diffusion.sample(model, (N, 1, 8, 8), y=y, **options)
            seconds = time.process_time() - began
            unlabelled = {k: v for k, v in options.items() if k != "guidance"}
            free = diffusion.sample(model, (N, 1, 8, 8), **unlabelled)
            weights = "averaged" if average else "raw"
            row = {"run": folder.name, "loss": config["loss"], "seed": config["seed"]}
            row |= {"weights": weights, "sampler": name, "bits": bits, "cpu_seconds": seconds}
            rows.append(row | judge(net, x, y, free, images))
            print(line(rows[-1]), flush=True)
    return rows


HEAD = (
    "| loss | seed | weights | sampler | agree % | counts, least and most | 1000 MMD² | bits/dim "
    "| CPU s |\n|---|--:|---|---|--:|--:|--:|--:|--:|"
)


def line(row: dict[str, Any]) -> str:
    cells = [
        row["loss"], row["seed"], row["weights"], row["sampler"], f"{row['agree']:.1f}",
        f"{min(row['counts'])}..{max(row['counts'])}", f"{row['mmd2']:.2f}", f"{row['bits']:.3f}",
        f"{row['cpu_seconds']:.1f}",
    ]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+", help="folders of examples/ddpm.py")
    parser.add_argument("--out", type=Path, help="write OUT.json and OUT.md")
    args = parser.parse_args()
    train, test = data.load("digits"), data.load("digits", "test")
    net = classifier(train)
    images, half = test.to_symmetric(), train.to_symmetric()[:N]
    right = 100 * float((classes_of(net, images) == test.labels.numpy()).mean())
    own = f"classifier: {right:.1f} % right on {len(test)} test images; {N} training images have " \
        f"1000 MMD² {mmd2(half, images):.2f}"  # fmt: skip
    print(own, HEAD, sep="\n\n")
    rows: list[dict[str, Any]] = []
    for k, folder in enumerate(args.runs):
        rows += rows_of(folder, net, test, everything=k == 0)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
        result = {"versions": versions, "classifier": own, "rows": rows}
        args.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
        table = "\n".join([HEAD, *map(line, rows)])
        args.out.with_suffix(".md").write_text(f"{table}\n\n{own}. {versions}.\n")


if __name__ == "__main__":
    main()
