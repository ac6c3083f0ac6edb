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

A vjp may be None: no gradient flows to that input.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from ..backend import Array, DType, get_default_dtype, is_numpy
from ..tensor import Node, Tensor, mode, wrap

REGISTRY: dict[str, Op] = {}  # every op there is, by name; tests walk it


class Op(Protocol):
    """A decorated function: call it on Tensors, give it its vjps."""

    spec: Spec
    __name__: str

    def __call__(self, *inputs: Any, **constants: Any) -> Tensor: ...

    def vjp(self, *vjps: Callable[..., Tensor] | None) -> None: ...


class Spec:
    """An op's forward, its vjps and, for each vjp, the names of what it asks for."""

    def __init__(self, forward: Callable[..., Array], view: bool) -> None:
        code = forward.__code__
        self.name = forward.__name__.strip("_")
        self.forward = forward
        self.view = view  # may the output share memory with the first input?
        self.inputs = code.co_varnames[: code.co_argcount]
        constants = code.co_varnames[code.co_argcount :][: code.co_kwonlyargcount]
        self.variadic = bool(code.co_flags & 0x04)  # has *inputs
        if self.variadic:
            self.inputs = (code.co_varnames[code.co_argcount + code.co_kwonlyargcount],)
        self.vjps: list[tuple[Callable[..., Tensor] | None, tuple[str, ...]]] = []
        self.known = {"out", *constants, *(("i",) if self.variadic else ())}
        for name in self.inputs:
            self.known |= {name, f"{name}_shape", f"{name}_dtype"}
        self._plans: dict[tuple[bool, ...], list[str] | None] = {}

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

    def pick(self, i: int) -> tuple[Callable[..., Tensor] | None, tuple[str, ...]]:
        return self.vjps[0 if self.variadic else i] if self.vjps else (None, ())

    def plan(self, flags: tuple[bool, ...]) -> list[str] | None:
        """What to save when the inputs that require a gradient are `flags`; None: no Node."""
        if flags not in self._plans:
            active = [self.pick(i) for i, flag in enumerate(flags) if flag]
            names = [name for vjp, names in active if vjp for name in names if name != "i"]
            no_gradient = all(vjp is None for vjp, _ in active)
            self._plans[flags] = None if no_gradient else list(dict.fromkeys(names))
        return self._plans[flags]

    def save(self, name: str, inputs: Sequence[Any], out: Tensor, constants: Any) -> Any:
        if name == "out":
            return out._array
        if name in constants:
            return constants[name]
        base = name.removesuffix("_shape").removesuffix("_dtype")
        if self.variadic:
            saved = tuple(inputs)
            return saved if base == name else tuple(getattr(x, name[-5:]) for x in saved)
        x = inputs[self.inputs.index(base)]
        return x if base == name else getattr(x, name[-5:])

    def pull_back(self, i: int, g: Tensor, saved: dict[str, Any], parent: Any) -> Tensor:
        vjp, names = self.vjps[0 if self.variadic else i]
        return vjp(g, *[i if name == "i" else saved[name] for name in names])  # type: ignore[misc]


class ElementwiseSpec(Spec):
    """An op that broadcasts: its vjps return gradients of the output's shape, summed here."""

    def pull_back(self, i: int, g: Tensor, saved: dict[str, Any], parent: Any) -> Tensor:
        vjp, names = self.vjps[i]
        pulled = vjp(g, *[saved[name] for name in names])  # type: ignore[misc]
        if pulled._array.shape != parent.shape and pulled._array.shape == g._array.shape:
            return sum_to(pulled, shape=parent.shape)
        return pulled


def record(spec: Spec, array: Array, inputs: Sequence[Any], constants: dict[str, Any]) -> Tensor:
    """Wrap the forward's result and, where a gradient is wanted, put it on the tape."""
    if array.__class__ is not np.ndarray and isinstance(array, np.generic):
        array = np.asarray(array)
    out = wrap(array)
    if mode.anomaly:
        _refuse_nan(spec, array, inputs)
    if spec.view:
        _share_memory(out, inputs[0])
    if not mode.grad:
        return out
    flags = tuple([isinstance(x, Tensor) and x._requires_grad for x in inputs])
    if True not in flags:
        return out
    plan = spec.plan(flags)
    if plan is None or array.dtype.kind != "f":
        return out
    parents: list[Any] = [None] * len(flags)
    for i, flag in enumerate(flags):
        if flag and spec.pick(i)[0] is not None:
            parents[i] = inputs[i]._node or inputs[i]
    node = Node(spec, parents, array)
    saved = node.saved = {}
    for name in plan:
        value = saved[name] = spec.save(name, inputs, out, constants)
        if name == "out":
            node.versions.append((name, out._version, 0))
        elif value.__class__ is tuple and spec.variadic:
            values = [x for x in value if isinstance(x, Tensor)]
            node.versions.extend((name, x._version, x._version[0]) for x in values)
        elif isinstance(value, Tensor):
            node.versions.append((name, value._version, value._version[0]))
    if mode.anomaly:
        node.place = _caller()
    if out._is_view:
        out._version[1] = 1
    out._node, out._requires_grad = node, True
    return out


def _share_memory(out: Tensor, x: Any) -> None:
    """A view counts its changes together with what it is a view of."""
    base = out._array.base
    if base is not None and isinstance(x, Tensor):
        owner = x._array.base
        if base is x._array or (owner is not None and base is owner) or out._array is x._array:
            out._version, out._is_view = x._version, True
    elif isinstance(x, Tensor) and out._array is x._array:
        out._version, out._is_view = x._version, True


def op(forward: Callable[..., Array], view: bool = False) -> Op:
    """Make a forward on arrays an op on Tensors. Give it its vjps with `.vjp(...)`."""
    spec = Spec(forward, view)

    def call(*inputs: Any, **constants: Any) -> Tensor:
        arrays = [x._array if isinstance(x, Tensor) else x for x in inputs]
        try:
            array = spec.forward(*arrays, **constants)
        except (ValueError, TypeError, IndexError) as error:
            raise _explain(spec, error, inputs) from error
        return record(spec, array, inputs, constants)

    return _finish(call, spec)


def view_op(forward: Callable[..., Array]) -> Op:
    """An op whose output may share memory with its first input, as in reshape."""
    return op(forward, view=True)


def elementwise(
    forward: Callable[..., Array], floating: bool = False, promotes: bool = True
) -> Op:
    """An op that broadcasts its inputs and promotes their dtypes as PyTorch does.

    floating=True: integers become the default floating dtype first, as in exp.
    promotes=False: the caller has seen to the dtypes, as in where(condition, x, y).
    """
    spec = ElementwiseSpec(forward, view=False)

    def call(*inputs: Any, **constants: Any) -> Tensor:
        if promotes and not _uniform(inputs):
            inputs = promote(spec.name, inputs, floating)  # type: ignore[assignment]
        arrays = [x._array if isinstance(x, Tensor) else x for x in inputs]
        try:
            array = spec.forward(*arrays, **constants)
        except (ValueError, TypeError, IndexError) as error:
            raise _explain(spec, error, inputs) from error
        return record(spec, array, inputs, constants)

    return _finish(call, spec)


def floating(forward: Callable[..., Array]) -> Op:
    """An elementwise op with a real-valued result: integers are made floats first."""
    return elementwise(forward, floating=True)


def _finish(call: Any, spec: Spec) -> Op:
    call.spec, call.vjp = spec, spec.set_vjps
    call.__name__ = call.__qualname__ = spec.name
    call.__doc__, call.__module__ = spec.forward.__doc__, spec.forward.__module__
    if spec.name in REGISTRY:
        raise ValueError(f"op: there is an op named {spec.name!r} already")
    REGISTRY[spec.name] = call
    return call  # type: ignore[no-any-return]


# --- dtypes ---------------------------------------------------------------------------------


def _uniform(inputs: Sequence[Any]) -> bool:
    """The common case: Tensors of one floating dtype, and Python numbers (which are weak)."""
    dtype = None
    for x in inputs:
        if isinstance(x, Tensor):
            if dtype is None:
                dtype = x._array.dtype
            elif x._array.dtype is not dtype:
                return False
        elif x.__class__ is not float and x.__class__ is not int:
            return False
    return dtype is not None and dtype.kind == "f"


def promote(name: str, inputs: Sequence[Any], floating: bool = False) -> list[Any]:
    """The inputs in their common dtype. Python numbers stay as they are: NumPy holds them weak."""
    operands = [_operand(name, x) for x in inputs]
    dtype = result_type(*operands)
    if floating and dtype.kind != "f":
        dtype = get_default_dtype()
    return [
        cast(x, dtype=dtype) if isinstance(x, Tensor) and x.dtype != dtype else x for x in operands
    ]


def _operand(name: str, x: Any) -> Any:
    if isinstance(x, np.generic):  # first: a numpy.float64 is a float too, but not a weak one
        return x.item()
    if isinstance(x, (Tensor, bool, int, float)):
        return x
    if isinstance(x, np.ndarray):
        return wrap(x)
    raise TypeError(f"{name}: expected Tensors and numbers, got {type(x).__name__}")


def result_type(*operands: Any) -> DType:
    """PyTorch's promotion: tensors with dimensions first, then 0-d ones, then Python numbers.

    A weaker group counts only where it is of a higher kind: bool < integer < float.
    """
    groups: list[list[DType]] = [[], [], []]
    for x in operands:
        if isinstance(x, Tensor):
            groups[0 if x.ndim else 1].append(x.dtype)
        else:
            plain = {bool: np.dtype(bool), int: np.dtype(np.int64)}
            groups[2].append(plain.get(type(x), get_default_dtype()))
    result: DType | None = None
    for group in groups:
        for dtype in group:
            if result is None or _rank(dtype) > _rank(result):
                result = dtype
            elif _rank(dtype) == _rank(result) and group is not groups[2]:
                same_group = group is groups[0] or not groups[0]
                result = np.promote_types(dtype, result) if same_group else result
    if result is None:
        raise TypeError("expected at least one Tensor")
    return result


def _rank(dtype: DType) -> int:
    return {"b": 0, "u": 1, "i": 1, "f": 2}[dtype.kind]


# --- errors ---------------------------------------------------------------------------------


def _explain(spec: Spec, error: Exception, inputs: Sequence[Any]) -> Exception:
    """NumPy's complaint in words: which op, what came, what would have been right."""
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    if len({is_numpy(x._array) for x in tensors}) > 1:
        devices = " and ".join(str(x.device) for x in tensors)
        return RuntimeError(
            f"{spec.name}: expected all tensors to be on the same device, got {devices}; move one "
            "with .to(device)"
        )
    strangers = [type(x).__name__ for x in inputs if not isinstance(x, (Tensor, int, float))]
    if strangers and not isinstance(error, IndexError):
        return TypeError(f"{spec.name}: expected a Tensor, got {', '.join(strangers)}")
    shapes = " and ".join(str(x.shape) for x in tensors)
    if isinstance(spec, ElementwiseSpec) and not _broadcast(*(x.shape for x in tensors)):
        return RuntimeError(
            f"{spec.name}: the shapes {shapes} do not broadcast: aligned at the right, each "
            "dimension must be equal, 1 or missing"
        )
    kind = type(error) if isinstance(error, (IndexError, TypeError)) else RuntimeError
    text = str(error)
    return kind(text if text.startswith(spec.name) else f"{spec.name}: {text} (inputs: {shapes})")


def _broadcast(*shapes: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def _refuse_nan(spec: Spec, array: Array, inputs: Sequence[Any]) -> None:
    if array.dtype.kind == "f" and bool(np.isnan(array).any()):
        shapes = [x.shape if isinstance(x, Tensor) else x for x in inputs]
        raise RuntimeError(
            f"detect_anomaly: {spec.name} returned NaN for inputs of shapes {shapes}, called at "
            f"{_caller()}"
        )


def _caller() -> str:
    """file:line of the innermost frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("tinygen."):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


# --- the ops that every other op leans on ---------------------------------------------------


@op
def cast(x: Array, *, dtype: DType) -> Array:
    """x in another dtype."""
    return x.astype(dtype)


cast.vjp(lambda g, x_dtype: cast(g, dtype=x_dtype))


@view_op
def broadcast_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    """x repeated along new and along size-1 dimensions, without a copy; the adjoint of sum_to."""
    return np.broadcast_to(x, shape)


broadcast_to.vjp(lambda g, x_shape: sum_to(g, shape=x_shape))


@op
def sum_to(x: Array, *, shape: tuple[int, ...]) -> Array:
    """x summed over the dimensions that broadcasting `shape` to x.shape would repeat."""
    return np.sum(x, axis=repeated(shape, x.shape), keepdims=True).reshape(shape)


sum_to.vjp(lambda g, x_shape: broadcast_to(g, shape=x_shape))


def repeated(small: tuple[int, ...], large: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions of `large` along which an array of shape `small` is repeated."""
    new = len(large) - len(small)
    return tuple(range(new)) + tuple(
        new + i for i, n in enumerate(small) if n == 1 and large[new + i] != 1
    )
