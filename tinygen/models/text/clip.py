"""CLIP: pictures and captions as vectors that can be compared (Radford et al. 2021, 2103.00020).

    a_i = unit(see(picture_i)),  b_j = unit(read(caption_j)),      logits_ij = exp(s) a_i . b_j
    loss = -1/2 mean_i log softmax_j(logits)_ii - 1/2 mean_j log softmax_i(logits)_jj

Of a batch's captions each picture must find its own, and each caption its picture (InfoNCE, both
ways). Were the table of logits free, its optimum would be log p(x, y) / (p(x) p(y)) + a constant:
by how much a caption makes a picture likelier. The scale exp(s) is learned, and kept below 100.

What goes wrong: without a scale cosines in [-1, 1] can never be sure of anything; with one side
alone each picture's logits are free up to a constant, and pictures cannot be ranked for a caption.
A caption that is twice in a batch counts as wrong for its twin: the loss has a floor, the optimum
above does not move, so batches are left as they come. And words are known, not always their order:
"a red circle above a blue square" may well be as near as "a blue circle above a red square".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...checks import numbers, positive
from ...data import WordTokenizer
from ...nn import functional as F
from ...ops import arange, cat, tensor
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..systems import NEEDED, settings, split

__all__ = ["CLIP", "HIGHEST", "best_of", "build", "contrastive_loss"]

HIGHEST = 100.0  # of the scale of the logits, as in the paper


def contrastive_loss(logits: Tensor) -> Tensor:
    """Symmetric InfoNCE of tables (..., N, N), the true pairs on the diagonal: (...).

    The mean cross-entropy of rows and of columns, in nats; log N where nothing is known.

    >>> import tinygen as tg
    >>> contrastive_loss = tg.models.text.contrastive_loss
    >>> contrastive_loss(tg.zeros(2, 2)), contrastive_loss(tg.eye(2))
    (tensor(0.6931), tensor(0.3133))
    """
    if logits.ndim < 2 or logits.shape[-1] != logits.shape[-2]:
        raise ValueError(f"contrastive_loss: expected tables (..., N, N), got {logits.shape}")
    both = (logits.log_softmax(-1) + logits.log_softmax(-2)).diagonal(dim1=-2, dim2=-1)
    loss: Tensor = -0.5 * both.mean(-1)
    return loss


class CLIP(nn.Module):
    """Two encoders to vectors (B, dim) of length 1, and the scale of their products.

    pictures: a network of pictures of `shape` in [-1, 1]; captions: a TextEncoder, the mean of
    whose words stands for the caption. A system that compares and does not draw: no `sample`.

    >>> import tinygen as tg
    >>> config = {"shape": (3, 16, 16), "words": ["a", "cat", "dog"], "width": 8, "dim": 16}
    >>> model, x = tg.models.build("clip", config), 2.0 * tg.rand(5, 3, 16, 16) - 1.0
    >>> model.see(x).shape, model.read(["a cat", "a dog"]).shape, model.score(x, ["a cat"]).shape
    ((5, 16), (2, 16), (5, 1))
    >>> sorted(model.terms((x[:2], model.tokens(["a cat", "a dog"]))))
    ['accuracy', 'loss', 'scale']
    """

    pixels = (-1.0, 1.0)
    classes = 0

    def __init__(
        self,
        shape: Sequence[int],
        pictures: nn.Module,
        captions: nets.TextEncoder,
        dim: int,
        tokenizer: WordTokenizer,
        temperature: float = 0.07,
    ) -> None:
        super().__init__()
        numbers("CLIP", 1.0 / HIGHEST, 1.0, temperature=temperature)
        self.shape, self.dim, self.tokenizer = tuple(shape), dim, tokenizer
        self.pictures, self.captions = pictures, captions
        self.project = nn.Linear(captions.width, dim, bias=False)
        self.log_scale = nn.Parameter(tensor(-math.log(temperature)))

    def tokens(self, captions: Sequence[str]) -> Tensor:
        """(N, L); ValueError for an empty caption, an unknown word and one that is too long."""
        tokens = self.tokenizer(captions, self.captions.length, strict=True)
        return tokens.to(self.log_scale.device)

    def see(self, x: Tensor) -> Tensor:
        """Vectors (B, dim) of length 1 of pictures (B, *shape)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"CLIP: expected pictures (B, {self.shape}), got {x.shape}")
        return F.normalize(self.pictures(x))

    def read(self, captions: Sequence[str] | Tensor) -> Tensor:
        """Vectors (N, dim) of length 1 of captions, or of their tokens (N, L)."""
        tokens = captions if isinstance(captions, Tensor) else self.tokens(captions)
        words = self.captions(tokens)
        mean = words.sum(1) / nets.is_word(words).sum(1, keepdim=True).to(words.dtype)
        return F.normalize(self.project(mean))

    def terms(self, batch: Sequence[Tensor]) -> dict[str, Tensor]:
        """Of (x, tokens): the loss, the scale, and how often a picture finds its own caption."""
        x, tokens = split(batch)
        if tokens is None:
            raise ValueError("CLIP: expected a batch of pictures and their captions' tokens")
        with no_grad():  # the parameter itself, so that it can come back
            self.log_scale.clamp_(max=math.log(HIGHEST))
        scale = self.log_scale.exp()
        logits = scale * (self.see(x) @ self.read(tokens).T)
        own = logits.detach().argmax(1) == arange(len(x), device=x.device)
        return {
            "loss": contrastive_loss(logits),
            "scale": scale.detach(),
            "accuracy": own.to(x.dtype).mean(),
        }

    @no_grad()
    def score(self, pictures: Tensor, captions: Sequence[str] | Tensor, batch: int = 250) -> Tensor:
        """The cosine of each picture's vector with each caption's, (N, M)."""
        read = self.read(captions).T
        return cat([self.see(part) @ read for part in pictures.split(batch)])


@no_grad()
def best_of(model: CLIP, pictures: Tensor, captions: Sequence[str]) -> Tensor:
    """Of k pictures a caption (N k, C, H, W), in order, the one that CLIP likes best, (N, C, H, W).

    Re-ranking, as in DALL-E: with k draws a caption, what the captions say holds more often. But
    then the scores of what is kept no longer judge it. ValueError for an uneven number of pictures.

    >>> import tinygen as tg
    >>> config = {"shape": (3, 16, 16), "words": ["a", "cat", "dog"], "width": 8, "dim": 16}
    >>> model, x = tg.models.build("clip", config), 2.0 * tg.rand(8, 3, 16, 16) - 1.0
    >>> tg.models.text.best_of(model, x, ["a cat", "a dog"]).shape
    (2, 3, 16, 16)
    """
    if not captions or len(pictures) % len(captions):
        raise ValueError(f"best_of: {len(pictures)} pictures for {len(captions)} captions")
    seen = cat([model.see(part) for part in pictures.split(250)])
    by_caption = seen.reshape(len(captions), -1, model.dim)  # (N, k, dim)
    best = (by_caption * model.read(captions)[:, None]).sum(-1).argmax(1)
    k = by_caption.shape[1]
    return pictures[best + k * arange(len(captions), device=best.device)]


def build(config: Mapping[str, Any]) -> CLIP:
    """For pictures of `shape` in [-1, 1] and captions of `words`, the vocabulary, each once.

    dim: of the vectors; temperature: 1 / scale as training begins. width, halvings: of what sees
    (the encoder of `nets.map_autoencoder`, then 128 units). length: the most tokens of a caption,
    <bos> and <eos> included; text_width, text_layers: of the transformer that reads it.
    """
    c = settings(
        "clip", config, shape=NEEDED, words=NEEDED, dim=64, temperature=0.07, width=8, halvings=3,
        length=16, text_width=64, text_layers=2,
    )  # fmt: skip
    positive("CLIP", dim=c.dim, halvings=c.halvings)
    channels = c.width * 2 ** (c.halvings - 1)
    features = channels * math.prod(c.shape[1:]) // 4**c.halvings
    pictures = nn.Sequential(
        nets.map_autoencoder(c.shape, channels, c.width, c.halvings)[0], nn.SiLU(), nn.Flatten(),
        nn.LayerNorm(features), nn.Linear(features, 128), nn.SiLU(),
        nn.Linear(128, c.dim, bias=False),
    )  # fmt: skip
    tokenizer = WordTokenizer(c.words)
    captions = nets.TextEncoder(len(tokenizer), c.length, c.text_width, c.text_layers)
    return CLIP(c.shape, pictures, captions, c.dim, tokenizer, c.temperature)
