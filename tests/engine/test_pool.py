"""The thread pool at its real part sizes, thousands of rows each: what one thread gives, it gives.

Every function that cuts its work runs whole and in three parts. Then each of its gradients is made
wrong, in the run in parts alone, and the pool itself loses, doubles and mixes up rows: all of it
must be noticed. New memory holds NaN, so that nothing left over from an earlier run can pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import pytest

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import Tensor, threads
from tinygen.conv import conv2d_weight
from tinygen.ops.activations import normal_density_times, silu_grad
from tinygen.ops.kinks import gate
from tinygen.ops.op import REGISTRY

ROWS = 13001  # times 64 numbers: parts of 4,000 rows and more
CUTTERS = ("threads", "conv.cpu", "ops.activations", "ops.kinks", "ops.shapes",
           "nn.functional.channel_norm")  # fmt: skip
Case = tuple[Callable[..., Tensor], list[tuple[int, ...]]]
IMAGES = (ROWS, 8, 3, 3)
CASES: dict[str, Case] = {
    "add": (lambda x, y: x + y, [(ROWS, 64), (64,)]),
    "sub": (lambda x, y: x - y, [(ROWS, 64), (ROWS, 1)]),
    "mul": (lambda x, y: x * y, [(ROWS, 64), (ROWS, 64)]),
    "div": (lambda x, y: x / y, [(1, 64), (ROWS, 64)]),
    "relu": (F.relu, [(ROWS, 64)]),
    "gate": (lambda x, y: gate(x, y.detach()), [(ROWS, 64), (ROWS, 64)]),
    "leaky": (F.leaky_relu, [(ROWS, 64)]),
    "silu": (F.silu, [(ROWS, 64)]),
    "silu_grad": (silu_grad, [(ROWS, 64), (ROWS, 64)]),
    "gelu": (F.gelu, [(ROWS, 64)]),
    "normal_density_times": (normal_density_times, [(ROWS, 64), (ROWS, 64)]),
    "cat": (lambda x, y: tg.cat([x, y], 1), [(ROWS, 60), (ROWS, 4)]),
    "matmul": (tg.matmul, [(ROWS, 64), (64, 64)]),
    "linear": (F.linear, [(ROWS, 64), (64, 64), (64,)]),
    "bmm": (tg.bmm, [(ROWS, 16, 16), (ROWS, 16, 16)]),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=1), [IMAGES, (8, 8, 3, 3), (8,)]),
    "conv_transpose2d": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, padding=1), [IMAGES, (8, 8, 3, 3), (8,)]
    ),
    "conv2d_weight": (lambda x, g: conv2d_weight(x, g, (3, 3), padding=1), [IMAGES, IMAGES]),
    "channel_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), [IMAGES, (8,), (8,)]),
    "batch_norm": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [IMAGES, (8,), (8,)]
    ),
    "sum": (lambda x: F.relu(x.sum((0, 2, 3))), [IMAGES]),
}  # fmt: skip


def tensors(shapes: list[tuple[int, ...]]) -> list[Tensor]:
    """Positive numbers apart from 0; images lie channels-last, as a convolution leaves them."""
    rng, out = np.random.default_rng(0), []
    for shape in shapes:
        x = rng.uniform(0.5, 1.5, shape).astype(np.float32) * rng.choice([-1, 1], shape[-1])
        x = x.astype(np.float32)
        if len(shape) == 4 and shape[0] == ROWS:
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        out.append(tg.from_numpy(x).requires_grad_())
    return out


def run(name: str) -> list[np.ndarray]:
    """The value and the gradients, with new memory that holds NaN."""
    f, shapes = CASES[name]
    xs, empty_like = tensors(shapes), np.empty_like

    def poisoned(*args: Any, **kwargs: Any) -> Any:
        out = empty_like(*args, **kwargs)
        if out.dtype.kind == "f":
            out.fill(np.nan)
        return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "empty_like", poisoned)
        out = f(*xs)
        u = tg.from_numpy(np.random.default_rng(1).standard_normal(out.shape).astype(np.float32))
        grads = tg.autograd.grad(out, xs, u, allow_unused=True)
    return [t.detach().numpy() for t in (out, *grads) if t is not None]


Fault = Callable[[Callable[..., Any], list[Any]], Any]  # how a part is done wrong


@contextmanager
def three_parts(fault: Fault | None = None) -> Iterator[list[int]]:
    """Three threads at the real grains; yields how long the parts were."""
    cut, lengths = threads.in_parts, []

    def watched(body: Callable[..., Any], *arrays: Any, grain: int = threads.GRAIN) -> list[Any]:
        def part(*xs: Any) -> Any:
            if len(xs[0]) < len(arrays[0]):
                lengths.append(len(xs[0]))
                if fault:
                    return fault(body, list(xs))
            return body(*xs)

        return cut(part, *arrays, grain=grain)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "count", lambda: 3)
        threads._pool.cache_clear()
        for module in CUTTERS:
            patch.setattr(f"tinygen.{module}.in_parts", watched)
        yield lengths
    threads._pool.cache_clear()


@cache
def whole(name: str) -> list[np.ndarray]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "count", lambda: 1)
        return run(name)


def agree(name: str, fault: Fault | None = None, spoil: Callable[[], Any] = lambda: None) -> None:
    expected = whole(name)
    spoil()
    with three_parts(fault) as lengths:
        got = run(name)
    assert lengths and max(lengths) > 4000, f"{name}: parts of {lengths} rows"
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5 * np.abs(b).max())


@pytest.mark.parametrize("name", CASES)
def test_three_parts_are_the_whole(name: str) -> None:
    agree(name)


def _short(xs: list[Any], rows: slice) -> list[Any]:
    return [x if len(x) == 1 else x[rows] for x in xs]


FAULTS: dict[str, Fault] = {
    "the last row of a long part is lost": lambda body, xs: body(
        *_short(xs, slice(-1 if len(xs[0]) > 4000 else None))
    ),
    "the first row of a long part is lost": lambda body, xs: body(
        *_short(xs, slice(len(xs[0]) > 4000, None))
    ),
    "the rows go to the wrong places": lambda body, xs: body(
        *[x if k == 0 or len(x) == 1 else np.roll(x, 1, 0) for k, x in enumerate(xs)]
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", CASES)
def test_a_pool_that_errs_is_noticed(name: str, fault: str) -> None:
    with pytest.raises(AssertionError, match="Not equal"):
        agree(name, FAULTS[fault])


WRONG_VJPS = [
    (name, i)
    for name in CASES
    if name in REGISTRY and name != "sum"
    for i, (vjp, _) in enumerate(REGISTRY[name].spec.vjps)
    if vjp
]


@pytest.mark.parametrize(("name", "i"), WRONG_VJPS)
def test_a_gradient_that_is_wrong_in_parts_is_noticed(name: str, i: int) -> None:
    spec = REGISTRY[name].spec
    vjp, names = spec.vjps[i]
    assert vjp is not None
    wrong = (lambda *args: vjp(*args) * 1.01, names)
    try:
        with pytest.raises(AssertionError, match="Not equal"):
            agree(name, spoil=lambda: spec.vjps.__setitem__(i, wrong))
    finally:
        spec.vjps[i] = (vjp, names)
