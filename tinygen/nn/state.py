"""What Module.load_state_dict and Module.to do to tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, DType, as_dtype, move
from ..backend import device as Device
from ..tensor import Tensor

__all__ = ["Incompatible", "convert", "load", "target"]

_DEVICES = ("cpu", "cuda")


class Incompatible(NamedTuple):
    """What load_state_dict(strict=False) left out."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def load(
    name: str, own: dict[str, Tensor], state_dict: Mapping[str, Any], strict: bool, assign: bool
) -> Incompatible:
    """Copy state_dict into the tensors `own`, in place, if all of it fits; else name all faults.

    assign: they take over its arrays, dtype and device, instead.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"load_state_dict: expected a dict of tensors, got {type(state_dict).__name__}"
        )
    arrays = {key: _array(state_dict[key]) for key in own if key in state_dict}
    missing = [key for key in own if key not in state_dict]
    unexpected = [key for key in state_dict if key not in own]
    faults = _key_faults(missing, unexpected) if strict else []
    faults += [fault for key in arrays if (fault := _misfit(key, arrays[key], own[key], assign))]
    if faults:
        lines = "".join(f"\n\t{fault}" for fault in faults)
        raise RuntimeError(f"Error(s) in loading state_dict for {name}:{lines}")
    for key, array in arrays.items():
        own[key]._version[0] += 1
        if not assign:
            own[key]._array[...] = move(array, own[key].device)
            continue
        own[key]._array = array
        if isinstance(state_dict[key], Tensor):
            own[key]._version = state_dict[key]._version
    return Incompatible(missing, unexpected)


def _array(value: Any) -> Array:
    return value._array if isinstance(value, Tensor) else np.asarray(value)


def _key_faults(missing: list[str], unexpected: list[str]) -> list[str]:
    named = (("Missing", missing), ("Unexpected", unexpected))
    return [
        f"{kind} key(s) in state_dict: " + ", ".join(f'"{key}"' for key in keys) + "."
        for kind, keys in named
        if keys
    ]


def _misfit(key: str, array: Array, own: Tensor, assign: bool) -> str | None:
    """Why `array` cannot become the value of `own`, or None."""
    if array.dtype.kind not in ("f" if assign and own.requires_grad else "fiub"):
        return f"{key}: expected numbers, got an array of {array.dtype}"
    if array.shape != own.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {tuple(array.shape)} from "
            f"checkpoint, the shape in current model is {own.shape}."
        )
    return None


def target(args: tuple[Any, ...], device: Any, dtype: Any) -> tuple[Any, DType | None]:
    """What Module.to was asked for, whichever way it was said."""
    for arg in args:
        if isinstance(arg, Tensor):
            device, dtype = arg.device, arg.dtype
        elif isinstance(arg, Device) or (isinstance(arg, str) and arg.split(":")[0] in _DEVICES):
            device = arg
        elif arg is not None:
            dtype = arg
    dtype = None if dtype is None else as_dtype(dtype)
    if dtype is not None and dtype.kind != "f":
        raise TypeError(f"Module.to accepts only floating-point dtypes, got {dtype}")
    return device, dtype


def convert(tensor: Tensor, device: Any, dtype: DType | None) -> None:
    """Move a tensor to a device and cast it if it is floating, in place."""
    array = tensor._array if device is None else move(tensor._array, device)
    if dtype is not None and array.dtype.kind == "f":
        array = array.astype(dtype, copy=False)
    if array is not tensor._array:
        tensor._array = array
        tensor._version[0] += 1
