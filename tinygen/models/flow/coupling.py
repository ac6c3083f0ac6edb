"""Couplings: one part of x tells how the other part is stretched (Dinh et al. 2016, RealNVP).

    z_a = x_a,    z_b = e^s(x_a) x_b + t(x_a),    log |det| = sum s(x_a)

The Jacobian is triangular whatever the network is, and the way back needs no more than the way
there. A mask says which part is a: every second pixel, or half of the channels. How x_b is mapped,
by numbers that the network says, is a `Curve`: affine here, a spline in spline.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import nn
from ...backend import float32
from ...ops import exp, tanh
from ...tensor import Tensor, wrap
from ..likelihoods import sum_dims
from .transform import Mapped, Transform

__all__ = ["Affine", "Coupling", "Curve", "checkerboard", "halves"]


class Curve:
    """A rising function of one number, given by `numbers` others: (x, p) -> (y, log dy/dx).

    x has any shape (B, ...), p (B, numbers, ...). p = 0 is the identity.
    """

    numbers: int

    def forward(self, x: Tensor, p: Tensor) -> Mapped:
        """y and log dy/dx of every number."""
        raise NotImplementedError

    def inverse(self, y: Tensor, p: Tensor) -> Mapped:
        """x and log dx/dy of every number."""
        raise NotImplementedError


class Affine(Curve):
    """y = e^s x + t. |s| < `most`, by most tanh(. / most), so that no step is torn apart.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import Affine
    >>> Affine().forward(tg.tensor([[3.0]]), tg.tensor([[[0.0], [1.0]]]))
    (tensor([[4.]]), tensor([[0.]]))
    """

    numbers = 2

    def __init__(self, most: float = 3.0) -> None:
        self.most = most

    def forward(self, x: Tensor, p: Tensor) -> Mapped:
        s, t = self._of(p)
        return exp(s) * x + t, s

    def inverse(self, y: Tensor, p: Tensor) -> Mapped:
        s, t = self._of(p)
        return exp(-s) * (y - t), -s

    def _of(self, p: Tensor) -> Mapped:
        return self.most * tanh(p[:, 0] / self.most), p[:, 1]


class Coupling(Transform):
    """The numbers at mask = 1 stay, those at mask = 0 are mapped by curves that the former choose.

    net: (B, *shape) -> (B, curve.numbers * shape[0], *shape[1:]), what it says about the first kind
    is not looked at. mask: *shape, zeros and ones, else ValueError.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import Affine, Coupling, checkerboard
    >>> layer = Coupling(checkerboard((4,)), tg.nn.Linear(4, 8), Affine())
    >>> x = tg.randn(5, 4)
    >>> z, log_det = layer(x)
    >>> bool((z[:, 1::2] == x[:, 1::2]).all()), log_det.shape
    (True, (5,))
    """

    mask: Tensor

    def __init__(self, mask: Tensor, net: nn.Module, curve: Curve) -> None:
        super().__init__()
        if not ((mask == 0) | (mask == 1)).all() or mask.all() or not mask.any():
            raise ValueError("Coupling: the mask is of zeros and ones, and needs some of both")
        self.register_buffer("mask", mask, persistent=False)
        self.net, self.curve = net, curve

    def forward(self, x: Tensor) -> Mapped:
        return self._masked(x, *self.curve.forward(x, self._numbers(x)))

    def inverse(self, z: Tensor) -> Mapped:
        return self._masked(z, *self.curve.inverse(z, self._numbers(z)))

    def _numbers(self, x: Tensor) -> Tensor:
        said: Tensor = self.net(x * self.mask)
        return said.reshape(len(x), self.curve.numbers, *x.shape[1:])

    def _masked(self, x: Tensor, y: Tensor, log_slope: Tensor) -> Mapped:
        other = 1.0 - self.mask
        return x * self.mask + y * other, sum_dims(log_slope * other)


def checkerboard(shape: Sequence[int], odd: bool = False) -> Tensor:
    """A mask (*shape) of every second number, of two neighbours one: (C, H, W) or (D,).

    >>> from tinygen.models.flow import checkerboard
    >>> checkerboard((1, 2, 3))[0], checkerboard((3,), odd=True)
    (tensor([[0., 1., 0.],
            [1., 0., 1.]]), tensor([1., 0., 1.]))
    """
    places = np.indices(shape).sum(0) % 2
    return wrap((places == (0 if odd else 1)).astype(float32))


def halves(shape: Sequence[int], odd: bool = False) -> Tensor:
    """A mask (*shape) of the second half of the channels, or numbers; odd: of the first half.

    >>> from tinygen.models.flow import halves
    >>> halves((4,)), halves((4,), odd=True)
    (tensor([0., 0., 1., 1.]), tensor([1., 1., 0., 0.]))
    """
    second = np.indices(shape)[0] >= shape[0] // 2
    return wrap((second != odd).astype(float32))
