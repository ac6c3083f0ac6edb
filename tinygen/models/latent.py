"""Walks and arithmetic among codes z (B, d)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..backend import Array
from ..ops import acos, cat, stack, where
from ..tensor import Tensor

__all__ = ["attribute", "class_sums", "interpolate", "lerp", "slerp"]


def lerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """The straight line: (1 - t) a + t b, shaped as a and b.

    >>> import tinygen as tg
    >>> tg.models.latent.lerp(tg.tensor([[1.0, 0.0]]), tg.tensor([[0.0, 1.0]]), 0.5)
    tensor([[0.5, 0.5]])
    """
    return (1.0 - t) * a + t * b


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """Along the arc: sin((1-t) w)/sin(w) a + sin(t w)/sin(w) b, w the angle between a and b.

    In d dimensions N(0, I) has its mass near radius sqrt(d); halfway along a straight line between
    two draws the radius is about sqrt(d/2), where there is almost none. The arc keeps it. Where the
    directions are (nearly) equal or opposite there is no one arc: the straight line. White 2016
    (arXiv:1609.04468).

    >>> import tinygen as tg
    >>> tg.models.latent.slerp(tg.tensor([[1.0, 0.0]]), tg.tensor([[0.0, 1.0]]), 0.5)
    tensor([[0.7071, 0.7071]])
    """
    norms = a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True)
    cosine = (a * b).sum(-1, keepdim=True) / norms.clamp(min=1e-12)
    flat = cosine.abs() > 1.0 - 1e-6
    safe = where(flat, cosine * 0.0, cosine)
    angle = acos(safe)
    arc = (((1.0 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()
    return where(flat, lerp(a, b, t), arc)


def interpolate(a: Tensor, b: Tensor, steps: int, spherical: bool = False) -> Tensor:
    """`steps` codes from a to b, both included: (B, d) -> (steps, B, d).

    spherical: along the arc (`slerp`), else straight (`lerp`). ValueError unless steps >= 2.

    >>> import tinygen as tg
    >>> tg.models.latent.interpolate(tg.zeros(1, 2), tg.ones(1, 2), steps=3)[:, 0].tolist()
    [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]
    """
    if steps < 2:
        raise ValueError(f"interpolate: expected steps >= 2, got {steps}")
    along = slerp if spherical else lerp
    return stack([along(a, b, float(t)) for t in np.linspace(0.0, 1.0, steps)])


def attribute(codes: Tensor, has: Tensor | Array | Sequence[bool]) -> Tensor:
    """mean(codes with it) - mean(codes without): (B, d), B booleans -> (d,). Add it to a code.

    ValueError where all codes have it, or none.

    >>> import tinygen as tg
    >>> tg.models.latent.attribute(tg.tensor([[0.0, 1.0], [2.0, 1.0]]), [False, True])
    tensor([2., 0.])
    """
    mask = np.asarray(has.cpu() if isinstance(has, Tensor) else has).astype(bool)
    if mask.shape != codes.shape[:1]:
        raise ValueError(f"attribute: expected {codes.shape[0]} booleans, got shape {mask.shape}")
    if mask.all() or not mask.any():
        raise ValueError("attribute: some codes must have it and some not")
    return codes[np.flatnonzero(mask)].mean(0) - codes[np.flatnonzero(~mask)].mean(0)


def class_sums(
    codes: Tensor, labels: Tensor | Array | Sequence[int], sums: Sequence[tuple[int, int, int]]
) -> Tensor:
    """Mean codes of the classes a, b, c and a - b + c, for each of `sums`: (B, d) -> (4 n, d).

    labels: the class of each code's picture, (B,), else ValueError. Every row is stretched to
    sqrt(d), the length that draws of N(0, I) have: a mean is shorter. Sums with a class that does
    not occur are left out.

    >>> import tinygen as tg
    >>> tg.models.latent.class_sums(tg.eye(4), [0, 1, 2, 2], sums=[(0, 1, 2), (0, 1, 9)]).shape
    (4, 4)
    """
    given = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    if given.shape != codes.shape[:1]:
        raise ValueError(f"class_sums: expected {codes.shape[0]} labels, got shape {given.shape}")
    means = {int(k): codes[np.flatnonzero(given == k)].mean(0) for k in np.unique(given)}
    rows = [codes[:0]]
    for a, b, c in sums:
        if {a, b, c} <= means.keys():
            parts = [means[a], means[b], means[c], means[a] - means[b] + means[c]]
            rows.append(stack(parts))
    out = cat(rows)
    return out / out.norm(dim=1, keepdim=True) * codes.shape[1] ** 0.5
