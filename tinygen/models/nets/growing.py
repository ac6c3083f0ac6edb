"""Networks that grow while they are trained: 4 x 4 pixels first, then 8 x 8, and so on.

    stage 0: 4 x 4     stage 1: 8 x 8     ...     stage k: 4 2^k

At stage k the first k blocks are in play. A new block is faded in: with alpha from 0 to 1,

    G:  (1 - alpha) up(rgb_(k-1)(h)) + alpha rgb_k(block_k(h))
    D:  (1 - alpha) from_(k-1)(down(x)) + alpha block_k(from_k(x))

so that alpha = 0 is what stood before, and alpha = 1 the new network alone (Karras et al. 2018,
arXiv:1710.10196). `stage` and `alpha` are buffers: a checkpoint holds them with the weights.
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import nn
from ...checks import integers, numbers, positive
from ...nn import functional as F
from ...ops import tensor
from ...tensor import Tensor
from .batch import MinibatchStdDev
from .dcgan import LEAK
from .equalised import GAIN, EqualConv2d, EqualLinear, PixelNorm

__all__ = ["Growing", "GrowingD", "GrowingG", "faded", "growing", "grown", "shrunk", "sides"]

START = 4  # pixels a side, where everything begins


def sides(name: str, shape: Sequence[int]) -> list[int]:
    """[4, 8, .., S] of a picture (C, S, S); ValueError unless S is 4 times a power of two.

    >>> from tinygen.models.nets.growing import sides
    >>> sides("progan", (3, 32, 32))
    [4, 8, 16, 32]
    """
    found = [START]
    while found[-1] < shape[-1]:
        found.append(2 * found[-1])
    if len(shape) != 3 or shape[1] != shape[2] or found[-1] != shape[-1]:
        raise ValueError(
            f"{name}: expected pictures (C, S, S), S = 4 times a power of two (4, 8, 16, 32, 64, "
            f"..), got {tuple(shape)}; pad or resize them"
        )
    return found


def shrunk(x: Tensor) -> Tensor:
    """Half the side, each pixel the mean of four: (B, C, 2 S, 2 S) -> (B, C, S, S)."""
    return F.avg_pool2d(x, 2)


def grown(x: Tensor) -> Tensor:
    """Twice the side, each pixel four times: (B, C, S, S) -> (B, C, 2 S, 2 S)."""
    return F.interpolate(x, scale_factor=2)


def faded(old: Tensor, new: Tensor, alpha: float) -> Tensor:
    """(1 - alpha) old + alpha new.

    >>> import tinygen as tg
    >>> tg.models.nets.faded(tg.zeros(1), tg.ones(1), 0.25)
    tensor([0.25])
    """
    return (1.0 - alpha) * old + alpha * new


class Growing(nn.Module):
    """A network of stages 0 .. `last`, of which `stage` is in play, as far as `alpha` says.

    It begins at stage 0; parameters that are not in play require no gradient.
    """

    stage: Tensor
    alpha: Tensor

    def __init__(self, last: int) -> None:
        super().__init__()
        self.last = last
        self.register_buffer("stage", tensor(0))
        self.register_buffer("alpha", tensor(1.0))

    def grow(self, stage: int, alpha: float = 1.0) -> None:
        """To `stage`, its newest block faded in by alpha; ValueError outside 0 .. last, 0 .. 1."""
        integers("grow", 0, stage=stage)
        numbers("grow", 0.0, 1.0, alpha=alpha)
        if stage > self.last:
            raise ValueError(f"grow: expected a stage in 0..{self.last}, got {stage}")
        self.stage.fill_(stage)
        self.alpha.fill_(alpha if stage else 1.0)

    @property
    def now(self) -> tuple[int, float]:
        """(stage, alpha) as numbers."""
        return int(self.stage.item()), float(self.alpha.item())


class GrowingG(Growing):
    """Generator: codes (B, latent) -> pictures (B, C, S, S) of the present stage's S = 4 2^stage.

    channels: of each stage, from 4 x 4 pixels up. Codes are put on a sphere, every pixel's vector
    too (PixelNorm); layers are equalised; no tanh at the end.
    """

    def __init__(self, colours: int, latent: int, channels: Sequence[int]) -> None:
        super().__init__(len(channels) - 1)
        first = channels[0]
        self.stem = nn.Sequential(
            PixelNorm(), EqualLinear(latent, first * START * START, gain=GAIN / 4.0),
            nn.Unflatten(1, (first, START, START)), nn.LeakyReLU(LEAK), PixelNorm(),
            *_normed(first, first),
        )  # fmt: skip
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Upsample(scale_factor=2), *_normed(a, b), *_normed(b, b))
            for a, b in zip(channels, channels[1:])
        )
        self.to_rgb = nn.ModuleList(EqualConv2d(c, colours, 1) for c in channels)

    def forward(self, z: Tensor) -> Tensor:
        """z (B, latent) -> (B, C, S, S)."""
        stage, alpha = self.now
        h = before = self.stem(z)
        for block in list(self.blocks)[:stage]:
            before, h = h, block(h)
        out: Tensor = self.to_rgb[stage](h)
        if alpha < 1.0:
            out = faded(grown(self.to_rgb[stage - 1](before)), out, alpha)
        return out


class GrowingD(Growing):
    """Discriminator: pictures (B, C, S, S) of the present stage's S -> raw (B,); G's mirror image.

    Before its last convolution it looks at how much the pictures of a group differ.
    """

    def __init__(self, colours: int, channels: Sequence[int], group: int = 4) -> None:
        super().__init__(len(channels) - 1)
        first = channels[0]
        self.from_rgb = nn.ModuleList(
            nn.Sequential(EqualConv2d(colours, c, 1, gain=GAIN), nn.LeakyReLU(LEAK))
            for c in channels
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(*_leaky(b, b), *_leaky(b, a), nn.AvgPool2d(2))
            for a, b in zip(channels, channels[1:])
        )
        self.verdict = nn.Sequential(
            MinibatchStdDev(group), *_leaky(first + 1, first),
            nn.Flatten(), EqualLinear(first * START * START, first, gain=GAIN), nn.LeakyReLU(LEAK),
            EqualLinear(first, 1), nn.Flatten(0),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, S, S) -> (B,)."""
        stage, alpha = self.now
        h = self.from_rgb[stage](x)
        for k in range(stage, 0, -1):
            h = self.blocks[k - 1](h)
            if k == stage and alpha < 1.0:
                h = faded(self.from_rgb[stage - 1](shrunk(x)), h, alpha)
        return self.verdict(h)


def _leaky(a: int, b: int) -> list[nn.Module]:
    return [EqualConv2d(a, b, 3, padding=1, gain=GAIN), nn.LeakyReLU(LEAK)]


def _normed(a: int, b: int) -> list[nn.Module]:
    return [*_leaky(a, b), PixelNorm()]


def growing(
    shape: Sequence[int], latent: int, width: int = 16, most: int = 64, *, group: int = 4
) -> tuple[GrowingG, GrowingD]:
    """G and D that grow to pictures `shape` (C, S, S), S = 4 2^k; else ValueError.

    width: channels at full size, doubled at each halving up to `most` (the paper, 1024 pixels: 16
    and 512). group: see MinibatchStdDev.

    >>> import tinygen as tg
    >>> G, D = tg.models.nets.growing((1, 8, 8), latent=4, width=4)
    >>> D.grow(1, alpha=0.5)
    >>> G(tg.zeros(5, 4)).shape, D(tg.zeros(5, 1, 8, 8)).shape
    ((5, 1, 4, 4), (5,))
    """
    positive("growing", latent=latent, width=width, most=most)
    channels = [min(width * shape[1] // side, max(most, width)) for side in sides("growing", shape)]
    return GrowingG(shape[0], latent, channels), GrowingD(shape[0], channels, group)
