"""Reference networks for GANs, and what goes into a network to keep the training alive.

A network pair is made by `mlp_gan` or `dcgan` for samples of shape (B, *shape); the discriminator
ends in one raw number an example, (B,).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ... import nn
from ...checks import positive
from ...nn.utils import spectral_norm
from ...ops import abs, mean
from ...tensor import Tensor
from .batch import Maxout, MinibatchDiscrimination
from .dense import mlp

__all__ = [
    "AutoencoderEnergy", "LEAK", "MAX_START", "dcgan", "dcgan_energy", "dcgan_trunk", "halvings",
    "mlp_energy", "mlp_gan", "spectrally_normalised", "start_small",
]  # fmt: skip

LEAK = 0.2  # slope of DCGAN's LeakyReLU
MAX_START = 7  # the largest size that a DCGAN generator starts from


def mlp_gan(
    shape: Sequence[int],
    latent: int,
    hidden: int = 128,
    layers: int = 3,
    *,
    classes: int = 0,
    batch_norm: bool = False,
    maxout: int = 0,
    tanh: bool = False,
    packed: int = 1,
    minibatch: int = 0,
) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of `layers` hidden layers of ReLU units (D: leaky, slope 0.2).

    G: (B, latent) -> (B, *shape); D: (B, *shape) -> raw (B,).
    batch_norm: in G (not at its output). maxout: so many pieces in D instead of ReLUs. tanh: keep
    G's output in [-1, 1]. classes: room for labels, see Conditional. packed: room for so many
    samples at once in D. minibatch: kernels of minibatch discrimination before D's last layer.

    >>> import tinygen as tg
    >>> G, D = tg.models.nets.mlp_gan((2,), latent=4, hidden=16)
    >>> G(tg.zeros(5, 4)).shape, D(tg.zeros(5, 2)).shape
    ((5, 2), (5,))
    """
    positive("mlp_gan", latent=latent, hidden=hidden, layers=layers)
    size, middle = math.prod(shape), [hidden] * layers
    generator = nn.Sequential(
        *mlp([latent + classes, *middle, size], nn.ReLU, batch_norm),
        *[nn.Tanh()] * tanh, nn.Unflatten(1, tuple(shape)),
    )  # fmt: skip
    sees = [size * packed + classes, *middle]
    if maxout:
        features: list[nn.Module] = [Maxout(a, b, maxout) for a, b in zip(sees, sees[1:])]
    else:
        features = [*mlp(sees, _leaky), _leaky()]
    return generator, nn.Sequential(nn.Flatten(), *features, *_verdict(hidden, minibatch))


def _leaky() -> nn.Module:
    return nn.LeakyReLU(LEAK)


def _verdict(features: int, minibatch: int) -> list[nn.Module]:
    """D's end: one number an example, with or without a look at the rest of the batch."""
    look = [MinibatchDiscrimination(features, minibatch)] if minibatch else []
    return [*look, nn.Linear(features + minibatch, 1), nn.Flatten(0)]


# --- DCGAN ------------------------------------------------------------------------------------


def halvings(size: int) -> tuple[int, int]:
    """(start, n) with start 2^n = size: how often a picture's side is halved; n >= 2, start <= 7.

    8 = 2 x 4, 28 = 7 x 4, 32 = 4 x 8, 64 = 4 x 16. ValueError where no such start exists.

    >>> import tinygen as tg
    >>> [tg.models.nets.halvings(side) for side in (8, 28, 32)]
    [(2, 2), (7, 2), (4, 3)]
    """
    start, n = size, 0
    while start % 2 == 0 and (start > 4 or n < 2) and start > 2:
        start, n = start // 2, n + 1
    if n < 2 or start > MAX_START:
        raise ValueError(
            f"dcgan: cannot make {size} x {size} pixels: the side must be 2 to {MAX_START} times "
            "a power of two from 4 on, as 8, 28, 32 and 64 are"
        )
    return start, n


def _norm(kind: str, channels: int) -> list[nn.Module]:
    if kind == "batch":
        return [nn.BatchNorm2d(channels)]
    return [nn.GroupNorm(1, channels)] if kind == "layer" else []


def dcgan(
    shape: Sequence[int],
    latent: int,
    width: int = 32,
    *,
    norm: str = "batch",
    classes: int = 0,
    packed: int = 1,
    tanh: bool = True,
    minibatch: int = 0,
) -> tuple[nn.Module, nn.Module]:
    """G: (B, latent) -> (B, *shape) and D: (B, *shape) -> raw (B,), shape = (C, S, S).

    The five guidelines of Radford et al. 2015 (arXiv:1511.06434):

    1. strided convolutions down (D) and up (G), no pooling;
    2. batch norm in both, but not at G's output nor at D's input;
    3. no hidden fully connected layers: z is projected to a small picture, D ends in one number;
    4. ReLU in G, tanh at its output (data in [-1, 1]);
    5. LeakyReLU, slope 0.2, in D.

    width: channels at the largest size, doubled at each halving. norm: D's "batch", "layer" (one
    group: examples stay apart, for gradient penalties), "spectral" or "none". minibatch: kernels of
    minibatch discrimination before D's last layer. Weights start at N(0, 0.02^2). ValueError for a
    picture that is not square, a side that `halvings` refuses, another norm.

    >>> import tinygen as tg
    >>> G, D = tg.models.nets.dcgan((1, 8, 8), latent=4, width=4)
    >>> G(tg.zeros(5, 4)).shape, D(tg.zeros(5, 1, 8, 8)).shape
    ((5, 1, 8, 8), (5,))
    """
    positive("dcgan", latent=latent, width=width)
    start, widths = _sides(shape, width, norm)
    up = _up(shape[0], widths[::-1], start, latent + classes)
    down = _down(shape[0] * packed + classes, widths, norm)
    last = [nn.Conv2d(widths[-1], 1, start), nn.Flatten(0)]
    if minibatch:
        last = [nn.Flatten(), *_verdict(widths[-1] * start**2, minibatch)]
    judge = nn.Sequential(*down, *last)
    generator = nn.Sequential(*up, *[nn.Tanh()] * tanh)
    for net in (generator, judge):
        net.apply(start_small)
    return generator, spectrally_normalised(judge) if norm == "spectral" else judge


def dcgan_trunk(
    shape: Sequence[int], width: int = 32, *, norm: str = "layer"
) -> tuple[nn.Sequential, int]:
    """D of `dcgan` without its last layer, for heads of your own: (B, *shape) -> (B, features).

    Returns it and the number of features; the weights start as each layer's own do. norm "spectral"
    is for the whole of D: apply `spectrally_normalised` when its heads are on.

    >>> import tinygen as tg
    >>> trunk, features = tg.models.nets.dcgan_trunk((1, 8, 8), width=4)
    >>> features, trunk(tg.zeros(5, 1, 8, 8)).shape
    (32, (5, 32))
    """
    positive("dcgan_trunk", width=width)
    start, widths = _sides(shape, width, norm)
    return nn.Sequential(*_down(shape[0], widths, norm), nn.Flatten()), widths[-1] * start**2


def _sides(shape: Sequence[int], width: int, norm: str) -> tuple[int, list[int]]:
    """The smallest side and the channels at each size, from the largest; or a ValueError."""
    if norm not in ("batch", "layer", "spectral", "none"):
        raise ValueError(f"dcgan: norm must be batch, layer, spectral or none, got {norm!r}")
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(f"dcgan: expected a square picture (C, S, S), got {tuple(shape)}")
    start, n = halvings(shape[1])
    return start, [width * 2**i for i in range(n)]


def _up(channels: int, widths: Sequence[int], start: int, latent: int) -> list[nn.Module]:
    first = widths[0] * start * start
    layers = [
        nn.Linear(latent, first, bias=False), nn.Unflatten(1, (widths[0], start, start)),
        nn.BatchNorm2d(widths[0]), nn.ReLU(),
    ]  # fmt: skip
    for a, b in zip(widths, widths[1:]):
        layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    return [*layers, nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1)]


def _down(channels: int, widths: Sequence[int], norm: str) -> list[nn.Module]:
    layers = [nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(LEAK)]
    for a, b in zip(widths, widths[1:]):
        layers += [nn.Conv2d(a, b, 4, 2, 1), *_norm(norm, b), nn.LeakyReLU(LEAK)]
    return layers


def start_small(module: nn.Module) -> None:
    """DCGAN's initialisation: weights N(0, 0.02^2), norms' scales N(1, 0.02^2), biases 0."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)) and module.weight is not None:
        nn.init.normal_(module.weight, 1.0, 0.02)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def spectrally_normalised(net: nn.Module) -> nn.Module:
    """Every linear map of the net divided by its largest singular value; the net itself is changed.

    `nn.utils.spectral_norm` on each, embeddings included. Miyato et al. 2018 (arXiv:1802.05957).
    """
    for module in list(net.modules()):
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)):
            spectral_norm(module)
    return net


# --- BEGAN's discriminator --------------------------------------------------------------------


class AutoencoderEnergy(nn.Module):
    """L(x) = mean |x - decoder(encoder(x))| over the entries of each example: (B, ...) -> (B,).

    A discriminator whose output is an energy: it rebuilds data well, samples badly
    (Berthelot et al. 2017, arXiv:1703.10717).

    >>> import tinygen as tg
    >>> tg.models.nets.AutoencoderEnergy(tg.nn.Identity(), tg.nn.Identity())(tg.rand(2, 3))
    tensor([0., 0.])
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> Tensor:
        """L(x) = mean |x - decoder(encoder(x))|: (B, ...) -> (B,)."""
        return mean(abs(x - self.decoder(self.encoder(x))).flatten(1), 1)


def mlp_energy(
    shape: Sequence[int], code: int, hidden: int = 128, layers: int = 2
) -> AutoencoderEnergy:
    """An autoencoder of `layers` hidden layers on each side of a code of `code` numbers.

    >>> import tinygen as tg
    >>> tg.models.nets.mlp_energy((2,), code=1, hidden=8)(tg.zeros(5, 2)).shape
    (5,)
    """
    positive("mlp_energy", code=code, hidden=hidden, layers=layers)
    size, middle = math.prod(shape), [hidden] * layers
    encoder = nn.Sequential(nn.Flatten(), *mlp([size, *middle, code]))
    decoder = nn.Sequential(*mlp([code, *middle, size]), nn.Unflatten(1, tuple(shape)))
    return AutoencoderEnergy(encoder, decoder)


def dcgan_energy(shape: Sequence[int], code: int, width: int = 32) -> AutoencoderEnergy:
    """DCGAN's discriminator and generator, without norms, as encoder and decoder of `code` numbers.

    >>> import tinygen as tg
    >>> tg.models.nets.dcgan_energy((1, 8, 8), code=4, width=4)(tg.zeros(5, 1, 8, 8)).shape
    (5,)
    """
    positive("dcgan_energy", code=code, width=width)
    start, n = halvings(shape[1])
    widths = [width * 2**i for i in range(n)]
    size = widths[-1] * start * start
    encoder = nn.Sequential(*_down(shape[0], widths, "none"), nn.Flatten(), nn.Linear(size, code))
    plain = [m for m in _up(shape[0], widths[::-1], start, code) if type(m) is not nn.BatchNorm2d]
    return AutoencoderEnergy(encoder, nn.Sequential(*plain))
