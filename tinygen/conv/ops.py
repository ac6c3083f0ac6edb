"""The convolutions: three ops that are each other's derivatives.

conv2d, conv_transpose2d and conv2d_weight are the three partial derivatives of one trilinear form,

    <g, conv2d(x, w)> = <x, conv_transpose2d(g, w)> = <w, conv2d_weight(x, g)>,

so each one's vjps are calls of the other two, and gradients of any order need nothing more.
Images are (N, C, H, W); what is computed lies channels-last in memory (see cpu.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import cuda
from ..backend import Array
from ..cuda import convolution
from ..ops.half import through_float32
from ..ops.op import op
from ..ops.rearrange import pad
from ..ops.shapes import squeeze, unsqueeze
from ..ops.windows import Pair, Size, as_pair, is_int, output_size, transposed_size
from ..tensor import Tensor, same_device
from . import cpu

__all__ = ["Window", "conv1d", "conv2d", "conv2d_weight", "conv_transpose2d"]


class Window(NamedTuple):
    """How a kernel moves over an image, in pairs (vertical, horizontal), and the groups."""

    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int


# --- the three ops: on our CUDA kernels (on a GPU, or in cuda.emulated()), or on NumPy ----------


@op
def _conv2d(x: Array, w: Array, bias: Array | None, *, window: Window) -> Array:
    """out[n,o,i,j] = bias[o] + sum_cab x[n, c, i*s + a*d - p, j*s + b*d - p] w[o,c,a,b]."""
    if cuda.uses_kernels(x):
        return convolution.conv2d(x, w, *window, bias=bias, tf32=cuda.allow_tf32)
    return cpu.conv2d(x, w, *window, bias=bias)


@op
def _conv_transpose2d(
    x: Array, w: Array, bias: Array | None, *, window: Window, output_padding: Pair
) -> Array:
    """The adjoint of conv2d in its image, and a bias."""
    numbers = (*window, output_padding)
    if cuda.uses_kernels(x):
        return convolution.conv_transpose2d(x, w, *numbers, bias=bias, tf32=cuda.allow_tf32)
    return cpu.conv_transpose2d(x, w, *numbers, bias=bias)


@op
def _conv2d_weight(x: Array, y: Array, *, kernel_size: Pair, window: Window) -> Array:
    """The adjoint of conv2d in its weight."""
    if cuda.uses_kernels(x):
        return convolution.conv2d_weight(x, y, kernel_size, *window, tf32=cuda.allow_tf32)
    return cpu.conv2d_weight(x, y, kernel_size, *window)


def _to_image(g: Tensor, w: Tensor, x_shape: Any, window: Window) -> Tensor:
    """conv_transpose2d(g, w) of x's shape: no window reaches the rows that output_padding adds."""
    least = transposed_size(g.shape, w.shape, *window[:3], (0, 0))
    missing = (x_shape[2] - least[0], x_shape[3] - least[1])
    return _conv_transpose2d(g, w, None, window=window, output_padding=missing)


def _to_output(x: Tensor, w: Tensor, g_shape: Any, window: Window) -> Tensor:
    """conv2d(x, w) of g's shape: an output_padding >= stride makes room for more windows."""
    out = _conv2d(x, w, None, window=window)
    return out if out.shape == g_shape else out[:, :, : g_shape[2], : g_shape[3]]


def _to_weight(x: Tensor, g: Tensor, w_shape: Any, window: Window) -> Tensor:
    return _conv2d_weight(x, g, kernel_size=w_shape[2:], window=window)


_conv2d.vjp(
    lambda g, w, x_shape, window: _to_image(g, w, x_shape, window),
    lambda g, x, w_shape, window: _to_weight(x, g, w_shape, window),
    lambda g: g.sum((0, 2, 3)),
)
_conv_transpose2d.vjp(
    lambda g, w, x_shape, window: _to_output(g, w, x_shape, window),
    lambda g, x, w_shape, window: _to_weight(g, x, w_shape, window),
    lambda g: g.sum((0, 2, 3)),
)
_conv2d_weight.vjp(
    lambda g, y, x_shape, window: _to_image(y, g, x_shape, window),
    lambda g, x, y_shape, window: _to_output(x, g, y_shape, window),
)


# --- the public functions -----------------------------------------------------------------------


@through_float32
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """2-D cross-correlation: (N, C, H, W) or (C, H, W) with (O, C / groups, KH, KW).

        out[n,o,i,j] = bias[o] + sum_cab input[n, c, i*s + a*d - p, j*s + b*d - p] weight[o,c,a,b]

    The output has floor((H + 2p - d (KH - 1) - 1) / s) + 1 rows. padding="valid" is 0; "same"
    keeps the size (stride 1 only). RuntimeError for what does not fit together.

    >>> image, kernel = tg.arange(9.0).reshape(1, 1, 3, 3), tg.ones(1, 1, 2, 2)
    >>> F.conv2d(image, kernel)  # 0 + 1 + 3 + 4, ...
    tensor([[[[ 8., 12.],
              [20., 24.]]]])
    """
    name = "conv2d"
    x, batched = _image(name, input)
    _check_operands(name, x, weight, bias)
    s, d = as_pair(name, "stride", stride, 1), as_pair(name, "dilation", dilation, 1)
    if isinstance(padding, str):
        x, p = _named_padding(name, x, weight, padding, s, d)
    else:
        p = as_pair(name, "padding", padding, 0)
    _check_groups(name, weight, groups)
    _check_channels(name, x, weight, groups, weight.shape[1] * groups)
    _check_bias(name, weight, bias, weight.shape[0])
    _check_fit(name, x.shape, weight.shape, p, d)
    out = _conv2d(x, weight, bias, window=Window(s, p, d, groups))
    return out if batched else squeeze(out, 0)


@through_float32
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """The adjoint of conv2d: (N, C, H, W) or (C, H, W) with (C, O / groups, KH, KW).

    The output has (H - 1) s - 2p + d (KH - 1) + 1 + output_padding rows: conv2d sends images of
    up to s sizes to one, and output_padding says which of them is meant.

    >>> F.conv_transpose2d(tg.tensor([[[1.0, 2.0]]]), tg.ones(1, 1, 1, 2), stride=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    name = "conv_transpose2d"
    x, batched = _image(name, input)
    _check_operands(name, x, weight, bias)
    s, d = as_pair(name, "stride", stride, 1), as_pair(name, "dilation", dilation, 1)
    p, more = (
        as_pair(name, "padding", padding, 0),
        as_pair(name, "output_padding", output_padding, 0),
    )
    _check_groups(name, weight, groups)
    _check_channels(name, x, weight, groups, weight.shape[0])
    _check_bias(name, weight, bias, weight.shape[1] * groups)
    if any(more[k] >= max(s[k], d[k]) for k in (0, 1)):
        raise RuntimeError(
            f"{name}: output padding must be smaller than either stride or dilation, but got "
            f"output_padding {more}, stride {s}, dilation {d}"
        )
    size = transposed_size(x.shape, weight.shape, s, p, d, more)
    if min(*size, *x.shape[2:]) < 1:
        raise RuntimeError(
            f"{name}: given input size per channel {x.shape[2:]}, calculated output size per "
            f"channel {size}. Output size is too small (padding {p}, kernel {weight.shape[2:]})"
        )
    window = Window(s, p, d, groups)
    out = _conv_transpose2d(x, weight, bias, window=window, output_padding=more)
    return out if batched else squeeze(out, 0)


@through_float32
def conv2d_weight(
    x: Tensor,
    g: Tensor,
    kernel_size: Size,
    stride: Size = 1,
    padding: Size = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """The derivative of <g, conv2d(x, w)> in w: x (N, C, H, W) and g (N, O, I, J), both batched.

    kernel_size is (KH, KW) or the whole shape of w; the result is (O, C / groups, KH, KW).

    >>> x, g = tg.arange(4.0).reshape(1, 1, 2, 2), tg.tensor([[[[10.0]]]])
    >>> tinygen.conv.conv2d_weight(x, g, (2, 2))
    tensor([[[[ 0., 10.],
              [20., 30.]]]])
    """
    name = "conv2d_weight"
    sides = kernel_size[-2:] if isinstance(kernel_size, Sequence) else kernel_size
    size = as_pair(name, "kernel_size", sides, 1)
    s, d = as_pair(name, "stride", stride, 1), as_pair(name, "dilation", dilation, 1)
    p = as_pair(name, "padding", padding, 0)
    _check_operands(name, x, g, None)
    if groups < 1 or x.shape[1] % groups or g.shape[1] % groups:
        raise RuntimeError(
            f"{name}: expected the channels of x {x.shape} and g {g.shape} to be divisible by "
            f"groups={groups}"
        )
    w_shape = (g.shape[1], x.shape[1] // groups, *size)
    _check_fit(name, x.shape, w_shape, p, d)
    expected = (len(x), g.shape[1], *output_size(x.shape, w_shape, s, p, d))
    if g.shape != expected:
        raise RuntimeError(
            f"{name}: expected g of shape {expected}, the output of conv2d for x {x.shape} and w "
            f"{w_shape}, but got {g.shape}"
        )
    return _conv2d_weight(x, g, kernel_size=size, window=Window(s, p, d, groups))


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int = 1,
    padding: int | str = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """conv2d of an image of height 1: input (N, C, L) or (C, L), weight (O, C / groups, K).

    >>> F.conv1d(tg.tensor([[1.0, 2.0, 4.0]]), tg.tensor([[[-1.0, 1.0]]]))  # differences
    tensor([[1., 2.]])
    """
    for what, x, dims in (("input", input, (2, 3)), ("weight", weight, (3,))):
        if x.ndim not in dims:
            raise RuntimeError(f"conv1d: expected {what} with {dims} dimensions, got {x.shape}")
    along = padding if isinstance(padding, str) else (0, _one(padding))
    return squeeze(
        conv2d(
            unsqueeze(input, -2),
            unsqueeze(weight, -2),
            bias,
            (1, _one(stride)),
            along,
            (1, _one(dilation)),
            groups,
        ),
        -2,
    )


# --- what does not fit together -----------------------------------------------------------------


def _one(value: Any) -> int:
    return int(value if is_int(value) else value[0])


def _image(name: str, x: Tensor) -> tuple[Tensor, bool]:
    """The input with a batch dimension, and whether it came with one."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: expected a Tensor as input, got {type(x).__name__}")
    if x.ndim not in (3, 4):
        raise RuntimeError(
            f"{name}: expected 3D (unbatched) or 4D (batched) input, but got size {x.shape}"
        )
    return (x, True) if x.ndim == 4 else (unsqueeze(x, 0), False)


def _check_operands(name: str, x: Tensor, w: Tensor, b: Tensor | None) -> None:
    """All Tensors, of one floating dtype, on one device; x and w with four dimensions."""
    tensors = [x, w] if b is None else [x, w, b]
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name}: expected Tensors, got {type(tensor).__name__}")
    if x.ndim != 4 or w.ndim != 4:
        raise RuntimeError(f"{name}: expected 4D tensors (N, C, H, W), got {x.shape}, {w.shape}")
    if any(tensor.dtype != x.dtype for tensor in tensors):
        raise RuntimeError(
            f"{name}: input, weight and bias types should be the same, got "
            f"{', '.join(str(tensor.dtype) for tensor in tensors)}; convert with .to(dtype)"
        )
    if x.dtype.kind != "f":
        raise RuntimeError(f"{name}: expected floating-point tensors, got {x.dtype}")
    same_device(name, *tensors)


def _check_groups(name: str, w: Tensor, groups: int) -> None:
    if groups < 1:
        raise RuntimeError(f"{name}: non-positive groups is not supported, got {groups}")
    if w.shape[0] % groups or w.shape[0] == 0:
        raise RuntimeError(
            f"{name}: given groups={groups}, expected weight to be at least {groups} and divisible "
            f"by {groups} at dimension 0, but got weight of size {w.shape}"
        )


def _check_channels(name: str, x: Tensor, w: Tensor, groups: int, channels: int) -> None:
    if x.shape[1] != channels:
        raise RuntimeError(
            f"{name}: given groups={groups}, weight of size {w.shape}, expected input {x.shape} to "
            f"have {channels} channels, but got {x.shape[1]} channels instead"
        )


def _check_bias(name: str, w: Tensor, b: Tensor | None, channels: int) -> None:
    if b is not None and b.shape != (channels,):
        raise RuntimeError(
            f"{name}: given weight of size {w.shape}, expected bias to be 1-dimensional with "
            f"{channels} elements, but got bias of size {b.shape} instead"
        )


def _check_fit(name: str, x: Any, w: Any, padding: Pair, dilation: Pair) -> None:
    padded = tuple(x[2 + k] + 2 * padding[k] for k in (0, 1))
    kernel = tuple(dilation[k] * (w[2 + k] - 1) + 1 for k in (0, 1))
    if min(w[2:]) < 1 or any(kernel[k] > padded[k] for k in (0, 1)):
        raise RuntimeError(
            f"{name}: calculated padded input size per channel: {padded}. Kernel size: {kernel} "
            f"(dilation {dilation}). Kernel size can't be greater than actual input size"
        )


def _named_padding(
    name: str, x: Tensor, w: Tensor, padding: str, stride: Pair, dilation: Pair
) -> tuple[Tensor, Pair]:
    """ "valid" and "same"; where "same" is odd, the extra zeros go to the end, as in PyTorch."""
    if padding == "valid":
        return x, (0, 0)
    if padding != "same":
        raise RuntimeError(f"{name}: invalid padding string {padding!r}; 'valid' or 'same'")
    if stride != (1, 1):
        raise RuntimeError(f"{name}: padding='same' is not supported for strided convolutions")
    down, right = (dilation[k] * (w.shape[2 + k] - 1) for k in (0, 1))
    if down % 2 or right % 2:
        x = pad(x, (0, right % 2, 0, down % 2))
    return x, (down // 2, right // 2)
