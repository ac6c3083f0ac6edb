"""The base of learning-rate schedules: how `lr` of every parameter group changes from step to step.

A schedule says how the next rate follows from the present one (`_next`), so that several schedules
chain on one optimizer and a rate changed by hand is respected, and what the rate is at a given time
when it runs alone (`_at`), so that SequentialLR can start one afresh. Call `scheduler.step()` after
`optimizer.step()`; whether a "time" is a step or an epoch is up to the caller. The rates are
PyTorch's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from ..checks import integers, numbers
from .optimizer import Group, Optimizer

__all__ = ["LRScheduler", "Several", "each_group", "groups_of"]

Several: TypeAlias = float | Sequence[float]


def groups_of(optimizer: Any) -> list[Group]:
    """The optimizer's parameter groups; TypeError for what is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
    return optimizer.param_groups


def each_group(name: str, key: str, value: Several, count: int) -> list[float]:
    """One number >= 0 for each of `count` groups, from one for all of them or a list."""
    several = [*value] if isinstance(value, Sequence) else [value] * count
    if len(several) != count:
        raise ValueError(f"{name}: expected one {key} or {count} of them, got {value!r}")
    for number in several:
        numbers(name, 0, finite=True, **{key: number})
    return several


class LRScheduler:
    """The base: counts the time `last_epoch`, sets the groups' rates, saves its state.

    last_epoch=-1 begins at time 0; another one resumes there, where the groups have "initial_lr".
    """

    _hidden: tuple[str, ...] = ("optimizer",)  # what state_dict() leaves out

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        groups = groups_of(optimizer)
        integers(type(self).__name__, -1, last_epoch=last_epoch)
        self.optimizer = optimizer
        for i, group in enumerate(groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming an "
                    "optimizer; load the optimizer's state_dict first"
                )
        self.base_lrs = [float(group["initial_lr"]) for group in groups]
        self.last_epoch = last_epoch
        self._begin()

    def _begin(self) -> None:
        self.last_epoch += 1
        self._set(self.get_lr())

    def step(self) -> None:
        """One unit of time later: set every group's rate."""
        self.last_epoch += 1
        self._set(self.get_lr())

    def restart(self) -> None:
        """Set time and rates to those of the schedule's beginning."""
        self.last_epoch = 0
        self._set([self._at(0, base, i) for i, base in enumerate(self.base_lrs)])

    def get_lr(self) -> list[float]:
        """The rates at the time `last_epoch`, from those that the groups have now."""
        groups = self.optimizer.param_groups
        return [self._next(float(group["lr"]), i) for i, group in enumerate(groups)]

    def get_last_lr(self) -> list[float]:
        """The rates that were set last, one a parameter group."""
        return self._last_lr

    def _next(self, lr: float, group: int) -> float:
        raise NotImplementedError(f"{type(self).__name__}: _next(lr, group) is missing")

    def _at(self, time: int, base: float, group: int) -> float:
        raise NotImplementedError(f"{type(self).__name__}: _at(time, base, group) is missing")

    def _set(self, lrs: Iterable[float]) -> None:
        self._last_lr = [float(lr) for lr in lrs]
        for group, lr in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = lr

    def state_dict(self) -> dict[str, Any]:
        """Its time, its numbers and the rates set last; without the optimizer and functions."""
        return {key: value for key, value in vars(self).items() if key not in self._hidden}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the saved schedule stood; the rates come with the optimizer's state."""
        expected = self.state_dict()
        if set(state_dict) != set(expected):
            raise ValueError(
                f"{type(self).__name__}.load_state_dict: expected the entries "
                f"{sorted(expected)}, got {sorted(state_dict)}"
            )
        vars(self).update(state_dict)
