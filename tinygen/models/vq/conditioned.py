"""Priors that are told something: a picture, place by place, or a caption, which each place reads.

    log P(t | told) = sum_i log P(t_i | t_1 .. t_{i-1}, c_i)
    of a picture    c = encoder(picture): convolutions and a block of attention
    of a caption    c_i = attention of place i to the words of a TextEncoder

The transformer reads c_i + e(t_{i-1}) at place i. (In Esser et al. 2020, arXiv:2012.09841, section
3.2, what is told is integers that stand before all others, and attention has to find which of them
belong to a place. A thousand pairs do not teach it that.)

What goes wrong: few pairs and a large transformer, which then learns them by heart; a shuffled
condition that does as well as the right one: the transformer does not look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ... import nn
from ...checks import numbers
from ...ops import rand, randn, where
from ...tensor import Tensor
from .. import nets
from ..systems import split
from .tokens import NextToken
from .vqvae import VQVAE

__all__ = ["Captioned", "Conditioned", "Told"]


class Told(NextToken):
    """NextToken that is told something: what `known` makes of it, (n, tokens, width), or None.

    Wherever NextToken takes labels, it takes these things. hidden: the share of them that is not
    told in training, so that both can be drawn.
    """

    def __init__(
        self, codes: VQVAE, width: int = 64, layers: int = 4, heads: int = 4, hidden: float = 0.1
    ) -> None:
        numbers(type(self).__name__, 0.0, 1.0, hidden=hidden)
        super().__init__(codes, width, layers, heads)
        self.hidden = hidden
        self.places = nn.Parameter(randn(self.length, width))
        self.unknown = nn.Parameter(randn(self.length, width))

    def known(self, n: int, labels: Tensor) -> Tensor:
        """What n things say to each place, (n, tokens, width)."""
        raise NotImplementedError

    def start(self, n: int, labels: Tensor | None) -> Tensor:
        """What is told of each place, (n, tokens, width), of n things or of none."""
        told = self.unknown.expand(n, -1, -1)
        if labels is not None:
            known = self.known(n, labels)
            if self.training:
                known = where(rand(n, 1, 1, device=known.device) < self.hidden, told, known)
            told = known
        return told + super().start(n, None)

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log P(tokens | told) in nats; (x,), or (x, what is told)."""
        log_p = self.log_prob(*split(batch)).mean()
        return {"loss": -log_p, "log_prob": log_p}


class Conditioned(Told):
    """Told a picture (B, *shape), aligned with the one that it draws.

    ValueError where pictures of `shape` cannot be halved to the codes' map.

    >>> import tinygen as tg
    >>> codes = tg.models.build("vqvae", {"shape": (3, 8, 8), "width": 8, "size": 16})
    >>> model = tg.models.vq.Conditioned(codes, (1, 8, 8), width=8)
    >>> lines = tg.rand(5, 1, 8, 8)
    >>> model.sample(5, labels=lines).shape, model.sample(5).shape
    ((5, 3, 8, 8), (5, 3, 8, 8))
    """

    def __init__(
        self, codes: VQVAE, shape: Sequence[int], width: int = 64, layers: int = 4, heads: int = 4,
        hidden: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__(codes, width, layers, heads, hidden)
        self.told = tuple(shape)
        halvings = (shape[1] // codes.map[0]).bit_length() - 1
        if (
            tuple(side >> halvings for side in shape[1:]) != tuple(codes.map)
            or math.prod(codes.map) != self.length
        ):
            raise ValueError(
                f"Conditioned: pictures {self.told} cannot be halved to a map of {self.length} "
                f"integers, {codes.map[0]} x {codes.map[1]}"
            )
        self.encoder, _ = nets.map_autoencoder(shape, width, max(8, width // 2), halvings)
        self.block = nets.TransformerBlock(width, heads)

    def known(self, n: int, labels: Tensor) -> Tensor:
        """Of n pictures; ValueError where they are not (n, *told)."""
        if labels.shape != (n, *self.told):
            raise ValueError(f"Conditioned: expected {n} pictures {self.told}, got {labels.shape}")
        known: Tensor = self.block(self.encoder(labels).flatten(2).transpose(1, 2) + self.places)
        return known


class Captioned(Told):
    """Told a caption: tokens (B, L) in 0..size-1, 0 for padding, L <= length.

    >>> import tinygen as tg
    >>> codes = tg.models.build("vqvae", {"shape": (3, 8, 8), "width": 8, "size": 16})
    >>> model = tg.models.vq.Captioned(codes, size=10, length=6, width=8)
    >>> model.sample(5, labels=tg.tensor([[1, 7, 2, 0]] * 5)).shape
    (5, 3, 8, 8)
    """

    def __init__(
        self, codes: VQVAE, size: int, length: int, width: int = 64, layers: int = 4,
        heads: int = 4, hidden: float = 0.1,
    ) -> None:  # fmt: skip
        super().__init__(codes, width, layers, heads, hidden)
        self.encoder = nets.TextEncoder(size, length, width, heads=heads)
        self.reading = nn.MultiheadAttention(width, heads, batch_first=True)

    def known(self, n: int, labels: Tensor) -> Tensor:
        """Of n captions: the first word's vector, which is of all, and what the place reads."""
        if len(labels) != n:
            raise ValueError(f"Captioned: expected {n} captions, got {labels.shape}")
        words = self.encoder(labels)
        places = self.places.expand(n, -1, -1)
        read, _ = self.reading(places, words, words, ~nets.is_word(words), need_weights=False)
        return words[:, :1] + read
