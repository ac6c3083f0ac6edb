"""BEGAN: a discriminator that is an autoencoder, and a balance between the two players.

D's output is an energy, the error L(x) = mean |x - D(x)| with which it rebuilds x: low for data.

    D minimises  L(x) - k L(G(z)),      G minimises  L(G(z)),
    k <- clip(k + rate (gamma L(x) - L(G(z))), 0, 1)

so that D looks away from samples while E L(G(z)) is above gamma E L(x). The gap of the energies is
a lower bound of W1 between their laws (Berthelot et al. 2017, arXiv:1703.10717).

What goes wrong: with many numbers in its code D copies whatever it is given and G collapses to a
few sharp pictures; results vary much from seed to seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import nn
from ...tensor import Tensor
from .. import nets
from ..systems import NEEDED, settings
from .gan import GAN

__all__ = ["BEGAN", "build"]


class BEGAN(GAN):
    """A GAN whose D is an energy, and the weight k of the samples in D's loss.

    gamma: the ratio E L(G(z)) / E L(x) that k steers to; lower gives sharper, more alike samples.
    rate: how fast k moves.

    >>> import tinygen as tg
    >>> gan = tg.models.build("began", {"shape": (2,), "latent": 4, "width": 16})
    >>> terms = gan.discriminator_terms((tg.randn(8, 2),))
    >>> gan.balance() > 0, gan.k.shape, gan.sample(3).shape
    (True, (1,), (3, 2))
    """

    k: Tensor
    outputs = ("energy",)

    def __init__(
        self, G: nn.Module, D: nn.Module, latent: int, *, gamma: float = 0.5, rate: float = 1e-3
    ) -> None:
        super().__init__(G, D, "began", latent)
        if not 0.0 < gamma <= 1.0 or not rate > 0.0:
            raise ValueError(f"BEGAN: expected 0 < gamma <= 1 and rate > 0, got {gamma}, {rate}")
        self.gamma, self.rate = gamma, rate
        self.register_buffer("k", Tensor([0.0]))

    def _check_output(self) -> None:
        pass  # an autoencoder's error is an energy whatever its last layer is

    def discriminator_loss(self, on_real: Tensor, on_fake: Tensor) -> Tensor:
        """E L(x) - k E L(G(z)), a scalar, from energies (B,)."""
        self._last = on_real.detach(), on_fake.detach()
        return self.objective.discriminator(on_real, self.k * on_fake)

    def balance(self) -> float:
        """Move k by what the last D step saw; returns M = L(x) + |gamma L(x) - L(G(z))|.

        M falls as training converges. ValueError where L(x) < 0: then D is no energy.
        """
        real, fake = (float(out.mean().item()) for out in self._last)
        if real < 0.0:
            raise ValueError(
                f"BEGAN.balance: energies are >= 0, D's mean for data is {real:.4g}; its output "
                "must be an error such as an autoencoder's (nets.AutoencoderEnergy)"
            )
        difference = self.gamma * real - fake
        self.k.fill_(min(max(self.k.item() + self.rate * difference, 0.0), 1.0))
        return real + abs(difference)


def build(config: Mapping[str, Any]) -> BEGAN:
    """For pictures (C, S, S) a DCGAN's G, and an autoencoder of the same layers as D; for points
    multilayer perceptrons. code: numbers in D's codes; with many D copies whatever it is given."""
    c = settings("began", config, shape=NEEDED, latent=32, width=32, code=4, gamma=1.0, k_rate=0.1)
    if len(c.shape) == 3:
        G, _ = nets.dcgan(c.shape, c.latent, c.width)
        D = nets.dcgan_energy(c.shape, c.code, c.width)
    else:
        G, _ = nets.mlp_gan(c.shape, c.latent, c.width)
        D = nets.mlp_energy(c.shape, c.code, c.width)
    return BEGAN(G, D, c.latent, gamma=c.gamma, rate=c.k_rate)
