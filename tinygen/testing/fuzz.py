"""Random programs with views, changes in place, detach, no_grad and several backward calls.

    @given(fuzz_programs())
    def test_engine(program):
        check_program(program)          # tinygen against the slow reference
        check_program(program, torch)   # and against PyTorch

A program is a few lines of Python that mean the same in tinygen, in PyTorch and in the reference
(reference.py), and that hypothesis shrinks when one of them disagrees.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array
from ..tape import no_grad
from .reference import Slow, SlowTensor
from .strategies import Shape, _composite, hypothesis_strategies

__all__ = [
    "FuzzProgram", "KINDS", "KINKED", "LARGE", "Outcome", "SHAPES", "SMALLER", "TOLERANCE",
    "UNARY", "check_program", "fuzz_programs", "run_in", "run_line", "slow_names",
]  # fmt: skip

TOLERANCE = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 2e-3, np.dtype(np.float16): 6e-2}
LARGE = 6.0  # numbers beyond it are only made smaller


@dataclass
class FuzzProgram:
    """Leaves (name, values, requires_grad) and lines; special: NaN and inf among the values."""

    leaves: list[tuple[str, Array, bool]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    special: bool = False

    def __repr__(self) -> str:
        made = [
            f"{name} = tensor({values.tolist()}, dtype={values.dtype}, requires_grad={grad})"
            f"  # {values.shape}"
            for name, values, grad in self.leaves
        ]
        return "\n" + "\n".join(made + self.lines)


class Outcome:
    """What a program did in one library: every variable, every gradient, and where it stopped."""

    def __init__(self, lines: list[str], names: dict[str, Any]) -> None:
        self.names, self.line, self.error = names, len(lines), ""
        for i, line in enumerate(lines):
            self.error = run_line(line, names)
            if self.error:
                self.line = i
                break

    def numbers(self, name: str) -> Array:
        """The values of a variable, as a float64 array."""
        x = self.names[name]
        return x.numbers() if isinstance(x, SlowTensor) else _float64(x.detach())

    def grad(self, name: str) -> Array:
        """The gradient of a leaf, as a float64 array; zeros where there is none."""
        x = self.names[name]
        if isinstance(x, SlowTensor):
            return x.grad
        return _float64(x.grad) if x.grad is not None else np.zeros(x.shape)


def run_line(line: str, names: dict[str, Any]) -> str:
    """Execute it; the text of the RuntimeError with which it was refused, or ""."""
    try:
        with np.errstate(all="ignore"):
            exec(line, names)  # noqa: S102  (our own text)
    except (RuntimeError, NotImplementedError) as error:
        return str(error)
    return ""


def _float64(x: Any) -> Array:
    return np.asarray(x.numpy(), dtype=np.float64)


def run_in(program: FuzzProgram, library: Any) -> Outcome:
    """The program in tinygen or in PyTorch."""
    names = {name: getattr(library, name) for name in ("cat", "stack", "maximum", "no_grad")}
    for name, values, requires_grad in program.leaves:
        leaf = library.from_numpy(values.copy())
        names[name] = leaf.requires_grad_() if requires_grad else leaf
    return Outcome(program.lines, names)


def slow_names(program: FuzzProgram) -> tuple[dict[str, Any], Slow]:
    """The names that a program starts with in the reference."""
    world = Slow(sum(values.size for _, values, requires_grad in program.leaves if requires_grad))
    names: dict[str, Any] = {"no_grad": world.no_grad, "cat": world.cat, "stack": world.stack,
                             "maximum": world.maximum}  # fmt: skip
    for name, values, requires_grad in program.leaves:
        names[name] = world.leaf(values, requires_grad)
    return names, world


class _Tinygen:
    """What a program calls by name."""

    cat, stack, maximum, from_numpy = ops.cat, ops.stack, ops.maximum, ops.from_numpy
    no_grad = no_grad


def check_program(program: FuzzProgram, torch: Any = None) -> str:
    """Raise AssertionError where tinygen differs from the reference (and from PyTorch).

    Returns how it ended: "done", "refused" (so must it be) or, where tinygen cannot know better,
    "second time" or "modified by an inplace".
    """
    ours = run_in(program, _Tinygen)
    names, world = slow_names(program)
    slow = Outcome(program.lines[: ours.line], names)
    assert not slow.error, f"line {slow.line} should fail: {slow.error}{program}"
    _compare(program, ours, slow, "the reference")
    how = "done"
    if ours.error:
        last = program.lines[ours.line]
        refused = run_line(last, names)
        excuses = [words for words in world.excuses if "backward" in last and words in ours.error]
        assert refused or excuses, f"line {ours.line}: {ours.error}{program}"
        how = "refused" if refused else excuses[0]
    if torch is not None:
        theirs = run_in(program, torch)
        if not ours.error and not theirs.error:
            _compare(program, ours, theirs, "PyTorch")
        elif theirs.line > ours.line:
            expanded = "single memory" in ours.error  # we refuse also what is a part of it
            assert expanded or how != "refused", f"PyTorch does it: {ours.error}{program}"
            how += ", PyTorch does it"
    return how


def _compare(program: FuzzProgram, a: Outcome, b: Outcome, other: str) -> None:
    """Every variable that both have, whether it requires a gradient, and every gradient."""
    leaves = [name for name, _, _ in program.leaves]
    wanting = [name for name, _, requires_grad in program.leaves if requires_grad]
    temporaries = [line.split(" = ")[0].split()[-1] for line in program.lines if " = " in line]
    for name in dict.fromkeys([*leaves, *(t for t in temporaries if t.isidentifier())]):
        if name not in a.names or name not in b.names:
            continue
        x, y = a.names[name], b.names[name]
        assert tuple(x.shape) == tuple(y.shape), f"{name}: shape {x.shape} {y.shape}{program}"
        if isinstance(y, SlowTensor):
            assert x.requires_grad == y.requires_grad, f"{name}: requires_grad{program}"
        tolerance = max(TOLERANCE[v.dtype] for _, v, _ in program.leaves)
        tolerance = max(tolerance, TOLERANCE[np.dtype(x.dtype)])
        _close(a.numbers(name), b.numbers(name), tolerance, f"{name} against {other}{program}")
        if name in wanting and not program.special:
            _close(a.grad(name), b.grad(name), tolerance, f"{name}.grad against {other}{program}")


def _close(a: Array, b: Array, tolerance: float, where: str) -> None:
    finite = np.abs(b)[np.isfinite(b)]
    scale = 1.0 + float(finite.max(initial=0.0))
    same = np.isclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True)
    assert same.all(), f"{where}\nis {a.tolist()}\nnot {b.tolist()}"


# --- drawing a program ----------------------------------------------------------------------------

SHAPES: list[Shape] = [(3,), (2, 3), (2, 3), (4,), (2, 1, 3), (1, 3), (1,), (), (2, 0)]
KINDS = ["view"] * 5 + ["change"] * 6 + ["op"] * 5 + ["backward"] * 2
UNARY = ["tanh", "sin", "sigmoid", "square", "clone"]
KINKED = ["relu", "abs"]
SMALLER = ["tanh", "sin", "sigmoid"]


@_composite
def fuzz_programs(draw: Any, max_lines: int = 14) -> FuzzProgram:
    """Programs of up to `max_lines` lines on two or three leaves of one dtype.

    One in four is `special`: NaN, inf and ops with kinks, and no gradients.
    """
    st = hypothesis_strategies()
    special = draw(st.integers(0, 3)) == 3
    dtype = draw(
        st.sampled_from([np.float64, np.float64, np.float32] + [np.float16] * (not special))
    )
    base = draw(st.sampled_from([(3,), (2, 3), (2, 3), (4,), (2, 1, 3), (1, 3), (1,), (), (2, 0)]))
    program = FuzzProgram(special=special)
    for i in range(draw(st.integers(2, 3))):
        shape = base if i == 0 else base[draw(st.integers(0, len(base))) :]
        rng = np.random.default_rng(draw(st.integers(0, 2**10)))
        values = np.asarray(rng.uniform(-1.5, 1.5, shape)).astype(dtype)
        if special and values.size:
            odd = _pick(draw, [np.nan, np.inf, -np.inf, 0.0])
            values.reshape(-1)[int(rng.integers(values.size))] = odd
        wants = not special and bool(draw(st.integers(0, 3)))
        program.leaves.append(("abc"[i], values, wants))
    names, _ = slow_names(program)

    def add(line: str) -> bool:
        program.lines.append(line)
        return not run_line(line, names)

    add("t0 = a * 1.5")  # no leaf, so that it can be changed
    for _ in range(draw(st.integers(1, max_lines))):
        if not add(_line(draw, program, _variables(names))):
            if draw(st.integers(0, 9)) == 9:  # it ends with what must be refused
                return program
            program.lines.pop()
    for _ in range(2):
        add(_backward(draw, _variables(names)))
    return program


def _pick(draw: Any, choices: list[Any]) -> Any:
    """One of them; sampled_from() would look at every one first."""
    return choices[draw(hypothesis_strategies().integers(0, len(choices) - 1))]


def _variables(names: dict[str, Any]) -> dict[str, SlowTensor]:
    return {name: x for name, x in names.items() if isinstance(x, SlowTensor)}


def _backward(draw: Any, names: dict[str, SlowTensor]) -> str:
    """From a variable that requires a gradient, with a cotangent that is not all ones."""
    st = hypothesis_strategies()
    wanting = [name for name, x in names.items() if x.requires_grad]
    if not wanting:
        return "pass"
    name, retain = _pick(draw, wanting + wanting[-2:]), draw(st.booleans())
    return f"({name} * 1.3).sin().sum().backward(retain_graph={retain})"


def _line(draw: Any, program: FuzzProgram, names: dict[str, SlowTensor]) -> str:
    """One more line, for variables as they are now."""
    st = hypothesis_strategies()
    kind = _pick(draw, KINDS)
    name = _pick(draw, [*names, *list(names)[-3:]])
    x, fresh = names[name], f"t{len(program.lines)}"
    if kind == "backward":
        return _backward(draw, names)
    if kind == "view":
        line = f"{fresh} = {name}{_pick(draw, _views(x))}"
    elif kind == "change":
        if x.family.leaf and draw(st.integers(0, 7)):  # it would be refused
            name, x = "t0", names["t0"]
        line = _pick(draw, _changes(name, x, names))
    else:
        line = f"{fresh} = {_pick(draw, _ops(name, x, names, program.special))}"
    return f"with no_grad(): {line}" if draw(st.integers(0, 7)) == 7 else line


def _views(x: SlowTensor) -> list[str]:
    """What may be, or is, a view of x."""
    n, shape = x.ndim, x.shape
    found = [".unsqueeze(0)", ".detach()", "[...]", "[None]"]
    if x.storage.plain:
        found += [".reshape(-1)", ".flatten()", ".contiguous()", f".reshape{(1, *shape)}"]
    if n:
        found += [".squeeze()", "[..., ::2]", "[1:]", "[:1]", f".permute{tuple(range(n))[::-1]}"]
        found += [f".permute{(*range(1, n), 0)}"]
    if n and shape[0]:
        found += ["[0]", "[-1]", ".split(1, 0)[0]", ".unbind(0)[-1]"]
    if n == 2:
        found += [".T", "[:, 1:]"]
    if x.places.size:
        found += [f".expand{(2, *shape)}"]
        found += [str(list((0,) * n)).replace("[]", "[()]")]
    return found


def _changes(name: str, x: SlowTensor, names: dict[str, SlowTensor]) -> list[str]:
    """Changes of x in place."""
    large = np.abs(x.numbers()[np.isfinite(x.numbers())]).max(initial=0) > LARGE
    found = [f"{name}.{f}_()" for f in ("tanh", "sin", "sigmoid", "zero")]
    found += [f"{name}.fill_(0.7)", f"{name}.mul_(0.5)", f"{name}.add_(0.25)"]
    index = ["...", "..., :1", "1:", "0", "-1:", "..., ::2"] if x.ndim and x.shape[0] else ["..."]
    found += [f"{name}[{i}] = 0.3" for i in index]
    if x.ndim and x.shape[0] > 1:
        found += [f"{name}[[1, 0]] = 0.6"]
    for other, y in names.items():
        big = np.abs(y.numbers()[np.isfinite(y.numbers())]).max(initial=0) > LARGE
        if _fits(y.shape, x.shape):
            found += [f"{name}.copy_({other})"] * 2
            if y.dtype == x.dtype and not (large or big):
                found += [f"{name}.{f}_({other})" for f in ("add", "sub", "mul", "mul")]
        found += [f"{name}[{i}] = {other}" for i in index if _fits(y.shape, _picked(x, i))]
    return found


def _picked(x: SlowTensor, index: str) -> Shape:
    return tuple(eval(f"p[{index}]", {"p": x.places}).shape)  # noqa: S307  (our own text)


def _ops(name: str, x: SlowTensor, names: dict[str, SlowTensor], special: bool) -> list[str]:
    """Ops with an output of their own."""
    large = np.abs(x.numbers()[np.isfinite(x.numbers())]).max(initial=0) > LARGE
    if large:
        return [f"{name}.{f}()" for f in SMALLER]
    found = [f"{name}.{f}()" for f in UNARY + KINKED * special]
    found += [f"{name} * 0.5", f"1.5 + {name}", f"-{name}", f"{name}.double()"]
    if x.ndim:
        found += [f"{name}.{f}(0)" for f in ("sum", "cumsum", "cumprod", "flip")]
        found += [f"{name}.roll(1, 0)", f"{name}.repeat_interleave(1, 0)"]
        found += [f"{name}.repeat{(1,) * x.ndim}", f"cat([{name}, {name}], 0)"]
    if x.ndim and 0 not in x.shape:
        found += [f"{name}.{f}(-1)" for f in ("softmax", "logsumexp", "mean", "prod")]
        found += [f"{name}.amax(0)"] * special + [f"{name}[[0, -1, 0]]"]
    for other, y in names.items():
        if y.dtype == x.dtype and np.abs(y.numbers()).max(initial=0) <= LARGE:
            if _fits(x.shape, y.shape) or _fits(y.shape, x.shape):
                found += [f"{name} {f} {other}" for f in "+-*"]
                found += [f"maximum({name}, {other})"] * special
            if x.shape == y.shape:
                found += [f"stack([{name}, {other}], 0)"]
            if x.ndim == y.ndim == 2 and x.shape[1] == y.shape[0]:
                found += [f"{name} @ {other}"]
    return found


def _fits(small: Shape, large: Shape) -> bool:
    """Does `small` broadcast to `large`?"""
    tail = large[len(large) - len(small) :]
    return len(small) <= len(large) and all(n in (1, m) for n, m in zip(small, tail, strict=True))
