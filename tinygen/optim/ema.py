"""Exponential moving average of the weights: what generative models are sampled from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..backend import move
from ..checks import numbers
from ..tensor import Tensor, wrap

__all__ = ["EMA"]


class EMA:
    """A smoothed copy of a model's parameters (buffers are left to the model).

        shadow += (1 - d_t) * (p - shadow),    d_t = min(decay, (1 + t) / (10 + t))

    t counts the updates from 0: without this warm-up the first thousand updates would still show
    the random weights that the model began with. `source` is a Module or an iterable of Tensors.

    >>> p = tg.tensor([1.0])
    >>> ema = optim.EMA([p], decay=0.9, warmup=False)
    >>> _ = p.fill_(2.0)
    >>> ema.update()
    >>> with ema.swap():
    ...     print(p)
    tensor([1.1])
    >>> p
    tensor([2.])
    """

    def __init__(self, source: Any, decay: float = 0.999, warmup: bool = True) -> None:
        numbers("EMA", decay=decay)
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"EMA: expected a decay in [0, 1), got {decay}")
        self.decay, self.warmup, self.num_updates = decay, warmup, 0
        self.params = _named(source)
        self.shadow = {name: wrap(p._array.copy(order="K")) for name, p in self.params.items()}
        self._swapped = False

    def current_decay(self) -> float:
        """d_t of the next update, which keeps that much of the average."""
        t = self.num_updates
        return min(self.decay, (1 + t) / (10 + t)) if self.warmup else self.decay

    def update(self) -> None:
        """Move the average towards the parameters; call it after the optimizer's step."""
        if self._swapped:
            raise RuntimeError("EMA.update: inside swap() the model holds the average")
        weight = 1.0 - self.current_decay()
        for name, p in self.params.items():
            average = self.shadow[name]._array
            difference = np.subtract(p._array, average, out=np.empty_like(average))
            np.add(average, np.multiply(difference, weight, out=difference), out=average)
            self.shadow[name]._version[0] += 1
        self.num_updates += 1

    def copy_to(self, target: Any = None) -> None:
        """Put the average into the parameters of `target` (default: those that are averaged)."""
        params = self.params if target is None else _named(target)
        _check_names("copy_to", self.shadow, params)
        for name, p in params.items():
            _overwrite(p, self.shadow[name]._array)

    @contextmanager
    def swap(self) -> Iterator[None]:
        """Inside the block the model holds the average, after it its own weights again."""
        if self._swapped:
            raise RuntimeError("EMA.swap: already inside swap()")
        kept = {name: p._array.copy(order="K") for name, p in self.params.items()}
        self.copy_to()
        self._swapped = True
        try:
            yield
        finally:
            self._swapped = False
            for name, p in self.params.items():
                _overwrite(p, kept[name])

    def state_dict(self) -> dict[str, Any]:
        """Decay, warm-up, the number of updates and the averages (no copies) by name."""
        return {
            "decay": self.decay,
            "warmup": self.warmup,
            "num_updates": self.num_updates,
            "shadow": dict(self.shadow),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what state_dict() gave; RuntimeError lists all names that do not fit."""
        _check_names("load_state_dict", self.shadow, state_dict["shadow"])
        for name, average in state_dict["shadow"].items():
            _overwrite(self.shadow[name], average._array)
        self.decay, self.warmup = state_dict["decay"], state_dict["warmup"]
        self.num_updates = state_dict["num_updates"]


def _named(source: Any) -> dict[str, Tensor]:
    if hasattr(source, "named_parameters"):
        return dict(source.named_parameters())
    params = source.values() if isinstance(source, dict) else source
    if isinstance(source, Tensor) or not isinstance(source, Iterable):
        raise TypeError(f"EMA: expected a Module or a list of Tensors, got {type(source).__name__}")
    return {str(i): p for i, p in enumerate(params)}


def _overwrite(p: Tensor, array: Any) -> None:
    np.copyto(p._array, move(array, p.device), casting="same_kind")
    p._version[0] += 1


def _check_names(method: str, ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    faults = [f"missing {name!r}" for name in ours if name not in theirs]
    faults += [f"unexpected {name!r}" for name in theirs if name not in ours]
    faults += [
        f"{name!r} has shape {theirs[name].shape}, expected {ours[name].shape}"
        for name in ours
        if name in theirs and theirs[name].shape != ours[name].shape
    ]
    if faults:
        raise RuntimeError(f"EMA.{method}: the parameters do not fit: {'; '.join(faults)}")
