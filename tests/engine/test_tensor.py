"""What a Tensor is: attributes, conversions, in-place changes and views, promotion of dtypes."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import Tensor
from tinygen.testing import broadcastable_shapes, check_grads, lay_out, sample, tensors


def test_attributes() -> None:
    x = tg.zeros(2, 3, dtype=tg.float64)
    assert x.shape == x.size() == (2, 3) and x.size(-1) == 3
    assert x.ndim == x.dim() == 2 and x.numel() == 6 and len(x) == 2
    assert x.dtype == tg.float64 and x.itemsize == x.element_size() == 8 and x.nbytes == 48
    assert x.device == "cpu" and not x.is_cuda and x.is_floating_point()
    assert x.stride() == (3, 1) and x.T.stride(0) == 1
    assert x.is_contiguous() and not x.T.is_contiguous()
    assert x.is_leaf and x.grad is None and x.grad_fn is None and not x.requires_grad


def test_device_names() -> None:
    assert tg.device("cpu") == "cpu" and str(tg.device("cuda:0")) == "cuda"
    assert tg.device("cuda").index == 0 and hash(tg.device("cpu")) == hash(tg.device("cpu"))
    with pytest.raises(RuntimeError, match="expected 'cpu' or 'cuda'.*'tpu'"):
        tg.device("tpu")
    assert tg.zeros(1).to("cpu").device == tg.device("cpu")


def test_tensor_class_makes_floats() -> None:
    assert Tensor([1, 2]).dtype == tg.float32
    assert Tensor([1.0], requires_grad=True).requires_grad


def test_as_plain_python() -> None:
    x = tg.tensor([[1.5, 2.0]])
    assert x.tolist() == [[1.5, 2.0]] and x[0, 0].item() == 1.5 == float(x[0, 0])
    assert int(tg.tensor(3)) == 3 and [10, 20, 30][tg.tensor(1)] == 20
    assert bool(tg.tensor([1.0])) and not bool(tg.tensor(0))
    assert [row.tolist() for row in x.T] == [[1.5], [2.0]]
    assert f"{tg.tensor(1.23456):.2f}" == "1.23"
    assert "tensor(" in repr(x) and "requires_grad=True" in repr(tg.ones(1, requires_grad=True))
    assert "grad_fn" in repr(tg.ones(1, requires_grad=True) * 2)


def test_numpy_and_back() -> None:
    x = tg.tensor([1.0, 2.0])
    assert x.numpy() is x._array and np.asarray(x) is x._array
    assert np.array(x, dtype=np.float64).dtype == np.float64
    assert np.add(x.numpy(), 1).tolist() == [2, 3]
    out = np.ones(2) * x  # not an array of Tensors
    assert isinstance(out, Tensor) and out.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("method", "dtype"),
    [("float", tg.float32), ("double", tg.float64), ("half", tg.float16), ("long", tg.int64),
     ("int", tg.int32), ("bool", tg.bool)],
)  # fmt: skip
def test_casts(method: str, dtype: np.dtype) -> None:
    x = tg.tensor([0.0, 1.0, 2.0])
    out = getattr(x, method)()
    assert out.dtype == dtype and x.to(dtype).dtype == dtype
    assert (out is x) == (dtype == tg.float32)


def test_gradients_flow_through_casts() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (x.double() ** 2).sum().backward()
    assert x.grad.dtype == tg.float32 and x.grad.tolist() == [2, 4]


def test_deepcopy_and_pickle() -> None:
    x = tg.tensor([1.0], requires_grad=True)
    (x * 2).sum().backward()
    y = copy.deepcopy(x)
    assert y.requires_grad and y.grad.tolist() == [2] and y._array is not x._array
    with pytest.raises(RuntimeError, match="leaf tensors"):
        copy.deepcopy(x * 2)
    with pytest.raises(TypeError, match=r"tinygen\.save"):
        pickle.dumps(x)


def test_comparison_is_elementwise_and_tensors_hash_by_identity() -> None:
    x, y = tg.tensor([1.0, 2.0]), tg.tensor([1.0, 3.0])
    assert (x == y).tolist() == [True, False] and (x != y).tolist() == [False, True]
    assert len({x, y, x}) == 2


# --- promotion ------------------------------------------------------------------------------------

KINDS = {"bool": tg.bool, "uint8": tg.uint8, "int64": tg.int64, "float32": tg.float32,
         "float64": tg.float64}  # fmt: skip


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("bool", "uint8", "uint8"), ("uint8", "int64", "int64"), ("int64", "float32", "float32"),
        ("uint8", "float64", "float64"), ("float32", "float64", "float64"),
        ("bool", "float32", "float32"),
    ],
)  # fmt: skip
def test_promotion(left: str, right: str, expected: str) -> None:
    x, y = tg.ones(2, dtype=KINDS[left]), tg.ones(2, dtype=KINDS[right])
    assert (x + y).dtype == (y + x).dtype == KINDS[expected]
    assert (x + tg.ones((), dtype=KINDS[right])).dtype == (
        KINDS[expected] if {left, right} - {"float32", "float64", "uint8", "int64"}
        or KINDS[left].kind != KINDS[right].kind and {left, right} != {"uint8", "int64"}
        else KINDS[left]
    )  # fmt: skip


def test_numbers_are_weak() -> None:
    assert (tg.ones(2, dtype=tg.uint8) + 1).dtype == tg.uint8
    assert (tg.ones(2, dtype=tg.int64) + 1.5).dtype == tg.float32
    assert (tg.ones(2, dtype=tg.bool) + 1).dtype == tg.int64
    assert (tg.ones(2, dtype=tg.float64) * 1.5).dtype == tg.float64
    assert (tg.tensor(3) / 2).dtype == tg.float32 and (tg.tensor(3) / 2).item() == 1.5
    assert tg.exp(tg.tensor(0)).dtype == tg.float32
    assert (tg.tensor([1, 2]) ** 2).tolist() == [1, 4] and (
        tg.tensor([1, 2]) ** 2
    ).dtype == tg.int64


# --- in place -------------------------------------------------------------------------------------

IN_PLACE = {
    "add_": (lambda x, y: x.add_(y), lambda x, y: x + y),
    "sub_": (lambda x, y: x.sub_(y), lambda x, y: x - y),
    "mul_": (lambda x, y: x.mul_(y), lambda x, y: x * y),
    "div_": (lambda x, y: x.div_(y + 3), lambda x, y: x / (y + 3)),
    "exp_": (lambda x, y: x.exp_(), lambda x, y: x.exp()),
    "tanh_": (lambda x, y: x.tanh_(), lambda x, y: x.tanh()),
    "sigmoid_": (lambda x, y: x.sigmoid_(), lambda x, y: x.sigmoid()),
    "relu_": (lambda x, y: x.relu_(), lambda x, y: x.relu()),
    "neg_": (lambda x, y: x.neg_(), lambda x, y: -x),
    "clamp_": (lambda x, y: x.clamp_(-0.5, 0.5), lambda x, y: x.clamp(-0.5, 0.5)),
    "zero_": (lambda x, y: x.zero_(), lambda x, y: x * 0),
    "fill_": (lambda x, y: x.fill_(2.0), lambda x, y: x * 0 + 2),
    "masked_fill_": (
        lambda x, y: x.masked_fill_(y > 0, 2.0), lambda x, y: x.masked_fill(y > 0, 2.0)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_ops_change_memory_and_have_the_right_gradient(name: str) -> None:
    change, same = IN_PLACE[name]
    x, y = tg.tensor(sample((3, 4), 1)), tg.tensor(sample((4,), 2))
    expected, memory = same(x, y), x._array
    assert change(x, y) is x and x._array is memory
    np.testing.assert_array_equal(x.numpy(), expected.numpy())

    def f(x: Tensor, y: Tensor) -> Tensor:
        h = x * 1.5
        change(h, y)
        return h * h

    check_grads(f, tg.tensor(sample((3, 4), 1)), tg.tensor(sample((4,), 2)))


def test_augmented_assignment_is_in_place() -> None:
    x = tg.tensor([1.0, 2.0])
    alias, version = x, x._version[0]
    x += 1
    x *= 2
    x -= tg.tensor([1.0, 1.0])
    x /= 3
    assert alias is x and x.tolist() == [1.0, pytest.approx(5 / 3)]
    assert x._version[0] == version + 4


def test_in_place_keeps_dtype_and_shape() -> None:
    x = tg.tensor([1.0, 2.0])
    x += tg.tensor([1.0, 1.0], dtype=tg.float64)
    assert x.dtype == tg.float32
    with pytest.raises(RuntimeError, match=r"\(3, 2\).*\(2,\)"):
        x += tg.zeros(3, 2)
    k = tg.tensor([1, 2])
    with pytest.raises(RuntimeError, match="float32 can't be cast to.*int64"):
        k += 0.5


def test_in_place_on_a_leaf_that_requires_grad() -> None:
    x = tg.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad.*in-place"):
        x += 1
    with pytest.raises(RuntimeError, match="leaf Variable that requires grad.*in-place"):
        x[0] = 1.0
    with tg.no_grad():
        x += 1
    assert x.tolist() == [2, 2] and x.requires_grad and x.is_leaf


def test_in_place_twice_and_a_chain() -> None:
    def f(x: Tensor, y: Tensor) -> Tensor:
        h = x.clone()
        h += y
        h *= y
        h.tanh_()
        h *= x
        return h

    check_grads(f, tg.tensor(sample((3,), 1)), tg.tensor(sample((3,), 2)))


# --- views ----------------------------------------------------------------------------------------

VIEWS = {
    "getitem": lambda x: x[1:],
    "reshape": lambda x: x.reshape(-1),
    "view": lambda x: x.view(4, 3),
    "transpose": lambda x: x.T,
    "unsqueeze": lambda x: x.unsqueeze(0),
    "detach": lambda x: x.detach(),
    "split": lambda x: x.split(1)[2],
    "expand": lambda x: x[:1].expand(5, 4),
    "view of a view": lambda x: x.T[1:].reshape(3, 3).T,
}


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory_and_count_versions_together(name: str) -> None:
    x = tg.zeros(3, 4)
    view = VIEWS[name](x)
    if name == "view of a view":
        return
    assert np.shares_memory(view._array, x._array)
    before = view._version[0]
    x.add_(1.0)
    assert view.numpy().min() == 1 and view._version[0] == before + 1


def test_a_change_through_a_view_is_noticed() -> None:
    x = tg.ones(3, requires_grad=True)
    h = x * 1
    out = h * h
    with tg.no_grad():
        h.detach()[0] = 5.0
    with pytest.raises(RuntimeError, match="mul.*modified by an inplace"):
        out.sum().backward()


def test_a_copy_is_not_a_view() -> None:
    x = tg.zeros(3, 4)
    for out in (x.T.reshape(-1), x[[0, 1]], x.clone(), x + 0, x.T.contiguous()):
        assert not np.shares_memory(out._array, x._array)
        before = out._version[0]
        x.add_(1.0)
        assert out._version[0] == before


@given(data=st.data())
def test_operands_in_any_memory_are_left_alone(data: st.DataObject) -> None:
    """No op writes into its inputs, whatever memory they lie in."""
    x, y = (data.draw(tensors(s)) for s in data.draw(broadcastable_shapes()))
    before = x.tolist(), y.tolist()
    (x * y + x.tanh() - y.sigmoid().sum() * x.silu() + y.softmax(-1).sum() if y.ndim else x * y)
    assert (x.tolist(), y.tolist()) == before


def test_read_only_memory_is_fine_to_read() -> None:
    x = tg.from_numpy(np.broadcast_to(np.float32(2.0), (3, 4)))
    assert (x * x).sum().item() == 48 and x.softmax(1).shape == (3, 4)
    check_grads(lambda v: v * v, tg.from_numpy(lay_out(sample((3, 4), 0), "broadcast")))
