"""Ops that move elements: each against NumPy, its gradient to order 2, and views as views."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import Tensor, ops
from tinygen.ops.op import broadcast_to, sum_to
from tinygen.testing import broadcastable_shapes, check_grads, tensors

A = np.arange(24.0).reshape(2, 3, 4)

MOVES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[np.ndarray], np.ndarray]]] = {
    # on shape (2, 3, 4)
    "reshape": (lambda x: x.reshape(4, 6), lambda a: a.reshape(4, 6)),
    "reshape tuple": (lambda x: x.reshape((4, -1)), lambda a: a.reshape(4, 6)),
    "view": (lambda x: x.contiguous().view(-1), lambda a: a.reshape(-1)),
    "flatten": (lambda x: x.flatten(), lambda a: a.reshape(24)),
    "flatten 1": (lambda x: x.flatten(1), lambda a: a.reshape(2, 12)),
    "flatten 0 1": (lambda x: x.flatten(0, 1), lambda a: a.reshape(6, 4)),
    "unflatten": (lambda x: x.unflatten(-1, (2, -1)), lambda a: a.reshape(2, 3, 2, 2)),
    "transpose": (lambda x: x.transpose(0, -1), lambda a: a.swapaxes(0, 2)),
    "permute": (lambda x: x.permute(2, 0, 1), lambda a: a.transpose(2, 0, 1)),
    "permute tuple": (lambda x: x.permute((-1, 0, 1)), lambda a: a.transpose(2, 0, 1)),
    "mT": (lambda x: x.mT, lambda a: a.swapaxes(1, 2)),
    "T": (lambda x: x[0].T, lambda a: a[0].T),
    "movedim": (lambda x: ops.movedim(x, 0, 2), lambda a: np.moveaxis(a, 0, 2)),
    "squeeze": (lambda x: x[:, :1].squeeze(), lambda a: a[:, 0]),
    "squeeze dim": (lambda x: x[:, :1].squeeze(1), lambda a: a[:, 0]),
    "squeeze nothing": (lambda x: x.squeeze(1), lambda a: a),
    "unsqueeze": (lambda x: x.unsqueeze(1), lambda a: a[:, None]),
    "unsqueeze -1": (lambda x: x.unsqueeze(-1), lambda a: a[..., None]),
    "expand": (
        lambda x: x[:, :1].expand(5, 2, 3, -1),
        lambda a: np.broadcast_to(a[:, :1], (5, 2, 3, 4)),
    ),
    "repeat": (lambda x: x.repeat(2, 1, 1, 3), lambda a: np.tile(a, (2, 1, 1, 3))),
    "repeat_interleave": (
        lambda x: ops.repeat_interleave(x, 2, 1),
        lambda a: np.repeat(a, 2, axis=1),
    ),
    "cat": (
        lambda x: tg.cat([x, x * 2, x[:, :1]], 1),
        lambda a: np.concatenate([a, 2 * a, a[:, :1]], 1),
    ),
    "cat dim -1": (lambda x: tg.cat([x, x], dim=-1), lambda a: np.concatenate([a, a], -1)),
    "stack": (lambda x: tg.stack([x, -x], -1), lambda a: np.stack([a, -a], -1)),
    "split": (lambda x: tg.cat(x.split(3, -1)[::-1], -1), lambda a: a[..., [3, 0, 1, 2]]),
    "split sizes": (lambda x: x.split([1, 2], 1)[1], lambda a: a[:, 1:]),
    "chunk": (lambda x: x.chunk(2, 2)[1], lambda a: a[..., 2:]),
    "unbind": (lambda x: ops.unbind(x, 1)[2], lambda a: a[:, 2]),
    "narrow": (lambda x: ops.narrow(x, 2, 1, 2), lambda a: a[..., 1:3]),
    "flip": (lambda x: x.flip(0, 2), lambda a: a[::-1, :, ::-1]),
    "flip tuple": (lambda x: x.flip((1,)), lambda a: a[:, ::-1]),
    "roll": (lambda x: x.roll(1, 2), lambda a: np.roll(a, 1, 2)),
    "roll two": (lambda x: x.roll((1, -2), (0, 2)), lambda a: np.roll(a, (1, -2), (0, 2))),
    "roll flat": (lambda x: x.roll(5), lambda a: np.roll(a, 5)),
    "pad": (
        lambda x: ops.pad(x, (1, 2, 0, 1)),
        lambda a: np.pad(a, ((0, 0), (0, 1), (1, 2))),
    ),
    "pad value": (
        lambda x: ops.pad(x, (1, 0), value=3.5),
        lambda a: np.pad(a, ((0, 0), (0, 0), (1, 0)), constant_values=3.5),
    ),
    "pad crop": (
        lambda x: ops.pad(x, (-1, 1)),
        lambda a: np.pad(a[..., 1:], ((0, 0), (0, 0), (0, 1))),
    ),
    "pad reflect": (
        lambda x: ops.pad(x, (3, 1, 0, 2), mode="reflect"),
        lambda a: np.pad(a, ((0, 0), (0, 2), (3, 1)), mode="reflect"),
    ),
    "pad replicate": (
        lambda x: ops.pad(x, (5, 1, 2, 0), mode="replicate"),
        lambda a: np.pad(a, ((0, 0), (2, 0), (5, 1)), mode="edge"),
    ),
    "tril": (lambda x: x.tril(), np.tril),
    "triu": (lambda x: x.triu(1), lambda a: np.triu(a, 1)),
    "tril -1": (lambda x: x.tril(-1), lambda a: np.tril(a, -1)),
    "clone": (lambda x: x.clone(), lambda a: a),
    "contiguous": (lambda x: x.permute(2, 1, 0).contiguous(), lambda a: a.transpose(2, 1, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", MOVES)
@given(x=tensors((2, 3, 4)))
def test_moves(name: str, x: Tensor) -> None:
    f, exact = MOVES[name]
    out, expected = f(x), exact(x.numpy())
    assert out.shape == expected.shape and out.dtype == tg.float32
    np.testing.assert_array_equal(out.numpy(), expected)
    check_grads(f, x)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1, 0, 2)])
def test_scalars_and_empties(shape: tuple[int, ...]) -> None:
    x = tg.zeros(shape)
    n = math.prod(shape)
    fs: list[tuple[Callable, tuple[int, ...]]] = [
        (lambda v: v.reshape(shape), shape),
        (lambda v: v.flatten(), (n,)),
        (lambda v: v.unsqueeze(0), (1, *shape)),
        (lambda v: v.expand(2, *shape), (2, *shape)),
        (lambda v: v.repeat(2, *[1] * len(shape)), (2, *shape)),
        (lambda v: tg.stack([v, v]), (2, *shape)),
        (lambda v: v.clone(), shape),
        (lambda v: v.permute(*reversed(range(len(shape)))), shape[::-1]),
    ]
    if shape:
        fs += [
            (lambda v: v.flip(0), shape),
            (lambda v: v.roll(1, 0), shape),
            (lambda v: tg.cat([v, v]), (2 * shape[0], *shape[1:])),
            (lambda v: ops.pad(v, (1, 1)), (*shape[:-1], shape[-1] + 2)),
        ]
    for f, expected in fs:
        assert f(x).shape == expected
        check_grads(f, x)


# --- the pair that all broadcasting stands on -----------------------------------------------------


@given(data=st.data())
def test_broadcast_to_and_sum_to_are_adjoint(data: st.DataObject) -> None:
    """<broadcast_to(x), y> = <x, sum_to(y)>, for new leading, size-1 and empty dimensions."""
    small, other = data.draw(broadcastable_shapes())
    large = np.broadcast_shapes(small, other)
    x, y = data.draw(tensors(small, dtype=tg.float64)), data.draw(tensors(large, dtype=tg.float64))
    up, down = broadcast_to(x, shape=large), sum_to(y, shape=small)
    np.testing.assert_array_equal(up.numpy(), np.broadcast_to(x.numpy(), large))
    assert down.shape == small
    assert (up * y).sum().item() == pytest.approx((x * down).sum().item(), abs=1e-9)
    check_grads(lambda v: broadcast_to(v, shape=large), x)
    check_grads(lambda v: sum_to(v, shape=small), y)


def test_gradient_of_an_operand_that_was_broadcast_is_summed() -> None:
    b = tg.tensor([1.0, 2.0], requires_grad=True)
    x = tg.ones(5, 2)
    ((x + b) * tg.arange(10).reshape(5, 2)).sum().backward()
    assert b.grad.tolist() == [20.0, 25.0]


@pytest.mark.parametrize("sizes", [(1, 2, 3), (2, 3), (0, 1)])
def test_split_and_chunk_give_views(sizes: tuple[int, ...]) -> None:
    x = tg.arange(sum(sizes)).float()
    parts = x.split(list(sizes))
    assert [len(p) for p in parts] == list(sizes)
    with tg.no_grad():
        parts[-1].zero_()
    assert x[sum(sizes[:-1]) :].tolist() == [0.0] * sizes[-1]


def test_split_of_uneven_sizes() -> None:
    assert [len(p) for p in tg.arange(7).split(3)] == [3, 3, 1]
    assert [len(p) for p in tg.arange(7).chunk(3)] == [3, 3, 1]
    assert [len(p) for p in tg.arange(4).chunk(3)] == [2, 2]


def test_layout_is_kept_by_elementwise_ops() -> None:
    """Channels-last memory goes through without a copy to C order."""
    x = tg.zeros(2, 5, 5, 3).permute(0, 3, 1, 2)
    for out in (x + 1, x.relu(), x * x, x.clone(), tg.zeros_like(x), x.tanh()):
        assert out.stride() == x.stride()


ERRORS: list[tuple[Callable[[Tensor], object], type[Exception], str]] = [
    (lambda x: x.reshape(5, 5), RuntimeError, r"reshape.*\(5, 5\).*\(2, 3, 4\)"),
    (lambda x: x.reshape(-1, -1), RuntimeError, r"reshape.*invalid"),
    (lambda x: x.reshape(-1, 7), RuntimeError, r"reshape.*\(-1, 7\)"),
    (lambda x: x.permute(0, 1), RuntimeError, "permute"),
    (lambda x: x.permute(0, 1, 1), RuntimeError, "permute"),
    (lambda x: x.transpose(0, 3), IndexError, "transpose.*out of range"),
    (lambda x: x.unsqueeze(5), IndexError, "unsqueeze.*out of range"),
    (lambda x: x.expand(2, 5, 4), RuntimeError, r"expand.*\(2, 3, 4\).*\(2, 5, 4\)"),
    (lambda x: x.expand(3, 4), RuntimeError, "expand"),
    (lambda x: x.repeat(2), RuntimeError, "repeat"),
    (lambda x: x.unflatten(2, (3, 2)), RuntimeError, "unflatten.*4"),
    (lambda x: x.split([1, 1], 1), RuntimeError, "split.*3"),
    (lambda x: x.split(0), RuntimeError, "split_size"),
    (lambda x: x.chunk(0), RuntimeError, "chunk"),
    (lambda x: ops.narrow(x, 0, 1, 2), RuntimeError, "narrow"),
    (lambda x: tg.cat([x, x[:, :, :1]]), RuntimeError, r"cat.*\(2, 3, 1\).*\(2, 3, 4\)"),
    (lambda x: tg.cat([]), RuntimeError, "cat.*non-empty"),
    (lambda x: tg.stack([x, x[0]]), RuntimeError, "stack.*equal"),
    (lambda x: ops.pad(x, (1,)), RuntimeError, "pad"),
    (lambda x: ops.pad(x, (4, 0), mode="reflect"), RuntimeError, "reflect.*less than size 4"),
    (lambda x: ops.pad(x, (1, 0), mode="circle"), (ValueError, NotImplementedError), "circle"),
    (lambda x: ops.pad(x, (-5, 0)), RuntimeError, "negative"),
    (lambda x: x.flip(3), IndexError, "flip.*out of range"),
    (lambda x: x.flatten(2, 0), RuntimeError, "flatten"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(ERRORS)))
def test_errors(case: int) -> None:
    f, kind, words = ERRORS[case]
    with pytest.raises(kind, match=words):
        f(tg.zeros(2, 3, 4))
