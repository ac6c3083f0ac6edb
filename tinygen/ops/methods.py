"""Tensor's methods and operators, as the ops' files list them (METHODS, IN_PLACE, OPERATORS)."""

from __future__ import annotations

from functools import wraps
from typing import Any

from ..constants import finfo
from ..tensor import Tensor
from . import (
    activations,
    compare,
    comparisons,
    convert,
    counting,
    creation,
    derived,
    derived_shapes,
    diagonals,
    elementwise,
    in_place,
    indexing,
    kinks,
    linalg,
    new,
    order,
    products,
    rearrange,
    reductions,
    scattering,
    shapes,
    softmaxes,
    special,
    trigonometry,
)
from .promotion import Operand

__all__ = [
    "COMPARISONS", "bernoulli_", "copy_", "exponential_", "fill_", "members", "normal_",
    "reshape_as", "uniform_", "zero_",
]  # fmt: skip

FILES: tuple[Any, ...] = (
    convert, elementwise, activations, kinks, comparisons, trigonometry, special, shapes, diagonals,
    indexing, in_place, scattering, rearrange, derived_shapes, reductions, counting, order,
    softmaxes, products, linalg, derived, compare, new,
)  # fmt: skip
OTHER_NAMES = {"swapaxes": "transpose"}
REFLECTED = {  # also with the Tensor on the right, and (but for @) in place
    "__add__", "__sub__", "__mul__", "__truediv__", "__floordiv__", "__mod__", "__pow__",
    "__matmul__", "__and__", "__or__", "__xor__",
}  # fmt: skip
COMPARISONS = {"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"}


def zero_(x: Tensor) -> Tensor:
    """Every element 0, in place; returns x."""
    return in_place.assign(x, creation.zeros_like(x))


def fill_(x: Tensor, value: Any) -> Tensor:
    """Every element `value`, in place; returns x."""
    return in_place.assign(x, creation.full_like(x, value))


def copy_(x: Tensor, src: Tensor) -> Tensor:
    """The elements of `src`, broadcast and converted, in place; returns x."""
    return in_place.assign(x, convert.to(src, x).expand(x.shape))


def uniform_(x: Tensor, low: float = 0.0, high: float = 1.0, *, generator: Any = None) -> Tensor:
    """Uniform numbers on [low, high), in place; returns x."""
    return in_place.assign(x, creation.rand_like(x, generator=generator) * (high - low) + low)


def normal_(x: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Normal numbers of this mean and standard deviation, in place; returns x."""
    return in_place.assign(x, creation.randn_like(x, generator=generator) * std + mean)


def exponential_(x: Tensor, lambd: float = 1.0, *, generator: Any = None) -> Tensor:
    """Numbers > 0 of density lambd e^(-lambd x), in place; returns x."""
    u = creation.rand_like(x, generator=generator)
    return in_place.assign(x, -(-u).log1p().clamp(max=-finfo(x.dtype).tiny) / lambd)


def bernoulli_(x: Tensor, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """1 with probability p (a number or a Tensor), else 0, in place; returns x."""
    u = creation.rand(x.shape, generator=generator, device=x.device)
    return in_place.assign(x, convert.to(u < p, x.dtype))


def reshape_as(x: Tensor, other: Tensor) -> Tensor:
    """The same elements in the other's shape."""
    return shapes.reshape(x, other.shape)


FILLS = (zero_, fill_, copy_, uniform_, normal_, exponential_, bernoulli_)


def _swapped(function: Any) -> Any:
    def reflected(x: Tensor, other: Operand) -> Any:
        return function(other, x)

    reflected.__annotations__["return"], reflected.__doc__ = "Tensor", function.__doc__
    return reflected


def _comparison(function: Any) -> Any:
    """x == None and x == "a" are not elementwise questions: let Python answer them."""

    @wraps(function, updated=())
    def compare(x: Tensor, y: Any) -> Any:
        return NotImplemented if y is None or isinstance(y, str) else function(x, y)

    return compare


def members() -> dict[str, Any]:
    """All that Tensor gets from the ops, by name: what the files' lists say, and a few by hand."""
    found: dict[str, Any] = {}
    for file in FILES:
        found |= {name: getattr(file, name) for name in file.METHODS}
        for name in getattr(file, "IN_PLACE", ()):
            found[f"{name}_"] = in_place.in_place(getattr(file, name))
        for name, same in getattr(file, "OPERATORS", {}).items():
            found |= _operator(name, getattr(file, same))
    found |= {name: found[same] for name, same in OTHER_NAMES.items()}
    found |= {f.__name__: f for f in FILLS}
    found |= {f.__name__: f for f in (creation.bernoulli, creation.multinomial)}
    # A conv's output is channels-last in memory, so view copies where it must, as reshape does.
    found |= {"view": shapes.reshape, "view_as": reshape_as, "reshape_as": reshape_as}
    return found | {"T": property(shapes.reverse_dims), "mT": property(shapes.matrix_transpose)}


def _operator(name: str, function: Any) -> dict[str, Any]:
    """The function as Tensor's operator `name`, with the other forms that this operator has."""
    if name in COMPARISONS:
        return {name: _comparison(function)}
    forms = {name: function}
    if name in REFLECTED:
        forms[f"__r{name[2:]}"] = _swapped(function)
        if name != "__matmul__":
            forms[f"__i{name[2:]}"] = in_place.in_place(function)
    return forms


for _name, _member in members().items():
    setattr(Tensor, _name, _member)
