"""Next-scale prediction: all integers of a map at once, coarse to fine (VAR).

    log P(t) = sum_k sum_i log P(t_ki | t_1 .. t_{k-1}),      t_k the integers of scale k

What is read at scale k is the picture so far: the sum of the scales before, in the vectors of the
quantiser, averaged down to the size of scale k. Given that, the integers of a scale are independent
of each other; each sees its own scale's places and all coarser ones. (Tian et al. 2024,
arXiv:2404.02905; there the label also moves the norms, here it is the first token alone.)
"""

from __future__ import annotations

from itertools import accumulate

from ... import nn
from ...backend import Generator
from ...nn import functional as F
from ...ops import cat, tensor, zeros
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from .quantise import Residual
from .tokens import TokenDensity, TokenTransformer, choose
from .vqvae import VQVAE

__all__ = ["NextScale"]


class NextScale(TokenDensity, TokenTransformer):
    """As many passes as the quantiser has scales (or steps, where all are of one size).

    ValueError where the VQ-VAE's quantiser is no `Residual`.

    >>> import tinygen as tg
    >>> codes = {"shape": (1, 8, 8), "width": 8, "size": 16, "halvings": 1, "quantiser": "scales"}
    >>> model = tg.models.build("token_prior", {"codes": codes, "prior": "var", "width": 8})
    >>> model.length, model.passes                               # 1 + 4 + 16 integers
    (21, 3)
    """

    def __init__(
        self, codes: VQVAE, width: int = 64, layers: int = 4, heads: int = 4, classes: int = 0
    ) -> None:
        if not isinstance(codes.quantiser, Residual):
            raise ValueError(
                f"NextScale: expected a VQ-VAE with quantiser scales or residual, got one with "
                f"{type(codes.quantiser).__name__}"
            )
        self.sides = codes.quantiser.sides(*codes.map)
        counts = [h * w for h, w in self.sides]
        self.ends = [0, *accumulate(counts)]  # scale k has the integers ends[k] .. ends[k + 1] - 1
        scale = tensor([k for k, count in enumerate(counts) for _ in range(count)])
        mask = scale.unsqueeze(0) <= scale.unsqueeze(1)
        super().__init__(codes, width, layers, heads, classes, length=codes.tokens, mask=mask)
        self.enter = nn.Linear(codes.quantiser.books[0].vectors.shape[1], width)
        self.passes = len(self.sides)

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        read = [self.read(tokens, k, labels) for k in range(self.passes)]
        return self.head(self.net(cat(read, 1)))

    def read(self, tokens: Tensor, k: int, labels: Tensor | None = None) -> Tensor:
        """What stands at the places of scale k, (B, h_k w_k, width), made of coarser scales."""
        h, w = self.sides[k]
        if k == 0:
            return self.start(len(tokens), labels).expand(-1, h * w, -1)
        so_far = self.codes.quantiser.lookup(tokens[:, : self.ends[k]], *self.codes.map)
        small = F.interpolate(so_far, (h, w), mode="area")
        return self.enter(small.flatten(2).transpose(1, 2))

    @no_grad()
    def draw(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
        cache: bool = True,
    ) -> Tensor:  # fmt: skip
        """The integers of n pictures (n, tokens); temperature, top_k, top_p: see `choose`.

        cache: the keys and values of coarser scales are kept; without, they are made anew.
        """
        kept = nets.Cache(self.length) if cache else None
        tokens = zeros(n, self.length, device=self.head.weight.device).long()
        for k, (start, end) in enumerate(zip(self.ends, self.ends[1:])):
            scales = [k] if cache else range(k + 1)
            x = cat([self.read(tokens, j, labels) for j in scales], 1)
            logits = self.head(self.net(x, kept)[:, start - end :])
            tokens[:, start:end] = choose(logits, generator, temperature, top_k, top_p)
        return tokens
