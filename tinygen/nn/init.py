"""Initialisation of weights, in place: torch.nn.init with a `generator` argument throughout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backend import Array, Generator, default_generator, move
from ..tensor import Tensor

__all__ = [
    "calculate_gain", "constant_", "eye_", "kaiming_normal_", "kaiming_uniform_",
    "layer_default_", "normal_", "ones_", "orthogonal_", "trunc_normal_", "uniform_",
    "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip


def _write(tensor: Tensor, values: Any) -> Tensor:
    """Overwrite in place, unrecorded; a graph that saved the old values will say so."""
    tensor._array[...] = move(values, tensor.device) if isinstance(values, np.ndarray) else values
    tensor._version[0] += 1
    return tensor


def _stream(generator: Generator | None) -> np.random.Generator:
    return (generator or default_generator).numpy


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """U(a, b); returns the tensor.

    >>> nn.init.uniform_(tg.empty(2, 3), -1, 1).abs().max() <= 1
    tensor(True)
    """
    return _write(tensor, _stream(generator).uniform(a, b, tensor.shape))


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """N(mean, std^2)"""
    return _write(tensor, _stream(generator).normal(mean, std, tensor.shape))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """N(mean, std^2) given that the value lies in [a, b], by redrawing what falls outside.

    a and b are values, not multiples of std. ValueError where less than 1e-4 of it lies in there.
    """
    stream, low, high = _stream(generator), (a - mean) / std, (b - mean) / std
    if not 0.5 * (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) > 1e-4:
        raise ValueError(f"trunc_normal_: [{a}, {b}] holds next to nothing of N({mean}, {std}^2)")
    values = stream.standard_normal(tensor.numel())
    while (outside := np.flatnonzero((values < low) | (values > high))).size:
        values[outside] = stream.standard_normal(outside.size)
    return _write(tensor, (mean + std * values).reshape(tensor.shape))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Every entry `val`."""
    return _write(tensor, val)


def ones_(tensor: Tensor) -> Tensor:
    """Every entry 1."""
    return _write(tensor, 1)


def zeros_(tensor: Tensor) -> Tensor:
    """Every entry 0."""
    return _write(tensor, 0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity, in a matrix that need not be square; ValueError for what is no matrix."""
    if tensor.ndim != 2:
        raise ValueError(f"eye_: only tensors with 2 dimensions are supported, got {tensor.shape}")
    return _write(tensor, np.eye(tensor.shape[0], tensor.shape[1]))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """What keeps a layer's variance through `nonlinearity`; param is leaky_relu's slope.

    1 for linear, sigmoid and convolutions, 5/3 for tanh, sqrt(2) for relu, sqrt(2 / (1 + slope^2))
    for leaky_relu, 3/4 for selu. ValueError for another name.

    >>> round(nn.init.calculate_gain("leaky_relu", 1.0), 4), nn.init.calculate_gain("selu")
    (1.0, 0.75)
    """
    slope = 0.01 if param is None else param
    gains = {
        "tanh": 5.0 / 3.0,
        "relu": math.sqrt(2.0),
        "leaky_relu": math.sqrt(2.0 / (1.0 + slope * slope)),
        "selu": 0.75,
    }
    same = ("linear", "sigmoid", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d")
    gains.update(dict.fromkeys(same, 1.0))
    if nonlinearity not in gains:
        raise ValueError(
            f"Unsupported nonlinearity {nonlinearity!r}; expected one of {', '.join(gains)}"
        )
    return gains[nonlinearity]


def _fans(tensor: Tensor) -> tuple[int, int]:
    """fan_in, fan_out of a weight (out, in, ...): inputs an output sees, and the reverse."""
    if tensor.ndim < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got "
            f"shape {tensor.shape}"
        )
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator | None = None
) -> Tensor:
    """U(-a, a) with a = gain sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010).

    A weight (out, in, ...) has fan_in = in times the size of the rest, fan_out = out times that.
    ValueError for fewer than two dimensions.
    """
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """N(0, s^2) with s = gain sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor))), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan = _fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """U(-b, b) with b = gain sqrt(3 / fan); `a` is leaky_relu's slope (He et al. 2015)."""
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """N(0, s^2) with s = gain / sqrt(fan); `a` is leaky_relu's slope (He et al. 2015).

    mode "fan_in" keeps the variance forward, "fan_out" backward.

    >>> weight = nn.init.kaiming_normal_(tg.empty(1000, 200), nonlinearity="relu")
    >>> round(float(weight.std()), 2)  # sqrt(2 / 200)
    0.1
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """gain times a random matrix (out, rest) whose rows or columns, the fewer, are orthonormal.

    Q of the QR decomposition of a Gaussian matrix, signs fixed so that it is uniform (Saxe 2014).

    >>> w = nn.init.orthogonal_(tg.empty(2, 5))
    >>> tg.allclose(w @ w.T, tg.eye(2), atol=1e-6)
    True
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: expected 2 or more dimensions, got shape {tensor.shape}")
    if tensor.numel() == 0:
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    gauss: Array = _stream(generator).standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(gauss)
    q = q * np.sign(np.diag(r))
    return _write(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


def layer_default_(weight: Tensor, bias: Tensor | None, generator: Generator | None = None) -> None:
    """PyTorch's default for Linear and convolutions: both U(-b, b), b = 1 / sqrt(fan_in)."""
    kaiming_uniform_(weight, a=math.sqrt(5), generator=generator)
    if bias is not None:
        fan_in = _fans(weight)[0]
        bound = 1.0 / math.sqrt(fan_in) if fan_in > 0 else 0.0
        uniform_(bias, -bound, bound, generator)
