"""Where the .cu files are, their text with the headers they include, and what it says of a
kernel's parameters."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Parameter", "Signature", "Source", "Struct", "kernel_folder", "parse", "read"]

DTYPES: dict[str, Any] = {
    "float": np.float32,
    "double": np.float64,
    "bool": np.bool_,
    "char": np.int8,
    "signed char": np.int8,
    "unsigned char": np.uint8,
    "short": np.int16,
    "unsigned short": np.uint16,
    "int": np.int32,
    "unsigned": np.uint32,
    "unsigned int": np.uint32,
    "long long": np.int64,
    "unsigned long long": np.uint64,
    "size_t": np.uint64,
}
VECTORS = {"float": np.float32, "int": np.int32, "uint": np.uint32, "double": np.float64}

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
INCLUDE = re.compile(  # or a comment: what stands in one is no include
    COMMENT.pattern + r'|^[ \t]*#[ \t]*include[ \t]*"(?P<name>[^"\n]+)"', re.DOTALL | re.MULTILINE
)
STRUCT = re.compile(r"\bstruct\s+(\w+)\s*\{([^{}()]*)\}\s*;")
KERNEL = re.compile(
    r"(?P<template>template\s*<[^>]*>\s*)?(?P<c>extern\s+\"C\"\s+)?__global__\s+"
    r"(?:void\s+)?(?:__launch_bounds__\s*\((?P<bounds>[^)]*)\)\s*)?(?:void\s+)?"
    r"(?P<name>\w+)\s*\((?P<parameters>[^)]*)\)\s*\{"
)


MEMBER = re.compile(
    r"\s*(?P<const>const\s+)?(?P<type>(?:unsigned |long |signed )*\w+)"
    r"(?P<pointer>\s*\*\s*|\s+)(?P<names>.+)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel, or member of a struct: its C type as written, and the NumPy dtype
    behind it; of a pointer, the dtype of what it points to."""

    name: str
    ctype: str
    dtype: np.dtype[Any]
    pointer: bool = False
    const: bool = False
    align: int = 1
    members: tuple["Parameter", ...] = ()  # of a struct
    count: int = 0  # of a member that is an array


class Struct:
    """The value of a struct that holds pointers: its numbers, and the arrays behind the pointers of
    each member."""

    def __init__(self, numbers: Any, arrays: dict[str, Sequence[Any]]) -> None:
        self.numbers, self.arrays = numbers, arrays

    def point(self, addresses: dict[str, list[int]]) -> Any:
        """Fill pointers in; returns the numbers."""
        for name, found in addresses.items():
            self.numbers[name][: len(found)] = found
        return self.numbers


Structs = dict[str, tuple[Parameter, ...]]


@dataclass(frozen=True)
class Signature:
    """A `__global__` function as the text declares it."""

    name: str
    parameters: tuple[Parameter, ...]
    extern_c: bool
    template: bool
    max_threads: int = 1024

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{p.ctype} {p.name}' for p in self.parameters)})"


@dataclass(frozen=True)
class Source:
    """A .cu file: its path, its text, its kernels by name, and the files that it consists of.

    `text` is what every compiler gets: each header in the place where it is included, between
    `#line`s that say which file and line is which. `files` has the texts of the .cu file and of its
    headers under the names that the `#line`s give."""

    path: Path
    text: str
    kernels: dict[str, Signature]
    files: dict[str, str]


def kernel_folder() -> Path:
    """The folder of the .cu files: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "kernels", package.parent / "kernels"):
        if (folder / "conv2d.cu").is_file():
            return folder
    raise FileNotFoundError(
        f"tinygen's .cu files are missing: looked for conv2d.cu in {package / 'kernels'} and "
        f"{package.parent / 'kernels'}; reinstall tinygen"
    )


def read(path: str | Path) -> Source:
    """Read a .cu file and the headers it includes; a bare name such as "conv2d.cu" that is not in
    the current folder is one of tinygen's own."""
    found = Path(path)
    if not found.is_file() and found.name == str(path):
        found = kernel_folder() / path
    if not found.is_file():
        raise FileNotFoundError(f"no kernel file {path}: not here, and not in {kernel_folder()}")
    files: dict[str, str] = {}
    text = _expand(found, files)
    return Source(found, text, parse(text, found.name), files)


def _expand(path: Path, files: dict[str, str]) -> str:
    """The text of `path`, with every `#include "x.cuh"` replaced by the text of x.cuh the first
    time and by nothing later. x.cuh lies beside the file that includes it, or is tinygen's own."""
    text = files[path.name] = path.read_text(encoding="utf-8")

    def header_of(m: re.Match[str]) -> str:
        if m["name"] is None:
            return m[0]
        line = text.count("\n", 0, m.start()) + 1
        header = _find(m["name"], path, line)
        if header.name not in files:
            return f'{_expand(header, files)}\n#line {line} "{path.name}"\n'
        if files[header.name] != header.read_text(encoding="utf-8"):
            raise ValueError(f"{path}:{line}: there is another {header.name} already; rename one")
        return ""

    return f'#line 1 "{path.name}"\n{INCLUDE.sub(header_of, text)}'


def _find(name: str, includer: Path, line: int) -> Path:
    folders = includer.parent, kernel_folder()
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"{includer}:{line}: header {name} is missing: it is not beside that file and not in "
        f"{folders[1]}; a header of the compiler's own is included by <{name}>"
    )


def parse(text: str, file: str = "the kernel file") -> dict[str, Signature]:
    """The kernels that `text` defines."""
    bare = COMMENT.sub(" ", text)
    structs = {m[1]: _members(m[1], m[2], file) for m in STRUCT.finditer(bare)}
    kernels = [_signature(m, structs, file) for m in KERNEL.finditer(bare)]
    if not kernels:
        raise ValueError(f"{file}: no __global__ function found in it")
    return {k.name: k for k in kernels}


def _signature(m: re.Match[str], structs: Structs, file: str) -> Signature:
    bounds = (m["bounds"] or "1024").split(",")[0].strip()
    parameters = [p for p in m["parameters"].split(",") if p.strip()]
    return Signature(
        m["name"],
        tuple(_parameter(p, structs, f"{file}, kernel {m['name']}") for p in parameters),
        bool(m["c"]),
        bool(m["template"]),
        int(bounds) if bounds.isdigit() else 1024,
    )


def _parameter(text: str, structs: Structs, where: str) -> Parameter:
    words = re.findall(r"\w+|\*", re.sub(r"__restrict__|\bvolatile\b", " ", text))
    name, kind = words[-1], [w for w in words[:-1] if w not in ("const", "*", "struct")]
    ctype, pointers = " ".join(kind), words.count("*")
    vector = re.fullmatch(r"(float|int|uint|double)([24])", ctype)
    dtype, align = DTYPES.get(ctype), 1
    if vector and pointers:
        dtype = VECTORS[vector[1]]
        align = min(16, np.dtype(dtype).itemsize * int(vector[2]))
    members = () if pointers else structs.get(ctype, ())
    if members:
        dtype = _struct_dtype(members)
    if dtype is None or pointers > 1:
        raise ValueError(
            f"{where}: parameter '{' '.join(text.split())}' has a type the launch layer does not "
            f"know; use pointers to and values of {', '.join(DTYPES)}, or a struct of them"
        )
    written = " ".join(text.split()).rsplit(name, 1)[0].strip()
    const = "const" in words
    return Parameter(name, written, np.dtype(dtype), bool(pointers), const, align, members)


def _members(struct: str, body: str, file: str) -> tuple[Parameter, ...]:
    """What a struct holds: numbers, and arrays of numbers or of pointers to them."""
    found: list[Parameter] = []
    for line in filter(str.strip, body.split(";")):
        m = MEMBER.fullmatch(line)
        if m is None or m["type"] not in DTYPES:
            raise ValueError(f"{file}: struct {struct}: unknown member type in '{line.strip()}'")
        dtype, pointer, const = np.dtype(DTYPES[m["type"]]), "*" in m["pointer"], bool(m["const"])
        for text in m["names"].split(","):
            name, _, count = text.strip().rstrip("]").partition("[")
            if pointer and not count:
                raise ValueError(f"{file}: struct {struct}: pointers only in arrays, as p[8]")
            size = int(count) if count else 0
            found.append(Parameter(name, m["type"], dtype, pointer, const, 1, (), size))
    return tuple(found)


def _struct_dtype(members: tuple[Parameter, ...]) -> np.dtype[Any]:
    held = [np.dtype(np.uint64) if m.pointer else m.dtype for m in members]
    fields = [
        (m.name, dtype, (m.count,)) if m.count else (m.name, dtype)
        for m, dtype in zip(members, held, strict=True)
    ]
    return np.dtype(fields, align=True)
