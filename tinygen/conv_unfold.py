"""Unfolding images for GEMM: the copies that the convolutions on NumPy make, and no others.

Images are (N, H, W, C) here. (1) is the relation of conv_numpy.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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


def unfolded(
    x: Array, kernel: Pair, outs: Pair, stride: Pair, dilation: Pair, start: Pair
) -> Iterator[tuple[slice, list[tuple[slice, Array]]]]:
    """For each tile of images: for each kernel row the output rows i that it reaches, and a matrix
    (i*n*J, KW*C) of what it meets there.

    The memory is (row, image, column, b, c), rows first, so that the matrix of the next kernel
    row is the same memory one row further on, and no row outside the image is in any of them.
    With a stride the rows are dealt out by phase.
    """
    (images, height, _, c), (kh, kw), (rows, columns) = x.shape, kernel, outs
    shifts = [divmod(a * dilation[0], stride[0]) for a in range(kh)]
    depth = {r: rows + max(s for s, phase in shifts if phase == r) for _, r in shifts}
    met = {r: overlap(d, height, stride[0], r - start[0]) for r, d in depth.items()}
    inner, pieces, blanks = _columns(x, kw, columns, stride[1], dilation[1], start[1])
    buffers: dict[int, Array] = {}
    before = -1
    for tile in tiles(images, sum(depth.values()) * columns * kw * c):
        n = tile.stop - tile.start
        part = x[tile].transpose(1, 0, 2, 3)
        for r, (k, h) in met.items():
            if n != before:
                buffers[r] = np.empty_like(
                    x, shape=(k.stop - k.start, n, columns, kw, c), order="C"
                )
                for b, j in blanks:  # they are zero and stay so
                    buffers[r][:, :, j, b] = 0
            buffer = buffers[r]
            if inner.stop > inner.start:
                first = inner.start * stride[1] - start[1]
                runs = _runs(part[h, :, first:], inner.stop - inner.start, kw, stride[1])
                buffer.reshape(len(buffer), n, columns, kw * c)[:, :, inner] = runs
            for b, j, v in pieces:
                buffer[:, :, j, b] = part[h, :, v]
        before = n
        yield tile, [_reached(buffers[r], met[r][0], s, rows) for s, r in shifts]


def _reached(buffer: Array, k: slice, shift: int, rows: int) -> tuple[slice, Array]:
    """The output rows i whose row i + shift is among the rows k of the buffer, and these."""
    first, last = max(0, k.start - shift), min(rows, k.stop - shift)
    last = max(first, last)
    met = buffer[first + shift - k.start : last + shift - k.start]
    return slice(first, last), met.reshape(-1, buffer.shape[3] * buffer.shape[4])


def _columns(
    x: Array, kw: int, columns: int, stride: int, dilation: int, start: int
) -> tuple[slice, list[tuple[int, slice, slice]], list[tuple[int, slice]]]:
    """How to unfold the width: the columns whose window is one run of memory, and what is left.

    What is left comes as (tap b, columns j, pixels v): all of it where x is not channels-last.
    Last, as (b, j): where a tap meets no pixel.
    """
    width, c = x.shape[2:]
    inner = slice(0, 0)
    if dilation == 1 and is_numpy(x) and x.strides[2:] == (c * x.itemsize, x.itemsize):
        first = max(0, -(-start // stride))
        inner = slice(first, max(first, min(columns, (width - kw + start) // stride + 1)))
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
    return inner, pieces, [(b, j) for b, j in blanks if j.start < j.stop]


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
