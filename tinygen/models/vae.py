"""The variational autoencoder (Kingma and Welling, "Auto-Encoding Variational Bayes", 2013).

    p(z) = N(0, I)        prior over codes z of `latent` dimensions
    p(x|z)                decoder: a Bernoulli or a Gaussian for each pixel
    q(z|x) = N(mu(x), diag sigma^2(x))      encoder, an approximation of the posterior p(z|x)

    log p(x) >= ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || p(z)),

and what is missing is KL(q(z|x) || p(z|x)). Training maximises the ELBO over both networks at once.
Everything is in nats, summed over the dimensions of one x or z; the mean over the batch is the
last step. A network's output is called what it is: logits, mean, log_var.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .. import nn
from ..backend import Generator
from ..nn import functional as F
from ..ops import bernoulli, logsumexp, rand, randn, stack
from ..tape import no_grad
from ..tensor import Tensor

LOG_2PI = math.log(2.0 * math.pi)


# --- densities ------------------------------------------------------------------------------


def sum_dims(x: Tensor) -> Tensor:
    """(B, ...) -> (B,): the sum over everything but the batch."""
    return x.flatten(1).sum(1) if x.ndim > 1 else x


def gaussian_log_prob(x: Tensor, mean: Tensor, log_var: Tensor | float) -> Tensor:
    """log N(x; mean, e^log_var) summed over the dimensions of each example: (B, ...) -> (B,)."""
    variance = log_var.exp() if isinstance(log_var, Tensor) else math.exp(log_var)
    return sum_dims(-0.5 * (LOG_2PI + log_var + (x - mean).square() / variance))


def bernoulli_log_prob(x: Tensor, logits: Tensor) -> Tensor:
    """x log p + (1 - x) log(1 - p) with p = sigmoid(logits), summed: (B, ...) -> (B,)."""
    return -sum_dims(F.binary_cross_entropy_with_logits(logits, x, reduction="none"))


def kl_to_standard_normal(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mu, e^log_var) || N(0, I)) = 1/2 sum(mu^2 + e^log_var - 1 - log_var): (B, d) -> (B,)."""
    return 0.5 * sum_dims(mu.square() + log_var.exp() - 1.0 - log_var)


def reparameterise(mu: Tensor, log_var: Tensor, generator: Generator | None = None) -> Tensor:
    """A draw z = mu + sigma eps, eps ~ N(0, I), through which gradients reach mu and log_var.

    sigma = e^(log_var / 2): half of the log-variance, or the ELBO is no bound any more.
    """
    noise = randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + (0.5 * log_var).exp() * noise


# --- what a pixel is drawn from -------------------------------------------------------------


class Bernoulli(nn.Module):
    """p(x|z) = prod p_i^x_i (1 - p_i)^(1 - x_i); the decoder's output is the logits.

    A likelihood of binary pixels. For grey pixels in [0, 1] see `binarise`.
    """

    def log_prob(self, x: Tensor, logits: Tensor) -> Tensor:
        low, high = (float(x._array.min()), float(x._array.max())) if x.numel() else (0.0, 1.0)
        if low < 0.0 or high > 1.0:
            raise ValueError(
                f"Bernoulli: expected pixels in [0, 1], got {low:.3g}..{high:.3g}; scale them with "
                "data.to_unit, or use a Gaussian decoder"
            )
        return bernoulli_log_prob(x, logits)

    def mean(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def sample(self, logits: Tensor, generator: Generator | None = None) -> Tensor:
        return bernoulli(logits.sigmoid(), generator=generator)


class Gaussian(nn.Module):
    """p(x|z) = N(x; mean(z), variance I); the decoder's output is the mean.

    One variance for all pixels. Its log p(x|z) is -|x - mean|^2 / (2 variance) plus a constant:
    the variance is the weight between reconstruction and KL. learn=True makes it a parameter.
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
        return gaussian_log_prob(x, mean, self.log_var)

    def mean(self, mean: Tensor) -> Tensor:
        return mean

    def sample(self, mean: Tensor, generator: Generator | None = None) -> Tensor:
        noise = randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + (0.5 * self.log_var).exp() * noise


def binarise(x: Tensor, generator: Generator | None = None) -> Tensor:
    """Draw each pixel as 0 or 1 with its grey value in [0, 1] as the probability of 1.

    Drawn anew each time, this is "dynamic binarisation": the pixels are then truly Bernoulli, the
    ELBO truly bounds a log-probability, and the decoder's p_i still learns the grey value.
    """
    noise = rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return (noise < x).to(x.dtype)


# --- the model ------------------------------------------------------------------------------


class ELBO(NamedTuple):
    """The terms of the bound, in nats, each the mean over the batch (or (B,) with reduce=False)."""

    elbo: Tensor  # log_likelihood - beta kl
    log_likelihood: Tensor  # E_q log p(x|z), one draw of z
    kl: Tensor  # KL(q(z|x) || p(z)), in closed form


class VAE(nn.Module):
    """Encoder and decoder networks, and the likelihood that turns the latter's output into p(x|z).

    encoder: x (B, ...) -> (B, 2 latent), mu beside log sigma^2
    decoder: z (B, latent) -> what `likelihood` takes, shaped as x
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, likelihood: Bernoulli | Gaussian, latent: int
    ) -> None:
        super().__init__()
        _positive("VAE", latent=latent)
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.latent = latent

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log sigma^2 of q(z|x), each (B, latent)."""
        out = self.encoder(x)
        if out.ndim != 2 or out.shape[1] != 2 * self.latent:
            raise RuntimeError(
                f"VAE: the encoder must return (B, {2 * self.latent}), mu beside log_var, for "
                f"{self.latent} latent dimensions; it returned {out.shape}"
            )
        mu, log_var = out.chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor) -> Tensor:
        """The mean of p(x|z): the picture that z stands for."""
        return self.likelihood.mean(self.decoder(z))

    def forward(
        self, x: Tensor, beta: float = 1.0, generator: Generator | None = None, reduce: bool = True
    ) -> ELBO:
        """The ELBO of a batch and its terms; beta = 1 is the bound, others weigh the KL."""
        mu, log_var = self.encode(x)
        z = reparameterise(mu, log_var, generator)
        log_likelihood = self.likelihood.log_prob(x, self.decoder(z))
        kl = kl_to_standard_normal(mu, log_var)
        terms = ELBO(log_likelihood - beta * kl, log_likelihood, kl)
        return ELBO(*(term.mean() for term in terms)) if reduce else terms

    @no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Decode the mean of q(z|x)."""
        return self.decode(self.encode(x)[0])

    @no_grad()
    def sample(self, n: int, generator: Generator | None = None, noise: bool = False) -> Tensor:
        """n pictures from the prior: the mean of p(x|z), or with noise=True a draw from it."""
        like = next(iter(self.decoder.parameters()))
        z = randn(n, self.latent, generator=generator, dtype=like.dtype, device=like.device)
        out = self.decoder(z)
        return self.likelihood.sample(out, generator) if noise else self.likelihood.mean(out)

    @no_grad()
    def log_prob(self, x: Tensor, samples: int = 100, generator: Generator | None = None) -> Tensor:
        """log p(x) of each example by importance sampling, (B,): a lower bound that tightens.

        log 1/k sum_k p(x|z_k) p(z_k) / q(z_k|x), z_k ~ q(z|x): its expectation rises with k =
        `samples` from the ELBO (k = 1) towards log p(x) (Burda et al., 2015).
        """
        _positive("VAE.log_prob", samples=samples)
        mu, log_var = self.encode(x)
        weights = []
        for _ in range(samples):
            z = reparameterise(mu, log_var, generator)
            log_joint = self.likelihood.log_prob(x, self.decoder(z)) + gaussian_log_prob(z, z * 0.0, 0.0)
            weights.append(log_joint - gaussian_log_prob(z, mu, log_var))
        return logsumexp(stack(weights), 0) - math.log(samples)


def _positive(name: str, **numbers: int) -> None:
    for key, value in numbers.items():
        if value < 1:
            raise ValueError(f"{name}: expected {key} >= 1, got {value}")


# --- reference networks -----------------------------------------------------------------------


def mlp(shape: Sequence[int], latent: int, hidden: int = 256) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder of two hidden layers each, for x of shape (B, *shape)."""
    _positive("mlp", latent=latent, hidden=hidden)
    pixels = math.prod(shape)
    encoder = nn.Sequential(
        nn.Flatten(), nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
        nn.Linear(hidden, 2 * latent),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
        nn.Linear(hidden, pixels), nn.Unflatten(1, tuple(shape)),
    )  # fmt: skip
    return encoder, decoder


def conv(shape: Sequence[int], latent: int, width: int = 32) -> tuple[nn.Module, nn.Module]:
    """Encoder and decoder that halve and double the size twice by 4x4 convolutions of stride 2.

    shape: (C, H, W), H and W divisible by 4, as 8, 28 and 32 are.
    """
    _positive("conv", latent=latent, width=width)
    channels, height, breadth = shape
    if height % 4 or breadth % 4:
        raise ValueError(f"conv: expected a size divisible by 4, got {height} x {breadth}")
    small = (2 * width, height // 4, breadth // 4)
    encoder = nn.Sequential(
        nn.Conv2d(channels, width, 4, 2, 1), nn.SiLU(),
        nn.Conv2d(width, 2 * width, 4, 2, 1), nn.SiLU(),
        nn.Flatten(), nn.Linear(math.prod(small), 2 * latent),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(latent, math.prod(small)), nn.SiLU(), nn.Unflatten(1, small),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.SiLU(),
        nn.ConvTranspose2d(width, channels, 4, 2, 1),
    )  # fmt: skip
    return encoder, decoder


NETS = {"mlp": mlp, "conv": conv}


def set_output_bias(decoder: nn.Module, images: Tensor) -> None:
    """Start the decoder at the mean image, as logits: the first epochs need not learn it.

    For a Bernoulli decoder whose last layer has one bias a pixel (mlp) or a channel (conv).
    """
    layers = [m for m in decoder.modules() if isinstance(getattr(m, "bias", None), Tensor)]
    bias = layers[-1].bias
    mean = images.mean(0).reshape(-1) if bias.numel() > images.shape[1] else images.mean((0, 2, 3))
    p = np.clip(mean.detach().cpu().numpy(), 0.01, 0.99)
    with no_grad():
        bias.copy_(Tensor(np.log(p / (1.0 - p))))
