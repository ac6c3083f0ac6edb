"""The judges of lesson 1: a map and two five-line models."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ..check import close
from ..exercises import exercise, expect, one_number

__all__ = ["em_coins", "fit_rate", "kl", "log_density", "sample"]


# The second and the third hint of each exercise.
RATE = (
    "The log-likelihood is n log(rate) - rate * sum(x); its derivative is n / rate - sum(x).",
    "Set that to zero: the number of waiting times over their sum.",
)
DENSITY = (
    "Inside: log w_j - (x - mu_j)^2 / (2 var_j) - log(2 pi var_j) / 2, one row for each x, one "
    "column for each j. Outside: the log of the sum of exp along each row.",
    "With top for the largest of a row: top + log(sum(exp(row - top))). "
    "np.logaddexp.reduce(rows, axis=1) does the same.",
)
KL = (
    "Three cases: p = 0 counts 0; p > 0 and q = 0 counts infinity; otherwise p * log(p / q).",
    "Return np.inf if p > 0 and q == 0 anywhere; otherwise add p * log(p / q) over the entries "
    "with p > 0 only.",
)
COINS = (
    "E: r_ij in proportion to w_j times the product of m_j^x (1 - m_j)^(1 - x) over the pixels,"
    " rows that sum to 1. M: shares and weighted means, as in (1.11) and (1.12).",
    "w_j is the mean of r_ij over i, m_j is sum_i r_ij x_i / sum_i r_ij. (1.13) has no "
    "counterpart: a coin has no variance of its own.",
)
SAMPLE = (
    "First n component numbers, drawn with the probabilities w; then one normal draw for each.",
    "j = rng.choice(len(w), size=n, p=w), then mu[j] + sqrt(var[j]) * rng.standard_normal(n).",
)


@exercise("1.1")
def fit_rate(answer: Any) -> None:
    """fit_rate(x): the rate that makes waiting times x (n,) most likely."""
    rng = np.random.default_rng(1)
    for rate in (0.2, 1.0, 7.0):
        x = rng.exponential(1 / rate, 50)
        found = one_number(answer(x))
        expect(found > 0, "A rate is positive.", *RATE)
        scaled = one_number(answer(10 * x))
        expect(
            close(scaled, found / 10),
            "Measure the times in tenths of the unit: all ten times as large, the rate a tenth.",
            *RATE,
        )

        def log_likelihood(rate: float, x: Any = x) -> float:
            return float(len(x) * np.log(rate) - rate * x.sum())

        worse = max(log_likelihood(found * 1.001), log_likelihood(found / 1.001))
        expect(
            log_likelihood(found) > worse,
            "A rate near yours makes these data more likely: where is the derivative of "
            "n log(rate) - rate * sum(x) zero?",
            *RATE,
        )


@exercise("1.2")
def log_density(answer: Any) -> None:
    """log_density(x, w, mu, var): of a mixture of K Gaussians, at x (n,): (n,)."""
    rng = np.random.default_rng(2)
    w, mu, var = rng.dirichlet(np.ones(4)), rng.normal(size=4), rng.uniform(0.1, 2, 4)
    one = answer(np.array([0.3]), np.ones(1), np.array([0.1]), np.array([2.0]))
    expect(
        close(one, [-0.5 * (0.2**2 / 2 + np.log(4 * np.pi))]),
        "With one component it is the log of a normal density; the last argument is the variance.",
        *DENSITY,
    )
    x = np.linspace(-20, 20, 40_001)
    logs = np.asarray(answer(x, w, mu, var))
    expect(
        logs.shape == x.shape,
        f"One number for each x: shape {x.shape}, not {logs.shape}.",
        *DENSITY,
    )
    mass = np.exp(logs).sum() * (x[1] - x[0])
    expect(
        abs(mass - 1) < 1e-6,
        f"exp of it must integrate to 1, and yours to {mass:.4g}: are the weights in, and is the "
        "sum over components?",
        *DENSITY,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        far = np.asarray(answer(np.array([1000.0]), w, mu, var))
    expect(
        np.isfinite(far).all(),
        "At x = 1000 every exp underflows to 0, and log 0 is -inf: take the largest term out of "
        "the sum first.",
        *DENSITY,
    )
    best = (np.log(w) - 0.5 * ((1000 - mu) ** 2 / var + np.log(2 * np.pi * var))).max()
    expect(
        close(far, [best], 1e-6),
        "Far out the widest component rules; yours is off there.",
        *DENSITY,
    )


@exercise("1.3")
def kl(answer: Any) -> None:
    """kl(p, q): of discrete laws (K,), in nats; 0 where p is 0, infinite where only q is."""
    rng = np.random.default_rng(3)

    def ask(p: Any, q: Any) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                return one_number(answer(np.asarray(p), np.asarray(q)))
            except RuntimeWarning as warning:
                where = f"p = {list(map(float, p))} and q = {list(map(float, q))}"
                expect(False, f"NumPy warns at {where}: {warning}. A 0 was divided or logged.", *KL)
        raise AssertionError

    for _ in range(50):
        p, q = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))
        expect(ask(p, q) >= -1e-12, "It is never negative: which law goes first?", *KL)
        expect(abs(ask(p, p)) < 1e-9, "A law does not differ from itself.", *KL)
    expect(
        close(ask([0.5, 0.5], [0.25, 0.75]), 0.5 * np.log(2) + 0.5 * np.log(2 / 3)),
        "The mean of log p - log q is under the first law, in nats.",
        *KL,
    )
    zero = ask([1.0, 0.0], [0.5, 0.5])
    expect(close(zero, np.log(2)), "Where p is 0 the term is 0, not nan.", *KL)
    none = ask([0.5, 0.5], [1.0, 0.0])
    expect(np.isposinf(none), "q says impossible, p says it happens: infinite.", *KL)
    both = ask([0.5, 0.5, 0.0], [0.25, 0.75, 0.0])
    expect(
        close(both, 0.5 * np.log(4 / 3)),
        "Where both are 0 the term is 0: what never happens may be called impossible.",
        *KL,
    )


@exercise("1.4")
def em_coins(answer: Any) -> None:
    """em_coins(x, w, m): one EM step of a mixture of coins, x (n, d): new w (K,), m (K, d)."""
    rng = np.random.default_rng(4)
    x = (rng.random((200, 6)) < rng.random((2, 6))[rng.integers(0, 2, 200)]).astype(float)
    w, m = np.array([0.4, 0.6]), rng.uniform(0.2, 0.8, (2, 6))

    def log_likelihood(w: Any, m: Any) -> float:
        logs = np.log(w) + x @ np.log(m).T + (1 - x) @ np.log(1 - m).T
        return float(np.logaddexp.reduce(logs, axis=1).sum())

    before = log_likelihood(w, m)
    for _ in range(20):
        w, m = (np.asarray(part) for part in answer(x, w, m))
        expect(w.shape == (2,) and m.shape == (2, 6), "Return the new w (K,) and m (K, d).", *COINS)
        expect(close(w.sum(), 1.0), "The new weights must sum to 1.", *COINS)
        m = np.clip(m, 1e-9, 1 - 1e-9)
        expect(
            close(w @ m, x.mean(0), 1e-5),
            "After an M-step the model's mean picture, sum_j w_j m_j, is the data's mean picture.",
            *COINS,
        )
        after = log_likelihood(w, m)
        expect(after >= before - 1e-9, "The likelihood fell; EM's never does.", *COINS)
        before = after
    expect(
        np.abs(m[0] - m[1]).max() > 0.2,
        "The two components stay alike: do the responsibilities depend on the data?",
        *COINS,
    )
    shares = _shares(answer, [0.3, 0.7], [[0.4], [0.4]], [[1.0]])
    expect(
        close(shares, [0.3, 0.7]),
        "Two coins that are alike, w = (0.3, 0.7), one toss: it says nothing of who was tossed, so "
        "the responsibilities, and with them the new weights, are 0.3 and 0.7.",
        *COINS,
    )
    shares = _shares(answer, [0.3, 0.7], [[0.8], [0.2]], [[0.0]])
    expect(
        close(shares, [0.06 / 0.62, 0.56 / 0.62]),
        "Bayes, one toss that gave 0: 0.3 times 0.2 against 0.7 times 0.8.",
        *COINS,
    )


def _shares(answer: Any, w: Any, m: Any, x: Any) -> Any:
    """The new weights for a single toss: its responsibilities."""
    return np.asarray(answer(np.array(x), np.array(w), np.array(m))[0], dtype=float)


@exercise("1.5")
def sample(answer: Any) -> None:
    """sample(n, w, mu, var, rng): n independent draws of a mixture of Gaussians, (n,)."""
    rng = np.random.default_rng(5)
    w, mu, var = np.array([0.7, 0.3]), np.array([-3.0, 4.0]), np.array([0.25, 1.0])
    n = 40_000
    x = np.asarray(answer(n, w, mu, var, rng), dtype=float)
    expect(x.shape == (n,), f"n numbers: shape ({n},), not {x.shape}.", *SAMPLE)
    left = x < 0
    expect(
        abs(left.mean() - 0.7) < 0.02,
        f"70 % of the draws should come from the component at -3; {left.mean():.0%} do.",
        *SAMPLE,
    )
    expect(
        abs(x[left].std() - 0.5) < 0.03 and abs(x[~left].std() - 1.0) < 0.05,
        "The spreads are off: var is the variance, a normal draw is scaled by its root.",
        *SAMPLE,
    )
    expect(
        abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.05,
        "Neighbouring draws go together: each draw must choose its component anew.",
        *SAMPLE,
    )
    again, anew = (np.asarray(answer(5, w, mu, var, np.random.default_rng(k))) for k in (5, 6))
    expect(
        close(again, np.asarray(answer(5, w, mu, var, np.random.default_rng(5))))
        and not close(again, anew),
        "The same generator must give the same draws, and another one others: draw from rng.",
        *SAMPLE,
    )
