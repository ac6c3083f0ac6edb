"""The exact denoiser of a Gaussian mixture: what a perfect network would say."""

from __future__ import annotations

import numpy as np

from ... import nn
from ...backend import move
from ...tensor import Tensor
from .process import Process

__all__ = ["ExactDenoiser"]


class ExactDenoiser(nn.Module):
    """E[x_0 | x_t] in closed form for data sum_k w_k N(mean_k, std^2 I): a perfect network.

    means (K, dims), std one number, weights (K,) or equal. Its output is x_0 (predicts="x0").
    Given x_t, component k has probability ~ w_k N(x_t; a mean_k, c I), c = a^2 std^2 + s^2, and
    under it x_0 has the mean  mean_k + (a std^2 / c) (x_t - a mean_k).

    >>> import tinygen as tg
    >>> process = tg.models.diffusion.cosine(4)
    >>> net = tg.models.diffusion.ExactDenoiser(process, means=tg.tensor([[1.0, 2.0]]), std=0.0)
    >>> model = tg.models.diffusion.Diffusion(process, net, predicts="x0")
    >>> tg.models.diffusion.sample(model, (2, 2), "ddim")      # data are one point: so are samples
    tensor([[1., 2.],
            [1., 2.]])
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
        """E[x_0 | x_t = x]: (B, dims), time (B,) in 0..1000 -> (B, dims)."""
        t = np.rint(move(time._array, "cpu").astype(np.float64) * self.process.T / 1000.0)
        a, s = self.process.level(t.astype(np.int64), x)
        c = a.square() * self.std**2 + s.square()  # (B, 1)
        away = x[:, None] - a[:, :, None] * self.means  # (B, K, dims)
        weight = (self.log_weights - 0.5 * away.square().sum(2) / c).softmax(1)
        gain = (a * self.std**2 / c)[:, :, None]
        expected: Tensor = (weight[:, :, None] * (self.means + gain * away)).sum(1)
        return expected
