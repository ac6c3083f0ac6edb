"""What type checkers and editors read: tinygen's functions and Tensor's methods as stubs.

    python -m tinygen.stubs        # writes ops/__init__.pyi and methods.pyi; a test compares

Functions get here by `__all__` of their files and methods are attached to Tensor: no type checker
sees either. The stubs are their signatures, and the first lines of their docstrings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any, get_overloads

from . import ops
from .ops.methods import COMPARISONS, members
from .tensor import Tensor

__all__ = ["files", "functions", "methods"]

HEADER = '''"""Generated from the ops' files by python -m tinygen.stubs: edit those."""

import builtins
from collections.abc import Sequence
from typing import Any, Literal, overload

from {above}backend import DType, Generator
from {above}tensor import Tensor
from {ops}derived import MinMax
from {ops}indexing import Index
from {ops}linalg import PLU, Slogdet
from {ops}order import ValuesIndices
from {ops}promotion import Operand
from {ops}reductions import Dim
'''
STARS: dict[Any, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}


def functions() -> str:
    """The text of ops/__init__.pyi."""
    parts = [HEADER.format(above="..", ops=".")]
    for name in sorted(ops.__all__):
        function = getattr(ops, name)
        forms = get_overloads(getattr(function, "__wrapped__", function))
        parts += [f"@overload\n{_define(name, form, function.__doc__)}" for form in forms]
        parts += [] if forms else [_define(name, function, function.__doc__)]
    parts.append(f"__all__ = {sorted(ops.__all__)}\n")
    return "\n".join(parts)


def methods() -> str:
    """The text of methods.pyi: a class that Tensor inherits from, for a type checker's eyes."""
    parts = [HEADER.format(above=".", ops=".ops.")]
    parts.append('class Methods:\n    """What autograd.py and ops/ attach to Tensor."""\n')
    found = members() | {"backward": Tensor.backward}
    for name in sorted(found):
        parts.append(_indented(_method(name, found[name])))
    return "\n".join(parts)


def _method(name: str, member: Any) -> str:
    if isinstance(member, property):
        return f"@property\n{_define(name, member.fget, member.__doc__, 'self')}"
    text = _define(name, member, member.__doc__, "self")
    if name in COMPARISONS:  # Python asks for an `object`, and for a bool back from __eq__
        text = text.replace("other: Operand", "other: object").replace(
            ":\n", ":  # type: ignore[override, unused-ignore]\n", 1
        )
    return text


def _define(name: str, function: Any, doc: str | None, first: str = "") -> str:
    """The def, with the first line of the docstring; `first` replaces the first parameter."""
    said = signature(function)
    parameters = [_parameter(p) for p in _with_a_star(said.parameters.values())]
    if first:
        parameters[0] = first
    types = f"({', '.join(parameters)}) -> {said.return_annotation}:"
    if first:  # Tensor's methods float, int and bool hide the types
        types = re.sub(r"(?<![\w.])(float|int|bool)\b", r"builtins.\1", types)
    head = f"def {name}{types}"
    line = (doc or "").split("\n")[0]
    return f'{head}\n    """{line}"""\n' if line else f"{head} ...\n"


def _with_a_star(parameters: Iterable[Parameter]) -> Iterable[Parameter | None]:
    """None where a bare `*` stands before parameters that must be named."""
    seen = False
    for p in parameters:
        if p.kind is Parameter.KEYWORD_ONLY and not seen:
            yield None
        seen |= p.kind in (Parameter.VAR_POSITIONAL, Parameter.KEYWORD_ONLY)
        yield p


def _parameter(p: Parameter | None) -> str:
    if p is None:
        return "*"
    text = f"{STARS.get(p.kind, '')}{p.name}: {p.annotation}"
    return text if p.default is Signature.empty else f"{text} = {p.default!r}"


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" if line else "\n" for line in text.rstrip("\n").split("\n"))


def files() -> dict[Path, str]:
    """The text of each stub, as it should be."""
    here = Path(__file__).parent
    return {here / "ops" / "__init__.pyi": functions(), here / "methods.pyi": methods()}


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
