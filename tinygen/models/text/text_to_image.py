"""Text to image: a latent diffusion model that reads a caption (Rombach et al. 2022, as in GLIDE).

    words        = transformer(caption),                 a vector for each word, (B, L, width)
    network(u_t, t, words): every attention of the U-Net looks at the latents, then at the words
    guidance     eps = eps(nothing) + g (eps(words) - eps(nothing)),    Ho and Salimans 2022

Encoder of words and U-Net learn together, by the diffusion's loss alone. A share of the captions is
replaced in training by one without words, so that there is a "nothing" to be guided away from.

What goes wrong: padding that is attended to, so that a caption's picture depends on how long the
others of its batch are; a caption of unknown words, drawn in silence as if it said nothing; g so
large that colours saturate. And binding: a model that has never seen a red square may well draw a
red circle and a blue square where it was asked for the contrary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...backend import Generator
from ...data import WordTokenizer
from ...data.text import BOS, EOS
from ...ops import empty
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..diffusion.conditions import Captions
from ..diffusion.ddpm import DDPM
from ..diffusion.process import cosine
from ..systems import NEEDED, settings
from ..vq.latent_diffusion import LatentDiffusion, autoencoder

__all__ = ["TextToImage", "build"]


class TextToImage(LatentDiffusion):
    """A LatentDiffusion whose labels are captions: tokens (B, L), or the words `read` from them.

    >>> import tinygen as tg
    >>> config = {"shape": (3, 16, 16), "words": ["a", "cat"], "width": 8, "ae_width": 8, "T": 2}
    >>> model = tg.models.build("text_to_image", config)
    >>> model.tokens(["a cat"])[:, :5]
    tensor([[1, 4, 5, 2, 0]])
    >>> model.sample(2, captions=["a cat"], guidance=2.0).shape
    (2, 3, 16, 16)
    """

    def __init__(
        self,
        shape: Sequence[int],
        autoencoder: nn.Module,
        diffusion: DDPM,
        tokenizer: WordTokenizer,
        length: int,
    ) -> None:
        super().__init__(shape, autoencoder, diffusion)
        self.tokenizer, self.length = tokenizer, length

    def tokens(self, captions: Sequence[str]) -> Tensor:
        """(N, L); ValueError for an empty caption, an unknown word and one that is too long."""
        return self.tokenizer(captions, self.length, strict=True).to(self.scale.device)

    @no_grad()
    def read(self, captions: Sequence[str]) -> Tensor:
        """The words of captions, (N, L, width); what lies between two of them is drawn as well."""
        tokens = self.tokens(captions)
        return self.diffusion.told(tokens, tokens)

    @no_grad()
    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        labels: Any = None,
        captions: Sequence[str] | None = None,
        **options: Any,
    ) -> Tensor:
        """n pictures of captions, n or one; options as those of DDPM.sample.

        labels: in place of captions, their tokens (n, L) or words (n, L, width). With neither,
        pictures of any kind.
        """
        if captions is not None:
            labels = self.read(nets.one_each("TextToImage", captions, n))
        elif labels is not None:  # read once, not at each step
            labels = self.diffusion.told(labels, empty(n, 0))
        return super().sample(n, generator, labels, **options)


def build(config: Mapping[str, Any]) -> TextToImage:
    """For pictures of `shape` in [-1, 1] and captions of `words`, the vocabulary, each once.

    length: the most tokens of a caption, <bos> and <eos> included. text_width, text_layers: of the
    encoder of words. space, dim, halvings, ae_width, blocks, kl, error, size: of the autoencoder,
    as those of latent_diffusion.build; drop, net, width, depth, shift (of the cosine), T,
    parameterisation: of the diffusion. net="unet" has two sizes, of equal width, or three for
    pixels, with attention where a map is at most 8 x 8; "dit" is of depth blocks, of patches of 1
    latent or 4 x 4 pixels.
    """
    c = settings(
        "text_to_image", config, shape=NEEDED, words=NEEDED, length=16, text_width=64,
        text_layers=2, space="kl", dim=8, halvings=2, ae_width=32, blocks=1, kl=1e-3, error="rms",
        size=128, drop=0.1, net="unet", width=72, depth=1, shift=0.5, T=200, parameterisation="v",
    )  # fmt: skip
    shape, pair = autoencoder(c)
    tokenizer = WordTokenizer(c.words)
    encoder = nets.TextEncoder(len(tokenizer), c.length, c.text_width, c.text_layers)
    net = _net(c, shape)
    diffusion = DDPM(
        cosine(c.T, shift=c.shift), net, shape, predicts=c.parameterisation, drop=c.drop,
        bounded=c.space == "pixels", condition=Captions(encoder, [BOS, EOS]),
    )  # fmt: skip
    return TextToImage(c.shape, pair, diffusion, tokenizer, c.length)


def _net(c: Any, shape: tuple[int, ...]) -> nn.Module:
    """What denoises maps of `shape`, (C, H, W)."""
    pixels, (channels, *size) = c.space == "pixels", shape
    if c.net == "dit":
        return nets.DiT(channels, size, 4 if pixels else 1, c.width, c.depth, words=c.text_width)
    if c.net != "unet":
        raise ValueError(f"text_to_image: net {c.net!r}; there are unet, dit")
    sizes = (1, 2, 4) if pixels else (1, 1)
    small = [k for k in range(len(sizes)) if size[0] <= 8 * 2**k] or [len(sizes) - 1]
    return nets.UNet(channels, c.width, sizes, c.depth, small, words=c.text_width)
