"""How good are samples in the plane, by number of steps, schedule and parameterisation?

    python benchmarks/quality/diffusion_2d.py [--data grid moons] [--seeds 3] [--steps 5000]
    python benchmarks/quality/diffusion_2d.py --report       # the table again, from the JSON

Each law is scaled to variance 1. For each setting and seed a small network is trained and 2,500
points are drawn with its averaged weights. Modes (the grid alone) as in PacGAN (Lin et al. 2018): a
point is of high quality within 3 standard deviations of its nearest mode, and a mode is found if it
has such a point. MMD^2 is the unbiased estimate against 2,500 fresh points, for the mean of
Gaussian kernels of widths 0.1, 0.3 and 1 (the grid's modes lie 0.7 apart).

Results go to benchmarks/results/diffusion/diffusion-2d.json and .md, a picture of each law beside
them.
"""

import argparse
import json
import platform
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import tinygen as tg
from tinygen import data, metrics, plot
from tinygen.models import diffusion, nets
from tinygen.optim.lr_scheduler import CosineAnnealingLR

RESULTS = Path(__file__).parents[1] / "results" / "diffusion"
LAWS = {"grid": "grid", "swiss_roll": "swiss_roll", "moons": "two_moons"}
BASE = {"T": 100, "schedule": "cosine", "predicts": "v"}
OTHERS = [{"T": 10}, {"schedule": "linear_scaled"}, {"predicts": "eps"}]
OTHERS_ON_THE_GRID = [
    {"T": 30}, {"predicts": "x0"}, {"schedule": "geometric", "predicts": "eps"},
    {"schedule": "geometric"}, {"schedule": "equal", "predicts": "eps"},
]  # fmt: skip
SAMPLED = [("ancestral", 100), ("ddim", 20), ("heun", 10), ("renoise", 100)]  # of BASE
N, BATCH = 2500, 256


class Law:
    """Points of a law at mean 0 and variance 1."""

    def __init__(self, name: str) -> None:
        self.name = LAWS[name]
        many = data.toy(self.name, 100_000, tg.Generator().manual_seed(1))
        self.mean, self.std = many.mean(0), many.std().item()

    def draw(self, n: int) -> tg.Tensor:
        return (data.toy(self.name, n) - self.mean) / self.std

    def measure(self, x: tg.Tensor) -> dict[str, float]:
        fresh = self.draw(N)
        widths = (0.1, 0.3, 1.0)
        mmd2 = statistics.mean(metrics.mmd_squared(fresh, x, "gaussian", h) for h in widths)
        if self.name != "grid":
            return {"mmd2": 1e3 * mmd2}
        found = metrics.mode_report(x * self.std + self.mean, data.grid_centers(), 0.05)
        return {"modes": found.modes, "good": 100 * found.high_quality, "mmd2": 1e3 * mmd2}


def train(law: Law, setting: dict[str, Any], steps: int, seed: int) -> diffusion.Diffusion:
    tg.manual_seed(seed)
    process = diffusion.schedule(setting["schedule"], setting["T"])
    model = diffusion.Diffusion(process, nets.TimeMLP(2, 128), setting["predicts"])
    opt = tg.optim.Adam(model.parameters(), lr=2e-3)
    schedule, ema = CosineAnnealingLR(opt, T_max=steps), tg.optim.EMA(model, 0.995)
    for _ in range(steps):
        loss = model.loss(law.draw(BATCH))
        opt.zero_grad()
        loss.backward()
        opt.step()
        schedule.step()
        ema.update()
    ema.copy_to()
    return model


def rows_of(law: Law, setting: dict[str, Any], args: argparse.Namespace) -> list[dict[str, Any]]:
    """A row a sampler, each with the measures of every seed."""
    runs: dict[tuple[str, int], list[dict[str, float]]] = {}
    seconds = []
    for seed in range(args.seeds):
        began = time.process_time()
        model = train(law, setting, args.steps, seed)
        seconds.append(time.process_time() - began)
        for sampler, taken in SAMPLED if setting == BASE else [("ancestral", setting["T"])]:
            x = diffusion.sample(model, (N, 2), sampler, taken)
            runs.setdefault((sampler, taken), []).append(law.measure(x))
            if setting == BASE and seed == 0 and sampler == "ancestral":
                picture(law, x)
    spent = round(statistics.mean(seconds), 1)
    return [
        setting | {"sampler": sampler, "taken": taken, "cpu_seconds": spent, "runs": found}
        for (sampler, taken), found in runs.items()
    ]


def picture(law: Law, x: tg.Tensor) -> None:
    path = RESULTS / f"diffusion-2d-{law.name.removeprefix('two_')}.png"
    plot.samples_2d(x, law.draw(N), (-2.6, 2.6, -2.6, 2.6), path=path)


# --- the table ------------------------------------------------------------------------------------


def spread(row: dict[str, Any], key: str, digits: int) -> str:
    values = [run[key] for run in row["runs"] if key in run]
    if not values:
        return ""
    error = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.{digits}f} ± {error:.{digits}f}"


def line(row: dict[str, Any]) -> str:
    how = f"{row['sampler']} {row['taken']}" if row["sampler"] else ""
    cells = [
        row["schedule"], row["T"], row["predicts"], how,
        spread(row, "modes", 1), spread(row, "good", 1), spread(row, "mmd2", 2),
        row["cpu_seconds"],
    ]  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"


def report(results: dict[str, Any]) -> str:
    lines = ["# Diffusion in the plane"]
    for name, entry in results.items():
        lines += [
            f"\n## {name}\n",
            "| schedule | T | predicts | sampler | modes of 25 | high quality % | 1000 MMD² "
            "| CPU s |\n|---|--:|---|---|--:|--:|--:|--:|",
            *map(line, entry["rows"]),
            f"\nMean ± standard deviation over {entry['seeds']} seeds (0 ..). {entry['steps']} "
            f"training steps of {BATCH} fresh points, TimeMLP of 128 units, Adam 2e-3 falling to 0 "
            f"(cosine), EMA 0.995; {N} samples against {N} fresh points; CPU seconds of training a "
            f"seed, one BLAS thread. {entry['versions']}.",
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=LAWS, default=list(LAWS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5000, help="of training")
    parser.add_argument("--report", action="store_true", help="write the table of the JSON anew")
    args = parser.parse_args()
    warnings.simplefilter("ignore")  # the chains that end too early are here on purpose
    path = RESULTS / "diffusion-2d.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    versions = f"tinygen {tg.__version__}, NumPy {np.__version__}, Python "
    for name in [] if args.report else args.data:
        law, rows = Law(name), []
        results[name] = {"steps": args.steps, "seeds": args.seeds, "rows": rows,
                         "versions": versions + platform.python_version()}  # fmt: skip
        true = [law.measure(law.draw(N)) for _ in range(args.seeds)]
        blank = {"T": "", "predicts": "", "sampler": "", "cpu_seconds": ""}
        rows.append({"schedule": "the data itself", **blank, "runs": true})
        changes = [{}, *OTHERS, *(OTHERS_ON_THE_GRID if name == "grid" else [])]
        for change in changes:
            rows += rows_of(law, BASE | change, args)
            print(name, line(rows[-1]), flush=True)
            path.write_text(json.dumps(results, indent=1) + "\n")
    text = report(results)
    path.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
