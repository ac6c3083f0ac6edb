"""The variational autoencoder (Kingma and Welling, "Auto-Encoding Variational Bayes", 2013).

    p(z) = N(0, I)        prior over codes z of `latent` dimensions
    p(x|z)                decoder: a Bernoulli or a Gaussian for each pixel
    q(z|x) = N(mu(x), diag sigma^2(x))      encoder, an approximation of the posterior p(z|x)

    log p(x) >= ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || p(z)),

and what is missing is KL(q(z|x) || p(z|x)). Training maximises the ELBO over both networks at once.
Everything is in nats, summed over the dimensions of one x or z; the mean over the batch is the
last step. What is given beside x (a label c) makes it conditional: `ConditionalVAE`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ... import nn
from ...backend import Generator, refuse
from ...ops import one_hot, randn
from ...tape import no_grad
from ...tensor import Tensor
from ..likelihoods import (
    Likelihood,
    gaussian_log_prob,
    kl_to_standard_normal,
    reparameterise,
    standard_normal_log_prob,
)
from ..nets.dense import positive
from .bounds import importance, iwae, leave_one_out, with_gradient_of


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
        self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, latent: int
    ) -> None:
        super().__init__()
        positive("VAE", latent=latent)
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.latent = latent

    def given(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, ...]:
        """What a network is called with: x, and in a conditional model c beside it."""
        if c is not None:
            raise ValueError("VAE: a condition c was given; that takes a ConditionalVAE")
        return (x,)

    def encode(self, x: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """mu and log sigma^2 of q(z|x), each (B, latent)."""
        out = self.encoder(*self.given(x, c))
        if out.ndim != 2 or out.shape[1] != 2 * self.latent:
            raise RuntimeError(
                f"VAE: the encoder must return (B, {2 * self.latent}), mu beside log_var, for "
                f"{self.latent} latent dimensions; it returned {out.shape}"
            )
        mu, log_var = out.chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """The mean of p(x|z): the picture that z stands for."""
        return self.likelihood.mean(self.decoder(*self.given(z, c)))

    def log_likelihood(self, x: Tensor, z: Tensor, c: Tensor | None = None) -> Tensor:
        """log p(x|z) of each example, (B,)."""
        return self.likelihood.log_prob(x, self.decoder(*self.given(z, c)))

    def forward(
        self,
        x: Tensor,
        beta: float = 1.0,
        generator: Generator | None = None,
        reduce: bool = True,
        c: Tensor | None = None,
    ) -> ELBO:
        """The ELBO of a batch and its terms; beta = 1 is the bound, others weigh the KL."""
        mu, log_var = self.encode(x, c)
        z = reparameterise(mu, log_var, generator)
        return _terms(
            self.log_likelihood(x, z, c), kl_to_standard_normal(mu, log_var), beta, reduce
        )

    def score_function(
        self,
        x: Tensor,
        k: int = 2,
        beta: float = 1.0,
        generator: Generator | None = None,
        reduce: bool = True,
        c: Tensor | None = None,
    ) -> ELBO:
        """The same bound from k draws of z, with the other estimator of its gradient (REINFORCE).

        grad_phi E_q[f(z)] = E_q[ (f(z) - b) grad_phi log q(z|x) ],  f = log p(x|z),
        with b the mean f of the other draws (0 for k = 1). No gradient goes through z, so z may be
        discrete and f a black box; the price is variance, which `forward` has far less of.
        """
        mu, log_var = self.encode(x, c)
        many = _Repeated(x, c, k)
        mus, log_vars = many.times(mu), many.times(log_var)
        z = reparameterise(mus, log_vars, generator).detach()
        f = many.back(self.log_likelihood(many.x, z, many.c))
        log_q = many.back(gaussian_log_prob(z, mus, log_vars))
        gain = f.detach() - leave_one_out(f)
        likelihood = with_gradient_of(f, f + gain * log_q).mean(0)
        return _terms(likelihood, kl_to_standard_normal(mu, log_var), beta, reduce)

    def log_weights(
        self, x: Tensor, k: int = 1, generator: Generator | None = None, c: Tensor | None = None
    ) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x) for k draws z ~ q(z|x) of each example: (k, B)."""
        positive("VAE.log_weights", k=k)
        many = _Repeated(x, c, k)
        mu, log_var = (many.times(moment) for moment in self.encode(x, c))
        z = reparameterise(mu, log_var, generator)
        log_joint = self.log_likelihood(many.x, z, many.c) + standard_normal_log_prob(z)
        return many.back(log_joint - gaussian_log_prob(z, mu, log_var))

    def iwae(
        self,
        x: Tensor,
        k: int = 5,
        form: str = "bound",
        generator: Generator | None = None,
        c: Tensor | None = None,
    ) -> Tensor:
        """The importance-weighted bound of a batch, its mean in nats; `bounds.iwae` says more."""
        return iwae(self.log_weights(x, k, generator, c), form).mean()

    @no_grad()
    def reconstruct(self, x: Tensor, c: Tensor | None = None) -> Tensor:
        """Decode the mean of q(z|x)."""
        return self.decode(self.encode(x, c)[0], c)

    @no_grad()
    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        noise: bool = False,
        c: Tensor | None = None,
    ) -> Tensor:
        """n pictures from the prior: the mean of p(x|z), or with noise=True a draw from it."""
        like = next(iter(self.decoder.parameters()))
        z = randn(n, self.latent, generator=generator, dtype=like.dtype, device=like.device)
        out = self.decoder(*self.given(z, c))
        return self.likelihood.sample(out, generator) if noise else self.likelihood.mean(out)

    @no_grad()
    def log_prob(
        self,
        x: Tensor,
        samples: int = 100,
        generator: Generator | None = None,
        c: Tensor | None = None,
    ) -> Tensor:
        """log p(x) of each example by importance sampling, (B,): a lower bound that tightens.

        log 1/k sum_k p(x|z_k) p(z_k) / q(z_k|x), z_k ~ q(z|x): its expectation rises with k =
        `samples` from the ELBO (k = 1) towards log p(x) (Burda et al., 2015). With its standard
        error: `bounds.importance`.
        """
        positive("VAE.log_prob", samples=samples)
        return importance(self, x, samples, generator, c).log_p


def _terms(log_likelihood: Tensor, kl: Tensor, beta: float, reduce: bool) -> ELBO:
    terms = ELBO(log_likelihood - beta * kl, log_likelihood, kl)
    return ELBO(*(term.mean() for term in terms)) if reduce else terms


class _Repeated:
    """A batch k times over, (k B, ...), so that k draws for each example are one network call."""

    def __init__(self, x: Tensor, c: Tensor | None, k: int) -> None:
        self.k = k
        self.x, self.c = self.times(x), None if c is None else self.times(c)

    def times(self, t: Tensor) -> Tensor:
        return t.repeat(self.k, *[1] * (t.ndim - 1))

    def back(self, values: Tensor) -> Tensor:
        """(k B,) -> (k, B)."""
        return values.reshape(self.k, -1)


class ConditionalVAE(VAE):
    """A VAE of x given a label c in 0..classes-1 (Sohn, Lee and Yan, 2015).

    log p(x|c) >= E_q(z|x,c)[log p(x|z,c)] - KL(q(z|x,c) || p(z)). Both networks take (input, c)
    with c one-hot, as those of nets.mlp_autoencoder(..., condition=classes) do; the prior of z does
    not depend on c, so z keeps what the label does not say. Every method takes c=, (B,) integers.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        latent: int,
        classes: int,
    ) -> None:
        super().__init__(encoder, decoder, likelihood, latent)
        positive("ConditionalVAE", classes=classes)
        self.classes = classes

    def given(self, x: Tensor, c: Tensor | None) -> tuple[Tensor, ...]:
        if c is None:
            raise ValueError("ConditionalVAE: give the labels, c=, one integer for each example")
        return x, one_hot(self.checked(c, x.shape[0]), self.classes).to(x.dtype)

    def checked(self, c: Tensor, batch: int) -> Tensor:
        """The labels, or a ValueError that says what is wrong with them."""
        if c.shape != (batch,) or not np.issubdtype(c.dtype, np.integer):
            raise ValueError(
                f"ConditionalVAE: expected {batch} integer labels, got {c.dtype} of shape {c.shape}"
            )
        if batch:
            low, high, last = c._array.min(), c._array.max(), self.classes - 1
            refuse((low < 0) | (high > last), lambda: ValueError(
                f"ConditionalVAE: expected labels in 0..{last}, got {int(low)}..{int(high)}"
            ))  # fmt: skip
        return c
