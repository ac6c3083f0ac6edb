"""Every file and every name that README, the lessons and the docstrings speak of is there."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import tinygen

ROOT = Path(tinygen.__file__).parent.parent
pytestmark = pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="no clone")

FILE = re.compile(r"(?<![\w/.*<-])((?:[\w*-]+/)*[\w*-]+\.(?:py|cuh?|md|ipynb))\b(?!/)")
NAME = re.compile(
    r"(?:`+(?:@|from |import )?|(?=\btinygen\.[a-z]))((?:[a-z]\w*|F)(?:\.[A-Za-z]\w*)+)"
)
# What a dotted name may begin with, and where it is looked up.
ROOTS = {
    "tinygen": "tinygen", "tg": "tinygen", "F": "tinygen.nn.functional", "nn": "tinygen.nn",
    "init": "tinygen.nn.init", "optim": "tinygen.optim", "data": "tinygen.data",
    "metrics": "tinygen.metrics", "plot": "tinygen.plot", "models": "tinygen.models",
    "nets": "tinygen.models.nets", "likelihoods": "tinygen.models.likelihoods",
    "latent": "tinygen.models.latent", "vae": "tinygen.models.vae", "gan": "tinygen.models.gan",
    "diffusion": "tinygen.models.diffusion", "bounds": "tinygen.models.vae.bounds",
    "cuda": "tinygen.cuda", "testing": "tinygen.testing", "autograd": "tinygen.autograd",
    "threads": "tinygen.threads", "backend": "tinygen.backend", "cpu": "tinygen.conv.cpu",
    "conv": "tinygen.conv", "ops": "tinygen.ops", "lr_scheduler": "tinygen.optim.lr_scheduler",
    "reconstruction": "tinygen.models.vae.reconstruction", "check": "tinygen.lessons.check",
    "linalg": "tinygen.linalg",
}  # fmt: skip
# Files that are not ours: the reader's own, other projects', and what a run writes.
FOREIGN = re.compile(
    r"(^|/)(my_\w+|thing|x|script|superminddpm)\.\w+$|^dezero/|^micrograd|^mindiffusion/|^torch/"
    r"|^examples/(vae|mnist)\.py$"
)


def docstrings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            yield ast.get_docstring(node) or ""


def comments(path: Path, sign: str) -> Iterator[str]:
    for line in path.read_text().splitlines():
        if line.lstrip().startswith(sign):
            yield line


def texts() -> dict[str, str]:
    """What is said, by the file that says it."""
    found = {path: path.read_text() for path in (ROOT / "README.md", *ROOT.glob("docs/**/*.md"))}
    found |= {path: path.read_text() for path in ROOT.glob("lessons/*.md")}
    for path in ROOT.glob("lessons/src/*.py"):
        found[path] = "\n".join(comments(path, "#"))
    for pattern in ("tinygen/**/*.py", "examples/*.py", "benchmarks/**/*.py", "tests/**/*.py"):
        for path in ROOT.glob(pattern):
            found[path] = "\n".join(docstrings(path))
    for path in (*ROOT.glob("kernels/*.cu"), *ROOT.glob("kernels/*.cuh")):
        found[path] = "\n".join(comments(path, "//"))
    return {str(path.relative_to(ROOT)): text for path, text in found.items()}


TEXTS = texts() if (ROOT / "README.md").exists() else {}


def known_files() -> set[str]:
    """Every tail of every path: models/gan/gan.py may be called gan/gan.py or gan.py."""
    parts = ("tinygen", "kernels", "lessons", "examples", "tests", "benchmarks", "docs")
    paths = [p for part in parts for p in (ROOT / part).rglob("*") if p.is_file()]
    paths += [p for p in ROOT.iterdir() if p.is_file()]
    tails = set()
    for path in paths:
        pieces = path.relative_to(ROOT).parts
        tails |= {"/".join(pieces[i:]) for i in range(len(pieces))}
    return tails


def test_every_file_that_is_spoken_of_is_there() -> None:
    known = known_files()
    wrong = [
        f"{where}: {name}"
        for where, text in TEXTS.items()
        for name in FILE.findall(text)
        if "*" not in name and name not in known and not FOREIGN.search(name)
    ]
    assert not wrong, "\n".join(wrong)


def resolves(name: str) -> bool:
    first, *rest = name.split(".")
    thing = importlib.import_module(ROOTS[first])
    for part in rest:
        try:
            thing = getattr(thing, part)
        except AttributeError:
            try:
                thing = importlib.import_module(f"{thing.__name__}.{part}")
            except (ImportError, AttributeError):
                return False
    return True


def names(text: str) -> set[str]:
    return {n for n in NAME.findall(text) if n.split(".")[0] in ROOTS and not FILE.fullmatch(n)}


def test_every_name_that_is_spoken_of_is_there() -> None:
    wrong = [
        f"{where}: {name}"
        for where, text in TEXTS.items()
        for name in sorted(names(text))
        if not resolves(name)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_search_sees_what_is_not_there() -> None:
    said = "`tinygen.nn.Linearr`, `tg.relu(x)`, metrics.py, see `vae.VAE`, models/gan/no_such.py"
    assert [n for n in sorted(names(said)) if not resolves(n)] == ["tinygen.nn.Linearr"]
    assert [f for f in FILE.findall(said) if f not in known_files()] == [
        "metrics.py",
        "models/gan/no_such.py",
    ]
    assert sum(len(names(text)) for text in TEXTS.values()) > 30
