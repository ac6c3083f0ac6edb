"""Changes in place: of a tensor's memory, of its version counter and of the tape.

A recorded change is `copy_slices`: from then on the base is what it was, with new values where its
view lies. h.mul_(w), h[1:].mul_(w) and h[mask] = w are all this one op; every other view of h is
recorded anew when it is next used (view.py). What cannot be right is refused, as PyTorch does.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import numpy as np

from ..backend import Array, is_numpy, move, settle
from ..tape import thread
from ..tensor import Tensor, wrap
from ..view import Steps, View, pass_on_retain, replay, steps_to
from .convert import to
from .elementwise import where
from .indexing import Index, _getitem, plain_index, repeats, steps_of
from .op import cast, op, record, sum_to
from .shapes import reshape

__all__ = ["assign", "copy_slices", "in_place", "setitem"]
METHODS: set[str] = set()
OPERATORS = {"__setitem__": "setitem"}

WHOLE = ...  # the index of all of a view


@op
def copy_slices(
    x: Array, value: Array, *, steps: Steps, index: Index, order: tuple[int, ...]
) -> Array:
    """x with `value` at `index` of its view `steps`; x's dimensions lie in memory by `order`."""
    out = np.empty_like(x, shape=[x.shape[d] for d in order], order="C")
    out = out.transpose(np.argsort(order).tolist())
    out[...] = x
    part = out
    for view, constants in steps:
        part = view.spec.forward(part, **constants)
    part[index] = value
    return out


copy_slices.vjp(
    lambda g, steps, index, order: copy_slices(g, 0.0, steps=steps, index=index, order=order),
    lambda g, value_shape, steps, index: _slice(g, value_shape, steps, index),
)


def _slice(g: Tensor, shape: tuple[int, ...], steps: Steps, index: Index) -> Tensor:
    """The gradient of values of this shape: g at the places that they were written to."""
    part = replay(g, steps)
    if index is not WHOLE:
        last = _last_writes(part._array, index) if repeats(index) else None
        part = _getitem(part, index=index)
        part = part if last is None else where(last, part, 0.0)
    summed = sum_to(part, shape=shape[max(len(shape) - part.ndim, 0) :])
    return summed if summed.shape == shape else reshape(summed, shape)  # ones in front


def _last_writes(array: Array, index: Index) -> Tensor:
    """Which values stay, and are not replaced by a later one of the same index."""
    at = np.zeros_like(array, dtype=np.int64)
    number = np.arange(at[index].size).reshape(at[index].shape)
    number = move(number, "cpu" if is_numpy(array) else "cuda")
    at[index] = number
    return wrap(at[index] == number)


def assign(x: Tensor, out: Tensor) -> Tensor:
    """The end of every in-place op: x takes over out's values and its place on the tape."""
    if out.shape != x.shape:
        raise RuntimeError(
            f"in-place: an output of shape {out.shape} does not fit the tensor of shape {x.shape}"
        )
    if out.dtype.kind == "f" and x.dtype.kind != "f":
        raise RuntimeError(f"in-place: result type {out.dtype} can't be cast to {x.dtype}")
    _refuse_overlap(x._array)
    recorded = thread.grad and (_matters(x) or out._requires_grad)
    if recorded:
        _refuse(x)
        out = out if out.dtype == x.dtype else cast(out, dtype=x.dtype)
    np.copyto(x._array, out._array, casting="same_kind")
    x._version[0] += 1
    if recorded and (isinstance(x, View) or out._node is None):
        _rewrite(x, out, [], WHOLE)
    elif recorded:
        before = x._node
        x._node, x._requires_grad = out._node, True
        pass_on_retain(before, x)
    return x


def _refuse_overlap(array: Array) -> None:
    repeated = 0 in array.strides and array.size
    if repeated and any(s == 0 and n > 1 for s, n in zip(array.strides, array.shape)):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location (expand repeats without a copy). Please clone() the tensor "
            "before performing the operation"
        )
    if array.__class__ is np.ndarray and not array.flags.writeable:
        raise RuntimeError(
            "in-place: the memory is read-only, as a NumPy array can be, or a part of what "
            "expand() repeats in a single memory location. Please clone() the tensor before"
        )


def _base(x: Tensor) -> Tensor:
    return x._base if isinstance(x, View) else x


def _matters(x: Tensor) -> bool:
    """Does a change of x change a gradient? A view made in no_grad mode does not say so itself."""
    return x._requires_grad or _base(x)._requires_grad


def _refuse(x: Tensor) -> None:
    """Raise where a recorded change of x cannot be put on the tape."""
    view = "view of a " if isinstance(x, View) else ""
    if _matters(x) and _base(x)._node is None:
        raise RuntimeError(
            f"a {view}leaf Variable that requires grad is being used in an in-place operation; use "
            "no_grad(), or the out-of-place operation"
        )
    if isinstance(x, View) and x._fixed:
        raise RuntimeError(f"a view is being modified by a recorded inplace operation: {x._fixed}")


def _rewrite(x: Tensor, value: Any, select: list[Index], index: Index) -> None:
    """Put on the tape that `value` has been written to x[select][index]."""
    base, wants = _base(x), isinstance(value, Tensor) and value._requires_grad
    before = base._node
    steps = [*steps_to(x), *((_getitem, {"index": part}) for part in select)]
    order = tuple(np.argsort(-np.abs(base._array.strides), kind="stable").tolist())
    constants = {"steps": steps, "index": index, "order": order}
    plan = copy_slices.spec.plan(0b100 + 0b10 * base._requires_grad + wants)
    assert plan is not None
    record(copy_slices.spec, plan, [base, value], constants, base)
    pass_on_retain(before, base)
    _ = x._node  # a view is recorded anew at once: what it retains is the gradient of what it is


def setitem(x: Tensor, index: Index, value: Any) -> None:
    """x[index] = value, in place; recorded when x or the value requires a gradient."""
    plain = plain_index(x, index)
    if x.is_cuda:
        settle()  # a write out of bounds cannot be taken back
    *select, index = steps_of(plain)
    value = to(value, x) if isinstance(value, Tensor) else value
    wants = isinstance(value, Tensor) and value._requires_grad
    recorded = thread.grad and (_matters(x) or wants)
    if recorded:
        _refuse(x)
    _refuse_overlap(x._array)
    if isinstance(value, Tensor):
        raw = value._array
    elif x.is_cuda and not isinstance(value, (bool, int, float)):
        raw = move(np.asarray(value, dtype=x.dtype), x.device)
    else:
        raw = value
    try:
        part = x._array[select[0]] if select else x._array
        part[index] = raw
    except (ValueError, IndexError) as error:
        raise type(error)(f"index assignment: {error}; the tensor has shape {x.shape}") from None
    x._version[0] += 1
    if recorded:
        _rewrite(x, value, select, index)


def _as_it_was(x: Tensor, others: tuple[Any, ...]) -> Tensor:
    """x before it changes: a copy on the same tape where a vjp may ask for the old values."""
    recorded = (isinstance(t, Tensor) and t._requires_grad for t in (x, *others))
    if not (thread.grad and any(recorded)):
        return x
    old = wrap(x._array.copy(order="K"))
    old._node, old._requires_grad = x._node, x._requires_grad
    return old


def in_place(function: Any) -> Any:
    """f(x, ...) as the method x.f_(...)."""

    @wraps(function, updated=())
    def method(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        old = _as_it_was(x, (*args, *kwargs.values()))
        args = tuple(old if arg is x else arg for arg in args)
        return assign(x, function(old, *args, **kwargs))

    method.__name__ = f"{function.__name__}_"
    method.__doc__ = f"{function.__name__} in place: written into x's own memory; returns x."
    return method
