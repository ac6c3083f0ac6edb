"""Convolution layers: weights (OC, C / groups, *kernel), transposed (C, OC / groups, *kernel)."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..backend import Generator
from ..checks import positive, sizes
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter, empty_parameter

__all__ = ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d", "Size", "sizes"]

Size = int | tuple[int, ...]


class _Conv(Module):
    """What the convolution layers share: their numbers, their weights, and how they print."""

    ndim = 2
    transposed = False
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        positive(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{name}: in_channels ({in_channels}) and out_channels ({out_channels}) must be "
                f"divisible by groups ({groups})"
            )
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(
                f"{name}: padding_mode must be 'zeros', 'reflect', 'replicate' or 'circular', got "
                f"{padding_mode!r}"
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = sizes(name, "kernel_size", kernel_size, self.ndim, 1)
        self.stride = sizes(name, "stride", stride, self.ndim, 1)
        self.padding: Any = padding
        if padding not in ("same", "valid"):
            self.padding = sizes(name, "padding", padding, self.ndim)
        self.dilation, self.groups = sizes(name, "dilation", dilation, self.ndim, 1), groups
        self.output_padding, self.padding_mode = (0,) * self.ndim, padding_mode
        first, second = out_channels, in_channels
        if self.transposed:
            first, second = second, first
        shape = (first, second // groups, *self.kernel_size)
        self.weight = empty_parameter(*shape, dtype=dtype, device=device, channels_last=True)
        vector = empty_parameter(out_channels, dtype=dtype, device=device) if bias else None
        self.register_parameter("bias", vector)
        self.reset_parameters()

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw weight and bias anew, as at the start: U(-k, k), k = 1 / sqrt(fan_in)."""
        init.layer_default_(self.weight, self.bias, generator)

    def _pad(self, input: Tensor) -> tuple[Tensor, Any]:
        """The input padded where padding_mode asks for it, and the padding that is left."""
        if self.padding_mode == "zeros":
            return input, self.padding
        widths: list[int] = []
        for i in reversed(range(self.ndim)):
            total = self.dilation[i] * (self.kernel_size[i] - 1) if self.padding == "same" else 0
            given = (total // 2, total - total // 2)
            same = isinstance(self.padding, str)
            widths += given if same else (self.padding[i], self.padding[i])
        return ops.pad(input, widths, mode=self.padding_mode), 0

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        ones, zeros = (1,) * self.ndim, (0,) * self.ndim
        text += "" if self.padding == zeros else f", padding={self.padding}"
        text += "" if self.dilation == ones else f", dilation={self.dilation}"
        text += "" if self.output_padding == zeros else f", output_padding={self.output_padding}"
        text += "" if self.groups == 1 else f", groups={self.groups}"
        text += "" if self.bias is not None else ", bias=False"
        return text + (
            "" if self.padding_mode == "zeros" else f", padding_mode={self.padding_mode}"
        )


class Conv2d(_Conv):
    """Cross-correlation of (N, C, H, W) with out_channels kernels, plus a bias.

    H becomes floor((H + 2 padding - dilation (kernel - 1) - 1) / stride) + 1; padding="same" keeps
    it. weight (out_channels, C / groups, KH, KW); see F.conv2d for the formula.

    >>> nn.Conv2d(3, 8, kernel_size=4, stride=2, padding=1)(tg.zeros(1, 3, 28, 28)).shape
    (1, 8, 14, 14)
    """

    def forward(self, input: Tensor) -> Tensor:
        input, padding = self._pad(input)
        return F.conv2d(
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )


class Conv1d(_Conv):
    """Cross-correlation of (N, C, L) with out_channels kernels, plus a bias; sizes as in Conv2d.

    >>> nn.Conv1d(3, 8, kernel_size=5)(tg.zeros(1, 3, 20)).shape
    (1, 8, 16)
    """

    ndim = 1

    def forward(self, input: Tensor) -> Tensor:
        input, padding = self._pad(input)
        (stride,), (dilation,) = self.stride, self.dilation
        return F.conv1d(input, self.weight, self.bias, stride, padding, dilation, self.groups)


class _ConvTranspose(_Conv):
    """What ConvTranspose1d and ConvTranspose2d share: an output size that is asked for."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(
                f"{type(self).__name__}: only padding_mode='zeros' is supported, got "
                f"{padding_mode!r}"
            )
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip
        name = type(self).__name__
        self.output_padding = sizes(name, "output_padding", output_padding, self.ndim)

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """Upsampled, to output_size (H, W) where it is given: ValueError if that cannot be."""
        extra = self.output_padding
        if output_size is not None:
            extra = self._extra(input, tuple(output_size)[-self.ndim :])
        transpose = F.conv_transpose1d if self.ndim == 1 else F.conv_transpose2d
        return transpose(
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups,
            self.dilation,
        )  # fmt: skip

    def _extra(self, input: Tensor, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """The output_padding that leads to the output size `wanted`."""
        extra = []
        for i, size in enumerate(input.shape[-self.ndim :]):
            reach = self.dilation[i] * (self.kernel_size[i] - 1) + 1
            least = (size - 1) * self.stride[i] - 2 * self.padding[i] + reach
            if not least <= wanted[i] < least + self.stride[i]:
                raise ValueError(
                    f"{type(self).__name__}: requested an output size of {wanted}, but dimension "
                    f"{i} of an input of shape {input.shape} can give {least} to "
                    f"{least + self.stride[i] - 1}"
                )
            extra.append(wanted[i] - least)
        return tuple(extra)


class ConvTranspose2d(_ConvTranspose):
    """The gradient of Conv2d with respect to its input, as a layer: (N, C, H, W) upsampled.

    out = (in - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1;
    weight (C, out_channels / groups, KH, KW)

    >>> nn.ConvTranspose2d(8, 3, kernel_size=4, stride=2, padding=1)(tg.zeros(1, 8, 14, 14)).shape
    (1, 3, 28, 28)
    """


class ConvTranspose1d(_ConvTranspose):
    """The gradient of Conv1d with respect to its input: (N, C, L) upsampled; as ConvTranspose2d.

    >>> nn.ConvTranspose1d(8, 3, kernel_size=4, stride=2, padding=1)(tg.zeros(1, 8, 14)).shape
    (1, 3, 28)
    """

    ndim = 1
