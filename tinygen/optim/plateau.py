"""A schedule that listens: the rate falls when a figure stops getting better."""

from __future__ import annotations

import math
from typing import Any

from ..checks import integers, numbers
from .optimizer import Optimizer
from .scheduler import LRScheduler, Several, each_group, groups_of

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """lr times `factor` when `step(metrics)` was told no better figure for more than `patience`.

    Better, for mode "min": below best * (1 - threshold), or best - threshold for threshold_mode
    "abs"; for "max" the other way round. After a fall, `cooldown` calls count no bad figure. min_lr
    is one number or one for each group; falls of less than eps are not made.

    >>> optimizer = optim.SGD([tg.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):  # twice no better
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Several = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        numbers(name, 0, factor=factor, eps=eps)
        numbers(name, threshold=threshold)
        integers(name, 0, patience=patience, cooldown=cooldown)
        if factor >= 1:
            raise ValueError(f"{name}: expected factor < 1, got {factor}")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"{name}: expected mode 'min' or 'max' and threshold_mode 'rel' or 'abs', got "
                f"{mode!r} and {threshold_mode!r}"
            )
        groups = groups_of(optimizer)
        self.min_lrs = each_group(name, "min_lr", min_lr, len(groups))
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.eps, self.last_epoch = cooldown, eps, 0
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        self._last_lr = [float(group["lr"]) for group in groups]

    def is_better(self, a: float, best: float) -> bool:
        """Is the figure `a` better than `best`, by more than the threshold?"""
        sign = 1.0 if self.mode == "max" else -1.0
        if self.threshold_mode == "rel":
            return sign * a > sign * best * (1.0 + sign * self.threshold)
        return sign * a > sign * best + self.threshold

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """One unit of time later: `metrics` (a number or a Tensor of one) decides."""
        current, self.last_epoch = float(metrics), self.last_epoch + 1
        if self.is_better(current, self.best):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [float(group["lr"]) for group in self.optimizer.param_groups]

    def _reduce(self) -> None:
        for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            lr = max(float(group["lr"]) * self.factor, least)
            if float(group["lr"]) - lr > self.eps:
                group["lr"] = lr
