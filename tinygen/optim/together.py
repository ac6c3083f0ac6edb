"""Several optimizers as one, each for parameters of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from ..tape import enable_grad
from ..tensor import Tensor
from .optimizer import Optimizer, State

__all__ = ["Together"]


class Together(Optimizer):
    """Optimizers that step together, and that a schedule takes for one of many groups.

    ValueError for a parameter that two of them have.

    >>> a, b = tg.ones(2, 2, requires_grad=True), tg.ones(2, requires_grad=True)
    >>> opt = optim.Together(optim.SGD([a], lr=0.1), optim.Adam([b], lr=0.5))
    >>> schedule = optim.lr_scheduler.StepLR(opt, step_size=1, gamma=0.5)
    >>> (a.sum() + b.sum()).backward()
    >>> opt.step()
    >>> schedule.step()
    >>> b.tolist(), schedule.get_last_lr()
    ([0.5, 0.5], [0.05, 0.25])
    """

    def __init__(self, *optimizers: Optimizer) -> None:
        for optimizer in optimizers:
            if not isinstance(optimizer, Optimizer):
                raise TypeError(f"Together: {type(optimizer).__name__} is not an Optimizer")
        self.optimizers, self.defaults = optimizers, {}
        self.param_groups = [group for each in optimizers for group in each.param_groups]
        params = self._params()
        if not params or len({id(p) for p in params}) < len(params):
            raise ValueError("Together: expected optimizers, each of parameters of its own")

    @property
    def state(self) -> defaultdict[Tensor, State]:  # type: ignore[override]
        """What all of them remember, by parameter: a view to look at."""
        found: defaultdict[Tensor, State] = defaultdict(dict)
        for each in self.optimizers:
            found.update(each.state)
        return found

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """TypeError: give it to one of the optimizers before."""
        raise TypeError("Together: give a new group to one of its optimizers, then make it anew")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """A step of each; returns what `closure` returned, if given, called once."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for each in self.optimizers:
            each.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """{"optimizers": [each one's]}."""
        return {"optimizers": [each.state_dict() for each in self.optimizers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Each its own; where one does not fit, ValueError, and nothing is changed."""
        saved = state_dict["optimizers"]
        if len(saved) != len(self.optimizers):
            raise ValueError(
                f"Together: the loaded state is of {len(saved)} optimizers, here are "
                f"{len(self.optimizers)}"
            )
        before = self.state_dict()["optimizers"]
        try:
            for each, state in zip(self.optimizers, saved):
                each.load_state_dict(state)
        except Exception:
            for each, state in zip(self.optimizers, before):
                each.load_state_dict(state)
            raise

    def __repr__(self) -> str:
        return "Together (\n" + "\n".join(map(repr, self.optimizers)) + "\n)"
