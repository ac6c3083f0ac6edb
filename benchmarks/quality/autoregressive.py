"""The autoregressive models in numbers: log p(x) beside other families, milliseconds a sample.

    python benchmarks/quality/autoregressive.py               # every run that is not there yet
    python benchmarks/quality/autoregressive.py digits speed  # some: digits fashion grey speed
    python benchmarks/quality/autoregressive.py page          # the page alone, of what is there

A run is a command of examples/, seeds 0, 1, ..; what results/autoregressive/figures.json holds is
not run again, and seed 0 of a command that `examples.py` recorded is that record. From these and
from the records of the mixture and the VAE family the page beside it is made anew each time.
"""

import argparse
import json
import os
import platform
import re
import tempfile
import time
from pathlib import Path

import numpy as np

import tinygen as tg
from examples import RESULTS, run
from tinygen import metrics
from tinygen.models.autoregressive import ImageGPT, PixelCNN, PixelRNN

OUT = RESULTS / "autoregressive"
RUNS = {  # part: rows of (model, command, seeds)
    "digits": [
        ("MADE", "made.py", 3),
        ("MADE, a mixture of 8 orders", "made.py --orders 8", 1),
        ("PixelCNN, plain", "pixelcnn.py --plain", 3),
        ("PixelCNN, gated", "pixelcnn.py", 3),
        ("PixelRNN, Row LSTM", "pixelrnn.py", 3),
        ("PixelRNN, Diagonal BiLSTM", "pixelrnn.py --model diagonal", 3),
        ("image transformer", "image_gpt.py", 3),
    ],
    "fashion": [
        ("MADE", "made.py --data fashion --hidden 500 --epochs 10", 1),
        ("PixelCNN, gated", "pixelcnn.py --data fashion --width 8 --layers 3 --epochs 1", 1),
    ],
    "grey": [
        ("PixelCNN, gated, 5 logistics",
         "pixelcnn.py --data fashion --width 12 --epochs 1 --likelihood logistic", 1),
    ],
}  # fmt: skip
PUBLISHED = [  # of binarised MNIST in nats, but for the last two in bits a dimension of 8-bit MNIST
    ("MADE, 1 hidden layer of 500, fixed order", "-94.5", "karpathy/pytorch-made"),
    ("MADE / NADE, the papers", "-88.04 / -88.86", "EugenHotaj/pytorch-generative"),
    ("MADE, binarised anew each time", "-84.87", "EugenHotaj/pytorch-generative"),
    ("PixelCNN, the paper; a reproduction", "-81.30; -81.45", "EugenHotaj/pytorch-generative"),
    ("PixelCNN, gated, a reproduction", "-81.50", "EugenHotaj/pytorch-generative"),
    ("PixelCNN, 8-bit MNIST", "0.808 bits", "uvadlc tutorial 12"),
    ("Flow, 8-bit MNIST", "1.078 bits", "uvadlc tutorial 11"),
]


def found(said: list[str]) -> dict[str, float]:
    """Mean and standard error of log p(x), and the steps and seconds, of what a command says."""
    text = "\n".join(said)
    log_p, error = re.search(r"test log p\(x\) (-[\d.]+) ± ([\d.]+)", text).groups()
    steps, seconds = re.search(r"(\d+) steps in ([\d.]+) s", text).groups()
    return {"log_p": float(log_p), "error": float(error), "steps": int(steps),
            "seconds": float(seconds)}  # fmt: skip


def recorded(command: str) -> dict[str, float] | None:
    """The run that examples.py recorded of a command, if it did."""
    path = OUT / f"{command.split('.py')[0]}.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else {}
    row = rows.get(f"examples/{command}")
    return None if row is None else found(row["said"])


def train(command: str, seed: int) -> dict[str, float] | None:
    if seed == 0 and (row := recorded(command)):
        return row
    with tempfile.TemporaryDirectory() as folder:
        status, _, said, error = run(f"examples/{command} --seed {seed}", Path(folder))
    print(command, seed, said[-3:] if status == 0 else error, flush=True)
    return found(said) if status == 0 else None


def speed() -> list[dict]:
    """CPU ms a sample of n drawn at once, untrained networks of the examples' sizes."""
    rows = []
    for side, n in ((8, 100), (28, 8)):
        tg.manual_seed(0)
        models = {
            "PixelCNN, gated": PixelCNN((1, side, side), 24, 4),
            "PixelCNN, plain": PixelCNN((1, side, side), 24, 4, gated=False),
        }
        if side == 8:
            models["image transformer"] = ImageGPT((1, side, side), 32, 2)
            models["PixelRNN, Row LSTM"] = PixelRNN((1, side, side), 16, 3)
            models["PixelRNN, Diagonal BiLSTM"] = PixelRNN((1, side, side), 16, 3, model="diagonal")
        for name, model in models.items():
            row = {"model": name, "side": side, "n": n}
            for cache in (True, False):
                began = time.process_time()
                model.sample(n, tg.Generator().manual_seed(1), cache=cache)
                seconds = time.process_time() - began
                row["cache" if cache else "passes"] = 1000.0 * seconds / n
            print(row, flush=True)
            rows.append(row)
    return rows


# --- the page -------------------------------------------------------------------------------------


def others() -> list[tuple[str, str]]:
    """The best of the VAE family, and the mixture, on the same test pictures."""
    family = json.loads((RESULTS / "vae" / "vae-family.json").read_text())["variants"]
    means = {
        name: [run["log_p"] for run in row["runs"]]
        for name, row in family.items()
        if row["pixels"] == "binary" and "conditional" not in name
    }
    best = max(means, key=lambda name: np.mean(means[name]))
    mixture = json.loads((RESULTS / "explicit" / "mixture.json").read_text())["rows"]
    said = "\n".join(next(iter(mixture.values()))["said"])  # of the default command
    (log_p,) = re.findall(r"test log p\(x\) (-[\d.]+)", said)
    (alone,) = re.findall(r"of one component (-[\d.]+)", said)
    return [
        (f"{best} (the VAE family's best; importance-sampled)", spread(means[best])),
        ("mixture of 40 Bernoulli components", log_p),
        ("independent pixels", alone),
    ]


def spread(values: list[float]) -> str:
    return f"{np.mean(values):.2f}" + (f" ± {np.std(values, ddof=1):.2f}" if values[1:] else "")


def table(head: str, rows: list) -> str:
    names = [name.strip() for name in head.split("|")]
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n\n"


def trained(content: dict, part: str, bits: int | None = None) -> list[list[str]]:
    rows = []
    for model, command, _ in RUNS[part]:
        if runs := content["runs"].get(command):
            values = [run["log_p"] for run in runs.values()]
            shown = [spread(values)]
            if bits:
                shown += [f"{metrics.bits_per_dim(-np.mean(values), bits):.3f}"]
            mean = {key: np.mean([run[key] for run in runs.values()]) for key in runs["0"]}
            shown += [f"{mean['error']:.2f}", len(runs), round(mean["steps"])]
            rows.append([f"{model}: `{command}`", *shown, round(mean["seconds"])])
    return rows


def page(content: dict) -> str:
    v, fashion = content["versions"], json.loads((RESULTS / "vae/vae-family.json").read_text())
    last = list(fashion["fashion"].items())[-1]
    mixture = json.loads((RESULTS / "explicit" / "mixture.json").read_text())["rows"]
    said = "\n".join(mixture.get("examples/mixture.py --data fashion", {"said": []})["said"])
    text = (
        "# Autoregressive models in numbers\n\nMade by `benchmarks/quality/autoregressive.py`; "
        f"tinygen {v['tinygen']}, NumPy {v['numpy']}, Python {v['python']}, CPU, {v['cores']} "
        "shared cores. log p(x) in nats a picture, exact, test set, mean ± standard deviation over "
        "seeds where there are several; the standard error is over the test pictures. s: seconds "
        "on the clock, where other programs ran too: an upper bound.\n\n"
        "## Digits, 8 x 8, binarised (382 test pictures, the same fixed ones for all)\n\n"
    )
    text += table("model | log p(x) | std. error | seeds | steps | s", trained(content, "digits")
                  + [[name, value, "", "", "", ""] for name, value in others()])  # fmt: skip
    text += (
        "The standard error is that of the mean over the test pictures; they are the same for all "
        "models, so that differences are surer than it looks.\n\n"
        "## Fashion-MNIST, 28 x 28, binarised (10,000 test pictures)\n\nShort runs on a CPU, far "
        "from trained to the end. The VAE's test set was binarised by other draws.\n\n"
    )
    rows = trained(content, "fashion")
    for log_p in re.findall(r"test log p\(x\) (-[\d.]+)", said):
        rows.append(["mixture of 40 Bernoulli components", log_p, "", 1, "", ""])
    bounds = spread([run["elbo"] for run in last[1]])
    name = "VAE, code 128: ELBO, a lower bound"
    rows.append([name, bounds, "", len(last[1]), last[0], ""])
    text += table("model | log p(x) | std. error | seeds | steps | s", rows)
    text += "## Fashion-MNIST, 28 x 28, 8 bits\n\nOne short run: one pass over the data.\n\n"
    head = "model | log P(x) | bits a pixel | std. error | seeds | steps | s"
    text += table(head, trained(content, "grey", 784))
    text += (
        "## Published, of binarised MNIST\n\nAnother data set, and trained to the end: not to be "
        "compared in value.\n\n"
    )
    text += table("model | nats | source", PUBLISHED)
    if content.get("speed"):
        text += (
            "## Drawing\n\nMilliseconds of CPU a sample, n drawn at once by networks of the "
            "examples' sizes: what earlier pixels gave is kept, or each pixel takes a pass of the "
            "rows so far.\n\n"
        )
        rows = [
            [r["model"], f"{r['side']} x {r['side']}", r["n"], f"{r['cache']:.2f}",
             f"{r['passes']:.2f}", f"{r['passes'] / r['cache']:.1f}"] for r in content["speed"]
        ]  # fmt: skip
        text += table("network | pixels | n | kept | whole passes | times faster", rows)
    return text.rstrip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = [*RUNS, "speed", "page"]
    parser.add_argument("parts", nargs="*", choices=parts, help="all unless given")
    args = parser.parse_args()
    path = OUT / "figures.json"
    content = json.loads(path.read_text()) if path.exists() else {"runs": {}}
    content["versions"] = {
        "tinygen": tg.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }

    def write() -> None:
        path.write_text(json.dumps(content, indent=1) + "\n")
        (OUT / "figures.md").write_text(page(content))

    for part in args.parts or parts:
        if part == "speed":
            content["speed"] = speed()
        rows = RUNS.get(part, [])
        for seed in range(max((seeds for _, _, seeds in rows), default=0)):  # all models first
            for command in [command for _, command, seeds in rows if seed < seeds]:
                runs = content["runs"].setdefault(command, {})
                if str(seed) not in runs and (row := train(command, seed)):
                    runs[str(seed)] = row
                    write()
        write()


if __name__ == "__main__":
    main()
