"""How a source becomes a notebook, and how what it prints is compared."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from typing import Any

import pytest

jupytext = pytest.importorskip("jupytext", reason="pip install -e '.[test]' brings jupytext")

FOLDER = Path(__file__).resolve().parents[2] / "lessons"
sys.path.append(str(FOLDER))
import links  # noqa: E402
import sources  # noqa: E402
from compare import difference  # noqa: E402

LESSONS = sorted((FOLDER / "src").glob("[0-9]*.py"))


@pytest.mark.parametrize(
    ("was", "now", "tolerance", "says"),
    [
        ("gap 0.498 against 0.993", "gap 0.498 against 0.993", 0.0, ""),
        ("gap 0.498", "gap 0.499", 0.0, ""),
        ("gap 0.498", "gap 0.500", 0.0, "0.498 is now 0.500"),
        ("gap 0.498", "gap 0.5", 0.0, "0.498 is now 0.5"),
        ("gap 0.498", "gap 0.993", 0.05, "0.498 is now 0.993"),
        ("gap 0.498", "gap 0.51", 0.05, ""),
        ("took 3.2 s", "took 9.7 s", math.inf, ""),
        ("took 3.2 s", "took 9.7 min", math.inf, "printed"),
        ("gap 0.498", "gap -0.498", 0.0, "0.498 is now -0.498"),
        ("1,200 ways of 5", "1,201 ways of 5", 0.0, ""),
        ("1,200 ways of 5", "1,202 ways of 5", 0.0, "1,200 is now 1,202"),
        ("rate 1.2e-05", "rate 1.4e-05", 0.0, "1.2e-05 is now 1.4e-05"),
        ("difference 0", "difference below 1e-15", 0.0, ""),
        ("left 2.5, difference 0", "left 2.6, difference below 1e-15", 0.0, ""),
        ("left 2.5, difference 0", "left 2.9, difference below 1e-15", 0.0, "2.5 is now 2.9"),
        ("left 2.2e-16", "left 0", 0.0, ""),
        ("least gap inf", "least gap 1", 0.0, "inf is now 1"),
        ("nan", "nan", 0.0, ""),
        ("7  holds", "7 fails", 0.0, "printed"),
    ],
)
def test_numbers_are_compared_to_the_digits_shown(
    was: str, now: str, tolerance: float, says: str
) -> None:
    found = difference(was, now, tolerance)
    assert found.startswith(says) and bool(found) is bool(says), found


def source(tmp_path: Path, *cells: str, name: str = "13_wgan.py") -> Path:
    path = tmp_path / name
    path.write_text("\n\n".join(cells) + "\n")
    return path


def test_headers_are_read_and_not_kept(tmp_path: Path) -> None:
    path = source(
        tmp_path,
        "# %% tolerance=0.05\na = 1",
        '# %% tags=["timing"]\nb = 1',
        '# %% tags=["figure"] tolerance=0.1\nc = 1',
        "# %%\nd = 1",
    )
    assert sources.tolerances(path) == [0.05, math.inf, 0.1, 0.0]
    metadata = [cell.metadata for cell in sources.parse(path).cells]
    assert metadata == [{}, {}, sources.HIDDEN, {}]
    assert sources.HIDDEN["jupyter"]["source_hidden"]  # in Jupyter
    assert sources.HIDDEN["transient"]["remove_source"]  # in a page that nbconvert makes
    for header in ("tolerence=0.05", 'tags=["figures"]'):
        with pytest.raises(ValueError, match="a cell's header says"):
            sources.parse(source(tmp_path, f"# %% {header}\na = 1"))


def test_comments_for_linters_are_left_out(tmp_path: Path) -> None:
    code = """\
# fmt: off
f = lambda v: v  # noqa: E731  (why)
print("# noqa", f(1),  # a comment of ours
      2)  # fmt: skip
x = 3  # float32  # noqa: F841"""
    (cell,) = sources.parse(source(tmp_path, f"# %%\n{code}")).cells
    assert cell.source == (
        'f = lambda v: v\nprint("# noqa", f(1),  # a comment of ours\n      2)\nx = 3  # float32'
    )


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("By (13.4) and (1.10).", "By [(13.4)](#eq-13.4) and [(1.10)](1.ipynb#eq-1.10)."),
        ("`(13.4)` $(13.4)$ [(13.4)](x)", "`(13.4)` $(13.4)$ [(13.4)](x)"),
        ("# By (13.4)\n\n> (13.4)", "# By (13.4)\n\n> (13.4)"),
        (
            "> **Predict, then run.** By\n> (13.4), `(13.4)`?\n\n> (13.4)",
            "> **Predict, then run.** By\n> [(13.4)](#eq-13.4), `(13.4)`?\n\n> (13.4)",
        ),
        ("```\n(13.4)\n```", "```\n(13.4)\n```"),
        ("A mean of 22.2 (1.1), (99.9)", "A mean of 22.2 (1.1), (99.9)"),
        ("Ho et al. (2020)", "[Ho et al. (2020)](https://arxiv.org/abs/2006.11239)"),
        ("(Ho et al.\n2020)", "([Ho et al.\n2020](https://arxiv.org/abs/2006.11239))"),
        ("*Wasserstein\n  GAN*", "[*Wasserstein\n  GAN*](https://arxiv.org/abs/1701.07875)"),
        ("arXiv:1701.07875", "[arXiv:1701.07875](https://arxiv.org/abs/1701.07875)"),
        ("The critics.", "The [critics](glossary.md#critic)."),
        ("A **critic**, a critic.", "A **[critic](glossary.md#critic)**, a critic."),
        ("A critical DDPM", "A critical DDPM"),  # another word; a word of a later lesson
        ("Lesson 9, lesson 9, lesson 13", "[Lesson 9](9.ipynb), lesson 9, lesson 13"),
        ("lesson 99", "lesson 99"),
        ("`examples/wgan.py`", "[`examples/wgan.py`](../examples/wgan.py)"),
        (
            "`python examples/wgan.py --line`",
            "[`python examples/wgan.py --line`](../examples/wgan.py)",
        ),
        ("DeZero's `examples/vae.py`", "DeZero's `examples/vae.py`"),
        ("`kernels/conv2d.cu`", "[`kernels/conv2d.cu`](../kernels/conv2d.cu)"),
        ("`examples/none.py`", "`examples/none.py`"),
        ("## Further reading\n\nA critic", "## Further reading\n\nA critic"),
    ],
)
def test_mentions_become_links(text: str, becomes: str) -> None:
    for number in ("1", "9"):
        stem = next(path.stem for path in LESSONS if int(path.stem[:2]) == int(number))
        becomes = becomes.replace(f"({number}.ipynb", f"({stem}.ipynb")
    assert links.Links(Path("13_wgan.py"))(text) == becomes


def test_an_equation_has_an_anchor_before_it() -> None:
    maths = "$$\na \\tag{13.%d}\n$$"
    text = f"So\n\n{maths % 1}\n\n{maths % 2}\n\n# Title\n\n{maths % 3}\n\nand\n\n$$\nb\n$$"
    anchor = '<a id="eq-13.%d"></a>'
    assert links.Links(Path("13_wgan.py"))(text) == (
        f"So {anchor % 1}\n\n{maths % 1}\n\n{anchor % 2}\n\n{maths % 2}\n\n# Title\n\n"
        f"{anchor % 3}\n\n{maths % 3}\n\nand\n\n$$\nb\n$$"
    )
    assert links.Links(Path("13_wgan.py"))(maths % 1) == f"{anchor % 1}\n\n{maths % 1}"


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_every_link_of_a_lesson_leads_somewhere(path: Path) -> None:
    cells = sources.parse(path).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    glossary = (FOLDER / "glossary.md").read_text()
    tags = links.TAG.findall(text)
    assert all(text.count(f'<a id="eq-{a}.{b}"></a>') == 1 for a, b in tags)
    for target in links.re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        if file.startswith("http"):
            continue
        if file == "glossary.md":
            assert f'<a id="{anchor}"></a>' in glossary, target
        elif file.endswith(".ipynb"):
            there = (FOLDER / "src" / file).with_suffix(".py").read_text()
            tag = anchor.removeprefix("eq-")
            assert not anchor or rf"\tag{{{tag}}}" in there, target
        elif file:
            assert (FOLDER / file).exists(), target
        else:
            assert f'<a id="{anchor}"></a>' in text, target


def test_a_text_is_retold_only_where_the_code_is_the_same(tmp_path: Path) -> None:
    pytest.importorskip("nbclient", reason="pip install -e '.[lessons-build]' brings it")
    spec = importlib.util.spec_from_file_location("lessons_build", FOLDER / "build.py")
    assert spec is not None and spec.loader is not None
    build = importlib.util.module_from_spec(spec)  # `build` is a package too
    spec.loader.exec_module(build)

    def written(code: str, output: str) -> Any:
        notebook = sources.parse(source(tmp_path, "# %% [markdown]\n# Old", f"# %%\n{code}"))
        notebook.cells[1].outputs = [build.nbformat.v4.new_output("stream", text=output)]
        return notebook

    build.nbformat.write(written("a = 1  # noqa", "1"), tmp_path / "old.ipynb")
    new = sources.parse(source(tmp_path, "# %% [markdown]\n# New", "# %%\na = 1"))
    assert build.retold(new, tmp_path / "old.ipynb") == ""
    assert new.cells[0].source == "New" and new.cells[1].outputs[0].text == "1"
    other = sources.parse(source(tmp_path, "# %%\na = 2"))
    assert "code of old.ipynb has changed" in build.retold(other, tmp_path / "old.ipynb")
