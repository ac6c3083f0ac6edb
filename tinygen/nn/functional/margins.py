"""Losses that ask for a margin between scores or distances, and the Poisson likelihood.

`reduction`: "mean" over all entries, "sum" over all, or "none" for each entry's own.
"""

from __future__ import annotations

import math

from ... import ops
from ...ops.half import through_float32
from ...tensor import Tensor
from .classification import _class_weight, _classes, _pick
from .losses import _reduce

__all__ = [
    "cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss",
    "pairwise_distance", "poisson_nll_loss", "soft_margin_loss", "triplet_margin_loss",
]  # fmt: skip


@through_float32
def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """max(0, -t (x1 - x2) + margin): t = 1 asks for x1 > x2 by the margin, -1 for the reverse.

    >>> F.margin_ranking_loss(tg.tensor([1.0]), tg.tensor([3.0]), tg.tensor([1.0]), margin=0.5)
    tensor(2.5)
    """
    return _reduce(ops.clamp(margin - target * (input1 - input2), min=0.0), reduction)


@through_float32
def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: str = "mean"
) -> Tensor:
    """x where t = 1, max(0, margin - x) where t = -1: distances of pairs that are alike or not.

    >>> x, t = tg.tensor([0.5, 0.25]), tg.tensor([1.0, -1.0])
    >>> F.hinge_embedding_loss(x, t, reduction="none")
    tensor([0.5 , 0.75])
    """
    apart = ops.where(target != 1, ops.clamp(margin - input, min=0.0), 0.0)
    return _reduce(apart + ops.where(target != -1, input, 0.0), reduction)


@through_float32
def soft_margin_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """log(1 + e^(-t x)) for t = 1 or -1

    >>> F.soft_margin_loss(tg.tensor([0.0]), tg.tensor([1.0]))  # log 2
    tensor(0.6931)
    """
    return _reduce(ops.softplus(-target * input), reduction)


@through_float32
def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """sum over the classes c != t of weight[t] max(0, margin - x[t] + x[c])^p / C

    Scores x (N, C) or (C,), class indices t (N,) or (); "mean" over N. ValueError unless p is 1, 2.

    >>> F.multi_margin_loss(tg.tensor([[0.0, 0.5]]), tg.tensor([0]))  # 1.5 / 2
    tensor(0.75)
    """
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: expected p = 1 or 2, got {p}")
    _class_weight("multi_margin_loss", weight, input)
    safe, _ = _classes("multi_margin_loss", input, target, -100)
    x, t = ops.unsqueeze(_pick(input, safe), -1), ops.unsqueeze(safe, -1)
    others = ops.arange(input.shape[-1], device=input.device) != t
    lost = ops.where(others, ops.clamp(margin - x + input, min=0.0), 0.0) ** p
    lost = lost if weight is None else lost * weight.take(t)
    return _reduce(ops.mean(lost, -1), reduction)


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """||x1 - x2 + eps||_p over the last dimension

    >>> F.pairwise_distance(tg.tensor([[3.0, 4.0]]), tg.zeros(1, 2))
    tensor([5.])
    """
    return ops.norm(x1 - x2 + eps, p, -1, keepdim)


@through_float32
def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2.0,
    eps: float = 1e-6, swap: bool = False, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, d(a, p) - d(a, n) + margin) with d = pairwise_distance, for each row (N, D) -> (N,).

    swap=True takes d(p, n) for d(a, n) where it is smaller (Balntas et al. 2016).

    >>> a, p, n = tg.zeros(1, 2), tg.tensor([[3.0, 4.0]]), tg.tensor([[0.0, 2.0]])
    >>> F.triplet_margin_loss(a, p, n)  # 5 - 2 + 1
    tensor(4.)
    """
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = ops.minimum(far, pairwise_distance(positive, negative, p, eps))
    return _reduce(ops.clamp(margin + near - far, min=0.0), reduction)


@through_float32
def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    """1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1.

    x1, x2 (N, D) or (D,), t (N,) or ().

    >>> x, y = tg.tensor([[1.0, 0.0]]), tg.tensor([[3.0, 4.0]])
    >>> F.cosine_embedding_loss(x, y, tg.tensor([1.0])), F.cosine_embedding_loss(x, y, -tg.ones(1))
    (tensor(0.4), tensor(0.6))
    """
    if target.ndim + 1 != input1.ndim or input1.ndim != input2.ndim or input1.ndim > 2:
        raise RuntimeError(
            "cosine_embedding_loss: expected inputs (N, D) and a target (N,), or (D,) and (), got "
            f"{input1.shape}, {input2.shape} and {target.shape}"
        )
    tiny = 1e-12
    squares = (ops.sum(input1 * input1, -1) + tiny) * (ops.sum(input2 * input2, -1) + tiny)
    cosine = ops.sum(input1 * input2, -1) / ops.sqrt(squares)
    alike = ops.where(target == 1, 1.0 - cosine, 0.0)
    apart = ops.where(target == -1, ops.clamp(cosine - margin, min=0.0), 0.0)
    return _reduce(alike + apart, reduction)


@through_float32
def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """rate - t log rate, with log rate = x, or rate = x (+ eps in the logarithm) if not log_input.

    The negative log-likelihood of counts t up to log t!, in nats; full=True adds Stirling's formula
    for it, t log t - t + log(2 pi t) / 2, where t > 1.

    >>> F.poisson_nll_loss(tg.tensor([0.0]), tg.tensor([3.0]))
    tensor(1.)
    """
    if log_input:
        loss = ops.exp(input) - target * input
    else:
        loss = input - target * ops.log(input + eps)
    if full:
        t = ops.where(target > 1, target, 1.0)
        stirling = t * ops.log(t) - t + 0.5 * ops.log(2 * math.pi * t)
        loss = loss + ops.where(target > 1, stirling, 0.0)
    return _reduce(loss, reduction)
