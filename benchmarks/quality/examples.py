"""Every command that an example's docstring shows: run, timed, with what it printed and drew.

    python benchmarks/quality/examples.py                  # the default command of each system
    python benchmarks/quality/examples.py gan vae --all    # every command of these two
    python benchmarks/quality/examples.py --list           # the commands, without running them

For each slug, results/<family>/<slug>.json keeps the command, its wall-clock seconds, the lines
that it printed and the versions; <slug>.png is the first of PICTURES that it drew. The cards in
docs/cards and the table in examples/README.md are made from them: `python docs/build.py`. A command
that fails, for want of a data set's files say, is said and left out.
"""

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import tinygen as tg
from tinygen.models import SYSTEMS

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
# The first of these that there is is shown.
PICTURES = ("samples.png", "guided.png", "texts.png", "retrieved.png", "reconstructions.png")


def commands(slug: str) -> list[str]:
    """The commands in the docstring of examples/<slug>.py, the default one first."""
    text = (ROOT / "examples" / f"{slug}.py").read_text().split('"""')[1]
    found = re.findall(rf"^ +python (examples/{slug}\.py[^#\n]*?)\s*(?:#.*)?$", text, re.MULTILINE)
    return [command for command in found if "--resume" not in command]


def run(command: str, folder: Path) -> tuple[int, float, list[str], str]:
    """Exit status, seconds, the lines on stdout and the end of stderr."""
    script, *options = shlex.split(command)
    line = [sys.executable, str(ROOT / script), *options, "--out", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    start = time.perf_counter()
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, env=environment)
    seconds = time.perf_counter() - start
    said = done.stdout.replace(str(folder), "runs").splitlines()
    return done.returncode, seconds, said, done.stderr[-500:]


def record(slug: str, every: bool) -> None:
    """Run the commands of a system and write its row of results."""
    family = RESULTS / SYSTEMS[slug].family
    family.mkdir(parents=True, exist_ok=True)
    path = family / f"{slug}.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else {}
    for command in commands(slug) if every else commands(slug)[:1]:
        with tempfile.TemporaryDirectory() as folder:
            status, seconds, said, error = run(command, Path(folder))
            if status:
                print(f"{command}: exit {status}\n{error}", flush=True)
                continue
            print(f"{command}: {seconds:.0f} s\n  " + "\n  ".join(said[-6:]), flush=True)
            rows[command] = {"seconds": round(seconds, 1), "said": said}
            drawn = [file for name in PICTURES if (file := Path(folder) / name).exists()]
            if command == commands(slug)[0] and drawn:
                shutil.copy(drawn[0], family / f"{slug}.png")
    versions = {"tinygen": tg.__version__, "numpy": np.__version__,
                "python": platform.python_version(), "cores": os.cpu_count()}  # fmt: skip
    known = [command for command in commands(slug) if command in rows]
    content = {"versions": versions, "rows": {command: rows[command] for command in known}}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slugs", nargs="*", help="systems (all unless given)")
    parser.add_argument("--all", action="store_true", help="every command, not the default alone")
    parser.add_argument("--list", action="store_true", help="print the commands")
    args = parser.parse_args()
    if wrong := set(args.slugs) - set(SYSTEMS):
        parser.error(f"no system is called {', '.join(wrong)}; there are {', '.join(SYSTEMS)}")
    for slug in args.slugs or SYSTEMS:
        if args.list:
            print("\n".join(f"python {command}" for command in commands(slug)))
        else:
            record(slug, args.all)


if __name__ == "__main__":
    main()
