"""Losses. `reduction`: "mean" over all entries, "sum" over all, or "none" for each entry's own.

Losses of logits never form the probability: log(1 + e^x) and log-softmax are computed stably.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import ops
from ...backend import Array, refuse
from ...ops.half import through_float32
from ...ops.op import floating
from ...tape import no_grad
from ...tensor import Tensor

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss", "huber_loss",
    "kl_div", "l1_loss", "mse_loss", "smooth_l1_loss",
]  # fmt: skip

_TINY = 1e-12  # the smallest x (1 - x) that the gradient of binary_cross_entropy divides by


def _reduce(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return ops.mean(loss)
    if reduction == "sum":
        return ops.sum(loss)
    if reduction == "none":
        return loss
    raise ValueError(f"{reduction} is not a valid value for reduction: 'none', 'mean' or 'sum'")


def _warn_shapes(name: str, input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        warnings.warn(
            f"{name}: using a target size {target.shape} that is different to the input size "
            f"{input.shape}. This broadcasts and is likely a mistake: make them the same size.",
            stacklevel=3,
        )


def _same_shapes(name: str, input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        raise ValueError(
            f"{name}: target size {target.shape} must be the same as input size {input.shape}"
        )
    if target.dtype.kind != "f":
        raise RuntimeError(
            f"{name}: expected a floating-point target, got {target.dtype}; use target.float()"
        )


def _weighted(loss: Tensor, weight: Tensor | None) -> Tensor:
    return loss if weight is None else loss * weight


# --- regression -------------------------------------------------------------------------------


@through_float32
def mse_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """(x - t)^2 of each entry; "mean" over all entries. A warning where the shapes differ.

    >>> x, t = tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0])
    >>> F.mse_loss(x, t), F.mse_loss(x, t, reduction="sum")  # of 0 and 4
    (tensor(2.), tensor(4.))
    """
    _warn_shapes("mse_loss", input, target)
    return _reduce(ops.square(input - target), reduction)


def l1_loss(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """|x - t| of each entry; "mean" over all entries. Its derivative at 0 is 0.

    >>> F.l1_loss(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))  # of 0 and 2
    tensor(1.)
    """
    _warn_shapes("l1_loss", input, target)
    return _reduce(ops.abs(input - target), reduction)


@floating
def _huber(d: Array, *, delta: float) -> Array:
    """d^2 / 2 up to |d| = delta, from there on linear"""
    size = np.abs(d)
    inner = np.minimum(size, delta)
    return inner * (size - 0.5 * inner)


_huber.vjp(lambda g, d, delta: g * ops.clamp(d, -delta, delta))


@through_float32
def smooth_l1_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", beta: float = 1.0
) -> Tensor:
    """(x - t)^2 / (2 beta) where |x - t| < beta, else |x - t| - beta / 2; "mean" over all entries.

    huber_loss / beta; beta = 0 is l1_loss (Girshick 2015).

    >>> F.smooth_l1_loss(tg.tensor([1.0, 3.0]), tg.zeros(2), reduction="none", beta=2.0)
    tensor([0.25, 2.  ])
    """
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss: expected beta >= 0, got {beta}")
    _warn_shapes("smooth_l1_loss", input, target)
    d = input - target
    return _reduce(_huber(d, delta=beta) / beta if beta else ops.abs(d), reduction)


@through_float32
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """(x - t)^2 / 2 where |x - t| < delta, else delta (|x - t| - delta / 2)

    "mean" over all entries. `weight` multiplies each entry's loss; the mean still divides by their
    number.

    >>> F.huber_loss(tg.tensor([1.0, 3.0]), tg.zeros(2), reduction="none", delta=2.0)
    tensor([0.5, 4. ])
    """
    if delta <= 0:
        raise ValueError(f"huber_loss: expected delta > 0, got {delta}")
    _warn_shapes("huber_loss", input, target)
    return _reduce(_weighted(_huber(input - target, delta=delta), weight), reduction)


@through_float32
def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """(log v + (x - t)^2 / v) / 2 with v = max(var, eps); full=True adds log(2 pi) / 2

    In nats; "mean" over all entries. var: a number, of the input's shape, of that shape with one
    size 1, or without the last one. ValueError for a negative var.

    >>> F.gaussian_nll_loss(tg.tensor([2.0]), tg.tensor([0.0]), tg.tensor([1.0]))  # (0 + 4) / 2
    tensor(2.)
    """
    if not isinstance(var, Tensor):
        var = ops.full_like(input, float(var))
    negative = ValueError("gaussian_nll_loss: var has negative entries")
    refuse((var._array < 0).any(), lambda: negative)
    if var.shape != input.shape:
        if var.shape == input.shape[:-1]:
            var = ops.unsqueeze(var, -1)
        elif var.ndim != input.ndim or _others(var.shape, input.shape) != [1]:
            raise ValueError(
                f"gaussian_nll_loss: var of shape {var.shape} does not fit the input of shape "
                f"{input.shape}"
            )
    v = var.clone()
    with no_grad():  # as in PyTorch, the floor eps does not stop the gradient of var
        v.clamp_(min=eps)
    loss = 0.5 * (ops.log(v) + ops.square(input - target) / v)
    return _reduce(loss + 0.5 * float(np.log(2 * np.pi)) if full else loss, reduction)


def _others(shape: tuple[int, ...], wanted: tuple[int, ...]) -> list[int]:
    """The sizes of `shape` that are not those of `wanted`."""
    return [n for n, m in zip(shape, wanted, strict=True) if n != m]


# --- probabilities of two classes -----------------------------------------------------------------


@floating
def _binary_cross_entropy(x: Array, t: Array) -> Array:
    """-t log x - (1 - t) log(1 - x), the logarithms not below -100, as in PyTorch"""
    with np.errstate(divide="ignore"):
        out = np.maximum(np.log(x), -100.0)
        out *= t
        out += (1 - t) * np.maximum(np.log1p(-x), -100.0)
    return np.negative(out)


_binary_cross_entropy.vjp(
    lambda g, x, t: g * (x - t) / ops.clamp(x * (1.0 - x), min=_TINY),
    lambda g, x: g * (_bounded_log(1.0 - x) - _bounded_log(x)),
)


def _bounded_log(x: Tensor) -> Tensor:
    """max(log x, -100), with a derivative of 0 where it is bounded"""
    counts = x > math.exp(-100.0)
    return ops.where(counts, ops.log(ops.where(counts, x, 1.0)), -100.0)


def _outside_0_1(what: str, low: Any, high: Any) -> tuple[Any, Callable[[], Exception]]:
    return ~((low >= 0) & (high <= 1)), lambda: RuntimeError(
        f"binary_cross_entropy: all elements of {what} should be between 0 and 1, got "
        f"[{float(low):.4g}, {float(high):.4g}]"
    )


@through_float32
def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """-(t log x + (1 - t) log(1 - x)) for probabilities x in [0, 1] and targets t in [0, 1].

    In nats; "mean" over all entries; the logarithms are not below -100. RuntimeError for values
    outside [0, 1]. Prefer binary_cross_entropy_with_logits, which keeps its gradient where x
    saturates.

    >>> F.binary_cross_entropy(tg.tensor([0.5, 0.25]), tg.tensor([1.0, 0.0]), reduction="none")
    tensor([0.6931, 0.2877])
    """
    _same_shapes("binary_cross_entropy", input, target)
    for what, values in (("input", input._array), ("target", target._array)):
        if values.size:
            refuse(*_outside_0_1(what, values.min(), values.max()))
    return _reduce(_weighted(_binary_cross_entropy(input, target), weight), reduction)


@floating
def _bce_with_logits(x: Array, t: Array) -> Array:
    """-t log sigmoid(x) - (1 - t) log sigmoid(-x) = max(x, 0) - t x + log(1 + e^-|x|)"""
    small = np.abs(x, out=np.empty_like(x))  # an array, of 0-d too
    np.negative(small, out=small)
    np.exp(small, out=small)
    np.log1p(small, out=small)
    out = np.maximum(x, 0) - t * x
    out += small  # last: where x is far on the right side, it is all that is left
    return out


_bce_with_logits.vjp(lambda g, x, t: g * (ops.sigmoid(x) - t), lambda g, x: -g * x)


@through_float32
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """-(p t log sigmoid(x) + (1 - t) log sigmoid(-x)), p = pos_weight (1 where it is not given).

    In nats; "mean" over all entries. Stable for every x: written with log(1 + e^-|x|), never with
    sigmoid(x). Targets of x's shape; `weight` and `pos_weight` broadcast to it.

    >>> x = tg.tensor([0.0, -100.0])
    >>> F.binary_cross_entropy_with_logits(x, tg.ones(2), reduction="none")  # log 2
    tensor([  0.6931, 100.    ])
    """
    _same_shapes("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None:
        loss = _bce_with_logits(input, target)
    else:
        positive = target * pos_weight
        loss = positive * ops.softplus(-input) + (1.0 - target) * ops.softplus(input)
    return _reduce(_weighted(loss, weight), reduction)


# --- two distributions ----------------------------------------------------------------------------


@through_float32
def kl_div(
    input: Tensor, target: Tensor, reduction: str = "mean", log_target: bool = False
) -> Tensor:
    """t (log t - x): its sum is KL(t || e^x), x being log-probabilities; 0 log 0 = 0.

    "batchmean" is the sum divided by the batch size, the divergence itself; "mean" is not. In nats.
    log_target=True: the target is given as log t.

    >>> x, t = tg.tensor([[0.5, 0.5]]).log(), tg.tensor([[1.0, 0.0]])
    >>> F.kl_div(x, t, reduction="batchmean")  # log 2
    tensor(0.6931)
    """
    if log_target:
        loss = ops.exp(target) * (target - input)
    else:
        log = ops.log(ops.where(target > 0, target, 1.0))
        loss = target * log - target * input
    if reduction == "batchmean":
        count = input.shape[0] if input.ndim else 1
        return ops.sum(loss) * (1.0 / count if count else math.nan)
    return _reduce(loss, reduction)
