"""Score matching: how to learn grad log q(x) from samples of q alone.

Wanted is the least J(s) = 1/2 E_q |s(x) - grad log q(x)|^2, in which grad log q is unknown. Three
ways around it, whose losses differ by what does not depend on s:

    exact       E_q [1/2 |s|^2 + tr(ds/dx)]               J - 1/2 E |grad log q|^2
    sliced      E_q E_v [1/2 |s|^2 + v^T (ds/dx) v]       the same, since E vv^T = I
    denoising   E 1/2 |s(x + sigma eps) + eps/sigma|^2    exact on the noised law + d/(2 sigma^2)

exact: Hyvarinen 2005, by integration by parts; a backward for each dimension. sliced: Song et al.
2019 (arXiv:1905.07088), one backward in all. denoising: Vincent 2011, no second derivative, but it
learns the score of the data with noise. All are in nats, one number an example.
"""

from __future__ import annotations

from collections.abc import Callable

from ...backend import Generator
from ...ops import rand, where
from ...tensor import Tensor, same_shape
from ..likelihoods import sum_dims
from ..ode import divergence

__all__ = ["OBJECTIVES", "denoising", "exact", "signs", "sliced"]

Score = Callable[[Tensor], Tensor]

OBJECTIVES = ("exact", "sliced", "denoising")


def exact(score: Score, x: Tensor) -> Tensor:
    """1/2 |s(x)|^2 + tr(ds/dx): (B, ...) -> (B,).

    >>> import tinygen as tg
    >>> tg.models.score.exact(lambda x: -x, tg.ones(1, 2)).item()      # 1/2 2 - 2
    -1.0
    """
    s, trace = divergence(score, x, create_graph=True)
    return 0.5 * sum_dims(s.square()) + trace


def sliced(score: Score, x: Tensor, probe: Tensor) -> Tensor:
    """1/2 |s(x)|^2 + v^T (ds/dx) v for a probe v as x is shaped, E vv^T = I: (B, ...) -> (B,).

    >>> import tinygen as tg
    >>> x = tg.ones(1, 2)
    >>> tg.models.score.sliced(lambda x: -x, x, probe=tg.models.score.signs(x)).item()
    -1.0
    """
    same_shape("sliced", probe, x)
    s, slope = divergence(score, x, probe, create_graph=True)
    return 0.5 * sum_dims(s.square()) + slope


def denoising(score: Score, x: Tensor, eps: Tensor, sigma: Tensor | float) -> Tensor:
    """1/2 |s(x + sigma eps) + eps/sigma|^2 for eps ~ N(0, I) as x is shaped: (B, ...) -> (B,).

    sigma: one number, or what broadcasts to x.

    >>> import tinygen as tg
    >>> x, eps = tg.zeros(1, 2), tg.ones(1, 2)
    >>> tg.models.score.denoising(lambda x: -x / 4, x, eps, sigma=2.0)     # (-1/2 + 1/2)^2
    tensor([0.])
    """
    same_shape("denoising", eps, x)
    return 0.5 * sum_dims((score(x + sigma * eps) + eps / sigma).square())


def signs(like: Tensor, generator: Generator | None = None) -> Tensor:
    """A probe of +1 and -1 as `like` is, each with probability 1/2: E vv^T = I, least variance.

    >>> import tinygen as tg
    >>> tg.models.score.signs(tg.zeros(2, 3)).square().sum().item()
    6.0
    """
    coins = rand(like.shape, generator=generator, dtype=like.dtype, device=like.device)
    out: Tensor = where(coins < 0.5, -1.0, 1.0).to(like)
    return out
