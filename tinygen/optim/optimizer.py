"""The base of all optimizers: parameter groups, zero_grad, step, and the state to save."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..backend import Array, device_of, is_numpy, move
from ..checks import numbers
from ..tape import enable_grad
from ..tensor import Tensor, wrap
from ..threads import GRAIN, pays_side_by_side, side_by_side

__all__ = ["Group", "Optimizer", "State", "clip_weights_", "pieces"]

Group: TypeAlias = dict[str, Any]
State: TypeAlias = dict[str, Any]


class Optimizer:
    """What all optimizers share. A subclass gives its `update` and the defaults of its groups.

    `params` is an iterable of Tensors, or of dicts {"params": [...], "lr": ...} that overrule the
    defaults for their parameters. TypeError or ValueError for parameters that cannot be trained and
    for hyper-parameters out of range.

    >>> a, b = tg.zeros(2), tg.zeros(3)
    >>> optimizer = optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.1)
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.1, 0.5]
    """

    def __init__(self, params: Iterable[Any], defaults: Group) -> None:
        if isinstance(params, (Tensor, str, dict)) or not isinstance(params, Iterable):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or "
                f"dicts, but got {type(params).__name__}; for one tensor write [x]"
            )
        self.defaults = defaults
        self.state: defaultdict[Tensor, State] = defaultdict(dict)
        self.param_groups: list[Group] = []
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        for group in groups if isinstance(groups[0], dict) else [{"params": groups}]:
            self.add_param_group(group)

    def add_param_group(self, param_group: Group) -> None:
        """Train more parameters, with hyper-parameters of their own where the dict gives them."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group).__name__}")
        if "params" not in param_group:
            raise ValueError(f"a parameter group needs 'params', got {sorted(param_group)}")
        group = {**self.defaults, **param_group, "params": _as_list(param_group["params"])}
        self._check(group)
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for p in group["params"]:
            _check_param(p)
            if id(p) in known:
                raise ValueError("some parameters appear in more than one parameter group")
        if len(set(group["params"])) < len(group["params"]):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; each step changes "
                "them as often as they are listed",
                stacklevel=4,  # where the optimizer is made
            )
        self.param_groups.append(group)

    def _check(self, group: Group) -> None:
        """Raise ValueError if a hyper-parameter is out of its range, TypeError if it is none."""
        name = type(self).__name__
        numbers(name, 0, lr=group["lr"], weight_decay=group["weight_decay"])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients; with set_to_none=False, fill with zeros those that there are."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none or p._grad is None:
                    p._grad = None
                else:
                    p._grad = wrap(np.zeros_like(p._grad._array))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient; returns what `closure` returned, if given."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            for params in _rounds([p for p in group["params"] if p._grad is not None]):
                self.update_all(params, group)
        return loss

    def update_all(self, params: list[Tensor], group: Group) -> None:
        """Change the parameters of one group that have a gradient; many numbers on two threads."""
        # Each state is made here, so that their order is that of the parameters.
        jobs = [(p, self.state[p]) for p in params]

        def update(jobs: list[tuple[Tensor, State]]) -> None:
            for p, state in jobs:
                self.update(p._array, p._grad._array, state, group)  # type: ignore[union-attr]
                p._version[0] += 1

        if pays_side_by_side([p._array for p in params], GRAIN):
            jobs.sort(key=lambda job: job[0]._array.size)
            side_by_side([partial(update, jobs[1::2]), partial(update, jobs[::2])])
        else:
            update(jobs)

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        """Change `param` in place. `grad` must stay as it is: it is the parameter's .grad.

        Two parameters may be updated at the same time, each on a thread of its own.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: update(param, grad, state, group) is missing"
        )

    def state_dict(self) -> dict[str, Any]:
        """{"state": {index: state}, "param_groups": [...]}: parameters by their index, in order.

        The tensors in it are the optimizer's own, not copies.
        """
        index = {id(p): i for i, p in enumerate(self._params())}
        groups = [{**g, "params": [index[id(p)] for p in g["params"]]} for g in self.param_groups]
        state = {index[id(p)]: dict(s) for p, s in self.state.items() if s}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over copies of what state_dict() gave, hyper-parameters included.

        Raises ValueError when the groups or a state's shape do not fit; nothing is changed then.
        """
        saved = state_dict["param_groups"]
        if len(saved) != len(self.param_groups):
            raise ValueError(
                "loaded state dict has a different number of parameter groups: "
                f"{len(saved)}, but the optimizer has {len(self.param_groups)}"
            )
        for theirs, ours in zip(saved, self.param_groups, strict=True):
            if len(theirs["params"]) != len(ours["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of "
                    f"optimizer's group: {len(theirs['params'])} parameters, expected "
                    f"{len(ours['params'])}"
                )
        keys = [key for group in saved for key in group["params"]]
        params = dict(zip(keys, self._params(), strict=True))
        fresh: defaultdict[Tensor, State] = defaultdict(dict)
        for key, state in state_dict["state"].items():
            fresh[params[key]] = {k: _adapt(k, v, params[key]) for k, v in state.items()}
        self.state = fresh
        for theirs, ours in zip(saved, self.param_groups, strict=True):
            ours.update({key: value for key, value in theirs.items() if key != "params"})

    def _params(self) -> list[Tensor]:
        return [p for group in self.param_groups for p in group["params"]]

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            values = ", ".join(f"{k}: {group[k]}" for k in sorted(group) if k != "params")
            lines.append(f"    group {i}: {len(group['params'])} tensors, {values}")
        return "\n".join([*lines, ")"])


def _rounds(params: list[Tensor]) -> Iterable[list[Tensor]]:
    """The parameters, once; and those that are listed twice, as often as they are, after that."""
    while params:
        once = list(dict.fromkeys(params))
        yield once
        if len(once) == len(params):
            return
        seen: set[Tensor] = set()
        params = [p for p in params if p in seen or seen.add(p)]  # type: ignore[func-returns-value]


PIECE = 1 << 14  # numbers: seven arrays of so many are in the cache at once


def pieces(p: Array, *others: Array | None) -> Iterable[tuple[Any, ...]]:
    """The arrays, all of p's shape (or None), cut alike along the first dimension.

    A formula makes one array after the other; on a piece they come and go within the cache, which
    is as fast as one scratch array and `out=` everywhere. A GPU takes everything at once.
    """
    if p.size <= PIECE or not is_numpy(p):
        return ((p, *others),)
    rows = max(1, PIECE * len(p) // p.size)
    parts = [slice(i, i + rows) for i in range(0, len(p), rows)]
    return ((p[part], *[None if a is None else a[part] for a in others]) for part in parts)


def _as_list(params: Any) -> list[Any]:
    if isinstance(params, set):
        raise TypeError("optimizer parameters need to be in a fixed order, but a set has none")
    return [params] if isinstance(params, Tensor) else list(params)


def _check_param(p: Any) -> None:
    if not isinstance(p, Tensor):
        raise TypeError(f"optimizer can only optimize Tensors, but one is {type(p).__name__}")
    if p.dtype.kind != "f":
        raise TypeError(f"optimizer can only optimize floating-point Tensors, but one is {p.dtype}")
    if p._node is not None:
        raise ValueError(f"can't optimize a non-leaf Tensor (computed by {p._node.name()})")


def _adapt(key: str, value: Any, p: Tensor) -> Any:
    """A loaded piece of state, as this parameter needs it: dtype, device, memory order, a copy."""
    if key == "step":
        return int(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    array = value._array if isinstance(value, Tensor) else np.asarray(value)
    if array.shape != p.shape:
        raise ValueError(
            f"loaded state dict: {key!r} has shape {array.shape}, but its parameter {p.shape}"
        )
    fresh = np.empty_like(p._array)
    np.copyto(fresh, move(array, device_of(p._array)), casting="same_kind")
    return wrap(fresh)


def clip_weights_(params: Tensor | Iterable[Tensor], c: float) -> None:
    """Clamp every weight to [-c, c], after the step: the Lipschitz constraint of WGAN.

    Arjovsky et al., "Wasserstein GAN" (arXiv:1701.07875), where c = 0.01. ValueError unless c > 0.

    >>> w = tg.tensor([-3.0, 0.005])
    >>> optim.clip_weights_([w], 0.01)
    >>> w
    tensor([-0.01 ,  0.005])
    """
    if not c > 0:
        raise ValueError(f"clip_weights_: expected c > 0, got {c}")
    for p in _as_list(params):
        np.clip(p._array, -c, c, out=p._array)
        p._version[0] += 1
