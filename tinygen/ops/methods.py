"""Tensor's operators and methods: which op is which, and the in-place ones."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from . import (
    compare,
    comparisons,
    convert,
    creation,
    elementwise,
    in_place,
    indexing,
    kinks,
    products,
    rearrange,
    reductions,
    shapes,
    softmaxes,
)

METHODS: dict[Any, str] = {
    elementwise: """add sub mul div neg pow square floor_divide remainder exp expm1 log log1p
        sqrt rsqrt reciprocal sin cos tanh sigmoid softplus logaddexp silu erf""",
    kinks: "abs relu sign maximum minimum clamp floor ceil round trunc",
    comparisons: """eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and
        bitwise_or bitwise_xor bitwise_not isnan isinf isfinite""",
    reductions: """sum mean var std prod amax amin max min argmax argmin all any cumsum cumprod norm
        sort argsort topk""",
    softmaxes: "logsumexp softmax log_softmax",
    shapes: """reshape flatten unflatten transpose permute movedim t squeeze unsqueeze expand
        expand_as repeat repeat_interleave split chunk unbind narrow clone contiguous""",
    rearrange: "flip roll tril triu",
    indexing: """gather scatter_add take_along_dim index_select masked_fill masked_select
        nonzero""",
    products: "matmul mm bmm mv dot outer addmm",
    compare: "equal isclose allclose",
    convert: "to cpu cuda float double half int long bool type_as",
}
IN_PLACE = """add sub mul div neg pow square floor_divide remainder exp expm1 log log1p sqrt rsqrt
    reciprocal sin cos tanh sigmoid relu abs sign clamp floor ceil round trunc masked_fill"""
OTHER_NAMES = {
    "swapaxes": "transpose", "clip": "clamp", "multiply": "mul", "subtract": "sub", "divide": "div",
    "absolute": "abs",
}  # fmt: skip
OPERATORS = {  # of two operands: also reflected, and in place
    "add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floor_divide",
    "mod": "remainder", "pow": "pow", "matmul": "matmul", "and": "bitwise_and", "or": "bitwise_or",
    "xor": "bitwise_xor",
}  # fmt: skip


def zero_(x: Tensor) -> Tensor:
    """Every element 0, in place."""
    return in_place.assign(x, creation.zeros_like(x))


def fill_(x: Tensor, value: Any) -> Tensor:
    """Every element `value`, in place."""
    return in_place.assign(x, creation.full_like(x, value))


def copy_(x: Tensor, source: Tensor) -> Tensor:
    """The elements of `source`, broadcast and converted, in place."""
    return in_place.assign(x, convert.to(source, x).expand(x.shape))


def uniform_(x: Tensor, low: float = 0.0, high: float = 1.0, *, generator: Any = None) -> Tensor:
    """Uniform numbers on [low, high), in place."""
    return in_place.assign(x, creation.rand_like(x, generator=generator) * (high - low) + low)


def normal_(x: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Normal numbers, in place."""
    return in_place.assign(x, creation.randn_like(x, generator=generator) * std + mean)


def _reshape_as(x: Tensor, y: Tensor) -> Tensor:
    return shapes.reshape(x, y.shape)


def _swapped(function: Any) -> Any:
    return lambda x, y: function(y, x)


def _comparison(function: Any) -> Any:
    """x == None and x == "a" are not elementwise questions: let Python answer them."""

    def compare(x: Tensor, y: Any) -> Any:
        return NotImplemented if y is None or isinstance(y, str) else function(x, y)

    return compare


def _attach() -> None:
    ops = {
        name: getattr(module, name) for module, names in METHODS.items() for name in names.split()
    }
    members = ops | {name: ops[same] for name, same in OTHER_NAMES.items()}
    members |= {f"{name}_": in_place.in_place(ops[name]) for name in IN_PLACE.split()}
    members |= {f.__name__: f for f in (zero_, fill_, copy_, uniform_, normal_)}
    # A conv's output is channels-last in memory, so view copies where it must, as reshape does.
    members |= {"view": shapes.reshape, "view_as": _reshape_as, "reshape_as": _reshape_as}
    members |= {"T": property(shapes.reverse_dims), "mT": property(shapes.matrix_transpose)}
    for name, same in OPERATORS.items():
        members[f"__{name}__"] = ops[same]
        members[f"__r{name}__"] = _swapped(ops[same])
        if name != "matmul":
            members[f"__i{name}__"] = in_place.in_place(ops[same])
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        members[f"__{name}__"] = _comparison(ops[name])
    for name, same in {"neg": "neg", "abs": "abs", "invert": "bitwise_not"}.items():
        members[f"__{name}__"] = ops[same]
    members |= {"__getitem__": indexing.getitem, "__setitem__": in_place.setitem}
    for name, member in members.items():
        setattr(Tensor, name, member)


_attach()
