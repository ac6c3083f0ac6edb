"""Scaled dot-product attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ... import ops, threads
from ...backend import Array, Generator, is_numpy
from ...ops.half import through_float32
from ...ops.op import op
from ...tape import thread
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
    scale = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    if dropout_p == 0.0 and _plain(query, key, value, attn_mask):
        log_total = np.empty_like(query._array, shape=(*query.shape[:-1], 1))
        bias = _bias(attn_mask, query, key)
        return _attention(query, key, value, scale=scale, bias=bias, log_total=log_total)
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


# --- one op that keeps no weights: backward computes them again -----------------------------------

SCORES = 1 << 17  # how many are computed at a time, so that they stay in a core's cache


@op
def _attention(
    q: Array, k: Array, v: Array, *, scale: float, bias: Array, log_total: Array
) -> Array:
    """softmax(s) v of s = scale q k^T + bias, piece by piece; log sum e^s is left in log_total.

    The weights are e^(s - log_total) then, which is how backward gets them again.
    """
    out = np.empty_like(v, shape=(*q.shape[:-1], v.shape[-1]), order="C")
    reach = _reach(bias)

    def body(out: Array, log_total: Array, q: Array, k: Array, v: Array, bias: Array) -> None:
        for n, rows, keys in _pieces(q, k, reach):
            e = _scores(q[n, ..., rows, :] * scale, k[n, ..., keys, :], bias[n, ..., rows, keys])
            top = e.max(-1, keepdims=True)
            blind = top == -np.inf  # it sees nothing: its weights are 0
            top = np.where(blind, 0, top)
            e -= top
            np.exp(e, out=e)
            total = np.where(blind, np.inf, _row_sums(e))
            log_total[n, ..., rows, :] = top + np.log(total)
            out[n, ..., rows, :] = np.matmul(e, v[n, ..., keys, :]) / total

    _over_batch(body, out, log_total, q, k, v, bias)
    return out


def _gradient(i: int) -> Callable[..., Tensor]:
    """The vjp for q, k or v. The first that is asked computes all three."""

    def vjp(
        g: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, scale: float, bias: Array,
        log_total: Array, shared: dict[str, Any],
    ) -> Tensor:  # fmt: skip
        if "all" not in shared and thread.grad:  # to be recorded
            shared["all"] = _gradients(g, q, k, v, scale, bias)
        elif "all" not in shared:
            shared["all"] = _gradients_in_pieces(g, q, k, v, out, scale, bias, log_total)
        return shared["all"][i]  # type: ignore[no-any-return]

    return vjp


_attention.vjp(_gradient(0), _gradient(1), _gradient(2))


def _gradients(
    g: Tensor, q: Tensor, k: Tensor, v: Tensor, scale: float, bias: Array
) -> tuple[Tensor, ...]:
    """With weights w: dv = w^T g, and through softmax ds = w (g v^T - sum(w g v^T))."""
    w = attention_weights(q, k, wrap(bias), scale)
    gw = w * ops.matmul(g, v.mT)
    gs = scale * (gw - w * ops.sum(gw, -1, keepdim=True))
    return ops.matmul(gs, k), ops.matmul(gs.mT, q), ops.matmul(w.mT, g)


def _gradients_in_pieces(
    g: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, scale: float, bias: Array,
    log_total: Array,
) -> tuple[Tensor, ...]:  # fmt: skip
    """The same without a graph, piece by piece: the sum of w g v^T is that of g times out."""
    arrays = [x._array for x in (g, out, q, k, v)]
    outs = [np.zeros_like(x, order="C") for x in arrays[2:]]
    reach = _reach(bias)

    def body(
        gq: Any, gk: Any, gv: Any, log_total: Any, g: Any, out: Any, q: Any, k: Any, v: Any,
        bias: Any,
    ) -> None:  # fmt: skip
        for n, rows, keys in _pieces(q, k, reach):
            queries, seen = q[n, ..., rows, :] * scale, k[n, ..., keys, :]
            g_out = g[n, ..., rows, :]
            w = _scores(queries, seen, bias[n, ..., rows, keys])
            w -= log_total[n, ..., rows, :]
            np.exp(w, out=w)
            gv[n, ..., keys, :] += np.matmul(_turned(w), g_out)
            gs = np.matmul(g_out, _turned(v[n, ..., keys, :]))
            gs -= _row_sums(g_out * out[n, ..., rows, :])
            gs *= w
            gq[n, ..., rows, :] = np.matmul(gs, seen) * scale
            gk[n, ..., keys, :] += np.matmul(_turned(gs), queries)

    _over_batch(body, *outs, log_total, *arrays, bias)
    return tuple(map(wrap, outs))


def _scores(q: Array, k: Array, bias: Array) -> Array:
    """q k^T + bias"""
    s = np.matmul(q, _turned(k))
    s += bias
    return s


def _row_sums(x: Array) -> Array:
    """(..., L, S) -> (..., L, 1), by a product with ones: faster than sum."""
    return np.matmul(x, np.ones_like(x, shape=(x.shape[-1], 1)))


def _turned(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def _plain(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> bool:
    """Is there a batch, the same for all, with keys to look at and a mask that is a constant?"""
    constant = mask is None or not mask.requires_grad
    return bool(
        constant and q.shape[:-2] == k.shape[:-2] == v.shape[:-2] and q.ndim > 2
        and q.dtype == k.dtype == v.dtype and q.dtype.kind == "f" and q.numel() and k.numel()
    )  # fmt: skip


def _bias(mask: Tensor | None, q: Tensor, k: Tensor) -> Array:
    """What is added to the scores, (..., L, S) without a copy for each of the batch."""
    if mask is None:
        bias = np.zeros_like(q._array, shape=())
    elif mask.dtype.kind == "f":
        bias = mask._array.astype(q.dtype, copy=False)
    else:
        bias = np.where(mask._array.astype(bool), 0, -np.inf).astype(q.dtype)
    return np.broadcast_to(bias, (*q.shape[:-1], k.shape[-2]))


def _reach(bias: Array) -> Any:
    """How many keys a query needs, (L,): up to the last that it sees in any of the batch."""
    length, source = bias.shape[-2:]
    if not is_numpy(bias) or bias.strides[-1] == 0:
        return np.full(length, source)
    distinct = bias[tuple(slice(1 if step == 0 else None) for step in bias.strides[:-2])]
    seen = (distinct > -np.inf).any(axis=tuple(range(bias.ndim - 2)))
    return np.where(seen.any(1), source - seen[:, ::-1].argmax(1), 1)


def _pieces(q: Array, k: Array, reach: Any) -> Iterator[tuple[slice, slice, slice]]:
    """Cuts of batch, queries and keys with some SCORES scores each; on a GPU all of it."""
    length, each = q.shape[-2], math.prod(q.shape[1:-1]) * k.shape[-2]
    step, count = (max(1, SCORES // each), -(-each // SCORES)) if is_numpy(q) else (len(q), 1)
    size = -(-length // count)
    for start in range(0, len(q), step):
        for row in range(0, length, size):
            keys = slice(int(reach[row : row + size].max()))
            yield slice(start, start + step), slice(row, row + size), keys


def _over_batch(body: Any, *arrays: Array) -> None:
    """body on parts of the batch, one a thread; a number of the first array takes S products."""
    threads.in_parts(body, *arrays, grain=threads.MATMUL // (4 * arrays[-3].shape[-2]) + 1)
