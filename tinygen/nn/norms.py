"""Normalisation layers. What each averages over stands at the top of functional/norms.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import module_for
from ..checks import integers, numbers, positive, sizes
from ..tensor import Tensor, wrap
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter, empty_parameter

__all__ = ["BatchNorm1d", "BatchNorm2d", "GroupNorm", "InstanceNorm2d", "LayerNorm", "RMSNorm"]


class _Norm(Module):
    """A norm with weights (start at 1) and biases (start at 0), where it has them."""

    weight: Parameter | None
    bias: Parameter | None

    def _add_affine(
        self, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any
    ) -> None:
        for name, wanted in (("weight", weight), ("bias", bias)):
            vector = empty_parameter(*shape, dtype=dtype, device=device) if wanted else None
            self.register_parameter(name, vector)

    def reset_parameters(self) -> None:
        """Weights 1, biases 0, as at the start."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _ChannelNorm(_Norm):
    """What BatchNorm1d/2d and InstanceNorm2d share: statistics that run along with training."""

    dims: tuple[int, ...] = (4,)
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        integers(name, 0, num_features=num_features)
        numbers(name, 0, eps=eps)
        if momentum is not None:
            numbers(name, 0, 1, momentum=momentum)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self._add_affine((num_features,), affine, affine and bias, device, dtype)
        xp = module_for(device)
        like = empty_parameter(num_features, dtype=dtype, device=device)._array
        tracked = {
            "running_mean": np.zeros_like(like),
            "running_var": np.ones_like(like),
            "num_batches_tracked": xp.zeros((), np.int64),
        }
        for name, array in tracked.items():
            self.register_buffer(name, wrap(array) if track_running_stats else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Running mean 0, running variance 1, no batches counted, as at the start."""
        if self.running_mean is not None and self.running_var is not None:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            if self.num_batches_tracked is not None:
                init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Weights 1, biases 0, running statistics as at the start."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check(self, input: Tensor) -> None:
        name = type(self).__name__
        if input.ndim not in self.dims:
            wanted = " or ".join(f"{n}D" for n in self.dims)
            raise ValueError(f"{name}: expected {wanted} input (got {input.ndim}D input)")
        channel = input.ndim - 3 if self.dims[0] == 3 else 1
        if input.shape[channel] != self.num_features:
            raise ValueError(
                f"{name}: expected {self.num_features} channels (num_features), got an input of "
                f"shape {input.shape} with {input.shape[channel]}"
            )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm2d(_ChannelNorm):
    """Every channel of (N, C, H, W) with mean 0 and variance 1 over N, H, W, then scaled.

    eval() uses the running statistics, which move by `momentum` towards each batch's; momentum=None
    makes these plain averages over all batches (Ioffe & Szegedy 2015).

    >>> x = nn.BatchNorm2d(3)(10 + tg.randn(8, 3, 4, 4))
    >>> x.mean((0, 2, 3)).abs().max() < 1e-5
    tensor(True)
    """

    def forward(self, input: Tensor) -> Tensor:
        self._check(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked._array += 1
            self.num_batches_tracked._version[0] += 1
            if self.momentum is None:
                momentum = 1.0 / self.num_batches_tracked.item()
        return F.batch_norm(
            input, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or self.running_mean is None, momentum, self.eps,
        )  # fmt: skip


class BatchNorm1d(BatchNorm2d):
    """Every channel of (N, C) or (N, C, L) with mean 0 and variance 1 over N (and L).

    >>> norm = nn.BatchNorm1d(1)
    >>> norm(tg.tensor([[1.0], [3.0]])).detach(), norm.running_mean, norm.running_var
    (tensor([[-1.],
            [ 1.]]), tensor([0.2]), tensor([1.1]))
    """

    dims = (2, 3)


class InstanceNorm2d(_ChannelNorm):
    """Every channel of every image of (N, C, H, W) or (C, H, W) with mean 0, variance 1 over H, W.

    No weights and no running statistics unless asked for (Ulyanov et al. 2016).

    >>> nn.InstanceNorm2d(1)(tg.tensor([[[[1.0, 3.0]]], [[[10.0, 30.0]]]])).flatten()
    tensor([-1.,  1., -1.,  1.])
    """

    dims = (3, 4)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check(input)
        batch = input if input.ndim == 4 else input.unsqueeze(0)
        momentum = 0.1 if self.momentum is None else self.momentum
        out = F.instance_norm(
            batch, self.running_mean, self.running_var, self.weight, self.bias,
            self.training or not self.track_running_stats, momentum, self.eps,
        )  # fmt: skip
        return out if input.ndim == 4 else out.squeeze(0)


class GroupNorm(_Norm):
    """Groups of channels of (N, C, ...) with mean 0 and variance 1 in every image, then scaled.

    Over C / num_groups channels and all positions; one weight and bias a channel (Wu & He 2018).

    >>> nn.GroupNorm(2, 4)(tg.tensor([[1.0, 3.0, 10.0, 30.0]])).detach()
    tensor([[-1.,  1., -1.,  1.]])
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True,
        device: Any = None, dtype: Any = None, *, bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        positive("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        numbers("GroupNorm", 0, eps=eps)
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: num_channels ({num_channels}) must be divisible by num_groups "
                f"({num_groups})"
            )
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        self._add_affine((num_channels,), affine, affine and bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise RuntimeError(
                f"GroupNorm: expected an input (N, {self.num_channels}, ...), got {input.shape}"
            )
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LayerNorm(_Norm):
    """The last dimensions, normalized_shape, with mean 0 and variance 1, then scaled.

    One weight and bias for each of its entries (Ba, Kiros & Hinton 2016).

    >>> nn.LayerNorm(2)(tg.tensor([[1.0, 3.0], [10.0, 30.0]])).detach()
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5,
        elementwise_affine: bool = True, bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        shape = sizes("LayerNorm", "normalized_shape", normalized_shape)
        numbers("LayerNorm", 0, eps=eps)
        self.normalized_shape: tuple[int, ...] = shape
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._add_affine(shape, elementwise_affine, elementwise_affine and bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(_Norm):
    """The last dimensions, normalized_shape, divided by their root mean square, then scaled.

    One weight for each of its entries; eps is the dtype's, unless given (Zhang & Sennrich 2019).

    >>> nn.RMSNorm(2)(tg.tensor([[3.0, 4.0]])).detach()
    tensor([[0.8485, 1.1314]])
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float | None = None,
        elementwise_affine: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        shape = sizes("RMSNorm", "normalized_shape", normalized_shape)
        if eps is not None:
            numbers("RMSNorm", 0, eps=eps)
        self.normalized_shape: tuple[int, ...] = shape
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._add_affine(shape, elementwise_affine, False, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )
