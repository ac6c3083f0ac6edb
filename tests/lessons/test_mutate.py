"""The mutation of lessons: what is altered, what is let alone, and who notices."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "lessons"
sys.path.append(str(FOLDER))
from mutations import mutants  # noqa: E402


def changes(code: str) -> set[str]:
    return {mutant.change for mutant in mutants(textwrap.dedent(code), 0)}


@pytest.mark.parametrize(
    ("code", "made"),
    [
        ("a + b", "a - b; a; b"),
        ("a - b", "a + b; a; -b"),
        ("a * b", "a / b; a; b"),
        ("a / b", "a * b"),
        ("2 * b", "2 / b; 2; b; 4 * b"),
        ("b / 0.5", "b * 0.5; b / 1.0"),
        ("b ** 2", "b ** 3"),
        ("b ** c", ""),
        ("(-b) ** 2", "b; (-b) ** 3"),
        ("np.min(b)", "np.max"),
        ("max(a, b)", "min"),
        ("np.where(a < b, a, b)", "a > b"),
        ("b[a + 1 :]", ""),
        ("rng.normal(2 * a, size=3)", ""),
        ("1 + 2 * rng.normal(0, 1, 5)", ""),
        ("np.linspace(-2 * a, 2 * a)", ""),
        ('f"{a + b}"', ""),
        ("f(a, tol=2 * a)", ""),
    ],
)
def test_what_is_altered(code: str, made: str) -> None:
    found = changes(f'x = abs({code})\ncheck.equal("7.1", x, right, 2e-3)')
    results = {change.partition(" -> ")[2] for change in found}
    assert results == set(made.split("; ") if made else ())


def test_a_whole_side_is_negated_and_a_return_too() -> None:
    code = """
        def f(a):
            return np.exp(a)
        total += f(a)
        check.at_most("7.1", total, f(a), attained=(b + 1, c))
        """
    assert changes(code) >= {
        "np.exp(a) -> -np.exp(a)", "total += f(a) -> total -= f(a)", "f(a) -> -f(a)",
        "b + 1 -> b - 1",
    }  # fmt: skip


def test_only_what_a_check_depends_on_is_altered() -> None:
    code = """\
        a = 2 * b
        c = 3 * b
        axes.plot(a + b)
        print(a + b)
        d.append(a / 3)
        check.equal("7." + "1", a + d[0], e)
        f = 5 * a
        check.claim("f: " + name, f > 3, True)
        g = 6 * f
        """
    found = mutants(textwrap.dedent(code), 4)
    assert {(m.statement, m.claim) for m in found} == {
        (0, False), (4, False), (5, False), (6, True), (7, True),
    }  # fmt: skip
    assert {m.cell for m in found} == {4}
    assert not [m for m in found if "7." in m.change or "name" in m.change]
    assert mutants("a = 2 * b\nprint(a)", 0) == []


def test_a_mutant_runs() -> None:
    (mutant,) = mutants('check.claim("x", (a, b)[0] < 2)', 0)
    calls = []
    names = {"a": 1, "b": 3, "check": type("", (), {"claim": lambda *given: calls.append(given)})}
    exec(compile(ast.Module([mutant.code], []), "", "exec"), names)
    assert calls == [("x", False)]


LESSON = """
# %% [markdown]
# # Lesson 7: T

# %%
import time
from tinygen.lessons import check
base = 3.0

# %%
area = base * base
check.equal("7.1", area, 9.0)
loose = base + 1
check.claim("loose", loose > 0)
base = 4.0

# %%
check.claim("the state of the parent is as it was", base - 1, "3")
"""
SURVIVORS = """
| lesson | line | change | reason |
|---|---|---|---|
| 7 | `a = b \\| c` | `b + 1 -> b` | an input |
| 13 | ``say("`")`` | `*` | a text |
"""
DRIVER = """
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import mutate
mutate.sources = lambda: {7: Path(sys.argv[2])}
mutate.explained = lambda: {(7, "loose = base + 1", "base + 1 -> base")}
report = mutate.examine(7, 0, 0, 20.0)
names = ("caught", "explained", "survivors")
print(json.dumps({name: [m.change for m in getattr(report, name)] for name in names}))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="mutants run in forked processes")
def test_the_caught_and_the_survivors(tmp_path: Path) -> None:
    pytest.importorskip("jupytext")
    (tmp_path / "07_t.py").write_text(LESSON)
    command = [sys.executable, "-c", DRIVER, str(FOLDER), str(tmp_path / "07_t.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found = json.loads(done.stdout)
    assert found["explained"] == ["base + 1 -> base"]
    assert set(found["survivors"]) == {"base + 1 -> base - 1", "base + 1 -> 1"}
    assert set(found["caught"]) == {
        "base * base -> base / base", "base * base -> base", "base * base -> -(base * base)",
        "base + 1 -> -(base + 1)", "loose > 0 -> loose < 0",
        "base - 1 -> base + 1", "base - 1 -> base", "base - 1 -> -1", "base - 1 -> -(base - 1)",
    }  # fmt: skip


def test_survivors_are_read(tmp_path: Path) -> None:
    (tmp_path / "survivors.md").write_text(SURVIVORS)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import mutate; from pathlib import Path; "
        "mutate.HERE = Path(sys.argv[2]); print(sorted(mutate.explained()))"
    )
    command = [sys.executable, "-c", program, str(FOLDER), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == str([(7, "a = b | c", "b + 1 -> b"), (13, 'say("`")', "*")])
