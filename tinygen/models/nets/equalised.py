"""Equalised layers: weights N(0, 1), scaled where they are used and not where they begin.

    y = (c lr_mul w) * x + lr_mul b,    c = gain / sqrt(fan_in),    w ~ N(0, 1 / lr_mul^2)

He's initialisation at run time (Karras et al. 2018, arXiv:1710.10196). Adam moves every w by about
its learning rate, whatever the size of the gradient: with c outside, all layers learn at one speed
relative to the size of their weights.
"""

from __future__ import annotations

import math
from typing import Any

from ... import nn
from ...checks import numbers
from ...nn import functional as F
from ...ops import mean, rsqrt, square
from ...tensor import Tensor

__all__ = ["GAIN", "EqualConv2d", "EqualLinear", "PixelNorm"]

GAIN = math.sqrt(2.0)  # He's, of a layer that a (leaky) ReLU follows


def _equalise(name: str, layer: nn.Linear | nn.Conv2d, gain: float, lr_mul: float) -> float:
    """Weights N(0, 1 / lr_mul^2), biases 0; returns what to multiply the weights by."""
    numbers(name, 0.0, gain=gain, lr_mul=lr_mul)
    nn.init.normal_(layer.weight, 0.0, 1.0 / lr_mul)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return gain * lr_mul / math.sqrt(layer.weight[0].numel())


class EqualLinear(nn.Linear):
    """nn.Linear whose weight is c lr_mul w and whose bias is lr_mul b, see above.

    gain: sqrt(2) before a leaky ReLU. lr_mul: it learns so many times as fast (the mapping network
    of StyleGAN: 0.01). bias_init: what the bias begins as.

    >>> import tinygen as tg
    >>> layer = tg.models.nets.EqualLinear(100, 2)
    >>> layer(tg.zeros(5, 100)).shape, round(layer.scale, 3)
    ((5, 2), 0.1)
    """

    def __init__(
        self, in_features: int, out_features: int, *, gain: float = 1.0, lr_mul: float = 1.0,
        bias_init: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__(in_features, out_features)
        self.scale, self.lr_mul = _equalise("EqualLinear", self, gain, lr_mul), lr_mul
        if self.bias is not None:
            nn.init.constant_(self.bias, bias_init / lr_mul)

    def forward(self, input: Tensor) -> Tensor:
        """x (..., in_features) -> (..., out_features)."""
        bias = None if self.bias is None else self.bias * self.lr_mul
        return F.linear(input, self.weight * self.scale, bias)


class EqualConv2d(nn.Conv2d):
    """nn.Conv2d whose weight is c w: arguments as there, and gain: sqrt(2) before a leaky ReLU.

    >>> import tinygen as tg
    >>> tg.models.nets.EqualConv2d(3, 8, 3, padding=1)(tg.zeros(5, 3, 8, 8)).shape
    (5, 8, 8, 8)
    """

    def __init__(self, *args: Any, gain: float = 1.0, **options: Any) -> None:
        super().__init__(*args, **options)
        self.scale = _equalise("EqualConv2d", self, gain, 1.0)

    def forward(self, input: Tensor) -> Tensor:
        """x (B, C, H, W) -> (B, out_channels, H', W'), as nn.Conv2d."""
        input, padding = self._pad(input)
        weight = self.weight * self.scale
        return F.conv2d(
            input, weight, self.bias, self.stride, padding, self.dilation, self.groups
        )  # fmt: skip


class PixelNorm(nn.Module):
    """Every pixel's vector of channels at mean square 1: x / sqrt(mean_c x_c^2 + eps).

    (B, C, ...) -> the same; codes (B, C) too. No statistics of the batch, nothing learned.

    >>> import tinygen as tg
    >>> tg.models.nets.PixelNorm()(tg.tensor([[3.0, 4.0]])).square().mean()
    tensor(1.)
    """

    def __init__(self, eps: float = 1e-8) -> None:
        super().__init__()
        numbers("PixelNorm", 0.0, eps=eps)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """x / sqrt(mean_c x_c^2 + eps), shaped as x."""
        return x * rsqrt(mean(square(x), 1, keepdim=True) + self.eps)
