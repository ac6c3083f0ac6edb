"""The GPU side: kernels compiled by NVRTC through CuPy, launched there, and errors in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from ..backend import INSTALL, cupy, out_of_memory, problem, settle
from .source import Signature, Source, Struct

__all__ = [
    "GpuModule", "explained", "is_available", "is_gpu_array", "memory_allocated", "synchronize",
]  # fmt: skip


def is_available() -> bool:
    """Can device="cuda" be used? `problem()` says why not."""
    return not problem()


def is_gpu_array(array: Any) -> bool:
    """Is it CuPy's?"""
    return _is_cupys(array.__class__)


@cache
def _is_cupys(kind: type) -> bool:
    return kind.__module__.split(".")[0] == "cupy"


def synchronize() -> None:
    """Wait until the GPU has done all it was given; complaints that are open are raised."""
    cupy().cuda.get_current_stream().synchronize()
    settle()


def memory_allocated() -> int:
    """Bytes that live arrays take on the current GPU."""
    return int(cupy().get_default_memory_pool().used_bytes())


@contextmanager
def explained() -> Iterator[None]:
    """Translates CuPy's errors: out of memory, no NVRTC, a launch that the GPU refuses."""
    try:
        yield
    except Exception as e:
        _explain(e)
        raise


def _explain(e: Exception) -> None:
    """Raise CuPy's error with what to do about it; nothing for others."""
    name = type(e).__name__
    if isinstance(e, MemoryError):
        raise out_of_memory(e) from e
    if name in ("CUDADriverError", "CUDARuntimeError"):
        raise RuntimeError(
            f"the GPU reports: {e}. Errors are reported late: the cause may be an earlier launch"
        ) from e
    missing = isinstance(e, (ImportError, OSError)) or name == "DynamicLibNotFoundError"  # CuPy 14
    if missing and "nvrtc" in str(e).lower():
        raise RuntimeError(f"NVRTC not found: {INSTALL} ({e})") from e


class GpuModule:
    """The kernels of one .cu file, compiled by NVRTC through CuPy."""

    def __init__(self, source: Source, names: tuple[str, ...]) -> None:
        cp = cupy()
        mangled = [n for n in names if not source.kernels[n.split("<")[0]].extern_c]
        self.source = source
        with explained():
            self.module = cp.RawModule(
                code=source.text,
                options=("-std=c++17",),
                name_expressions=names if mangled else None,
            )
            self._compile(cp)
            self.functions = {n: self.module.get_function(n) for n in names}

    def _compile(self, cp: Any) -> None:
        try:
            self.module.compile()
        except cp.cuda.compiler.CompileException as e:
            raise RuntimeError(f"{self.source.path} does not compile:\n{e}") from e

    def launch(
        self,
        name: str,
        signature: Signature,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        values: list[Any],
        shared_mem: int,
    ) -> None:
        """Queue the kernel `name` on the GPU with values that were checked and cast."""
        function = self.functions[name]
        passed = tuple([v.numbers if v.__class__ is Struct else v for v in values])
        try:
            if shared_mem > 48 * 1024:
                function.max_dynamic_shared_size_bytes = shared_mem
            function(grid, block, passed, shared_mem=shared_mem)
        except Exception as e:
            _explain(e)
            raise
