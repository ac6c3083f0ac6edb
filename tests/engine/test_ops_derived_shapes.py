"""Joining, parting, turning, diagonals: NumPy's answer at random shapes, gradients to order 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import Tensor
from tinygen.testing import check_grads, sample, tensors
from tinygen.view import View

# Of any shape with two dimensions or more: ours, and NumPy's.
MOVES: dict[str, tuple[Callable[[Tensor], Any], Callable[[np.ndarray], Any]]] = {
    "hstack": (lambda x: tg.hstack([x, x * 2]), lambda a: np.hstack([a, a * 2])),
    "hstack rows": (lambda x: tg.hstack([x[0, ..., 0], x[0, ..., 0]]),
                    lambda a: np.hstack([a[0, ..., 0], a[0, ..., 0]])),
    "vstack": (lambda x: tg.vstack([x, -x]), lambda a: np.vstack([a, -a])),
    "dstack": (lambda x: tg.dstack([x, -x]), lambda a: np.dstack([a, -a])),
    "column_stack": (lambda x: tg.column_stack([x, x]), lambda a: np.column_stack([a, a])),
    "column_stack rows": (
        lambda x: tg.column_stack([x[0, ..., 0].ravel()] * 2),
        lambda a: np.column_stack([a[0, ..., 0].ravel()] * 2),
    ),
    "concat": (lambda x: tg.concat([x, x], -1), lambda a: np.concatenate([a, a], -1)),
    "atleast_1d": (lambda x: tg.atleast_1d(x.sum()), lambda a: np.atleast_1d(a.sum())),
    "atleast_3d": (lambda x: tg.atleast_3d(x), lambda a: np.atleast_3d(a)),
    "block_diag": (
        lambda x: tg.block_diag(x.flatten(1), x.flatten(1) * 2),
        lambda a: np.block([
            [a.reshape(len(a), -1), 0 * a.reshape(len(a), -1)],
            [0 * a.reshape(len(a), -1), 2 * a.reshape(len(a), -1)],
        ]),
    ),
    "rot90": (lambda x: tg.rot90(x), np.rot90),
    "rot90 back": (lambda x: x.rot90(-1, (-1, 0)), lambda a: np.rot90(a, -1, (-1, 0))),
    "rot90 twice": (lambda x: x.rot90(2), lambda a: np.rot90(a, 2)),
    "fliplr": (lambda x: x.fliplr(), np.fliplr),
    "flipud": (lambda x: x.flipud(), np.flipud),
    "ravel": (lambda x: x.ravel(), np.ravel),
    "tile": (lambda x: x.tile(2), lambda a: np.tile(a, 2)),
    "tile more": (lambda x: x.tile((2, *[1] * (x.ndim - 1), 3)),
                  lambda a: np.tile(a, (2, *[1] * (a.ndim - 1), 3))),
    "select": (lambda x: x.select(1, -1), lambda a: a[:, -1]),
    "diff": (lambda x: x.diff(), np.diff),
    "diff 2 0": (lambda x: x.diff(2, 0) if len(x) > 2 else x,
                 lambda a: np.diff(a, 2, 0) if len(a) > 2 else a),
    "diff around": (lambda x: x.diff(dim=1, prepend=x, append=x[:, :1]),
                    lambda a: np.diff(a, axis=1, prepend=a, append=a[:, :1])),
    "diagonal": (lambda x: x.diagonal(), np.diagonal),
    "diagonal 1": (lambda x: x.diagonal(1, -1, 0), lambda a: np.diagonal(a, 1, -1, 0)),
    "diagonal -1": (lambda x: x.diagonal(-1), lambda a: np.diagonal(a, -1)),
    "diag": (lambda x: x.flatten(1).diag(-1), lambda a: np.diag(a.reshape(len(a), -1), -1)),
    "diag of a vector": (lambda x: tg.diag(x.ravel(), 1), lambda a: np.diag(a.ravel(), 1)),
    "movedim": (lambda x: x.movedim((0, 1), (1, 0)), lambda a: np.moveaxis(a, (0, 1), (1, 0))),
    "movedim far": (lambda x: x.movedim([0], [-1]), lambda a: np.moveaxis(a, [0], [-1])),
    "windows": (
        lambda x: x.unfold(1, 1 + x.shape[1] // 2, 1),
        lambda a: np.lib.stride_tricks.sliding_window_view(a, 1 + a.shape[1] // 2, 1),
    ),
    "every other window": (
        lambda x: x.unfold(-1, (x.shape[-1] + 1) // 2, 2),
        lambda a: np.lib.stride_tricks.sliding_window_view(
            a, (a.shape[-1] + 1) // 2, -1)[(slice(None),) * (a.ndim - 1) + (slice(None, None, 2),)],
    ),
    "windows side by side": (
        lambda x: x.unfold(0, 1 + len(x) // 2, 1 + len(x) // 2),
        lambda a: np.moveaxis(a[None, : 1 + len(a) // 2], 1, -1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
@given(x=tensors(min_dims=2, max_dims=3, min_side=1))
def test_moves(name: str, x: Tensor) -> None:
    f, exact = MOVES[name]
    out, expected = f(x), exact(x.numpy())
    assert out.shape == expected.shape and out.dtype == tg.float32
    np.testing.assert_array_equal(out.numpy(), expected)
    check_grads(f, x)


@given(
    x=tensors(min_dims=1, max_dims=3, min_side=1),
    offset=st.integers(-2, 2),
    data=st.data(),
)
def test_diag_embed_is_the_adjoint_of_diagonal(x: Tensor, offset: int, data: Any) -> None:
    """diagonal(diag_embed(x)) = x, and nothing else is in it; <embed(x), y> = <x, diagonal(y)>."""
    a, b = data.draw(st.permutations(range(x.ndim + 1)))[:2]
    out = x.diag_embed(offset, a, b)
    assert tg.equal(out.diagonal(offset, a, b), x)
    assert (out != 0).sum() == (x != 0).sum()
    y = tg.tensor(sample(out.shape, 3))
    inner = (out.double() * y).sum() - (x.double() * y.diagonal(offset, a, b)).sum()
    assert abs(inner.item()) < 1e-9
    check_grads(lambda v: v.diag_embed(offset, a, b), x)


def test_a_diagonal_is_a_view_with_a_history() -> None:
    x = tg.zeros(3, 4)
    x.diagonal(1).copy_(tg.tensor([1.0, 2.0, 3.0]))
    assert x.diagonal(1).tolist() == [1, 2, 3] and x.sum() == 6
    assert isinstance(x.diagonal(), View) and not isinstance(tg.diag(x), View)

    def f(v: Tensor, w: Tensor) -> Tensor:
        out = v * 1.0
        out.diagonal().mul_(w)
        return out * out

    check_grads(f, tg.tensor(sample((3, 3), 1)), tg.tensor(sample((3,), 2)))


def test_views_are_views() -> None:
    x = tg.zeros(6, 4)
    for part in (x.select(0, 1), x.tensor_split(4)[3], x.unfold(1, 2, 2), x.movedim((0,), (1,)),
                 x.ravel(), x.broadcast_to(2, 6, 4), tg.atleast_3d(x)):  # fmt: skip
        assert isinstance(part, View)


@given(n=st.integers(0, 9), sections=st.integers(1, 5), cuts=st.lists(st.integers(-10, 10)))
def test_tensor_split_as_numpy(n: int, sections: int, cuts: list[int]) -> None:
    x = tg.arange(n)
    for at in (sections, cuts, tg.tensor(cuts, dtype=tg.int64)):
        expected = np.array_split(np.arange(n), at if at is sections else cuts)
        assert [part.tolist() for part in x.tensor_split(at)] == [a.tolist() for a in expected]


@given(x=tensors(min_dims=1, max_dims=3, min_side=1), data=st.data())
def test_repeat_interleave_by_counts(x: Tensor, data: Any) -> None:
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    n = x.shape[dim]
    counts = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    repeats = tg.tensor(counts, dtype=tg.int64)
    out = x.repeat_interleave(repeats, dim)
    np.testing.assert_array_equal(out.numpy(), np.repeat(x.numpy(), counts, dim))
    check_grads(lambda v: v.repeat_interleave(repeats, dim), x)


def test_lists_and_tuples_of_tensors() -> None:
    x, y = tg.arange(3), tg.arange(2)
    assert [v.shape for v in tg.meshgrid([x, y], indexing="ij")] == [(3, 2)] * 2
    assert [v.shape for v in tg.atleast_2d(x, y)] == [v.shape for v in tg.atleast_2d([x, y])]
    assert tg.atleast_1d(tg.tensor(1.0)).shape == (1,)
    assert [v.tolist() for v in tg.broadcast_tensors(x, y[:1])] == [[0, 1, 2], [0, 0, 0]]
    assert x.diff(0) is x and (x > 1).diff().tolist() == [False, True]


X = tg.zeros(2, 3)
ERRORS: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: X.diagonal(0, 1, 1), RuntimeError, "diagonal: expected two different dimensions"),
    (lambda: X.diagonal(0, 2, 1), IndexError, "diagonal: dimension out of range"),
    (lambda: tg.diag(X[None]), RuntimeError, r"diag: expected a vector or a matrix.*\(1, 2, 3\)"),
    (lambda: X.sum().diag_embed(), RuntimeError, "diag_embed: expected at least 1"),
    (lambda: X.unfold(1, 4, 1), RuntimeError, "unfold: no windows of size 4 and step 1 in 3"),
    (lambda: X.unfold(1, 2, 0), RuntimeError, "unfold: no windows of size 2 and step 0"),
    (lambda: X.rot90(1, (0, 0)), RuntimeError, "rot90: expected two different"),
    (lambda: X.rot90(1, (0, 1, 1)), RuntimeError, "rot90: expected two dimensions"),
    (lambda: X.tensor_split(0), RuntimeError, "tensor_split: expected 1 or more sections, got 0"),
    (lambda: X.select(0, 2), IndexError, "out of bounds"),
    (lambda: X.diff(-1), RuntimeError, "diff: expected n >= 0, got -1"),
    (lambda: X.movedim((0, 1), (0,)), RuntimeError, "movedim: expected as many sources"),
    (lambda: X.movedim((0, 0), (0, 1)), RuntimeError, "movedim: .* each once"),
    (lambda: X.repeat_interleave(tg.tensor([1, 2])), RuntimeError, "one for each of 6 slices"),
    (lambda: X.repeat_interleave(-1, 0), RuntimeError, "repeats can not be negative"),
    (lambda: X.repeat_interleave(tg.tensor([1.0]), 0), RuntimeError, "expected integers"),
    (lambda: X.repeat_interleave(tg.tensor([1, -2]), 0), RuntimeError, "can not be negative"),
    (lambda: tg.block_diag(X[None]), RuntimeError, "block_diag: expected at most 2 dimensions"),
    (lambda: tg.broadcast_tensors(X, X[:, :2]), RuntimeError, r"\(2, 3\), \(2, 2\).*do not"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), ERRORS)
def test_errors(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
