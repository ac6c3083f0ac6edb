"""Adversarial autoencoders: are the codes as the prior says, and what are 100 labels worth?

    python benchmarks/quality/aae.py                    # what is not there yet: 15 min of CPU
    python benchmarks/quality/aae.py --match swiss      # only rows with this in the name
    python benchmarks/quality/aae.py --report           # the tables again, from the JSON

Each row is examples/aae.py as it stands, run with these options and the seeds 0, 1, 2; the numbers
are those that it prints. They go to benchmarks/results/gan/aae-figures.{json,md}.
"""

import argparse
import itertools
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import tinygen as tg
from tinygen.models.gan.aae import ENCODERS

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "benchmarks" / "results" / "gan"
FASHION = ["--data", "fashion", "--hidden", "128", "--epochs", "4", "--weight", "300"]
LABELS = ["--labels", "100", "--latent", "8", "--epochs", "100"]
ROWS = {
    **{f"codes {prior} {encoder}": [*FASHION, "--prior", prior, "--encoder", encoder]
       for prior in ("gaussian", "mixture", "swiss_roll") for encoder in ENCODERS},
    "codes gaussian no_judge": [*FASHION[:-1], "0"],
    "labels classes all": [*LABELS, "--prior", "classes"],
    "labels classes labelled": [*LABELS, "--prior", "classes", "--only-labelled"],
    "labels mixture all": ["--labels", "100", "--prior", "mixture", "--weight", "10"],
}  # fmt: skip
NUMBER = r"(\d+\.\d+)"
SAID = {
    "told_apart": rf"from draws of the prior {NUMBER} %",
    "error": rf"squared error {NUMBER} a picture",
    "right": rf"100 labels: {NUMBER} % of test pictures",
}


def run(options: list[str], seed: int) -> dict[str, float]:
    """What one run of the example prints, by name."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "examples" / "aae.py"), *options]
        command += ["--seed", str(seed), "--out", folder]
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = subprocess.run(command, capture_output=True, text=True,
                              env=os.environ | {"PYTHONPATH": str(ROOT)})  # fmt: skip
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    if done.returncode:
        sys.exit(done.stderr[-500:])
    found = {name: re.findall(pattern, done.stdout) for name, pattern in SAID.items()}
    return {"seed": seed, "cpu": round(used, 1)} | {
        name: float(number[0]) for name, number in found.items() if number
    }


def over(runs: list[dict[str, float]], name: str) -> str:
    """Mean ± standard deviation over the seeds."""
    values = [row[name] for row in runs]
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


def table(header: list[str], rows: list[list[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def report(found: dict) -> str:
    v, rows = found["versions"], found["rows"]
    codes, labels = (
        [[*name.split()[1:], runs] for name, runs in rows.items() if name.startswith(kind)]
        for kind in ("codes", "labels")
    )
    parts = [
        "# Adversarial autoencoders in numbers\n",
        f"Made by `benchmarks/quality/aae.py`: `examples/aae.py` with the options there; mean ± "
        f"standard deviation over the seeds; tinygen {v['tinygen']}, NumPy {v['numpy']}, Python "
        f"{v['python']}. CPU s: of the first run, pictures included.\n",
    ]
    if codes:
        parts += [
            "## Are the codes of held-out pictures as the prior says?\n",
            "Fashion-MNIST, 60,000 training pictures, 1,000 held-out test pictures, codes in the "
            "plane. Told apart: how often neighbours tell these 1,000 codes from 1,000 draws of "
            "the prior (half of each train, the other half is asked; 50 %: they cannot; its own "
            "standard error is 1.6). No judge: an autoencoder, whose codes get the prior's mean "
            "and spread first.\n",
            table(
                ["prior", "encoder", "told apart, %", "each seed", "squared error", "CPU s"],
                [[prior, encoder.replace("_", " "), over(runs, "told_apart"),
                  ", ".join(f"{row['told_apart']:.1f}" for row in runs), over(runs, "error"),
                  runs[0]["cpu"]] for prior, encoder, runs in codes],
            ),
        ]  # fmt: skip
    if labels:
        parts += [
            "## What 100 labels are worth\n",
            "Digits, 1,415 training pictures of which 100 have a label, 382 test pictures. "
            "Labelled: the same model, trained as many steps on those 100 alone. Prior classes: "
            "the code says a class and how it looks; mixture: a class is a petal.\n",
            table(
                ["prior", "trained on", "test pictures right, %", "each seed", "CPU s"],
                [[prior, kind, over(runs, "right"),
                  ", ".join(f"{row['right']:.1f}" for row in runs), runs[0]["cpu"]]
                 for prior, kind, runs in labels],
            ),
        ]  # fmt: skip
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--match", default="", help="only rows with this in the name")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report", action="store_true", help="only write the tables")
    args = parser.parse_args()
    path = OUT / "aae-figures.json"
    found = json.loads(path.read_text()) if path.exists() else {"rows": {}}
    found["versions"] = {
        "tinygen": tg.__version__, "numpy": np.__version__, "python": platform.python_version()
    }  # fmt: skip
    for seed, (name, options) in itertools.product(range(args.seeds), ROWS.items()):
        runs = found["rows"].get(name, [])
        wanted = not args.report and args.match in name
        if wanted and all(row["seed"] != seed for row in runs):
            found["rows"][name] = [*runs, run(options, seed)]
            found["rows"] = {key: found["rows"][key] for key in ROWS if key in found["rows"]}
            print(name, found["rows"][name][-1], flush=True)
            path.write_text(json.dumps(found, indent=1) + "\n")
    (OUT / "aae-figures.md").write_text(report(found))


if __name__ == "__main__":
    main()
