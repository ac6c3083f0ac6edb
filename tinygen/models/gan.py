"""Generative adversarial networks: the objectives in one table, and the model that uses a row.

A generator G turns noise z into samples; a discriminator D is trained to tell them from data; G is
trained on what D says. What D's output means is the first column of the table:

    logit   belief that x is data is sigmoid(output); at best log p_d(x)/p_g(x)
    score   a critic: the higher the more like data, no bound, no sigmoid
    energy  the lower the more like data (BEGAN's autoencoder error)

Networks end in this raw output, never in a sigmoid: losses are stable functions of it. All losses
are to be minimised, each is a mean over the batch. `OBJECTIVES[name]` is one row; a new objective
is one more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .. import nn
from ..backend import Array, Generator
from ..nn import functional as F
from ..ops import cat, exp, mean, randn, relu, softplus, square
from ..tape import no_grad
from ..tensor import Tensor, wrap
from .gan_nets import AutoencoderEnergy, MinibatchDiscrimination
from .gan_penalties import PENALTIES

__all__ = [
    "Conditional", "DTerms", "GAN", "Objective", "critic_gap", "cross_entropy", "energy_gap",
    "hinge_d", "kl", "least_squares_d", "least_squares_divergence", "log_ratio", "objective",
    "pack", "probability_real", "reverse_kl_minus_two_jsd", "two_jsd", "with_labels",
]  # fmt: skip

Densities = Callable[[Array, Array], Array]  # p_d(x), p_g(x) -> a number at each x

# --- losses of the discriminator, from its outputs for data and for samples -------------------


def cross_entropy(real: Tensor, fake: Tensor, target: float = 1.0) -> Tensor:
    """-E[t log D(x) + (1 - t) log(1 - D(x))] - E[log(1 - D(G(z)))]; t < 1 smooths one side.

    Its minimum over all D is at D = t p_d / (p_d + p_g) where t is 1 or smoothed, and with t = 1
    it is log 4 - 2 JSD(p_d, p_g) (Goodfellow et al. 2014, arXiv:1406.2661).
    """
    on_real = target * softplus(-real) + (1.0 - target) * softplus(real)
    return mean(on_real) + mean(softplus(fake))


def least_squares_d(real: Tensor, fake: Tensor, target: float = 1.0) -> Tensor:
    """1/2 E[(D(x) - t)^2] + 1/2 E[D(G(z))^2] (Mao et al. 2016, arXiv:1611.04076)."""
    return 0.5 * (mean(square(real - target)) + mean(square(fake)))


def critic_gap(real: Tensor, fake: Tensor) -> Tensor:
    """E[f(G(z))] - E[f(x)]: minus what a critic estimates W1 (times its Lipschitz constant) by."""
    return mean(fake) - mean(real)


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (Lim and Ye 2017, arXiv:1705.02894)."""
    return mean(relu(1.0 - real)) + mean(relu(1.0 + fake))


def energy_gap(real: Tensor, fake: Tensor) -> Tensor:
    """E[L(x)] - E[L(G(z))]; the model hands over k L(G(z)) (Berthelot et al., arXiv:1703.10717)."""
    return mean(real) - mean(fake)


# --- densities on a grid: the best D, and what G then descends --------------------------------


def log_ratio(p: Array, q: Array) -> Array:
    return np.log(p) - np.log(q)


def probability_real(p: Array, q: Array) -> Array:
    return p / (p + q)


def kl(p: Array, q: Array) -> Array:
    """The integrand p log(p / q) of KL(p || q), 0 where p is 0."""
    where = p > 0
    return np.where(where, p * np.log(np.where(where, p, 1.0) / np.where(where, q, 1.0)), 0.0)


def two_jsd(p: Array, q: Array) -> Array:
    """The integrand of KL(p || m) + KL(q || m), m = (p + q) / 2."""
    return kl(p, (p + q) / 2) + kl(q, (p + q) / 2)


def reverse_kl_minus_two_jsd(p: Array, q: Array) -> Array:
    return kl(q, p) - two_jsd(p, q)


def least_squares_divergence(p: Array, q: Array) -> Array:
    """p f(q/p), f(u) = u/2 - log((1 + u)/2) - 1/(2 (1 + u)) - 1/4: convex, 0 at u = 1.

    Its slope f'(u) = (1 - D*)^2 / 2 is what G gets from the best D. (The Pearson chi^2 of the paper
    belongs to the codes -1, 1, 0 for fake, real and G's aim, not to the usual 0, 1, 1.)
    """
    u = q / p
    return p * (u / 2 - np.log((1 + u) / 2) - 1 / (2 * (1 + u)) - 0.25)


# --- the table --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Objective:
    """A row. `optimal` and `divergence` are functions of the densities p_d and p_g at x.

    optimal: the best D's output. divergence: the integrand of what G descends against that D, that
    is d/dp_g of its integral is E_g's integrand of G's loss, D held fixed; None where neither is a
    function of the two densities at one point (`minimises` says what it is).
    """

    output: str
    discriminator: Callable[..., Tensor]  # (real, fake), some with a target for the real ones
    generator: Callable[[Tensor], Tensor]  # of D's outputs for samples
    minimises: str
    optimal: Densities | None = None
    divergence: Densities | None = None
    penalty: str | None = None  # a key of PENALTIES
    weight: float = 0.0
    clip: float | None = None  # of D's weights after its step

    def belief(self, out: Tensor) -> Tensor:
        """The mean of what rises when D takes the samples for data."""
        return -mean(out) if self.output == "energy" else mean(out)


OBJECTIVES: dict[str, Objective] = {
    "minimax": Objective(
        "logit", cross_entropy, lambda fake: -mean(softplus(fake)),  # E log(1 - D)
        "2 JSD(p_d, p_g)", log_ratio, two_jsd,
    ),
    "non_saturating": Objective(
        "logit", cross_entropy, lambda fake: mean(softplus(-fake)),  # -E log D
        "KL(p_g || p_d) - 2 JSD(p_d, p_g)", log_ratio, reverse_kl_minus_two_jsd,
    ),
    "maximum_likelihood": Objective(
        "logit", cross_entropy, lambda fake: -mean(exp(fake)),  # -E D / (1 - D)
        "KL(p_d || p_g)", log_ratio, kl,
    ),
    "least_squares": Objective(
        "score", least_squares_d, lambda fake: 0.5 * mean(square(fake - 1.0)),
        "an f-divergence, see least_squares_divergence", probability_real, least_squares_divergence,
    ),
    "wgan": Objective(
        "score", critic_gap, lambda fake: -mean(fake),
        "K W1(p_d, p_g), K the (unknown) Lipschitz constant that clipping leaves", clip=0.01,
    ),
    "wgan_gp": Objective(
        "score", critic_gap, lambda fake: -mean(fake),
        "about W1(p_d, p_g)", penalty="interpolates", weight=10.0,
    ),
    "dragan": Objective(
        "logit", cross_entropy, lambda fake: mean(softplus(-fake)),
        "as non_saturating, D flat about the data", penalty="perturbed", weight=10.0,
    ),
    "began": Objective(
        "energy", energy_gap, lambda fake: mean(fake),
        "a lower bound of W1 between the laws of L(x) and L(G(z))",
    ),
    "hinge": Objective(
        "score", hinge_d, lambda fake: -mean(fake),
        "2 TV(p_d, p_g) = int |p_d - p_g|",
        lambda p, q: np.sign(p - q), lambda p, q: np.abs(p - q),
    ),
}  # fmt: skip


def objective(name: str) -> Objective:
    """The row called `name`; ValueError lists the names."""
    if name not in OBJECTIVES:
        raise ValueError(f"no GAN objective is called {name!r}; there are {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]


# --- the model --------------------------------------------------------------------------------


class DTerms(NamedTuple):
    """What a discriminator step minimises, and what it is made of; all scalars."""

    loss: Tensor  # the row's loss + weight * penalty
    real: Tensor  # mean output for data
    fake: Tensor  # mean output for samples
    penalty: Tensor


class GAN(nn.Module):
    """Generator, discriminator and a row of the table.

    generator: z (B, latent) -> samples; with labels, (z, labels) -> samples
    discriminator: samples -> raw output (B,), or (x, labels) -> (B,); (B / pack,) if packed
    penalty, weight, clip: other than the row's own; penalty="none" switches it off
    smoothing: data is to be called real with probability 1 - smoothing only (one-sided)
    noise: std of the Gaussian noise on everything that D sees; may be lowered while training
    pack: D sees `pack` samples at once (PacGAN, arXiv:1712.04086)
    """

    k: Tensor

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, objective_name: str, latent: int,
        *, penalty: str | None = None, weight: float | None = None, clip: float | None = None,
        smoothing: float = 0.0, noise: float = 0.0, pack: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        self.objective, self.objective_name = objective(objective_name), objective_name
        self.generator, self.discriminator, self.latent = generator, discriminator, latent
        self.penalty_name = self._penalty(penalty)
        self.weight = self.objective.weight if weight is None else weight
        if penalty is not None and weight is None and self.weight == 0.0:
            self.weight = 10.0
        self.clip = self.objective.clip if clip is None else clip
        self.smoothing, self.noise, self.pack = smoothing, noise, pack
        self.register_buffer("k", Tensor([0.0]))  # BEGAN's balance k_t
        self._check()

    def _penalty(self, name: str | None) -> str | None:
        name = self.objective.penalty if name is None else name
        if name not in (None, "none", *PENALTIES):
            raise ValueError(f"no penalty is called {name!r}; there are {', '.join(PENALTIES)}")
        return None if name == "none" else name

    def _check(self) -> None:
        if self.clip is not None and not self.clip > 0.0:
            raise ValueError(f"GAN: expected clip > 0, got {self.clip}")
        if not 0.0 <= self.smoothing < 0.5:
            raise ValueError(f"GAN: expected 0 <= smoothing < 0.5, got {self.smoothing}")
        if self.noise < 0.0 or self.weight < 0.0:
            raise ValueError(f"GAN: expected noise, weight >= 0, got {self.noise}, {self.weight}")
        if self.latent < 1 or self.pack < 1:
            raise ValueError(f"GAN: expected latent, pack >= 1, got {self.latent}, {self.pack}")
        losses = (cross_entropy, least_squares_d)
        if self.smoothing and self.objective.discriminator not in losses:
            raise ValueError(
                f"GAN: {self.objective_name} has no target to smooth; smoothing is for objectives "
                "whose D is told 1 for data"
            )
        if self.penalty_name and self._holds(nn.BatchNorm2d):  # BatchNorm1d is one too
            raise ValueError(
                f"GAN: the penalty {self.penalty_name!r} is about D's slope at each example, but D "
                "holds a batch norm, which mixes them; build D with norm='layer' or without"
            )
        last = [m for m in self.discriminator.modules() if not isinstance(m, nn.Flatten)][-1]
        energies = self.objective.output == "energy"
        if self._holds(AutoencoderEnergy) and not energies:
            raise ValueError(
                "GAN: D is an autoencoder, whose output is an energy, low for data; "
                f"{self.objective_name} needs a {self.objective.output}, high for data"
            )
        if isinstance(last, nn.Sigmoid) and not energies:  # an autoencoder may well end in one
            raise ValueError(
                f"GAN: {self.objective_name} needs D's raw output (a {self.objective.output}), but "
                "the discriminator ends in a Sigmoid; leave it out"
            )

    @property
    def apart(self) -> bool:
        """Whether D judges each sample by itself: neither packed nor with a look at its batch."""
        return self.pack == 1 and not self._holds(nn.BatchNorm2d, MinibatchDiscrimination)

    def _holds(self, *kinds: type[nn.Module]) -> bool:
        return any(isinstance(module, kinds) for module in self.discriminator.modules())

    # --- samples --------------------------------------------------------------------------------

    def draw(self, n: int, generator: Generator | None = None) -> Tensor:
        """n codes z ~ N(0, I), (n, latent)."""
        like = next(iter(self.generator.parameters()))
        return randn(n, self.latent, generator=generator, dtype=like.dtype, device=like.device)

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """n samples, in evaluation mode (batch norm by its running statistics)."""
        training = self.generator.training
        self.generator.eval()
        out = self.generator(self.draw(n, generator), *_given(labels))
        self.generator.train(training)
        return out

    # --- losses -----------------------------------------------------------------------------------

    def judge(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """D's output for x as D gets to see it: noisy and packed if so wished."""
        if labels is not None and self.pack > 1:
            raise ValueError("GAN: packed samples have no common label; use pack=1 with labels")
        if self.noise:
            x = x + self.noise * randn(x.shape, dtype=x.dtype, device=x.device)
        return self.discriminator(pack(x, self.pack), *_given(labels))

    def discriminator_loss(self, real: Tensor, labels: Tensor | None = None) -> DTerms:
        """D's loss on a batch of data and as many fresh samples, which get no gradient."""
        with no_grad():
            fake = self.generator(self.draw(real.shape[0]), *_given(labels))
        if fake.shape != real.shape:
            raise RuntimeError(f"GAN: G makes samples {fake.shape}, the data are {real.shape}")
        on_real, on_fake = self.judge(real, labels), self.judge(fake, labels)
        self._last = on_real.detach(), on_fake.detach()
        energies = self.objective.output == "energy"
        target = {"target": 1.0 - self.smoothing} if self.smoothing else {}
        seen = self.k * on_fake if energies else on_fake
        loss = self.objective.discriminator(on_real, seen, **target)
        penalty = wrap(np.zeros((), real.dtype))
        if self.penalty_name is not None:
            look = lambda x: self.discriminator(x, *_given(labels))  # noqa: E731
            x, y = pack(real, self.pack), pack(fake, self.pack)
            penalty = PENALTIES[self.penalty_name](look, x, y)
            loss = loss + self.weight * penalty
        return DTerms(loss, on_real.mean(), on_fake.mean(), penalty)

    def generator_loss(self, n: int, labels: Tensor | None = None) -> Tensor:
        """G's loss on n fresh samples. Inside `frozen(gan.discriminator)` D is left alone."""
        fake = self.generator(self.draw(n), *_given(labels))
        return self.objective.generator(self.judge(fake, labels))

    # --- after a step -------------------------------------------------------------------------

    def balance(self, gamma: float = 0.5, rate: float = 1e-3) -> float:
        """BEGAN's k_{t+1} = clip(k_t + rate (gamma L(x) - L(G(z))), 0, 1); returns M.

        M = L(x) + |gamma L(x) - L(G(z))| measures convergence; L are those of the last D step.
        ValueError where L(x) < 0.
        """
        real, fake = (float(out.mean().item()) for out in self._last)
        if real < 0.0:
            raise ValueError(
                f"GAN.balance: energies are >= 0, D's mean for data is {real:.4g}; its output must "
                "be an error such as an autoencoder's (gan_nets.AutoencoderEnergy)"
            )
        difference = gamma * real - fake
        self.k._array[...] = min(max(self.k.item() + rate * difference, 0.0), 1.0)
        self.k._version[0] += 1
        return real + abs(difference)


def _given(labels: Tensor | None) -> tuple[Tensor, ...]:
    return () if labels is None else (labels,)


def pack(x: Tensor, m: int) -> Tensor:
    """m samples as one: (B, d) -> (B / m, m d), (B, C, H, W) -> (B / m, m C, H, W)."""
    if m == 1:
        return x
    n, channels, *space = x.shape
    if n % m:
        raise ValueError(f"pack: a batch of {n} cannot be packed by {m}; choose a multiple of {m}")
    return x.reshape(n // m, m * channels, *space)


def with_labels(x: Tensor, labels: Tensor, classes: int) -> Tensor:
    """x beside its label: (B, d + classes), or (B, C + classes, H, W) with planes of 0 and 1."""
    hot = F.one_hot(labels, classes).to(x.dtype)
    if x.ndim == 4:
        hot = hot.reshape(*hot.shape, 1, 1).expand(*hot.shape, *x.shape[2:])
    return cat([x, hot], 1)


class Conditional(nn.Module):
    """A network of (x, labels): `net` gets both, side by side (Mirza and Osindero 2014).

    For G, x is the code z; for D the picture. Build `net` for `classes` more inputs or channels.
    """

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net, self.classes = net, classes

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.net(with_labels(x, labels, self.classes))
