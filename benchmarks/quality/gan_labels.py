"""Labels and GANs: what a class head does, and what pictures without labels are worth.

    python benchmarks/quality/gan_labels.py                  # what is not there yet: 12 min of CPU
    python benchmarks/quality/gan_labels.py --match semi     # only rows with this in the name
    python benchmarks/quality/gan_labels.py --report         # the tables again, from the JSON

Each row is an example as it stands, run on the digits with these options and the seeds 0, 1, 2; the
numbers are those that it prints. They go to benchmarks/results/gan/labels.{json,md}.
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
from typing import Any

import numpy as np

import tinygen as tg

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "benchmarks" / "results" / "gan"
EQUAL = ["--steps", "3000", "--width", "16"]
AAE = ["--prior", "classes", "--latent", "8", "--epochs", "100"]
ROWS = {
    "cgan": ["cgan", *EQUAL],
    **{f"acgan w {w}": ["acgan", *EQUAL, "--class-weight", w] for w in ("0.1", "1", "10")},
    **{f"semi {n}": ["semi_gan", "--labelled", n] for n in ("100", "50", "200")},
    "semi 100 fool": ["semi_gan", "--labelled", "100", "--fool"],
    **{f"aae {n}": ["aae", *AAE, "--labels", n] for n in ("100", "50", "200")},
}
NUMBER = r"(\d+\.\d+)"
SAID = {
    "right": rf"{NUMBER} % of \d+ samples are what",
    "apart": rf"of a class lie {NUMBER} times",
    "precision": rf"precision {NUMBER}",
    "recall": rf"recall {NUMBER}",
    "error": rf"test error {NUMBER} %",
    "alone": rf"without the unlabelled pictures {NUMBER} %",
    "in_part": rf"labels: {NUMBER} % of test pictures",
}


def run(slug: str, options: list[str], seed: int) -> dict[str, float]:
    """What one run of the example prints, by name."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "examples" / f"{slug}.py"), *options]
        command += ["--seed", str(seed), "--out", folder]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    if done.returncode:
        sys.exit(done.stderr[-500:])
    found = {name: re.findall(pattern, done.stdout) for name, pattern in SAID.items()}
    return {"seed": seed, "cpu": round(used, 1)} | {
        name: float(numbers[0]) for name, numbers in found.items() if numbers
    }


def over(runs: list[dict[str, float]], name: str, digits: int = 1) -> str:
    """Mean ± standard deviation over the seeds."""
    values = [row[name] if name != "in_part" else 100 - row[name] for row in runs]
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


def table(header: list[str], rows: list[list[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def report(found: dict[str, Any]) -> str:
    v, rows = found["versions"], found["rows"]
    of = lambda start: {name: runs for name, runs in rows.items() if name.startswith(start)}
    return "\n".join([
        "# GANs and labels in numbers\n",
        "Made by `benchmarks/quality/gan_labels.py`: the examples with the options there, on the "
        "digits; mean ± standard deviation over the seeds; "
        f"tinygen {v['tinygen']}, NumPy {v['numpy']}, Python {v['python']}. CPU s: of the first "
        "run, pictures included.\n",
        "## A class head beside a D that is told the label\n",
        "3000 steps, width 16; 1000 samples. Asked for: our frozen classifier names the class that "
        "was asked for. Apart: mean distance of two samples of a class in its features, as a "
        "multiple of that of two training pictures; w: the weight of the class.\n",
        table(
            ["system", "asked for, %", "apart", "precision", "recall", "seeds", "CPU s"],
            [[name, over(runs, "right"), over(runs, "apart", 2), over(runs, "precision", 2),
              over(runs, "recall", 2), len(runs), runs[0]["cpu"]]
             for name, runs in {**of("cgan"), **of("acgan")}.items()],
        ),
        "## What pictures without labels are worth\n",
        "1,415 training pictures, of which so many have a label; error on the 382 test pictures, "
        "by other writers. Alone: an equal network on the labelled ones only, with the same "
        "batches. fool: G's loss is to fool D, without feature matching. aae: the adversarial "
        "autoencoder whose code says the class (`--prior classes`); its labels are drawn without "
        "regard to class, and what it does alone is in aae-figures.md.\n",
        table(
            ["system, labels", "test error, %", "alone, %", "each seed", "CPU s"],
            [[name, over(runs, "error" if "error" in runs[0] else "in_part"),
              over(runs, "alone") if "alone" in runs[0] else "",
              ", ".join(str(r.get("error", round(100 - r.get("in_part", 0), 1))) for r in runs),
              runs[0]["cpu"]] for name, runs in {**of("semi"), **of("aae")}.items()],
        ),
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--match", default="", help="only rows with this in the name")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report", action="store_true", help="only write the tables")
    args = parser.parse_args()
    path = OUT / "labels.json"
    found = json.loads(path.read_text()) if path.exists() else {"rows": {}}
    found["versions"] = {
        "tinygen": tg.__version__, "numpy": np.__version__, "python": platform.python_version()
    }  # fmt: skip
    for seed, (name, (slug, *options)) in itertools.product(range(args.seeds), ROWS.items()):
        runs = found["rows"].get(name, [])
        wanted = not args.report and args.match in name
        if wanted and all(row["seed"] != seed for row in runs):
            found["rows"][name] = [*runs, run(slug, options, seed)]
            found["rows"] = {key: found["rows"][key] for key in ROWS if key in found["rows"]}
            print(name, found["rows"][name][-1], flush=True)
            path.write_text(json.dumps(found, indent=1) + "\n")
    (OUT / "labels.md").write_text(report(found))


if __name__ == "__main__":
    main()
