"""Bounds on log p(x) from importance weights, and estimates of it with their errors. In nats.

Everything starts from log_w (k, B): k draws z ~ q(z|x) for each of B examples, and

    log w = log p(x, z) - log q(z|x)        (a model's method `log_weights` gives it).

E[w] = p(x) for whatever q, so log of the mean of k weights is a lower bound of log p(x) on average:
the ELBO for k = 1, rising with k (Burda, Grosse and Salakhutdinov, "Importance Weighted
Autoencoders", 2015). The weights are w, not 1/w and not the loss: what the inverted ones
do is shown in tests/models/vae/test_bounds.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from ...backend import Generator
from ...checks import positive
from ...ops import cat, logsumexp, softmax
from ...tape import no_grad
from ...tensor import Tensor, wrap

__all__ = [
    "Average", "Importance", "Weighted", "average", "estimate", "importance", "iwae",
    "leave_one_out", "with_gradient_of",
]  # fmt: skip


class Weighted(Protocol):
    """A model with importance weights."""

    def log_weights(
        self,
        x: Tensor,
        k: int = 1,
        generator: Generator | None = None,
        labels: Tensor | None = None,
    ) -> Tensor:
        """log p(x, z) - log q(z|x) for k draws of each example x (B, ...): (k, B) nats."""
        ...


def with_gradient_of(value: Tensor, surrogate: Tensor) -> Tensor:
    """A Tensor that is `value` and whose gradient is that of `surrogate`."""
    return surrogate + (value - surrogate).detach()


def iwae(log_w: Tensor, form: str = "bound") -> Tensor:
    """The importance-weighted bound log 1/k sum_i w_i of each example in nats: (k, B) -> (B,).

    form="bound" differentiates that expression; form="weights" is equation 14 of Burda et al. 2015
    (arXiv:1509.00519),
        sum_i v_i grad log w_i,   v_i = w_i / sum_j w_j, held constant.
    The two gradients are the same, term by term; the second says what they do: an example's draws
    pull in proportion to how well they explain it. ValueError for another form.

    >>> import tinygen as tg
    >>> log_w = tg.tensor([[1.0], [3.0]]).log()        # two draws, weights 1 and 3: log 2
    >>> tg.models.vae.bounds.iwae(log_w), tg.models.vae.bounds.iwae(log_w, form="weights")
    (tensor([0.6931]), tensor([0.6931]))
    """
    value = logsumexp(log_w, 0) - math.log(log_w.shape[0])
    if form == "bound":
        return value
    if form == "weights":
        return with_gradient_of(value, (softmax(log_w.detach(), 0) * log_w).sum(0))
    raise ValueError(f"iwae: expected form 'bound' or 'weights', got {form!r}")


class Importance(NamedTuple):
    """log p(x) by importance sampling. A value is a lower bound on average, and near when `ess` is
    not far from k; `error` does not see what no draw has seen."""

    log_p: Tensor  # (B,) log of the mean of the k weights, in nats
    error: Tensor  # (B,) its standard error from the spread of the weights (delta method)
    ess: Tensor  # (B,) effective number of draws, (sum w)^2 / sum w^2, in 1..k


def estimate(log_w: Tensor) -> Importance:
    """log 1/k sum w with its error and effective sample size: (k, B) -> three of (B,), in nats.

    error = std(w) / (mean(w) sqrt(k)); nan for k = 1, from which nothing can be told.

    >>> import tinygen as tg
    >>> result = tg.models.vae.bounds.estimate(tg.tensor([[1.0], [3.0]]).log())
    >>> result.error, result.ess                       # sqrt(2) / (2 sqrt(2)), (1 + 3)^2 / (1 + 9)
    (tensor([0.5]), tensor([1.6]))
    """
    k = log_w.shape[0]
    log_p = iwae(log_w)
    w = (log_w - log_p).exp()  # relative to their mean
    spread = w.std(0) if k > 1 else log_p * math.nan
    return Importance(log_p, spread / math.sqrt(k), w.sum(0).square() / w.square().sum(0))


@no_grad()
def importance(
    model: Weighted,
    x: Tensor,
    k: int = 100,
    generator: Generator | None = None,
    labels: Tensor | None = None,
    at_once: int = 8192,
    progress: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> Importance:
    """log p(x) of each example from k draws of q(z|x), in nats.

    x: (B, ...). As many draws of the whole batch go through the networks at once as make `at_once`
    rows; labels (B,) for a conditional model. No gradient. ValueError unless k >= 1. progress: what
    the rounds go through, `tinygen.run.through` to see them pass.
    """
    positive("importance", k=k)
    step = max(1, at_once // max(1, x.shape[0]))
    sizes = [min(step, k - start) for start in range(0, k, step)]
    return estimate(
        cat([model.log_weights(x, size, generator, labels) for size in progress(sizes)])
    )


class Average(NamedTuple):
    """A mean over the test set, in nats."""

    mean: float
    over_images: float  # standard error because the test set is a sample of images
    over_draws: float  # standard error because the draws of z are a sample, this test set given


def average(result: Importance) -> Average:
    """The mean log p(x) of a data set in nats, and both of its standard errors.

    >>> import tinygen as tg
    >>> bounds = tg.models.vae.bounds
    >>> result = bounds.average(bounds.estimate(tg.zeros(10, 4) - 2.0))    # equal weights e^-2
    >>> tuple(round(value, 6) for value in result)
    (-2.0, 0.0, 0.0)
    """
    log_p, error = result.log_p.cpu().numpy(), result.error.cpu().numpy()
    n = len(log_p)
    spread = float(log_p.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return Average(float(log_p.mean()), spread, float(np.sqrt((error**2).sum())) / n)


def leave_one_out(values: Tensor) -> Tensor:
    """For each of k draws the mean of the other k - 1, without gradient: a baseline.

    (k, B) -> (k, B); 0 for k = 1. Mnih and Rezende 2016 (arXiv:1602.06725).

    >>> import tinygen as tg
    >>> tg.models.vae.bounds.leave_one_out(tg.tensor([[1.0], [2.0], [6.0]]))[:, 0]
    tensor([4. , 3.5, 1.5])
    """
    k = values.shape[0]
    if k < 2:
        return wrap(np.zeros_like(values._array))
    v = values.detach()
    return (v.sum(0, keepdim=True) - v) / (k - 1)
