"""The dtype of a result, as PyTorch promotes."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ..backend import DType, get_default_dtype
from ..tensor import Tensor, wrap

__all__ = ["result_type"]


Operand: TypeAlias = Tensor | float | np.generic | np.ndarray[Any, Any]


def operand(name: str, x: Any) -> Any:
    """x as a Tensor or as a Python number, which has a weak dtype."""
    if isinstance(x, np.generic):  # first: a numpy.float64 is a float too, but not a weak one
        return x.item()
    if isinstance(x, (Tensor, bool, int, float)):
        return x
    if isinstance(x, np.ndarray):
        return wrap(x)
    raise TypeError(f"{name}: expected Tensors and numbers, got {type(x).__name__}")


def result_type(*operands: Any) -> DType:
    """PyTorch's promotion: tensors with dimensions first, then 0-d ones, then Python numbers.

    A weaker group counts only where it is of a higher kind: bool < integer < float.

    >>> tg.result_type(tg.tensor([1, 2]), 0.5)
    dtype('float32')
    >>> tg.result_type(tg.zeros(2), tg.tensor(1.0).double())  # a 0-d tensor is the weaker one
    dtype('float32')
    """
    groups: list[list[DType]] = [[], [], []]
    for x in operands:
        if isinstance(x, Tensor):
            groups[0 if x.ndim else 1].append(x.dtype)
        else:
            plain = {bool: np.dtype(bool), int: np.dtype(np.int64)}
            groups[2].append(plain.get(type(x), get_default_dtype()))
    result: DType | None = None
    for group in groups:
        for dtype in group:
            if result is None or _rank(dtype) > _rank(result):
                result = dtype
            elif _rank(dtype) == _rank(result) and group is not groups[2]:
                same_group = group is groups[0] or not groups[0]
                result = np.promote_types(dtype, result) if same_group else result
    if result is None:
        raise TypeError("expected at least one Tensor")
    return result


def _rank(dtype: DType) -> int:
    return {"b": 0, "u": 1, "i": 1, "f": 2}[dtype.kind]
