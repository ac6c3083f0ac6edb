"""Two samples compared: distances of laws, neighbours, a test, and what a classifier says.

x stands for data, y for a model's samples: arrays or Tensors (n, ...), flattened to (n, d); pixels,
or features of a classifier (metrics.classifier). Everything is computed in float64.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from .samples import as_rows, squared_distances

__all__ = [
    "C2ST", "PrecisionRecall", "class_counts", "classifier_two_sample_test", "duplicates",
    "frechet_distance", "inception_score", "kernel_distance", "mmd_squared", "nearest_neighbours",
    "precision_recall", "within_class_distance",
]  # fmt: skip


def _pair(x: Any, y: Any, name: str, least: int = 1) -> tuple[Array, Array]:
    a, b = as_rows(x, name), as_rows(y, name)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"{name}: {a.shape[1]} numbers a data point, {b.shape[1]} a sample")
    if min(len(a), len(b)) < least:
        raise ValueError(f"{name}: needs {least} or more of each, got {len(a)} and {len(b)}")
    return a, b


# --- distances of laws --------------------------------------------------------------------------


def frechet_distance(x: Any, y: Any) -> float:
    """|m1 - m2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2)): W2^2 of Gaussians with these moments, >= 0.

    x (n, d), y (m, d); full covariances, divided by n - 1. Biased upwards at finite n: for two
    samples of one N(0, I) in d dimensions by about (2 d + d (d + 1) / 2) / n, that is 0.26 at n =
    200 and 0.010 at n = 5000 for d = 8. So compare at equal n only, and quote n. ValueError for
    fewer than two of each, widths that differ, NaNs. Heusel et al. 2017 (arXiv:1706.08500);
    comparable with published FIDs only on their features.

    >>> import numpy as np, tinygen as tg
    >>> x = np.array([[-1.0], [1.0]])              # mean 0, variance 2
    >>> [round(tg.metrics.frechet_distance(x, y), 6) for y in (x + 3, 2 * x)]
    [9.0, 2.0]
    >>> laws = np.random.default_rng(0).standard_normal((100, 2, 200, 8))
    >>> round(float(np.mean([tg.metrics.frechet_distance(x, y) for x, y in laws])), 2)
    0.26
    """
    a, b = _pair(x, y, "frechet_distance", 2)
    mean = ((a.mean(0) - b.mean(0)) ** 2).sum()
    s1, s2 = (np.atleast_2d(np.cov(v, rowvar=False)) for v in (a, b))
    values, vectors = np.linalg.eigh(s1)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ s2 @ root)  # the eigenvalues of S1 S2, all real and >= 0
    both = np.sqrt(np.maximum(cross, 0.0)).sum()
    return max(float(mean + np.trace(s1) + np.trace(s2) - 2 * both), 0.0)


def mmd_squared(x: Any, y: Any, kernel: str = "polynomial", scale: float | None = None) -> float:
    """Unbiased estimate of the squared maximum mean discrepancy; may fall below 0.

    mean_(i != j) k(x_i, x_j) + mean_(i != j) k(y_i, y_j) - 2 mean k(x_i, y_j), with k(a, b) =
    (a.b / d + 1)^3 ("polynomial") or exp(-|a - b|^2 / (2 scale^2)) ("gaussian"; scale: the
    median distance unless given). x (n, d), y (m, d), n and m >= 2. ValueError for another kernel
    or fewer points. Gretton et al. 2012.

    >>> import tinygen as tg
    >>> x, y = [[0.0], [0.0]], [[1.0], [1.0]]
    >>> tg.metrics.mmd_squared(x, y)               # 1 + 2^3 - 2
    7.0
    >>> round(tg.metrics.mmd_squared(x, y, "gaussian", scale=1.0), 4)      # 2 - 2 e^(-1/2)
    0.7869
    """
    a, b = _pair(x, y, "mmd_squared", 2)
    if kernel not in ("polynomial", "gaussian"):
        raise ValueError(f"mmd_squared: kernel must be polynomial or gaussian, got {kernel!r}")
    if kernel == "polynomial":
        kxx, kyy, kxy = ((u @ v.T / u.shape[1] + 1.0) ** 3 for u, v in ((a, a), (b, b), (a, b)))
    else:
        if scale is None:
            both = np.concatenate([a, b])
            scale = math.sqrt(float(np.median(squared_distances(both, both)))) or 1.0
        squared = [squared_distances(u, v) for u, v in ((a, a), (b, b), (a, b))]
        kxx, kyy, kxy = (np.exp(-d / (2 * scale**2)) for d in squared)
    n, m = len(a), len(b)
    within_x = (kxx.sum() - np.trace(kxx)) / (n * (n - 1))
    within_y = (kyy.sum() - np.trace(kyy)) / (m * (m - 1))
    return float(within_x + within_y - 2 * kxy.mean())


def kernel_distance(
    x: Any, y: Any, subsets: int = 50, size: int = 200, seed: int = 0
) -> tuple[float, float]:
    """KID: mean and standard error of mmd_squared (cubic kernel) over random subsets.

    subsets: how many; size: points of each in a subset, no more than there are. The draws are
    `seed`'s alone. Unbiased at any n, unlike the Frechet distance. Binkowski et al. 2018
    (arXiv:1801.01401).

    >>> import tinygen as tg
    >>> tg.metrics.kernel_distance([[0.0], [0.0]], [[1.0], [1.0]], subsets=3)
    (7.0, 0.0)
    """
    a, b = _pair(x, y, "kernel_distance", 2)
    rng = np.random.default_rng(seed)
    size = min(size, len(a), len(b))
    values = []
    for _ in range(subsets):
        some = [v[rng.choice(len(v), size, replace=False)] for v in (a, b)]
        values.append(mmd_squared(*some))
    return float(np.mean(values)), float(np.std(values) / math.sqrt(subsets))


# --- neighbours ---------------------------------------------------------------------------------


def nearest_neighbours(y: Any, x: Any, k: int = 1) -> tuple[Array, Array]:
    """For each sample of y its k nearest in x: distances and indices, (m, k), nearest first.

    x (n, d), y (m, d): Euclidean. ValueError unless 1 <= k <= n.

    >>> import tinygen as tg
    >>> distance, index = tg.metrics.nearest_neighbours([[0, 0]], [[3, 4], [1, 0]], k=2)
    >>> distance.tolist(), index.tolist()
    ([[1.0, 5.0]], [[1, 0]])
    """
    a, b = _pair(x, y, "nearest_neighbours", 1)
    if not 1 <= k <= len(a):
        raise ValueError(f"nearest_neighbours: expected 1 <= k <= {len(a)}, got {k}")
    squared = squared_distances(b, a)
    index = np.argsort(squared, 1, kind="stable")[:, :k]
    return np.sqrt(np.take_along_axis(squared, index, 1)), index


def duplicates(y: Any, tolerance: float) -> float:
    """The share of samples with an earlier one within `tolerance`: 0 all new, near 1 collapse.

    >>> import tinygen as tg
    >>> tg.metrics.duplicates([[0.0], [0.0], [5.0], [0.0]], tolerance=0.1)
    0.5
    """
    b = as_rows(y, "duplicates")
    near = squared_distances(b, b) <= tolerance**2 + 1e-12 * (b**2).sum(1).max()
    return float(np.tril(near, -1).any(1).mean())


class PrecisionRecall(NamedTuple):
    """Precision and recall of samples, each in 0..1: good pictures, and all kinds of them."""

    precision: float  # share of samples that lie where data are
    recall: float  # share of data that lie where samples are


def precision_recall(x: Any, y: Any, k: int = 3) -> PrecisionRecall:
    """Each law's support is the union of balls about its points out to their k-th neighbour.

    x: data (n, d), y: samples (m, d), n and m > k. Precision is the share of y in the support of x
    and falls with bad samples; recall is the share of x in that of y and falls with missing modes.
    Kynkaanniemi et al. 2019 (arXiv:1904.06991).

    >>> import numpy as np, tinygen as tg
    >>> x = np.arange(8.0)[:, None]                # the samples 0..3 reach to 4: 5 of 8 data
    >>> tg.metrics.precision_recall(x, x[:4], k=1)
    PrecisionRecall(precision=1.0, recall=0.625)
    """
    a, b = _pair(x, y, "precision_recall", k + 1)
    across = squared_distances(a, b)
    radius = [np.partition(squared_distances(v, v), k, 1)[:, k] for v in (a, b)]
    precision = (across <= radius[0][:, None]).any(0).mean()
    recall = (across <= radius[1][None]).any(1).mean()
    return PrecisionRecall(float(precision), float(recall))


class C2ST(NamedTuple):
    """What a two-sample test found: how often the classifier is right, and by what luck."""

    accuracy: float  # on the held-out half; 1/2 where the laws are the same
    p_value: float  # of so high an accuracy by chance (normal approximation)


def classifier_two_sample_test(x: Any, y: Any, k: int | None = None, seed: int = 0) -> C2ST:
    """Can a k-nearest-neighbour classifier tell data from samples it has not seen?

    x (n, d), y (m, d), at least 4 of each; the larger one is cut to the size of the other. Half of
    each trains, the other half tests; k = floor(sqrt(training points)) unless given.
    Lopez-Paz and Oquab 2017 (arXiv:1610.06545).

    >>> import numpy as np, tinygen as tg
    >>> x = np.arange(40.0)[:, None]
    >>> tg.metrics.classifier_two_sample_test(x, x + 1000).accuracy
    1.0
    """
    a, b = _pair(x, y, "classifier_two_sample_test", 4)
    n = min(len(a), len(b)) // 2 * 2
    rng = np.random.default_rng(seed)
    a, b = (v[rng.permutation(len(v))[:n]] for v in (a, b))
    half = n // 2
    train, test = np.concatenate([a[:half], b[:half]]), np.concatenate([a[half:], b[half:]])
    label = np.repeat([0, 1], half)
    k = math.isqrt(n) if k is None else k
    near = np.argpartition(squared_distances(test, train), k - 1, 1)[:, :k]
    votes = label[near].mean(1)
    right = np.where(votes == 0.5, 0.5, (votes > 0.5) == label)
    accuracy = float(right.mean())
    z = (accuracy - 0.5) / math.sqrt(0.25 / n)
    return C2ST(accuracy, 0.5 * math.erfc(z / math.sqrt(2)))


def within_class_distance(x: Any, labels: Any) -> float:
    """How far apart two of a class lie, on average: low where each class has few forms.

    x: data or samples (n, d), labels: (n,), two or more of each class that occurs. The mean over
    pairs of a class, then over classes.

    >>> import numpy as np, tinygen as tg
    >>> x = np.array([[0.0], [2.0], [100.0], [104.0]])
    >>> tg.metrics.within_class_distance(x, np.array([0, 0, 1, 1]))
    3.0
    """
    rows, kinds = as_rows(x, "within_class_distance"), np.asarray(labels)
    found, counts = np.unique(kinds, return_counts=True)
    if kinds.shape != (len(rows),) or counts.min(initial=2) < 2:
        raise ValueError(
            f"within_class_distance: expected {len(rows)} labels, two or more of each class, got "
            f"shape {kinds.shape}, at least {counts.min(initial=2)} of each"
        )
    means = []
    for kind, n in zip(found, counts):
        part = rows[kinds == kind]
        part = part - part.mean(0)  # large numbers cost digits of small distances
        apart = np.sqrt(squared_distances(part, part))
        np.fill_diagonal(apart, 0.0)
        means.append(apart.sum() / (n * (n - 1)))
    return float(np.mean(means))


# --- what a classifier says -----------------------------------------------------------------------


def _probabilities(p: Any, name: str) -> Array:
    rows = as_rows(p, name)
    if rows.min() < 0 or abs(rows.sum(1) - 1).max() > 1e-4:
        raise ValueError(f"{name}: expected probabilities (n, classes), rows that sum to 1")
    return rows


def inception_score(probabilities: Any) -> float:
    """exp E_x KL(p(y|x) || p(y)), from 1 to the number of classes, of a classifier's p(y|x).

    probabilities: (n, classes), rows that sum to 1, else ValueError. High where each picture is
    clearly of one class and all classes occur. It never looks at data: one perfect picture a class
    has the best score (Salimans et al. 2016, arXiv:1606.03498).

    >>> import numpy as np, tinygen as tg
    >>> round(tg.metrics.inception_score(np.eye(3)), 6)
    3.0
    >>> tg.metrics.inception_score(np.full((4, 2), 0.5))
    1.0
    """
    p = _probabilities(probabilities, "inception_score")
    p = p / p.sum(1, keepdims=True)
    marginal = p.mean(0)
    safe = np.where(p > 0, p, 1.0)
    kl = np.where(p > 0, p * np.log(safe / np.where(marginal > 0, marginal, 1.0)), 0.0).sum(1)
    return float(np.exp(kl.mean()))


def class_counts(probabilities: Any) -> Array:
    """How many samples the classifier gives to each class: probabilities (n, K) -> integers (K,).

    >>> import numpy as np, tinygen as tg
    >>> tg.metrics.class_counts(np.eye(3)[[0, 0, 2]]).tolist()
    [2, 0, 1]
    """
    p = _probabilities(probabilities, "class_counts")
    return np.bincount(p.argmax(1), minlength=p.shape[1])
