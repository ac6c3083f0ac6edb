"""Densities, and what a pixel is drawn from: the likelihoods p(x|z) of every decoder.

Everything is in nats, summed over the dimensions of one example: (B, ...) -> (B,). A network's
output is called what it is: logits, mean, log_var. From easy to hard: densities, Bernoulli
pixels, Gaussian pixels with one variance, with one for each pixel; binary and continuous data.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .. import nn
from ..backend import Generator, float32, refuse, uint8
from ..nn import functional as F
from ..ops import bernoulli, expm1, rand, randn, where
from ..tensor import Tensor, same_shape

__all__ = [
    "Bernoulli", "Gaussian", "GaussianPerPixel", "LIKELIHOODS", "LOG_2PI", "Likelihood",
    "bernoulli_log_prob", "binarise", "dequantise", "gaussian_log_prob", "kl_gaussians",
    "kl_to_standard_normal", "logistic_bins", "reparameterise", "standard_normal_log_prob",
    "sum_dims",
]  # fmt: skip

LOG_2PI = math.log(2.0 * math.pi)


# --- densities ------------------------------------------------------------------------------


def sum_dims(x: Tensor) -> Tensor:
    """(B, ...) -> (B,): the sum over everything but the batch; (B,) stays as it is."""
    return x.flatten(1).sum(1) if x.ndim > 1 else x


def gaussian_log_prob(x: Tensor, mean: Tensor, log_var: Tensor | float) -> Tensor:
    """log N(x; mean, e^log_var) in nats, summed over an example's dimensions: (B, ...) -> (B,).

    log_var: as x, or what broadcasts to it, or one number.

    >>> import tinygen as tg
    >>> x = tg.zeros(1, 2)
    >>> tg.models.likelihoods.gaussian_log_prob(x, mean=x, log_var=0.0)    # -log 2 pi
    tensor([-1.8379])
    """
    variance = log_var.exp() if isinstance(log_var, Tensor) else math.exp(log_var)
    return sum_dims(-0.5 * (LOG_2PI + log_var + (x - mean).square() / variance))


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I) = -1/2 sum(z^2 + log 2 pi) in nats: (B, d) -> (B,).

    >>> import tinygen as tg
    >>> tg.models.likelihoods.standard_normal_log_prob(tg.zeros(1, 2))     # -log 2 pi
    tensor([-1.8379])
    """
    return sum_dims(-0.5 * (LOG_2PI + z.square()))


def bernoulli_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    """x log p + (1 - x) log(1 - p) with p = sigmoid(logits), summed, in nats: (B, ...) -> (B,).

    >>> import tinygen as tg
    >>> tg.models.likelihoods.bernoulli_log_prob(tg.ones(1, 3), tg.zeros(1, 3))     # 3 log 1/2
    tensor([-2.0794])
    """
    return -sum_dims(F.binary_cross_entropy_with_logits(logits, x, reduction="none"))


def logistic_bins(x: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """log P of each pixel of x in [-1, 1], one of `levels` grey values, in nats: (B, ...) as x.

        P(x) = F((x + h - mean) / s) - F((x - h - mean) / s),   F the sigmoid, s = e^log_scale

    with h half the distance of two grey values; the first and the last take what is left outside,
    so that the sum over all is 1 (Salimans et al. 2017, arXiv:1701.05517). mean, log_scale: what
    broadcasts with x.

    >>> import tinygen as tg
    >>> x, zero = tg.linspace(-1.0, 1.0, 256), tg.zeros(1)
    >>> tg.models.likelihoods.logistic_bins(x, zero, zero - 2.0, levels=256).exp().sum()
    tensor(1.)
    """
    h, inverse = 1.0 / (levels - 1), (-log_scale).exp()
    above, below = (x + h - mean) * inverse, (x - h - mean) * inverse
    # F(a) - F(b) = F(a) (1 - F(b)) (1 - e^(b - a)); its logarithm loses no digits.
    inside = F.logsigmoid(above) - F.softplus(below) + (-expm1(-2.0 * h * inverse)).log()
    edge = where(x > 1.0 - h, -F.softplus(below), inside)
    return where(x < -1.0 + h, F.logsigmoid(above), edge)


def kl_to_standard_normal(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mu, e^log_var) || N(0, I)) = 1/2 sum(mu^2 + e^log_var - 1 - log_var): (B, d) -> (B,).

    >>> import tinygen as tg
    >>> tg.models.likelihoods.kl_to_standard_normal(tg.tensor([[2.0, 0.0]]), tg.zeros(1, 2))
    tensor([2.])
    """
    return 0.5 * sum_dims(mu.square() + log_var.exp() - 1.0 - log_var)


def kl_gaussians(mu: Tensor, log_var: Tensor, mean: Tensor, prior_log_var: Tensor) -> Tensor:
    """KL(N(mu, e^log_var) || N(mean, e^prior_log_var)), diagonal, in nats: (B, d) -> (B,).

    1/2 sum( (mu - mean)^2 / v + e^log_var / v - 1 - log_var + log v ),  v = e^prior_log_var.

    >>> import tinygen as tg
    >>> zero = tg.zeros(1, 1)
    >>> tg.models.likelihoods.kl_gaussians(zero + 3, zero, zero + 1, zero)         # (3 - 1)^2 / 2
    tensor([2.])
    """
    gap = log_var - prior_log_var
    apart = (mu - mean).square() * (-prior_log_var).exp()
    return 0.5 * sum_dims(apart + gap.exp() - 1.0 - gap)


def reparameterise(mu: Tensor, log_var: Tensor, generator: Generator | None = None) -> Tensor:
    """A draw z = mu + sigma eps, eps ~ N(0, I), through which gradients reach mu and log_var.

    sigma = e^(log_var / 2): half of the log-variance, or the ELBO is no bound any more. Kingma and
    Welling 2013 (arXiv:1312.6114).
    """
    noise = randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + (0.5 * log_var).exp() * noise


# --- what a pixel is drawn from -------------------------------------------------------------


def _one_each(name: str, x: Tensor, mean: Tensor) -> None:
    """Broadcasting would count pixels twice, and call the sum a likelihood."""
    same_shape(name, x, mean, f"build the decoder for x's shape, with outputs={name}.outputs")


def _in_unit_interval(name: str, x: Tensor) -> None:
    if x.numel():
        low, high = x._array.min(), x._array.max()
        refuse(~((low >= 0) & (high <= 1)), lambda: ValueError(
            f"{name}: expected pixels in [0, 1], got {float(low):.3g}..{float(high):.3g}; scale "
            "them with data.to_unit, or use a Gaussian decoder"
        ))  # fmt: skip


class Likelihood(nn.Module):
    """p(x|z). `out` is the decoder's output, of `outputs` values a pixel: (B, outputs C, ...)."""

    outputs = 1

    def log_prob(self, x: Tensor, out: Tensor) -> Tensor:
        """log p(x|z) in nats: (B, ...) -> (B,)."""
        raise NotImplementedError

    def mean(self, out: Tensor) -> Tensor:
        """E[x|z], the picture that z stands for: (B, C, ...)."""
        raise NotImplementedError

    def sample(self, out: Tensor, generator: Generator | None = None) -> Tensor:
        """A draw of p(x|z), with its noise: (B, C, ...)."""
        raise NotImplementedError


class Bernoulli(Likelihood):
    """p(x|z) = prod p_i^x_i (1 - p_i)^(1 - x_i); the decoder's output is the logits.

    A likelihood of binary pixels. For grey pixels in [0, 1] see `binarise`. ValueError for pixels
    outside [0, 1] and for logits of another shape than x.

    >>> import tinygen as tg
    >>> fair = tg.models.likelihoods.Bernoulli()
    >>> fair.log_prob(tg.ones(1, 1, 2, 2), tg.zeros(1, 1, 2, 2))       # 4 coins: -4 log 2
    tensor([-2.7726])
    """

    def log_prob(self, x: Tensor, logits: Tensor) -> Tensor:
        """sum of x log p + (1 - x) log(1 - p), p = sigmoid(logits), in nats: (B, ...) -> (B,)."""
        _one_each("Bernoulli", x, logits)
        _in_unit_interval("Bernoulli", x)
        return bernoulli_log_prob(x, logits)

    def mean(self, logits: Tensor) -> Tensor:
        """The probabilities sigmoid(logits), shaped as they are."""
        return logits.sigmoid()

    def sample(self, logits: Tensor, generator: Generator | None = None) -> Tensor:
        """Each pixel 0 or 1, 1 with probability sigmoid(logits); no gradient passes."""
        return bernoulli(logits.sigmoid(), generator=generator)


class Gaussian(Likelihood):
    """p(x|z) = N(x; mean(z), variance I); the decoder's output is the mean.

    One variance eta for all pixels. Its log p(x|z) is -|x - mean|^2 / (2 eta) plus a constant:
    1 / (2 eta) is the weight of the squared error against the KL, so to choose eta is to choose
    beta. learn=True makes log eta a parameter; its optimum is the mean squared error itself.
    ValueError unless variance > 0, and for a mean of another shape than x.

    >>> import tinygen as tg
    >>> unit, x = tg.models.likelihoods.Gaussian(variance=1.0), tg.zeros(1, 1, 2, 2)
    >>> unit.log_prob(x, x)                        # 4 pixels: -4/2 log 2 pi
    tensor([-3.6758])
    """

    def __init__(self, variance: float = 0.05, learn: bool = False) -> None:
        super().__init__()
        if not variance > 0.0:
            raise ValueError(f"Gaussian: expected a variance > 0, got {variance}")
        start = Tensor([math.log(variance)])
        if learn:
            self.log_var = nn.Parameter(start)
        else:
            self.register_buffer("log_var", start)

    def log_prob(self, x: Tensor, mean: Tensor) -> Tensor:
        """-1/2 sum((x - mean)^2 / eta + log(2 pi eta)) in nats: (B, ...) -> (B,)."""
        _one_each("Gaussian", x, mean)
        return gaussian_log_prob(x, mean, self.log_var)

    def mean(self, mean: Tensor) -> Tensor:
        """The decoder's output itself."""
        return mean

    def sample(self, mean: Tensor, generator: Generator | None = None) -> Tensor:
        """mean + sqrt(eta) noise, shaped as the mean; gradients pass to mean and eta."""
        return reparameterise(mean, self.log_var.expand(mean.shape), generator)


class GaussianPerPixel(Likelihood):
    """p(x|z) = N(x; mean(z), diag variance(z)): the decoder also says how sure it is, where.

    The decoder's output (B, 2C, ...) is the means, then raw numbers r; log variance = floor +
    softplus(r - floor), with floor = log `smallest`. Without a floor the likelihood has no maximum:
    a pixel that is always 0 would get variance 0 and an infinite density. ValueError unless
    smallest > 0, and where mean and x differ in shape; RuntimeError for an odd number of channels.

    >>> import tinygen as tg
    >>> likelihood, out = tg.models.likelihoods.GaussianPerPixel(), tg.zeros(5, 2, 8, 8)
    >>> likelihood.mean(out).shape, likelihood.log_prob(tg.zeros(5, 1, 8, 8), out).shape
    ((5, 1, 8, 8), (5,))
    """

    outputs = 2

    def __init__(self, smallest: float = 1e-3) -> None:
        super().__init__()
        if not smallest > 0.0:
            raise ValueError(f"GaussianPerPixel: expected smallest > 0, got {smallest}")
        self.floor = math.log(smallest)

    def moments(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of every pixel: (B, 2C, ...) -> two of (B, C, ...)."""
        if out.shape[1] % 2:
            raise RuntimeError(
                "GaussianPerPixel: expected a decoder output (B, 2C, ...), means then log "
                f"variances; got {out.shape}. Build the networks with outputs=2"
            )
        mean, raw = out.chunk(2, dim=1)
        return mean, self.floor + F.softplus(raw - self.floor)

    def log_prob(self, x: Tensor, out: Tensor) -> Tensor:
        """log N(x; mean, variance) of x (B, C, ...) in nats: (B,)."""
        mean, log_var = self.moments(out)
        _one_each("GaussianPerPixel", x, mean)
        return gaussian_log_prob(x, mean, log_var)

    def mean(self, out: Tensor) -> Tensor:
        """The first half of the channels: (B, 2C, ...) -> (B, C, ...)."""
        return self.moments(out)[0]

    def sample(self, out: Tensor, generator: Generator | None = None) -> Tensor:
        """A draw of each pixel with its own variance: (B, 2C, ...) -> (B, C, ...)."""
        return reparameterise(*self.moments(out), generator)


LIKELIHOODS: dict[str, Callable[[], Likelihood]] = {
    "bernoulli": Bernoulli,
    "gaussian": lambda: Gaussian(0.05, learn=True),
    "fixed": lambda: Gaussian(0.05),
    "pixel": GaussianPerPixel,
}


# --- data for a likelihood ------------------------------------------------------------------


def binarise(x: Tensor, generator: Generator | None = None) -> Tensor:
    """Draw each pixel as 0 or 1 with its grey value in [0, 1] as the probability of 1.

    Drawn anew each time, this is "dynamic binarisation": the pixels are then truly Bernoulli, the
    ELBO truly bounds a log-probability, and the decoder's p_i still learns the grey value.
    Raises ValueError for a value outside [0, 1], which is no probability.

    >>> import tinygen as tg
    >>> tg.models.likelihoods.binarise(tg.tensor([[0.0, 1.0]]))        # sure pixels stay
    tensor([[0., 1.]])
    """
    _in_unit_interval("binarise", x)
    noise = rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return (noise < x).to(x.dtype)


def dequantise(pixels: Tensor, maximum: int = 255, generator: Generator | None = None) -> Tensor:
    """uint8 pixels x in 0..maximum -> (x + u) / (maximum + 1) in [0, 1), u uniform in [0, 1).

    A density on the integers is unbounded (a spike on each costs nothing), one on [0, 1) is not:
    with n = maximum + 1 grey levels and D pixels, by Jensen (Theis et al., 2016)
        E_u log p((x + u) / n) - D log n  <=  log P(x),   P(x) = integral of p over x's own cube.
    `metrics.bits_per_dim(-log_p, D, levels=n)` takes the D log n off.

    >>> import tinygen as tg
    >>> x = tg.models.likelihoods.dequantise(tg.tensor([[0, 255]], dtype=tg.uint8))
    >>> bool(x[0, 0] < 1 / 256), bool(x[0, 1] >= 255 / 256), bool(x.max() < 1)
    (True, True, True)
    """
    if pixels.dtype != uint8:
        raise TypeError(f"dequantise: expected uint8 pixels, got {pixels.dtype}")
    if pixels.numel():
        too_bright = ValueError(f"dequantise: a pixel is above the maximum, {maximum}")
        refuse(pixels._array.max() > maximum, lambda: too_bright)
    noise = rand(pixels.shape, generator=generator, device=pixels.device)
    return ((pixels.to(float32) + noise) / (maximum + 1.0)).clamp(max=1.0 - 2.0**-24)
