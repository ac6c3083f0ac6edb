"""Typed launches: the same checks and casts whether a kernel runs on the GPU or in the emulator."""

import operator
import struct
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..backend import cupy
from . import source
from .emulator import HostModule
from .gpu import GpuModule, is_gpu_array
from .source import Parameter, Signature, Struct

__all__ = ["Kernel", "Kernels"]

GRID_LIMITS = (2**31 - 1, 65535, 65535)
BLOCK_LIMITS = (1024, 1024, 64)
SHARED_LIMIT = 227 * 1024
LIMITS: dict[Any, tuple[int, int]] = {  # of the integers; True and False are integers, too
    np.dtype(t): (np.iinfo(t).min, np.iinfo(t).max) for t in np.typecodes["AllInteger"]
} | {np.dtype(bool): (0, 1)}
PLAIN = {int, float}  # what needs no look to be a number
DTYPE, IN_ORDER, ADDRESS = map(operator.attrgetter, ("dtype", "flags.c_contiguous", "data.ptr"))


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
        self._layouts = {p.name: _layout(p) for p in signature.parameters}

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

    def pack(self, name: str, members: tuple[Any, ...]) -> Any:
        """The struct argument `name`, checked and laid out: for many launches with the same."""
        return self._struct(next(p for p in self.signature.parameters if p.name == name), members)

    def point(self, packed: Struct, name: str, arrays: Sequence[Any]) -> None:
        """Make the pointers "argument.member" of a packed struct point to other arrays."""
        argument, _, member = name.partition(".")
        p = next(p for p in self.signature.parameters if p.name == argument)
        self._fill(packed, next(m for m in p.members if m.name == member), arrays, argument)

    # What is checked at every launch is checked quickly; words are found when something is wrong.

    def _where(self, p: Parameter | None = None) -> str:
        return f"kernel '{self.name}'" + (f", argument '{p.name}' ({p.ctype})" if p else "")

    def _size(
        self, what: str, size: int | tuple[int, ...], limits: tuple[int, int, int]
    ) -> tuple[int, int, int]:
        full = (*map(operator.index, size if isinstance(size, tuple) else (size,)), 1, 1)
        x, y, z = full[:3]
        fits = 1 <= x <= limits[0] and 1 <= y <= limits[1] and 1 <= z <= limits[2]
        if not fits or len(full) > 5:
            raise ValueError(
                f"{self._where()}: {what} {size}; each of x, y, z must be from 1 to {limits}"
            )
        return x, y, z

    def _cast(self, p: Parameter, value: Any) -> Any:
        if p.pointer:
            return self._array(p, value)
        return self._struct(p, value) if p.members else self._number(p, value)

    def _array(self, p: Parameter, a: Any) -> Any:
        if a is None:  # a null pointer
            return np.array(0, np.uint64) if self._gpu else None
        if not self._fits(p, a):
            raise self._refusal(p, a)
        return a

    def _fits(self, p: Parameter, a: Any) -> bool:
        """Is `a` what the pointer p needs? _refusal says what is wrong with it."""
        if self._gpu:
            if not is_gpu_array(a) or a.dtype != p.dtype or not a.flags.c_contiguous:
                return False
            return p.align == 1 or not a.data.ptr % p.align
        if not isinstance(a, np.ndarray) or a.dtype != p.dtype:
            return False
        return a.flags.c_contiguous and (p.const or a.flags.writeable)

    def _all_fit(self, m: Parameter, arrays: Sequence[Any]) -> bool:
        """_fits of hundreds: each question is asked of all at once."""
        if not self._gpu:
            return all(self._fits(m, a) for a in arrays)
        cupys = set(map(type, arrays)) <= {cupy().ndarray}
        return cupys and {m.dtype}.issuperset(map(DTYPE, arrays)) and all(map(IN_ORDER, arrays))

    def _refusal(self, p: Parameter, a: Any) -> Exception:
        where = self._where(p)
        if self._gpu and not is_gpu_array(a):
            return TypeError(
                f"{where}: runs on the GPU and needs a CuPy array, got {type(a).__name__}; "
                "move it by .cuda()"
            )
        if not self._gpu and not isinstance(a, np.ndarray):
            return TypeError(
                f"{where}: runs in the emulator and needs a NumPy array, got {type(a).__name__}"
            )
        if a.dtype != p.dtype:
            return TypeError(f"{where}: expected dtype {p.dtype}, got {a.dtype}")
        if not a.flags.c_contiguous:
            return ValueError(
                f"{where}: must be C-contiguous, has shape {a.shape} and strides {a.strides}"
            )
        if self._gpu:
            return ValueError(f"{where}: must start at a multiple of {p.align} bytes")
        return ValueError(f"{where}: the kernel may write to it and the array is read-only")

    def _number(self, p: Parameter, value: Any) -> Any:
        """A 0-d array of exactly this type: CuPy passes those by value, and never as 64 bits for
        32."""
        dtype = p.dtype
        if dtype not in LIMITS:
            if isinstance(value, (int, float, np.integer, np.floating)):
                return np.array(value, dtype)
            raise self._no_number(p, value, "a number")
        try:
            number = operator.index(value)
        except TypeError:
            raise self._no_number(p, value, "an integer") from None
        least, most = LIMITS[dtype]
        if not least <= number <= most:
            raise OverflowError(f"{self._where(p)}: {number} does not fit in {dtype}")
        return np.array(number, dtype)

    def _no_number(self, p: Parameter, value: Any, expected: str) -> TypeError:
        if isinstance(value, np.ndarray) and value.shape:
            return TypeError(
                f"{self._where(p)}: expected a number, got an array of shape {value.shape}"
            )
        got = repr(value) if expected == "an integer" else type(value).__name__
        return TypeError(f"{self._where(p)}: expected {expected}, got {got}")

    def _struct(self, p: Parameter, value: Any) -> Any:
        layout = self._layouts[p.name]
        if layout is not None and isinstance(value, tuple) and PLAIN.issuperset(map(type, value)):
            try:
                return np.ndarray((), p.dtype, bytearray(layout.pack(*value)))
            except (struct.error, OverflowError):
                pass  # too many, too large, or 1.5 for an integer: what follows says it
        return self._slow_struct(p, value)

    def _slow_struct(self, p: Parameter, value: Any) -> Any:
        if isinstance(value, Struct) and value.numbers.dtype == p.dtype:
            return value
        if isinstance(value, np.ndarray) and value.dtype == p.dtype and value.shape == ():
            return value
        if not isinstance(value, tuple) or len(value) != len(p.members):
            raise TypeError(
                f"{self._where(p)}: expected a tuple of {len(p.members)} numbers "
                f"({', '.join(m.name for m in p.members)}), got {value!r}"
            )
        out = Struct(np.zeros((), p.dtype), {})
        for m, v in zip(p.members, value, strict=True):
            if m.count:
                self._fill(out, m, v, p.name)
            else:
                out.numbers[m.name] = self._number(replace(m, name=f"{p.name}.{m.name}"), v)
        return out if any(m.pointer for m in p.members) else out.numbers

    def _fill(self, out: Struct, m: Parameter, values: Any, argument: str) -> None:
        """Put `values` into the member m of a struct, an array of numbers or of pointers."""
        if not isinstance(values, (list, tuple)) or len(values) > m.count:
            named = replace(m, name=f"{argument}.{m.name}", ctype=f"{m.ctype}[{m.count}]")
            raise TypeError(
                f"{self._where(named)}: expected a list of at most {m.count}, got {values!r}"
            )
        if m.pointer:
            if not self._all_fit(m, values):
                k = next(k for k, a in enumerate(values) if not self._fits(m, a))
                raise self._refusal(replace(m, name=f"{argument}.{m.name}[{k}]"), values[k])
            out.arrays[m.name] = values
            if self._gpu:
                out.point({m.name: list(map(ADDRESS, values))})
        else:
            named = replace(m, name=f"{argument}.{m.name}", ctype=f"{m.ctype}[{m.count}]")
            out.numbers[m.name][: len(values)] = [self._number(named, v) for v in values]


def _layout(p: Parameter) -> struct.Struct | None:
    """How a struct of numbers alone is packed; None for other parameters, which take more care."""
    if not p.members or any(m.count or m.dtype.kind == "b" for m in p.members):
        return None
    text = "".join(m.dtype.char for m in p.members)  # NumPy's letters are C's and struct's
    return struct.Struct(f"{text}{p.dtype.itemsize - struct.calcsize(text)}x")
