"""Another dtype, another device. Both are ops: the gradient is converted back."""

from __future__ import annotations

import builtins
from typing import Any

from .. import backend
from ..backend import Array, device_of, move
from ..tensor import Tensor
from .op import cast, op

__all__: list[str] = []  # tinygen.float is the dtype
METHODS = {
    "to", "cpu", "cuda", "float", "double", "half", "byte", "char", "short", "int", "long", "bool",
    "type", "type_as",
}  # fmt: skip


@op
def _to_device(x: Array, *, where: str, back: str) -> Array:
    return move(x, where)


_to_device.vjp(lambda g, where, back: _to_device(g, where=back, back=where))


def _read(args: tuple[Any, ...]) -> dict[str, Any]:
    """Which of to()'s positional arguments is the device and which the dtype."""
    wanted: dict[str, Any] = {}
    for arg in args:
        if isinstance(arg, Tensor):
            wanted |= {"device": arg.device, "dtype": arg.dtype}
        elif isinstance(arg, backend.device) or (isinstance(arg, str) and arg[:3] in "cpu cuda"):
            wanted["device"] = arg
        elif arg is not None:
            wanted["dtype"] = arg
    return wanted


def to(
    x: Tensor, *args: Any, device: Any = None, dtype: Any = None, copy: builtins.bool = False,
    non_blocking: builtins.bool = False,
) -> Tensor:  # fmt: skip
    """x on a device, in a dtype, or like another Tensor; x itself where nothing changes.

    The gradient is converted back. non_blocking is accepted and has no effect.

    >>> tg.tensor([1.5, -1.5]).to(tg.int64), tg.zeros(2).to("cpu", tg.float64).dtype
    (tensor([ 1, -1]), dtype('float64'))
    """
    wanted = _read(args)
    device, dtype = device or wanted.get("device"), dtype or wanted.get("dtype")
    out = x
    dtype = x.dtype if dtype is None else backend.as_dtype(dtype)
    if dtype != x.dtype:
        out = cast(out, dtype=dtype)
    if device is not None and device_of(x._array) != backend.device(device):
        backend.settle()
        out = _to_device(out, where=str(backend.device(device)), back=str(x.device))
    return out.clone() if copy and out is x else out


def cpu(x: Tensor) -> Tensor:
    """x in the computer's memory; x itself if it is there."""
    return to(x, device="cpu")


def cuda(x: Tensor) -> Tensor:
    """x in the GPU's memory; x itself if it is there. RuntimeError where no GPU can be used."""
    return to(x, device="cuda")


def float(x: Tensor) -> Tensor:  # noqa: A001
    """x as float32."""
    return to(x, dtype=backend.float32)


def double(x: Tensor) -> Tensor:
    """x as float64."""
    return to(x, dtype=backend.float64)


def half(x: Tensor) -> Tensor:
    """x as float16."""
    return to(x, dtype=backend.float16)


def byte(x: Tensor) -> Tensor:
    """x as uint8."""
    return to(x, dtype=backend.uint8)


def char(x: Tensor) -> Tensor:
    """x as int8."""
    return to(x, dtype=backend.int8)


def short(x: Tensor) -> Tensor:
    """x as int16."""
    return to(x, dtype=backend.int16)


def int(x: Tensor) -> Tensor:  # noqa: A001
    """x as int32."""
    return to(x, dtype=backend.int32)


def long(x: Tensor) -> Tensor:
    """x as int64."""
    return to(x, dtype=backend.int64)


def bool(x: Tensor) -> Tensor:  # noqa: A001
    """x as bool: False where it is 0."""
    return to(x, dtype=backend.bool_)


def type(x: Tensor, dtype: Any) -> Tensor:  # noqa: A001
    """x in another dtype, as x.to(dtype)."""
    return to(x, dtype=dtype)


def type_as(x: Tensor, other: Tensor) -> Tensor:
    """x in the other's dtype, on its own device."""
    return to(x, dtype=other.dtype)
