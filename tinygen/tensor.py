"""Tensor: an array and, when it was computed from something that requires a gradient, its Node.

No op is named here: ops/ attaches them, and autograd.py attaches backward().
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .backend import (
    Array,
    DType,
    as_dtype,
    device_of,
    get_default_dtype,
    is_numpy,
    module_for,
    move,
    settle,
)
from .backend import device as Device
from .constants import Size
from .tape import Handle, Node

if TYPE_CHECKING:
    from .methods import Methods  # what autograd.py and ops/ attach: stubs.py writes it
else:
    Methods = object

__all__ = ["Tensor", "as_array", "check_grad", "same_device", "same_shape", "wrap"]


class Tensor(Methods):
    """An array with PyTorch's semantics and a gradient.

    `Tensor(data)` is `tensor(data)` in float32, as in PyTorch; `tinygen.tensor` keeps the dtype.
    Methods that end in _ change the tensor in place and return it.

    >>> x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> x.T @ x + 1
    tensor([[11., 15.],
            [15., 21.]])
    """

    __slots__ = "_array", "_requires_grad", "_grad", "_node", "_version", "_hooks", "__weakref__"
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
        self._version = [0]  # changes in place so far, counted together with all who share memory

    # --- what it is -------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of its dimensions, a tuple."""
        return self._array.shape  # type: ignore[no-any-return]

    @property
    def dtype(self) -> DType:
        """The type of its elements, a NumPy dtype: x.dtype == tg.float32."""
        return self._array.dtype  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        """The number of its dimensions."""
        return self._array.ndim  # type: ignore[no-any-return]

    @property
    def device(self) -> Device:
        """Where it lies: device "cpu" or "cuda"."""
        return device_of(self._array)

    @property
    def is_cuda(self) -> bool:
        """Does it lie on the GPU?"""
        return not is_numpy(self._array)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self._array.dtype.itemsize  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._array.nbytes  # type: ignore[no-any-return]

    def size(self, dim: int | None = None) -> Any:
        """The shape, a Size; or the size of one dimension."""
        return Size(self._array.shape) if dim is None else self._array.shape[dim]

    def dim(self) -> int:
        """The number of its dimensions, as `ndim`."""
        return self.ndim

    def numel(self) -> int:
        """The number of its elements."""
        return int(self._array.size)

    def nelement(self) -> int:
        """The number of its elements, as `numel`."""
        return self.numel()

    def ndimension(self) -> int:
        """The number of its dimensions, as `ndim`."""
        return self.ndim

    def element_size(self) -> int:
        """Bytes of one element, as `itemsize`."""
        return self.itemsize

    def is_floating_point(self) -> bool:
        """Is it float16, float32 or float64?"""
        return self.dtype.kind == "f"

    def stride(self, dim: int | None = None) -> Any:
        """Strides in elements, as PyTorch counts them."""
        strides = tuple(s // self.itemsize for s in self._array.strides)
        return strides if dim is None else strides[dim]

    def is_contiguous(self) -> bool:
        """Do the elements lie in memory in C order, without gaps?"""
        return bool(self._array.flags.c_contiguous)

    # --- its gradient -----------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Is its gradient wanted, or that of something that it was computed from?

        Only floating dtypes can; only leaves can be set to False.
        """
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
        """Set requires_grad; returns the tensor itself."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> Tensor | None:
        """The gradient that backward() accumulated: leaves only, or after retain_grad()."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            check_grad(value, self, "assigned grad")
        self._grad = value

    @property
    def is_leaf(self) -> bool:
        """Was it not computed by a recorded op? backward() fills the `.grad` of leaves."""
        return self._node is None

    @property
    def grad_fn(self) -> Node | None:
        """The Node of the op that it was computed by; None for a leaf."""
        return self._node

    def retain_grad(self) -> None:
        """Keep .grad of this tensor too, although it is not a leaf."""
        if not self._requires_grad:
            raise RuntimeError("can't retain_grad on a Tensor that has requires_grad=False")
        if self._node is not None:
            self._node.retain = weakref.ref(self)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Handle:
        """Call hook(grad) when this tensor's gradient is known; what it returns takes its place.

        Before retain_grad(), and before an op that the tensor was computed by gets the gradient.
        The handle's remove() takes the hook out.

        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> handle = x.register_hook(lambda grad: grad * 10)
        >>> (x * x).sum().backward()
        >>> x.grad
        tensor([20., 40.])
        """
        if not self._requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self._node is not None:
            self._node.hooks = hooks = self._node.hooks or {}
        else:
            self._hooks: dict[int, Any] = getattr(self, "_hooks", {})  # unset on most
            hooks = self._hooks
        return Handle(hooks, hook)

    def detach(self) -> Tensor:
        """The same memory, cut off from the tape: it requires no gradient.

        >>> x = tg.ones(2, requires_grad=True)
        >>> (x * x.detach()).sum().backward()  # the second factor counts as a constant
        >>> x.grad
        tensor([1., 1.])
        """
        out = wrap(self._array)
        out._version = self._version
        return out

    @property
    def data(self) -> Tensor:
        """The same memory without a gradient, whose changes nobody counts: detach() is safer."""
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
        """Its one element as a Python number; RuntimeError for more than one."""
        if self.numel() != 1:
            raise RuntimeError(
                f"item: a Tensor of shape {self.shape} with {self.numel()} elements cannot be "
                "converted to a scalar"
            )
        number = self._array.item()
        settle()
        return number

    def tolist(self) -> Any:
        """Its elements as nested lists of Python numbers; a 0-d tensor gives the number."""
        numbers = self._array.tolist()
        settle()
        return numbers

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
        out._adopt(self._array.copy(order="K"))
        out._requires_grad = self._requires_grad
        memo[id(self)] = out
        out._grad = None if self._grad is None else wrap(self._grad._array.copy(order="K"))
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


def wrap(array: Array) -> Tensor:
    """A Tensor around an array that is one already: no copy, no cast."""
    out = Tensor.__new__(Tensor)
    out._array = array
    out._requires_grad = False
    out._grad = out._node = None
    out._version = [0]
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
    dtype = None if dtype is None else as_dtype(dtype)
    array = module_for(where).array(move(data, where or "cpu"), dtype=dtype)
    return array


def _plain(data: Any) -> Any:
    """Nested lists with the Tensors in them turned into plain numbers."""
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    return data.tolist() if isinstance(data, Tensor) else data


def same_device(name: str, *tensors: Tensor) -> None:
    """Raise where Tensors of both devices meet."""
    if len({is_numpy(x._array) for x in tensors}) > 1:
        devices = " and ".join(str(x.device) for x in tensors)
        raise RuntimeError(
            f"{name}: expected all tensors to be on the same device, got {devices}; move one "
            "with .to(device)"
        )


def check_grad(g: Any, of: Node | Tensor, name: str) -> None:
    """A gradient has its input's shape, dtype and device; anything else is a bug in a vjp."""
    if not isinstance(g, Tensor):
        raise TypeError(f"{name}: expected a Tensor as gradient, got {type(g).__name__}")
    if g.shape != of.shape or g.dtype != of.dtype:
        raise RuntimeError(
            f"{name}: a gradient of shape {g.shape} and dtype {g.dtype} for a tensor of shape "
            f"{of.shape} and dtype {of.dtype}; they must be the same"
        )


def same_shape(name: str, x: Tensor, y: Tensor, hint: str = "") -> None:
    """Raise where two Tensors that belong together, value by value, would broadcast."""
    if x.shape != y.shape:
        advice = f"; {hint}" if hint else ""
        raise ValueError(
            f"{name}: expected two of the same shape, got {x.shape} and {y.shape}{advice}"
        )
