"""A slow tensor library that is obviously right: what the fuzzer holds the engine against.

A Slow tensor is a storage and the places in it where its elements stand, read anew at each use. It
knows no vjps. Beside each number lie its derivatives with respect to every element of every leaf,
and an op moves them forward by central differences of its NumPy function in float64. What is
shared, and what is not, follows from three rules:

- A view has its base's storage and its base's derivatives. A change in place writes both.
- detach() has the storage, and derivatives of its own, 0 so far.
- In no_grad mode a change writes the numbers only, and what is computed has no derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..backend import Array

__all__ = ["EPS", "Family", "Refused", "Slow", "SlowTensor", "Storage"]

EPS = 1e-6


class Refused(RuntimeError):
    """What PyTorch refuses: an op that cannot be right."""


class Storage:
    """Numbers, how often they were changed, and whether they lie in C order beyond doubt."""

    def __init__(self, numbers: Array, plain: bool = True) -> None:
        self.numbers, self.version, self.plain = numbers, 0, plain


class Family:
    """A base and its views: their derivatives, by place in the storage, and how they came about."""

    def __init__(self, leaf: bool = False) -> None:
        self.derivatives: Array | None = None  # (places, leaf elements); None: requires no gradient
        self.leaf, self.writes = leaf, 0
        self.read: set[tuple[Storage, int]] = set()  # what was read and written, at which version
        self.ops: set[int] = set()


class Slow:
    """One world of Slow tensors: its leaves, its mode, and what backward() has freed."""

    def __init__(self, elements: int) -> None:
        self.elements, self.taken, self.ops = elements, 0, 0
        self.recording, self.freed = True, set[int]()
        self.leaves: list[SlowTensor] = []
        self.excuses: set[str] = set()  # for which the last backward() may be refused

    def leaf(self, values: Array, requires_grad: bool) -> SlowTensor:
        """A tensor made by the user. All leaves together have `elements` elements."""
        family = Family(leaf=requires_grad)
        if requires_grad:
            derivatives = np.zeros((values.size, self.elements))
            here = slice(self.taken, self.taken + values.size)
            derivatives[:, here] = np.eye(values.size)
            family.derivatives = derivatives
        x = SlowTensor(self, Storage(values.astype(np.float64).reshape(-1)), _places(values.shape),
                       family, values.dtype)  # fmt: skip
        if requires_grad:
            x.columns = slice(self.taken, self.taken + values.size)
            self.leaves.append(x)
        self.taken += values.size if requires_grad else 0
        return x

    @contextmanager
    def no_grad(self) -> Iterator[None]:
        before, self.recording = self.recording, False
        try:
            yield
        finally:
            self.recording = before

    def apply(self, f: Callable[..., Array], *xs: SlowTensor) -> SlowTensor:
        """f of the numbers, as a tensor with a storage of its own."""
        numbers, derivatives = self.pushed(f, *xs)
        plain = all(x.in_order() for x in xs)
        family = Family()
        out = SlowTensor(self, Storage(_rounded(numbers, xs[0].dtype).reshape(-1), plain),
                         _places(numbers.shape), family, xs[0].dtype)  # fmt: skip
        if derivatives is not None:
            family.derivatives = derivatives.reshape(numbers.size, self.elements)
            self.note(family, out, *xs)
        return out

    def pushed(self, f: Callable[..., Array], *xs: SlowTensor) -> tuple[Array, Array | None]:
        """f of the numbers and, while recording, its derivatives along those of xs."""
        numbers = [x.numbers() for x in xs]
        result = np.asarray(f(*numbers))
        if not self.recording or not any(x.requires_grad for x in xs):
            return result, None
        for x in xs:
            x.refuse_if_fixed()
        along = [x.derivatives() for x in xs]
        out = np.zeros((*result.shape, self.elements))
        for k in range(self.elements):
            step = max([float(np.abs(d[..., k]).max(initial=0)) for d in along])
            if step > 0:
                e = EPS / step
                up = f(*(x + e * d[..., k] for x, d in zip(numbers, along, strict=True)))
                down = f(*(x - e * d[..., k] for x, d in zip(numbers, along, strict=True)))
                out[..., k] = (up - down) / (2 * e)
        return result, out

    def note(self, family: Family, *xs: SlowTensor) -> None:
        """The family's history is longer by an op that read or wrote xs."""
        self.ops += 1
        family.ops = family.ops.union({self.ops}, *(x.family.ops for x in xs))
        family.read = family.read.union(*(x.family.read for x in xs))
        family.read |= {(x.storage, x.storage.version) for x in xs}

    def cat(self, xs: Sequence[SlowTensor], dim: int) -> SlowTensor:
        return self.apply(lambda *a: np.concatenate(a, axis=dim), *xs)

    def stack(self, xs: Sequence[SlowTensor], dim: int) -> SlowTensor:
        return self.apply(lambda *a: np.stack(a, axis=dim), *xs)

    def maximum(self, x: SlowTensor, y: SlowTensor) -> SlowTensor:
        return self.apply(np.maximum, x, y)


class SlowTensor:
    """Places in a storage. Its methods are those that the fuzzer's programs call."""

    def __init__(
        self, world: Slow, storage: Storage, places: Array, family: Family, dtype: Any,
        fixed: bool = False,
    ) -> None:  # fmt: skip
        self.world, self.storage, self.places, self.family = world, storage, places, family
        self.dtype, self.fixed, self.writes = dtype, fixed, family.writes
        self.expanded = False  # a view of memory that is repeated
        self.lone = fixed and not world.recording  # a view from no_grad mode: it is a constant
        self.columns = slice(0)
        self.grad = np.zeros(places.shape)

    shape = property(lambda self: self.places.shape)
    ndim = property(lambda self: self.places.ndim)

    @property
    def requires_grad(self) -> bool:
        if self.lone and self.writes == self.family.writes:
            return False
        return self.family.derivatives is not None

    def numbers(self) -> Array:
        return self.storage.numbers[self.places]

    def derivatives(self) -> Array:
        if not self.requires_grad:
            return np.zeros((*self.shape, self.world.elements))
        return self.family.derivatives[self.places]  # type: ignore[index]

    def in_order(self) -> bool:
        """Does it surely lie in C order, whichever library computed it?"""
        ordered = self.places - self.places.min(initial=len(self.storage.numbers))
        return self.storage.plain and bool((ordered == _places(self.shape)).all())

    # --- views

    def view(self, places: Array, fixed: bool = False) -> SlowTensor:
        if self.world.recording:
            self.refuse_if_fixed()
        fixed = fixed or self.fixed or not self.world.recording
        out = SlowTensor(self.world, self.storage, places, self.family, self.dtype, fixed)
        out.lone |= self.lone
        out.expanded = self.expanded or places.size > len(np.unique(places))
        return out

    def __getitem__(self, index: Any) -> SlowTensor:
        if isinstance(index, list) or isinstance(index, tuple) and list in map(type, index):
            return self.world.apply(lambda x: x[index], self)
        return self.view(self.places[index])

    def reshape(self, *shape: int) -> Any:
        """A view where its places are evenly spaced along each dimension, else a copy."""
        places = self.places.reshape(shape)
        if _evenly_spaced(places):
            return self.view(places)
        out = self.op(lambda x: x.reshape(shape))
        out.storage.plain = True
        return out

    def permute(self, *dims: int) -> SlowTensor:
        return self.view(self.places.transpose(dims))

    def expand(self, *shape: int) -> SlowTensor:
        return self.view(np.broadcast_to(self.places, shape))

    def split(self, size: int, dim: int) -> list[SlowTensor]:
        cuts = range(size, self.shape[dim], size)
        return [self.view(p, fixed=True) for p in np.split(self.places, list(cuts), dim)]

    def unbind(self, dim: int) -> list[SlowTensor]:
        return [self.view(p, fixed=True) for p in np.moveaxis(self.places, dim, 0)]

    def detach(self) -> SlowTensor:
        out = SlowTensor(self.world, self.storage, self.places, Family(), self.dtype)
        out.expanded = self.expanded
        return out

    def contiguous(self) -> Any:
        return self if self.in_order() else self.reshape(-1).op(np.copy).reshape(*self.shape)

    squeeze = lambda self: self.view(self.places.squeeze())
    unsqueeze = lambda self, dim: self.view(np.expand_dims(self.places, dim))
    flatten = lambda self: self.reshape(-1)
    T = property(lambda self: self.view(self.places.T))

    # --- changes in place

    def refuse_if_fixed(self) -> None:
        if self.requires_grad and self.fixed and self.writes != self.family.writes:
            raise Refused("a view of this kind cannot follow a recorded change")

    def write(self, f: Callable[..., Array], places: Array, *xs: SlowTensor) -> SlowTensor:
        """Let f(self, *xs) stand at `places` of the storage."""
        world, family = self.world, self.family
        if self.expanded:
            raise Refused("an expanded tensor overlaps itself")
        numbers, derivatives = world.pushed(f, self, *xs)
        matters = family.derivatives is not None or any(x.requires_grad for x in xs)
        recorded = world.recording and matters
        if recorded and (family.leaf or self.fixed):
            raise Refused("a leaf, a view of one, or a view that cannot be changed")
        self.storage.numbers[places] = _rounded(numbers, self.dtype)
        self.storage.version += 1
        if recorded:
            if family.derivatives is None:
                family.derivatives = np.zeros((len(self.storage.numbers), world.elements))
            family.derivatives[places] = 0.0 if derivatives is None else derivatives
            family.writes += 1
            self.writes = family.writes
            world.note(family, self, *xs)
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, SlowTensor):
            self.write(lambda x, y: np.broadcast_to(y, x[index].shape), self.places[index], value)
        else:
            self.write(lambda x: np.full_like(x[index], value), self.places[index])

    def change(self, f: Callable[..., Array], *xs: Any) -> Any:
        return _with_numbers(lambda *tensors, g: self.write(g, self.places, *tensors), f, *xs)

    zero_ = lambda self: self.change(np.zeros_like)
    sigmoid_ = lambda self: self.change(_sigmoid)
    fill_ = lambda self, value: self.change(lambda x: np.full_like(x, value))
    copy_ = lambda self, y: self.change(lambda x, y: np.broadcast_to(y, x.shape), y)
    add_ = lambda self, y: self.change(np.add, y)
    sub_ = lambda self, y: self.change(np.subtract, y)
    mul_ = lambda self, y: self.change(np.multiply, y)
    tanh_ = lambda self: self.change(np.tanh)
    sin_ = lambda self: self.change(np.sin)

    # --- ops with a storage of their own

    def op(self, f: Callable[..., Array], *ys: Any) -> Any:
        return _with_numbers(lambda *tensors, g: self.world.apply(g, self, *tensors), f, *ys)

    def to(self, dtype: Any) -> Any:
        if dtype == self.dtype:
            return self
        out = self.op(lambda x: x)
        out.dtype, out.storage.numbers = dtype, _rounded(out.storage.numbers, dtype)
        return out

    clone = lambda self: self.op(lambda x: x)
    double = lambda self: self.to(np.dtype(np.float64))
    __add__ = __radd__ = lambda self, y: self.op(np.add, y)
    __sub__ = lambda self, y: self.op(np.subtract, y)
    __mul__ = __rmul__ = lambda self, y: self.op(np.multiply, y)
    __neg__ = lambda self: self.op(np.negative)
    __matmul__ = lambda self, y: self.op(np.matmul, y)
    tanh = lambda self: self.op(np.tanh)
    sin = lambda self: self.op(np.sin)
    sigmoid = lambda self: self.op(_sigmoid)
    square = lambda self: self.op(np.square)
    relu = lambda self: self.op(lambda x: np.maximum(x, 0))
    abs = lambda self: self.op(np.abs)
    amax = lambda self, dim: self.op(lambda x: np.max(x, axis=dim))
    sum = lambda self, *dim: self.op(lambda x: np.sum(x, axis=dim or None))
    mean = lambda self, *dim: self.op(lambda x: np.mean(x, axis=dim or None))
    prod = lambda self, dim: self.op(lambda x: np.prod(x, axis=dim))
    cumsum = lambda self, dim: self.op(lambda x: np.cumsum(x, axis=dim))
    cumprod = lambda self, dim: self.op(lambda x: np.cumprod(x, axis=dim))
    flip = lambda self, dim: self.op(lambda x: np.flip(x, dim))
    roll = lambda self, by, dim: self.op(lambda x: np.roll(x, by, dim))
    repeat = lambda self, *n: self.op(lambda x: np.tile(x, n))
    repeat_interleave = lambda self, n, dim: self.op(lambda x: np.repeat(x, n, dim))
    softmax = lambda self, dim: self.op(lambda x: _softmax(x, dim))
    logsumexp = lambda self, dim: self.op(lambda x: np.log(np.sum(np.exp(x), axis=dim)))

    def backward(self, retain_graph: bool = False) -> None:
        """Add this number's derivatives to the leaves' .grad.

        The engine may refuse: where a graph was freed, or where what it read was changed since.
        This library keeps neither, and says only where that is possible.
        """
        self.refuse_if_fixed()
        freed = bool(self.family.ops & self.world.freed)
        stale = any(storage.version != version for storage, version in self.family.read)
        self.world.excuses = {"second time"} if freed else set()
        self.world.excuses |= {"modified by an inplace"} if stale else set()
        if not retain_graph:
            self.world.freed |= self.family.ops
        for leaf in self.world.leaves:
            leaf.grad = leaf.grad + self.derivatives()[leaf.columns].reshape(leaf.shape)


def _with_numbers(call: Callable[..., Any], f: Callable[..., Array], *ys: Any) -> Any:
    """call(*tensors, g=g), where g is f with those of ys that are plain numbers filled in."""
    tensors = [y for y in ys if isinstance(y, SlowTensor)]

    def g(x: Array, *arrays: Array) -> Array:
        rest = iter(arrays)
        return f(x, *(next(rest) if isinstance(y, SlowTensor) else y for y in ys))

    return call(*tensors, g=g)


def _places(shape: tuple[int, ...]) -> Array:
    return np.arange(math.prod(shape)).reshape(shape)


def _evenly_spaced(places: Array) -> bool:
    """Can strides describe it? Then NumPy and PyTorch make a view of it."""
    if not places.size:
        return True
    first = places[(0,) * places.ndim]
    at = np.full_like(places, first)
    for d, n in enumerate(places.shape):
        if n > 1:
            step = places[(0,) * d + (1,) + (0,) * (places.ndim - d - 1)] - first
            at += step * np.arange(n).reshape((-1,) + (1,) * (places.ndim - d - 1))
    return bool((at == places).all())


def _rounded(numbers: Array, dtype: Any) -> Array:
    return np.asarray(numbers).astype(dtype).astype(np.float64)


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _softmax(x: Array, dim: int) -> Array:
    e = np.exp(x - np.max(x, axis=dim, keepdims=True, initial=-np.inf))
    return e / np.sum(e, axis=dim, keepdims=True)
