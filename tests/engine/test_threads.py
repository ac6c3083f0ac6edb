"""Work cut into parts gives what the whole gives: every test here forces two or three parts."""

from __future__ import annotations

import threading
import time
import weakref
from contextlib import nullcontext
from functools import wraps

import numpy as np
import pytest

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import threads
from tinygen.testing import check_grads


@pytest.fixture(autouse=True, params=[2, 3])
def parts(request, monkeypatch):
    """So many threads, and work for them at any size."""
    monkeypatch.setattr(threads, "count", lambda: request.param)
    threads._pool.cache_clear()
    cut = threads.in_parts
    seen = []

    @wraps(cut)
    def forced(body, *arrays, grain=0):
        seen.append(min(request.param, len(arrays[0])) if arrays[0].ndim else 1)
        return cut(body, *arrays, grain=1)

    for module in ("threads", "conv.cpu", "ops.activations", "ops.kinks", "ops.shapes",
                   "nn.functional.channel_norm"):  # fmt: skip
        target = __import__(f"tinygen.{module}", fromlist=["in_parts"])
        monkeypatch.setattr(target, "in_parts", forced)
    monkeypatch.setattr(threads, "GRAIN", 1)
    monkeypatch.setattr("tinygen.ops.kinks.GRAIN", 1)
    yield seen
    threads._pool.cache_clear()
    assert max(seen) == request.param, "nothing was cut"


def draw(*shape):
    return tg.tensor(np.random.default_rng(sum(shape)).standard_normal(shape))


CASES = {
    # a bias, a kernel side and a batch of one length: what is not cut must not be taken for it
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, padding=1), [(3, 3, 4, 4), (3, 3, 3, 3), (3,)]),
    "conv_transpose2d": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1), [(4, 4, 3, 3), (4, 4, 4, 4), (4,)]
    ),
    "group_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), [(4, 4, 2, 2), (4,), (4,)]),
    "batch_norm": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True), [(4, 4, 2, 2), (4,), (4,)]
    ),
    "silu": (F.silu, [(4, 4)]),
    "leaky_relu": (F.leaky_relu, [(4, 3)]),
    "relu": (F.relu, [(4, 3)]),
    "add": (lambda x, y: x + y, [(3, 3), (3,)]),
    "mul": (lambda x, y: x * y, [(3, 3), (3, 1)]),
    "div": (lambda x, y: x / (2 + y * y), [(1, 3), (3, 3)]),
    "scalar": (lambda x: 2.0 - x * 3, [(3, 3)]),
    "cat": (lambda x, y: tg.cat([x, y], 1), [(3, 3), (3, 2)]),
    "linear": (F.linear, [(3, 3), (3, 3), (3,)]),
    "bmm": (tg.bmm, [(3, 2, 3), (3, 3, 2)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_work_in_parts(name):
    f, shapes = CASES[name]
    check_grads(f, *(draw(*shape) for shape in shapes), order=2)


def test_updates_on_two_threads_are_those_on_one(parts, monkeypatch):
    def train(least):
        monkeypatch.setattr("tinygen.optim.optimizer.GRAIN", least)
        net = tg.nn.Sequential(tg.nn.Linear(3, 8), tg.nn.Tanh(), tg.nn.Linear(8, 2))
        for p in net.parameters():
            p._array[...] = draw(*p.shape)._array
        optimizer = tg.optim.Adam(net.parameters(), 0.1)
        for _ in range(3):
            optimizer.zero_grad()
            net(draw(5, 3).float()).square().sum().backward()
            optimizer.step()
        assert list(optimizer.state_dict()["state"]) == [0, 1, 2, 3]
        return [p.detach().numpy() for p in net.parameters()]

    calls = []
    side_by_side = threads.side_by_side
    monkeypatch.setattr("tinygen.optim.optimizer.side_by_side",
                        lambda bodies: (calls.append(1), side_by_side(bodies)))  # fmt: skip
    for one, two in zip(train(1 << 30), train(1), strict=True):
        np.testing.assert_array_equal(one, two)
    assert len(calls) == 3
    parts.append(threads.count())


def test_side_by_side_keeps_the_order_and_cuts_nothing(parts):
    def body(k):
        time.sleep(0.01 * (3 - k))
        threads.in_parts(lambda x: seen.append(len(x)), np.ones(6), grain=1)
        return k

    seen: list[int] = []
    assert threads.side_by_side([lambda k=k: body(k) for k in range(4)]) == [0, 1, 2, 3]
    assert seen == [6] * 4
    threads.in_parts(lambda x: seen.append(len(x)), np.ones(6), grain=1)
    assert sum(seen[4:]) == 6 and len(seen) == 4 + threads.count()


def test_side_by_side_passes_an_error_on(parts):
    def fail():
        raise ZeroDivisionError("in one of them")

    with pytest.raises(ZeroDivisionError, match="in one of them"):
        threads.side_by_side([fail, fail])
    parts.append(threads.count())


def test_an_error_in_another_thread_arrives(parts):
    def body(x):
        if x[-1] == 7:
            raise ZeroDivisionError("in the last part")

    with pytest.raises(ZeroDivisionError, match="in the last part"):
        threads.in_parts(body, np.arange(8), grain=1)
    parts.append(threads.count())


def test_blas_has_its_threads_back(parts):
    blas = threads.openblas()
    if blas is None:
        pytest.skip("NumPy does not use OpenBLAS here")
    before = blas[0]()
    threads.in_parts(lambda x: None, np.ones(4), grain=1)
    assert blas[0]() == before
    parts.append(threads.count())


@pytest.mark.parametrize("dims", [(0, 2, 3), (2, 3)])
@pytest.mark.parametrize("keep", [True, False])
def test_total_of_a_channels_last_image_is_sum(dims, keep, parts):
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 2)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(threads.total(x, dims, keep), x.sum(dims, keepdims=keep))
    parts.append(threads.count())


def test_sums_of_parts_are_added_in_their_order() -> None:
    """Whichever thread comes first: otherwise a run would not be the same run twice."""
    rows = np.array([[1e8], [-1e8], [1.0]], dtype=np.float32).repeat(4, 0)
    main, sums = threading.main_thread(), {}

    def late_first(part: np.ndarray) -> np.ndarray:
        time.sleep(0.05 if threading.current_thread() is main else 0.0)
        sums[part.ctypes.data] = part.sum(0)
        return part.sum(0)

    out = threads.sum_of_parts(late_first, rows, grain=1)
    in_order = [sums[address] for address in sorted(sums)]
    assert len(sums) == threads.count() and not np.array_equal(in_order[0], in_order[1])
    assert np.array_equal(out, np.sum(in_order, 0))


def test_the_parts_make_up_the_whole_and_the_first_has_a_head_start(parts) -> None:
    for n in (*range(1, 40), 1000):
        rows = np.arange(5 * n).reshape(n, 5)
        sizes = [len(x) for x in threads.in_parts(lambda x: x, rows, grain=1)]
        assert sum(sizes) == n and min(sizes) > 0 and len(sizes) <= threads.count()
        assert sizes[0] >= max(sizes) - (threads.count() > 2)
    assert len(sizes) == threads.count()
    assert np.array_equal(np.concatenate(threads.in_parts(lambda x: x, rows, grain=1)), rows)
    grain = 500  # of 5,000 numbers: two grains are 200 rows
    cut = threads.in_parts.__wrapped__
    first, *others = [len(x) for x in cut(lambda x: x, rows, grain=grain)]
    assert all(first - n in (199, 200, 201) for n in others)


@pytest.mark.parametrize("late", ["never begins", "has begun"])
def test_no_part_outlives_an_error(parts, monkeypatch, late) -> None:
    x, begun, tasks = np.zeros(8), threading.Event(), []

    def body(part):
        if part[0] == 0 and part.ctypes.data == x.ctypes.data:
            assert late == "never begins" or begun.wait(5)
            raise ZeroDivisionError
        begun.set()
        time.sleep(0.05)
        part[...] = 7

    with monkeypatch.context() as handed:
        if late == "never begins":
            handed.setattr(threads, "_hand_out", tasks.extend)
        with pytest.raises(ZeroDivisionError):
            threads.in_parts(body, x, grain=1)
    written = x.copy()
    for task in tasks:  # a thread that comes to them after all
        task.run()
    time.sleep(0.1)
    assert np.array_equal(x, written) and (7 in x) == (late == "has begun")


def test_a_task_lets_go_of_its_arrays(parts, monkeypatch) -> None:
    tasks, calls = [], []

    def fail(part):
        calls.append(len(part))
        if len(calls) == threads.count():
            raise ZeroDivisionError("in the last part")

    for body, grows in ((len, False), (fail, True)):
        x = np.zeros(8)
        kept = weakref.ref(x)
        with monkeypatch.context() as handed:
            handed.setattr(threads, "_hand_out", tasks.extend)
            with pytest.raises(ZeroDivisionError) if grows else nullcontext():
                threads.in_parts(body, x, grain=1)
        del x
        assert kept() is None and tasks
    parts.append(threads.count())


def test_one_pool_however_many_begin_at_once(parts) -> None:
    threads._pool.cache_clear()
    before = threading.active_count()
    callers = [
        threading.Thread(target=threads.in_parts, args=(len, np.ones(50)), kwargs={"grain": 1})
        for _ in range(8)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert threading.active_count() == before + threads.count() - 1


def test_a_thread_that_does_not_come_is_not_waited_for(parts, monkeypatch) -> None:
    with monkeypatch.context() as nobody:
        nobody.setattr(threads, "_hand_out", lambda tasks: None)
        assert sum(threads.in_parts(len, np.ones(100), grain=1)) == 100
