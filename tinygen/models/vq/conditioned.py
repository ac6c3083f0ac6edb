"""A prior that is told a picture: its map of features stands before the integers to draw.

    log P(t | c) = sum_i log P(t_i | c_1 .. c_N, t_1 .. t_{i-1}),      c = encoder(picture)

(Esser et al. 2020, arXiv:2012.09841, section 3.2: there c are integers of a VQ-VAE of their own;
here the encoder learns with the transformer what of the picture is worth telling.)

What goes wrong: few pairs and a large transformer, which then learns them by heart; a shuffled
condition that does as well as the right one: the transformer does not look.
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import nn
from ...checks import numbers
from ...ops import cat, rand, randn, where
from ...tensor import Tensor
from .. import nets
from ..systems import split
from .tokens import NextToken
from .vqvae import VQVAE

__all__ = ["Conditioned"]


class Conditioned(NextToken):
    """NextToken that reads a picture (B, *shape) first, a token a place of the codes' map.

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
        places = codes.map[0] * codes.map[1]
        super().__init__(codes, width, layers, heads, before=places)
        self.told, self.hidden = tuple(shape), hidden
        halvings = (shape[1] // codes.map[0]).bit_length() - 1
        if tuple(side >> halvings for side in shape[1:]) != tuple(codes.map):
            raise ValueError(
                f"Conditioned: pictures {self.told} cannot be halved to the codes' map of "
                f"{codes.map[0]} x {codes.map[1]}"
            )
        self.encoder, _ = nets.map_autoencoder(shape, width, max(8, width // 2), halvings)
        self.unknown = nn.Parameter(randn(places, width))
        # A place that is drawn and that place of the picture begin as one position.
        self.net.positions.data[-self.length :] = self.net.positions.data[: self.length]

    def start(self, n: int, labels: Tensor | None) -> Tensor:
        """The picture's tokens and the first one, (n, places + 1, width)."""
        first, seen = super().start(n, None), self.unknown.expand(n, -1, -1)
        if labels is not None:
            if labels.shape != (n, *self.told):
                raise ValueError(
                    f"Conditioned: expected {n} pictures {self.told}, got {labels.shape}"
                )
            known = self.encoder(labels).flatten(2).transpose(1, 2)
            if self.training:
                known = where(rand(n, 1, 1, device=known.device) < self.hidden, seen, known)
            seen = known
        return cat([seen, first], 1)

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log P(tokens | pictures) in nats; (x,), or (x, the pictures that are told)."""
        log_p = self.log_prob(*split(batch)).mean()
        return {"loss": -log_p, "log_prob": log_p}
