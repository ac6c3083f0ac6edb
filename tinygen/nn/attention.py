"""MultiheadAttention, with PyTorch's packed weights."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..backend import Generator
from ..checks import numbers, positive
from ..tensor import Tensor
from . import functional as F
from . import init
from .functional.attention import attention_weights
from .linear import Linear
from .module import Module
from .parameter import Parameter, empty_parameter

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """concat(head_1, ..., head_h) W^O, head_i = softmax(q_i k_i^T / sqrt(E / h)) v_i.

    query (L, N, E), key (S, N, kdim), value (S, N, vdim); with batch_first the batch stands first;
    without a batch (L, E). Returns (output, weights), the weights (N, L, S) averaged over heads.

    attn_mask (L, S) or (N * heads, L, S) and key_padding_mask (N, S): boolean, True where looking
    is *forbidden* (the reverse of F.scaled_dot_product_attention, as in PyTorch), or a float that
    is added to the scores. A query that sees nothing gives zeros before W^O.

    >>> x = tg.randn(5, 2, 8)
    >>> out, weights = nn.MultiheadAttention(8, num_heads=4)(x, x, x)
    >>> out.shape, weights.shape, tg.allclose(weights.sum(-1), tg.ones(2, 5))
    ((5, 2, 8), (2, 5, 5), True)
    """

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = "MultiheadAttention"
        positive(name, embed_dim=embed_dim, num_heads=num_heads)
        kdim = embed_dim if kdim is None else kdim
        vdim = embed_dim if vdim is None else vdim
        positive(name, kdim=kdim, vdim=vdim)
        numbers(name, 0, 1, dropout=dropout)
        if embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: embed_dim ({embed_dim}) must be divisible by num_heads "
                f"({num_heads})"
            )
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.kdim, self.vdim = kdim, vdim
        self.head_dim, self.batch_first = embed_dim // num_heads, batch_first
        where = {"device": device, "dtype": dtype}
        separate = self.kdim != embed_dim or self.vdim != embed_dim
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        for name, width in zip(names, (embed_dim, self.kdim, self.vdim), strict=True):
            weight = empty_parameter(embed_dim, width, **where) if separate else None
            self.register_parameter(name, weight)
        packed = None if separate else empty_parameter(3 * embed_dim, embed_dim, **where)
        self.register_parameter("in_proj_weight", packed)
        vector = empty_parameter(3 * embed_dim, **where) if bias else None
        self.register_parameter("in_proj_bias", vector)
        self.out_proj = Linear(embed_dim, embed_dim, bias, **where)
        self.reset_parameters()

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw all weights anew: Xavier's uniform, biases 0."""
        self.out_proj.reset_parameters(generator)
        for name, parameter in self.named_parameters(recurse=False):
            if name.endswith("weight"):
                init.xavier_uniform_(parameter, generator=generator)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(output, weights); weights: None without need_weights, (N, heads, L, S) not averaged.

        is_causal is only a hint, as in PyTorch: RuntimeError without the attn_mask.
        """
        if is_causal and attn_mask is None:
            raise RuntimeError("MultiheadAttention: is_causal is a hint; need attn_mask with it")
        single = query.ndim == 2
        inputs = [x.unsqueeze(0) if single else self._batch_first(x) for x in (query, key, value)]
        self._check(inputs)
        n, length, _ = inputs[0].shape
        q, k, v = (self._heads(x) for x in self._project(inputs))
        mask = self._mask(attn_mask, key_padding_mask, (n, length, inputs[1].shape[1]))
        weights = attention_weights(q, k, mask)  # (N, heads, L, S)
        dropped = F.dropout(weights, self.dropout, self.training)
        mixed = ops.matmul(dropped, v).transpose(1, 2).reshape(n, length, self.embed_dim)
        out = self.out_proj(mixed)
        out = out.squeeze(0) if single else self._batch_first(out)
        if not need_weights:
            return out, None
        shown = dropped.mean(1) if average_attn_weights else dropped
        return out, shown.squeeze(0) if single else shown

    def _batch_first(self, x: Tensor) -> Tensor:
        """(L, N, E) <-> (N, L, E), unless the batch stands first anyway."""
        return x if self.batch_first else ops.transpose(x, 0, 1)

    def _check(self, inputs: list[Tensor]) -> None:
        for name, x, width in zip(
            ("query", "key", "value"), inputs, (self.embed_dim, self.kdim, self.vdim), strict=True
        ):
            if x.ndim != 3 or x.shape[-1] != width:
                raise RuntimeError(
                    f"MultiheadAttention: expected {name} with 2 or 3 dimensions, the last of size "
                    f"{width}, got {x.shape} (batch first)"
                )
        q, k, v = inputs
        if k.shape[:2] != v.shape[:2] or q.shape[0] != k.shape[0]:
            raise RuntimeError(
                "MultiheadAttention: batch sizes of query, key and value, and lengths of key and "
                f"value must be equal, got (N, L, E) = {q.shape}, {k.shape} and {v.shape}"
            )

    def _project(self, inputs: list[Tensor]) -> list[Tensor]:
        """The three input projections."""
        biases: Any = (None, None, None)
        if self.in_proj_bias is not None:
            biases = ops.chunk(self.in_proj_bias, 3)
        if self.in_proj_weight is None:
            weights: Any = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        else:
            weights = ops.chunk(self.in_proj_weight, 3)
        return [F.linear(x, w, b) for x, w, b in zip(inputs, weights, biases, strict=True)]

    def _heads(self, x: Tensor) -> Tensor:
        """(N, L, E) -> (N, heads, L, E / heads)"""
        split = ops.reshape(x, (*x.shape[:2], self.num_heads, self.head_dim))
        return ops.transpose(split, 1, 2)

    def _mask(
        self, attn_mask: Tensor | None, padding: Tensor | None, sizes: tuple[int, int, int]
    ) -> Tensor | None:
        """Both masks as one that is added to scores of shape (N, heads, L, S)."""
        n, length, source = sizes
        total = None
        if attn_mask is not None:
            allowed = ((length, source), (n * self.num_heads, length, source))
            if attn_mask.shape not in allowed:
                raise RuntimeError(
                    f"MultiheadAttention: the shape of attn_mask is {attn_mask.shape}, but should "
                    f"be {allowed[0]} or {allowed[1]}"
                )
            mask = self._added(attn_mask)
            total = mask.unflatten(0, (n, self.num_heads)) if mask.ndim == 3 else mask
        if padding is not None:
            padding = padding.unsqueeze(0) if padding.ndim == 1 else padding
            if padding.shape != (n, source):
                raise RuntimeError(
                    f"MultiheadAttention: expected key_padding_mask of shape {(n, source)}, got "
                    f"{padding.shape}"
                )
            mask = self._added(padding).reshape(n, 1, 1, source)
            total = mask if total is None else total + mask
        return total

    def _added(self, mask: Tensor) -> Tensor:
        """A boolean mask (True: forbidden) as numbers to add: 0 or -inf."""
        if mask.dtype.kind == "f":
            return mask
        zeros = ops.zeros(*mask.shape, dtype=self.out_proj.weight.dtype, device=mask.device)
        return ops.where(mask, -float("inf"), zeros)
