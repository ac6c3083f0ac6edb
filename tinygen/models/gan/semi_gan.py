"""Semi-supervised GAN: D is the classifier, with one more class for samples (Salimans et al. 2016).

    p(k | x) = e^l_k / (Z + 1),   p(sample | x) = 1 / (Z + 1),   Z = sum over k < K of e^l_k
    D  min  -E log p(y | x, x is data)  -  E log Z / (Z + 1)  -  E_G log 1 / (Z + 1)
            on the labelled                on the unlabelled
    G  min  |E f(x) - E f(G(z))|^2,     f: what D's last layer sees (feature matching)

K + 1 logits say no more than K do: one may be taken off all, so that the logit of "sample" is fixed
to 0, and log Z is an ordinary GAN's logit of "data". The unlabelled pictures tell D that each of
them is of some class: the borders between classes go where neither data nor samples are.
arXiv:1606.03498.

What goes wrong: a D without noise in its layers tells the few samples from data by heart, the
unlabelled part of its loss is 0 and so is what it teaches. Feature matching makes soft pictures,
and in the paper the better classifier; on 8 x 8 digits a G that fools D teaches D as much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...checks import numbers
from ...nn import functional as F
from ...ops import cat, logsumexp, softmax, square, zeros_like
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..systems import NEEDED, settings
from .gan import GAN

__all__ = ["SemiGAN", "build"]


class SemiGAN(GAN):
    """G: z (B, latent) -> pictures; D: pictures -> logits (B, K) of the classes, with `features`.

    weight: of the unlabelled part of D's loss. G is told no label, so samples have none.

    >>> import tinygen as tg
    >>> model = tg.models.build("semi_gan", {"shape": (1, 8, 8), "classes": 10, "hidden": 8})
    >>> x, labels, unlabelled = tg.zeros(4, 1, 8, 8), tg.tensor([3, 1, 4, 1]), tg.zeros(9, 1, 8, 8)
    >>> list(model.discriminator_terms((x, labels, unlabelled)))
    ['loss', 'supervised', 'unsupervised', 'real', 'fake']
    >>> model.generator_terms(9, real=unlabelled)["loss"].shape, model.classify(x).shape
    ((), (4,))
    """

    D: nets.ClassHead

    def __init__(
        self, G: nn.Module, D: nets.ClassHead, latent: int, *, weight: float = 1.0
    ) -> None:
        numbers("SemiGAN", 0.0, weight=weight)
        super().__init__(G, D, "non_saturating", latent, weight=weight)

    def judge(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log Z, the logit of "data": (B, ...) -> (B,)."""
        return logsumexp(self.D(x), 1)

    @no_grad()
    def probabilities(self, x: Tensor) -> Tensor:
        """p(k | x) and, last, p(sample | x), in evaluation mode: (B, ...) -> (B, K + 1)."""
        training = self.D.training
        self.D.eval()
        logits = self.D(x)
        self.D.train(training)
        return softmax(cat([logits, zeros_like(logits[:, :1])], 1), 1)

    def classify(self, x: Tensor) -> Tensor:
        """The likeliest class of data x, in evaluation mode: (B, ...) -> integers (B,)."""
        return self.probabilities(x)[:, :-1].argmax(1)

    def supervised(self, x: Tensor, labels: Tensor) -> Tensor:
        """-E log p(y | x, x is data), in nats: alone, the loss of an ordinary classifier."""
        nets.check_labels("SemiGAN", labels, len(x), self.D.classes)
        return F.cross_entropy(self.D(x), labels)

    def discriminator_terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """D's loss on (x, labels, unlabelled); without the last, x stands for it; (x,): no labels.

        loss: supervised + weight * unsupervised, that of `GAN` with log Z as D's logit; real, fake:
        mean log Z of unlabelled pictures and of as many samples.
        """
        x, *rest = [batch] if isinstance(batch, Tensor) else batch
        terms = super().discriminator_terms((rest[1] if len(rest) > 1 else x,))
        unsupervised = terms["loss"]
        supervised = self.supervised(x, rest[0]) if rest else 0.0 * unsupervised
        return {
            "loss": supervised + self.weight * unsupervised, "supervised": supervised,
            "unsupervised": unsupervised, "real": terms["real"], "fake": terms["fake"],
        }  # fmt: skip

    def generator_terms(
        self, n: int, labels: Tensor | None = None, real: Tensor | None = None
    ) -> dict[str, Tensor]:
        """G's loss on n samples: feature matching with `real` (B, ...); without it, to fool D."""
        if labels is not None:
            raise ValueError("SemiGAN: G is told no label; got labels")
        if real is None:
            return super().generator_terms(n)
        with no_grad():
            wanted = self.D.features(real).mean(0)
        made = self.D.features(self.G(self.draw(n))).mean(0)
        return {"loss": square(made - wanted).sum()}


def build(config: Mapping[str, Any]) -> SemiGAN:
    """Perceptrons for pictures of `shape`, whose D tells `classes` apart.

    hidden: units of a layer; G has two, with batch norm, D three. noise: see nets.noisy_trunk.
    weight: see SemiGAN.
    """
    c = settings(
        "semi_gan", config, shape=NEEDED, classes=NEEDED, latent=32, hidden=256, noise=0.5,
        weight=1.0,
    )  # fmt: skip
    G, _ = nets.mlp_gan(c.shape, c.latent, c.hidden, 2, batch_norm=True, tanh=True)
    D = nets.ClassHead(*nets.noisy_trunk(c.shape, c.hidden, noise=c.noise), c.classes)
    return SemiGAN(G, D, c.latent, weight=c.weight)
