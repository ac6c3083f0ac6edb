"""unCLIP: a caption to a picture's embedding, the embedding to a picture (Ramesh et al. 2022).

    CLIP        z = sqrt(d) see(x),   c = sqrt(d) read(caption):   vectors whose numbers are near 1
    prior       p(z | c), a diffusion of the vector z by a perceptron that is told c
    decoder     p(x | z), a latent diffusion by a U-Net that is told z
    p(x | caption) = int p(x | z) p(z | c) dz:      draw z from the prior, then x from the decoder

arXiv:2204.06125. CLIP says what a picture has in common with a caption, the decoder draws the rest
anew: given see(x) it makes variations of x. Both diffusions are told nothing in a share of
training, for classifier-free guidance; z is brought back to its length after it was drawn.

What goes wrong: a caption's own embedding c in the place of z, for no picture lies there, and the
decoder never saw it; a CLIP that knows words but not which belongs to which: what its vector does
not say no decoder draws; CLIP trained on, which moves what the others learn from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...backend import Generator
from ...nn import functional as F
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..diffusion.conditions import Vectors
from ..diffusion.ddpm import DDPM
from ..diffusion.process import schedule
from ..systems import NEEDED, settings, split
from ..vq.latent_diffusion import LatentDiffusion, autoencoder
from . import clip

__all__ = ["UnCLIP", "build"]


class UnCLIP(LatentDiffusion):
    """A LatentDiffusion that is told CLIP's embedding of a picture, and a prior that draws such.

    First `first_terms` trains CLIP and the autoencoder; `measure` the latents; then `terms` trains
    prior and decoder, and what came first stays as it is.

    >>> import tinygen as tg
    >>> config = {"shape": (3, 16, 16), "words": ["a", "cat"], "width": 8, "ae_width": 8, "T": 2}
    >>> model, x = tg.models.build("unclip", config), 2.0 * tg.rand(2, 3, 16, 16) - 1.0
    >>> z = model.embed(x)
    >>> z.shape, model.imagine(["a cat"]).shape, model.sample(2, captions=["a cat"]).shape
    ((2, 64), (1, 64), (2, 3, 16, 16))
    >>> model.sample(2, labels=z).shape  # variations of x
    (2, 3, 16, 16)
    """

    def __init__(
        self,
        shape: Sequence[int],
        clip: clip.CLIP,
        autoencoder: nn.Module,
        diffusion: DDPM,
        prior: DDPM,
    ) -> None:
        super().__init__(shape, autoencoder, diffusion)
        self.clip, self.prior = clip, prior

    # --- embeddings -------------------------------------------------------------------------------

    def tokens(self, captions: Sequence[str]) -> Tensor:
        """(N, L), as those of CLIP."""
        return self.clip.tokens(captions)

    @no_grad()
    def embed(self, x: Tensor) -> Tensor:
        """Of pictures: (B, dim), vectors of length sqrt(dim)."""
        return math.sqrt(self.clip.dim) * self.clip.see(x)

    @no_grad()
    def read(self, captions: Sequence[str] | Tensor) -> Tensor:
        """Of captions or their tokens, (N, dim): what the prior is told, no picture's embedding."""
        return math.sqrt(self.clip.dim) * self.clip.read(captions)

    @no_grad()
    def imagine(
        self,
        captions: Sequence[str] | Tensor | None,
        generator: Generator | None = None,
        n: int = 1,
        guidance: float = 1.0,
        **options: Any,
    ) -> Tensor:
        """A draw of the prior for each caption, (N, dim); without captions, n of any picture."""
        told = None if captions is None else self.read(captions)
        options |= {} if told is None else {"guidance": guidance}
        z = self.prior.sample(n if told is None else len(told), generator, told, **options)
        return math.sqrt(self.clip.dim) * F.normalize(z)

    # --- training ---------------------------------------------------------------------------------

    def first_terms(self, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        """The first stage, of (x, tokens): CLIP's loss + the autoencoder's, which share nothing."""
        seen, made = self.clip.terms(batch), self.autoencoder_terms(batch)
        parts = {f"clip_{k}": v for k, v in seen.items()} | {f"ae_{k}": v for k, v in made.items()}
        return {"loss": seen["loss"] + made["loss"], **parts}

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """The second stage, of (x, tokens): the decoder's loss + the prior's."""
        x, tokens = split(batch)
        if tokens is None:
            raise ValueError("UnCLIP: expected a batch of pictures and their captions' tokens")
        z = self.embed(x)
        decoder = super().terms((x, z))["loss"]
        prior = self.prior.terms((z, self.read(tokens)))["loss"]
        return {"loss": decoder + prior, "decoder": decoder, "prior": prior}

    # --- pictures ---------------------------------------------------------------------------------

    @no_grad()
    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        labels: Any = None,
        captions: Sequence[str] | None = None,
        prior: bool = True,
        **options: Any,
    ) -> Tensor:
        """n pictures of captions, n or one; options as those of DDPM.sample, for both chains.

        labels: in place of captions, embeddings (n, dim) for the decoder, as `embed` makes them.
        With neither, pictures of any kind. prior=False gives the decoder the caption's own.
        """
        if captions is not None:
            captions = nets.one_each("UnCLIP", captions, n)
            labels = self.imagine(captions, generator, **options) if prior else self.read(captions)
        elif labels is None:
            quick = {k: v for k, v in options.items() if k != "guidance"}
            labels = self.imagine(None, generator, n, **quick)
        return super().sample(n, generator, labels, **options)


def build(config: Mapping[str, Any]) -> UnCLIP:
    """For pictures of `shape` in [-1, 1] and captions of `words`, the vocabulary, each once.

    clip: a config of clip.build, whose shape and words are these unless given. hidden, layers: of
    the prior's perceptron. space, dim, halvings, ae_width, blocks, kl, error, size: of the
    autoencoder, as those of latent_diffusion.build; drop, width, depth, schedule, T,
    parameterisation: of both diffusions. The decoder's U-Net has two sizes, with attention at the
    smaller one.
    """
    c = settings(
        "unclip", config, shape=NEEDED, words=NEEDED, clip={}, hidden=256, layers=4, space="kl",
        dim=8, halvings=2, ae_width=16, blocks=1, kl=1e-3, error="l2", size=128, drop=0.1, width=32,
        depth=1, schedule="cosine", T=200, parameterisation="v",
    )  # fmt: skip
    shape, pair = autoencoder(c)
    sees = clip.build({"shape": c.shape, "words": c.words} | dict(c.clip))
    told = {"drop": c.drop, "predicts": c.parameterisation, "condition": Vectors(sees.dim)}
    unet = nets.UNet(shape[0], c.width, (1, 2), c.depth, (1,), vectors=sees.dim)
    mlp = nets.TimeMLP(sees.dim, c.hidden, c.layers, vectors=sees.dim)
    chain = schedule(c.schedule, c.T)
    return UnCLIP(
        c.shape, sees, pair, DDPM(chain, unet, shape, bounded=c.space == "pixels", **told),
        DDPM(chain, mlp, (sees.dim,), **told),
    )  # fmt: skip
