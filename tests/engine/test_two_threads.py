"""Two threads side by side get what one gets, bit for bit: each has a grad mode of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import nn, optim, tape, threads
from tinygen.autograd import grad
from tinygen.testing import sample

ROUNDS = 40


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    """Let Python change threads a thousand times as often."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def side_by_side(*bodies: Callable[[], Any]) -> list[Any]:
    """What they return, each on a thread of its own."""
    results: list[Any] = [None] * len(bodies)
    together = threading.Barrier(len(bodies))

    def run(i: int) -> None:
        together.wait()
        try:
            results[i] = bodies[i]()
        except BaseException as error:
            results[i] = error

    workers = [threading.Thread(target=run, args=(i,)) for i in range(len(bodies))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def tensor(*shape: int, seed: int) -> tg.Tensor:
    return tg.tensor(sample(shape, seed).astype(np.float32))


def training(seed: int) -> Callable[[], list[Any]]:
    """Steps of a small network, with no_grad between forward and backward."""
    tg.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.SiLU(), nn.Flatten(), nn.Linear(64, 3)
    )
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    x, y = tensor(5, 1, 6, 6, seed=seed), tg.tensor(np.arange(5) % 3)

    def run() -> list[Any]:
        for _ in range(ROUNDS):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            with tg.no_grad():
                assert not model(x).requires_grad
            loss.backward()
            optimizer.step()
        return [p.tolist() for p in model.parameters()]

    return run


def evaluation(seed: int) -> Callable[[], list[Any]]:
    """In no_grad mode all the time: nested, as a decorator that threads share, and switched."""
    w = tensor(4, 4, seed=seed).requires_grad_()

    def run() -> list[Any]:
        seen = []
        for _ in range(4 * ROUNDS):
            with tg.no_grad():
                y = w @ w
                with tg.enable_grad():
                    seen.append((y * w).requires_grad)
                seen.append((y * w).requires_grad)
            seen.append(shared_decorator(w).requires_grad)
            with tg.set_grad_enabled(False):
                seen.append((w * 2).requires_grad)
            seen.append((w * 2).requires_grad)
        assert seen == [True, False, False, False, True] * (4 * ROUNDS)
        return seen

    return run


@tg.no_grad()
def shared_decorator(w: tg.Tensor) -> tg.Tensor:
    return w * 2


def changes(seed: int) -> Callable[[], list[Any]]:
    """Views and changes in place, recorded and not, and gradients of gradients."""
    w = tensor(4, 6, seed=seed).requires_grad_()

    def run() -> list[Any]:
        found = []
        for _ in range(ROUNDS):
            h = w * 1
            rows = h[1:]
            rows[..., -1] += w[1:, 0]
            h[0] = w[0].sin()
            with tg.no_grad():
                buffer = h.detach().clone()
                buffer[0].zero_()
            (g,) = grad((rows * buffer[1:] * rows).sum() + h.prod(1).sum(), w, create_graph=True)
            g.square().sum().backward()
            found.append(w.grad.tolist())
            w.grad = None
        return found

    return run


KINDS = {"training": training, "evaluation": evaluation, "changes": changes}


@pytest.mark.parametrize("second", KINDS)
@pytest.mark.parametrize("first", KINDS)
def test_two_threads_get_what_one_gets(first: str, second: str) -> None:
    alone = [KINDS[first](1)(), KINDS[second](2)()]
    assert side_by_side(KINDS[first](1), KINDS[second](2)) == alone
    assert tg.is_grad_enabled() and not tape.process.anomaly


def test_overlapping_no_grad_blocks() -> None:
    """In turn: A enters, B enters, A leaves, B leaves. Recording is on in the end, for all."""
    inside, left = threading.Barrier(2), threading.Barrier(2)

    def a() -> bool:
        with tg.no_grad():
            inside.wait()
        left.wait()
        return tg.is_grad_enabled()

    def b() -> bool:
        with tg.no_grad():
            inside.wait()
            left.wait()
            still = tg.is_grad_enabled()
        return tg.is_grad_enabled() and not still

    assert side_by_side(a, b) == [True, True] and tg.is_grad_enabled()


def test_a_decorated_function_that_two_threads_are_in() -> None:
    """In turn: A, in no_grad mode, enters, B enters, A leaves, B leaves."""
    turns = [threading.Event() for _ in range(3)]

    @tg.no_grad()
    def stay(mine: int) -> None:
        turns[mine].set()
        assert turns[mine + 1].wait(10)

    def a() -> bool:
        with tg.no_grad():
            stay(0)
            turns[2].set()
            return tg.is_grad_enabled()

    def b() -> bool:
        assert turns[0].wait(10)
        stay(1)
        return tg.is_grad_enabled()

    assert side_by_side(a, b) == [False, True]


def test_a_new_thread_records_and_a_thread_of_the_pool_does_not() -> None:
    with tg.no_grad():
        assert side_by_side(tg.is_grad_enabled) == [True]
        assert not tg.is_grad_enabled()
    modes = []

    def work(mode: Any = tg.is_grad_enabled) -> None:
        modes.append((threading.current_thread().name, mode()))

    for _ in range(1000):
        threads.side_by_side([work] * 8)
        if len({name for name, _ in modes}) == 2:
            break
    assert dict(modes) == {threading.current_thread().name: True, threads.POOL: False}


def test_anomaly_mode_and_the_default_dtype_are_the_process_s() -> None:
    def seen() -> tuple[bool, Any]:
        return tape.process.anomaly, tg.get_default_dtype()

    with tg.autograd.detect_anomaly():
        tg.set_default_dtype(tg.float64)
        assert side_by_side(seen) == [(True, tg.float64)]


def test_a_backward_pass_does_not_switch_the_hunt_off_for_others() -> None:
    """A NaN is found while the other thread is in the midst of backward()."""
    within, found = threading.Event(), threading.Event()

    def slow(g: tg.Tensor) -> tg.Tensor:
        within.set()
        assert found.wait(10)
        return g

    def first() -> None:
        x = tg.ones(2, requires_grad=True)
        out = x * 1
        out._node.op = _Slow(out._node.op, slow)
        out.sum().backward()

    def second() -> None:
        assert within.wait(10)
        try:
            with np.errstate(all="ignore"), pytest.raises(RuntimeError, match="log returned NaN"):
                (-tg.ones(2)).log()
        finally:
            found.set()

    with tg.autograd.detect_anomaly():
        side_by_side(first, second)


class _Slow:
    """An op whose backward waits."""

    def __init__(self, op: Any, wait: Any) -> None:
        self.name, self.shares, self.add_to = op.name, op.shares, op.add_to
        self._op, self._wait = op, wait

    def pull_back(self, i: int, g: Any, saved: Any, parent: Any) -> Any:
        return self._op.pull_back(i, self._wait(g), saved, parent)
