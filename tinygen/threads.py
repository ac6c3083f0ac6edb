"""Big work on several threads: NumPy lets go of Python's lock inside its loops.

Elementwise work, norms, convolutions and products are cut along the batch. BLAS has threads of its
own, but they help with products only, and spin in between on the cores that the rest wants.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue
from typing import Any

import numpy as np

from .backend import Array, is_numpy

__all__ = [
    "GRAIN", "POOL", "PRODUCTS", "channel_rows", "compute", "count", "image_sums", "in_parts",
    "matmul", "openblas", "pays", "pays_side_by_side", "pixel_sums", "side_by_side", "sum_of_parts",
    "total",
]  # fmt: skip

POOL = "tinygen"  # the name of the threads that are started here

# Grains: work of about 20 us. A thread begins some 40 us after it was handed its part.
GRAIN = 1 << 17  # numbers to add, say
PRODUCTS = 1 << 20  # multiplications of a convolution, which copies besides
MATMUL = 1 << 22  # multiplications of a bare product
HEAD_START = 2  # grains that the calling thread does until another one begins
TINY = 1 << 17  # BLAS itself stays on one thread for a product of fewer multiplications


@cache
def count() -> int:
    """The cores that this process may use, or fewer where the variables that BLAS reads say so."""
    limits = [os.environ.get(name, "") for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min([cores or 1, *(int(limit) for limit in limits if limit.isdigit())]))


class _Task:
    """A call, made by the thread that claims it first."""

    __slots__ = ("body", "args", "claimed", "done", "value", "error")

    def __init__(self, body: Callable[..., Any], args: Any) -> None:
        self.body: Any = body
        self.args = args
        self.claimed, self.done = threading.Lock(), threading.Lock()
        self.value: Any = None
        self.error: BaseException | None = None
        self.done.acquire()

    def run(self) -> None:
        if self.claimed.acquire(blocking=False):
            try:
                self.value = self.body(*self.args)
            except BaseException as error:
                self.error = error
            self.body = self.args = None  # it may lie in the queue for long, but its arrays not
            self.done.release()

    def result(self) -> Any:
        """On a busy machine nobody may have begun: better done here than waited for."""
        self.run()
        with self.done:
            if self.error is not None:
                raise self.error
            return self.value

    def withdraw(self) -> None:
        """Nobody begins it from now on, and if somebody has, it has come to its end."""
        if self.claimed.acquire(blocking=False):
            self.body = self.args = None
        else:
            with self.done:
                self.error = None  # its traceback holds the arrays


_starting = threading.Lock()


@cache
def _pool() -> SimpleQueue[_Task]:
    """A queue of tasks, and a thread for every core but one that takes them from it."""
    tasks: SimpleQueue[_Task] = SimpleQueue()

    def work() -> None:
        while True:
            tasks.get().run()

    for _ in range(count() - 1):
        threading.Thread(target=work, name=POOL, daemon=True).start()
    return tasks


def _hand_out(tasks: list[_Task]) -> None:
    with _starting:  # two threads must not start two pools
        pool = _pool()
    for task in tasks:
        pool.put(task)


def _forget() -> None:
    """A forked child has none of its parent's threads."""
    global _starting
    _starting = threading.Lock()
    _pool.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def pays(size: int, grain: int) -> bool:
    """Is it enough work to be cut?"""
    return size >= 2 * HEAD_START * grain


def in_parts(body: Callable[..., Any], *arrays: Any, grain: int = GRAIN) -> list[Any]:
    """body(*arrays), with the arrays cut into parts along dimension 0, one part a thread.

    They are all as long as arrays[0], or of length 1 and go to every part as they are. The first
    part is done by this thread, which begins at once: it is HEAD_START grains larger than the
    others. Products of matrices inside of body run on its own thread only. What the parts returned
    comes back in their order, whichever thread was first. If one raises, the others have ended or
    will not begin.
    """
    first = arrays[0]
    parts = 1
    if is_numpy(first) and first.ndim and pays(first.size, grain) and not hasattr(_side, "of"):
        parts = min(count(), len(first), first.size // grain - HEAD_START)
    with _blas_on_one_thread():
        if parts < 2:
            return [body(*arrays)]
        n = len(first)
        each = (n - HEAD_START * grain * n / first.size) / parts
        bounds = sorted({0, n, *(round(n - each * k) for k in range(1, parts))})
        cuts = [slice(a, b) for a, b in itertools.pairwise(bounds)]
        pieces = [[x if len(x) == 1 else x[cut] for x in arrays] for cut in cuts]
        others = [_Task(body, piece) for piece in pieces[1:]]
        try:
            _hand_out(others)
            return [body(*pieces[0]), *[other.result() for other in others]]
        finally:
            for other in others:
                other.withdraw()


_side = threading.local()  # has the attribute `of` on a thread that is inside of side_by_side


def side_by_side(bodies: list[Callable[[], Any]]) -> list[Any]:
    """What the bodies return. Two threads take one after the other, whichever is free.

    Nothing inside of them is cut into parts, so that no thread of the pool waits for another.
    """
    results: list[Any] = [None] * len(bodies)
    waiting = iter(enumerate(bodies))

    def side() -> None:
        _side.of = True
        try:
            for i, body in waiting:
                results[i] = body()
        finally:
            del _side.of

    with _blas_on_one_thread():
        other = _Task(side, ())
        try:
            _hand_out([other])
            side()
            other.result()
        finally:
            other.withdraw()
    return results


def pays_side_by_side(arrays: list[Array], least: int) -> bool:
    """For work on these arrays, if they have `least` numbers? From four cores on, cutting pays."""
    numbers = sum(x.size for x in arrays) if all(map(is_numpy, arrays)) else 0
    return bool(numbers >= least and 2 <= count() <= 3 and not hasattr(_side, "of"))


def sum_of_parts(body: Callable[..., Array], *arrays: Any, grain: int = GRAIN) -> Array:
    """body(*arrays), a sum over dimension 0 of the arrays: the parts' sums, added up in order."""
    total, *others = in_parts(body, *arrays, grain=grain)
    for other in others:
        total += other
    return total


def matmul(x: Array, y: Array) -> Array:
    """np.matmul, its rows (or the matrices of a batch) dealt out to the threads."""
    tiny = x.size * y.shape[-1] < TINY
    if tiny or not is_numpy(x) or x.ndim != y.ndim or x.ndim < 2:
        return np.matmul(x, y)
    out = np.empty_like(x, shape=(*x.shape[:-1], y.shape[-1]), order="C")
    grain = MATMUL // max(x.shape[-1], 1) + 1
    if x.ndim == 2:
        in_parts(lambda out, x: np.matmul(x, y, out=out), out, x, grain=grain)
    elif x.shape[:-2] == y.shape[:-2]:
        in_parts(lambda out, x, y: np.matmul(x, y, out=out), out, x, y, grain=grain)
    else:
        return np.matmul(x, y)
    return out


class _blas_on_one_thread:
    """OpenBLAS's own threads spin for 20 ms after a product, on the cores that ours want."""

    def __enter__(self) -> None:
        blas = openblas()
        self.before = blas[0]() if blas else 1
        if blas and self.before > 1:
            blas[1](1)

    def __exit__(self, *exc: object) -> None:
        if self.before > 1:
            openblas()[1](self.before)  # type: ignore[index]


@cache
def openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """The functions that get and set the number of threads of the OpenBLAS that NumPy loaded."""
    import ctypes

    try:
        with open("/proc/self/maps") as maps:
            files = {line.split(maxsplit=5)[5].strip() for line in maps if "openblas" in line}
    except OSError:
        return None
    for library in map(ctypes.CDLL, sorted(files)):
        for name in ("scipy_openblas_%s_num_threads64_", "scipy_openblas_%s_num_threads",
                     "openblas_%s_num_threads64_", "openblas_%s_num_threads"):  # fmt: skip
            if hasattr(library, name % "set"):
                return getattr(library, name % "get"), getattr(library, name % "set")
    return None


def compute(ufunc: Callable[..., Any], x: Array, y: Array) -> Array:
    """ufunc(x, y), on several threads where x and y are large and of one dtype."""
    like = x if getattr(x, "size", 0) >= getattr(y, "size", 0) else y
    if not pays(getattr(like, "size", 0), GRAIN) or not is_numpy(like) or not _fits(x, y, like):
        return ufunc(x, y)
    out = np.empty_like(like)
    x, y = (np.reshape(z, (1,) * (like.ndim - np.ndim(z)) + np.shape(z)) for z in (x, y))
    in_parts(lambda out, x, y: ufunc(x, y, out=out, dtype=out.dtype), out, x, y)
    return out


def _fits(x: Array, y: Array, like: Array) -> bool:
    """Is the result of like's shape and dtype?"""
    for z in (x, y):
        if isinstance(z, np.ndarray):
            if z.dtype != like.dtype:
                return False
        elif z.__class__ is not float and z.__class__ is not int:
            return False
    shapes = [z.shape for z in (x, y) if isinstance(z, np.ndarray)]
    return bool(like.dtype.kind == "f" and np.broadcast_shapes(*shapes) == like.shape)


def channel_rows(x: Array) -> Array:
    """(N, C, ...) as (N, pixels, C): a view of an image that lies channels-last."""
    last = x.transpose(0, *range(2, x.ndim), 1)
    return last.reshape(len(x), -1, x.shape[1]) if x.size else last.reshape(len(x), 0, x.shape[1])


def pixel_sums(rows: Array) -> Array:
    """(N, P, C) -> (N, 1, C) by a product with a row of ones: BLAS is 8 times faster than sum."""
    return np.ones_like(rows, shape=(1, rows.shape[1]), order="C") @ rows


def image_sums(rows: Array) -> Array:
    """pixel_sums, the images dealt out to the threads."""
    sums = np.empty_like(rows, shape=(len(rows), 1, rows.shape[2]), order="C")

    def body(rows: Array, sums: Array) -> None:
        sums[...] = pixel_sums(rows)

    in_parts(body, rows, sums)
    return sums


def total(x: Array, dims: tuple[int, ...], keepdims: bool) -> Array:
    """np.sum; for the pixels of a channels-last image, of the batch too, by pixel_sums.

    float16 adds up in float32.
    """
    if x.dtype == np.float16:
        return x.sum(axis=dims, dtype=np.float32, keepdims=keepdims).astype(x.dtype)
    if dims[-2:] != (2, 3) or dims[:-2] not in ((), (0,)) or not _is_image(x):
        return x.sum(axis=dims, keepdims=keepdims)
    sums = image_sums(channel_rows(x))[:, 0, :]
    sums = sums if len(dims) == 2 else np.sum(sums, 0, keepdims=keepdims)
    return sums[..., None, None] if keepdims else sums


def _is_image(x: Array) -> bool:
    """Floating (N, C, H, W) in memory (N, H, W, C)."""
    return bool(x.ndim == 4 and x.dtype.kind == "f" and x.transpose(0, 2, 3, 1).flags.c_contiguous)
