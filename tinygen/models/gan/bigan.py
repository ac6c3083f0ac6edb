"""BiGAN: beside G an encoder E, and a D of pairs (Donahue et al. 2017, arXiv:1605.09782).

    V = E log D(x, E(x)) + E log(1 - D(G(z), z)),     D max,   E and G min

D sees a picture with a code: which of the two was there first? At the best D,
log D / (1 - D) = log p_E(x, z) / p_G(x, z), with p_E = p_d(x) p_E(z|x) and p_G = p(z) p_G(x|z), so
that E and G descend 2 JSD(p_E, p_G). That is 0 only where the two laws of pairs are one: then E and
G, both of them functions, are inverse to each other, though neither was asked to undo the other.
With a random E this is ALI (Dumoulin et al. 2016, arXiv:1606.00704).

BigBiGAN (Donahue and Simonyan 2019, arXiv:1907.02544) adds the unary terms: D says s_xz of the
pair, s_x of the picture alone and s_z of the code alone, and each is a game of its own. s_x keeps
G's pictures good while E's codes are not yet, s_z tells E what the law of codes should be.

What goes wrong: D tells pairs apart by any small thing, so that E(x) and G(z) share what a picture
is of long before its pixels: G(E(x)) is a picture like x, not x. Codes of E that lie elsewhere than
p(z) give D away at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...backend import Generator
from ...ops import stack
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..likelihoods import reparameterise
from ..systems import NEEDED, settings, split
from .gan import GAN

__all__ = ["BiGAN", "ROWS", "build"]

ROWS = ("non_saturating", "minimax", "hinge")  # D's output changes its sign with the sides


class BiGAN(GAN):
    """G: z (B, latent) -> pictures; E: pictures -> z; D: (pictures, z) -> raw (B, scores).

    stochastic: E gives mu and log var of z beside each other, (B, 2 latent), and z is drawn.
    ValueError for an objective that is none of ROWS: the loss of E is the row's of G, of -D.

    >>> import tinygen as tg
    >>> model = tg.models.build("bigan", {"shape": (1, 8, 8), "latent": 4, "width": 4})
    >>> x = tg.zeros(5, 1, 8, 8)
    >>> list(model.discriminator_terms((x,))), list(model.generator_terms(5, real=x))
    (['loss', 'real', 'fake'], ['loss', 'generator', 'encoder'])
    >>> model.encode(x).shape, model.reconstruct(x).shape
    ((5, 4), (5, 1, 8, 8))
    """

    D: nets.JointDiscriminator

    def __init__(
        self, G: nn.Module, E: nn.Module, D: nn.Module, objective_name: str, latent: int,
        *, stochastic: bool = False,
    ) -> None:  # fmt: skip
        if objective_name not in ROWS:
            raise ValueError(f"BiGAN: expected an objective of {', '.join(ROWS)}, "
                             f"got {objective_name!r}")  # fmt: skip
        super().__init__(G, D, objective_name, latent)
        self.E, self.stochastic = E, stochastic

    # --- codes ------------------------------------------------------------------------------------

    def code(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """E(x), or a draw of it where E is stochastic: (B, ...) -> (B, latent)."""
        z: Tensor = self.E(x)
        if not self.stochastic:
            return z
        mu, log_var = z.chunk(2, 1)
        return reparameterise(mu, log_var, generator)

    @no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """E(x), its mean if stochastic, in evaluation mode, without a gradient: -> (B, latent)."""
        training = self.E.training
        self.E.eval()
        z: Tensor = self.E(x)
        self.E.train(training)
        return z[:, : self.latent]

    def reconstruct(self, x: Tensor) -> Tensor:
        """G(E(x)), shaped as x: what D never asked for by name."""
        return self.decode(self.encode(x))

    # --- losses -----------------------------------------------------------------------------------

    def discriminator_terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """D's loss on pairs (x, E(x)) of a batch (x,) and as many (G(z), z).

        loss: the row's, the sum of that of each score; real, fake: the mean score of either side.
        """
        x, _ = split(batch)
        with no_grad():
            z = self.draw(len(x))
            code, made = self.code(x), self.G(z)
        if made.shape != x.shape or code.shape != z.shape:
            raise RuntimeError(
                f"BiGAN: G makes samples {made.shape} of codes {z.shape}, but the data are "
                f"{x.shape}, E's codes {code.shape}"
            )
        on_real, on_fake = self.D(x, code), self.D(made, z)
        scores = zip(on_real.unbind(1), on_fake.unbind(1))
        loss = stack([self.objective.discriminator(*each) for each in scores]).sum()
        return {"loss": loss, "real": on_real.mean(), "fake": on_fake.mean()}

    def generator_terms(
        self, n: int, labels: Tensor | None = None, real: Tensor | None = None
    ) -> dict[str, Tensor]:
        """loss: G's on n pairs (G(z), z), and with real (B, ...) E's on (x, E(x)); both parts.

        G is paid where D takes its pairs for the data's, E where D takes the data's for G's.
        """
        if labels is not None:
            raise ValueError("BiGAN: G is told no label; got labels")
        z = self.draw(n)
        fooled = self._fooled(self.D(self.G(z), z))
        if real is None:
            return {"loss": fooled}
        encoded = self._fooled(-self.D(real, self.code(real)))
        return {"loss": fooled + encoded, "generator": fooled, "encoder": encoded}

    def _fooled(self, scores: Tensor) -> Tensor:
        return stack([self.objective.generator(score) for score in scores.unbind(1)]).sum()


def build(config: Mapping[str, Any]) -> BiGAN:
    """DCGAN's G, and its D without the verdict as the trunk of E and of D; `shape` (C, S, S).

    unary: BigBiGAN's terms. stochastic: ALI's E. norm: D's and E's. hidden: units of D's layers on
    codes and pairs. objective: one of ROWS. latent, width: see nets.dcgan.
    """
    c = settings(
        "bigan", config, shape=NEEDED, objective="non_saturating", latent=16, width=32, hidden=256,
        norm="batch", unary=False, stochastic=False,
    )  # fmt: skip
    G, _ = nets.dcgan(c.shape, c.latent, c.width)
    plain = "none" if c.norm == "spectral" else c.norm
    trunk, features = nets.dcgan_trunk(c.shape, c.width, norm=plain)
    E = nn.Sequential(trunk, nn.Linear(features, (1 + c.stochastic) * c.latent))
    D: nn.Module = nets.JointDiscriminator(
        *nets.dcgan_trunk(c.shape, c.width, norm=c.norm), c.latent, c.hidden, c.unary
    )
    if c.norm == "spectral":
        D = nets.spectrally_normalised(D)
    return BiGAN(G, E, D, c.objective, c.latent, stochastic=c.stochastic)
