"""The densities of the toy laws that have one, exact up to a fine sum, and their entropies.

Each of them is a curve or a set of centres blurred by N(0, std^2 I), so that its density is a
mixture of Gaussians; a curve is taken as a thousand of its points in equal steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..backend import Array
from ..tensor import Tensor, wrap
from .toy import grid_centers, ring_centers

__all__ = ["DENSITIES", "toy_entropy", "toy_log_prob"]

POINTS = 1000  # of a curve


def _moons() -> Array:
    angle = np.pi * (np.arange(POINTS // 2) + 0.5) / (POINTS // 2)
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.concatenate([upper, [1.0, 0.5] - upper])


def _roll() -> Array:
    t = np.pi * (1.5 + 3.0 * (np.arange(POINTS) + 0.5) / POINTS)
    return np.stack([t * np.cos(t), t * np.sin(t)], 1) / 10


# The centres, and the standard deviation about them, with the settings that `toy` has.
DENSITIES: dict[str, tuple[Callable[[], Array], float]] = {
    "ring": (lambda: ring_centers().numpy().astype(float), 0.01),
    "grid": (lambda: grid_centers().numpy().astype(float), 0.05),
    "swiss_roll": (_roll, 0.05),
    "two_moons": (_moons, 0.1),
}


def toy_log_prob(name: str, x: Tensor) -> Tensor:
    """log p(x) in nats of the toy law `name`, as `toy(name, n)` draws it: (n, 2) -> (n,), float64.

    ValueError for a law that is not in DENSITIES, and for x that are no points of the plane.

    >>> import tinygen as tg
    >>> tg.data.toy_log_prob("ring", tg.tensor([[1.0, 0.0]]))        # -log(8 * 2 pi / 10^4)
    tensor([5.293], float64)
    """
    centers, std = _known(name)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"toy_log_prob: expected points of the plane (n, 2), got {x.shape}")
    return wrap(_log_prob(x.detach().cpu().numpy().astype(float), centers, std))


def toy_entropy(name: str) -> float:
    """-E log p(x) in nats of the toy law `name`: no model has a lower -E log q(x).

    By a sum over a grid four times as fine as the law's standard deviation.

    >>> import math, tinygen as tg
    >>> round(tg.data.toy_entropy("ring"), 4), round(math.log(8 * 2 * math.pi * math.e * 1e-4), 4)
    (-4.293, -4.293)
    """
    centers, std = _known(name)
    step, reach = std / 4, 8 * std
    low, high = centers.min(0) - reach, centers.max(0) + reach
    x, total = np.arange(low[0], high[0], step), 0.0
    for y in np.arange(low[1], high[1], step):  # a line of the grid
        near = np.abs(centers[:, 1] - y) < 8 * std  # what is farther adds e^-32 of its weight
        if near.any():
            log_p = _log_prob(np.stack([x, np.full_like(x, y)], 1), centers, std, near)
            total -= step * step * float((np.exp(log_p) * log_p).sum())
    return total


def _known(name: str) -> tuple[Array, float]:
    if name not in DENSITIES:
        raise ValueError(f"toy density: that of {name!r} is not here; of {', '.join(DENSITIES)}")
    centers, std = DENSITIES[name]
    return centers(), std


def _log_prob(x: Array, centers: Array, std: float, near: Array | None = None) -> Array:
    """log of the mean of N(x; center, std^2 I); near: which centres are looked at."""
    chosen = centers if near is None else centers[near]
    constant = math.log(2 * math.pi * std**2 * len(centers))
    parts = []
    for part in np.split(x, range(2000, len(x), 2000)):
        squares = ((part[:, None, :] - chosen[None]) ** 2).sum(-1) / (-2 * std**2)
        top = squares.max(1)
        parts.append(top + np.log(np.exp(squares - top[:, None]).sum(1)) - constant)
    return np.concatenate(parts)
