"""The judges of lesson 10: generator losses and game dynamics."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...nn import functional as F
from ...ops import exp, mean, relu, softplus, square
from ...tensor import Tensor
from ..check import _array, close
from ..exercises import exercise, expect

__all__ = ["good_loss", "look_ahead", "saddles", "weights"]


def _rows(value: Any) -> np.ndarray[Any, Any]:
    return np.stack([_array(row) for row in value]) if np.iterable(value) else _array(value)


@exercise("10.1")
def weights(answer: Any) -> None:
    """weights(a): the slopes of three generator losses by the logit, (n,) -> (3, n)."""
    more = (
        "(10.4) to (10.6) with D = 1 / (1 + e^-a). Which power of e overflows, and when?",
        "log D = -np.logaddexp(0, -a) never overflows: -exp(log D), -exp(log(1 - D)), -exp(a).",
    )
    a = np.random.default_rng(10).normal(0.0, 3.0, 40)
    rows = _rows(answer(a))
    expect(rows.shape == (3, 40), "Three rows, one number for each logit.", *more)
    expect(
        np.all(rows < 0), "Every loss falls when the logit grows: all slopes are negative.", *more
    )
    expect(close(rows[0] + rows[1], -np.ones(40)), "-D and -(1 - D) add up to -1.", *more)
    expect(close(rows[0], np.exp(a) * rows[1]), "Which of the two dies where D is near 0?", *more)
    expect(close(rows[2], -np.exp(a)), "D / (1 - D) is e to the power of something simple.", *more)
    expect(
        close(_rows(answer(np.zeros(1)))[:, 0], [-0.5, -0.5, -1.0]), "At a = 0, D is 1/2.", *more
    )
    with np.errstate(over="ignore", invalid="ignore"):
        far = _rows(answer(np.array([-1000.0, 1000.0])))[:2]
    expect(np.isfinite(far).all(), "At logits of 1000 the first two slopes are inf or nan.", *more)
    expect(close(far, [[0.0, -1.0], [-1.0, 0.0]]), "Far out the slopes are 0 or -1.", *more)
    tiny = _rows(answer(np.array([-30.0])))[0, 0]
    expect(
        close(tiny * np.exp(30.0), -1.0, 0.01),
        "At -30 the minimax slope is tiny, -e^-30, but it is not 0. Do you clip?",
        *more,
    )


@exercise("10.2")
def look_ahead(answer: Any) -> None:
    """look_ahead(field, w, eta): one extragradient step from w."""
    more = (
        "Two directions: here = field(w), there = field(w + eta * here). Which one is the step?",
        "w + eta * field(w + eta * field(w)).",
    )
    calls = []

    def spin(w: Any) -> np.ndarray[Any, Any]:
        calls.append(_array(w).copy())
        return np.array([-calls[-1][1], calls[-1][0]])

    w, eta = np.array([0.8, -0.6]), 0.2
    given = w.copy()
    new = _array(answer(spin, given, eta))
    expect(new.shape == (2,), "It should return the new point, of the shape of w.", *more)
    expect(len(calls) == 2, "The field is asked twice: here, and at the point looked at.", *more)
    expect(close(calls[0], w), "First ask for the direction where you stand.", *more)
    ahead = w + eta * np.array([-w[1], w[0]])
    expect(close(calls[1], ahead), "Then ask at w + eta field(w).", *more)
    expect(
        close(given, w),
        "Your step changes the array w that it was given. Make a new one: w + ..., not w += ...",
        *more,
        got=given,
    )
    size = float(new @ new) / float(w @ w)
    expect(
        size < 1,
        "On V = theta phi you move away from 0. The second direction is applied from w itself.",
        *more,
    )
    expect(
        close(size, 1 - eta**2 + eta**4), "The factor is not that of (10.22). Go back to w.", *more
    )
    bowl = answer(lambda v: -np.array([1.0, 3.0, 2.0]) * v, np.array([1.0, -2.0, 0.5]), 0.1)
    expect(
        close(bowl, [0.91, -2 * 0.79, 0.5 * 0.84]), "It fails on a bowl in three dimensions.", *more
    )


@exercise("10.3")
def saddles(answer: Any) -> None:
    """saddles(V): the cells (i, j) that are least of their column and largest of their row."""
    more = (
        "Mark the smallest of each column and the largest of each row: a saddle is marked twice.",
        "np.argwhere((V == V.min(0)) & (V == V.max(1, keepdims=True))).",
    )

    def found(table: Any) -> set[tuple[int, int]]:
        cells = answer(np.array(table, float))
        cells = list(cells) if np.iterable(cells) else [cells]
        expect(all(np.size(c) == 2 for c in cells), "Return a list of pairs (i, j).", *more)
        return {(int(i), int(j)) for i, j in cells}

    expect(found([[1, -1], [-1, 1]]) == set(), "Matching pennies has no saddle point.", *more)
    expect(
        found([[2, 1, 3], [5, 0, 4]]) == {(0, 2)},
        "In [[2, 1, 3], [5, 0, 4]] the saddle is at (0, 2). Who chooses the row, and wants what?",
        *more,
    )
    expect(
        len(found(np.ones((2, 3)))) == 6, "In a constant table every cell is a saddle point.", *more
    )
    rng = np.random.default_rng(3)
    for _ in range(40):
        table = rng.integers(0, 5, (3, 4))
        best = {
            (i, j)
            for i in range(3)
            for j in range(4)
            if table[i, j] == table[:, j].min() and table[i, j] == table[i].max()
        }
        expect(
            found(table) == best,
            "A saddle is the smallest of its column (G cannot gain) and the largest of its row.",
            *more,
        )


@exercise("10.4")
def good_loss(answer: Any) -> None:
    """good_loss(loss): does descending it make every logit grow, wherever it is?"""
    more = (
        "Take logits from -20 to 20 with requires_grad=True and look at every slope.",
        "With a = tg.tensor(np.linspace(-20, 20, 81), requires_grad=True): are all entries of "
        "tg.autograd.grad(loss(a), [a])[0] negative?",
    )
    good = {
        "softplus(-a)": lambda a: mean(softplus(-a)),
        "-softplus(a)": lambda a: -mean(softplus(a)),
        "-e^a": lambda a: -mean(exp(0.1 * a)),
        "-a": lambda a: -mean(a),
    }
    bad = {
        "+a, the wrong sign": lambda a: mean(a),
        "-softplus(-a), the wrong sign": lambda a: -mean(softplus(-a)),
        "(a - 1)^2 / 2, which is wrong for a > 1": lambda a: 0.5 * mean(square(a - 1.0)),
        "max(0, 1 - a), which stops at 1": lambda a: mean(relu(1.0 - a)),
        "(a - 5)^2, which is wrong for a > 5": lambda a: mean(square(a - 5.0)),
        "-(a + 5)^2, which is wrong for a < -5": lambda a: -mean(square(a + 5.0)),
        "(a + 3)^2, which is right only below -3": lambda a: mean(square(a + 3.0)),
        "that of the discriminator": lambda a: F.binary_cross_entropy_with_logits(
            a, Tensor(np.zeros(a.shape))
        ),
    }
    for name, loss in good.items():
        expect(
            _truth(answer(loss)),
            f"The loss {name} is good: its slope is negative everywhere.",
            *more,
        )
    for name, loss in bad.items():
        expect(
            not _truth(answer(loss)),
            f"You accept the loss {name}. Which logits did you try?",
            *more,
        )


def _truth(value: Any) -> bool:
    return bool(_array(value).all())
