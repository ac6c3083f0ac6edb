"""Pooling of lines (N, C, L), as images one pixel high; maxima over a given number of windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import module_of
from ..tensor import Tensor, wrap
from .order import max as max_of
from .pooling import adaptive_avg_pool2d, avg_pool2d, check_floating, image, max_pool2d
from .shapes import flatten, squeeze, unsqueeze
from .windows import Pair, Size, as_pair, is_int

__all__ = [
    "adaptive_avg_pool1d", "adaptive_max_pool1d", "adaptive_max_pool2d", "avg_pool1d", "max_pool1d",
]  # fmt: skip


def _row(name: str, x: Tensor) -> Tensor:
    """The lines as images of height 1."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: expected a Tensor as input, got {type(x).__name__}")
    if x.ndim not in (2, 3):
        raise RuntimeError(f"{name}: expected 2D (C, L) or 3D (N, C, L) input, got size {x.shape}")
    return unsqueeze(x, -2)


def _one(name: str, what: str, value: Any, least: int) -> int:
    """One integer, which may come in a tuple."""
    if not is_int(value) and not (isinstance(value, (tuple, list)) and len(value) == 1):
        raise RuntimeError(f"{name}: expected {what} to be one integer, got {value!r}")
    return as_pair(name, what, value if is_int(value) else value[0], least)[0]


def _windows(
    name: str, kernel: Any, stride: Any, padding: Any, dilation: Any = 1
) -> tuple[Pair, Pair, Pair, Pair]:
    """kernel_size, stride, padding and dilation for an image of height 1."""
    k = _one(name, "kernel_size", kernel, 1)
    s = k if stride is None else _one(name, "stride", stride, 1)
    p, d = _one(name, "padding", padding, 0), _one(name, "dilation", dilation, 1)
    return (1, k), (1, s), (0, p), (1, d)


def max_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """max_pool2d of lines (N, C, L) or (C, L).

    >>> F.max_pool1d(tg.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])
    """
    k, s, p, d = _windows("max_pool1d", kernel_size, stride, padding, dilation)
    out = max_pool2d(_row("max_pool1d", input), k, s, p, d, ceil_mode, return_indices)
    return tuple(squeeze(x, -2) for x in out) if return_indices else squeeze(out, -2)


def avg_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """avg_pool2d of lines (N, C, L) or (C, L).

    >>> F.avg_pool1d(tg.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])
    """
    k, s, p, _ = _windows("avg_pool1d", kernel_size, stride, padding)
    x = _row("avg_pool1d", input)
    return squeeze(avg_pool2d(x, k, s, p, ceil_mode, count_include_pad), -2)


def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """adaptive_avg_pool2d of lines (N, C, L) or (C, L): means over output_size windows."""
    outs = _one("adaptive_avg_pool1d", "output_size", output_size, 1)
    return squeeze(adaptive_avg_pool2d(_row("adaptive_avg_pool1d", input), (1, outs)), -2)


def adaptive_max_pool1d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """adaptive_max_pool2d of lines (N, C, L) or (C, L): maxima over output_size windows."""
    outs = _one("adaptive_max_pool1d", "output_size", output_size, 1)
    x = _row("adaptive_max_pool1d", input)
    out = adaptive_max_pool2d(x, (1, outs), return_indices)
    return tuple(squeeze(x, -2) for x in out) if return_indices else squeeze(out, -2)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """Maxima over output_size windows, those of adaptive_avg_pool2d; None keeps a size.

    Of equal values the first one gets the gradient. return_indices: also h W + w of each maximum.

    >>> F.adaptive_max_pool2d(tg.tensor([[[0.0, 2.0, 1.0]]]), (1, 2))  # of 0 2 and of 2 1
    tensor([[[2., 2.]]])
    """
    name = "adaptive_max_pool2d"
    x, batched = image(name, input)
    check_floating(name, x)
    if 0 in x.shape[2:]:
        raise RuntimeError(f"{name}: expected a non-empty image, got {input.shape}")
    wanted = (output_size,) * 2 if output_size is None or is_int(output_size) else output_size
    full = [m if n is None else n for n, m in zip(wanted, x.shape[2:])]
    size = as_pair(name, "output_size", full, 1)
    rows, columns = (_taps(x.shape[2 + i], size[i]) for i in (0, 1))
    rows, columns = rows[:, None, :, None], columns[None, :, None, :]  # (OH, OW, taps, taps)
    asarray = module_of(x._array).asarray
    seen = flatten(x[:, :, wrap(asarray(rows)), wrap(asarray(columns))], -2)
    values, taps = max_of(seen, -1)
    if return_indices:
        pixels = wrap(asarray((rows * x.shape[3] + columns).reshape(1, 1, *size, -1)))
        at = pixels.expand(*seen.shape).gather(-1, unsqueeze(taps, -1)).squeeze(-1)
        return (values, at) if batched else (squeeze(values, 0), squeeze(at, 0))
    return values if batched else squeeze(values, 0)


def _taps(size: int, outs: int) -> Any:
    """(outs, taps): what each window sees, its last one again where it sees fewer than others."""
    i = np.arange(outs)[:, None]
    start, end = i * size // outs, -(-(i + 1) * size // outs)
    return np.minimum(start + np.arange((end - start).max()), end - 1)
