"""Small reference networks: encoders, decoders and a classifier, as multilayer perceptron or conv.

An encoder maps x (B, *shape) to (B, moments * latent): mu beside log_var for a VAE (moments=2), the
code alone for an autoencoder (1). A decoder maps a code to (B, outputs * C, H, W): logits or means,
and for outputs=2 log variances beside them. With condition=m both also take c (B, m).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .. import nn
from ..checks import positive as positive
from ..ops import cat
from ..tape import no_grad
from ..tensor import Tensor


class Beside(nn.Module):
    """net(x with c): a condition c (B, m) is m more inputs, or m constant planes of an image."""

    def __init__(self, net: nn.Module, planes: bool = False) -> None:
        super().__init__()
        self.net, self.planes = net, planes

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        if not self.planes:
            return self.net(cat([x.flatten(1), c.to(x.dtype)], 1))
        planes = c.to(x.dtype).reshape(*c.shape, 1, 1).expand(*c.shape, *x.shape[2:])
        return self.net(cat([x, planes], 1))


def mlp(
    shape: Sequence[int],
    latent: int,
    hidden: int | Sequence[int] = 256,
    *,
    moments: int = 2,
    outputs: int = 1,
    condition: int = 0,
) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder, multilayer perceptrons, for x of shape (B, *shape).

    hidden: the widths of the encoder's hidden layers, which the decoder has in reverse; a number
    stands for two layers of it.
    """
    widths = [hidden, hidden] if isinstance(hidden, int) else list(hidden)
    positive("mlp", latent=latent, **{"hidden": min(widths, default=1)})
    pixels = math.prod(shape)
    encoder = dense([pixels + condition, *widths, moments * latent])
    encoder.insert(0, nn.Flatten())
    decoder = dense([latent + condition, *reversed(widths), outputs * pixels])
    decoder.append(nn.Unflatten(1, (outputs * shape[0], *shape[1:])))
    return (Beside(encoder), Beside(decoder)) if condition else (encoder, decoder)


def dense(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers of these widths, ReLU between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def conv(
    shape: Sequence[int],
    latent: int,
    width: int = 32,
    *,
    moments: int = 2,
    outputs: int = 1,
    condition: int = 0,
) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder that halve and double the size twice by 4x4 convolutions of stride 2.

    shape: (C, H, W), H and W divisible by 4, as 8, 28 and 32 are.
    """
    positive("conv", latent=latent, width=width)
    channels, height, breadth = shape
    if height % 4 or breadth % 4:
        raise ValueError(f"conv: expected a size divisible by 4, got {height} x {breadth}")
    small = (2 * width, height // 4, breadth // 4)
    encoder = nn.Sequential(
        nn.Conv2d(channels + condition, width, 4, 2, 1), nn.SiLU(),
        nn.Conv2d(width, 2 * width, 4, 2, 1), nn.SiLU(),
        nn.Flatten(), nn.Linear(math.prod(small), moments * latent),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(latent + condition, math.prod(small)), nn.SiLU(), nn.Unflatten(1, small),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.SiLU(),
        nn.ConvTranspose2d(width, outputs * channels, 4, 2, 1),
    )  # fmt: skip
    return (Beside(encoder, True), Beside(decoder)) if condition else (encoder, decoder)


NETS = {"mlp": mlp, "conv": conv}


def classifier(shape: Sequence[int], classes: int, width: int = 32) -> nn.Sequential:
    """A small convolutional classifier, (B, *shape) -> logits (B, classes), for `Perceptual`."""
    positive("classifier", classes=classes, width=width)
    channels, height, breadth = shape
    pixels = ((height + 1) // 2) * ((breadth + 1) // 2)
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, 1, 1), nn.SiLU(),
        nn.Conv2d(width, 2 * width, 3, 2, 1), nn.SiLU(),
        nn.Flatten(), nn.Linear(2 * width * pixels, 64), nn.SiLU(), nn.Linear(64, classes),
    )  # fmt: skip


def set_output_bias(decoder: nn.Module, images: Tensor) -> None:
    """Start the decoder at the mean image, as logits: the first epochs need not learn it.

    For a Bernoulli decoder whose last layer has one bias a pixel (mlp) or a channel (conv).
    """
    layers = [m for m in decoder.modules() if isinstance(getattr(m, "bias", None), Tensor)]
    bias = layers[-1].bias
    mean = images.mean(0).reshape(-1) if bias.numel() > images.shape[1] else images.mean((0, 2, 3))
    p = np.clip(mean.detach().cpu().numpy(), 0.01, 0.99)
    with no_grad():
        bias.copy_(Tensor(np.log(p / (1.0 - p))))
