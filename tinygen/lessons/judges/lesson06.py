"""The judges of lesson 6: the ELBO, three ways."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from ...tensor import Tensor
from ..check import close
from ..exercises import exercise, expect

__all__ = ["best_encoder", "kl", "log_evidence", "weighted_bound"]


def _numbers(value: Any) -> np.ndarray[Any, Any]:
    value = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    return np.asarray(value, dtype=np.float64)


@exercise("6.1")
def kl(answer: Any) -> None:
    """kl(mu, log_var, mean, prior_log_var): of diagonal Gaussians, (B, d) each -> (B,) nats."""
    idea = (
        "For each dimension: half of (mu - mean)^2 / prior variance, plus the ratio of the "
        "variances, minus 1, minus the logarithm of that ratio. Then sum over the last axis."
    )
    rng = np.random.default_rng(1)
    mu, mean = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    log_var, prior = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    found = _numbers(answer(mu, log_var, mean, prior))
    expect(found.shape == (5,), f"One number for each example: shape (5,), not {found.shape}.")
    same = _numbers(answer(mu, log_var, mu, log_var))
    expect(
        close(same, np.zeros(5)),
        "A law does not differ from itself: this must be 0.",
        "With equal means and variances the square is 0, the ratio of the variances 1, its "
        "logarithm 0: which of your terms is left over?",
        idea,
    )
    expect(
        (found > 0).all(),
        "A divergence of two different laws is positive.",
        "The logarithm of the ratio is taken off, the ratio itself is added: check the signs.",
        idea,
    )
    zero = np.zeros((5, 3))
    standard = 0.5 * (mu**2 + np.exp(log_var) - 1 - log_var).sum(1)
    expect(
        close(_numbers(answer(mu, log_var, zero, zero)), standard),
        "With the prior N(0, I) it must be (6.14), summed over the dimensions; log_var is "
        "the logarithm of the variance.",
        "One dimension, mu = 0, log_var = 0, a standard prior: every term cancels. Now mu = 1: "
        "half a nat. Now mu = 0 and log_var = log 4: (4 - 1 - log 4) / 2.",
        idea,
    )
    shift = _numbers(answer(mu + 1, log_var, mean + 1, prior))
    expect(
        close(shift, found),
        "Moving both laws by the same amount changes nothing.",
        "Only the distance of the two means may enter, never a mean alone.",
        idea,
    )
    scale = _numbers(answer(2 * mu, log_var + math.log(4), 2 * mean, prior + math.log(4)))
    expect(
        close(scale, found),
        "Measured in half the unit, both laws are twice as wide, and the divergence is the same: "
        "in what unit does the distance of the means count?",
        "Measure it in standard deviations of the prior: divide its square by e^prior_log_var.",
        idea,
    )
    line = np.linspace(-30, 30, 20_001)
    q = -0.5 * ((line - 0.4) ** 2 / math.exp(-0.5) - 0.5 + math.log(2 * math.pi))
    p = -0.5 * ((line + 1.0) ** 2 / math.exp(0.8) + 0.8 + math.log(2 * math.pi))
    exact = float((np.exp(q) * (q - p)).sum() * (line[1] - line[0]))
    one = [np.array([[v]]) for v in (0.4, -0.5, -1.0, 0.8)]
    expect(
        close(_numbers(answer(*one)), [exact]),
        "It differs from the integral of q (log q - log p): which law takes the mean?",
        "The draws come from q, so that E_q (z - mean)^2 = (mu - mean)^2 + e^log_var, and it is "
        "divided by the prior's variance.",
        idea,
    )


@exercise("6.2")
def weighted_bound(answer: Any) -> None:
    """weighted_bound(log_w): log of the mean weight of each example, (k, B) -> (B,)."""
    idea = (
        "Take the largest log-weight of each example, top = log_w.max(0); then the answer is "
        "top + log(mean(exp(log_w - top))), the mean over axis 0."
    )
    rng = np.random.default_rng(2)
    log_w = rng.normal(size=(6, 4))
    found = _numbers(answer(log_w))
    expect(found.shape == (4,), f"One number for each example: shape (4,), not {found.shape}.")
    expect(
        close(_numbers(answer(log_w[:1])), log_w[0]),
        "With k = 1 the bound is the log-weight itself.",
        "The logarithm undoes exp, and a mean of one is that one: nothing may be added.",
        idea,
    )
    expect(
        close(_numbers(answer(np.repeat(log_w[:1], 7, axis=0))), log_w[0]),
        "Seven equal weights have the same mean as one of them: did you divide by k?",
        "A sum of k weights in place of their mean is too large by log k.",
        idea,
    )
    expect(
        close(_numbers(answer(log_w[::-1].copy())), found),
        "The order of the draws must not matter.",
        "Reduce over axis 0, the draws, with something that treats all alike.",
        idea,
    )
    expect(
        (found >= log_w.mean(0) - 1e-9).all(),
        "The logarithm of the mean lies above the mean of the logarithms.",
        "Average the weights first, and take the logarithm last.",
        idea,
    )
    expect(
        close(np.exp(found), np.exp(log_w).mean(0)),
        "exp of it must be the mean of the weights of that example.",
        "The weights are exp(log_w); an example is a column, its draws are the rows.",
        idea,
    )
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for shift in (-1000.0, 1000.0):
            far = _numbers(answer(log_w + shift))
            expect(
                close(far, found + shift),
                f"Add {shift:.0f} to every log-weight and the bound moves by as much; yours gives "
                f"{far[0]:.4g} for {found[0] + shift:.4g}. What does exp do out there?",
                "exp(-1000) is 0 and exp(1000) is inf in double precision. Take a common factor "
                "out of the sum first, so that the largest term is exp(0).",
                idea,
            )
        apart = np.array([-1000.0, 0.0, 3.0, 1000.0])
        far = _numbers(answer(log_w + apart))
        expect(
            close(far, found + apart),
            "Examples of one batch may be far apart: one factor for all of them is not enough.",
            "Each example, a column, needs its own largest log-weight: a maximum over axis 0.",
            idea,
        )


@exercise("6.3")
def log_evidence(answer: Any) -> None:
    """log_evidence(x, W, b, eta): log N(x; b, W W^T + eta I) of each row, (n, D) -> (n,)."""
    idea = (
        "C = W W^T + eta I, a D x D matrix; then minus half of (x - b)^T C^-1 (x - b) + "
        "log det C + D log 2 pi, with np.linalg.solve and np.linalg.slogdet."
    )
    rng = np.random.default_rng(3)
    line = np.linspace(-25, 25, 5001)
    one = _numbers(answer(line[:, None], np.array([[1.3, -0.4]]), np.array([0.7]), 0.3))
    expect(one.shape == (5001,), f"One number for each row of x: (5001,), not {one.shape}.")
    p = np.exp(one) * (line[1] - line[0])
    expect(
        abs(p.sum() - 1) < 1e-6,
        f"exp of it must integrate to 1, and yours to {p.sum():.4g}: look at what stands before "
        "the square.",
        "That must be 1 / sqrt((2 pi)^D det C), with the same C as in the square.",
        idea,
    )
    expect(
        abs((p * line).sum() - 0.7) < 1e-6,
        "The mean of x must be b.",
        "z has mean 0, so W z adds nothing to the mean: subtract b from x, and nothing else.",
        idea,
    )
    variance = float((p * (line - 0.7) ** 2).sum())
    expect(
        abs(variance - 2.15) < 1e-6,
        f"The variance of x is that of W z plus that of the noise; yours is {variance:.3f} where "
        "it should be 1.69 + 0.16 + 0.3.",
        "Independent sources add their variances: W W^T from z, eta I from the noise.",
        idea,
    )
    W, b, eta = rng.normal(size=(4, 2)), rng.normal(size=4), 0.4
    x = rng.normal(size=(6, 4))
    found = _numbers(answer(x, W, b, eta))
    turn = np.linalg.qr(rng.normal(size=(2, 2)))[0]
    expect(
        close(_numbers(answer(x, W @ turn, b, eta)), found),
        "Rotating z changes nothing that can be seen in x.",
        "W may enter only as W W^T: a rotation of its columns drops out there.",
        idea,
    )
    axis = np.linspace(-8, 8, 401)
    z = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    prior = -0.5 * (z**2).sum(1) - math.log(2 * math.pi)
    for at, value in zip(x, found, strict=True):
        square = ((at - b - z @ W.T) ** 2).sum(1) / eta
        joint = prior - 0.5 * square - 2 * math.log(2 * math.pi * eta)
        exact = np.logaddexp.reduce(joint) + 2 * math.log(axis[1] - axis[0])
        expect(
            abs(value - exact) < 1e-6,
            f"The integral (6.1) on a grid is {exact:.4f} where you have {value:.4f}.",
            "It is right for one pixel and wrong for four: a covariance matrix C, not only its "
            "diagonal, has to be inverted.",
            idea,
        )


@exercise("6.4")
def best_encoder(answer: Any) -> None:
    """best_encoder(x, W, b, eta): means (n, d) and variances (d,) of the best mean-field q."""
    idea = (
        "Lambda = I + W^T W / eta. The means solve Lambda m = W^T (x - b) / eta, one row of x at a "
        "time; the variances are 1 / Lambda_ii, the reciprocals of its diagonal."
    )
    rng = np.random.default_rng(4)
    W, b, eta = rng.normal(size=(5, 3)), rng.normal(size=5), 0.3
    x = rng.normal(size=(4, 5)) * 2
    both = answer(x, W, b, eta)
    expect(
        isinstance(both, (tuple, list)) and len(both) == 2,
        "Return two arrays: the means (4, 3) and the variances (3,).",
    )
    means, variances = map(_numbers, both)
    expect(
        means.shape == (4, 3) and variances.shape == (3,),
        f"Return means (4, 3) and variances (3,), not {means.shape} and {variances.shape}.",
    )
    expect(
        (variances > 0).all(),
        "A variance is positive.",
        "A precision is a sum of squares plus 1; a variance is one over it.",
        idea,
    )

    def elbo(means: Any, variances: Any) -> Any:
        square = ((x - b - means @ W.T) ** 2).sum(1) + ((W**2) @ variances).sum()
        cost = (means**2).sum(1) + (variances - 1 - np.log(variances)).sum()
        return -0.5 * square / eta - 0.5 * cost

    best = elbo(means, variances)
    for i in range(3):
        for step in (1e-3, -1e-3):
            moved = means.copy()
            moved[:, i] += step
            expect(
                (elbo(moved, variances) < best).all(),
                f"The ELBO rises when the mean of z_{i + 1} is moved by {step}: is the prior in?",
                "The prior pulls the means towards 0: its precision I is added to W^T W / eta "
                "before one solves for the mean.",
                idea,
            )
            wider = variances.copy()
            wider[i] *= 1 + 10 * step
            expect(
                (elbo(means, wider) < best).all(),
                f"The ELBO rises when the variance of z_{i + 1} is multiplied by {1 + 10 * step}: "
                "the best independent q is narrower than the posterior.",
                "In the ELBO the variance of z_i enters through -(Lambda_ii v - log v) / 2 only. "
                "Where is its slope zero?",
                idea,
            )
