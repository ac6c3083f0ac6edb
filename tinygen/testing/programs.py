"""Random straight-line programs: a DAG of ops as a function and as source that one can read.

    @given(programs())
    def test_engine(program):
        print(program.source)
        check_grads(program.function(), *program.inputs)

The source uses methods and names that PyTorch has as well: `program.function(torch)` is the same
program there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..backend import float32
from ..tensor import Tensor, wrap
from .strategies import (
    LAYOUTS,
    Shape,
    _composite,
    hypothesis_strategies,
    lay_out,
    sample,
)

__all__ = ["Program", "Value", "programs"]


class Value(NamedTuple):
    """A variable of the program: its name, its shape, and a bound on its absolute value."""

    name: str
    shape: Shape
    bound: float


@dataclass
class Program:
    """Lines of Python, the inputs they start from, and the names they return."""

    inputs: list[Tensor] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def source(self) -> str:
        """The program as the text of a Python function; it returns the last two values."""
        names = ", ".join(value.name for value in self.values[: len(self.inputs)])
        results = ", ".join(value.name for value in self.values[-2:])
        body = "\n".join(f"    {line}" for line in self.lines)
        return f"def program({names}):\n{body}\n    return {results}\n"

    def function(self, library: Any = ops) -> Callable[..., Any]:
        """The program as a function on the library's tensors (it calls cat, stack and where)."""
        names = {name: getattr(library, name) for name in ("cat", "stack", "where", "maximum")}
        exec(self.source, names)  # noqa: S102  (our own text, a few lines above)
        return names["program"]  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        shapes = ", ".join(str(x.shape) for x in self.inputs)
        return f"{self.source}# inputs of shapes {shapes}"

    def add(self, text: str, shape: Shape, bound: float) -> None:
        """Append `tN = text`, pulled back into (-1, 1) when it may have become large."""
        if bound > 8.0:
            text, bound = f"({text}).tanh()", 1.0
        value = Value(f"t{len(self.lines)}", shape, bound)
        self.lines.append(f"{value.name} = {text}")
        self.values.append(value)


SMOOTH = {  # what it is in source, and the bound of the result for a bound b of the argument
    "{}.tanh()": lambda b: 1.0,
    "{}.sin()": lambda b: 1.0,
    "{}.cos()": lambda b: 1.0,
    "{}.sigmoid()": lambda b: 1.0,
    "{}.erf()": lambda b: 1.0,
    "({}.tanh() * 2).exp()": lambda b: 7.4,
    "{}.sigmoid().expm1()": lambda b: 1.8,
    "({0} * {0} + 1).log()": lambda b: math.log(b * b + 1),
    "{}.square().log1p()": lambda b: math.log(b * b + 1),
    "({}.square() + 0.5).sqrt()": lambda b: b + 1,
    "({}.square() + 0.5).rsqrt()": lambda b: 1.5,
    "(-{})": lambda b: b,
    "(1.5 - {})": lambda b: b + 1.5,
    "({}.sigmoid() + 0.1) ** 1.7": lambda b: 1.2,
    "1 / ({}.square() + 1)": lambda b: 1.0,
    "{}.clone()": lambda b: b,
}
KINKED = {
    "{}.relu()": lambda b: b,
    "{}.abs()": lambda b: b,
    "{}.clamp(-0.7, 0.9)": lambda b: 1.0,
    "where({0} > 0.2, {0}, {0} * {0})": lambda b: max(b, b * b),
}
PAIRS = {
    "{0} + {1}": lambda a, b: a + b,
    "{0} - {1}": lambda a, b: a + b,
    "{0} * {1}": lambda a, b: a * b,
    "{0} / ({1}.square() + 1)": lambda a, b: a,
    "{0}.logaddexp({1})": lambda a, b: max(a, b) + 1,
    "maximum({0}, {1})": lambda a, b: max(a, b),
    "where({0} > {1}, {0}, {1} * 0.5)": lambda a, b: max(a, b),
    "{0}.clone().mul_({1}.tanh())": lambda a, b: a,  # the shapes may forbid it: see _pair
}
REDUCTIONS = {
    "sum": lambda b, n: b * n,
    "mean": lambda b, n: b,
    "amax": lambda b, n: b,
    "logsumexp": lambda b, n: b + math.log(n),
    "cumsum": lambda b, n: b * n,
    "softmax": lambda b, n: 1.0,
    "log_softmax": lambda b, n: 2 * b + math.log(n),
    "flip": lambda b, n: b,
}


def _one(draw: Any, program: Program) -> None:
    """An elementwise function of one value."""
    st, a = hypothesis_strategies(), _pick(draw, program)
    text, bound = draw(st.sampled_from(list({**SMOOTH, **KINKED}.items())))
    program.add(text.format(a.name), a.shape, bound(a.bound))


def _pair(draw: Any, program: Program) -> None:
    """An elementwise function of two values that broadcast."""
    st, a, b = hypothesis_strategies(), _pick(draw, program), _pick(draw, program)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return _one(draw, program)
    text, bound = draw(st.sampled_from(list(PAIRS.items())))
    if "mul_" in text and shape != a.shape:
        text = "{0} * {1}.tanh()"
    program.add(text.format(a.name, b.name), shape, bound(a.bound, b.bound))


def _along(draw: Any, program: Program) -> None:
    """Something along one dimension of a value."""
    st, a = hypothesis_strategies(), _pick(draw, program)
    if not a.shape:
        return _one(draw, program)
    dim = draw(st.integers(0, len(a.shape) - 1))
    name, bound = draw(st.sampled_from(list(REDUCTIONS.items())))
    n, shape, keep = a.shape[dim], a.shape, ""
    if name in ("sum", "mean", "amax", "logsumexp"):
        keepdim = draw(st.booleans())
        keep = f", keepdim={keepdim}"
        shape = a.shape[:dim] + ((1,) if keepdim else ()) + a.shape[dim + 1 :]
    where = f"({dim},)" if name == "flip" else f"{dim}"
    program.add(f"{a.name}.{name}({where}{keep})", shape, bound(a.bound, n))


def _reshape(draw: Any, program: Program) -> None:
    """The same elements, or some of them, in another shape."""
    st, a = hypothesis_strategies(), _pick(draw, program)
    n, last = len(a.shape), a.shape[-1] if a.shape else 1
    order = draw(st.permutations(range(n)))
    choices: list[tuple[str, Shape]] = [
        (".unsqueeze(0)", (1, *a.shape)),
        (".reshape(-1)", (math.prod(a.shape),)),
        (".expand(2, " + ", ".join(["-1"] * n) + ")", (2, *a.shape)),
    ]
    if n:
        choices += [
            (f".permute({tuple(order)})", tuple(a.shape[i] for i in order)),
            ("[..., -1:]", (*a.shape[:-1], 1)),
            ("[..., 0]", a.shape[:-1]),
            ("[..., ::2]", (*a.shape[:-1], (last + 1) // 2)),
            ("[..., [0, 0, -1]]", (*a.shape[:-1], 3)),
            (".roll(1, 0)", a.shape),
        ]
    if n >= 2:
        choices += [(".transpose(0, -1)", (last, *a.shape[1:-1], a.shape[0])), (".tril()", a.shape)]
    text, shape = draw(st.sampled_from(choices))
    if len(shape) > 4 or math.prod(shape) > 64:
        return _one(draw, program)
    program.add(a.name + text, shape, a.bound)


def _join(draw: Any, program: Program) -> None:
    """cat, stack or a matrix product of two values."""
    st, a, b = hypothesis_strategies(), _pick(draw, program), _pick(draw, program)
    if len(a.shape) == 2 and len(b.shape) == 2 and a.shape[1] == b.shape[1]:
        bound = a.bound * b.bound * a.shape[1]
        return program.add(f"{a.name} @ {b.name}.mT", (a.shape[0], b.shape[0]), bound)
    if a.shape != b.shape:
        b = a
    if a.shape and draw(st.booleans()):
        shape, text = (2 * a.shape[0], *a.shape[1:]), "cat"
    else:
        shape, text = (2, *a.shape), "stack"
    if len(shape) > 4 or math.prod(shape) > 64:
        return _one(draw, program)
    program.add(f"{text}([{a.name}, {b.name}], 0)", shape, max(a.bound, b.bound))


def _pick(draw: Any, program: Program) -> Value:
    """One of the values so far, most often a young one: chains are deep, and values are reused."""
    st, n = hypothesis_strategies(), len(program.values)
    young: int = max(draw(st.integers(0, n - 1)), draw(st.integers(0, n - 1)))
    return program.values[young]


@_composite
def programs(draw: Any, max_inputs: int = 3, max_ops: int = 10, dtype: Any = float32) -> Program:
    """Programs of up to `max_ops` ops on up to `max_inputs` inputs of related shapes.

    Values stay within a few units whatever is drawn, so that float64 central differences are exact
    to many digits; kinks are met with probability 0.
    """
    st = hypothesis_strategies()
    base = draw(st.lists(st.integers(1, 3), max_size=3).map(tuple))
    program = Program()
    for i in range(draw(st.integers(1, max_inputs))):
        shape = base[draw(st.integers(0, len(base))) :] if i else base
        values = sample(shape, draw(st.integers(0, 2**16))).astype(dtype)
        layout = draw(st.sampled_from([name for name in LAYOUTS if name != "broadcast"]))
        program.inputs.append(wrap(lay_out(values, layout)))
        program.values.append(Value("abc"[i] if i < 3 else f"x{i}", shape, 2.0))
    for _ in range(draw(st.integers(1, max_ops))):
        draw(st.sampled_from([_one, _pair, _pair, _along, _reshape, _join]))(draw, program)
    return program
