"""Distributions where PyTorch's answers are not the question (tests/parity compares those)."""

from __future__ import annotations

import tracemalloc

import numpy as np

import tinygen as tg
from tinygen.distributions import MultivariateNormal


def test_one_covariance_is_not_copied_for_every_value() -> None:
    tg.manual_seed(0)
    d, n = 64, 4000
    root = tg.randn(d, d, dtype=tg.float64)
    normal = MultivariateNormal(tg.randn(d, dtype=tg.float64), root @ root.T + tg.eye(d))
    x = tg.randn(2, n // 2, d, dtype=tg.float64)
    tracemalloc.start()
    log_p = normal.log_prob(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * x.numel() * 8, "there is a matrix for every value"
    away = (x - normal.loc).numpy().reshape(n, d)
    square = (away * np.linalg.solve(normal.covariance_matrix.numpy(), away.T).T).sum(1)
    log_det = np.linalg.slogdet(normal.covariance_matrix.numpy())[1]
    expected = -0.5 * (square + log_det + d * np.log(2 * np.pi))
    assert np.allclose(log_p.numpy().reshape(n), expected) and log_p.shape == (2, n // 2)
