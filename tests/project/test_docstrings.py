"""Whatever is public says what it does, and every example in a docstring gives what it shows.

Public is what the `__all__` of a package names, and of the modules that it names. `python
tests/project/test_docstrings.py` prints how much is said, package by package.

An example may use `tg`, `np`, `nn`, `F`, `optim` and tinygen's other packages by their names; each
docstring starts from the seed 0.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinygen as tg

ROOT = Path(tg.__file__).parent
EXTRAS = {"tinygen.plot": "matplotlib", "tinygen.testing": "hypothesis"}  # what examples need
TAUGHT = [  # each teaches by example, at least once
    "autograd", "data", "distributions", "metrics", "models", "nn", "nn.functional", "ops", "optim",
    "plot", "testing",
]  # fmt: skip


def modules(pattern: str = "*.py") -> dict[str, Path]:
    found = {}
    for path in sorted(ROOT.rglob(pattern)):
        parts = ("tinygen", *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


# --- the examples -----------------------------------------------------------------------------


def docstrings(module: ModuleType) -> Iterator[tuple[str, str]]:
    """(name, docstring) of the module and of every class, function and method written in it.

    doctest's own search does not see an op, which is not made in the module that it belongs to.
    """
    yield module.__name__, module.__doc__ or ""
    things = [thing for thing in vars(module).values() if callable(thing)]
    classes = [thing for thing in things if inspect.isclass(thing)]
    things += [getattr(part, "fget", part) for cls in classes for part in vars(cls).values()]
    for thing in {id(thing): thing for thing in things}.values():
        if getattr(thing, "__module__", "") == module.__name__:
            yield f"{module.__name__}.{getattr(thing, '__qualname__', '')}", thing.__doc__ or ""


def names() -> dict[str, Any]:
    packages = ("data", "metrics", "models", "nn", "optim", "plot", "testing")
    found = {name: importlib.import_module(f"tinygen.{name}") for name in packages}
    found |= {"tg": tg, "tinygen": tg, "np": np, "F": found["nn"].functional}
    return found | {"hypothesis": sys.modules.get("hypothesis")}


WITH_EXAMPLES = [name for name, path in modules().items() if ">>> " in path.read_text()]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, needed in EXTRAS.items():
        if name.startswith(package):
            pytest.importorskip(needed)
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    parser, said = doctest.DocTestParser(), []
    for where, text in docstrings(importlib.import_module(name)):
        tg.manual_seed(0)
        test = parser.get_doctest(text, names(), where, str(modules()[name]), 0)
        runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)
    assert runner.tries == modules()[name].read_text().count(">>> "), "not all were found"


# --- what is public -----------------------------------------------------------------------------


def public_modules() -> dict[str, ModuleType]:
    """The packages, and the modules that they name."""
    found = {name: importlib.import_module(name) for name in modules("__init__.py")}
    for package in tuple(found.values()):
        for name in getattr(package, "__all__", ()):
            thing = getattr(package, name)
            if inspect.ismodule(thing) and thing.__name__.startswith("tinygen."):
                found[thing.__name__] = thing
    return found


def public() -> dict[str, Any]:
    """Every class and function that a public module names, and the classes' methods."""
    found: dict[int, tuple[str, Any]] = {}
    for module in public_modules().values():
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if callable(thing) and (thing.__module__ or "").startswith("tinygen"):
                found.setdefault(id(thing), (f"{thing.__module__}.{thing.__name__}", thing))
                for member, what in members(thing) if inspect.isclass(thing) else ():
                    found.setdefault(id(what), (home(what, member), what))
    return dict(found.values())


def members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties, inherited ones too, of classes that are ours."""
    for part in cls.__mro__:
        if part.__module__.startswith("tinygen"):
            for name, member in vars(part).items():
                plain = getattr(member, "__func__", member)  # of a classmethod
                if not name.startswith("_") and (
                    inspect.isfunction(plain) or isinstance(plain, property)
                ):
                    yield name, plain


def home(what: Any, name: str) -> str:
    """Where a method was written: Tensor.add is the function ops.elementwise.add."""
    function = what.fget if isinstance(what, property) else what
    within = function.__qualname__.rpartition(".")[0]
    return ".".join(filter(None, (function.__module__, within, name)))


def said(what: Any) -> str:
    """Its docstring, or that of the method which it overrides."""
    return inspect.getdoc(what) or ""


def test_whatever_is_public_says_what_it_does() -> None:
    silent = [name for name, what in public().items() if not said(what)]
    assert not silent, f"{len(silent)} without a docstring: {', '.join(silent)}"


@pytest.mark.parametrize("package", TAUGHT)
def test_every_package_teaches_by_example(package: str) -> None:
    prefix = f"tinygen.{package}"
    deeper = [f"tinygen.{other}" for other in TAUGHT if other.startswith(f"{package}.")]
    inside = [
        name for name in WITH_EXAMPLES
        if f"{name}.".startswith(f"{prefix}.") and not name.startswith(tuple(deeper))
    ]  # fmt: skip
    assert inside, f"no docstring of {prefix} has an example (>>>)"


def test_what_the_search_sees() -> None:
    things = public()
    for name in ("ops.elementwise.add", "nn.linear.Linear.forward", "tensor.Tensor.item"):
        assert f"tinygen.{name}" in things
    assert len(things) > 500
    assert (
        ">>> "
        in dict(docstrings(importlib.import_module("tinygen.ops.elementwise")))[
            "tinygen.ops.elementwise.where"
        ]
    )


def report() -> None:
    """Print, for each package, how many there are, are silent, say one line, give an example."""
    table: dict[str, Counter[str]] = {}
    for name, what in public().items():
        text, parts = said(what), name.split(".")
        deep = parts[1] == "models" or parts[2] in ("functional", "init", "utils")
        for row in (".".join(parts[1 : 3 if deep else 2]), "all"):
            counts = table.setdefault(row, Counter())
            counts.update(callables=1, silent=not text, line=text.count("\n") == 0 and bool(text))
            counts.update(example=">>> " in text)
    print(f"{'':22}callables  silent  one line  with example")
    for row, c in sorted(table.items()):
        print(f"{row:22}{c['callables']:9}{c['silent']:8}{c['line']:10}{c['example']:14}")


if __name__ == "__main__":
    report()
