"""A small notebook that keeps every rule for its reader's sake, and each way to break one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reader_rules as rules

from tinygen.lessons import figures

v4 = pytest.importorskip("nbformat.v4")
pytest.importorskip("PIL")

TEXT = {
    "opening": "# T\n\n**You need** lesson 6. **Time:** an hour. **You may skip** section 2.",
    "one": "## 1. One\n\n**Predict, then run.** Which?\n\n**Predict, then run.** And now?",
    "slide": "### Fix the slide: a number\n\n> It is 0.77\n\nIt is 0.498, 37 % less, by (7.3).",
    "bug": '## A bug from the wild: a sign\n\nIts author said "0.88". `0.99` $0.99$ [0.99](x)',
    "experiment": "## What happens\n\nA step of 0.25.",
    "full": "## The full-size run\n\nA distance of 1.23.",
}
CODE = {
    "slide": 'check.claim("E1: share", share, "0.498")\ncheck.claim("E1: less", 0.37 * a, said)',
    "bug": "check.claim('the sign', a > b)",
    "experiment": "step = 0.25\ncheck.equal('7.1', a, b)",
}


def notebook(text: dict[str, str], code: dict[str, str]) -> list[Any]:
    pictures = list(np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8))
    film, slider = figures.film(pictures, "noise"), figures.slider(pictures, "abc", "k", "noise")
    outputs = [
        v4.new_output("display_data", data, metadata=metadata)
        for data, metadata in (*film.outputs, *slider.outputs)
    ]
    cells = []
    for name, prose in text.items():
        cells.append(v4.new_markdown_cell(prose))
        if name in code:
            printed = [v4.new_output("stream", text="0.498, as said")]
            cells.append(v4.new_code_cell(code[name], outputs=printed))
    return [*cells, v4.new_code_cell("film", outputs=outputs)]


def broken(cells: list[Any]) -> list[str]:
    return [line for rule in rules.READER_RULES.values() for line in rule(cells)]


def test_a_notebook_that_keeps_the_rules_breaks_none() -> None:
    assert broken(notebook(TEXT, CODE)) == []


def less(table: dict[str, str], key: str, was: str, now: str = "") -> dict[str, str]:
    assert was in table[key]
    return {**table, key: table[key].replace(was, now)}


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (TEXT, less(CODE, "slide", "claim", "equal"), "'Fix the slide: a number' claims nothing"),
        (TEXT, less(CODE, "bug", CODE["bug"], "print(a)"), "'A bug from the wild: a sign' claims"),
        (TEXT, less(CODE, "experiment", "check.equal", "# "), "prints numbers and checks none"),
        (less(TEXT, "slide", "0.498", "0.499"), CODE, "says 0.499, which no check holds"),
        (less(TEXT, "slide", "0.498", "0.50"), CODE, ""),
        (less(TEXT, "slide", "0.498", "0.4980"), CODE, ""),
        (less(TEXT, "slide", "0.498", "49.8 %"), CODE, ""),
        (less(TEXT, "slide", "0.498", "49.7 %"), CODE, "says 49.7, which no check holds"),
        (TEXT, less(CODE, "slide", 'share, "0.498")', 'a, s) if (s := "0.498") else 0'), ""),
        (TEXT, less(CODE, "slide", 'share, "0.498")', 'a, s) if (s := "x 0.498") else 0'), "0.498"),
        (less(TEXT, "slide", "37 %", "38 %"), CODE, "says 38, which no check holds"),
        (less(TEXT, "slide", "> It", "It"), CODE, "says 0.77, which no check holds"),
        (less(TEXT, "bug", '"0.88"', "0.88"), CODE, "says 0.88, which no check holds"),
        (less(TEXT, "bug", "`0.99` $", "$"), CODE, ""),
        (TEXT, less(CODE, "experiment", "step = 0.25", ""), "says 0.25, which no check holds"),
        (TEXT, less(CODE, "experiment", "step = 0.25", "plot(alpha=0.25)"), "says 0.25"),
        (TEXT, less(CODE, "experiment", "step = 0.25", "ax.text(0.25, 0, '')"), "says 0.25"),
        (TEXT, less(CODE, "experiment", "step = 0.25", "# step = 0.25"), "says 0.25"),
        (less(TEXT, "opening", "**You need**"), CODE, "does not open with what is needed"),
        (less(TEXT, "opening", "**Time:**"), CODE, "does not open with the time"),
        (less(TEXT, "opening", "**You may skip**"), CODE, "does not open with what to skip"),
        (less(TEXT, "one", "Predict, then run.** And"), CODE, "'1. One' has 1 of two"),
        (less(TEXT, "full", "The full-size run", "Results"), CODE, "says 1.23, which no check"),
    ],
)
def test_each_rule_can_fail(text: dict[str, str], code: dict[str, str], says: str) -> None:
    found = broken(notebook(text, code))
    assert len(found) == bool(says) and says in "".join(found), found


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda outputs: outputs.pop(0), "has no film"),
        (lambda outputs: outputs.pop(2), "has no slider"),
        (lambda outputs: outputs[0].metadata.clear(), "a picture without alt text"),
        (lambda outputs: outputs[1].metadata["image/png"].update(alt=""), "without alt text"),
        (lambda outputs: outputs[2].data.update(x="x" * 2_000_000), "allowed 2,000,000"),
    ],
)
def test_each_rule_about_pictures_can_fail(change: Callable[[Any], Any], says: str) -> None:
    cells = notebook(TEXT, CODE)
    change(cells[-1].outputs)
    found = broken(cells)
    assert len(found) == 1 and re.search(says, found[0]), found
