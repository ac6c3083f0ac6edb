"""Diffusion in the plane: the smallest case, a perceptron that is told the time.

Points are scaled to mean 0 and variance 1, for which the schedules are made.

    x_t = a_t x_0 + s_t eps,    a_t^2 + s_t^2 = 1,    t = 1..T

What goes wrong: the paper's betas, made for 1000 steps, leave much of the data in x_T when there
are 50; x_0 as the question gives a poor answer at high noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..nets.time import TimeMLP
from ..systems import settings
from .ddpm import DDPM
from .process import schedule

__all__ = ["build"]


def build(config: Mapping[str, Any]) -> DDPM:
    """hidden: units of a layer. schedule, T: of the process. parameterisation: the question.

    >>> import tinygen as tg
    >>> model = tg.models.build("diffusion_2d", {"hidden": 8, "T": 4})
    >>> model.sample(3).shape
    (3, 2)
    """
    c = settings("diffusion_2d", config, hidden=128, schedule="cosine", T=50, parameterisation="v")
    return DDPM(schedule(c.schedule, c.T), TimeMLP(2, c.hidden), (2,), predicts=c.parameterisation)
