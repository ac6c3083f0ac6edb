"""Pooling of images (N, C, H, W), and the linear maps that it shares with upsampling."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, is_numpy, module_of
from ..tape import is_grad_enabled
from ..tensor import Tensor, wrap
from .half import through_float32
from .op import op
from .reductions import mean
from .shapes import reshape, squeeze, unsqueeze
from .windows import Pair, Size, as_pair, is_int, meetings

__all__ = [
    "Pool", "adaptive_avg_pool2d", "adaptive_means", "avg_pool2d", "block_repeat", "block_sum",
    "check_floating", "image", "max_pool2d", "resample",
]  # fmt: skip


def image(name: str, x: Tensor) -> tuple[Tensor, bool]:
    """The image with a batch dimension, and whether it came with one."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: expected a Tensor as input, got {type(x).__name__}")
    if x.ndim not in (3, 4):
        raise RuntimeError(
            f"{name}: expected 3D (C, H, W) or 4D (N, C, H, W) input, but got size {x.shape}"
        )
    return (x, True) if x.ndim == 4 else (unsqueeze(x, 0), False)


def check_floating(name: str, x: Tensor) -> None:
    if x.dtype.kind != "f":
        raise RuntimeError(f"{name}: expected a floating-point image, got {x.dtype}")


# --- max pooling --------------------------------------------------------------------------------


class Pool(NamedTuple):
    """The windows of a pooling: pairs (vertical, horizontal), and the size of the output."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    size: Pair

    def over(self, x: Array) -> Any:
        moves = (self.stride, self.dilation, self.padding)
        taps = meetings(self.kernel, self.size, x.shape[2:], *moves)
        return ((a * self.kernel[1] + b, out, pixels) for a, b, out, pixels in taps)


def _winners(x: Array, pool: Pool) -> tuple[Array, Array]:
    """The maximum of each window, and the number of the (first) tap that holds it."""
    best = np.full_like(x, -np.inf, shape=(*x.shape[:2], *pool.size))
    tap = np.full_like(best, -1, dtype=np.int32)
    for k, out, pixels in pool.over(x):
        value = x[pixels]
        better = (value > best[out]) | (tap[out] < 0) | np.isnan(value)
        np.copyto(best[out], value, where=better)
        np.copyto(tap[out], k, where=better)
    return best, tap


def _maxima(x: Array, pool: Pool) -> Array:
    best = np.full_like(x, -np.inf, shape=(*x.shape[:2], *pool.size))
    for _, out, pixels in pool.over(x):
        np.maximum(best[out], x[pixels], out=best[out])
    return best


@op
def _pick(x: Array, *, tap: Array, pool: Pool, found: Array | None) -> Array:
    """One pixel of each window: that of the tap given. The adjoint of _place."""
    if found is not None:
        return found
    picked = np.zeros_like(x, shape=tap.shape)
    for k, out, pixels in pool.over(x):
        np.copyto(picked[out], x[pixels], where=tap[out] == k)
    return picked


@op
def _place(g: Array, *, tap: Array, pool: Pool, shape: tuple[int, ...]) -> Array:
    """Each g added to the pixel that its window picked, zero elsewhere."""
    x = np.zeros_like(g, shape=shape)
    for k, out, pixels in pool.over(x):
        x[pixels] += np.where(tap[out] == k, g[out], g.dtype.type(0))
    return x


_pick.vjp(lambda g, x_shape, tap, pool: _place(g, tap=tap, pool=pool, shape=x_shape))
_place.vjp(lambda g, tap, pool: _pick(g, tap=tap, pool=pool, found=None))


def max_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window; padding counts as -inf. (N, C, H, W) or (C, H, W).

    Rows: floor((H + 2p - d (K - 1) - 1) / stride) + 1; ceil_mode rounds up, as long as the last
    window starts inside. Of equal values the first one gets the gradient, and NaN wins.
    return_indices: (maxima, where they stand), as h W + w of the pixel.

    >>> F.max_pool2d(tg.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    name = "max_pool2d"
    x, batched = image(name, input)
    check_floating(name, x)
    pool = _pool(name, x, kernel_size, stride, padding, dilation, ceil_mode)
    if return_indices or (is_grad_enabled() and x.requires_grad):
        best, tap = _winners(x._array, pool)
        out = _pick(x, tap=tap, pool=pool, found=best)
    else:
        out = wrap(_maxima(x._array, pool))
    out = out if batched else squeeze(out, 0)
    if not return_indices:
        return out
    return out, reshape(wrap(_pixels(tap, pool, x.shape[3])), out.shape)


def _pixels(tap: Array, pool: Pool, width: int) -> Array:
    """h width + w of the pixel that each window meets at its tap"""
    arange, (s, p, d) = module_of(tap).arange, (pool.stride, pool.padding, pool.dilation)
    taps = tap // pool.kernel[1], tap % pool.kernel[1]
    h, w = (arange(pool.size[i]) * s[i] - p[i] for i in (0, 1))
    return (h[:, None] + taps[0] * d[0]) * width + w + taps[1] * d[1]


def _pool(
    name: str, x: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> Pool:
    k, p = as_pair(name, "kernel_size", kernel, 1), as_pair(name, "padding", padding, 0)
    d = as_pair(name, "dilation", dilation, 1)
    s = k if stride is None else as_pair(name, "stride", stride, 1)
    if any(2 * p[i] > k[i] for i in (0, 1)):
        raise RuntimeError(
            f"{name}: pad should be at most half of effective kernel size, but got padding {p} and "
            f"kernel_size {k}"
        )
    height, width = (
        _outputs(x.shape[2 + i], d[i] * (k[i] - 1) + 1, s[i], p[i], ceil) for i in (0, 1)
    )
    if min(height, width) < 1:
        raise RuntimeError(
            f"{name}: given input size {x.shape[1:]}, calculated output size "
            f"{(x.shape[1], height, width)}. Output size is too small "
            f"(kernel_size {k}, padding {p})"
        )
    return Pool(k, s, p, d, (height, width))


def _outputs(size: int, reach: int, stride: int, padding: int, ceil: bool) -> int:
    room = size + 2 * padding - reach
    outs = (-(-room // stride) if ceil else room // stride) + 1
    return outs - 1 if ceil and (outs - 1) * stride >= size + padding else outs


# --- resampling: rows @ image @ columns^T -------------------------------------------------------


@op
def resample(x: Array, *, rows: Array, columns: Array) -> Array:
    """out[n,c,i,j] = sum_hv rows[i,h] x[n,c,h,v] columns[j,v], two products of matrices.

    Linear in x; its adjoint is the same with transposed matrices. A weight of 0 reads nothing:
    NaN and inf go to the outputs whose window has them, which a product alone (0 inf = NaN) would
    not see to.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        out = _resampled(x, rows, columns)
        if is_numpy(out) and np.isfinite(out.sum()):
            return out
    out = _resampled(np.where(np.isfinite(x), x, 0).astype(x.dtype), rows, columns)
    signs = [
        (a, b) for a in (1, -1) for b in (1, -1) if (a * rows > 0).any() and (b * columns > 0).any()
    ]
    for special, is_it in ((np.inf, x == np.inf), (-np.inf, x == -np.inf), (np.nan, np.isnan(x))):
        for a, b in signs:  # of the weights that meet it
            met = _resampled(is_it.astype(x.dtype), a * rows > 0, b * columns > 0) > 0
            out = np.where(met, out + x.dtype.type(a * b * special), out)
    return out


def _resampled(x: Array, rows: Array, columns: Array) -> Array:
    n, c, h, v = x.shape
    rows, columns = (module_of(x).asarray(a, x.dtype) for a in (rows, columns))
    flat = x.transpose(0, 2, 3, 1).reshape(n, h, v * c)
    resized = np.matmul(rows, flat).reshape(n, len(rows), v, c)
    return np.matmul(columns, resized).transpose(0, 3, 1, 2)


resample.vjp(lambda g, rows, columns: resample(g, rows=rows.T, columns=columns.T))


@op
def block_sum(x: Array, *, blocks: Pair) -> Array:
    """The sum of each block of pixels; the adjoint of block_repeat."""
    kh, kw = blocks
    total = x[:, :, ::kh, ::kw].copy(order="K")
    for k in range(1, kh * kw):
        total += x[:, :, k // kw :: kh, k % kw :: kw]
    return total


@op
def block_repeat(x: Array, *, blocks: Pair) -> Array:
    """Each pixel repeated to a block."""
    kh, kw = blocks
    n, c, h, w = x.shape
    out = np.empty_like(x, shape=(n, c, h * kh, w * kw))
    for k in range(kh * kw):
        out[:, :, k // kw :: kh, k % kw :: kw] = x
    return out


block_sum.vjp(lambda g, blocks: block_repeat(g, blocks=blocks))
block_repeat.vjp(lambda g, blocks: block_sum(g, blocks=blocks))


@through_float32
def avg_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window. (N, C, H, W) or (C, H, W); sizes as in max_pool2d.

    count_include_pad=False divides by the number of pixels inside the image only;
    divisor_override divides by that number everywhere.

    >>> F.avg_pool2d(tg.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 2.5,  4.5],
             [10.5, 12.5]]])
    """
    name = "avg_pool2d"
    x, batched = image(name, input)
    check_floating(name, x)
    pool = _pool(name, x, kernel_size, stride, padding, 1, ceil_mode)
    if divisor_override is not None and divisor_override == 0:
        raise RuntimeError(f"{name}: divisor must be not zero")
    kh, kw = pool.kernel
    exact = pool.size[0] * kh == x.shape[2] and pool.size[1] * kw == x.shape[3]
    if exact and pool.stride == pool.kernel and pool.padding == (0, 0):
        out = block_sum(x, blocks=pool.kernel) * (1 / (divisor_override or kh * kw))
    else:
        include = count_include_pad or divisor_override is not None
        rows, columns = (_window_means(x.shape[2 + i], pool, i, include) for i in (0, 1))
        if divisor_override is not None:  # a sum over it: the means were over what lies inside
            rows, columns = (rows > 0) / abs(divisor_override), (columns > 0) * 1.0
            rows = rows * math.copysign(1, divisor_override)
        out = resample(x, rows=rows, columns=columns)
    return out if batched else squeeze(out, 0)


def _window_means(size: int, pool: Pool, i: int, include_padding: bool) -> Array:
    """A matrix (outs, size): row j averages window j along dimension i."""
    start = np.arange(pool.size[i]) * pool.stride[i] - pool.padding[i]
    end = np.minimum(start + pool.kernel[i], size + pool.padding[i])
    at = np.arange(size)
    inside = (at >= start[:, None]) & (at < end[:, None])
    count = end - start if include_padding else inside.sum(1)
    return inside / count[:, None]


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means over output_size windows: row i averages rows floor(i H / OH) .. ceil((i+1) H / OH).

    The last one is not counted. (N, C, H, W) or (C, H, W). output_size: one integer or (OH, OW);
    None keeps that size.

    >>> F.adaptive_avg_pool2d(tg.tensor([[[0.0, 1.0, 2.0]]]), (1, 2))  # means of 0 1 and of 1 2
    tensor([[[0.5, 1.5]]])
    """
    name = "adaptive_avg_pool2d"
    x, batched = image(name, input)
    check_floating(name, x)
    wanted = (output_size,) * 2 if output_size is None or is_int(output_size) else output_size
    full = [x.shape[2 + i] if n is None else n for i, n in enumerate(wanted)]
    size = as_pair(name, "output_size", full, 1)
    if 0 in x.shape[2:]:
        raise RuntimeError(f"{name}: expected a non-empty image, got {input.shape}")
    if size == (1, 1):
        out = mean(x, (2, 3), True)
    elif x.shape[2] % size[0] == 0 and x.shape[3] % size[1] == 0:
        out = avg_pool2d(x, (x.shape[2] // size[0], x.shape[3] // size[1]))
    else:
        rows, columns = (adaptive_means(x.shape[2 + i], size[i]) for i in (0, 1))
        out = resample(x, rows=rows, columns=columns)
    return out if batched else squeeze(out, 0)


def adaptive_means(size: int, outs: int) -> Array:
    """A matrix (outs, size): row i averages the window i of adaptive_avg_pool2d."""
    i, at = np.arange(outs)[:, None], np.arange(size)
    inside = (at >= i * size // outs) & (at < -(-(i + 1) * size // outs))
    return inside / inside.sum(1, keepdims=True)
