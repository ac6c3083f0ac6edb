"""`__all__` of every module says what others may use, and nothing else is used."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import tinygen

ROOT = Path(tinygen.__file__).parent
PRIVATE = {"tinygen.__main__"}  # run, not imported


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = ("tinygen", *path.relative_to(ROOT).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = {name: path for name, path in modules().items() if name not in PRIVATE}


def imported_names() -> dict[str, set[str]]:
    """For each module, the names that other files of the package import from it."""
    used: dict[str, set[str]] = {name: set() for name in modules()}
    for name, path in modules().items():
        package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = package[: len(package) - node.level + 1]
                source = ".".join([*base, *(node.module or "").split(".")]).rstrip(".")
                used.get(source, set()).update(alias.name for alias in node.names)
    return used


@pytest.mark.parametrize("name", MODULES)
def test_all_is_there(name: str) -> None:
    module = importlib.import_module(name)
    names = getattr(module, "__all__", None)
    assert names is not None, f"{name} has no __all__"
    assert len(set(names)) == len(names) and not [n for n in names if n.startswith("_")]
    missing = [n for n in names if not hasattr(module, n)]
    assert not missing, f"{name}.__all__ names what is not there: {missing}"


def test_what_other_files_import_is_in_all() -> None:
    wrong = {}
    for name, used in imported_names().items():
        if name in PRIVATE or name.startswith("tinygen.ops."):  # there it is what tinygen gets
            continue
        public = set(importlib.import_module(name).__all__)
        hidden = {
            n for n in used - public
            if not n.startswith("_") and n != "*" and f"{name}.{n}" not in MODULES
        }  # fmt: skip
        if hidden:
            wrong[name] = sorted(hidden)
    assert not wrong, f"imported elsewhere, but not in __all__: {wrong}"
