"""The judges of lesson 7: the variational autoencoder."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ...tensor import Tensor
from ..check import close
from ..exercises import exercise, expect

__all__ = ["best_baseline", "draw_codes", "elbo", "log_p_and_error", "posterior"]


def _array(value: Any) -> np.ndarray[Any, Any]:
    value = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    return np.asarray(value, dtype=np.float64)


@exercise("7.1")
def draw_codes(answer: Any) -> None:
    """draw_codes(mu, log_var, rng): one draw of N(mu, diag e^log_var) a row, (B, d)."""
    idea = "mu + exp(0.5 * log_var) * rng.standard_normal(mu.shape): noise of the shape of mu."
    rng = np.random.default_rng(1)
    mu = np.tile(np.array([-3.0, 0.0, 5.0]), (40_000, 1))
    log_var = np.tile(np.log(np.array([0.04, 1.0, 9.0])), (40_000, 1))
    z = _array(answer(mu, log_var, rng))
    expect(z.shape == mu.shape, f"One code for each row: shape {mu.shape}, not {z.shape}.")
    expect(
        (z[0] != z[1]).all(),
        "Neighbouring rows share their noise: each row needs its own.",
        "Draw noise of shape (B, d), not of shape (d,): broadcasting would repeat it.",
        idea,
    )
    expect(
        np.all(np.abs(z.mean(0) - mu[0]) < [0.01, 0.05, 0.12]),
        "The draws are not centred at mu.",
        f"Their means are {z.mean(0).round(2)} where mu is {mu[0]}: mu is added to noise of "
        "mean 0.",
        idea,
    )
    expect(
        close(z.std(0), np.sqrt([0.04, 1.0, 9.0]), 0.03),
        "The spread is off: log_var is the logarithm of the variance; what multiplies the noise "
        "is a standard deviation.",
        f"Your standard deviations are {z.std(0).round(2)} where they should be 0.2, 1 and 3. The "
        "root of e^a is e^(a / 2).",
        idea,
    )
    noise = (z - mu) / z.std(0)
    expect(
        abs(np.corrcoef(noise[:-1, 0], noise[1:, 0])[0, 1]) < 0.05,
        "Neighbouring rows share their noise: each row needs its own.",
        "Draw noise of shape (B, d), not of shape (d,): broadcasting would repeat it.",
        idea,
    )
    expect(
        np.abs(np.corrcoef(noise.T) - np.eye(3)).max() < 0.05,
        "The dimensions of one code share their noise: the covariance should be diagonal.",
        "Draw noise of shape (B, d), not of shape (B, 1): broadcasting would repeat it.",
        idea,
    )
    inside = float((np.abs(noise) < 1).mean())
    expect(
        abs(inside - 0.6827) < 0.02,
        f"Not a normal law: 68 % of it lies within one standard deviation, of yours {inside:.0%}.",
        "Mean and spread are right; the shape is not. Which method of rng draws normal numbers?",
        idea,
    )
    few = mu[:5], log_var[:5]
    again, anew = (_array(answer(*few, np.random.default_rng(k))) for k in (5, 6))
    expect(
        close(again, _array(answer(*few, np.random.default_rng(5)))) and not close(again, anew),
        "The same generator must give the same draws, and another one others: draw from rng.",
        "np.random.standard_normal does not know rng, and a generator made inside the function "
        "begins anew at each call.",
        idea,
    )


@exercise("7.2")
def best_baseline(answer: Any) -> None:
    """best_baseline(f, s): the constant b with the least variance of (f - b) s, from draws (n,)."""
    idea = (
        "E[(f - b)^2 s^2] = E[f^2 s^2] - 2 b E[f s^2] + b^2 E[s^2] is least at "
        "b = E[f s^2] / E[s^2]; replace both means by averages over the draws."
    )
    rng = np.random.default_rng(2)
    for level in (0.0, -50.0, 7.0):
        e = rng.standard_normal(50_000)
        f, s = level + 0.3 * e - 1.5 * e**2 + 0.2 * e**3, e / 0.7
        b = _array(answer(f, s))
        expect(b.shape == (), f"One constant for all draws, not an array of shape {b.shape}.")

        def variance(b: Any, f: Any = f, s: Any = s) -> float:
            return float(((f - b) * s).var())

        tried = level + np.linspace(-10, 10, 2001)
        least = min(variance(t) for t in tried)
        if least * 1.5 < variance(b):
            hint = "Raise f by a constant: the best baseline rises by it too."
        else:
            hint = (
                "Close, but another constant has less variance. Draws with a large score weigh "
                "more: write E[(f - b)^2 s^2] as a parabola in b."
            )
        expect(
            variance(b) < 1.002 * least,
            hint,
            "The mean of (f - b) s does not depend on b, because E[s] = 0. So the variance is "
            "least where the mean of its square is: differentiate that by b.",
            idea,
        )


@exercise("7.3")
def elbo(answer: Any) -> None:
    """elbo(x, logits, mu, log_var): the bound of a batch, Bernoulli decoder, in nats."""
    rng = np.random.default_rng(3)
    x = (rng.random((6, 10)) < 0.5).astype(float)
    logits = rng.normal(size=(6, 10))
    mu, log_var = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))

    def ask(x: Any, logits: Any, mu: Any, log_var: Any) -> float:
        value = _array(answer(x, logits, mu, log_var))
        expect(value.shape == (), f"One number for the batch, not an array of shape {value.shape}.")
        return float(value)

    idea = (
        "log_lik = (x * logits - np.logaddexp(0, logits)).sum(1) and kl = 0.5 * (mu**2 + "
        "exp(log_var) - 1 - log_var).sum(1); the answer is (log_lik - kl).mean()."
    )
    none = np.zeros((6, 3))
    fair = ask(x, np.zeros((6, 10)), none, none)
    expect(
        fair < 0,
        "With logits 0 and q the prior it is the log-probability of coin tosses: negative.",
        "The bound itself is asked for, not the loss: no minus sign in front.",
        idea,
    )
    expect(
        close(fair, -10 * np.log(2)),
        "With logits 0 and q equal to the prior, ten fair coins a picture: -10 log 2, the sum over "
        "the pixels, the mean over the batch.",
        f"That is -6.93; yours is {fair:.4g}. Ten times too small: a mean over the pixels. Six "
        "times too large: a sum over the batch.",
        idea,
    )
    with_kl = ask(x, np.zeros((6, 10)), mu, log_var)
    expect(
        with_kl < fair,
        "A q that differs from the prior costs nats: the KL is subtracted.",
        "The KL is never negative, and it makes the bound smaller.",
        idea,
    )
    wider = ask(
        x, np.zeros((6, 10)), np.concatenate([mu, mu], 1), np.concatenate([log_var, log_var], 1)
    )
    expect(
        close(fair - wider, 2 * (fair - with_kl)),
        "Every code dimension twice: the KL should double (a sum over dimensions).",
        "Sum the KL over axis 1, the dimensions of the code, before the mean over the batch.",
        idea,
    )
    shifted = ask(x, np.zeros((6, 10)), none + 2.0, none)
    expect(
        close(fair - shifted, 6.0),
        "mu = 2 in three dimensions, variance 1: the KL is 3 * 2^2 / 2 nats.",
        f"That is 6; yours is {fair - shifted:.4g}. At log_var = 0 the rest of (7.16) vanishes, "
        "1 - 1 - 0, and half of the squares remains.",
        idea,
    )
    broad = ask(x, np.zeros((6, 10)), none, none + np.log(4.0))
    expect(
        close(fair - broad, 1.5 * (4 - 1 - np.log(4.0))),
        "The KL of a normal law with mean 0 and variance 4 is off: what is log_var the log of?",
        "Of the variance: sigma^2 = exp(log_var), and log sigma^2 = log_var, as it is.",
        idea,
    )
    right = float(np.log(1 / (1 + np.exp(-logits * (2 * x - 1)))).sum(1).mean())
    value = ask(x, logits, none, none)
    expect(
        close(value, right),
        "The log-likelihood is off: a 1 has probability sigmoid(logit).",
        "A pixel x with logit a contributes x a - log(1 + e^a): a at a 1, nothing at a 0, less the "
        "softplus in both cases.",
        idea,
    )
    twice = ask(*(np.concatenate([part, part]) for part in (x, logits, mu, log_var)))
    expect(
        close(twice, ask(x, logits, mu, log_var)),
        "The same pictures twice in the batch must change nothing: a mean over the batch.",
        "Both terms are averaged over axis 0, not only one of them.",
        idea,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sure = ask(x, np.where(x == 1, 1000.0, -1000.0), none, none)
        wrong = ask(x, np.where(x == 1, -1000.0, 1000.0), none, none)
    expect(
        np.isfinite(sure) and close(sure, 0.0) and np.isfinite(wrong) and close(wrong, -10_000.0),
        "At logits of 1000 it should be 0 when right and -1000 a pixel when wrong: use the form of "
        "(7.12) with log(1 + e^a), computed without overflow.",
        "log(1 + e^a) = log(e^0 + e^a) is np.logaddexp(0, a), which is a for a large a.",
        idea,
    )


@exercise("7.4")
def log_p_and_error(answer: Any) -> None:
    """log_p_and_error(log_w): log p(x) and its standard error, (k, B) -> two of (B,)."""
    idea = (
        "top = log_w.max(0) and w = exp(log_w - top); the estimate is top + log(w.mean(0)), its "
        "error w.std(0, ddof=1) / w.mean(0) / sqrt(k)."
    )
    rng = np.random.default_rng(4)
    log_w = 0.7 * rng.standard_normal((500, 4)) + np.array([0.0, -3.0, 1.0, 2.0])

    def ask(log_w: Any) -> list[np.ndarray[Any, Any]]:
        found = [_array(part) for part in answer(log_w)]
        expect(len(found) == 2, "Return two arrays: the estimate and its standard error.")
        for part in found:
            expect(
                part.shape == log_w.shape[1:],
                f"One number for each picture: shape {log_w.shape[1:]}, not {part.shape}.",
            )
        return found

    value, error = ask(log_w)
    same, no_error = ask(np.tile(np.array([0.5, -2.0]), (9, 1)))
    expect(
        close(same, [0.5, -2.0]),
        "Equal weights: the estimate is their common log. Mean, not sum?",
        "A sum of k weights in place of their mean is too large by log k.",
        idea,
    )
    expect(
        not np.isnan(no_error).any(),
        "Equal weights have no spread: the error is 0. Your nan is the root of a rounding error "
        "that fell below 0: np.maximum(0, ...) under the root.",
        "Or take the root's argument as a mean of squares, which cannot fall below 0.",
        idea,
    )
    expect(
        close(no_error, [0.0, 0.0]),
        "Equal weights have no spread: the error is 0.",
        "The error comes from the standard deviation of the weights over the draws, axis 0.",
        idea,
    )
    expect(
        bool(np.all(value > log_w.mean(0) + 0.05)),
        "The mean of the logarithms is the ELBO; here it is the logarithm of the mean.",
        "Average the weights exp(log_w) first, and take the logarithm last.",
        idea,
    )
    expect(
        close(value, np.log(np.exp(log_w).mean(0))),
        "The estimate is log of the mean weight.",
        "The mean is over axis 0, the k draws; each picture is a column.",
        idea,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        low, low_error = ask(log_w - 1000)
    expect(
        bool(np.isfinite(low).all()) and close(low, value - 1000),
        "All weights smaller by e^-1000: the estimate must fall by 1000, not to -inf.",
        "exp(-1000) is 0 in double precision. Take the largest weight of each picture out of "
        "the mean.",
        idea,
    )
    expect(
        bool(np.isfinite(low_error).all()) and close(low_error, error, 1e-4),
        "All weights times a constant: the error of the logarithm must not change.",
        "It is a relative error: the standard error of the mean weight over that mean. Common "
        "factors cancel, if both are computed after the largest weight is taken out.",
        idea,
    )
    fewer = ask(log_w[:125])[1]
    expect(
        bool(np.all(fewer / error > 1.4)) and bool(np.all(fewer / error < 2.9)),
        "A quarter of the draws should about double the error: it falls as 1 / sqrt(k).",
        "The spread of the weights does not change with k; that of their mean does.",
        idea,
    )
    w = np.exp(log_w)
    relative = w.std(0, ddof=1) / w.mean(0) / np.sqrt(500)
    expect(
        bool(np.all(np.abs(error / relative - 1) < 0.1)),
        "The error is off: it is the standard error of the mean weight, divided by that mean.",
        "The derivative of log m is 1 / m: a small error of m becomes that error over m.",
        idea,
    )


@exercise("7.5")
def posterior(answer: Any) -> None:
    """posterior(x, W, eta): mean (d,), covariance (d, d) of p(z|x), p(x|z) = N(W z, eta I)."""
    idea = "Precisions add: cov = inv(I + W^T W / eta), a d x d matrix, and mean = cov W^T x / eta."
    rng = np.random.default_rng(5)
    for outputs, codes, eta in ((1, 1, 0.3), (5, 2, 0.2), (2, 3, 1.7)):
        W, x = rng.normal(size=(outputs, codes)), rng.normal(size=outputs)
        both = answer(x, W, eta)
        expect(
            isinstance(both, (tuple, list)) and len(both) == 2,
            f"Return two arrays: a mean ({codes},) and a covariance ({codes}, {codes}).",
        )
        mean, cov = map(_array, both)
        expect(
            mean.shape == (codes,) and cov.shape == (codes, codes),
            f"A mean ({codes},) and a covariance ({codes}, {codes}).",
        )
        expect(
            close(cov, cov.T),
            "A covariance matrix is symmetric.",
            "W^T W is symmetric, and so are its sum with I and the inverse of that.",
            idea,
        )
        expect(
            bool(np.all(np.linalg.eigvalsh(cov) > 0)),
            "A covariance matrix is positive.",
            "With more codes than pixels W^T W is singular; the prior's I makes the sum positive.",
            idea,
        )
        z = rng.normal(size=(20, codes))
        log_joint = -((x - z @ W.T) ** 2).sum(1) / (2 * eta) - (z**2).sum(1) / 2
        off = z - mean
        log_q = -0.5 * np.einsum("ni,ij,nj->n", off, np.linalg.inv(cov), off)
        slopes = np.linalg.lstsq(np.c_[z, np.ones(20)], log_joint - log_q, rcond=None)[0]
        gap = log_joint - log_q
        curved = np.abs(gap - np.c_[z, np.ones(20)] @ slopes).max() > 1e-6
        expect(
            not curved,
            "The covariance is off: log p(x|z) + log p(z) - log q(z) must not be curved in z. What "
            "precision does each of the two terms bring?",
            "The prior brings z^T z / 2, the likelihood z^T W^T W z / (2 eta): add the two "
            "matrices and invert the sum. A diagonal is not enough.",
            idea,
        )
        expect(
            np.ptp(gap) < 1e-6,
            "The covariance is right, the mean is not: at it the gradient by z of "
            "log p(x|z) + log p(z) is zero.",
            "That gradient is W^T (x - W z) / eta - z. Collect what multiplies z and solve.",
            idea,
        )
