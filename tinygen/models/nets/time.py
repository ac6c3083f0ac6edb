"""How a network is told the time, and the network for points that is: a time-embedded MLP."""

from __future__ import annotations

import math

import numpy as np

from ... import nn
from ...backend import move
from ...ops import cat
from ...tensor import Tensor, wrap

__all__ = ["TimeMLP", "label_net", "sinusoids", "with_label"]


def sinusoids(time: Tensor, width: int, slowest: float = 1e4) -> Tensor:
    """(B,) -> (B, width): sines, then cosines, at rates from 1 falling to about 1 / `slowest`.

    Rate k is slowest^(-2 k / width), k = 0 .. width/2 - 1; width even (Vaswani et al. 2017,
    arXiv:1706.03762).

    >>> import tinygen as tg
    >>> tg.models.nets.sinusoids(tg.tensor([0.0]), width=4)
    tensor([[0., 0., 1., 1.]])
    """
    rates = np.exp(np.arange(width // 2) * (-2.0 * math.log(slowest) / width))
    angle = time[:, None] * wrap(move(rates.astype(time.dtype), time.device))
    return cat([angle.sin(), angle.cos()], 1)


def label_net(classes: int, vectors: int, width: int) -> nn.Module | None:
    """What brings a label to (B, width): of `classes` and one for "none", or (B, vectors); or None.

    >>> import tinygen as tg
    >>> from tinygen.models.nets.time import label_net
    >>> label_net(10, 0, 4)(tg.tensor([10])).shape, label_net(0, 3, 4)(tg.zeros(1, 3)).shape
    ((1, 4), (1, 4))
    """
    if classes:
        return nn.Embedding(classes + 1, width)
    return nn.Linear(vectors, width) if vectors else None


def with_label(context: Tensor, net: nn.Module | None, labels: Tensor | None) -> Tensor:
    """context (B, d) + what `label_net` makes of labels; ValueError for labels where it is None."""
    if labels is None:
        return context
    if net is None:
        raise ValueError("got labels, but the network was made with classes = 0")
    out: Tensor = context + net(labels)
    return out


class TimeMLP(nn.Module):
    """(x (B, dims), time (B,)[, labels]) -> (B, out): residual layers that all see the time.

    The last layer begins at 0. classes > 0 takes labels (B,) in 0 .. classes, the last one for
    "none"; vectors > 0 takes such (B, vectors) for labels.
    ValueError unless hidden is even and all sizes are >= 1.

    >>> import tinygen as tg
    >>> net = tg.models.nets.TimeMLP(dims=2, hidden=8)
    >>> net(tg.randn(5, 2), tg.full((5,), 100.0)).abs().sum().item(), net.hidden
    (0.0, 8)
    """

    def __init__(
        self, dims: int = 2, hidden: int = 128, layers: int = 3, classes: int = 0,
        out: int | None = None, vectors: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        if min(dims, hidden, layers) < 1 or hidden % 2:
            raise ValueError(
                f"TimeMLP: expected dims, layers >= 1 and an even hidden >= 2, got {dims}, "
                f"{layers} and {hidden}"
            )
        self.hidden = hidden
        self.time = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.label = label_net(classes, vectors, hidden)
        self.first = nn.Linear(dims, hidden)
        self.layers = nn.ModuleList([nn.Linear(hidden, hidden) for _ in range(layers)])
        self.last = nn.Linear(hidden, out or dims)
        for parameter in self.last.parameters():  # the first prediction is 0
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, time: Tensor, labels: Tensor | None = None) -> Tensor:
        """x (B, dims), time (B,) in 0..1000, labels (B, ...) or None -> (B, out)."""
        context = with_label(self.time(sinusoids(time, self.hidden)), self.label, labels)
        h = self.first(x)
        for layer in self.layers:
            h = h + layer(nn.functional.silu(h + context))
        return self.last(nn.functional.silu(h))
