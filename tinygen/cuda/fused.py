"""Small fused kernels on raw arrays: an Adam step over one flat buffer, counter-based random
numbers."""

from typing import Any

from .convolution import kernels


def _blocks(n: int) -> int:
    return -(-n // 256)


def adam(
    p: Any,
    m: Any,
    v: Any,
    g: Any,
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    """One Adam step (AdamW if `decoupled`), in place on p, m, v: flat float32 arrays. `step`
    counts from 1."""
    if not p.size == m.size == v.size == g.size:
        raise ValueError(
            f"adam: p, m, v, g must have one size, got {p.size}, {m.size}, {v.size}, {g.size}"
        )
    if step < 1:
        raise ValueError(f"adam: step counts from 1, got {step}")
    if p.size:
        corrections = 1 - betas[0] ** step, 1 - betas[1] ** step
        numbers = (p.size, lr, *betas, eps, weight_decay, int(decoupled), *corrections)
        kernels("adam.cu", p).adam(_blocks(p.size), 256, p, m, v, g, *numbers)


def philox_uniform(out: Any, seed: int, stream: int = 0, offset: int = 0) -> None:
    """Fill float32 `out` with uniforms on [0, 1). It uses ceil(size / 4) counters from `offset`
    on."""
    _philox("philox_uniform", out, seed, stream, offset)


def philox_normal(out: Any, seed: int, stream: int = 0, offset: int = 0) -> None:
    """Fill float32 `out` with standard normals. It uses ceil(size / 4) counters from `offset`
    on."""
    _philox("philox_normal", out, seed, stream, offset)


def philox_bits(out: Any, seed: int, stream: int = 0, offset: int = 0) -> None:
    """Fill uint32 `out` with Philox4x32-10's numbers: key `seed`, counters (offset + i, stream)."""
    _philox("philox_bits", out, seed, stream, offset)


def _philox(name: str, out: Any, seed: int, stream: int, offset: int) -> None:
    if out.size:
        kernels("philox.cu", out)[name](
            _blocks(-(-out.size // 4)), 256, out, out.size, seed, stream, offset
        )
