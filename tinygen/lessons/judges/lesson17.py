"""Judges of the exercises of lesson 17."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...tensor import Tensor
from ..check import close
from ..exercises import exercise, expect

__all__ = ["ancestral_step", "bits", "ddim_jump", "ema", "memory_eps"]

Answer = Callable[..., Any]


def _array(value: Any) -> np.ndarray[Any, Any]:
    """A learner's number, array or Tensor as float64."""
    value = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    return np.asarray(value, dtype=np.float64)


@exercise("17.1")
def ancestral_step(answer: Answer) -> None:
    """ancestral_step(xt, eps_hat, t, betas, noise): a DDPM step of variance beta-tilde."""
    idea = (
        "With alpha = 1 - beta_t, bar the product of the alphas up to t and before up to t - 1: "
        "(xt - beta_t / sqrt(1 - bar) eps_hat) / sqrt(alpha) + "
        "sqrt(beta_t (1 - before) / (1 - bar)) noise; before = 1 at t = 1."
    )
    rng = np.random.default_rng(1)
    betas = rng.uniform(0.05, 0.3, 8)
    bar = np.concatenate([[1.0], np.cumprod(1 - betas)])
    xt, eps, noise = rng.standard_normal((3, 6))
    first = _array(answer(xt, eps, 1, betas, noise))
    expect(
        close(first, answer(xt, eps, 1, betas, -noise)),
        "At t = 1 the result is the data point: fresh noise has no place there.",
        "beta-tilde_1 = beta_1 (1 - alpha-bar_0) / (1 - alpha-bar_1), and alpha-bar_0 = 1.",
        idea,
    )
    a, s = np.sqrt(bar), np.sqrt(1 - bar)
    expect(
        close(first, (xt - s[1] * eps) / a[1]),
        "At t = 1 the step should give the guess of x_0. Does your beta_1 sit at betas[0]?",
        "beta_t is betas[t - 1], and alpha-bar_t the product of the first t of 1 - betas.",
        idea,
    )
    quiet = _array(answer(xt, eps, 5, betas, np.zeros(6)))
    fresh = (_array(answer(xt, eps, 5, betas, noise)) - quiet) / noise
    expect(np.ptp(fresh) < 1e-9, "Fresh noise must come in as one factor times `noise`.", idea)
    expect(
        close(quiet, (xt - betas[4] / s[5] * eps) / np.sqrt(1 - betas[4])),
        "Without noise the step should be the posterior mean at the guess of x_0.",
        "The right side of (17.9) has it: xt minus beta_t / sqrt(1 - alpha-bar_t) eps_hat, all "
        "over the root of alpha_t.",
        idea,
    )
    expect(
        not close(fresh**2, np.full(6, betas[4])),
        "That is the forward step's variance beta_t; this exercise asks for the posterior's.",
        "beta-tilde_t is beta_t times (1 - alpha-bar_{t-1}) / (1 - alpha-bar_t).",
        idea,
    )
    expect(
        close(fresh**2, np.full(6, betas[4] * (1 - bar[4]) / (1 - bar[5]))),
        "The variance of the fresh noise should be beta-tilde_t (noise enters by its root).",
        "beta-tilde_t is beta_t times (1 - alpha-bar_{t-1}) / (1 - alpha-bar_t).",
        idea,
    )


@exercise("17.2")
def ddim_jump(answer: Answer) -> None:
    """ddim_jump(xt, eps_hat, bar_t, bar_u): DDIM with eta = 0 between two levels, either way."""
    idea = (
        "x0 = (xt - sqrt(1 - bar_t) eps_hat) / sqrt(bar_t); then sqrt(bar_u) x0 + "
        "sqrt(1 - bar_u) eps_hat."
    )
    rng = np.random.default_rng(2)
    x0, eps = rng.standard_normal((2, 7))

    def frame(bar: float) -> np.ndarray[Any, Any]:
        return np.asarray(np.sqrt(bar) * x0 + np.sqrt(1 - bar) * eps)

    expect(
        close(answer(frame(0.2), eps, 0.2, 1.0), x0),
        "If the guess of the noise is right, a jump to t = 0 must land on the data point.",
        "x_t = sqrt(bar_t) x_0 + sqrt(1 - bar_t) eps: solve it for x_0. Roots of both?",
        idea,
    )
    expect(
        close(answer(frame(0.2), eps, 0.2, 0.2), frame(0.2)),
        "A jump from a frame to the same frame must change nothing.",
        "What you take off for level t you must put back for level u: the noise too.",
        idea,
    )
    expect(
        close(answer(frame(0.2), eps, 0.2, 0.7), frame(0.7)),
        "With the right guess, the same x_0 and the same noise must be mixed for level u.",
        "The signal gets sqrt(bar_u), the noise sqrt(1 - bar_u).",
        idea,
    )
    expect(
        close(answer(frame(0.7), eps, 0.7, 0.2), frame(0.2)),
        "It must run forwards as well: nothing in (17.13) needs u to be the earlier frame.",
        "Do you clip, or take an absolute value, or swap the two levels?",
        idea,
    )


@exercise("17.3")
def ema(answer: Answer) -> None:
    """ema(values, decay): the last average, with d_i = min(decay, i / (i + 9)) at update i."""
    idea = (
        "From values[0]; for i, value in enumerate(values[1:], 1): d = min(decay, i / (i + 9)), "
        "and the average becomes d * average + (1 - d) * value."
    )
    values = np.random.default_rng(3).standard_normal(30)
    expect(
        close(answer(np.full(30, 2.5), 0.9), 2.5),
        "An average of equal numbers must be that number.",
        "The shares d and 1 - d add up to 1 in each update; do yours?",
        idea,
    )
    expect(
        close(answer(values[:1], 0.9), values[0]),
        "Before any update the average is the first value.",
        "values[0] is where the average begins; the first update takes values[1].",
        idea,
    )
    one = float(_array(answer(np.array([1.0, 0.0]), 0.9)))
    expect(
        not close(one, 0.9),
        "The first update uses the constant decay; the warm-up makes it min(d, 1 / 10).",
        "At update i the decay is the smaller one of `decay` and i / (i + 9).",
        idea,
    )
    expect(
        not close(one, 0.0),
        "The first update forgets the beginning wholly: is i counted from 1?",
        "With i = 0 the decay is 0 / 9.",
        idea,
    )
    expect(
        close(one, 0.1),
        "After one update the first value should have the share d_1 = min(d, 1/10).",
        "d multiplies the old average, 1 - d the new value.",
        idea,
    )
    average = values[0]
    for i, value in enumerate(values[1:], 1):
        d = min(0.5, i / (i + 9))
        average = d * average + (1 - d) * value
    expect(
        close(answer(values, 0.5), average),
        "After many updates the warm-up is over and the decay must be the constant one.",
        "min, not max; and i grows with each update.",
        idea,
    )


@exercise("17.4")
def memory_eps(answer: Answer) -> None:
    """memory_eps(xt, points, alpha_bar_t): the perfect eps if the data are the points."""
    idea = (
        "logs = -|x_t - a p_i|^2 / (2 s^2), (B, n); shares = softmax of it over i (take off the "
        "largest first); x0 = shares @ points; eps = (x_t - a x0) / s, with a^2 = alpha-bar."
    )
    rng = np.random.default_rng(4)
    points, xt = rng.standard_normal((5, 2)), rng.standard_normal((3, 2))
    bar = 0.5
    a, s = np.sqrt(bar), np.sqrt(1 - bar)
    single = _array(answer(xt, points[:1], bar))
    expect(single.shape == xt.shape, "The answer has the shape of xt.", idea)
    expect(
        close(single, (xt - a * points[0]) / s),
        "With a single training point the noise is no secret: what is it?",
        "x_t = a p + s eps, with roots a and s: solve it for eps.",
        idea,
    )
    expect(
        close(answer(xt, np.concatenate([points, points]), bar), answer(xt, points, bar)),
        "Showing every point twice does not change the law: shares must sum to 1.",
        "Divide the weights of each row by their sum.",
        idea,
    )
    middle = np.array([[1.0, 0.0], [-1.0, 0.0]])
    expect(
        close(answer(np.zeros((1, 2)), middle, bar), np.zeros((1, 2))),
        "Half way between two points their pulls must cancel.",
        "Both points have the same distance there, so the same share: the guess of x_0 is 0.",
        idea,
    )
    wide = 10.0 * middle
    expect(
        close(answer(0.99 * wide, wide, 0.99), (0.99 - np.sqrt(0.99)) * wide / 0.1),
        "With hardly any noise the answer must come from the nearest training point.",
        "The shares fall with the squared distance over 2 s^2; s is small here.",
        idea,
    )
    apart = ((xt[:, None] - a * points) ** 2).sum(2)
    shares = np.exp(-0.5 * apart / (1 - bar))
    shares /= shares.sum(1, keepdims=True)
    expect(
        close(answer(xt, points, bar), (xt - a * shares @ points) / s),
        "Weigh the points by N(x_t; a p_i, s^2): squared distances to a p_i over 2 s^2.",
        "Not the nearest point alone, not all alike; and the distance is to a p_i, not to p_i.",
        idea,
    )
    expect(
        np.isfinite(_array(answer(50.0 * xt, points, 0.999))).all(),
        "Far from all points every weight underflows; subtract the largest logarithm first.",
        "exp(logs - logs.max(1, keepdims=True)) has a 1 in each row.",
        idea,
    )


@exercise("17.5")
def bits(answer: Answer) -> None:
    """bits(nats, dims, levels): bits a dimension of a density of pixels in [-1, 1]."""
    idea = "nats / (dims log 2) - log2(2 / (levels - 1)): the mass is the density times the width."
    for levels in (16, 256):
        width = 2 / (levels - 1)
        uniform = 12 * math.log(levels * width)  # density 1 / (levels width) on all the cells
        found = _array(answer(uniform, 12, levels))
        expect(found.size == 1, "Bits per dimension are one number.", idea)
        found = found.item()
        expect(
            not close(found, math.log2(levels * width) + math.log2(levels / 2)),
            "Your cells are 2 / levels wide. The first grey level is -1, the last is 1: how far "
            "apart are two neighbours?",
            "There is one gap less than there are grey levels.",
            idea,
        )
        expect(
            not close(found, uniform / (12 * math.log(2))),
            "That is the density's own figure; the width of a cell is missing.",
            "Grey levels in [-1, 1] are 2 / (levels - 1) apart, in each of the dimensions.",
            idea,
        )
        expect(
            close(found, math.log2(levels)),
            "A uniform density over all the cells must cost log2(levels) bits a number.",
            "A narrower cell holds less mass, so it costs more bits: check the sign.",
            idea,
        )
    more = float(_array(answer(10.0 + 12 * math.log(2), 12, 16)))
    expect(
        close(more - float(_array(answer(10.0, 12, 16))), 1.0),
        "log 2 nats more for each number must be one bit more per dimension.",
        "Divide by the number of dimensions, and by log 2.",
        idea,
    )
