"""What the network is asked for. Given x_t = a x_0 + s eps, each of these tells the others:

    x0                      the data
    eps    = (x_t - a x_0) / s        the noise
    v      = a eps - s x_0            an angle between both (Salimans and Ho 2022)
    score  = -eps / s                 the gradient of log q(x_t | x_0)

At one x_t an error of x_0 fixes the errors of all: |d eps|^2 = SNR |d x_0|^2, and so on (`factor`).
Their squared losses are therefore one loss under different weights of t. What differs is what the
network finds easy: where a is nearly 0, as at the end of a cosine chain, x_0 out of eps has its
error times s / a, so prefer v there (or clip).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...tensor import Tensor
from .process import Process

__all__ = [
    "KINDS", "Prediction", "WEIGHTS", "check_kind", "factor", "loss_weight", "prediction",
    "target",
]  # fmt: skip

KINDS = ("x0", "eps", "v", "score")
WEIGHTS = ("simple", "x0", "snr", "min_snr", "vlb")


class Prediction(NamedTuple):
    """The network's answer in both forms, as x is; `fraction` places a learned log-variance."""

    x0: Tensor
    eps: Tensor
    fraction: Tensor | None = None


def check_kind(kind: str) -> str:
    """`kind` itself, if it is one of KINDS; else ValueError."""
    if kind not in KINDS:
        raise ValueError(f"no parameterisation is called {kind!r}; there are {', '.join(KINDS)}")
    return kind


def target(kind: str, x0: Tensor, eps: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """What the network should say of x_t = a x0 + s eps, shaped as x0: x0, eps, v or the score.

    >>> import tinygen as tg
    >>> from tinygen.models.diffusion.parameterisation import prediction, target
    >>> x0, eps, (a, s) = tg.ones(1, 2), tg.zeros(1, 2), tg.tensor([0.6, 0.8])
    >>> target("v", x0, eps, a, s)                     # a eps - s x0
    tensor([[-0.8, -0.8]])
    >>> prediction("v", target("v", x0, eps, a, s), a * x0 + s * eps, a, s).x0
    tensor([[1., 1.]])
    """
    match check_kind(kind):
        case "x0":
            return x0
        case "eps":
            return eps
        case "v":
            return a * eps - s * x0
        case _:
            return -eps / s


def prediction(kind: str, out: Tensor, x: Tensor, a: Tensor, s: Tensor) -> Prediction:
    """x_0 and eps from the network's output `out` for x_t = x: `target` undone."""
    match check_kind(kind):
        case "x0":
            return Prediction(out, (x - a * out) / s)
        case "v":
            power = a.square() + s.square()  # 1 for VP
            return Prediction((a * x - s * out) / power, (s * x + a * out) / power)
        case _:
            eps = out if kind == "eps" else -s * out
            return Prediction((x - s * eps) / a, eps)


def factor(kind: str, process: Process, t: Any) -> Any:
    """|d target|^2 / |d x_0|^2 at fixed x_t: 1, SNR, ((a^2 + s^2) / s)^2 or (a / s^2)^2."""
    a, s = process.a[t], process.s[t]
    match check_kind(kind):
        case "x0":
            return np.ones_like(a)
        case "eps":
            return np.square(a / s)
        case "v":
            return np.square((a * a + s * s) / s)
        case _:
            return np.square(a / (s * s))


def loss_weight(weight: str, kind: str, process: Process, t: Any, gamma: float = 5.0) -> Any:
    """w_t of the loss w_t |d target|^2, float64, shaped as t.

    simple   1: the plain squared error of whatever is predicted (with eps: DDPM's L_simple)
    x0       the error of x_0, whatever is predicted
    snr      SNR_t |d x_0|^2, which is the error of eps, whatever is predicted
    min_snr  min(SNR_t, gamma) |d x_0|^2 (Hang et al. 2023)
    vlb      T (SNR_{t-1} - SNR_t) / 2 |d x_0|^2: summed over dimensions and averaged over t this
             is the bound in nats, for variance "small" and a Gaussian decoder

    >>> from tinygen.models import diffusion
    >>> process = diffusion.VP([0.5, 0.5, 0.999])      # SNR_2 = 1/3
    >>> [diffusion.loss_weight(w, "eps", process, 2).round(6).item() for w in ("simple", "x0")]
    [1.0, 3.0]
    """
    t = process.steps(t)
    snr = process.snr(t)
    match weight:
        case "simple":
            return np.ones_like(snr)
        case "x0":
            of_x0 = np.ones_like(snr)
        case "snr":
            of_x0 = snr
        case "min_snr":
            of_x0 = np.minimum(snr, gamma)
        case "vlb":
            before = process.snr(np.maximum(t - 1, 1))
            first = 1 / process.posterior_variance(2, 1)
            of_x0 = 0.5 * process.T * np.where(t == 1, first, before - snr)
        case _:
            raise ValueError(f"no loss weight is called {weight!r}; there are {', '.join(WEIGHTS)}")
    return of_x0 / factor(kind, process, t)
