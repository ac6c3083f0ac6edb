"""torch.autograd.functional: Jacobians, Hessians and their products with vectors, of a function.

`func` takes the Tensors in `inputs` (one, or a tuple) and returns a Tensor or a tuple of them; what
comes back is a Tensor where both are one, else nested tuples, outputs first. create_graph=True
records the result. strict=True raises where an output does not depend on an input, else it is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from .autograd import grad
from .backend import module_of
from .tape import enable_grad
from .tensor import Tensor, same_shape, wrap

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors: TypeAlias = Tensor | tuple[Tensor, ...]
Func: TypeAlias = Callable[..., Any]


def _several(x: Any) -> tuple[Tensor, ...]:
    return (x,) if isinstance(x, Tensor) else tuple(x)


def _like(xs: Sequence[Any], given: Any) -> Any:
    """One thing where one was given, else a tuple."""
    return xs[0] if isinstance(given, Tensor) else tuple(xs)


def _run(func: Func, inputs: Any, create_graph: bool) -> tuple[tuple[Tensor, ...], Any]:
    """The inputs as they are to be differentiated, and what func makes of them."""
    xs = tuple(
        x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_()
        for x in _several(inputs)
    )
    return xs, func(*xs)


def _grads(
    name: str, ys: Sequence[Tensor], xs: Sequence[Tensor], us: Any, create_graph: bool, strict: bool
) -> list[Tensor]:
    """grad() with zeros for what the outputs do not depend on, or strictly an error."""
    pairs = [(y, u) for y, u in zip(ys, us) if y.requires_grad]
    found: Sequence[Any] = [None] * len(xs)
    if pairs:
        outs, cotangents = zip(*pairs)
        found = grad(outs, xs, cotangents, True, create_graph, allow_unused=True)
    if strict and (len(pairs) < len(ys) or any(g is None for g in found)):
        raise RuntimeError(f"{name}: strict=True, and an output does not depend on an input")
    return [_zeros(x) if g is None else g for g, x in zip(found, xs)]


def _zeros(x: Tensor) -> Tensor:
    return wrap(module_of(x._array).zeros(x.shape, x.dtype))


def _vectors(name: str, v: Any, like: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """v, of the shapes of `like`; it may be left out for one number."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"{name}: v can only be left out where it is a single number")
        return (_zeros(like[0]) + 1,)
    if len(_several(v)) != len(like):
        raise RuntimeError(f"{name}: expected {len(like)} Tensors as v, got {len(_several(v))}")
    for part, x in zip(_several(v), like):
        same_shape(f"{name} (v)", part, x)
    return _several(v)


def _result(x: Any, create_graph: bool) -> Any:
    """Without create_graph: cut off from the tape."""
    if isinstance(x, tuple):
        return tuple(_result(part, create_graph) for part in x)
    return x if create_graph else x.detach()


@enable_grad()
def jacobian(
    func: Func, inputs: Tensors, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False,
) -> Any:  # fmt: skip
    """d out / d x for each output and input, of shape out.shape + x.shape; one backward an entry.

    vectorize has no effect.

    >>> tg.autograd.functional.jacobian(lambda x: x**2, tg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    xs, out = _run(func, inputs, create_graph)
    rows = []
    for y in _several(out):
        flat = y.reshape(-1)
        each = [
            _grads("jacobian", [flat[k]], xs, [None], create_graph, strict)
            for k in range(y.numel())
        ]
        columns = [_stack([g[i] for g in each], x).reshape(y.shape + x.shape)
                   for i, x in enumerate(xs)]  # fmt: skip
        rows.append(_like(columns, inputs))
    return _result(_like(rows, out), create_graph)


def _stack(parts: list[Tensor], like: Tensor) -> Tensor:
    """(n, *shape) of n Tensors."""
    out = wrap(module_of(like._array).zeros((len(parts), *like.shape), like.dtype))
    for k, part in enumerate(parts):
        out[k] = part
    return out


def hessian(
    func: Func, inputs: Tensors, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False,
) -> Any:  # fmt: skip
    """d^2 func / dx dx' of a function with one number as output: x.shape + x'.shape for each pair.

    >>> tg.autograd.functional.hessian(lambda x: (x**3).sum(), tg.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    def slopes(*xs: Tensor) -> Any:
        y = _number("hessian", func(*xs))
        return _like(_grads("hessian", [y], xs, [None], True, strict), inputs)

    return jacobian(slopes, inputs, create_graph, strict)


def _number(name: str, y: Any) -> Tensor:
    if not isinstance(y, Tensor) or y.numel() != 1:
        raise RuntimeError(f"{name}: func must return a Tensor with a single number")
    return y


@enable_grad()
def vjp(
    func: Func, inputs: Tensors, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(x), v^T J): what backward computes, v being of the outputs' shapes."""
    xs, out = _run(func, inputs, create_graph)
    us = _vectors("vjp", v, _several(out))
    found = _grads("vjp", _several(out), xs, us, create_graph, strict)
    return _result(out, create_graph), _result(_like(found, inputs), create_graph)


@enable_grad()
def jvp(
    func: Func, inputs: Tensors, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(x), J v), the derivative along v, by two backwards: u^T J is linear in u, its slope J.

    >>> tg.autograd.functional.jvp(lambda x: x**2, tg.tensor([1.0, 2.0]), tg.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    xs, out = _run(func, inputs, create_graph)
    vs, ys = _vectors("jvp", v, xs), _several(out)
    us = [_zeros(y).requires_grad_() for y in ys]
    pulled = _grads("jvp", ys, xs, us, True, strict)
    found = _grads("jvp", pulled, us, vs, create_graph, strict)
    return _result(out, create_graph), _result(_like(found, out), create_graph)


@enable_grad()
def hvp(
    func: Func, inputs: Tensors, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(x), H v) for the Hessian H of a function with one number as output: two backwards.

    >>> tg.autograd.functional.hvp(lambda x: (x**3).sum(), tg.ones(2), tg.tensor([1.0, 10.0]))
    (tensor(2.), tensor([ 6., 60.]))
    """
    xs, out = _run(func, inputs, create_graph)
    vs = _vectors("hvp", v, xs)
    slopes = _grads("hvp", [_number("hvp", out)], xs, [None], True, strict)
    found = _grads("hvp", slopes, xs, vs, create_graph, strict)
    return _result(out, create_graph), _result(_like(found, inputs), create_graph)


def vhp(
    func: Func, inputs: Tensors, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(x), v^T H): hvp, for a Hessian is symmetric."""
    return hvp(func, inputs, v, create_graph, strict)
