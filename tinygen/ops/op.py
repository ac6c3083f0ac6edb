"""What makes a function an op: `@op`, `@elementwise`, and the three ops that these two need.

An op is a forward on raw arrays and, beside it, one vjp for each of its inputs:

    @elementwise
    def mul(x: Array, y: Array) -> Array:
        "x * y"
        return np.multiply(x, y)

    mul.vjp(lambda g, y: g * y,
            lambda g, x: g * x)

Positional parameters are inputs; keyword-only parameters are constants. A vjp speaks Tensor, gets
the cotangent `g` and asks by name for what else it needs, and only that is kept until backward:

    out                    the output
    x, y, ...              an input, by its name
    x_shape, x_dtype       when that is enough, so that the array itself can go
    axis, keepdims, ...    a constant
    i                      which input this is, for an op that takes *inputs
    shared                 a dict for what the vjps of one call would else compute twice

A vjp may be None: no gradient flows to that input. An op that is constant by design says so with
`.vjp(None)`; one that was given no vjps refuses inputs that require a gradient.

Whoever calls the op sees PyTorch's names: x is `input` and y is `other`, so mul(input=a, other=b).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, cached_property
from inspect import Signature
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy import generic, ndarray

from ..backend import Array, DType, get_default_dtype
from ..tape import Node, caller, process, thread
from ..tensor import Tensor, wrap
from ..view import View, as_it_is, view_of
from . import on_gpu
from .explain import explain, refuse_nan
from .promotion import operand, result_type
from .signatures import bind, public_signature

__all__ = [
    "ElementwiseSpec", "Op", "Plan", "Spec", "broadcast_to", "cast", "elementwise", "floating",
    "op", "promote", "repeated", "sum_to", "view_op",
]  # fmt: skip

REGISTRY: dict[str, Op] = {}  # every op there is, by name; tests walk it
# Instead of the dtype that all inputs share:
NONE: DType = np.dtype("V")
MIXED: DType = np.dtype("O")


class Op(Protocol):
    """A decorated function: call it on Tensors, give it its vjps."""

    spec: Spec
    __name__: str

    def __call__(self, *inputs: Any, **constants: Any) -> Tensor: ...

    def vjp(self, *vjps: Callable[..., Tensor] | None) -> None: ...


class Plan(NamedTuple):
    """What a Node keeps, worked out once for each combination of inputs that require a gradient."""

    active: tuple[int, ...]  # the inputs that a gradient flows to
    inputs: tuple[tuple[str, int], ...]  # inputs kept whole: name and position
    others: tuple[tuple[str, Callable[..., Any]], ...]  # name and f(inputs, constants)
    out: bool  # is the output kept?


class Spec:
    """An op's forward, its vjps and, for each vjp, the names of what it asks for."""

    broadcasts = False
    view = False  # may its output share memory with its input?
    kernel: str | None = None  # the one of kernels/activations.cu that is the forward on a GPU
    add_to: Callable[..., None] | None = None  # of a part of x: adds its cotangent to x's gradient

    def __init__(self, forward: Callable[..., Array]) -> None:
        code = forward.__code__
        self.name = forward.__name__.strip("_")
        self.forward = forward
        self.inputs = code.co_varnames[: code.co_argcount]
        self.constants = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
        self.variadic = bool(code.co_flags & 0x04)  # has *inputs
        if self.variadic:
            self.inputs = (code.co_varnames[code.co_argcount + code.co_kwonlyargcount],)
        if {"out", "shared"} & {*self.inputs, *self.constants}:
            raise TypeError(
                f"{self.name}: `out` and `shared` are words of the vjps, not parameters"
            )
        self.vjps: list[tuple[Callable[..., Tensor] | None, tuple[str, ...]]] = []
        self.shares = False  # does a vjp ask for `shared`?
        self.known = {"out", "shared", *self.constants, *(("i",) if self.variadic else ())}
        for name in self.inputs:
            self.known |= {name, f"{name}_shape", f"{name}_dtype"}
        self.plan = cache(self._plan)
        self.__wrapped__ = forward

    @cached_property
    def __signature__(self) -> Signature:
        """What help() shows, by way of the op's __wrapped__; made when somebody asks."""
        numbers_too = self.broadcasts and len(self.inputs) > 1
        return public_signature(self.forward, "Operand" if numbers_too else "Tensor")

    def set_vjps(self, *vjps: Callable[..., Tensor] | None) -> None:
        if len(vjps) != len(self.inputs):
            raise TypeError(f"{self.name}: {len(self.inputs)} inputs but {len(vjps)} vjps")
        for vjp in vjps:
            names = vjp.__code__.co_varnames[: vjp.__code__.co_argcount] if vjp else ("g",)
            unknown = set(names[1:]) - self.known
            if names[0] != "g" or unknown:
                raise TypeError(
                    f"{self.name}: a vjp takes g and any of {sorted(self.known)}, not {names}"
                )
            self.vjps.append((vjp, names[1:]))
            self.shares |= "shared" in names
        self.plan.cache_clear()

    def _plan(self, flags: int) -> Plan | None:
        """What to keep when the inputs that require a gradient are `flags`; None: no Node."""
        needs = [bit == "1" for bit in bin(flags)[3:]]  # after 0b and the leading 1
        vjps = self.vjps * len(needs) if self.variadic else self.vjps
        active = [i for i, need in enumerate(needs) if need and (not vjps or vjps[i][0])]
        if not active:
            return None
        if not vjps:
            return Plan(tuple(active), (), (("", self._forgotten(active[0])),), False)
        names = dict.fromkeys(name for i in active for name in vjps[i][1])
        asked = [name for name in names if name not in ("i", "shared")]
        whole = () if self.variadic else self.inputs
        return Plan(
            tuple(active),
            tuple((name, whole.index(name)) for name in asked if name in whole),
            tuple((name, self._getter(name)) for name in asked if name not in (*whole, "out")),
            "out" in asked,
        )

    def _forgotten(self, i: int) -> Callable[..., Any]:
        """What a Node keeps of an op without vjps: nothing, for it is an error."""
        name = self.inputs[0 if self.variadic else i]

        def refuse(inputs: Sequence[Any], constants: dict[str, Any]) -> None:
            raise RuntimeError(
                f"{self.name}: it has no vjp, and the gradient for its input {name!r} would be "
                f"lost. Give it one with {self.name}.vjp(...); if it is constant by design, "
                ".vjp(None)"
            )

        return refuse

    def _getter(self, name: str) -> Callable[[Sequence[Any], dict[str, Any]], Any]:
        """How to get at a constant, an input's shape or dtype, or all of *inputs."""
        if name in self.constants:
            default = (self.forward.__kwdefaults__ or {}).get(name)
            return lambda inputs, constants: constants.get(name, default)
        if name in self.inputs:
            return lambda inputs, constants: tuple(map(as_it_is, inputs))
        base, field = name[:-6], name[-5:]  # x_shape, x_dtype
        if self.variadic:
            return lambda inputs, constants: tuple([getattr(x, field) for x in inputs])
        i = self.inputs.index(base)
        return lambda inputs, constants: getattr(inputs[i]._array, field)

    def pull_back(self, i: int, g: Tensor, saved: dict[str, Any], parent: Any) -> Tensor:
        vjp, names = self.vjps[0 if self.variadic else i]
        if self.variadic and "i" in names:
            saved = {**saved, "i": i}
        return vjp(g, *map(saved.__getitem__, names))  # type: ignore[misc]


class ElementwiseSpec(Spec):
    """An op that broadcasts: its vjps return gradients of the output's shape, summed here."""

    broadcasts = True

    def pull_back(self, i: int, g: Tensor, saved: dict[str, Any], parent: Any) -> Tensor:
        vjp, names = self.vjps[i]
        pulled = vjp(g, *map(saved.__getitem__, names))  # type: ignore[misc]
        shape = pulled._array.shape
        if shape != parent.shape and shape == g._array.shape:
            return sum_to(pulled, shape=parent.shape)
        return pulled


def record(
    spec: Spec, plan: Plan, inputs: Sequence[Any], constants: dict[str, Any], out: Tensor
) -> None:
    """Put `out` on the tape, with a Node that keeps what the plan says."""
    parents: list[Any] = [None] * len(inputs)
    for i in plan.active:
        x = inputs[i]
        parents[i] = x._node or x
    saved: dict[str, Any] = {}
    versions = []
    for name, i in plan.inputs:
        x = inputs[i]
        if x.__class__ is View:
            x = as_it_is(x)
        saved[name] = x
        if isinstance(x, Tensor):
            versions.append((name, x._version, x._version[0]))
    for name, get in plan.others:
        saved[name] = get(inputs, constants)
        if spec.variadic and name in spec.inputs:
            versions += [(name, x._version, x._version[0]) for x in inputs if isinstance(x, Tensor)]
    if plan.out:
        saved["out"] = out._array
        versions.append(("out", out._version, out._version[0]))
    node = Node(spec, parents, saved, versions, out._array)
    if process.anomaly:
        node.place = caller()
    if out.__class__ is View:
        out._made = node
    else:
        out._node, out._requires_grad = node, True


def _is_view(array: Array, x: Any) -> bool:
    """Is an op's result x's own memory, looked at in another way? NumPy keeps the owner as base."""
    base = array.base
    return array is x or (base is not None and (base is x or base is getattr(x, "base", None)))


def _own(array: Array, arrays: Sequence[Any]) -> Array:
    """An op's result, or a copy of it where it is memory of an input or cannot be written to."""
    borrowed = array.__class__ is ndarray and not array.flags.writeable
    strided = array.base is not None and not hasattr(array.base, "dtype")  # as_strided hides it
    for x in arrays:
        if _is_view(array, x) or (strided and np.may_share_memory(array, x)):
            borrowed = True
    return array.copy(order="K") if borrowed else array


def op(forward: Callable[..., Array]) -> Op:
    """Make a forward on arrays an op on Tensors. Give it its vjps with `.vjp(...)`.

    What comes out is its own memory: a forward that returns its input's gets a copy made of it.
    """
    return _make(Spec(forward))


def view_op(forward: Callable[..., Array]) -> Op:
    """An op of one input whose output is a View of it where they share memory, as in reshape."""
    return _make(Spec(forward), view=True)


def elementwise(forward: Callable[..., Array], floating: bool = False, promotes: bool = True) -> Op:
    """An op that broadcasts its inputs and promotes their dtypes as PyTorch does.

    floating=True: integers become the default floating dtype first, as in exp.
    promotes=False: the caller has seen to the dtypes, as in where(condition, x, y).
    """
    return _make(ElementwiseSpec(forward), promotes=promotes, floating=floating)


def floating(forward: Callable[..., Array]) -> Op:
    """An elementwise op with a real-valued result: integers are made floats first."""
    return elementwise(forward, floating=True)


def _make(spec: Spec, view: bool = False, promotes: bool = False, floating: bool = False) -> Op:
    """The function that runs for every op: unpack, compute, wrap and, if wanted, record."""
    spec.view, broadcasts = view, spec.broadcasts
    all_there = 1 << (0 if spec.variadic else len(spec.inputs))  # what flags are, at the least

    def call(*inputs: Any, **constants: Any) -> Tensor:
        arrays, flags, dtype = _unpack(inputs)
        if flags < all_there:  # some came by name
            inputs, constants = bind(spec.name, spec.__signature__, inputs, constants)
            arrays, flags, dtype = _unpack(inputs)
        if promotes and dtype.kind != "f":
            inputs = promote(spec.name, inputs, floating)  # type: ignore[assignment]
            arrays, flags, dtype = _unpack(inputs)
        try:
            if (
                broadcasts
                and arrays[0].__class__ is not ndarray
                and arrays[-1].__class__ is not ndarray
            ):
                array = on_gpu.compute(spec, arrays, constants)
            else:
                array = spec.forward(*arrays, **constants)
        except (ValueError, TypeError, IndexError, MemoryError) as error:
            bind(spec.name, spec.__signature__, inputs, constants)  # is it the call that is wrong?
            raise explain(spec.name, error, inputs, spec.broadcasts) from error
        if array.__class__ is not ndarray and isinstance(array, generic):
            array = np.asarray(array)
        recording = thread.grad
        if view and _is_view(array, arrays[0]):
            out: Tensor = view_of(inputs[0], array, call, constants, recording)
        elif array.base is not None or array is arrays[0] or array is arrays[-1] or len(arrays) > 2:
            out = wrap(_own(array, arrays))
        else:
            out = wrap(array)
        if process.anomaly and not thread.in_backward:
            refuse_nan(spec.name, array, inputs)
        if recording:
            plan = spec.plan(flags)
            if plan is not None and array.dtype.kind == "f":
                record(spec, plan, inputs, constants, out)
        return out

    return _finish(call, spec)


def _unpack(inputs: Sequence[Any]) -> tuple[list[Any], int, DType]:
    """The raw arrays, who requires a gradient, and the dtype that all Tensors share.

    Who: a bit for each input, the last one lowest, below a leading 1 that tells how many there
    are. Python's numbers have no dtype (they are weak); anything else makes the dtype MIXED.
    """
    arrays: list[Any] = []
    flags, dtype = 1, NONE
    for x in inputs:
        if isinstance(x, Tensor):
            array = x._array
            arrays.append(array)
            flags = 2 * flags + x._requires_grad
            if array.dtype is not dtype:
                dtype = array.dtype if dtype is NONE else MIXED
        else:
            arrays.append(x)
            flags *= 2
            if x.__class__ is not float and x.__class__ is not int:
                dtype = MIXED
    return arrays, flags, dtype


def _finish(call: Any, spec: Spec) -> Op:
    call.spec, call.vjp = spec, spec.set_vjps
    call.__name__ = call.__qualname__ = spec.name
    call.__doc__, call.__module__ = spec.forward.__doc__, spec.forward.__module__
    call.__wrapped__ = spec
    known = REGISTRY.get(spec.name)
    if known and not known.__module__ == call.__module__ == "__main__":  # a cell run once more
        raise ValueError(
            f"op: there is an op named {spec.name!r} already, in {known.__module__}; rename yours"
        )
    REGISTRY[spec.name] = call
    return call  # type: ignore[no-any-return]


def promote(name: str, inputs: Sequence[Any], floating: bool = False) -> list[Any]:
    """The inputs in their common dtype. Python numbers stay as they are: NumPy holds them weak."""
    operands = [operand(name, x) for x in inputs]
    dtype = result_type(*operands)
    if floating and dtype.kind != "f":
        dtype = get_default_dtype()
    return [
        cast(x, dtype=dtype) if isinstance(x, Tensor) and x.dtype != dtype else x for x in operands
    ]


# --- the ops that every other op leans on ---------------------------------------------------


@op
def cast(x: Array, *, dtype: DType) -> Array:
    """x in another dtype."""
    return x.astype(dtype)


cast.vjp(lambda g, x_dtype: cast(g, dtype=x_dtype))


@view_op
def broadcast_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    """x repeated along new and along size-1 dimensions, without a copy; the adjoint of sum_to."""
    out = np.broadcast_to(x, shape)
    return x.reshape(shape) if out.size == x.size else out  # nothing is repeated: not read-only


broadcast_to.vjp(lambda g, x_shape: sum_to(g, shape=x_shape))  # type: ignore[has-type]


@op
def sum_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    """x summed over the dimensions that broadcasting `shape` to x.shape would repeat."""
    dims = repeated(shape, x.shape)
    keep = dims != tuple(range(x.ndim - len(shape)))  # else no reshape: a view is no gradient's own
    out = on_gpu.total(x, dims, keep)
    return out if out.shape == shape else out.reshape(shape)


sum_to.vjp(lambda g, x_shape: broadcast_to(g, shape=x_shape))


def repeated(small: tuple[int, ...], large: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions of `large` along which an array of shape `small` is repeated."""
    new = len(large) - len(small)
    return tuple(range(new)) + tuple(
        new + i for i, n in enumerate(small) if n == 1 and large[new + i] != 1
    )
