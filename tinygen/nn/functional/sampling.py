"""Reading an image between its pixels: affine_grid and grid_sample (Jaderberg et al. 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import ops
from ...backend import move
from ...ops.half import through_float32
from ...tensor import Tensor, same_device, wrap

__all__ = ["affine_grid", "grid_sample"]


@through_float32
def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """Where grid_sample reads for output[p] = input[A p + b]: (N, H, W, 2) points (x, y).

    theta (N, 2, 3) = [A, b], size (N, C, H, W). The points run over [-1, 1], from edge to edge of
    the image, or from the first pixel's centre to the last one's (align_corners=True).

    >>> flip = tg.tensor([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> F.affine_grid(flip, (1, 1, 1, 2))
    tensor([[[[ 0.5,  0. ],
              [-0.5,  0. ]]]])
    """
    if len(size) != 4 or theta.shape != (size[0], 2, 3) or min(size) < 1:
        raise ValueError(
            f"affine_grid: expected theta (N, 2, 3) and a size (N, C, H, W), got {theta.shape} and "
            f"{tuple(size)}"
        )
    y, x = (_ticks(n, align_corners) for n in size[2:])
    points = np.stack([*np.meshgrid(x, y), np.ones((len(y), len(x)))], -1).reshape(-1, 3)
    base = wrap(move(points.astype(theta.dtype), theta.device))
    return ops.reshape(ops.matmul(base, theta.mT), (size[0], size[2], size[3], 2))


def _ticks(n: int, align_corners: bool) -> Any:
    if align_corners:
        return np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
    return (2 * np.arange(n) + 1) / n - 1


@through_float32
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> Tensor:
    """The image (N, C, H, W) at the points of the grid (N, OH, OW, 2) -> (N, C, OH, OW).

    A point is (x, y) with -1 and 1 at the edges of the image, or at the centres of its outer pixels
    (align_corners=True). mode: "bilinear" or "nearest". What lies outside is 0 ("zeros"), the edge
    ("border") or the image mirrored at its edges ("reflection"). Differentiable in both arguments;
    there is no "bicubic", and there are no volumes.

    >>> image = tg.tensor([[[[0.0, 10.0]]]])
    >>> F.grid_sample(image, tg.tensor([[[[0.0, 0.0], [0.5, 0.0]]]]))
    tensor([[[[ 5., 10.]]]])
    """
    _check(input, grid, mode, padding_mode)
    height, width = input.shape[2:]
    x = _inside(_pixel(grid[..., 0], width, align_corners), width, padding_mode, align_corners)
    y = _inside(_pixel(grid[..., 1], height, align_corners), height, padding_mode, align_corners)
    if mode == "nearest":
        return _read(input, ops.round(y.detach()), ops.round(x.detach()))
    top, left = ops.floor(y.detach()), ops.floor(x.detach())
    down, right = ops.unsqueeze(y - top, 1), ops.unsqueeze(x - left, 1)  # (N, 1, OH, OW)
    above = (1.0 - right) * _read(input, top, left) + right * _read(input, top, left + 1)
    below = (1.0 - right) * _read(input, top + 1, left) + right * _read(input, top + 1, left + 1)
    return (1.0 - down) * above + down * below


def _check(x: Tensor, grid: Tensor, mode: str, padding_mode: str) -> None:
    if mode not in ("bilinear", "nearest"):
        raise ValueError(f"grid_sample: mode must be 'bilinear' or 'nearest', got {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(
            f"grid_sample: padding_mode must be 'zeros', 'border' or 'reflection', got "
            f"{padding_mode!r}"
        )
    if x.ndim != 4 or grid.ndim != 4 or grid.shape[3] != 2 or grid.shape[0] != x.shape[0]:
        raise RuntimeError(
            f"grid_sample: expected an input (N, C, H, W) and a grid (N, OH, OW, 2), got {x.shape} "
            f"and {grid.shape}"
        )
    if 0 in x.shape[2:] or x.dtype != grid.dtype or x.dtype.kind != "f":
        raise RuntimeError(
            f"grid_sample: expected a non-empty image and a grid of one floating dtype, got "
            f"{x.shape} {x.dtype} and {grid.dtype}"
        )
    same_device("grid_sample", x, grid)


def _pixel(at: Tensor, size: int, align_corners: bool) -> Tensor:
    """-1..1 as a pixel: 0..size - 1, or with the edges half a pixel outside"""
    if align_corners:
        return (at + 1.0) * ((size - 1) / 2)
    return (at + 1.0) * (size / 2) - 0.5


def _inside(at: Tensor, size: int, padding_mode: str, align_corners: bool) -> Tensor:
    """A pixel of the image in place of one outside, as the padding mode has it."""
    if padding_mode == "zeros":
        return at
    if padding_mode == "reflection":
        low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
        if span == 0:
            return at * 0.0
        away = ops.abs(at - low)  # over and back again, each `span` long
        rest = away - 2 * span * ops.floor(away.detach() / (2 * span))
        at = low + ops.where(rest > span, 2 * span - rest, rest)
    return ops.clamp(at, 0.0, size - 1.0)


def _read(image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """The pixels (N, C, OH, OW) at whole rows and columns (N, OH, OW); 0 outside."""
    n, c, height, width = image.shape
    there = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    i, j = (ops.where(there, at, 0.0).long() for at in (row, column))
    at = (i * width + j).flatten(1).unsqueeze(1)
    found = image.flatten(2).gather(2, at.expand(n, c, at.shape[2]))
    found = found.reshape(n, c, *row.shape[1:])
    return ops.where(ops.unsqueeze(there, 1), found, 0.0)
