"""save and load: nested dicts and lists of tensors in one .npz, without pickle.

A file is a zip archive: one .npy entry for each array, named by where it stood ("model/0.weight"),
and the entry `structure.json`, which says how they hang together. NumPy opens it too. Loading
executes nothing, every entry carries a checksum, and a file is either the old one or the whole new
one, whenever the process dies: a temporary file beside it is written, synced and renamed over it.
"""

from __future__ import annotations

import json
import math
import operator
import os
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, TypeAlias

import numpy as np

from .backend import Array, is_numpy, move
from .backend import device as Device
from .tensor import Tensor, wrap

__all__ = ["find_nan", "load", "most_unpacked", "save", "write_atomically"]

Path: TypeAlias = "str | os.PathLike[str]"
FORMAT = 1
STRUCTURE = "structure.json"
EMPTY = 22  # bytes of an archive without entries


def save(obj: Any, path: Path) -> None:
    """Write `obj` to `path`, atomically.

    `obj`: dicts (keys: strings, numbers, None), lists and tuples of Tensors, NumPy or CuPy arrays,
    numbers, strings, bools and None, nested as you like. Tensors are saved as values: no tape.
    Raises TypeError naming what cannot be saved and where it stands; OSError if the folder or the
    disk refuses, with the previous file intact.

    >>> import os, tempfile, tinygen as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "state.npz")
    ...     tg.save({"w": tg.ones(2), "step": 7, "betas": (0.9, 0.999)}, path)
    ...     tg.load(path)
    {'w': tensor([1., 1.]), 'step': 7, 'betas': (0.9, 0.999)}
    """
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    try:
        tree = _encode(obj, "", arrays)
    except RecursionError:
        raise ValueError("save: the object contains itself, or is nested too deeply") from None
    structure = json.dumps({"tinygen": FORMAT, "tree": tree}).encode()

    def write(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(STRUCTURE), structure)
            for name, array in arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)

    write_atomically(path, write)


def load(path: Path, map_location: Device | str = "cpu") -> Any:
    """What `save` wrote to `path`, its tensors and arrays on the device `map_location`.

    Any other .npz of plain arrays gives a dict of Tensors. Every array is read straight into its
    place. Raises FileNotFoundError, or RuntimeError if the file is truncated, damaged, not an .npz,
    holds Python objects, or would unpack to far more than it is (`most_unpacked`).
    """
    where = Device(map_location)
    try:
        with open(path, "rb") as file:
            content = _read_archive(file, os.fspath(path))
    except FileNotFoundError:
        raise FileNotFoundError(f"load: there is no file {os.fspath(path)}") from None
    except OSError as error:
        raise _os_error(error, f"load: cannot read {os.fspath(path)}: {error.strerror}") from error
    structure, arrays = content
    if structure is None:
        return {name: _as_tensor(array, where) for name, array in arrays.items()}
    try:
        return _decode(structure["tree"], arrays, where)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise RuntimeError(
            f"load: {os.fspath(path)} is incomplete: its structure does not fit its arrays "
            f"({type(error).__name__}: {error})"
        ) from error


# --- files ------------------------------------------------------------------------------------


def write_atomically(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """Let `write` fill a new file and put it at `path`: afterwards `path` is all old or all new.

    OSError, which says whether something was there, where the folder or the disk refuses.
    """
    path = os.path.realpath(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(f"save: {path} is a folder or a device, not a file")
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{threading.get_native_id()}.tmp")
    try:
        with _removed_on_error(temporary):
            with open(temporary, "wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(folder)
    except OSError as error:
        kept = "the file that was there is untouched" if os.path.exists(path) else "nothing remains"
        raise _os_error(error, f"save: cannot write {path}: {error.strerror}; {kept}") from error


@contextmanager
def _removed_on_error(temporary: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):
            os.remove(temporary)
        raise


def _sync_folder(folder: str) -> None:
    """Make the new name itself durable, where the system has such a thing."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _os_error(error: OSError, message: str) -> OSError:
    """The same kind of OSError, with words that say what to do."""
    return OSError(error.errno, message)


def _read_archive(file: IO[bytes], path: str) -> tuple[Any, dict[str, np.ndarray[Any, Any]]]:
    """The structure (None if it is not our file) and the arrays of an .npz."""
    start = file.read(6)
    if not start.startswith(b"PK"):
        what = "an .npy file, which np.load reads" if start == b"\x93NUMPY" else "not an .npz file"
        raise RuntimeError(f"load: {path} is {what if start else 'an empty file'}")
    try:
        archive = zipfile.ZipFile(file)
    except Exception as error:  # zipfile has a dozen ways to say that a byte is wrong
        raise _damaged(path, error) from error
    packed = os.fstat(file.fileno()).st_size
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(entries) < len(archive.infolist()):
        raise _damaged(path, "an entry stands there twice")
    if not entries and packed > EMPTY:
        raise _damaged(path, "its directory is empty")
    unpacked = sum(entry.file_size for entry in entries.values())
    if unpacked > most_unpacked(packed):
        raise RuntimeError(
            f"load: {path} would unpack from {packed:,} to {unpacked:,} bytes, and no weights "
            "shrink so far; not loaded (np.load reads it, if that is meant)"
        )
    text = entries.pop(STRUCTURE, None)
    structure = None if text is None else _read_structure(archive, text, path)
    return structure, {
        name.removesuffix(".npy"): _read_array(archive, entry, path)
        for name, entry in entries.items()
    }


def most_unpacked(packed: int) -> int:
    """The bytes that `packed` bytes may unpack to: 20 times as many, or 256 MiB.

    >>> from tinygen.serialization import most_unpacked
    >>> most_unpacked(1000) == 2**28, most_unpacked(10**9)
    (True, 20000000000)
    """
    return max(20 * packed, 2**28)


def _read_structure(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: str) -> Any:
    try:
        text = archive.read(entry)
        structure = json.loads(text, parse_float=_finite, parse_constant=_finite)
        version = operator.index(structure["tinygen"])
    except Exception as error:
        raise _damaged(path, error) from error
    if version > FORMAT:
        raise RuntimeError(
            f"load: {path} has format {version}, this tinygen reads up to {FORMAT}; update tinygen"
        )
    return structure


def _finite(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError(f"{text} is no finite number")
    return float(text)


def _damaged(path: str, error: Exception | str) -> RuntimeError:
    return RuntimeError(
        f"load: {path} is truncated or damaged ({error}); take another copy of the file"
    )


def _read_array(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: str
) -> np.ndarray[Any, Any]:
    """One array, in one copy; nothing is allocated before its header and its size agree."""
    what = f"load: {path}: entry {entry.filename!r}"
    try:
        with archive.open(entry) as stream:
            shape, dtype = _read_header(stream)
            size = stream.tell() + math.prod(shape) * dtype.itemsize
        if size != entry.file_size and not dtype.hasobject:
            raise ValueError(f"its header announces {size:,} bytes, it has {entry.file_size:,}")
        with archive.open(entry) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            stream.read(1)  # at the end the checksum is compared
        return np.asarray(array)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise _damaged(path, error) from error
    except Exception as error:  # the header is parsed text, and can be wrong in many ways
        if str(error).startswith("Object arrays"):
            raise RuntimeError(
                f"{what} holds Python objects, which could run code when loaded; tinygen "
                "loads numbers and text only"
            ) from None
        raise RuntimeError(f"{what} is not a NumPy array ({error})") from error


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    version = np.lib.format.read_magic(stream)
    if version not in readers:
        raise ValueError(f"its .npy format is {version}")
    shape, _, dtype = readers[version](stream)
    return shape, dtype


# --- structure --------------------------------------------------------------------------------
# None, bools, integers, finite floats and strings stand for themselves, and a list for a list. All
# else is an object with one key that says what it is.


def _encode(obj: Any, path: str, arrays: dict[str, Any]) -> Any:
    if obj is None or isinstance(obj, (bool, str)) or type(obj) is int:
        return obj
    if type(obj) is float:
        return obj if math.isfinite(obj) else {"float": repr(obj)}
    if isinstance(obj, Tensor):
        tag = {"tensor": _put(obj._array, path, arrays)}
        return {**tag, "requires_grad": True} if obj.requires_grad else tag
    if isinstance(obj, np.generic):
        return {"scalar": _put(np.asarray(obj), path, arrays)}
    if isinstance(obj, np.ndarray) or type(obj).__module__.partition(".")[0] == "cupy":
        return {"array": _put(obj, path, arrays)}
    if isinstance(obj, dict):
        items = [[_key(k, path), _encode(v, f"{path}/{k}", arrays)] for k, v in obj.items()]
        return {"dict": items}
    if isinstance(obj, (list, tuple)):
        values = [_encode(v, f"{path}/{i}", arrays) for i, v in enumerate(obj)]
        return {"tuple": values} if isinstance(obj, tuple) else values
    raise TypeError(
        f"save: {path.lstrip('/') or 'the object'} is of type {type(obj).__name__}; expected "
        "Tensors, arrays, numbers, strings, bools, None, and dicts, lists and tuples of them"
    )


def _key(key: Any, path: str) -> Any:
    if key is None or isinstance(key, (str, int)) or (type(key) is float and math.isfinite(key)):
        return key
    raise TypeError(
        f"save: {path.lstrip('/') or 'the object'} has a key of type {type(key).__name__}, "
        f"{key!r}; expected strings or numbers"
    )


def _put(array: Array, path: str, arrays: dict[str, Any]) -> str:
    """Enter the array under the name of its place, made unique; returns that name."""
    if array.dtype.hasobject:
        raise TypeError(f"save: {path.lstrip('/') or 'the object'} is an array of Python objects")
    name = base = "".join(c if c.isprintable() else "_" for c in path.lstrip("/")[-200:]) or "value"
    while name in arrays:
        name = f"{base}~{len(arrays)}"
    arrays[name] = array if is_numpy(array) else move(array, "cpu")
    return name


def _decode(node: Any, arrays: dict[str, Any], where: Device) -> Any:
    if isinstance(node, list):
        return [_decode(item, arrays, where) for item in node]
    if not isinstance(node, dict):
        return node
    kind, value = next(iter(node.items()), ("", ""))
    if kind in ("tensor", "array", "scalar"):
        return _decode_array(kind, arrays[value], "requires_grad" in node, where)
    if kind == "float" and value in ("nan", "inf", "-inf"):
        return float(value)
    if kind == "tuple" and isinstance(value, list):
        return tuple(_decode(item, arrays, where) for item in value)
    if kind == "dict" and isinstance(value, list):
        return {key: _decode(item, arrays, where) for key, item in value}
    raise ValueError(f"unknown entry {json.dumps(node)[:40]}")


def _decode_array(
    kind: str, array: np.ndarray[Any, Any], requires_grad: bool, where: Device
) -> Any:
    if kind == "array":
        return move(array, where)
    if kind == "scalar" and array.ndim == 0:
        return array[()]
    value = _as_tensor(array, where)
    if kind == "tensor" and array.dtype.kind in ("f" if requires_grad else "fiub"):
        return value.requires_grad_(requires_grad)
    raise ValueError(f"a {kind} of dtype {array.dtype} and shape {array.shape}")


def _as_tensor(array: np.ndarray[Any, Any], where: Device) -> Any:
    """A Tensor where tinygen has the dtype; other arrays (text, complex) stay as they are."""
    if array.dtype.kind not in "fiub":
        return array
    return wrap(move(array.astype(array.dtype.newbyteorder("="), copy=False), where))


def find_nan(obj: Any, path: str = "") -> str | None:
    """Where in the nested state (dicts, lists, tuples) the first NaN is; None if nowhere.

    >>> import tinygen as tg
    >>> from tinygen.serialization import find_nan
    >>> find_nan({"model": {"weight": tg.tensor([1.0, float("nan")])}})
    'model.weight'
    """
    if isinstance(obj, Tensor):
        obj = obj._array
    if isinstance(obj, (dict, list, tuple)):
        items = obj.items() if isinstance(obj, dict) else enumerate(obj)
        found = (find_nan(value, f"{path}.{key}" if path else str(key)) for key, value in items)
        return next((name for name in found if name), None)
    is_float = hasattr(obj, "dtype") and obj.dtype.kind == "f"
    return path if is_float and bool(np.isnan(obj).any()) else None
