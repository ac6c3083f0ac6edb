"""DCGAN: convolutions up and down, with any objective of the table (Radford et al. 2015).

The five guidelines stand at the networks, nets/dcgan.py; the game is gan.py's.

What goes wrong: batch norm makes the pictures of a batch depend on each other, so it forbids
gradient penalties and blinks in small batches; a D without a norm runs away; few pictures are
learned by heart, which the nearest training pictures show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ... import nn
from ...checks import positive
from ...ops import randn
from .. import nets
from ..nets.dcgan import LEAK
from ..systems import NEEDED, settings
from .gan import GAN
from .objectives import objective

__all__ = ["build", "on_encoding"]


def build(config: Mapping[str, Any]) -> GAN:
    """For pictures of `shape` (C, S, S) in [-1, 1].

    norm: D's; batch unless the objective has a gradient penalty, then layer. virtual: size of the
    reference batch of virtual batch norm in G, 0 for none. encoding: D sees so many numbers of a
    frozen encoder and no pixels, see on_encoding.

    >>> import tinygen as tg
    >>> gan = tg.models.build("dcgan", {"shape": (1, 8, 8), "latent": 4, "width": 4})
    >>> gan.sample(3).shape, gan.discriminator_terms((tg.zeros(4, 1, 8, 8),))["loss"].shape
    ((3, 1, 8, 8), ())
    """
    c = settings(
        "dcgan", config, shape=NEEDED, objective="non_saturating", latent=32, width=32, norm=None,
        virtual=0, minibatch=0, pack=1, smoothing=0.0, noise=0.0, entropy=0.0, encoding=0,
    )  # fmt: skip
    norm = c.norm or ("layer" if objective(c.objective).penalty else "batch")
    G, D = nets.dcgan(c.shape, c.latent, c.width, norm=norm, packed=c.pack, minibatch=c.minibatch)
    if c.encoding:
        if c.pack > 1 or c.minibatch:
            raise ValueError("dcgan: a D on an encoding sees one code; got pack or minibatch")
        D = on_encoding(c.shape, c.encoding, c.width)
    if c.virtual:
        G = nets.referenced(G, randn(c.virtual, c.latent))
    return GAN(
        G, D, c.objective, c.latent,
        smoothing=c.smoothing, noise=c.noise, pack=c.pack, entropy=c.entropy,
    )  # fmt: skip


def on_encoding(
    shape: Sequence[int], code: int, width: int = 32, hidden: int = 256
) -> nn.Sequential:
    """A D whose first part, D[0], is an encoder that stays as it is: (B, *shape) -> (B, code).

    What judges the codes are two layers of `hidden` leaky units. The encoder is DCGAN's D without
    the verdict, and is to be trained before, as an autoencoder's say; what it does not see of a
    picture D cannot ask of G.

    >>> import tinygen as tg
    >>> D = tg.models.gan.dcgan.on_encoding((1, 8, 8), code=3, width=4, hidden=8)
    >>> D[0](tg.zeros(5, 1, 8, 8)).shape, D(tg.zeros(5, 1, 8, 8)).shape
    ((5, 3), (5,))
    >>> sum(p.numel() for p in D.parameters() if p.requires_grad)    # the judge's: 32 + 72 + 9
    113
    """
    positive("on_encoding", code=code, hidden=hidden)
    trunk, features = nets.dcgan_trunk(shape, width)
    encoder = nn.Sequential(trunk, nn.Linear(features, code)).requires_grad_(False)
    judge = nets.mlp([code, hidden, hidden, 1], partial(nn.LeakyReLU, LEAK))
    return nn.Sequential(encoder, judge, nn.Flatten(0))
