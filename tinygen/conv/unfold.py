"""Unfolding images for GEMM: the copies that the convolutions on NumPy make.

Images are (N, H, W, C) here. (1) is the relation of cpu.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..ops.windows import Pair, overlap

__all__ = ["Plan", "tap_planes", "tiles", "unfolded"]

TILE = 1 << 19  # numbers unfolded at a time: 2 MiB in float32, so that they stay in the cache


def tiles(images: int, each: int) -> Iterator[slice]:
    """The batch in equal parts (the last may be smaller) of about TILE numbers, `each` an image."""
    parts = min(images, -(-images * each // TILE)) or 1
    size = -(-images // parts) or 1
    return (slice(k, min(k + size, images)) for k in range(0, images, size))


# --- rows: unfold along the width, slide over the height


class Plan(NamedTuple):
    """Which pixels go where, for an image of one size: the same in every step of a training."""

    phases: tuple[tuple[int, slice], ...]  # how many rows each buffer has, and which pixel rows
    rows: tuple[tuple[int, slice, slice], ...]  # for each kernel row: buffer, outputs i, its rows
    width: int  # of what the windows of a row reach over,
    to: slice  # where in it there are pixels,
    of: slice  # and which


def unfolded(
    x: Array, kernel: Pair, outs: Pair, stride: Pair, dilation: Pair, start: Pair
) -> Iterator[tuple[slice, list[tuple[slice, Array]]]]:
    """For each tile of images: for each kernel row the output rows i that it reaches, and a matrix
    (i*n*J, KW*C) of what it meets there.

    The memory is (row, image, column, b, c), rows first, so that the matrix of the next kernel
    row is the same memory one row further on, and no row outside the image is in any of them.
    With a stride the rows are dealt out by phase. To the sides the image is padded, by a copy:
    then a window is one run of memory, and all of them are copied at once.
    """
    images, height, width, c = x.shape
    plan = _plan((height, width), kernel, outs, stride, dilation, start)
    run = kernel[1] * c
    row = outs[1] * run
    for tile in tiles(images, sum(count for count, _ in plan.phases) * row):
        n, part = tile.stop - tile.start, x[tile].transpose(1, 0, 2, 3)
        buffers = []
        for count, h in plan.phases:
            padded = np.empty_like(x, shape=(count, n, plan.width, c), order="C")
            padded[:, :, : plan.to.start] = 0
            padded[:, :, plan.to.stop :] = 0
            padded[:, :, plan.to] = part[h, :, plan.of]
            buffer = np.empty_like(x, shape=(count, n, outs[1], run), order="C")
            _windows_into(buffer, padded, kernel[1], stride[1], dilation[1])
            buffers.append(buffer)
        yield tile, [(i, buffers[r][k].reshape(-1, run)) for r, i, k in plan.rows]


@lru_cache(maxsize=1024)
def _plan(image: Pair, kernel: Pair, outs: Pair, stride: Pair, dilation: Pair, start: Pair) -> Plan:
    shifts = [divmod(a * dilation[0], stride[0]) for a in range(kernel[0])]
    phases = sorted({r for _, r in shifts})
    # Of (1), h = (i + s) stride + r - start, where a * dilation = s * stride + r: the buffer of
    # phase r has a row for each i + s that meets a pixel.
    depth = {r: outs[0] + max(s for s, phase in shifts if phase == r) for r in phases}
    met = {r: overlap(depth[r], image[0], stride[0], r - start[0]) for r in phases}
    rows = []
    for s, r in shifts:
        k = met[r][0]
        first = max(0, k.start - s)
        count = max(0, min(outs[0], k.stop - s) - first)
        begin = first + s - k.start
        rows.append((phases.index(r), slice(first, first + count), slice(begin, begin + count)))
    reach = (outs[1] - 1) * stride[1] + (kernel[1] - 1) * dilation[1] + 1
    return Plan(
        tuple((k.stop - k.start, h) for k, h in met.values()),
        tuple(rows),
        reach,
        *overlap(reach, image[1], 1, -start[1]),
    )


def _windows_into(out: Array, x: Array, kw: int, stride: int, dilation: int) -> None:
    """out[..., j, :] = the KW pixels j * stride + b * dilation of x (rows, n, width, C)."""
    if dilation == 1:
        *rest, pixel, number = x.strides
        strides = (*rest, stride * pixel, number)
        out[...] = np.ndarray(out.shape, x.dtype, x, 0, strides)  # windows overlap: a view of x
        return
    rows, n, outs, _ = out.shape
    windows = out.reshape(rows, n, outs, kw, x.shape[3])
    for b in range(kw):
        begin = b * dilation
        windows[:, :, :, b] = x[:, :, begin : begin + (outs - 1) * stride + 1 : stride]


# --- planes: for few channels, a tap moves whole planes


def tap_planes(x: Array, kernel: Pair, size: Pair, taps: Any) -> Array:
    """(KH, KW, C, n, *size): for each tap and channel a plane, zero where no pixel is met."""
    source = x.transpose(3, 0, 1, 2)
    planes = np.zeros_like(x, shape=(*kernel, *source.shape[:2], *size))
    for a, b, to, of in taps:
        planes[a, b][to] = source[of]
    return planes
