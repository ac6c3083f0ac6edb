"""The CUDA side: kernels/*.cu, found, compiled and launched on a GPU or in the CPU's emulator.

    k = tinygen.cuda.emulate("my_kernel.cu")      # or load("my_kernel.cu") on a GPU
    k.my_kernel(grid, block, y, x, n)             # checked and cast by the kernel's signature

Read source.py (the .cu text and what it says), launch.py (typed launches), compiler.py, emulator.py
and gpu.py (the two ways to run), library.py (our kernels, compiled once), convolution.py (which
convolution kernel runs when), fused.py (activations, norms, Adam, random numbers), nvrtc.py
(registers and spills, without a GPU)."""

from typing import Any

from ..backend import cupy as require
from ..backend import problem
from ..ops.windows import output_size, transposed_size
from . import convolution
from .compiler import available as emulator_available
from .emulator import KernelError
from .fused import adam, adam_many, philox_bits, philox_normal, philox_uniform
from .gpu import explained, is_available, memory_allocated, synchronize
from .launch import Kernel, Kernels
from .library import emulated, uses_kernels
from .source import kernel_folder

__all__ = [
    "Kernel",
    "KernelError",
    "Kernels",
    "adam",
    "adam_many",
    "allow_tf32",
    "conv2d",
    "conv2d_weight",
    "conv_transpose2d",
    "emulate",
    "emulated",
    "emulator_available",
    "explained",
    "is_available",
    "kernel_folder",
    "load",
    "memory_allocated",
    "philox_bits",
    "philox_normal",
    "philox_uniform",
    "problem",
    "require",
    "synchronize",
    "uses_kernels",
]

allow_tf32 = False
"""Let convolutions use tensor cores in TF32 (10-bit mantissas, relative error about 3e-4).
PyTorch's default is True."""

Pair = tuple[int, int]


def emulate(
    path: str, check: bool = True, seed: int | None = 0, instances: tuple[str, ...] = ()
) -> Kernels:
    """The kernels of a .cu file, run on the CPU on NumPy arrays, as attributes:
    `k.name(grid, block, *args, shared_mem=0)`.

    check: watch every access; a race, an access out of bounds or misaligned, a read of shared
        memory that nobody wrote or a divergent barrier raises KernelError before it happens, with
        block, thread, file and line.
    seed: the order in which threads and blocks run; None runs them in index order.
    instances: template kernels to compile: ("scale<4>",) is launched as k["scale<4>"](...)."""
    return Kernels(path, gpu=False, check=check, seed=seed, instances=instances)


def load(path: str, instances: tuple[str, ...] = ()) -> Kernels:
    """The kernels of a .cu file, compiled for the GPU by NVRTC and run on CuPy arrays; launched
    as emulate()'s."""
    return Kernels(path, gpu=True, instances=instances)


def conv2d(x: Any, w: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int) -> Any:
    """y (N, O, OH, OW) of x (N, C, H, W) and w (O, C/groups, KH, KW)."""
    moves = (stride, padding, dilation)
    fits = groups > 0 and w.shape[0] % groups == 0 and x.shape[1] == w.shape[1] * groups
    _check("conv2d", x, w, groups, fits, output_size(x.shape, w.shape, *moves), moves)
    return convolution.conv2d(x, w, *moves, groups, tf32=allow_tf32)


def conv_transpose2d(
    g: Any, w: Any, stride: Pair, padding: Pair, dilation: Pair, groups: int, output_padding: Pair
) -> Any:
    """x (N, C_out, OH, OW) of g (N, C_in, H, W) and w (C_in, C_out/groups, KH, KW)."""
    moves = (stride, padding, dilation)
    fits = groups > 0 and g.shape[1] % groups == 0 and g.shape[1] == w.shape[0]
    size = transposed_size(g.shape, w.shape, *moves, output_padding)
    _check("conv_transpose2d", g, w, groups, fits, size, moves)
    return convolution.conv_transpose2d(g, w, *moves, groups, output_padding, tf32=allow_tf32)


def conv2d_weight(
    x: Any, g: Any, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> Any:
    """dw (O, C/groups, KH, KW) of x (N, C, H, W) and g (N, O, OH, OW)."""
    moves = (stride, padding, dilation)
    fits = groups > 0 and x.shape[1] % groups == 0 and g.shape[1] % groups == 0
    _check("conv2d_weight", x, g, groups, fits and len(x) == len(g), g.shape[2:], moves)
    return convolution.conv2d_weight(x, g, kernel_size, *moves, groups, tf32=allow_tf32)


def _check(
    op: str, x: Any, w: Any, groups: int, fits: bool, size: Pair, moves: tuple[Pair, Pair, Pair]
) -> None:
    """For raw arrays; conv/ops.py has checked what comes from Tensors."""
    if not fits:
        raise ValueError(
            f"{op}: weight {w.shape} does not fit input {x.shape} with groups={groups}"
        )
    stride, _, dilation = moves
    if min(*size, *stride, *dilation) < 1:
        raise ValueError(
            f"{op}: input {x.shape} and weight {w.shape} leave an output of {size[0]} x {size[1]} "
            f"pixels (stride {stride}, dilation {dilation})"
        )
