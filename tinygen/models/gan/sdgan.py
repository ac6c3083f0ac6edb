"""The semantically decomposed GAN: a code of who, a code of how (Donahue et al. 2018).

    z = (z_I, z_O),   z_I ~ U(-1, 1)^d_I the identity,   z_O ~ U(-1, 1)^d_O the observation
    V = E log D(x1, x2) + E log(1 - D(G(z_I, z_O), G(z_I, z_O')))

Real pairs are two different pictures of one identity; a generated pair shares z_I. D looks at each
of the two with the same weights (Siamese), then at both. To pass, G must make good pictures, two
that differ, and two of one identity. The data say who is who, but no network is told: z_I has a
value for identities that the data do not have. Nothing asks that a shared z_O be seen the same way
in all of them; that a column of the grid often shows one letter is what G finds easiest.

The pseudo-code that goes round has two faults, mended here:

1. "theta_D <- theta_D + grad V", "theta_G <- theta_G - grad V": a step without a learning rate is
   one of size 1, which overshoots; with eta, theta <- theta + eta grad V, V rises.
2. G descends V itself, log(1 - D), whose slope vanishes where D is sure, as it is at first. The
   paper's code descends -log D, the row `non_saturating`, which is the default.

What goes wrong: real pairs of two identities, or of one picture twice, teach D nothing about
identity, or that pairs should be copies; codes of a pair that share nothing leave G no way to pass;
with few identities D knows them by heart, and G makes those and no new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ... import nn
from ...backend import Generator
from ...checks import positive
from ...ops import cat, rand
from ...tensor import Tensor
from .. import nets
from ..systems import NEEDED, settings
from .gan import GAN
from .objectives import objective

__all__ = ["SDGAN", "build"]


class SDGAN(GAN):
    """A GAN of pairs: pictures 2 i and 2 i + 1 of a batch are of one identity, or should be.

    G: z (B, identity + observation) -> pictures; D: pairs (B, 2 C, H, W) -> raw (B,).
    `discriminator_terms` takes an even number of pictures, two of one identity in a row, as a
    loader with `data.PairSampler` gives them; `generator_terms(n)` judges n pictures, n / 2 pairs.

    >>> import tinygen as tg
    >>> G, D = tg.models.nets.siamese_dcgan((1, 8, 8), latent=5, width=4)
    >>> model = tg.models.gan.SDGAN(G, D, "non_saturating", identity=2, observation=3)
    >>> z = model.draw(4)                                              # two pairs
    >>> bool((z[0, :2] == z[1, :2]).all()), bool((z[0, 2:] == z[1, 2:]).any())
    (True, False)
    """

    def __init__(
        self, G: nn.Module, D: nn.Module, objective_name: str, identity: int, observation: int,
        **options: Any,
    ) -> None:  # fmt: skip
        positive("SDGAN", identity=identity, observation=observation)
        super().__init__(G, D, objective_name, identity + observation, pack=2, **options)
        self.identity = identity

    def draw(self, n: int, generator: Generator | None = None, each: int = 2) -> Tensor:
        """n codes (n, latent) of U(-1, 1), the identity the same in each `each` rows in a row."""
        like = next(iter(self.G.parameters()))
        draw = partial(rand, generator=generator, dtype=like.dtype, device=like.device)
        who = draw(-(-n // each), self.identity).repeat_interleave(each, 0)[:n]
        how = draw(n, self.latent - self.identity)
        return 2.0 * cat([who, how], 1) - 1.0

    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        each: int = 1,
    ) -> Tensor:  # fmt: skip
        """n samples (n, *shape), `each` in a row of one identity: unless given, each of its own."""
        return self.decode(self.draw(n, generator, each), labels)

    def grid(self, who: Tensor, how: Tensor) -> Tensor:
        """Every identity of who (n, identity) observed in every way of how (m, observation).

        (n m, *shape): a row of m pictures an identity, a column an observation.
        """
        rows, columns = who.repeat_interleave(len(how), 0), how.repeat(len(who), 1)
        return self.decode(cat([rows, columns], 1))


def build(config: Mapping[str, Any]) -> SDGAN:
    """A DCGAN of pairs for pictures of `shape` (C, S, S) in [-1, 1].

    identity, observation: numbers in the two codes (the paper: 50 and 50). norm: D's; batch unless
    the objective has a gradient penalty, then layer. width: see nets.dcgan (the paper: 64, for 64 x
    64 pixels).

    >>> import tinygen as tg
    >>> config = {"shape": (1, 8, 8), "identity": 2, "observation": 3, "width": 4}
    >>> model = tg.models.build("sdgan", config)
    >>> model.sample(3).shape, model.grid(tg.zeros(4, 2), tg.zeros(5, 3)).shape
    ((3, 1, 8, 8), (20, 1, 8, 8))
    """
    c = settings(
        "sdgan", config, shape=NEEDED, objective="non_saturating", identity=16, observation=32,
        width=32, norm=None,
    )  # fmt: skip
    norm = c.norm or ("layer" if objective(c.objective).penalty else "batch")
    G, D = nets.siamese_dcgan(c.shape, c.identity + c.observation, c.width, norm=norm)
    return SDGAN(G, D, c.objective, c.identity, c.observation)
