"""Lesson 7: right answers (each by one or more routes), and wrong ones the judge must refuse."""

import numpy as np

import tinygen as tg
from tinygen.models import likelihoods
from tinygen.models.vae import bounds


def draw_codes(mu, log_var, rng):
    """Half of the log-variance is the log of the standard deviation."""
    return mu + np.exp(log_var / 2) * rng.standard_normal(mu.shape)


def draw_codes_by_normal(mu, log_var, rng):
    """NumPy's normal takes the standard deviation."""
    return rng.normal(mu, np.sqrt(np.exp(log_var)))


def _keras(mu, log_var, rng):
    return mu + np.exp(log_var) * rng.standard_normal(mu.shape)


def _one_noise_for_all_rows(mu, log_var, rng):
    return mu + np.exp(log_var / 2) * rng.standard_normal(mu.shape[1])


def _one_noise_for_all_dimensions(mu, log_var, rng):
    return mu + np.exp(log_var / 2) * rng.standard_normal((len(mu), 1))


def _uniform(mu, log_var, rng):
    """The right mean and spread, and not normal."""
    return mu + np.exp(log_var / 2) * rng.uniform(-(3**0.5), 3**0.5, mu.shape)


def _another_generator(mu, log_var, rng):
    return draw_codes(mu, log_var, np.random.default_rng(0))


def best_baseline(f, s):
    """E[(f - b)^2 s^2] has its minimum at E[f s^2] / E[s^2]; the mean does not depend on b."""
    return (f * s**2).mean() / (s**2).mean()


def best_baseline_by_regression(f, s):
    """The slope that takes most variance out of f s, with s as the control."""
    return np.cov(f * s, s)[0, 1] / s.var(ddof=1)


def elbo(x, logits, mu, log_var):
    """Sum over the dimensions, mean over the batch; log(1 + e^a) without overflow."""
    log_lik = (x * logits - np.logaddexp(0, logits)).sum(1)
    kl = 0.5 * (mu**2 + np.exp(log_var) - 1 - log_var).sum(1)
    return (log_lik - kl).mean()


def elbo_by_the_library(x, logits, mu, log_var):
    """The same from the library's two functions."""
    x, logits, mu, log_var = map(tg.tensor, (x, logits, mu, log_var))
    kl = likelihoods.kl_to_standard_normal(mu, log_var)
    return (likelihoods.bernoulli_log_prob(x, logits) - kl).mean()


def _mean_over_pixels(x, logits, mu, log_var):
    """Reductions of two kinds: the KL weighs as many times too much as there are pixels."""
    log_lik = (x * logits - np.logaddexp(0, logits)).mean()
    return log_lik - 0.5 * (mu**2 + np.exp(log_var) - 1 - log_var).sum(1).mean()


def _kl_added(x, logits, mu, log_var):
    log_lik = (x * logits - np.logaddexp(0, logits)).sum(1)
    return (log_lik + 0.5 * (mu**2 + np.exp(log_var) - 1 - log_var).sum(1)).mean()


def _log_of_rounded(x, logits, mu, log_var):
    p = 1 / (1 + np.exp(-logits))
    log_lik = (x * np.log(p + 1e-7) + (1 - x) * np.log(1 - p + 1e-7)).sum(1)
    return (log_lik - 0.5 * (mu**2 + np.exp(log_var) - 1 - log_var).sum(1)).mean()


def _log_std(x, logits, mu, log_var):
    return elbo(x, logits, mu, 2 * log_var)


def log_p_and_error(log_w):
    """Take the largest weight out; the error is relative to the mean weight."""
    top = log_w.max(0)
    w = np.exp(log_w - top)
    return top + np.log(w.mean(0)), w.std(0, ddof=1) / w.mean(0) / np.sqrt(len(w))


def log_p_and_error_by_the_library(log_w):
    """`bounds.estimate` gives both."""
    found = bounds.estimate(tg.tensor(log_w))
    return found.log_p, found.error


def _mean_of_logs(log_w):
    return log_w.mean(0), log_w.std(0, ddof=1) / np.sqrt(len(log_w))


def _underflows(log_w):
    w = np.exp(log_w)
    return np.log(w.mean(0)), w.std(0, ddof=1) / w.mean(0) / np.sqrt(len(w))


def _absolute_error(log_w):
    value, relative = log_p_and_error(log_w)
    return value, relative * np.exp(value)


def _nan_at_no_spread(log_w):
    """As by the root of a rounding error below 0."""
    value, error = log_p_and_error(log_w)
    return value, np.where(error > 0, error, np.nan)


def posterior(x, W, eta):
    """Precisions add: I from the prior, W^T W / eta from the likelihood."""
    cov = np.linalg.inv(np.eye(W.shape[1]) + W.T @ W / eta)
    return cov @ W.T @ x / eta, cov


def posterior_by_conditioning(x, W, eta):
    """(z, x) is jointly normal; condition on x."""
    gain = W.T @ np.linalg.inv(W @ W.T + eta * np.eye(len(W)))
    return gain @ x, np.eye(W.shape[1]) - gain @ W


def _no_prior(x, W, eta):
    return np.linalg.pinv(W) @ x, eta * np.linalg.pinv(W.T @ W)


def _diagonal(x, W, eta):
    mean, cov = posterior(x, W, eta)
    return mean, np.diag(np.diag(cov))


def _mean_without_eta(x, W, eta):
    mean, cov = posterior(x, W, eta)
    return eta * mean, cov


RIGHT = {
    "7.1": [draw_codes, draw_codes_by_normal],
    "7.2": [best_baseline, best_baseline_by_regression],
    "7.3": [elbo, elbo_by_the_library],
    "7.4": [log_p_and_error, log_p_and_error_by_the_library],
    "7.5": [posterior, posterior_by_conditioning],
}
WRONG = {
    "7.1": [
        _keras,
        _one_noise_for_all_rows,
        _one_noise_for_all_dimensions,
        _uniform,
        _another_generator,
    ],
    "7.2": [lambda f, s: f.mean(), lambda f, s: 0.0, lambda f, s: (f * s).mean()],
    "7.3": [_mean_over_pixels, _kl_added, _log_of_rounded, _log_std],
    "7.4": [_mean_of_logs, _underflows, _absolute_error, _nan_at_no_spread],
    "7.5": [_no_prior, _diagonal, _mean_without_eta, lambda x, W, eta: posterior(x, W, eta)[0]],
}
