"""What a lesson owes its reader: claims that are guarded, an opening, predictions, motion, texts.

Each rule takes the cells of a notebook and yields what it finds wrong, in words.
"""

from __future__ import annotations

import ast
import base64
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

__all__ = ["READER_RULES", "moves"]

CLAIMED = re.compile(r"Fix the slide|A bug from the wild")
UNCLAIMED = ("Exercises", "The full-size run", "Further reading")  # judged, run, written elsewhere
HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
OPENING = {"what is needed": "You need", "the time": "Time", "what to skip": "You may skip"}
PREDICT = "**Predict, then run.**"
DECIMAL = re.compile(r"\d+\.?\d*(?:e[-+]?\d+)?")
LOOKS = {"alpha", "lw", "ms", "s", "dpi", "figsize", "fontsize", "linewidth", "width_ratios", "fps"}
DRAWS = r"(^|[.])(set|set_\w+|text|annotate|legend|axhline|axvline|subplots|colorbar|suptitle)$"
LARGEST = 2_000_000  # bytes of a notebook
# What is not the lesson's own prose: code, mathematics, links, quotations, addresses, numbering.
NOT_PROSE = re.compile(
    r"```.*?```|`[^`\n]*`|\$\$.*?\$\$|(?<!\\)\$(?!\$)[^$]+?(?<!\\)\$|!?\[[^\]]*\]\([^)]*\)|<[^>\n]+>"
    r"|https?://\S+|^>[^\n]*$|^#[^\n]*$|\"[^\"\n]+(?:\n[^\"\n]+)?\"|“[^”]*”|\(\d+\.\d+\)"
    r"|\b(?:[Ee]xercises?|[Ee]quations?|[Vv]ersion|[Ii]ssue|arXiv:)\s*#?\d[\d.]*",
    re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(
    r"(?<![\w.])(\d+\.\d+(?:e[-+]?\d+)?|\d+(?:\.\d+)?(?=\s?(?:%|percent\b|per cent\b)))"
)


@dataclass
class Section:
    """A heading, those that it stands under, and what follows up to the next heading."""

    titles: tuple[str, ...]
    text: str = ""
    code: list[Any] = field(default_factory=list)

    @property
    def title(self) -> str:
        return self.titles[-1]


def sections(cells: list[Any]) -> list[Section]:
    """The notebook cut at its headings."""
    above: list[tuple[int, str]] = []
    found = [Section(("",))]
    for cell in cells:
        if cell.cell_type == "code":
            found[-1].code.append(cell)
            continue
        end, text = 0, re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL)
        for heading in HEADING.finditer(text):
            found[-1].text += text[end : heading.start()]
            level = len(heading[1])
            above = [
                *takewhile(lambda one, level=level: one[0] < level, above),
                (level, heading[2]),
            ]
            found.append(Section(tuple(title for _, title in above)))
            end = heading.end()
        found[-1].text += text[end:] + "\n"
    return found


def checks(code: list[Any]) -> list[ast.Call]:
    """The calls of check.<something> in code cells."""
    return [
        node
        for cell in code
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("check.")
    ]


def _claims(cells: list[Any]) -> Iterator[str]:
    """A slide box and a bug box hold a claim; nothing else only prints numbers either."""
    for section in sections(cells):
        if any(title in UNCLAIMED for title in section.titles):
            continue
        called = {ast.unparse(call.func) for call in checks(section.code)}
        if CLAIMED.search(section.title) and "check.claim" not in called:
            yield f"'{section.title}' claims nothing: end it with check.claim"
        elif not called and any(re.search(r"\d", _printed(cell)) for cell in section.code):
            yield f"'{section.title}' prints numbers and checks none"


def _numbers(cells: list[Any]) -> Iterator[str]:
    """Every decimal and percentage of the prose stands in a check or is a setting of the code.

    In a check it may have more digits; as text (a check's "0.498", also by way of a variable) too.
    """
    code = [cell for cell in cells if cell.cell_type == "code"]
    trees = [ast.parse(cell.source) for cell in code]
    settings = {abs(number) for tree in trees for number in _constants(tree)}
    texts = {text for call in checks(code) for text in DECIMAL.findall(ast.unparse(call))}
    texts |= {text for tree in trees for text in _numeric_texts(tree)}
    checked = {abs(float(text)) for text in texts}
    for section in sections(cells):
        if any(title in UNCLAIMED for title in section.titles):
            continue
        for said in NUMBER.findall(NOT_PROSE.sub(" ", section.text)):
            digits = len(said.partition(".")[2].partition("e")[0])
            same = {float(said), float(said) / 100, float(f"{float(said) / 100:.{digits + 2}f}")}
            rounded = {float(f"{one:.{digits}f}") for one in checked}
            rounded |= {float(f"{one:.{digits + 2}f}") for one in checked}
            if not same & (settings | checked | rounded):
                yield f"'{section.title}' says {said}, which no check holds"


def _numeric_texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from DECIMAL.findall(node.value) if DECIMAL.fullmatch(node.value) else ()


def _constants(tree: ast.AST) -> Iterator[float]:
    """The numbers that a program is set to; not those that a picture is set to."""
    if isinstance(tree, ast.Constant) and type(tree.value) in (int, float):
        yield tree.value
    if isinstance(tree, ast.keyword) and tree.arg in LOOKS:
        return
    if isinstance(tree, ast.Call) and re.search(DRAWS, ast.unparse(tree.func)):
        return
    for node in ast.iter_child_nodes(tree):
        yield from _constants(node)


def _opening(cells: list[Any]) -> Iterator[str]:
    """What one needs, how long it takes, what one may skip: before the first section."""
    text = "".join(
        s.text for s in takewhile(lambda s: not s.title.startswith("1. "), sections(cells))
    )
    for what, words in OPENING.items():
        if f"**{words}" not in text:
            yield f"does not open with {what}: '**{words}** ...'"


def _predictions(cells: list[Any]) -> Iterator[str]:
    """Two 'Predict, then run' in every numbered section."""
    counts: dict[str, int] = {}
    for section in sections(cells):
        top = next((title for title in section.titles if re.match(r"\d+\. ", title)), None)
        if top is not None:
            counts[top] = counts.get(top, 0) + section.text.count(PREDICT)
    for title, count in counts.items():
        if count < 2:
            yield f"'{title}' has {count} of two '{PREDICT}'"


def moves(kind: str, data: str) -> bool:
    """Is this output a film (an animated PNG or a GIF) or a slider?"""
    return _film(kind, data) or _slider(kind, data)


def _film(kind: str, data: str) -> bool:
    if kind == "image/png":
        return b"acTL" in base64.b64decode(data[: min(4000, len(data) // 4 * 4)])
    return kind in ("image/gif", "image/webp")


def _slider(kind: str, data: str) -> bool:
    return kind == "text/html" and "tinygen-slider" in data


def _motion(cells: list[Any]) -> Iterator[str]:
    """One film and one slider."""
    shown = [
        item for cell in cells for output in cell.get("outputs", [])
        for item in output.get("data", {}).items()
    ]  # fmt: skip
    for what, is_one in (("film: figures.film", _film), ("slider: figures.slider", _slider)):
        if not any(is_one(kind, data) for kind, data in shown):
            yield f"has no {what}"


def _texts(cells: list[Any]) -> Iterator[str]:
    """A picture says in words what is to be seen in it."""
    for index, cell in enumerate(cells):
        for output in cell.get("outputs", []):
            for kind in output.get("data", {}):
                if kind.startswith("image/") and not output.metadata.get(kind, {}).get("alt"):
                    yield f"cell {index}: a picture without alt text: figures.show(figure, alt=...)"


def _size(cells: list[Any]) -> Iterator[str]:
    size = len(json.dumps(cells, indent=1))
    if size > LARGEST:
        yield f"has {size:,} bytes, allowed {LARGEST:,}"


def _printed(cell: Any) -> str:
    return "".join(output.get("text", "") for output in cell.get("outputs", []))


READER_RULES = {
    "claims": _claims,
    "numbers": _numbers,
    "opening": _opening,
    "predictions": _predictions,
    "motion": _motion,
    "texts": _texts,
    "size": _size,
}
