"""Activation functions: the engine's ops under torch.nn.functional's signatures, and derived ones.

`inplace` is accepted for PyTorch's sake; the result is a new tensor all the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import ops
from ...backend import Generator, default_generator, move
from ...ops.half import through_float32
from ...tensor import Tensor, wrap

__all__ = [
    "celu", "dropout", "dropout2d", "elu", "gelu", "glu", "gumbel_softmax", "hardshrink",
    "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax", "logsigmoid", "mish",
    "prelu", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softmin", "softplus",
    "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
]  # fmt: skip


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0); the derivative at 0 is 0.

    >>> F.relu(tg.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    return ops.relu(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """min(max(x, 0), 6); the derivative at 0 and at 6 is 0"""
    return hardtanh(input, 0.0, 6.0)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """x clipped to [min_val, max_val]; the derivative is 0 at the two ends."""
    if input.dtype.kind != "f":
        return ops.clamp(input, int(min_val), int(max_val))
    inside = (input > min_val) & (input < max_val)
    return ops.where(inside, input, ops.clamp(input.detach(), min_val, max_val))


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, else negative_slope * x; the derivative at 0 is negative_slope"""
    return ops.leaky_relu(input, negative_slope)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """x where x > 0, else weight * x: one weight for all, or one a channel (dimension 1).

    He et al. 2015. RuntimeError for another number of weights.
    """
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.numel() not in (1, channels):
        raise RuntimeError(
            f"prelu: expected 1 weight or one for each of {channels} channels, got {weight.numel()}"
        )
    if weight.numel() > 1 or weight.ndim > input.ndim:
        weight = ops.reshape(weight, (-1,) + (1,) * (input.ndim - 2) if input.ndim else ())
    return ops.where(input > 0, input, weight * input)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """x where x > 0, else alpha (e^x - 1) (Clevert et al. 2016)"""
    return ops.elu(input, alpha)


@through_float32
def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """scale * elu(x, alpha) with the constants that keep mean 0 and variance 1 (Klambauer 2017)."""
    return 1.0507009873554805 * ops.elu(input, 1.6732632423543772)


@through_float32
def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """max(x, 0) + min(0, alpha (e^(x / alpha) - 1)) (Barron 2017)"""
    return ops.elu(input / alpha, 1.0) * alpha


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """x Phi(x), Phi the standard normal's distribution function; approximate="tanh" fits it."""
    return ops.gelu(input, approximate)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """x sigmoid(x), also called swish

    >>> F.silu(tg.tensor([0.0, 1.0])), tg.sigmoid(tg.tensor(1.0))
    (tensor([0.    , 0.7311]), tensor(0.7311))
    """
    return ops.silu(input)


@through_float32
def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """x tanh(softplus(x)) (Misra 2019)"""
    return input * ops.tanh(ops.softplus(input))


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """log(1 + e^(beta x)) / beta, and x itself where beta x > threshold, as in PyTorch

    >>> F.softplus(tg.tensor([0.0, 100.0]))  # log 2, and no overflow
    tensor([  0.6931, 100.    ])
    """
    if beta == 1 and threshold >= 20.0 and input.dtype != np.float64:
        return ops.softplus(input)  # in float32 it is x from 17 on, and its slope is 1
    scaled = input * beta
    return ops.where(scaled > threshold, input, ops.softplus(scaled) / beta)


def logsigmoid(input: Tensor) -> Tensor:
    """log sigmoid(x) = -softplus(-x), without underflow

    >>> F.logsigmoid(tg.tensor(-200.0)), tg.sigmoid(tg.tensor(-200.0)).log()
    (tensor(-200.), tensor(-inf))
    """
    return -ops.softplus(-input)


def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-x)"""
    return ops.sigmoid(input)


def tanh(input: Tensor) -> Tensor:
    """(e^x - e^-x) / (e^x + e^-x)"""
    return ops.tanh(input)


@through_float32
def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)"""
    return input / (1.0 + ops.abs(input))


@through_float32
def tanhshrink(input: Tensor) -> Tensor:
    """x - tanh(x)"""
    return input - ops.tanh(input)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x where |x| > lambd, else 0; the derivative is 1 or 0"""
    return ops.where(ops.abs(input.detach()) <= lambd, 0.0, input)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """x moved towards 0 by lambd, and 0 where |x| <= lambd

    >>> F.softshrink(tg.tensor([-2.0, 0.1, 2.0])), F.hardshrink(tg.tensor([-2.0, 0.1, 2.0]))
    (tensor([-1.5,  0. ,  1.5]), tensor([-2.,  0.,  2.]))
    """
    shrunk = input - lambd * ops.sign(input.detach())
    return ops.where(ops.abs(input.detach()) <= lambd, 0.0, shrunk)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, else value; the derivative is 1 or 0"""
    return ops.masked_fill(input, input <= threshold, value)


@through_float32
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """x / 6 + 1/2, clipped to [0, 1]: 0 up to -3, 1 from 3 on"""
    return relu6(input + 3.0) / 6.0


@through_float32
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """x hardsigmoid(x) (Howard et al. 2019)"""
    return input * hardsigmoid(input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """a sigmoid(b), where a and b are the halves of x along dim (Dauphin et al. 2017).

    (..., 2 n, ...) -> (..., n, ...); RuntimeError where the size is odd.

    >>> F.glu(tg.tensor([3.0, 5.0, 0.0, 100.0]))
    tensor([1.5, 5. ])
    """
    if input.shape[dim] % 2:
        raise RuntimeError(
            f"glu: halving dimension must be even, but dimension {dim} is size {input.shape[dim]}"
        )
    half = input.shape[dim] // 2
    return ops.narrow(input, dim, 0, half) * ops.sigmoid(ops.narrow(input, dim, half, half))


def softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """e^x / sum e^x along dim, after conversion to `dtype` where it is given; the shape stays.

    >>> F.softmax(tg.tensor([[1.0, 1.0], [0.0, float(np.log(3))]]), dim=1)
    tensor([[0.5 , 0.5 ],
            [0.25, 0.75]])
    """
    return ops.softmax(input, dim, dtype=dtype)


def log_softmax(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """x - log sum e^x along dim, after conversion to `dtype` where it is given."""
    return ops.log_softmax(input, dim, dtype=dtype)


def softmin(input: Tensor, dim: int, dtype: Any = None) -> Tensor:
    """softmax(-x) along dim: the largest share goes to the smallest x."""
    return softmax(-input, dim, dtype)


def gumbel_softmax(
    logits: Tensor,
    tau: float = 1.0,
    hard: bool = False,
    dim: int = -1,
    generator: Generator | None = None,
) -> Tensor:
    """softmax((logits + Gumbel noise) / tau): a sample on the simplex, differentiable in logits.

    hard=True returns the one-hot vertex, with the gradient of the soft sample (straight-through).
    The vertex is class c with probability softmax(logits)_c (Jang et al. 2017).

    >>> F.gumbel_softmax(tg.tensor([[0.0, 100.0, 0.0]]), hard=True)
    tensor([[0., 1., 0.]])
    """
    soft = ops.softmax((logits + _gumbel(logits, generator)) / tau, dim)
    if not hard:
        return soft
    index = ops.argmax(soft.detach(), dim, keepdim=True)
    shape = [1] * logits.ndim
    shape[dim] = -1
    vertex = index == ops.arange(logits.shape[dim], device=logits.device).reshape(shape)
    return vertex.to(soft.dtype) - soft.detach() + soft


def _gumbel(like: Tensor, generator: Generator | None) -> Tensor:
    noise = (generator or default_generator).numpy.gumbel(size=like.shape)
    return wrap(move(noise.astype(like.dtype), like.device))


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """In training, zero each entry with probability p and divide the others by 1 - p; else x.

    The mean stays what it was. ValueError for p outside [0, 1] (Srivastava et al. 2014).

    >>> sorted(set(F.dropout(tg.ones(1000), 0.75).tolist()))
    [0.0, 4.0]
    """
    return _drop(input, p, training, input.shape, generator)


def dropout2d(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: Generator | None = None,
) -> Tensor:
    """dropout of whole channels: `input` is (N, C, H, W) or (N, C, L)."""
    if input.ndim < 3:
        raise RuntimeError(f"dropout2d: expected (N, C, H, W), got shape {input.shape}")
    return _drop(input, p, training, input.shape[:2] + (1,) * (input.ndim - 2), generator)


def _drop(
    x: Tensor, p: float, training: bool, shape: tuple[int, ...], generator: Generator | None
) -> Tensor:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0:
        return x
    draws = (generator or default_generator).numpy.random(shape, dtype=np.float32)
    scale = 1.0 / (1.0 - p) if p < 1.0 else 0.0
    kept = move(np.asarray(draws >= p), x.device)
    # In x's memory layout, so that the product keeps it.
    mask = np.empty_like(x._array, shape=shape)
    np.multiply(kept, x.dtype.type(scale), out=mask, casting="unsafe")
    return x * wrap(mask)
