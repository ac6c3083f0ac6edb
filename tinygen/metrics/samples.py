"""Samples of a law whose modes are known: how many are found, and how evenly."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..tensor import Tensor

__all__ = ["ModeReport", "as_rows", "gaussian_like", "mode_report", "squared_distances"]


def as_rows(x: Any, name: str) -> Array:
    """A Tensor or array (n, ...) as float64 (n, d) on the CPU.

    ValueError, which begins with `name`, unless n >= 1 and all is finite.
    """
    array = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
    if array.ndim == 0 or not len(array):
        raise ValueError(f"{name}: expected n >= 1 samples (n, d), got shape {array.shape}")
    rows: Array = array.reshape(len(array), -1).astype(np.float64)
    if not np.isfinite(rows).all():
        bad = int((~np.isfinite(rows).all(1)).sum())
        raise ValueError(f"{name}: {bad} of {len(rows)} samples hold NaN or infinity")
    return rows


def squared_distances(x: Array, y: Array) -> Array:
    """|x_i - y_j|^2 of arrays (n, d) and (m, d): (n, m), by one matrix product; never below 0."""
    cross = x @ y.T
    return np.maximum((x**2).sum(1)[:, None] - 2 * cross + (y**2).sum(1), 0.0)


def gaussian_like(x: Any, n: int, seed: int = 0) -> Array:
    """n draws (n, ...) of the one Gaussian with the mean and covariance of the data x (m, ...).

    The simplest model there is, beside which a learned one must show its worth.

        >>> metrics.gaussian_like(tg.randn(50, 2), 100).shape
        (100, 2)
    """
    rows, shape = as_rows(x, "gaussian_like"), tuple(x.shape[1:])
    rng, covariance = np.random.default_rng(seed), np.atleast_2d(np.cov(rows.T))
    draws: Array = rng.multivariate_normal(rows.mean(0), covariance, n).reshape(n, *shape)
    return draws


class ModeReport(NamedTuple):
    """What became of the modes; `counts` are the high-quality samples of each."""

    modes: int  # with at least one high-quality sample
    high_quality: float  # share of samples within `radius` std of a mode, 0..1
    reverse_kl: float  # KL(shares of the modes || uniform), nats; log K where there are none
    counts: Array


def mode_report(samples: Any, centers: Any, std: float, radius: float = 3.0) -> ModeReport:
    """The protocol of PacGAN (Lin et al. 2018, arXiv:1712.04086), on 2500 samples there.

    Each sample belongs to its nearest center; it is of high quality if it lies within 3 std of it.
    Only those count: a mode is found with one of them, and the reverse KL compares their shares
    with equal ones, log K minus the entropy of the shares, in nats.

    samples (n, d), centers (K, d), radius in units of std. ValueError unless std > 0 and the widths
    agree.

    >>> import tinygen as tg
    >>> samples = [[0.0, 0.0], [1.0, 0.0], [1.0, 0.05], [5.0, 5.0]]
    >>> report = tg.metrics.mode_report(samples, [[0.0, 0.0], [1.0, 0.0]], std=0.05)
    >>> report.modes, report.high_quality, report.counts.tolist()
    (2, 0.75, [1, 2])
    """
    if not std > 0:
        raise ValueError(f"mode_report: expected std > 0, got {std}")
    x, c = as_rows(samples, "mode_report"), as_rows(centers, "mode_report")
    if x.shape[1] != c.shape[1]:
        raise ValueError(
            f"mode_report: samples in {x.shape[1]} dimensions, centers in {c.shape[1]}"
        )
    distance = np.sqrt(((x[:, None] - c) ** 2).sum(2))
    nearest, good = distance.argmin(1), distance.min(1) < radius * std
    counts = np.bincount(nearest[good], minlength=len(c))
    share = counts[counts > 0] / max(counts.sum(), 1)
    reverse_kl = float(np.log(len(c)) + (share * np.log(share)).sum())
    return ModeReport(int((counts > 0).sum()), float(good.mean()), reverse_kl, counts)
