"""Tensor, the tape, and the backward pass. No op is named here: ops/ attaches them.

A Tensor is an array and, when it was computed from something that requires a gradient, the Node
that computed it. A Node keeps its op, its parents (the Nodes or leaf Tensors that it was computed
from) and what its vjps asked for. The backward pass walks Nodes from the youngest to the oldest:
parents are always older than their children, so the order of birth is a topological order.
Gradients are Tensors and vjps are made of Tensor ops, so gradients of any order come for free.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np

from .backend import (
    Array,
    DType,
    device_of,
    get_default_dtype,
    is_numpy,
    module_for,
    module_of,
    move,
)
from .backend import device as Device

F = TypeVar("F", bound=Callable[..., Any])


class _Mode:
    """What is switched on in this process: recording, and the hunt for NaNs."""

    __slots__ = ("grad", "anomaly")

    def __init__(self) -> None:
        self.grad, self.anomaly = True, False


mode = _Mode()


class _Switch:
    """A mode set to a value: for the length of a `with` block, or of a decorated function."""

    field, value = "grad", True

    def __enter__(self) -> None:
        # Kept on a stack, so that one object can be entered again before it was left.
        self._before = (getattr(mode, self.field), getattr(self, "_before", None))
        setattr(mode, self.field, self.value)

    def __exit__(self, *exc: object) -> None:
        before, self._before = self._before
        setattr(mode, self.field, before)

    def __call__(self, function: F) -> F:
        @wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return inside  # type: ignore[return-value]


class no_grad(_Switch):
    """Record nothing: what is computed inside does not require a gradient."""

    value = False


class enable_grad(_Switch):
    """Record again, inside a no_grad block."""


class set_grad_enabled(_Switch):
    """Switch recording on or off at once; as a context manager, until the block ends."""

    def __init__(self, enabled: bool) -> None:
        self.value, self._before, mode.grad = enabled, (mode.grad, None), enabled

    def __enter__(self) -> None:
        mode.grad = self.value


class detect_anomaly(_Switch):
    """Hunt NaNs: the first op whose result or whose gradient is NaN raises, with its name."""

    field = "anomaly"


def is_grad_enabled() -> bool:
    return mode.grad


_birth = itertools.count().__next__


class Node:
    """One recorded op: where its gradient comes from and where it goes to."""

    __slots__ = ("op", "parents", "saved", "versions", "shape", "dtype", "birth", "retain", "place")

    def __init__(self, op: Any, parents: list[Any], out: Array) -> None:
        self.op = op
        self.parents = parents  # one an input: Node, leaf Tensor, or None where no gradient flows
        self.saved: dict[str, Any] | None = None  # None once freed
        self.versions: list[tuple[str, list[int], int]] = []  # name, counter, its value then
        self.shape: tuple[int, ...] = out.shape
        self.dtype: DType = out.dtype
        self.birth = _birth()
        self.retain: weakref.ref[Tensor] | None = None  # a tensor that wants its .grad kept
        self.place = ""  # file:line, known in anomaly mode only

    def name(self) -> str:
        return str(self.op.name)

    def __repr__(self) -> str:
        return f"<{self.name()}>"

    def check(self) -> None:
        """Raise if what the vjps need is gone or is not what it was."""
        if self.saved is None:
            raise RuntimeError(
                f"{self.name()}: trying to backward through the graph a second time; its saved "
                "tensors were freed. Pass retain_graph=True the first time, or compute it again."
            )
        for name, counter, then in self.versions:
            if counter[0] != then:
                raise RuntimeError(
                    f"{self.name()}: one of the variables needed for gradient computation has been "
                    f"modified by an inplace operation: {name!r}, which it saved at version "
                    f"{then}, is at version {counter[0]} ({counter[0] - then} changes since). "
                    "Change a copy (clone()) or use the out-of-place operation."
                )


class Tensor:
    """An array with PyTorch's semantics and a gradient.

    `Tensor(data)` is `tensor(data)` in float32, as in PyTorch; `tinygen.tensor` keeps the dtype.
    """

    __slots__ = ("_array", "_requires_grad", "_grad", "_node", "_version", "_is_view", "__weakref__")
    __array_ufunc__ = None  # ndarray * Tensor is Tensor.__rmul__, not an array of Tensors
    __hash__ = object.__hash__

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        self._adopt(as_array(data, dtype=get_default_dtype()))
        if requires_grad:
            self.requires_grad = True

    def _adopt(self, array: Array) -> None:
        self._array = array
        self._requires_grad = False
        self._grad: Tensor | None = None
        self._node: Node | None = None
        self._version = [0, 0]  # changes in place so far; 1 once a view of it was recorded
        self._is_view = False

    # --- what it is -------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self._array.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> DType:
        return self._array.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        return self._array.ndim  # type: ignore[no-any-return]

    @property
    def device(self) -> Device:
        return device_of(self._array)

    @property
    def is_cuda(self) -> bool:
        return not is_numpy(self._array)

    @property
    def itemsize(self) -> int:
        return self._array.dtype.itemsize  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        return self._array.nbytes  # type: ignore[no-any-return]

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        return self.ndim

    def numel(self) -> int:
        return int(self._array.size)

    def element_size(self) -> int:
        return self.itemsize

    def is_floating_point(self) -> bool:
        return self.dtype.kind == "f"

    def stride(self, dim: int | None = None) -> Any:
        """Strides in elements, as PyTorch counts them."""
        strides = tuple(s // self.itemsize for s in self._array.strides)
        return strides if dim is None else strides[dim]

    def is_contiguous(self) -> bool:
        return bool(self._array.flags.c_contiguous)

    # --- its gradient -----------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._node is not None and not value:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables; use x.detach() for a "
                "tensor that does not require a gradient"
            )
        if value and self.dtype.kind != "f":
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, got {self.dtype}; "
                "convert with x.float() first"
            )
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward() accumulated: leaves only, or after retain_grad()."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            _check_grad(value, self, "assigned grad")
        self._grad = value

    @property
    def is_leaf(self) -> bool:
        return self._node is None

    @property
    def grad_fn(self) -> Node | None:
        return self._node

    def retain_grad(self) -> None:
        """Keep .grad of this tensor too, although it is not a leaf."""
        if not self._requires_grad:
            raise RuntimeError("can't retain_grad on a Tensor that has requires_grad=False")
        if self._node is not None:
            self._node.retain = weakref.ref(self)

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
    ) -> None:
        """Accumulate d self / d leaf into `.grad` of every leaf that requires a gradient.

        `gradient` is the cotangent, of self's shape; it may be left out for a scalar.
        """
        run_backward([self], [gradient], None, retain_graph, create_graph)

    def detach(self) -> Tensor:
        """The same memory, cut off from the tape."""
        out = wrap(self._array)
        out._version, out._is_view = self._version, True
        return out

    @property
    def data(self) -> Tensor:
        return wrap(self._array)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data: expected a Tensor, got {type(value).__name__}")
        self._array = value._array

    # --- as plain Python and NumPy ------------------------------------------------------------

    def numpy(self) -> np.ndarray[Any, Any]:
        """The array itself (shared memory); only for a CPU tensor that does not require a grad."""
        if self._requires_grad:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy()."
            )
        if not is_numpy(self._array):
            raise TypeError("can't convert a cuda tensor to numpy; use tensor.cpu() first")
        return self._array  # type: ignore[no-any-return]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> Any:
        if self.numel() != 1:
            raise RuntimeError(
                f"item: a Tensor of shape {self.shape} with {self.numel()} elements cannot be "
                "converted to a scalar"
            )
        return self._array.item()

    def tolist(self) -> Any:
        return self._array.tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"only integer tensors can be used as an index, got {self.dtype}")
        return int(self.item())

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise RuntimeError(
                f"bool: the truth of a Tensor of shape {self.shape} is ambiguous; use .any() or "
                ".all()"
            )
        return bool(self.item())

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(self.shape[0]))

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.ndim == 0 and spec else str(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            raise RuntimeError("only leaf tensors can be deep-copied; use x.detach().clone()")
        out = type(self).__new__(type(self))
        out._adopt(self._array.copy())
        out._requires_grad = self._requires_grad
        memo[id(self)] = out
        out._grad = None if self._grad is None else wrap(self._grad._array.copy())
        return out

    def __reduce__(self) -> Any:
        raise TypeError("tinygen tensors are not pickled; use tinygen.save and tinygen.load")

    def __repr__(self) -> str:
        values = np.array2string(
            move(self._array, "cpu"), precision=4, separator=", ", threshold=1000, prefix="tensor("
        )
        notes = "" if self.dtype in (get_default_dtype(), np.int64, np.bool_) else f", {self.dtype}"
        notes += ", device='cuda'" if self.is_cuda else ""
        if self._node is not None:
            notes += f", grad_fn={self._node}"
        elif self._requires_grad:
            notes += ", requires_grad=True"
        return f"tensor({values}{notes})"

    if TYPE_CHECKING:  # ops/__init__.py attaches the operators and methods

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __rmatmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...


Tensors: TypeAlias = Tensor | Sequence[Tensor]


def wrap(array: Array) -> Tensor:
    """A Tensor around an array that is one already: no copy, no cast."""
    out = Tensor.__new__(Tensor)
    out._array = array
    out._requires_grad = False
    out._grad = out._node = None
    out._version = [0, 0]
    out._is_view = False
    return out


def as_array(data: Any, dtype: Any = None, where: Device | str | None = None) -> Array:
    """A fresh array of `data`: Python floats become the default dtype, arrays keep theirs."""
    if isinstance(data, Tensor):
        data = data._array
    elif isinstance(data, np.generic):
        data = np.asarray(data)
    elif isinstance(data, (list, tuple)):
        data = _plain(data)
    keeps_dtype = hasattr(data, "dtype")
    if not keeps_dtype:
        try:
            data = np.asarray(data)
        except ValueError as error:
            raise ValueError(f"tensor: the nested lists are ragged: {error}") from None
    if data.dtype.kind not in "fiub":
        raise TypeError(
            f"tensor: expected numbers, got {data.dtype} (tinygen has floats, integers and bools)"
        )
    if dtype is None and not keeps_dtype and data.dtype.kind == "f":
        dtype = get_default_dtype()
    if where is None and not isinstance(data, np.generic):
        where = device_of(data)
    array = module_for(where).array(move(data, where or "cpu"), dtype=dtype)
    return array


def _plain(data: Any) -> Any:
    """Nested lists with the Tensors in them turned into plain numbers."""
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    return data.tolist() if isinstance(data, Tensor) else data


# --- the backward pass ------------------------------------------------------------------------


def _check_grad(g: Any, of: Node | Tensor, name: str) -> None:
    """A gradient has its input's shape, dtype and device; anything else is a bug in a vjp."""
    if not isinstance(g, Tensor):
        raise TypeError(f"{name}: expected a Tensor as gradient, got {type(g).__name__}")
    if g.shape != of.shape or g.dtype != of.dtype:
        raise RuntimeError(
            f"{name}: a gradient of shape {g.shape} and dtype {g.dtype} for a tensor of shape "
            f"{of.shape} and dtype {of.dtype}; they must be the same"
        )


def _seed(output: Tensor, gradient: Tensor | None) -> Tensor:
    """The cotangent to start from: the one given, or 1 for a scalar."""
    if not isinstance(output, Tensor):
        raise TypeError(f"backward: expected a Tensor, got {type(output).__name__}")
    if not output._requires_grad:
        raise RuntimeError(
            "backward: element 0 of tensors does not require grad and does not have a grad_fn"
        )
    if gradient is None:
        if output.numel() != 1:
            raise RuntimeError(
                f"backward: grad can be implicitly created only for scalar outputs, got shape "
                f"{output.shape}; call .sum() or .mean() first, or pass the gradient"
            )
        return wrap(module_of(output._array).ones(output.shape, output.dtype))
    _check_grad(gradient, output, "backward")
    return gradient


def _reachable(roots: list[Any]) -> list[Node]:
    """All Nodes that the roots were computed from, youngest first. Iterative: graphs are deep."""
    seen = set(root for root in roots if isinstance(root, Node))
    stack = list(seen)
    while stack:
        for parent in stack.pop().parents:
            if parent.__class__ is Node and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return sorted(seen, key=lambda node: node.birth, reverse=True)


def _leading_to(nodes: list[Node], wanted: set[Any]) -> set[Any]:
    """The wanted keys and every Node from which one of them can be reached."""
    useful = set(wanted)
    for node in reversed(nodes):  # oldest first, so that parents are decided before children
        if any(parent in useful for parent in node.parents):
            useful.add(node)
    return useful


def run_backward(
    outputs: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    inputs: Sequence[Tensor] | None,
    retain_graph: bool | None,
    create_graph: bool,
) -> list[Tensor | None]:
    """The one backward pass. With `inputs`: return their gradients. Without: fill leaves' .grad."""
    retain = create_graph if retain_graph is None else retain_graph
    seeds = [_seed(output, gradient) for output, gradient in zip(outputs, gradients, strict=True)]
    keys = [output._node or output for output in outputs]
    wanted = None if inputs is None else {x._node or x for x in inputs}
    nodes = _reachable(keys)
    useful = None if wanted is None else _leading_to(nodes, wanted)
    grads: dict[Any, Tensor] = {}
    before, mode.grad = mode.grad, create_graph
    try:
        for key, g in zip(keys, seeds, strict=True):
            grads[key] = grads[key] + g if key in grads else g
        for node in nodes:
            g = grads.get(node) if wanted and node in wanted else grads.pop(node, None)
            if g is None or (useful is not None and node not in useful):
                continue
            if node.retain is not None and wanted is None:
                _accumulate(node.retain(), g, create_graph, set())
            _pull_back(node, g, grads, useful)
            if not retain and node.saved:
                node.saved, node.versions = None, []
        if wanted is None:
            given = {id(seed._array) for seed in seeds}
            for leaf, g in grads.items():
                _accumulate(leaf, g, create_graph, given)
    finally:
        mode.grad = before
    return [] if inputs is None else [grads.get(x._node or x) for x in inputs]


def _pull_back(node: Node, g: Tensor, grads: dict[Any, Tensor], useful: set[Any] | None) -> None:
    """Send the gradient `g` of `node` on to its parents."""
    node.check()
    saved = node.saved
    if "out" in saved:  # type: ignore[operator]
        saved = dict(saved)  # type: ignore[arg-type]
        out = saved["out"] = wrap(saved["out"])
        out._node, out._requires_grad = node, True
    for i, parent in enumerate(node.parents):
        if parent is None or (useful is not None and parent not in useful):
            continue
        pull = _without_anomaly(node.op.pull_back) if mode.anomaly else node.op.pull_back
        pulled = pull(i, g, saved, parent)
        if pulled._array.shape != parent.shape or pulled._array.dtype != parent.dtype:
            _check_grad(pulled, parent, f"backward of {node.name()}, input {i}")
        if mode.anomaly and bool(np.isnan(pulled._array).any()):
            raise RuntimeError(
                f"detect_anomaly: the gradient of {node.name()} for its input {i} is NaN; the op "
                f"was called at {node.place or 'a place not recorded (anomaly mode was off)'}"
            )
        grads[parent] = grads[parent] + pulled if parent in grads else pulled


def _without_anomaly(pull_back: F) -> F:
    """pull_back, with its NaNs left to be reported under the name of the op it belongs to."""
    quiet = _Switch()
    quiet.field, quiet.value = "anomaly", False
    return quiet(pull_back)


def _accumulate(leaf: Tensor | None, g: Tensor, create_graph: bool, given: set[int]) -> None:
    """leaf.grad += g. The first gradient is taken over as it is if nobody else can hold it."""
    if leaf is None:
        return
    if leaf._grad is None:
        if not create_graph and (g._array.base is not None or id(g._array) in given):
            g = wrap(g._array.copy(order="K"))
        given.add(id(g._array))
        leaf._grad = g if create_graph else wrap(g._array)
    elif create_graph or leaf._grad._requires_grad:
        leaf._grad = leaf._grad + g
    else:
        np.add(leaf._grad._array, g._array, out=leaf._grad._array)
        leaf._grad._version[0] += 1


def backward(
    tensors: Tensors,
    grad_tensors: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> None:
    """Accumulate the sum of the gradients of `tensors` into the leaves."""
    outputs = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    run_backward(outputs, _cotangents(outputs, grad_tensors), None, retain_graph, create_graph)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Tensor, ...]:
    """sum_k <grad_outputs_k, d outputs_k / d inputs>, one Tensor an input; no `.grad` is touched.

    create_graph=True records the gradients, so that they can be differentiated again. An input
    that the outputs do not depend on is an error, or None with allow_unused=True.
    """
    outs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    ins = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for i, x in enumerate(ins):
        if not x._requires_grad:
            raise RuntimeError(f"grad: input {i} (shape {x.shape}) does not require grad")
    grads = run_backward(outs, _cotangents(outs, grad_outputs), ins, retain_graph, create_graph)
    for i, g in enumerate(grads):
        if g is None and not allow_unused:
            raise RuntimeError(
                f"grad: input {i} (shape {ins[i].shape}) appears to not have been used in the "
                "graph. Pass allow_unused=True if this is what you want."
            )
    return tuple(grads)  # type: ignore[arg-type]


def _cotangents(outputs: list[Tensor], given: Tensors | None) -> list[Tensor | None]:
    if given is None:
        return [None] * len(outputs)
    cotangents = [given] if isinstance(given, Tensor) else list(given)
    if len(cotangents) != len(outputs):
        raise RuntimeError(f"grad: got {len(outputs)} outputs and {len(cotangents)} grad_outputs")
    return cotangents  # type: ignore[return-value]
