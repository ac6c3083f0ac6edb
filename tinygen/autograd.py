"""PyTorch's `torch.autograd`: the backward pass and its switches, by the names known from there.

The code is in tensor.py. `gradcheck` and `gradgradcheck` are tinygen.testing's check_grads.
"""

from typing import Any

from .tensor import (
    backward,
    detect_anomaly,
    enable_grad,
    grad,
    is_grad_enabled,
    mode,
    no_grad,
    set_grad_enabled,
)

__all__ = [
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]


def set_detect_anomaly(enabled: Any) -> None:
    """Hunt NaNs from now on (or no longer): the op that first makes one raises with its name."""
    mode.anomaly = bool(enabled)
