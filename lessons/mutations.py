"""The ways in which a line of a lesson can be wrong: its syntax tree with one thing altered.

Signs, factors and exponents; operands and terms left out; min for max, < for >. Only what a check
can notice is altered: statements that a check of their cell depends on, and of these neither texts,
settings (seeds, sizes, tolerances, colours), pictures nor the random inputs of an identity.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeGuard

__all__ = ["Mutant", "mutants"]

CHECKS = ("check.equal", "check.mean", "check.at_most", "check.claim")
DRAWS = {  # what draws, prints or only says
    "print", "plot", "hist", "scatter", "imshow", "contour", "contourf", "bar", "fill_between",
    "set", "legend", "axhline", "axvline", "annotate", "text", "suptitle", "colorbar", "errorbar",
    "loglog", "semilogy", "semilogx", "step", "quiver", "set_title", "tight_layout", "subplots",
}  # fmt: skip
SETS = {  # whose arguments are seeds, sizes, grids and random inputs
    "default_rng", "manual_seed", "Generator", "range", "arange", "linspace", "geomspace", "zeros",
    "ones", "empty", "eye", "randn", "rand", "randint", "randperm", "normal", "standard_normal",
    "uniform", "integers", "choice", "permutation", "shuffle", "dirichlet", "exponential", "random",
    "multivariate_normal", "reshape", "seed", "gamma", "binomial", "poisson", "meshgrid",
}  # fmt: skip
RANDOM = {
    "randn", "rand", "normal", "standard_normal", "uniform", "dirichlet", "exponential", "random",
}  # fmt: skip
SETTINGS = {
    "tol", "slack", "sigmas", "what", "seed", "size", "shape", "dtype", "axis", "dim", "lr",
    "alpha", "color", "lw", "label", "figsize", "dpi", "fontsize", "steps", "generator",
    "keepdims", "bins",
}  # fmt: skip
OTHER = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE,
}  # fmt: skip
EXTREMES = {"min": "max", "minimum": "maximum", "argmin": "argmax", "amin": "amax", "fmin": "fmax"}
EXTREMES |= {new: old for old, new in EXTREMES.items()}


@dataclass(frozen=True)
class Mutant:
    """One statement of a cell, altered."""

    cell: int  # the number of the code cell
    statement: int  # its place in the cell
    line: str  # the line that is altered, as it stands
    change: str  # "a + b -> a - b"
    claim: bool  # is a claim the next check, or an equation?
    code: ast.stmt


def mutants(code: str, cell: int) -> list[Mutant]:
    """All mutants of a cell; none where it holds no check."""
    body, lines = ast.parse(code).body, code.splitlines()
    found: dict[tuple[int, str, str], Mutant] = {}
    for index, claim in sorted(_guarded(body).items()):
        for path, old, new in _alterations(body[index]):
            line = lines[getattr(old, "lineno", body[index].lineno) - 1].strip()
            change = f"{_said(old)} -> {_said(new)}"
            altered = _replaced(body[index], path, new)
            found[index, line, change] = Mutant(cell, index, line, change, claim, altered)
    return list(found.values())


def _said(node: ast.AST) -> str:
    return re.sub(r"\s+", " ", ast.unparse(node))


def _guarded(body: list[ast.stmt]) -> dict[int, bool]:
    """The statements that a check further down depends on; True where the next one is a claim."""
    needed: set[str] = set()
    found: dict[int, bool] = {}
    claim = False
    for index in range(len(body) - 1, -1, -1):
        statement = body[index]
        called = [_name(n.func) for n in ast.walk(statement) if isinstance(n, ast.Call)]
        checks = [name for name in called if name in CHECKS]
        asserts = any(isinstance(node, ast.Assert) for node in ast.walk(statement))
        loaded, stored = _names(statement)
        if checks:
            claim = checks[0] == "check.claim"
        elif not asserts and not (needed & (loaded if isinstance(statement, ast.Expr) else stored)):
            continue
        found[index] = claim
        needed |= loaded
    return found


def _names(statement: ast.stmt) -> tuple[set[str], set[str]]:
    """What a statement reads, and what it changes: also `x[0] = 1`, `w.data = y`, `def f`."""
    loaded, stored = set(), set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name):
            (loaded if isinstance(node.ctx, ast.Load) else stored).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            stored.add(node.name)
        elif isinstance(node, (ast.Subscript, ast.Attribute)) and isinstance(node.ctx, ast.Store):
            stored |= {n.id for n in ast.walk(node.value) if isinstance(n, ast.Name)}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            root = node.func.value  # found.append(x), optimizer.step()
            stored |= {root.id} if isinstance(root, ast.Name) else set()
    return loaded, stored


def _name(function: ast.expr) -> str:
    return ast.unparse(function) if isinstance(function, (ast.Name, ast.Attribute)) else ""


Path = tuple[tuple[str, int | None], ...]


def _alterations(
    node: ast.AST, parent: ast.AST | None = None, path: Path = ()
) -> Iterator[tuple[Path, ast.AST, ast.AST]]:
    """Where in a statement what may be replaced by what; nothing in what is not of substance."""
    if _setting(node):
        return
    for new in _changes(node, parent):
        yield path, node, new
    for field, value in ast.iter_fields(node):
        if field in _left_out(node):
            continue
        children = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, child in children:
            if isinstance(child, ast.AST) and not (_checks(node) and field == "args" and not index):
                yield from _alterations(child, node, (*path, (field, index)))


def _setting(node: ast.AST) -> bool:
    """Texts, sizes, seeds, colours, pictures, random inputs."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        return name.rpartition(".")[2] in DRAWS | SETS or name.startswith(("plt.", "figures."))
    if isinstance(node, ast.keyword):
        return node.arg in SETTINGS
    return isinstance(node, (ast.JoinedStr, ast.Import, ast.ImportFrom)) or _random(node)


def _random(node: ast.AST) -> bool:
    """A random draw, moved and scaled: the input of a check, not a side of it."""
    if isinstance(node, ast.BinOp):
        return _random(node.left) or _random(node.right)
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in RANDOM


def _left_out(node: ast.AST) -> tuple[str, ...]:
    if isinstance(node, ast.Subscript):
        return ("slice",)
    return ("args", "decorator_list") if isinstance(node, (ast.FunctionDef, ast.Lambda)) else ()


def _checks(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Call) and _name(node.func) in CHECKS


def _replaced(statement: ast.stmt, path: Path, new: ast.AST) -> ast.stmt:
    tree = copy.deepcopy(statement)
    if not path:
        placed = ast.fix_missing_locations(ast.copy_location(new, statement))
        return placed  # type: ignore[return-value]
    spot: ast.AST = tree
    for field, index in path[:-1]:
        spot = getattr(spot, field) if index is None else getattr(spot, field)[index]
    field, index = path[-1]
    if index is None:
        setattr(spot, field, new)
    else:
        getattr(spot, field)[index] = new
    return ast.fix_missing_locations(tree)


def _changes(node: ast.AST, parent: ast.AST | None) -> Iterator[ast.AST]:
    """What might stand there by mistake."""
    if isinstance(node, ast.BinOp):
        yield from _sums_and_products(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        if isinstance(parent, ast.BinOp) or not isinstance(node.operand, ast.Constant):
            yield node.operand
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in OTHER:
        yield ast.Compare(node.left, [OTHER[type(node.ops[0])](), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.AugAssign) and type(node.op) in OTHER:
        yield ast.AugAssign(node.target, OTHER[type(node.op)](), node.value)
    elif isinstance(node, ast.Name) and node.id in EXTREMES:
        yield ast.Name(EXTREMES[node.id], node.ctx)
    elif isinstance(node, ast.Attribute) and node.attr in EXTREMES:
        yield ast.Attribute(node.value, EXTREMES[node.attr], node.ctx)
    negated = (
        isinstance(parent, ast.Assign) and isinstance(node, ast.BinOp)
        or isinstance(parent, ast.Return) and isinstance(node, (ast.BinOp, ast.Call))
        or _checks(parent) and isinstance(node, (ast.BinOp, ast.Call))
    )  # fmt: skip
    if negated:
        yield ast.UnaryOp(ast.USub(), node)


def _sums_and_products(node: ast.BinOp) -> Iterator[ast.expr]:
    """Another sign, an operand less, a factor doubled, an exponent more."""
    kind = type(node.op)
    if kind in OTHER:
        yield ast.BinOp(node.left, OTHER[kind](), node.right)
    if kind in (ast.Add, ast.Sub, ast.Mult):
        yield node.left
        yield ast.UnaryOp(ast.USub(), node.right) if kind is ast.Sub else node.right
    if kind is ast.Pow and _is_number(node.right):
        yield ast.BinOp(node.left, node.op, ast.Constant(node.right.value + 1))
    if kind in (ast.Mult, ast.Div):
        if _is_number(node.left):
            yield ast.BinOp(ast.Constant(2 * node.left.value), node.op, node.right)
        if _is_number(node.right):
            yield ast.BinOp(node.left, node.op, ast.Constant(2 * node.right.value))


def _is_number(node: ast.expr) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value != 0
