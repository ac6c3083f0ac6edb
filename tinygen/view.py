"""View: a Tensor in the memory of another one, its base.

A change in place of the base, or of another view of it, changes a View too: its values at once, for
the memory is the same, and its place on the tape when it is next used. It knows the ops that lead
from its base to it, and they are recorded anew from what the base is now.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from .backend import Array
from .tape import Node, enable_grad
from .tensor import Tensor, wrap

__all__ = [
    "NO_GRAD", "ONE_OF_SEVERAL", "Steps", "View", "as_it_is", "one_of_several", "pass_on_retain",
    "replay", "steps_to", "view_of",
]  # fmt: skip

# The way from a base to its view: the ops with their constants, in the order of the calls.
Steps: TypeAlias = list[tuple[Any, dict[str, Any]]]

NO_GRAD = (
    "it was made in no_grad mode. Make the view and the change either both inside the no_grad "
    "block (nothing is recorded) or both outside (all of it is)"
)
ONE_OF_SEVERAL = (
    "it is one of several views that one call returned (split, chunk, unbind). Use the "
    "out-of-place operation, or take the view by an index or by narrow()"
)


class View(Tensor):
    """A Tensor that shares the memory and the version counter of its base."""

    __slots__ = "_base", "_way", "_seen", "_made", "_asked", "_fixed"

    _base: Tensor  # never a View itself
    _way: Any  # (the base's way or None, the last op, its constants): linked, for ways may be long
    _seen: Node | None  # the base's Node when _made was recorded
    _made: Node | None
    _asked: bool  # a leaf by requires_grad_()
    _fixed: str  # why it cannot follow a recorded change, or ""

    @property
    def _requires_grad(self) -> bool:
        now = self._base._node
        return self._asked or (self._made if now is self._seen else now) is not None

    @_requires_grad.setter
    def _requires_grad(self, value: bool) -> None:
        self._asked = value and self._made is None

    @property
    def _node(self) -> Node | None:
        if self._base._node is not self._seen:
            self._record_anew()
        return self._made

    @_node.setter
    def _node(self, node: Node | None) -> None:
        self._made, self._seen = node, self._base._node

    def _record_anew(self) -> None:
        if self._fixed:
            raise RuntimeError(
                f"this view's base, or another view of it, was modified by a recorded inplace "
                f"operation, which the view cannot follow: {self._fixed}."
            )
        before = self._made
        with enable_grad():
            self._node = replay(self._base, steps_to(self))._node
        pass_on_retain(before, self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self._node is not None:
            return super().__deepcopy__(memo)  # an error
        out: Tensor = self.detach().__deepcopy__(memo)
        memo[id(self)] = out.requires_grad_(self._asked)
        return out


def view_of(x: Tensor, array: Array, op: Any, constants: dict[str, Any], recording: bool) -> View:
    """The View that `op` makes of x; a view of a view has the same base."""
    out = View.__new__(View)
    out._array, out._grad, out._version = array, None, x._version
    if x.__class__ is View:
        out._base, out._way, out._fixed = x._base, (x._way, op, constants), x._fixed
    else:
        out._base, out._way, out._fixed = x, (None, op, constants), ""
    if not recording:
        out._fixed = NO_GRAD
    out._made, out._seen, out._asked = None, out._base._node, False
    return out


def as_it_is(x: Any) -> Any:
    """A View as a plain Tensor, which stays where it is on the tape; anything else is itself."""
    if not isinstance(x, View) or x._asked:
        return x
    out = wrap(x._array)
    out._version, out._node, out._requires_grad = x._version, x._node, x._requires_grad
    return out


def one_of_several(parts: list[Tensor]) -> tuple[Tensor, ...]:
    """The outputs of a call that returns several views."""
    for part in parts:
        if isinstance(part, View):
            part._fixed = ONE_OF_SEVERAL
    return tuple(parts)


def steps_to(x: Tensor) -> Steps:
    """The ops that lead to a View from its base; to another Tensor: none."""
    steps, way = [], x._way if isinstance(x, View) else None
    while way is not None:
        way, *step = way
        steps.append(tuple(step))
    return steps[::-1]


def replay(x: Tensor, steps: Steps) -> Tensor:
    """What the View is, of another base: of a gradient, or of the base after a change."""
    for op, constants in steps:
        x = op(x, **constants)
    return x


def pass_on_retain(before: Node | None, x: Tensor) -> None:
    """x.retain_grad() holds for x as it is now, not for its values before a change in place."""
    if before is not None and before.retain is not None and before.retain() is x:
        x.retain_grad()
        before.retain = None
