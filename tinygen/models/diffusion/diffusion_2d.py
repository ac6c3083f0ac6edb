"""Diffusion in the plane: the smallest case, a perceptron that is told the time.

Points are scaled to mean 0 and variance 1, for which the schedules are made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..nets.time import TimeMLP
from ..systems import settings
from .ddpm import DDPM
from .process import schedule


def build(config: Mapping[str, Any]) -> DDPM:
    """hidden: units of a layer. schedule, T: of the process. parameterisation: the question."""
    c = settings("diffusion_2d", config, hidden=128, schedule="cosine", T=50, parameterisation="v")
    return DDPM(schedule(c.schedule, c.T), TimeMLP(2, c.hidden), (2,), predicts=c.parameterisation)
