"""The judges of lesson 13: WGAN with weight clipping."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...metrics import wasserstein_1d
from ..check import _array, close
from ..exercises import exercise, expect

__all__ = ["critic_on_line", "critic_step", "slope_bound", "w1"]


@exercise("13.1")
def w1(answer: Any) -> None:
    """w1(x, y): W1 of two samples (n,) on a line."""
    more = (
        "On a line paths that cross gain nothing, (13.2). Which point goes to which?",
        "abs(np.sort(x) - np.sort(y)).mean(), (13.3).",
    )
    rng = np.random.default_rng(13)
    x, y = rng.normal(0.0, 1.0, 30), rng.normal(0.5, 2.0, 30)
    expect(np.size(_array(answer(x, y))) == 1, "A distance is one number.", *more)
    expect(close(answer(x, rng.permutation(x)), 0.0), "The same points in another order: 0.", *more)
    expect(close(answer(x, x + 3.0), 3.0), "Everything moved by 3: the distance is 3.", *more)
    expect(
        close(answer(x, x - 3.0), 3.0), "Moved by -3 it is 3 as well: distances, not steps.", *more
    )
    expect(
        close(answer(10 * x, 10 * y), 10 * _array(answer(x, y))),
        "Ten times the unit, ten W1.",
        *more,
    )
    expect(
        close(answer(np.array([-1.0, 1.0]), np.array([-2.0, 2.0])), 1.0),
        "From -1, 1 to -2, 2 the means agree, but each point moves by 1.",
        *more,
    )
    expect(
        close(answer(np.array([0.0, 0.0, 0.0]), np.array([0.0, 0.0, 6.0])), 2.0),
        "Only one of three points moves, by 6: W1 is 2. Is yours W2?",
        *more,
    )
    expect(close(answer(x, y), wasserstein_1d(x, y)), "There is a cheaper plan than yours.", *more)


@exercise("13.2")
def slope_bound(answer: Any) -> None:
    """slope_bound(weights): the product of the largest singular values."""
    more = (
        "A matrix stretches by at most its largest singular value, np.linalg.norm(w, 2).",
        "The product of np.linalg.norm(w, 2) over all matrices.",
    )
    rng = np.random.default_rng(2)
    turn = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    expect(
        close(answer([np.eye(3)]), 1.0), "The identity does not stretch anything: bound 1.", *more
    )
    expect(
        close(answer([turn, turn]), 1.0),
        "Rotations have slope 1. Which norm of a matrix is its largest stretch?",
        *more,
    )
    expect(close(answer([2.0 * turn, 3.0 * turn]), 6.0), "Slopes of a chain multiply.", *more)
    weights = [rng.normal(size=(7, 3)), rng.normal(size=(6, 7)), rng.normal(size=(1, 6))]
    bound = float(_array(answer(weights)))
    a, b = rng.normal(size=(2, 3, 400))
    rise = np.linalg.norm(_relu_net(weights, a) - _relu_net(weights, b), axis=0)
    expect(
        np.all(rise <= bound * np.linalg.norm(a - b, axis=0) + 1e-9),
        "There are two points between which a ReLU network with these weights is steeper.",
        *more,
    )
    exact = float(np.prod([np.linalg.norm(w, 2) for w in weights]))
    expect(close(bound, exact), "It is a bound, but not as sharp as the product in (13.17).", *more)


def _relu_net(weights: list[Any], x: Any) -> Any:
    for w in weights[:-1]:
        x = np.maximum(w @ x, 0.0)
    return weights[-1] @ x


@exercise("13.3")
def critic_step(answer: Any) -> None:
    """critic_step(weights, gradients, lr, c): a step up the gap, then all |w| cut to c."""
    more = (
        "First w + lr * g, since the critic climbs; then cut what comes out.",
        "np.clip(w + lr * g, -c, c) for each weight w and its gradient g.",
    )

    def new(weights: list[Any], gradients: list[Any], lr: float, c: float) -> list[Any]:
        found = answer([w.copy() for w in weights], gradients, lr, c)
        is_list = hasattr(found, "__len__") and len(found) == len(weights)
        expect(is_list, "Return the list of the new weights.", *more)
        return [_array(w) for w in found]

    rng = np.random.default_rng(3)
    w, g = ([rng.uniform(-0.05, 0.05, s) for s in ((3, 2), (1, 3))] for _ in range(2))
    free = new(w, g, 0.1, 10.0)
    expect(free[0].shape == (3, 2), "The new weights have the shapes of the old ones.", *more)
    expect(
        close(free[0], w[0] + 0.1 * g[0]),
        "Far inside the bound it is a plain step. Which way does a critic go on its gap?",
        *more,
    )
    pushed = new(w, [50 * v for v in g], 0.1, 0.04)
    largest = max(float(abs(v).max()) for v in pushed)
    expect(largest <= 0.04 + 1e-12, "After the step some |w| is above c. Clip last.", *more)
    steep = new([np.zeros(3)], [np.array([5.0, -5.0, 0.5])], 1.0, 2.0)[0]
    expect(
        close(steep, [2.0, -2.0, 0.5]),
        "From 0, with gradients 5, -5 and 0.5, lr 1 and c = 2, the weights are 2, -2 and 0.5: the "
        "weights are clipped, not the gradients, each by itself, and both ends count.",
        *more,
    )
    expect(
        close(new([np.array([0.5])], [np.array([10.0])], 0.1, 1.2)[0], [1.2]),
        "The step of the weight 0.5 by 0.1 * 10 is 1.0; then c = 1.2 binds.",
        *more,
    )
    expect(
        close(new([np.zeros(1)], [np.array([10.0])], 0.1, 2.0)[0], [1.0]),
        "A gradient larger than c is no reason to clip: the weight it leads to is 1.0, c is 2.",
        *more,
    )


@exercise("13.4")
def critic_on_line(answer: Any) -> None:
    """critic_on_line(x, y): values at x and at y of a critic of slope <= 1 whose gap is W1."""
    more = (
        "Sort all points. Between two neighbours the best slope is the sign of F_y - F_x, (13.14).",
        "Add up sign(F_y - F_x) times the distances of the sorted points; np.interp reads the sums "
        "off at x and y.",
    )
    rng = np.random.default_rng(4)
    cases = [
        (np.array([0.0, 1.0]), np.array([3.0])),
        (rng.normal(0.0, 1.0, 12), rng.normal(2.0, 1.0, 12)),
        (rng.normal(0.0, 2.0, 9), rng.normal(0.0, 0.5, 14)),
    ]
    for x, y in cases:
        pair = answer(x.copy(), y.copy())
        is_pair = hasattr(pair, "__len__") and len(pair) == 2
        expect(is_pair, "Return one value for each x and one for each y, as a pair.", *more)
        f_x, f_y = (_array(v) for v in pair)
        expect(f_x.shape == x.shape, "Return one value for each x.", *more)
        expect(f_y.shape == y.shape, "Return one value for each y.", *more)
        points, values = np.concatenate([x, y]), np.concatenate([f_x, f_y])
        rise = abs(values[:, None] - values)
        expect(
            np.all(rise <= abs(points[:, None] - points) + 1e-9),
            "Between two of the points the slope is above 1.",
            *more,
        )
        gap, best = float(f_x.mean() - f_y.mean()), wasserstein_1d(x, y)
        expect(gap > -1e-9, "The gap is negative: high at x, low at y.", *more)
        expect(
            gap >= best - 1e-9,
            f"A legal critic, but its gap is {gap:.3f} and the best has {best:.3f}. The slope may "
            "change its sign from place to place.",
            *more,
        )
