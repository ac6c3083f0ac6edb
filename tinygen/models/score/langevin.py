"""Langevin dynamics: samples of a law of which only the score s(x) = grad log p(x) is known.

    ula:    x <- x + a/2 s(x) + sqrt(a) z,    z ~ N(0, I)

The unadjusted algorithm. For small steps a its stationary law is p; for a finite one it is off: on
N(0, sigma^2) a step is x <- (1 - b) x + sqrt(a) z with b = a / (2 sigma^2), so that the variance
v = (1 - b)^2 v + a is

    v = a / (b (2 - b)) = sigma^2 / (1 - a / (4 sigma^2)),      and none for a >= 4 sigma^2

MALA, the adjusted one, is exact: a step is a proposal, taken with probability

    min(1, p(x') q(x | x') / (p(x) q(x' | x))),    q the Gaussian of the step above

(Besag 1994; Roberts and Tweedie 1996); it needs log p up to a constant. Annealed Langevin (Song and
Ermon 2019, arXiv:1907.05600) goes through laws with less and less noise: where modes are far apart
plain Langevin never learns how much each weighs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from ...autograd import grad
from ...backend import Generator
from ...checks import integers, numbers
from ...ops import rand, randn, where
from ...tape import enable_grad, no_grad
from ...tensor import Tensor
from ..likelihoods import sum_dims

__all__ = ["annealed", "gradient", "mala", "ula"]


@enable_grad()
def gradient(log_density: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """log p(x) (B,) and the score grad log p(x), as x is shaped; both without a graph.

    >>> import tinygen as tg
    >>> from tinygen.models.likelihoods import standard_normal_log_prob
    >>> tg.models.score.gradient(standard_normal_log_prob, tg.tensor([[1.0, 2.0]]))[1]
    tensor([[-1., -2.]])
    """
    x = x.detach().requires_grad_()
    value = log_density(x)
    (slope,) = grad(value.sum(), x)
    return value.detach(), slope


def ula(
    score: Callable[[Tensor], Tensor],
    x: Tensor,
    step: float,
    steps: int,
    generator: Generator | None = None,
) -> Iterator[Tensor]:
    """The points x (B, ...) after each of `steps` steps of size `step`, the a above.

    ValueError unless step > 0 and steps >= 1.

    >>> import tinygen as tg
    >>> *_, x = tg.models.score.ula(lambda x: -x, tg.zeros(1000, 2), step=0.5, steps=50)
    >>> x.shape
    (1000, 2)
    """
    _checked("ula", step, steps)
    for _ in range(steps):
        with no_grad():
            x = x + 0.5 * step * score(x) + math.sqrt(step) * _normal(x, generator)
        yield x


def annealed(
    score: Callable[[Tensor, float], Tensor],
    x: Tensor,
    sigmas: Sequence[float],
    step: float,
    steps: int,
    generator: Generator | None = None,
) -> Iterator[Tensor]:
    """`steps` steps of Langevin at every noise level of `sigmas`, which falls; x after each.

    score(x, sigma) is that of the data with noise N(0, sigma^2 I). At level sigma a = step sigma^2:
    the signal-to-noise ratio of a step is the same at all levels. ValueError unless sigmas fall.

    >>> import tinygen as tg
    >>> score = lambda x, sigma: -x / (1.0 + sigma**2)         # of N(0, I) with noise
    >>> chain = tg.models.score.annealed(score, 5 * tg.randn(9, 2), [4.0, 1.0, 0.2], 0.2, steps=10)
    >>> len(list(chain))
    30
    """
    if not len(sigmas) or any(b >= a for a, b in zip(sigmas, sigmas[1:])):
        raise ValueError(f"annealed: expected noise levels that fall, got {list(sigmas)}")
    for sigma in sigmas:
        at_level = lambda x, sigma=sigma: score(x, sigma)
        for moved in ula(at_level, x, step * sigma**2, steps, generator):
            x = moved
            yield x


def mala(
    log_density: Callable[[Tensor], Tensor],
    x: Tensor,
    step: float,
    steps: int,
    generator: Generator | None = None,
    reach: float = math.inf,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Langevin with each step accepted or not: (x, accepted (B,) of 0 and 1) after every step.

    log_density: log p(x) + any constant, (B, ...) -> (B,). Exact for every step; 0.57 is the best
    share to accept in many dimensions. Far out, where log p is steep, steps overshoot and none is
    taken: reach cuts the drift a/2 s at a length of reach sqrt(a), and leaves all exact.

    >>> import tinygen as tg
    >>> from tinygen.models.likelihoods import standard_normal_log_prob
    >>> *_, (x, accepted) = tg.models.score.mala(standard_normal_log_prob, tg.zeros(9, 2), 0.5, 50)
    >>> x.shape, accepted.shape
    ((9, 2), (9,))
    """
    _checked("mala", step, steps)

    def at(x: Tensor) -> tuple[Tensor, Tensor]:
        """log p and the score, cut where the drift would be too long."""
        log_p, s = gradient(log_density, x)
        if reach == math.inf:
            return log_p, s
        length, most = sum_dims(s.square()).sqrt(), 2.0 * reach / math.sqrt(step)
        return log_p, s * (most / length.clamp(min=most)).reshape(-1, *[1] * (x.ndim - 1))

    log_p, s = at(x)
    for _ in range(steps):
        with no_grad():
            z = _normal(x, generator)
            there = x + 0.5 * step * s + math.sqrt(step) * z
            log_p_there, s_there = at(there)
            forth = -0.5 * sum_dims(z.square())  # log q(x' | x), both without the same constant
            back = -sum_dims((x - there - 0.5 * step * s_there).square()) / (2.0 * step)
            coins = rand(len(x), generator=generator, dtype=x.dtype, device=x.device)
            yes = (coins.log() < log_p_there + back - log_p - forth).to(x)
            each = yes.reshape(-1, *[1] * (x.ndim - 1)) > 0
            x, s = where(each, there, x), where(each, s_there, s)
            log_p = where(yes > 0, log_p_there, log_p)
        yield x, yes


def _normal(x: Tensor, generator: Generator | None) -> Tensor:
    return randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)


def _checked(name: str, step: float, steps: int) -> None:
    integers(name, 1, steps=steps)
    numbers(name, step=step)
    if not step > 0:
        raise ValueError(f"{name}: expected step > 0, got {step}")
