"""Normalisations: subtract a mean, divide by a standard deviation, scale and shift.

They differ in what they average over (x is (N, C, H, W)):

    batch_norm     N, H, W          for each channel
    instance_norm  H, W             for each image and channel
    group_norm     C/G, H, W        for each image and group of channels
    layer_norm     the last dims    for each position
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ... import ops
from ...backend import Array
from ...cuda import fused
from ...ops.half import through_float32, widened
from ...ops.op import cast, elementwise, op
from ...tensor import Tensor, same_device, wrap
from .channel_norm import channel_norm

__all__ = [
    "as_shape", "batch_norm", "cosine_similarity", "group_norm", "instance_norm", "layer_norm",
    "normalize", "rms_norm",
]  # fmt: skip

Dims = tuple[int, ...]


def _mean(x: Array, dims: Dims) -> Array:
    return np.mean(x, dims, keepdims=True)


@op
def _variance(x: Array, mean: Array, *, dims: Dims) -> Array:
    """mean((x - mean)^2) over dims, where mean is that of x"""
    centred = np.subtract(x, mean)
    return _mean(np.square(centred, out=centred), dims)


# The vjp computes the mean of x again: the one that was given does not know that it depends on x.
_variance.vjp(lambda g, x, dims: g * (2.0 / _count(x.shape, dims)) * _centred(x, dims), None)


def _centred(x: Tensor, dims: Dims) -> Tensor:
    return x - ops.mean(x, dims, keepdim=True)


@op
def _unscaled(u: Array, z: Array, rstd: Array, *, dims: Dims) -> Array:
    """rstd (u - mean(u) - z mean(u z)): u pulled back through z = (x - mean) rstd, all of it."""
    out = np.multiply(u, z)
    np.multiply(z, _mean(out, dims), out=out)
    out += _mean(u, dims)
    np.subtract(u, out, out=out)
    return np.multiply(out, rstd, out=out)


_unscaled.vjp(
    lambda g, z, rstd, dims: _unscaled(g, z, rstd, dims=dims),
    lambda g, u, z, rstd, dims: (
        -rstd * (g * ops.mean(u * z, dims, keepdim=True) + u * ops.mean(g * z, dims, keepdim=True))
    ),
    lambda g, out, rstd, dims: ops.sum(g * out, dims, keepdim=True) / rstd,
)


@op
def _scaled(x: Array, mean: Array, rstd: Array, *, dims: Dims) -> Array:
    """z = (x - mean) * rstd, where mean and rstd are those of x over dims."""
    out = np.subtract(x, mean)
    return np.multiply(out, rstd, out=out)


# mean and rstd are functions of x: the vjp of x is the total derivative, theirs are None.
# rstd comes with its own graph, so a second derivative sees how it depends on x.
_scaled.vjp(lambda g, out, rstd, dims: _unscaled(g, out, rstd, dims=dims), None, None)


def _count(shape: tuple[int, ...], dims: Dims) -> int:
    return math.prod(shape[d] for d in dims)


def _standardize(x: Tensor, dims: Dims, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """(x - mean) / sqrt(var + eps) over dims, with the mean and the biased variance."""
    mean = wrap(_mean(x._array, dims))
    var = _variance(x, mean, dims=dims)
    return _scaled(x, mean, ops.rsqrt(var + eps), dims=dims), mean, var


def _per_channel(v: Tensor, ndim: int) -> Tensor:
    """(C,) -> (C, 1, 1, ...), which broadcasts over x of shape (N, C, ...)."""
    return ops.reshape(v, (-1,) + (1,) * (ndim - 2))


@elementwise
def _scale_shift(x: Array, weight: Array, bias: Array) -> Array:
    """weight * x + bias"""
    out = np.multiply(x, weight)
    return np.add(out, bias, out=out)


_scale_shift.vjp(lambda g, weight: g * weight, lambda g, x: g * x, lambda g: g)


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """weight * x + bias, whichever are there"""
    if weight is not None and bias is not None:
        return _scale_shift(x, weight, bias)
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _channel_affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """_affine with a weight and a bias for each channel of (N, C, ...)"""
    vectors = (v if v is None else _per_channel(v, x.ndim) for v in (weight, bias))
    return _affine(x, *vectors)


def _check_channels(name: str, x: Tensor, **vectors: Tensor | None) -> None:
    if x.ndim < 2:
        raise ValueError(f"{name}: expected an input of shape (N, C, ...), got {x.shape}")
    same_device(name, x, *[v for v in vectors.values() if v is not None])
    for what, vector in vectors.items():
        if vector is not None and vector.shape != (x.shape[1],):
            raise RuntimeError(
                f"{name}: the input of shape {x.shape} has {x.shape[1]} channels, but {what} has "
                f"shape {vector.shape}"
            )


def _blend(running: Tensor | None, new: Array, momentum: float, correction: float = 1.0) -> None:
    """running <- (1 - momentum) running + momentum * correction * new, in place."""
    if running is not None:
        running._array *= 1.0 - momentum
        running._array += (momentum * correction) * new.reshape(running.shape)
        running._version[0] += 1


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise every channel of `input` (N, C, ...) over all else (Ioffe & Szegedy 2015).

        weight[c] (x - mean) / sqrt(var + eps) + bias[c]        mean, var over N, ...: one a channel

    training: by the batch's mean and biased variance; the running statistics, where given, move
    towards the batch's mean and its unbiased variance by `momentum`. Otherwise by the running ones.
    ValueError for a single value per channel in training.

    >>> F.batch_norm(tg.tensor([[1.0, 0.0], [3.0, 0.0]]), None, None, training=True)
    tensor([[-1.,  0.],
            [ 1.,  0.]])
    """
    _check_channels(
        "batch_norm", input, running_mean=running_mean, running_var=running_var,
        weight=weight, bias=bias,
    )  # fmt: skip
    if not training:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "batch_norm: expected running_mean and running_var when training=False"
            )
        if input.dtype == np.float16:
            x, mu, v, w, b = map(widened, (input, running_mean, running_var, weight, bias))
            return cast(batch_norm(x, mu, v, w, b, eps=eps), dtype=input.dtype)
        scale = ops.rsqrt(running_var + eps)
        scale = scale if weight is None else scale * weight
        shift = -running_mean * scale if bias is None else bias - running_mean * scale
        return _channel_affine(input, scale, shift)
    count = input.numel() // max(input.shape[1], 1)
    if count < 2:
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"{input.shape}; use a larger batch, or eval()"
        )
    out, mean, var = channel_norm(input, weight, bias, input.shape[1], True, eps)
    _blend(running_mean, mean, momentum)
    _blend(running_var, var, momentum, count / (count - 1))
    return out


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise every channel of every image of `input` (N, C, ...) over its positions.

    Mean and biased variance are (N, C) numbers each. use_input_stats=False normalises by the
    running statistics, as batch_norm does in eval(). ValueError for a single position
    (Ulyanov et al. 2016).
    """
    _check_channels(
        "instance_norm", input, running_mean=running_mean, running_var=running_var,
        weight=weight, bias=bias,
    )  # fmt: skip
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    count = int(np.prod(input.shape[2:]))
    if count < 2:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {input.shape}"
        )
    out, mean, var = channel_norm(input, weight, bias, input.shape[1], False, eps)
    _blend(running_mean, np.mean(mean, 0), momentum)
    _blend(running_var, np.mean(var, 0), momentum, count / (count - 1))
    return out


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise every group of C / num_groups channels of every image (Wu & He 2018).

    Mean and biased variance of (N, C, ...) are over the group's channels and all positions;
    weight and bias are (C,). RuntimeError where num_groups does not divide C.

    >>> F.group_norm(tg.tensor([[1.0, 3.0, 10.0, 30.0]]), 2)
    tensor([[-1.,  1., -1.,  1.]])
    """
    _check_channels("group_norm", input, weight=weight, bias=bias)
    if num_groups < 1 or input.shape[1] % num_groups:
        raise RuntimeError(
            f"group_norm: expected the number of channels to be divisible by num_groups, got input "
            f"of shape {input.shape} and num_groups={num_groups}"
        )
    if input.numel() == num_groups:
        raise ValueError(
            "Expected more than 1 value per channel when training, got input size "
            f"{input.shape} with num_groups={num_groups}"
        )
    return channel_norm(input, weight, bias, num_groups, False, eps)[0]


def as_shape(size: int | Sequence[int]) -> tuple[int, ...]:
    """One integer or several, as a tuple."""
    return (size,) if isinstance(size, int) else tuple(size)


def _last(
    name: str, x: Tensor, size: int | Sequence[int], **vectors: Tensor | None
) -> tuple[int, ...]:
    """The shape that the last dimensions and the vectors must have, checked."""
    shape = as_shape(size)
    if not shape or x.shape[-len(shape) :] != shape:
        raise RuntimeError(
            f"{name}: given normalized_shape={shape}, expected input with shape [*, "
            f"{', '.join(map(str, shape))}], got {x.shape}"
        )
    for what, vector in vectors.items():
        if vector is not None and vector.shape != shape:
            raise RuntimeError(f"{name}: expected {what} of shape {shape}, got {vector.shape}")
    return shape


@through_float32
def layer_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over the last dimensions, which are normalized_shape (Ba, Kiros & Hinton 2016).

    Mean and biased variance are over these dimensions, weight and bias of their shape.

    >>> F.layer_norm(tg.tensor([[1.0, 3.0], [10.0, 30.0]]), 2)
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    shape = _last("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    if fused.normalises(input._array):  # each position is a picture of one pixel, and one group
        w, b = (v if v is None or v.ndim == 1 else ops.reshape(v, -1) for v in (weight, bias))
        flat = ops.reshape(input, (-1, math.prod(shape)))
        return ops.reshape(channel_norm(flat, w, b, 1, False, eps)[0], input.shape)
    out, _, _ = _standardize(input, tuple(range(-len(shape), 0)), eps)
    return _affine(out, weight, bias)


@through_float32
def rms_norm(
    input: Tensor,
    normalized_shape: int | Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """weight x / sqrt(mean(x^2) + eps) over the last dimensions (Zhang & Sennrich 2019).

    They are normalized_shape, which is the weight's; eps is the dtype's, unless it is given.

    >>> F.rms_norm(tg.tensor([[3.0, 4.0]]), 2, eps=0.0)
    tensor([[0.8485, 1.1314]])
    """
    shape = _last("rms_norm", input, normalized_shape, weight=weight)
    eps = float(np.finfo(input.dtype).eps) if eps is None else eps
    dims = tuple(range(-len(shape), 0))
    return _affine(input * ops.rsqrt(ops.mean(input * input, dims, True) + eps), weight, None)


@through_float32
def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(||x||_p, eps) along dim

    >>> F.normalize(tg.tensor([[3.0, 4.0]]))
    tensor([[0.6, 0.8]])
    """
    return input / ops.clamp(ops.norm(input, p, dim, keepdim=True), min=eps)


@through_float32
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """<x1, x2> / (max(||x1||, eps) max(||x2||, eps)) along dim of the shape both broadcast to

    >>> F.cosine_similarity(tg.tensor([[1.0, 0.0]]), tg.tensor([[3.0, 4.0]]))
    tensor([0.6])
    """
    shape = np.broadcast_shapes(x1.shape, x2.shape)
    x1, x2 = x1.expand(shape), x2.expand(shape)
    return ops.sum(normalize(x1, dim=dim, eps=eps) * normalize(x2, dim=dim, eps=eps), dim)
