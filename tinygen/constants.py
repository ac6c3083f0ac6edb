"""PyTorch's constants, torch.Size, and what the dtypes can hold: finfo, iinfo."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .backend import as_dtype, get_default_dtype

__all__ = ["Size", "dtype", "e", "finfo", "iinfo", "inf", "nan", "newaxis", "pi"]

e, inf, nan, pi = math.e, math.inf, math.nan, math.pi
newaxis = None
dtype = np.dtype  # isinstance(x.dtype, tg.dtype)


class _AnyTuple(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, tuple)


class Size(tuple[int, ...], metaclass=_AnyTuple):
    """A shape that knows its number of elements, as x.size() gives it; any tuple is a Size.

    x.shape itself is a plain tuple, which is made in no time.

    >>> tg.zeros(2, 3).size()[1:].numel(), isinstance(tg.zeros(2, 3).shape, tg.Size)
    (3, True)
    """

    __slots__ = ()

    def numel(self) -> int:
        """The product of the sizes."""
        return math.prod(self)

    def __getitem__(self, index: Any) -> Any:
        part = super().__getitem__(index)
        return Size(part) if isinstance(index, slice) else part

    def __add__(self, other: Any) -> Size:
        return Size(super().__add__(tuple(other)))


class finfo:
    """What a floating dtype can hold, in Python floats: eps, tiny, max, min, bits, ...

    TypeError for another dtype. Without one, the default dtype.

    >>> tg.finfo(tg.float32).eps == 2**-23, tg.finfo(tg.float16).max
    (True, 65504.0)
    """

    def __init__(self, type: Any = None) -> None:  # noqa: A002  (PyTorch's name)
        kind = get_default_dtype() if type is None else as_dtype(type)
        if kind.kind != "f":
            raise TypeError(f"finfo: expected a floating-point dtype, got {kind}; iinfo has that")
        info = np.finfo(kind)
        self.bits, self.dtype = info.bits, str(kind)
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.tiny)
        self.resolution = 10.0**-info.precision


class iinfo:
    """What an integer dtype can hold: max, min, bits; TypeError for another dtype.

    >>> tg.iinfo(tg.uint8).max
    255
    """

    def __init__(self, type: Any) -> None:  # noqa: A002  (PyTorch's name)
        kind = as_dtype(type)
        if kind.kind not in "iu":
            raise TypeError(f"iinfo: expected an integer dtype, got {kind}; finfo has the floating")
        info = np.iinfo(kind)
        self.bits, self.dtype = info.bits, str(kind)
        self.max, self.min = int(info.max), int(info.min)
