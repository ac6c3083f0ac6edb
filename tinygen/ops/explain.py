"""What went wrong, in words: which op, what came, what would have been right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import Array, out_of_memory
from ..tape import caller
from ..tensor import Tensor, same_device

__all__ = ["explain", "refuse_nan"]


def explain(name: str, error: Exception, inputs: Sequence[Any], broadcasts: bool) -> Exception:
    """NumPy's complaint about an op's inputs, as the exception that PyTorch would raise."""
    if isinstance(error, MemoryError):
        return RuntimeError(f"{name}: {out_of_memory(error)}")
    tensors = [x for x in inputs if isinstance(x, Tensor)]
    same_device(name, *tensors)
    strangers = [type(x).__name__ for x in inputs if not isinstance(x, (Tensor, int, float))]
    if strangers and not isinstance(error, IndexError):
        return TypeError(f"{name}: expected a Tensor, got {', '.join(strangers)}")
    shapes = " and ".join(str(x.shape) for x in tensors)
    if broadcasts and not _broadcast(*(x.shape for x in tensors)):
        return RuntimeError(
            f"{name}: the shapes {shapes} do not broadcast: aligned at the right, each "
            "dimension must be equal, 1 or missing"
        )
    kind = next((k for k in (IndexError, TypeError) if isinstance(error, k)), RuntimeError)
    text = str(error)
    return kind(text if text.startswith(name) else f"{name}: {text} (inputs: {shapes})")


def _broadcast(*shapes: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def refuse_nan(name: str, array: Array, inputs: Sequence[Any]) -> None:
    """Anomaly mode: the op that first makes a NaN is named, and where it was called."""
    if array.dtype.kind == "f" and bool(np.isnan(array).any()):
        shapes = [x.shape if isinstance(x, Tensor) else x for x in inputs]
        raise RuntimeError(
            f"detect_anomaly: {name} returned NaN for inputs of shapes {shapes}, called at "
            f"{caller()}"
        )
