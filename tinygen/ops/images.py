"""Resizing images (N, C, H, W): interpolation and pixel shuffle, beside the pooling functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backend import Array, module_of
from ..tensor import Tensor, wrap
from .half import through_float32
from .indexing import index_select
from .op import op
from .pooling import (
    adaptive_avg_pool2d,
    adaptive_means,
    avg_pool2d,
    block_repeat,
    check_floating,
    image,
    max_pool2d,
    resample,
)
from .shapes import flatten, movedim, reshape, squeeze, transpose, unflatten
from .windows import is_int

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "channel_shuffle",
    "interpolate",
    "max_pool2d",
    "pixel_shuffle",
    "pixel_unshuffle",
]


@through_float32
def interpolate(
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Resize (N, C, L), images (N, C, H, W) or (N, C, D, H, W) to `size`, or by scale_factor.

    A size becomes floor(scale_factor * size). With r = H / OH (1 / scale_factor where that was
    given), output row i is read at the input row p =

        floor(i r), floor((i + 1/2) r)   "nearest", "nearest-exact"
        (i + 1/2) r - 1/2                the others; i (H - 1) / (OH - 1) with align_corners=True

    "linear" (N, C, L), "bilinear" (images) and "trilinear" weigh the two neighbours of max(p, 0),
    "bicubic" (images) the four of p by Keys' cubic with a = -3/4, the edge repeated. "area" is
    adaptive_avg_pool.

    >>> row = tg.tensor([[[[0.0, 1.0]]]])
    >>> F.interpolate(row, (1, 4)), F.interpolate(row, (1, 4), mode="bilinear")
    (tensor([[[[0., 0., 1., 1.]]]]), tensor([[[[0.  , 0.25, 0.75, 1.  ]]]]))
    """
    if mode not in WEIGHTS:
        raise NotImplementedError(f"interpolate: mode must be one of {[*WEIGHTS]}, got {mode!r}")
    if not isinstance(input, Tensor) or input.ndim not in (3, 4, 5):
        raise RuntimeError(
            f"interpolate: expected a 3D (N, C, L), 4D (N, C, H, W) or 5D input, got {input.shape}"
        )
    ndim, weights = WEIGHTS[mode]
    if ndim not in (None, input.ndim):
        raise NotImplementedError(f"interpolate: {mode!r} needs {ndim}D input, got {input.shape}")
    if align_corners is not None and ndim is None:
        raise ValueError(f"interpolate: align_corners can not be set with mode={mode!r}")
    check_floating("interpolate", input)
    sizes, ratios = _target(input.shape[2:], size, scale_factor)
    if weights is None:
        return _nearest(input, sizes, ratios, exact=mode == "nearest-exact")
    if mode == "area" and input.ndim == 4:
        return adaptive_avg_pool2d(input, sizes)
    each = zip(input.shape[2:], sizes, ratios)
    return _resized(input, [weights(n, outs, r, bool(align_corners)) for n, outs, r in each])


def _target(shape: Any, size: Any, scale_factor: Any) -> tuple[list[int], list[float]]:
    """The output size, and the input rows, columns, ... for one of the output."""
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "interpolate: exactly one of size and scale_factor should be defined, got "
            f"{size} and {scale_factor}"
        )
    if 0 in shape:
        raise RuntimeError(f"interpolate: expected a non-empty image, got size {tuple(shape)}")
    given = scale_factor if size is None else size
    each = list(given) if isinstance(given, (tuple, list)) else [given] * len(shape)
    if len(each) != len(shape):
        raise ValueError(f"interpolate: expected one number or {len(shape)}, got {given}")
    if size is None:
        ratios = [1 / scale if scale else 0.0 for scale in each]
        each = [math.floor(n * scale) for n, scale in zip(shape, each, strict=True)]
    else:
        ratios = [n / outs if outs else 0.0 for n, outs in zip(shape, each, strict=True)]
    if not all(map(is_int, each)) or min(each) < 1:
        raise RuntimeError(f"interpolate: non-positive output size is not supported, got {each}")
    return each, ratios


def _resized(x: Tensor, matrices: list[Array]) -> Tensor:
    """Each dimension after the second one resized by its matrix (outs, size)."""
    if len(matrices) == 2:
        return resample(x, rows=matrices[0], columns=matrices[1])
    for dim, matrix in enumerate(matrices, 2):
        lines = movedim(x, dim, -1)
        columns = reshape(lines, (x.shape[0], -1, x.shape[dim], 1))
        out = resample(columns, rows=matrix, columns=np.ones((1, 1)))
        x = movedim(reshape(out, (*lines.shape[:-1], len(matrix))), -1, dim)
    return x


def _points(size: int, outs: int, ratio: float, align_corners: bool) -> Array:
    """Where each output is read."""
    i = np.arange(outs)
    if align_corners:
        return i * ((size - 1) / (outs - 1) if outs > 1 else 0.0)
    return (i + 0.5) * ratio - 0.5


def _linear(size: int, outs: int, ratio: float, align_corners: bool) -> Array:
    """A matrix (outs, size): row i weighs the two neighbours of the point it is read at.

    Where the size stays, the ratio does not count, as in PyTorch; see _read_at.
    """
    if outs == size:
        return np.eye(size)
    point = np.clip(_points(size, outs, ratio, align_corners), 0, size - 1)
    low = np.minimum(point.astype(int), max(size - 2, 0))
    return _weighed(size, low, [1 - (point - low), point - low])


def _cubic(size: int, outs: int, ratio: float, align_corners: bool) -> Array:
    """A matrix (outs, size): row i weighs the four neighbours of the point it is read at."""
    point = _points(size, outs, ratio, align_corners)
    low = np.floor(point)
    far, near, a = point - low + 1, point - low, -0.75

    def outer(u: Array) -> Array:  # of distances 1..2
        return ((a * u - 5 * a) * u + 8 * a) * u - 4 * a

    def inner(u: Array) -> Array:  # of distances 0..1
        return ((a + 2) * u - (a + 3)) * u * u + 1

    weights = [outer(far), inner(near), inner(1 - near), outer(3 - far)]
    return _weighed(size, low.astype(int) - 1, weights)


def _weighed(size: int, first: Array, weights: list[Array]) -> Array:
    """A matrix (outs, size) with weights[k][i] at [i, first[i] + k]; the edges stand for beyond."""
    matrix = np.zeros((len(first), size))
    for k, weight in enumerate(weights):
        np.add.at(matrix, (np.arange(len(first)), np.clip(first + k, 0, size - 1)), weight)
    return matrix


def _area(size: int, outs: int, ratio: float, align_corners: bool) -> Array:
    return adaptive_means(size, outs)


WEIGHTS: dict[str, tuple[int | None, Any]] = {  # mode: the dimensions it needs, its matrix
    "nearest": (None, None),
    "nearest-exact": (None, None),
    "linear": (3, _linear),
    "bilinear": (4, _linear),
    "bicubic": (4, _cubic),
    "trilinear": (5, _linear),
    "area": (None, _area),
}


def _nearest(x: Tensor, sizes: list[int], ratios: list[float], exact: bool) -> Tensor:
    blocks = [outs // n for n, outs in zip(x.shape[2:], sizes)]
    if x.ndim == 4 and ratios == [1 / b if b else 0.0 for b in blocks]:
        return block_repeat(x, blocks=(blocks[0], blocks[1]))
    for dim, (outs, ratio) in enumerate(zip(sizes, ratios), 2):
        at = _read_at(x.shape[dim], outs, ratio, exact, plain=exact or x.ndim == 5)
        x = index_select(x, dim, wrap(module_of(x._array).asarray(at)))
    return x


def _read_at(size: int, outs: int, ratio: float, exact: bool, plain: bool) -> Array:
    """Which pixel each output reads. As in PyTorch, the ratio does not count where the size stays
    or doubles (unless `plain`): at scale_factor=1.25 two pixels stay two.
    """
    if outs in (size, 2 * size) and not plain:
        return np.arange(outs) * size // outs
    return np.minimum(((np.arange(outs) + 0.5 * exact) * ratio).astype(int), size - 1)


# --- pixel shuffle ------------------------------------------------------------------------------


@op
def _shuffle(x: Array, *, factor: int) -> Array:
    """(N, C r r, H, W) to (N, C, H r, W r): out[n, c, h r + a, w r + b] = x[n, (c, a, b), h, w]."""
    n, c, h, w = x.shape
    c //= factor * factor
    parts = x.reshape(n, c, factor, factor, h, w).transpose(0, 4, 2, 5, 3, 1)
    return parts.reshape(n, h * factor, w * factor, c).transpose(0, 3, 1, 2)


@op
def _unshuffle(x: Array, *, factor: int) -> Array:
    """The inverse of _shuffle, and its adjoint."""
    n, c, h, w = x.shape
    h, w = h // factor, w // factor
    parts = x.reshape(n, c, h, factor, w, factor).transpose(0, 2, 4, 1, 3, 5)
    return parts.reshape(n, h, w, c * factor * factor).transpose(0, 3, 1, 2)


_shuffle.vjp(lambda g, factor: _unshuffle(g, factor=factor))
_unshuffle.vjp(lambda g, factor: _shuffle(g, factor=factor))


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(N, C r^2, H, W) to (N, C, H r, W r): r^2 channels become a block of r x r pixels.

    >>> F.pixel_shuffle(tg.arange(4).reshape(4, 1, 1), 2)
    tensor([[[0, 1],
             [2, 3]]])
    """
    x, batched = image("pixel_shuffle", input)
    if upscale_factor < 1 or x.shape[1] % upscale_factor**2:
        raise RuntimeError(
            f"pixel_shuffle: expects its input's channels to be divisible by the square of "
            f"upscale_factor, but got {x.shape[1]} channels and upscale_factor={upscale_factor}"
        )
    out = _shuffle(x, factor=int(upscale_factor))
    return out if batched else squeeze(out, 0)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """(N, C, ...) with the channels of each of the groups dealt out in turn.

    Output channel i groups + g is channel i of group g (Zhang et al. 2018).

    >>> F.channel_shuffle(tg.arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    if input.ndim < 3 or groups < 1 or input.shape[1] % groups:
        raise RuntimeError(
            f"channel_shuffle: expected (N, C, ...) with channels divisible by groups={groups}, "
            f"got {input.shape}"
        )
    parts = unflatten(input, 1, (groups, -1))
    return flatten(transpose(parts, 1, 2), 1, 2)


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(N, C, H r, W r) to (N, C r^2, H, W), the inverse of pixel_shuffle."""
    x, batched = image("pixel_unshuffle", input)
    if downscale_factor < 1 or x.shape[2] % downscale_factor or x.shape[3] % downscale_factor:
        raise RuntimeError(
            f"pixel_unshuffle: expects height and width to be divisible by downscale_factor, but "
            f"got size {input.shape} and downscale_factor={downscale_factor}"
        )
    out = _unshuffle(x, factor=int(downscale_factor))
    return out if batched else squeeze(out, 0)
