"""Training curves, from lists or from a JSON-lines log."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..backend import Array
from .figure import COLOURS, GREY, PathLike, draws, finish, in_style, new_figure, to_numpy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["curves", "ema", "read_history", "read_log"]

Curve: TypeAlias = "tuple[Array, Array]"  # where, value

NOT_CURVES = {"step", "epoch", "time", "seconds"}  # what a log counts along with
FEW = 30  # points or fewer are drawn one by one, without smoothing
SPARSE = 5  # steps or more between two points: likewise


def ema(values: Any, smoothing: float, steps: Any = None) -> np.ndarray[Any, Any]:
    """m_t = smoothing m_{t-1} + (1 - smoothing) v_t, divided by 1 - smoothing^t (Adam's debiasing).

    values (n,) -> (n,) float64. steps: how many of them lie before each value (1 unless given); the
    past counts for smoothing^steps. Values that are NaN or infinite are passed over: the average
    keeps what it was. ValueError unless 0 <= smoothing < 1.

    >>> import tinygen as tg
    >>> tg.plot.ema([1.0, 4.0], smoothing=0.5).tolist()        # (1/4 1 + 1/2 4) / (3/4)
    [1.0, 3.0]
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"ema: expected 0 <= smoothing < 1, got {smoothing}")
    mean = weight = 0.0
    out = np.full(len(values), np.nan)
    kept = smoothing ** (np.ones(len(values)) if steps is None else np.asarray(steps, float))
    for i, value in enumerate(values):
        if math.isfinite(value):
            mean = kept[i] * mean + (1 - kept[i]) * float(value)
            weight = kept[i] * weight + (1 - kept[i])
        if weight:
            out[i] = mean / weight
    return out


def read_log(path: PathLike, x: str = "step") -> dict[str, Curve]:
    """{key: (x values, values)} of a JSON-lines log; a row need not have every key.

    A row without `x` counts as its line number, from 0. Where a resumed run went over the same
    steps again, the later row holds. A last line that a killed run left half-written is passed
    over; any other line that is not a JSON object raises ValueError with its number.
    """
    points: dict[str, dict[float, float]] = {}
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        row = _row(line, path, number, last=number == len(lines) - 1)
        where = row.get(x, number)
        for key, value in row.items():
            if key != x and _is_number(value):
                points.setdefault(key, {})[where] = value
    return {key: _sorted(values) for key, values in points.items()}


def _row(line: str, path: PathLike, number: int, last: bool) -> dict[str, Any]:
    try:
        row = json.loads(line) if line.strip() else {}
    except json.JSONDecodeError as error:
        if last:
            return {}
        raise ValueError(f"{path}, line {number + 1}: not JSON: {error}") from None
    if not isinstance(row, dict):
        raise ValueError(f"{path}, line {number + 1}: expected a JSON object, got {line[:40]!r}")
    return row


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _sorted(points: dict[float, float]) -> Curve:
    where = sorted(points)
    return np.array(where, float), np.array([points[step] for step in where], float)


def read_history(history: Mapping[str, Any], x: str = "step") -> dict[str, Curve]:
    """{key: (x values, values)} of a dict of equally long or shorter lists; x's own list if any.

    x values count from 0 where there is no list of them. ValueError for a list of another length.
    """
    steps = to_numpy(history[x], "curves").astype(float) if x in history else None
    curves = {}
    for key, values in history.items():
        if key == x:
            continue
        v = to_numpy(values, "curves").astype(float)
        if v.ndim != 1 or (steps is not None and len(v) != len(steps)):
            expected = "a list of numbers" if steps is None else f"{len(steps)} numbers, as {x!r}"
            raise ValueError(f"curves: {key!r} has shape {v.shape}, expected {expected}")
        curves[key] = (np.arange(len(v), dtype=float) if steps is None else steps, v)
    return curves


@draws
def curves(
    history: Mapping[str, Any] | PathLike,
    keys: Sequence[str] | None = None,
    units: str | Mapping[str, str] = "",
    x: str = "step",
    smoothing: float = 0.9,
    log: bool = False,
    title: str | None = None,
    path: PathLike | None = None,
) -> Figure:
    """Curves over `x`, from a dict of lists or a JSON-lines log; those of one unit share a panel.

    keys: which curves; all but epoch and time unless given. units: the unit of all of them, or
    {key: unit}, as in {"elbo": "nats", "lr": ""}. A curve of more than 30 points is smoothed by
    `ema` (0: not at all), over steps of the history, and stands before its raw self; one that is
    shorter, or has a value every 5 steps or less often, goes through its points. log: a logarithmic
    value axis. Raises ValueError for a key that is not there, and if nothing is.

    >>> import tinygen as tg
    >>> figure = tg.plot.curves({"loss": [3, 2, 1], "lr": [0.1, 0.1, 0.01]}, units={"loss": "nats"})
    >>> [axes.get_ylabel() for axes in figure.axes]    # a panel a unit
    ['loss (nats)', 'lr']
    """
    if isinstance(history, (str, os.PathLike)):
        found, source = read_log(history, x), str(history)
    else:
        found, source = read_history(history, x), "the history"
    wanted = [key for key in found if key not in NOT_CURVES] if keys is None else list(keys)
    for key in wanted:
        if key not in found:
            raise ValueError(f"curves: {source} has no {key!r}; it has {', '.join(found)}")
    if not any(len(found[key][1]) for key in wanted):
        raise ValueError(f"curves: there is nothing to draw in {source}")
    step = _gap(np.unique(np.concatenate([where for where, _ in found.values()])))
    panels = _panels(wanted, units)
    with in_style():
        from matplotlib.ticker import MaxNLocator

        figure = new_figure(6.4, 0.6 + 2.9 * len(panels))
        column = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (unit, group) in zip(column, panels.items(), strict=True):
            for k, key in enumerate(group):
                _draw(axes, *found[key], key, COLOURS[k % len(COLOURS)], smoothing, step)
            _label(axes, group, unit, log)
        column[-1].set_xlabel(x)
        column[-1].xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))
        column[0].set_title(title or "")
    return finish(figure, path, "curves")


def _panels(keys: Sequence[str], units: str | Mapping[str, str]) -> dict[str, list[str]]:
    """{unit: its keys}, in order of appearance."""
    panels: dict[str, list[str]] = {}
    for key in keys:
        unit = units if isinstance(units, str) else units.get(key, "")
        panels.setdefault(unit, []).append(key)
    return panels


def _gap(where: Array) -> float:
    """The usual distance between two points; 1 where there is none."""
    return float(np.median(np.diff(where))) if len(where) > 1 else 1.0


def _draw(
    axes: Axes, where: Array, values: Array, key: str, colour: str, smoothing: float, step: float
) -> None:
    if len(values) <= FEW or _gap(where) >= SPARSE * step:
        axes.plot(where, values, "o-", ms=3.5, lw=1.2, color=colour, label=key)
        return
    if smoothing:
        axes.plot(where, values, lw=0.7, color=colour, alpha=0.28)
        values = ema(values, smoothing, np.diff(where, prepend=where[0] - step) / step)
    axes.plot(where, values, color=colour, label=key)


def _label(axes: Axes, keys: Sequence[str], unit: str, log: bool) -> None:
    if len(keys) > 1:
        axes.legend(loc="best")
        axes.set_ylabel(unit)
    else:
        axes.set_ylabel(f"{keys[0]} ({unit})" if unit else keys[0])
    if log:
        axes.set_yscale("log")
    axes.grid(axis="y", color=GREY, alpha=0.15, linewidth=0.6)
    axes.margins(x=0.01)
