"""A lesson's source, lessons/src/*.py, as a notebook without outputs.

A cell's header may say what the notebook does not show:

    # %% tolerance=0.05       its numbers come from training: `build.py --check` allows 5 percent
    # %% tags=["timing"]      it prints times: numbers are not compared
    # %% tags=["figure"]      it draws; the notebook shows the picture and hides the code

Comments for linters are left out of the learner's cells, and mentions become links (links.py).
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import tokenize
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from links import Links

LINTER = re.compile(r"\s*# ?(?:noqa|fmt:|type:|ruff:|isort:).*$")
HIDDEN = {  # in Jupyter, in Jupyter Book, and in pages that nbconvert makes
    "jupyter": {"source_hidden": True},
    "tags": ["hide-input"],
    "transient": {"remove_source": True},
}


def parse(path: Path) -> Any:
    """The notebook of a source file, no outputs yet, with the hash of its code."""
    notebook, link = jupytext.read(path), Links(path)
    for index, cell in enumerate(notebook.cells):
        hidden = "figure" in _header(cell, path).get("tags", [])
        cell["id"] = f"cell-{index}"
        cell.metadata = nbformat.from_dict(HIDDEN if hidden else {})
        cell.source = (link if cell.cell_type == "markdown" else without_lint)(cell.source)
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "tinygen": {"source": digest(notebook)},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def digest(notebook: Any) -> str:
    """A hash of the code, cell by cell: outputs of other code are stale."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256("\0".join(code).encode()).hexdigest()


def tolerances(path: Path) -> list[float]:
    """For each code cell, by how much of itself a printed number may move: inf for times."""
    headers = [_header(c, path) for c in jupytext.read(path).cells if c.cell_type == "code"]
    return [
        math.inf if "timing" in header.get("tags", []) else float(header.get("tolerance", 0.0))
        for header in headers
    ]


def _header(cell: Any, path: Path) -> dict[str, Any]:
    """What a cell's header says; ValueError for what it cannot say."""
    header = {
        k: v for k, v in cell.metadata.items() if k not in ("lines_to_next_cell", "cell_marker")
    }
    tags = set(header.get("tags", []))
    if header.keys() - {"tolerance", "tags"} or tags - {"timing", "figure"}:
        raise ValueError(
            f"{path.name}: a cell's header says {header}; it may say tolerance=0.05, "
            f'tags=["timing"] or tags=["figure"]: {cell.source[:60]!r}'
        )
    return header


def without_lint(code: str) -> str:
    """Code without the comments that only a linter or a formatter reads.

    >>> without_lint("f = lambda v: v  # noqa: E731")
    'f = lambda v: v'
    """
    lines: list[str | None] = list(code.splitlines())
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT and LINTER.search(token.string):
            row, column = token.start
            line = (token.line[:column] + LINTER.sub("", token.string)).rstrip()
            lines[row - 1] = line or None
    return "\n".join(line for line in lines if line is not None)
