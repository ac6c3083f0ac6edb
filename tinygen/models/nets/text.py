"""A caption as vectors: a transformer in which every word sees every other."""

from __future__ import annotations

from collections.abc import Sequence

from ... import nn
from ...backend import refuse
from ...checks import positive
from ...ops import randn
from ...tensor import Tensor
from .transformer import TransformerBlock

__all__ = ["TextEncoder", "is_word", "one_each"]


class TextEncoder(nn.Module):
    """Tokens (B, L) in 0..size-1, 0 for padding, L <= length -> (B, L, width), 0 at the padding.

    `layers` blocks of `heads` heads over learned vectors of tokens and places; no word looks at the
    padding. The first token, <bos>, sees the whole caption: its vector may stand for all of it.
    ValueError for more tokens than places and for a token that is none.

    >>> import tinygen as tg
    >>> net = tg.models.nets.TextEncoder(size=10, length=6, width=8)
    >>> words = net(tg.tensor([[1, 5, 2, 0], [1, 7, 8, 2]]))
    >>> words.shape, words[0, 3].abs().sum().item()
    ((2, 4, 8), 0.0)
    """

    def __init__(
        self, size: int, length: int, width: int = 64, layers: int = 2, heads: int = 4
    ) -> None:
        super().__init__()
        positive("TextEncoder", size=size, length=length, width=width, layers=layers)
        self.size, self.length, self.width = size, length, width
        self.tokens, self.places = nn.Embedding(size, width), nn.Parameter(randn(length, width))
        self.blocks = nn.ModuleList(TransformerBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L) integers -> (B, L, width)."""
        self._check(tokens)
        there = tokens != 0
        x = self.tokens(tokens) + self.places[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x, there[:, None, None])
        out: Tensor = self.norm(x).masked_fill(~there[:, :, None], 0.0)
        return out

    def _check(self, tokens: Tensor) -> None:
        if tokens.ndim != 2 or tokens.dtype.kind not in "iu" or tokens.shape[1] > self.length:
            raise ValueError(
                f"TextEncoder: expected integer tokens (B, L) with L <= {self.length}, got "
                f"{tokens.dtype} of shape {tokens.shape}"
            )
        if len(tokens):
            low, high, last = tokens._array.min(), tokens._array.max(), self.size - 1
            refuse((low < 0) | (high > last), lambda: ValueError(
                f"TextEncoder: expected tokens in 0..{last}, got {int(low)}..{int(high)}"
            ))  # fmt: skip


def is_word(words: Tensor) -> Tensor:
    """(B, L, width) -> (B, L) booleans: False at the padding, where TextEncoder makes zeros.

    >>> import tinygen as tg
    >>> tg.models.nets.is_word(tg.tensor([[[0.0, 1.0], [0.0, 0.0]]]))
    tensor([[ True, False]])
    """
    return (words != 0.0).any(-1)


def one_each(name: str, captions: Sequence[str] | str, n: int) -> list[str]:
    """Captions for n samples: those n, or one for all; ValueError for another number.

    >>> from tinygen.models.nets import one_each
    >>> one_each("me", "a cat", 2)
    ['a cat', 'a cat']
    """
    given = [captions] if isinstance(captions, str) else list(captions)
    if len(given) not in (1, n):
        raise ValueError(f"{name}: {n} samples of {len(given)} captions; give 1 or {n}")
    return given * n if len(given) == 1 else given
