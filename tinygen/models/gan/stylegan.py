"""StyleGAN2: a code becomes styles, one for each convolution (Karras et al. 2020).

    D   softplus(D(G(z))) + softplus(-D(x)) + k_D gamma R1     R1 = E |dD/dx|^2 / 2, each k_D steps
    G   softplus(-D(G(z)))  +  k_G beta E (|J^T y| - a)^2      each k_G steps, k_G beta: `lazy`

with J = dG/dw, y ~ N(0, I) / S a picture's pixels, and a the running mean of |J^T y|: a step in W
should change the picture by a fixed amount, whatever its direction. Lazily, each k steps and k
times as strong, the penalties cost a fraction and ask for the same on average.

Two codes are mixed while training, one's styles up to a random level, the other's from there on, so
that levels learn to stand alone. Samples may be drawn towards the mean style, w = m + psi (w - m):
better and less various. `adain`: the convolutions of StyleGAN1 (1812.04958). ADA: augment.py.

What goes wrong: demodulation over the wrong axis leaves the size of features to the styles; the
penalty without its factor k is k times too weak; where only samples are augmented D learns to spot
the augmentation; with few pictures and no augmentation D knows them by heart, and G gets nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...autograd import grad
from ...backend import Generator
from ...checks import numbers, positive
from ...ops import arange, cat, mean, rand, randint, randn_like, sqrt, square, tensor, where
from ...tape import enable_grad, no_grad
from ...tensor import Tensor
from .. import nets
from ..systems import NEEDED, settings, split
from .augment import AdaptiveAugment
from .gan import GAN
from .penalties import zero_on_data

__all__ = ["StyleGAN", "build", "perceptual_path_length"]


class StyleGAN(GAN):
    """A GAN whose G has `mapping`, `styles(z)`, `synthesis(w)` and `levels`, as nets.StyleG.

    gamma: of R1, each r1_every steps of D. path_weight: beta, each path_every steps of G; the
    penalties are taken where `discriminator_terms` and `generator_terms` are asked with lazy=True.
    mixing: the share of samples of two codes. truncation: psi of samples. augment: ADA, or None.

    >>> import tinygen as tg
    >>> G, D = tg.models.nets.style_networks((1, 8, 8), latent=4, width=4)
    >>> model = tg.models.gan.StyleGAN(G, D, latent=4)
    >>> list(model.generator_terms(8, lazy=True)), model.sample(3, truncation=0.5).shape
    (['loss', 'path', 'length'], (3, 1, 8, 8))
    """

    G: nets.StyleG
    path_mean: Tensor

    def __init__(
        self, G: nn.Module, D: nn.Module, latent: int, *, gamma: float = 0.1, r1_every: int = 16,
        path_weight: float = 2.0, path_every: int = 4, path_decay: float = 0.01,
        mixing: float = 0.9, truncation: float = 1.0, augment: AdaptiveAugment | None = None,
    ) -> None:  # fmt: skip
        positive("StyleGAN", r1_every=r1_every, path_every=path_every)
        numbers("StyleGAN", 0.0, gamma=gamma, path_weight=path_weight, truncation=truncation)
        numbers("StyleGAN", 0.0, 1.0, path_decay=path_decay, mixing=mixing)
        super().__init__(G, D, "non_saturating", latent)
        self.gamma, self.r1_every = gamma, r1_every
        self.path_weight, self.path_every, self.path_decay = path_weight, path_every, path_decay
        self.mixing, self.truncation, self.augment = mixing, truncation, augment
        self.register_buffer("path_mean", tensor(0.0))

    # --- styles and samples -------------------------------------------------------------------

    def mixed(self, z: Tensor, other: Tensor, level: Any) -> Tensor:
        """Styles (B, levels, dim): of z below `level`, coarse, of `other` from there on, fine.

        level: an integer, or one for each picture, (B,).
        """
        at = arange(self.G.levels, device=z.device).reshape(1, -1, 1)
        below = at < (level.reshape(-1, 1, 1) if isinstance(level, Tensor) else level)
        return where(below, self.G.styles(z), self.G.styles(other))

    def training_styles(self, n: int) -> Tensor:
        """Styles (n, levels, dim) of fresh codes, a share `mixing` of them of two."""
        z = self.draw(n)
        if not self.mixing:
            return self.G.styles(z)
        at = randint(1, self.G.levels, (n,), device=z.device)
        two = rand(n, device=z.device) < self.mixing
        return self.mixed(z, self.draw(n), where(two, at, self.G.levels))

    @no_grad()
    def mean_style(self, n: int = 4096) -> Tensor:
        """The mean of f(z) over n codes of a fixed seed, (1, 1, dim)."""
        like = next(iter(self.G.parameters()))
        z = self.draw(n, Generator(like.device).manual_seed(0))
        return self.G.mapping(z).mean(0).reshape(1, 1, -1)

    @no_grad()
    def render(self, w: Tensor, truncation: float | None = None) -> Tensor:
        """Styles w (B, levels, dim), drawn towards their mean by psi, as pictures (evaluation)."""
        psi = self.truncation if truncation is None else truncation
        if psi != 1.0:
            m = self.mean_style()
            w = m + psi * (w - m)
        training = self.G.training
        self.G.eval()
        out = self.G.synthesis(w)
        self.G.train(training)
        return out

    def decode(
        self, z: Tensor, labels: Tensor | None = None, truncation: float | None = None
    ) -> Tensor:
        """z (B, latent) -> (B, C, S, S), in evaluation mode: with the noise that is fixed."""
        with no_grad():
            w = self.G.styles(z)
        return self.render(w, truncation)

    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        truncation: float | None = None,
    ) -> Tensor:  # fmt: skip
        """n samples (n, C, S, S); truncation: psi, the model's own unless given."""
        return self.decode(self.draw(n, generator), labels, truncation)

    def mixing_grid(self, coarse: Tensor, fine: Tensor, level: int) -> Tensor:
        """(1 + n) (1 + m) pictures, a row each: white, fine's (m); then coarse i and its mixtures.

        coarse (n, latent) gives the styles below `level`, fine (m, latent) the others.
        """
        n, m = len(coarse), len(fine)
        pairs = self.mixed(coarse.repeat_interleave(m, 0), fine.repeat(n, 1), level)
        inner, top, left = self.render(pairs), self.decode(fine), self.decode(coarse)
        rows = [top[:1] * 0.0 + 1.0, top]
        for i in range(n):
            rows += [left[i : i + 1], inner[i * m : (i + 1) * m]]
        return cat(rows)

    # --- losses -------------------------------------------------------------------------------

    def judge(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """D's output for x as D gets to see it, augmented: (B, C, S, S) -> (B,)."""
        return super().judge(x if self.augment is None else self.augment(x), labels)

    def discriminator_terms(
        self, batch: Tensor | Sequence[Tensor], lazy: bool = False
    ) -> dict[str, Tensor]:
        """loss, and real, fake: D's mean outputs; lazy: with k_D gamma R1, penalty: R1.

        ADA's statistic is taken here.
        """
        real, _ = split(batch)
        with no_grad():
            fake = self.G.synthesis(self.training_styles(len(real)))
        if fake.shape != real.shape:
            raise RuntimeError(f"StyleGAN: G makes samples {fake.shape}, the data are {real.shape}")
        on_real, on_fake = self.judge(real), self.judge(fake)
        terms = {"loss": self.discriminator_loss(on_real, on_fake)}
        terms |= {"real": on_real.mean(), "fake": on_fake.mean()}
        if lazy:
            terms["penalty"] = zero_on_data(self.judge, real, fake)
            terms["loss"] = terms["loss"] + self.r1_every * self.gamma * terms["penalty"]
        if self.augment is not None:
            self.augment.update(on_real)
        return terms

    def path_lengths(self, w: Tensor) -> Tensor:
        """|J^T y| of each picture, (B,): w (B, levels, dim), the mean square over its levels."""
        with enable_grad():
            w = w if w.requires_grad else w.detach().requires_grad_()
            x = self.G.synthesis(w)
            y = randn_like(x) * (1.0 / math.sqrt(x.shape[2] * x.shape[3]))
            (slope,) = grad((x * y).sum(), [w], create_graph=True)
        return sqrt(mean(square(slope).sum(2), 1) + 1e-12)

    def path_penalty(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """E (|J^T y| - a)^2 and the lengths (B,), a moved by `path_decay` to their mean first."""
        lengths = self.path_lengths(w)
        moved = self.path_mean + self.path_decay * (lengths.detach().mean() - self.path_mean)
        self.path_mean.copy_(moved)
        return mean(square(lengths - moved)), lengths

    def generator_terms(
        self, n: int, labels: Tensor | None = None, lazy: bool = False
    ) -> dict[str, Tensor]:
        """loss on n samples; lazy: with k_G beta times the penalty of n / 2 others, path; length.

        length is the mean of |J^T y|. Inside `frozen(model.D)` D is left alone.
        """
        fake = self.G.synthesis(self.training_styles(n))
        terms = {"loss": self.objective.generator(self.judge(fake))}
        if lazy:
            terms["path"], lengths = self.path_penalty(self.training_styles(max(1, n // 2)))
            terms["loss"] = terms["loss"] + self.path_every * self.path_weight * terms["path"]
            terms["length"] = lengths.detach().mean()
        return terms


@no_grad()
def perceptual_path_length(
    model: StyleGAN, features: Any, n: int = 500, eps: float = 1e-2
) -> float:
    """E |f(G(w(t))) - f(G(w(t + eps)))|^2 / eps^2, w(t) on the line between two styles.

    features: pictures (B, C, S, S) -> arrays (B, F). t ~ U(0, 1); n pairs of a fixed seed. The
    paper's measure, in other features (Karras et al. 2019, arXiv:1812.04948).

    >>> import tinygen as tg
    >>> model = tg.models.build("stylegan", {"shape": (1, 8, 8), "latent": 4, "width": 4})
    >>> pixels = lambda x: x.flatten(1).numpy()
    >>> tg.models.gan.stylegan.perceptual_path_length(model, pixels, n=10) > 0
    True
    """
    generator, found = Generator(model.path_mean.device).manual_seed(0), []
    for first in range(0, n, 100):
        m = min(100, n - first)
        a, b = (model.G.styles(model.draw(m, generator)) for _ in range(2))
        t = rand(m, 1, 1, generator=generator, dtype=a.dtype, device=a.device)
        ends = (features(model.render(a + at * (b - a), 1.0)) for at in (t, t + eps))
        x, y = (end.astype("float64") for end in ends)
        found += (((x - y) ** 2).sum(1) / eps**2).tolist()
    return sum(found) / n


def build(config: Mapping[str, Any]) -> StyleGAN:
    """For pictures of `shape` (C, S, S) in [-1, 1], S = 4 2^k.

    width, most, layers, adain, group: see nets.style_networks; the rest: StyleGAN. ada: target of
    ADA's statistic, 0 for no augmentation; ada_images: see AdaptiveAugment.

    >>> import tinygen as tg
    >>> model = tg.models.build("stylegan", {"shape": (1, 8, 8), "latent": 4, "width": 4})
    >>> model.sample(3).shape, model.mixing_grid(model.draw(2), model.draw(3), 2).shape
    ((3, 1, 8, 8), (12, 1, 8, 8))
    """
    c = settings(
        "stylegan", config, shape=NEEDED, latent=64, width=16, most=64, layers=4, adain=False,
        group=4, gamma=0.1, r1_every=16, path_weight=2.0, path_every=4, mixing=0.9, truncation=1.0,
        ada=0.0, ada_images=20_000,
    )  # fmt: skip
    nets.sides("stylegan", c.shape)
    G, D = nets.style_networks(
        c.shape, c.latent, c.width, c.most, layers=c.layers, adain=c.adain, group=c.group
    )
    augment = AdaptiveAugment(c.ada, c.ada_images) if c.ada else None
    return StyleGAN(
        G, D, c.latent, gamma=c.gamma, r1_every=c.r1_every, path_weight=c.path_weight,
        path_every=c.path_every, mixing=c.mixing, truncation=c.truncation, augment=augment,
    )  # fmt: skip
