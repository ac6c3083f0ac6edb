"""kl_divergence: closed forms of KL(p || q), one function for each pair of families."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from .. import ops
from ..nn import functional as F
from ..tensor import Tensor
from .discrete import Bernoulli, Categorical
from .distribution import Distribution, sum_rightmost
from .gamma import Beta, Dirichlet, Gamma
from .location import Laplace, Normal, Uniform
from .multivariate import Independent, MultivariateNormal
from .transformed import TransformedDistribution

__all__ = ["kl_divergence", "register_kl"]

Pair = TypeVar("Pair", bound=Callable[[Any, Any], Tensor])
PAIRS: dict[tuple[type, type], Callable[[Any, Any], Tensor]] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Pair], Pair]:
    """A decorator: this function of p and q is kl_divergence for them, and for subclasses."""

    def add(function: Pair) -> Pair:
        PAIRS[type_p, type_q] = function
        return function

    return add


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """KL(p || q) = E_p[log p - log q] in nats, of the batch's shape.

    NotImplementedError for a pair of families without a closed form here.

    >>> normal = tg.distributions.Normal
    >>> tg.distributions.kl_divergence(normal(3.0, 1.0), normal(1.0, 1.0))  # (3 - 1)^2 / 2
    tensor(2.)
    """
    for of_p in type(p).__mro__:
        for of_q in type(q).__mro__:
            if (of_p, of_q) in PAIRS:
                return PAIRS[of_p, of_q](p, q)
    raise NotImplementedError(
        f"kl_divergence: no closed form here for {type(p).__name__} and {type(q).__name__}; use "
        "the mean of p.log_prob(x) - q.log_prob(x) over draws x of p"
    )


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).square()
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).square() - 1 - ratio.log())


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, apart = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + apart / q.scale + ratio * (-apart / p.scale).exp() - 1


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    log_ratio = ((q.high - q.low) / (p.high - p.low)).log()
    return log_ratio.masked_fill((q.low > p.low) | (q.high < p.high), math.inf)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    gap = F.softplus(-q.logits) - F.softplus(-p.logits)
    gap_0 = F.softplus(q.logits) - F.softplus(p.logits)
    one = ops.where(p.probs == 0, 0.0, p.probs * gap)
    zero = ops.where(p.probs == 1, 0.0, (1 - p.probs) * gap_0)
    impossible = ((q.probs == 0) & (p.probs > 0)) | ((q.probs == 1) & (p.probs < 1))
    return (one + zero).masked_fill(impossible, math.inf)


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    t = p.probs * (p.logits - q.logits)
    t = t.masked_fill((q.probs == 0).expand(t.shape), math.inf)
    return t.masked_fill((p.probs == 0).expand(t.shape), 0.0).sum(-1)


@register_kl(Gamma, Gamma)
def _gamma(p: Gamma, q: Gamma) -> Tensor:
    a, b = p.concentration, q.concentration
    return (
        b * (p.rate / q.rate).log() + ops.lgamma(b) - ops.lgamma(a) + (a - b) * ops.digamma(a)
        + (q.rate - p.rate) * (a / p.rate)
    )  # fmt: skip


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    a0, b0 = a.sum(-1), b.sum(-1)
    gap = (a - b) * (ops.digamma(a) - ops.digamma(a0).unsqueeze(-1))
    logs = (ops.lgamma(a) - ops.lgamma(b)).sum(-1)
    return ops.lgamma(a0) - ops.lgamma(b0) - logs + gap.sum(-1)


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Tensor:
    return _dirichlet(p._dirichlet(), q._dirichlet())


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    trace = q._solve(q.scale_tril, p.scale_tril).square().sum((-2, -1))
    apart = q._solve(q.scale_tril, (q.loc - p.loc).unsqueeze(-1)).square().sum((-2, -1))
    log_ratio = q._half_log_det() - p._half_log_det()
    d: int = p.event_shape[0]
    return log_ratio + 0.5 * (trace + apart - d)


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("kl_divergence: two Independents of different ndims")
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    if p.transforms != q.transforms:
        raise NotImplementedError("kl_divergence: the transforms of the two differ")
    return kl_divergence(p.base_dist, q.base_dist)
