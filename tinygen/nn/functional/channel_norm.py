"""Normalisation of channels, or of groups of channels, in few passes over the memory.

With z = (x - mean) rstd, where mean and rstd = 1 / sqrt(var + eps) are those of x in each group,
three ops are each other's derivatives:

    _channel_norm(x, w)            w z + b
    _channel_norm_back(u, x, w)    P(w u), where P(u) = rstd (u - mean(u) - z mean(u z)) = dz/dx u
    _channel_norm_weight(u, x)     sum of u z over all but the channels

mean and rstd are handed to all three as arrays, (N, G) or, over the batch as well, (1, G), so that
they are computed once. They are functions of x, and every vjp for x is the total derivative: their
own vjps are None. For each channel the backward is u a + x b + c, with
coefficients as small as the statistics; z is never stored.

On a GPU float32 runs on kernels/channel_norm.cu instead, to the same end.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ... import ops
from ...backend import Array, float16, is_numpy
from ...cuda import fused
from ...ops.half import widened
from ...ops.op import cast, op
from ...tensor import Tensor, wrap
from ...threads import GRAIN, channel_rows, image_sums, in_parts, pixel_sums

__all__ = ["channel_norm", "moments"]

Sums: TypeAlias = tuple[Array, Array]


def moments(x: Array, groups: int, batch: bool, eps: float) -> tuple[Array, Array, Array]:
    """Mean, biased variance and 1 / sqrt(var + eps) of x (N, C, ...), each (N or 1, groups)."""
    if fused.normalises(x):
        return fused.moments(x, groups, batch, eps)
    rows = channel_rows(x)
    mean = _in_groups(image_sums(rows), groups, batch) / _count(rows, groups, batch)
    squares = np.empty_like(rows, shape=(len(rows), 1, rows.shape[2]), order="C")
    in_parts(_square_sums, rows, squares, _spread(mean, rows))
    var = _in_groups(squares, groups, batch) / _count(rows, groups, batch)
    return mean, var, 1.0 / np.sqrt(var + eps)


def _square_sums(rows: Array, out: Array, mean: Array) -> None:
    centred = np.subtract(rows, mean)  # first the mean, then the squares: no cancellation
    out[...] = pixel_sums(np.square(centred, out=centred))


def _count(rows: Array, groups: int, batch: bool) -> int:
    n, pixels, channels = rows.shape
    return int(pixels * channels // groups * (n if batch else 1))


def _in_groups(sums: Array, groups: int, batch: bool) -> Array:
    """Sums for each image and channel (N, 1, C), added up to (N, G) or (1, G)."""
    sums = np.sum(sums, 0, keepdims=True) if batch else sums
    return np.sum(sums.reshape(len(sums), groups, sums.shape[2] // groups), 2)


def _spread(v: Array, rows: Array) -> Array:
    """(B, G) -> (B, 1, C): each group's number for each of its channels."""
    return np.repeat(v, rows.shape[2] // v.shape[1], 1)[:, None]


def _image(rows: Array, shape: tuple[int, ...]) -> Array:
    """(N, P, C) back to (N, C, ...), a view."""
    last = rows.reshape(shape[0], *shape[2:], shape[1])
    return last.transpose(0, last.ndim - 1, *range(1, last.ndim - 1))


def _wide(*rows: Array) -> list[Array]:
    """(N, P, C) as (N, P / k, k C), and (N, 1, C) k times: longer rows for NumPy's inner loops."""
    pixels, c = rows[0].shape[1:]
    k = next((k for k in (8, 4, 2) if pixels % k == 0 and k * c <= 256), 1)
    views = all(is_numpy(x) and x.flags.c_contiguous for x in rows)
    if k == 1 or rows[0].size < GRAIN or not views:
        return list(rows)
    return [
        np.concatenate([x] * k, 2) if x.shape[1] == 1 else x.reshape(len(x), -1, k * c)
        for x in rows
    ]


@op
def _channel_norm(
    x: Array, weight: Array | None, bias: Array | None, mean: Array, rstd: Array, *, eps: float
) -> Array:
    """weight * (x - mean) * rstd + bias"""
    if fused.normalises(x, weight, bias, mean, rstd):
        return _image(fused.channel_norm(x, weight, bias, mean, rstd), x.shape)
    rows = channel_rows(x)
    scale = _spread(rstd, rows) if weight is None else _spread(rstd, rows) * weight
    shift = -_spread(mean, rows) * scale + (0 if bias is None else bias)
    out = np.empty_like(rows, order="C")
    in_parts(_scale_shift, *_wide(out, rows, scale, shift))
    return _image(out, x.shape)


def _scale_shift(out: Array, x: Array, scale: Array, shift: Array) -> None:
    np.multiply(x, scale, out=out)
    out += shift


@op
def _channel_norm_back(
    u: Array,
    x: Array,
    weight: Array | None,
    mean: Array,
    rstd: Array,
    *,
    eps: float,
    sums: Sums | None = None,
) -> Array:
    """P(weight * u): u pulled back through weight * (x - mean) * rstd, mean and rstd included."""
    if fused.normalises(x, u, weight, mean, rstd):
        return _image(fused.channel_norm_back(u, x, weight, mean, rstd), x.shape)
    xs, us = channel_rows(x), channel_rows(u)
    groups, batch = mean.shape[1], len(mean) == 1
    w = 1.0 if weight is None else weight
    u_sums, ux_sums = sums or _product_sums(us, xs)
    count = _count(xs, groups, batch)
    mean_u = _in_groups(w * u_sums, groups, batch) / count
    mean_uz = rstd * (_in_groups(w * ux_sums, groups, batch) / count - mean * mean_u)
    of_u, of_x = _spread(rstd, xs) * w, -(rstd**2) * mean_uz
    constant = -rstd * mean_u - mean * of_x
    out = np.empty_like(xs, order="C")
    in_parts(_blend, *_wide(out, us, xs, of_u, _spread(of_x, xs), _spread(constant, xs)))
    return _image(out, x.shape)


def _product_sums(g: Array, x: Array) -> Sums:
    """The sums of g and of g x over the pixels, (N, 1, C) each."""
    g_sums, gx_sums = np.empty_like(g, shape=(2, len(g), 1, g.shape[2]), order="C")

    def body(g: Array, x: Array, g_sums: Array, gx_sums: Array) -> None:
        g_sums[...], gx_sums[...] = pixel_sums(g), pixel_sums(np.multiply(g, x))

    in_parts(body, g, x, g_sums, gx_sums)
    return g_sums, gx_sums


def _blend(out: Array, g: Array, x: Array, of_g: Array, of_x: Array, constant: Array) -> None:
    np.multiply(x, of_x, out=out)
    out += constant
    out += np.multiply(g, of_g)


@op
def _channel_norm_weight(
    u: Array, x: Array, mean: Array, rstd: Array, *, eps: float, sums: Sums | None = None
) -> Array:
    """The sum of u (x - mean) rstd over all but the channels, (C,)"""
    if fused.normalises(x, u, mean, rstd):
        return fused.channel_norm_weight(u, x, mean, rstd)
    rows = channel_rows(x)
    u_sums, ux_sums = sums or _product_sums(channel_rows(u), rows)
    products = _spread(rstd, rows) * (ux_sums - _spread(mean, rows) * u_sums)
    return np.sum(products, (0, 1))


def _sum_channels(g: Tensor) -> Tensor:
    return ops.sum(g, (0, *range(2, g.ndim)))


def _per_channel(v: Tensor, ndim: int) -> Tensor:
    return ops.reshape(v, (-1,) + (1,) * (ndim - 2))


def _once(shared: dict[str, Sums], g: Tensor, x: Tensor) -> Sums | None:
    """What the vjps for x and for the weight both need: the first of them takes the sums."""
    if fused.normalises(x._array, g._array):
        return None  # the kernels take their own
    if "sums" not in shared:
        shared["sums"] = _product_sums(channel_rows(g._array), channel_rows(x._array))
    return shared["sums"]


_channel_norm.vjp(
    lambda g, x, weight, mean, rstd, eps, shared: _channel_norm_back(
        g, x, weight, mean, rstd, eps=eps, sums=_once(shared, g, x)
    ),
    lambda g, x, mean, rstd, eps, shared: _channel_norm_weight(
        g, x, mean, rstd, eps=eps, sums=_once(shared, g, x)
    ),
    lambda g: _sum_channels(g),
    None,
    None,
)
_channel_norm_weight.vjp(
    lambda g, x, mean, rstd, eps: _channel_norm(x, g, None, mean, rstd, eps=eps),
    lambda g, u, x, mean, rstd, eps: _channel_norm_back(u, x, g, mean, rstd, eps=eps),
    None,
    None,
)


def _back_of_g(v: Tensor, x: Tensor, weight: Any, mean: Tensor, rstd: Tensor, eps: float) -> Tensor:
    """P is symmetric: w P(v)."""
    out = _channel_norm_back(v, x, None, mean, rstd, eps=eps)
    return out if weight is None else out * _per_channel(weight, x.ndim)


def _back_of_x(
    v: Tensor, u: Tensor, x: Tensor, weight: Any, mean: Tensor, rstd: Tensor, eps: float
) -> Tensor:
    """<v, P(w u)> depends on x through z and through rstd, with derivative -rstd^2 z / count."""
    u = u if weight is None else u * _per_channel(weight, x.ndim)

    def average(t: Tensor) -> Tensor:
        """The mean over a group, for each of its elements."""
        n, c, *space = x.shape
        groups = mean.shape[1]
        grouped = ops.reshape(t, (n, groups, c // groups, *space))
        dims = (0,) * (mean.shape[0] == 1) + tuple(range(2, grouped.ndim))
        kept = ops.mean(grouped, dims, keepdim=True)
        return ops.reshape(kept.expand(grouped.shape), x.shape)

    def pull(t: Tensor) -> Tensor:
        return _channel_norm_back(t, x, None, mean, rstd, eps=eps)

    z = _channel_norm(x, None, None, mean, rstd, eps=eps)
    r = ops.rsqrt(average(ops.square(x - average(x))) + eps)
    through_z = pull(-r * (v * average(u * z) + u * average(v * z)))
    return through_z - r * z * average(v * pull(u))


_channel_norm_back.vjp(
    lambda g, x, weight, mean, rstd, eps: _back_of_g(g, x, weight, mean, rstd, eps),
    lambda g, u, x, weight, mean, rstd, eps: _back_of_x(g, u, x, weight, mean, rstd, eps),
    lambda g, u, x, mean, rstd, eps: _sum_channels(
        u * _channel_norm_back(g, x, None, mean, rstd, eps=eps)
    ),
    None,
    None,
)


def channel_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, groups: int, batch: bool, eps: float
) -> tuple[Tensor, Array, Array]:
    """x normalised in each group of channels, of each image or over the batch; mean, variance.

    float16 is normalised in float32, by a mean and a variance in float32.
    """
    if x.dtype == float16:
        x, weight, bias = map(widened, (x, weight, bias))
        out, mean, var = channel_norm(x, weight, bias, groups, batch, eps)
        return cast(out, dtype=float16), mean, var
    mean, var, rstd = moments(x._array, groups, batch, eps)
    return _channel_norm(x, weight, bias, wrap(mean), wrap(rstd), eps=eps), mean, var
