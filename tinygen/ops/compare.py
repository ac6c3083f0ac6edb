"""Questions about two whole tensors: are they equal, are they close?"""

from __future__ import annotations

import builtins

import numpy as np

from ..tensor import Tensor, same_device, wrap

__all__ = ["allclose", "equal", "isclose"]
METHODS = {*__all__}


def equal(x: Tensor, y: Tensor) -> builtins.bool:
    """Same shape and same elements? A Python bool."""
    same_device("equal", x, y)
    return x.shape == y.shape and bool((x._array == y._array).all())


def isclose(
    x: Tensor, y: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: builtins.bool = False
) -> Tensor:
    """|x - y| <= atol + rtol |y|, element by element."""
    same_device("isclose", x, y)
    close = np.isclose(x._array, y._array, rtol, atol, equal_nan)
    return wrap(np.asarray(close) if isinstance(close, np.generic) else close)


def allclose(
    x: Tensor, y: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: builtins.bool = False
) -> builtins.bool:
    """Is every element close? A Python bool."""
    return bool(isclose(x, y, rtol, atol, equal_nan)._array.all())
