"""Score matching in the plane: exact, sliced or denoising (Hyvarinen 2005; Song et al. 2019).

    J(s) = E [1/2 |s(x)|^2 + tr(ds/dx)]  =  1/2 E |s(x) - grad log q(x)|^2 + what s cannot change

A perceptron is told a point and the level of noise, and says where the density rises.

What goes wrong: a score says nothing of how much two far modes weigh, so plain Langevin gives them
what the start gave; where there are no data there is nothing to learn from (hence noise at many
levels); without the weight sigma^2 the lowest level drowns all others; a finite step makes samples
too wide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..nets.time import TimeMLP
from ..systems import settings
from .model import ScoreModel

__all__ = ["build"]


def build(config: Mapping[str, Any]) -> ScoreModel:
    """hidden: units of a layer. objective, sigma_min, sigma_max, levels, std, step, chain: of it.

    levels = 1: noise of sigma_min alone, and plain Langevin.

    >>> import tinygen as tg
    >>> model = tg.models.build("score", {"hidden": 8, "objective": "sliced", "levels": 1})
    >>> model.terms((tg.randn(5, 2),))["loss"].shape, model.sigmas
    ((), [0.1])
    """
    c = settings("score", config, hidden=64, objective="denoising", sigma_min=0.1, sigma_max=20.0,
                 levels=10, std=4.0, step=0.2, chain=50)  # fmt: skip
    top = c.sigma_max if c.levels > 1 else c.sigma_min
    return ScoreModel(TimeMLP(2, c.hidden), (2,), c.sigma_min, top, c.levels, c.std, c.objective,
                      c.step, c.chain)  # fmt: skip
