"""Tensors like another one, as its methods: its dtype and device unless others are given."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from .creation import empty, full, ones, tensor, zeros
from .shapes import ints

__all__: list[str] = []
METHODS = {"new_empty", "new_full", "new_ones", "new_tensor", "new_zeros"}


def new_zeros(
    x: Tensor, size: Any = (), *more: int, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """All 0, of the given size, with x's dtype and device: x.new_zeros(2, 3).

    >>> tg.ones(2, dtype=tg.int64).new_zeros(1, 2)
    tensor([[0, 0]])
    """
    return zeros(
        ints(size, more), dtype=dtype or x.dtype, device=device or x.device,
        requires_grad=requires_grad,
    )  # fmt: skip


def new_ones(
    x: Tensor, size: Any = (), *more: int, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """All 1, of the given size, with x's dtype and device: x.new_ones(2, 3)."""
    return ones(
        ints(size, more), dtype=dtype or x.dtype, device=device or x.device,
        requires_grad=requires_grad,
    )  # fmt: skip


def new_empty(
    x: Tensor, size: Any = (), *more: int, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Whatever lay in memory, of the given size, with x's dtype and device: x.new_empty(2, 3)."""
    return empty(
        ints(size, more), dtype=dtype or x.dtype, device=device or x.device,
        requires_grad=requires_grad,
    )  # fmt: skip


def new_full(
    x: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """One value everywhere, of the given size, with x's dtype and device."""
    return full(
        size, fill_value, dtype=dtype or x.dtype, device=device or x.device,
        requires_grad=requires_grad,
    )  # fmt: skip


def new_tensor(
    x: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A copy of `data` (numbers, lists, an array) with x's dtype and device."""
    return tensor(
        data, dtype=dtype or x.dtype, device=device or x.device, requires_grad=requires_grad
    )
