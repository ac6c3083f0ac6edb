"""Ordinary differential equations dx/dt = f(t, x) by Runge-Kutta steps, for flows and scores alike.

Every step is made of ops, so that a gradient goes through the solver as it was run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from ..autograd import grad
from ..checks import integers
from ..ops import stack
from ..tape import enable_grad
from ..tensor import Tensor

__all__ = ["METHODS", "divergence", "integrate"]

State = Sequence[Tensor]


class Tableau(NamedTuple):
    """Stage i looks at t + c[i] h and x + h sum_j a[i][j] k_j; the step is h sum_i b[i] k_i."""

    order: int
    c: tuple[float, ...]
    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]


METHODS = {
    "euler": Tableau(1, (0.0,), ((),), (1.0,)),
    "midpoint": Tableau(2, (0.0, 0.5), ((), (0.5,)), (0.0, 1.0)),
    "heun": Tableau(2, (0.0, 1.0), ((), (1.0,)), (0.5, 0.5)),
    "rk4": Tableau(4, (0.0, 0.5, 0.5, 1.0), ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)),
                   (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}  # fmt: skip


def integrate(
    f: Callable[[float, tuple[Tensor, ...]], State],
    x: State,
    start: float,
    end: float,
    steps: int,
    method: str = "rk4",
) -> list[tuple[Tensor, ...]]:
    """The states at start, .., end of dx/dt = f(t, x), steps + 1 of them, h = (end - start)/steps.

    x: a tuple of tensors (a point and what is summed along its way); f gives as many derivatives.
    end < start: backwards in time. The error at the end is of order h^p: p = 1 for "euler", 2 for
    "midpoint" and "heun", 4 for "rk4" (Kutta 1901); a step takes as many calls of f.
    ValueError for another method or steps < 1.

    >>> import tinygen as tg
    >>> from tinygen.models.ode import integrate
    >>> integrate(lambda t, x: x, (tg.ones(1),), 0.0, 1.0, steps=10)[-1]      # e = 2.71828..
    (tensor([2.7183]),)
    """
    if method not in METHODS:
        raise ValueError(f"integrate: method {method!r}; there are {', '.join(METHODS)}")
    integers("integrate", 1, steps=steps)
    rule, h = METHODS[method], (end - start) / steps
    path = [tuple(x)]
    for i in range(steps):
        t, state = start + i * h, path[-1]
        slopes: list[State] = []
        for c, row in zip(rule.c, rule.a):
            slopes.append(f(t + c * h, _moved(state, h, row, slopes)))
        path.append(_moved(state, h, rule.b, slopes))
    return path


def _moved(
    state: tuple[Tensor, ...], h: float, weights: Sequence[float], slopes: Sequence[State]
) -> tuple[Tensor, ...]:
    """state + h sum_j weights[j] slopes[j]."""
    for weight, slope in zip(weights, slopes):
        if weight:
            state = tuple(x + (h * weight) * dx for x, dx in zip(state, slope))
    return state


@enable_grad()
def divergence(
    f: Callable[[Tensor], Tensor],
    x: Tensor,
    probe: Tensor | None = None,
    create_graph: bool = False,
) -> tuple[Tensor, Tensor]:
    """f(x) (B, ...), as x is shaped, and div f = sum_i d f_i / d x_i at every x: (B,).

    Each example of f(x) may depend on its own x alone. One backward a dimension; with a probe v
    (B, ...) one in all, for v^T J v, whose mean over v with E vv^T = I is div f (Hutchinson 1989).
    create_graph=True: both can be differentiated again.

    >>> import tinygen as tg
    >>> from tinygen.models.ode import divergence
    >>> divergence(lambda x: x**2, tg.tensor([[1.0, 3.0]]))
    (tensor([[1., 9.]]), tensor([8.]))
    """
    x = x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_()
    y = f(x)
    slope = partial(grad, retain_graph=True, create_graph=create_graph, materialize_grads=True)
    if probe is not None:
        (row,) = slope(y, x, probe)
        trace = (row * probe).flatten(1).sum(1)
    else:
        columns = y.flatten(1)
        rows = [slope(c.sum(), x)[0].flatten(1) for c in columns.unbind(1)]
        trace = stack([row[:, i] for i, row in enumerate(rows)], 1).sum(1)
    return (y, trace) if create_graph else (y.detach(), trace.detach())
