"""Matrix products: matmul, linear and einsum, and what follows from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import threads
from ..backend import Array
from ..tensor import Tensor
from .half import through_float32
from .op import broadcast_to, cast, op, sum_to
from .shapes import permute, reshape, squeeze, unsqueeze

__all__ = ["addmm", "bmm", "dot", "einsum", "linear", "matmul", "mm", "mv", "outer"]
METHODS = {*__all__} - {"einsum", "linear"}
IN_PLACE = {"addmm"}
OPERATORS = {"__matmul__": "matmul"}


def _check_product(name: str, x: Tensor, y: Tensor, fits: bool) -> None:
    for operand in (x, y):
        if not isinstance(operand, Tensor):
            raise TypeError(f"{name}: expected Tensors, got {type(operand).__name__}")
    if x.dtype != y.dtype:
        raise RuntimeError(
            f"{name}: expected both to have the same dtype, but got {x.dtype} and {y.dtype}; "
            "convert one with .to(dtype)"
        )
    if not fits:
        raise RuntimeError(f"{name}: shapes {x.shape} and {y.shape} cannot be multiplied")


@op
def _matmul(x: Array, y: Array) -> Array:
    return threads.matmul(x, y)


_matmul.vjp(
    lambda g, y, x_shape: unbroadcast(_matmul(g, y.mT), x_shape),
    lambda g, x, y_shape: unbroadcast(_matmul(x.mT, g), y_shape),
)


def unbroadcast(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    return x if x.shape == shape else sum_to(x, shape=shape)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product over the last two dimensions, broadcast over the others; 1-D as in PyTorch.

    (..., n, m) @ (..., m, p) -> (..., n, p); a vector is a row on the left, a column on the right.
    RuntimeError where sizes or dtypes differ.

    >>> tg.ones(2, 3) @ tg.ones(3), (tg.ones(5, 2, 3) @ tg.ones(3, 4)).shape
    (tensor([3., 3.]), (5, 2, 4))
    """
    x, y = input, other
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        a, b = x._array, y._array
        if a.ndim == 2 == b.ndim and a.shape[1] == b.shape[0] and a.dtype is b.dtype:
            return _matmul(x, y)  # two matrices, the common case
    shapes_fit = (
        isinstance(x, Tensor) and isinstance(y, Tensor) and x.ndim > 0 and y.ndim > 0
        and x.shape[-1] == y.shape[-2 if y.ndim > 1 else -1]
    )  # fmt: skip
    _check_product("matmul", x, y, shapes_fit)
    if y.ndim == 1:
        product = matmul(x, unsqueeze(y, 1))
        return squeeze(product, -1)
    if x.ndim == 1:
        return squeeze(matmul(unsqueeze(x, 0), y), -2)
    if x.ndim > 2 and y.ndim == 2:  # one large product instead of a batch of small ones
        rows = (
            reshape(x, (-1, x.shape[-1]))
            if x.numel()
            else reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))
        )
        return reshape(_matmul(rows, y), (*x.shape[:-1], y.shape[-1]))
    return _matmul(x, y)


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Product of two matrices: (n, m) and (m, p) -> (n, p); nothing broadcasts."""
    x, y = input, mat2
    _check_product("mm", x, y, x.ndim == y.ndim == 2 and x.shape[1] == y.shape[0])
    return _matmul(x, y)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of two batches of matrices: (B, n, m) and (B, m, p) -> (B, n, p)."""
    x, y = input, mat2
    fits = x.ndim == y.ndim == 3 and x.shape[0] == y.shape[0] and x.shape[2] == y.shape[1]
    _check_product("bmm", x, y, fits)
    return _matmul(x, y)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Matrix times vector: (n, m) and (m) -> (n)."""
    x, y = input, vec
    _check_product("mv", x, y, x.ndim == 2 and y.ndim == 1 and x.shape[1] == y.shape[0])
    return matmul(x, y)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """sum_i x_i y_i of two vectors of one size: a 0-d tensor."""
    x, y = input, tensor
    _check_product("dot", x, y, x.ndim == y.ndim == 1 and x.shape == y.shape)
    return matmul(x, y)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """x_i y_j of two vectors: (n) and (m) -> (n, m)."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(
            f"outer: expected two vectors, got shapes {input.shape} and {vec2.shape}"
        )
    return unsqueeze(input, 1) * unsqueeze(vec2, 0)


@through_float32
def addmm(
    input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1.0, alpha: float = 1.0
) -> Tensor:
    """beta input + alpha mat1 mat2: (n, m) and (m, p) -> (n, p), to which input broadcasts."""
    product = mm(mat1, mat2)
    return (input if beta == 1 else input * beta) + (product if alpha == 1 else product * alpha)


@op
def _linear(x: Array, weight: Array, bias: Array) -> Array:
    out = threads.matmul(x, weight.T)
    out += bias
    return out


_linear.vjp(
    lambda g, weight: _matmul(g, weight),
    lambda g, x: _matmul(g.mT, x),
    lambda g, bias_shape: sum_to(g, shape=bias_shape),
)


@through_float32
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input W^T + b: (..., in), (out, in), (out,) -> (..., out).

    >>> tg.linear(tg.tensor([1.0, 2.0]), tg.tensor([[1.0, 10.0]]), tg.tensor([0.5]))
    tensor([21.5])
    """
    fits = isinstance(input, Tensor) and input.ndim > 0 and weight.ndim == 2
    _check_product("linear", input, weight, fits and input.shape[-1] == weight.shape[1])
    if bias is None:
        return matmul(input, weight.mT)
    _check_product("linear (bias)", weight, bias, bias.shape == weight.shape[:1])
    if input.ndim == 2:
        return _linear(input, weight, bias)
    rows = reshape(input, (math.prod(input.shape[:-1]), input.shape[-1]))
    return reshape(_linear(rows, weight, bias), (*input.shape[:-1], weight.shape[0]))


# --- einsum ---------------------------------------------------------------------------------


@through_float32
@op
def _einsum(*xs: Array, inputs: tuple[str, ...], output: str) -> Array:
    equation = f"{','.join(inputs)}->{output}"
    return np.einsum(equation, *xs, optimize=len(xs) > 1)


def _einsum_vjp(
    g: Tensor, i: int, xs: tuple[Tensor, ...], inputs: tuple[str, ...], output: str
) -> Tensor:
    """Swap the output with input i; a letter that only input i has was summed: stretch it back."""
    others = [k for k in range(len(xs)) if k != i]
    given = set(output).union(*(inputs[k] for k in others))
    found = "".join(c for c in inputs[i] if c in given)
    operands, letters = [g, *(xs[k] for k in others)], (output, *(inputs[k] for k in others))
    pulled = _einsum(*operands, inputs=letters, output=found)
    kept = tuple(n if c in given else 1 for c, n in zip(inputs[i], xs[i].shape, strict=True))
    return broadcast_to(reshape(pulled, kept), shape=xs[i].shape)


_einsum.vjp(_einsum_vjp)


def einsum(equation: str, *operands: Any) -> Tensor:
    """Einstein summation: letters that the output lacks are summed, dimensions of size 1 stretch.

    Repeated letters (diagonals) and `...` are allowed; without "->" the output is the letters that
    occur once, in alphabetical order.

    >>> x, y = tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 10.0])
    >>> tg.einsum("ij,j->i", x, y), tg.einsum("ii", x)
    (tensor([21., 43.]), tensor(5.))
    """
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    left, arrow, output = equation.replace(" ", "").partition("->")
    inputs = left.split(",")
    if len(inputs) != len(operands):
        raise RuntimeError(f"einsum: {equation!r} has {len(inputs)} operands, got {len(operands)}")
    if "..." in equation:
        inputs, output = _spell_out_ellipsis(inputs, output, operands, bool(arrow))
    elif not arrow:
        output = "".join(sorted(c for c in set(left) - {","} if left.count(c) == 1))
    _check_einsum(equation, inputs, output, operands)
    operands = _stretched(inputs, operands)
    if len(operands) == 1 and operands[0].dtype.kind != "f" and not set(inputs[0]) <= set(output):
        operands = (cast(operands[0], dtype=np.dtype(np.int64)),)  # as sum does
    xs, letters = [], []
    for x, part in zip(operands, inputs, strict=True):
        x, part = _diagonals(x, part)
        xs.append(x)
        letters.append(part)
    if len(xs) == 1 and len(output) == len(letters[0]):
        return permute(xs[0], [letters[0].index(c) for c in output])
    return _einsum(*xs, inputs=tuple(letters), output=output)


def _spell_out_ellipsis(
    inputs: list[str], output: str, operands: tuple[Tensor, ...], explicit: bool
) -> tuple[list[str], str]:
    """Name the dimensions behind `...` by capital letters that the equation does not use."""
    spare = [c for c in "ZYXWVUTSRQPONMLKJIHGFEDCBA" if c not in "".join(inputs) + output]
    hidden = [
        x.ndim - len(part.replace("...", "")) if "..." in part else 0
        for part, x in zip(inputs, operands, strict=True)
    ]
    names = "".join(spare[: max(hidden)])
    full = [p.replace("...", names[len(names) - k :]) for p, k in zip(inputs, hidden, strict=True)]
    if not explicit:
        letters = "".join(inputs).replace(".", "")
        output = "..." + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    return full, output.replace("...", names)


def _check_einsum(
    equation: str, inputs: list[str], output: str, operands: tuple[Tensor, ...]
) -> None:
    sizes: dict[str, int] = {}
    for part, x in zip(inputs, operands, strict=True):
        if len(part) != x.ndim:
            raise RuntimeError(f"einsum: {part!r} in {equation!r} does not name shape {x.shape}")
        for c, n in zip(part, x.shape, strict=True):
            if sizes.setdefault(c, n) == 1:
                sizes[c] = n
            if n not in (1, sizes[c]):
                raise RuntimeError(
                    f"einsum: {c!r} in {equation!r} stands for both {sizes[c]} and {n}"
                )
    if not set(output) <= set(sizes) or len(set(output)) != len(output):
        raise RuntimeError(f"einsum: the output {output!r} of {equation!r} must name each input "
                           "letter at most once")  # fmt: skip


def _stretched(inputs: list[str], operands: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The operands with their size-1 dimensions repeated to the size that the letter has."""
    named = [pair for p, x in zip(inputs, operands, strict=True) for pair in zip(p, x.shape)]
    sizes = dict(named) | {c: n for c, n in named if n != 1}
    shapes = [tuple(sizes[c] for c in part) for part in inputs]
    return tuple(
        x if x.shape == shape else broadcast_to(x, shape=shape)
        for x, shape in zip(operands, shapes, strict=True)
    )


def _diagonals(x: Tensor, part: str) -> tuple[Tensor, str]:
    """Take the diagonal where one operand repeats a letter, as in ii."""
    for c in dict.fromkeys(part):
        while part.count(c) > 1:
            a, b = (i for i, d in enumerate(part) if d == c) if part.count(c) == 2 else (
                part.index(c), part.index(c, part.index(c) + 1))  # fmt: skip
            rest = [i for i in range(len(part)) if i not in (a, b)]
            n = np.arange(x.shape[a])
            x = permute(x, (a, b, *rest))[n, n]
            part = c + "".join(part[i] for i in rest)
    return x, part
