"""Views and changes in place of them: histories that are rewritten, and what is refused.

Each case is compared with the same thing said without a change in place, to second order.
"""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import Tensor
from tinygen.autograd import grad
from tinygen.nn import Parameter
from tinygen.ops.op import REGISTRY, op
from tinygen.testing import check_grads, lay_out, sample


def leaf(*shape: int, seed: int = 0) -> Tensor:
    return tg.tensor(sample(shape, seed), requires_grad=True)


# --- recorded changes of views --------------------------------------------------------------------


def spline(x: Tensor, eps: Tensor) -> Tensor:
    """As in neural splines: cumwidths[..., -1] += eps."""
    edges = x.softmax(-1).cumsum(-1)
    edges[..., -1] += eps
    return edges * edges


def residual_quantisation(x: Tensor, h: Tensor) -> Tensor:
    """The codes are rows of h, and what they leave is coded again."""
    rest = x * 1.0
    coded = rest * 0.0
    for k in range(2):
        code = h[[k, 2 - k]]
        rest -= code
        coded += code.square()
    return rest * coded


def slice_and_add(x: Tensor, y: Tensor) -> Tensor:
    h = x * 1.0
    part = h[:, 1:]
    part += y
    return h.square()


def flat_of_a_picture(x: Tensor, y: Tensor) -> Tensor:
    """A chain of views whose reshape is a view in this memory order only."""
    last = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) * 1.0  # its own memory, so too
    rows = last.permute(0, 2, 3, 1).reshape(-1, 2)
    rows[1:].mul_(y)
    return last * last.tanh()


def the_other_view_sees_it(x: Tensor, y: Tensor) -> Tensor:
    h = x * 1.0
    first, corner = h[0], h[:, 0]
    first.mul_(y)
    corner.tanh_()
    return first.square().sum() + (corner * h[1, 1]).sum()


def views_of_views(x: Tensor, y: Tensor) -> Tensor:
    h = x * 1.0
    h.T[1:].T[0].mul_(y[0])
    h.unsqueeze(0).expand(1, 2, 3)[0, 1].add_(h[0] + y * y)
    return h.sin()


def a_plain_buffer(x: Tensor, y: Tensor) -> Tensor:
    buffer = tg.zeros(2, 3, dtype=x.dtype)
    seen = buffer[1]
    buffer[0] = x[0] * 3.0
    buffer[1:] = y
    buffer[x > 0.5] = x[x > 0.5] * y.sum()
    return buffer.square().sum() + seen.sum() * x.sum()


def set_by_arrays(x: Tensor, y: Tensor) -> Tensor:
    """Of an index that repeats, the last value stays."""
    h = x * 1.0
    h[[1, 0, 1]] = tg.stack([y, y * 2.0, y * y])
    h[0, [2, 0]] = y[:2] * y[1:]
    h[:, 1] = (y * 2.0)[:1]
    return h.tanh()


def single_numbers(x: Tensor, y: Tensor) -> Tensor:
    h = x * 1.0
    h[0, 1].mul_(y[0])
    h[1, 2] = y[1] * y[2]
    h[1].fill_(0.5)
    h[1, 0].add_(y[2])
    return h.square()


CHANGES: dict[str, tuple[Callable[..., Tensor], list[tuple[int, ...]]]] = {
    "spline": (spline, [(2, 3), (2,)]),
    "residual quantisation": (residual_quantisation, [(2, 3), (3, 3)]),
    "slice and add": (slice_and_add, [(2, 3), (2, 2)]),
    "flat of a picture": (flat_of_a_picture, [(2, 2, 2, 1), (2,)]),
    "the other view sees it": (the_other_view_sees_it, [(2, 3), (3,)]),
    "views of views": (views_of_views, [(2, 3), (3,)]),
    "a plain buffer": (a_plain_buffer, [(2, 3), (3,)]),
    "set by arrays": (set_by_arrays, [(2, 3), (3,)]),
    "single numbers": (single_numbers, [(2, 3), (3,)]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_gradients_of_any_order(name: str) -> None:
    f, shapes = CHANGES[name]
    xs = [tg.tensor(sample(shape, k, avoid=(0.5,))) for k, shape in enumerate(shapes)]
    check_grads(f, *xs, order=3)
    with tg.no_grad():
        plain = f(*xs)
    recorded = f(*(x.requires_grad_() for x in xs))
    np.testing.assert_array_equal(plain.numpy(), recorded.detach().numpy())


STEPS: dict[str, Callable[[Tensor], Tensor]] = {
    "first": lambda x: x[:1] if x.ndim else x,
    "transpose": lambda x: x.transpose(0, -1) if x.ndim else x,
    "flatten": lambda x: x.flatten(),
    "merge": lambda x: x.flatten(-2) if x.ndim > 1 else x,
    "every other": lambda x: x[..., ::2] if x.ndim else x,
    "one": lambda x: x[-1] if x.ndim else x,
    "new": lambda x: x.unsqueeze(-1) if x.ndim < 4 else x,
}


@example("transposed", ["transpose", "flatten"])
@given(
    st.sampled_from(["plain", "transposed", "strided", "reversed"]),
    st.lists(st.sampled_from(sorted(STEPS)), max_size=4),
)
def test_a_chain_of_views_in_any_memory(layout: str, steps: list[str]) -> None:
    """sin_ of a view of the base is where(it lies there, sin(base), base)."""
    w = tg.tensor(sample((2, 3, 4), 2), requires_grad=True)
    base, marks = (tg.from_numpy(lay_out(np.zeros((2, 3, 4)), layout)) for _ in "bm")
    base.copy_(w)
    part, there = base, marks
    for step in steps:
        part, there = STEPS[step](part), STEPS[step](there)
    if not np.may_share_memory(part._array, base._array):
        return  # a flatten() that had to copy
    there.fill_(1.0)
    part.sin_()
    g = tg.tensor(sample((2, 3, 4), 3))
    (got,) = grad(base, w, g)
    (expected,) = grad(tg.where(marks > 0, w.sin(), w), w, g)
    np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-12)


def test_a_view_made_before_its_base_has_a_history() -> None:
    w = leaf(2)
    buffer = tg.zeros(3, dtype=tg.float64)
    v = buffer[:2]
    assert not v.requires_grad and v.is_leaf
    buffer[0:2] = w * 3
    assert v.requires_grad and v.grad_fn is not None and not buffer.is_leaf
    (v.sum() + w.sum()).backward()
    assert w.grad.tolist() == [4.0, 4.0]


def test_zero_and_fill_keep_the_tensor_on_the_tape() -> None:
    w = leaf(3)
    h = w * 2
    h[:1].zero_()
    h.sum().backward()
    assert w.grad.tolist() == [0.0, 2.0, 2.0]
    h = w * 2
    h.fill_(7.0)
    h.sum().backward()
    assert h.requires_grad and w.grad.tolist() == [0.0, 2.0, 2.0]


def test_no_grad_changes_the_numbers_alone() -> None:
    w = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    h = w * 2
    v = h[1:]
    with tg.no_grad():
        v.mul_(10)
    assert h.tolist() == [2.0, 40.0, 60.0]
    (v.sum() + (h * h).sum()).backward()
    assert w.grad.tolist() == [8.0, 162.0, 242.0]


def test_version_counters_see_changes_of_every_view() -> None:
    w = leaf(4)
    for change in (
        lambda h: h[1:].mul_(2), lambda h: h.detach().mul_(2), lambda h: h.detach()[0].zero_(),
        lambda h: h.reshape(2, 2).T[0].fill_(1), lambda h: h.__setitem__(0, 3.0),
        lambda h: h.contiguous().mul_(10), lambda h: tg.einsum("ij->ji", h.reshape(2, 2)).zero_(),
        lambda h: Parameter(h, requires_grad=False).zero_(),
    ):  # fmt: skip
        h = w * 1
        out = h.square().sum()
        with tg.no_grad():
            change(h)
        with pytest.raises(RuntimeError, match="square: .*modified by an inplace"):
            out.backward()


def test_retain_grad_is_the_gradient_of_what_it_is_now() -> None:
    for change in (lambda h, v: v.mul_(3), lambda h, v: h.mul_(3)):
        w = leaf(2)
        h = w * 2
        v = h[:1]
        h.retain_grad()
        v.retain_grad()
        change(h, v)
        (v * 1).sum().backward()
        assert h.grad.tolist() == [1.0, 0.0] and v.grad.tolist() == [1.0]


# --- what cannot be right -------------------------------------------------------------------------


def _no_grad_view(h: Tensor) -> Tensor:
    with tg.no_grad():
        return h[:1]


REFUSED: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "leaf": (lambda w: w.mul_(2), "^a leaf Variable that requires grad"),
    "leaf, by index": (lambda w: w.__setitem__(0, 1.0), "^a leaf Variable that requires grad"),
    "view of a leaf": (lambda w: w[0].mul_(2), "a view of a leaf Variable that requires grad"),
    "view of a view of a leaf": (lambda w: w.T[0].zero_(), "a view of a leaf Variable"),
    "split": (lambda w: (w * 2).split(1)[0].mul_(2), "several views.*split"),
    "chunk": (lambda w: (w * 2).chunk(2)[0].mul_(2), "several views.*chunk"),
    "a view of one of several": (lambda w: (w * 2).unbind()[0][:1].mul_(2), "several views"),
    "expand": (lambda w: (w * 2).expand(2, 2, 2).mul_(2), "single memory location.*clone"),
    "expand, by index": (
        lambda w: (w * 2).expand(2, 2, 2).__setitem__(..., 2.0), "single memory location"
    ),
    "expand, not recorded": (lambda w: tg.ones(1).expand(3).zero_(), "single memory location"),
    "made in no_grad mode": (lambda w: _no_grad_view(w * 2).mul_(2), "no_grad mode.*both inside"),
    "made in no_grad mode of a leaf": (lambda w: _no_grad_view(w).mul_(2), "a view of a leaf"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_right_is_refused(name: str) -> None:
    change, words = REFUSED[name]
    w = leaf(2, 2)
    before = w.tolist()
    with pytest.raises(RuntimeError, match=words):
        change(w)
    assert w.tolist() == before and w._version == [0]


@pytest.mark.parametrize("make", [lambda h: _no_grad_view(h), lambda h: h.split(1)[0]])
def test_a_view_that_cannot_follow_its_base(make: Callable[[Tensor], Tensor]) -> None:
    w = leaf(2, 2)
    h = w * 2
    v = make(h)
    h.mul_(2)
    assert v.requires_grad
    with pytest.raises(RuntimeError, match="cannot follow"):
        v * 2
    with tg.no_grad():
        assert (v * 2).tolist() == (w * 8).tolist()[:1]


# --- views of the same shape ----------------------------------------------------------------------

SAME: dict[str, Callable[[Tensor], Tensor]] = {
    "squeeze": lambda x: x.squeeze(), "reshape": lambda x: x.reshape(3), "t": lambda x: x.t(),
    "view": lambda x: x.view(3), "flatten": lambda x: x.flatten(), "expand": lambda x: x.expand(3),
    "permute": lambda x: x.permute(0), "index": lambda x: x[...], "T": lambda x: x.T,
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_views_of_the_same_shape_are_views(name: str) -> None:
    for w in (leaf(3), leaf(3) * 1):
        with tg.no_grad():
            v = SAME[name](w)
        assert v is not w and not v.requires_grad and v.grad_fn is None and w.requires_grad
        assert np.shares_memory(v._array, w._array)
        assert SAME[name](w).requires_grad


def test_an_index_of_integers_alone_is_a_view() -> None:
    x = tg.zeros(2, 2)
    x[1].fill_(5)
    x[0, 1].add_(3)
    row = tg.zeros(3)
    row[1].fill_(5)
    row[tg.tensor(2)].add_(1)
    for number in row:
        number.mul_(2)
    assert x.tolist() == [[0, 3], [5, 5]] and row.tolist() == [0, 10, 2]
    assert x[0, 1].shape == () and row[()][0]._version is row._version


def test_what_is_set_keeps_its_own_place_on_the_tape() -> None:
    w = leaf(2)
    a, h = w * 2, tg.zeros(2, dtype=tg.float64)
    a.retain_grad()
    h[...] = a
    h.retain_grad()
    (h * 3).sum().backward()
    assert a.grad.tolist() == h.grad.tolist() == [3.0, 3.0] and h.grad_fn is not a.grad_fn
    whole = tg.zeros(2, dtype=tg.int64)
    whole[0] = w.sum() * 0 + 2.5
    assert whole.tolist() == [2, 0] and not whole.requires_grad


def test_copies_and_graphs_of_views() -> None:
    w = leaf(3)
    with pytest.raises(RuntimeError, match="only leaf tensors"):
        copy.deepcopy(w[:2])
    buffer = tg.zeros(3)
    part = copy.deepcopy(buffer[:2])
    part.fill_(1.0)
    assert type(part) is Tensor and buffer.tolist() == [0, 0, 0]
    asked = copy.deepcopy(buffer[:2].requires_grad_())
    assert asked.requires_grad and asked.is_leaf


def test_a_view_of_a_leaf_can_be_a_leaf() -> None:
    buffer = tg.zeros(3)
    v = buffer[:2].requires_grad_()
    (v * 3).sum().backward()
    assert v.is_leaf and v.grad.tolist() == [3.0, 3.0] and not buffer.requires_grad


def test_a_view_outlives_a_switch_of_its_leaf() -> None:
    """As where a network is frozen between the use of a weight and backward()."""
    w = leaf(2, 2)
    v, (first, _) = w.T, w.chunk(2)
    w.requires_grad_(False)
    (v * 2 + first * 3).sum().backward()
    assert v.requires_grad and w.grad.tolist() == [[8.0, 8.0], [2.0, 2.0]]
    early = (buffer := tg.zeros(2)).unsqueeze(0)
    buffer.requires_grad_()
    assert not early.requires_grad and (early + buffer).requires_grad


def test_no_reference_cycles() -> None:
    gc.collect()
    gc.disable()
    try:
        w = leaf(4)
        h = w * 1
        v = h[:2]
        v.mul_(w[:2])
        h[3] = v.sum()
        out = (h + 1).sum()
        out.backward(retain_graph=True)
        gone = [weakref.ref(x) for x in (h, v, out)]
        del h, v, out
        assert [ref() for ref in gone] == [None] * 3 and gc.collect() == 0
    finally:
        gc.enable()


def test_a_long_chain_of_views_and_changes() -> None:
    """Steps are linked, not copied: 5,000 views of views take linear memory, and one walk."""
    w = leaf(2, 2)
    h = w * 1
    v = h
    for _ in range(5000):
        v = v.T
    v.mul_(2)
    for _ in range(500):
        h[0].add_(w[0])
    h.sum().backward()
    assert w.grad.tolist() == [[502, 502], [2, 2]]


# --- gradients that nobody else holds ----------------------------------------------------------


def test_retained_gradients_share_nothing() -> None:
    x = leaf(2)
    y = x.clone()
    y.retain_grad()
    (y * 2).sum().backward()
    x.grad.add_(5)
    assert y.grad.tolist() == [2.0, 2.0] and x.grad.tolist() == [7.0, 7.0]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("kind", ["leaf", "retained", "through a clone"])
def test_the_cotangent_is_not_kept(kind: str, create_graph: bool) -> None:
    x = leaf(2)
    y = x if kind == "leaf" else x.clone()
    if kind == "retained":
        y.retain_grad()
    g = tg.tensor([1.0, 2.0], dtype=tg.float64)
    y.backward(g, create_graph=create_graph)
    g.mul_(100)
    assert x.grad.tolist() == [1.0, 2.0]
    if kind == "retained":
        assert y.grad.tolist() == [1.0, 2.0]
        y.grad.mul_(3)
        assert x.grad.tolist() == [1.0, 2.0]
    x.grad = None


# --- a vjp that was forgotten -------------------------------------------------------------------


def test_a_forgotten_vjp_is_an_error_and_a_constant_says_so() -> None:
    @op
    def unfinished(x, weight):
        return x * weight

    @op
    def several(*xs):
        return xs[0] * 1

    try:
        x, w = leaf(2), leaf(2)
        assert unfinished(x.detach(), w.detach()).shape == (2,)
        with pytest.raises(RuntimeError, match="unfinished: it has no vjp.*'weight'.*lost"):
            unfinished(x.detach(), w)
        with pytest.raises(RuntimeError, match="several: it has no vjp.*'xs'"):
            several(x)
        with tg.no_grad():
            assert not unfinished(x, w).requires_grad
        unfinished.vjp(lambda g, weight: g * weight, None)
        assert unfinished(x, w).requires_grad and not unfinished(x.detach(), w).requires_grad
    finally:
        for name in ("unfinished", "several"):
            REGISTRY.pop(name)
