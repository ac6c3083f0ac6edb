"""Masked prediction: hide some integers, guess them from all others (MaskGIT).

    loss = -mean over hidden i of log P(t_i | what is not hidden),     hidden: ceil(cos(pi r / 2) N)

r uniform on [0, 1). To draw, all are hidden; in pass s of S every hidden integer is drawn and those
the model was least sure of are hidden again, floor(cos(pi s / 2 S) N) of them. An integer that was
kept is not drawn again. (Chang et al. 2022, arXiv:2202.04200.)

There is no density: integers that are drawn in one pass do not know of each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ... import nn
from ...backend import Generator
from ...checks import numbers, positive
from ...nn import functional as F
from ...ops import cat, full, log_softmax, ones, rand, where
from ...tape import no_grad
from ...tensor import Tensor
from ..systems import split
from .tokens import TokenTransformer, choose
from .vqvae import VQVAE

__all__ = ["Masked"]


class Masked(TokenTransformer):
    """A transformer in which every place sees every other; `passes` of them for a sample.

    >>> import tinygen as tg
    >>> config = {"codes": {"shape": (1, 8, 8), "width": 8, "size": 16}, "prior": "maskgit"}
    >>> model = tg.models.build("token_prior", config | {"width": 8, "passes": 3})
    >>> sorted(model.terms((tg.zeros(2, 4).long(),))), [model.hidden_after(s, 3) for s in (1, 2, 3)]
    (['hidden', 'loss'], [3, 2, 0])
    """

    def __init__(
        self, codes: VQVAE, width: int = 64, layers: int = 4, heads: int = 4, classes: int = 0,
        passes: int = 8,
    ) -> None:  # fmt: skip
        positive("Masked", passes=passes)
        places = codes.tokens + 1  # the first is the label's
        everywhere = ones(places, places) > 0
        super().__init__(codes, width, layers, heads, classes, length=places, mask=everywhere)
        self.embedding = nn.Embedding(self.size + 1, width)  # the last one: hidden
        self.passes = passes

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (B, tokens, size) of every place of integers (B, tokens); `size` is hidden."""
        start = self.start(len(tokens), labels)
        return self.head(self.net(cat([start, self.embedding(tokens)], 1))[:, 1:])

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss in nats a hidden integer, and the share that was hidden."""
        x, labels = split(batch)
        tokens = self.tokens(x)
        share = (rand(len(tokens), 1, device=tokens.device) * (math.pi / 2.0)).cos()
        rank = rand(*tokens.shape, device=tokens.device).argsort(1).argsort(1)
        hidden = rank < (share * self.length).ceil()
        logits = self(where(hidden, self.size, tokens), labels if self.classes else None)
        wrong = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none")
        hit = hidden.flatten().to(wrong.dtype)
        return {"loss": (wrong * hit).sum() / hit.sum(), "hidden": hit.mean()}

    def hidden_after(self, s: int, passes: int) -> int:
        """How many integers pass s of so many leaves hidden: cosine, one at least less each time.

        Where there are more passes than integers, the last ones have nothing to do.
        """
        left = math.floor(math.cos(math.pi * s / (2 * passes)) * self.length)
        return max(0, min(left, self.length - s))

    @no_grad()
    def draw(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
        passes: int | None = None, noise: float = 4.5,
    ) -> Tensor:  # fmt: skip
        """The integers of n pictures (n, tokens); temperature, top_k, top_p: see `choose`.

        noise: of the confidence, log P(integer) + noise (1 - s / S) Gumbel; 0 keeps the likeliest,
        which makes samples alike. Digits, 8 passes: Frechet 5.2 at 0, 1.1 at 2, 0.8 at 4.5, 9, 18.
        """
        passes = self.passes if passes is None else passes
        positive("Masked.draw", passes=passes)
        numbers("Masked.draw", 0.0, noise=noise)
        tokens = full((n, self.length), self.size, device=self.head.weight.device)
        for s in range(1, passes + 1):
            hidden = tokens == self.size
            if not hidden.any():
                break
            logits = self(tokens, labels)
            new = choose(logits, generator, temperature, top_k, top_p)
            sure = log_softmax(logits, 2).gather(2, new.unsqueeze(2))[:, :, 0]
            u = rand(*new.shape, generator=generator, device=new.device).clamp(1e-6, 1.0 - 1e-6)
            sure = sure - noise * (1.0 - s / passes) * (-u.log()).log()
            rank = where(hidden, sure, math.inf).argsort(1).argsort(1)  # 0: the least sure
            tokens = where(hidden, new, tokens)
            tokens = where(rank < self.hidden_after(s, passes), self.size, tokens)
        return tokens
