"""Adam on a GPU: all parameters of a group in one launch of kernels/adam.cu."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import cuda
from ..backend import Array
from ..cuda.fused import AdamTables
from ..tensor import Tensor
from .optimizer import Group, State

__all__ = ["Tables", "adam", "fits"]


def fits(p: Array, group: Group) -> bool:
    """Whether Adam runs as kernels/adam.cu: on a GPU (or in cuda.emulated()), where it fits."""
    taken = p.dtype == np.float32 and p.flags.c_contiguous and not group["amsgrad"]
    return bool(taken and cuda.uses_kernels(p))


Tables = dict[int, AdamTables]  # of an optimizer, by the first of their parameters


def adam(
    params: list[Tensor], states: list[State], group: Group, decoupled: bool, tables: Tables
) -> None:
    """Adam's update of parameters whose step has been counted; one launch for each step number (and
    for each 64 of them)."""
    by_step: dict[int, list[tuple[Any, ...]]] = {}
    for p, state in zip(params, states, strict=True):
        m, v = state["exp_avg"]._array, state["exp_avg_sq"]._array
        row = (id(p), p._array, m, v, _gradient(p, group))
        by_step.setdefault(state["step"], []).append(row)
        p._version[0] += 1
    lr, eps, decay = (float(group[key]) for key in ("lr", "eps", "weight_decay"))
    for t, rows in by_step.items():
        (first, *_), ps, ms, vs, gs = zip(*rows, strict=True)
        table = tables.get(first)
        if table is None or not table.holds(*ps, *ms, *vs):
            table = tables[first] = AdamTables(ps, ms, vs)
        table.step(gs, t, lr, group["betas"], eps, decay, decoupled)


def _gradient(p: Tensor, group: Group) -> Any:
    """The gradient to descend, flat in C order."""
    g = p._grad._array  # type: ignore[union-attr]
    g = np.negative(g) if group["maximize"] else g
    return g if g.flags.c_contiguous else g.copy(order="C")
