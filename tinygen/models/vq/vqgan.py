"""VQ-GAN: a VQ-VAE whose pictures also have to look right (Esser et al. 2020, arXiv:2012.09841).

    loss of the autoencoder = |x - y| + w P(x, y) + codes + v lambda E[-D(y)]
    loss of D               = E[max(0, 1 - D(x))] + E[max(0, 1 + D(y))]

y the reconstruction, P a distance in a network's features, D a judge of patches. lambda makes D's
gradient at the decoder's last layer as long as that of the first two terms:

    lambda = |grad (|x - y| + w P)| / (|grad E[-D(y)]| + 1e-4)

There is no density: no bits/dim is to be had of it.

What goes wrong: D from the first step on, when y is nothing yet (hence its late start); the squared
error's gradient beside D's is a hundred times smaller or larger as training goes (hence lambda).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...autograd import grad
from ...backend import Generator
from ...checks import numbers
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..gan.objectives import objective
from ..systems import settings, split
from . import vqvae

__all__ = ["VQGAN", "adaptive_weight", "build"]


class VQGAN(nn.Module):
    """G: a VQVAE; D: a judge of patches. Grey or coloured pictures in [-1, 1].

    perceptual: w of P; 0 leaves it out. judge: v, the share of D's gradient. D has a loss of its
    own, `discriminator_terms`.

    >>> import tinygen as tg
    >>> config = {"shape": (3, 16, 16), "width": 8, "size": 16, "d_width": 8, "halvings": 1}
    >>> model, x = tg.models.build("vqgan", config), 2.0 * tg.rand(4, 3, 16, 16) - 1.0
    >>> sorted(model.terms((x,))), sorted(model.discriminator_terms((x,)))
    (['adversarial', 'codes', 'error', 'lambda', 'loss', 'perceptual'], ['fake', 'loss', 'real'])
    """

    classes = 0
    pixels = (-1.0, 1.0)

    def __init__(
        self, G: vqvae.VQVAE, D: nn.Module, perceptual: float = 0.1, judge: float = 0.1
    ) -> None:
        super().__init__()
        numbers("VQGAN", 0.0, perceptual=perceptual, judge=judge)
        self.G, self.D, self.weight, self.judge = G, D, perceptual, judge
        self.row = objective("hinge")
        self._look: list[nn.Module] = []  # P, made when it is needed; no part of the model's state

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction of x."""
        return self.G(x)[0]

    def terms(
        self, batch: Tensor | Sequence[Tensor], adversarial: bool = True
    ) -> dict[str, Tensor]:
        """The autoencoder's loss and its parts; adversarial=False: as if there were no D yet."""
        x = split(batch)[0]
        made, q = self.G(x)
        error = (made - x).abs().mean()
        look = self.distance(made, x).mean() if self.weight else error * 0.0
        parts = {"error": error, "perceptual": look, "codes": q.loss}
        close = error + self.weight * look
        if not adversarial:
            return {"loss": close + q.loss} | parts
        fooled = self.row.generator(self.D(made))
        weight = adaptive_weight(close, fooled, self.last)
        loss = close + q.loss + self.judge * weight * fooled
        return {"loss": loss} | parts | {"adversarial": fooled, "lambda": weight}

    def discriminator_terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss of D, and its mean verdicts on data and on reconstructions."""
        x = split(batch)[0]
        with no_grad():
            made = self(x)
        real, fake = self.D(x), self.D(made)
        return {"loss": self.row.discriminator(real, fake), "real": real.mean(),
                "fake": fake.mean()}  # fmt: skip

    @property
    def last(self) -> Tensor:
        """The weight of the decoder's last layer, where lambda is measured."""
        layers = [p for name, p in self.G.decoder.named_parameters() if name.endswith("weight")]
        return layers[-1]

    def distance(self, y: Tensor, x: Tensor) -> Tensor:
        """P(y, x), (B,), in features of a network that tells emoji apart; grey as three equal.

        In float32, whatever the pictures are in.
        """
        if not self._look:
            self._look.append(nets.perceptual())
        look = self._look[0].to(x.device)
        apart: Tensor = look(*(v.float().expand(-1, 3, -1, -1) for v in (y, x)))
        return apart

    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """As VQVAE.sample: each integer drawn alone."""
        return self.G.sample(n, generator, labels)


def adaptive_weight(close: Tensor, fooled: Tensor, last: Tensor, most: float = 1e4) -> Tensor:
    """lambda = |d close / d last| / (|d fooled / d last| + 1e-4), at most `most`, a constant.

    >>> import tinygen as tg
    >>> w = tg.ones(3, requires_grad=True)
    >>> tg.models.vq.adaptive_weight((4.0 * w).sum(), (2.0 * w).sum(), w).item() > 1.99
    True
    """
    near, far = (grad(loss, last, retain_graph=True)[0].norm() for loss in (close, fooled))
    return (near / (far + 1e-4)).clamp(0.0, most).detach()


def build(config: Mapping[str, Any]) -> VQGAN:
    """perceptual, judge: see VQGAN; the rest as vqvae.build.

    d_width, d_halvings: of D; 2 halvings unless told, 1 for pictures smaller than 16 pixels.
    """
    c = settings("vqgan", config, perceptual=0.1, judge=0.1, d_width=32, d_halvings=None)
    G = vqvae.build(config)
    halvings = c.d_halvings if c.d_halvings is not None else 2 if min(G.shape[1:]) >= 16 else 1
    D = nets.PatchDiscriminator(G.shape[0], c.d_width, halvings)
    return VQGAN(G, D, c.perceptual, c.judge)
