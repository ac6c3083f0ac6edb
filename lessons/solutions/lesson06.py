"""Lesson 6: right answers, each by one or more routes, and wrong ones for the judge to refuse."""

import numpy as np

import tinygen as tg
from tinygen.models import likelihoods
from tinygen.models.vae import bounds


def kl(mu, log_var, mean, prior_log_var):
    """E_q[log q] - E_q[log p]: the squares, the widths, the determinants."""
    square = ((mu - mean) ** 2 + np.exp(log_var)) / np.exp(prior_log_var)
    return 0.5 * (square - 1 - log_var + prior_log_var).sum(1)


def kl_by_library(mu, log_var, mean, prior_log_var):
    """The library's, on tensors."""
    return likelihoods.kl_gaussians(*(tg.tensor(a) for a in (mu, log_var, mean, prior_log_var)))


def kl_by_rescaling(mu, log_var, mean, prior_log_var):
    """In units of the prior, where it is (6.14)."""
    mu, log_var = (mu - mean) * np.exp(-0.5 * prior_log_var), log_var - prior_log_var
    return 0.5 * (mu**2 + np.exp(log_var) - 1 - log_var).sum(1)


def weighted_bound(log_w):
    """Take the largest out of the sum, so that one exp is 1."""
    top = log_w.max(0)
    return top + np.log(np.exp(log_w - top).mean(0))


def weighted_bound_by_library(log_w):
    """The library's, on tensors."""
    return bounds.iwae(tg.tensor(log_w))


def weighted_bound_by_pairs(log_w):
    """logaddexp does it two terms at a time."""
    return np.logaddexp.reduce(log_w, axis=0) - np.log(len(log_w))


def log_evidence(x, W, b, eta):
    """x is normal with mean b and covariance W W^T + eta I."""
    C = W @ W.T + eta * np.eye(len(b))
    square = ((x - b) * np.linalg.solve(C, (x - b).T).T).sum(1)
    return -0.5 * (square + np.linalg.slogdet(C)[1] + len(b) * np.log(2 * np.pi))


def log_evidence_by_bayes(x, W, b, eta):
    """log p(x|z) + log p(z) - log p(z|x), at z = 0: only a d x d matrix to invert."""
    D, d = W.shape
    precision = np.eye(d) + W.T @ W / eta
    mean = np.linalg.solve(precision, W.T @ (x - b).T / eta).T
    decoder = -0.5 * (((x - b) ** 2).sum(1) / eta + D * np.log(2 * np.pi * eta))
    posterior = 0.5 * (np.linalg.slogdet(precision)[1] - ((mean @ precision) * mean).sum(1))
    return decoder - posterior  # d/2 log 2 pi stands in prior and posterior


def best_encoder(x, W, b, eta):
    """The posterior's mean, and one over the diagonal of its precision."""
    precision = np.eye(W.shape[1]) + W.T @ W / eta
    return np.linalg.solve(precision, W.T @ (x - b).T / eta).T, 1 / np.diag(precision)


def best_encoder_by_ridge(x, W, b, eta):
    """The mean as ridge regression on an augmented system; the variances column by column."""
    d = W.shape[1]
    tall = np.vstack([W / np.sqrt(eta), np.eye(d)])
    right = np.vstack([(x - b).T / np.sqrt(eta), np.zeros((d, len(x)))])
    return np.linalg.lstsq(tall, right, rcond=None)[0].T, 1 / (tall**2).sum(0)


def _posterior_variances(x, W, b, eta):
    """The variances of the posterior, which are too wide for independent dimensions."""
    precision = np.eye(W.shape[1]) + W.T @ W / eta
    return best_encoder(x, W, b, eta)[0], np.diag(np.linalg.inv(precision))


def _least_squares(x, W, b, eta):
    """Forgets the prior."""
    return np.linalg.lstsq(W, (x - b).T, rcond=None)[0].T, best_encoder(x, W, b, eta)[1]


RIGHT = {
    "6.1": [kl, kl_by_library, kl_by_rescaling],
    "6.2": [weighted_bound, weighted_bound_by_library, weighted_bound_by_pairs],
    "6.3": [log_evidence, log_evidence_by_bayes],
    "6.4": [best_encoder, best_encoder_by_ridge],
}
WRONG = {
    "6.1": [
        lambda mu, log_var, mean, prior: kl(mean, prior, mu, log_var),
        lambda mu, log_var, mean, prior: kl(mu, 2 * log_var, mean, 2 * prior),
        lambda mu, log_var, mean, prior: kl(mu, log_var, mean, prior).mean(),
        lambda mu, log_var, mean, prior: kl(mu - mean, log_var - prior, 0 * mu, 0 * mu),
    ],
    "6.2": [
        lambda log_w: np.log(np.exp(log_w).mean(0)),
        lambda log_w: log_w.mean(0),
        lambda log_w: np.logaddexp.reduce(log_w, axis=0),
        lambda log_w: -weighted_bound(-log_w),
        lambda log_w: log_w.max() + np.log(np.exp(log_w - log_w.max()).mean(0)),
    ],
    "6.3": [
        lambda x, W, b, eta: log_evidence(x, W, b, eta**2),
        lambda x, W, b, eta: log_evidence(x, W, 0 * b, eta),
        lambda x, W, b, eta: (
            -0.5 * ((x - b) ** 2).sum(1) / eta - len(b) / 2 * np.log(2 * np.pi * eta)
        ),
    ],
    "6.4": [
        _posterior_variances,
        _least_squares,
        lambda x, W, b, eta: (best_encoder(x, W, b, eta)[0], best_encoder(x, W, b, eta)[1] ** 0.5),
        lambda x, W, b, eta: best_encoder(x, W, b, eta)[0],
    ],
}
