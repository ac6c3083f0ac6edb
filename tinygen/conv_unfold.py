"""Unfolding images for GEMM: the copies that the convolutions on NumPy make, and no others.

Images are (N, H, W, C) here. (1) is the relation of conv_numpy.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from .backend import Array, is_numpy
from .ops.windows import Pair, overlap

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
    inner: slice  # the columns whose window is one run of memory,
    first: int  # and the pixel where the first of these runs starts
    pieces: tuple[tuple[int, slice, slice], ...]  # what is left: tap b, columns j, pixels v
    blanks: tuple[tuple[int, slice], ...]  # where tap b meets no pixel: columns j


def unfolded(
    x: Array, kernel: Pair, outs: Pair, stride: Pair, dilation: Pair, start: Pair
) -> Iterator[tuple[slice, list[tuple[slice, Array]]]]:
    """For each tile of images: for each kernel row the output rows i that it reaches, and a matrix
    (i*n*J, KW*C) of what it meets there.

    The memory is (row, image, column, b, c), rows first, so that the matrix of the next kernel
    row is the same memory one row further on, and no row outside the image is in any of them.
    With a stride the rows are dealt out by phase.
    """
    images, height, width, c = x.shape
    runs = is_numpy(x) and x.strides[2:] == (c * x.itemsize, x.itemsize)
    plan = _plan((height, width), kernel, outs, stride, dilation, start, runs)
    row, run = outs[1] * kernel[1] * c, kernel[1] * c
    buffers: list[Array] = []
    for tile in tiles(images, sum(count for count, _ in plan.phases) * row):
        n = tile.stop - tile.start
        if not buffers or n != buffers[0].shape[1]:
            buffers = [
                np.empty_like(x, shape=(count, n, outs[1], kernel[1], c), order="C")
                for count, _ in plan.phases
            ]
            for buffer, (b, j) in product(buffers, plan.blanks):  # zero, and they stay so
                buffer[:, :, j, b] = 0
        part = x[tile].transpose(1, 0, 2, 3)
        for buffer, (_, h) in zip(buffers, plan.phases, strict=True):
            if plan.inner.stop:
                columns = plan.inner.stop - plan.inner.start
                to = buffer.reshape(len(buffer), n, outs[1], run)[:, :, plan.inner]
                to[...] = _runs(part[h, :, plan.first :], columns, kernel[1], stride[1])
            for b, j, v in plan.pieces:
                buffer[:, :, j, b] = part[h, :, v]
        yield tile, [(i, buffers[r][k].reshape(-1, run)) for r, i, k in plan.rows]


@lru_cache(maxsize=1024)
def _plan(
    image: Pair, kernel: Pair, outs: Pair, stride: Pair, dilation: Pair, start: Pair, runs: bool
) -> Plan:
    """runs: are the pixels of a row one run of memory?"""
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
    return Plan(
        tuple((k.stop - k.start, h) for k, h in met.values()),
        tuple(rows),
        *_columns(image[1], kernel[1], outs[1], stride[1], dilation[1], start[1], runs),
    )


def _columns(
    width: int, kw: int, columns: int, stride: int, dilation: int, start: int, runs: bool
) -> tuple[slice, int, tuple[Any, ...], tuple[Any, ...]]:
    """How to unfold the width: the last four fields of a Plan."""
    inner = slice(0, 0)
    if dilation == 1 and runs:
        first, last = max(0, -(-start // stride)), min(columns, (width - kw + start) // stride + 1)
        inner = slice(first, last) if first < last else inner
    pieces, blanks = [], []
    for b in range(kw):
        j, v = overlap(columns, width, stride, b * dilation - start)
        blanks += [(b, slice(0, j.start)), (b, slice(j.stop, columns))]
        for low, high in ((0, inner.start), (inner.stop, columns)):
            begin, end = max(j.start, low), min(j.stop, high)
            if begin < end:
                at = v.start + (begin - j.start) * stride
                pieces.append(
                    (b, slice(begin, end), slice(at, at + (end - begin - 1) * stride + 1, stride))
                )
    left = tuple((b, j) for b, j in blanks if j.start < j.stop)
    return inner, inner.start * stride - start, tuple(pieces), left


def _runs(x: Array, count: int, kw: int, stride: int) -> Array:
    """(..., count, KW*C): the runs of KW pixels that start at every `stride`-th pixel; a view."""
    *rest, pixel, number = x.strides
    shape = (*x.shape[:2], count, kw * x.shape[3])
    strides = (*rest, stride * pixel, number)
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


# --- planes: for few channels, a tap moves whole planes


def tap_planes(x: Array, kernel: Pair, size: Pair, taps: Any) -> Array:
    """(KH, KW, C, n, *size): for each tap and channel a plane, zero where no pixel is met."""
    source = x.transpose(3, 0, 1, 2)
    planes = np.zeros_like(x, shape=(*kernel, *source.shape[:2], *size))
    for a, b, to, of in taps:
        planes[a, b][to] = source[of]
    return planes
