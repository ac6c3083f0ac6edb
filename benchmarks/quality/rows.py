"""Tables whose rows are runs: what flows.py, aae.py, gan_labels.py and codes.py share.

A file of rows is {"rows": {name: [one dict a seed]}, "versions": ..}; what is in it is not run
again, so that a benchmark goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tinygen as tg

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"


def options(doc: str | None, seeds: int) -> argparse.Namespace:
    """What the command line says: match, seeds (so many unless given), report."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=doc, formatter_class=raw)
    parser.add_argument("--match", default="", help="only rows with this in the name")
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--report", action="store_true", help="only write the page")
    return parser.parse_args()


def said(slug: str, words: Sequence[str], seed: int) -> tuple[str, float]:
    """What examples/<slug>.py prints with these options, and its CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "examples" / f"{slug}.py"), *words]
        command += ["--seed", str(seed), "--out", folder]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    if done.returncode:
        sys.exit(done.stderr[-500:])
    return done.stdout, round(used, 1)


def load(path: Path) -> dict[str, Any]:
    """The rows of a file, none where there is no file."""
    return json.loads(path.read_text()) if path.exists() else {"rows": {}}


def fill(
    path: Path,
    found: dict[str, Any],
    rows: Mapping[str, Any],
    one: Callable[[str, int], dict[str, Any]],
    args: argparse.Namespace,
    wanted: Callable[[str, int], bool] = lambda name, seed: True,
) -> None:
    """Make each row that is not there, one(name, seed), and write the file after each."""
    for seed, name in itertools.product(range(args.seeds), rows):
        runs = found["rows"].get(name, [])
        if args.report or args.match not in name or not wanted(name, seed):
            continue
        if all(row["seed"] != seed for row in runs):
            found["rows"][name] = [*runs, {"seed": seed} | one(name, seed)]
            found["rows"] = {key: found["rows"][key] for key in rows if key in found["rows"]}
            found["versions"] = {
                "tinygen": tg.__version__, "numpy": np.__version__,
                "python": platform.python_version(),
            }  # fmt: skip
            print(name, found["rows"][name][-1], flush=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(found, indent=1) + "\n")


def over(runs: Sequence[dict[str, Any]], name: str, digits: int) -> str:
    """Mean ± standard deviation over the seeds; - where there is none."""
    values = [float(np.mean(run[name])) for run in runs if name in run]
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{spread}"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """In Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"
