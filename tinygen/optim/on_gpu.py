"""Adam on a GPU: all parameters of a group in one launch of kernels/adam.cu."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import cuda
from ..backend import Array
from ..tensor import Tensor
from .optimizer import Group, State

__all__ = ["adam", "fits"]


def fits(p: Array, group: Group) -> bool:
    """Whether Adam runs as kernels/adam.cu: on a GPU (or in cuda.emulated()), where it fits."""
    taken = p.dtype == np.float32 and p.flags.c_contiguous and not group["amsgrad"]
    return bool(taken and cuda.uses_kernels(p))


def adam(params: list[Tensor], states: list[State], group: Group, decoupled: bool) -> None:
    """Adam's update of parameters whose step has been counted; one launch for each step number."""
    by_step: dict[int, list[tuple[Array, ...]]] = {}
    for p, state in zip(params, states, strict=True):
        m, v = state["exp_avg"]._array, state["exp_avg_sq"]._array
        row = (p._array, m, v, _gradient(p, group))
        by_step.setdefault(state["step"], []).append(row)
        p._version[0] += 1
    lr, eps, decay = (float(group[key]) for key in ("lr", "eps", "weight_decay"))
    for t, rows in by_step.items():
        ps, ms, vs, gs = zip(*rows, strict=True)
        cuda.adam_many(ps, ms, vs, gs, t, lr, group["betas"], eps, decay, decoupled)


def _gradient(p: Tensor, group: Group) -> Any:
    """The gradient to descend, flat in C order."""
    g = p._grad._array  # type: ignore[union-attr]
    g = np.negative(g) if group["maximize"] else g
    return g if g.flags.c_contiguous else g.copy(order="C")
