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

from ... import nn
from ...nn import functional as F
from ...tensor import Tensor, same_shape
from ..likelihoods import sum_dims

__all__ = ["LOSSES", "Perceptual", "absolute_error", "dissimilarity", "squared_error"]


def squared_error(y: Tensor, x: Tensor) -> Tensor:
    """|y - x|^2, summed over the pixels: (B, ...) -> (B,); ValueError for two shapes.

    >>> import tinygen as tg
    >>> x = tg.zeros(2, 1, 2, 2)
    >>> tg.models.vae.reconstruction.squared_error(x + 2, x)
    tensor([16., 16.])
    """
    same_shape("squared_error", x, y)
    return sum_dims((y - x).square())


def absolute_error(y: Tensor, x: Tensor) -> Tensor:
    """|y - x|_1, summed over the pixels: (B, ...) -> (B,).

    Up to a constant -log of a Laplace density. ValueError for two shapes.

    >>> import tinygen as tg
    >>> x = tg.zeros(2, 1, 2, 2)
    >>> tg.models.vae.reconstruction.absolute_error(x + 2, x)
    tensor([8., 8.])
    """
    same_shape("absolute_error", x, y)
    return sum_dims((y - x).abs())


def dissimilarity(y: Tensor, x: Tensor) -> Tensor:
    """1 - SSIM(y, x) of images (B, C, H, W) in [0, 1]: (B,), in [0, 2].

    Blind to y = -x: end in a sigmoid.

    >>> import tinygen as tg
    >>> x = tg.rand(2, 1, 11, 11)
    >>> round(tg.models.vae.reconstruction.dissimilarity(x, x).abs().max().item(), 4)
    0.0
    """
    return 1.0 - F.ssim(y, x)


class Perceptual(nn.Module):
    """Squared distance between the features of y and x in a frozen, trained classifier.

        sum over `layers` l of mean over l's units of (f_l(y) - f_l(x))^2  +  pixel |y - x|^2 / D

    f_l: the output of the classifier's l-th part (Johnson et al., 2016). The last term, of weight
    `pixel`, keeps what the classifier does not look at. In evaluation mode, never trained here.

    >>> import tinygen as tg
    >>> judge = tg.models.nets.classifier((1, 8, 8), classes=10, width=4)
    >>> loss, x = tg.models.vae.reconstruction.Perceptual(judge), tg.rand(5, 1, 8, 8)
    >>> loss(x, x).tolist(), loss.features(x)[0].shape
    ([0.0, 0.0, 0.0, 0.0, 0.0], (5, 256))
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
        """The outputs of the chosen layers of x (B, C, H, W), each flattened to (B, units)."""
        found = []
        for i, part in enumerate(self.classifier):
            x = part(x)
            if i in self.layers:
                found.append(x.flatten(1))
        return found

    def forward(self, y: Tensor, x: Tensor) -> Tensor:
        """The loss of y against x, both (B, C, H, W): (B,)."""
        same_shape("Perceptual", x, y)
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
