"""Small reference networks: encoders, decoders and a classifier, as multilayer perceptron or conv.

An encoder maps x (B, *shape) to (B, moments * latent): mu beside log_var for a VAE (moments=2), the
code alone for an autoencoder (1). A decoder maps a code to (B, outputs * C, H, W): logits or means,
and for outputs=2 log variances beside them. With classes=m both also take labels (B,), integers
in 0..m-1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ... import nn
from ...checks import positive
from ...tape import no_grad
from ...tensor import Tensor
from .condition import Conditional
from .dense import mlp

__all__ = ["AUTOENCODERS", "classifier", "conv_autoencoder", "mlp_autoencoder", "set_output_bias"]


def mlp_autoencoder(
    shape: Sequence[int],
    latent: int,
    hidden: int | Sequence[int] = 256,
    *,
    moments: int = 2,
    outputs: int = 1,
    classes: int = 0,
) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder, multilayer perceptrons, for x of shape (B, *shape).

    encoder: (B, *shape) -> (B, moments latent); decoder: (B, latent) -> (B, outputs C, H, W); with
    `classes` both take labels (B,) too. hidden: the widths of the encoder's hidden layers, which
    the decoder has in reverse; a number stands for two layers of it. ValueError for sizes below 1.

    >>> import tinygen as tg
    >>> encoder, decoder = tg.models.nets.mlp_autoencoder((1, 8, 8), latent=2, hidden=16)
    >>> encoder(tg.zeros(5, 1, 8, 8)).shape, decoder(tg.zeros(5, 2)).shape
    ((5, 4), (5, 1, 8, 8))
    """
    widths = [hidden, hidden] if isinstance(hidden, int) else list(hidden)
    positive("mlp_autoencoder", latent=latent, **{"hidden": min(widths, default=1)})
    pixels = math.prod(shape)
    encoder = mlp([pixels + classes, *widths, moments * latent])
    encoder.insert(0, nn.Flatten())
    decoder = mlp([latent + classes, *reversed(widths), outputs * pixels])
    decoder.append(nn.Unflatten(1, (outputs * shape[0], *shape[1:])))
    if not classes:
        return encoder, decoder
    return Conditional(encoder, classes, planes=False), Conditional(decoder, classes)


def conv_autoencoder(
    shape: Sequence[int],
    latent: int,
    width: int = 32,
    *,
    moments: int = 2,
    outputs: int = 1,
    classes: int = 0,
) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder that halve and double the size twice by 4x4 convolutions of stride 2.

    shape: (C, H, W), H and W divisible by 4, as 8, 28 and 32 are, else ValueError. width: channels
    at half size, twice as many at a quarter. Shapes are those of `mlp_autoencoder`.

    >>> import tinygen as tg
    >>> encoder, decoder = tg.models.nets.conv_autoencoder((1, 8, 8), latent=2, width=4)
    >>> encoder(tg.zeros(5, 1, 8, 8)).shape, decoder(tg.zeros(5, 2)).shape
    ((5, 4), (5, 1, 8, 8))
    """
    positive("conv_autoencoder", latent=latent, width=width)
    channels, height, breadth = shape
    if height % 4 or breadth % 4:
        raise ValueError(
            f"conv_autoencoder: expected a size divisible by 4, got {height} x {breadth}"
        )
    small = (2 * width, height // 4, breadth // 4)
    encoder = nn.Sequential(
        nn.Conv2d(channels + classes, width, 4, 2, 1), nn.SiLU(),
        nn.Conv2d(width, 2 * width, 4, 2, 1), nn.SiLU(),
        nn.Flatten(), nn.Linear(math.prod(small), moments * latent),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(latent + classes, math.prod(small)), nn.SiLU(), nn.Unflatten(1, small),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.SiLU(),
        nn.ConvTranspose2d(width, outputs * channels, 4, 2, 1),
    )  # fmt: skip
    if not classes:
        return encoder, decoder
    return Conditional(encoder, classes), Conditional(decoder, classes)


AUTOENCODERS = {"mlp": mlp_autoencoder, "conv": conv_autoencoder}


def classifier(shape: Sequence[int], classes: int, width: int = 32) -> nn.Sequential:
    """A small convolutional classifier, (B, *shape) -> logits (B, classes), for `Perceptual`.

    Two convolutions (width, 2 width channels; the second halves the size), then 64 units.

    >>> import tinygen as tg
    >>> tg.models.nets.classifier((1, 8, 8), classes=10, width=4)(tg.zeros(5, 1, 8, 8)).shape
    (5, 10)
    """
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

    images: (N, C, H, W) in [0, 1]. For a Bernoulli decoder whose last layer has one bias a pixel
    (mlp) or a channel (conv). Probabilities are kept within 0.01 .. 0.99.
    """
    layers = [m for m in decoder.modules() if isinstance(getattr(m, "bias", None), Tensor)]
    bias = layers[-1].bias
    mean = images.mean(0).reshape(-1) if bias.numel() > images.shape[1] else images.mean((0, 2, 3))
    p = np.clip(mean.detach().cpu().numpy(), 0.01, 0.99)
    with no_grad():
        bias.copy_(Tensor(np.log(p / (1.0 - p))))
