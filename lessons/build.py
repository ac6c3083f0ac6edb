"""Build the notebooks: lessons/src/*.py (what one edits) -> lessons/*.ipynb (with outputs).

    python lessons/build.py               rebuild all
    python lessons/build.py 7 9           rebuild lessons 7 and 9
    python lessons/build.py --check       execute all from a fresh kernel, write nothing, and
                                          compare with the committed outputs, numbers too
    python lessons/build.py --text        new prose and links, the outputs as they are: for
                                          changes that leave the code alone; executes nothing

Each is executed from top to bottom in a fresh kernel, on the CPU; a cell that raises, or a lesson
that takes more than three minutes, is an error. Needs `pip install -e '.[lessons]'`.
"""

from __future__ import annotations

import argparse
import base64
import io
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from compare import difference, texts
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from sources import parse, tolerances, without_lint

HERE = Path(__file__).resolve().parent
LIMIT = 180  # seconds a lesson
THUMBNAIL = 320  # pixels wide


def execute(notebook: Any) -> float:
    """Run all cells in a fresh kernel started in lessons/; the seconds that it took."""
    client = NotebookClient(
        notebook,
        timeout=LIMIT,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(HERE)}},
    )
    start = time.perf_counter()
    client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [tidy(output) for output in cell.outputs]
    return time.perf_counter() - start


def tidy(output: Any) -> Any:
    """An output without what differs from run to run."""
    output.pop("execution_count", None)
    if output.output_type == "execute_result":
        output["execution_count"] = None
    return output


def stale(notebook: Any, source: Path) -> str:
    """Why the committed notebook is not what its source makes now; '' when it is."""
    committed = HERE / f"{source.stem}.ipynb"
    if not committed.is_file():
        return f"{committed.name} is missing"
    old = nbformat.read(committed, as_version=4)
    if old.metadata.get("tinygen", {}).get("source") != notebook.metadata.tinygen.source:
        return f"{committed.name} has outputs of other code: build.py {int(source.stem[:2])}"
    if [cell.source for cell in old.cells] != [cell.source for cell in notebook.cells]:
        return f"{committed.name} has another text: build.py --text {int(source.stem[:2])}"
    found = []
    cells = zip(texts(old), texts(notebook), tolerances(source), strict=True)
    for index, (was, now, tolerance) in enumerate(cells):
        if moved := difference(was, now, tolerance):
            found.append(f"\n  code cell {index + 1}: {moved}")
    return "".join(found)


def retold(notebook: Any, committed: Path) -> str:
    """Take the outputs from the committed notebook; why that cannot be, '' when it can."""
    old = nbformat.read(committed, as_version=4) if committed.is_file() else None
    code = [[c for c in n.cells if c.cell_type == "code"] for n in (old, notebook) if n]
    if len(code) < 2 or [without_lint(c.source) for c in code[0]] != [c.source for c in code[1]]:
        return f"the code of {committed.name} has changed too: run build.py without --text"
    for was, now in zip(*code, strict=True):
        now.outputs, now.execution_count = was.outputs, was.execution_count
    return ""


def thumbnail(notebook: Any, path: Path) -> None:
    """The first picture of the lesson, small, for the table of contents."""
    from PIL import Image

    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if data := output.get("data", {}).get("image/png"):
                picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
                picture.thumbnail((THUMBNAIL, THUMBNAIL))
                picture.save(path, optimize=True)
                return


def lesson(source: Path, task: str) -> tuple[float, str]:
    """Build, check or retell one lesson: its seconds, and what is wrong ('' when nothing is)."""
    notebook, target = parse(source), HERE / f"{source.stem}.ipynb"
    if task == "text":
        if not (wrong := retold(notebook, target)):
            nbformat.write(notebook, target)
        return 0.0, wrong
    try:
        seconds = execute(notebook)
    except (CellExecutionError, CellTimeoutError) as error:
        return 0.0, str(error)
    if seconds > LIMIT:
        return seconds, f"took {seconds:.0f} s, allowed {LIMIT}"
    if task == "check":
        return seconds, stale(notebook, source)
    nbformat.write(notebook, target)
    thumbnail(notebook, HERE / "pictures" / f"{source.stem}.png")
    return seconds, ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", type=int, help="the lessons (all unless given)")
    task = parser.add_mutually_exclusive_group()
    for name, what in (("check", "write nothing, compare"), ("text", "new text, old outputs")):
        task.add_argument(f"--{name}", dest="task", action="store_const", const=name, help=what)
    options = parser.parse_args()
    sources = sorted((HERE / "src").glob("[0-9]*.py"))
    wanted = [s for s in sources if not options.numbers or int(s.stem[:2]) in options.numbers]
    if not wanted:
        parser.error(f"no such lesson; there are {[s.stem for s in sources]}")
    total, failed = 0.0, 0
    for source in wanted:
        seconds, wrong = lesson(source, options.task or "build")
        total, failed = total + seconds, failed + bool(wrong)
        print(f"{source.stem:36} {seconds:6.1f} s  {wrong or 'ok'}", flush=True)
    print(f"{len(wanted)} lessons, {total:.0f} s, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
