"""Questions about two whole tensors: are they equal, are they close?"""

from __future__ import annotations

import builtins

import numpy as np

from ..tensor import Tensor, wrap


def equal(x: Tensor, y: Tensor) -> builtins.bool:
    """Same shape and same elements? A Python bool."""
    return x.shape == y.shape and bool((x._array == y._array).all())


def isclose(
    x: Tensor, y: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: builtins.bool = False
) -> Tensor:
    """|x - y| <= atol + rtol |y|, element by element."""
    return wrap(np.asanyarray(np.isclose(x._array, y._array, rtol, atol, equal_nan)))


def allclose(
    x: Tensor, y: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: builtins.bool = False
) -> builtins.bool:
    """Is every element close? A Python bool."""
    return bool(np.isclose(x._array, y._array, rtol, atol, equal_nan).all())
