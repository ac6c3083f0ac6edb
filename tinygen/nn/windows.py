"""Layers of windows: pools of lines (N, C, L), adaptive maxima, images as columns and back."""

from __future__ import annotations

from typing import Any

from ..checks import positive
from ..checks import sizes as checked
from ..tensor import Tensor
from . import functional as F
from .convolution import Size
from .module import Module

__all__ = [
    "AdaptiveAvgPool1d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AvgPool1d", "ChannelShuffle",
    "Fold", "MaxPool1d", "Unfold",
]  # fmt: skip


class MaxPool1d(Module):
    """The maximum over windows of (N, C, L); as MaxPool2d.

    >>> nn.MaxPool1d(2)(tg.tensor([[1.0, 3.0, 2.0, 0.0]]))
    tensor([[3., 2.]])
    """

    def __init__(
        self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1,
        return_indices: bool = False, ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.stride = kernel_size if stride is None else stride
        checked("MaxPool1d", "kernel_size", kernel_size, 1, 1)
        checked("MaxPool1d", "stride", self.stride, 1, 1)
        checked("MaxPool1d", "padding", padding, 1)
        checked("MaxPool1d", "dilation", dilation, 1, 1)
        self.kernel_size, self.padding, self.dilation = kernel_size, padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        return F.max_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool1d(Module):
    """The mean over windows of (N, C, L); as AvgPool2d."""

    def __init__(
        self, kernel_size: Size, stride: Size | None = None, padding: Size = 0,
        ceil_mode: bool = False, count_include_pad: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = checked("AvgPool1d", "kernel_size", kernel_size, 1, 1)
        self.stride = self.kernel_size
        if stride is not None:
            self.stride = checked("AvgPool1d", "stride", stride, 1, 1)
        self.padding = checked("AvgPool1d", "padding", padding, 1)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _Adaptive(Module):
    """Windows chosen so that the output has output_size."""

    ndim = 1

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        several = output_size if isinstance(output_size, (tuple, list)) else (output_size,)
        known = tuple(n for n in several if n is not None or self.ndim == 1)
        checked(type(self).__name__, "output_size", known, least=1)
        self.output_size, self.return_indices = output_size, return_indices

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_Adaptive):
    """The mean over windows of (N, C, L) chosen so that the output is output_size."""

    def __init__(self, output_size: Any) -> None:
        super().__init__(output_size)

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveMaxPool1d(_Adaptive):
    """The maximum over windows of (N, C, L) chosen so that the output is output_size."""

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_Adaptive):
    """The maximum over windows chosen so that the output is output_size; None keeps a size.

    >>> nn.AdaptiveMaxPool2d((1, 2))(tg.tensor([[[0.0, 2.0, 1.0]]]))  # of 0 2 and of 2 1
    tensor([[[2., 2.]]])
    """

    ndim = 2

    def forward(self, input: Tensor) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class ChannelShuffle(Module):
    """(N, C, ...) with the channels of each of the groups dealt out in turn (Zhang et al. 2018).

    >>> nn.ChannelShuffle(2)(tg.arange(4).reshape(1, 4, 1)).flatten()
    tensor([0, 2, 1, 3])
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        positive("ChannelShuffle", groups=groups)
        self.groups = groups

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


class _Columns(Module):
    """What Unfold and Fold share: how the windows slide."""

    def __init__(self, kernel_size: Size, dilation: Size, padding: Size, stride: Size) -> None:
        super().__init__()
        for what, value, least in (
            ("kernel_size", kernel_size, 1), ("dilation", dilation, 1), ("padding", padding, 0),
            ("stride", stride, 1),
        ):  # fmt: skip
            checked(type(self).__name__, what, value, 2, least)
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Unfold(_Columns):
    """(N, C, H, W) -> (N, C KH KW, L): what each window sees, as a column; see F.unfold.

    >>> nn.Unfold(2, stride=2)(tg.zeros(1, 3, 4, 6)).shape
    (1, 12, 6)
    """

    def __init__(
        self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(_Columns):
    """(N, C KH KW, L) -> (N, C, *output_size): the adjoint of Unfold; see F.fold."""

    def __init__(
        self, output_size: Size, kernel_size: Size, dilation: Size = 1, padding: Size = 0,
        stride: Size = 1,
    ) -> None:  # fmt: skip
        super().__init__(kernel_size, dilation, padding, stride)
        checked("Fold", "output_size", output_size, 2, 1)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"
