"""Parameter: a Tensor that a Module lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import as_dtype, empty_channels_last, get_default_dtype, module_for
from ..tensor import Tensor, as_array, wrap

__all__ = ["Parameter", "empty_parameter"]


class Parameter(Tensor):
    """A Tensor that a Module lists among its parameters. Shares the memory of a Tensor `data`.

    >>> nn.Parameter(tg.zeros(2)).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        self._adopt(data._array if isinstance(data, Tensor) else as_array(data))
        if isinstance(data, Tensor):
            self._version = data._version
        self.requires_grad = requires_grad

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


def empty_parameter(
    *shape: int, dtype: Any = None, device: Any = None, channels_last: bool = False
) -> Parameter:
    """A Parameter for reset_parameters() to fill; of the default dtype unless given another.

    channels_last: dimension 1 lies last in memory (not on a GPU: the kernels pack weights).
    """
    xp, dtype = module_for(device), get_default_dtype() if dtype is None else as_dtype(dtype)
    empty = empty_channels_last if channels_last and xp is np else xp.empty
    return Parameter(wrap(empty(shape, dtype)))
