"""logsumexp, softmax and log_softmax: sums of e^x, shifted so that nothing overflows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backend import Array, get_default_dtype
from ..tensor import Tensor
from .activations import logaddexp
from .elementwise import exp
from .half import through_float32
from .op import cast, op
from .reductions import Dim, axes, floats_only, in_dtype, numpy_names, one_axis, stretch
from .reductions import sum as total
from .shapes import cat, clone

__all__ = ["log_softmax", "logcumsumexp", "logsumexp", "softmax"]
METHODS = {*__all__}


@op
def _logsumexp(x: Array, *, dims: tuple[int, ...], keepdim: bool) -> Array:
    top = np.max(x, axis=dims, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        out = np.log(np.sum(np.exp(x - top), axis=dims, keepdims=True)) + top
    return out if keepdim else np.squeeze(out, axis=dims)


_logsumexp.vjp(
    lambda g, x, out, dims: stretch(g, x.shape, dims) * exp(x - stretch(out, x.shape, dims))
)


@through_float32
@numpy_names
def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """log sum e^x over `dim`, shifted by the largest x so that nothing overflows.

    `dim` goes away, or stays with size 1 (keepdim); an int or several.

    >>> tg.tensor([100.0, 100.0]).logsumexp(0) - 100  # log 2
    tensor(0.6931)
    """
    x = input
    dims = axes("logsumexp", x, dim)
    if x.dtype.kind != "f":
        x = cast(x, dtype=get_default_dtype())
    if math.prod(x.shape[d] for d in dims) == 0:
        return total(x, dims, keepdim) - math.inf
    return _logsumexp(x, dims=dims, keepdim=keepdim)


@through_float32
@numpy_names
def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log sum e^x of all up to each, along `dim`: log2(n) times logaddexp, by doubling strides.

    >>> tg.zeros(3).logcumsumexp(0).exp()
    tensor([1., 2., 3.])
    """
    axis, x = one_axis("logcumsumexp", input, dim), floats_only("logcumsumexp", input)
    front, step = (slice(None),) * axis, 1
    while x.ndim and step < x.shape[axis]:
        later = logaddexp(x[(*front, slice(step, None))], x[(*front, slice(None, -step))])
        x = cat([x[(*front, slice(None, step))], later], axis)
        step *= 2
    return x if step > 1 else clone(x)


def _top(x: Array, axis: int) -> Array:
    """The largest along `axis`, which is kept; of nothing it does not matter."""
    return np.max(x, axis=axis, keepdims=True) if x.size else x


@op
def _softmax(x: Array, *, axis: int) -> Array:
    out = np.exp(x - _top(x, axis))
    out /= np.sum(out, axis=axis, keepdims=True)
    return out


_softmax.vjp(lambda g, out, axis: out * (g - total(g * out, axis, keepdim=True)))


@through_float32
@numpy_names
def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """e^x / sum e^x along `dim`; the shape stays. RuntimeError for integers.

    >>> tg.tensor([0.0, float(np.log(3))]).softmax(0)
    tensor([0.25, 0.75])
    """
    if dtype is not None:
        return softmax(in_dtype(input, dtype), dim)
    axis, x = one_axis("softmax", input, dim), floats_only("softmax", input)
    return _softmax(x, axis=axis) if x.ndim else exp(x - x)


@op
def _log_softmax(x: Array, *, axis: int) -> Array:
    out = x - _top(x, axis)
    out -= np.log(np.sum(np.exp(out), axis=axis, keepdims=True))
    return out


_log_softmax.vjp(lambda g, out, axis: g - exp(out) * total(g, axis, keepdim=True))


@through_float32
@numpy_names
def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """x - log sum e^x along `dim`; exact where softmax would be 0. RuntimeError for integers.

    >>> tg.tensor([0.0, 1000.0]).log_softmax(0)
    tensor([-1000.,     0.])
    """
    if dtype is not None:
        return log_softmax(in_dtype(input, dtype), dim)
    axis, x = one_axis("log_softmax", input, dim), floats_only("log_softmax", input)
    return _log_softmax(x, axis=axis) if x.ndim else x - x
