"""Build the notebooks: lessons/src/*.py (what one edits) -> lessons/*.ipynb (with outputs).

    python lessons/build.py               rebuild all
    python lessons/build.py 7 9           rebuild lessons 7 and 9
    python lessons/build.py --check       execute all from a fresh kernel, write nothing, and
                                          compare with the committed outputs

Each is executed from top to bottom in a fresh kernel, on the CPU; a cell that raises, or a lesson
that takes more than three minutes, is an error. Needs `pip install -e '.[lessons]'`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import re
import sys
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

HERE = Path(__file__).resolve().parent
LIMIT = 180  # seconds a lesson
THUMBNAIL = 320  # pixels wide
# A check says "difference 0" or "difference below 1e-15": machines round differently.
NUMBER = re.compile(
    r"(?:\bbelow )?[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?|[-+]?\binf\b|\bnan\b", re.IGNORECASE
)


def parse(path: Path) -> Any:
    """The notebook of a source file, no outputs yet, with the hash of its cells."""
    notebook = jupytext.read(path)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "tinygen": {"source": digest(notebook)},
        }
    )
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"
        cell.metadata = nbformat.from_dict({})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def digest(notebook: Any) -> str:
    """A hash of all cells' kinds and sources: outputs of another source are stale."""
    text = "\0".join(f"{cell.cell_type}\0{cell.source}" for cell in notebook.cells)
    return hashlib.sha256(text.encode()).hexdigest()


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


def texts(notebook: Any) -> list[str]:
    """What each code cell printed, its numbers and its spacing left out."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            parts = [output.get("text", "") for output in cell.outputs]
            parts += [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
            found.append(" ".join(NUMBER.sub("#", " ".join(parts)).split()))
    return found


def stale(notebook: Any, committed: Path) -> str:
    """Why the committed notebook is not what its source makes now; '' when it is."""
    if not committed.is_file():
        return f"{committed.name} is missing"
    old = nbformat.read(committed, as_version=4)
    if old.metadata.get("tinygen", {}).get("source") != notebook.metadata.tinygen.source:
        return f"{committed.name} has outputs of another source"
    for index, (was, now) in enumerate(zip(texts(old), texts(notebook), strict=True)):
        if was != now:
            return (
                f"{committed.name}, code cell {index + 1} printed\n  {was}\nand now prints\n  {now}"
            )
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


def lesson(source: Path, write: bool) -> tuple[float, str]:
    """Build or check one lesson: its seconds, and what is wrong ('' when nothing is)."""
    notebook, target = parse(source), HERE / f"{source.stem}.ipynb"
    try:
        seconds = execute(notebook)
    except (CellExecutionError, CellTimeoutError) as error:
        return 0.0, str(error)
    if seconds > LIMIT:
        return seconds, f"took {seconds:.0f} s, allowed {LIMIT}"
    if not write:
        return seconds, stale(notebook, target)
    nbformat.write(notebook, target)
    thumbnail(notebook, HERE / "pictures" / f"{source.stem}.png")
    return seconds, ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", type=int, help="the lessons (all unless given)")
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    options = parser.parse_args()
    sources = sorted((HERE / "src").glob("[0-9]*.py"))
    wanted = [s for s in sources if not options.numbers or int(s.stem[:2]) in options.numbers]
    if not wanted:
        parser.error(f"no such lesson; there are {[s.stem for s in sources]}")
    total, failed = 0.0, 0
    for source in wanted:
        seconds, wrong = lesson(source, write=not options.check)
        total, failed = total + seconds, failed + bool(wrong)
        print(f"{source.stem:36} {seconds:6.1f} s  {wrong or 'ok'}", flush=True)
    print(f"{len(wanted)} lessons, {total:.0f} s, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
