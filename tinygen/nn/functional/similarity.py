"""Structural similarity of two images: a measure, and (one minus it) a differentiable loss."""

from __future__ import annotations

import numpy as np

from ...backend import Array, move
from ...conv import conv2d
from ...ops.half import through_float32
from ...tensor import Tensor, same_shape, wrap

__all__ = ["ssim"]


def _window(size: int, sigma: float) -> Array:
    """A Gaussian of size x size that sums to one."""
    at = np.arange(size) - (size - 1) / 2
    row = np.exp(-0.5 * (at / sigma) ** 2)
    return np.outer(row, row) / row.sum() ** 2


@through_float32
def ssim(
    input: Tensor, target: Tensor, data_range: float = 1.0, window: int = 11, sigma: float = 1.5
) -> Tensor:
    """Structural similarity (Wang et al., 2004), the mean over all windows: (B, C, H, W) -> (B,).

        (2 m_x m_y + c1) (2 s_xy + c2) / ((m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2))

    with Gaussian-weighted means m, variances s^2 and covariance s_xy in each window x window
    patch, c1 = (0.01 range)^2, c2 = (0.03 range)^2. Symmetric, at most 1, and for pixels >= 0 it is
    1 only where x = y: of the two factors, means and contrasts, both change their sign for y = -x,
    so a loss of it needs a decoder that cannot go below 0 (a sigmoid). The window is the largest
    odd size that fits where the image is smaller than it.

    >>> x = tg.rand(2, 1, 16, 16)
    >>> F.ssim(x, x), bool((F.ssim(x, 1 - x) < 0).all())
    (tensor([1., 1.]), True)
    """
    same_shape("ssim", input, target)
    x, y = target, input
    if x.ndim != 4:
        raise ValueError(f"ssim: expected images (B, C, H, W), got {x.shape}")
    if not data_range > 0:
        raise ValueError(f"ssim: expected data_range > 0, got {data_range}")
    channels, height, breadth = x.shape[1:]
    fits = min(window, height, breadth)
    size = fits - 1 + fits % 2
    weight = wrap(move(_window(size, sigma).astype(x.dtype), x.device))
    weight = weight.expand(channels, 1, size, size)

    def local(t: Tensor) -> Tensor:
        return conv2d(t, weight, groups=channels)

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mx, my = local(x), local(y)
    vx, vy = local(x * x) - mx * mx, local(y * y) - my * my
    cov = local(x * y) - mx * my
    similar = (2.0 * mx * my + c1) * (2.0 * cov + c2)
    return (similar / ((mx * mx + my * my + c1) * (vx + vy + c2))).flatten(1).mean(1)
