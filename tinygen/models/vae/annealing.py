"""Annealed importance sampling of log p(x), for any decoder and without its encoder.

From the prior to the posterior along densities f_t(z) = p(z) p(x|z)^t, 0 = t_0 < ... < t_n = 1:

    log w = sum_i (t_i - t_{i-1}) log p(x|z_{i-1}),   z_i from z_{i-1} by a step that keeps f_{t_i}.

E[w] = p(x) exactly, for any number of steps (Neal, 2001), so log of a mean of w is on average a
lower bound of log p(x). That holds as long as no chain's own past chooses its steps: their size is
tuned on pilot chains, which are left out of the mean. The step is Hamiltonian Monte Carlo with a
Metropolis test, as in Wu et al., "On the quantitative analysis of decoder-based generative models",
2016. In nats.
"""

from __future__ import annotations

import numpy as np

from ...autograd import grad
from ...backend import Array, Generator
from ...checks import positive
from ...ops import rand, randn
from ...tape import enable_grad, no_grad
from ...tensor import Tensor
from ..likelihoods import standard_normal_log_prob
from .bounds import Importance, estimate
from .vae import VAE

__all__ = ["PILOTS", "ais", "inverse_temperatures"]

PILOTS = 4  # chains an example that only tune the step size


def inverse_temperatures(steps: int, sharpness: float = 4.0) -> Array:
    """t_0..t_steps: 0 to 1 along a sigmoid, slow at both ends; `sharpness`: how slow. (steps + 1,).

    >>> import tinygen as tg
    >>> tg.models.vae.annealing.inverse_temperatures(2).tolist()
    [0.0, 0.5, 1.0]
    """
    s = 1.0 / (1.0 + np.exp(-sharpness * np.linspace(-1.0, 1.0, steps + 1)))
    return (s - s[0]) / (s[-1] - s[0])


def ais(
    model: VAE,
    x: Tensor,
    chains: int = 16,
    steps: int = 200,
    leapfrog: int = 5,
    step_size: float = 0.1,
    generator: Generator | None = None,
) -> Importance:
    """log p(x) of each example from `chains` runs, in nats; the encoder is not used.

    x: (B, ...). steps: temperatures, leapfrog: gradients a step, step_size: where its tuning
    begins. `PILOTS` more chains an example choose the step size, by their acceptance (towards
    0.65). ValueError for counts below 1.

    >>> import tinygen as tg
    >>> model = tg.models.build("vae", {"shape": (1, 2, 2), "hidden": 4})
    >>> for p in model.parameters():                   # now every picture is 4 fair coins
    ...     _ = tg.nn.init.zeros_(p)
    >>> x = tg.zeros(3, 1, 2, 2)
    >>> tg.models.vae.annealing.ais(model, x, chains=2, steps=2).log_p         # -4 log 2
    tensor([-2.7726, -2.7726, -2.7726])
    """
    positive("ais", chains=chains, steps=steps, leapfrog=leapfrog)
    many = x.repeat(PILOTS + chains, *[1] * (x.ndim - 1))
    times = inverse_temperatures(steps)
    with no_grad():
        size = (many.shape[0], model.latent)
        z = randn(size, generator=generator, dtype=x.dtype, device=x.device)
        log_w, step = z[:, 0] * 0.0, z[:, :1] * 0.0 + step_size
        for before, now in zip(times[:-1], times[1:], strict=True):
            log_w = log_w + float(now - before) * model.log_likelihood(many, z)
            z, accepted = _hmc(model, many, z, float(now), leapfrog, step, generator)
            rate = accepted.to(x.dtype).reshape(-1, x.shape[0])[:PILOTS].mean(0)  # (B,)
            factor = (0.06 * (rate - 0.65)).exp().repeat(PILOTS + chains).unsqueeze(1)
            step = (step * factor).clamp(1e-4, 1.0)
        return estimate(log_w.reshape(-1, x.shape[0])[PILOTS:])


def _energy(model: VAE, x: Tensor, z: Tensor, t: float) -> tuple[Tensor, Tensor]:
    """U(z) = -log p(z) - t log p(x|z), (B,), and its gradient."""
    with enable_grad():
        z = z.detach().requires_grad_()
        u = -standard_normal_log_prob(z) - t * model.log_likelihood(x, z)
        (slope,) = grad(u.sum(), z)
    return u.detach(), slope.detach()


def _hmc(
    model: VAE,
    x: Tensor,
    z: Tensor,
    t: float,
    leapfrog: int,
    size: Tensor,
    generator: Generator | None,
) -> tuple[Tensor, Tensor]:
    """One step that keeps p(z) p(x|z)^t: new z (B, d), and which chains accepted."""
    momentum = randn(z.shape, generator=generator, dtype=z.dtype, device=z.device)
    u, slope = _energy(model, x, z, t)
    start = u + 0.5 * momentum.square().sum(1)
    new, p = z, momentum - 0.5 * size * slope
    for i in range(leapfrog):
        new = new + size * p
        u, slope = _energy(model, x, new, t)
        p = p - (0.5 if i == leapfrog - 1 else 1.0) * size * slope
    end = u + 0.5 * p.square().sum(1)
    draw = rand(start.shape, generator=generator, dtype=z.dtype, device=z.device)
    accepted = draw.log() < start - end
    return z + accepted.to(z.dtype).unsqueeze(1) * (new - z), accepted
