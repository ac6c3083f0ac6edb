"""Reference networks for GANs, and what goes into a network to keep the training alive.

A network pair is made by `mlp` or `dcgan` for samples of shape (B, *shape); the discriminator ends
in one raw number an example, (B,).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .. import nn
from ..checks import positive
from ..nn.utils import spectral_norm
from ..ops import abs, amax, cat, exp, mean, rsqrt, square
from ..tensor import Tensor

LEAK = 0.2  # slope of DCGAN's LeakyReLU
MAX_START = 7  # the largest size that a DCGAN generator starts from


class Maxout(nn.Module):
    """The largest of `pieces` linear maps, for each unit (Goodfellow et al. 2013)."""

    def __init__(self, in_features: int, out_features: int, pieces: int = 5) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, out_features * pieces)
        self.shape = (out_features, pieces)

    def forward(self, x: Tensor) -> Tensor:
        return amax(self.linear(x).unflatten(1, self.shape), 2)


def _dense(
    sizes: Sequence[int], activation: Callable[[], nn.Module], batch_norm: bool = False
) -> list[nn.Module]:
    """Linear, batch norm if wished, activation; for each pair of neighbours in `sizes`."""
    layers: list[nn.Module] = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        layers += [nn.Linear(n_in, n_out), *[nn.BatchNorm1d(n_out)] * batch_norm, activation()]
    return layers


def mlp(
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
    """Generator and discriminator of `layers` hidden layers of ReLU units (D: leaky).

    batch_norm: in G (not at its output). maxout: so many pieces in D instead of ReLUs. tanh: keep
    G's output in [-1, 1]. classes: room for labels, see Conditional. packed: room for so many
    samples at once in D. minibatch: kernels of minibatch discrimination before D's last layer.
    """
    positive("mlp", latent=latent, hidden=hidden, layers=layers)
    size, middle = math.prod(shape), [hidden] * layers
    generator = nn.Sequential(
        *_dense([latent + classes, *middle], nn.ReLU, batch_norm),
        nn.Linear(hidden, size), *[nn.Tanh()] * tanh, nn.Unflatten(1, tuple(shape)),
    )  # fmt: skip
    sees = [size * packed + classes, *middle]
    if maxout:
        features: list[nn.Module] = [Maxout(a, b, maxout) for a, b in zip(sees, sees[1:])]
    else:
        features = _dense(sees, lambda: nn.LeakyReLU(LEAK))
    return generator, nn.Sequential(nn.Flatten(), *features, *_verdict(hidden, minibatch))


def _verdict(features: int, minibatch: int) -> list[nn.Module]:
    """D's end: one number an example, with or without a look at the rest of the batch."""
    look = [MinibatchDiscrimination(features, minibatch)] if minibatch else []
    return [*look, nn.Linear(features + minibatch, 1), nn.Flatten(0)]


# --- DCGAN ------------------------------------------------------------------------------------


def halvings(size: int) -> tuple[int, int]:
    """(start, n) with start 2^n = size: how often a picture's side is halved; n >= 2, start <= 7.

    8 = 2 x 4, 28 = 7 x 4, 32 = 4 x 8, 64 = 4 x 16. ValueError where no such start exists.
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
    """The five guidelines of Radford et al. 2015 (arXiv:1511.06434), for shape = (C, S, S):

    1. strided convolutions down (D) and up (G), no pooling;
    2. batch norm in both, but not at G's output nor at D's input;
    3. no hidden fully connected layers: z is projected to a small picture, D ends in one number;
    4. ReLU in G, tanh at its output (data in [-1, 1]);
    5. LeakyReLU, slope 0.2, in D.

    width: channels at the largest size, doubled at each halving. norm: D's "batch", "layer" (one
    group: examples stay apart, for gradient penalties), "spectral" or "none". minibatch: kernels of
    minibatch discrimination before D's last layer. Weights start at N(0, 0.02^2).
    """
    positive("dcgan", latent=latent, width=width)
    if norm not in ("batch", "layer", "spectral", "none"):
        raise ValueError(f"dcgan: norm must be batch, layer, spectral or none, got {norm!r}")
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(f"dcgan: expected a square picture (C, S, S), got {tuple(shape)}")
    start, n = halvings(shape[1])
    widths = [width * 2**i for i in range(n)]
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
    """Every linear map of the net divided by its largest singular value (nn.utils)."""
    for module in list(net.modules()):
        if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
            spectral_norm(module)
    return net


# --- BEGAN's discriminator --------------------------------------------------------------------


class AutoencoderEnergy(nn.Module):
    """L(x) = mean |x - decoder(encoder(x))| over the entries of each example: (B, ...) -> (B,).

    A discriminator whose output is an energy: it rebuilds data well, samples badly
    (Berthelot et al. 2017, arXiv:1703.10717).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> Tensor:
        return mean(abs(x - self.decoder(self.encoder(x))).flatten(1), 1)


def mlp_energy(
    shape: Sequence[int], code: int, hidden: int = 128, layers: int = 2
) -> AutoencoderEnergy:
    """An autoencoder of `layers` hidden layers on each side of a code of `code` numbers."""
    positive("mlp_energy", code=code, hidden=hidden, layers=layers)
    size, middle = math.prod(shape), [hidden] * layers
    encoder = [nn.Flatten(), *_dense([size, *middle], nn.ReLU), nn.Linear(hidden, code)]
    decoder = [*_dense([code, *middle], nn.ReLU), nn.Linear(hidden, size)]
    return AutoencoderEnergy(
        nn.Sequential(*encoder), nn.Sequential(*decoder, nn.Unflatten(1, tuple(shape)))
    )


def dcgan_energy(shape: Sequence[int], code: int, width: int = 32) -> AutoencoderEnergy:
    """DCGAN's discriminator and generator, without norms, as encoder and decoder."""
    positive("dcgan_energy", code=code, width=width)
    start, n = halvings(shape[1])
    widths = [width * 2**i for i in range(n)]
    size = widths[-1] * start * start
    encoder = nn.Sequential(*_down(shape[0], widths, "none"), nn.Flatten(), nn.Linear(size, code))
    plain = [m for m in _up(shape[0], widths[::-1], start, code) if type(m) is not nn.BatchNorm2d]
    return AutoencoderEnergy(encoder, nn.Sequential(*plain))


# --- layers against collapse and against the noise of batch norm ------------------------------


class MinibatchDiscrimination(nn.Module):
    """Features x (B, A) -> (B, A + kernels): how close each example is to the rest of its batch.

    M_i = T x_i in `kernels` x `dims`; o_b(x_i) = sum over j != i of exp(-|M_ib - M_jb|_1). A batch
    of look-alikes gives itself away (Salimans et al. 2016, arXiv:1606.03498).
    """

    def __init__(self, features: int, kernels: int = 16, dims: int = 8) -> None:
        super().__init__()
        self.project = nn.Linear(features, kernels * dims, bias=False)
        self.shape = (kernels, dims)

    def forward(self, x: Tensor) -> Tensor:
        m = self.project(x).unflatten(1, self.shape)
        distance = abs(m.unsqueeze(0) - m.unsqueeze(1)).sum(3)  # (B, B, kernels)
        closeness = exp(-distance).sum(1) - 1.0  # without the example itself, exp(0)
        return cat([x, closeness], 1)


class ReferenceBatchNorm(nn.Module):
    """Batch norm whose statistics are those of a fixed reference batch (Salimans et al. 2016).

    own=True, virtual batch norm: of the n reference examples and the example itself, as one of
    n + 1. An example's output then does not depend on its batch-mates. Works inside
    `WithReference`, which sends the reference batch through first.
    """

    def __init__(self, features: int, own: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(_ones(features)), nn.Parameter(_ones(features) * 0.0)
        self.own, self.eps, self.collecting = own, eps, False
        self.moments: tuple[int, Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        space = tuple(range(2, x.ndim))  # each example's own moments, (B, C, 1, ...), come first
        centre = mean(x, space, keepdim=True) if space else x
        within = mean(square(x - centre), space, keepdim=True) if space else x * 0.0
        if self.collecting:
            m = mean(centre, 0, keepdim=True)
            v = mean(within + square(centre - m), 0, keepdim=True)
            self.moments = (x.shape[0], m, v)
        if self.moments is None:
            raise RuntimeError(
                "ReferenceBatchNorm: no reference batch yet; call the net through WithReference"
            )
        n, m, v = self.moments
        if self.own and not self.collecting:
            of_all = (n * m + centre) / (n + 1)
            v = (n * (v + square(m - of_all)) + within + square(centre - of_all)) / (n + 1)
            m = of_all
        shape = (1, x.shape[1]) + (1,) * len(space)
        out: Tensor = (x - m) * rsqrt(v + self.eps)
        out = out * self.weight.reshape(shape) + self.bias.reshape(shape)
        return out


def _ones(n: int) -> Tensor:
    return Tensor([1.0] * n)


class WithReference(nn.Module):
    """A net with ReferenceBatchNorm layers, and the batch they refer to (kept as a buffer).

    Every call costs two: the reference batch goes through the present weights first.
    """

    reference: Tensor

    def __init__(self, net: nn.Module, reference: Tensor) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("reference", reference)

    def forward(self, x: Tensor) -> Tensor:
        layers = [m for m in self.net.modules() if isinstance(m, ReferenceBatchNorm)]
        for layer in layers:
            layer.collecting = True
        self.net(self.reference)
        for layer in layers:
            layer.collecting = False
        out: Tensor = self.net(x)
        for layer in layers:
            layer.moments = None  # let go of the graph
        return out


def referenced(net: nn.Module, reference: Tensor, own: bool = True) -> WithReference:
    """The net with every batch norm replaced by that of a reference batch; own: virtual.

    For G the batch is one of codes, for D one of data (packed, or with labels, as D sees them).
    """
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d):  # BatchNorm1d is one too
                norm = ReferenceBatchNorm(child.num_features, own, child.eps)
                if child.weight is not None and child.bias is not None:
                    norm.weight, norm.bias = child.weight, child.bias
                setattr(module, name, norm)
    return WithReference(net, reference)
