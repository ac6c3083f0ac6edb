"""What a lesson notebook must keep to: `violations(notebook)` names every rule that it breaks.

What a lesson must say and show for its readers' sake stands in reader_rules.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from reader_rules import READER_RULES, moves

CHECK = re.compile(r"check\.(?:equal|mean|at_most)\(\s*\"(\d+\.\d+)\"")
EXERCISE = re.compile(r"check\.exercise\(\s*\"(\d+\.\d+)\"")
TAG = re.compile(r"\\tag\{(\d+\.\d+)\}")
BLOCK = re.compile(r"\$\$(.*?)\$\$", re.DOTALL)
INLINE = re.compile(r"(?<![\\$])\$(?!\$)([^$]+?)(?<!\\)\$(?!\$)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LISTED = re.compile(r"\n *(?:[-+*#]|\d+[.)])\s")  # Markdown ends the paragraph there
SECTIONS = ("Fix the slide", "A bug from the wild", "Exercises", "What you can say now")
CLOSING = ("The full-size run", "Further reading")
LARGEST = 300_000  # characters of one embedded file
LARGEST_MOVING = 820_000  # of a film or a slider, which may have 400 and 600 kB of pictures
# Markdown eats a backslash before punctuation in some renderers, HTML eats a bare <, and private
# macros, cross-references and \operatorname are not everywhere.
FRAGILE = {
    r"\\[{}|,;:!_#%&]": "a backslash before punctuation",
    r"\\operatorname\b": r"\operatorname (use \mathrm)",
    r"\\(?:newcommand|def|require|label|ref|eqref|DeclareMathOperator)\b": "a macro of its own",
    r"\\begin\{(?:align|equation|eqnarray|gather)\*?\}": "an environment that numbers itself",
    r"\\[()\[\]]": r"\( or \[ as delimiters",
    r"[<>](?=[A-Za-z])": r"a bare < or > before a letter (use \lt, \gt)",
}


def violations(notebook: Any, without: Collection[str] = ()) -> list[str]:
    """Every rule that the notebook (as nbformat reads it) breaks, in words; `without` some."""
    return [
        line for name, rule in RULES.items() if name not in without for line in rule(notebook.cells)
    ]


def prose(cell: Any) -> str:
    """A Markdown cell without its code: no mathematics is looked for in there."""
    return CODE.sub("", cell.source) if cell.cell_type == "markdown" else ""


def tags(notebook: Any) -> list[str]:
    return [tag for cell in notebook.cells for tag in TAG.findall(prose(cell))]


def checked(notebook: Any) -> list[str]:
    return [tag for cell in notebook.cells for tag in _calls(cell, CHECK)]


def exercises(notebook: Any) -> list[str]:
    return [number for cell in notebook.cells for number in _calls(cell, EXERCISE)]


def _calls(cell: Any, pattern: re.Pattern[str]) -> list[str]:
    """What an uncommented line of a code cell calls."""
    if cell.cell_type != "code":
        return []
    lines = [line for line in cell.source.splitlines() if not line.lstrip().startswith("#")]
    return pattern.findall("\n".join(lines))


def _equations(cells: list[Any]) -> Iterator[str]:
    """Tagged, once, in order, and checked below by a cell that printed it."""
    seen: list[str] = []
    for index, cell in enumerate(cells):
        for block in BLOCK.findall(prose(cell)):
            found = TAG.findall(block)
            if len(found) != 1:
                yield f"cell {index}: an equation with {len(found)} tags: {block.strip()[:60]}"
            seen += found
        yield from (f"({tag}) is checked above its equation" for tag in _calls(cell, CHECK)
                    if tag not in seen)  # fmt: skip
    below = [tag for cell in cells for tag in _calls(cell, CHECK)]
    yield from (f"equation ({tag}) has no check" for tag in seen if tag not in below)
    yield from (f"tag {tag} stands twice" for tag in set(seen) if seen.count(tag) > 1)
    order = [int(tag.split(".")[1]) for tag in seen]
    if order != sorted(order) or len({tag.split(".")[0] for tag in seen}) > 1:
        yield f"tags out of order: {seen}"
    printed = "\n".join(_printed(cell) for cell in cells)
    yield from (f"({tag}) was checked but not printed" for tag in set(below)
                if f"({tag})" not in printed)  # fmt: skip


def _maths(cells: list[Any]) -> Iterator[str]:
    """Mathematics that every common renderer shows: $$ alone on its line, nothing fragile."""
    for index, cell in enumerate(cells):
        text = prose(cell)
        lines = ["", *text.splitlines(), ""]
        opened = False
        for at, line in enumerate(lines):
            if "$$" not in line:
                continue
            if line.strip() != "$$":
                yield f"cell {index}: $$ is not alone on its line: {line.strip()[:60]}"
            beside = lines[at + 1] if opened else lines[at - 1]
            if beside.strip():
                yield f"cell {index}: no blank line beside $$: {beside.strip()[:60]}"
            opened = not opened
        if opened:
            yield f"cell {index}: $$ is not closed"
        for maths in [*BLOCK.findall(text), *INLINE.findall(BLOCK.sub("", text))]:
            for pattern, what in FRAGILE.items():
                if re.search(pattern, maths):
                    yield f"cell {index}: {what} in {maths.strip()[:60]}"
            if "\n\n" in maths:
                yield f"cell {index}: an empty line in {maths.strip()[:60]}"
        for maths in INLINE.findall(BLOCK.sub("", text)):
            if LISTED.search(maths):
                yield f"cell {index}: a line that begins as in a list, in {maths.strip()[:60]}"


def _outputs(cells: list[Any]) -> Iterator[str]:
    """Executed from the top, no errors, no noise, nothing large, no path of one machine."""
    counts = [cell.execution_count for cell in cells if cell.cell_type == "code"]
    if counts != list(range(1, len(counts) + 1)):
        yield f"not executed from top to bottom: {counts}"
    for index, cell in enumerate(cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                yield f"cell {index} raised {output.ename}"
            if output.get("name") == "stderr":
                yield f"cell {index} wrote to stderr: {output.text[:60]}"
            for kind, data in output.get("data", {}).items():
                if len(data) > (LARGEST_MOVING if moves(kind, data) else LARGEST):
                    yield f"cell {index}: an embedded {kind} of {len(data):,} bytes"
        printed = _printed(cell)
        if "\r" in printed or re.search(r"(?:^|\s)/(?:home|root|work|tmp|usr|Users)/", printed):
            yield f"cell {index} prints a progress bar or a path of one machine"


def _printed(cell: Any) -> str:
    return "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "")
        for output in cell.get("outputs", [])
    )


def _sections(cells: list[Any]) -> Iterator[str]:
    """Title, question and a picture first; the boxes, the exercises, the end."""
    if not re.match(r"# Lesson \d+: .+\n\n> \*\*Question\.\*\* ", cells[0].source):
        yield "does not open with '# Lesson N: title' and '> **Question.** ...'"
    opening = [o for cell in cells[:3] for o in cell.get("outputs", [])]
    if not any("image/png" in output.get("data", {}) for output in opening):
        yield "has no picture in its first three cells"
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for name in (*SECTIONS, *CLOSING):
        if not re.search(rf"^#+ .*{name}", text, re.MULTILINE):
            yield f"has no section '{name}'"
    numbers = [number for cell in cells for number in _calls(cell, EXERCISE)]
    if not 3 <= len(numbers) <= 6:
        yield f"has {len(numbers)} exercises; 3 to 6 are asked for"


RULES = {
    "equations": _equations,
    "maths": _maths,
    "outputs": _outputs,
    "sections": _sections,
    **READER_RULES,
}
