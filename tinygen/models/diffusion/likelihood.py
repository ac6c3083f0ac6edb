"""The variational bound of a diffusion model: T + 1 terms whose sum is -ELBO, in nats.

    -log p(x_0) <=  KL(q(x_T | x_0) || p(x_T))                                    prior
                  + sum_{t=2}^T E KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t))     steps
                  + E [-log p(x_0 | x_1)]                                         decoder

Every KL is between Gaussians, in closed form; the expectations over x_t ~ q(x_t | x_0) are taken
by one draw each. It is the ELBO of a hierarchical VAE whose encoder is fixed (Ho et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...backend import Generator, float64
from ...ops import erf, log, randn, stack, where
from ...tape import no_grad
from ...tensor import Tensor
from ..likelihoods import gaussian_log_prob, kl_gaussians, sum_dims
from .model import Diffusion
from .process import Steps, column

__all__ = ["VLB", "discretised_log_prob", "hybrid_loss", "prior_term", "step_term", "vlb"]


class VLB(NamedTuple):
    """The terms in nats, each (B,); steps (B, T - 1) in the order t = 2 .. T."""

    prior: Tensor
    steps: Tensor
    decoder: Tensor

    @property
    def total(self) -> Tensor:
        """-ELBO >= -log p(x_0) in nats, (B,): prior + steps + decoder."""
        total: Tensor = self.prior + self.steps.sum(1) + self.decoder
        return total


def discretised_log_prob(x: Tensor, mean: Tensor, log_var: Tensor, levels: int) -> Tensor:
    """log of the mass that N(mean, e^log_var) gives the cell of x, summed: (B, ...) -> (B,).

    x takes the `levels` values -1, .., 1 in equal steps; cells meet half way between, and the
    outermost two reach to infinity, so that the masses sum to 1. Far out, where the difference of
    two erf drowns in rounding, width times density at the middle takes over: the density is convex
    there, so this is below the mass, and a bound stays a bound.

    >>> import tinygen as tg
    >>> black_or_white, grey = tg.tensor([[-1.0], [1.0]]), tg.zeros(2, 1)
    >>> tg.models.diffusion.discretised_log_prob(black_or_white, grey, grey, levels=2)     # log 1/2
    tensor([-0.6931, -0.6931])
    """
    if levels < 2:
        raise ValueError(f"discretised_log_prob: expected levels >= 2, got {levels}")
    half = 1.0 / (levels - 1)
    scale = (-0.5 * log_var).exp() * math.sqrt(0.5)
    above = where(x > 1.0 - half, 1.0, erf((x + half - mean) * scale))
    below = where(x < half - 1.0, -1.0, erf((x - half - mean) * scale))
    mass, least = 0.5 * (above - below), 1e-12 if x.dtype == float64 else 1e-5
    density = -0.5 * (math.log(2 * math.pi) + log_var) - (x - mean).square() * scale.square()
    far = density + math.log(2 * half)
    return sum_dims(where(mass > least, log(mass.clamp(min=least)), far))


def prior_term(model: Diffusion, x0: Tensor) -> Tensor:
    """KL(q(x_T | x_0) || N(0, prior_std^2 I)) in nats: (B, ...) -> (B,), free of parameters."""
    mean, variance = model.process.q(x0, model.process.T)
    log_prior = 2.0 * math.log(model.process.prior_std) + 0.0 * variance
    return kl_gaussians(mean, variance.log() + 0.0 * x0, 0.0 * mean, log_prior)


def step_term(
    model: Diffusion,
    x0: Tensor,
    t: Steps,
    eps: Tensor,
    labels: Any = None,
    levels: int | None = None,
    freeze_mean: bool = False,
) -> Tensor:
    """The t-th term of the bound at x_t = a_t x_0 + s_t eps: (B,) nats.

    t >= 2: the KL of that step; t = 1: -log p(x_0 | x_1), by `discretised_log_prob` for data of so
    many `levels`, else a density. freeze_mean: no gradient through the mean (the hybrid loss).
    """
    process = model.process
    t = np.broadcast_to(process.steps(t), x0.shape[:1])
    x = process.diffuse(x0, t, eps)
    p = model.predict(x, t, labels)
    if freeze_mean:
        p = p._replace(x0=p.x0.detach())
    log_var = model.reverse_log_variance(p, x, t, t - 1) + 0.0 * x0
    mean = process.posterior(p.x0, x, t, t - 1).mean
    true = process.posterior(x0, x, t, t - 1).mean
    posterior = process.posterior_variance(np.maximum(t, 2), np.maximum(t, 2) - 1)
    kl = kl_gaussians(true, column(np.log(posterior), x), mean, log_var)
    if not (t == 1).any():
        return kl
    if levels is None:
        decoder = gaussian_log_prob(x0, mean, log_var)
    else:
        decoder = discretised_log_prob(x0, mean, log_var, levels)
    term: Tensor = where(column(t == 1, kl) > 0, -decoder, kl)
    return term


def hybrid_loss(
    model: Diffusion,
    x0: Tensor,
    labels: Any = None,
    levels: int | None = None,
    share: float = 0.001,
    generator: Generator | None = None,
) -> Tensor:
    """L_simple + share * L_vlb for a learned variance (Nichol and Dhariwal 2021, arXiv:2102.09672).

    L_vlb is T times one random term, in nats a dimension; it teaches the variance only. x0: (B,
    ...) -> a scalar. ValueError unless the model was made with variance="learned".
    """
    if model.variance != "learned":
        raise ValueError(
            "hybrid_loss: the model's variance is fixed; make it with variance='learned'"
        )
    model.check_range(x0)
    t = model.process.draw_steps(len(x0), generator)
    eps = randn(x0.shape, generator=generator, dtype=x0.dtype, device=x0.device)
    if labels is not None and model.condition is not None:
        labels = model.drop_labels(model.told(labels, x0), generator)
    bound = model.process.T * step_term(model, x0, t, eps, labels, levels, freeze_mean=True)
    simple = model.errors(x0, t, eps, labels).mean()
    loss: Tensor = simple + share / x0[0].numel() * bound.mean()
    return loss


@no_grad()
def vlb(
    model: Diffusion,
    x0: Tensor,
    labels: Any = None,
    levels: int | None = None,
    generator: Generator | None = None,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> VLB:
    """All terms for each example of x0 (B, ...), in nats, with one draw of x_t for each t.

    progress: what the steps t go through, `tinygen.run.through` to see them pass.

    >>> import tinygen as tg
    >>> model = tg.models.build("diffusion_2d", {"hidden": 8, "T": 4})
    >>> bound = tg.models.diffusion.vlb(model, tg.randn(5, 2))
    >>> bound.prior.shape, bound.steps.shape, bound.decoder.shape, bound.total.shape
    ((5,), (5, 3), (5,), (5,))
    """
    model.check_range(x0)
    terms = []
    for t in progress(range(1, model.process.T + 1)):
        eps = randn(x0.shape, generator=generator, dtype=x0.dtype, device=x0.device)
        terms.append(step_term(model, x0, t, eps, labels, levels))
    return VLB(prior_term(model, x0), stack(terms[1:], 1), terms[0])
