"""float16 stores numbers; what adds up, cancels or could overflow is computed in float32."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from ..backend import float16, float32, float64
from ..tensor import Tensor
from .op import cast

__all__ = ["F", "through_float32", "widened"]

F = TypeVar("F", bound=Callable[..., Any])


def through_float32(function: F) -> F:
    """float16 Tensors in, float16 out, and float32 between, in the gradients too: rounded once.

    Everything else passes through: float32 and float64, and float16 beside them, which promotes. So
    does a call with a dtype: the function converts, and calls itself.
    """

    @wraps(function)
    def rounded(*args: Any, **kwargs: Any) -> Any:
        x = args[0] if args else next(iter(kwargs.values()), None)
        if not isinstance(x, Tensor) or x._array.dtype is not float16:
            return function(*args, **kwargs)
        if kwargs.get("dtype") is not None:
            return function(*args, **kwargs)
        dtypes = {y.dtype for y in (*args, *kwargs.values()) if isinstance(y, Tensor)}
        if float32 in dtypes or float64 in dtypes:
            return function(*args, **kwargs)
        wide = {name: widened(y) for name, y in kwargs.items()}
        out = function(*map(widened, args), **wide)
        return cast(out, dtype=float16) if out.dtype is float32 else out

    return rounded  # type: ignore[return-value]


def widened(x: Any) -> Any:
    """x in float32 if it is a float16 Tensor, else itself"""
    return cast(x, dtype=float32) if isinstance(x, Tensor) and x._array.dtype is float16 else x
