"""One process at a time in a run's folder.

The lock is the system's (flock): it ends with the process, however that ends, so the file `.lock`
that a crash or a power cut leaves behind locks nothing. What the file says is for people. Where the
system or the file system has no such locks (Windows, some network folders), nothing is locked.
"""

from __future__ import annotations

import os
import socket
import time
import weakref
from contextlib import suppress
from pathlib import Path

__all__ = ["Lock", "hold"]

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

_NAME = ".lock"
_held: weakref.WeakValueDictionary[tuple[int, int], Lock] = weakref.WeakValueDictionary()


class Lock:
    """This process's hold on a folder, until release() or the end of the last one who keeps it."""

    def __init__(self, folder: Path) -> None:
        """Raises RuntimeError, which says who has the folder."""
        self._descriptor = _open_locked(folder)
        os.truncate(self._descriptor, 0)
        os.write(self._descriptor, _myself().encode())
        self.release = weakref.finalize(self, _release, folder, self._descriptor, os.getpid())

    def is_in(self, folder: Path) -> bool:
        """Is it still this folder that is locked? Not if it was removed, or moved away."""
        return _is_at(self._descriptor, folder / _NAME)


def hold(folder: Path) -> Lock:
    """Lock the folder; one lock serves all Runs of this process (a notebook).

    RuntimeError, which says who, where another process holds it.
    """
    status = folder.stat()
    key = status.st_dev, status.st_ino
    lock = _held.get(key)
    if lock is None or not lock.is_in(folder):
        lock = _held[key] = Lock(folder)
    return lock


def _open_locked(folder: Path) -> int:
    path = folder / _NAME
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor)
        except BlockingIOError:
            holder = os.read(descriptor, 500).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise RuntimeError(
                f"Run: {folder} is in use: {holder} trains in it, and two runs would mix their "
                "weights and logs. Wait for that one or stop it, or take another folder"
            ) from None
        if _is_at(descriptor, path):  # else its holder has just removed it
            return descriptor
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        return


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _release(folder: Path, descriptor: int, pid: int) -> None:
    if os.getpid() != pid:  # a forked child has it too, and leaves it alone
        return
    if _is_at(descriptor, folder / _NAME):
        with suppress(OSError):
            (folder / _NAME).unlink()
    os.close(descriptor)


def _myself() -> str:
    now = time.strftime("%Y-%m-%d %H:%M:%S %z")
    return f"process {os.getpid()} on {socket.gethostname()}, since {now},"
