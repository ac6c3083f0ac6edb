"""Glow's two layers: a normalisation that starts from data, and a learned mixing of channels.

Kingma and Dhariwal 2018, arXiv:1807.03039. Both act alike on every pixel of (B, C, H, W), and on
(B, C) too.
"""

from __future__ import annotations

import math

import numpy as np

from ... import nn
from ...backend import float32
from ...linalg import inv, lu, slogdet, solve_triangular
from ...ops import as_tensor, diag, exp, eye, randn, tril, triu, zeros
from ...tape import no_grad
from ...tensor import Tensor
from .transform import Mapped, Transform

__all__ = ["ActNorm", "InvertibleConv"]


def _places(x: Tensor) -> int:
    """How many pixels each channel of (B, C, ...) has."""
    return math.prod(x.shape[2:])


class ActNorm(Transform):
    """z = e^s (x + b), with s and b for each channel.

    The first batch of training sets them so that each channel of z has mean 0 and variance 1; from
    then on they are learned. ValueError where that batch has less than two values a channel.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import ActNorm
    >>> z, log_det = ActNorm(3)(5.0 + 2.0 * tg.randn(100, 3, 8, 8))
    >>> bool(z.mean().abs() < 1e-5), round(z.std().item(), 2)
    (True, 1.0)
    """

    ready: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(zeros(channels))
        self.log_scale = nn.Parameter(zeros(channels))
        self.register_buffer("ready", zeros(()))

    def forward(self, x: Tensor) -> Mapped:
        if self.training and not self.ready.item():
            self.start(x)
        shift, log_scale = self._like(x)
        return exp(log_scale) * (x + shift), _places(x) * self.log_scale.sum().expand(len(x))

    def inverse(self, z: Tensor) -> Mapped:
        shift, log_scale = self._like(z)
        return exp(-log_scale) * z - shift, -_places(z) * self.log_scale.sum().expand(len(z))

    @no_grad()
    def start(self, x: Tensor) -> None:
        """Mean 0 and variance 1 of every channel of this batch (B, C, ...)."""
        channels = x.transpose(0, 1).flatten(1)
        if channels.shape[1] < 2:
            raise ValueError(
                "ActNorm: the first batch of training gives each channel its variance, and "
                f"{x.shape} has less than two values a channel; take a larger batch"
            )
        self.shift.copy_(-channels.mean(1))
        self.log_scale.copy_(-(channels.std(1, correction=0) + 1e-6).log())
        self.ready.fill_(1.0)

    def _like(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shape = (-1, *[1] * (x.ndim - 2))
        return self.shift.reshape(*shape), self.log_scale.reshape(*shape)


class InvertibleConv(Transform):
    """A 1 x 1 convolution by a square matrix W over the channels: log |det| = H W log |det W|.

    W begins as `matrix`, a random rotation unless given. lu: W = P L (U + diag(sign e^s)), P fixed,
    L and U triangular with ones and zeros on the diagonal, so that log |det W| = sum s and W stays
    invertible. Otherwise W is learned as it is, and its slogdet costs C^3. ValueError where W is
    singular.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import InvertibleConv
    >>> with tg.no_grad():
    ...     InvertibleConv(2, tg.tensor([[2.0, 0.0], [1.0, 2.0]]))(tg.ones(1, 2))     # log 4
    (tensor([[2., 3.]]), tensor([1.3863]))
    """

    P: Tensor
    sign: Tensor

    def __init__(self, channels: int, matrix: Tensor | None = None, lu: bool = True) -> None:
        super().__init__()
        if matrix is None:
            matrix = as_tensor(np.linalg.qr(randn(channels, channels).numpy())[0].astype(float32))
        P, L, U = _plu(matrix)
        self.lu = lu
        if not lu:
            self.weight = nn.Parameter(matrix)
            return
        self.register_buffer("P", P)
        self.register_buffer("sign", diag(U).sign())
        self.lower, self.upper = nn.Parameter(tril(L, -1)), nn.Parameter(triu(U, 1))
        self.log_scale = nn.Parameter(diag(U).abs().log())

    def forward(self, x: Tensor) -> Mapped:
        matrix, log_det = self._matrix()
        return _over_channels(matrix, x), _places(x) * log_det.expand(len(x))

    def inverse(self, z: Tensor) -> Mapped:
        if not self.lu:
            matrix, log_det = self._matrix()
            return _over_channels(inv(matrix), z), -_places(z) * log_det.expand(len(z))
        L, U, log_det = self._triangles()
        back = solve_triangular(L, self.P.T, upper=False, unitriangular=True)  # L^-1 P^T
        back = solve_triangular(U, back, upper=True)
        return _over_channels(back, z), -_places(z) * log_det.expand(len(z))

    def _matrix(self) -> Mapped:
        """W and log |det W|."""
        if not self.lu:
            _plu(self.weight)  # or an error
            return self.weight, slogdet(self.weight)[1]
        L, U, log_det = self._triangles()
        return self.P @ L @ U, log_det

    def _triangles(self) -> tuple[Tensor, Tensor, Tensor]:
        L = tril(self.lower, -1) + eye(len(self.lower)).to(self.lower)
        U = triu(self.upper, 1) + diag(self.sign * exp(self.log_scale))
        return L, U, self.log_scale.sum()


def _plu(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """P, L and U; ValueError where a pivot is no more than a rounding error of the largest."""
    with no_grad():
        P, L, U = lu(matrix)
    pivots = diag(U).abs()
    least, most = pivots.min().item(), pivots.max().item()
    if not least > len(matrix) * np.finfo(matrix.dtype).eps * most:
        raise ValueError(
            f"InvertibleConv: the matrix {matrix.shape} is singular (pivots {least:.3g} to "
            f"{most:.3g}) and cannot be inverted; lu=True cannot become so"
        )
    return P, L, U


def _over_channels(matrix: Tensor, x: Tensor) -> Tensor:
    return (matrix @ x.reshape(*x.shape[:2], _places(x))).reshape(*x.shape)
