"""Triangles: pictures on a manifold that one can measure the distance to.

A picture is a triangle, white on black, given by its corners (3, 2) in units of the side; a pixel's
value is its coverage. So precision and recall of a generator need no features: a sample is good
when some triangle's picture is near to it, and a triangle is found when some sample is near to its.

Lucic et al. 2018, "Are GANs Created Equal?" (arXiv:1711.10337), section 5: convex polygons.
"""

from __future__ import annotations

import numpy as np

from ..backend import Array
from ..checks import positive
from ..tensor import Tensor, wrap
from .images import ImageDataset

__all__ = ["corners", "draw", "fit", "precision_recall", "triangles"]

LEAST = 0.03  # of a triangle's area, in squares of the side
NEAR = 0.1  # root mean square of a pixel's difference at which two pictures are near
FOUND = 0.25  # at which a sample finds a triangle: 1,000 true ones find 98 in 100
CANDIDATES, STARTS = 512, 4


def triangles(n: int, seed: int = 0, size: int = 32) -> ImageDataset:
    """n random triangles (n, 1, size, size) uint8; details["corners"] (n, 3, 2), counterclockwise.

    >>> import tinygen as tg
    >>> tg.data.polygons.triangles(100)
    ImageDataset('triangles', 100 images (1, 32, 32), 0..255)
    """
    positive("triangles", n=n)
    points = corners(n, np.random.default_rng(seed))
    images = np.rint(255 * draw(points, size)).astype(np.uint8)
    return ImageDataset.of("triangles", images, np.zeros(n, int), ("triangle",),
                           details={"corners": wrap(points)})  # fmt: skip


def corners(n: int, rng: np.random.Generator) -> Array:
    """(n, 3, 2) uniform in [0.05, 0.95]^2, counterclockwise, those of an area below 0.03 again."""
    points = rng.uniform(0.05, 0.95, (n, 3, 2))
    while (thin := _area(points) < LEAST).any():
        points[thin] = rng.uniform(0.05, 0.95, (int(thin.sum()), 3, 2))
        turned = _area(points) < 0
        points[turned] = points[turned, ::-1]
    return points


def _area(points: Array) -> Array:
    """Signed, (...,): positive where the corners run counterclockwise."""
    a, b = points[..., 1, :] - points[..., 0, :], points[..., 2, :] - points[..., 0, :]
    return (a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]) / 2


def draw(points: Array, size: int = 32) -> Array:
    """Coverage (..., size, size) in [0, 1] of triangles (..., 3, 2), by the distance to a side."""
    positive("polygons", size=size)
    at = (np.arange(size) + 0.5) / size
    out = np.ones((*points.shape[:-2], size, size))
    for k in range(3):
        a, b = points[..., k, :], points[..., (k + 1) % 3, :]
        along = (b - a) / np.maximum(np.linalg.norm(b - a, axis=-1, keepdims=True), 1e-12)
        x = at - a[..., 0, None, None]
        y = at[:, None] - a[..., 1, None, None]
        inside = along[..., 0, None, None] * y - along[..., 1, None, None] * x
        out = np.minimum(out, np.clip(0.5 + inside * size, 0, 1))
    return out


def fit(pictures: Array | Tensor, rounds: int = 20) -> tuple[Array, Array]:
    """The nearest triangle of each picture (n, S, S) in [0, 1], and how far it is.

    Returns corners (n, 3, 2) and the root mean square of a pixel's difference, (n,). A search, so
    an upper bound: from the four best of 512 random triangles by Levenberg and Marquardt's steps.
    """
    x = np.asarray(pictures.numpy() if isinstance(pictures, Tensor) else pictures, float)
    x = x.reshape(-1, *x.shape[-2:])
    n, size = len(x), x.shape[-1]
    candidates = corners(CANDIDATES, np.random.default_rng(0))
    flat = draw(candidates, size).reshape(CANDIDATES, -1)
    apart = (flat**2).sum(1) - 2 * x.reshape(n, -1) @ flat.T
    tries = [_descend(x, candidates[first], rounds) for first in apart.argsort(1)[:, :STARTS].T]
    best = np.argmin([error for _, error in tries], axis=0)
    points, error = (np.stack(parts)[best, np.arange(n)] for parts in zip(*tries, strict=True))
    return points, error


def _descend(x: Array, points: Array, rounds: int) -> tuple[Array, Array]:
    """Steps of Levenberg and Marquardt on the corners, from `points` (n, 3, 2)."""
    n, size = len(x), x.shape[-1]
    error, damping = _rms(draw(points, size), x), np.full(n, 1.0)
    nudges = np.eye(6).reshape(6, 3, 2) * 0.5 / size
    for _ in range(rounds):
        residual = (x - draw(points, size)).reshape(n, -1, 1)
        moved = draw(points[:, None] + nudges, size) - draw(points[:, None] - nudges, size)
        slope = moved.reshape(n, 6, -1) * size  # of each pixel by each coordinate
        normal = slope @ slope.transpose(0, 2, 1) + damping[:, None, None] * np.eye(6)
        step = np.linalg.solve(normal, slope @ residual).reshape(n, 3, 2)
        trial = points + np.clip(step, -0.2, 0.2)
        trial_error = np.where(_area(trial) > 0, _rms(draw(trial, size), x), np.inf)
        better = trial_error < error
        points[better], error[better] = trial[better], trial_error[better]
        damping = np.where(better, damping / 3, damping * 4)
    return points, error


def _rms(a: Array, b: Array) -> Array:
    return np.sqrt(((a - b) ** 2).mean((-2, -1)))


def precision_recall(samples: Array | Tensor, real: Array | Tensor) -> tuple[float, float]:
    """Precision and recall of pictures (n, S, S) in [0, 1] against triangles (m, S, S).

    Precision: the share of samples within 0.1 (rms a pixel) of some triangle's picture. Recall: the
    share of `real` that some sample is within 0.25 of.
    """
    _, error = fit(samples)
    a, b = (np.asarray(v.numpy() if isinstance(v, Tensor) else v, float) for v in (samples, real))
    a, b = a.reshape(len(error), -1), b.reshape(-1, a.shape[-1] ** 2)
    squares = (a**2).sum(1) + (b**2).sum(1)[:, None] - 2 * b @ a.T
    nearest = np.sqrt(np.maximum(squares.min(1), 0) / a.shape[1])
    return float((error < NEAR).mean()), float((nearest < FOUND).mean())
