"""NCSN: pictures by annealed Langevin on a learned score (Song and Ermon 2019, arXiv:1907.05600).

    for sigma_1 > .. > sigma_L:   x <- x + a/2 s(x, sigma_i) + sqrt(a) z,    a = step sigma_i^2

A U-Net that is told log sigma says the score of the pictures with noise of that size. Probability
flow makes the same network a density: bits a pixel, to be laid beside a diffusion model's bound.

What goes wrong: levels too far apart, so that a level's points lie where the next score was never
trained; a top level smaller than the distances between pictures, from which some are out of reach;
the last noise left in the pictures (hence the denoising at the end).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..nets.unet import UNet
from ..systems import NEEDED, settings
from .model import ScoreModel

__all__ = ["build"]


def build(config: Mapping[str, Any]) -> ScoreModel:
    """For pictures of `shape` in [-1, 1]; width, depth: of the U-Net, the rest: see ScoreModel.

    >>> import tinygen as tg
    >>> config = {"shape": (1, 8, 8), "width": 8, "levels": 3, "chain": 2}
    >>> tg.models.build("ncsn", config).sample(2).shape
    (2, 1, 8, 8)
    """
    c = settings(
        "ncsn", config, shape=NEEDED, width=16, depth=1, objective="denoising", sigma_min=0.02,
        sigma_max=8.0, levels=20, std=0.8, step=0.3, chain=6,
    )  # fmt: skip
    net = UNet(c.shape[0], c.width, depth=c.depth)
    return ScoreModel(net, c.shape, c.sigma_min, c.sigma_max, c.levels, c.std, c.objective, c.step,
                      c.chain)  # fmt: skip
