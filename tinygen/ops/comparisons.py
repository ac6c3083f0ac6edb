"""Comparisons and logic, element by element: bool out (bitwise: integers too), no gradient."""

from __future__ import annotations

import numpy as np

from ..backend import Array
from .op import elementwise

__all__ = [
    "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "eq", "ge", "gt", "isfinite",
    "isinf", "isnan", "le", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne",
]  # fmt: skip
METHODS = {*__all__}
OPERATORS = {
    "__eq__": "eq", "__ne__": "ne", "__lt__": "lt", "__le__": "le", "__gt__": "gt", "__ge__": "ge",
    "__and__": "bitwise_and", "__or__": "bitwise_or", "__xor__": "bitwise_xor",
    "__invert__": "bitwise_not",
}  # fmt: skip


@elementwise
def eq(x: Array, y: Array) -> Array:
    """x == y: bool; NaN equals nothing"""
    return np.equal(x, y)


@elementwise
def ne(x: Array, y: Array) -> Array:
    """x != y: bool; true of NaN"""
    return np.not_equal(x, y)


@elementwise
def lt(x: Array, y: Array) -> Array:
    """x < y: bool

    >>> tg.tensor([1, 2, 3]) < 2
    tensor([ True, False, False])
    """
    return np.less(x, y)


@elementwise
def le(x: Array, y: Array) -> Array:
    """x <= y: bool"""
    return np.less_equal(x, y)


@elementwise
def gt(x: Array, y: Array) -> Array:
    """x > y: bool"""
    return np.greater(x, y)


@elementwise
def ge(x: Array, y: Array) -> Array:
    """x >= y: bool"""
    return np.greater_equal(x, y)


@elementwise
def logical_and(x: Array, y: Array) -> Array:
    """Both are non-zero: bool"""
    return np.logical_and(x, y)


@elementwise
def logical_or(x: Array, y: Array) -> Array:
    """At least one is non-zero: bool"""
    return np.logical_or(x, y)


@elementwise
def logical_xor(x: Array, y: Array) -> Array:
    """Exactly one is non-zero: bool"""
    return np.logical_xor(x, y)


@elementwise
def logical_not(x: Array) -> Array:
    """It is zero: bool"""
    return np.logical_not(x)


@elementwise
def bitwise_and(x: Array, y: Array) -> Array:
    """x & y, of bools or integers"""
    return np.bitwise_and(x, y)


@elementwise
def bitwise_or(x: Array, y: Array) -> Array:
    """x | y, of bools or integers"""
    return np.bitwise_or(x, y)


@elementwise
def bitwise_xor(x: Array, y: Array) -> Array:
    """x ^ y, of bools or integers"""
    return np.bitwise_xor(x, y)


@elementwise
def bitwise_not(x: Array) -> Array:
    """~x, of bools or integers"""
    return np.invert(x)


@elementwise
def isnan(x: Array) -> Array:
    """It is not a number: bool"""
    return np.isnan(x)


@elementwise
def isinf(x: Array) -> Array:
    """It is inf or -inf: bool"""
    return np.isinf(x)


@elementwise
def isfinite(x: Array) -> Array:
    """It is neither inf nor NaN: bool"""
    return np.isfinite(x)
