"""ACGAN: D names the class as well as the source (Odena et al. 2016, arXiv:1610.09585).

    L_S = E log P(data | x) + E log P(sample | G(z, y))       the source: any row of the table
    L_C = E log P(y_x | x) + E log P(y | G(z, y))             the class, of data and of samples
    D maximises L_S + w L_C,   G maximises w L_C - L_S        (w = 1 in the paper)

G is told the label, D is not: it has to say it. Two heads on one trunk say the source and the
class; a cGAN's D is told the label instead, and judges the pair.

What goes wrong: L_C pulls G to pictures whose class is sure, away from the borders of a class, and
nothing of it pulls back: a class loses variety as w rises (on digits from 0.1 to 1; 10 costs no
more). The paper gives ImageNet's classes to 100 models of ten each: with more in one, samples were
worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...checks import numbers
from ...nn import functional as F
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..nets.dcgan import start_small
from ..systems import NEEDED, settings, split
from .gan import GAN
from .objectives import loss_alone

__all__ = ["ACGAN", "build"]


class ACGAN(GAN):
    """G: (z, labels) -> pictures; D: pictures -> source (B,), logits of the classes (B, K).

    class_weight: w. ValueError for an objective whose D needs more than its loss, a gradient
    penalty or clipped weights: w would have to be tuned against them.

    >>> import tinygen as tg
    >>> config = {"shape": (1, 8, 8), "classes": 10, "latent": 4, "width": 4}
    >>> model, labels = tg.models.build("acgan", config), tg.tensor([7, 7, 1])
    >>> list(model.discriminator_terms((tg.zeros(3, 1, 8, 8), labels)))
    ['loss', 'real', 'fake', 'class_real', 'class_fake']
    >>> list(model.generator_terms(3, labels)), model.sample(3, labels=labels).shape
    (['loss', 'source', 'class'], (3, 1, 8, 8))
    """

    def __init__(
        self, G: nn.Module, D: nets.SourceAndClass, objective_name: str, latent: int,
        *, class_weight: float = 1.0, smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(G, D, objective_name, latent, smoothing=smoothing)
        numbers("ACGAN", 0.0, class_weight=class_weight)
        loss_alone("ACGAN", objective_name)
        self.class_weight, self.classes = class_weight, D.classes

    def discriminator_terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """D's loss on a batch (x, labels) and as many samples of these labels.

        loss: the row's loss + w (class_real + class_fake), the cross-entropies in nats; real, fake:
        the source head's mean output for data and samples.
        """
        real, labels = split(batch)
        labels = self._labels(labels, len(real))
        with no_grad():
            fake = self.G(self.draw(len(real)), labels)
        (on_real, of_real), (on_fake, of_fake) = self.D(real), self.D(fake)
        class_real, class_fake = F.cross_entropy(of_real, labels), F.cross_entropy(of_fake, labels)
        source = self.discriminator_loss(on_real, on_fake)
        return {
            "loss": source + self.class_weight * (class_real + class_fake),
            "real": on_real.mean(), "fake": on_fake.mean(),
            "class_real": class_real, "class_fake": class_fake,
        }  # fmt: skip

    def generator_terms(self, n: int, labels: Tensor | None = None) -> dict[str, Tensor]:
        """loss: the row's loss of n samples of `labels` (n,) + w times the class's; both parts."""
        labels = self._labels(labels, n)
        on_fake, of_fake = self.D(self.G(self.draw(n), labels))
        source, told = self.objective.generator(on_fake), F.cross_entropy(of_fake, labels)
        return {"loss": source + self.class_weight * told, "source": source, "class": told}

    def _labels(self, labels: Tensor | None, n: int) -> Tensor:
        if labels is None:
            raise ValueError("ACGAN: needs the labels, (B,) integers; got none")
        return nets.check_labels("ACGAN", labels, n, self.classes)


def build(config: Mapping[str, Any]) -> ACGAN:
    """A DCGAN for pictures of `shape`, labels in 0..classes-1, whose D has two heads.

    class_weight: w. norm: D's. objective: a key of OBJECTIVES. latent, width: see nets.dcgan.
    """
    c = settings(
        "acgan", config, shape=NEEDED, classes=NEEDED, objective="non_saturating", latent=32,
        width=32, norm="layer", class_weight=1.0, smoothing=0.0,
    )  # fmt: skip
    G, _ = nets.dcgan(c.shape, c.latent, c.width, norm=c.norm, classes=c.classes)
    D = nets.SourceAndClass(*nets.dcgan_trunk(c.shape, c.width, norm=c.norm), c.classes)
    D.apply(start_small)
    if c.norm == "spectral":
        nets.spectrally_normalised(D)
    return ACGAN(
        nets.Conditional(G, c.classes), D, c.objective, c.latent,
        class_weight=c.class_weight, smoothing=c.smoothing,
    )  # fmt: skip
