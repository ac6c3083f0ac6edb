"""The lessons there are: read from the notebooks' first cells, so that no list can go stale."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Lesson", "find_folder", "lessons"]


@dataclass(frozen=True)
class Lesson:
    """One notebook: its number, its title, the question it answers, its file."""

    number: int
    title: str
    question: str
    path: Path


def find_folder() -> Path | None:
    """The folder of the notebooks: of the clone that this package lies in, or packaged with it.

    None where there is neither.
    """
    package = Path(__file__).resolve().parents[1]
    clone = package.parent if (package.parent / "pyproject.toml").is_file() else package
    candidates = (clone / "lessons", package / "notebooks")
    return next((path for path in candidates if any(path.glob("[0-9]*.ipynb"))), None)


def lessons(folder: Path | None = None) -> list[Lesson]:
    """All lessons of `folder` (the one that came with tinygen unless given), by number.

    A notebook opens with ``# Lesson 7: title`` and a quoted ``> **Question.** ...``.
    Raises FileNotFoundError where there is no folder, ValueError for a notebook that opens
    otherwise.
    """
    folder = folder or find_folder()
    if folder is None:
        raise FileNotFoundError(
            "no lessons here: they come with the repository, in its folder lessons/; clone it"
        )
    return [_read(path) for path in sorted(folder.glob("[0-9]*.ipynb"))]


def _read(path: Path) -> Lesson:
    try:
        first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(f"{path.name} is not a notebook: {error!r}; run make lessons") from None
    title = re.search(r"^# Lesson (\d+): (.+)$", first, re.MULTILINE)
    question = re.search(r"^> \*\*Question\.\*\* ((?:.+\n?)(?:> .+\n?)*)", first, re.MULTILINE)
    if title is None or question is None:
        raise ValueError(
            f"{path.name} does not open with '# Lesson N: title' and '> **Question.** ...'"
        )
    words = re.sub(r"\s*\n(> )?", " ", question[1]).strip()
    return Lesson(int(title[1]), title[2].strip(), words, path)
