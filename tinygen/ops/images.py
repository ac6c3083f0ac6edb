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
    avg_pool2d,
    block_repeat,
    check_floating,
    image,
    max_pool2d,
    resample,
)
from .shapes import squeeze
from .windows import Pair, as_pair

__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool2d",
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
    """Resize images (N, C, H, W) to `size`, or to floor(scale_factor * size).

    mode: "nearest", "bilinear" or "area" (adaptive_avg_pool2d). With r = H / OH (1 / scale_factor
    where that was given), output row i is read at the input row

        floor(i r)                 nearest
        max((i + 1/2) r - 1/2, 0)  bilinear, between its two neighbours
        i (H - 1) / (OH - 1)       bilinear with align_corners=True

    >>> row = tg.tensor([[[[0.0, 1.0]]]])
    >>> F.interpolate(row, (1, 4)), F.interpolate(row, (1, 4), mode="bilinear")
    (tensor([[[[0., 0., 1., 1.]]]]), tensor([[[[0.  , 0.25, 0.75, 1.  ]]]]))
    """
    if mode not in ("nearest", "bilinear", "area"):
        raise NotImplementedError(
            f"interpolate: mode must be 'nearest', 'bilinear' or 'area', got {mode!r}"
        )
    if not isinstance(input, Tensor) or input.ndim != 4:
        raise RuntimeError(f"interpolate: expected a 4D (N, C, H, W) input, got {input.shape}")
    if align_corners is not None and mode != "bilinear":
        raise ValueError("interpolate: align_corners can only be set with mode='bilinear'")
    check_floating("interpolate", input)
    sizes, ratios = _target(input.shape[2:], size, scale_factor)
    if mode == "area":
        return adaptive_avg_pool2d(input, sizes)
    if mode == "bilinear":
        rows, columns = (
            _between(input.shape[2 + i], sizes[i], ratios[i], bool(align_corners)) for i in (0, 1)
        )
        return resample(input, rows=rows, columns=columns)
    return _nearest(input, sizes, ratios)


def _target(shape: Any, size: Any, scale_factor: Any) -> tuple[Pair, tuple[float, float]]:
    """The output size, and the input rows and columns for one of the output."""
    if (size is None) == (scale_factor is None):
        raise ValueError(
            "interpolate: exactly one of size and scale_factor should be defined, got "
            f"{size} and {scale_factor}"
        )
    if size is None:
        scalar = isinstance(scale_factor, (int, float))
        scales = (scale_factor, scale_factor) if scalar else tuple(scale_factor)
        size = [math.floor(n * scale) for n, scale in zip(shape, scales, strict=True)]
        ratios = (1 / scales[0], 1 / scales[1])
    sizes = as_pair("interpolate", "output size", size, 1)
    if 0 in shape:
        raise RuntimeError(f"interpolate: expected a non-empty image, got size {tuple(shape)}")
    if scale_factor is None:
        ratios = (shape[0] / sizes[0], shape[1] / sizes[1])
    return sizes, ratios


def _between(size: int, outs: int, ratio: float, align_corners: bool) -> Array:
    """A matrix (outs, size): row i weighs the two neighbours of the point it is read at.

    Where the size stays, the ratio does not count, as in PyTorch; see _read_at.
    """
    if outs == size:
        return np.eye(size)
    i = np.arange(outs)
    if align_corners:
        point = i * ((size - 1) / (outs - 1) if outs > 1 else 0.0)
    else:
        point = np.maximum((i + 0.5) * ratio - 0.5, 0)
    low = np.minimum(point.astype(int), size - 1)
    weight = np.minimum(point - low, 1) * (low < size - 1)
    matrix = np.zeros((outs, size))
    matrix[i, low] = 1 - weight
    matrix[i, np.minimum(low + 1, size - 1)] += weight
    return matrix


def _nearest(x: Tensor, sizes: Pair, ratios: tuple[float, float]) -> Tensor:
    height, width = x.shape[2:]
    if sizes[0] % height == 0 and sizes[1] % width == 0:
        blocks = (sizes[0] // height, sizes[1] // width)
        if ratios == (1 / blocks[0], 1 / blocks[1]):
            return block_repeat(x, blocks=blocks)
    for dim, size in ((2, height), (3, width)):
        at = _read_at(size, sizes[dim - 2], ratios[dim - 2])
        x = index_select(x, dim, wrap(module_of(x._array).asarray(at)))
    return x


def _read_at(size: int, outs: int, ratio: float) -> Array:
    """Which pixel each output reads. As in PyTorch, the ratio does not count where the size stays
    or doubles: at scale_factor=1.25 two pixels stay two.
    """
    if outs in (size, 2 * size):
        return np.arange(outs) * size // outs
    return np.minimum((np.arange(outs) * ratio).astype(int), size - 1)


# --- pixel shuffle ------------------------------------------------------------------------------


@op
def _shuffle(x: Array, *, factor: int) -> Array:
    """(N, C r r, H, W) to (N, C, H r, W r): out[n, c, h r + a, w r + b] = x[n, (c, a, b), h, w]."""
    n, _, h, w = x.shape
    parts = x.reshape(n, -1, factor, factor, h, w).transpose(0, 4, 2, 5, 3, 1)
    return parts.reshape(n, h * factor, w * factor, -1).transpose(0, 3, 1, 2)


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
