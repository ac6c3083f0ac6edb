"""Masked autoregressive flow: each dimension is stretched by what those before it say.

    z_i = e^{s_i(x_<i)} x_i + t_i(x_<i),    log |det| = sum_i s_i

Papamakarios et al. 2017 (arXiv:1705.07057), with MADE's masks. One pass gives z and the density;
drawing takes a pass a dimension. `Inverse` of it is the inverse autoregressive flow (Kingma et al.
2016, arXiv:1606.04934): drawing in one pass, the density of foreign points in D.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ... import nn
from ...ops import stack, zeros, zeros_like
from ...tensor import Tensor
from .. import nets
from ..likelihoods import sum_dims
from .coupling import Affine, Curve
from .transform import Mapped, Transform

__all__ = ["MaskedAutoregressive"]


class MaskedAutoregressive(Transform):
    """The flow over (B, *shape) in an order of its D = prod(shape) numbers, 0..D-1 unless given.

    hidden: units of the network's hidden layers. curve: how a number is mapped, affine unless
    given. ValueError where `order` is no permutation of 0..D-1.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import MaskedAutoregressive
    >>> layer = MaskedAutoregressive((3,), [16])
    >>> z, log_det = layer(tg.randn(5, 3))
    >>> z.shape, log_det.shape
    ((5, 3), (5,))
    """

    def __init__(
        self, shape: Sequence[int], hidden: Sequence[int], order: Sequence[int] | None = None,
        curve: Curve | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        size = math.prod(shape)
        self.curve = curve or Affine()
        orders = [list(range(size) if order is None else order)]
        self.net = nets.MaskedMLP(size, hidden, orders, self.curve.numbers)
        for parameter in self.net.layers[-1].parameters():  # the identity, at first
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Mapped:
        z, log_slope = self.curve.forward(x.flatten(1), self.net(x.flatten(1)))
        return z.reshape(*x.shape), sum_dims(log_slope)

    def inverse(self, z: Tensor) -> Mapped:
        flat = z.flatten(1)
        columns = list(zeros_like(flat).unbind(1))
        log_det = zeros(len(z)).to(z)
        for i in self.net.orders[0]:  # what comes before i in the order stands already
            x, log_slope = self.curve.inverse(flat, self.net(stack(columns, 1)))
            columns[i], log_det = x[:, i], log_det + log_slope[:, i]
        return stack(columns, 1).reshape(*z.shape), log_det
