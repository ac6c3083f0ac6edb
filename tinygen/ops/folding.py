"""Images as columns of their windows (im2col), and back: two linear maps, each other's adjoint."""

from __future__ import annotations

import math

import numpy as np

from ..backend import Array
from ..tensor import Tensor
from .half import through_float32
from .op import op
from .pooling import Pool, check_floating, image
from .shapes import squeeze, unsqueeze
from .windows import Size, as_pair, output_size

__all__ = ["fold", "unfold"]


@op
def _columns(x: Array, *, pool: Pool) -> Array:
    """(N, C, H, W) to (N, C KH KW, OH OW): what each window sees, and 0 where that is padding."""
    n, c = x.shape[:2]
    out = np.zeros_like(x, shape=(n, c, math.prod(pool.kernel), *pool.size), order="C")
    for k, at, pixels in pool.over(x):
        out[:, :, k][at] = x[pixels]
    return out.reshape(n, c * math.prod(pool.kernel), math.prod(pool.size))


@op
def _from_columns(x: Array, *, shape: tuple[int, ...], pool: Pool) -> Array:
    """(N, C KH KW, OH OW) to (N, C, H, W): where windows overlap, they add up."""
    image = np.zeros_like(x, shape=shape, order="C")
    columns = x.reshape(*shape[:2], math.prod(pool.kernel), *pool.size)
    for k, at, pixels in pool.over(image):
        image[pixels] += columns[:, :, k][at]
    return image


_columns.vjp(lambda g, x_shape, pool: _from_columns(g, shape=x_shape, pool=pool))
_from_columns.vjp(lambda g, pool: _columns(g, pool=pool))


def _windows(
    name: str, size: tuple[int, ...], kernel: Size, dilation: Size, padding: Size, stride: Size
) -> Pool:
    k, d = as_pair(name, "kernel_size", kernel, 1), as_pair(name, "dilation", dilation, 1)
    p, s = as_pair(name, "padding", padding, 0), as_pair(name, "stride", stride, 1)
    outs = output_size((0, 0, *size), (0, 0, *k), s, p, d)
    if min(outs) < 1:
        raise RuntimeError(
            f"{name}: no window of kernel_size {k}, dilation {d} fits in an image of size {size} "
            f"with padding {p}"
        )
    return Pool(k, s, p, d, outs)


@through_float32
def unfold(
    input: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Tensor:
    """(N, C, H, W) -> (N, C KH KW, L): column l is what window l sees, channel by channel.

    L = OH OW windows, row by row, as conv2d slides them; padding is 0. (C, H, W) as well.

    >>> F.unfold(tg.arange(6.0).reshape(1, 2, 3), kernel_size=2)
    tensor([[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]])
    """
    x, batched = image("unfold", input)
    check_floating("unfold", x)
    pool = _windows("unfold", x.shape[2:], kernel_size, dilation, padding, stride)
    out = _columns(x, pool=pool)
    return out if batched else squeeze(out, 0)


@through_float32
def fold(
    input: Tensor, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0,
    stride: Size = 1,
) -> Tensor:  # fmt: skip
    """(N, C KH KW, L) -> (N, C, *output_size): the adjoint of unfold; overlapping windows add up.

    fold(unfold(x)) is x times the number of windows that see each pixel.

    >>> F.fold(tg.ones(4, 2), (2, 3), kernel_size=2)
    tensor([[[1., 2., 1.],
             [1., 2., 1.]]])
    """
    if input.ndim not in (2, 3):
        raise RuntimeError(f"fold: expected (N, C KH KW, L) or (C KH KW, L), got {input.shape}")
    check_floating("fold", input)
    size = as_pair("fold", "output_size", output_size, 1)
    pool = _windows("fold", size, kernel_size, dilation, padding, stride)
    x = input if input.ndim == 3 else unsqueeze(input, 0)
    taps, count = math.prod(pool.kernel), math.prod(pool.size)
    if x.shape[1] % taps or x.shape[2] != count:
        raise RuntimeError(
            f"fold: expected (N, a multiple of {taps}, {count}) for an image of size {size} and "
            f"kernel_size {pool.kernel}, got {input.shape}"
        )
    out = _from_columns(x, shape=(x.shape[0], x.shape[1] // taps, *size), pool=pool)
    return out if input.ndim == 3 else squeeze(out, 0)
