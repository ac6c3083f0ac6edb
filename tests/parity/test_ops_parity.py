"""Beside PyTorch: every op's value and gradients, promotion, indexing, in-place rules, errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import tinygen as tg
import tinygen.nn.functional as F
from tinygen.testing import Program, programs, sample, tensors

torch: Any = pytest.importorskip("torch", reason="parity needs PyTorch: pip install torch")
TF = torch.nn.functional

Pair = tuple[Any, Any]  # the same thing here and there


def there(x: Any) -> Any:
    """A Tensor, array or nested tuple of them as PyTorch has it."""
    if isinstance(x, (tuple, list)):
        return type(x)(there(part) for part in x)
    if isinstance(x, tg.Tensor):
        x = x.detach().numpy()
    return torch.from_numpy(np.array(x)) if isinstance(x, np.ndarray) else x


def agree(f: Any, g: Any, *arrays: np.ndarray, rtol: float = 1e-9) -> None:
    """f here and g there: equal values, and equal gradients for a random cotangent."""
    here = [tg.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    beside = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    out, expected = f(*here), g(*beside)
    assert tuple(out.shape) == tuple(expected.shape)
    assert str(out.dtype) == str(expected.dtype).removeprefix("torch.")
    np.testing.assert_allclose(
        out.detach().numpy(), expected.detach().numpy(), rtol=rtol, atol=rtol
    )
    assert out.requires_grad == expected.requires_grad
    if not out.requires_grad:
        return
    u = np.asarray(np.random.default_rng(0).standard_normal(out.shape)).astype(out.dtype)
    out.backward(tg.tensor(u))
    expected.backward(torch.tensor(u))
    for x, y in zip(here, beside, strict=True):
        if y.grad is None:
            assert x.grad is None
        else:
            np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), rtol=rtol, atol=rtol)


UNARY = [
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "rsqrt",
    "square",
    "reciprocal",
    "neg",
    "abs",
    "sign",
    "sin",
    "cos",
    "tanh",
    "sigmoid",
    "erf",
    "relu",
    "floor",
    "ceil",
    "round",
    "trunc",
    *"frac exp2 log2 log10 tan asin acos atan sinh cosh asinh acosh atanh sinc erfc erfinv".split(),
    *"lgamma digamma logit arcsin arccos arctan arcsinh arccosh arctanh absolute negative".split(),
]
ACTIVATIONS = ["relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh"]
BINARY = ["add", "sub", "mul", "div", "pow", "maximum", "minimum", "logaddexp", "remainder"]
BINARY += "hypot atan2 fmod fmax fmin xlogy multiply subtract divide true_divide ldexp".split()
POSITIVE = {"log", "log1p", "sqrt", "rsqrt", "reciprocal", "div", "pow", "log2", "log10", "lgamma",
            "digamma", "xlogy", "divide", "true_divide"}  # fmt: skip
WITHIN_1 = {"asin", "acos", "atanh", "erfinv", "logit", "arcsin", "arccos", "arctanh"}


def values(name: str, *shapes: tuple[int, ...]) -> list[np.ndarray]:
    low, high = (0.2 if name in POSITIVE else -2.6), 2.6
    if name in WITHIN_1:
        low, high = 0.1, 0.9
    elif name in ("acosh", "arccosh"):
        low, high = 1.1, 4.0
    return [
        sample(shape, 7 + k, low, high, avoid=(-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0))
        for k, shape in enumerate(shapes)
    ]


@pytest.mark.parametrize("shape", [(), (0,), (3, 4)])
@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str, shape: tuple[int, ...]) -> None:
    agree(getattr(tg, name), getattr(torch, name), *values(name, shape))
    agree(lambda x: getattr(x, name)(), lambda x: getattr(x, name)(), *values(name, shape))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    agree(getattr(F, name), getattr(TF, name), *values(name, (3, 4)))


@pytest.mark.parametrize("shapes", [((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2,)), ((0, 3), (3,))])
@pytest.mark.parametrize("name", BINARY)
def test_binary(name: str, shapes: tuple) -> None:
    agree(getattr(tg, name), getattr(torch, name), *values(name, *shapes))


EXPRESSIONS: list[Pair] = [
    (f, f)
    for f in (
        lambda x: x.sum(), lambda x: x.sum(1), lambda x: x.sum((0, 2), keepdim=True),
        lambda x: x.mean(), lambda x: x.mean(-1), lambda x: x.var(), lambda x: x.var(1),
        lambda x: x.var(1, unbiased=False), lambda x: x.var((0, 1), correction=0),
        lambda x: x.std(), lambda x: x.std(2, keepdim=True), lambda x: x.prod(),
        lambda x: x.prod(1), lambda x: x.amax(), lambda x: x.amax((0, 1)), lambda x: x.amin(2),
        lambda x: x.max(), lambda x: x.min(), lambda x: x.max(1).values, lambda x: x.min(1)[1],
        lambda x: x.argmax(), lambda x: x.argmin(1, keepdim=True), lambda x: x.all(1),
        lambda x: (x > 0).any(), lambda x: x.logsumexp(1), lambda x: x.logsumexp((0, 2)),
        lambda x: x.softmax(1), lambda x: x.log_softmax(-1), lambda x: x.cumsum(1),
        lambda x: x.cumprod(2), lambda x: x.norm(), lambda x: x.norm(dim=1),
        lambda x: x.norm(1), lambda x: x.norm(3, dim=(0, 1)), lambda x: x.norm(float("inf")),
        lambda x: x.sort(1).values, lambda x: x.sort(1, descending=True)[1],
        lambda x: x.topk(2, 1).values, lambda x: x.topk(2, -1, largest=False).indices,
        lambda x: x.argsort(1), lambda x: x.reshape(4, 6), lambda x: x.view(-1),
        lambda x: x.flatten(1), lambda x: x.unflatten(2, (2, 2)), lambda x: x.transpose(0, 2),
        lambda x: x.permute(1, 2, 0), lambda x: x.mT, lambda x: x[0].T, lambda x: x[0].t(),
        lambda x: x[:, :1].squeeze(), lambda x: x.squeeze(0), lambda x: x.unsqueeze(-2),
        lambda x: x.expand(2, 2, 3, 4), lambda x: x.repeat(2, 1, 3), lambda x: x.flip(0, 1),
        lambda x: x.roll(2, 1), lambda x: x.roll((1, 2), (0, 1)), lambda x: x.roll(3),
        lambda x: x.tril(), lambda x: x.triu(-1), lambda x: x.split(2, 2)[1],
        lambda x: x.split([1, 2], 1)[0], lambda x: x.chunk(2, 1)[1], lambda x: x.unbind(1)[0],
        lambda x: x.narrow(1, 1, 2), lambda x: x.movedim(0, 2), lambda x: x.clone(),
        lambda x: x.repeat_interleave(2, 1), lambda x: x.clamp(-0.4, 0.6),
        lambda x: x.clamp(min=0.1), lambda x: x.masked_fill(x > 0, 3.0), lambda x: x**2,
        lambda x: x**3, lambda x: 2**x, lambda x: 1 / x, lambda x: 1 - x, lambda x: x % 0.7,
        lambda x: x.detach() // 0.7, lambda x: -x, lambda x: abs(x), lambda x: x @ x.mT,
        lambda x: x @ x[0].T, lambda x: x[0] @ x[0, 0], lambda x: x[0, 0] @ x[0, 0],
        lambda x: x[0, 0] @ x.mT, lambda x: x.isnan(), lambda x: x == x.detach(),
        lambda x: x.detach() * x, lambda x: x.diagonal(), lambda x: x.diagonal(-1, 2, 0),
        lambda x: x.diagonal(9), lambda x: x[0].diag(1), lambda x: x[0, 0].diag(-2),
        lambda x: x.diag_embed(), lambda x: x.diag_embed(2, 0, -2), lambda x: x.unfold(2, 2, 2),
        lambda x: x.unfold(1, 2, 1), lambda x: x.unfold(-1, 3, 2), lambda x: x.select(1, -2),
        lambda x: x.tile(2), lambda x: x.tile((2, 1, 1, 3)), lambda x: x.rot90(),
        lambda x: x.rot90(3, (2, 0)), lambda x: x.rot90(-2), lambda x: x.fliplr(),
        lambda x: x.flipud(), lambda x: x.ravel(), lambda x: x.broadcast_to(2, 2, 3, 4),
        lambda x: x.tensor_split(3, 2)[1], lambda x: x.tensor_split((1, -1, 9), 1)[1],
        lambda x: x.tensor_split(5, 1)[4], lambda x: x.split_with_sizes([1, 2], 1)[1],
        lambda x: x.diff(), lambda x: x.diff(2, 1), lambda x: x.diff(0), lambda x: x.diff(9),
        lambda x: x.diff(prepend=x[..., :2], append=x), lambda x: x.movedim((0, -1), (1, 0)),
        lambda x: x.movedim([2], [0]), lambda x: (x > 0).diff(), lambda x: x.flip(dims=(0, -1)),
        lambda x: x.flip([1]),
        lambda x: x.median(), lambda x: x.median(1).values, lambda x: x.median(-1, True)[1],
        lambda x: x.kthvalue(2, 1)[0], lambda x: x.kthvalue(3).indices, lambda x: x.quantile(0.3),
        lambda x: x.quantile(0.3, 1, True), lambda x: x.cummax(1)[0], lambda x: x.cummin(2)[1],
        lambda x: x.logcumsumexp(1), lambda x: x.nansum(1), lambda x: x.nanmean((0, 2)),
        lambda x: x.aminmax(dim=1)[0], lambda x: x.aminmax().max, lambda x: x.count_nonzero(1),
        lambda x: x.add(x.detach(), alpha=2), lambda x: x.sub(0.5, alpha=3), lambda x: x.frac(),
        lambda x: x.div(0.3, rounding_mode="trunc") + x, lambda x: x.round(decimals=1) + x,
        lambda x: x.lerp(x.flip(0), 0.3), lambda x: x.addcmul(x, x.flip(1), value=0.5),
        lambda x: x.addcdiv(x, x.abs() + 1), lambda x: x.clamp_min(0.2), lambda x: x.clamp_max(0.2),
        lambda x: x.nan_to_num(), lambda x: x.float_power(2), lambda x: x.logit(0.2),
        lambda x: x.copysign(x.detach().flip(0)), lambda x: x.inner(x[0]),
        lambda x: x[0, 0].ger(x[1, :, 0]), lambda x: x[0, :, :3].trace(),
        lambda x: x.dist(x.flip(0)), lambda x: x.baddbmm(x, x.mT @ x), lambda x: x[0, 0].addmv(
            x[0].T, x[0, :, 0]), lambda x: x[0].addr(x[0, :, 0], x[1, 0]),
        lambda x: x[0].kron(x[1]),
        lambda x: x.clone().lerp_(x.flip(0), 0.3), lambda x: x.clone().add_(x, alpha=-2),
        lambda x: (x * 1).tan_() + (x * x + 1).log2_(), lambda x: x.sum(1, dtype=x.dtype),
        lambda x: x[..., :3].det(), lambda x: x[..., :3].inverse(), lambda x: x[
            ..., :3].slogdet()[1], lambda x: x[..., :3].lu()[0], lambda x: (x @ x.mT).cholesky(),
    )
]  # fmt: skip
FUNCTIONS: list[Callable[[Any, Any], Any]] = [
    # of the library and a tensor of shape (2, 3, 4)
    lambda t, x: t.cat([x, x * 2], 1), lambda t, x: t.stack([x, -x], -1),
    lambda t, x: t.where(x > 0, x, x * x), lambda t, x: t.where(x > 0, x, 0.5),
    lambda t, x: t.einsum("ijk,ilk->ijl", x, x), lambda t, x: t.einsum("ijk->kj", x),
    lambda t, x: t.einsum("ijj", x[:, :, :3]), lambda t, x: t.einsum("...jk,...k", x, x[:, 0]),
    lambda t, x: t.outer(x[0, 0], x[1, :, 0]), lambda t, x: t.bmm(x, x.mT),
    lambda t, x: t.mm(x[0], x[1].T), lambda t, x: t.mv(x[0], x[0, 1]),
    lambda t, x: t.dot(x[0, 0], x[1, 1]), lambda t, x: t.addmm(x[0, 0, :3], x[0], x[1].T),
    lambda t, x: t.maximum(x, x.flip(0)), lambda t, x: t.minimum(x, x * 0 + 0.3),
    lambda t, x: t.nn.functional.pad(x, (1, 2)), lambda t, x: t.nn.functional.pad(x, (-1, 2, 1, 0)),
    lambda t, x: t.nn.functional.pad(x, (2, 1), mode="reflect"),
    lambda t, x: t.nn.functional.pad(x, (2, 5), mode="replicate"),
    lambda t, x: t.nn.functional.pad(x, (1, 0), value=2.5),
    lambda t, x: t.gather(x, 1, t.tensor([[[0, 2, 1, 0]], [[1, 1, 0, 2]]])),
    lambda t, x: t.index_select(x, 1, t.tensor([2, 0, 2])),
    lambda t, x: t.scatter_add(x, 1, t.tensor([[[0, 2, 1, 0]], [[1, 1, 0, 2]]]), x[:, :1] * 2),
    lambda t, x: t.masked_select(x, x > 0.2), lambda t, x: x[x > 0.2],
    lambda t, x: t.take_along_dim(x, t.argsort(x, 1), 1),
    lambda t, x: t.nn.functional.one_hot(t.argmax(x, 1), 3), lambda t, x: t.nonzero(x > 0),
    lambda t, x: t.nn.functional.linear(x, x[0], x[1, :, 0]),
    lambda t, x: t.nn.functional.gelu(x, approximate="tanh"),
    lambda t, x: t.nn.functional.leaky_relu(x, 0.2), lambda t, x: t.nn.functional.elu(x, 0.7),
    lambda t, x: t.clamp(x, x.detach() * 0 - 0.5, x.detach() * 0 + 0.5),
    lambda t, x: t.zeros_like(x) + x, lambda t, x: x.to(t.float32),
    lambda t, x: t.cumsum(x, 0), lambda t, x: t.flatten(x, 0, 1), lambda t, x: t.sum(x, dim=(0, 1)),
    lambda t, x: t.logical_and(x > 0, x < 1), lambda t, x: t.isfinite(1 / (x * 0)),
    lambda t, x: t.hstack([x, x]), lambda t, x: t.hstack([x[0, 0], x[0, 1]]),
    lambda t, x: t.vstack([x, x]), lambda t, x: t.vstack([x[0, 0], x[1]]),
    lambda t, x: t.dstack([x[0], x[1]]), lambda t, x: t.dstack([x[0, 0], x[0, 1]]),
    lambda t, x: t.column_stack([x[0, 0], x[0].T]), lambda t, x: t.concat([x, x], 1),
    lambda t, x: t.concatenate([x, x], dim=2), lambda t, x: t.atleast_1d(x[0, 0, 0]),
    lambda t, x: t.atleast_2d(x[0, 0], x)[0], lambda t, x: t.atleast_3d((x[0, 0], x[0]))[0],
    lambda t, x: t.atleast_3d(x[0]), lambda t, x: t.block_diag(x[0], x[0, 1], x[1, 0, 0]),
    lambda t, x: t.broadcast_tensors(x[:, :1], x[0, :, :1])[1],
    lambda t, x: t.meshgrid([x[0, 0], x[0, :, 0]], indexing="xy")[0],
    lambda t, x: x.repeat_interleave(t.tensor([2, 0, 1]), 1),
    lambda t, x: x.repeat_interleave(t.tensor([2]), 0),
    lambda t, x: x.scatter(1, t.tensor([[[0, 2, 1, 0]], [[1, 1, 0, 2]]]), x[:, :1] * 2),
    lambda t, x: x.scatter(1, t.tensor([[[0, 2, 1, 0]], [[1, 1, 0, 2]]]), 7.0),
    lambda t, x: x.scatter(2, t.tensor([[[1]]]), value=7.0),
    lambda t, x: x.detach().scatter(-1, t.tensor([[[0, 0, 1]]]), x.detach(), reduce="add"),
    lambda t, x: x.detach().scatter(-1, t.tensor([[[0, 0, 1, 0]]]), x.detach(), reduce="multiply"),
    lambda t, x: x.clone().scatter_(1, t.tensor([[[0, 2, 1, 0]]]), 2.0),
    lambda t, x: x.clone().scatter_add_(1, t.tensor([[[0, 2, 1, 0]]]), x[:1, :1]),
    lambda t, x: x.index_add(1, t.tensor([2, 0, 2]), x * 2, alpha=-0.5),
    lambda t, x: x.index_copy(2, t.tensor([3, 0]), x[..., 1:3] * 2),
    lambda t, x: x.index_fill(1, t.tensor([2, 0]), 4.0), lambda t, x: x.clone().index_add_(
        0, t.tensor([1]), x[:1]), lambda t, x: x.index_fill(0, t.tensor([1]), x[0, 0, 0]),
    lambda t, x: x.index_put((t.tensor([0, 1]), t.tensor([2, 0])), x[0, :2] * 3),
    lambda t, x: x.index_put((t.tensor([0, 0, 1]),), x[0, 0], accumulate=True),
    lambda t, x: x.masked_scatter(x > 0.2, x * 2), lambda t, x: x.masked_scatter(x[0] > 0, x),
    lambda t, x: x.take(t.tensor([[3, -1], [23, 3]])),
    lambda t, x: t.searchsorted(x.detach().sort().values, x.detach().flip(0)),
    lambda t, x: t.searchsorted(x[0, 0].detach(), x, right=True, sorter=t.argsort(x[0, 0])),
    lambda t, x: t.searchsorted(x[0, 0].detach().sort().values, x, side="right"),
    lambda t, x: t.searchsorted(t.tensor([1, 3, 3, 5]), t.tensor([[3, 0], [5, 9]]), out_int32=True),
    lambda t, x: t.bucketize(x, t.tensor([-0.5, 0.0, 0.3])), lambda t, x: t.bucketize(
        t.tensor([1, 2, 3]), t.tensor([1, 2]), right=True),
    lambda t, x: t.bincount(t.tensor([2, 0, 2]), minlength=5),
    lambda t, x: t.bincount(t.tensor([2, 0, 2]), t.tensor([0.5, 1.0, 2.0])),
    lambda t, x: t.unique((x.detach() * 3).round()), lambda t, x: t.unique((x > 0).long(), dim=1),
    lambda t, x: t.unique((x.detach() * 3).round(), return_inverse=True)[1],
    lambda t, x: t.unique((x > 0).long(), return_inverse=True, return_counts=True, dim=1)[1],
    lambda t, x: (x.detach() * 3).round().unique(return_counts=True)[1],
    lambda t, x: t.softmax(x.detach().float(), 1, dtype=t.float64),
    lambda t, x: t.cumsum(x.detach().float(), 1, dtype=t.float64),
    lambda t, x: t.cumprod(x.detach().float(), 1, dtype=t.float64),
    lambda t, x: t.mean(x.detach().float(), dtype=t.float64), lambda t, x: t.std_mean(x, 1)[0],
    lambda t, x: t.prod(x.detach().float(), 1, dtype=t.float64),
    lambda t, x: t.var_mean(x, 1, correction=0)[1], lambda t, x: t.var_mean(x, (0, 2))[0],
    lambda t, x: t.tensordot(x, x, ([1, 2], [1, 2])), lambda t, x: t.tensordot(x, x[0].T, 1),
    lambda t, x: t.cdist(x, x.flip(1)), lambda t, x: t.cdist(x[0], x[1], p=1),
    lambda t, x: t.kron(x[0], x[1, 0]), lambda t, x: t.polygamma(2, x.abs() + 0.1),
    lambda t, x: t.quantile(x, t.tensor([0.2, 0.9], dtype=x.dtype), dim=1, keepdim=True),
    lambda t, x: t.div(x.detach(), 0.3, rounding_mode="floor"),
    lambda t, x: t.nan_to_num(x / (x * 0), posinf=1.0, neginf=-1.0) + x,
    lambda t, x: t.logdet(x @ x.mT + t.eye(3, dtype=x.dtype)),
    lambda t, x: t.lu_unpack(*t.lu(x[..., :3]))[2], lambda t, x: t.lu(x[..., :3])[1],
    lambda t, x: t.linalg.solve(x[..., :3], x), lambda t, x: t.linalg.solve(x[..., :3], x[..., 3]),
    lambda t, x: t.linalg.solve(x[..., :3], x[:, :2, :3], left=False),
    lambda t, x: t.linalg.solve_triangular(x[..., :3], x, upper=True),
    lambda t, x: t.linalg.solve_triangular(x[0, :, :3], x, upper=False, unitriangular=True),
    lambda t, x: t.linalg.cholesky(x @ x.mT + t.eye(3, dtype=x.dtype), upper=True),
    lambda t, x: t.linalg.eigh(x @ x.mT)[1] ** 2, lambda t, x: t.linalg.eigvalsh(x @ x.mT, "U"),
    lambda t, x: t.linalg.svd(x, full_matrices=False)[0] ** 2, lambda t, x: t.linalg.svdvals(x),
    lambda t, x: t.linalg.svd(x[..., :3]).Vh ** 2, lambda t, x: t.linalg.svd(x.mT, False)[2] ** 2,
    lambda t, x: t.linalg.qr(x)[1], lambda t, x: t.linalg.qr(x.mT).Q, lambda t, x: t.linalg.lu(
        x[..., :3])[1], lambda t, x: t.linalg.lu_factor(x[..., :3])[1], lambda t, x: t.linalg.det(
        x[..., :3]), lambda t, x: t.linalg.multi_dot([x[0], x[1].T, x[0]]),
    lambda t, x: t.linalg.norm(x), lambda t, x: t.linalg.norm(x, dim=(1, 2)), lambda t, x:
        t.linalg.norm(x[0], "nuc"), lambda t, x: t.linalg.norm(x, 3, 1), lambda t, x:
        t.linalg.norm(x[0], 2), lambda t, x: t.linalg.vector_norm(x, 1, (0, 1), True),
    *(lambda t, x, o=o: t.linalg.matrix_norm(x, o, keepdim=True) for o in (
        "fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf"))),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(EXPRESSIONS)))
def test_methods(case: int) -> None:
    agree(*EXPRESSIONS[case], sample((2, 3, 4), 1, distinct=True, avoid=(0.0, -0.4, 0.6, 0.1)))


@pytest.mark.parametrize("case", range(len(FUNCTIONS)))
def test_functions(case: int) -> None:
    f = FUNCTIONS[case]
    x = sample((2, 3, 4), 2, distinct=True, avoid=(0.0, 0.2, 0.3, -0.5, 0.5))
    agree(lambda x: f(tg, x), lambda x: f(torch, x), x)


@pytest.mark.parametrize(
    "f",
    [lambda x: x.relu(), lambda x: x.abs(), lambda x: x.amax(), lambda x: x.amin(0),
     lambda x: x.max(), lambda x: x.max(0).values, lambda x: x.min(0).values, lambda x: x.norm(),
     lambda x: x.sign() * x, lambda x: x**2, lambda x: x**0, lambda x: x.prod()],
)  # fmt: skip
@pytest.mark.parametrize("at", [[0.0, 0.0, 0.0], [0.0, 1.0, 1.0], [-2.0, -2.0, 0.0]])
def test_kinks_and_ties(f: Callable, at: list[float]) -> None:
    agree(f, f, np.array(at))


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_ties_of_two_tensors(name: str) -> None:
    agree(getattr(tg, name), getattr(torch, name), np.array([1.0, 2.0]), np.array([1.0, 3.0]))


# --- random programs ------------------------------------------------------------------------------


@settings(max_examples=60)
@given(programs(max_ops=15, dtype=tg.float64))
def test_random_programs(program: Program) -> None:
    xs = [x.numpy().copy() for x in program.inputs]
    here, beside = program.function(), program.function(torch)
    for k in (0, -1):
        agree(lambda *a, k=k: here(*a)[k], lambda *a, k=k: beside(*a)[k], *xs, rtol=1e-8)


# --- promotion ------------------------------------------------------------------------------------

DTYPES = ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"]
OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "gt": lambda x, y: x > y,
}


def operand(lib: Any, dtype: str, shape: tuple[int, ...]) -> Any:
    return lib.ones(shape, dtype=getattr(lib, dtype))


@pytest.mark.parametrize("op", OPERATIONS)
@pytest.mark.parametrize("right_shape", [(), (2,)])
def test_promotion_of_two_tensors(op: str, right_shape: tuple[int, ...]) -> None:
    wrong = []
    for left, right in itertools.product(DTYPES, DTYPES):
        out, expected = (
            str(OPERATIONS[op](operand(lib, left, (2,)), operand(lib, right, right_shape)).dtype)
            for lib in (tg, torch)
        )
        if out != expected.removeprefix("torch."):
            wrong.append(f"{left} {right} {right_shape}: {out}, PyTorch {expected}")
    assert not wrong, wrong


@pytest.mark.parametrize("op", OPERATIONS)
def test_promotion_with_numbers(op: str) -> None:
    wrong = []
    for dtype, number, shape in itertools.product(DTYPES, [True, 2, 2.5], [(), (2,)]):
        for swap in (False, True):
            got = []
            for lib in (tg, torch):
                pair = (operand(lib, dtype, shape), number)
                got.append(str(OPERATIONS[op](*(pair[::-1] if swap else pair)).dtype))
            if got[0] != got[1].removeprefix("torch."):
                wrong.append(f"{dtype}{shape} with {number!r}: {got}")
    assert not wrong, wrong


@pytest.mark.parametrize("name", ["sum", "prod", "cumsum", "amax", "exp", "sqrt", "abs", "square"])
def test_dtypes_of_functions(name: str) -> None:
    for dtype in DTYPES:
        if name in ("abs", "amax", "square") and dtype == "bool":
            continue
        args = (0,) if name in ("cumsum",) else ()
        out, expected = (getattr(operand(lib, dtype, (2,)), name)(*args) for lib in (tg, torch))
        assert str(out.dtype) == str(expected.dtype).removeprefix("torch."), dtype


@pytest.mark.parametrize("data", [1, 1.0, True, [1, 2], [1, 2.0], [], [True, False], [[1], [2]]])
def test_dtypes_of_data(data: Any) -> None:
    here, beside = tg.tensor(data), torch.tensor(data)
    assert str(here.dtype) == str(beside.dtype).removeprefix("torch.")
    assert here.shape == tuple(beside.shape) and here.tolist() == beside.tolist()


# --- indexing -------------------------------------------------------------------------------------

INDICES: list[Any] = [
    0, -1, slice(0, 1), (slice(None), slice(0, 3, 2)), (..., 2), None, (None, 1, ..., None),
    (1, 2, 3), (1, slice(1, 3), None, ..., slice(None, None, 2)), [1, 0, 1],
    (slice(None), [2, 0, 2]), np.array([[0, 1], [1, 1]]), (np.array([0, 1]), np.array([2, 0])),
    (np.array([0, 1]), slice(None), np.array([2, 0])), (np.array([[0], [1]]), np.array([2, 0])),
    (0, slice(None), np.array([3, 0])), (np.array([1, 0]), None), np.eye(2, 3) > 0,
    np.arange(24).reshape(2, 3, 4) % 5 == 0, (slice(None), np.array([True, False, True])),
    (0, None, np.array([2, 0])), (np.array([1, 0]), slice(None), 2), (0, ..., np.array([True] * 4)),
    (np.int64(1), slice(0, 2), np.array([[3, 0]])), (-1, None, slice(None, None, 2), [1, 1], None),
    (np.array(1), slice(None), np.array([1, 3])), (slice(None), 0, None, np.array([1, 3])),
    (..., np.array([0, -1])), slice(2, 2), [], True, (np.array(1), np.array(2)),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(INDICES)))
def test_indexing(case: int) -> None:
    index = INDICES[case]
    here = tuple(tg.tensor(i) if isinstance(i, np.ndarray) else i for i in index) if isinstance(
        index, tuple) else tg.tensor(index) if isinstance(index, np.ndarray) else index  # fmt: skip
    agree(lambda x: x[here], lambda x: x[there(index)], sample((2, 3, 4), 1))


@pytest.mark.parametrize("case", range(len(INDICES)))
def test_assignment(case: int) -> None:
    index = INDICES[case]
    x, y = np.zeros((2, 3, 4)), torch.zeros(2, 3, 4, dtype=torch.float64)
    here = tg.from_numpy(x)
    here[index if not isinstance(index, np.ndarray) else tg.tensor(index)] = 2.5
    y[there(index)] = 2.5
    np.testing.assert_array_equal(here.numpy(), y.numpy())


# --- in place -------------------------------------------------------------------------------------


def add_to_clone(x: Any, y: Any) -> Any:
    h = x.clone()
    h += y
    return h * y


def chain(x: Any, y: Any) -> Any:
    h = x * 2
    h.mul_(y).tanh_()
    h = h - x
    return h.exp_()


def assign(x: Any, y: Any) -> Any:
    h = x * 1
    h[0] = y[1] * 2
    h[:, 1:] = x[:, :-1] * 3
    return h


def assign_beside_an_int(x: Any, y: Any) -> Any:
    h = x * 1
    h[1, None, [0, 3]] = y[0, None, [1, 2]] * 2
    return h * x


def mask(x: Any, y: Any) -> Any:
    h = x * y
    h[y > 0] = 0.5
    return h * h


@pytest.mark.parametrize("f", [add_to_clone, chain, assign, assign_beside_an_int, mask])
def test_in_place_gradients(f: Callable) -> None:
    agree(f, f, sample((3, 4), 1), sample((3, 4), 2))


def write_saved(t: Any) -> Any:
    x = t.ones(3, requires_grad=True)
    h = x * 2
    out = h * h
    h += 1
    return out.sum().backward()


def write_output(t: Any) -> Any:
    x = t.ones(3, requires_grad=True)
    out = x.exp()
    out += 1
    return out.sum().backward()


def write_unneeded(t: Any) -> Any:
    x = t.ones(3, requires_grad=True)
    h = x * 2
    out = h + h
    h += 1
    out.sum().backward()
    return x.grad


def write_leaf(t: Any) -> Any:
    x = t.ones(3, requires_grad=True)
    x += 1
    return x


def write_leaf_detached(t: Any) -> Any:
    x = t.ones(3, requires_grad=True)
    out = x * x
    x.detach().add_(1)
    return out.sum().backward()


def write_leaf_data(t: Any) -> Any:
    x = t.ones(3, requires_grad=True)
    out = x * x
    x.data.add_(1)
    out.sum().backward()
    return x.grad


def write_before_use(t: Any) -> Any:
    x = t.ones(3, requires_grad=True)
    with t.no_grad():
        x += 1
    (x * x).sum().backward()
    return x.grad


def twice(t: Any) -> Any:
    x = t.ones(3, requires_grad=True)
    out = (x * x).sum()
    out.backward()
    return out.backward()


def twice_retained(t: Any) -> Any:
    x = t.ones(3, requires_grad=True)
    out = (x * x).sum()
    out.backward(retain_graph=True)
    out.backward()
    return x.grad


def write_integer(t: Any) -> Any:
    x = t.tensor([1, 2])
    x += 0.5
    return x


def write_wider(t: Any) -> Any:
    x = t.ones(2)
    x += t.ones(2, dtype=t.float64)
    return x


def grow(t: Any) -> Any:
    x = t.ones(2)
    x += t.ones(3, 2)
    return x


@pytest.mark.parametrize(
    "f",
    [write_saved, write_output, write_unneeded, write_leaf, write_leaf_detached, write_leaf_data,
     write_before_use, twice, twice_retained, write_integer, write_wider, grow],
)  # fmt: skip
def test_both_raise_or_both_give_the_same(f: Callable) -> None:
    same_fate(lambda: f(tg), lambda: f(torch))


def same_fate(f: Callable[[], Any], g: Callable[[], Any]) -> None:
    try:
        expected, error = g(), None
    except Exception as caught:  # noqa: BLE001  (whatever PyTorch raises, tinygen must raise)
        expected, error = None, caught
    if error is None:
        out = f()
        if expected is not None:
            assert out.tolist() == expected.tolist()
            assert str(out.dtype) == str(expected.dtype).removeprefix("torch.")
    else:
        with pytest.raises(type(error)):
            f()


# --- errors ---------------------------------------------------------------------------------------

MISTAKES: list[Callable[[Any], Any]] = [
    lambda t: t.ones(2, 3) + t.ones(4), lambda t: t.ones(2, 3) @ t.ones(2, 3),
    lambda t: t.ones(3) @ t.ones(4), lambda t: t.ones(2, 2) @ t.ones(2, 2, dtype=t.float64),
    lambda t: t.ones(2, 3).reshape(4), lambda t: t.ones(2, 3).permute(0),
    lambda t: t.ones(2, 3).transpose(0, 2), lambda t: t.ones(2, 3).expand(3, 3),
    lambda t: t.ones(2, 3).sum(2), lambda t: t.ones(2, 3)[2], lambda t: t.ones(2, 3)[0, 0, 0],
    lambda t: t.ones(2, 3).squeeze(2), lambda t: t.ones(2, 3).unsqueeze(4),
    lambda t: t.cat([t.ones(2, 3), t.ones(3, 2)]), lambda t: t.stack([t.ones(2), t.ones(3)]),
    lambda t: t.ones(2, requires_grad=True).backward(), lambda t: t.ones(()).backward(),
    lambda t: t.tensor([1], requires_grad=True), lambda t: t.ones(2).item(),
    lambda t: bool(t.ones(2)), lambda t: t.ones(2, requires_grad=True).numpy(),
    lambda t: t.ones(3).topk(4), lambda t: t.ones(2).to("gpu"), lambda t: len(t.ones(())),
    lambda t: t.ones(0, 2).amax(0), lambda t: t.ones(0).argmax(), lambda t: t.tensor([[1], [2, 3]]),
    lambda t: t.einsum("ij,jk->ik", t.ones(2, 3), t.ones(2, 3)), lambda t: t.arange(3).mean(),
    lambda t: t.ones(2, 3).gather(1, t.zeros(2, dtype=t.int64)),
    lambda t: t.where(t.ones(2) > 0, t.ones(3), t.ones(3)), lambda t: t.ones(2).masked_fill(
        t.ones(2), 0.0), lambda t: t.bernoulli(t.tensor([2.0])), lambda t: t.zeros(-1),
    lambda t: t.autograd.grad(t.ones(2, requires_grad=True).sum(), t.ones(2)),
    lambda t: t.autograd.grad(t.ones(2, requires_grad=True).sum(), t.ones(2, requires_grad=True)),
    lambda t: t.nn.functional.pad(t.ones(1, 2, 3), (3, 0), mode="reflect"),
    lambda t: t.nn.functional.one_hot(t.tensor([3]), 2), lambda t: t.ones(2).clamp(),
    lambda t: t.ones(2, 3).flatten(1, 0), lambda t: t.ones(2, 3).split([1, 2]),
    lambda t: (t.ones(2, requires_grad=True) * 2).backward(t.ones(3)),
    lambda t: (t.ones(2, requires_grad=True) * 2).requires_grad_(False),
    lambda t: t.ones(2, 3).view(7), lambda t: t.ones(4, 4).T.chunk(0),
    lambda t: t.ones(2) + "a", lambda t: t.eye(2)[t.tensor([0.5])],
    lambda t: t.linalg.inv(t.zeros(2, 2)), lambda t: t.linalg.cholesky(-t.eye(2)), lambda t:
        t.inverse(t.ones(2, 3)), lambda t: t.linalg.solve(t.eye(2), t.ones(3, 1)), lambda t:
        t.ones(3).kthvalue(4), lambda t: t.ones(3).quantile(1.5), lambda t: t.cdist(t.ones(2, 3),
        t.ones(2, 4)), lambda t: t.tensordot(t.ones(2, 3), t.ones(2, 3), 1), lambda t: t.trace(
        t.ones(2)), lambda t: t.div(t.ones(2), 2, rounding_mode="up"), lambda t: t.ones(2).int(
        ).fmod(0), lambda t: t.ones(2).detach().register_hook(print), lambda t: t.linalg.eigh(
        t.ones(2, 3)), lambda t: t.polygamma(-1, t.ones(2)), lambda t: t.arange(3).quantile(0.5),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(MISTAKES)))
def test_mistakes_raise_in_both(case: int) -> None:
    f = MISTAKES[case]
    with pytest.raises(Exception) as there:
        f(torch)
    with pytest.raises((type(there.value), TypeError, ValueError, IndexError, RuntimeError)):
        f(tg)


# --- higher order ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "silu", "gelu", "elu"])
@given(x=tensors((3,), dtype=tg.float64))
def test_second_derivatives(name: str, x: tg.Tensor) -> None:
    both = []
    for lib, fun, v in ((tg, F, x.clone()), (torch, TF, torch.tensor(x.numpy().copy()))):
        v.requires_grad_()
        (g,) = lib.autograd.grad(getattr(fun, name)(v).sum(), v, create_graph=True)
        (h,) = lib.autograd.grad((g * g).sum(), v)
        both.append(h.numpy())
    np.testing.assert_allclose(both[0], both[1], rtol=1e-9, atol=1e-10)


def test_gradient_penalty() -> None:
    w, x, got = sample((4, 3), 0), sample((5, 4), 1), []
    for lib in (tg, torch):
        a, b = lib.tensor(w, requires_grad=True), lib.tensor(x, requires_grad=True)
        (g,) = lib.autograd.grad((b @ a).tanh().logsumexp(1).sum(), b, create_graph=True)
        ((g.norm(dim=1) - 1) ** 2).mean().backward()
        got.append(a.grad.numpy())
    np.testing.assert_allclose(got[0], got[1], rtol=1e-10)
