"""Muon: momentum made orthogonal, for the matrices of hidden layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..backend import Array
from ..checks import integers, numbers
from ..tensor import Tensor, wrap
from .algorithms import AdamW
from .optimizer import Group, Optimizer, State
from .together import Together

__all__ = ["Muon", "orthogonalised", "with_adam"]

RATIOS = ("original", "match_rms_adamw")


class Muon(Optimizer):
    """Momentum whose every direction of a matrix is given the same length.

        B   = momentum B + (1 - momentum) g
        U   = (1 - momentum) g + momentum B               (nesterov; else B)
        p  *= 1 - lr * weight_decay
        p  -= lr * ratio * orthogonalised(U)              the nearest orthogonal matrix, about

    A gradient is of few directions; the rare ones move as far as the common ones here. For weights
    of two or more dimensions: a kernel (out, in, h, w) counts as a matrix (out, in h w), which
    PyTorch refuses. Everything else, and the first and last layer, is for Adam.

    adjust_lr_fn: "original", ratio sqrt(max(1, rows / columns)), or "match_rms_adamw",
    0.2 sqrt(max(rows, columns)), with which Adam's learning rates fit. ns_steps: of the iteration.
    ValueError for a vector. Jordan et al., "Muon: an optimizer for hidden layers" (2024); the
    ratio: Liu et al., "Muon is scalable for LLM training" (arXiv:2502.16982).

    >>> p = tg.tensor([[1.0, 0.0], [0.0, 1.0]], requires_grad=True)
    >>> p.grad = tg.tensor([[9.0, 0.0], [0.0, 1.0]])  # both directions move alike, about
    >>> optim.Muon([p], lr=0.1, weight_decay=0.0).step()
    >>> p.detach().round(decimals=1)
    tensor([[0.9, 0. ],
            [0. , 0.9]])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "nesterov": nesterov,
                "ns_coefficients": ns_coefficients,
                "eps": eps,
                "ns_steps": ns_steps,
                "adjust_lr_fn": adjust_lr_fn,
            },
        )

    def _check(self, group: Group) -> None:
        super()._check(group)
        numbers("Muon", 0, momentum=group["momentum"], eps=group["eps"])
        integers("Muon", 1, ns_steps=group["ns_steps"])
        if group["adjust_lr_fn"] not in (None, *RATIOS):
            raise ValueError(
                f"Muon: adjust_lr_fn {group['adjust_lr_fn']!r}; there are {', '.join(RATIOS)}"
            )
        for p in group["params"]:
            if getattr(p, "ndim", 2) < 2:
                raise ValueError(
                    f"Muon: expected matrices, got a parameter of shape {p.shape}; give it to Adam"
                )

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        if not param.size:
            return
        if not state:
            state["momentum_buffer"] = wrap(np.zeros_like(param))
        momentum, buffer = float(group["momentum"]), state["momentum_buffer"]._array
        buffer += (1.0 - momentum) * (grad - buffer)
        u = grad + momentum * (buffer - grad) if group["nesterov"] else buffer
        u = u.reshape(len(u), -1)
        rows, columns = u.shape
        ratio = math.sqrt(max(1.0, rows / columns))
        if group["adjust_lr_fn"] == "match_rms_adamw":
            ratio = 0.2 * math.sqrt(max(rows, columns))
        u = orthogonalised(u, group["ns_coefficients"], group["ns_steps"], float(group["eps"]))
        lr = float(group["lr"])
        param *= 1.0 - lr * float(group["weight_decay"])
        param -= lr * ratio * u.reshape(param.shape)


def with_adam(
    named: Iterable[tuple[str, Tensor]],
    lr: float,
    adam_lr: float,
    but: Sequence[str] = (),
    weight_decay: float = 0.0,
) -> Together:
    """Named parameters, as their kinds want: Muon ("match_rms_adamw") for those of two and more
    dimensions, AdamW for all else.

    but: how the names begin of the matrices that are AdamW's too: first and last layers,
    embeddings.

    >>> net = tg.nn.Sequential(tg.nn.Linear(2, 3), tg.nn.Linear(3, 3))
    >>> opt = optim.muon.with_adam(net.named_parameters(), lr=4e-3, adam_lr=1e-3, but=["0."])
    >>> [[list(p.shape) for p in group["params"]] for group in opt.param_groups]
    [[[3, 3]], [[3, 2], [3], [3]]]
    """
    within: list[Tensor] = []
    rest: list[Tensor] = []
    for name, p in named:
        hidden = p.ndim > 1 and not name.startswith(tuple(but))
        (within if hidden else rest).append(p)
    return Together(
        Muon(within, lr, weight_decay, adjust_lr_fn="match_rms_adamw"),
        AdamW(rest, adam_lr, weight_decay=weight_decay),
    )


def orthogonalised(
    u: Array, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Array:
    """u (n, m) with its singular values brought near 1: `steps` times X = a X + (b S + c S S) X,
    S = X X^T, from u / |u|.

    On a singular value it is the polynomial a s + b s^3 + c s^5; Muon's coefficients make it steep
    at 0, so that after five steps all but the smallest lie in 0.7 .. 1.2.

    >>> import numpy as np
    >>> from tinygen.optim.muon import orthogonalised
    >>> x = orthogonalised(np.diag([3.0, 1.0]), (1.5, -0.5, 0.0), steps=20, eps=0.0)
    >>> np.round(x, 6).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    a, b, c = (float(value) for value in coefficients)
    x = u.T if len(u) > u.shape[1] else u
    x = x.astype(np.promote_types(x.dtype, np.float32))  # float16 has no room for squares
    x = x / max(float(np.sqrt((x * x).sum())), eps)
    for _ in range(steps):
        s = x @ x.T
        x = a * x + (b * s + c * (s @ s)) @ x
    return x.T if len(u) > u.shape[1] else x
