"""Reconstruction losses: how far is y from x, as one number for each example, (B, C, H, W) -> (B,).

Each chooses what a picture must get right. Squared error asks for the mean of all that x might be
(hence blur), absolute error for the median, SSIM for the same local contrast and structure, the
perceptual loss for the same features in a network that knows the data. PSNR is not in the list:
10 log10(range^2 / MSE) falls strictly with the MSE, so picture by picture it has the same optimum
(`metrics.psnr` measures with it). A learned variance (`Gaussian(learn=True)`) is the likelihood's
way: it finds the weight of the squared error by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .. import nn
from ..backend import Array, move
from ..nn import functional as F
from ..tensor import Tensor, wrap
from .likelihoods import sum_dims

__all__ = ["Perceptual", "absolute_error", "dissimilarity", "squared_error", "ssim"]


def _same_shape(name: str, x: Tensor, y: Tensor) -> None:
    if x.shape != y.shape:
        raise ValueError(f"{name}: expected two of the same shape, got {x.shape} and {y.shape}")


def squared_error(y: Tensor, x: Tensor) -> Tensor:
    """|y - x|^2, summed over the pixels."""
    _same_shape("squared_error", x, y)
    return sum_dims((y - x).square())


def absolute_error(y: Tensor, x: Tensor) -> Tensor:
    """|y - x|_1, summed over the pixels: up to a constant -log of a Laplace density."""
    _same_shape("absolute_error", x, y)
    return sum_dims((y - x).abs())


def _window(size: int, sigma: float) -> Array:
    """A Gaussian of size x size that sums to one."""
    at = np.arange(size) - (size - 1) / 2
    row = np.exp(-0.5 * (at / sigma) ** 2)
    return np.outer(row, row) / row.sum() ** 2


def ssim(
    y: Tensor, x: Tensor, data_range: float = 1.0, window: int = 11, sigma: float = 1.5
) -> Tensor:
    """Structural similarity (Wang et al., 2004), the mean over all windows: (B, C, H, W) -> (B,).

        (2 m_x m_y + c1) (2 s_xy + c2) / ((m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2))

    with Gaussian-weighted means m, variances s^2 and covariance s_xy in each window x window
    patch, c1 = (0.01 range)^2, c2 = (0.03 range)^2. Symmetric, at most 1, and for pixels >= 0 it is
    1 only where x = y: of the two factors, means and contrasts, both change their sign for y = -x,
    so a loss of it needs a decoder that cannot go below 0 (a sigmoid). The window is the largest
    odd size that fits where the image is smaller than it.
    """
    _same_shape("ssim", x, y)
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
        return F.conv2d(t, weight, groups=channels)

    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mx, my = local(x), local(y)
    vx, vy = local(x * x) - mx * mx, local(y * y) - my * my
    cov = local(x * y) - mx * my
    similar = (2.0 * mx * my + c1) * (2.0 * cov + c2)
    return (similar / ((mx * mx + my * my + c1) * (vx + vy + c2))).flatten(1).mean(1)


def dissimilarity(y: Tensor, x: Tensor) -> Tensor:
    """1 - SSIM(y, x), for images in [0, 1]; in [0, 2]. Blind to y = -x: end in a sigmoid."""
    return 1.0 - ssim(y, x)


class Perceptual(nn.Module):
    """Squared distance between the features of y and x in a frozen, trained classifier.

        sum over `layers` l of mean over l's units of (f_l(y) - f_l(x))^2  +  pixel |y - x|^2 / D

    f_l: the output of the classifier's l-th part (Johnson et al., 2016). The last term, of weight
    `pixel`, keeps what the classifier does not look at. In evaluation mode, never trained here.
    """

    def __init__(
        self, classifier: nn.Sequential, layers: Sequence[int] = (1, 3, 6), pixel: float = 0.1
    ) -> None:
        super().__init__()
        if not layers or min(layers) < 0 or max(layers) >= len(classifier):
            raise ValueError(
                f"Perceptual: expected layers in 0..{len(classifier) - 1}, got {tuple(layers)}"
            )
        self.classifier, self.layers, self.pixel = classifier.eval(), tuple(layers), pixel
        for parameter in classifier.parameters():
            parameter.requires_grad = False

    def features(self, x: Tensor) -> list[Tensor]:
        """The outputs of the chosen layers, each flattened to (B, units)."""
        found = []
        for i, part in enumerate(self.classifier):
            x = part(x)
            if i in self.layers:
                found.append(x.flatten(1))
        return found

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        _same_shape("Perceptual", x, y)
        pairs = zip(self.features(y), self.features(x), strict=True)
        loss = self.pixel * (y - x).square().flatten(1).mean(1)
        for fy, fx in pairs:
            loss = loss + (fy - fx).square().mean(1)
        return loss


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": squared_error,
    "l1": absolute_error,
    "ssim": dissimilarity,
}
