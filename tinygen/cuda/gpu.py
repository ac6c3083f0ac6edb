"""The GPU side: kernels compiled by NVRTC through CuPy, launched there, and errors in words."""

from collections.abc import Iterator
from contextlib import contextmanager
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
    return type(array).__module__.split(".")[0] == "cupy"


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
        name = type(e).__name__
        if isinstance(e, MemoryError):
            raise out_of_memory(e) from e
        if name in ("CUDADriverError", "CUDARuntimeError"):
            raise RuntimeError(
                f"the GPU reports: {e}. Errors are reported late: the cause may be an earlier "
                "launch"
            ) from e
        if isinstance(e, (ImportError, OSError)) and "nvrtc" in str(e).lower():
            raise RuntimeError(f"NVRTC not found: {INSTALL} ({e})") from e
        raise


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
        with explained():
            if shared_mem > 48 * 1024:
                function.max_dynamic_shared_size_bytes = shared_mem
            function(grid, block, tuple(map(_passed, values)), shared_mem=shared_mem)


def _passed(value: Any) -> Any:
    """A value as CuPy passes it: a struct's pointers become addresses."""
    if not isinstance(value, Struct):
        return value
    return value.pointing_to({key: a.data.ptr for key, a in value.arrays.items()})
