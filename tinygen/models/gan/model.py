"""The model of a GAN: generator, discriminator and a row of the table of objectives."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ... import nn
from ...backend import Generator
from ...ops import randn
from ...tape import no_grad
from ...tensor import Tensor, wrap
from ..nets.batch import MinibatchDiscrimination
from ..nets.dcgan import AutoencoderEnergy
from .objectives import cross_entropy, least_squares_d, objective
from .penalties import PENALTIES


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
                "be an error such as an autoencoder's (nets.AutoencoderEnergy)"
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
