"""tinygen's own kernels: each file of kernels/ compiled once a process, for the GPU or for the
emulator, and the switch that says which of the two runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from . import gpu
from .launch import Kernels

__all__ = ["ENOUGH_BLOCKS", "emulated", "kernels", "uses_kernels"]

ENOUGH_BLOCKS = 264  # two for each multiprocessor of an H100 or H200

_loaded: dict[tuple[Any, ...], Kernels] = {}
_emulation: list[tuple[bool, int | None]] = []


@contextmanager
def emulated(check: bool = True, seed: int | None = 0) -> Iterator[None]:
    """Within it, the convolutions of CPU tensors run on the CUDA kernels, in the emulator."""
    _emulation.append((check, seed))
    try:
        yield
    finally:
        _emulation.pop()


def uses_kernels(x: Any) -> bool:
    """Whether a convolution of `x` runs on the handwritten kernels: on the GPU, or under
    `emulated()`."""
    return bool(_emulation) or gpu.is_gpu_array(x)


def kernels(file: str, like: Any) -> Kernels:
    """tinygen's own kernels of `file`, compiled once a process, for the device that `like` is
    on."""
    check, seed = _emulation[-1] if _emulation else (True, 0)
    key: tuple[Any, ...] = (file, "gpu") if gpu.is_gpu_array(like) else (file, check, seed)
    if key not in _loaded:
        _loaded[key] = Kernels(file, gpu=key[1] == "gpu", check=check, seed=seed)
    return _loaded[key]
