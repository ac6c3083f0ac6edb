"""Readers of image files: IDX (the MNIST family) and CIFAR-10's binary records, gzip or plain.

IDX, big-endian: two zero bytes, one byte for the element type, one for the number of dimensions
d, then d four-byte sizes, then the elements in C order. A CIFAR-10 record is one label byte
and 3,072 pixel bytes, the channels red, green and blue one after the other.

Whether a file is compressed is seen from its first two bytes, never from its name. Every fault is
a ValueError that names the file, what it holds and what was expected.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..serialization import most_unpacked

__all__ = [
    "PathLike", "idx_size", "parse_cifar10", "parse_idx", "read_bytes", "read_cifar10", "read_idx",
    "write_idx",
]  # fmt: skip

PathLike = str | os.PathLike[str]

_GZIP = b"\x1f\x8b"
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_DIMENSIONS = 64  # of a NumPy array
_HEAD = 4 + 4 * _MOST_DIMENSIONS  # bytes
_CHUNK = 1 << 20
_CIFAR_RECORD = 1 + 3 * 32 * 32


def read_bytes(
    path: PathLike, announced: Callable[[bytearray, PathLike], int] | None = None
) -> bytearray:
    """The bytes of a file, unpacked if it is gzip.

    announced(head, path) says how many there should be: from the head, before the rest is read, of
    which at most one byte more is. Raises ValueError when the gzip is damaged, or would unpack to
    far more than it is.
    """
    packed = os.path.getsize(path)
    with open(path, "rb") as raw:
        is_gzip = raw.read(2) == _GZIP
        raw.seek(0)
        file: Any = gzip.GzipFile(fileobj=raw) if is_gzip else raw
        most = most_unpacked(packed) if is_gzip else packed
        try:
            content = bytearray(file.read(_HEAD))
            size = most if announced is None else announced(content, path)
            if is_gzip and size > most:
                raise ValueError(_too_far(path, packed, size))
            while len(content) <= size:
                chunk = file.read(min(_CHUNK, size + 1 - len(content)))
                if not chunk:
                    break
                content += chunk
        except EOFError as error:
            raise ValueError(
                f"{path}: truncated gzip file ({packed:,} bytes); fetch it again"
            ) from error
        except (OSError, zlib.error) as error:
            raise ValueError(f"{path}: damaged gzip file ({error}); fetch it again") from error
    if is_gzip and len(content) > most:
        raise ValueError(_too_far(path, packed, len(content)))
    return content


def _too_far(path: PathLike, packed: int, unpacked: int) -> str:
    return (
        f"{path}: {packed:,} bytes of gzip that unpack to {unpacked:,} or more, and no images "
        "shrink so far; not read"
    )


def idx_size(head: bytearray, name: PathLike) -> int:
    """The bytes that a whole IDX file has, by its header; ValueError if that is none."""
    shape, dtype, start = _idx_header(head, name)
    return start + math.prod(shape) * dtype.itemsize


def parse_idx(content: bytearray, name: PathLike) -> np.ndarray[Any, Any]:
    """The array in the bytes of an IDX file; `name` is what an error calls it.

    ValueError for a wrong magic number, and for more or fewer bytes than the header announces.
    """
    shape, dtype, start = _idx_header(content, name)
    expected, found = idx_size(content, name), len(content)
    if found != expected:
        fault = "truncated IDX file" if found < expected else "IDX file with bytes to spare"
        raise ValueError(
            f"{name}: {fault}: its header announces {shape} {dtype.name}, {expected:,} bytes "
            f"in all, and it has {found:,}{' or more' if found > expected else ''}; fetch it again"
        )
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _idx_header(content: bytearray, name: PathLike) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """(shape, dtype, where the elements begin)."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise ValueError(
            f"{name}: wrong magic number {bytes(content[:4]).hex(' ') or '(empty file)'}; an IDX "
            "file begins 00 00, a type (08 for uint8), the number of dimensions"
        )
    if content[3] > _MOST_DIMENSIONS:
        raise ValueError(
            f"{name}: an IDX file of {content[3]} dimensions; expected at most {_MOST_DIMENSIONS}"
        )
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise ValueError(f"{name}: truncated IDX file: it ends within its {start}-byte header")
    return (
        struct.unpack(f">{content[3]}I", content[4:start]),
        np.dtype(_IDX_TYPES[content[2]]),
        start,
    )


def read_idx(path: PathLike) -> np.ndarray[Any, Any]:
    """The array in an IDX file, gzip or plain, in native byte order.

    Raises ValueError on a wrong magic number, a truncated file, bytes to spare or damaged gzip.
    """
    return parse_idx(read_bytes(path, idx_size), path)


def write_idx(path: PathLike, array: Any) -> None:
    """Write `array` as IDX, gzipped if `path` ends in .gz; the inverse of `read_idx`.

    Raises TypeError when IDX has no type for its elements (uint8, int8, int16, int32, float32
    and float64 it has).

    >>> import os, tempfile, numpy as np, tinygen as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "images.gz")
    ...     tg.data.write_idx(path, np.zeros((2, 28, 28), np.uint8))
    ...     tg.data.read_idx(path).shape
    (2, 28, 28)
    """
    array = np.asarray(array)
    codes = {np.dtype(dtype).newbyteorder("="): code for code, dtype in _IDX_TYPES.items()}
    if array.dtype.newbyteorder("=") not in codes:
        raise TypeError(
            f"write_idx: IDX has no {array.dtype} (it has {', '.join(map(str, codes))})"
        )
    code = codes[array.dtype.newbyteorder("=")]
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    content = header + array.astype(_IDX_TYPES[code]).tobytes()
    Path(path).write_bytes(gzip.compress(content) if str(path).endswith(".gz") else content)


def parse_cifar10(
    content: bytearray, name: PathLike
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(images (N, 3, 32, 32), labels (N,)), uint8, in the bytes of one CIFAR-10 binary batch.

    ValueError, about `name`, when the size is not a whole number of records or a label is above 9.
    """
    if len(content) == 0 or len(content) % _CIFAR_RECORD:
        raise ValueError(
            f"{name}: truncated, or not a CIFAR-10 binary batch: {len(content):,} bytes are not a "
            f"whole number of {_CIFAR_RECORD}-byte records"
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, _CIFAR_RECORD)
    labels = records[:, 0].copy()
    if labels.max() > 9:
        raise ValueError(
            f"{name}: not a CIFAR-10 binary batch: record {int(np.argmax(labels > 9))} has label "
            f"{labels[labels > 9][0]}, and the labels are 0..9"
        )
    return records[:, 1:].reshape(-1, 3, 32, 32), labels


def read_cifar10(path: PathLike) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(images (N, 3, 32, 32), labels (N,)), uint8, of one CIFAR-10 binary batch, gzip or plain.

    Pixels are in 0..255. ValueError when the size is not a whole number of records or a label is
    above 9.
    """
    return parse_cifar10(read_bytes(path), path)
