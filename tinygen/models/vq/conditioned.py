"""A prior that is told a picture: what it shows at a place is told where that place is drawn.

    log P(t | picture) = sum_i log P(t_i | t_1 .. t_{i-1}, c_1 .. c_i),    c = encoder(picture)

The encoder is a convolutional one and a block of attention, so that each of its features knows of
the whole picture; the transformer reads c_i + e(t_{i-1}) at place i. (In Esser et al. 2020,
arXiv:2012.09841, section 3.2, c are integers that stand before all others, and attention has to
find which of them belong to a place. A thousand pairs do not teach it that.)

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

__all__ = ["Conditioned"]


class Conditioned(NextToken):
    """NextToken that is told a picture (B, *shape), aligned with the one that it draws.

    Wherever NextToken takes labels, it takes these pictures; None: they are not known. hidden: the
    share of pictures that are not told in training, so that both can be drawn.

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
        numbers("Conditioned", 0.0, 1.0, hidden=hidden)
        super().__init__(codes, width, layers, heads)
        self.told, self.hidden = tuple(shape), hidden
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
        self.places = nn.Parameter(randn(self.length, width))
        self.block = nets.TransformerBlock(width, heads)
        self.unknown = nn.Parameter(randn(self.length, width))

    def start(self, n: int, labels: Tensor | None) -> Tensor:
        """What is told of each place, (n, tokens, width), of pictures (n, *told) or of none."""
        told = self.unknown.expand(n, -1, -1)
        if labels is not None:
            if labels.shape != (n, *self.told):
                raise ValueError(
                    f"Conditioned: expected {n} pictures {self.told}, got {labels.shape}"
                )
            known = self.block(self.encoder(labels).flatten(2).transpose(1, 2) + self.places)
            if self.training:
                known = where(rand(n, 1, 1, device=known.device) < self.hidden, told, known)
            told = known
        return told + super().start(n, None)

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log P(tokens | pictures) in nats; (x,), or (x, the pictures that are told)."""
        log_p = self.log_prob(*split(batch)).mean()
        return {"loss": -log_p, "log_prob": log_p}
