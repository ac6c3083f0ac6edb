"""Function: an op of one's own by PyTorch's recipe, a static forward and a static backward.

    class Exp(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            out = x.exp()
            ctx.save_for_backward(out)
            return out

        @staticmethod
        def backward(ctx, g):
            (out,) = ctx.saved_tensors
            return g * out

    y = Exp.apply(x)

backward is made of Tensor ops, so it is differentiable itself. A call leaves one Node on the tape,
whose output is all outputs in a row when there are several.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any

from .backend import module_of
from .tape import Node, caller, no_grad, process, thread
from .tensor import Tensor, wrap
from .view import as_it_is

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class FunctionCtx:
    """What forward leaves for backward: Tensors by save_for_backward, anything as an attribute."""

    needs_input_grad: tuple[bool, ...] = ()  # for each argument: is its gradient wanted?
    saved_tensors: tuple[Any, ...] = ()  # in backward: what was saved
    constant: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs and outputs; changing one in place before backward is then an error.

        What forward computed on its way may be saved too, but counts as a constant.
        """
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """No gradient flows through these outputs."""
        self.constant = outputs

    def mark_dirty(self, *inputs: Tensor) -> None:
        """RuntimeError: forward must not change its inputs, but return new tensors."""
        raise RuntimeError("mark_dirty: forward must not change its inputs; return a new tensor")

    def set_materialize_grads(self, value: bool) -> None:
        """Has no effect: backward gets zeros for an output that was not used."""


class Function:
    """The base of ops that bring their own gradient; see above. Call them by apply().

    forward gets ctx and the arguments, and records nothing. backward gets ctx and a gradient for
    each output, and returns one for each argument: a Tensor, or None where there is none. Instead
    of forward(ctx, ...), there may be forward(...) and setup_context(ctx, inputs, output).

    >>> class Double(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return x * 2
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         return g * 2
    >>> x = tg.tensor(3.0, requires_grad=True)
    >>> Double.apply(x).backward()
    >>> x.grad
    tensor(2.)
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The outputs: a Tensor, or a tuple of Tensors and of other things."""
        raise NotImplementedError("Function: write a static forward(ctx, ...)")

    @staticmethod
    def backward(*args: Any, **kwargs: Any) -> Any:
        """The gradient for each argument of forward, from the gradient of each output."""
        raise NotImplementedError("Function: write a static backward(ctx, ...)")

    setup_context: Callable[..., None] | None = None

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """forward(ctx, *args), put on the tape if one of the arguments requires a gradient."""
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple(isinstance(x, Tensor) and x.requires_grad for x in args)
        with no_grad():
            if cls.setup_context is None:
                out = cls.forward(ctx, *args)
            else:
                out = cls.forward(*args)
                cls.setup_context(ctx, args, out)
        if isinstance(out, list):
            raise TypeError(
                f"{cls.__name__}.forward: return several outputs as a tuple, not a list"
            )
        if not (thread.grad and any(ctx.needs_input_grad)):
            return out
        outs = out if isinstance(out, tuple) else (out,)
        recorded = _record(cls, ctx, args, outs)
        return recorded if isinstance(out, tuple) else recorded[0]


class _Call:
    """One call of a Function: the op of the Node that it leaves."""

    shares = True  # one call of backward gives all gradients
    add_to = None

    def __init__(self, cls: type[Function], ctx: FunctionCtx, outs: tuple[Any, ...]) -> None:
        self.name, self.cls, self.ctx = cls.__name__, cls, ctx
        self.begins: list[int] = []  # where each output stands in the row; -1: it is constant
        self.like = [(o.shape, o.dtype) if isinstance(o, Tensor) else None for o in outs]
        size = 0
        for o in outs:
            constant = not isinstance(o, Tensor) or o.dtype.kind != "f" or _among(o, ctx.constant)
            self.begins.append(-1 if constant else size)
            size += 0 if constant else o.numel()

    def part(self, row: Tensor, k: int) -> Tensor | None:
        """The k-th output of a row of all that are not constant; the same of their gradients."""
        if self.like[k] is None:
            return None
        begin, (shape, dtype) = self.begins[k], self.like[k]  # type: ignore[misc]
        if begin < 0:
            return wrap(module_of(row._array).zeros(shape, dtype))
        if row.shape == shape:
            return row
        return row[begin : begin + math.prod(shape)].reshape(shape).to(dtype)

    def pull_back(self, i: int, g: Tensor, saved: dict[str, Any], parent: Any) -> Tensor:
        shared = saved["shared"]
        if not shared:
            shared["gradients"] = self.gradients(g, saved)
        pulled = shared["gradients"][i]
        if pulled is None:
            return wrap(module_of(g._array).zeros(parent.shape, parent.dtype))
        if not isinstance(pulled, Tensor):
            raise TypeError(
                f"{self.name}.backward: expected a Tensor or None for argument {i}, got "
                f"{type(pulled).__name__}"
            )
        return pulled.to(parent.dtype)

    def gradients(self, g: Tensor, saved: dict[str, Any]) -> tuple[Any, ...]:
        """What backward returns, one for each argument."""
        ctx = copy(self.ctx)
        ctx.saved_tensors = tuple(
            self.part(saved["out"], t) if isinstance(t, int) else t for t in saved["tensors"]
        )
        found = self.cls.backward(ctx, *(self.part(g, k) for k in range(len(self.like))))
        found = found if isinstance(found, tuple) else (found,)
        n = len(ctx.needs_input_grad)
        if len(found) < n or any(extra is not None for extra in found[n:]):
            raise RuntimeError(
                f"{self.name}.backward returned an incorrect number of gradients (expected {n}, "
                f"one for each argument of forward, got {len(found)})"
            )
        return found


def _among(x: Any, things: tuple[Any, ...]) -> bool:
    return any(x is thing for thing in things)


def _record(
    cls: type[Function], ctx: FunctionCtx, args: tuple[Any, ...], outs: tuple[Any, ...]
) -> tuple[Any, ...]:
    """The outputs with a Node, which holds what ctx has saved."""
    call = _Call(cls, ctx, outs)
    live = [k for k, begin in enumerate(call.begins) if begin >= 0]
    if not live:
        return outs
    row = _row([outs[k] for k in live], args)
    tensors, versions = [], []
    for i, t in enumerate(ctx.saved_tensors):
        known = next((k for k in live if outs[k] is t), None)  # an output, or its place in the row
        tensors.append(as_it_is(t) if known is None else known)
        if isinstance(t, Tensor):
            counter = t._version if known is None else row._version
            versions.append((f"saved_tensors[{i}]", counter, counter[0]))
    saved: dict[str, Any] = {"tensors": tuple(tensors)}
    if any(isinstance(t, int) for t in tensors):
        saved["out"] = row._array
    ctx.saved_tensors = ctx.constant = ()
    needs = zip(args, ctx.needs_input_grad, strict=True)
    parents = [(x._node or x) if need else None for x, need in needs]
    row._node, row._requires_grad = Node(call, parents, saved, versions, row._array), True
    if process.anomaly:
        row._node.place = caller()
    return tuple(call.part(row, k) if k in live else o for k, o in enumerate(outs))


def _row(outs: list[Tensor], args: tuple[Any, ...]) -> Tensor:
    """One output by itself, in memory that is no argument's; several one after the other."""
    if len(outs) > 1:
        arrays = [o._array.reshape(-1) for o in outs]
        return wrap(module_of(arrays[0]).concatenate(arrays))
    array = outs[0]._array
    borrowed = array.base is not None or _among(array, tuple(getattr(x, "_array", x) for x in args))
    return wrap(array.copy(order="K") if borrowed else array)


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator for a backward that is not made of Tensor ops: to differentiate it raises."""

    @wraps(backward)
    def once(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            found = backward(ctx, *grads)
        if not thread.grad:
            return found
        found = found if isinstance(found, tuple) else (found,)
        return tuple(g if g is None else _Once.apply(g.detach().requires_grad_()) for g in found)

    return once


class _Once(Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor) -> Tensor:
        return g

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )
