"""Where the arrays live: NumPy or CuPy, devices, dtypes and random generators.

Everything above this file computes with `np.` functions. NumPy's dispatch protocol sends them to
CuPy when the array is a CuPy array, so an op is written once and runs on both. What the protocol
cannot reach (creating arrays, moving them, drawing numbers) is here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from .checks import integers

__all__ = [
    "Array", "DType", "Generator", "INSTALL", "as_dtype", "bool_", "create", "cupy",
    "cupy_packages", "default_generator", "device", "device_of", "empty_channels_last", "float16",
    "float32", "float64", "get_default_dtype", "get_rng_state", "int16", "int32", "int64", "int8",
    "is_numpy", "manual_seed", "module_for", "module_of", "move", "out_of_memory", "problem",
    "refuse", "set_default_dtype", "set_rng_state", "settle", "uint8",
]  # fmt: skip

Array: TypeAlias = Any  # numpy.ndarray or cupy.ndarray; static types cannot tell them apart
DType: TypeAlias = "np.dtype[Any]"

float16, float32, float64 = np.dtype("float16"), np.dtype("float32"), np.dtype("float64")
int8, int16, int32, int64 = (np.dtype(name) for name in ("int8", "int16", "int32", "int64"))
uint8, bool_ = np.dtype("uint8"), np.dtype("bool")
DTYPES = (float16, float32, float64, int8, int16, int32, int64, uint8, bool_)


def as_dtype(dtype: Any) -> DType:
    """The dtype that `dtype` is or names; TypeError for one that tinygen has not.

    >>> from tinygen.backend import as_dtype
    >>> as_dtype("float64")
    dtype('float64')
    """
    try:
        return DTYPES[DTYPES.index(np.dtype(dtype))]
    except (TypeError, ValueError):
        raise TypeError(
            f"expected a dtype, one of {', '.join(map(str, DTYPES))}, got {dtype!r} (a device is "
            "'cpu' or 'cuda')"
        ) from None


class _Default:
    """The process-wide default floating-point dtype, as in PyTorch."""

    dtype: DType = float32


def get_default_dtype() -> DType:
    """The dtype of a tensor made from Python floats; float32 unless it was set. As PyTorch's."""
    return _Default.dtype


def set_default_dtype(dtype: Any) -> None:
    """Make `dtype` (float16, float32 or float64) the dtype of tensors made from Python floats.

    As PyTorch's; TypeError for another dtype.
    """
    dtype = as_dtype(dtype)
    if dtype.kind != "f":
        raise TypeError(f"set_default_dtype: {dtype} is not a floating-point dtype")
    _Default.dtype = dtype


class device:
    """`device("cpu")` or `device("cuda")`; equal to its own name: `x.device == "cpu"`.

    "cuda:0" is accepted and means "cuda": tinygen drives one GPU, the process's first visible one.

    RuntimeError for another name.

    >>> import tinygen as tg
    >>> tg.device("cuda:0"), tg.zeros(1).device == "cpu"
    (device(type='cuda'), True)
    """

    __slots__ = ("type",)

    def __init__(self, name: str | device = "cpu") -> None:
        kind = name.type if isinstance(name, device) else name
        if kind == "cuda:0":
            kind = "cuda"
        if kind not in ("cpu", "cuda"):
            raise RuntimeError(f"device: expected 'cpu' or 'cuda' (one GPU), got {name!r}")
        self.type: str = kind

    @property
    def index(self) -> int | None:
        """0 for "cuda", None for "cpu"."""
        return 0 if self.type == "cuda" else None

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            other = device(other)
        return isinstance(other, device) and self.type == other.type

    def __hash__(self) -> int:
        return hash(self.type)

    def __repr__(self) -> str:
        return f"device(type='{self.type}')"

    def __str__(self) -> str:
        return self.type


CPU, CUDA = device("cpu"), device("cuda")


INSTALL = "pip install 'tinygen[cuda12]' (or [cuda13], to match the driver)"


def cupy_packages() -> list[str]:
    """The installed CuPy packages with their versions, of which there may be one."""
    import importlib.metadata

    found = []
    for name in ("cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x", "cupy"):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def problem() -> str:
    """Why there is no usable GPU, in one line; empty when there is one."""
    packages = cupy_packages()
    if len(packages) > 1:
        return (
            f"{' and '.join(packages)} are both installed and exclude each other: "
            "uninstall all but one"
        )
    try:
        import cupy as cp  # type: ignore[import-not-found,unused-ignore]
    except ImportError as e:
        return (
            f"CuPy is not installed: {INSTALL}"
            if not packages
            else f"{packages[0]} does not import: {e}"
        )
    try:
        count = cp.cuda.runtime.getDeviceCount()
    except RuntimeError as e:  # CUDARuntimeError, whose text starts with the CUDA error's name
        return _driver_problem(cp, str(e))
    return "" if count else "no usable GPU: the driver shows no device"


def _driver_problem(cp: Any, error: str) -> str:
    try:
        driver = cp.cuda.runtime.driverGetVersion()
        runtime = cp.cuda.runtime.runtimeGetVersion()
    except RuntimeError:
        driver = runtime = 0
    if not driver:
        return f"no usable GPU: driver not found ({error})"
    return (
        f"no usable GPU: driver supports CUDA {_version(driver)}, {cupy_packages()[0]} needs "
        f"{_version(runtime)} ({error})"
    )


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def cupy() -> Any:
    """The CuPy module, or a RuntimeError that says what is missing and what to install."""
    if problem():
        raise RuntimeError(f"device 'cuda': {problem()}")
    import cupy as cp

    return cp


def out_of_memory(error: MemoryError) -> RuntimeError:
    """The error in words: how much was asked for and, on a GPU, how much is free."""
    asked = re.search(r"allocating ([\d,]+) bytes", str(error))
    if asked is None or "cupy" not in sys.modules:
        return RuntimeError(f"out of memory: {error}")
    cp, size = sys.modules["cupy"], int(asked[1].replace(",", ""))
    free, total = cp.cuda.runtime.memGetInfo()
    pool = cp.get_default_memory_pool().free_bytes()
    return RuntimeError(
        f"out of GPU memory: asked for {size / 2**20:,.1f} MiB; {free / 2**20:,.1f} MiB of "
        f"{total / 2**20:,.1f} MiB are free on the GPU and {pool / 2**20:,.1f} MiB in CuPy's pool, "
        "in pieces. Use a smaller batch"
    )


def is_numpy(array: Array) -> bool:
    """Is the array NumPy's, so on the CPU?"""
    return isinstance(array, np.ndarray)


def device_of(array: Array) -> device:
    """The device that the array is on."""
    return CPU if isinstance(array, np.ndarray) else CUDA


def module_of(array: Array) -> Any:
    """numpy or cupy, whichever made `array`."""
    return np if isinstance(array, np.ndarray) else sys.modules["cupy"]


def module_for(where: device | str | None) -> Any:
    """numpy for the CPU (and for None), cupy for the GPU."""
    return np if where is None or device(where) == CPU else cupy()


def move(array: Array, where: device | str) -> Array:
    """`array` on the device `where`; the array itself when it is there already, else a copy."""
    if device_of(array) == where:
        return array
    return create("asarray", "cuda", array) if isinstance(array, np.ndarray) else array.get()


def create(function: str, where: device | str | None, *args: Any, **kwargs: Any) -> Array:
    """numpy.zeros, numpy.full, ... by its name, on the device `where`.

    RuntimeError, which says what was free, where the memory does not suffice.

    >>> from tinygen.backend import create
    >>> create("full", "cpu", (2,), 7.0).tolist()
    [7.0, 7.0]
    """
    module = module_for(where)
    try:
        return getattr(module, function)(*args, **kwargs)
    except MemoryError as error:
        raise out_of_memory(error) from error


def empty_channels_last(shape: tuple[int, ...], dtype: Any) -> Array:
    """A new array (A, C, *rest) whose memory is (A, *rest, C), as that of images and of kernels.

    It is no view: a gradient that is one would be copied before it is kept (autograd.py).

    >>> import numpy as np
    >>> from tinygen.backend import empty_channels_last
    >>> empty_channels_last((2, 3, 4, 5), np.float32).strides  # bytes: channels lie side by side
    (240, 4, 60, 12)
    """
    small = np.empty((2,) * len(shape), dtype)  # whose order of strides is taken over
    return np.empty_like(small.transpose(0, -1, *range(1, len(shape) - 1)), shape=shape)


_open: list[tuple[Array, Callable[[], Exception]]] = []
MOST_OPEN = 64


def refuse(bad: Any, complaint: Callable[[], Exception]) -> None:
    """Raise complaint() if `bad`, one truth value; on a GPU, when it is known.

    To look at a number is to wait for the GPU, which then waits for us: so "is an index out of
    bounds?" is only asked there, and answered when the program reads a number anyway, by item(),
    cpu(), numpy() or synchronize(). Until then CuPy has wrapped the index around. (PyTorch's
    assertions on a GPU are late in the same way.) `complaint` should hold on to no large array.
    """
    if not isinstance(bad, (bool, np.bool_, np.ndarray)):
        _open.append((bad, complaint))
        if len(_open) > MOST_OPEN:
            settle()
    elif bad:
        raise complaint()


def settle() -> None:
    """Raise the first complaint that is open, after what the GPU was given is done."""
    while _open:
        bad, complaint = _open.pop(0)
        if bad:
            _open.clear()
            error = complaint()
            error.add_note("On a GPU this is noticed late: an earlier line is the cause.")
            raise error


class Generator:
    """A stream of random numbers with a state that can be saved (PCG64 on the host).

    Numbers are drawn on the CPU and moved, so a seed gives the same numbers on every device, and a
    run that was saved on one device goes on with the same noise on the other.

    >>> import tinygen as tg
    >>> generator = tg.Generator().manual_seed(0)
    >>> state, x = generator.get_state(), tg.randn(3, generator=generator)
    >>> generator.set_state(state)
    >>> bool((tg.randn(3, generator=generator) == x).all())
    True
    """

    def __init__(self, device: device | str = "cpu") -> None:  # noqa: A002  (PyTorch's name)
        self.device = globals()["device"](device)
        self.manual_seed(0)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream that belongs to `seed` (an integer >= 0) and return the generator."""
        integers("manual_seed", 0, seed=seed)
        self._seed = int(seed)
        self.numpy = np.random.Generator(np.random.PCG64(self._seed))
        return self

    def initial_seed(self) -> int:
        """The seed that the stream began with."""
        return self._seed

    def seed(self) -> int:
        """Seed from the operating system's entropy; returns the seed."""
        fresh = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
        return self.manual_seed(fresh).initial_seed()

    def get_state(self) -> dict[str, Any]:
        """The whole state as plain numbers and strings, ready for JSON."""
        return {"seed": self._seed, "bit_generator": self.numpy.bit_generator.state}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take up what `get_state` returned; ValueError for anything else."""
        try:
            self.numpy.bit_generator.state = state["bit_generator"]
            self._seed = int(state["seed"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"Generator.set_state: not a state of get_state(): {error}") from error


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, which every random function uses unless it is given another.

    Returns it. The numbers are not PyTorch's.

    >>> import tinygen as tg
    >>> first = (tg.manual_seed(0), tg.rand(2))[1]
    >>> bool((first == (tg.manual_seed(0), tg.rand(2))[1]).all())
    True
    """
    return default_generator.manual_seed(seed)


def get_rng_state() -> dict[str, Any]:
    """The state of the default generator, ready for JSON. (PyTorch's is a tensor.)"""
    return default_generator.get_state()


def set_rng_state(state: dict[str, Any]) -> None:
    """Set the state of the default generator to one that `get_rng_state` returned."""
    default_generator.set_state(state)


def _keep_freed_memory() -> None:
    """Let glibc keep big freed blocks instead of handing their pages back to the kernel.

    A training step allocates the same big temporaries again and again; by default glibc maps and
    unmaps each one over 32 MiB (and trims the heap), and the page faults cost 30-45 % of a step.
    Elsewhere than glibc nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "gnu_get_libc_version"):
        trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, 1 << 30)


_keep_freed_memory()
