"""DCGAN's two players, told a caption: a generator, and a judge of picture and caption together."""

from __future__ import annotations

from collections.abc import Sequence

from ... import nn
from ...checks import positive
from ...ops import cat
from ...tensor import Tensor
from .dcgan import LEAK, dcgan, dcgan_trunk, halvings, spectrally_normalised
from .text import TextEncoder, is_word

__all__ = ["Captioned", "Matching", "text_gan"]


class Captioned(nn.Module):
    """net of (z (B, latent), told (B, width)): a caption's vector, made shorter, stands beside z.

    >>> import tinygen as tg
    >>> G = tg.models.nets.Captioned(tg.nn.Linear(4 + 3, 5), width=8, told=3)
    >>> G(tg.zeros(2, 4), tg.zeros(2, 8)).shape
    (2, 5)
    """

    def __init__(self, net: nn.Module, width: int, told: int) -> None:
        super().__init__()
        self.net, self.shorten = net, nn.Sequential(nn.Linear(width, told), nn.LeakyReLU(LEAK))

    def forward(self, z: Tensor, told: Tensor) -> Tensor:
        return self.net(cat([z, self.shorten(told)], 1))


class Matching(nn.Module):
    """Is x a picture, and of its caption? (x (B, C, H, W), told (B, width)) -> raw (B,).

    trunk makes a map (B, features, h, w) of x alone; the caption's vector, made shorter, stands at
    each of its places; judge sees both, (B, features + told, h, w) -> (B,). `encoder` reads the
    captions, and is one of D's parts: what it learns is what tells right from wrong ones.
    """

    def __init__(self, trunk: nn.Module, judge: nn.Module, encoder: TextEncoder, told: int) -> None:
        super().__init__()
        self.trunk, self.judge, self.encoder = trunk, judge, encoder
        self.shorten = nn.Sequential(nn.Linear(encoder.width, told), nn.LeakyReLU(LEAK))

    def read(self, tokens: Tensor) -> Tensor:
        """A caption's vector, the mean of its words': tokens (B, L) -> (B, width)."""
        words = self.encoder(tokens)
        out: Tensor = words.sum(1) / is_word(words).sum(1, keepdim=True).to(words.dtype)
        return out

    def match(self, seen: Tensor, told: Tensor) -> Tensor:
        """What the trunk saw (B, features, h, w) with captions' vectors (B, width) -> raw (B,)."""
        short = self.shorten(told)[:, :, None, None]
        return self.judge(cat([seen, short.expand(*short.shape[:2], *seen.shape[2:])], 1))

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        return self.match(self.trunk(x), told)


def text_gan(
    shape: Sequence[int], latent: int, encoder: TextEncoder, width: int = 32, told: int = 32,
    *, norm: str = "layer",
) -> tuple[Captioned, Matching]:  # fmt: skip
    """G: (z (B, latent), vectors) -> (B, *shape), and D: (x, vectors) -> raw (B,), by DCGAN.

    told: numbers that a caption's vector is made shorter to, in each player. width, norm and what
    is refused: as in `dcgan`. D starts as its layers do: from DCGAN's N(0, 0.02^2) the product of
    picture and caption is so flat that it does not begin to read in 100 steps. Reed et al. 2016
    (arXiv:1605.05396): 64 x 64 pixels, latent 100, told 128.

    >>> import tinygen as tg
    >>> encoder = tg.models.nets.TextEncoder(size=10, length=6, width=8)
    >>> G, D = tg.models.nets.text_gan((3, 8, 8), 4, encoder, width=4, told=3)
    >>> vectors = D.read(tg.tensor([[1, 5, 2], [1, 7, 2]]))
    >>> D(G(tg.zeros(2, 4), vectors), vectors).shape
    (2,)
    """
    positive("text_gan", told=told)
    G, _ = dcgan(shape, latent + told, width)
    trunk = nn.Sequential(*list(dcgan_trunk(shape, width, norm=norm)[0].children())[:-1])
    start, n = halvings(shape[1])
    features = width * 2 ** (n - 1)
    judge = nn.Sequential(
        nn.Conv2d(features + told, features, 1), nn.LeakyReLU(LEAK),
        nn.Conv2d(features, 1, start), nn.Flatten(0),
    )  # fmt: skip
    if norm == "spectral":
        spectrally_normalised(trunk)
        spectrally_normalised(judge)
    return Captioned(G, encoder.width, told), Matching(trunk, judge, encoder, told)
