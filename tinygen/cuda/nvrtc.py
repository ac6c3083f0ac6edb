"""What the real compiler makes of a kernel, without a GPU: registers, shared memory, spills,
machine code.

NVRTC needs no driver: `pip install nvidia-cuda-nvrtc-cu12`. `python -m tinygen.cuda.nvrtc`
prints the table for tinygen's own kernels."""

import ctypes
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .source import kernel_folder, read

__all__ = [
    "Resources", "compile_cubin", "disassembler", "library", "machine_code", "resources", "table",
]  # fmt: skip

ARCHITECTURES = (75, 80, 90)


@dataclass(frozen=True)
class Resources:
    """What one kernel takes: registers a thread, bytes of static shared memory a block, bytes
    spilled and on the stack."""

    registers: int
    shared: int
    spilled: int
    stack: int


@cache
def library() -> Any | None:
    """The NVRTC library of the nvidia wheels, or of the system; None when there is none."""
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(p) for p in (spec.submodule_search_locations or [])] if spec else []
    found = [str(f) for folder in folders for f in sorted(folder.glob("*/lib/libnvrtc.so.*"))]
    for name in [*found, "libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"]:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def compile_cubin(text: str, arch: int, name: str = "kernel.cu") -> tuple[bytes, str]:
    """Machine code for sm_`arch`, and the assembler's remarks. RuntimeError with the compiler's
    message."""
    nvrtc = library()
    if nvrtc is None:
        raise RuntimeError("NVRTC not found: pip install nvidia-cuda-nvrtc-cu12")
    program = ctypes.c_void_p()
    _call(
        nvrtc.nvrtcCreateProgram(ctypes.byref(program), text.encode(), name.encode(), 0, None, None)
    )
    options = [f"--gpu-architecture=sm_{arch}".encode(), b"-std=c++17", b"--ptxas-options=-v"]
    failed = nvrtc.nvrtcCompileProgram(
        program, len(options), (ctypes.c_char_p * len(options))(*options)
    )
    log = (
        _fetch(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program)
        .decode()
        .rstrip("\0")
    )
    code = b"" if failed else _fetch(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    if failed:
        raise RuntimeError(f"{name} does not compile for sm_{arch}:\n{log}")
    return code, log


def _call(status: int) -> None:
    if status:
        raise RuntimeError(f"NVRTC error {status}")


def _fetch(size_of: Any, get: Any, program: Any) -> bytes:
    size = ctypes.c_size_t()
    _call(size_of(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _call(get(program, buffer))
    return buffer.raw


def resources(log: str) -> dict[str, Resources]:
    """Kernel name -> resources, from the assembler's remarks."""
    parts = re.split(r"Compiling entry function '(\w+)'", log)
    return {name: _resources(text) for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def _resources(text: str) -> Resources:
    def number(pattern: str) -> int:
        m = re.search(pattern, text)
        return int(m[1]) if m else 0

    spilled = number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads")
    return Resources(
        number(r"Used (\d+) registers"),
        number(r"(\d+) bytes smem"),
        spilled,
        number(r"(\d+) bytes stack"),
    )


def machine_code(cubin: bytes) -> dict[str, str]:
    """Kernel name -> SASS, by nvdisasm (`pip install nvidia-cuda-nvdisasm`, or the CUDA
    toolkit)."""
    tool = disassembler()
    if tool is None:
        raise RuntimeError("nvdisasm not found: pip install nvidia-cuda-nvdisasm")
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run(
            [tool, "-c", file.name], capture_output=True, text=True, check=True
        ).stdout
    parts = re.split(r"\.section\s+\.text\.(\w+)", text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@cache
def disassembler() -> str | None:
    """The path of nvdisasm, from its wheel or on PATH; None where it is not installed."""
    spec = importlib.util.find_spec("nvidia")
    folders = [Path(p) for p in (spec.submodule_search_locations or [])] if spec else []
    found = [str(f) for folder in folders for f in folder.glob("*/bin/nvdisasm")]
    return found[0] if found else shutil.which("nvdisasm")


def table(architectures: tuple[int, ...] = ARCHITECTURES) -> str:
    """One line a kernel: registers, shared memory and spills for each architecture."""
    lines = [f"{'kernel':36s} shared" + "".join(f"  sm_{a}: regs spills" for a in architectures)]
    for path in sorted(kernel_folder().glob("*.cu")):
        found = [resources(compile_cubin(read(path).text, a, path.name)[1]) for a in architectures]
        for kernel in read(path).kernels:
            row = "".join(f"{r[kernel].registers:12d}{r[kernel].spilled:7d}" for r in found)
            lines.append(f"{kernel:36s}{found[-1][kernel].shared:7d}{row}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
