"""Laws of the plane of which all is known: samples, density, and score at every noise level."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...backend import Generator, float32
from ...ops import logsumexp, multinomial, randn, softmax, tensor
from ...tensor import Tensor
from ..likelihoods import LOG_2PI

__all__ = ["LAWS", "Law"]


class Law:
    """sum_k w_k N(centre_k, std^2 I): centres (K, d), weights (K,), or equal ones.

    Noise N(0, sigma^2 I) only adds to the variance of every part.

    >>> import tinygen as tg
    >>> law = tg.models.score.LAWS["two_modes"]()
    >>> x = law.sample(5)
    >>> law.log_prob(x).shape, law.score(x, sigma=2.0).shape, law.weights
    ((5,), (5, 2), tensor([0.8, 0.2]))
    """

    def __init__(self, centres: Tensor, std: float, weights: Tensor | None = None) -> None:
        if centres.ndim != 2 or not std > 0:
            raise ValueError(f"Law: expected centres (K, d), std > 0, got {centres.shape}, {std}")
        w = weights if weights is not None else centres[:, 0] * 0.0 + 1.0
        self.centres, self.std, self.weights = centres, std, w / w.sum()

    def sample(self, n: int, generator: Generator | None = None) -> Tensor:
        """n points (n, d)."""
        which = multinomial(self.weights, n, replacement=True, generator=generator)
        noise = randn(n, self.centres.shape[1], generator=generator, dtype=self.centres.dtype)
        return self.centres[which] + self.std * noise

    def log_prob(self, x: Tensor, sigma: float = 0.0) -> Tensor:
        """log density of the law with noise of standard deviation sigma: (B, d) -> (B,)."""
        variance = self.std**2 + sigma**2
        constant = 0.5 * x.shape[1] * (LOG_2PI + math.log(variance))
        return logsumexp(self._log_parts(x, variance), 1) - constant

    def score(self, x: Tensor, sigma: float = 0.0) -> Tensor:
        """Its gradient by x: (sum_k p(k | x) centre_k - x) / (std^2 + sigma^2), (B, d)."""
        variance = self.std**2 + sigma**2
        return (softmax(self._log_parts(x, variance), 1) @ self.centres - x) / variance

    def shares(self, x: Tensor) -> Tensor:
        """The share of points x (n, d) that lies nearest each centre, (K,)."""
        nearest = self._log_parts(x, 1.0, weighted=False).argmax(1)
        counts = np.bincount(nearest.cpu().numpy(), minlength=len(self.centres))
        return tensor((counts / len(x)).astype(float32))

    def _log_parts(self, x: Tensor, variance: float, weighted: bool = True) -> Tensor:
        """log w_k - |x - centre_k|^2 / (2 variance): (B, K)."""
        distance = (x[:, None] - self.centres).square().sum(2)
        parts = -0.5 / variance * distance
        return parts + self.weights.log() if weighted else parts


def _along(x: np.ndarray, y: np.ndarray, std: float) -> Law:
    centres = np.stack([x - x.mean(), y - y.mean()], 1)
    return Law(tensor(centres.astype(float32)), std)


def two_modes() -> Law:
    """0.8 N((1.5, 1.5), I) + 0.2 N((-6, -6), I): far apart, after Song and Ermon 2019."""
    return Law(tensor([[1.5, 1.5], [-6.0, -6.0]]), 1.0, tensor([0.8, 0.2]))


def ring() -> Law:
    """Eight Gaussians on a circle of radius 5."""
    angle = np.arange(8) * (np.pi / 4)
    return _along(5 * np.cos(angle), 5 * np.sin(angle), 0.5)


def moons() -> Law:
    """Two half circles that interlock, 60 narrow Gaussians along each."""
    angle = (np.arange(60) + 0.5) * (np.pi / 60)
    x, y = np.cos(angle), np.sin(angle)
    xs, ys = np.concatenate([x, 1 - x]), np.concatenate([y, 0.5 - y])
    return _along(4 * xs, 4 * ys, 0.4)


def spiral() -> Law:
    """A spiral of one and a half turns, 100 narrow Gaussians along it."""
    angle = np.linspace(1.5 * np.pi, 4.5 * np.pi, 100)
    return _along(0.5 * angle * np.cos(angle), 0.5 * angle * np.sin(angle), 0.35)


LAWS: dict[str, Callable[[], Law]] = {
    "two_modes": two_modes, "ring": ring, "moons": moons, "spiral": spiral
}  # fmt: skip
