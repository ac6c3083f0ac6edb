"""Tensors from nothing: values, dtypes, random laws, and generators whose state can be saved."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

import tinygen as tg
from tinygen import Tensor


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (1, tg.int64, ()),
        (1.5, tg.float32, ()),
        (True, tg.bool, ()),
        ([1, 2], tg.int64, (2,)),
        ([1, 2.0], tg.float32, (2,)),
        ([[True], [False]], tg.bool, (2, 1)),
        ([], tg.float32, (0,)),
        ([[], []], tg.float32, (2, 0)),
        (np.float64(2.0), tg.float64, ()),
        (np.arange(3, dtype=np.uint8), tg.uint8, (3,)),
        (np.ones((2, 2)), tg.float64, (2, 2)),
        (range(3), tg.int64, (3,)),
    ],
)
def test_tensor_keeps_dtypes_as_pytorch_does(data: object, dtype: object, shape: tuple) -> None:
    x = tg.tensor(data)
    assert x.dtype == dtype and x.shape == shape
    assert tg.tensor(data, dtype=tg.float64).dtype == tg.float64


def test_tensor_copies_and_from_numpy_shares() -> None:
    a = np.zeros(3)
    copied, shared = tg.tensor(a), tg.from_numpy(a)
    a[0] = 5
    assert copied[0].item() == 0 and shared[0].item() == 5
    shared[1] = 7.0
    assert a[1] == 7
    assert tg.tensor([tg.tensor(1.0), 2.0]).tolist() == [1, 2]


@pytest.mark.parametrize(
    ("make", "expected", "dtype"),
    [
        (lambda: tg.zeros(2, 3), np.zeros((2, 3)), tg.float32),
        (lambda: tg.zeros((2, 3), dtype=tg.int64), np.zeros((2, 3)), tg.int64),
        (lambda: tg.zeros(()), np.zeros(()), tg.float32),
        (lambda: tg.ones(0, 2), np.ones((0, 2)), tg.float32),
        (lambda: tg.full((2,), 3), [3, 3], tg.int64),
        (lambda: tg.full((2,), 3.0), [3, 3], tg.float32),
        (lambda: tg.full((1, 2), True), [[True, True]], tg.bool),
        (lambda: tg.eye(2, 3), np.eye(2, 3), tg.float32),
        (lambda: tg.arange(4), [0, 1, 2, 3], tg.int64),
        (lambda: tg.arange(1, 2, 0.25), [1, 1.25, 1.5, 1.75], tg.float32),
        (lambda: tg.arange(5, 0, -2), [5, 3, 1], tg.int64),
        (lambda: tg.linspace(0, 1, 5), [0, 0.25, 0.5, 0.75, 1], tg.float32),
        (lambda: tg.linspace(2, 3, 1), [2], tg.float32),
        (lambda: tg.zeros_like(tg.ones(2, dtype=tg.float64)), [0, 0], tg.float64),
        (lambda: tg.ones_like(tg.zeros(2), dtype=tg.int64), [1, 1], tg.int64),
        (lambda: tg.full_like(tg.zeros(2), 4.0), [4, 4], tg.float32),
    ],
)
def test_constants(make: Callable[[], Tensor], expected: object, dtype: object) -> None:
    x = make()
    assert x.dtype == dtype
    np.testing.assert_array_equal(x.numpy(), expected)


def test_requires_grad_at_birth() -> None:
    for x in (
        tg.zeros(2, requires_grad=True),
        tg.randn(2, requires_grad=True),
        tg.tensor([1.0], requires_grad=True),
        tg.ones_like(tg.zeros(1), requires_grad=True),
    ):
        assert x.requires_grad and x.is_leaf


def test_the_default_dtype() -> None:
    tg.set_default_dtype(tg.float64)
    assert tg.tensor(1.0).dtype == tg.randn(2).dtype == tg.zeros(1).dtype == tg.float64
    with pytest.raises(TypeError, match="int64"):
        tg.set_default_dtype(tg.int64)


# --- random numbers -------------------------------------------------------------------------------


N = 20_000


def test_rand_and_randn_follow_their_laws() -> None:
    u, z = tg.rand(N).numpy(), tg.randn(N).numpy()
    assert u.dtype == z.dtype == np.float32
    assert u.min() >= 0 and u.max() < 1
    grid = np.arange(1, N + 1) / N
    assert np.abs(np.sort(u) - grid).max() < 1.95 / N**0.5  # Kolmogorov-Smirnov, p = 0.001
    scaled = tg.from_numpy(np.sort(z)[::50].astype(np.float64) / 2**0.5)
    normal = 0.5 * (1 + tg.erf(scaled).numpy())
    assert np.abs(normal - grid[::50]).max() < 1.95 / N**0.5 + 1e-4


def test_randint_randperm_bernoulli() -> None:
    k = tg.randint(3, 7, (N,))
    assert k.dtype == tg.int64 and set(k.tolist()) == {3, 4, 5, 6}
    assert np.abs(np.bincount(k.numpy())[3:] - N / 4).max() < 5 * (N * 3 / 16) ** 0.5
    assert tg.randint(5, (2, 3)).shape == (2, 3)
    assert sorted(tg.randperm(50).tolist()) == list(range(50))
    p = tg.tensor([0.0, 0.2, 1.0]).expand(N, 3)
    rate = tg.bernoulli(p).mean(0).tolist()
    assert rate[0] == 0 and rate[2] == 1 and abs(rate[1] - 0.2) < 5 * (0.16 / N) ** 0.5
    with pytest.raises(RuntimeError, match=r"bernoulli.*\[0, 1\]"):
        tg.bernoulli(tg.tensor([1.5]))


def test_multinomial() -> None:
    w = tg.tensor([1.0, 0.0, 3.0])
    draws = tg.multinomial(w, N, replacement=True).numpy()
    assert abs((draws == 2).mean() - 0.75) < 5 * (0.1875 / N) ** 0.5 and not (draws == 1).any()
    assert sorted(tg.multinomial(w, 2).tolist()) == [0, 2]
    rows = tg.multinomial(w.expand(4000, 3), 1).numpy()
    assert rows.shape == (4000, 1)
    assert abs((rows == 2).mean() - 0.75) < 5 * (0.1875 / 4000) ** 0.5
    for replacement in (False, True):
        assert tg.multinomial(w.expand(0, 3), 2, replacement).shape == (0, 2)
    with pytest.raises(RuntimeError, match="multinomial.*3 without replacement"):
        tg.multinomial(w, 3)
    with pytest.raises(RuntimeError, match="multinomial.*weights >= 0"):
        tg.multinomial(tg.tensor([-1.0, 2.0]), 1)


DRAWS: list[Callable[..., Tensor]] = [
    lambda **k: tg.rand(5, **k),
    lambda **k: tg.randn(5, **k),
    lambda **k: tg.randn(5, dtype=tg.float64, **k),
    lambda **k: tg.randint(0, 100, (5,), **k),
    lambda **k: tg.randperm(9, **k),
    lambda **k: tg.bernoulli(tg.full((9,), 0.5), **k),
    lambda **k: tg.multinomial(tg.ones(9), 5, **k),
    lambda **k: tg.randn_like(tg.zeros(3), **k),
]


@pytest.mark.parametrize("draw", DRAWS)
def test_a_seed_and_a_saved_state_give_the_same_numbers(draw: Callable[..., Tensor]) -> None:
    generator = tg.Generator().manual_seed(3)
    first = draw(generator=generator).tolist()
    state = json.loads(json.dumps(generator.get_state()))  # as a checkpoint would keep it
    then = [draw(generator=generator).tolist() for _ in range(3)]
    other = tg.Generator()
    other.set_state(state)
    assert [draw(generator=other).tolist() for _ in range(3)] == then
    assert draw(generator=tg.Generator().manual_seed(3)).tolist() == first
    assert draw(generator=tg.Generator().manual_seed(4)).tolist() != first


@pytest.mark.parametrize("draw", DRAWS)
def test_the_default_generator_and_explicit_ones_do_not_disturb_each_other(draw: Callable) -> None:
    tg.manual_seed(1)
    first = [draw().tolist(), draw().tolist()]
    tg.manual_seed(1)
    again = [draw().tolist()]
    draw(generator=tg.Generator())
    again.append(draw().tolist())
    assert again == first
    tg.manual_seed(2)
    state = tg.get_rng_state()
    one = draw().tolist()
    tg.set_rng_state(state)
    assert draw().tolist() == one


def test_generator_errors() -> None:
    with pytest.raises(ValueError, match="seed >= 0"):
        tg.manual_seed(-1)
    with pytest.raises(ValueError, match="not a state"):
        tg.Generator().set_state({"seed": 1})
    generator = tg.Generator().manual_seed(11)
    assert generator.initial_seed() == 11


@pytest.mark.parametrize(
    ("f", "kind", "words"),
    [
        (lambda: tg.tensor([[1, 2], [3]]), ValueError, "tensor.*ragged"),
        (lambda: tg.tensor("text"), TypeError, "tensor.*numbers"),
        (lambda: tg.tensor([1j]), TypeError, "complex"),
        (lambda: tg.tensor([None]), TypeError, "object"),
        (lambda: tg.from_numpy([1.0]), TypeError, "numpy.ndarray.*list"),
        (lambda: tg.from_numpy(np.array(["a"])), TypeError, "from_numpy"),
        (lambda: tg.zeros(-1), RuntimeError, "zeros.*negative"),
        (lambda: tg.randint(3, 3, (1,)), RuntimeError, "low < high"),
        (lambda: tg.arange(0, 1, 0), RuntimeError, "step.*non-zero"),
    ],
)
def test_errors(f: Callable, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        f()
