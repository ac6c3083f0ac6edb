"""The tape: backward and grad, modes, freed graphs, any order, deep graphs, memory that dies."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import tinygen as tg
from tinygen import Tensor
from tinygen import tensor as tensor_function
from tinygen.autograd import grad
from tinygen.ops.op import ElementwiseSpec, Spec
from tinygen.testing import check_grads, sample

tensor_module = sys.modules["tinygen.tensor"]


def leaf(*values: float, dtype: object = tg.float64) -> Tensor:
    return tensor_function(list(values), dtype=dtype, requires_grad=True)


# --- backward -------------------------------------------------------------------------------------


def test_a_node_that_is_used_again_is_counted_once_per_use() -> None:
    """b = a + a; c = b + b: recursion without a topological order gives 2, 6, ... and not 4."""
    a = leaf(1.0)
    b = a + a
    c = b + b
    c.backward()
    assert a.grad.tolist() == [4.0]


def test_diamonds_multiply_paths() -> None:
    """2^60 paths, 60 ops: walking paths would not come back."""
    a = leaf(1.0)
    x = a
    for _ in range(60):
        x = x + x
    x.backward()
    assert a.grad.item() == 2.0**60


def test_gradients_accumulate_over_backwards_and_zero_by_none() -> None:
    a = leaf(2.0, 3.0)
    for k in (1, 2, 3):
        (a * a).sum().backward()
        assert a.grad.tolist() == [4.0 * k, 6.0 * k]
    a.grad = None
    (a * a).sum().backward()
    assert a.grad.tolist() == [4.0, 6.0]


def test_only_leaves_get_a_gradient_unless_it_is_retained() -> None:
    a = leaf(2.0)
    h = a * 3
    kept = h * 2
    kept.retain_grad()
    (kept * kept).sum().backward()
    assert h.grad is None and kept.grad.tolist() == [24.0] and a.grad.tolist() == [144.0]


def test_a_leaf_is_its_own_gradient_path() -> None:
    a = leaf(2.0)
    a.backward()
    assert a.grad.tolist() == [1.0]
    a.backward(tensor_function([5.0], dtype=tg.float64))
    assert a.grad.tolist() == [6.0]


def test_the_cotangent_given_is_not_kept_as_the_gradient() -> None:
    a, g = leaf(1.0, 2.0), tensor_function([3.0, 4.0], dtype=tg.float64)
    a.backward(g)
    a.backward(g)
    assert a.grad.tolist() == [6.0, 8.0] and g.tolist() == [3.0, 4.0]


def test_two_leaves_never_share_a_gradient() -> None:
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (a + b).sum().backward()
    a.grad.mul_(10)
    assert b.grad.tolist() == [1.0, 1.0]
    c = leaf(1.0, 2.0)
    g = tensor_function([1.0, 1.0], dtype=tg.float64)
    (c + 0).backward(g)
    c.grad.zero_()
    assert g.tolist() == [1.0, 1.0]


def test_backward_of_several_tensors() -> None:
    a = leaf(1.0, 2.0)
    tg.autograd.backward([a.sum(), a * a], [None, tensor_function([1.0, 10.0], dtype=tg.float64)])
    assert a.grad.tolist() == [3.0, 41.0]


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_second_backward_needs_retain_graph(create_graph: bool) -> None:
    a = leaf(3.0)
    out = (a * a).sum()
    if create_graph:
        grad(out, a, create_graph=True)
    else:
        out.backward(retain_graph=True)
    out.backward()
    with pytest.raises(RuntimeError, match="second time"):
        out.backward()


def test_a_freed_part_of_a_graph_is_noticed_from_another_output() -> None:
    a = leaf(3.0)
    shared = a.exp() * a
    (shared * 1).sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        (shared * 2).sum().backward()


def test_ops_that_saved_nothing_can_be_walked_again() -> None:
    """As in PyTorch: a graph without saved tensors has nothing to free."""
    a = leaf(3.0)
    out = a + a
    out.backward()
    out.backward()
    assert a.grad.tolist() == [4.0]


# --- grad -----------------------------------------------------------------------------------------


def test_grad_is_pure() -> None:
    a, b = leaf(2.0), leaf(5.0)
    out = (a * a * b).sum()
    ga, gb = grad(out, [a, b], retain_graph=True)
    assert (ga.item(), gb.item()) == (20.0, 4.0)
    assert grad(out, a)[0].item() == 20.0
    assert a.grad is None and b.grad is None and not ga.requires_grad


def test_grad_for_an_intermediate_tensor_and_its_ancestor() -> None:
    a = leaf(2.0)
    h = a * a
    out = (h * h + a).sum()
    gh, ga = grad(out, [h, a])
    assert gh.item() == 8.0 and ga.item() == 33.0


def test_grad_of_itself_and_of_several_outputs() -> None:
    a = leaf(2.0)
    assert grad(a, a)[0].item() == 1
    first, second = (a * 3).sum(), (a * a).sum()
    assert grad([first, second], [a])[0].item() == 7.0
    u = tensor_function(10.0, dtype=tg.float64)
    assert grad([(a * 3).sum(), (a * a).sum()], a, [u, u])[0].item() == 70.0


def test_allow_unused() -> None:
    a, b = leaf(1.0), leaf(2.0)
    ga, gb = grad((a * 2).sum(), [a, b], allow_unused=True)
    assert ga.item() == 2 and gb is None


def test_grad_walks_only_the_part_that_leads_to_the_inputs() -> None:
    """A vjp on a branch that no asked-for input hangs on is not called."""
    ran: list[str] = []
    original = ElementwiseSpec.pull_back

    def noted(self: Spec, *args: object) -> Tensor:
        ran.append(self.name)
        return original(self, *args)

    a, b = leaf(1.0), leaf(2.0)
    out = (a.exp() * b.tanh()).sum()
    ElementwiseSpec.pull_back = noted
    try:
        grad(out, a)
    finally:
        ElementwiseSpec.pull_back = original
    assert "exp" in ran and "tanh" not in ran


def test_create_graph_any_order() -> None:
    """d^k sin / dx^k, to order 6."""
    x = leaf(0.3)
    y, expected = (
        x.sin().sum(),
        [np.cos, lambda v: -np.sin(v), lambda v: -np.cos(v), np.sin],
    )
    for k in range(6):
        (g,) = grad(y, x, create_graph=True)
        assert g.item() == pytest.approx(expected[k % 4](0.3), abs=1e-14)
        y = g.sum()


def test_hessian_vector_product() -> None:
    """Of f(x) = sum_i exp(x_i) + (sum x)^2 / 2: H v = exp(x) v + (sum v) 1."""
    x = tg.tensor(sample((5,), 0), requires_grad=True)
    v = tg.tensor(sample((5,), 1))
    (g,) = grad(x.exp().sum() + x.sum() ** 2 / 2, x, create_graph=True)
    (hv,) = grad((g * v).sum(), x)
    expected = np.exp(x.detach().numpy()) * v.numpy() + v.numpy().sum()
    np.testing.assert_allclose(hv.numpy(), expected, rtol=1e-12)


def test_hessian_of_a_network_is_symmetric() -> None:
    w = tg.tensor(sample((4, 3), 0), requires_grad=True)
    x = tg.tensor(sample((6, 4), 1))
    loss = (x @ w).tanh().softmax(1).square().sum()
    (g,) = grad(loss, w, create_graph=True)
    flat = g.reshape(-1)
    rows = [grad(flat[i], w, retain_graph=True)[0].reshape(-1).numpy() for i in range(12)]
    np.testing.assert_allclose(rows, np.transpose(rows), atol=1e-13)
    assert np.abs(rows).max() > 1e-3


def test_gradient_penalty_by_backward() -> None:
    """A loss that contains a gradient norm, as in WGAN-GP, fills .grad of the parameters."""

    def penalty(w: Tensor, x: Tensor) -> Tensor:
        with tg.enable_grad():  # check_grads evaluates it under no_grad
            x = x.detach().requires_grad_()
            (g,) = grad((x @ w).tanh().sum(), x, create_graph=True)
        return ((g.square().sum(1) + 1e-8).sqrt() - 1).square().mean()

    w, x = (
        tg.tensor(sample((3, 2), 0), requires_grad=True),
        tg.tensor(sample((4, 3), 1)),
    )
    penalty(w, x).backward()
    check_grads(lambda v: penalty(v, x), tg.tensor(sample((3, 2), 0)), float32=False)
    eps, v = 1e-6, sample((3, 2), 2)
    up, down = (penalty(tg.tensor(w.detach().numpy() + s * eps * v), x).item() for s in (1, -1))
    assert (w.grad.numpy() * v).sum() == pytest.approx((up - down) / (2 * eps), rel=1e-6)


def test_backward_with_create_graph_leaves_gradients_on_the_tape() -> None:
    a = leaf(2.0)
    (a**3).sum().backward(create_graph=True)
    assert a.grad.requires_grad
    (second,) = grad(a.grad.sum(), a)
    assert second.item() == 12.0
    a.grad = None  # the gradient refers to its leaf: this breaks the cycle, as PyTorch advises


# --- modes ----------------------------------------------------------------------------------------


def test_no_grad_enable_grad_set_grad_enabled() -> None:
    a = leaf(1.0)
    with tg.no_grad():
        assert not (a * 2).requires_grad and not tg.is_grad_enabled()
        with tg.enable_grad():
            assert (a * 2).requires_grad
        with tg.set_grad_enabled(True):
            assert (a * 2).requires_grad
        assert not (a * 2).requires_grad
    assert (a * 2).requires_grad
    with pytest.raises(ZeroDivisionError), tg.no_grad():
        raise ZeroDivisionError
    assert tg.is_grad_enabled()
    tg.set_grad_enabled(False)
    try:
        assert not (a * 2).requires_grad
    finally:
        tg.set_grad_enabled(True)


def test_no_grad_as_a_decorator_and_reentered() -> None:
    a, mode = leaf(1.0), tg.no_grad()

    @tg.no_grad()
    def f(depth: int) -> bool:
        return f(depth - 1) if depth else (a * 2).requires_grad

    assert f.__name__ == "f" and not f(3) and tg.is_grad_enabled()
    with mode, mode:
        pass
    assert tg.is_grad_enabled()


def test_detach_and_integer_outputs_cut_the_tape() -> None:
    a = leaf(1.0, 2.0)
    assert not a.detach().requires_grad and not (a > 1).requires_grad
    assert not a.argmax().requires_grad and not a.long().requires_grad
    (g,) = grad((a * a.detach()).sum(), a)
    assert g.tolist() == [1.0, 2.0]


def test_requires_grad_spreads() -> None:
    a, b = leaf(1.0), tensor_function([1.0], dtype=tg.float64)
    assert (a + b).requires_grad and not (b + b).requires_grad
    assert (a + b).grad_fn is not None and not (a + b).is_leaf and (b + b).is_leaf


def test_a_gradient_flows_to_the_inputs_that_ask_only() -> None:
    a, b = leaf(2.0), tensor_function([3.0], dtype=tg.float64)
    (a * b).sum().backward()
    assert a.grad.item() == 3 and b.grad is None


# --- saved tensors that were changed --------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "op_name"),
    [
        (lambda h: h * h, "mul"), (lambda h: h.exp(), None), (lambda h: h.square(), "square"),
        (lambda h: h.log(), "log"), (lambda h: h.amax(), "amax"),
        (lambda h: h.softplus() if hasattr(h, "softplus") else h.log1p(), None),
        (lambda h: h + 1, None), (lambda h: h.sum(), None), (lambda h: h.sigmoid(), None),
    ],
)  # fmt: skip
def test_changing_an_input_after_the_fact(f: Callable[[Tensor], Tensor], op_name: str) -> None:
    """An error where the vjp needs the input; and no error, but the right result, where not."""
    a = leaf(1.0, 2.0)
    h = a * 1
    out = f(h).sum()
    expected = grad(f(a).sum(), a)[0].tolist()
    h.mul_(3.0)
    if op_name is None:
        try:
            (g,) = grad(out, a)
        except RuntimeError as error:
            assert "modified by an inplace" in str(error)
        else:
            assert g.tolist() == expected
    else:
        with pytest.raises(RuntimeError, match=f"{op_name}: .*inplace.*1 changes since"):
            out.backward()


def test_changing_an_output_that_the_vjp_needs() -> None:
    a = leaf(1.0, 2.0)
    out = a.exp()
    out.mul_(2.0)
    with pytest.raises(RuntimeError, match="exp: .*'out'"):
        out.sum().backward()
    out = a.exp()
    out += 1
    with pytest.raises(RuntimeError, match="exp: .*'out'"):
        out.sum().backward()


def test_setitem_counts_as_a_change() -> None:
    a = leaf(1.0, 2.0)
    h = a * 1
    out = h * h
    h[0] = 5.0
    with pytest.raises(RuntimeError, match="mul: .*inplace"):
        out.sum().backward()


# --- anomaly mode ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_anomaly_mode_names_the_op_and_the_line() -> None:
    a = leaf(-1.0, 1.0)
    with tg.autograd.detect_anomaly(), pytest.raises(RuntimeError) as caught:
        a.log()
    text = str(caught.value)
    assert "log returned NaN" in text and "(2,)" in text and "test_autograd.py" in text
    assert np.isnan(a.log().detach().numpy()).any()  # off: no check


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_anomaly_mode_finds_a_nan_that_is_born_in_backward() -> None:
    a = leaf(0.0, 1.0)
    with tg.autograd.detect_anomaly():
        out = (a.sqrt() * tg.tensor([0.0, 1.0], dtype=tg.float64)).sum()
        with pytest.raises(RuntimeError, match="gradient of sqrt.*input 0.*test_autograd.py"):
            out.backward()


# --- deep graphs, work and memory -----------------------------------------------------------------


def test_a_chain_of_100_000_ops() -> None:
    a = leaf(1.0)
    x = a
    for _ in range(50_000):
        x = x * 1.00001 + 0.0
    x.backward()
    assert a.grad.item() == pytest.approx(1.00001**50_000, rel=1e-9)
    del x  # dropping a deep graph must not recurse either


def test_dropping_a_deep_graph_without_backward() -> None:
    x = leaf(1.0)
    for _ in range(100_000):
        x = x + 1.0
    seen = weakref.ref(x)
    del x
    assert seen() is None


@pytest.fixture
def calls() -> Iterator[list[int]]:
    """Counts function calls, Python's and NumPy's: work without a clock."""
    count = [0]

    def profile(frame: object, event: str, arg: object) -> None:
        count[0] += event in ("call", "c_call")

    sys.setprofile(profile)
    yield count
    sys.setprofile(None)


def work(calls: list[int], length: int) -> int:
    a = leaf(1.0)
    x = a
    for i in range(length):
        x = x * 1.001 + a if i % 2 else x.tanh()
    before = calls[0]
    x.backward()
    return calls[0] - before


def test_the_work_of_backward_is_linear_in_the_length(calls: list[int]) -> None:
    work(calls, 10)
    short, middle, long = (work(calls, n) for n in (500, 1000, 2000))
    per_op = (middle - short) / 500
    assert per_op == pytest.approx((long - middle) / 1000, rel=0.01)


def two_layer_loss(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    return ((x @ w).tanh() @ v).logsumexp(1).square().mean()


GRAPHS: dict[str, Callable[[], Tensor]] = {
    "network": lambda: two_layer_loss(
        tg.ones(3, 4, requires_grad=True),
        tg.ones(4, 2, requires_grad=True),
        tg.ones(5, 3),
    ),
    "every kind of saved output": lambda: (
        leaf(1.0, 2.0).exp().tanh().sigmoid().sqrt().rsqrt().softmax(0).logsumexp(0)
    ),
    "in place": lambda: (leaf(1.0, 2.0) * 2).mul_(leaf(3.0, 4.0)).exp_().add_(1).sum(),
    "assigned": lambda: _assigned(),
    "views": lambda: (leaf(1.0, 2.0, 3.0, 4.0) * 1).reshape(2, 2).T[0].expand(3, 2).sum(),
    "index": lambda: (leaf(1.0, 2.0) * 1)[[0, 0, 1]].sum(),
    "cat and einsum": lambda: tg.einsum("i,i->", tg.cat([leaf(1.0), leaf(2.0)]), leaf(1.0, 2.0)),
    "extrema": lambda: (leaf(1.0, 2.0) * 1).max(0).values + (leaf(1.0, 2.0) * 1).amax(),
}


def _assigned() -> Tensor:
    h = leaf(1.0, 2.0) * leaf(2.0, 2.0)
    h[0] = leaf(3.0)[0]
    return h.sum()


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("stage", ["forward", "backward", "create_graph"])
def test_no_reference_cycles(name: str, stage: str) -> None:
    """With the collector off, the loss and its whole graph die with the last name for it."""
    gc.collect()
    gc.disable()
    try:
        loss = GRAPHS[name]()
        node, seen = loss.grad_fn, []
        stack = [node]
        while stack:
            stack += [p for p in stack.pop().parents if p is not None and hasattr(p, "parents")]
            seen += [weakref.ref(p._array) for p in ()]
        if stage == "backward":
            loss.backward()
        elif stage == "create_graph":
            leaves = _leaves(loss)
            grads = grad(loss, leaves, create_graph=True, allow_unused=True)
            del grads, leaves
        gone, array = weakref.ref(loss), weakref.ref(loss._array)
        del loss, node, stack
        assert gone() is None and array() is None
        assert gc.collect() == 0, f"{name}: something was left to the garbage collector"
    finally:
        gc.enable()


def _leaves(loss: Tensor) -> list[Tensor]:
    found, stack = [], [loss.grad_fn]
    while stack:
        for parent in stack.pop().parents:
            if isinstance(parent, Tensor):
                found.append(parent)
            elif parent is not None:
                stack.append(parent)
    return found


@pytest.mark.parametrize("penalty", [False, True])
def test_memory_of_a_training_loop_is_flat_without_the_collector(penalty: bool) -> None:
    w = tg.tensor(sample((30, 40), 0), requires_grad=True)
    v = tg.tensor(sample((40, 10), 1), requires_grad=True)
    x = tg.tensor(sample((50, 30), 2))

    def step() -> None:
        loss = two_layer_loss(w, v, x)
        if penalty:
            (g,) = grad(loss, w, create_graph=True)
            loss = loss + g.square().sum()
        loss.backward()
        with tg.no_grad():
            for p in (w, v):
                p -= 1e-4 * p.grad
                p.grad = None

    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(3):
            step()
        start, _ = tracemalloc.get_traced_memory()
        for _ in range(100):
            step()
        end, _ = tracemalloc.get_traced_memory()
        assert gc.collect() == 0, "cycles were left to the collector"
    finally:
        tracemalloc.stop()
        gc.enable()
    # one activation kept a step would be 1.6 MB; CPython's free lists of small tuples may fill up
    assert end - start < 300_000, f"{end - start} bytes more after 100 steps"


def test_saved_arrays_are_freed_as_backward_goes() -> None:
    """After backward the graph holds no arrays, even while the loss is still named."""
    h = tg.tensor(sample((50, 50), 0), requires_grad=True) * 1
    inner = weakref.ref(h._array)
    loss = h.exp().square().sum()
    del h
    loss.backward()
    assert inner() is None and loss.grad_fn is not None


def test_what_a_vjp_does_not_need_is_not_kept() -> None:
    """sum keeps a shape and no array; exp keeps its output, and not its input."""
    a = leaf(1.0, 2.0)
    h = a + 1
    gone = weakref.ref(h._array)
    out = h.sum()
    del h
    assert gone() is None and out.item() == 5.0
    h = a + 1
    gone = weakref.ref(h._array)
    out = h.exp()
    del h
    assert gone() is None and out.requires_grad


def test_a_graph_that_saved_no_tensor_can_be_used_again() -> None:
    """As in PyTorch: only what was saved is freed, and a sum saves nothing but a shape."""
    a = leaf(1.0, 2.0)
    out = (a.reshape(2, 1) + 1.0).sum()
    out.backward()
    out.backward()
    assert a.grad.tolist() == [2.0, 2.0]


def test_a_graph_gives_up_the_arrays_it_kept_as_constants() -> None:
    a = leaf(1.0, 2.0, 3.0)
    index = tensor_function([2, 0])
    out = a[index].sum()
    out.backward()
    with pytest.raises(RuntimeError, match="second time"):
        out.backward()


@pytest.mark.parametrize("uses", [2, 3, 5])
def test_sums_of_gradients_do_not_write_into_gradients_that_are_shared(uses: int) -> None:
    """`add` hands the same cotangent to both of its inputs; a sum may not add into it."""

    def both(a: Tensor, b: Tensor) -> Tensor:
        h = a * b
        for _ in range(uses):
            h = h + a + b
        return h + h * a

    a, b = leaf(0.5, -1.5), leaf(2.0, 0.25)
    cotangent = tensor_function([0.7, -0.3], dtype=tg.float64)
    plain = grad(both(a, b), [a, b], cotangent)
    recorded = grad(both(a, b), [a, b], cotangent, create_graph=True)
    both(a, b).backward(cotangent)
    for i, x in enumerate((a, b)):
        np.testing.assert_allclose(plain[i].numpy(), recorded[i].detach().numpy(), rtol=1e-14)
        np.testing.assert_allclose(x.grad.numpy(), plain[i].numpy(), rtol=1e-14)
    assert cotangent.tolist() == [0.7, -0.3]
    check_grads(both, a.detach(), b.detach())
