"""No op without proof: every registered op runs forward, backward and double-backward here.

One line an op: the name in the registry, a function that reaches it, and its inputs' shapes. The
test counts what ran: for each input that has a vjp, it must have been called at order 1 and again
while that gradient was differentiated.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import Tensor, ops
from tinygen.conv import conv2d_weight
from tinygen.nn.functional import channel_norm, norms
from tinygen.ops.activations import (
    gelu_grad,
    normal_cdf,
    normal_density_times,
    sigmoid_grad,
    silu_grad,
)
from tinygen.ops.convert import _to_device
from tinygen.ops.elementwise import tanh_grad
from tinygen.ops.half import through_float32
from tinygen.ops.images import _unshuffle
from tinygen.ops.in_place import copy_slices
from tinygen.ops.indexing import _getitem, _put
from tinygen.ops.kinks import gate
from tinygen.ops.op import (
    REGISTRY,
    ElementwiseSpec,
    Spec,
    broadcast_to,
    cast,
    op,
    sum_to,
)
from tinygen.ops.pooling import block_repeat, block_sum
from tinygen.tensor import wrap
from tinygen.testing import GradientError, check_grads, sample

for _module in pkgutil.walk_packages(tg.__path__, "tinygen."):  # a model may bring an op of its own
    if not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)

INDEX = tg.tensor([[0, 2, 1], [2, 2, 0]])
TARGET = tg.tensor(sample((2, 3), 9, 0.1, 0.9))

# Ops whose output is not floating, or whose result is constant almost everywhere by nature.
NOT_DIFFERENTIABLE = {
    "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor", "logical_not",
    "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "isnan", "isinf", "isfinite",
    "all", "any",
}  # fmt: skip

Case = tuple[Callable[..., Any], list[tuple[int, ...]]]
POSITIVE = {"log", "log1p", "sqrt", "rsqrt", "reciprocal", "div", "pow", "log2", "log10", "xlogy",
            "logit", "lgamma", "digamma", "polygamma", "fmod", "trunc_divide",
            "binary_cross_entropy", "unscaled"}  # fmt: skip  # inputs in [0.3, 0.8]


def pulled(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """(x, u) -> J(x)^T u, to reach an op that appears in a vjp only."""

    def vjp(x: Tensor, u: Tensor) -> Tensor:
        with tg.enable_grad():
            x = x if x.requires_grad else x.detach().requires_grad_()
            return tg.autograd.grad(f(x), x, u, create_graph=True)[0]

    return vjp


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """mean and rstd of two groups of channels, as the ops of channel_norm take them"""
    mean, _, rstd = channel_norm.moments(x._array, 2, False, 1e-5)
    return wrap(mean), wrap(rstd)


def far(x: Tensor) -> Tensor:
    """x plus twice the identity: well conditioned, and det > 0"""
    return x + 2 * tg.eye(len(x), dtype=x.dtype, device=x.device)


def symmetric(x: Tensor) -> Tensor:
    """positive definite, with distinct eigenvalues"""
    return x @ x.mT + far(x * 0)


def rebuilt(values: Tensor, left: Tensor, right: Tensor) -> Tensor:
    """A function of a spectrum and its vectors that does not depend on their signs"""
    return (left * values.sin()) @ right


@through_float32  # as channel_norm does for all three
def channel_norm_weight(u: Tensor, x: Tensor) -> Tensor:
    return channel_norm._channel_norm_weight(u, x, *statistics(x), eps=1e-5)


@through_float32
def channel_norm_back(u: Tensor, x: Tensor, w: Tensor) -> Tensor:
    return channel_norm._channel_norm_back(u, x, w, *statistics(x), eps=1e-5)


CASES: dict[str, Case] = {
    # the decorator's own
    "cast": (lambda x: cast(x, dtype=x.dtype), [(2, 3)]),
    "broadcast_to": (lambda x: broadcast_to(x, shape=(4, 2, 3)), [(2, 1)]),
    "sum_to": (lambda x: sum_to(x, shape=(3,)), [(2, 3)]),
    # elementwise
    **{name: (getattr(ops, name), [(2, 3)]) for name in (
        "neg", "square", "exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "reciprocal", "sin",
        "cos", "acos", "tanh", "sigmoid", "softplus", "silu", "erf", "relu", "abs", "sign",
        "floor", "ceil", "round", "trunc", "exp2", "log2", "log10", "tan", "asin", "atan", "sinh",
        "cosh", "asinh", "atanh", "sinc", "logit", "erfc", "erfinv", "lgamma", "digamma", "median",
    )},
    **{name: (getattr(ops, name), [(2, 3), (3,)]) for name in (
        "add", "sub", "mul", "div", "pow", "logaddexp", "maximum", "minimum", "floor_divide",
        "remainder", "fmod", "copysign", "hypot", "atan2", "xlogy",
    )},
    "trunc_divide": (lambda x, y: tg.div(x, y, rounding_mode="trunc"), [(2, 3), (3,)]),
    "acosh": (lambda x: tg.acosh(x + 2), [(2, 3)]),
    "polygamma": (lambda x: tg.polygamma(1, x), [(2, 3)]),
    "silu_grad": (silu_grad, [(2, 3), (2, 3)]),
    "normal_cdf": (normal_cdf, [(2, 3)]),
    "times_cdf": (F.gelu, [(2, 3)]),
    "gelu_grad": (lambda v, x: gelu_grad(v, x, normal_cdf(x.detach())), [(2, 3), (2, 3)]),
    "normal_density_times": (normal_density_times, [(2, 3), (2, 3)]),
    "tanh_grad": (tanh_grad, [(2, 3), (2, 3)]),
    "sigmoid_grad": (sigmoid_grad, [(2, 3), (2, 3)]),
    "gate": (lambda x: gate(x, x.detach()), [(2, 3)]),
    "leaky": (F.leaky_relu, [(2, 3)]),
    "clamp": (lambda x: x.clamp(-0.5, 0.5), [(2, 3)]),
    "where": (lambda x, y: tg.where(x > y, x, y), [(2, 3), (3,)]),
    "to_device": (lambda x: _to_device(x, where="cpu", back="cpu"), [(2, 3)]),
    # reductions
    "sum": (lambda x: x.sum(1), [(2, 3)]),
    "amax": (lambda x: x.amax(1), [(2, 3)]),
    "amin": (lambda x: x.amin(1), [(2, 3)]),
    "cumsum": (lambda x: x.cumsum(1), [(2, 3)]),
    "root": (lambda x: x.norm(3, 1), [(2, 3)]),
    "logsumexp": (lambda x: x.logsumexp(1), [(2, 3)]),
    "softmax": (lambda x: x.softmax(1), [(2, 3)]),
    "log_softmax": (lambda x: x.log_softmax(1), [(2, 3)]),
    # shapes
    "reshape": (lambda x: x.reshape(3, 2), [(2, 3)]),
    "permute": (lambda x: x.permute(1, 0), [(2, 3)]),
    "cat": (lambda x, y: tg.cat([x, y], 1), [(2, 3), (2, 1)]),
    "flip": (lambda x: x.flip(1), [(2, 3)]),
    "roll": (lambda x: x.roll(1, 1), [(2, 3)]),
    "pad": (lambda x: F.pad(x, (1, 2)), [(2, 3)]),
    "tril": (lambda x: x.tril(), [(2, 3)]),
    "triu": (lambda x: x.triu(), [(2, 3)]),
    "clone": (lambda x: x.clone(), [(2, 3)]),
    "contiguous": (lambda x: x.mT.contiguous(), [(2, 3)]),
    "diagonal": (lambda x: x.diagonal(1, 2, 0), [(2, 1, 3)]),
    "on_diagonal": (lambda x: x.diag_embed(-1, 0), [(2, 3)]),
    # indexing
    "getitem": (lambda x: x[[0, 1, 0]], [(2, 3)]),
    "put": (lambda x: _put(x, shape=(4,), index=INDEX.numpy()), [(2, 3)]),
    "copy_slices": (
        lambda x, y: copy_slices(
            x, y, steps=[(_getitem, {"index": 0})], index=(slice(1, None),), order=(1, 0)
        ),
        [(2, 3), (2,)],
    ),
    # products
    "matmul": (tg.matmul, [(2, 3), (3, 4)]),
    "linear": (F.linear, [(2, 3), (4, 3), (4,)]),
    "einsum": (lambda x, y: tg.einsum("ij,kj->ik", x, y), [(2, 3), (4, 3)]),
    # linear algebra
    "inv": (lambda x: tg.inverse(far(x)), [(3, 3)]),
    "solve": (lambda x, y: tg.linalg.solve(far(x), y), [(3, 3), (2, 3, 2)]),
    "det": (lambda x: tg.det(far(x)), [(3, 3)]),
    "slogdet": (lambda x: tg.slogdet(far(x)).logabsdet, [(3, 3)]),
    "cholesky": (lambda x: tg.cholesky(symmetric(x)), [(3, 3)]),
    "lu": (lambda x: tg.lu(x)[0], [(3, 3)]),
    "qr": (lambda x: tg.cat(tg.linalg.qr(x)), [(4, 3)]),
    "eigh": (lambda x: (lambda w, v: rebuilt(w, v, v.mT))(*tg.linalg.eigh(symmetric(x))), [(3, 3)]),
    "svd": (
        lambda x: (lambda u, s, vh: rebuilt(s, u, vh))(*tg.linalg.svd(x, full_matrices=False)),
        [(4, 3)],
    ),
    # convolutions
    "conv2d": (F.conv2d, [(2, 2, 4, 4), (3, 2, 2, 2), (3,)]),
    "conv_transpose2d": (F.conv_transpose2d, [(2, 2, 3, 3), (2, 3, 2, 2), (3,)]),
    "conv2d_weight": (
        lambda x, g: conv2d_weight(x, g, (2, 2)), [(2, 2, 4, 4), (2, 3, 3, 3)]
    ),
    # pictures
    "shuffle": (lambda x: F.pixel_shuffle(x, 2), [(1, 4, 2, 2)]),
    "unshuffle": (lambda x: _unshuffle(x, factor=2), [(1, 1, 4, 4)]),
    "pick": (lambda x: F.max_pool2d(x, 2), [(1, 2, 4, 4)]),
    "place": (pulled(lambda x: F.max_pool2d(x, 2)), [(1, 1, 4, 4), (1, 1, 2, 2)]),
    "resample": (
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), [(1, 2, 2, 3)]
    ),
    "block_sum": (lambda x: block_sum(x, blocks=(2, 2)), [(1, 2, 4, 4)]),
    "block_repeat": (lambda x: block_repeat(x, blocks=(2, 3)), [(1, 2, 2, 2)]),
    "columns": (lambda x: F.unfold(x, 2, padding=1), [(1, 2, 2, 3)]),
    "from_columns": (lambda x: F.fold(x, (2, 3), 2), [(1, 8, 2)]),
    # norms and losses
    "channel_norm": (lambda x, w, b: F.group_norm(x, 2, w, b), [(2, 4, 3), (4,), (4,)]),
    "channel_norm_weight": (channel_norm_weight, [(2, 4, 3), (2, 4, 3)]),
    "channel_norm_back": (channel_norm_back, [(2, 4, 3), (2, 4, 3), (4,)]),
    "attention": (F.scaled_dot_product_attention, [(2, 2, 3), (2, 4, 3), (2, 4, 2)]),
    "variance": (
        lambda x: norms._variance(x, x.detach().mean(1, keepdim=True), dims=(1,)), [(2, 3)]
    ),
    "scaled": (lambda x: F.layer_norm(x, (3,)), [(2, 3)]),
    "unscaled": (
        lambda u, z, r: norms._unscaled(u, z, r, dims=(1,)), [(2, 3), (2, 3), (2, 1)]
    ),
    "scale_shift": (norms._scale_shift, [(2, 3), (3,), (3,)]),
    "huber": (lambda x: F.huber_loss(x, x.detach() * 0, delta=0.65), [(2, 3)]),
    "bce_with_logits": (F.binary_cross_entropy_with_logits, [(2, 3), (2, 3)]),
    "binary_cross_entropy": (F.binary_cross_entropy, [(2, 3), (2, 3)]),
}  # fmt: skip

Seen = Counter[tuple[str, int, int]]  # (op, input, order) -> how often its vjp ran


@contextmanager
def counting(seen: Seen) -> Iterator[None]:
    """Count calls of pull_back; the order is how deep in gradients of gradients a Node was made."""
    originals = {kind: kind.pull_back for kind in (Spec, ElementwiseSpec)}

    def counted(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def pull_back(self: Spec, i: int, g: Tensor, saved: dict, parent: Any) -> Tensor:
            out = original(self, i, g, saved, parent)
            recorded = g.requires_grad or out.requires_grad
            seen[self.name, 0 if self.variadic else i, 2 if recorded else 1] += 1
            return out

        return pull_back

    try:
        for kind, original in originals.items():
            kind.pull_back = counted(original)  # type: ignore[method-assign]
        yield
    finally:
        for kind, original in originals.items():
            kind.pull_back = original  # type: ignore[method-assign]


def inputs(name: str) -> list[Tensor]:
    low = 0.3 if name in POSITIVE else -0.8
    return [
        tg.tensor(sample(shape, k, low, 0.8, avoid=(0.0, 0.5), distinct=True))
        for k, shape in enumerate(CASES[name][1])
    ]


def expected(name: str) -> set[tuple[str, int, int]]:
    """Each of the op's vjps, at order 1 and differentiated."""
    vjps = REGISTRY[name].spec.vjps
    return {(name, i, k) for i, (vjp, _) in enumerate(vjps) if vjp for k in (1, 2)}


def test_every_op_has_a_row_or_is_not_differentiable() -> None:
    differentiable = {
        name for name, made in REGISTRY.items() if any(vjp for vjp, _ in made.spec.vjps)
    }
    rest = {name for name, made in REGISTRY.items() if not made.spec.vjps}
    assert rest == NOT_DIFFERENTIABLE, f"ops without vjps changed: {rest ^ NOT_DIFFERENTIABLE}"
    missing = sorted(differentiable - set(CASES))
    assert not missing, f"no case for {missing}: add a row to CASES"
    assert not set(CASES) - differentiable, f"no such op: {sorted(set(CASES) - differentiable)}"


@pytest.mark.parametrize("name", CASES)
def test_forward_backward_and_double_backward(name: str) -> None:
    f, _ = CASES[name]
    xs, seen = inputs(name), Counter()
    ran = REGISTRY[name].spec
    calls: Counter[str] = Counter()
    forward = ran.forward
    try:
        ran.forward = lambda *a, **k: (calls.update([name]), forward(*a, **k))[1]
        with counting(seen):
            check_grads(f, *xs, order=2)
    finally:
        ran.forward = forward
    assert calls[name], f"{name}: the case never called it"
    missing = expected(name) - set(seen)
    assert not missing, f"{name}: these vjps never ran (op, input, order): {sorted(missing)}"


CONSTANT = {
    "sign",
    "floor",
    "ceil",
    "round",
    "trunc",
    "floor_divide",
    "trunc_divide",
}  # their gradient is 0
PLANTED = {
    "one percent too large": lambda t: t * 1.01,
    "cut off the tape": lambda t: t.detach(),
}


@pytest.mark.parametrize("bug", PLANTED)
@pytest.mark.parametrize("name", [name for name in CASES if name not in CONSTANT])
def test_every_row_notices_a_wrong_vjp(name: str, bug: str) -> None:
    """The proof of the proof: each vjp of each op is made wrong in turn, and must be caught."""
    spec, spoil = REGISTRY[name].spec, PLANTED[bug]
    for i, (vjp, names) in enumerate(list(spec.vjps)):
        if vjp is None:
            continue
        spec.vjps[i] = (lambda *args, vjp=vjp: spoil(vjp(*args)), names)
        try:
            with pytest.raises(GradientError):
                check_grads(CASES[name][0], *inputs(name), float32=False)
        finally:
            spec.vjps[i] = (vjp, names)


# --- float16 beside float64 -----------------------------------------------------------------------


def three_orders(name: str, dtype: Any) -> list[np.ndarray]:
    """The value, the gradients and theirs (for the cotangent too), for numbers float16 has."""
    f, rng = CASES[name][0], np.random.default_rng(1)

    def some(like: Tensor) -> Tensor:
        u = np.asarray(rng.uniform(0.5, 1.5, like.shape)).astype(np.float16)
        return tg.tensor(u.astype(dtype), requires_grad=True)

    xs = [x.half().to(dtype).requires_grad_() for x in inputs(name)]
    out = f(*xs)
    us = some(out)
    found = tg.autograd.grad(out, xs, us, create_graph=True, allow_unused=True)
    grads = [g for g in found if g is not None]
    on_tape = [g for g in grads if g.requires_grad]
    vs = [some(g) for g in on_tape]
    second = tg.autograd.grad(on_tape, [*xs, us], vs, allow_unused=True) if on_tape else []
    zeros = [g if g is not None else x * 0 for g, x in zip(second, [*xs, us], strict=False)]
    return [t.detach().numpy() for t in (out, *grads, *zeros)]


def check_float16(name: str, spoil: Callable[[], Any] = lambda: None) -> None:
    """float16 gives what float64 does, rounded; `spoil` comes between the two."""
    exact = three_orders(name, tg.float64)
    spoil()
    rounded = three_orders(name, tg.float16)
    assert len(rounded) == len(exact), f"{len(rounded)} gradients, in float64 {len(exact)}"
    for k, (a, b) in enumerate(zip(rounded, exact, strict=True)):
        assert a.dtype == tg.float16
        np.testing.assert_allclose(
            a.astype(np.float64), b, rtol=4e-3, atol=4e-3 * np.abs(b).max(), err_msg=f"number {k}"
        )


@pytest.mark.parametrize("name", CASES)
def test_float16_of_every_row(name: str) -> None:
    check_float16(name)


@pytest.mark.parametrize("bug", PLANTED)
@pytest.mark.parametrize("name", [name for name in CASES if name not in CONSTANT])
def test_float16_of_every_row_notices_a_wrong_vjp(name: str, bug: str) -> None:
    """Each vjp is made wrong in turn, for the run in float16 alone."""
    spec, spoil = REGISTRY[name].spec, PLANTED[bug]
    for i, (vjp, names) in enumerate(list(spec.vjps)):
        if vjp is None:
            continue
        wrong = (lambda *args, vjp=vjp: spoil(vjp(*args)), names)
        try:
            with pytest.raises(AssertionError):
                check_float16(name, lambda i=i, wrong=wrong: spec.vjps.__setitem__(i, wrong))
        finally:
            spec.vjps[i] = (vjp, names)


def test_an_op_without_a_row_or_with_a_vjp_that_never_runs_is_noticed() -> None:
    @op
    def lonely(x, y):
        return x * y

    lonely.vjp(lambda g, y: g * y, lambda g, x: g * x)
    try:
        with pytest.raises(AssertionError, match="no case for .'lonely'."):
            test_every_op_has_a_row_or_is_not_differentiable()
        CASES["lonely"] = (lambda x: lonely(x, x.detach() * 0 + 1), [(2, 3)])
        with pytest.raises(AssertionError, match="'lonely', 1, 1"):
            test_forward_backward_and_double_backward("lonely")
        CASES["lonely"] = (lambda x: x * 2, [(2, 3)])
        with pytest.raises(AssertionError, match="never called"):
            test_forward_backward_and_double_backward("lonely")
    finally:
        REGISTRY.pop("lonely")
        CASES.pop("lonely", None)
