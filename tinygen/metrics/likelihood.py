"""Numbers about a model: units of likelihood, distances between pictures, use of the code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..nn.functional import ssim as ssim
from ..tensor import Tensor, same_shape

__all__ = ["active_units", "bits_per_dim", "mean_and_error", "psnr", "rate_distortion", "ssim"]


def bits_per_dim(nats: Any, dims: int, levels: int | None = None) -> Any:
    """-log p(x) in nats, for one x of `dims` dimensions -> bits for each dimension.

        (nats + dims log levels) / (dims log 2)

    nats: minus what `log_prob` or an ELBO says, so that less is better; a number, or a Tensor of
    them. levels: the number of grey values, when p is the density of pixels that
    `likelihoods.dequantise` scaled to [0, 1): one grey value is then 1/levels wide, and P(x) ~
    p(x) / levels^dims. None: p is already a probability (Bernoulli pixels, a discretised decoder),
    or a density that is to stay one. ValueError unless dims >= 1 and levels >= 2.

    >>> import math, tinygen as tg
    >>> nats = 784 * math.log(256)                 # every picture of 784 bytes equally likely
    >>> tg.metrics.bits_per_dim(nats, 784), tg.metrics.bits_per_dim(0.0, 784, levels=256)
    (8.0, 8.0)
    """
    if dims < 1 or (levels is not None and levels < 2):
        raise ValueError(f"bits_per_dim: expected dims >= 1 and levels >= 2, got {dims}, {levels}")
    return nats / (dims * math.log(2.0)) + (math.log2(levels) if levels else 0.0)


def psnr(y: Tensor, x: Tensor, data_range: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio 10 log10(range^2 / MSE) in dB of each example: (B, ...) -> (B,).

    A strictly falling function of the MSE: another scale, not another loss. Infinite for y = x.
    data_range: length of the pixels' range, 2 for [-1, 1]. ValueError unless it is > 0 and x and y
    have one shape.

    >>> import tinygen as tg
    >>> x = tg.zeros(2, 1, 4, 4)
    >>> tg.metrics.psnr(x + 0.1, x)                # MSE 0.01
    tensor([20., 20.])
    """
    same_shape("psnr", y, x)
    if not data_range > 0:
        raise ValueError(f"psnr: expected data_range > 0, got {data_range}")
    mse = (y - x).square().flatten(1).mean(1)
    return (10.0 / math.log(10.0)) * (2.0 * math.log(data_range) - mse.log())


def active_units(mu: Tensor, threshold: float = 0.01) -> int:
    """How many dimensions of the code say anything: those with Var_x[mu_j(x)] > threshold.

    mu: the means of q(z|x) over a data set, (N, latent), N >= 2, else ValueError. Burda et al. 2015
    (arXiv:1509.00519).

    >>> import tinygen as tg
    >>> tg.metrics.active_units(tg.tensor([[1.0, 0.0], [-1.0, 0.0]]))
    1
    """
    if mu.ndim != 2 or mu.shape[0] < 2:
        raise ValueError(f"active_units: expected means (N >= 2, latent), got {mu.shape}")
    return int((mu.detach().cpu().numpy().var(0) > threshold).sum())


def mean_and_error(values: Any) -> tuple[float, float]:
    """The mean of n numbers and its standard error std / sqrt(n) (n - 1 in the std).

    values: (n,), n >= 2, a Tensor, an array or a list; ValueError otherwise.

    >>> import tinygen as tg
    >>> tg.metrics.mean_and_error([1.0, 3.0])
    (2.0, 1.0)
    """
    v = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, np.float64)
    if v.ndim != 1 or len(v) < 2:
        raise ValueError(f"mean_and_error: expected at least two numbers, got shape {v.shape}")
    return float(v.mean()), float(v.std(ddof=1) / math.sqrt(len(v)))


def rate_distortion(kl: float, log_likelihood: float) -> tuple[float, float]:
    """(rate, distortion) = (E KL(q||p), -E log p(x|z)) in nats; -ELBO is their sum.

    Alemi et al. 2018, "Fixing a broken ELBO" (arXiv:1711.00464): beta picks a point on the curve of
    what the code costs against what is lost without it.

    >>> import tinygen as tg
    >>> tg.metrics.rate_distortion(kl=2.0, log_likelihood=-80.0)
    (2.0, 80.0)
    """
    return kl, -log_likelihood
