"""Lesson 1: right answers, some by several routes, and wrong ones that the judge must refuse."""

import numpy as np


def fit_rate(x):
    """d/dr (n log r - r sum x) = n / r - sum x = 0."""
    return len(x) / x.sum()


def fit_rate_by_newton(x):
    """The same maximum, found by Newton's steps on log r."""
    log_rate = 0.0
    for _ in range(200):
        gradient = len(x) - np.exp(log_rate) * x.sum()
        log_rate += np.clip(gradient / (np.exp(log_rate) * x.sum()), -1, 1)
    return np.exp(log_rate)


def _logs(x, w, mu, var):
    return np.log(w) - 0.5 * ((x[:, None] - mu) ** 2 / var + np.log(2 * np.pi * var))


def log_density(x, w, mu, var):
    """Take the largest term out of the sum, so that one exp is 1."""
    logs = _logs(x, w, mu, var)
    top = logs.max(1)
    return top + np.log(np.exp(logs - top[:, None]).sum(1))


def log_density_by_pairs(x, w, mu, var):
    """logaddexp does it two terms at a time."""
    return np.logaddexp.reduce(_logs(x, w, mu, var), axis=1)


def kl(p, q):
    """0 log 0 = 0; something that q forbids costs infinitely much."""
    if np.any((p > 0) & (q == 0)):
        return np.inf
    there = p > 0
    return float((p[there] * np.log(p[there] / q[there])).sum())


def em_coins(x, w, m):
    """Shares and weighted means; a coin has no variance of its own."""
    logs = np.log(w) + x @ np.log(m).T + (1 - x) @ np.log(1 - m).T
    r = np.exp(logs - logs.max(1, keepdims=True))
    r /= r.sum(1, keepdims=True)
    return r.mean(0), r.T @ x / r.sum(0)[:, None]


def sample(n, w, mu, var, rng):
    """Choose a component for every draw, then draw from it."""
    j = rng.choice(len(w), size=n, p=w)
    return mu[j] + np.sqrt(var[j]) * rng.standard_normal(n)


def _one_component_for_all(n, w, mu, var, rng):
    j = rng.choice(len(w), p=w)
    return mu[j] + np.sqrt(var[j]) * rng.standard_normal(n)


def _sorted_components(n, w, mu, var, rng):
    return np.sort(sample(n, w, mu, var, rng))


def _argmax_coins(x, w, m):
    """Each picture to its most probable component: the means climb, but this is not EM."""
    logs = np.log(w) + x @ np.log(m).T + (1 - x) @ np.log(1 - m).T
    r = np.eye(len(w))[logs.argmax(1)]
    return r.mean(0), r.T @ x / np.maximum(r.sum(0), 1)[:, None]


def _deaf_coins(x, w, m):
    """Responsibilities that ignore the data."""
    r = np.tile(w, (len(x), 1))
    return r.mean(0), r.T @ x / r.sum(0)[:, None]


RIGHT = {
    "1.1": [fit_rate, fit_rate_by_newton, lambda x: np.array([1 / x.mean()])],
    "1.2": [log_density, log_density_by_pairs],
    "1.3": [kl],
    "1.4": [em_coins],
    "1.5": [sample, lambda n, w, mu, var, rng: rng.permutation(sample(n, w, mu, var, rng))],
}
WRONG = {
    "1.1": [np.mean, lambda x: 1 / np.median(x), lambda x: (len(x) - 1) / x.sum()],
    "1.2": [
        lambda x, w, mu, var: np.log(np.exp(_logs(x, w, mu, var)).sum(1)),
        lambda x, w, mu, var: log_density(x, w, mu, var**2),
        lambda x, w, mu, var: log_density(x, np.ones_like(w), mu, var),
    ],
    "1.3": [
        lambda p, q: float((p * np.log2((p + 1e-12) / (q + 1e-12))).sum()),
        lambda p, q: kl(q, p),
        lambda p, q: float((p * np.log((p + 1e-9) / (q + 1e-9))).sum()),
        lambda p, q: float((p * np.log(p / q)).sum()),  # NumPy warns
        lambda p, q: np.inf if (q == 0).any() else kl(p, q),
        lambda p, q: p * 0 + 1,  # not one number
    ],
    "1.4": [
        _deaf_coins,
        _argmax_coins,
        lambda x, w, m: (w, m),
        lambda x, w, m: (w, em_coins(x, w, m)[1]),
        lambda x, w, m: em_coins(x, np.ones_like(w), m),  # responsibilities without the weights
    ],
    "1.5": [
        _one_component_for_all,
        _sorted_components,
        lambda n, w, mu, var, rng: sample(n, w, mu, var**2, rng),
        lambda n, w, mu, var, rng: sample(n, w, mu, var, np.random.default_rng(0)),
    ],
}
