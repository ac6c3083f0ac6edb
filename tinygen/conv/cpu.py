"""The convolution family on NumPy arrays: GEMMs by BLAS, and as little copying as possible.

Images have shape (N, C, H, W) but lie in memory channels-last, as (N, H, W, C): then the product of
a GEMM (one row a pixel, one column a channel) *is* the output, and nothing is transposed. Kernels
(O, C, KH, KW) lie as (O, KH, KW, C) where we make them, so that a row of each is a matrix, too.

Everything is a correlation or a sum of products around one relation between an input pixel h, an
output pixel i and a tap a of the kernel, in each direction:

    h = i * stride + a * dilation - start                                                       (1)

conv2d gathers with it. conv_transpose2d is, for each of the stride**2 phases of its output, a
dense correlation of stride 1: no work is done on zeros. Each has a second way for images of few
channels, where unfolding moves runs of one or two numbers: there the taps become planes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import gcd
from typing import Any

import numpy as np

from ..backend import Array, empty_channels_last
from ..ops.windows import Pair, meetings, output_size, transposed_size
from ..threads import PRODUCTS, in_parts, sum_of_parts
from .unfold import tap_planes, tiles, unfolded

__all__ = ["conv2d", "conv2d_weight", "conv_transpose2d"]

FEW = 8  # with fewer channels than this, taps are planes


def conv2d(
    x: Array,
    w: Array,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    bias: Array | None = None,
) -> Array:
    """out[n,o,i,j] = bias[o] + sum_cab x[n,c,h,v] w[o,c,a,b], with (1) for h and v."""
    out = _empty(x, w.shape[0], output_size(x.shape, w.shape, stride, padding, dilation))
    if w.shape[:2] == (groups, 1) and groups > 1:
        taps = meetings(w.shape[2:], out.shape[2:], x.shape[2:], stride, dilation, padding)
        _depthwise(x, w, out, bias, list(taps))
        return out
    image, result = _channels_last(x), _channels_last(out)
    for i, o in _grouped(x.shape[1], w.shape[0], groups):
        kernel = w[o].transpose(2, 3, 1, 0)
        part = None if bias is None else bias[o]
        rest = (kernel, part, stride, dilation, padding)
        in_parts(
            lambda out, x, *, rest=rest: _correlate(x, out, *rest),
            result[..., o], image[..., i], grain=PRODUCTS * w.shape[0] // max(w.size, 1),
        )  # fmt: skip
    return out


def conv_transpose2d(
    g: Array,
    w: Array,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    output_padding: Pair,
    bias: Array | None = None,
) -> Array:
    """The adjoint of conv2d in x: out[n,c,h,v] = bias[c] + sum_oab g[n,o,i,j] w[o,c,a,b]."""
    channels = w.shape[1] * groups
    size = transposed_size(g.shape, w.shape, stride, padding, dilation, output_padding)
    out = _empty(g, channels, size)
    if w.shape[:2] == (groups, 1) and groups > 1:
        taps = meetings(w.shape[2:], g.shape[2:], size, stride, dilation, padding)
        _depthwise(g, w, out, bias, [(a, b, h, i) for a, b, i, h in taps])
        return out
    image, result = _channels_last(g), _channels_last(out)
    for i, o in _grouped(g.shape[1], channels, groups):
        kernel = w[i].transpose(2, 3, 0, 1)
        part = None if bias is None else bias[o]
        rest = (kernel, part, stride, dilation, padding)
        in_parts(
            lambda out, g, *, rest=rest: _spread(g, out, *rest),
            result[..., o], image[..., i],
            grain=PRODUCTS * w.shape[1] * stride[0] * stride[1] // max(w.size, 1),
        )  # fmt: skip
    return out


def conv2d_weight(
    x: Array,
    g: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Array:
    """The derivative of conv2d in w: out[o,c,a,b] = sum_nij x[n,c,h,v] g[n,o,i,j]."""
    o, c = g.shape[1] // groups, x.shape[1] // groups
    if (o, c) == (1, 1) and groups > 1:
        out = np.zeros_like(x, shape=(groups, 1, *kernel_size), order="C")
        for a, b, i, h in meetings(
            kernel_size, g.shape[2:], x.shape[2:], stride, dilation, padding
        ):
            out[:, 0, a, b] = np.einsum("nchv,nchv->c", x[h], g[i])
        return out

    def products(g: Array, x: Array) -> Array:
        out = empty_channels_last((o, c, *kernel_size), x.dtype)
        _products(x, g, _channels_last(out), stride, dilation, padding)
        return out

    image, cotangent = _channels_last(x), _channels_last(g)
    grain = PRODUCTS // max(c * kernel_size[0] * kernel_size[1], 1)
    sums = [
        sum_of_parts(products, cotangent[..., o], image[..., i], grain=grain)
        for i, o in _grouped(x.shape[1], g.shape[1], groups)
    ]
    return sums[0] if groups == 1 else np.concatenate(sums)


# --- layout ---------------------------------------------------------------------------------


def _empty(like: Array, channels: int, size: Pair) -> Array:
    """(N, C, H, W) whose memory is (N, H, W, C)."""
    return np.empty_like(like, shape=(len(like), *size, channels), order="C").transpose(0, 3, 1, 2)


def _channels_last(x: Array) -> Array:
    return x.transpose(0, 2, 3, 1)


def _grouped(inputs: int, outputs: int, groups: int) -> Iterator[tuple[slice, slice]]:
    """The channels of each group, on both sides."""
    i, o = inputs // groups, outputs // groups
    return ((slice(k * i, k * i + i), slice(k * o, k * o + o)) for k in range(groups))


# --- the three sums, for one group ------------------------------------------------------------


def _correlate(
    x: Array, out: Array, w: Array, bias: Array | None, stride: Pair, dilation: Pair, start: Pair
) -> None:
    """out[n,i,j] = bias + sum_ab x[n,h,v] @ w[a,b]: x (N,H,W,C), w (KH,KW,C,O), out (N,I,J,O)."""
    c, o = w.shape[2:]
    if out.size == 0:
        return
    if w.size == 0:  # a phase that no tap reaches
        out[...] = 0 if bias is None else bias
    elif _covers(w.shape, x.shape, out.shape, dilation, start):
        _multiply(x.reshape(len(x), -1), w.reshape(-1, o), out, bias)
    elif _pointwise(w.shape, x.shape, out.shape, start):
        _multiply(x.reshape(-1, c), w.reshape(c, o), out, bias)
    elif o < FEW and o < c:
        taps = meetings(w.shape[:2], out.shape[1:3], x.shape[1:3], stride, dilation, start)
        _fold(x, w, out, bias, [(a, b, i, h) for a, b, i, h in taps])
    elif c < FEW:
        _correlate_planes(x, w, out, bias, stride, dilation, start)
    else:
        _correlate_rows(x, w, out, bias, stride, dilation, start)


def _spread(
    g: Array, out: Array, w: Array, bias: Array | None, stride: Pair, dilation: Pair, start: Pair
) -> None:
    """out[n,h,v] = bias + sum_ab g[n,i,j] @ w[a,b]: g (N,I,J,O), w (KH,KW,O,C), out (N,H,W,C)."""
    kernel, (o, c) = w.shape[:2], w.shape[2:]
    if out.size == 0:
        return
    if _covers(w.shape, out.shape, g.shape, dilation, start):
        columns = w.transpose(2, 0, 1, 3).reshape(o, -1)
        _multiply(g.reshape(-1, o), columns, out, bias)
    elif c < FEW and c < o:
        taps = meetings(kernel, g.shape[1:3], out.shape[1:3], stride, dilation, start)
        _fold(g, w, out, bias, [(a, b, h, i) for a, b, i, h in taps])
    else:
        for r in range(stride[0]):
            rows = _phase(kernel[0], r, stride[0], dilation[0], start[0])
            for q in range(stride[1]):
                columns = _phase(kernel[1], q, stride[1], dilation[1], start[1])
                part = out[:, r :: stride[0], q :: stride[1]]
                steps, starts = zip(rows[1:], columns[1:], strict=True)
                _correlate(g, part, w[rows[0], columns[0]], bias, (1, 1), steps, starts)


def _phase(taps: int, r: int, stride: int, dilation: int, start: int) -> tuple[slice, int, int]:
    """The outputs h = r, r + stride, ... of a transposed convolution are one dense correlation.

    Of (1), i = (h + start - a * dilation) / stride is whole for every q-th tap only. Returned:
    these taps, last first; the step of i between them; and the start of the correlation.
    """
    common = gcd(stride, dilation)
    q, step = stride // common, dilation // common
    first = next((a for a in range(q) if (r + start - a * dilation) % stride == 0), taps)
    count = len(range(first, taps, q))
    if count == 0:
        return slice(0, 0), 1, 0
    end = first + (count - 1) * q
    backwards = slice(end, first - q if first >= q else None, -q)
    return backwards, step, (count - 1) * step - (r + start - first * dilation) // stride


def _products(x: Array, g: Array, out: Array, stride: Pair, dilation: Pair, start: Pair) -> None:
    """out[:,a,b] = sum_nij g[n,i,j]^T x[n,h,v]: x (N,H,W,C), g (N,I,J,O), out (O,KH,KW,C)."""
    (o, kh, kw, c), image, outs = out.shape, x.shape[1:3], g.shape[1:3]
    kernel = (kh, kw, c, o)
    if g.size == 0 or x.size == 0:
        out[...] = 0
    elif _covers(kernel, x.shape, g.shape, dilation, start):
        np.matmul(g.reshape(-1, o).T, x.reshape(len(x), -1), out=out.reshape(o, -1))
    elif _pointwise(kernel, x.shape, g.shape, start):
        np.matmul(g.reshape(-1, o).T, x.reshape(-1, c), out=out.reshape(o, c))
    elif o < FEW and o < c:
        taps = meetings((kh, kw), outs, image, stride, dilation, start)
        swapped = [(a, b, h, i) for a, b, i, h in taps]
        sums = _planes_times(g, x, (kh, kw), swapped)
        out[...] = sums.reshape(kh, kw, o, c).transpose(2, 0, 1, 3)
    elif c < FEW:
        taps = meetings((kh, kw), outs, image, stride, dilation, start)
        sums = _planes_times(x, g, (kh, kw), list(taps))
        out[...] = sums.reshape(kernel).transpose(3, 0, 1, 2)
    elif stride == (1, 1) and o <= c:  # unfold the smaller one: each tap seen from the other side
        ends = (dilation[0] * (kh - 1) - start[0], dilation[1] * (kw - 1) - start[1])
        sums = np.empty_like(x, shape=(kh, kw * o, c), order="C")
        pairs = _rows_and_others(g, x, (kh, kw), stride, dilation, ends)
        _sum_products(sums, pairs)
        out[...] = sums.reshape(kh, kw, o, c)[::-1, ::-1].transpose(2, 0, 1, 3)
    else:
        pairs = _rows_and_others(x, g, (kh, kw), stride, dilation, start)
        sums = out.reshape(o, kh, kw * c).transpose(1, 0, 2)
        _sum_products(sums, ((a, other, row) for a, row, other in pairs))


def _depthwise(x: Array, w: Array, out: Array, bias: Array | None, taps: Any) -> None:
    """One channel a group: no product of matrices, but a multiply and an add for each tap."""
    for tile in tiles(len(x), x[:1].size + out[:1].size):
        part = out[tile]
        part[...] = 0 if bias is None else bias.reshape(-1, 1, 1)
        for a, b, to, of in taps:
            part[to] += x[tile][of] * w[:, 0, a, b].reshape(-1, 1, 1)


def _pointwise(kernel: Any, image: Any, outs: Any, start: Pair) -> bool:
    """A 1x1 kernel, once a pixel: a product of matrices."""
    return kernel[:2] == (1, 1) and start == (0, 0) and image[1:3] == outs[1:3]


def _covers(kernel: Any, image: Any, outs: Any, dilation: Pair, start: Pair) -> bool:
    """A kernel as large as the image: a product of matrices as well."""
    exact = kernel[:2] == image[1:3] and outs[1:3] == (1, 1)
    return exact and dilation == (1, 1) and start == (0, 0)


def _multiply(a: Array, b: Array, out: Array, bias: Array | None) -> None:
    """out = a @ b + bias; the last dimensions of `out` are the columns of b."""
    if out.flags.c_contiguous:
        np.matmul(a, b, out=out.reshape(len(a), -1))
    else:
        out[...] = np.matmul(a, b).reshape(out.shape)
    if bias is not None:
        out += bias


# --- rows: unfold along the width, slide over the height ----------------------------------------


def _correlate_rows(
    x: Array, w: Array, out: Array, bias: Array | None, stride: Pair, dilation: Pair, start: Pair
) -> None:
    kh, kw, c, o = w.shape
    weights = w.reshape(kh, kw * c, o)
    for tile, rows in unfolded(x, (kh, kw), out.shape[1:3], stride, dilation, start):
        part = out[tile].transpose(1, 0, 2, 3)
        # The kernel row that reaches most comes last: mostly every row of the output, and then
        # the sum is written there at once.
        pairs = sorted(zip(rows, weights, strict=True), key=lambda pair: len(pair[0][1]))
        total = np.empty_like(x, shape=part.shape, order="C")
        written = False
        for n, ((i, row), weight) in enumerate(pairs):
            if n == 0:
                np.matmul(row, weight, out=total[i].reshape(-1, o))
                total[: i.start] = total[i.stop :] = 0
                if bias is not None:
                    total += bias
            else:
                product = np.matmul(row, weight).reshape(-1, *part.shape[1:])
                written = n == kh - 1 and len(product) == len(part)
                np.add(total[i], product, out=part if written else total[i])
        if not written:
            part[...] = total


def _rows_and_others(
    x: Array, g: Array, kernel: Pair, stride: Pair, dilation: Pair, start: Pair
) -> Iterator[tuple[int, Array, Array]]:
    """For each tile and kernel row a: what the windows meet there in x, and the g of the same
    windows, as matrices (i*n*J, KW*C) and (i*n*J, O)."""
    for tile, rows in unfolded(x, kernel, g.shape[1:3], stride, dilation, start):
        others = np.ascontiguousarray(g[tile].transpose(1, 0, 2, 3))
        for a, (i, row) in enumerate(rows):
            yield a, row, others[i].reshape(-1, g.shape[3])


def _sum_products(out: Array, pairs: Iterable[tuple[int, Array, Array]]) -> None:
    """out[a] = the sum of the x.T @ y that come with a: one of each a first, then more."""
    for n, (a, x, y) in enumerate(pairs):
        if n < len(out):
            np.matmul(x.T, y, out=out[a])
        else:
            out[a] += np.matmul(x.T, y)


# --- planes: for few channels, a tap moves whole planes -------------------------------------------


def _correlate_planes(
    x: Array, w: Array, out: Array, bias: Array | None, stride: Pair, dilation: Pair, start: Pair
) -> None:
    kernel, size = w.shape[:2], out.shape[1:3]
    weights = w.reshape(-1, w.shape[3])
    taps = list(meetings(kernel, size, x.shape[1:3], stride, dilation, start))
    for tile in tiles(len(x), len(weights) * size[0] * size[1]):
        planes = tap_planes(x[tile], kernel, size, taps)
        _multiply(planes.reshape(len(weights), -1).T, weights, out[tile], bias)


def _planes_times(x: Array, y: Array, kernel: Pair, taps: Any) -> Array:
    """The planes of x times y, summed over images and pixels: (KH*KW*C of x, C of y)."""
    height, width, c = y.shape[1:]
    total = np.zeros_like(x, shape=(kernel[0] * kernel[1] * x.shape[3], c))
    for tile in tiles(len(x), len(total) * height * width):
        planes = tap_planes(x[tile], kernel, (height, width), taps)
        total += np.matmul(planes.reshape(len(total), -1), y[tile].reshape(-1, c))
    return total


def _fold(x: Array, w: Array, out: Array, bias: Array | None, taps: Any) -> None:
    """The other order, for few channels of the output: first multiply, then shift and add."""
    kh, kw, c, o = w.shape
    weights = w.transpose(0, 1, 3, 2).reshape(-1, c)
    for tile in tiles(len(x), len(weights) * x.shape[1] * x.shape[2]):
        part = out[tile]
        planes = np.matmul(weights, x[tile].reshape(-1, c).T).reshape(
            kh, kw, o, *part.shape[:1], *x.shape[1:3]
        )
        total = np.zeros_like(x, shape=(o, *part.shape[:3]), order="C")
        for a, b, to, of in taps:
            total[to] += planes[a, b][of]
        if bias is not None:
            total += bias.reshape(-1, 1, 1, 1)
        part[...] = total.transpose(1, 2, 3, 0)
