"""Losses of many classes: `nll_loss` of log-probabilities, `cross_entropy` of logits, in nats."""

from __future__ import annotations

from typing import Any

from ... import ops
from ...backend import is_numpy, refuse
from ...ops.half import through_float32
from ...ops.indexing import gather_within, rows_within
from ...tensor import Tensor, same_device
from .losses import _reduce

__all__ = ["cross_entropy", "nll_loss"]


def _classes(name: str, input: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Check an index target against input (N, C, ...) or (C,); (safe target, is it counted)."""
    expected = input.shape[:1] + input.shape[2:] if input.ndim > 1 else ()
    if target.shape != expected:
        raise ValueError(
            f"{name}: expected a target of shape {expected} for an input of shape {input.shape} "
            f"(N, C, ...), got {target.shape}"
        )
    if target.dtype.kind not in "iu":
        raise RuntimeError(
            f"{name}: expected class indices of an integer dtype (int64), got {target.dtype}"
        )
    same_device(name, input, target)
    count = input.shape[1 if input.ndim > 1 else 0]
    kept = target != ignore_index
    safe = ops.where(kept, target, 0)
    if target.numel():
        low, high = safe._array.min(), safe._array.max()
        refuse((low < 0) | (high >= count), lambda: IndexError(
            f"{name}: Target {int(low) if low < 0 else int(high)} is out of bounds for {count} "
            "classes"
        ))  # fmt: skip
    return safe, kept


def _pick(input: Tensor, index: Tensor) -> Tensor:
    """input[n, index[n, ...], ...] for an input of shape (N, C, ...) or (C,)"""
    dim = 1 if input.ndim > 1 else 0
    return ops.squeeze(gather_within(input, dim, ops.unsqueeze(index, dim)), dim)


def _class_weight(name: str, weight: Tensor | None, input: Tensor) -> None:
    count = input.shape[1 if input.ndim > 1 else 0]
    if weight is not None and weight.shape != (count,):
        raise RuntimeError(
            f"{name}: weight should be one number for each of {count} classes, got shape "
            f"{weight.shape}"
        )


def _reduce_classes(loss: Tensor, scale: Tensor, reduction: str) -> Tensor:
    """As _reduce, but the mean is the one weighted by `scale`, which `loss` has in it already."""
    return ops.sum(loss) / ops.sum(scale) if reduction == "mean" else _reduce(loss, reduction)


@through_float32
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """-weight[t] x[t] for log-probabilities x of shape (N, C, ...) and class indices t (N, ...).

    "mean" divides by the sum of the weights of the targets that are not ignore_index. IndexError
    for a class that is not there.

    >>> F.nll_loss(tg.tensor([[-1.0, -2.0], [-3.0, -4.0]]), tg.tensor([0, 1]))  # (1 + 4) / 2
    tensor(2.5)
    """
    if input.ndim == 0:
        raise ValueError("nll_loss: expected log-probabilities (N, C, ...) or (C,), got a scalar")
    _class_weight("nll_loss", weight, input)
    safe, kept = _classes("nll_loss", input, target, ignore_index)
    return _nll(input, safe, kept, weight, reduction)


def _nll(
    input: Tensor, safe: Tensor, kept: Tensor, weight: Tensor | None, reduction: str
) -> Tensor:
    picked = -_pick(input, safe)
    if weight is None and is_numpy(kept._array) and kept._array.all():
        return _reduce(picked, reduction)
    scale = (
        kept.to(input.dtype) if weight is None else ops.where(kept, rows_within(weight, safe), 0.0)
    )
    # where, not a product: an ignored entry may be -inf
    return _reduce_classes(ops.where(kept, picked, 0.0) * scale, scale, reduction)


@through_float32
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-log softmax(x)[t] for logits x (N, C, ...) or (C,), in nats.

    target: class indices (N, ...), or probabilities of x's shape: -sum_c t_c log softmax(x)_c.
    label_smoothing mixes that much of the uniform distribution into the target. "mean" is over
    N, ..., weighted as in nll_loss where the targets are indices.

    >>> F.cross_entropy(tg.zeros(2, 4), tg.tensor([0, 3]))  # log 4
    tensor(1.3863)
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(
            f"cross_entropy: label_smoothing must be between 0 and 1, got {label_smoothing}"
        )
    if input.ndim == 0:
        raise ValueError("cross_entropy: expected logits (N, C, ...) or (C,), got a scalar")
    _class_weight("cross_entropy", weight, input)
    dim = 1 if input.ndim > 1 else 0
    logp = ops.log_softmax(input, dim)
    if target.shape == input.shape and target.dtype.kind == "f":
        return _cross_entropy_soft(logp, target, weight, reduction, label_smoothing, dim)
    safe, kept = _classes("cross_entropy", input, target, ignore_index)
    hard = _nll(logp, safe, kept, weight, reduction)
    if label_smoothing == 0.0:
        return hard
    scale = (
        kept.to(logp.dtype) if weight is None else ops.where(kept, rows_within(weight, safe), 0.0)
    )
    every = -ops.sum(logp * _along(weight, logp), dim)
    smooth = _reduce_classes(ops.where(kept, every, 0.0), scale, reduction)
    share = label_smoothing / logp.shape[dim]
    return (1.0 - label_smoothing) * hard + share * smooth


def _along(weight: Tensor | None, logp: Tensor) -> Any:
    """The class weights as a factor of (N, C, ...)."""
    if weight is None or logp.ndim == 1:
        return 1.0 if weight is None else weight
    return ops.reshape(weight, (-1,) + (1,) * (logp.ndim - 2))


def _cross_entropy_soft(
    logp: Tensor, target: Tensor, weight: Tensor | None, reduction: str, smoothing: float, dim: int
) -> Tensor:
    classes = logp.shape[dim]
    if smoothing:
        target = (1.0 - smoothing) * target + smoothing / classes
    loss = -ops.sum(logp * target * _along(weight, logp), dim)
    return _reduce(loss, reduction)
