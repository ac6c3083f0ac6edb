"""Reverse, rotate, pad, cut: ops that move elements within a shape, or into a larger one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import Array, module_of
from ..tensor import Tensor, wrap
from .op import op
from .shapes import Shape, clone, ints, position, reshape

__all__ = ["flip", "pad", "roll", "tril", "triu"]
METHODS = {*__all__} - {"pad"}
IN_PLACE = {"tril", "triu"}


@op
def _flip(x: Array, *, axes: Shape) -> Array:
    return np.flip(x, axes)


_flip.vjp(lambda g, axes: _flip(g, axes=axes))


def flip(input: Tensor, dims: Any = (), *more: int) -> Tensor:
    """Reverse the order along the given dimensions; a copy, as in PyTorch."""
    return _flip(input, axes=tuple(position("flip", d, input.ndim) for d in ints(dims, more)))


@op
def _roll(x: Array, *, shifts: Shape, axes: Shape) -> Array:
    return np.roll(x, shifts, axes)


_roll.vjp(lambda g, shifts, axes: _roll(g, shifts=tuple(-s for s in shifts), axes=axes))


def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Shift along dimensions; what falls off comes in at the other end. No dims: flattened.

    >>> tg.arange(4).roll(1)
    tensor([3, 0, 1, 2])
    """
    if dims is None:
        return reshape(roll(reshape(input, -1), shifts, 0), input.shape)
    by, along = ints(shifts), ints(dims)
    if len(by) != len(along):
        raise RuntimeError(f"roll: {len(by)} shifts for {len(along)} dims")
    return _roll(input, shifts=by, axes=tuple(position("roll", d, input.ndim) for d in along))


@op
def _pad(x: Array, *, widths: tuple[tuple[int, int], ...], value: float) -> Array:
    shape = tuple(n + a + b for n, (a, b) in zip(x.shape, widths, strict=True))
    out = np.zeros_like(x, shape=shape) if value == 0 else np.full_like(x, value, shape=shape)
    out[tuple(slice(a, a + n) for n, (a, _) in zip(x.shape, widths, strict=True))] = x
    return out


_pad.vjp(
    lambda g, x_shape, widths: g[
        tuple(slice(a, a + n) for n, (a, _) in zip(x_shape, widths, strict=True))
    ]
)


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:  # noqa: A002
    """Pad the last len(pad) / 2 dimensions; `pad` is (before, after) of the last one first.

    mode: "constant" (negative widths crop), "reflect" (the edge is not repeated), "replicate",
    "circular". Any dimensions in each mode, where PyTorch has limits.

    >>> tg.pad(tg.tensor([1, 2, 3]), (2, 1), mode="reflect")
    tensor([3, 2, 1, 2, 3, 2])
    """
    x = input
    if len(pad) % 2 or len(pad) > 2 * x.ndim:
        raise RuntimeError(f"pad: {tuple(pad)} is not (before, after) pairs for shape {x.shape}")
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2)
    pairs += [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    if any(n + a + b < 0 for n, (a, b) in zip(x.shape, pairs, strict=True)):
        raise RuntimeError(f"pad: {tuple(pad)} makes a negative size out of shape {x.shape}")
    if mode == "constant":
        keep = tuple(
            slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, pairs, strict=True)
        )
        x = x[keep] if any(a < 0 or b < 0 for a, b in pairs) else x
        return _pad(x, widths=tuple((max(a, 0), max(b, 0)) for a, b in pairs), value=value)
    if mode not in ("reflect", "replicate", "circular"):
        raise ValueError(
            f"pad: mode must be constant, reflect, replicate or circular, got {mode!r}"
        )
    if not any(map(any, pairs)):
        return clone(x)
    for dim, (before, after) in enumerate(pairs):
        if before or after:
            x = x[(slice(None),) * dim + (_edge_index(x, dim, before, after, mode),)]
    return x


def _edge_index(x: Tensor, dim: int, before: int, after: int, mode: str) -> Tensor:
    """Which of the n elements stands at each of the positions -before .. n + after - 1."""
    n = x.shape[dim]
    if mode == "reflect" and max(before, after) >= n:
        raise RuntimeError(
            f"pad: reflection padding ({before}, {after}) must be less than size {n} of dim {dim}"
        )
    if mode == "circular" and max(before, after) > n:
        raise RuntimeError(
            f"pad: circular padding ({before}, {after}) must not exceed size {n} of dim {dim}"
        )
    at = np.arange(-before, n + after)
    if mode == "replicate":
        at = np.clip(at, 0, n - 1)
    else:
        at = at % n if mode == "circular" else (n - 1) - np.abs((n - 1) - np.abs(at))
    return wrap(module_of(x._array).asarray(at))


@op
def _tril(x: Array, *, diagonal: int) -> Array:
    return np.tril(x, diagonal)


_tril.vjp(lambda g, diagonal: _tril(g, diagonal=diagonal))


@op
def _triu(x: Array, *, diagonal: int) -> Array:
    return np.triu(x, diagonal)


_triu.vjp(lambda g, diagonal: _triu(g, diagonal=diagonal))


def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of each matrix (..., n, m): 0 where column - row > diagonal."""
    return _tril(_matrices("tril", input), diagonal=diagonal)


def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of each matrix (..., n, m): 0 where column - row < diagonal."""
    return _triu(_matrices("triu", input), diagonal=diagonal)


def _matrices(name: str, x: Tensor) -> Tensor:
    if x.ndim < 2:
        raise RuntimeError(f"{name}: expected at least 2 dimensions, got shape {x.shape}")
    return x
