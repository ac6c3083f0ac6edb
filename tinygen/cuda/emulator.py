"""Compiles an unedited .cu file for the host and runs its kernels there, one fiber a CUDA thread.

In check mode every load and store is watched (see kernels/emulator/runtime.cpp), and a bad one
raises `KernelError` before it happens: races within and between blocks, reads of shared memory
that nobody wrote, accesses out of bounds or misaligned, barriers that not every thread of the
block reaches."""

import ctypes
import re
import shutil
import struct
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np

from .compiler import build
from .source import Signature, Source, Struct

__all__ = ["HostModule", "KernelError", "shared_arrays"]

ACCESS = ("reads", "writes", "updates")
DID = ("read", "wrote")
FAILURES = (
    "",
    "out of bounds",
    "misaligned",
    "uninitialised read",
    "data race",
    "divergent barrier",
    "divergent warp",
    "out of memory",
)
GUARD = "(guard)"  # a byte with which the compiler notes that it has initialised an array
Index = ctypes.c_uint32 * 3
Argument = tuple[str, int]  # its name, and its place in an array of pointers
Place = tuple[str, int]  # file and line


# The emulated GPU is one; ctypes lets other threads of Python run, and launch, during a launch.
_one_at_a_time = threading.Lock()


class _Report(ctypes.Structure):
    _fields_ = [
        *((n, ctypes.c_int) for n in ("failure", "access", "other_access")),
        *((n, ctypes.c_uint32) for n in ("bytes", "region", "same_block")),
        *((n, ctypes.c_uint64) for n in ("address", "offset", "pc", "other_pc")),
        *((n, ctypes.c_char_p) for n in ("place", "other_place")),
        *((n, Index) for n in ("block", "thread", "other_block", "other_thread")),
    ]


class _Span(ctypes.Structure):
    _fields_ = [("start", ctypes.c_uint64), ("bytes", ctypes.c_uint64)]


class KernelError(RuntimeError):
    """A kernel did what a GPU forbids or leaves undefined.

    `kind` is one of FAILURES; `kernel`, `block`, `thread`, `file` and `line` say where."""

    def __init__(
        self,
        message: str,
        kind: str,
        kernel: str,
        file: str,
        line: int,
        block: tuple[int, ...],
        thread: tuple[int, ...],
    ) -> None:
        super().__init__(message)
        self.kind, self.kernel, self.file, self.line = kind, kernel, file, line
        self.block, self.thread = block, thread


def shared_arrays(library: Path) -> list[tuple[str, int, int]]:
    """(name, offset, bytes) of every `__shared__` array: the thread-local symbols of the ELF
    file."""
    data = library.read_bytes()
    header = struct.unpack_from("<Q", data, 40)[0]
    size, count = struct.unpack_from("<HH", data, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", data, header + i * size) for i in range(count)]
    found = []
    for _, kind, _, _, offset, length, link, _, _, entry in sections:
        if kind != 2:  # SHT_SYMTAB
            continue
        for at in range(offset, offset + length, entry):
            name, info, _, _, value, bytes_ = struct.unpack_from("<IBBHQQ", data, at)
            start = sections[link][4] + name
            text = data[start : data.index(b"\0", start)].decode()
            if (
                info & 15 == 6 and bytes_ and "emu_gap_" not in text and "tls_anchor" not in text
            ):  # STT_TLS
                found.append((_plain_name(text), value, bytes_))
    return sorted(found, key=lambda s: s[1])


def _plain_name(mangled: str) -> str:
    if mangled.startswith("_ZGV"):
        return GUARD
    for m in re.finditer(r"(?=E(\d+)([A-Za-z_]))", mangled):
        name = mangled[m.start(2) : m.start(2) + int(m[1])]
        if re.fullmatch(r"(_\d+_?|_\d)?(\.\d+)?", mangled[m.start(2) + int(m[1]) :]):
            return name
    return mangled.split(".")[0]


class HostModule:
    """The kernels of one .cu file, compiled for the host."""

    def __init__(
        self, source: Source, names: tuple[str, ...], check: bool, seed: int | None
    ) -> None:
        self.source, self.check, self.seed = source, check, seed
        self.path = build(source, names, check)
        self.library = ctypes.CDLL(str(self.path))
        self.entries = {n: getattr(self.library, f"emu_entry_{i}") for i, n in enumerate(names)}
        self.library.emu_shared_bytes.restype = ctypes.c_uint64
        self.shared = shared_arrays(self.path)
        self.objects = np.zeros(self.library.emu_shared_bytes() + 1, np.uint8)
        for i, (name, offset, size) in enumerate(self.shared):
            self.objects[offset : offset + size] = 255 if name == GUARD else i % 254 + 1

    def launch(
        self,
        name: str,
        signature: Signature,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        values: list[Any],
        shared_mem: int,
    ) -> None:
        """Run the kernel. In check mode it sees copies of the arrays, far apart, so that no index
        past the end of one reaches another; they are copied back when every check has passed."""
        arrays = _arrays(signature, values)
        spans, addresses, copies = _lay_out(arrays, apart=self.check)
        slots = []
        for i, value in enumerate(values):
            argument = signature.parameters[i].name
            if signature.parameters[i].pointer:
                slots.append(np.array(addresses.get((argument, 0), 0), np.uint64))
            elif isinstance(value, Struct):
                slots.append(value.point({
                    m: [addresses.get((f"{argument}.{m}", k), 0) for k in range(len(arrays_of))]
                    for m, arrays_of in value.arrays.items()
                }))  # fmt: skip
            else:
                slots.append(value)
        pointers = (ctypes.c_void_p * max(1, len(slots)))(*(s.ctypes.data for s in slots))
        table = (_Span * max(1, len(spans)))(*(_Span(lo, hi - lo) for lo, hi in spans))
        report = _Report()
        # Byte-sized elements share a 4-byte word, so files that have them are watched byte by byte.
        shift = 0 if re.search(r"\b(char|short|bool)\b", self.source.text) else 2
        seed = 0 if self.seed is None else self.seed + 1
        with _one_at_a_time:
            failed = self.library.emu_run(
                self.entries[name],
                pointers,
                (ctypes.c_uint32 * 3)(*grid),
                (ctypes.c_uint32 * 3)(*block),
                shared_mem,
                table,
                len(spans),
                self.objects.ctypes.data_as(ctypes.c_void_p),
                ctypes.c_uint64(seed),
                shift,
                ctypes.byref(report),
            )
        if failed:
            raise self._error(report, name, arrays, addresses, shared_mem)
        for copy in copies:
            copy.copy_back()

    def _error(
        self,
        r: _Report,
        name: str,
        arrays: dict[Argument, Any],
        addresses: dict[Argument, int],
        shared_mem: int,
    ) -> KernelError:
        kind = FAILURES[r.failure]
        block, thread = tuple(r.block), tuple(r.thread)
        file, line = _split(r.place) if kind == "divergent barrier" else self._find(r.pc)
        who = f"block {block} thread {thread}"
        what = f"{ACCESS[r.access]} {r.bytes} bytes"
        place = self._place(r, arrays, addresses, shared_mem)
        if kind == "data race":
            other = f"thread {tuple(r.other_thread)}"
            other = (
                f"{other} of the same block"
                if r.same_block
                else f"block {tuple(r.other_block)} {other}"
            )
            where = _seen_from(file, *self._find(r.other_pc))
            order = "no barrier between them" if r.same_block else "blocks run in any order"
            said = f"{what} {place}, which {other} {DID[r.other_access]} at {where}: {order}"
        elif kind == "divergent barrier":
            waits = r.other_place and f"waits at {_seen_from(file, *_split(r.other_place))}"
            other = waits or "has returned"
            said = f"waits at this __syncthreads(), but thread {tuple(r.other_thread)} {other}"
        elif kind == "divergent warp":
            said = "waits in a warp operation that not every lane of its mask reaches"
        elif kind == "out of memory":
            said = "the host has not enough memory for this launch"
        elif kind == "uninitialised read":
            said = f"{what} {place}, which no thread of this block has written"
        elif kind == "misaligned":
            said = f"{what} {place}, not a multiple of {r.bytes} bytes"
        else:
            said = f"{what} {place}"
        text = self.source.files[file].splitlines()
        quoted = f"\n  {line} | {text[line - 1].strip()}" if 0 < line <= len(text) else ""
        message = f"{file}:{line}: {kind} in kernel '{name}': {who} {said}{quoted}"
        return KernelError(message, kind, name, file, line, block, thread)

    def _place(
        self,
        r: _Report,
        arrays: dict[Argument, Any],
        addresses: dict[Argument, int],
        shared_mem: int,
    ) -> str:
        base = ctypes.c_uint64(r.address).value
        if r.region == 1:
            return f"of dynamic shared memory at byte {r.offset} of {shared_mem}"
        if r.region == 0 and self.shared:
            name, start, size = min(self.shared, key=lambda s: _gap(r.offset, s[1], s[2]))
            return f"of shared array '{name}' {_offset(r.offset - start, size)}"
        near = [(i, base - addresses[i], a.nbytes) for i, a in arrays.items()]
        if not near:
            return f"at address {base:#x}, which is in no array"
        i, offset, size = min(near, key=lambda n: _gap(n[1], 0, n[2]))
        if _gap(offset, 0, size) > 1 << 30:
            return f"at address {base:#x}, which is in no array given to the kernel"
        argument = f"{i[0]}[{i[1]}]" if "." in i[0] else i[0]
        return f"of argument '{argument}' {_offset(offset, size)}"

    def _find(self, pc: int) -> Place:
        nowhere = self.source.path.name, 0
        tool = shutil.which("addr2line") or shutil.which("llvm-addr2line")
        if not tool:
            return nowhere
        # A return address: the call is one byte before it.
        out = subprocess.run(
            [tool, "-e", str(self.path), hex(pc - 1)], capture_output=True, text=True, check=False
        ).stdout
        m = re.search(r"([^/\n]+):(\d+)", out)
        return (m[1], int(m[2])) if m and m[1] in self.source.files else nowhere


def _split(place: bytes) -> Place:
    """b"tile.cuh:12" -> ("tile.cuh", 12)."""
    file, _, line = place.decode().rpartition(":")
    return file, int(line)


def _seen_from(here: str, file: str, line: int) -> str:
    return f"line {line}" if file == here else f"{file}:{line}"


def _gap(at: int, start: int, size: int) -> int:
    return max(start - at, at - (start + size - 1), 0)


def _offset(at: int, size: int) -> str:
    if at < 0:
        return f"{-at} bytes before its start"
    return (
        f"at byte {at} of {size}"
        if at < size
        else f"{at - size} bytes past its end (it has {size})"
    )


def _arrays(signature: Signature, values: list[Any]) -> dict[Argument, Any]:
    """Every array that the kernel is given, by the argument's name; a struct's too."""
    found: dict[Argument, Any] = {}
    for p, value in zip(signature.parameters, values, strict=True):
        if isinstance(value, Struct):
            for m, held in value.arrays.items():
                found |= {(f"{p.name}.{m}", k): a for k, a in enumerate(held)}
        elif p.pointer and value is not None:
            found[p.name, 0] = value
    return found


def _lay_out(
    arrays: dict[Argument, Any], apart: bool
) -> tuple[list[tuple[int, int]], dict[Argument, int], list["_Copy"]]:
    """Spans of memory the kernel may touch, each argument's address in them, and what to copy back.

    Arguments that overlap share a span, so that aliasing stays aliasing."""
    where = {i: (a.ctypes.data, a.ctypes.data + a.nbytes) for i, a in arrays.items()}
    merged: list[list[int]] = []
    for lo, hi in sorted(where.values()):
        if merged and lo < merged[-1][1]:
            merged[-1][1] = max(hi, merged[-1][1])
        else:
            merged.append([lo, hi])
    if not apart:
        return [(lo, hi) for lo, hi in merged], {i: lo for i, (lo, _) in where.items()}, []
    spans: list[tuple[int, int]] = []
    addresses: dict[Argument, int] = {}
    copies: list[_Copy] = []
    for lo, hi in merged:
        inside = [i for i, (start, end) in where.items() if lo <= start < end <= hi]
        if not inside:
            continue  # empty arrays: null pointers
        # CuPy's allocations start at multiples of 512: what is aligned there is aligned here, and a
        # view no more.
        base = min(_owner(arrays[i]).ctypes.data for i in inside)
        copy = _Copy(lo, hi - lo, (lo - base) % 512, any(arrays[i].flags.writeable for i in inside))
        spans.append((copy.start, copy.start + copy.bytes))
        addresses |= {i: copy.start + where[i][0] - lo for i in inside}
        copies.append(copy)
    return spans, addresses, copies


def _owner(array: Any) -> Any:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class _Copy:
    """A copy of host memory with half a megabyte of nothing on either side."""

    GAP = 1 << 19

    def __init__(self, original: int, size: int, misalignment: int, writeable: bool) -> None:
        self.original, self.bytes, self.writeable = original, size, writeable
        self.memory = np.empty(size + 2 * self.GAP + 512, np.uint8)
        self.start = self.memory.ctypes.data + self.GAP
        self.start += -self.start % 512 + misalignment
        ctypes.memmove(self.start, original, size)

    def copy_back(self) -> None:
        if self.writeable:
            ctypes.memmove(self.original, self.start, self.bytes)
