"""Layers that resize images: pooling, padding, upsampling, pixel shuffle."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..checks import numbers, positive, sizes
from ..ops.images import WEIGHTS
from ..ops.windows import as_pair
from ..tensor import Tensor
from . import functional as F
from .convolution import Size
from .module import Module

__all__ = [
    "AdaptiveAvgPool2d", "AvgPool2d", "CircularPad2d", "MaxPool2d", "PixelShuffle",
    "PixelUnshuffle", "ReflectionPad2d", "ReplicationPad2d", "Upsample", "ZeroPad2d",
]  # fmt: skip


class AvgPool2d(Module):
    """The mean over windows of (N, C, H, W); stride is kernel_size unless given.

    H becomes floor((H + 2 padding - kernel_size) / stride) + 1, rounded up with ceil_mode.

    >>> nn.AvgPool2d(2)(tg.zeros(1, 3, 28, 28)).shape
    (1, 3, 14, 14)
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride
        as_pair("AvgPool2d", "kernel_size", kernel_size, 1)
        as_pair("AvgPool2d", "stride", self.stride, 1)
        as_pair("AvgPool2d", "padding", padding, 0)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(Module):
    """The maximum over windows of (N, C, H, W); stride is kernel_size unless given.

    H becomes floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1, rounded up with
    ceil_mode. Padding counts as -inf. return_indices as in F.max_pool2d.

    >>> nn.MaxPool2d(3, stride=2, padding=1)(tg.zeros(1, 3, 28, 28)).shape
    (1, 3, 14, 14)
    """

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.padding, self.dilation = kernel_size, padding, dilation
        self.stride = kernel_size if stride is None else stride
        as_pair("MaxPool2d", "kernel_size", kernel_size, 1)
        as_pair("MaxPool2d", "stride", self.stride, 1)
        as_pair("MaxPool2d", "padding", padding, 0)
        as_pair("MaxPool2d", "dilation", dilation, 1)
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        return F.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AdaptiveAvgPool2d(Module):
    """The mean over windows chosen so that the output is output_size; None keeps a size.

    >>> nn.AdaptiveAvgPool2d(1)(tg.ones(2, 3, 7, 5)).shape  # the mean of each channel
    (2, 3, 1, 1)
    """

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        pair = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * 2
        known = tuple(1 if size is None else size for size in pair)
        as_pair("AdaptiveAvgPool2d", "output_size", known, 1)
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class Upsample(Module):
    """Larger images, to a size or by a factor; the modes are those of F.interpolate.

    (N, C, H, W), or of another number of dimensions; sizes are floor(scale_factor * size).

    >>> nn.Upsample(scale_factor=2)(tg.tensor([[[[1.0, 2.0]]]]))
    tensor([[[[1., 1., 2., 2.],
              [1., 1., 2., 2.]]]])
    """

    def __init__(
        self,
        size: Size | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
    ) -> None:
        super().__init__()
        if (size is None) == (scale_factor is None):
            raise ValueError(f"Upsample: expected size or scale_factor, got {size}, {scale_factor}")
        if size is not None:
            sizes("Upsample", "size", size, least=1)
        if mode not in WEIGHTS:
            raise ValueError(f"Upsample: expected mode to be one of {[*WEIGHTS]}, got {mode!r}")
        self.size, self.mode, self.align_corners = size, mode, align_corners
        self.scale_factor: Any = None
        if isinstance(scale_factor, (tuple, list)):
            for factor in scale_factor:
                numbers("Upsample", 0, scale_factor=factor)
            self.scale_factor = tuple(map(float, scale_factor))
        elif scale_factor is not None:
            numbers("Upsample", 0, scale_factor=scale_factor)
            self.scale_factor = float(scale_factor)

    def forward(self, input: Tensor) -> Tensor:
        return F.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        scale = self.scale_factor is not None
        target = f"scale_factor={self.scale_factor}" if scale else f"size={self.size}"
        return f"{target}, mode={self.mode!r}"


class PixelShuffle(Module):
    """(N, C r^2, H, W) -> (N, C, H r, W r) (Shi et al. 2016)

    >>> nn.PixelShuffle(2)(tg.zeros(1, 12, 7, 7)).shape
    (1, 3, 14, 14)
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        positive("PixelShuffle", upscale_factor=upscale_factor)
        self.upscale_factor = upscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """(N, C, H r, W r) -> (N, C r^2, H, W), the inverse of PixelShuffle."""

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        positive("PixelUnshuffle", downscale_factor=downscale_factor)
        self.downscale_factor = downscale_factor

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class _Pad2d(Module):
    """Padding (left, right, top, bottom), or one number for all four."""

    mode = "constant"

    def __init__(self, padding: Size) -> None:
        super().__init__()
        least = None if self.mode == "constant" else 0  # below 0 it crops
        self.padding = sizes(type(self).__name__, "padding", padding, 4, least)

    def forward(self, input: Tensor) -> Tensor:
        return ops.pad(input, self.padding, mode=self.mode)

    def extra_repr(self) -> str:
        return str(self.padding)


class ZeroPad2d(_Pad2d):
    """Zeros around (N, C, H, W): (left, right, top, bottom), or one number; below 0 it crops.

    >>> nn.ZeroPad2d((1, 2, 0, 0))(tg.ones(1, 1, 1, 2))
    tensor([[[[0., 1., 1., 0., 0.]]]])
    """


class ReflectionPad2d(_Pad2d):
    """(N, C, H, W) mirrored at its edges, which are not repeated.

    >>> nn.ReflectionPad2d((2, 0, 0, 0))(tg.tensor([[[[1.0, 2.0, 3.0]]]]))
    tensor([[[[3., 2., 1., 2., 3.]]]])
    """

    mode = "reflect"


class ReplicationPad2d(_Pad2d):
    """(N, C, H, W) with its edges repeated outward.

    >>> nn.ReplicationPad2d((2, 0, 0, 0))(tg.tensor([[[[1.0, 2.0, 3.0]]]]))
    tensor([[[[1., 1., 1., 2., 3.]]]])
    """

    mode = "replicate"


class CircularPad2d(_Pad2d):
    """(N, C, H, W) as a torus: what is beyond one edge comes in from the opposite one.

    >>> nn.CircularPad2d((2, 1, 0, 0))(tg.tensor([[[[1.0, 2.0, 3.0]]]]))
    tensor([[[[2., 3., 1., 2., 3., 1.]]]])
    """

    mode = "circular"
