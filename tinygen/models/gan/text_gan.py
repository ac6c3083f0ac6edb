"""Text to image by two players, GAN-INT-CLS (Reed et al. 2016, arXiv:1605.05396).

    D:  E log D(x, t) + 1/2 E log(1 - D(x, t')) + 1/2 E log(1 - D(G(z, t), t))      t' of another x
    G:  E log D(G(z, t), t) + w E log D(G(z, m), m),        m = (t + t') / 2

t is a caption's vector. D is shown real pictures with a wrong caption, which count as false: it has
to look at the match (CLS), and not only at the picture. G is also asked for what lies half-way
between two captions, of which no picture is there (INT): D judges by what it knows of matching.

The paper's reader of captions was trained beforehand; here it is a part of D and learns with it, by
D's loss alone. G gets its vectors as they are.

What goes wrong: a wrong caption that by chance is the picture's own tells D that a match is false,
so t' is drawn among the others of the batch that differ; one that differs but says less ("a red
circle") may still be true of the picture, which is let pass. A D without wrong captions learns
pictures first, and G may then ignore the words. Half-way between a caption and itself is nothing
new. G keeps to few pictures a caption, as D is never shown two of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...backend import Generator
from ...checks import numbers
from ...data import WordTokenizer
from ...data.text import BOS, EOS
from ...ops import cat, rand, tensor
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..systems import NEEDED, settings, split
from .gan import GAN
from .objectives import loss_alone

__all__ = ["TextGAN", "build", "mismatched"]


def mismatched(tokens: Tensor, generator: Generator | None = None) -> Tensor:
    """For each caption of tokens (B, L) another one's place in the batch, (B,), by chance.

    Only captions that differ are drawn; ValueError where a caption has no such other.

    >>> import tinygen as tg
    >>> tg.models.gan.mismatched(tg.tensor([[1, 5, 2], [1, 5, 2], [1, 7, 2]]))[:2]
    tensor([2, 2])
    """
    differ = (tokens[:, None] != tokens[None]).any(2)
    if not bool(differ.any(1).all()):
        raise ValueError(
            f"mismatched: all {len(tokens)} captions of the batch are the same; two are needed"
        )
    chance = rand(differ.shape, generator=generator, device=tokens.device)
    return (chance + differ.to(chance.dtype)).argmax(1)  # those that differ lie in 1..2


class TextGAN(GAN):
    """G: (z, vectors (B, width)) -> pictures; D: (pictures, vectors) -> raw (B,), and it reads.

    aware: D is shown real pictures with wrong captions. between: w, of the captions half-way.
    ValueError for an objective whose D needs a penalty or clipped weights.

    >>> import tinygen as tg
    >>> config = {"shape": (3, 8, 8), "words": ["a", "cat", "dog"], "latent": 4, "width": 4}
    >>> model = tg.models.build("text_gan", config)
    >>> batch = (tg.zeros(2, 3, 8, 8), model.tokens(["a cat", "a dog"]))
    >>> list(model.discriminator_terms(batch)), list(model.generator_terms(2, batch[1]))
    (['loss', 'real', 'fake', 'wrong'], ['loss', 'fooled', 'between'])
    >>> model.sample(3, captions=["a dog"]).shape
    (3, 3, 8, 8)
    """

    def __init__(
        self, G: nets.Captioned, D: nets.Matching, objective_name: str, latent: int,
        tokenizer: WordTokenizer, *, aware: bool = True, between: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__(G, D, objective_name, latent)
        numbers("TextGAN", 0.0, between=between)
        loss_alone("TextGAN", objective_name)
        self.tokenizer, self.aware, self.between = tokenizer, aware, between

    # --- samples --------------------------------------------------------------------------------

    def tokens(self, captions: Sequence[str]) -> Tensor:
        """(N, L); ValueError for an empty caption, an unknown word and one that is too long."""
        like = next(iter(self.D.parameters()))
        return self.tokenizer(captions, self.D.encoder.length, strict=True).to(like.device)

    @no_grad()
    def read(self, captions: Sequence[str] | Tensor) -> Tensor:
        """The vectors of captions, or of their tokens, (N, width); what lies between is one too."""
        tokens = captions if isinstance(captions, Tensor) else self.tokens(captions)
        return tokens if tokens.dtype.kind == "f" else self.D.read(tokens)

    @no_grad()
    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """G in evaluation mode: z (B, latent), labels tokens (B, L) or vectors (B, width).

        Without labels, of a caption of no words: training showed none, and G is on its own.
        """
        nothing = tensor([[BOS, EOS]], device=z.device).expand(len(z), 2)
        return super().decode(z, self.read(nothing if labels is None else labels))

    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        captions: Sequence[str] | None = None,
    ) -> Tensor:  # fmt: skip
        """n pictures of captions, n or one; labels: in their place, tokens or vectors."""
        if captions is not None:
            labels = self.read(nets.one_each("TextGAN", captions, n))
        return super().sample(n, generator, labels)

    # --- losses -----------------------------------------------------------------------------------

    def discriminator_terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """D's loss on a batch (x, tokens), as many samples of these captions, and wrong captions.

        loss: the mean of the row's losses with samples and with wrong captions as what is false;
        real, fake, wrong: D's mean outputs.
        """
        x, tokens = split(batch)
        tokens = self._captions(tokens, len(x))
        told, seen = self.D.read(tokens), self.D.trunk(x)
        with no_grad():
            fake = self.G(self.draw(len(x)), told)
        on_real, on_fake = self.D.match(seen, told), self.D(fake, told)
        loss = self.discriminator_loss(on_real, on_fake)
        terms = {"loss": loss, "real": on_real.mean(), "fake": on_fake.mean()}
        if self.aware:
            on_wrong = self.D.match(seen, told[mismatched(tokens)])
            terms["loss"] = 0.5 * (loss + self.discriminator_loss(on_real, on_wrong))
            terms["wrong"] = on_wrong.mean()
        return terms

    def generator_terms(self, n: int, labels: Tensor | None = None) -> dict[str, Tensor]:
        """loss: the row's of n samples of the captions `labels`, tokens (n, L), + w `between`."""
        tokens = self._captions(labels, n)
        told = self.read(tokens)  # its vectors are D's business
        if self.between:
            told = cat([told, 0.5 * (told + told[mismatched(tokens)])])
        on_fake = self.D(self.G(self.draw(len(told)), told), told)
        fooled, *between = (self.objective.generator(part) for part in on_fake.split(n))
        terms = {"loss": fooled, "fooled": fooled}
        for term in between:
            terms |= {"loss": fooled + self.between * term, "between": term}
        return terms

    def _captions(self, tokens: Tensor | None, n: int) -> Tensor:
        if tokens is None or len(tokens) != n:
            got = "none" if tokens is None else len(tokens)
            raise ValueError(f"TextGAN: needs {n} captions' tokens, (B, L) integers; got {got}")
        return tokens


def build(config: Mapping[str, Any]) -> TextGAN:
    """For pictures of `shape` in [-1, 1] and captions of `words`, the vocabulary, each once.

    aware, between: see TextGAN. length: the most tokens of a caption, <bos> and <eos> included;
    text_width, text_layers: of what reads it. latent, width, told: see nets.text_gan; norm: D's.
    """
    c = settings(
        "text_gan", config, shape=NEEDED, words=NEEDED, objective="non_saturating", length=16,
        text_width=64, text_layers=1, latent=32, width=32, told=32, norm="layer", aware=True,
        between=1.0,
    )  # fmt: skip
    tokenizer = WordTokenizer(c.words)
    encoder = nets.TextEncoder(len(tokenizer), c.length, c.text_width, c.text_layers)
    G, D = nets.text_gan(c.shape, c.latent, encoder, c.width, c.told, norm=c.norm)
    return TextGAN(G, D, c.objective, c.latent, tokenizer, aware=c.aware, between=c.between)
