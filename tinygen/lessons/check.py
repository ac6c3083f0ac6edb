"""Both sides of an equation, evaluated and compared; and the judge of the exercises.

Every displayed equation of a lesson has a tag, and a cell below it calls one of

    check.equal("7.3", left, right)         the two sides agree to rounding
    check.mean("7.4", draws, exact)         an average of random draws agrees with the exact value
    check.at_most("7.5", smaller, larger)   an inequality holds

with that tag. What the text says about a slide, a bug or an experiment is guarded by

    check.claim("E9: JS in nats", js, "0.693")        the number that the text quotes
    check.claim("E9: overlap needed", a > 3 * b)      or a statement that must be true

Each prints one line and raises `Disagreement` when what is said does not hold, so that a lesson
cannot be executed with a wrong equation or a wrong figure in it. `check.exercise("7.1", answer)`
judges an exercise and never raises: a learner's notebook runs on.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np

from ..tensor import Tensor
from .exercises import judge

__all__ = ["Disagreement", "at_most", "claim", "close", "equal", "exercise", "mean"]


class Disagreement(AssertionError):
    """The two sides of an equation differ by more than is allowed."""


def equal(tag: str, left: Any, right: Any, tol: float = 1e-9) -> None:
    r"""Print and check that max |left - right| <= tol * max |right|.

    The tolerance is relative to the largest entry on the right; where that is 0, absolute.

    Args:
        tag: the equation's tag, as in ``\tag{7.3}``.
        left, right: numbers, arrays or Tensors of one shape (or one that broadcasts).
        tol: what rounding may do; say in the lesson why, where it is above 1e-6.

    Raises:
        Disagreement: they differ by more, or one side is not finite where the other is.

    >>> from tinygen.lessons import check
    >>> check.equal("7.3", [1.0, 2.0], [1.0, 2.0])
    (7.3)  2 numbers on each side, largest difference 0
    """
    a, b = np.broadcast_arrays(_array(left), _array(right))
    with np.errstate(invalid="ignore"):
        gap = np.where(a == b, 0.0, np.abs(a - b))  # inf == inf is agreement
    scale = float(np.max(np.abs(b), initial=0.0, where=np.isfinite(b))) or 1.0
    worst = float(np.max(gap, initial=0)) / scale
    line = f"({tag})  {_sides(a, b)}difference {_below(worst)}"
    if not worst <= tol:
        raise Disagreement(f"{line}; allowed {tol:.0e}\nleft {_show(a)}\nright {_show(b)}")
    print(line)


def mean(tag: str, draws: Any, exact: Any, sigmas: float = 4.0) -> None:
    """Print and check that the average of `draws` over axis 0 is `exact` within its standard error.

    |mean - exact| <= sigmas * std / sqrt(n), the worst entry counts. Draws are independent along
    axis 0; `exact` has the shape of one draw. Raises `Disagreement`.

    >>> from tinygen.lessons import check
    >>> check.mean("7.4", [0.0, 2.0], exact=1.0)
    (7.4)  1 ± 1, exact 1; 2 draws, 0.0 standard errors apart
    """
    x, truth = _array(draws), _array(exact)
    average, error = x.mean(0), x.std(0, ddof=1) / math.sqrt(len(x))
    score = float(np.max(np.abs(average - truth) / np.maximum(error, 1e-300), initial=0))
    numbers = "" if average.size > 1 else f"{float(average):.4g} ± {float(error):.1g}, exact "
    numbers += f"{float(truth):.4g}; " if truth.size == 1 and average.size == 1 else ""
    line = f"({tag})  {numbers}{len(x)} draws, {score:.1f} standard errors apart"
    if not score <= sigmas:
        raise Disagreement(f"{line}; allowed {sigmas}\nmean {_show(average)}\nexact {_show(truth)}")
    print(line)


def at_most(
    tag: str,
    smaller: Any,
    larger: Any,
    slack: float = 1e-9,
    attained: tuple[Any, Any] | None = None,
) -> None:
    """Print and check that smaller <= larger + slack, entry by entry. Raises `Disagreement`.

    An inequality that is never close says little: `attained` is (left, right) in a case where the
    two sides agree, to 1e-6 of the right.

    >>> from tinygen.lessons import check
    >>> check.at_most("7.5", [1.0, 2.0], 3.0, attained=(3.0, 3.0))
    (7.5)  2 inequalities hold, least gap 1; attained: 3 = 3
    """
    a, b = np.broadcast_arrays(_array(smaller), _array(larger))
    room = float(np.min(b - a)) if a.size else math.inf
    sides = f"{float(a):.4g} <= {float(b):.4g}" if a.size == 1 else f"{a.size} inequalities hold"
    if not room >= -slack:
        raise Disagreement(
            f"({tag})  the left side is larger by {-room:.3g}\nleft {_show(a)}\nright {_show(b)}"
        )
    line = f"({tag})  {sides}, least gap {room:.2g}"
    if attained is not None:
        left, right = (_array(side) for side in attained)
        if not np.all(np.isfinite(right) & (np.abs(left - right) <= 1e-6 * np.abs(right))):
            raise Disagreement(f"{line}; not attained: {_show(left)} and {_show(right)}")
        line += f"; attained: {left.flat[0]:.4g} = {right.flat[0]:.4g}"
    print(line)


def claim(what: str, value: Any, said: str | float | bool = True, tol: float | None = None) -> None:
    """Print and check what the text says of a number that the lesson computes.

    Args:
        what: the erratum and the quantity, in words: "E9: JS in nats".
        value: the number; or, with `said` left out, a statement that must be true.
        said: what the text says. A string is compared to the digits that it shows: "0.498" allows
            0.0005 and a hair; a number needs `tol`.
        tol: allowed instead, relative to `said`: how much training or another machine may move it.

    Raises:
        Disagreement: it is not what the text says. ValueError: a number is said without `tol`, or
            is given where a statement should be.

    >>> from tinygen.lessons import check
    >>> check.claim("E9: JS in nats", 0.69315, "0.693")
    [E9: JS in nats]  0.693, as said
    >>> check.claim("E9: no overlap, no slope", 0.0 < 1e-3)
    [E9: no overlap, no slope]  holds
    """
    if isinstance(said, bool):
        holds = np.asarray(value.numpy() if isinstance(value, Tensor) else value)
        if holds.dtype != bool:
            raise ValueError(f"claim {what!r}: {value} is no statement; say what the text says")
        if bool(holds.all()) is not said:
            raise Disagreement(f"[{what}]  does not hold")
        print(f"[{what}]  holds")
        return
    if tol is None and not isinstance(said, str):
        raise ValueError(f"claim {what!r}: give {said} as text, or say tol=")
    number, truth = float(_array(value)), float(said)
    last = int(Decimal(str(said)).as_tuple().exponent)  # the last digit shown counts 10^last
    room = tol * abs(truth) if tol is not None else 0.5001 * 10.0**last
    if not abs(number - truth) <= room:
        raise Disagreement(
            f"[{what}]  is {number:.6g}, said {said}, allowed {room:.1g} more or less"
        )
    shown = said if tol is None else f"{number:.{max(0, -last)}f}"
    print(f"[{what}]  {shown}, {'as said' if tol is None else f'said {said}'}")


def exercise(number: str, answer: Any) -> None:
    """Judge an exercise by its properties; print the verdict or a hint. Never raises for an answer.

    KeyError for a number that no exercise has.

    >>> from tinygen.lessons import check
    >>> check.exercise("9.4", lambda logits: logits)  # doctest: +ELLIPSIS
    Exercise 9.4: not yet. ... Your function gave [-1.2043, 0.36427, -2.4845, ...
    """
    print(f"Exercise {number}: {judge(number, answer).text}")


def close(left: Any, right: Any, tol: float = 1e-6) -> bool:
    """True if |left - right| <= tol * max(1, |right|) everywhere and the shapes are the same.

    >>> from tinygen.lessons import check
    >>> check.close([1.0, 2.0], [1.0, 2.1]), check.close([1.0], [1.0, 1.0])
    (False, False)
    """
    a, b = _array(left), _array(right)
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= tol * np.maximum(1.0, np.abs(b))))


def _array(value: Any) -> np.ndarray[Any, Any]:
    value = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    return np.asarray(value, dtype=np.float64)


def _sides(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> str:
    if a.size == 1:
        return f"left {float(a.reshape(())):.6g}, right {float(b.reshape(())):.6g}, "
    return f"{a.size} numbers on each side, largest "


def _below(gap: float) -> str:
    """The next power of ten: rounding differs from machine to machine, its size does not."""
    if not math.isfinite(gap):
        return str(gap)
    return "0" if gap == 0 else f"below {10.0 ** max(math.ceil(math.log10(gap)), -15):.0e}"


def _show(a: np.ndarray[Any, Any]) -> str:
    return str(np.array2string(a, precision=6, threshold=8))
