"""Do the lessons' checks notice mistakes? Make mistakes, one at a time, and see.

    python lessons/mutate.py                         all lessons, every mutant
    python lessons/mutate.py 13                      lesson 13
    python lessons/mutate.py --sample 20 --seed 0    twenty of each lesson, the quick ones

A lesson's cells run in one process, statement by statement. Before a statement that a check of its
cell depends on, a child is forked for each of its mutants (mutations.py); it runs the mutant and
the rest of the cell. The mutant is caught if that raises, or takes three times as long as it
should. Survivors are listed; those of survivors.md, which says why nothing is wrong, are explained.
The exit status is 1 where less than 98 % (or --least) are caught or explained.
"""

from __future__ import annotations

import os

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"}  # we fork

import argparse
import ast
import contextlib
import gc
import json
import multiprocessing
import random
import re
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutations import Mutant, mutants
from sources import parse

HERE = Path(__file__).resolve().parent
WANTED = 0.98
SLOW = {"full": 20.0, "sample": 2.0}  # seconds that the rest of a cell may take
ROW = re.compile(r"^\| (\d+) \| `+ ?(.+?) ?`+ \| `+ ?(.+?) ?`+ \| (.+) \|$", re.MULTILINE)


@dataclass
class Report:
    """What became of a lesson's mutants."""

    lesson: int
    survivors: list[Mutant] = field(default_factory=list)
    explained: list[Mutant] = field(default_factory=list)
    caught: list[Mutant] = field(default_factory=list)
    slow: int = 0
    seconds: float = 0.0

    def of(self, claim: bool) -> tuple[int, int, int]:
        """Caught, explained, in all: of the mutants of claims, or of those of equations."""
        lists = (self.caught, self.explained, self.survivors)
        counts = [sum(mutant.claim is claim for mutant in found) for found in lists]
        return counts[0], counts[1], sum(counts)


def sources() -> dict[int, Path]:
    return {int(p.stem[:2]): p for p in sorted((HERE / "src").glob("[0-9]*.py"))}


def explained() -> set[tuple[int, str, str]]:
    """The survivors that survivors.md gives a reason for: lesson, line, change (* for any)."""
    rows = ROW.findall((HERE / "survivors.md").read_text(encoding="utf-8"))
    return {(int(n), _plain(line), _plain(change)) for n, line, change, _ in rows}


def _plain(text: str) -> str:
    return " ".join(text.replace("\\|", "|").split())


def examine(number: int, sample: int, seed: int, slow: float) -> Report:
    """Run a lesson and all its mutants, or `sample` of them drawn with `seed`."""
    cells = [c.source for c in parse(sources()[number]).cells if c.cell_type == "code"]
    chosen = [mutant for index, code in enumerate(cells) for mutant in mutants(code, index)]
    if sample:
        chosen = random.Random(seed).sample(chosen, min(sample, len(chosen)))
    last = max((mutant.cell for mutant in chosen), default=-1)
    report, start, names = Report(number), time.perf_counter(), {"__name__": "__main__"}
    os.chdir(HERE)
    warnings.simplefilter("ignore")
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        for index, code in enumerate(cells[: last + 1]):
            here = [mutant for mutant in chosen if mutant.cell == index]
            _run_cell(ast.parse(code).body, here, names, report, slow)
    known = explained()
    for mutant in report.survivors[:]:
        line = (number, _plain(mutant.line))
        if known & {(*line, _plain(mutant.change)), (*line, "*")}:
            report.survivors.remove(mutant)
            report.explained.append(mutant)
    report.seconds = time.perf_counter() - start
    return report


def _run_cell(
    body: list[ast.stmt], here: list[Mutant], names: dict[str, Any], report: Report, slow: float
) -> None:
    """Run a cell; before each of its statements, that statement's mutants."""
    seconds = _times(body, names) if here else []
    for index, statement in enumerate(body):
        rest = sum(seconds[index:])
        for mutant in (one for one in here if one.statement == index):
            if rest > slow:
                report.slow += 1
                continue
            program = _compiled([mutant.code, *body[index + 1 :]])
            fine = _forked(lambda: exec(program, names), limit=max(10.0, 3 * rest))  # noqa: B023
            (report.survivors if fine else report.caught).append(mutant)
        exec(_compiled([statement]), names)


def _compiled(body: list[ast.stmt]) -> Any:
    return compile(ast.Module(body, []), "<cell>", "exec")


def _times(body: list[ast.stmt], names: dict[str, Any]) -> list[float]:
    """The seconds that each statement of a cell takes, measured in a child."""
    reading, writing = os.pipe()

    def run() -> None:
        found = []
        for statement in body:
            start = time.perf_counter()
            exec(_compiled([statement]), names)
            found.append(time.perf_counter() - start)
        os.write(writing, json.dumps(found).encode())

    fine = _forked(run, limit=600.0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    if not fine:
        raise RuntimeError(f"a cell fails as it stands: {ast.unparse(body[0])[:80]}")
    return list(json.loads(text))


def _forked(action: Callable[[], None], limit: float) -> bool:
    """Does the action, in a child, end in time and raise nothing?"""
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
            _quiet(limit)
            action()
            status = 0
        os._exit(status)
    _, status = os.waitpid(child, 0)
    return status == 0


def _quiet(limit: float) -> None:
    """A child says nothing, and an alarm ends it, also where it hangs in C."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    gc.disable()  # it would touch, and so copy, all pages
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limit)


def said(report: Report) -> Iterator[str]:
    """A lesson's report, in lines."""
    parts = []
    for name, claim in (("equations", False), ("claims", True)):
        caught, accepted, total = report.of(claim)
        more = f" and {accepted} explained" if accepted else ""
        parts.append(f"{name} {caught}/{total} caught{more}")
    slow = f", {report.slow} not tried (slow)" if report.slow else ""
    yield f"lesson {report.lesson:2d}: {', '.join(parts)}{slow}; {report.seconds:.0f} s"
    for mutant in report.survivors:
        yield f"    cell {mutant.cell + 1}: {mutant.line}\n        {mutant.change}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", type=int, help="the lessons (all unless given)")
    parser.add_argument("--sample", type=int, default=0, help="so many mutants a lesson (all)")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--least", type=float, default=WANTED, help=f"share wanted ({WANTED})")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="lessons at a time")
    options = parser.parse_args()
    numbers = options.numbers or list(sources())
    if unknown := set(numbers) - set(sources()):
        parser.error(f"no lesson {sorted(unknown)}; there are {list(sources())}")
    slow = SLOW["sample" if options.sample else "full"]
    context = multiprocessing.get_context("spawn")
    reports = []
    with ProcessPoolExecutor(options.jobs, context, max_tasks_per_child=1) as pool:
        jobs = [pool.submit(examine, n, options.sample, options.seed, slow) for n in numbers]
        for job in jobs:
            reports.append(job.result())
            print(*said(reports[-1]), sep="\n", flush=True)
    counts = [report.of(claim) for report in reports for claim in (False, True)]
    good, total = sum(c + e for c, e, _ in counts), sum(t for _, _, t in counts)
    share = good / max(total, 1)
    print(f"{good} of {total} caught or explained: {share:.1%}, wanted {options.least:.0%}")
    return 0 if good >= options.least * total else 1


if __name__ == "__main__":
    sys.exit(main())
