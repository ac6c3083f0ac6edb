"""The primitive ops. This file ends by giving Tensor its operators and methods.

Read op.py first, then elementwise, kinks, shapes, indexing, reductions, products, creation,
convert; windows, pooling and images serve the layers of nn.
"""

from typing import Any

from ..tensor import Tensor
from . import (
    compare,
    comparisons,
    convert,
    elementwise,
    indexing,
    kinks,
    products,
    reductions,
    shapes,
)
from .compare import allclose, equal, isclose
from .comparisons import (
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    eq,
    ge,
    gt,
    isfinite,
    isinf,
    isnan,
    le,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    ne,
)
from .creation import (
    arange,
    as_tensor,
    bernoulli,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    meshgrid,
    multinomial,
    normal,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from .elementwise import (
    add,
    cos,
    div,
    erf,
    exp,
    expm1,
    floor_divide,
    gelu,
    log,
    log1p,
    logaddexp,
    mul,
    neg,
    pow,
    reciprocal,
    remainder,
    rsqrt,
    sigmoid,
    silu,
    sin,
    softplus,
    sqrt,
    square,
    sub,
    tanh,
    where,
)
from .indexing import (
    gather,
    index_select,
    masked_fill,
    masked_select,
    nonzero,
    one_hot,
    scatter_add,
    take_along_dim,
)
from .kinks import (
    abs,
    ceil,
    clamp,
    elu,
    floor,
    leaky_relu,
    maximum,
    minimum,
    relu,
    round,
    sign,
    trunc,
)
from .products import addmm, bmm, dot, einsum, linear, matmul, mm, mv, outer
from .promotion import result_type
from .reductions import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    argsort,
    cumprod,
    cumsum,
    log_softmax,
    logsumexp,
    max,
    mean,
    min,
    norm,
    prod,
    softmax,
    sort,
    std,
    sum,
    topk,
    var,
)
from .shapes import (
    cat,
    chunk,
    clone,
    flatten,
    flip,
    movedim,
    narrow,
    pad,
    permute,
    repeat_interleave,
    reshape,
    roll,
    split,
    squeeze,
    stack,
    t,
    transpose,
    tril,
    triu,
    unbind,
    unflatten,
    unsqueeze,
)

__all__ = [
    "abs",
    "add",
    "addmm",
    "all",
    "allclose",
    "amax",
    "amin",
    "any",
    "arange",
    "argmax",
    "argmin",
    "argsort",
    "as_tensor",
    "bernoulli",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "bmm",
    "cat",
    "ceil",
    "chunk",
    "clamp",
    "clone",
    "cos",
    "cumprod",
    "cumsum",
    "div",
    "dot",
    "einsum",
    "elu",
    "empty",
    "empty_like",
    "eq",
    "equal",
    "erf",
    "exp",
    "expm1",
    "eye",
    "flatten",
    "flip",
    "floor",
    "floor_divide",
    "from_numpy",
    "full",
    "full_like",
    "gather",
    "ge",
    "gelu",
    "gt",
    "index_select",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "leaky_relu",
    "linear",
    "linspace",
    "meshgrid",
    "log",
    "log1p",
    "log_softmax",
    "logaddexp",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logsumexp",
    "lt",
    "masked_fill",
    "masked_select",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mm",
    "movedim",
    "mul",
    "multinomial",
    "mv",
    "narrow",
    "ne",
    "neg",
    "nonzero",
    "norm",
    "normal",
    "one_hot",
    "ones",
    "ones_like",
    "outer",
    "pad",
    "permute",
    "pow",
    "prod",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "reciprocal",
    "relu",
    "remainder",
    "repeat_interleave",
    "reshape",
    "result_type",
    "roll",
    "round",
    "rsqrt",
    "scatter_add",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "sub",
    "sum",
    "t",
    "take_along_dim",
    "tanh",
    "tensor",
    "topk",
    "transpose",
    "tril",
    "triu",
    "trunc",
    "unbind",
    "unflatten",
    "unsqueeze",
    "var",
    "where",
    "zeros",
    "zeros_like",
]

METHODS: dict[Any, str] = {
    elementwise: """add sub mul div neg pow square floor_divide remainder exp expm1 log log1p
        sqrt rsqrt reciprocal sin cos tanh sigmoid softplus logaddexp silu erf""",
    kinks: "abs relu sign maximum minimum clamp floor ceil round trunc",
    comparisons: """eq ne lt le gt ge logical_and logical_or logical_xor logical_not bitwise_and
        bitwise_or bitwise_xor bitwise_not isnan isinf isfinite""",
    reductions: """sum mean var std prod amax amin max min argmax argmin all any logsumexp softmax
        log_softmax cumsum cumprod norm sort argsort topk""",
    shapes: """reshape flatten unflatten transpose permute movedim t squeeze unsqueeze expand
        expand_as repeat repeat_interleave split chunk unbind narrow flip roll tril triu clone
        contiguous""",
    indexing: """gather scatter_add take_along_dim index_select masked_fill masked_select
        nonzero""",
    products: "matmul mm bmm mv dot outer addmm",
    compare: "equal isclose allclose",
    convert: "to cpu cuda float double half int long bool type_as",
}
IN_PLACE = """add sub mul div neg pow square floor_divide remainder exp expm1 log log1p sqrt rsqrt
    reciprocal sin cos tanh sigmoid relu abs sign clamp floor ceil round trunc masked_fill"""


def zero_(x: Tensor) -> Tensor:
    """Every element 0, in place."""
    return indexing.assign(x, zeros_like(x))


def fill_(x: Tensor, value: Any) -> Tensor:
    """Every element `value`, in place."""
    return indexing.assign(x, full_like(x, value))


def copy_(x: Tensor, source: Tensor) -> Tensor:
    """The elements of `source`, broadcast and converted, in place."""
    return indexing.assign(x, convert.to(source, x).expand(x.shape))


def uniform_(x: Tensor, low: float = 0.0, high: float = 1.0, *, generator: Any = None) -> Tensor:
    """Uniform numbers on [low, high), in place."""
    return indexing.assign(x, rand_like(x, generator=generator) * (high - low) + low)


def normal_(x: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Tensor:
    """Normal numbers, in place."""
    return indexing.assign(x, randn_like(x, generator=generator) * std + mean)


def _swapped(function: Any) -> Any:
    return lambda x, y: function(y, x)


def _comparison(function: Any) -> Any:
    """x == None and x == "a" are not elementwise questions: let Python answer them."""

    def compare(x: Tensor, y: Any) -> Any:
        return NotImplemented if y is None or isinstance(y, str) else function(x, y)

    return compare


def _attach() -> None:
    for module, names in METHODS.items():
        for name in names.split():
            setattr(Tensor, name, getattr(module, name))
    for name in IN_PLACE.split():
        setattr(Tensor, f"{name}_", indexing.in_place(globals()[name]))
    for function in (zero_, fill_, copy_, uniform_, normal_):
        setattr(Tensor, function.__name__, function)
    # A conv's output is channels-last in memory, so view copies where it must, as reshape does.
    methods: dict[str, Any] = {
        "view": reshape, "view_as": lambda x, y: reshape(x, y.shape),
        "reshape_as": lambda x, y: reshape(x, y.shape), "swapaxes": transpose, "clip": clamp,
        "multiply": mul, "subtract": sub, "divide": div, "absolute": abs,
    }  # fmt: skip
    for name, method in methods.items():
        setattr(Tensor, name, method)
    arithmetic: dict[str, Any] = {
        "add": add, "sub": sub, "mul": mul, "truediv": div, "floordiv": floor_divide,
        "mod": remainder, "pow": pow, "matmul": matmul, "and": bitwise_and, "or": bitwise_or,
        "xor": bitwise_xor,
    }  # fmt: skip
    for name, method in arithmetic.items():
        setattr(Tensor, f"__{name}__", method)
        setattr(Tensor, f"__r{name}__", _swapped(method))
        if name != "matmul":
            setattr(Tensor, f"__i{name}__", indexing.in_place(method))
    for name, method in {"eq": eq, "ne": ne, "lt": lt, "le": le, "gt": gt, "ge": ge}.items():
        setattr(Tensor, f"__{name}__", _comparison(method))
    rest: dict[str, Any] = {
        "neg": neg, "abs": abs, "invert": bitwise_not, "getitem": indexing.getitem,
        "setitem": indexing.setitem,
    }  # fmt: skip
    for name, method in rest.items():
        setattr(Tensor, f"__{name}__", method)
    for name, method in {"T": shapes.reverse_dims, "mT": shapes.matrix_transpose}.items():
        setattr(Tensor, name, property(method))


_attach()
