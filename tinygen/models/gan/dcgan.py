"""DCGAN: convolutions up and down, with any objective of the table (Radford et al. 2015).

The five guidelines stand at the networks, nets/dcgan.py; the game is gan.py's.

What goes wrong: batch norm makes the pictures of a batch depend on each other, so it forbids
gradient penalties and blinks in small batches; a D without a norm runs away; few pictures are
learned by heart, which the nearest training pictures show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...ops import randn
from .. import nets
from ..systems import NEEDED, settings
from .gan import GAN
from .objectives import objective

__all__ = ["build"]


def build(config: Mapping[str, Any]) -> GAN:
    """For pictures of `shape` (C, S, S) in [-1, 1].

    norm: D's; batch unless the objective has a gradient penalty, then layer. virtual: size of the
    reference batch of virtual batch norm in G, 0 for none.

    >>> import tinygen as tg
    >>> gan = tg.models.build("dcgan", {"shape": (1, 8, 8), "latent": 4, "width": 4})
    >>> gan.sample(3).shape, gan.discriminator_terms((tg.zeros(4, 1, 8, 8),))["loss"].shape
    ((3, 1, 8, 8), ())
    """
    c = settings(
        "dcgan", config, shape=NEEDED, objective="non_saturating", latent=32, width=32, norm=None,
        virtual=0, minibatch=0, pack=1, smoothing=0.0, noise=0.0,
    )  # fmt: skip
    norm = c.norm or ("layer" if objective(c.objective).penalty else "batch")
    G, D = nets.dcgan(c.shape, c.latent, c.width, norm=norm, packed=c.pack, minibatch=c.minibatch)
    if c.virtual:
        G = nets.referenced(G, randn(c.virtual, c.latent))
    return GAN(G, D, c.objective, c.latent, smoothing=c.smoothing, noise=c.noise, pack=c.pack)
