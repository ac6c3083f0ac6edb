"""torch.nn.functional: everything that a layer computes, as functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ... import ops
from ...backend import refuse
from ...conv import conv1d, conv2d, conv_transpose2d
from ...names import missing
from ...ops import linear, one_hot, pad
from ...ops.images import (
    adaptive_avg_pool2d,
    avg_pool2d,
    interpolate,
    max_pool2d,
    pixel_shuffle,
)
from ...ops.indexing import rows_within
from ...tensor import Tensor, same_device
from .activations import (
    celu,
    dropout,
    dropout2d,
    elu,
    gelu,
    glu,
    gumbel_softmax,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
    threshold,
)
from .attention import scaled_dot_product_attention
from .losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    gaussian_nll_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from .norms import (
    batch_norm,
    cosine_similarity,
    group_norm,
    instance_norm,
    layer_norm,
    normalize,
)
from .similarity import ssim


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """weight[input]: the rows of `weight` (K, E) at the integers `input` (...) -> (..., E).

    The row padding_idx gets no gradient. IndexError for an integer outside 0..K - 1.

    >>> F.embedding(tg.tensor([2, 0]), tg.tensor([[0.0], [10.0], [20.0]]))
    tensor([[20.],
            [ 0.]])
    """
    if input.dtype.kind not in "iu":
        raise RuntimeError(f"embedding: expected integer indices, got {input.dtype}; use .long()")
    same_device("embedding", input, weight)
    rows = weight.shape[0]
    if input.numel():
        low, high = input._array.min(), input._array.max()
        refuse((low < 0) | (high >= rows), lambda: IndexError(
            f"embedding: index out of range in self: indices are in [{int(low)}, {int(high)}], "
            f"the table has {rows} rows"
        ))  # fmt: skip
    out = rows_within(weight, input)
    if padding_idx is None:
        return out
    padded = ops.unsqueeze(input == padding_idx % rows, -1)
    return ops.where(padded, out.detach(), out)


__all__ = [
    "adaptive_avg_pool2d",
    "avg_pool2d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "conv1d",
    "conv2d",
    "conv_transpose2d",
    "cosine_similarity",
    "cross_entropy",
    "dropout",
    "dropout2d",
    "elu",
    "embedding",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "group_norm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "log_softmax",
    "logsigmoid",
    "max_pool2d",
    "mish",
    "mse_loss",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pixel_shuffle",
    "prelu",
    "relu",
    "relu6",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "ssim",
    "tanh",
    "tanhshrink",
    "threshold",
]

if not TYPE_CHECKING:  # for a type checker, a name that is not there is an error of its own

    def __getattr__(name: str) -> NoReturn:
        raise missing(__name__, name, __all__)
