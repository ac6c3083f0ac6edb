"""A transformer of tokens that do not see what comes later (Vaswani et al. 2017; as in GPT-2).

    x = x + attend(norm(x)),    x = x + mlp(norm(x)),    attend: softmax(q k^T / sqrt(d) + mask) v

What a token may see is a mask (T, T): by default itself and those before it. In drawing token after
token, the keys and values of those before are the same at every step, so a Cache keeps them.
"""

from __future__ import annotations

from ... import nn
from ...checks import positive
from ...nn import functional as F
from ...ops import randn, stack, zeros
from ...tape import no_grad
from ...tensor import Tensor

__all__ = ["Cache", "TransformerBlock", "Transformer"]


class Cache:
    """The keys and values of the tokens so far, for every block of a Transformer.

    seen: how many tokens these are. Under no_grad: arrays of `length` tokens are written in place.

    >>> import tinygen as tg
    >>> cache, k = tg.models.nets.Cache(4), tg.zeros(1, 2, 3, 8)         # three tokens of two heads
    >>> cache.extended(0, k, k)[0].shape
    (1, 2, 3, 8)
    """

    def __init__(self, length: int) -> None:
        self.length, self.seen = length, 0
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}

    def extended(self, block: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Those of a block with k and v (B, heads, L, d) behind them: (B, heads, seen + L, d)."""
        batch, heads, more, d = k.shape
        if block not in self._kept:
            empty = zeros(2, batch, heads, self.length, d, dtype=k.dtype, device=k.device)
            self._kept[block] = empty[0], empty[1]
        end = self.seen + more
        for kept, new in zip(self._kept[block], (k, v)):
            kept[:, :, self.seen : end] = new
        keys, values = self._kept[block]
        return keys[:, :, :end], values[:, :, :end]


class TransformerBlock(nn.Module):
    """Attention of `heads` heads and a perceptron of one hidden layer, 4 width wide, both residual.

    >>> import tinygen as tg
    >>> block = tg.models.nets.TransformerBlock(8, heads=2)
    >>> block(tg.randn(3, 5, 8)).shape                              # each token sees all five
    (3, 5, 8)
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        positive("TransformerBlock", width=width, heads=heads)
        if width % heads:
            raise ValueError(f"TransformerBlock: width {width} does not divide by heads {heads}")
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(
        self, x: Tensor, mask: Tensor | None = None, cache: Cache | None = None, block: int = 0
    ) -> Tensor:
        """(B, L, width) -> the same. mask (L, S): True where a token may look, None for everywhere.

        cache: what came before, S - L tokens, of which this is block number `block`.
        """
        q, k, v = self._heads(x)
        if cache is not None:
            k, v = cache.extended(block, k, v)
        mixed = F.scaled_dot_product_attention(q, k, v, mask).transpose(1, 2)
        x = x + self.out(mixed.reshape(x.shape))
        return x + self.mlp(self.norm2(x))

    def attention(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """How much each token looks at each: (B, heads, L, L), rows of sum 1."""
        q, k, _ = self._heads(x)
        return F.attention.attention_weights(q, k, mask)

    def _heads(self, x: Tensor) -> tuple[Tensor, ...]:
        """Queries, keys and values, (B, heads, L, d) each"""
        size = x.shape[2] // self.heads
        heads = self.qkv(self.norm1(x)).reshape(*x.shape[:2], 3, self.heads, size)
        return heads.permute(2, 0, 3, 1, 4).unbind(0)


class Transformer(nn.Module):
    """`layers` blocks over at most `length` tokens with learned positions: (B, L, width) -> same.

    mask: (length, length) booleans, True where the token of the row may look at that of the column;
    by default at itself and those before it.

    >>> import tinygen as tg
    >>> net = tg.models.nets.Transformer(16, width=8, layers=2, heads=2)
    >>> x, cache = tg.randn(3, 16, 8), tg.models.nets.Cache(16)
    >>> with tg.no_grad():                          # nine tokens at once, then the other seven
    ...     parts = net(x[:, :9], cache), net(x[:, 9:], cache)
    ...     tg.allclose(tg.cat(parts, 1), net(x), atol=1e-5)
    True
    """

    mask: Tensor

    def __init__(
        self, length: int, width: int, layers: int, heads: int, mask: Tensor | None = None
    ) -> None:
        super().__init__()
        positive("Transformer", length=length, layers=layers)
        mask = F.attention.causal_mask(length, length) if mask is None else mask
        if mask.shape != (length, length) or mask.dtype.kind != "b":
            raise ValueError(
                f"Transformer: expected a mask of booleans {(length, length)}, got {mask.dtype} "
                f"{mask.shape}"
            )
        self.length = length
        self.register_buffer("mask", mask, persistent=False)
        self.positions = nn.Parameter(randn(length, width))  # as large as nn.Embedding's tokens
        self.blocks = nn.ModuleList(TransformerBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, cache: Cache | None = None) -> Tensor:
        """(B, L, width) -> (B, L, width); with a cache x follows the tokens that went through it.

        ValueError where these are more than `length`.
        """
        start = 0 if cache is None else cache.seen
        end = start + x.shape[1]
        if end > self.length:
            raise ValueError(f"Transformer: made for {self.length} tokens, got {end}")
        x, mask = x + self.positions[start:end], self.mask[start:end, :end]
        for i, block in enumerate(self.blocks):
            x = block(x, mask, cache, i)
        if cache is not None:
            cache.seen = end
        return self.norm(x)

    @no_grad()
    def attention(self, x: Tensor) -> Tensor:
        """How much each token looks at each: (layers, B, heads, L, L), rows of sum 1."""
        end = x.shape[1]
        x, mask, found = x + self.positions[:end], self.mask[:end, :end], []
        for block in self.blocks:
            found.append(block.attention(x, mask))
            x = block(x, mask)
        return stack(found)
