"""What a coupling asks: from the numbers that stay, those by which the others are moved."""

from __future__ import annotations

from collections.abc import Sequence

from ... import nn
from ...checks import positive
from .dense import mlp

__all__ = ["coupling_net"]


def coupling_net(shape: Sequence[int], numbers: int, hidden: int = 64) -> nn.Sequential:
    """(B, *shape) -> (B, numbers * shape[0], *shape[1:]), zero until it is trained.

    For (D,) a perceptron of two hidden layers; for (C, H, W) convolutions 3 x 3, 1 x 1, 3 x 3, as
    Glow has them (Kingma and Dhariwal 2018). ValueError for another shape.

    >>> import tinygen as tg
    >>> tg.models.nets.coupling_net((3, 8, 8), numbers=2)(tg.randn(5, 3, 8, 8)).shape
    (5, 6, 8, 8)
    """
    positive("coupling_net", numbers=numbers, hidden=hidden)
    if len(shape) not in (1, 3):
        raise ValueError(f"coupling_net: expected a shape (D,) or (C, H, W), got {tuple(shape)}")
    size, out = shape[0], numbers * shape[0]
    if len(shape) == 1:
        net = mlp([size, hidden, hidden, out])
    else:
        net = nn.Sequential(
            nn.Conv2d(size, hidden, 3, padding=1), nn.ReLU(), nn.Conv2d(hidden, hidden, 1),
            nn.ReLU(), nn.Conv2d(hidden, out, 3, padding=1),
        )  # fmt: skip
    for parameter in net[-1].parameters():
        nn.init.zeros_(parameter)
    return net
