"""Judges of the exercises of lesson 16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...tensor import Tensor
from ..check import close
from ..exercises import exercise, expect

__all__ = ["alpha_bar", "betas_from_snr", "posterior_stride", "score_from_v", "step_back"]

Answer = Callable[..., Any]


def _array(value: Any) -> np.ndarray[Any, Any]:
    """A learner's number, array or Tensor as float64."""
    value = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    return np.asarray(value, dtype=np.float64)


@exercise("16.1")
def alpha_bar(answer: Answer) -> None:
    """alpha_bar(betas): (T,) -> (T + 1,), from 1 at t = 0 on."""
    idea = "The running product of 1 - beta, with a 1 put in front: np.cumprod does the first."
    betas = np.random.default_rng(1).uniform(0.05, 0.4, 7)
    bar = _array(answer(betas))
    expect(
        bar.shape == (8,),
        "There are T + 1 frames, t = 0 .. T, so T + 1 numbers.",
        "The T products stand at t = 1 .. T. What stands before them, at t = 0?",
        idea,
    )
    expect(
        close(bar[0], 1.0),
        "At t = 0 all of the data is there: what share is that?",
        "A product of no factors at all is 1.",
        idea,
    )
    expect(
        (np.diff(bar) < 0).all(),
        "Each step loses signal, so the numbers must fall.",
        "A step keeps 1 - beta; beta is what it replaces by noise.",
        idea,
    )
    expect(
        close(bar[1:] / bar[:-1], 1 - betas),
        "From t - 1 to t the share of the data's variance (not of its size) shrinks by alpha_t.",
        "The size shrinks by the root of 1 - beta, its square by 1 - beta: no root is needed.",
        idea,
    )
    long = _array(answer(np.linspace(1e-4, 0.02, 1000)))
    expect(
        0 < long[-1] < 1e-4,
        "After DDPM's 1000 steps almost nothing is left, but not nothing.",
        "The right value is about 0.00004.",
        idea,
    )


@exercise("16.2")
def posterior_stride(answer: Answer) -> None:
    """posterior_stride(x0, xt, bar_u, bar_t): mean and variance of q(x_u | x_t, x_0), any u < t."""
    idea = (
        "Two pieces of evidence about x_u: from x_0, mean sqrt(bar_u) x_0 with variance 1 - bar_u; "
        "from x_t, with alpha = bar_t / bar_u, mean x_t / sqrt(alpha) with variance "
        "(1 - alpha) / alpha. Precisions add, means are weighted by them."
    )
    rng = np.random.default_rng(2)
    x0, xt = rng.standard_normal(2)
    bar_u, bar_t = 0.7, 0.3
    result = answer(x0, xt, bar_u, bar_t)
    are_two = (
        hasattr(result, "__len__") and len(result) == 2 and all(np.size(r) == 1 for r in result)
    )
    expect(are_two, "Return two numbers: the mean and the variance.", idea)
    mean, variance = (float(_array(part).item()) for part in result)
    expect(
        0 < variance < 1 - bar_u,
        "Seeing x_t besides x_0 must leave less variance than q(x_u | x_0) has, and not none.",
        "q(x_u | x_0) has the variance 1 - bar_u. Which letter of (16.11) belongs to u?",
        idea,
    )
    on_track = _array(answer(x0, np.sqrt(bar_t) * x0, bar_u, bar_t)[0])
    expect(
        close(on_track, np.sqrt(bar_u) * x0),
        "If x_t is just sqrt(alpha-bar_t) x_0, no noise was drawn: where was x_u on average?",
        "It was at sqrt(alpha-bar_u) x_0; (16.12) with x_t = sqrt(alpha-bar_t) x_0 must give that.",
        idea,
    )
    told, known = (_array(part) for part in answer(x0, xt, 1.0 - 1e-9, bar_t))  # u = 0, or nearly
    expect(
        close(told, x0, 1e-4) and close(known, 0.0),
        "As alpha-bar_u goes to 1 we are told the answer: x_0 itself, without variance.",
        "The weight of x_t and the variance both carry the factor 1 - alpha-bar_u.",
        idea,
    )
    gain = float(_array(answer(x0, xt + 1.0, bar_u, bar_t)[0])) - mean
    expect(
        close(variance + gain**2 * (1 - bar_t), 1 - bar_u),
        "Averaged over x_t given x_0, mean and variance must give back q(x_u | x_0).",
        "Your variance, plus the square of x_t's weight times 1 - bar_t, must be 1 - bar_u.",
        idea,
    )
    expect(
        close(gain * (1 - bar_t), np.sqrt(bar_t / bar_u) * (1 - bar_u)),
        "The covariance of x_u and x_t given x_0 is not the chain's: the alpha of the "
        "stride is the product of the alphas from u to t.",
        "That product is bar_t / bar_u: put it where (16.11) and (16.12) have alpha_t.",
        idea,
    )


@exercise("16.3")
def betas_from_snr(answer: Answer) -> None:
    """betas_from_snr(snr): the betas (T,) of the VP chain with these ratios (T,)."""
    idea = "bar = snr / (1 + snr), a 1 in front of it, and beta_t = 1 - bar_t / bar_{t-1}."
    betas = np.random.default_rng(3).uniform(0.05, 0.5, 6)
    bar = np.cumprod(1 - betas)
    found = _array(answer(bar / (1 - bar)))
    expect(
        found.shape == betas.shape,
        "One beta for each of the T ratios.",
        "The first step begins at alpha-bar_0 = 1: it has a beta too.",
        idea,
    )
    expect(
        ((found > 0) & (found < 1)).all(),
        "Each beta must lie between 0 and 1.",
        "alpha-bar falls, so alpha-bar_t / alpha-bar_{t-1} is below 1.",
        idea,
    )
    expect(
        close(found[0], betas[0]),
        "Begin with the first: SNR(1) belongs to alpha-bar_1 = 1 - beta_1.",
        "SNR = bar / (1 - bar), solved for bar, is SNR / (1 + SNR).",
        idea,
    )
    expect(
        close(found, betas),
        "alpha-bar from the SNR first; then a beta compares two neighbouring alpha-bars.",
        "alpha_t = alpha-bar_t / alpha-bar_{t-1}, and beta_t = 1 - alpha_t.",
        idea,
    )


@exercise("16.4")
def score_from_v(answer: Answer) -> None:
    """score_from_v(v, xt, alpha_bar_t): the score -eps / s that v means at x_t, shaped as it."""
    idea = "eps = s x_t + a v, a = sqrt(alpha-bar), s = sqrt(1 - alpha-bar); the score is -eps / s."
    rng = np.random.default_rng(4)
    x0, eps = rng.standard_normal((2, 5))
    for bar in (0.2, 0.9):
        a, s = np.sqrt(bar), np.sqrt(1 - bar)
        xt, v = a * x0 + s * eps, a * eps - s * x0
        score = _array(answer(v, xt, bar))
        expect(score.shape == xt.shape, "One arrow for each x_t, so the shape of x_t.", idea)
        expect(
            not close(score, eps / s),
            "The arrow points the wrong way: towards the noise.",
            "More noise makes x_t less probable; the score points to the more probable.",
            idea,
        )
        expect(
            not close(score, -eps),
            "That is the noise turned round; its size is not yet right.",
            "(16.22) divides by s: with little noise the arrows are long.",
            idea,
        )
        expect(
            close(score, -eps / s),
            "Get epsilon from x_t and v as in (16.19), then the score from epsilon.",
            "(16.19): eps = s x_t + a v. (16.22): score = -eps / s. Are a and s roots?",
            idea,
        )
    xt = rng.standard_normal(5)
    same = _array(answer(np.zeros(5), xt, 0.4))
    expect(
        close(same, -xt),
        "For data N(0, 1) the best v is 0, and the score of N(0, 1) is known.",
        "The logarithm of that density is -x^2 / 2 and a constant: its slope is -x.",
        idea,
    )


@exercise("16.5")
def step_back(answer: Answer) -> None:
    """step_back(xt, x0_hat, sigma_t, sigma_u, noise): one step of the VE chain to a lower level."""
    idea = (
        "(16.26): with part = sigma_u^2 / sigma_t^2, x0_hat + part (xt - x0_hat) + "
        "sqrt(part (sigma_t^2 - sigma_u^2)) noise."
    )
    rng = np.random.default_rng(5)
    xt, guess, noise = rng.standard_normal((3, 4))
    try:
        with np.errstate(divide="ignore", invalid="ignore"):
            last = answer(xt, guess, 1.5, 0.0, noise)
    except ZeroDivisionError:
        last = np.full(4, np.nan)
    expect(
        close(last, guess),
        "At sigma_u = 0 there is no noise left: the answer is the guess itself.",
        "Do you divide by sigma_u? The last step asks for sigma_u = 0; write the weight of "
        "x_t so that it becomes 0 there.",
        idea,
    )
    quiet = _array(answer(xt, guess, 1.5, 1.0, np.zeros(4)))
    expect(
        not close(quiet, guess),
        "Without fresh noise the step must still keep a part of x_t.",
        "What was not yet decided about x_0 sits in x_t: see the text above (16.26).",
        idea,
    )
    expect(
        close(quiet, guess + (xt - guess) / 1.5**2),
        "What part of x_t - x0_hat is kept? Look at variances, not standard deviations.",
        "sigma_u^2 / sigma_t^2 of it.",
        idea,
    )
    fresh = _array(answer(xt, guess, 1.5, 1.0, noise)) - quiet
    expect(
        close(answer(xt, guess, 1.5, 1.0, 2 * noise), quiet + 2 * fresh),
        "The fresh noise enters by a factor.",
        "Twice the noise must move the result twice as far: no noise inside another function.",
        idea,
    )
    kept = (1.0 / 1.5**2) ** 2 * 1.5**2  # of the old noise's variance, for a guess that is x_0
    expect(
        close(kept + (fresh / noise) ** 2, np.ones(4)),
        "If the guess is x_0, old noise kept and fresh noise must add up to sigma_u^2.",
        "The old noise, of variance sigma_t^2, is kept with the factor sigma_u^2 / sigma_t^2: "
        "how much variance is missing to sigma_u^2?",
        idea,
    )
