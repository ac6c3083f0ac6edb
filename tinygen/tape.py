"""The tape: what is switched on, and the Node that an op leaves behind.

Recording is switched on or off for each thread by itself, the hunt for NaNs for the whole process.

A Node keeps its op, its parents (the Nodes or leaf Tensors that it was computed from) and what its
vjps asked for, nothing else. Parents are always older than their children, so the order of birth
is a topological order: autograd.py walks it backwards.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from copy import copy
from functools import wraps
from typing import Any, TypeVar

from .backend import Array, DType
from .threads import POOL

__all__ = [
    "Handle", "Node", "Switch", "caller", "detect_anomaly", "enable_grad", "is_grad_enabled",
    "no_grad", "process", "set_grad_enabled", "thread",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


class _Thread(threading.local):
    """What is switched on in one thread. The pool's threads work on arrays and record nothing."""

    def __init__(self) -> None:
        self.grad = threading.current_thread().name != POOL
        self.in_backward = False


class _Process:
    """What is switched on in this process."""

    __slots__ = ("anomaly",)

    def __init__(self) -> None:
        self.anomaly = False


thread, process = _Thread(), _Process()


class Switch:
    """A mode set to a value: for the length of a `with` block, or of a decorated function."""

    of: Any = thread
    field, value = "grad", True
    _before: Any = None  # kept on a stack, so that one object can be entered again

    def __enter__(self) -> None:
        self._before = (getattr(self.of, self.field), self._before)
        setattr(self.of, self.field, self.value)

    def __exit__(self, *exc: object) -> None:
        before, self._before = self._before
        setattr(self.of, self.field, before)

    def __call__(self, function: F) -> F:
        @wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with copy(self):  # each call its own, for two threads may be inside at once
                return function(*args, **kwargs)

        return inside  # type: ignore[return-value]


class no_grad(Switch):
    """Record nothing: what is computed inside does not require a gradient. Also a decorator.

    >>> x = tg.tensor(1.0, requires_grad=True)
    >>> with tg.no_grad():
    ...     y = 2 * x
    >>> y.requires_grad, (2 * x).requires_grad
    (False, True)
    """

    value = False


class enable_grad(Switch):
    """Record again, inside a no_grad block. Also a decorator."""


class set_grad_enabled(Switch):
    """Switch recording on or off at once; as a context manager, until the block ends."""

    def __init__(self, enabled: bool) -> None:
        self.value, self._before, thread.grad = enabled, (thread.grad, None), enabled

    def __enter__(self) -> None:
        thread.grad = self.value


class detect_anomaly(Switch):
    """Hunt NaNs: the first op whose result or whose gradient is NaN raises, with its name.

    >>> with tg.autograd.detect_anomaly():
    ...     tg.tensor(-1.0).sqrt()
    Traceback (most recent call last):
        ...
    RuntimeError: detect_anomaly: sqrt returned NaN ...
    """

    of, field = process, "anomaly"


def is_grad_enabled() -> bool:
    """Are ops recorded in this thread? Not inside of no_grad."""
    return thread.grad


class Handle:
    """What registering a hook returns: remove() takes the hook out again."""

    numbers = itertools.count()

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self._hooks, self.id = hooks, next(Handle.numbers)
        hooks[self.id] = hook

    def remove(self) -> None:
        """Take the hook out; a second time does nothing."""
        self._hooks.pop(self.id, None)


_birth = itertools.count().__next__


class Node:
    """One recorded op: where its gradient comes from and where it goes to."""

    __slots__ = ("op", "parents", "saved", "versions", "shape", "dtype", "birth", "__dict__")

    # Rarely anything else, so they are an instance's own (in its __dict__) only when set:
    retain: Any = None  # a weak reference to a tensor that wants its .grad kept
    hooks: dict[int, Any] | None = None  # what register_hook was given
    place = ""  # file:line of the call, known in anomaly mode only

    def __init__(
        self,
        op: Any,
        parents: list[Any],
        saved: dict[str, Any],
        versions: list[tuple[str, list[int], int]],
        out: Array,
    ) -> None:
        self.op = op
        self.parents = parents  # one an input: Node, leaf Tensor, or None where no gradient flows
        self.saved: dict[str, Any] | None = saved  # None once freed
        self.versions = versions  # each saved tensor's name, version counter, and version then
        self.shape: tuple[int, ...] = out.shape
        self.dtype: DType = out.dtype
        self.birth = _birth()

    def name(self) -> str:
        """The name of the op."""
        return str(self.op.name)

    def __repr__(self) -> str:
        return f"<{self.name()}>"

    def check(self) -> None:
        """Raise if what the vjps need is gone or is not what it was."""
        if self.saved is None:
            raise RuntimeError(
                f"{self.name()}: trying to backward through the graph a second time; its saved "
                "tensors were freed. Pass retain_graph=True the first time, or compute it again."
            )
        for name, counter, then in self.versions:
            if counter[0] != then:
                raise RuntimeError(
                    f"{self.name()}: one of the variables needed for gradient computation has been "
                    f"modified by an inplace operation: {name!r}, which it saved at version "
                    f"{then}, is at version {counter[0]} ({counter[0] - then} changes since). "
                    "Change a copy (clone()) or use the out-of-place operation."
                )

    def free(self) -> None:
        """Give up the arrays. A node that kept only shapes and numbers can be used again."""
        if self.versions or _holds_arrays(tuple((self.saved or {}).values())):
            self.saved, self.versions = None, []


def _holds_arrays(value: Any) -> bool:
    """Is it an array, or a tuple with one in it, as an index can be?"""
    return hasattr(value, "nbytes") or (value.__class__ is tuple and any(map(_holds_arrays, value)))


def caller() -> str:
    """file:line of the innermost frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("tinygen."):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
