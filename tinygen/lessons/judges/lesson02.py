"""The judges of lesson 2: autograd from nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...ops import exp, sin
from ...tensor import Tensor
from ..check import close
from ..exercises import exercise, expect

__all__ = ["backward_order", "cumsum_vjp", "curvature", "inverse_vjp", "layer_vjp"]

Floats = np.ndarray[Any, Any]


# The second and the third hint of each exercise.
LAYER = (
    "Y = tanh(Z) with Z = X W + b. First the cotangent of Z, G times (1 - Y^2); then (2.9) for "
    "the product and (2.10) for b.",
    "With D = G * (1 - tanh(X W + b)^2): D W^T, X^T D, and the sum of D over its rows.",
)
CUMSUM = (
    "x_j is in y_j and in every later y: its cotangent is the sum of those entries of g.",
    "Running sums from the end: turn g round, cumsum, turn it back.",
)
ORDER = (
    "A node may be listed as soon as everything that was made from it is listed: see "
    "backward_order in section 4.",
    "Walk depth first with a list for a stack, note a node when its parents are done, and turn "
    "the list round at the end.",
)
INVERSE = (
    "A Y = I gives dA Y + A dY = 0, so dY = -Y dA Y. Put it into tr(G^T dY) and turn the "
    "factors round until dA stands last.",
    "The cotangent of A is -Y^T G Y^T.",
)
CURVATURE = (
    "Equation (2.18) is H v, with two calls of grad; its inner product with v is the answer.",
    "slope = grad(f(x), [x], create_graph=True)[0]; Hv = grad((slope * v).sum(), [x])[0]; then "
    "(Hv * v).sum().",
)


def _slope(function: Callable[[Floats], Any], x: Floats, v: Floats) -> float:
    """d/dt function(x + t v) at t = 0, by central differences."""
    h = 1e-5
    return float(function(x + h * v) - function(x - h * v)) / (2 * h)


@exercise("2.1")
def layer_vjp(answer: Any) -> None:
    """layer_vjp(G, X, W, b): the cotangents of X, W and b in Y = tanh(X W + b), given that of Y."""
    rng = np.random.default_rng(1)
    for n, i, o in ((5, 3, 4), (1, 2, 3), (6, 1, 1)):
        X, W, b = rng.normal(size=(n, i)), rng.normal(size=(i, o)), rng.normal(size=o)
        G = rng.normal(size=(n, o))
        found = [np.asarray(a) for a in answer(G, X, W, b)]
        expect(len(found) == 3, "Three cotangents are asked for: of X, of W and of b.", *LAYER)
        for name, a, of in zip(("X", "W", "b"), found, (X, W, b), strict=True):
            expect(
                a.shape == of.shape,
                f"The cotangent of {name} must have the shape of {name}, {of.shape}; "
                f"yours has {a.shape}. What was repeated must be summed.",
                *LAYER,
            )
        twice = [np.asarray(a) for a in answer(2 * G, X, W, b)]
        expect(
            all(close(a, 2 * c) for a, c in zip(twice, found, strict=True)),
            "Double G: a vjp is linear in the cotangent, so everything must double.",
            *LAYER,
        )
        _layer_slopes(found, G, X, W, b)


def _layer_slopes(found: list[Floats], G: Floats, X: Floats, W: Floats, b: Floats) -> None:
    rng = np.random.default_rng(2)
    hints = (
        "The cotangent of X does not predict what moving X does. Is the derivative of tanh in?",
        "That of X is right; that of W does not predict what moving W does. Which product of D "
        "(the cotangent of what tanh is taken of) and X has its shape?",
        "Those of X and W are right; that of b does not predict what moving b does. Every row of "
        "the batch adds to it.",
    )
    places = (X, W, b)
    moves: list[Floats] = [np.asarray(rng.normal(size=a.shape)) for a in places]
    functions: list[Callable[[Floats], Any]] = [
        lambda X: (G * np.tanh(X @ W + b)).sum(),
        lambda W: (G * np.tanh(X @ W + b)).sum(),
        lambda b: (G * np.tanh(X @ W + b)).sum(),
    ]
    for hint, cotangent, move, at, function in zip(
        hints, found, moves, places, functions, strict=True
    ):
        expect(close((cotangent * move).sum(), _slope(function, at, move)), hint, *LAYER)


@exercise("2.2")
def cumsum_vjp(answer: Any) -> None:
    """cumsum_vjp(g): the cotangent of x (n,) in y = cumsum(x), given that of y."""
    rng = np.random.default_rng(3)
    last = np.asarray(answer(np.array([0.0, 0.0, 1.0])))
    expect(last.shape == (3,), "One number for each entry of x, please.", *CUMSUM)
    expect(
        close(last, np.ones(3)),
        "With g = (0, 0, 1) the loss is the last running sum: every entry of x moves it.",
        *CUMSUM,
    )
    first = np.asarray(answer(np.array([1.0, 0.0, 0.0])))
    expect(
        close(first, np.array([1.0, 0.0, 0.0])),
        "With g = (1, 0, 0) the loss is the first running sum: only the first entry moves it.",
        *CUMSUM,
    )
    for n in (1, 4, 9):
        g, v = rng.normal(size=(2, n))
        expect(
            close(np.asarray(answer(g)) @ v, g @ np.cumsum(v)),
            "<g, cumsum(v)> and <cumsum_vjp(g), v> differ for a random g and v.",
            *CUMSUM,
        )


@exercise("2.3")
def backward_order(answer: Any) -> None:
    """order_by_name(parents, output): output and its ancestors, each before its parents."""
    _check_order(answer, {"a": [], "b": ["a"], "c": ["b"]}, "c")
    _check_order(answer, {"a": [], "b": ["a", "a"], "c": ["b", "b"]}, "c")
    _check_order(answer, {"x": [], "y": ["x"], "L": ["x", "y"]}, "L")
    _check_order(answer, {"x": [], "y": ["x"], "L": ["y", "x"]}, "L")
    rng = np.random.default_rng(4)
    for _ in range(20):
        graph: dict[Any, list[Any]] = {0: []}
        for node in range(1, 12):
            graph[node] = [int(p) for p in rng.integers(0, node, size=rng.integers(0, 4))]
        names = {node: int(name) for node, name in enumerate(rng.permutation(12))}
        graph = {names[node]: [names[p] for p in parents] for node, parents in graph.items()}
        _check_order(answer, graph, names[11])
    chain: dict[Any, list[Any]] = {0: []} | {k: [k - 1] for k in range(1, 100_000)}
    try:
        _check_order(answer, chain, 99_999)
    except RecursionError:
        expect(
            False, "A chain of 100,000 nodes is deeper than Python recurses: keep a list.", *ORDER
        )


def _check_order(answer: Any, parents: dict[Any, list[Any]], output: Any) -> None:
    order = list(answer({node: list(p) for node, p in parents.items()}, output))
    reachable, stack = {output}, [output]
    while stack:
        new = [p for p in parents[stack.pop()] if p not in reachable]
        reachable.update(new)
        stack += new
    expect(len(order) == len(set(order)), "A node stands twice in the list.", *ORDER)
    expect(
        set(order) == reachable,
        "The list must hold the nodes that the output was made from, and the output, no others.",
        *ORDER,
    )
    place = {node: i for i, node in enumerate(order)}
    expect(
        all(place[node] < place[p] for node in order for p in parents[node]),
        "A node stands after one of its parents: its cotangent would come too late. Think of "
        "L made from x and y, and y made from x.",
        *ORDER,
    )


@exercise("2.4")
def inverse_vjp(answer: Any) -> None:
    """inverse_vjp(G, A): the cotangent of A (n, n) in Y = A^-1, given that of Y."""
    rng = np.random.default_rng(5)
    expect(
        close(answer(np.array([[3.0]]), np.array([[2.0]])), np.array([[-0.75]])),
        "Try 1 x 1 matrices: the derivative of 1/a is -1/a^2, so G = 3, A = 2 must give -3/4.",
        *INVERSE,
    )
    for n in (2, 4):
        A = rng.normal(size=(n, n)) + 2 * n * np.eye(n)
        G, V = rng.normal(size=(2, n, n))
        found = np.asarray(answer(G, A))
        expect(found.shape == A.shape, "The cotangent of A has the shape of A.", *INVERSE)
        truth = (G * (np.linalg.inv(A + 1e-5 * V) - np.linalg.inv(A - 1e-5 * V))).sum() / 2e-5
        expect(
            close((found * V).sum(), truth),
            "Right for 1 x 1, not for matrices: dY = -Y dA Y. Which side does each Y go to, "
            "and is it transposed, when the trace is turned round?",
            *INVERSE,
        )


@exercise("2.5")
def curvature(answer: Any) -> None:
    """curvature(f, x, v): <v, H v>, H the Hessian of f at x, without building it."""
    rng = np.random.default_rng(6)
    calls = 0

    def bowl(x: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return (x * x * Tensor(np.array([1.0, 2.0, -3.0]))).sum()

    x, v = rng.normal(size=(2, 3))
    value = answer(bowl, _leaf(x), Tensor(v))
    expect(np.size(_number(value)) == 1, "One number is asked for: <v, H v>.", *CURVATURE)
    expect(calls == 1, "f was called more than once.", *CURVATURE)
    expect(
        close(_number(value), 2 * v @ (np.array([1.0, 2.0, -3.0]) * v)),
        "For f = x1^2 + 2 x2^2 - 3 x3^2 the Hessian is the diagonal matrix of 2, 4 and -6.",
        *CURVATURE,
    )

    def crooked(x: Tensor) -> Tensor:
        return (exp(x) * sin(x.flip(0))).sum()  # entries meet: H is not diagonal

    def value_at(x: Floats) -> float:
        return float((np.exp(x) * np.sin(x[::-1])).sum())

    h = 1e-3
    x, v = rng.normal(size=(2, 4)) / 2
    near = [value_at(x + k * h * v) for k in (-2, -1, 0, 1, 2)]
    truth = (-near[0] + 16 * near[1] - 30 * near[2] + 16 * near[3] - near[4]) / (12 * h * h)
    found = _number(answer(crooked, _leaf(x), Tensor(v)))
    expect(
        close(found, truth, tol=1e-7),
        "Right for a diagonal Hessian, not for a full one. The first gradient must be recorded "
        "(create_graph=True), and the inner product with v taken before the second.",
        *CURVATURE,
    )
    three = _number(answer(crooked, _leaf(x), Tensor(3 * v)))
    expect(
        close(three, 9 * found), "Three times v: <v, H v> must be nine times as large.", *CURVATURE
    )


def _leaf(x: Floats) -> Tensor:
    return Tensor(x.copy()).requires_grad_()


def _number(value: Any) -> Floats:
    return np.asarray(value.detach().numpy() if isinstance(value, Tensor) else value)
