"""The GPU side: CuPy found or its absence explained, kernels compiled by NVRTC, errors in words.

CuPy is imported inside functions only, so that `import tinygen` needs NumPy alone."""

import importlib.metadata
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from .source import Signature, Source

INSTALL = "pip install 'tinygen[cuda12]' (or [cuda13], to match the driver)"


def cupy_packages() -> list[str]:
    """The installed CuPy packages, of which there may be one."""
    found = []
    for name in ("cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x", "cupy"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def problem() -> str:
    """Why there is no usable GPU, in one line; empty when there is one."""
    packages = cupy_packages()
    if len(packages) > 1:
        return (
            f"{' and '.join(packages)} are both installed and exclude each other: "
            "uninstall all but one"
        )
    try:
        import cupy  # type: ignore[import-not-found,unused-ignore]
    except ImportError as e:
        return (
            f"CuPy is not installed: {INSTALL}"
            if not packages
            else f"{packages[0]} does not import: {e}"
        )
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except RuntimeError as e:  # CUDARuntimeError, whose text starts with the CUDA error's name
        return _driver_problem(cupy, str(e))
    return "" if count else "no usable GPU: the driver shows no device"


def _driver_problem(cupy: Any, error: str) -> str:
    try:
        driver = cupy.cuda.runtime.driverGetVersion()
        runtime = cupy.cuda.runtime.runtimeGetVersion()
    except RuntimeError:
        driver = runtime = 0
    if not driver:
        return f"no usable GPU: driver not found ({error})"
    return (
        f"no usable GPU: driver supports CUDA {_version(driver)}, {cupy_packages()[0]} needs "
        f"{_version(runtime)} ({error})"
    )


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def is_available() -> bool:
    """True when device="cuda" can be used; `problem()` says why not."""
    return not problem()


def require() -> Any:
    """The cupy module, or a RuntimeError that says what is missing and what to install."""
    if problem():
        raise RuntimeError(problem())
    import cupy

    return cupy


def is_gpu_array(array: Any) -> bool:
    return type(array).__module__.split(".")[0] == "cupy"


def synchronize() -> None:
    """Wait until the GPU has done all it was given."""
    require().cuda.get_current_stream().synchronize()


def memory_allocated() -> int:
    """Bytes that live arrays take on the current GPU."""
    return int(require().get_default_memory_pool().used_bytes())


@contextmanager
def explained() -> Iterator[None]:
    """Translates CuPy's errors: out of memory, no NVRTC, a launch that the GPU refuses."""
    try:
        yield
    except Exception as e:
        name = type(e).__name__
        if name == "OutOfMemoryError":
            raise RuntimeError(_out_of_memory(str(e))) from e
        if name in ("CUDADriverError", "CUDARuntimeError"):
            raise RuntimeError(
                f"the GPU reports: {e}. Errors are reported late: the cause may be an earlier "
                "launch"
            ) from e
        if isinstance(e, (ImportError, OSError)) and "nvrtc" in str(e).lower():
            raise RuntimeError(
                f"NVRTC not found: pip install nvidia-cuda-nvrtc-cu12 (or nvidia-cuda-nvrtc) ({e})"
            ) from e
        raise


def _out_of_memory(text: str) -> str:
    asked = re.search(r"allocating ([\d,]+) bytes", text)
    cupy = require()
    free, total = cupy.cuda.runtime.memGetInfo()
    pool = cupy.get_default_memory_pool()
    size = int(asked[1].replace(",", "")) if asked else 0
    return (
        f"out of GPU memory: asked for {size / 2**20:,.1f} MiB; {free / 2**20:,.1f} MiB of "
        f"{total / 2**20:,.1f} MiB are free on the GPU and {pool.free_bytes() / 2**20:,.1f} MiB "
        "in CuPy's pool, in pieces. Use a smaller batch"
    )


class GpuModule:
    """The kernels of one .cu file, compiled by NVRTC through CuPy."""

    def __init__(self, source: Source, names: tuple[str, ...]) -> None:
        cupy = require()
        mangled = [n for n in names if not source.kernels[n.split("<")[0]].extern_c]
        self.source = source
        with explained():
            # NVRTC names its input after a temporary file; #line gives errors the real name and
            # line.
            self.module = cupy.RawModule(
                code=f'#line 1 "{source.path.name}"\n{source.text}',
                options=("-std=c++17",),
                name_expressions=names if mangled else None,
            )
            self._compile(cupy)
            self.functions = {n: self.module.get_function(n) for n in names}

    def _compile(self, cupy: Any) -> None:
        try:
            self.module.compile()
        except cupy.cuda.compiler.CompileException as e:
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
        function = self.functions[name]
        with explained():
            if shared_mem > 48 * 1024:
                function.max_dynamic_shared_size_bytes = shared_mem
            function(grid, block, tuple(values), shared_mem=shared_mem)
