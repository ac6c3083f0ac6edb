"""Typed launches: the same checks and casts whether a kernel runs on the GPU or in the emulator."""

import operator
from dataclasses import replace
from typing import Any

import numpy as np

from . import source
from .emulator import HostModule
from .gpu import GpuModule, is_gpu_array
from .source import Parameter, Signature, Struct

__all__ = ["Kernel", "Kernels"]

GRID_LIMITS = (2**31 - 1, 65535, 65535)
BLOCK_LIMITS = (1024, 1024, 64)
SHARED_LIMIT = 227 * 1024


class Kernels:
    """The kernels of one .cu file, as attributes: `k.name(grid, block, *args, shared_mem=0)`.

    `gpu=True` compiles with NVRTC; otherwise they run in the emulator, on NumPy arrays. Template
    kernels are instantiated by name: `k["scale<4>"]` after `instances=("scale<4>",)`."""

    def __init__(
        self,
        path: str,
        gpu: bool,
        check: bool = True,
        seed: int | None = 0,
        instances: tuple[str, ...] = (),
    ) -> None:
        self._source = source.read(path)
        plain = tuple(n for n, s in self._source.kernels.items() if not s.template)
        names = plain + tuple(instances)
        for name in instances:
            if name.split("<")[0] not in self._source.kernels:
                raise ValueError(
                    f"{path} has no kernel '{name}'; it has {', '.join(self._source.kernels)}"
                )
        if gpu:
            self._module: Any = GpuModule(self._source, names)
        else:
            self._module = HostModule(self._source, names, check, seed)
        self._kernels = {
            n: Kernel(n, self._source.kernels[n.split("<")[0]], self._module, gpu) for n in names
        }

    def __getitem__(self, name: str) -> "Kernel":
        if name not in self._kernels:
            raise AttributeError(
                f"{self._source.path.name} has no kernel '{name}'; "
                f"it has {', '.join(self._kernels)}"
            )
        return self._kernels[name]

    def __getattr__(self, name: str) -> "Kernel":
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __dir__(self) -> list[str]:
        return sorted(self._kernels)


class Kernel:
    """One `__global__` function, ready to launch: kernel(grid, block, *args, shared_mem=0)."""

    def __init__(self, name: str, signature: Signature, module: Any, gpu: bool) -> None:
        self.name, self.signature, self._module, self._gpu = name, signature, module, gpu

    def __repr__(self) -> str:
        return f"<kernel {self.signature}>"

    def __call__(
        self,
        grid: int | tuple[int, ...],
        block: int | tuple[int, ...],
        *args: Any,
        shared_mem: int = 0,
    ) -> None:
        """Launch on `grid` blocks of `block` threads. Arrays must have the parameter's dtype and
        be C-contiguous; numbers are cast to the parameter's type, and a struct takes a tuple of
        its members (lists for its arrays)."""
        sizes = self._size("grid", grid, GRID_LIMITS), self._size("block", block, BLOCK_LIMITS)
        threads = sizes[1][0] * sizes[1][1] * sizes[1][2]
        if threads > self.signature.max_threads:
            raise ValueError(
                f"{self._where()}: {threads} threads a block, "
                f"at most {self.signature.max_threads} allowed"
            )
        if not 0 <= shared_mem <= SHARED_LIMIT:
            raise ValueError(
                f"{self._where()}: shared_mem={shared_mem}, "
                f"a block has at most {SHARED_LIMIT} bytes"
            )
        expected = self.signature.parameters
        if len(args) != len(expected):
            raise TypeError(
                f"{self._where()} takes {len(expected)} arguments, got {len(args)}: "
                f"{self.signature}"
            )
        values = [self._cast(p, a) for p, a in zip(expected, args, strict=True)]
        self._module.launch(self.name, self.signature, *sizes, values, shared_mem)

    def _where(self) -> str:
        return f"kernel '{self.name}'"

    def _size(
        self, what: str, size: int | tuple[int, ...], limits: tuple[int, ...]
    ) -> tuple[int, int, int]:
        given = size if isinstance(size, tuple) else (size,)
        full = tuple(operator.index(n) for n in given) + (1,) * (3 - len(given))
        if len(full) != 3 or any(not 1 <= n <= most for n, most in zip(full, limits, strict=True)):
            raise ValueError(
                f"{self._where()}: {what} {size}; each of x, y, z must be from 1 to {limits}"
            )
        return full

    def _cast(self, p: Parameter, value: Any) -> Any:
        return self._array(p, value) if p.pointer else self._scalar(p, value)

    def _array(self, p: Parameter, a: Any) -> Any:
        where = f"{self._where()}, argument '{p.name}' ({p.ctype})"
        if a is None:  # a null pointer
            return np.array(0, np.uint64) if self._gpu else None
        if self._gpu and not is_gpu_array(a):
            raise TypeError(
                f"{where}: runs on the GPU and needs a CuPy array, got {type(a).__name__}; "
                "move it by .cuda()"
            )
        if not self._gpu and not isinstance(a, np.ndarray):
            raise TypeError(
                f"{where}: runs in the emulator and needs a NumPy array, got {type(a).__name__}"
            )
        if a.dtype != p.dtype:
            raise TypeError(f"{where}: expected dtype {p.dtype}, got {a.dtype}")
        if not a.flags.c_contiguous:
            raise ValueError(
                f"{where}: must be C-contiguous, has shape {a.shape} and strides {a.strides}"
            )
        if not p.const and not self._gpu and not a.flags.writeable:
            raise ValueError(f"{where}: the kernel may write to it and the array is read-only")
        address = a.data.ptr if self._gpu else a.ctypes.data
        if self._gpu and address % p.align:
            raise ValueError(f"{where}: must start at a multiple of {p.align} bytes")
        return a

    def _scalar(self, p: Parameter, value: Any) -> Any:
        where = f"{self._where()}, argument '{p.name}' ({p.ctype})"
        if p.dtype.names:
            return self._struct(p, value, where)
        return _number(p.dtype, value, where)

    def _struct(self, p: Parameter, value: Any, where: str) -> Any:
        if isinstance(value, np.ndarray) and value.dtype == p.dtype and value.shape == ():
            return value
        if not isinstance(value, tuple) or len(value) != len(p.members):
            raise TypeError(
                f"{where}: expected a tuple of {len(p.members)} numbers "
                f"({', '.join(m.name for m in p.members)}), got {value!r}"
            )
        out = np.zeros((), p.dtype)
        arrays: dict[tuple[str, int], Any] = {}
        for m, v in zip(p.members, value, strict=True):
            if m.count:
                arrays |= self._fill(out, m, v, p.name)
            else:
                out[m.name] = _number(m.dtype, v, f"{where}.{m.name}")
        return Struct(out, arrays) if any(m.pointer for m in p.members) else out

    def _fill(self, out: Any, m: Parameter, values: Any, struct: str) -> dict[Any, Any]:
        """Put `values` into the member m of a struct, an array; pointers: (name, k) -> array."""
        where = f"{self._where()}, argument '{struct}.{m.name}' ({m.ctype}[{m.count}])"
        if not isinstance(values, (list, tuple)) or len(values) > m.count:
            raise TypeError(f"{where}: expected a list of at most {m.count}, got {values!r}")
        if not m.pointer:
            out[m.name][: len(values)] = [_number(m.dtype, v, where) for v in values]
            return {}
        named = (replace(m, name=f"{struct}.{m.name}[{k}]") for k in range(len(values)))
        checked = (self._array(one, a) for one, a in zip(named, values, strict=True))
        return {(m.name, k): a for k, a in enumerate(checked)}


def _number(dtype: np.dtype[Any], value: Any, where: str) -> Any:
    """A 0-d array of exactly this type: CuPy passes those by value, and never as 64 bits for 32."""
    if isinstance(value, np.ndarray) and value.shape:
        raise TypeError(f"{where}: expected a number, got an array of shape {value.shape}")
    if dtype.kind not in "iub":
        if isinstance(value, (int, float, np.integer, np.floating)):
            return np.array(value, dtype)
        raise TypeError(f"{where}: expected a number, got {type(value).__name__}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{where}: expected an integer, got {value!r}") from None
    if dtype.kind != "b" and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
        raise OverflowError(f"{where}: {number} does not fit in {dtype}")
    return np.array(number, dtype)
