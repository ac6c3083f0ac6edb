"""Schedules that rise and fall: restarts, triangles, and one cycle for a whole training run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from ..checks import integers, numbers, positive
from .optimizer import Group, Optimizer
from .scheduler import LRScheduler, Several, each_group, groups_of

__all__ = ["CosineAnnealingWarmRestarts", "CyclicLR", "OneCycleLR"]


class _WithMomentum(LRScheduler):
    """A schedule by time alone, which may move the momentum (Adam's beta1) against the rate."""

    cycle_momentum = False

    def _next(self, lr: float, group: int) -> float:
        return self._at(self.last_epoch, self.base_lrs[group], group)

    def _momentum(self, time: int, group: int) -> float:
        raise NotImplementedError(f"{type(self).__name__}: _momentum(time, group) is missing")

    def _check_momentum(self, optimizer: Optimizer) -> None:
        if self.cycle_momentum and not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError(
                f"{type(self).__name__}: optimizer must support momentum or beta1 with "
                f"cycle_momentum=True, {type(optimizer).__name__} has neither"
            )

    def _set(self, lrs: Iterable[float]) -> None:
        super()._set(lrs)
        if self.cycle_momentum:
            for i, group in enumerate(self.optimizer.param_groups):
                self._set_momentum(group, self._momentum(self.last_epoch, i))

    @staticmethod
    def _set_momentum(group: Group, value: float) -> None:
        if "betas" in group:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value


class CosineAnnealingWarmRestarts(_WithMomentum):
    """The rate falls from lr(0) to eta_min as a half cosine, then starts again: SGDR.

    The first fall takes T_0 units of time, each next one T_mult times as many. Loshchilov and
    Hutter (arXiv:1608.03983). step(t) goes to a time of your own, which may be a fraction.

    >>> optimizer = optim.SGD([tg.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> rates = []
    >>> for _ in range(4):
    ...     rates += [round(schedule.get_last_lr()[0], 6)]
    ...     schedule.step()
    >>> rates
    [1.0, 0.5, 1.0, 0.5]
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        positive("CosineAnnealingWarmRestarts", T_0=T_0, T_mult=T_mult)
        numbers("CosineAnnealingWarmRestarts", eta_min=eta_min)
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        self.fraction = 0.0  # of the time beyond last_epoch
        super().__init__(optimizer, last_epoch)

    def step(self, epoch: float | None = None) -> None:
        """One unit of time later, or at the time `epoch`."""
        if epoch is None:
            epoch = self.last_epoch + 1 + self.fraction
        numbers("CosineAnnealingWarmRestarts", 0, epoch=epoch)
        self.last_epoch = math.floor(epoch)
        self.fraction = epoch - self.last_epoch
        self._set(self.get_lr())

    def _next(self, lr: float, group: int) -> float:
        return self._at(self.last_epoch + self.fraction, self.base_lrs[group], group)

    def _at(self, time: float, base: float, group: int) -> float:
        length = float(self.T_0)
        while time >= length:
            time, length = time - length, length * self.T_mult
        return self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * time / length)) / 2


class CyclicLR(_WithMomentum):
    """The rate goes up from base_lr to max_lr in step_size_up steps, down in step_size_down.

    mode "triangular": always as high; "triangular2": half as high in each next cycle; "exp_range":
    gamma^step times as high; or scale_fn, a function of the cycle (1, 2, ...) or, for scale_mode
    "iterations", of the step. cycle_momentum moves the momentum from max_momentum to base_momentum
    and back. Smith, "Cyclical learning rates for training neural networks" (arXiv:1506.01186).

    >>> optimizer = optim.SGD([tg.zeros(1)], lr=1.0, momentum=0.9)
    >>> schedule = optim.lr_scheduler.CyclicLR(optimizer, base_lr=1.0, max_lr=3.0, step_size_up=2)
    >>> for _ in range(2):
    ...     schedule.step()
    >>> schedule.get_last_lr(), optimizer.param_groups[0]["momentum"]
    ([3.0], 0.8)
    """

    _hidden = ("optimizer", "_scale_fn")

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Several,
        max_lr: Several,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Several = 0.8,
        max_momentum: Several = 0.9,
        last_epoch: int = -1,
    ) -> None:
        positive("CyclicLR", step_size_up=step_size_up)
        if step_size_down is not None:
            positive("CyclicLR", step_size_down=step_size_down)
        numbers("CyclicLR", gamma=gamma)
        integers("CyclicLR", -1, last_epoch=last_epoch)
        modes: dict[str, tuple[str, Callable[[float], float]]] = {
            "triangular": ("cycle", lambda cycle: 1.0),
            "triangular2": ("cycle", lambda cycle: 0.5 ** (cycle - 1)),
            "exp_range": ("iterations", lambda step: gamma**step),
        }
        if (scale_fn is None and mode not in modes) or scale_mode not in ("cycle", "iterations"):
            raise ValueError(
                f"CyclicLR: expected mode {', '.join(modes)}, and scale_mode 'cycle' or "
                f"'iterations', got {mode!r} and {scale_mode!r}"
            )
        count = len(groups_of(optimizer))
        self.max_lrs = each_group("CyclicLR", "max_lr", max_lr, count)
        self.base_momentums = each_group("CyclicLR", "base_momentum", base_momentum, count)
        self.max_momentums = each_group("CyclicLR", "max_momentum", max_momentum, count)
        self.up, self.down = step_size_up, step_size_down or step_size_up
        self.scale_mode, self._scale_fn = (
            modes[mode] if scale_fn is None else (scale_mode, scale_fn)
        )
        self.cycle_momentum = bool(cycle_momentum)
        self._check_momentum(optimizer)
        rates = each_group("CyclicLR", "base_lr", base_lr, count)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = group["initial_lr"] = rate
        super().__init__(optimizer, last_epoch)
        self.base_lrs = rates

    def _height(self, time: int) -> float:
        """Of the wave at a time, in [0, 1] where it is not scaled."""
        cycle, t = divmod(time, self.up + self.down)
        height = t / self.up if t <= self.up else 1.0 - (t - self.up) / self.down
        return height * self._scale_fn(cycle + 1 if self.scale_mode == "cycle" else time)

    def _at(self, time: int, base: float, group: int) -> float:
        return base + (self.max_lrs[group] - base) * self._height(time)

    def _momentum(self, time: int, group: int) -> float:
        top = self.max_momentums[group]
        return top - (top - self.base_momentums[group]) * self._height(time)


class OneCycleLR(_WithMomentum):
    """One cycle for total_steps: from max_lr / div_factor up to max_lr, then down to nearly 0.

    total_steps, or epochs and steps_per_epoch. The rise takes pct_start of the steps; the end is
    max_lr / div_factor / final_div_factor, with three_phase by way of the first rate.
    anneal_strategy: "cos" or "linear". cycle_momentum moves the momentum (Adam's beta1) from
    max_momentum to base_momentum and back. ValueError for more than total_steps steps. Smith and
    Topin, "Super-convergence" (arXiv:1708.07120).

    >>> optimizer = optim.SGD([tg.zeros(1)], lr=1.0)
    >>> schedule = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> for _ in range(2):
    ...     schedule.step()
    >>> schedule.get_last_lr(), optimizer.param_groups[0]["momentum"]
    ([1.0], 0.85)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Several,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Several = 0.85,
        max_momentum: Several = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        name = "OneCycleLR"
        steps = {"total_steps": total_steps, "epochs": epochs, "steps_per_epoch": steps_per_epoch}
        positive(name, **{key: value for key, value in steps.items() if value is not None})
        numbers(name, 0, 1, pct_start=pct_start)
        numbers(name, 0, div_factor=div_factor, final_div_factor=final_div_factor)
        integers(name, -1, last_epoch=last_epoch)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(f"{name}: expected total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"{name}: expected anneal_strategy 'cos' or 'linear', got {anneal_strategy!r}"
            )
        groups = groups_of(optimizer)
        self.max_lrs = each_group(name, "max_lr", max_lr, len(groups))
        self.base_momentums = each_group(name, "base_momentum", base_momentum, len(groups))
        self.max_momentums = each_group(name, "max_momentum", max_momentum, len(groups))
        self.total_steps, self.anneal_strategy = total_steps, anneal_strategy
        self.final_div_factor, self.cycle_momentum = final_div_factor, bool(cycle_momentum)
        peak = pct_start * total_steps - 1
        # The last step of each phase.
        self.ends = [peak, *[2 * peak] * bool(three_phase), total_steps - 1.0]
        self._check_momentum(optimizer)
        if last_epoch == -1:
            for group, top in zip(groups, self.max_lrs, strict=True):
                group["lr"] = group["initial_lr"] = top / div_factor
        super().__init__(optimizer, last_epoch)

    def _between(self, time: int, points: Sequence[float]) -> float:
        """From points[0] to points[1] in the first phase, on to points[2] in the second, ..."""
        if time > self.total_steps:
            raise ValueError(
                f"OneCycleLR: tried to step {time} times. The specified number of total steps is "
                f"{self.total_steps}"
            )
        i = next((i for i, end in enumerate(self.ends) if time <= end), len(self.ends) - 1)
        begin = self.ends[i - 1] if i else 0.0
        length = self.ends[i] - begin
        share = (time - begin) / length if length else 1.0
        if self.anneal_strategy == "cos":
            share = (1.0 - math.cos(math.pi * share)) / 2.0
        return points[i] + (points[i + 1] - points[i]) * share

    def _at(self, time: int, base: float, group: int) -> float:
        back = [base] * (len(self.ends) - 2)
        points = [base, self.max_lrs[group], *back, base / self.final_div_factor]
        return self._between(time, points)

    def _momentum(self, time: int, group: int) -> float:
        top, base = self.max_momentums[group], self.base_momentums[group]
        return self._between(time, [top, base, top, top])
