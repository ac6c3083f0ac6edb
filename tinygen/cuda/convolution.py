"""The three convolutions on raw arrays, through the handwritten kernels: which kernel runs, on
how many blocks.

CuPy arrays run on the GPU, NumPy arrays in the emulator. Shapes are PyTorch's, (N, C, H, W) and
(O, C/groups, KH, KW); the memory of activations is channels-last, and outputs are views of
channels-last buffers. float32, and float64 by the naive kernels; float16 goes through float32.
That shapes fit is the caller's business: conv/ops.py checks Tensors, cuda.conv2d raw arrays."""

from typing import Any, NamedTuple

import numpy as np

from ..backend import cupy
from ..ops.windows import output_size, transposed_size
from . import gpu
from .library import ENOUGH_BLOCKS, kernels

__all__ = ["Conv", "Pair", "TILES", "choose", "conv2d", "conv2d_weight", "conv_transpose2d", "fits"]

Pair = tuple[int, int]


class Conv(NamedTuple):
    """What the kernels call `struct Conv`. (C, H, W) is what the kernel reads as x, (O, OH, OW)
    the other side."""

    N: int
    C: int
    H: int
    W: int
    O: int
    OH: int
    OW: int
    KH: int
    KW: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    dil_h: int
    dil_w: int
    groups: int


# ---- the choice

# rows x columns of the output that a block computes, and its threads.
TILES = {
    "tile": (16, 16, 256),
    "gemm_128x128": (128, 128, 256),
    "gemm_128x32": (128, 32, 64),
    "gemm_64x64": (64, 64, 64),
    "gemm_64x64_any": (64, 64, 64),
    "tf32_128x64": (128, 64, 128),
    "tf32_128x32": (128, 32, 64),
    "tf32_64x64": (64, 64, 64),
    "one_in_3x3": (9, 64, 256),
    "one_in_4x4": (16, 64, 256),
}


def choose(op: str, s: Conv, tf32: bool) -> str:
    """The version of kernel `op` ("conv2d", "conv_transpose2d", "conv2d_weight") that runs for
    these sizes.

    "gemm" and "tf32" load 16 bytes along the channels, so need multiples of 4 on both sides;
    "_any" does not."""
    Cg, Og = s.C // s.groups, s.O // s.groups
    rows, columns, phases = _matrix(op, s)
    if op == "conv2d_weight":
        if s.C == 1 and Og % 4 == 0 and (s.KH, s.KW) in ((3, 3), (4, 4)):
            return f"one_in_{s.KH}x{s.KW}"
        if Cg == 1 and Og == 1:
            return "tile"  # depthwise: nothing to share, but the sum must be split
    elif (Cg == 1 and Og == 1) or _offsets_too_long(op, s):
        return "naive"
    elif s.O == 1 and s.C % 4 == 0:
        return "one_out"
    elif s.C == 1 and Og % 4 == 0 and s.groups == 1 and op == "conv2d":
        return "one_in"
    if Cg % 4 or Og % 4:
        return "gemm_64x64_any"
    blocks = _blocks(rows, columns, "gemm_128x128") * phases * s.groups
    big = rows >= 128 and (op == "conv2d_weight" or blocks >= ENOUGH_BLOCKS)
    if tf32:
        if columns <= 32 and rows >= 128 and op != "conv2d_weight":
            return "tf32_128x32"
        return "tf32_128x64" if big else "tf32_64x64"
    if columns <= 32 and rows >= 128:
        return "gemm_128x32"
    return "gemm_128x128" if big and columns > 64 else "gemm_64x64"


def fits(version: str, s: Conv) -> bool:
    """Whether a version that is asked for by name can run these sizes."""
    Cg, Og = s.C // s.groups, s.O // s.groups
    if version.startswith("one_in"):
        shape = version == "one_in" or version == f"one_in_{s.KH}x{s.KW}"
        return shape and s.C == 1 and s.O % 4 == 0
    if version == "one_out":
        return s.O == 1 and s.C % 4 == 0
    return version in ("naive", "tile", "gemm_64x64_any") or (Cg % 4 == 0 and Og % 4 == 0)


def _matrix(op: str, s: Conv) -> tuple[int, int, int]:
    """Rows and columns of the matrix product of one group, and how many phases there are of it."""
    Cg, Og = s.C // s.groups, s.O // s.groups
    if op == "conv2d_weight":
        return s.KH * s.KW * Cg, Og, 1
    if op == "conv2d":
        return s.N * s.OH * s.OW, Og, 1
    return s.N * -(-s.OH // s.stride_h) * -(-s.OW // s.stride_w), Og, s.stride_h * s.stride_w


def _blocks(rows: int, columns: int, version: str) -> int:
    tall, wide, _ = TILES[version]
    return -(-rows // tall) * -(-columns // wide)


def _offsets_too_long(op: str, s: Conv) -> bool:
    """Whether 32 bits are too few for an offset within the images that one block of 128 rows
    meets."""
    stride_h, stride_w = (s.stride_h, s.stride_w) if op == "conv_transpose2d" else (1, 1)
    images = 128 // max(1, (s.OH // stride_h) * (s.OW // stride_w)) + 2
    height = s.H + 2 * s.pad_h + s.KH * s.dil_h
    width = s.W + 2 * s.pad_w + s.KW * s.dil_w
    return images * height * width * s.C >= 2**31 or s.KH * s.KW * s.C * s.O // s.groups >= 2**31


def _splits(s: Conv, version: str) -> tuple[int, int]:
    """Into how many parts the weight gradient's sum over pixels is cut, and how long a part is.
    It depends on shapes alone, so that the rounding does too."""
    pixels = s.N * s.OH * s.OW
    rows, columns, _ = _matrix("conv2d_weight", s)
    blocks = _blocks(rows, columns, version) * s.groups
    wanted = ENOUGH_BLOCKS * (1 if TILES[version][2] == 256 else 3)
    splits = max(1, min(wanted // blocks, pixels // 64, 4096, 2**26 // (rows * columns * s.groups)))
    chunk = -(-pixels // splits // 16) * 16
    return -(-pixels // chunk), chunk


# ---- how it is launched


def _tf32_here(like: Any, allowed: bool) -> bool:
    if allowed and gpu.is_gpu_array(like):
        return int(cupy().cuda.Device().compute_capability) >= 80
    return allowed


def _contiguous(a: Any) -> Any:
    """In C order and on 16 bytes, for loads of 16 bytes."""
    address = a.data.ptr if gpu.is_gpu_array(a) else a.ctypes.data
    return a if a.flags.c_contiguous and address % 16 == 0 else a.copy()


def _channels_last(a: Any) -> Any:
    return _contiguous(a.transpose(0, 2, 3, 1))


def _chosen(op: str, s: Conv, like: Any, tf32: bool, version: str | None) -> str:
    if like.dtype == np.float64:
        return "naive_double"  # for gradient checks
    if version is None:
        return choose(op, s, _tf32_here(like, tf32))
    if not fits(version, s):
        raise ValueError(f"{op}_{version} does not take these sizes: {s}")
    return version


def _check_size(op: str, s: Conv) -> None:
    if s.N * max(s.OH * s.OW, s.H * s.W) >= 2**31 - 1024:
        raise ValueError(
            f"{op}: {s.N} images of {s.OH} x {s.OW} are too many pixels for one launch; "
            "split the batch"
        )


def _launch(op: str, s: Conv, x: Any, w: Any, bias: Any, tf32: bool, version: str | None) -> Any:
    """y (N, O, OH, OW) of x (N, C, H, W), the weight packed as (KH, KW, ...) and the bias (O,)."""
    _check_size(op, s)
    dtype, x, w = x.dtype, _channels_last(_float32(x)), _contiguous(_float32(w))
    y = np.empty_like(x, shape=(s.N, s.OH, s.OW, s.O), order="C")
    if y.size:
        version = _chosen(op, s, x, tf32, version)
        grid, block = _grid(op, version, s)
        kernels(f"{op}.cu", x)[f"{op}_{version}"](grid, block, y, x, w, tuple(s))
    y = y.astype(dtype, copy=False)
    if bias is not None:
        y += bias
    return y.transpose(0, 3, 1, 2)


def _float32(a: Any) -> Any:
    return a.astype(np.float32) if a.dtype == np.float16 else a


def _grid(op: str, version: str, s: Conv) -> tuple[Any, int]:
    """Blocks and threads a block of a launch that writes an image."""
    rows, columns, phases = _matrix(op, s)
    if version.startswith("naive"):
        return -(-s.N * s.OH * s.OW * s.O // 128), 128
    if version == "one_in":
        return -(-(-(-rows // 4) * (s.O // 4)) // 256), 256
    if version == "one_out":
        return (-(-rows // 8), 1, phases), 256
    return (_blocks(rows, columns, version), s.groups, phases), TILES[version][2]


# ---- the three


def conv2d(
    x: Any,
    w: Any,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    bias: Any = None,
    tf32: bool = False,
    version: str | None = None,
) -> Any:
    """y (N, O, OH, OW) of x (N, C, H, W) and w (O, C/groups, KH, KW): kernels/conv2d.cu."""
    (N, C, H, W), (O, _, KH, KW) = x.shape, w.shape
    OH, OW = output_size(x.shape, w.shape, stride, padding, dilation)
    s = Conv(N, C, H, W, O, OH, OW, KH, KW, *stride, *padding, *dilation, groups)
    return _launch("conv2d", s, x, w.transpose(2, 3, 1, 0), bias, tf32, version)


def conv_transpose2d(
    g: Any,
    w: Any,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    output_padding: Pair,
    bias: Any = None,
    tf32: bool = False,
    version: str | None = None,
) -> Any:
    """x (N, C_out, OH, OW) of g (N, C_in, H, W) and w (C_in, C_out/groups, KH, KW):
    kernels/conv_transpose2d.cu."""
    (N, C, H, W), (_, Og, KH, KW) = g.shape, w.shape
    OH, OW = transposed_size(g.shape, w.shape, stride, padding, dilation, output_padding)
    s = Conv(N, C, H, W, Og * groups, OH, OW, KH, KW, *stride, *padding, *dilation, groups)
    return _launch("conv_transpose2d", s, g, w.transpose(2, 3, 0, 1), bias, tf32, version)


def conv2d_weight(
    x: Any,
    g: Any,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    tf32: bool = False,
    version: str | None = None,
) -> Any:
    """dw (O, C/groups, KH, KW) of x (N, C, H, W) and g (N, O, OH, OW): kernels/conv2d_weight.cu."""
    (N, C, H, W), (_, O, OH, OW), (KH, KW) = x.shape, g.shape, kernel_size
    s = Conv(N, C, H, W, O, OH, OW, KH, KW, *stride, *padding, *dilation, groups)
    _check_size("conv2d_weight", s)
    dw_shape = (O, C // groups, KH, KW)
    if 0 in (N, *dw_shape):
        return np.zeros_like(x, shape=dw_shape, order="C")
    dtype, x, g = x.dtype, _channels_last(_float32(x)), _channels_last(_float32(g))
    dw = np.empty_like(x, shape=dw_shape, order="C")
    module = kernels("conv2d_weight.cu", x)
    version = _chosen("conv2d_weight", s, x, tf32, version)
    kernel = module[f"conv2d_weight_{version}"]
    if version.startswith("naive"):
        kernel(-(-dw.size // 128), 128, dw, x, g, tuple(s))
        return dw.astype(dtype, copy=False)
    (splits, chunk), (rows, columns, _) = _splits(s, version), _matrix("conv2d_weight", s)
    partial = np.empty_like(x, shape=(splits, groups, rows, columns), order="C")
    kernel(
        (_blocks(rows, columns, version), groups, splits),
        TILES[version][2],
        partial,
        x,
        g,
        tuple(s),
        chunk,
    )
    module.conv2d_weight_reduce(-(-dw.size // 32), 256, dw, partial, tuple(s), splits)
    return dw.astype(dtype, copy=False)
