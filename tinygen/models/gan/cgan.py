"""The conditional GAN: G and D are both told the label (Mirza and Osindero 2014).

    min_G max_D  E log D(x, y) + E log(1 - D(G(z, y), y)),     y drawn from the data in both

D learns the law of pictures of each class, and lets no picture pass that is good but of another.

What goes wrong: labels drawn for the samples otherwise than the data's teach D the label alone; a
label that reaches G but not D is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import nets
from ..systems import NEEDED, settings
from .gan import GAN

__all__ = ["build"]


def build(config: Mapping[str, Any]) -> GAN:
    """A DCGAN for pictures of `shape` whose networks take (x, labels), labels in 0..classes-1.

    norm: D's. objective: a key of OBJECTIVES. latent: numbers in a code. width: see nets.dcgan.

    >>> import tinygen as tg
    >>> config = {"shape": (1, 8, 8), "classes": 10, "latent": 4, "width": 4}
    >>> tg.models.build("cgan", config).sample(3, labels=tg.tensor([7, 7, 1])).shape
    (3, 1, 8, 8)
    """
    c = settings(
        "cgan", config, shape=NEEDED, classes=NEEDED, objective="non_saturating", latent=32,
        width=32, norm="layer",
    )  # fmt: skip
    G, D = nets.dcgan(c.shape, c.latent, c.width, norm=c.norm, classes=c.classes)
    model = GAN(
        nets.Conditional(G, c.classes), nets.Conditional(D, c.classes), c.objective, c.latent
    )
    model.classes = c.classes
    return model
