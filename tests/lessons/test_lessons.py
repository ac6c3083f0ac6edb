"""The lessons: every displayed equation is checked, every judge of an exercise can judge.

That the notebooks run is tested by `make lessons-check`, which executes them from fresh kernels.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import lesson_rules as rules
import numpy as np
import pytest
from reader_rules import READER_RULES

import tinygen as tg
from tinygen.lessons import catalogue, check, exercises

pytest.importorskip("jupytext", reason="pip install -e '.[test]' brings jupytext")
nbformat = pytest.importorskip("nbformat")

FOLDER = Path(__file__).resolve().parents[2] / "lessons"
sys.path.append(str(FOLDER))
import sources  # noqa: E402

NOTEBOOKS = sorted(FOLDER.glob("[0-9]*.ipynb"))
SOURCES = sorted((FOLDER / "src").glob("[0-9]*.py"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def by_name(path: Path) -> str:
    return path.stem


def test_every_source_has_its_notebook_and_solutions() -> None:
    assert SOURCES
    assert [p.stem for p in SOURCES] == [p.stem for p in NOTEBOOKS]
    assert [p.stem[:2] for p in SOURCES] == [p.stem[-2:] for p in sorted(solutions_files())]


def solutions_files() -> list[Path]:
    return list((FOLDER / "solutions").glob("lesson*.py"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_the_notebook_keeps_the_rules(path: Path) -> None:
    assert rules.violations(read(path)) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_the_notebook_is_its_source_executed(path: Path) -> None:
    notebook, source = read(path), sources.parse(FOLDER / "src" / f"{path.stem}.py")
    now = source.metadata.tinygen.source
    assert notebook.metadata.tinygen.source == now, f"stale outputs: lessons/build.py ({path.stem})"
    same = [c.source for c in notebook.cells] == [c.source for c in source.cells]
    assert same, f"another text: lessons/build.py --text {int(path.stem[:2])}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=by_name)
def test_tags_and_exercises_carry_the_lessons_number(path: Path) -> None:
    notebook, number = read(path), str(int(path.stem[:2]))
    assert {tag.split(".")[0] for tag in rules.tags(notebook)} == {number}
    assert rules.exercises(notebook) == exercises.registered(number)
    assert catalogue._read(path).number == int(number)


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", sorted(solutions_files()), ids=by_name)
def test_right_answers_pass_and_wrong_ones_get_a_hint(path: Path) -> None:
    if path.stem == "lesson03" and not tg.cuda.emulator_available():
        pytest.skip("lesson 3 asks for a kernel, and the emulator needs a C++ compiler")
    answers = loaded(path)
    numbers = exercises.registered(path.stem[-2:])
    assert sorted(answers.RIGHT) == sorted(answers.WRONG) == numbers
    for number in numbers:
        assert answers.RIGHT[number] and len(answers.WRONG[number]) >= 2
        for answer in answers.RIGHT[number]:
            verdict = exercises.judge(number, answer)
            assert verdict.right, f"{number}: {answer} is right, but: {verdict.text}"
        for answer in answers.WRONG[number]:
            verdict = exercises.judge(number, answer)
            assert not verdict.right, f"{number}: {answer} is wrong and passes"
            assert verdict.text.startswith("not yet. "), f"{number}: no hint: {verdict.text}"
        assert exercises.judge(number, None).text == "still open."
    assert any(len(answers.RIGHT[n]) > 1 for n in numbers), "no right answer by another route"


# The rules themselves: a small notebook that keeps them, and each way to break one.

MATHS = "A line.\n\n$$\na = b \\tag{7.1}\n$$\n\nMore."
CLOSED = "\n".join(f"## {name}\n" for name in (*rules.SECTIONS, *rules.CLOSING))


def small(maths: str = MATHS, code: str = 'check.equal("7.1", a, b)', said: str = "(7.1) ") -> Any:
    v4 = nbformat.v4
    picture = v4.new_output("display_data", {"image/png": "iVBOR", "text/plain": "<Figure>"})
    stubs = "\n".join(f'check.exercise("7.{k}", f{k})' for k in (1, 2, 3))
    return v4.new_notebook(
        cells=[
            v4.new_markdown_cell("# Lesson 7: A title\n\n> **Question.** Which?"),
            v4.new_code_cell("draw()", execution_count=1, outputs=[picture]),
            v4.new_markdown_cell(maths),
            v4.new_code_cell(code, execution_count=2, outputs=[v4.new_output("stream", text=said)]),
            v4.new_markdown_cell(CLOSED),
            v4.new_code_cell(stubs, execution_count=3),
        ]
    )


def test_a_notebook_that_keeps_the_rules_breaks_none() -> None:
    assert rules.violations(small(), without=READER_RULES) == []


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (small(maths="A line.\n\n$$\na = b\n$$\n"), "0 tags"),
        (small(maths="A.\n\n$$\na \\tag{7.1} = b \\tag{7.2}\n$$\n"), "2 tags"),
        (small(code="print('(7.1)')"), "(7.1) has no check"),
        (small(code='# check.equal("7.1", a, b)'), "(7.1) has no check"),
        (small(said=""), "not printed"),
        (small(maths="None."), "checked above"),
        (small(maths=MATHS + "\n\n$$\na = b \\tag{7.1}\n$$\n"), "stands twice"),
        (small(maths="A line.\n$$\na = b \\tag{7.1}\n$$\n"), "no blank line"),
        (small(maths="A line.\n\n$$ a = b \\tag{7.1} $$\n"), "not alone"),
        (small(maths=MATHS + r" And $\operatorname{KL}$."), "operatorname"),
        (small(maths=MATHS + r" And $\{a\}$."), "backslash before punctuation"),
        (small(maths=MATHS + r" And $a<b$."), "bare <"),
        (small(maths=MATHS + " And $a\n+ b$."), "begins as in a list"),
        (small(said="(7.1)\r 50 %"), "progress bar"),
        (small(said="(7.1) /home/me/x"), "path of one machine"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "notebook",
)
def test_a_broken_rule_is_named(broken: Any, says: str) -> None:
    assert any(says in line for line in rules.violations(broken)), rules.violations(broken)


def test_more_broken_rules_are_named() -> None:
    notebook = small()
    notebook.cells[1].outputs[0].data["image/png"] = "x" * (rules.LARGEST + 1)
    notebook.cells[3].execution_count = 7
    notebook.cells[4].source = notebook.cells[4].source.replace("Fix the slide", "Slides")
    notebook.cells[5].source = 'check.exercise("7.1", f)'
    notebook.cells[5].outputs = [nbformat.v4.new_output("stream", name="stderr", text="oops")]
    found = "\n".join(rules.violations(notebook))
    for says in ("300,001 bytes", "top to bottom", "Fix the slide", "1 exercises", "stderr"):
        assert says in found, found


# The checks and the judge.


def test_equal_prints_or_raises(capsys: pytest.CaptureFixture[str]) -> None:
    check.equal("7.1", tg.tensor([1.0, 2.0]), np.array([1.0, 2.0]))
    check.equal("7.2", 2.0, 2.0 + 1e-12)
    said = capsys.readouterr().out
    assert "(7.1)  2 numbers on each side, largest difference 0" in said
    assert "(7.2)  left 2, right 2, difference below 1e-12" in said or "below 1e-11" in said
    for left, right in [(1.0, 1.1), (np.nan, 1.0), (np.inf, 1.0), ([1.0, 2.0], [1.0, 2.1])]:
        with pytest.raises(check.Disagreement, match=r"\(7\.3\)"):
            check.equal("7.3", left, right)


def test_mean_sees_a_bias_of_its_size() -> None:
    draws = np.random.default_rng(0).normal(1.0, 1.0, (10_000, 3))
    check.mean("7.1", draws, np.ones(3))
    with pytest.raises(check.Disagreement, match="standard errors"):
        check.mean("7.1", draws, np.array([1.0, 1.0, 1.1]))
    with pytest.raises(check.Disagreement):
        check.mean("7.1", np.full(10, np.nan), 0.0)


def test_at_most() -> None:
    check.at_most("7.1", [1.0, 2.0], 2.0)
    for smaller in (2.1, np.nan, [0.0, 2.1]):
        with pytest.raises(check.Disagreement):
            check.at_most("7.1", smaller, 2.0)


def test_the_judge_never_raises(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def judge(answer: Any) -> None:
        exercises.expect(answer(2) == 4, "Two and two.")

    monkeypatch.setattr(exercises, "_JUDGES", {"0.1": judge})
    monkeypatch.setattr(exercises, "registered", lambda lesson: ["0.1"])

    def stub(x: int) -> None: ...

    def todo(x: int) -> int:
        raise NotImplementedError

    assert exercises.judge("0.1", lambda x: x + x) == exercises.Verdict(True, "right.")
    wrong = exercises.judge("0.1", lambda x: x + 1)
    assert wrong.text == "not yet. Two and two. Your function gave 3 for (2)."
    assert exercises.judge("0.1", lambda x: 1 / 0).text.startswith("your code raised ZeroDivision")
    assert {exercises.judge("0.1", f).text for f in (stub, todo, None, ...)} == {"still open."}
    assert check.exercise("0.1", stub) is None  # a cell's last line shows no value
    assert capsys.readouterr().out == "Exercise 0.1: still open.\n"
    with pytest.raises(KeyError, match="there is no exercise 0.9"):
        exercises.judge("0.9", stub)


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Any:
    """judged(judge, answer): what a learner reads whose answer is judged by a judge of the test."""
    monkeypatch.setattr(exercises, "registered", lambda lesson: ["0.1"])
    monkeypatch.setattr(exercises, "_FAILED", {})

    def verdict(judge: Any, answer: Any) -> str:
        monkeypatch.setattr(exercises, "_JUDGES", {"0.1": judge})
        return exercises.judge("0.1", answer).text

    return verdict


def test_hints_come_one_by_one_until_the_answer_is_right(judged: Any) -> None:
    def judge(answer: Any) -> None:
        exercises.expect(answer(0) == 0, "Nothing.", "Of nothing.")
        exercises.expect(answer(2) == 4, "Two.", "And two.", "Add them.")

    def wrong(x: int) -> int:
        return 3 * x

    said = [judged(judge, wrong) for _ in range(4)]
    assert [text.partition(" Your")[0] for text in said] == [
        "not yet. Two. (2 more hints: try again.)",
        "not yet. And two. (1 more hint: try again.)",
        "not yet. Add them.",
        "not yet. Add them.",
    ]
    assert judged(judge, lambda x: 1).startswith("not yet. Nothing. (1")  # counted by property
    assert judged(judge, lambda x: 2 * x) == "right."
    assert judged(judge, wrong) == said[0]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda x, y: np.log(2), "0.69315"),
        (lambda x, y: tg.tensor([1.0, 2.0]), "[1, 2]"),
        (lambda x, y: np.zeros((7, 3)), "[0, 0, 0, ...; shape (7, 3)]"),
        (lambda x, y: (1, [True]), "(1, [True])"),
        (lambda x, y: {}, "<dict>"),
    ],
)
def test_a_hint_shows_the_learners_own_value(judged: Any, answer: Any, says: str) -> None:
    def judge(answer: Any) -> None:
        exercises.expect(answer(0, y=1.5) is None, "No.")

    assert judged(judge, answer) == f"not yet. No. Your function gave {says} for (0, y=1.5)."


def test_a_value_that_is_no_function_is_shown_too(judged: Any) -> None:
    def judge(answer: Any) -> None:
        exercises.expect(answer == 4, "No.")

    assert judged(judge, 5.0) == "not yet. No. You gave 5."
    assert judged(judge, dict) == "not yet. No."
    assert judged(judge, "void f() {\n}") == "not yet. No."  # a page: the learner has it in view

    def with_its_own(answer: Any) -> None:
        exercises.expect(answer(3) == 9, "No.", got=answer(4))

    assert judged(with_its_own, lambda x: x) == "not yet. No. You have 4."


def test_an_error_is_a_sentence_that_says_whose_it_is(judged: Any) -> None:
    def judge(answer: Any) -> None:
        exercises.expect(1 / answer(2.0) > 0, "No.")

    assert judged(judge, lambda x: 1 / (x - 2)) == (
        "your code raised ZeroDivisionError: float division by zero, called with (2)."
    )
    assert judged(judge, lambda x: x - 2) == (
        "not yet. That cannot be judged (ZeroDivisionError: float division by zero). "
        "Your function gave 0 for (2)."
    )


@pytest.mark.parametrize("answer", [[1.0, 2.0], "two", np.array(None)])
def test_an_answer_that_is_not_one_number_is_told_so(judged: Any, answer: Any) -> None:
    def judge(answer: Any) -> None:
        exercises.expect(exercises.one_number(answer(0)) == 2, "Two.")

    assert judged(judge, lambda x: answer).startswith("not yet. One number is asked for. Your fu")
    assert judged(judge, lambda x: tg.tensor([2])) == "right."


def test_the_catalogue_reads_titles(tmp_path: Path) -> None:
    nbformat.write(small(), tmp_path / "07_a.ipynb")
    (found,) = catalogue.lessons(tmp_path)
    assert (found.number, found.title, found.question) == (7, "A title", "Which?")
    (tmp_path / "08_b.ipynb").write_text("{")
    with pytest.raises(ValueError, match="08_b.ipynb is not a notebook"):
        catalogue.lessons(tmp_path)


def test_the_readme_lists_every_lesson_with_its_picture() -> None:
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    for lesson in catalogue.lessons(FOLDER):
        assert f"[{lesson.number}. {lesson.title}](lessons/{lesson.path.name})" in text
        assert lesson.question in text, f"README's question of lesson {lesson.number} is stale"
        picture = f"lessons/pictures/{lesson.path.stem}.png"
        assert picture in text and (FOLDER.parent / picture).is_file()
