"""Bad input to the engine: one clear message each, of the type that PyTorch raises."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import tinygen as tg
from tinygen import Tensor, ops
from tinygen.ops.op import REGISTRY, Op, elementwise, op


def ones(*shape: int, **kwargs: object) -> Tensor:
    return tg.ones(*shape, requires_grad=True, **kwargs)


def used(x: Tensor) -> Tensor:
    x.sum().backward()
    return x


def changed() -> Tensor:
    h = ones(3) * 2
    out = h.exp() * h
    h += 1
    h += 1
    return out.sum()


def wrong_gradient() -> Tensor:
    made = op(lambda x: x * 1)
    made.vjp(lambda g: g.sum(0))
    REGISTRY.pop(made.spec.name)
    return made(ones(2, 3)).sum()


MESSAGES: list[tuple[Callable[[], object], type[Exception], str]] = [
    # shapes
    (lambda: ones(2, 3) + ones(4), RuntimeError, r"add.*\(2, 3\) and \(4,\).*broadcast"),
    (lambda: ones(2, 3) * tg.ones(3, 2), RuntimeError, r"mul.*\(2, 3\) and \(3, 2\).*broadcast"),
    (lambda: ops.maximum(ones(2), ones(3)), RuntimeError, r"maximum.*\(2,\) and \(3,\)"),
    (lambda: ones(2) > ones(3), RuntimeError, r"gt.*\(2,\) and \(3,\)"),
    (lambda: tg.where(ones(2) > 0, ones(3), 0.0), RuntimeError, r"where.*\(2,\).*\(3,\)"),
    (lambda: ones(2, 3) @ ones(2, 3), RuntimeError, r"matmul.*\(2, 3\) and \(2, 3\).*multiplied"),
    # dtypes and devices
    (lambda: ones(2, 2) @ tg.ones(2, 2, dtype=tg.float64), RuntimeError,
     r"matmul.*same dtype.*float32 and float64.*\.to\("),
    (lambda: ones(2, 2) @ tg.ones(2, 2, dtype=tg.int64), RuntimeError, "matmul.*float32 and int64"),
    (lambda: tg.tensor([1, 2], requires_grad=True), RuntimeError,
     r"floating point.*int64.*float\(\)"),
    (lambda: tg.tensor([True]).requires_grad_(), RuntimeError, "floating point.*bool"),
    (lambda: ones(2).long().requires_grad_(), RuntimeError, "floating point.*int64"),
    (lambda: ones(2) + "a", TypeError, "add.*str"),
    (lambda: ones(2) * None, TypeError, "mul.*NoneType"),
    (lambda: tg.exp([1.0]), TypeError, "exp.*list"),
    # backward
    (lambda: (ones(3) * 2).backward(), RuntimeError,
     r"backward: grad can be implicitly created only for scalar outputs, got shape \(3,\)"),
    (lambda: used(ones(3) * ones(3)).sum().backward(), RuntimeError,
     "mul: trying to backward through the graph a second time.*retain_graph=True"),
    (lambda: tg.ones(3).sum().backward(), RuntimeError,
     "does not require grad and does not have a grad_fn"),
    (lambda: (ones(3) * 2).backward(tg.ones(2)), RuntimeError,
     r"backward: a gradient of shape \(2,\).*\(3,\)"),
    (lambda: (ones(3) * 2).backward(tg.ones(3, dtype=tg.float64)), RuntimeError,
     "backward: a gradient.*float64.*float32"),
    (lambda: (ones(3) * 2).backward(np.ones(3)), TypeError, "backward.*Tensor.*ndarray"),
    (lambda: changed().backward(), RuntimeError,
     r"mul: .*modified by an inplace operation: '.' *.*version 0.*version 2 \(2 changes"),
    (lambda: wrong_gradient().backward(), RuntimeError,
     r"backward of .*input 0: a gradient of shape \(3,\).*\(2, 3\)"),
    (lambda: setattr(ones(2), "grad", tg.ones(3)), RuntimeError, r"grad.*\(3,\).*\(2,\)"),
    (lambda: setattr(ones(2), "grad", tg.ones(2, dtype=tg.float64)), RuntimeError,
     "float64.*float32"),
    (lambda: setattr(ones(2), "grad", np.ones(2)), TypeError, "expected a Tensor.*ndarray"),
    (lambda: setattr(ones(2) * 2, "requires_grad", False), RuntimeError, r"leaf.*detach\(\)"),
    (lambda: tg.ones(2).retain_grad(), RuntimeError, "retain_grad.*requires_grad=False"),
    # autograd.grad
    (lambda: tg.autograd.grad(ones(2).sum(), tg.ones(2)), RuntimeError,
     r"grad: input 0 \(shape \(2,\)\) does not require grad"),
    (lambda: tg.autograd.grad(ones(2).sum(), ones(3)), RuntimeError,
     r"input 0 \(shape \(3,\)\) appears to not have been used.*allow_unused=True"),
    (lambda: tg.autograd.grad(ones(2) * 2, ones(2)), RuntimeError, "scalar outputs"),
    (lambda: tg.autograd.grad([ones(2).sum()], [ones(2)], [tg.ones(()), tg.ones(())]), RuntimeError,
     "1 outputs and 2 grad_outputs"),
    # plain values
    (lambda: ones(2).item(), RuntimeError, r"item: .*\(2,\).*2 elements"),
    (lambda: bool(ones(2)), RuntimeError, r"ambiguous.*any\(\)"),
    (lambda: ones(2).numpy(), RuntimeError, r"requires grad.*detach\(\)\.numpy\(\)"),
    (lambda: len(ones(())), TypeError, "len.*0-d"),
    (lambda: list(ones(())), TypeError, "iteration over a 0-d"),
    (lambda: [1, 2][tg.tensor(0.0)], TypeError, "integer tensors.*float32"),
    # ops
    (lambda: ops.gelu(ones(2), approximate="cubic"), RuntimeError, "gelu.*'none' or 'tanh'.*cubic"),
    (lambda: ones(2).clamp(), RuntimeError, "clamp.*at least one"),
    (lambda: tg.where(ones(2), ones(2), ones(2)), RuntimeError, "where.*boolean.*float32"),
    (lambda: ones(4).topk(5), RuntimeError, "topk.*5.*4"),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(MESSAGES)), ids=lambda i: MESSAGES[i][2][:40])
def test_messages(case: int) -> None:
    f, kind, words = MESSAGES[case]
    with pytest.raises(kind) as caught:
        f()
    text = str(caught.value)
    assert re.search(words, text, re.DOTALL), text
    assert type(caught.value) is kind and "\n" not in text and len(text) < 400


def test_a_failed_operation_leaves_everything_as_it_was() -> None:
    x = ones(2, 3)
    before = x.tolist(), x._version[0]
    with pytest.raises(RuntimeError):
        x + tg.ones(4)
    with pytest.raises(RuntimeError):
        (x * 2).backward()
    assert (x.tolist(), x._version[0]) == before and x.grad is None and tg.is_grad_enabled()


def test_recording_is_switched_back_after_an_error_in_a_vjp() -> None:
    def bad(g: Tensor) -> Tensor:
        raise ZeroDivisionError

    made = elementwise(lambda x: x * 1)
    made.vjp(bad)
    REGISTRY.pop(made.spec.name)
    with pytest.raises(ZeroDivisionError):
        made(ones(2)).sum().backward()
    assert tg.is_grad_enabled()


def _no_gpu() -> bool:
    try:
        import cupy

        return not cupy.cuda.is_available()
    except ImportError:
        return True


@pytest.mark.skipif(not _no_gpu(), reason="this machine has a GPU")
@pytest.mark.parametrize(
    "f",
    [
        lambda: tg.zeros(2, device="cuda"),
        lambda: tg.tensor([1.0], device="cuda"),
        lambda: tg.randn(2, device="cuda"),
        lambda: tg.arange(3, device=tg.device("cuda")),
        lambda: tg.zeros(2).to("cuda"),
        lambda: tg.zeros(2).cuda(),
    ],
)
def test_cuda_without_a_gpu(f: Callable[[], object]) -> None:
    with pytest.raises(RuntimeError, match="cuda.*(pip install 'tinygen.cuda12.'|no usable GPU)"):
        f()


def test_mixed_devices_name_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for a cupy array: whatever is not a numpy.ndarray counts as being on the GPU."""

    class Elsewhere:
        dtype, shape, ndim, size = np.dtype("float32"), (2, 2), 2, 4
        __array_ufunc__ = None

        def __array_function__(self, *args: object) -> object:
            raise TypeError("unsupported type <class 'numpy.ndarray'>")

    from tinygen.tensor import wrap

    for f in (lambda a, b: a + b, lambda a, b: a @ b, lambda a, b: tg.cat([a, b])):
        for pair in [(tg.ones(2, 2), wrap(Elsewhere())), (wrap(Elsewhere()), tg.ones(2, 2))]:
            with pytest.raises(RuntimeError, match="same device, got (cpu and cuda|cuda and cpu)"):
                f(*pair)


def test_an_op_whose_vjps_do_not_fit_is_refused_where_it_is_written() -> None:
    made = op(lambda x, y, *, power: x)
    REGISTRY.pop(made.spec.name)
    with pytest.raises(TypeError, match="2 inputs but 1 vjps"):
        made.vjp(lambda g: g)
    with pytest.raises(TypeError, match="a vjp takes g and any of"):
        made.vjp(lambda g, z: g, lambda g: g)
    with pytest.raises(TypeError, match="a vjp takes g"):
        made.vjp(lambda x: x, lambda g: g)
    with pytest.raises(TypeError, match="`shared` are words of the vjps"):

        @op
        def wrong(x, *, shared=None):
            return x

    with pytest.raises(ValueError, match="there is an op named 'mul' already"):

        @op
        def mul(x):
            return x


def test_a_notebook_cell_that_defines_an_op_may_run_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cell(module: str, factor: float) -> Op:
        def times_seven(x):
            return x * factor

        times_seven.__module__ = module
        return op(times_seven)

    monkeypatch.setattr("tinygen.ops.op.REGISTRY", dict(REGISTRY))
    assert cell("__main__", 6.0)(tg.ones(2)).tolist() == [6.0, 6.0]
    assert cell("__main__", 7.0)(tg.ones(2)).tolist() == [7.0, 7.0]
    with pytest.raises(ValueError, match="'times_seven' already, in __main__; rename yours"):
        cell("elsewhere", 1.0)


@pytest.mark.parametrize("name", ["quantize", "jit", "compile", "sparse"])
def test_what_is_left_out_says_so(name: str) -> None:
    with pytest.raises(AttributeError, match=f"tinygen has no '{name}'"):
        getattr(tg, name)
