"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import ops
from ...backend import Generator, is_numpy
from ...ops.half import through_float32
from ...tensor import Tensor, wrap
from .activations import dropout

__all__ = ["attention_weights", "causal_mask", "scaled_dot_product_attention"]


@through_float32
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    generator: Generator | None = None,
) -> Tensor:
    """softmax(q k^T / sqrt(E) + mask) v (Vaswani et al. 2017, eq. 1).

    query (..., L, E), key (..., S, E), value (..., S, V) -> (..., L, V). attn_mask broadcasts to
    (..., L, S): boolean, True where a query may look, or a float that is added. is_causal: query i
    sees keys 0..i. A query that sees nothing gets 0. As in PyTorch, dropout_p applies always.

    >>> q, v = tg.zeros(3, 1), tg.tensor([[0.0], [2.0], [4.0]])  # all scores are equal
    >>> F.scaled_dot_product_attention(q, q, v, is_causal=True).squeeze()
    tensor([0., 1., 2.])
    """
    if is_causal and attn_mask is not None:
        raise RuntimeError("scaled_dot_product_attention: pass attn_mask or is_causal, not both")
    if query.shape[-1:] != key.shape[-1:] or key.shape[-2:-1] != value.shape[-2:-1]:
        raise RuntimeError(
            "scaled_dot_product_attention: expected query (..., L, E), key (..., S, E) and value "
            f"(..., S, V), got {query.shape}, {key.shape} and {value.shape}"
        )
    if is_causal:
        attn_mask = causal_mask(query.shape[-2], key.shape[-2], query.device)
    weights = attention_weights(query, key, attn_mask, scale)
    return ops.matmul(dropout(weights, dropout_p, generator=generator), value)


def causal_mask(length: int, source: int, device: Any = None) -> Tensor:
    """(L, S) booleans: may query i look at key j? Yes where j <= i."""
    return ops.tril(ops.ones(length, source, device=device)) > 0


@through_float32
def attention_weights(
    query: Tensor, key: Tensor, mask: Tensor | None = None, scale: float | None = None
) -> Tensor:
    """softmax(scale q k^T, masked), (..., L, S); rows that are masked entirely are 0."""
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = ops.matmul(query * scale, ops.transpose(key, -2, -1))
    if mask is None:
        return ops.softmax(scores, -1)
    if mask.dtype.kind == "f":
        scores = scores + mask
        visible = mask._array > -np.inf
    else:
        visible = mask._array.astype(bool)
        scores = ops.where(wrap(visible), scores, -math.inf)
    blind = ~visible.any(axis=-1, keepdims=True)
    if is_numpy(blind) and not blind.any():  # on a GPU it is not worth waiting for the answer
        return ops.softmax(scores, -1)
    scores = ops.where(wrap(blind), 0.0, scores)  # softmax of -inf alone would be NaN
    return ops.where(wrap(blind), 0.0, ops.softmax(scores, -1))
