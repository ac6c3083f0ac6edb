"""Rational-quadratic splines: rising curves of many shapes (Durkan et al. 2019, arXiv:1906.04032).

Inside [-B, B] the curve goes through knots (x_k, y_k) with slopes d_k; between two of them, with
w and h their distances, s = h / w and u = (x - x_k) / w,

    y = y_k + h (s u^2 + d_k u (1 - u)) / D,      D = s + (d_k + d_{k+1} - 2 s) u (1 - u)
    dy/dx = s^2 (d_{k+1} u^2 + 2 s u (1 - u) + d_k (1 - u)^2) / D^2

The way back solves a quadratic. Outside the curve is the identity, and slopes at the ends are 1.
"""

from __future__ import annotations

import math

from ...checks import integers
from ...nn import functional as F
from ...ops import cat, clamp, cumsum, searchsorted, softmax, sqrt, where
from ...tensor import Tensor
from .coupling import Curve
from .transform import Mapped

__all__ = ["Spline"]

LEAST = 1e-3  # the narrowest bin, as a share of all, and the smallest slope


class Spline(Curve):
    """A spline of `bins` pieces on [-reach, reach]: 3 bins - 1 numbers, widths, heights, slopes.

    ValueError unless bins >= 2 and reach > 0.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import Spline
    >>> y, log_slope = Spline(bins=4).forward(tg.tensor([[0.5]]), tg.zeros(1, 11, 1))
    >>> y, bool(log_slope.abs() < 1e-5)                              # p = 0: the identity
    (tensor([[0.5]]), True)
    """

    def __init__(self, bins: int = 8, reach: float = 4.0) -> None:
        integers("Spline", 2, bins=bins)
        if not 0.0 < reach < math.inf:
            raise ValueError(f"Spline: expected reach > 0, got {reach}")
        if bins * LEAST >= 1.0:
            raise ValueError(f"Spline: at most {round(1 / LEAST) - 1} bins, got {bins}")
        self.bins, self.reach, self.numbers = bins, reach, 3 * bins - 1

    def forward(self, x: Tensor, p: Tensor) -> Mapped:
        inside, (left, width, bottom, height, d0, d1) = self._piece(x, p, along_y=False)
        u = (clamp(x, -self.reach, self.reach) - left) / width
        s = height / width
        D = s + (d0 + d1 - 2.0 * s) * u * (1.0 - u)
        y = bottom + height * (s * u * u + d0 * u * (1.0 - u)) / D
        return where(inside, y, x), where(inside, _log_slope(u, s, d0, d1, D), 0.0)

    def inverse(self, y: Tensor, p: Tensor) -> Mapped:
        inside, (left, width, bottom, height, d0, d1) = self._piece(y, p, along_y=True)
        s, up = height / width, clamp(y, -self.reach, self.reach) - bottom
        bend = up * (d0 + d1 - 2.0 * s)
        a = height * (s - d0) + bend
        b = height * d0 - bend
        c = -s * up
        root = sqrt(clamp(b * b - 4.0 * a * c, min=0.0))
        u = 2.0 * c / (-b - root)  # the root in [0, 1], without a difference of like numbers
        D = s + (d0 + d1 - 2.0 * s) * u * (1.0 - u)
        return where(inside, left + width * u, y), where(inside, -_log_slope(u, s, d0, d1, D), 0.0)

    def _piece(self, x: Tensor, p: Tensor, along_y: bool) -> tuple[Tensor, list[Tensor]]:
        """Is x inside; and left, width, bottom, height and both slopes of the piece it falls in."""
        p = p.movedim(1, -1)
        widths, heights, slopes = p.split([self.bins, self.bins, self.bins - 1], -1)
        xs, ys = self._knots(widths), self._knots(heights)
        one = 0.0 * slopes[..., :1] + 1.0
        # softplus(0 + log(e - 1)) = 1: numbers of 0 are the identity
        inner = LEAST + F.softplus(slopes + math.log(math.exp(1.0 - LEAST) - 1.0))
        d = cat([one, inner, one], -1)
        keys = (ys if along_y else xs)[..., 1:-1].detach().contiguous()
        k = searchsorted(keys, x.detach().unsqueeze(-1), right=True)
        left, bottom = _at(xs, k), _at(ys, k)
        inside = (x > -self.reach) & (x < self.reach)
        width, height = _at(xs, k + 1) - left, _at(ys, k + 1) - bottom
        return inside, [left, width, bottom, height, _at(d, k), _at(d, k + 1)]

    def _knots(self, numbers: Tensor) -> Tensor:
        """(..., bins) -> (..., bins + 1) rising from -reach to reach."""
        shares = LEAST + (1.0 - LEAST * self.bins) * softmax(numbers, -1)
        inner = 2.0 * self.reach * cumsum(shares, -1)[..., :-1] - self.reach
        end = 0.0 * inner[..., :1] + self.reach
        return cat([-end, inner, end], -1)


def _at(values: Tensor, k: Tensor) -> Tensor:
    """values (..., n) at the places k (..., 1): (...)."""
    found: Tensor = values.gather(-1, k).squeeze(-1)
    return found


def _log_slope(u: Tensor, s: Tensor, d0: Tensor, d1: Tensor, D: Tensor) -> Tensor:
    top = d1 * u * u + 2.0 * s * u * (1.0 - u) + d0 * (1.0 - u) * (1.0 - u)
    return 2.0 * s.log() + top.log() - 2.0 * D.log()
