"""What a code says of the class: the accuracy of a linear classifier on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .samples import as_rows

__all__ = ["linear_probe"]


def linear_probe(
    codes: Any, labels: Any, test_codes: Any, test_labels: Any, decay: float = 1e-3,
    steps: int = 300,
) -> float:  # fmt: skip
    """The share of test codes whose class a linear classifier of codes names rightly: 0 to 1.

    codes (n, d), labels (n,) integers; test_codes (m, d), test_labels (m,). Multinomial logistic
    regression, decay |W|^2 / 2 beside the cross-entropy, on codes each moved and scaled to mean 0
    and standard deviation 1: neither unit nor offset of a code matters. Nothing is random.
    ValueError for other shapes.

    >>> import numpy as np, tinygen as tg
    >>> x, y = np.array([[-3.0], [-2.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
    >>> tg.metrics.linear_probe(x, y, 100 * x, y)
    1.0
    """
    x, z = as_rows(codes, "linear_probe"), as_rows(test_codes, "linear_probe")
    known, asked = (as_rows(v, "linear_probe")[:, 0].astype(int) for v in (labels, test_labels))
    if x.shape[1] != z.shape[1] or len(x) != len(known) or len(z) != len(asked):
        raise ValueError(
            f"linear_probe: expected codes (n, d) and (m, d) with n and m labels, got {x.shape} "
            f"and {z.shape} with {len(known)} and {len(asked)}"
        )
    centre, scale = x.mean(0), np.maximum(x.std(0), 1e-12)
    data, test = (np.pad((v - centre) / scale, ((0, 0), (0, 1)), constant_values=1) for v in (x, z))
    truth = np.eye(max(known.max(), asked.max()) + 1)[known]
    w = last = np.zeros((data.shape[1], truth.shape[1]))
    steepest = np.linalg.eigvalsh(data.T @ data / len(data))[-1] / 2 + decay  # curvature
    for step in range(steps):  # Nesterov's, for a convex loss
        ahead = w + step / (step + 3) * (w - last)
        logits = data @ ahead
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        w, last = ahead - (data.T @ (p - truth) / len(data) + decay * ahead) / steepest, w
    return float(((test @ w).argmax(1) == asked).mean())
