"""The judges of lesson 9: the GAN as a game."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..check import _array, close
from ..exercises import exercise, expect

__all__ = ["best_discriminator", "divergence", "value", "weigh"]

LOG2 = float(np.log(2.0))


def _rng() -> np.random.Generator:
    return np.random.default_rng(9)


@exercise("9.1")
def best_discriminator(answer: Any) -> None:
    """best(p, q, share): share p / (share p + (1 - share) q), where D is best, from densities."""
    more = (
        "Of what D sees at x, the part share * p is real. What is the whole?",
        "D = share p / (share p + (1 - share) q), Bayes' rule.",
    )
    p, q = _rng().uniform(0.1, 2.0, (2, 50))
    d = _array(answer(p, q, 0.5))
    expect(d.shape == p.shape, "It should return one number for each entry of p.", *more)
    expect(
        np.all((d > 0) & (d < 1)), "It is a probability: where both appear, inside (0, 1).", *more
    )
    expect(
        close(answer(p, p, 0.5), 0.5 * np.ones(50)),
        "Where p = q and half is real, D is 1/2.",
        *more,
    )
    expect(
        close(answer(np.array([2.0, 0.0]), np.array([0.0, 2.0]), 0.5), [1.0, 0.0]),
        "Where only data appear D is 1, where only samples appear it is 0. Which is p?",
        *more,
    )
    for share in (0.5, 0.8, 0.1):
        d = _array(answer(p, q, share))
        gain = share * p * np.log(d) + (1 - share) * q * np.log(1 - d)
        for other in (d * 0.99, 1 - (1 - d) * 0.99):
            rival = share * p * np.log(other) + (1 - share) * q * np.log(1 - other)
            expect(
                np.all(gain >= rival),
                f"With share = {share} another D scores higher. Of what D sees at x, how much is "
                "real, how much is made?",
                *more,
            )


@exercise("9.2")
def value(answer: Any) -> None:
    """value(a_real, a_made): V = E log D(x) + E log(1 - D(G(z))) of logits, one number."""
    more = (
        "Each term is minus a mean of softplus, by (9.4) and (9.5). What stands inside?",
        "-mean softplus(-a_real) - mean softplus(a_made), with softplus(a) = np.logaddexp(0, a).",
    )
    zeros = answer(np.zeros(3), np.zeros(5))
    expect(
        np.size(_array(zeros)) == 1,
        "The value of a batch is one number: means over examples.",
        *more,
    )
    expect(close(zeros, -2 * LOG2), "Logits 0 mean D = 1/2 on both sides: V is -log 4.", *more)
    sure = answer(np.full(2, 1000.0), np.full(3, -1000.0))
    expect(
        np.isfinite(_array(sure)),
        "Logits of 1000 give inf or nan: do not take the log of a sigmoid.",
        *more,
    )
    expect(close(sure, 0.0), "A D that is sure and right on both sides has V = 0.", *more)
    expect(
        close(answer(np.full(2, -1000.0), np.full(3, -1000.0)), -1000.0),
        "A real example with the logit -1000 costs 1000: log sigmoid(-1000), not clipped.",
        *more,
    )
    a, b = _rng().normal(0.0, 2.0, 7), _rng().normal(1.0, 2.0, 4)
    with_more = answer(a, np.concatenate([b, b]))
    expect(
        close(with_more, answer(a, b)),
        "Twice the same samples: V is a sum of means, not sums.",
        *more,
    )
    s, t = 1 / (1 + np.exp(-a)), 1 / (1 + np.exp(-b))
    exact = np.log(s).mean() + np.log(1 - t).mean()
    expect(
        close(answer(a, b), exact), "Check the sign inside each softplus, and which is real.", *more
    )


@exercise("9.3")
def divergence(answer: Any) -> None:
    """divergence(d_real, d_made): JS(p_d, p_g) in nats from the best D's probabilities."""
    more = (
        "V is the mean of log d_real plus the mean of log(1 - d_made). Solve (9.15) for JS.",
        "(mean log d_real + mean log(1 - d_made) + log 4) / 2.",
    )
    half = np.full(6, 0.5)
    expect(
        close(answer(half, half), 0.0),
        "D is at a loss everywhere, so the laws are the same.",
        *more,
    )
    sure = answer(np.full(4, 1 - 1e-12), np.full(3, 1e-12))
    expect(
        close(sure, LOG2), "D is always sure and right: JS is then at its maximum, log 2.", *more
    )
    p, q = np.array([0.1, 0.2, 0.7]), np.array([0.4, 0.4, 0.2])
    m, d = (p + q) / 2, p / (p + q)
    exact = 0.5 * (p * np.log(p / m)).sum() + 0.5 * (q * np.log(q / m)).sum()
    real, made = np.repeat(d, [1, 2, 7]), np.repeat(d, [8, 8, 4])  # each value as often as it comes
    expect(
        close(answer(real, made), exact),
        "Solve V = -log 4 + 2 JS for JS; V is a mean over d_real plus a mean over d_made.",
        *more,
    )


@exercise("9.4")
def weigh(answer: Any) -> None:
    """weigh(logits): weights that sum to 1, in proportion to e^logit."""
    more = (
        "Weights are e^logit up to a common factor, so subtracting a number from all is free.",
        "e = np.exp(a - a.max()), divided by its sum: a softmax.",
    )
    a = _rng().normal(0.0, 1.5, 40)
    w = _array(answer(a))
    expect(w.shape == a.shape, "One weight for each sample.", *more)
    expect(close(w.sum(), 1.0), "The weights should sum to 1.", *more)
    expect(np.all(w > 0), "A weight is a ratio of densities: positive.", *more)
    expect(
        close(w[0] / w[1], np.exp(a[0] - a[1])), "Two weights are to each other as e^logit.", *more
    )
    expect(close(answer(np.zeros(4)), np.full(4, 0.25)), "Equal logits, equal weights.", *more)
    large = _array(answer(np.array([1000.0, 999.0, -1000.0, -1000.0, -1000.0])))
    expect(
        np.isfinite(large).all(), "Logits of 1000 overflow: subtract the largest one first.", *more
    )
    expect(
        close(large, [np.e / (1 + np.e), 1 / (1 + np.e), 0.0, 0.0, 0.0]),
        "Logits 1000 and 999: the weights are to each other as e to 1. Do you clip?",
        *more,
    )
