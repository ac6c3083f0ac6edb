"""Adversarial autoencoder: codes matched to a prior by a judge (Makhzani et al. 2015, 1511.05644).

    autoencoder   min E |x - d(z)|^2 / (2 eta) + lambda E log(1 + e^-D(z)),     z ~ q(z|x)
    D             min E log(1 + e^-D(z')) + E log(1 + e^D(z)),                  z' ~ p(z)

A VAE pays KL(q(z|x) || p(z)) for every x, which needs the density of both. Here D compares samples
of the aggregated posterior q(z) = E q(z|x) with samples of p(z): neither needs a density, so that a
prior may be drawn by hand. Three encoders, and they are different models:

    deterministic   z = e(x):              q(z) is spread by the data alone
    gaussian        z = mu(x) + s(x) eps
    implicit        z = e(x, eps):         any law; no density

With a few labels: D is told the label of a code, which asks for that part of the prior. Or, prior
"classes", the code is (z, y) with y = softmax(..) a class, its prior N(0, I) times one class of all
alike, and those x whose label is known add -log y[label] (section 5 of the paper).

What goes wrong: a judge that is too strong tears the codes apart (hence lambda); with a gaussian
encoder s may go to 0, since no KL asks for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ... import nn
from ...backend import Generator
from ...checks import integers, numbers
from ...nn import functional as F
from ...ops import cat, cos, full, rand, randint, randn, sin, softmax, stack, where
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..likelihoods import reparameterise
from ..nets.condition import check_labels
from ..systems import NEEDED, settings, split
from .objectives import objective

__all__ = ["AAE", "ClassifyingAAE", "ENCODERS", "PRIORS", "Prior", "build", "drawn"]

ENCODERS = ("deterministic", "gaussian", "implicit")

# n draws of z, (n, latent), each of the part of the law that it is told (None: of any).
Prior = Callable[[int, Tensor | None, Generator | None], Tensor]


def gaussian(latent: int, parts: int) -> Prior:
    """N(0, I), which has no parts."""
    return lambda n, part, generator: randn(n, latent, generator=generator)


def mixture(latent: int, parts: int) -> Prior:
    """Long Gaussians around 0 in the plane, as petals; part k is petal k."""
    parts = parts or 10

    def prior(n: int, part: Tensor | None, generator: Generator | None) -> Tensor:
        k = randint(parts, (n,), generator=generator) if part is None else part
        angle = k.float() * (2.0 * math.pi / parts)
        noise = randn(n, 2, generator=generator)
        along, across = 2.2 + 0.7 * noise[:, 0], 0.25 * noise[:, 1]
        c, s = cos(angle), sin(angle)
        return stack([c * along - s * across, s * along + c * across], 1)

    return prior


def roll(latent: int, parts: int) -> Prior:
    """t (cos t, sin t) / 5 and a little noise, t in [1.5 pi, 4.5 pi]; part k: the k-th piece."""

    def prior(n: int, part: Tensor | None, generator: Generator | None) -> Tensor:
        u = rand(n, generator=generator)
        u = u if part is None else (part.float() + u) / parts
        t = math.pi * (1.5 + 3.0 * u)
        points = 0.2 * t.unsqueeze(1) * stack([cos(t), sin(t)], 1)
        return points + 0.04 * randn(n, 2, generator=generator)

    return prior


def classes(latent: int, parts: int) -> Prior:
    """(z, y): z of N(0, I), and y a class as a row of `parts` numbers, 1 at its place."""

    def prior(n: int, part: Tensor | None, generator: Generator | None) -> Tensor:
        z = randn(n, latent, generator=generator)
        k = randint(parts, (n,), generator=generator) if part is None else part
        return cat([z, F.one_hot(k, parts).to(z)], 1)

    return prior


PRIORS = {"gaussian": gaussian, "mixture": mixture, "swiss_roll": roll, "classes": classes}


def drawn(points: Tensor, spread: float = 0.05) -> Prior:
    """A prior of your own: draws from points (m, latent), each moved by Gaussian noise.

    >>> import tinygen as tg
    >>> corners = tg.models.gan.drawn(tg.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0]]))
    >>> corners(5, None, None).shape
    (5, 2)
    """

    def prior(n: int, part: Tensor | None, generator: Generator | None) -> Tensor:
        which = randint(len(points), (n,), generator=generator)
        return points[which] + spread * randn(n, points.shape[1], generator=generator)

    return prior


class AAE(nn.Module):
    """encoder: x (B, *shape) -> code; decoder: code -> picture in [0, 1]; D: code -> a verdict.

    encoder_kind: one of ENCODERS. classes > 0: D is told which part of the prior a code should be
    of: the label of x, or "unknown" (label -1), so that a few labels say which part is which class.
    weight: lambda. variance: eta of the squared error.

    >>> import tinygen as tg
    >>> model = tg.models.build("aae", {"shape": (1, 8, 8), "classes": 10, "prior": "mixture"})
    >>> x, labels = tg.rand(4, 1, 8, 8), tg.tensor([3, -1, -1, 7])         # two are unknown
    >>> sorted(model.terms((x, labels))), model.sample(2, labels=tg.tensor([3, 7])).shape
    (['adversarial', 'error', 'loss'], (2, 1, 8, 8))
    """

    pixels = (0.0, 1.0)

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, D: nn.Module, prior: Prior, *,
        kind: str = "deterministic", classes: int = 0, noise: int = 0, weight: float = 50.0,
        variance: float = 0.05,
    ) -> None:  # fmt: skip
        super().__init__()
        numbers("AAE", 0.0, weight=weight, variance=variance)
        if kind not in ENCODERS or not variance > 0.0:
            raise ValueError(
                f"AAE: expected a kind of {', '.join(ENCODERS)} and variance > 0, got {kind!r}, "
                f"{variance}"
            )
        self.encoder, self.decoder, self.D = encoder, decoder, D
        self.kind, self.prior, self.noise = kind, prior, noise
        self.classes, self.weight, self.variance = classes, weight, variance
        self.row = objective("non_saturating")

    def encode(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """A draw of q(z|x), (B, latent)."""
        if self.kind == "implicit":
            eps = randn(len(x), self.noise, generator=generator).to(x)
            return self.encoder(cat([x.flatten(1), eps], 1))
        code = self.encoder(x)
        if self.kind == "gaussian":
            mu, log_var = code.chunk(2, 1)
            return reparameterise(mu, log_var, generator)
        return code

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """The picture of codes (B, latent), (B, *shape); labels are not needed."""
        return self.decoder(z)

    def draw(
        self, n: int, labels: Tensor | None = None, generator: Generator | None = None
    ) -> Tensor:
        """n codes of the prior, of the parts `labels` where these are given: (n, latent)."""
        if labels is not None:
            labels = check_labels("AAE", labels, n, self.classes)
        like = next(iter(self.decoder.parameters()))
        return self.prior(n, labels, generator).to(like)

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """The autoencoder's loss in nats a picture: error + lambda adversarial."""
        x, labels = split(batch)
        z = self.encode(x)
        error = (self.decoder(z) - x).square().flatten(1).sum(1).mean() / (2.0 * self.variance)
        fooled = self.row.generator(self._judge(z, labels))
        return {"loss": error + self.weight * fooled, "error": error, "adversarial": fooled}

    def discriminator_terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss of D; as real come draws of the prior: of the labels' parts, or of all of it."""
        x, labels = split(batch)
        with no_grad():
            z = self.encode(x)
            real = self.draw(len(x))
            if self.classes and labels is not None:
                of_part = self.draw(len(x), labels.clamp(min=0))
                real = where((labels >= 0).unsqueeze(1), of_part, real)
        loss = self.row.discriminator(self._judge(real, labels), self._judge(z, labels))
        return {"loss": loss}

    def _judge(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """D's logits (B, 1) of codes, told their label; the last of classes + 1 is "unknown"."""
        if not self.classes:
            return self.D(z)
        told = full((len(z),), self.classes, dtype=np.int64, device=z.device)
        if labels is not None:
            check_labels("AAE", labels.clamp(min=0), len(z), self.classes)
            told = where(labels < 0, told, labels)
        return self.D(cat([z, F.one_hot(told, self.classes + 1).to(z)], 1))

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """n pictures (n, *shape) of codes of the prior; labels: of these parts of it."""
        if labels is not None and not self.classes:
            raise ValueError("AAE.sample: labels were given; this model has none")
        return self.decoder(self.draw(n, labels, generator))


class ClassifyingAAE(AAE):
    """Codes (z, y), (B, latent + classes): what kind of thing it is, and how it looks.

    D sees codes alone, no labels. `terms` has also "wrong", -log y[label] of those that have one.

    >>> import tinygen as tg
    >>> model = tg.models.build("aae", {"shape": (1, 8, 8), "classes": 10, "prior": "classes"})
    >>> x, labels = tg.rand(4, 1, 8, 8), tg.tensor([3, -1, -1, 7])         # two are unknown
    >>> sorted(model.terms((x, labels))), model.classify(x).shape
    (['adversarial', 'error', 'loss', 'wrong'], (4,))
    """

    def encode(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        code = super().encode(x, generator)
        return cat([code[:, : -self.classes], softmax(code[:, -self.classes :], 1)], 1)

    @no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """The likeliest class of pictures, (B,)."""
        return self.encode(x)[:, -self.classes :].argmax(1)

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        x, labels = split(batch)
        terms = super().terms((x,))
        if labels is None or not (labels >= 0).any():
            return terms
        rows = (labels >= 0).nonzero()[:, 0]
        y = self.encode(x[rows])[:, -self.classes :].gather(1, labels[rows].unsqueeze(1))
        wrong = -y.clamp(min=1e-6).log().mean()
        return terms | {"wrong": wrong, "loss": terms["loss"] + self.weight * wrong}

    def discriminator_terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        return super().discriminator_terms((split(batch)[0],))

    def _judge(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return self.D(z)


def build(config: Mapping[str, Any]) -> AAE:
    """encoder: one of ENCODERS; prior: one of PRIORS; latent, hidden, classes, weight: see AAE."""
    c = settings(
        "aae", config, shape=NEEDED, latent=2, hidden=256, classes=0, encoder="deterministic",
        prior="gaussian", weight=50.0, variance=0.05,
    )  # fmt: skip
    integers("aae", 0, classes=c.classes)
    if c.encoder not in ENCODERS or c.prior not in PRIORS:
        raise ValueError(
            f"aae: encoder {c.encoder!r}, prior {c.prior!r}; there are {', '.join(ENCODERS)}, and "
            f"{', '.join(PRIORS)}"
        )
    if c.prior in ("mixture", "swiss_roll") and c.latent != 2:
        raise ValueError(f"aae: the prior {c.prior} lies in the plane, but latent is {c.latent}")
    if c.classes and c.prior == "gaussian":
        raise ValueError("aae: a gaussian prior has no parts for classes; take mixture, swiss_roll")
    if c.prior == "classes" and (not c.classes or c.encoder != "deterministic"):
        raise ValueError("aae: the prior classes needs labels, and a deterministic encoder")
    kinds = c.classes if c.prior == "classes" else 0  # numbers of a code that say a class
    code = c.latent + kinds
    noise = 16 if c.encoder == "implicit" else 0
    encoder, decoder = nets.mlp_autoencoder(
        c.shape, code, c.hidden, moments=2 if c.encoder == "gaussian" else 1
    )
    if noise:
        encoder = nets.mlp([math.prod(c.shape) + noise, c.hidden, c.hidden, c.latent])
    decoder.append(nn.Sigmoid())
    told = c.classes + 1 if c.classes and not kinds else 0
    D = nets.mlp([code + told, c.hidden, c.hidden, 1])
    model = ClassifyingAAE if kinds else AAE
    return model(encoder, decoder, D, PRIORS[c.prior](c.latent, c.classes), kind=c.encoder,
               classes=c.classes, noise=noise, weight=c.weight, variance=c.variance)  # fmt: skip
