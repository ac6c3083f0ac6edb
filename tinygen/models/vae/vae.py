"""The variational autoencoder (Kingma and Welling, "Auto-Encoding Variational Bayes", 2013).

    p(z) = N(0, I)        prior over codes z of `latent` dimensions
    p(x|z)                decoder: a Bernoulli or a Gaussian for each pixel
    q(z|x) = N(mu(x), diag sigma^2(x))      encoder, an approximation of the posterior p(z|x)

    log p(x) >= ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || p(z)),

and what is missing is KL(q(z|x) || p(z|x)). Training maximises the ELBO over both networks at once.
Everything is in nats, summed over the dimensions of one x or z; the mean over the batch is the
last step. Labels given beside x make it conditional: `ConditionalVAE`.

What goes wrong: blur, since one code must explain all the pictures that it stands for; unused codes
(posterior collapse) where the decoder does well without them; log-variances taken for variances,
and then the "bound" is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ... import nn
from ...backend import Generator
from ...checks import positive
from ...ops import randn
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..likelihoods import (
    LIKELIHOODS,
    Likelihood,
    gaussian_log_prob,
    kl_to_standard_normal,
    reparameterise,
    standard_normal_log_prob,
)
from ..nets.condition import check_labels
from ..systems import NEEDED, settings, split
from .bounds import importance, iwae, leave_one_out, with_gradient_of

__all__ = ["ConditionalVAE", "ELBO", "VAE", "build"]


class ELBO(NamedTuple):
    """The terms of the bound, in nats, each the mean over the batch (or (B,) with reduce=False)."""

    elbo: Tensor  # log_likelihood - beta kl
    log_likelihood: Tensor  # E_q log p(x|z), one draw of z
    kl: Tensor  # KL(q(z|x) || p(z)), in closed form


class VAE(nn.Module):
    """Encoder and decoder networks, and the likelihood that turns the latter's output into p(x|z).

    encoder: x (B, ...) -> (B, 2 latent), mu beside log sigma^2; RuntimeError for another shape
    decoder: z (B, latent) -> what `likelihood` takes, shaped as x

    >>> import tinygen as tg
    >>> model = tg.models.build("vae", {"shape": (1, 8, 8), "hidden": 16})
    >>> for p in model.parameters():                   # q is the prior, p(x|z) 64 fair coins
    ...     _ = tg.nn.init.zeros_(p)
    >>> bound = model(tg.zeros(5, 1, 8, 8))
    >>> round(bound.elbo.item(), 3), bound.kl.item(), model.sample(3).shape        # -64 log 2
    (-44.361, 0.0, (3, 1, 8, 8))
    """

    classes = 0
    pixels = (0.0, 1.0)

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, likelihood: Likelihood, latent: int
    ) -> None:
        super().__init__()
        positive("VAE", latent=latent)
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.latent = latent

    def given(self, x: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        """What a network is called with: x, and in a ConditionalVAE its labels; else ValueError."""
        if labels is not None:
            raise ValueError("VAE: labels were given; that takes a ConditionalVAE")
        return (x,)

    def encode(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """mu and log sigma^2 of q(z|x): (B, ...) -> two of (B, latent)."""
        out = self.encoder(*self.given(x, labels))
        if out.ndim != 2 or out.shape[1] != 2 * self.latent:
            raise RuntimeError(
                f"VAE: the encoder must return (B, {2 * self.latent}), mu beside log_var, for "
                f"{self.latent} latent dimensions; it returned {out.shape}"
            )
        mu, log_var = out.chunk(2, dim=1)
        return mu, log_var

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """The mean of p(x|z), the picture that z stands for: (B, latent) -> (B, C, H, W)."""
        return self.likelihood.mean(self.decoder(*self.given(z, labels)))

    def log_likelihood(self, x: Tensor, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p(x|z) of each example in nats, (B,), for x (B, ...) and z (B, latent)."""
        return self.likelihood.log_prob(x, self.decoder(*self.given(z, labels)))

    def forward(
        self,
        x: Tensor,
        beta: float = 1.0,
        generator: Generator | None = None,
        reduce: bool = True,
        labels: Tensor | None = None,
    ) -> ELBO:
        """The ELBO of a batch x (B, ...) and its terms, in nats.

        beta = 1 is the bound, others weigh the KL (Higgins et al. 2017). reduce: means over the
        batch, else (B,). The gradient goes through the one draw of z
        (`likelihoods.reparameterise`).
        """
        mu, log_var = self.encode(x, labels)
        z = reparameterise(mu, log_var, generator)
        return _terms(
            self.log_likelihood(x, z, labels), kl_to_standard_normal(mu, log_var), beta, reduce
        )

    def terms(self, batch: Tensor | Sequence[Tensor], beta: float = 1.0) -> dict[str, Tensor]:
        """loss = -elbo of a batch (x,) or (x, labels), and the parts of the bound, in nats."""
        x, labels = split(batch)
        bound = self(x, beta, labels=labels if self.classes else None)
        return {"loss": -bound.elbo} | bound._asdict()

    def score_function(
        self,
        x: Tensor,
        k: int = 2,
        beta: float = 1.0,
        generator: Generator | None = None,
        reduce: bool = True,
        labels: Tensor | None = None,
    ) -> ELBO:
        """The same bound from k draws of z, with the other estimator of its gradient (REINFORCE).

        grad_phi E_q[f(z)] = E_q[ (f(z) - b) grad_phi log q(z|x) ],  f = log p(x|z),
        with b the mean f of the other draws (0 for k = 1). No gradient goes through z, so z may be
        discrete and f a black box; its price is variance, of which `forward` has far less
        (Ranganath et al. 2014, arXiv:1401.0118).
        """
        mu, log_var = self.encode(x, labels)
        many = _Repeated(x, labels, k)
        mus, log_vars = many.times(mu), many.times(log_var)
        z = reparameterise(mus, log_vars, generator).detach()
        f = many.back(self.log_likelihood(many.x, z, many.labels))
        log_q = many.back(gaussian_log_prob(z, mus, log_vars))
        gain = f.detach() - leave_one_out(f)
        likelihood = with_gradient_of(f, f + gain * log_q).mean(0)
        return _terms(likelihood, kl_to_standard_normal(mu, log_var), beta, reduce)

    def log_weights(
        self,
        x: Tensor,
        k: int = 1,
        generator: Generator | None = None,
        labels: Tensor | None = None,
    ) -> Tensor:
        """log p(x|z) + log p(z) - log q(z|x) for k draws z ~ q(z|x) of each example: (k, B)."""
        positive("VAE.log_weights", k=k)
        many = _Repeated(x, labels, k)
        mu, log_var = (many.times(moment) for moment in self.encode(x, labels))
        z = reparameterise(mu, log_var, generator)
        log_joint = self.log_likelihood(many.x, z, many.labels) + standard_normal_log_prob(z)
        return many.back(log_joint - gaussian_log_prob(z, mu, log_var))

    def iwae(
        self,
        x: Tensor,
        k: int = 5,
        form: str = "bound",
        generator: Generator | None = None,
        labels: Tensor | None = None,
    ) -> Tensor:
        """The mean importance-weighted bound of a batch in nats, a scalar: `bounds.iwae`."""
        return iwae(self.log_weights(x, k, generator, labels), form).mean()

    @no_grad()
    def reconstruct(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Decode the mean of q(z|x): (B, C, H, W) -> the same shape, no gradient."""
        return self.decode(self.encode(x, labels)[0], labels)

    @no_grad()
    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        labels: Tensor | None = None,
        noise: bool = False,
    ) -> Tensor:
        """n pictures from the prior, (n, C, H, W): the mean of p(x|z).

        noise: draws from p(x|z) instead. labels: (n,) integers, in a conditional model.
        """
        like = next(iter(self.decoder.parameters()))
        z = randn(n, self.latent, generator=generator, dtype=like.dtype, device=like.device)
        out = self.decoder(*self.given(z, labels))
        return self.likelihood.sample(out, generator) if noise else self.likelihood.mean(out)

    @no_grad()
    def log_prob(
        self,
        x: Tensor,
        samples: int = 100,
        generator: Generator | None = None,
        labels: Tensor | None = None,
    ) -> Tensor:
        """log p(x) of each example by importance sampling, (B,) nats: a lower bound that tightens.

        log 1/k sum_k p(x|z_k) p(z_k) / q(z_k|x), z_k ~ q(z|x): its expectation rises with k =
        `samples` from the ELBO (k = 1) towards log p(x) (Burda et al. 2015, arXiv:1509.00519). With
        its standard error: `bounds.importance`.
        """
        positive("VAE.log_prob", samples=samples)
        return importance(self, x, samples, generator, labels).log_p


def _terms(log_likelihood: Tensor, kl: Tensor, beta: float, reduce: bool) -> ELBO:
    terms = ELBO(log_likelihood - beta * kl, log_likelihood, kl)
    return ELBO(*(term.mean() for term in terms)) if reduce else terms


class _Repeated:
    """A batch k times over, (k B, ...), so that k draws for each example are one network call."""

    def __init__(self, x: Tensor, labels: Tensor | None, k: int) -> None:
        self.k = k
        self.x, self.labels = self.times(x), None if labels is None else self.times(labels)

    def times(self, t: Tensor) -> Tensor:
        return t.repeat(self.k, *[1] * (t.ndim - 1))

    def back(self, values: Tensor) -> Tensor:
        """(k B,) -> (k, B)."""
        return values.reshape(self.k, -1)


class ConditionalVAE(VAE):
    """A VAE of x given a label c in 0..classes-1 (Sohn, Lee and Yan, 2015).

    log p(x|c) >= E_q(z|x,c)[log p(x|z,c)] - KL(q(z|x,c) || p(z)). Both networks take (input,
    labels), as those of nets.mlp_autoencoder(..., classes=) do; the prior of z does not depend on
    c, so z keeps what the label does not say. Every method takes labels=, (B,) integers.

    >>> import tinygen as tg
    >>> config = {"shape": (1, 8, 8), "hidden": 16, "classes": 10}
    >>> model = tg.models.build("vae", config)
    >>> type(model).__name__, model.sample(3, labels=tg.tensor([7, 7, 1])).shape
    ('ConditionalVAE', (3, 1, 8, 8))
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

    def given(self, x: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
        """(x, labels); ValueError unless there is a label in 0..classes-1 for each example."""
        if labels is None:
            raise ValueError("ConditionalVAE: give the labels, one integer for each example")
        return x, check_labels("ConditionalVAE", labels, x.shape[0], self.classes)


def build(config: Mapping[str, Any]) -> VAE:
    """For pictures of `shape` in [0, 1]; conditional where classes > 0.

    net: "mlp" (two layers of `hidden`) or "conv". likelihood: a key of LIKELIHOODS. latent: numbers
    in a code.

    >>> import tinygen as tg
    >>> model = tg.models.vae.vae.build({"shape": (1, 8, 8), "net": "conv", "likelihood": "pixel"})
    >>> model.encode(tg.zeros(5, 1, 8, 8))[0].shape, model.sample(3).shape
    ((5, 2), (3, 1, 8, 8))
    """
    c = settings(
        "vae", config, shape=NEEDED, latent=2, net="mlp", hidden=256, likelihood="bernoulli",
        classes=0,
    )  # fmt: skip
    likelihood = LIKELIHOODS[c.likelihood]()
    make, width = nets.AUTOENCODERS[c.net], {"mlp": c.hidden, "conv": 32}[c.net]
    encoder, decoder = make(c.shape, c.latent, width, outputs=likelihood.outputs, classes=c.classes)
    if c.classes:
        return ConditionalVAE(encoder, decoder, likelihood, c.latent, c.classes)
    return VAE(encoder, decoder, likelihood, c.latent)
