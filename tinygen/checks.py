"""What a call was given, checked where it is given: integers and numbers, and their ranges.

One error each, which begins with the class or function that was called: TypeError for a value of
another kind (a str, None, a float for an integer), ValueError for one that is out of range.
"""

from __future__ import annotations

import math
import operator
from typing import Any

__all__ = ["integers", "numbers", "positive", "sizes"]


def integers(name: str, least: int | None = None, **values: Any) -> None:
    """Each value is an integer, and not below `least`."""
    for key, value in values.items():
        try:
            operator.index(value)
        except TypeError:
            raise TypeError(f"{name}: expected an integer {key}, got {value!r}") from None
        if least is not None and value < least:
            raise ValueError(f"{name}: expected {key} >= {least}, got {value}")


def positive(name: str, **values: Any) -> None:
    """Each value is an integer >= 1: a size, a count."""
    integers(name, 1, **values)


def numbers(
    name: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    finite: bool = True,
    **values: Any,
) -> None:
    """Each value is a number in [low, high], no NaN and, if finite, not infinite either."""
    for key, value in values.items():
        try:
            fine = math.isfinite(value) or (math.isinf(value) and not finite)
        except (TypeError, RuntimeError):  # RuntimeError: a Tensor of several
            raise TypeError(f"{name}: expected a number {key}, got {value!r}") from None
        if not fine:
            raise ValueError(f"{name}: expected a finite {key}, got {value}")
        if not low <= value <= high:
            bounds = f">= {low:g}" if high == math.inf else f"in [{low:g}, {high:g}]"
            raise ValueError(f"{name}: expected {key} {bounds}, got {value}")


def sizes(
    name: str, key: str, value: Any, ndim: int | None = None, least: int | None = 0
) -> tuple[int, ...]:
    """`ndim` integers: 3 stands for (3, 3), (3, 5) for itself. Without ndim, any number of them."""
    several = tuple(value) if isinstance(value, (tuple, list)) else (value,) * (ndim or 1)
    if ndim is not None and len(several) != ndim:
        raise ValueError(f"{name}: expected one {key} or {ndim} of them, got {value!r}")
    for size in several:
        integers(name, least, **{key: size})
    return several
