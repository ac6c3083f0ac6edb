"""Compiles an unedited .cu file for the host: its text and its headers', after
kernels/emulator/cuda_words.h, which defines the CUDA words in C++, and before one entry a kernel,
linked with runtime.cpp beside it."""

import hashlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from .source import Source, kernel_folder

__all__ = ["available", "build", "cache_folder", "compiler", "translate"]

EXTRA_FLAGS: list[str] = []


@cache
def compiler() -> tuple[str, ...]:
    """The host's C++ compiler: $CXX, g++, clang++, or the ziglang wheel's."""
    named = os.environ.get("CXX")
    for words in ([shlex.split(named)] if named else []) + [["g++"], ["clang++"], ["c++"]]:
        if shutil.which(words[0]):
            return tuple(words)
    if importlib.util.find_spec("ziglang"):
        return (sys.executable, "-m", "ziglang", "c++")
    raise RuntimeError(
        "the kernel emulator needs a C++ compiler and found none: looked for $CXX, g++, clang++. "
        "Install one (Debian: apt install g++) or `pip install ziglang`"
    )


def available() -> bool:
    """True where kernels can be emulated: on Linux with a C++ compiler."""
    try:
        return sys.platform == "linux" and bool(compiler())
    except RuntimeError:
        return False


def cache_folder() -> Path:
    """Where compiled kernels are kept: $TINYGEN_CACHE, or tinygen/ in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TINYGEN_CACHE") or Path(base) / "tinygen") / "emulator"


def translate(text: str) -> str:
    """Rewrites, line for line, the two things the host's compiler cannot take: dynamic shared
    memory and inline PTX."""
    text = re.sub(
        r"extern\s+__shared__\s+(?:__align__\s*\(\s*\d+\s*\)\s*)?([\w ]+?)\s+(\w+)\s*\[\s*\]\s*;",
        r"\1* \2 = (\1*)emu_dynamic_shared();",
        text,
    )
    out, at = [], 0
    for m in re.finditer(r"\basm\s*(?:volatile\s*)?\(", text):
        end = _closing(text, m.end())
        out += [text[at : m.start()], _ptx_call(text[m.end() : end])]
        out.append("\n" * text[m.start() : end].count("\n"))
        at = end + 1
    return "".join(out) + text[at:]


def _closing(text: str, at: int) -> int:
    depth, quoted = 1, False
    while depth:
        quoted ^= text[at] == '"'
        depth += 0 if quoted else (text[at] == "(") - (text[at] == ")")
        at += 1
    return at - 1


def _ptx_call(body: str) -> str:
    """`"add.u32 %0, %1, 2;" : "=r"(d) : "r"(a)` -> `(ptx_add_u32((d), (a), 2))`."""
    body = re.sub(r"//[^\n]*", "", body)
    assembly = re.sub(r'"[^"]*"', lambda m: "s" * len(m[0]), body).split(":")[0]
    strings = re.findall(r'"([^"]*)"', body[: len(assembly)])
    operands, at, constraint = [], len(assembly), re.compile(r'"[^"]*"\s*\(')
    while m := constraint.search(body, at):
        at = _closing(body, m.end())
        operands.append(body[m.end() : at])
    calls = []
    for line in re.split(r";|\\n", "".join(strings).replace("\\t", " ")):
        if words := re.match(r"\s*([\w.]+)\s*(.*)", line.strip()):
            tokens = re.findall(r"%\d+|-?\b\d+\b", words[2])
            values = [f"({operands[int(t[1:])].strip()})" if t[0] == "%" else t for t in tokens]
            calls.append(f"ptx_{words[1].replace('.', '_')}({', '.join(values)})")
    return f"({', '.join(calls) or '0'})"


def _wrapper(source: Source, names: tuple[str, ...]) -> str:
    parts = ["", translate(source.text), '#line 1 "entries"']
    for i, name in enumerate(names):
        parameters = source.kernels[name.split("<")[0]].parameters
        types = [
            re.sub(r"\b__restrict__\b", "", p.ctype).replace("const", "").strip()
            for p in parameters
        ]
        values = ", ".join(f"*({t}*)a[{j}]" for j, t in enumerate(types))
        parts.append(f'extern "C" EMU_OUTSIDE void emu_entry_{i}(void** a) {{ {name}({values}); }}')
    return "\n".join(parts) + "\n"


def build(source: Source, names: tuple[str, ...], check: bool) -> Path:
    """The shared library of these kernels, compiled now or found in the cache by its content's
    hash."""
    if sys.platform != "linux":
        raise RuntimeError(f"the kernel emulator runs on Linux only, this is {sys.platform}")
    parts = kernel_folder() / "emulator"
    # DWARF 4: addr2line 2.40 misreads the file names of GCC's DWARF 5.
    flags = [
        "-std=c++17",
        "-O1" if check else "-O2",
        "-g1",
        "-gdwarf-4",
        "-fPIC",
        "-w",
        *EXTRA_FLAGS,
    ]
    flags += ["-DEMU_CHECK"] if check else []
    flags += [] if "clang" in _version() else ["-fno-gnu-unique"]
    runtime = _cached("runtime.cpp", ".o", (parts / "runtime.cpp").read_text(), [*flags, "-c"])
    text = (parts / "cuda_words.h").read_text() + _wrapper(source, names)
    watch = ["-fsanitize=thread"] if check else []
    link = ["-shared", "-Wl,-Bsymbolic", str(runtime)]
    return _cached(source.path.name, ".so", text, [*flags, *watch], link)


@cache
def _version() -> str:
    return subprocess.run(
        [*compiler(), "--version"], capture_output=True, text=True, check=False
    ).stdout


def _cached(
    name: str, suffix: str, text: str, flags: list[str], link: list[str] | None = None
) -> Path:
    key = hashlib.sha256(
        "\0".join([text, *compiler(), _version(), *flags, *(link or [])]).encode()
    ).hexdigest()[:24]
    found = cache_folder() / f"{Path(name).stem}-{key}{suffix}"
    if not found.exists():
        found.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=found.parent) as folder:
            (Path(folder) / "kernel.cpp").write_text(text)
            _compile(
                name,
                folder,
                [*flags, *([] if link is None else ["-c"]), "kernel.cpp", "-o", "kernel.o"],
            )
            if link is not None:  # without the sanitizer's library: its calls find runtime.cpp
                _compile(name, folder, ["kernel.o", *link, "-o", "out.so"])
            os.replace(Path(folder) / ("kernel.o" if link is None else "out.so"), found)
    return found


def _compile(name: str, folder: str, job: list[str]) -> None:
    run = subprocess.run(
        [*compiler(), *job], cwd=folder, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise RuntimeError(
            f"{name} does not compile for the emulator ({compiler()[0]}):\n{run.stderr.strip()}"
        )
