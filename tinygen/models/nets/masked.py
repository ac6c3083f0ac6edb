"""Layers that cannot see what comes later: masked products for MADE.

A network of D inputs and D outputs is autoregressive in an order when output i depends only on
inputs that come before i in it. Every unit gets a number, its degree, and a weight is kept where
degrees allow it (Germain et al. 2015, arXiv:1502.03509).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import nn
from ...backend import Array
from ...checks import positive
from ...nn import functional as F
from ...ops import relu
from ...tensor import Tensor, wrap

__all__ = ["MaskedMLP"]


class MaskedMLP(nn.Module):
    """A perceptron whose output i sees the inputs before i in an order: (B, D) -> (B, D).

    orders: the orders there are, each a permutation of 0..D-1 that says which dimension comes
    first, second, ...; one set of weights serves them all. ValueError for what is no permutation.

    >>> import tinygen as tg
    >>> net = tg.models.nets.MaskedMLP(4, [32, 32])
    >>> seen = tg.autograd.functional.jacobian(net, tg.randn(1, 4)).reshape(4, 4) != 0
    >>> seen.int()                                   # row i: what output i depends on
    tensor([[0, 0, 0, 0],
            [1, 0, 0, 0],
            [1, 1, 0, 0],
            [1, 1, 1, 0]], int32)
    """

    def __init__(
        self, size: int, hidden: Sequence[int], orders: Sequence[Sequence[int]] | None = None
    ) -> None:
        super().__init__()
        positive("MaskedMLP", size=size)
        orders = [list(range(size))] if orders is None else [list(order) for order in orders]
        for order in orders:
            if sorted(order) != list(range(size)):
                raise ValueError(
                    f"MaskedMLP: an order of {size} dimensions is a permutation of 0..{size - 1}, "
                    f"got {order if len(order) < 10 else f'{len(order)} numbers'}"
                )
        widths = [size, *hidden, size]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
        self.orders = orders
        # A hidden unit of degree d sees the inputs at places 0..d of the order.
        degrees = [np.arange(width) % max(1, size - 1) for width in hidden]
        for m, order in enumerate(orders):
            for i, mask in enumerate(_masks(np.argsort(order), degrees)):
                self.register_buffer(f"mask_{m}_{i}", wrap(mask), persistent=False)

    def forward(self, x: Tensor, which: int = 0) -> Tensor:
        """(B, D) -> (B, D) in the order number `which`."""
        for i, layer in enumerate(self.layers):
            mask = getattr(self, f"mask_{which}_{i}")
            x = F.linear(relu(x) if i else x, layer.weight * mask, layer.bias)
        return x


def _masks(place: Array, degrees: list[Array]) -> list[Array]:
    """Which weights are kept, (out, in) each, where dimension i has place[i] in the order."""
    below = [place, *degrees]
    masks = [after[:, None] >= before for before, after in zip(below, degrees)]
    masks.append(place[:, None] > below[-1])  # an output sees what is strictly before it
    return [mask.astype(np.float32) for mask in masks]
