"""Questions about two whole tensors: are they equal, are they close?"""

from __future__ import annotations

import builtins

import numpy as np

from ..tensor import Tensor, same_device, wrap

__all__ = ["allclose", "equal", "isclose"]
METHODS = {*__all__}


def equal(input: Tensor, other: Tensor) -> builtins.bool:
    """Same shape and same elements? A Python bool; NaN equals nothing."""
    same_device("equal", input, other)
    return input.shape == other.shape and bool((input._array == other._array).all())


def isclose(
    input: Tensor,
    other: Tensor,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: builtins.bool = False,
) -> Tensor:
    """|x - y| <= atol + rtol |y|, element by element: y is the reference.

    >>> tg.isclose(tg.tensor([1.0, 1.0]), tg.tensor([1.000001, 1.1]))
    tensor([ True, False])
    """
    same_device("isclose", input, other)
    close = np.isclose(input._array, other._array, rtol, atol, equal_nan)
    return wrap(np.asarray(close) if isinstance(close, np.generic) else close)


def allclose(
    input: Tensor,
    other: Tensor,
    rtol: float = 1e-5,
    atol: float = 1e-8,
    equal_nan: builtins.bool = False,
) -> builtins.bool:
    """Is every element close, as isclose says? A Python bool."""
    return bool(isclose(input, other, rtol, atol, equal_nan)._array.all())
