"""A discriminator of pairs (x, z): a picture and a code, looked at each alone and then together."""

from __future__ import annotations

from functools import partial

from ... import nn
from ...checks import positive
from ...ops import cat
from ...tensor import Tensor
from .dcgan import LEAK
from .dense import mlp

__all__ = ["JointDiscriminator"]


class JointDiscriminator(nn.Module):
    """J(F(x), H(z)), a raw number for the pair: x (B, ...), z (B, latent) -> (B, 1).

    trunk: F, x -> (B, features). H and J: two layers of `hidden` units each. unary: two numbers
    more, of F(x) alone and of H(z) alone, (B, 3): s_xz, s_x, s_z of Donahue and Simonyan 2019
    (arXiv:1907.02544).

    >>> import tinygen as tg
    >>> trunk, features = tg.models.nets.dcgan_trunk((1, 8, 8), width=4)
    >>> D = tg.models.nets.JointDiscriminator(trunk, features, latent=2, hidden=16, unary=True)
    >>> D(tg.zeros(5, 1, 8, 8), tg.zeros(5, 2)).shape
    (5, 3)
    """

    def __init__(
        self, trunk: nn.Module, features: int, latent: int, hidden: int = 256, unary: bool = False
    ) -> None:
        super().__init__()
        positive("JointDiscriminator", features=features, latent=latent, hidden=hidden)
        self.trunk, self.unary = trunk, unary
        leaky = partial(nn.LeakyReLU, LEAK)
        self.of_code = nn.Sequential(*mlp([latent, hidden, hidden], leaky), leaky())
        self.of_both = mlp([features + hidden, hidden, hidden, 1], leaky)
        if unary:
            self.x_alone, self.z_alone = nn.Linear(features, 1), nn.Linear(hidden, 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """x (B, ...), z (B, latent) -> (B, 1); with unary terms (B, 3): s_xz, s_x, s_z."""
        f, h = self.trunk(x), self.of_code(z)
        both = self.of_both(cat([f, h], 1))
        return cat([both, self.x_alone(f), self.z_alone(h)], 1) if self.unary else both
