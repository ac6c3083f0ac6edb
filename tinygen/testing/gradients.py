"""check_grads: is the gradient of f the derivative of f, and the gradient of the gradient too?

The idea, from the reverse side: for a random cotangent u and a random direction v,

    <J(x)^T u, v>  must equal  d/dt <u, f(x + t v)> at t = 0,

the left side from backward, the right side from central differences in float64. One number a
input is enough: a wrong entry of J hides from a random u and v with probability 0 (a cotangent of
ones is not random: softmax and batch norm hide behind it). The map (x, u) -> J(x)^T u is a
function like any other, so order 2 is the same check on that function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np

from ..autograd import grad
from ..backend import Array, float32, float64, move
from ..tape import enable_grad, is_grad_enabled, no_grad
from ..tensor import Tensor, wrap

__all__ = ["GradientError", "check_grads"]

Pure: TypeAlias = Callable[..., tuple[Tensor, ...]]  # float Tensors in, float Tensors out


class GradientError(AssertionError):
    """A gradient is not the derivative, or has not its input's shape and dtype."""


def check_grads(
    f: Callable[..., Any],
    *args: Any,
    order: int = 2,
    params: Iterable[Tensor] = (),
    full: bool = False,
    eps: float = 1e-5,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    seed: int = 0,
    float32: bool = True,
) -> None:
    """Raise GradientError unless the gradients of f(*args) are right, up to `order`.

        check_grads(model, x, params=model.parameters())

    Every Tensor of floating dtype among `args` is differentiated, in float64 whatever its dtype
    is; everything else (numbers, index Tensors, arrays, strings) is handed to f as it is. f
    returns a Tensor or a tuple or list of them; outputs that are not floating are left out.
    `params` are Tensors that f uses without taking them as arguments, as a Module uses its
    parameters: they are differentiated too, and restored afterwards.

    One random cotangent (from `seed`) and, for each input, one random direction are compared with
    central differences of step `eps`; two numbers agree within atol + rtol * |gradient|. full=True
    compares the whole Jacobian entry by entry: slower, sharper. `order` = 2 checks the gradient of
    the gradient. With `float32`, f runs once more in float32, and so must outputs and gradients be.

    f must be deterministic (seed a generator inside), must not change its arguments, and must be
    smooth around them: keep away from kinks such as relu at 0.

    >>> testing.check_grads(lambda x, y: (x * y).sum(0), tg.randn(3, 4), tg.randn(4))
    >>> testing.check_grads(lambda x: x * x.detach(), tg.randn(3))
    Traceback (most recent call last):
        ...
    tinygen.testing.gradients.GradientError: <lambda>, order 1: the gradient of input 0 ...
    """
    if order < 1:
        raise ValueError(f"check_grads: expected order >= 1, got {order}")
    pure, xs = _purify(f, args, list(params))
    if not xs:
        raise ValueError("check_grads: no Tensor of floating dtype among the arguments")
    name = getattr(f, "__name__", type(f).__name__)
    with enable_grad():
        _check_deterministic(pure, xs, name)
        if float32:
            _check_float32(pure, xs, name)
        rng = np.random.default_rng(seed)
        names = [f"input {i}" for i in range(len(xs))]
        for k in range(1, order + 1):
            where = f"{name}, order {k}"
            check = _check_full if full else _check_direction
            check(pure, xs, names, where, rng, eps, atol, rtol)
            if k < order:
                pure, us = _vjp(pure, xs, rng)
                names += [f"cotangent {i} (order {k})" for i in range(len(us))]
                xs = xs + us


# --- f as a function of float Tensors alone ---------------------------------------------------


def _is_float(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _purify(
    f: Callable[..., Any], args: Sequence[Any], params: Sequence[Tensor]
) -> tuple[Pure, list[Tensor]]:
    """f as a function of its float Tensors and `params`, and their values in float64."""
    slots = [i for i, x in enumerate(args) if _is_float(x)]

    def pure(*xs: Tensor) -> tuple[Tensor, ...]:
        filled = list(args)
        for i, x in zip(slots, xs[: len(slots)], strict=True):
            filled[i] = x
        with _standing_in(params, xs[len(slots) :]):
            out = f(*filled)
        outs = tuple(out) if isinstance(out, (tuple, list)) else (out,)
        for y in outs:
            if not isinstance(y, Tensor):
                raise TypeError(f"check_grads: f returned {type(y).__name__}, expected Tensors")
        return tuple(y for y in outs if y.is_floating_point())

    return pure, [_as(x, float64) for x in [*(args[i] for i in slots), *params]]


@contextmanager
def _standing_in(params: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[None]:
    """Let each parameter be a copy of its value, on the value's tape, until the block ends."""
    kept = [(p._array, p._node, p._requires_grad, p._version) for p in params]
    try:
        for p, value in zip(params, values, strict=True):
            copy = value * 1.0
            p._array, p._node = copy._array, copy._node
            p._requires_grad, p._version = copy._requires_grad, copy._version
        yield
    finally:
        for p, (array, node, requires_grad, version) in zip(params, kept, strict=True):
            p._array, p._node, p._requires_grad, p._version = array, node, requires_grad, version


def _as(x: Tensor, dtype: Any) -> Tensor:
    """A fresh leaf with x's values and memory layout; x's very memory when the dtype is right."""
    return wrap(x._array.astype(dtype, order="K", copy=False)).requires_grad_()


# --- the two sides ----------------------------------------------------------------------------


def _random_like(x: Tensor, rng: np.random.Generator) -> Tensor:
    values = np.asarray(rng.standard_normal(x.shape))
    return wrap(move(values.astype(x.dtype), x.device)).requires_grad_()


def _gradients(
    outs: Sequence[Tensor], xs: Sequence[Tensor], us: Sequence[Tensor], create_graph: bool
) -> list[Tensor]:
    """J^T u for every x; zeros where no output depends on x."""
    pairs = [(y, u) for y, u in zip(outs, us, strict=True) if y.requires_grad]
    if not pairs:
        return [wrap(np.zeros_like(x._array)) for x in xs]
    ys, vs = zip(*pairs, strict=True)
    found = grad(ys, xs, vs, True, create_graph, allow_unused=True)
    return [
        wrap(np.zeros_like(x._array)) if g is None else g for g, x in zip(found, xs, strict=True)
    ]


def _vjp(pure: Pure, xs: list[Tensor], rng: np.random.Generator) -> tuple[Pure, list[Tensor]]:
    """The map (x, u) -> J(x)^T u, and a random u."""
    with no_grad():
        us = [_random_like(y, rng) for y in pure(*xs)]
    n = len(xs)

    def vjp(*xs_and_us: Tensor) -> tuple[Tensor, ...]:
        recording = is_grad_enabled()
        leaves = [x if x.requires_grad else x.detach().requires_grad_() for x in xs_and_us[:n]]
        with enable_grad():
            return tuple(_gradients(pure(*leaves), leaves, xs_and_us[n:], recording))

    return vjp, us


def _analytic(
    pure: Pure, xs: Sequence[Tensor], us: Sequence[Tensor], where: str, names: Sequence[str]
) -> list[Tensor]:
    try:
        gs = _gradients(pure(*xs), xs, us, create_graph=False)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise GradientError(f"{where}: backward failed: {error}") from error
    for g, x, name in zip(gs, xs, names, strict=True):
        if g.shape != x.shape or g.dtype != x.dtype:
            raise GradientError(
                f"{where}: the gradient of {name} has shape {g.shape} and dtype {g.dtype}, the "
                f"input has shape {x.shape} and dtype {x.dtype}"
            )
    return gs


def _moved(pure: Pure, xs: Sequence[Tensor], i: int, step: Array) -> list[Array]:
    """The outputs after the i-th input has moved by `step`."""
    moved = list(xs)
    array = xs[i]._array + step
    moved[i] = wrap(np.asarray(array) if isinstance(array, np.generic) else array)
    with no_grad():
        return [y._array for y in pure(*moved)]


def _slopes(pure: Pure, xs: Sequence[Tensor], i: int, v: Array, eps: float) -> list[Array]:
    """d f(x + t v) / d t for the i-th input, by central differences."""
    up, down = _moved(pure, xs, i, eps * v), _moved(pure, xs, i, -eps * v)
    return [(a - b) / (2 * eps) for a, b in zip(up, down, strict=True)]


def _flat(a: Array) -> Array:
    """The entries as a 1-D NumPy array; `a` may be a NumPy scalar, as 0-d results are."""
    return np.asarray(a if isinstance(a, np.generic) else move(a, "cpu")).reshape(-1)


def _dot(us: Sequence[Any], vs: Sequence[Any]) -> float:
    return float(sum(np.sum(u * v) for u, v in zip(us, vs, strict=True)))


# --- the checks -------------------------------------------------------------------------------


def _check_direction(
    pure: Pure,
    xs: list[Tensor],
    names: Sequence[str],
    where: str,
    rng: np.random.Generator,
    eps: float,
    atol: float,
    rtol: float,
) -> None:
    """<J^T u, v> against the slope of <u, f> along v, for each input and a random v."""
    us = [_random_like(y, rng) for y in pure(*xs)]
    gs = _analytic(pure, xs, us, where, names)
    cotangent = [u._array for u in us]
    for i, (x, g) in enumerate(zip(xs, gs, strict=True)):
        v = _random_like(x, rng)._array
        numeric = _dot(cotangent, _slopes(pure, xs, i, v, eps))
        analytic = _dot([g._array], [v])
        size = max(float(np.sqrt(np.sum(g._array**2))), abs(numeric))
        if not abs(analytic - numeric) <= atol + rtol * size:  # `not <=`: a NaN must not pass
            worst = _worst_entry(pure, xs, i, g, cotangent, eps)
            raise GradientError(
                f"{where}: the gradient of {names[i]} (shape {x.shape}) is wrong.\n"
                f"  along a random direction: analytic {analytic:.9g}, numeric {numeric:.9g}\n"
                f"{worst}"
            )


def _worst_entry(
    pure: Pure, xs: Sequence[Tensor], i: int, g: Tensor, us: Sequence[Array], eps: float
) -> str:
    """The entry of the i-th gradient that is furthest from its numeric value, in words."""
    x, limit = xs[i], 2000
    some = np.unique(np.linspace(0, x.numel() - 1, min(limit, x.numel())).astype(int))
    numeric = [_dot(us, _slopes(pure, xs, i, _unit(x, j), eps)) for j in some]
    analytic = _flat(g._array)[some]
    return _describe(x.shape, some, analytic, np.array(numeric))


def _unit(x: Tensor, j: int) -> Array:
    """The basis vector of x's shape that is 1 at flat index j."""
    e = np.zeros(x.numel())
    e[j] = 1.0
    return move(e.reshape(x.shape), x.device)


def _describe(shape: tuple[int, ...], flat: Array, analytic: Array, numeric: Array) -> str:
    error = np.nan_to_num(np.abs(analytic - numeric), nan=np.inf)
    k = int(np.argmax(error))
    index = tuple(int(n) for n in np.unravel_index(int(flat[k]), shape))
    wrong = int(np.sum(error > 1e-6 + 1e-4 * np.abs(numeric)))
    ratio = f"{analytic[k] / numeric[k]:.6g}" if numeric[k] else "undefined"
    return (
        f"  worst entry: index {index}, analytic {analytic[k]:.9g}, numeric {numeric[k]:.9g}, "
        f"error {error[k]:.3g}, analytic/numeric {ratio}\n"
        f"  {wrong} of {len(flat)} entries are wrong"
    )


def _check_full(
    pure: Pure,
    xs: list[Tensor],
    names: Sequence[str],
    where: str,
    rng: np.random.Generator,
    eps: float,
    atol: float,
    rtol: float,
) -> None:
    """Every entry of the Jacobian, one backward an output entry, two forwards an input entry."""
    outs = pure(*xs)
    rows: list[list[Array]] = [[] for _ in xs]  # rows[i][k] = d (k-th output entry) / d x_i
    for o, y in enumerate(outs):
        for k in range(y.numel()):
            us = [
                wrap(_unit(z, k) if n == o else np.zeros_like(z._array)) for n, z in enumerate(outs)
            ]
            for row, g in zip(rows, _analytic(pure, xs, us, where, names), strict=True):
                row.append(_flat(g._array))
    for i, x in enumerate(xs):
        if not rows[i] or not x.numel():
            continue
        analytic = np.stack(rows[i])
        columns = [_slopes(pure, xs, i, _unit(x, j), eps) for j in range(x.numel())]
        numeric = np.stack(
            [np.concatenate([_flat(c) for c in column]) for column in columns],
            axis=1,
        )
        error = np.abs(analytic - numeric)
        if not error.max() <= atol + rtol * np.abs(numeric).max():
            k = int(np.nanargmax(np.nan_to_num(error, nan=np.inf).max(axis=1)))
            entries = np.arange(x.numel())
            raise GradientError(
                f"{where}: the Jacobian for {names[i]} (shape {x.shape}) is wrong.\n"
                f"  output entry {_locate(outs, k)}\n"
                f"{_describe(x.shape, entries, analytic[k], numeric[k])}"
            )


def _locate(outs: Sequence[Tensor], k: int) -> str:
    """Which output, and where in it, the k-th entry of all outputs together is."""
    for o, y in enumerate(outs):
        if k < y.numel():
            index = tuple(int(n) for n in np.unravel_index(k, y.shape))
            return f"{index} of output {o}"
        k -= y.numel()
    raise IndexError(k)


def _check_deterministic(pure: Pure, xs: list[Tensor], name: str) -> None:
    before = [x._array.copy() for x in xs]
    with no_grad():
        first, second = pure(*xs), pure(*xs)
    for i, (x, kept) in enumerate(zip(xs, before, strict=True)):
        if not np.array_equal(x._array, kept, equal_nan=True):
            raise GradientError(f"{name}: the function changed its input {i} in place")
    for a, b in zip(first, second, strict=True):
        if not np.array_equal(a._array, b._array, equal_nan=True):
            raise GradientError(
                f"{name}: two calls with the same arguments gave different results; seed a "
                "generator inside the function"
            )


def _check_float32(pure: Pure, xs: list[Tensor], name: str) -> None:
    """The same function in float32 gives float32 everywhere."""
    low = [_as(x, float32) for x in xs]
    outs = pure(*low)
    for i, y in enumerate(outs):
        if y.dtype != float32:
            raise GradientError(
                f"{name}: output {i} is {y.dtype} for float32 inputs; a 0-d float64 array or a "
                "float64 constant upcasts (pass float32=False if that is meant)"
            )
    rng = np.random.default_rng(0)
    us = [_random_like(y, rng) for y in outs]
    names = [f"input {i}" for i in range(len(low))]
    _analytic(pure, low, us, f"{name}, in float32", names)
