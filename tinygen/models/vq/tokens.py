"""What the priors over a VQ-VAE's integers share, and next-token prediction (as in GPT).

    log P(t) = sum_i log P(t_i | t_1 .. t_{i-1}),      picture = decoder(t)

The VQ-VAE is trained already and stays as it is; it is part of the model, so that a checkpoint is
whole. A transformer reads the label, or nothing, as its first token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import nn
from ...backend import Generator
from ...checks import integers, numbers
from ...ops import cat, cumsum, log_softmax, multinomial, softmax, sort, where, zeros
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..autoregressive.pixels import likeliest
from ..systems import split
from .vqvae import VQVAE

__all__ = ["NextToken", "TokenDensity", "TokenPrior", "TokenTransformer", "choose", "nucleus"]


def nucleus(logits: Tensor, p: float | None) -> Tensor:
    """The likeliest values of each row (n, values) that have together at least p, others -inf.

    Holtzman et al. 2019, arXiv:1904.09751. All of them if p is None.

    >>> import tinygen as tg
    >>> tg.models.vq.nucleus(tg.tensor([[0.3, 0.5, 0.2]]).log(), 0.7) > -1e9
    tensor([[ True,  True, False]])
    """
    if p is None:
        return logits
    numbers("nucleus", 0.0, 1.0, p=p)
    ordered, order = sort(logits, 1, descending=True)
    share = softmax(ordered, 1)
    likelier = (cumsum(share, 1) - share).gather(1, order.argsort(1))  # what stands before each
    return where((likelier < p) | (logits == ordered[:, :1]), logits, -float("inf"))


def choose(
    logits: Tensor, generator: Generator | None = None, temperature: float = 1.0,
    top_k: int | None = None, top_p: float | None = None,
) -> Tensor:  # fmt: skip
    """An integer for each of logits (B, L, size): (B, L).

    temperature below 1: the likelier; top_k: of the k likeliest; top_p: of their `nucleus`.

    >>> import tinygen as tg
    >>> tg.models.vq.choose(tg.tensor([[[0.0, 9.0], [2.0, 1.0]]]), top_k=1)
    tensor([[1, 0]])
    """
    if not temperature > 0.0:
        raise ValueError(f"choose: expected temperature > 0, got {temperature}")
    rows = logits.flatten(0, 1) / temperature
    p = softmax(nucleus(likeliest(rows, top_k), top_p), 1)
    return multinomial(p, 1, generator=generator).reshape(logits.shape[:2])


class TokenPrior(nn.Module):
    """A law of the integers of `codes`, which are frozen; a subclass says how they are drawn.

    classes: labels the pictures have, 0 for none.

    >>> import tinygen as tg
    >>> config = {"codes": {"shape": (1, 8, 8), "width": 8, "size": 16}, "width": 8}
    >>> model = tg.models.build("token_prior", config)
    >>> model.sample(5).shape, model.passes
    ((5, 1, 8, 8), 4)
    """

    passes: int  # how often the network runs for a sample

    def __init__(self, codes: VQVAE, classes: int = 0) -> None:
        super().__init__()
        integers(type(self).__name__, 0, classes=classes)
        self.codes = codes.requires_grad_(False).eval()
        self.shape, self.pixels, self.classes = codes.shape, codes.pixels, classes
        self.size, self.length = codes.quantiser.size, codes.tokens

    def train(self, mode: bool = True) -> Any:
        """As Module.train, but the VQ-VAE stays in evaluation mode: its codebook must not move."""
        super().train(mode)
        self.codes.eval()
        return self

    def tokens(self, x: Tensor) -> Tensor:
        """The integers of pictures; integers (B, tokens) as they are, if they can be such."""
        if x.dtype.kind == "f":
            return self.codes.encode(x)
        if x.ndim != 2 or x.shape[1] != self.length or not ((x >= 0) & (x < self.size)).all():
            raise ValueError(
                f"{type(self).__name__}: expected {self.length} integers 0 .. {self.size - 1} a "
                f"picture, got {x.dtype} of shape {x.shape}" + (
                    f", {x.min().item()} .. {x.max().item()}" if len(x) else "")
            )  # fmt: skip
        return x

    def draw(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        *args: Any, **how: Any,
    ) -> Tensor:  # fmt: skip
        """The integers of n pictures, (n, tokens)."""
        raise NotImplementedError

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None, **how: Any
    ) -> Tensor:
        """n pictures: the decoder's of the integers that `draw` makes, which takes `how`."""
        return self.codes.decode(self.draw(n, generator, labels, **how))


class TokenTransformer(TokenPrior):
    """A prior that is a transformer of `length` places; what it reads first is `start`'s."""

    def __init__(
        self, codes: VQVAE, width: int = 64, layers: int = 4, heads: int = 4, classes: int = 0, *,
        length: int, mask: Tensor | None = None,
    ) -> None:  # fmt: skip
        super().__init__(codes, classes)
        self.starts = nn.Embedding(max(1, classes), width)
        self.net = nets.Transformer(length, width, layers, heads, mask)
        self.head = nn.Linear(width, self.size)

    def start(self, n: int, labels: Tensor | None) -> Tensor:
        """The first token of n pictures, (n, 1, width): one for each class, or one for all."""
        name = type(self).__name__
        if (labels is None) == bool(self.classes):
            given = "none were" if labels is None else "labels were"
            raise ValueError(f"{name}: the model has {self.classes} classes, and {given} given")
        if labels is None:
            return self.starts.weight.unsqueeze(0).expand(n, 1, -1)
        return self.starts(nets.check_labels(name, labels, n, self.classes)).unsqueeze(1)


class TokenDensity(TokenPrior):
    """A prior with a probability of every sequence. `forward` gives the logits of all integers."""

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, tokens) integers -> logits (B, tokens, size), each made of what comes before it."""
        raise NotImplementedError

    def log_prob(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(tokens | labels) in nats, (B,), of integers (B, tokens) or of pictures' integers.

        >>> import tinygen as tg
        >>> config = {"codes": {"shape": (1, 8, 8), "width": 8, "size": 16}, "width": 8}
        >>> tg.models.build("token_prior", config).log_prob(tg.zeros(3, 4).long()).shape
        (3,)
        """
        tokens = self.tokens(tokens)
        log_p = log_softmax(self(tokens, labels), 2)
        return log_p.gather(2, tokens.unsqueeze(2)).sum((1, 2))

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log P(tokens) in nats, the mean over pictures or integers (x,) or (x, labels)."""
        x, labels = split(batch)
        log_p = self.log_prob(x, labels if self.classes else None).mean()
        return {"loss": -log_p, "log_prob": log_p}


class NextToken(TokenDensity, TokenTransformer):
    """One integer after the other, in the order of the codes; as many passes as integers."""

    def __init__(
        self, codes: VQVAE, width: int = 64, layers: int = 4, heads: int = 4, classes: int = 0
    ) -> None:
        super().__init__(codes, width, layers, heads, classes, length=codes.tokens)
        self.embedding = nn.Embedding(self.size, width)
        self.passes = self.length

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        told = self.start(len(tokens), labels)
        x = self.after(tokens[:, :-1], told[:, 1:])
        return self.head(self.net(cat([told[:, :1], x], 1)))

    def after(self, tokens: Tensor, told: Tensor) -> Tensor:
        """What is read behind integers (B, L), (B, L, width); told: what `start` says of there."""
        x = self.embedding(tokens)
        return x + told if told.shape[1] else x

    @no_grad()
    def draw(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
        cache: bool = True,
    ) -> Tensor:  # fmt: skip
        """The integers of n pictures (n, tokens); temperature, top_k, top_p: see `choose`.

        cache: the keys and values of the integers before are kept; without, a whole pass each.
        """
        kept = nets.Cache(self.length) if cache else None
        told = self.start(n, labels)
        x = told[:, :1]
        tokens = zeros(n, self.length, device=x.device).long()
        for i in range(self.length):
            logits = self.head(self.net(x, kept)[:, -1:])
            new = choose(logits, generator, temperature, top_k, top_p)
            tokens[:, i : i + 1] = new
            more = self.after(new, told[:, i + 1 : i + 2])
            x = more if cache else cat([x, more], 1)
        return tokens
