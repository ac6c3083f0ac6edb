"""Wasserstein distances, exactly: what a WGAN's critic only estimates, up to its slope K."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..tensor import Tensor
from .samples import as_rows

__all__ = ["Transport", "critic_slope", "optimal_transport", "wasserstein_1d"]


def wasserstein_1d(x: Any, y: Any) -> float:
    """W1 between two samples on the line: int |F_x(t) - F_y(t)| dt, by sorting.

    x (n,), y (m,), in the unit of the data. For samples of equal size that is the mean of
    |x_(i) - y_(i)|, smallest with smallest.

    >>> import tinygen as tg
    >>> tg.metrics.wasserstein_1d([0.0, 0.0, 0.0], [0.0, 0.0, 6.0])    # one of three moves by 6
    2.0
    """
    a, b = (np.sort(as_rows(v, "wasserstein_1d").ravel()) for v in (x, y))
    t = np.sort(np.concatenate([a, b]))
    below_a, below_b = (np.searchsorted(v, t[:-1], side="right") / len(v) for v in (a, b))
    return float((abs(below_a - below_b) * np.diff(t)).sum())


class Transport(NamedTuple):
    """A cheapest transport, with its proof: u_i + v_j <= cost_ij, equal where mass moves."""

    cost: float  # sum plan * cost = sum a u + sum b v
    plan: Array  # (n, m); its rows sum to a, its columns to b
    u: Array  # Kantorovich's potentials: what a critic that is optimal says of x_i, ...
    v: Array  # ... and minus what it says of y_j


def optimal_transport(cost: Any, a: Any = None, b: Any = None) -> Transport:
    """The linear program min sum P C over P >= 0 with row sums a and column sums b.

    cost: (n, m), C_ij = |x_i - y_j| for W1. a (n,), b (m,): masses that sum to 1, equal ones unless
    given. ValueError for other masses and for costs that are not finite or not (n, m).
    By the simplex method on the transport polytope: a basis is a tree of n + m - 1 cells. Exact up
    to rounding; meant for a few dozen points (a step solves n + m equations).

    >>> import tinygen as tg
    >>> best = tg.metrics.optimal_transport([[3.0, 1.0], [1.0, 3.0]])
    >>> best.cost, best.plan.tolist()
    (1.0, [[0.0, 0.5], [0.5, 0.0]])
    """
    c = np.asarray(cost.detach().numpy() if isinstance(cost, Tensor) else cost, np.float64)
    if c.ndim != 2 or not c.size or not np.isfinite(c).all():
        raise ValueError(f"optimal_transport: expected finite costs (n, m), got shape {c.shape}")
    n, m = c.shape
    mass = [_masses(given, size) for given, size in ((a, n), (b, m))]
    basis, flow = _north_west(*mass)
    columns = _incidence(n, m)
    for turn in range(50 * n * m):
        potentials = _potentials(c, basis, n)
        reduced = (c - potentials[:n, None] - potentials[n:]).ravel()
        reduced[basis] = 0.0
        entering = _entering(reduced, scale=abs(c).max(), first=turn > 5 * n * m)
        if entering is None:
            break
        change = np.rint(np.linalg.lstsq(columns[:, basis], columns[:, entering])[0])
        down = np.flatnonzero(change > 0.5)
        least = flow[down].min()
        ties = down[flow[down] <= least + 1e-15]
        leaving = ties[np.argmin(np.array(basis)[ties])]  # Bland's rule: no cycles
        flow -= least * change
        flow[leaving], basis[leaving] = least, entering
    plan = np.zeros(n * m)
    plan[basis] = np.maximum(flow, 0.0)
    total = float(plan @ c.ravel())
    return Transport(total, plan.reshape(n, m), potentials[:n], potentials[n:])


def _masses(given: Any, size: int) -> Array:
    mass = np.full(size, 1.0 / size) if given is None else np.asarray(given, np.float64)
    if mass.shape != (size,) or mass.min() < 0 or abs(mass.sum() - 1) > 1e-9:
        raise ValueError(
            f"optimal_transport: expected {size} masses >= 0 that sum to 1, got shape {mass.shape} "
            f"with sum {mass.sum():.6g}"
        )
    return mass


def _north_west(a: Array, b: Array) -> tuple[list[int], Array]:
    """A first basis: fill cells from the north-west corner, step down or right along the way."""
    i = j = 0
    left_a, left_b = a[0], b[0]
    basis, flow = [], []
    while True:
        moved = min(left_a, left_b)
        basis.append(i * len(b) + j)
        flow.append(moved)
        left_a, left_b = left_a - moved, left_b - moved
        if i + 1 == len(a) and j + 1 == len(b):
            return basis, np.array(flow)
        if j + 1 == len(b) or (i + 1 < len(a) and left_a <= left_b):
            i, left_a = i + 1, a[i + 1]
        else:
            j, left_b = j + 1, b[j + 1]


def _incidence(n: int, m: int) -> Array:
    """(n + m, n m): cell (i, j) takes from row i and gives to column j."""
    return np.concatenate([np.repeat(np.eye(n), m, 1), np.tile(np.eye(m), n)])


def _potentials(c: Array, basis: list[int], n: int) -> Array:
    """u and v with u_i + v_j = c_ij on the basis and u_0 = 0."""
    size = sum(c.shape)
    cells = np.array(basis)
    rows = np.arange(len(cells))
    system = np.zeros((size, size))
    system[rows, cells // c.shape[1]] = 1.0
    system[rows, n + cells % c.shape[1]] = 1.0
    system[-1, 0] = 1.0
    return np.linalg.solve(system, np.append(c.ravel()[cells], 0.0))


def _entering(reduced: Array, scale: float, first: bool) -> int | None:
    """The cell that lowers the cost most (or the first that does); None at the optimum."""
    negative = np.flatnonzero(reduced < -1e-12 * max(scale, 1e-300))
    if not len(negative):
        return None
    return int(negative[0] if first else negative[reduced[negative].argmin()])


def critic_slope(critic: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    """The largest |f(x_i) - f(y_j)| / |x_i - y_j| over all pairs: a lower bound of K.

    critic: (n, d) -> (n,); x and y are taken together, so pairs within x count too. A critic's gap
    E f(x) - E f(y) is at most K W1; divided by this slope it can be compared with W1 (on these very
    points it never exceeds it). Pairs where f differs by less than 1000 times its rounding do not
    count: between near points rounding alone would look steep. 0 where no pair counts.

    >>> import tinygen as tg
    >>> x = tg.tensor([[0.0, 0.0], [1.0, 0.0]])
    >>> tg.metrics.critic_slope(lambda x: 3 * x[:, 0], x, x + 5)
    3.0
    """
    both = np.concatenate([as_rows(x, "critic_slope"), as_rows(y, "critic_slope")])
    said = [critic(v) for v in (x, y)]
    values = np.concatenate([as_rows(v, "critic_slope").ravel() for v in said])
    least = 1000 * float(np.finfo(said[0].dtype).eps) * abs(values).max()
    rise = abs(values[:, None] - values)
    run = np.sqrt(((both[:, None] - both) ** 2).sum(2))
    counts = (run > 0) & (rise > least)
    return float((rise[counts] / run[counts]).max()) if counts.any() else 0.0
