"""A run's folder: is it usable, what does it hold from before, its config.json and log.jsonl."""

from __future__ import annotations

import errno
import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..backend import default_generator
from ..serialization import write_atomically

__all__ = [
    "Log", "cannot", "changes", "move_aside", "prepare", "record",
    "remove_temporaries", "write_record",
]  # fmt: skip


def cannot(what: str, path: Path, error: OSError) -> OSError:
    """The same kind of OSError, which says what could not be done and where."""
    return OSError(error.errno, f"Run: cannot {what} {path}: {error.strerror}")


def prepare(folder: Path) -> None:
    """Make the folder; OSError where it cannot be used.

    That is better known now than at the first checkpoint.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise cannot("use the folder", folder, error) from error


def move_aside(folder: Path) -> Path:
    """Rename the folder to the first of folder.1, folder.2, ... that is free; make it anew.

    Returns where it is now; OSError where that cannot be done.
    """
    folder, k = folder.resolve(), 1
    while (aside := folder.with_name(f"{folder.name}.{k}")).exists():
        k += 1
    try:
        folder.rename(aside)
        folder.mkdir()
    except OSError as error:
        raise cannot("move aside the run in", folder, error) from error
    return aside


def remove_temporaries(folder: Path) -> None:
    """What a process left that was killed while it wrote."""
    for stale in folder.glob(".*.tmp"):
        with suppress(OSError):
            stale.unlink()


def record(config: Any) -> dict[str, Any]:
    """What goes into config.json, as JSON gives it back: config, seed, versions, command.

    config: a mapping, or an object with attributes (argparse, a dataclass), or None.
    """
    if config is not None and not isinstance(config, Mapping):
        config = vars(config)
    content = {
        "config": dict(config or {}),
        "seed": default_generator.initial_seed(),
        "versions": _versions(),
        "command": sys.argv,
    }
    return json.loads(json.dumps(content, default=str))  # type: ignore[no-any-return]


def _versions() -> dict[str, str]:
    try:
        tinygen = version("tinygen")
    except PackageNotFoundError:
        tinygen = "not installed"
    return {"python": platform.python_version(), "numpy": np.__version__, "tinygen": tinygen}


def write_record(folder: Path, content: dict[str, Any]) -> None:
    """Write config.json, all or nothing."""

    def write(file: IO[bytes]) -> None:
        file.write(json.dumps(content, indent=2).encode() + b"\n")

    write_atomically(folder / "config.json", write)


def changes(folder: Path, now: dict[str, Any]) -> Iterator[str]:
    """One line for each part of the configuration that is not as config.json has it.

    `resume` itself does not count, nor does a config.json that cannot be read.
    """
    with suppress(OSError, ValueError, KeyError):
        before = json.loads((folder / "config.json").read_text())
        for part in ("config", "versions"):
            old, new, nothing = before[part], now[part], "not given"
            for key in {**old, **new}:
                a, b = old.get(key, nothing), new.get(key, nothing)
                if a != b and key != "resume":
                    yield f"{key}: {a} then, {b} now"


class Log:
    """log.jsonl: one JSON object a line, appended; OSError where it cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log.jsonl"
        try:
            self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise cannot("write", self._path, error) from error

    def cut(self, size: int) -> None:
        """Leave at most `size` bytes, so that no step stands twice."""
        try:
            self._file.truncate(min(size, self.size()))
        except OSError as error:
            raise cannot("write", self._path, error) from error

    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._file.fileno()).st_size

    def is_there(self) -> bool:
        """Is the file still in the folder? What is written to one that is not is lost."""
        try:
            return os.path.samestat(os.fstat(self._file.fileno()), self._path.stat())
        except OSError:
            return False

    def write(self, row: dict[str, Any]) -> None:
        """Append the row as one write, so that a killed process leaves whole lines."""
        line = json.dumps(row).encode() + b"\n"
        try:
            if self._file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise cannot("write", self._path, error) from error

    def sync(self) -> None:
        """Wait until the disk has it."""
        os.fsync(self._file.fileno())
