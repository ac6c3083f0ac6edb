"""No op's output shares memory with an input unless it is declared a view, and none is read-only.

Every op in the registry is caught at work in test_registry's rows, forward and backward, and called
again on what it got there. Functions that have nothing to do have a table of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from test_registry import CASES, inputs

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import Tensor
from tinygen.autograd import grad
from tinygen.ops import op as op_module
from tinygen.ops.op import REGISTRY, op
from tinygen.tensor import wrap
from tinygen.view import View

try:
    import torch
except ImportError:
    torch = None

VIEWS = {
    "reshape",
    "permute",
    "getitem",
    "broadcast_to",
    "diagonal",
}  # what is repeated is read-only, too
NO_ROW = set(REGISTRY) - set(CASES)  # comparisons, and constants by design
Call = tuple[tuple[Any, ...], dict[str, Any]]


def calls(name: str) -> list[Call]:
    """What the op was called with: by its row, and by the gradients of that row."""
    if name in NO_ROW:
        x = np.ones((1, 2))
        constants = {"dims": (0,), "keepdim": True} if name in ("all", "any") else {}
        x = x if name == "share" else x > 0
        return [((x, x)[: len(REGISTRY[name].spec.inputs)], constants)]
    spec, seen = REGISTRY[name].spec, []
    forward = spec.forward
    try:
        spec.forward = lambda *a, **k: (seen.append((a, k)), forward(*a, **k))[1]
        xs = [x.requires_grad_() for x in inputs(name)]
        squares = CASES[name][0](*xs).square().sum()
        gradients = grad(squares, xs, create_graph=True, allow_unused=True)
        tg.stack(
            [squares, *(g.square().sum() for g in gradients if g is not None)]
        ).sum().backward()
    finally:
        spec.forward = forward
    return seen[:40]


def small(array: Any) -> Any:
    """Its first element along each dimension: where there is one of each, an op has little to do"""
    is_array = isinstance(array, np.ndarray) and array.ndim and array.size
    return array[tuple(slice(0, 1) for _ in array.shape)] if is_array else array


def check(name: str, arrays: tuple[Any, ...], constants: dict[str, Any]) -> None:
    arrays = tuple(x.copy(order="K") if isinstance(x, np.ndarray) else x for x in arrays)
    tensors = [wrap(x) if isinstance(x, np.ndarray) else x for x in arrays]
    out = REGISTRY[name](*tensors, **constants)
    shares = [isinstance(x, np.ndarray) and np.may_share_memory(out._array, x) for x in arrays]
    assert not any(shares) or name in VIEWS, f"{name}: shares memory with its input"
    assert isinstance(out, View) == any(shares) or not out.numel(), f"{name}: not a View"
    assert out._array.flags.writeable or name == "broadcast_to", f"{name}: read-only"
    if isinstance(out, View):
        assert out._version is tensors[0]._version and out._base is tensors[0]


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_memory_of_every_op(name: str) -> None:
    assert REGISTRY[name].spec.view == (name in VIEWS)
    found = calls(name)
    assert found
    for arrays, constants in found:
        check(name, arrays, constants)
        with suppress(RuntimeError, IndexError, TypeError, ValueError):  # the constants do not fit
            check(name, tuple(map(small, arrays)), constants)


def test_an_op_that_returns_its_input_is_given_a_copy() -> None:
    lazy = {
        "itself": lambda x: x,
        "part": lambda x: x[:1],
        "strided": lambda x: np.lib.stride_tricks.as_strided(x, (2,), (0,)),
        "reversed": lambda x: x[::-1].T,
        "read-only": lambda x: np.broadcast_to(np.zeros(1), (3,)),
    }
    for forward in lazy.values():

        def lazily(x, *, forward=forward):
            return forward(x)

        made = op(lazily)
        try:
            for x in (np.ones((3,)), np.ones((4, 3))[1]):
                check("lazily", (x,), {})
        finally:
            REGISTRY.pop("lazily")
        assert made.spec.view is False


def test_this_notices_an_op_that_shares(monkeypatch: Any) -> None:
    monkeypatch.setattr(op_module, "_own", lambda array, arrays: array)
    with pytest.raises(AssertionError, match="flip: shares memory"):
        test_memory_of_every_op("flip")
    for name in ("pixel_shuffle by 1", "flip", "flip of one"):
        with pytest.raises(AssertionError):
            test_functions_with_little_to_do(name)


# --- functions that have little to do: (x, f, what comes out) -------------------------------------

IMAGE, MATRIX, ROW, ONE, NUMBER = (1, 1, 2, 2), (2, 3), (1, 3), (1,), ()
Row = tuple[tuple[int, ...], Callable[[Any, Any], Any], str]
LITTLE: dict[str, Row] = {
    # x, f(x, F), and what comes out: x "itself", a "view" of it, or a "copy"
    "einsum that permutes": (MATRIX, lambda x, F: _library(x).einsum("ij->ji", x), "view"),
    "einsum that does nothing": (MATRIX, lambda x, F: _library(x).einsum("ij", x), "view"),
    "einsum of one row": (ROW, lambda x, F: _library(x).einsum("ij->j", x), "view or copy"),
    "pixel_shuffle by 1": (IMAGE, lambda x, F: F.pixel_shuffle(x, 1), "copy"),
    "pixel_shuffle of 1 pixel": ((1, 4, 1, 1), lambda x, F: F.pixel_shuffle(x, 2), "copy"),
    "flip": (MATRIX, lambda x, F: x.flip(0), "copy"),
    "flip of one": (ONE, lambda x, F: x.flip(0), "copy"),
    "roll by 0": (MATRIX, lambda x, F: x.roll(0, 0), "copy"),
    "repeat once": (MATRIX, lambda x, F: x.repeat(1, 1), "copy"),
    "repeat one": (ONE, lambda x, F: x.repeat(3), "copy"),
    "repeat a number": (NUMBER, lambda x, F: x.repeat(2), "copy"),
    "repeat_interleave once": (MATRIX, lambda x, F: x.repeat_interleave(1, 0), "copy"),
    "repeat_interleave of one": (ONE, lambda x, F: x.repeat_interleave(2), "copy"),
    "prod of one": (ONE, lambda x, F: x.prod(), "copy"),
    "prod of a row": (ROW, lambda x, F: x.prod(0), "copy"),
    "prod of a number": (NUMBER, lambda x, F: x.prod(), "copy"),
    "cumprod of one": (ONE, lambda x, F: x.cumprod(0), "copy"),
    "cumprod of a number": (NUMBER, lambda x, F: x.cumprod(0), "copy"),
    "cumsum of a number": (NUMBER, lambda x, F: x.cumsum(0), "copy"),
    "sum of one": (ONE, lambda x, F: x.sum(), "copy"),
    "sum over nothing": (NUMBER, lambda x, F: x.sum(), "copy"),
    "max of a number": (NUMBER, lambda x, F: x.max(0)[0], "copy"),
    "sort of a number": (NUMBER, lambda x, F: x.sort()[0], "copy"),
    "pad by 0": (MATRIX, lambda x, F: F.pad(x, (0, 0)), "copy"),
    "pad by 0, reflect": (IMAGE, lambda x, F: F.pad(x, (0, 0, 0, 0), mode="reflect"), "copy"),
    "pad by 0, replicate": (IMAGE, lambda x, F: F.pad(x, (0, 0, 0, 0), mode="replicate"), "copy"),
    "cat of one": (MATRIX, lambda x, F: _library(x).cat([x]), "copy"),
    "stack of one": (MATRIX, lambda x, F: _library(x).stack([x]), "copy"),
    "interpolate by 1": (IMAGE, lambda x, F: F.interpolate(x, scale_factor=1), "copy"),
    "avg_pool2d of 1": (IMAGE, lambda x, F: F.avg_pool2d(x, 1), "copy"),
    "max_pool2d of 1": (IMAGE, lambda x, F: F.max_pool2d(x, 1), "copy"),
    "masked_fill of nothing": (MATRIX, lambda x, F: x.masked_fill(x > 9, 0.0), "copy"),
    "clone": (MATRIX, lambda x, F: x.clone(), "copy"),
    "power 1": (MATRIX, lambda x, F: x**1, "copy"),
    "index by a list": (MATRIX, lambda x, F: x[[0, 1]], "copy"),
    "index by a mask": (MATRIX, lambda x, F: x[x < 9], "copy"),
    "contiguous": (MATRIX, lambda x, F: x.contiguous(), "itself"),
    "contiguous of a transpose": (MATRIX, lambda x, F: x.T.contiguous(), "copy"),
    "to the same": (MATRIX, lambda x, F: x.to(x.dtype), "itself"),
    "to a copy": (MATRIX, lambda x, F: x.to(x.dtype, copy=True), "copy"),
    "reshape": (MATRIX, lambda x, F: x.reshape(2, 3), "view"),
    "reshape of a transpose": (MATRIX, lambda x, F: x.T.reshape(-1), "copy"),
    "flatten a number": (NUMBER, lambda x, F: x.flatten(), "view"),
    "squeeze": (MATRIX, lambda x, F: x.squeeze(), "view"),
    "t of a row": (ONE, lambda x, F: x.t(), "view"),
    "expand": (MATRIX, lambda x, F: x.expand(2, 3), "view"),
    "index of integers": (MATRIX, lambda x, F: x[0, 0], "view"),
    "index by nothing": (NUMBER, lambda x, F: x[()], "view"),
    "unbind": (MATRIX, lambda x, F: x.unbind()[0], "view"),
    "the first of all": (ONE, lambda x, F: next(iter(x)), "view"),
    "detach": (MATRIX, lambda x, F: x.detach(), "shared"),
}  # fmt: skip


def _library(x: Any) -> Any:
    return tg if isinstance(x, Tensor) else torch


@pytest.mark.parametrize("name", LITTLE)
def test_functions_with_little_to_do(name: str) -> None:
    shape, f, kind = LITTLE[name]
    x = tg.ones(*shape, requires_grad=True) * 1
    out = f(x, F)
    shares = np.may_share_memory(out._array, x._array)
    is_view = isinstance(out, View) and out._base is x
    assert out._array.flags.writeable
    assert shares == (kind in ("view", "itself", "shared")) or "or" in kind
    assert is_view == (kind == "view") or "or" in kind
    assert (out is x) == (kind == "itself")
    assert (out._version is x._version) == shares
    if torch is not None and "or" not in kind:
        theirs = torch.ones(shape, requires_grad=True) * 1
        out = f(theirs, torch.nn.functional)
        same = out.untyped_storage().data_ptr() == theirs.untyped_storage().data_ptr()
        assert same == shares and (out is theirs) == (kind == "itself")
