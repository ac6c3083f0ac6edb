"""The transposed convolution of lines (N, C, L): that of images one pixel high."""

from __future__ import annotations

from typing import Any

from ..ops.shapes import squeeze, unsqueeze
from ..tensor import Tensor
from .ops import _one, conv_transpose2d

__all__ = ["conv_transpose1d"]


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The adjoint of conv1d: input (N, C, L) or (C, L), weight (C, O / groups, K).

    The output has (L - 1) stride - 2 padding + dilation (K - 1) + 1 + output_padding numbers.

    >>> F.conv_transpose1d(tg.tensor([[1.0, 2.0]]), tg.ones(1, 1, 2), stride=2)
    tensor([[1., 1., 2., 2.]])
    """
    for what, x, dims in (("input", input, (2, 3)), ("weight", weight, (3,))):
        if x.ndim not in dims:
            raise RuntimeError(
                f"conv_transpose1d: expected {what} with {dims} dimensions, got {x.shape}"
            )
    out = conv_transpose2d(
        unsqueeze(input, -2), unsqueeze(weight, -2), bias, (1, _one(stride)), (0, _one(padding)),
        (0, _one(output_padding)), groups, (1, _one(dilation)),
    )  # fmt: skip
    return squeeze(out, -2)
