"""Learning-rate schedules from step to cosine, one after the other; scheduler.py is their base."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from ..checks import integers, numbers, positive
from ..names import missing
from .cycles import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from .optimizer import Optimizer
from .plateau import ReduceLROnPlateau
from .scheduler import LRScheduler

__all__ = [
    "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "OneCycleLR", "ReduceLROnPlateau",
    "SequentialLR", "StepLR",
]  # fmt: skip

Factor = Callable[[int], float]


def _times(name: str, milestones: Iterable[int]) -> list[int]:
    if not isinstance(milestones, Iterable):
        raise TypeError(f"{name}: expected a list of milestones, got {milestones!r}")
    times = list(milestones)
    for time in times:
        integers(name, 0, milestone=time)
    return times


class LambdaLR(LRScheduler):
    """lr(t) = lr(0) * lr_lambda(t); one function for all groups, or a list with one for each.

    Functions are not saved: give the same ones when you resume.

    >>> optimizer = optim.SGD([tg.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t))
    >>> schedule.step()
    >>> optimizer.param_groups[0]["lr"]
    0.5
    """

    _hidden = ("optimizer", "lr_lambdas")

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1
    ) -> None:
        count = len(optimizer.param_groups)
        self.lr_lambdas = [lr_lambda] * count if callable(lr_lambda) else list(lr_lambda)
        if not all(map(callable, self.lr_lambdas)):
            raise TypeError(f"LambdaLR: expected functions of the time, got {lr_lambda!r}")
        if len(self.lr_lambdas) != count:
            raise ValueError(f"Expected {count} lr_lambdas, but got {len(self.lr_lambdas)}")
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, group: int) -> float:
        return self._at(self.last_epoch, self.base_lrs[group], group)

    def _at(self, time: int, base: float, group: int) -> float:
        return base * float(self.lr_lambdas[group](time))


class StepLR(LRScheduler):
    """lr times `gamma` every `step_size` units of time: lr(t) = lr(0) gamma^floor(t / step_size).

    >>> optimizer = optim.SGD([tg.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.StepLR(optimizer, step_size=2)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        positive("StepLR", step_size=step_size)
        numbers("StepLR", gamma=gamma)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, group: int) -> float:
        return lr * self.gamma if self.last_epoch and self.last_epoch % self.step_size == 0 else lr

    def _at(self, time: int, base: float, group: int) -> float:
        return base * self.gamma ** (time // self.step_size)


class MultiStepLR(LRScheduler):
    """lr times `gamma` at each of the `milestones`; at one that is given twice, twice.

    >>> optimizer = optim.SGD([tg.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        numbers("MultiStepLR", gamma=gamma)
        self.milestones, self.gamma = sorted(_times("MultiStepLR", milestones)), gamma
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, group: int) -> float:
        return lr * self.gamma ** self.milestones.count(self.last_epoch)

    def _at(self, time: int, base: float, group: int) -> float:
        return base * self.gamma ** bisect_right(self.milestones, time)


class ExponentialLR(LRScheduler):
    """lr(t) = lr(0) * gamma^t.

    >>> optimizer = optim.SGD([tg.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        numbers("ExponentialLR", gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, group: int) -> float:
        return lr * self.gamma if self.last_epoch else lr

    def _at(self, time: int, base: float, group: int) -> float:
        return base * self.gamma**time


class CosineAnnealingLR(LRScheduler):
    """lr(t) = eta_min + (lr(0) - eta_min) * (1 + cos(pi t / T_max)) / 2.

    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts"
    (arXiv:1608.03983), without the restarts: after T_max the rate climbs back.

    >>> optimizer = optim.SGD([tg.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
    >>> for _ in range(2):  # half of the way
    ...     schedule.step()
    >>> round(schedule.get_last_lr()[0], 6)
    0.5
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        positive("CosineAnnealingLR", T_max=T_max)
        numbers("CosineAnnealingLR", eta_min=eta_min)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, group: int) -> float:
        t = self.last_epoch
        if t == 0:
            return lr
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:  # the ratio below would be 0 / 0
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return lr + (self.base_lrs[group] - self.eta_min) * rise
        ratio = (1 + math.cos(math.pi * t / self.T_max)) / (
            1 + math.cos(math.pi * (t - 1) / self.T_max)
        )
        return self.eta_min + ratio * (lr - self.eta_min)

    def _at(self, time: int, base: float, group: int) -> float:
        height = (1 + math.cos(math.pi * time / self.T_max)) / 2
        return self.eta_min + (base - self.eta_min) * height


class ConstantLR(LRScheduler):
    """lr(0) times `factor` until `total_iters`, then lr(0).

    >>> optimizer = optim.SGD([tg.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=1)
    >>> rates = schedule.get_last_lr()
    >>> schedule.step()
    >>> rates + schedule.get_last_lr()
    [0.5, 1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        numbers("ConstantLR", 0, 1, factor=factor)
        integers("ConstantLR", 0, total_iters=total_iters)
        if factor == 0:
            raise ValueError(f"ConstantLR: expected factor in (0, 1], got {factor}")
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def _next(self, lr: float, group: int) -> float:
        if self.last_epoch == 0:
            return lr * self.factor
        return lr / self.factor if self.last_epoch == self.total_iters else lr

    def _at(self, time: int, base: float, group: int) -> float:
        return base * (self.factor if time < self.total_iters else 1.0)


class LinearLR(LRScheduler):
    """lr(0) times a factor that goes from start_factor to end_factor in total_iters: a warm-up.

    >>> optimizer = optim.SGD([tg.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.25, total_iters=3)
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        numbers("LinearLR", 0, 1, start_factor=start_factor, end_factor=end_factor)
        integers("LinearLR", 0, total_iters=total_iters)
        if start_factor == 0:
            raise ValueError(f"LinearLR: expected start_factor in (0, 1], got {start_factor}")
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, time: int) -> float:
        share = min(time, self.total_iters) / self.total_iters if self.total_iters else 1.0
        return self.start_factor + (self.end_factor - self.start_factor) * share

    def _next(self, lr: float, group: int) -> float:
        t = self.last_epoch
        if t == 0:
            return lr * self.start_factor
        return lr if t > self.total_iters else lr * self._factor(t) / self._factor(t - 1)

    def _at(self, time: int, base: float, group: int) -> float:
        return base * self._factor(time)


class SequentialLR(LRScheduler):
    """One schedule after the other: schedulers[i + 1] takes over at milestones[i], from its start.

    With a LinearLR first, it is a warm-up.

    >>> optimizer = optim.SGD([tg.zeros(1)], lr=1.0)
    >>> warm = optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> then = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.1)
    >>> schedule = optim.lr_scheduler.SequentialLR(optimizer, [warm, then], milestones=[2])
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += schedule.get_last_lr()
    ...     schedule.step()
    >>> rates
    [0.5, 0.75, 1.0, 0.1]
    """

    _hidden = ("optimizer", "_schedulers")

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:
        if len(schedulers) != len(milestones) + 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than "
                f"the number of milestone points, but got {len(schedulers)} and {len(milestones)}"
            )
        if any(scheduler.optimizer is not optimizer for scheduler in schedulers):
            raise ValueError("SequentialLR: all schedulers must belong to the given optimizer")
        self.optimizer, self._schedulers = optimizer, list(schedulers)
        self.milestones, self.last_epoch = _times("SequentialLR", milestones), last_epoch + 1
        for group in optimizer.param_groups:  # each scheduler's constructor has set a first rate
            group["lr"] = group["initial_lr"]
        for scheduler in self._schedulers:
            scheduler.last_epoch -= 1
        self._schedulers[0]._begin()
        self._last_lr = self._schedulers[0].get_last_lr()

    def step(self) -> None:
        self.last_epoch += 1
        i = bisect_right(self.milestones, self.last_epoch)
        if i > 0 and self.milestones[i - 1] == self.last_epoch:
            self._schedulers[i].restart()
        else:
            self._schedulers[i].step()
        self._last_lr = self._schedulers[i].get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        parts = state_dict["_schedulers"]
        if len(parts) != len(self._schedulers):
            raise ValueError(
                f"SequentialLR.load_state_dict: {len(parts)} schedulers were saved, expected "
                f"{len(self._schedulers)}"
            )
        for scheduler, part in zip(self._schedulers, parts, strict=True):
            scheduler.load_state_dict(part)
        vars(self).update({k: v for k, v in state_dict.items() if k != "_schedulers"})


if not TYPE_CHECKING:  # for a type checker, a name that is not there is an error of its own

    def __getattr__(name: str) -> NoReturn:
        raise missing(__name__, name, __all__)
