"""Tensors from nothing: constants, ranges and random numbers.

Every random function draws from `generator` (the default one unless given) and takes PyTorch's
`dtype`, `device` and `requires_grad`.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..backend import (
    Array,
    DType,
    Generator,
    as_dtype,
    create,
    default_generator,
    get_default_dtype,
    int64,
    move,
)
from ..tensor import Tensor, as_array, wrap
from .op import broadcast_to
from .shapes import clone, ints, reshape

__all__ = [
    "arange", "as_tensor", "bernoulli", "empty", "empty_like", "eye", "from_numpy", "full",
    "full_like", "linspace", "meshgrid", "multinomial", "normal", "ones", "ones_like", "rand",
    "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "tensor", "zeros",
    "zeros_like",
]  # fmt: skip


def _finish(array: Array, device: Any, requires_grad: bool) -> Tensor:
    out = wrap(array if device is None else move(array, device))
    return out.requires_grad_() if requires_grad else out


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A new Tensor with a copy of `data`: numbers, nested lists, an array or a Tensor.

    Python floats get the default dtype (float32), integers int64; arrays keep theirs. ValueError
    for ragged lists, TypeError for what is no number.

    >>> tg.tensor([[1, 2], [3, 4]]).dtype, tg.tensor(1.0).dtype, tg.tensor(np.ones(2)).dtype
    (dtype('int64'), dtype('float32'), dtype('float64'))
    """
    return _finish(as_array(data, dtype, device), None, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` itself if it is a Tensor that fits; an array shares its memory; else a copy."""
    if isinstance(data, Tensor):
        return data.to(dtype=dtype, device=device)
    if isinstance(data, np.ndarray) and dtype in (None, data.dtype) and device in (None, "cpu"):
        return from_numpy(data)
    return tensor(data, dtype=dtype, device=device)


def from_numpy(ndarray: Any) -> Tensor:
    """A Tensor that shares the memory of a NumPy array: a change of one is seen in the other."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected a numpy.ndarray, got {type(ndarray).__name__}")
    if ndarray.dtype.kind not in "fiub":
        raise TypeError(f"from_numpy: tinygen has floats, integers and bools, not {ndarray.dtype}")
    return wrap(ndarray)


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of the given size (a tuple) with one value everywhere, of the value's dtype."""
    if dtype is None and isinstance(fill_value, float):
        dtype = get_default_dtype()
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    array = create(
        "full", device, _size("full", size), value, None if dtype is None else as_dtype(dtype)
    )
    return _finish(array, None, requires_grad)


def zeros(
    size: Any = (), *more: int, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """All 0, of the default dtype unless given: zeros(2, 3) or zeros((2, 3))."""
    array = create("zeros", device, _size("zeros", size, more), _dtype(dtype))
    return _finish(array, None, requires_grad)


def ones(
    size: Any = (), *more: int, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """All 1, of the default dtype unless given: ones(2, 3) or ones((2, 3))."""
    array = create("ones", device, _size("ones", size, more), _dtype(dtype))
    return _finish(array, None, requires_grad)


def empty(
    size: Any = (), *more: int, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """Whatever lay in memory: empty(2, 3) or empty((2, 3)), to be overwritten."""
    array = create("empty", device, _size("empty", size, more), _dtype(dtype))
    return _finish(array, None, requires_grad)


def _dtype(dtype: Any, default: DType | None = None) -> DType:
    """The dtype asked for, else the default one."""
    return as_dtype(dtype) if dtype is not None else default or get_default_dtype()


def _size(name: str, size: Any, more: tuple[Any, ...] = ()) -> tuple[int, ...]:
    shape = ints(size, more)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"{name}: trying to create a tensor with negative dimension: {shape}")
    return shape


def eye(
    n: int, m: int | None = None, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """(n, m), or (n, n): 1 on the diagonal, 0 elsewhere."""
    array = create("eye", device, n, m, dtype=_dtype(dtype))
    return _finish(array, None, requires_grad)


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """start, start + step, ... below end; int64 if all three are integers.

    >>> tg.arange(3), tg.arange(0, 1, 0.25)
    (tensor([0, 1, 2]), tensor([0.  , 0.25, 0.5 , 0.75]))
    """
    start, end = (0, start) if end is None else (start, end)
    if step == 0:
        raise RuntimeError("arange: step must be non-zero")
    whole = all(isinstance(x, (int, np.integer)) for x in (start, end, step))
    dtype = int64 if whole and dtype is None else _dtype(dtype)
    array = create("arange", device, start, end, step, dtype=dtype)
    return _finish(array, None, requires_grad)


def linspace(
    start: float, end: float, steps: int, *, dtype: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` evenly spaced numbers from start to end, both included."""
    array = np.linspace(start, end, steps, dtype=_dtype(dtype))
    return _finish(array, device, requires_grad)


def meshgrid(*tensors: Any, indexing: Literal["ij", "xy"] = "ij") -> tuple[Tensor, ...]:
    """A grid from 1-D tensors, or a list of them: out[k][i, j, ...] runs over tensors[k].

    indexing="xy" swaps the first two dimensions, as NumPy's default does.

    >>> rows, columns = tg.meshgrid(tg.arange(2), tg.arange(3))
    >>> rows
    tensor([[0, 0, 0],
            [1, 1, 1]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy") or any(x.ndim > 1 for x in tensors):
        raise RuntimeError("meshgrid: expected 1-D tensors and indexing 'ij' or 'xy'")
    if indexing == "xy" and len(tensors) > 1:
        y, x, *others = meshgrid(tensors[1], tensors[0], *tensors[2:])
        return (x, y, *others)
    shape = tuple(x.numel() for x in tensors)
    columns = [reshape(x, (-1,) + (1,) * (len(shape) - 1 - k)) for k, x in enumerate(tensors)]
    return tuple(clone(broadcast_to(x, shape=shape)) for x in columns)


def zeros_like(input: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """All 0, of the input's shape, dtype and device."""
    array = np.zeros_like(input._array, dtype=_dtype(dtype, input.dtype))
    return _finish(array, None, requires_grad)


def ones_like(input: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """All 1, of the input's shape, dtype and device."""
    array = np.ones_like(input._array, dtype=_dtype(dtype, input.dtype))
    return _finish(array, None, requires_grad)


def empty_like(input: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Whatever lay in memory, of the input's shape, dtype and device."""
    array = np.empty_like(input._array, dtype=_dtype(dtype, input.dtype))
    return _finish(array, None, requires_grad)


def full_like(
    input: Tensor, fill_value: Any, dtype: Any = None, requires_grad: bool = False
) -> Tensor:
    """One value everywhere, of the input's shape, dtype and device."""
    array = np.full_like(input._array, fill_value, dtype=_dtype(dtype, input.dtype))
    return _finish(array, None, requires_grad)


# --- random numbers -------------------------------------------------------------------------


def _source(generator: Generator | None) -> np.random.Generator:
    return (generator or default_generator).numpy


def _real(draw: Any, size: tuple[int, ...], dtype: Any) -> Array:
    """NumPy draws float32 and float64; the other dtypes are cast from float32."""
    dtype = _dtype(dtype)
    if dtype.kind != "f":
        raise RuntimeError(f"random numbers are floating-point; got dtype {dtype}")
    if dtype == np.float64:
        return np.asarray(draw(size, dtype=np.float64))
    return np.asarray(draw(size, dtype=np.float32), dtype=dtype)


def rand(
    size: Any = (), *more: int, generator: Generator | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Uniform on [0, 1), from `generator` (the default one unless given); floating dtypes only.

    The numbers are NumPy's (PCG64), so a seed gives others than in PyTorch.

    >>> tg.manual_seed(1).initial_seed(), tg.rand(2, 3).shape
    (1, (2, 3))
    """
    array = _real(_source(generator).random, _size("rand", size, more), dtype)
    return _finish(array, device, requires_grad)


def randn(
    size: Any = (), *more: int, generator: Generator | None = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Standard normal, of the given size; floating dtypes only."""
    array = _real(_source(generator).standard_normal, _size("randn", size, more), dtype)
    return _finish(array, device, requires_grad)


def normal(
    mean: Any, std: Any, size: Any = None, *, generator: Generator | None = None,
    dtype: Any = None, device: Any = None,
) -> Tensor:  # fmt: skip
    """Normal with the given mean and standard deviation, numbers or Tensors, which broadcast."""
    if size is None:
        like = [x for x in (mean, std) if isinstance(x, Tensor)]
        size = np.broadcast_shapes(*(x.shape for x in like))
        dtype, device = (like[0].dtype, like[0].device) if like else (dtype, device)
    out: Tensor = mean + std * randn(size, generator=generator, dtype=dtype, device=device)
    return out


def randint(
    low: int, high: Any = None, size: Any = None, *, generator: Generator | None = None,
    dtype: Any = None, device: Any = None,
) -> Tensor:  # fmt: skip
    """Integers uniform on low..high - 1 (int64); randint(high, size) starts at 0."""
    if size is None:
        low, high, size = 0, low, high
    if high <= low:
        raise RuntimeError(f"randint: expected low < high, got low={low} and high={high}")
    array = np.asarray(_source(generator).integers(low, high, _size("randint", size)))
    return _finish(array.astype(_dtype(dtype, int64)), device, False)


def randperm(n: int, *, generator: Generator | None = None, device: Any = None) -> Tensor:
    """A random order of 0..n - 1, int64 (n)."""
    return _finish(_source(generator).permutation(n), device, False)


def rand_like(input: Tensor, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Uniform on [0, 1), of the input's shape, dtype and device."""
    return rand(input.shape, generator=generator, dtype=dtype or input.dtype, device=input.device)


def randn_like(input: Tensor, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Standard normal, of the input's shape, dtype and device."""
    return randn(input.shape, generator=generator, dtype=dtype or input.dtype, device=input.device)


def randint_like(
    input: Tensor, low: int, high: int | None = None, *, generator: Generator | None = None,
    dtype: Any = None,
) -> Tensor:  # fmt: skip
    """Integers uniform on low..high - 1 (from 0 with one bound), in the input's shape and dtype."""
    low, high = (0, low) if high is None else (low, high)
    dtype = dtype or input.dtype
    return randint(low, high, input.shape, generator=generator, dtype=dtype, device=input.device)


def bernoulli(input: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with probability p, else 0, in p's shape and dtype; no gradient flows."""
    array = move(input._array, "cpu")
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise RuntimeError("bernoulli: expected every p to be in [0, 1]")
    draws = _source(generator).random(array.shape, dtype=np.float32) < array
    return _finish(np.asarray(draws, dtype=input.dtype), input.device, False)


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Indices drawn in proportion to each row of non-negative weights, (n,) or (m, n).

    Returns int64 (num_samples) or (m, num_samples). Without replacement: the largest log w + Gumbel
    noise, which draws in the same proportions. RuntimeError where there are too few to draw from.

    >>> tg.multinomial(tg.tensor([0.0, 1.0, 0.0]), 3, replacement=True)
    tensor([1, 1, 1])
    """
    w = np.atleast_2d(move(input._array, "cpu")).astype(np.float64)
    if input.ndim not in (1, 2) or not (w >= 0).all() or not (w.sum(1) > 0).all():
        raise RuntimeError("multinomial: expected 1 or 2 dimensions of weights >= 0, not all 0")
    source = _source(generator)
    if replacement:
        edges = np.cumsum(w, axis=1) / w.sum(1, keepdims=True)
        u = source.random((len(w), num_samples))
        found = [np.searchsorted(e, v, side="right") for e, v in zip(edges, u, strict=True)]
        index = np.array(found, np.int64).reshape(u.shape)  # of no rows too
        index = np.minimum(index, w.shape[1] - 1)
    else:
        fewest = int((w > 0).sum(1).min(initial=w.shape[1]))
        if num_samples > fewest:
            raise RuntimeError(
                f"multinomial: cannot draw {num_samples} without replacement from {fewest} "
                "non-zero weights"
            )
        with np.errstate(divide="ignore"):
            keys = np.log(w) + source.gumbel(size=w.shape)
        index = np.argsort(-keys, axis=1)[:, :num_samples]
    index = index[0] if input.ndim == 1 else index
    return _finish(index.astype(np.int64), input.device, False)
