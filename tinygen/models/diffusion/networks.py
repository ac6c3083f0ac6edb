"""Networks for points: a time-embedded MLP, and the exact denoiser of a Gaussian mixture."""

from __future__ import annotations

import math

import numpy as np

from ... import nn
from ...backend import move
from ...ops import cat
from ...tensor import Tensor, wrap
from .process import Process

__all__ = ["ExactDenoiser", "TimeMLP", "sinusoids", "with_label"]


def sinusoids(time: Tensor, width: int, slowest: float = 1e4) -> Tensor:
    """(B,) -> (B, width): sines, then cosines, at rates from 1 falling to 1 / `slowest`."""
    rates = np.exp(np.arange(width // 2) * (-2.0 * math.log(slowest) / width))
    angle = time[:, None] * wrap(move(rates.astype(time.dtype), time.device))
    return cat([angle.sin(), angle.cos()], 1)


def with_label(context: Tensor, embedding: nn.Embedding | None, label: Tensor | None) -> Tensor:
    """context + the label's embedding; ValueError for a label that the network would not see."""
    if label is None:
        return context
    if embedding is None:
        raise ValueError("got labels, but the network was made with classes = 0")
    out: Tensor = context + embedding(label)
    return out


class TimeMLP(nn.Module):
    """(x (B, dims), time (B,)[, label (B,)]) -> (B, out): residual layers that all see the time.

    The last layer begins at 0. classes > 0 takes labels 0 .. classes, the last one for "none".
    """

    def __init__(
        self, dims: int = 2, hidden: int = 128, layers: int = 3, classes: int = 0,
        out: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if min(dims, hidden, layers) < 1 or hidden % 2:
            raise ValueError(
                f"TimeMLP: expected dims, layers >= 1 and an even hidden >= 2, got {dims}, "
                f"{layers} and {hidden}"
            )
        self.hidden = hidden
        self.time = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.label = nn.Embedding(classes + 1, hidden) if classes else None
        self.first = nn.Linear(dims, hidden)
        self.layers = nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(layers)])
        self.last = nn.Linear(hidden, out or dims)
        for parameter in self.last.parameters():  # the first prediction is 0
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, time: Tensor, label: Tensor | None = None) -> Tensor:
        context = with_label(self.time(sinusoids(time, self.hidden)), self.label, label)
        h = self.first(x)
        for layer in self.layers:
            h = h + layer(nn.functional.silu(h + context))
        return self.last(nn.functional.silu(h))


class ExactDenoiser(nn.Module):
    """E[x_0 | x_t] in closed form for data sum_k w_k N(mean_k, std^2 I): a perfect network.

    means (K, dims), std one number, weights (K,) or equal. Its output is x_0 (predicts="x0").
    Given x_t, component k has probability ~ w_k N(x_t; a mean_k, c I), c = a^2 std^2 + s^2, and
    under it x_0 has the mean  mean_k + (a std^2 / c) (x_t - a mean_k).
    """

    means: Tensor
    log_weights: Tensor

    def __init__(
        self, process: Process, means: Tensor, std: float, weights: Tensor | None = None
    ) -> None:
        super().__init__()
        if means.ndim != 2 or not std >= 0:
            raise ValueError(
                f"ExactDenoiser: expected means (K, dims) and std >= 0, got {means.shape}, {std}"
            )
        self.process, self.std = process, std
        w = weights if weights is not None else means[:, 0] * 0.0 + 1.0
        self.register_buffer("means", means)
        self.register_buffer("log_weights", (w / w.sum()).log())

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        t = np.rint(move(time._array, "cpu").astype(np.float64) * self.process.T / 1000.0)
        a, s = self.process.level(t.astype(np.int64), x)
        c = a.square() * self.std**2 + s.square()  # (B, 1)
        away = x[:, None] - a[:, :, None] * self.means  # (B, K, dims)
        weight = (self.log_weights - 0.5 * away.square().sum(2) / c).softmax(1)
        gain = (a * self.std**2 / c)[:, :, None]
        expected: Tensor = (weight[:, :, None] * (self.means + gain * away)).sum(1)
        return expected
