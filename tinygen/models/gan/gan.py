"""The model of a GAN: generator G, discriminator D and a row of the table of objectives.

The system "gan" is its smallest case: multilayer perceptrons, for points and small pictures.

    min_G max_D  E log D(x) + E log(1 - D(G(z)))         (Goodfellow et al. 2014)

What goes wrong: G makes some modes of the data and forgets others; the two players circle instead
of meeting; a D that is far ahead tells G nothing. The samples of the last step are worse than those
of weights averaged over many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ... import nn
from ...backend import Generator
from ...checks import numbers
from ...ops import randn
from ...tape import no_grad
from ...tensor import Tensor, wrap
from .. import nets
from ..systems import NEEDED, settings, split
from .diversity import entropy
from .objectives import cross_entropy, least_squares_d, objective
from .penalties import PENALTIES

__all__ = ["GAN", "build", "pack"]


class GAN(nn.Module):
    """G, D and the objective they are trained by.

    G: z (B, latent) -> samples; with labels, (z, labels) -> samples
    D: samples -> raw output (B,), or (x, labels) -> (B,); (B / pack,) if packed
    penalty, weight: other than the row's own; penalty="none" switches it off
    smoothing: data is to be called real with probability 1 - smoothing only (one-sided)
    noise: std of the Gaussian noise on everything that D sees; may be lowered while training
    pack: D sees `pack` samples at once (PacGAN, arXiv:1712.04086)
    entropy: what a nat for each dimension of a sample is worth to G, see diversity.py

    ValueError where objective, networks and options cannot go together.

    >>> import tinygen as tg
    >>> G, D = tg.models.nets.mlp_gan((2,), latent=4, hidden=16)
    >>> gan = tg.models.gan.GAN(G, D, "wgan_gp", latent=4)
    >>> list(gan.discriminator_terms((tg.randn(8, 2),))), gan.sample(3).shape
    (['loss', 'real', 'fake', 'penalty'], (3, 2))
    """

    outputs: tuple[str, ...] = ("logit", "score")  # what D may say here; an energy takes a BEGAN
    classes = 0
    pixels = (-1.0, 1.0)

    def __init__(
        self, G: nn.Module, D: nn.Module, objective_name: str, latent: int,
        *, penalty: str | None = None, weight: float | None = None,
        smoothing: float = 0.0, noise: float = 0.0, pack: int = 1, entropy: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.objective, self.objective_name = objective(objective_name), objective_name
        self.G, self.D, self.latent = G, D, latent
        self.penalty_name = self._penalty(penalty)
        self.weight = self.objective.weight if weight is None else weight
        if penalty is not None and weight is None and self.weight == 0.0:
            self.weight = 10.0
        self.smoothing, self.noise, self.pack, self.entropy = smoothing, noise, pack, entropy
        self._check()

    def _penalty(self, name: str | None) -> str | None:
        name = self.objective.penalty if name is None else name
        if name not in (None, "none", *PENALTIES):
            raise ValueError(f"no penalty is called {name!r}; there are {', '.join(PENALTIES)}")
        return None if name == "none" else name

    def _check(self) -> None:
        if not 0.0 <= self.smoothing < 0.5:
            raise ValueError(f"GAN: expected 0 <= smoothing < 0.5, got {self.smoothing}")
        if self.noise < 0.0 or self.weight < 0.0:
            raise ValueError(f"GAN: expected noise, weight >= 0, got {self.noise}, {self.weight}")
        if self.latent < 1 or self.pack < 1:
            raise ValueError(f"GAN: expected latent, pack >= 1, got {self.latent}, {self.pack}")
        numbers("GAN", 0.0, entropy=self.entropy)
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
        self._check_output()

    def _check_output(self) -> None:
        if self.objective.output not in self.outputs:
            raise ValueError(
                f"{type(self).__name__}: the D of {self.objective_name} says: "
                f"{self.objective.output}; this model takes a {' or a '.join(self.outputs)}; an "
                "energy is for models.gan.BEGAN"
            )
        if self._holds(nets.AutoencoderEnergy):
            raise ValueError(
                "GAN: D is an autoencoder, whose output is an energy, low for data; "
                f"{self.objective_name} needs a {self.objective.output}, high for data"
            )
        last = [m for m in self.D.modules() if not isinstance(m, nn.Flatten)][-1]
        if isinstance(last, nn.Sigmoid):
            raise ValueError(
                f"GAN: {self.objective_name} needs D's raw output (a {self.objective.output}), but "
                "the discriminator ends in a Sigmoid; leave it out"
            )

    @property
    def apart(self) -> bool:
        """Whether D judges each sample by itself: neither packed nor with a look at its batch."""
        return self.pack == 1 and not self._holds(
            nn.BatchNorm2d, nets.MinibatchDiscrimination, nets.MinibatchStdDev
        )

    def _holds(self, *kinds: type[nn.Module]) -> bool:
        return any(isinstance(module, kinds) for module in self.D.modules())

    # --- samples --------------------------------------------------------------------------------

    def draw(self, n: int, generator: Generator | None = None) -> Tensor:
        """n codes z ~ N(0, I), (n, latent), where G's parameters are."""
        like = next(iter(self.G.parameters()))
        return randn(n, self.latent, generator=generator, dtype=like.dtype, device=like.device)

    @no_grad()
    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """G(z) in evaluation mode (batch norm by its running statistics), without a gradient.

        z: (B, latent), labels (B,) in a conditional model -> (B, *shape).
        """
        training = self.G.training
        self.G.eval()
        out: Tensor = self.G(z, *_given(labels))
        self.G.train(training)
        return out

    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """n samples of fresh codes, (n, *shape), as `decode` makes them; labels: (n,)."""
        return self.decode(self.draw(n, generator), labels)

    # --- losses -----------------------------------------------------------------------------------

    def judge(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """D's output for x as D gets to see it, noisy and packed: (B, ...) -> (B / pack,)."""
        if labels is not None and self.pack > 1:
            raise ValueError("GAN: packed samples have no common label; use pack=1 with labels")
        if self.noise:
            x = x + self.noise * randn(x.shape, dtype=x.dtype, device=x.device)
        return self.D(pack(x, self.pack), *_given(labels))

    def discriminator_terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """D's loss on a batch of data and as many fresh samples, which get no gradient.

        loss: the row's loss + weight * penalty; real, fake: D's mean output for data and samples.
        """
        real, labels = split(batch)
        with no_grad():
            fake = self.G(self.draw(real.shape[0]), *_given(labels))
        if fake.shape != real.shape:
            raise RuntimeError(f"GAN: G makes samples {fake.shape}, the data are {real.shape}")
        on_real, on_fake = self.judge(real, labels), self.judge(fake, labels)
        penalty = wrap(np.zeros((), real.dtype))
        if self.penalty_name is not None:
            look = lambda x: self.D(x, *_given(labels))  # noqa: E731
            x, y = pack(real, self.pack), pack(fake, self.pack)
            penalty = PENALTIES[self.penalty_name](look, x, y)
        loss = self.discriminator_loss(on_real, on_fake)
        if self.penalty_name is not None:
            loss = loss + self.weight * penalty
        return {"loss": loss, "real": on_real.mean(), "fake": on_fake.mean(), "penalty": penalty}

    def discriminator_loss(self, on_real: Tensor, on_fake: Tensor) -> Tensor:
        """The row's loss of D, a scalar, from its outputs for data and for samples, each (B,)."""
        target = {"target": 1.0 - self.smoothing} if self.smoothing else {}
        return self.objective.discriminator(on_real, on_fake, **target)

    def generator_terms(self, n: int, labels: Tensor | None = None) -> dict[str, Tensor]:
        """loss: G's on n fresh samples, a scalar. Inside `frozen(gan.D)` D is left alone.

        With an entropy term also "entropy": the samples', in nats for each of their dimensions.
        """
        fake = self.G(self.draw(n), *_given(labels))
        loss = self.objective.generator(self.judge(fake, labels))
        if not self.entropy:
            return {"loss": loss}
        flat = fake.flatten(1)
        nats = entropy(flat) / flat.shape[1]
        return {"loss": loss - self.entropy * nats, "entropy": nats}


def _given(labels: Tensor | None) -> tuple[Tensor, ...]:
    return () if labels is None else (labels,)


def pack(x: Tensor, m: int) -> Tensor:
    """m samples as one: (B, d) -> (B / m, m d), (B, C, H, W) -> (B / m, m C, H, W).

    ValueError unless m divides B. PacGAN, Lin et al. 2018 (arXiv:1712.04086).

    >>> import tinygen as tg
    >>> tg.models.gan.pack(tg.zeros(6, 1, 8, 8), 3).shape
    (2, 3, 8, 8)
    """
    if m == 1:
        return x
    n, channels, *space = x.shape
    if n % m:
        raise ValueError(f"pack: a batch of {n} cannot be packed by {m}; choose a multiple of {m}")
    return x.reshape(n // m, m * channels, *space)


def build(config: Mapping[str, Any]) -> GAN:
    """Multilayer perceptrons for samples of `shape`, under any objective but an energy's.

    >>> import tinygen as tg
    >>> gan = tg.models.build("gan", {"shape": (2,), "objective": "hinge", "hidden": 16})
    >>> gan.sample(3).shape, gan.generator_terms(8)["loss"].shape
    ((3, 2), ())
    """
    c = settings(
        "gan", config, shape=NEEDED, objective="non_saturating", latent=2, hidden=128, layers=3,
        batch_norm=False, maxout=0, spectral=False, virtual=0, minibatch=0, pack=1,
        penalty=None, weight=None, smoothing=0.0, noise=0.0, entropy=0.0,
    )  # fmt: skip
    G, D = nets.mlp_gan(
        c.shape, c.latent, c.hidden, c.layers, batch_norm=c.batch_norm, maxout=c.maxout,
        tanh=len(c.shape) == 3, packed=c.pack, minibatch=c.minibatch,
    )  # fmt: skip
    if c.virtual:
        G = nets.referenced(G, randn(c.virtual, c.latent))
    if c.spectral:
        D = nets.spectrally_normalised(D)
    return GAN(
        G, D, c.objective, c.latent,
        penalty=c.penalty, weight=c.weight, smoothing=c.smoothing, noise=c.noise, pack=c.pack,
        entropy=c.entropy,
    )  # fmt: skip
