"""Small fused kernels on raw arrays: activations, normalisations, Adam, counter-based random
numbers. What costs several passes over the memory as array operations is one launch here.

Activations name their kernel beside the op (`spec.kernel` in ops/); nn/functional/channel_norm.py
and optim/algorithms.py call theirs by name. All are float32; other dtypes are CuPy's."""

from collections.abc import Sequence
from itertools import accumulate
from operator import is_
from typing import Any, NamedTuple

import numpy as np

from ..ops import on_gpu
from ..threads import channel_rows
from .library import ENOUGH_BLOCKS, kernels, uses_kernels

__all__ = [
    "AdamTables", "Norm", "activation", "adam", "adam_many", "channel_norm", "channel_norm_back",
    "channel_norm_weight", "channel_sums", "moments", "normalises", "philox_bits", "philox_normal",
    "philox_uniform",
]  # fmt: skip


def _blocks(n: int) -> int:
    return -(-n // 256)


# ---- activations: kernels/activations.cu


def activation(name: str, *arrays: Any, **constants: float) -> Any:
    """The kernel `name` of activations.cu on float32 arrays of one shape, in C order."""
    out = np.empty_like(arrays[0], order="C")
    if out.size:
        kernel = kernels("activations.cu", out)[name]
        kernel(_blocks(out.size), 256, out, *arrays, out.size, *constants.values())
    return out


on_gpu.launch = activation


# ---- normalisations: kernels/channel_norm.cu


class Norm(NamedTuple):
    """What the kernels call `struct Norm`: arrays of (B, P, C), in G groups of channels."""

    P: int
    chunk: int
    C: int
    G: int
    chunks: int


LANES, SLAB = 32, 64  # channels of a block; the pixels that it takes at once


def normalises(x: Any, *others: Any) -> bool:
    """Whether x (N, C, ...) is normalised by the kernels: on a GPU, or under emulated(), where it
    and what comes with it are float32."""
    same = (a.dtype == np.float32 for a in (x, *others) if a is not None)
    return bool(uses_kernels(x) and x.size and all(same))


def moments(x: Any, groups: int, batch: bool, eps: float) -> tuple[Any, Any, Any]:
    """Mean, biased variance and 1 / sqrt(var + eps) of x (N, C, ...), each (N or 1, groups)."""
    x, s, blocks = _norm(x, (1 if batch else len(x), groups))
    parts = np.empty_like(x, shape=(2, len(x) * s.chunks, s.C), order="C")
    mean, var, rstd = np.empty_like(x, shape=(3, len(x), groups), order="C")
    module = kernels("channel_norm.cu", x)
    module.moments_part(blocks, (LANES, 8), parts[0], parts[1], x, tuple(s))
    module.moments(mean.size, 256, mean, var, rstd, parts[0], parts[1], eps, tuple(s))
    return mean, var, rstd


def channel_norm(x: Any, weight: Any, bias: Any, mean: Any, rstd: Any) -> Any:
    """weight * (x - mean) * rstd + bias as rows (N, pixels, C), for x (N, C, ...)."""
    n, (x, s, blocks) = len(x), _norm(x, mean.shape, many=True)
    y = np.empty_like(x, order="C")
    kernel = kernels("channel_norm.cu", x).channel_norm
    kernel(blocks, (LANES, 8), y, x, *_in_c_order(mean, rstd, weight, bias), tuple(s))
    return y.reshape(n, -1, s.C)


def channel_norm_back(u: Any, x: Any, weight: Any, mean: Any, rstd: Any) -> Any:
    """The gradient for x of channel_norm, u being that for its output: rows (N, pixels, C)."""
    n, (mean, rstd, weight) = len(x), _in_c_order(mean, rstd, weight)
    parts = _products(u, x, mean, rstd)
    (u, _, _), (x, s, blocks) = (_norm(a, mean.shape, many=True) for a in (u, x))
    sums = [_add_groups(part, weight, *mean.shape) for part in parts]
    dx = np.empty_like(x, order="C")
    kernel = kernels("channel_norm.cu", x).channel_norm_back
    kernel(blocks, (LANES, 8), dx, u, x, mean, rstd, weight, *sums, tuple(s))
    return dx.reshape(n, -1, s.C)


def channel_norm_weight(u: Any, x: Any, mean: Any, rstd: Any) -> Any:
    """The gradient for the weight of channel_norm, (C,)."""
    _, of_uz = _products(u, x, *_in_c_order(mean, rstd))
    return _add_groups(of_uz, None, 1, of_uz.shape[1], flat=True)


def _products(u: Any, x: Any, mean: Any, rstd: Any) -> Any:
    """Partial sums of u and of u (x - mean) rstd: (2, B chunks, C)."""
    (u, _, _), (x, s, blocks) = _norm(u, mean.shape), _norm(x, mean.shape)
    parts = np.empty_like(x, shape=(2, len(x) * s.chunks, s.C), order="C")
    kernel = kernels("channel_norm.cu", x).products_part
    kernel(blocks, (LANES, 8), parts[0], parts[1], u, x, mean, rstd, tuple(s))
    return parts


FEW, PARTS = 512, 256  # pixels that one block adds up; chunks at most


def channel_sums(x: Any, batch: bool) -> Any:
    """The sums of an image x (N, C, ...) over its pixels, (N, C), and over the batch too, (C,)."""
    rows = _in_c_order(channel_rows(x).reshape(1 if batch else len(x), -1, x.shape[1]))[0]
    images, pixels, channels = rows.shape
    tiles = images * -(-channels // LANES)
    chunks = min(-(-pixels // SLAB), max(1, 4 * ENOUGH_BLOCKS // tiles), PARTS)
    chunk = pixels if pixels <= FEW else -(-pixels // chunks)
    kernel = kernels("channel_norm.cu", x).channel_sums
    while pixels > chunk:
        chunks = -(-pixels // chunk)
        parts = np.empty_like(rows, shape=(images, chunks, channels), order="C")
        kernel(tiles * chunks, (LANES, 8), parts, rows, Norm(pixels, chunk, channels, 1, chunks))
        rows, pixels, chunk = parts, chunks, chunks
    out = np.empty_like(rows, shape=(channels,) if batch else (images, channels), order="C")
    kernel(tiles, (LANES, 8), out, rows, Norm(pixels, pixels, channels, 1, 1))
    return out


on_gpu.channel_sums = channel_sums


def _add_groups(part: Any, weight: Any, batch: int, groups: int, flat: bool = False) -> Any:
    """Rows of partial sums (B chunks, C), weighted and added up: (B, groups), or flat."""
    s = Norm(1, 1, part.shape[1], groups, len(part) // batch)
    out = np.empty_like(part, shape=(batch * groups,) if flat else (batch, groups), order="C")
    kernels("channel_norm.cu", part).add_groups(out.size, 256, out, part, weight, tuple(s))
    return out


def _norm(x: Any, of: tuple[int, int], many: bool = False) -> tuple[Any, Norm, int]:
    """x (N, C, ...) as (B, pixels, C), how it is cut into chunks and how many blocks there are, for
    statistics `of` the shape (B, groups).

    A sum takes as many chunks as keep the GPU busy, where nothing is summed (`many`) one takes as
    few pixels as pay. Both depend on the shape alone, so that the rounding does too.
    """
    batch, groups = of
    x = _in_c_order(channel_rows(x).reshape(batch, -1, x.shape[1]))[0]
    _, pixels, channels = x.shape
    across = batch * -(-channels // LANES)
    slabs = -(-pixels // SLAB)
    chunks = slabs if many else min(slabs, max(1, 4 * ENOUGH_BLOCKS // across))
    chunk = -(-slabs // chunks) * SLAB
    chunks = -(-pixels // chunk)
    return x, Norm(pixels, chunk, channels, groups, chunks), across * chunks


def _in_c_order(*arrays: Any) -> list[Any]:
    return [a if a is None or a.flags.c_contiguous else a.copy(order="C") for a in arrays]


# ---- Adam: kernels/adam.cu


Betas = tuple[float, float]
MANY, STRIDE = 64, 1024  # parameters of a launch of adam_many, elements of a block


def adam(
    p: Any,
    m: Any,
    v: Any,
    g: Any,
    step: int,
    lr: float,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    """One Adam step (AdamW if `decoupled`), in place on p, m, v: flat float32 arrays of one size.

    The formula stands at optim.Adam; `step` counts from 1. ValueError where the sizes differ.
    """
    _same_sizes(p, m, v, g)
    numbers = _step(step, lr, betas, eps, weight_decay, decoupled)
    if p.size:
        kernels("adam.cu", p).adam(_blocks(p.size), 256, p, m, v, g, p.size, numbers)


def adam_many(
    ps: Sequence[Any],
    ms: Sequence[Any],
    vs: Sequence[Any],
    gs: Sequence[Any],
    step: int,
    lr: float,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    """adam of many parameters (lists of arrays), in one launch for each 64 of them."""
    AdamTables(ps, ms, vs).step(gs, step, lr, betas, eps, weight_decay, decoupled)


class AdamTables:
    """Parameters and their averages, checked and laid out once as kernels/adam.cu takes them; each
    step brings its gradients. ValueError where sizes differ."""

    def __init__(self, ps: Sequence[Any], ms: Sequence[Any], vs: Sequence[Any]) -> None:
        self.arrays = [*ps, *ms, *vs]
        rows = list(zip(ps, ms, vs, strict=True))
        for p, m, v in rows:
            _same_sizes(p, m, v, p)
        self.sizes = [p.size for p in ps]
        full = [i for i, n in enumerate(self.sizes) if n]
        self.parts = [full[i : i + MANY] for i in range(0, len(full), MANY)]
        self.tables = [self._table([rows[i] for i in part]) for part in self.parts]

    def _table(self, rows: list[Any]) -> tuple[int, Any]:
        """The blocks and the `struct Tensors` of a launch."""
        sizes = [p.size for p, _, _ in rows]
        first = [0, *accumulate(-(-n // STRIDE) for n in sizes)]
        tensors = (*map(list, zip(*rows, strict=True)), [], sizes, first)
        return first[-1], kernels("adam.cu", rows[0][0]).adam_many.pack("all", tensors)

    def holds(self, *arrays: Any) -> bool:
        """Is it of these very arrays: all parameters, then all of each average?"""
        return len(arrays) == len(self.arrays) and all(map(is_, arrays, self.arrays))

    def step(
        self, gs: Sequence[Any], step: int, lr: float, betas: Betas, eps: float,
        weight_decay: float, decoupled: bool,
    ) -> None:  # fmt: skip
        """adam_many with these gradients."""
        numbers = _step(step, lr, betas, eps, weight_decay, decoupled)
        if self.sizes != [g.size for g in gs]:
            for g, p in zip(gs, self.arrays[: len(self.sizes)], strict=True):
                _same_sizes(p, p, p, g)
        for part, (blocks, tensors) in zip(self.parts, self.tables, strict=True):
            kernel = kernels("adam.cu", self.arrays[part[0]]).adam_many
            kernel.point(tensors, "all.g", [gs[i] for i in part])
            kernel(blocks, 256, tensors, numbers)
            kernel.point(tensors, "all.g", [])  # held on to no longer than needed


def _same_sizes(p: Any, m: Any, v: Any, g: Any) -> None:
    if not p.size == m.size == v.size == g.size:
        raise ValueError(
            f"adam: p, m, v, g must have one size, got {p.size}, {m.size}, {v.size}, {g.size}"
        )


def _step(
    t: int, lr: float, betas: Betas, eps: float, weight_decay: float, decoupled: bool
) -> tuple[float, ...]:
    """What the kernels call `struct Step`."""
    if t < 1:
        raise ValueError(f"adam: step counts from 1, got {t}")
    (b1, b2), decay = betas, (weight_decay, 1 - betas[0] ** t, 1 - betas[1] ** t)
    return lr, b1, 1 - b1, b2, 1 - b2, eps, *decay, int(decoupled)


# ---- random numbers: kernels/philox.cu


def philox_uniform(out: Any, seed: int, stream: int = 0, offset: int = 0) -> None:
    """Fill float32 `out` with uniforms on [0, 1), the same for the same seed and stream anywhere.

    It uses ceil(size / 4) counters from `offset` on.
    """
    _philox("philox_uniform", out, seed, stream, offset)


def philox_normal(out: Any, seed: int, stream: int = 0, offset: int = 0) -> None:
    """Fill float32 `out` with standard normals, the same for the same seed and stream.

    It uses ceil(size / 4) counters from `offset` on.
    """
    _philox("philox_normal", out, seed, stream, offset)


def philox_bits(out: Any, seed: int, stream: int = 0, offset: int = 0) -> None:
    """Fill uint32 `out` with Philox4x32-10's numbers: key `seed`, counters (offset + i, stream).

    Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
    """
    _philox("philox_bits", out, seed, stream, offset)


def _philox(name: str, out: Any, seed: int, stream: int, offset: int) -> None:
    if out.size:
        kernels("philox.cu", out)[name](
            _blocks(-(-out.size // 4)), 256, out, out.size, seed, stream, offset
        )
