"""BigGAN: one model of all classes, and one number that trades variety for fidelity.

    D(x, y) = psi(phi(x)) + <e_y, phi(x)>           the projection: x as one of the class y
    G's norms                                       scaled and shifted by (e(y), a piece of z)
    L_G += beta sum over W |W W^T o (1 - I)|^2      orthogonal regularisation: no two filters alike
    z ~ N(0, I) given |z_i| <= t                    truncation, when sampling only

After Brock et al. 2019 (arXiv:1809.11096): spectral norm in both players, a block of self-attention
in each, the hinge, orthogonal starts, an average of G's weights. Truncation: codes near the middle
make what G has seen most often, so that with smaller t pictures are better and more alike. A G that
was never shown such codes might answer with saturated pictures; the regularisation is there so that
it does not. The statistics of batch norm depend on t, so `standing` measures them anew for each.

What goes wrong: at the paper's sizes training collapses after many steps, and they keep an earlier
checkpoint; a running average of batch norm that belongs to other weights (the average's) or another
t dulls the pictures; labels that reach D only are learned by D and not made by G.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ... import nn
from ...backend import Generator
from ...checks import numbers, positive
from ...ops import empty, eye, randint, tensor
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..systems import NEEDED, settings, split
from .gan import GAN
from .objectives import loss_alone

__all__ = ["BigGAN", "build", "orthogonal_penalty"]


def orthogonal_penalty(weights: Iterable[Tensor]) -> Tensor:
    """Sum over the weights W, as matrices (outputs, inputs), of |W W^T o (1 - I)|_F^2: a scalar.

    Products of different filters, and not their lengths, are drawn to 0 (Brock et al. 2019, eq. 4).

    >>> import tinygen as tg
    >>> W = tg.tensor([[3.0, 0.0], [1.0, 2.0]])         # 3 x 1 twice, at (1, 2) and at (2, 1)
    >>> tg.models.gan.orthogonal_penalty([W, tg.eye(2)])
    tensor(18.)
    """
    total: Any = 0.0
    for weight in weights:
        rows = weight.flatten(1)
        others = 1.0 - eye(len(rows), dtype=rows.dtype, device=rows.device)
        total = total + (rows @ rows.T * others).square().sum()
    return tensor(total) if isinstance(total, float) else total


class BigGAN(GAN):
    """G: (z, labels) -> pictures; D: (pictures, labels) -> raw (B,).

    orthogonal: beta. ValueError for an objective whose D needs a penalty or clipped weights: here
    the spectral norm bounds it.

    >>> import tinygen as tg
    >>> config = {"shape": (1, 8, 8), "classes": 10, "latent": 6, "width": 4}
    >>> model, labels = tg.models.build("biggan", config), tg.tensor([7, 7, 1])
    >>> list(model.generator_terms(3, labels))
    ['loss', 'fooled', 'orthogonal']
    >>> model.sample(3, labels=labels, truncation=0.5).shape
    (3, 1, 8, 8)
    """

    def __init__(
        self, G: nets.BigGANGenerator, D: nets.Projection, objective_name: str, latent: int,
        *, orthogonal: float = 1e-4,
    ) -> None:  # fmt: skip
        super().__init__(G, D, objective_name, latent)
        numbers("BigGAN", 0.0, orthogonal=orthogonal)
        loss_alone("BigGAN", objective_name)
        self.orthogonal, self.classes = orthogonal, D.classes

    # --- samples --------------------------------------------------------------------------------

    def draw(
        self, n: int, generator: Generator | None = None, truncation: float | None = None
    ) -> Tensor:
        """n codes (n, latent) of N(0, I), each number given that it lies within +-truncation."""
        if truncation is None:
            return super().draw(n, generator)
        if not truncation > 0.0:
            raise ValueError(f"BigGAN: expected truncation > 0, or None, got {truncation}")
        like = next(iter(self.G.parameters()))
        z = empty(n, self.latent, dtype=like.dtype, device=like.device)
        return nn.init.trunc_normal_(z, a=-truncation, b=truncation, generator=generator)

    @no_grad()
    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """G(z, labels) in evaluation mode, without a gradient: (B, latent) -> (B, *shape)."""
        return super().decode(z, _needed(labels))

    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        truncation: float | None = None,
    ) -> Tensor:  # fmt: skip
        """n samples of the classes `labels` (n,); see `standing` for a small truncation."""
        return self.decode(self.draw(n, generator, truncation), labels)

    @no_grad()
    def standing(
        self, truncation: float | None = None, batches: int = 16, batch: int = 64,
        generator: Generator | None = None,
    ) -> None:  # fmt: skip
        """Set batch norm's statistics to the average over batches of samples of all classes.

        Training leaves those of the last weights and of all z; samples of averaged weights, or of
        truncated z, have others. The paper's "standing statistics", from 100 batches there.
        """
        positive("BigGAN.standing", batches=batches, batch=batch)
        norms = [m for m in self.G.modules() if isinstance(m, nn.BatchNorm2d)]
        training, momenta = self.G.training, [norm.momentum for norm in norms]
        self.G.eval()
        for norm in norms:
            norm.train()
            norm.reset_running_stats()
            norm.momentum = None  # a plain average
        for _ in range(batches):
            z = self.draw(batch, generator, truncation)
            self.G(z, randint(0, self.classes, (batch,), generator=generator, device=z.device))
        for norm, momentum in zip(norms, momenta):
            norm.momentum = momentum
        self.G.train(training)

    # --- losses -----------------------------------------------------------------------------------

    def discriminator_terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """D's loss on a batch (x, labels) and as many samples of these labels."""
        x, labels = split(batch)
        return super().discriminator_terms((x, _needed(labels)))

    def generator_terms(self, n: int, labels: Tensor | None = None) -> dict[str, Tensor]:
        """loss: the row's for n samples of `labels` (n,) + beta times `orthogonal`; both parts."""
        fooled = super().generator_terms(n, _needed(labels))["loss"]
        penalty = orthogonal_penalty(self._filters())
        return {
            "loss": fooled + self.orthogonal * penalty, "fooled": fooled, "orthogonal": penalty,
        }  # fmt: skip

    def _filters(self) -> list[Tensor]:
        """G's weights before the spectral norm, but for the label's vectors, which may be alike."""
        named = self.G.named_parameters()
        return [p for name, p in named if p.ndim > 1 and not name.startswith("embedding")]


def _needed(labels: Tensor | None) -> Tensor:
    if labels is None:
        raise ValueError("BigGAN: needs the labels, (B,) integers; got none")
    return labels


def build(config: Mapping[str, Any]) -> BigGAN:
    """For pictures of `shape` (C, S, S) in [-1, 1] with labels in 0..classes-1.

    orthogonal: beta. latent, width, shared, attention: see nets.biggan. objective: a key of
    OBJECTIVES.
    """
    c = settings(
        "biggan", config, shape=NEEDED, classes=NEEDED, objective="hinge", latent=48, width=16,
        shared=32, attention=None, orthogonal=1e-4,
    )  # fmt: skip
    G, D = nets.biggan(
        c.shape, c.latent, c.width, classes=c.classes, shared=c.shared, attention=c.attention
    )
    return BigGAN(G, D, c.objective, c.latent, orthogonal=c.orthogonal)
