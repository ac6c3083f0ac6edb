"""device="cuda" without a GPU: the whole library on the stand-in of fake_cupy.py, whose kernels run
in the emulator, against the same on the CPU.

What this proves: nothing is mixed across devices, nothing is used that CuPy lacks, the launch layer
gets what it needs, and the numbers agree. Where there is a GPU the same tests run on it, without
the stand-in; what only a GPU can say besides is in `make gpu-check`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fake_cupy
import numpy as np
import pytest
from test_registry import CASES, inputs

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import Tensor, backend, cuda, data, metrics
from tinygen.backend import move
from tinygen.cuda.fused import AdamTables
from tinygen.models import diffusion, gan, latent, likelihoods, nets, vae
from tinygen.models.vae import annealing, bounds, hierarchical, reconstruction
from tinygen.models.vae import autoencoder as ae
from tinygen.ops.convert import _to_device
from tinygen.ops.indexing import _put
from tinygen.run import Run
from tinygen.testing import sample

ROOT = Path(__file__).parents[2]

REAL = cuda.is_available()  # a GPU: nothing is stood in for
pytestmark = pytest.mark.skipif(
    not (REAL or cuda.emulator_available()), reason="the emulator needs Linux and g++ or clang++"
)
stand_in = pytest.mark.skipif(REAL, reason="of the stand-in: this machine has a GPU")


@pytest.fixture(autouse=True)
def _cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not REAL:
        fake_cupy.install(monkeypatch)
    yield
    backend.problem.cache_clear()


def close(on_cuda: Any, on_cpu: Any, rtol: float = 1e-9) -> None:
    """Equal values, dtypes and shapes, each on its own device; nested as they come.

    A GPU sums in another order and fuses multiply-adds: float64 agrees to 1e-7 there.
    """
    rtol = max(rtol, 1e-7) if REAL else rtol
    if isinstance(on_cpu, (tuple, list)):
        assert len(on_cuda) == len(on_cpu)
        for a, b in zip(on_cuda, on_cpu, strict=True):
            close(a, b, rtol)
        return
    if on_cpu is None:
        assert on_cuda is None
        return
    assert (on_cuda.device, on_cpu.device) == (tg.device("cuda"), tg.device("cpu"))
    assert (on_cuda.dtype, on_cuda.shape) == (on_cpu.dtype, on_cpu.shape)
    a, b = on_cuda.detach().cpu().numpy(), on_cpu.detach().numpy()
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(np.abs(b).max(initial=0), 1e-30))


def moved(xs: list[Tensor], device: str) -> list[Tensor]:
    return [x.detach().to(device).requires_grad_(x.dtype.kind == "f") for x in xs]


def two_orders(f: Any, xs: list[Tensor]) -> list[Any]:
    """f(*xs), its gradient for random cotangents, and that gradient's own."""
    out = f(*xs)
    outs = [out] if isinstance(out, Tensor) else list(out)
    us = [tg.tensor(sample(o.shape, 7 + i), dtype=o.dtype).to(o.device) for i, o in enumerate(outs)]
    first = tg.autograd.grad(outs, xs, us, create_graph=True, allow_unused=True)
    live = [g for g in first if g is not None and g.requires_grad]
    vs = [
        tg.tensor(sample(g.shape, 70 + i), dtype=g.dtype).to(g.device) for i, g in enumerate(live)
    ]
    second = tg.autograd.grad(live, xs, vs, allow_unused=True) if live else ()
    return [outs, list(first), list(second)]


ON_CUDA: dict[str, Any] = {  # the rows of CASES that name a device or hold an index
    "put": (lambda x: _put(x, shape=(4,), index=move(PUT, x.device)), 0),
    "to_device": (lambda x: _to_device(x * 2, where=str(x.device), back=str(x.device)), 0),
}
PUT = np.array([[0, 2, 1], [2, 2, 0]])


@pytest.mark.parametrize("name", CASES)
def test_every_op_and_its_gradients(name: str) -> None:
    f, _ = {**CASES, **ON_CUDA}[name]
    xs = inputs(name)
    close(two_orders(f, moved(xs, "cuda")), two_orders(f, moved(xs, "cpu")))


SMALL: dict[str, Any] = {
    "softmax": lambda x: x.softmax(0), "log_softmax": lambda x: x.log_softmax(0),
    "logsumexp": lambda x: x.logsumexp(0), "sum": lambda x: x.sum(0), "all": lambda x: x.mean(),
    "amax": lambda x: x.amax(0), "max": lambda x: x.max(0).values, "cumsum": lambda x: x.cumsum(0),
    "cumprod": lambda x: x.cumprod(0), "prod": lambda x: x.prod(),
    "sort": lambda x: x.sort(0).values,
    "topk": lambda x: x.topk(1, 0).values, "flatten": lambda x: x.flatten(),
    "var": lambda x: x.std(),
    "norm": lambda x: x.norm(), "where": lambda x: tg.where(x > 0, x, 0.0), "item": lambda x: x * 2,
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [(), (1,)])
def test_no_dimensions_at_all(name: str, shape: tuple[int, ...]) -> None:
    x = tg.tensor(sample(shape, 3))
    close(two_orders(SMALL[name], moved([x], "cuda")), two_orders(SMALL[name], moved([x], "cpu")))


# --- the ops and functions behind which there is no single op -------------------------------------

INDEX = [[0, 2, 1], [2, 2, 0]]
FUNCTIONS: dict[str, Any] = {
    "gather": lambda x: x.gather(1, here(x, INDEX)),
    "scatter_add": lambda x: x.scatter_add(1, here(x, INDEX), x * 2),
    "take_along_dim": lambda x: x.take_along_dim(here(x, INDEX), 1),
    "index_select": lambda x: x.index_select(1, here(x, [2, 0, 0])),
    "scatter": lambda x: x.scatter(1, here(x, [[0, 2], [2, 1]]), x * 2),
    "scatter, a number": lambda x: x.scatter(1, here(x, [[0, 2], [2, 1]]), 3.0),
    "scatter, multiplied": lambda x: x.scatter(1, here(x, INDEX), x * 2, reduce="multiply"),
    "index_add": lambda x: x.index_add(1, here(x, [2, 2]), x[:, :2], alpha=3),
    "index_copy": lambda x: x.index_copy(1, here(x, [2, 0]), x[:, :2] * 3),
    "index_fill": lambda x: x.index_fill(1, here(x, [2]), 3.0),
    "index_put": lambda x: x.index_put((here(x, [0, 0]),), x[0], accumulate=True),
    "masked_scatter": lambda x: x.masked_scatter(x > 0, x * 2),
    "take": lambda x: x.take(here(x, INDEX)),
    "diag": lambda x: tg.diag(x[0], 1) @ tg.diag(x[0], -1),
    "diagonal written": lambda x: written(x), "block_diag": lambda x: tg.block_diag(x, x[0]),
    "windows": lambda x: x.unfold(1, 2, 1), "patches": lambda x: x.unfold(1, 1, 1),
    "diff": lambda x: x.diff(prepend=x), "rot90": lambda x: x.rot90(), "tile": lambda x: x.tile(2),
    "hstack": lambda x: tg.hstack([x, x]), "dstack": lambda x: tg.dstack([x, x]),
    "tensor_split": lambda x: x.tensor_split(here(x, [1, 2]), 1),
    "interleave by counts": lambda x: x.repeat_interleave(here(x, [2, 0, 1]), 1),
    "grid_sample": lambda x: F.grid_sample(x[None, None], x[None, None, :, :2]),
    "affine_grid": lambda x: F.affine_grid(x[None], (1, 1, 2, 3)),
    "circular": lambda x: F.pad(x[None, None], (1, 1, 1, 0), mode="circular"),
    "masked_fill": lambda x: x.masked_fill(x > 0, 2.0),
    "masked_select": lambda x: x.masked_select(x > 0),
    "index by lists": lambda x: x[[1, 0], [2, 0]],
    "index by numpy": lambda x: x[np.array([1, 0, 0])],
    "index by cpu tensor": lambda x: x[tg.tensor([1, 0, 0]), 1:],
    "index by cuda tensor": lambda x: x[here(x, [1, 0]), 0],
    "index by mask": lambda x: x[x > 0],
    "index by cpu mask": lambda x: x[tg.tensor([True, False])],
    "index by number": lambda x: x[tg.tensor(1), -1],
    "index all ways": lambda x: x[None, ..., ::2, None],
    "embedding": lambda x: F.embedding(here(x, INDEX) % 2, x),
    "cross_entropy": lambda x: F.cross_entropy(x, here(x, [2, 0])),
    "cross_entropy, weighted": lambda x: F.cross_entropy(
        x, here(x, [2, -100]), weight=x.detach()[0].abs(), label_smoothing=0.1),
    "nll_loss": lambda x: F.nll_loss(x, here(x, [2, 0])),
    "kl_div": lambda x: F.kl_div(x, x.detach().softmax(1), reduction="batchmean"),
    "huber": lambda x: F.huber_loss(x, x.detach() * 2),
    "l1": lambda x: F.l1_loss(x, x.detach() + 1),
    "smooth_l1": lambda x: F.smooth_l1_loss(x, x.detach() * 2),
    "gaussian_nll": lambda x: F.gaussian_nll_loss(x, x.detach() * 2, x.square() + 1),
    "cosine": lambda x: F.cosine_similarity(x, x.flip(0)), "normalize": lambda x: F.normalize(x),
    "sort": lambda x: x.sort(1, descending=True).values, "topk": lambda x: x.topk(2, 1).values,
    "max": lambda x: x.max(1).values, "min": lambda x: x.min(0).values,
    "cumprod": lambda x: x.cumprod(1),
    "prod": lambda x: x.prod(1), "std": lambda x: x.std(1), "norms": lambda x: x.norm(p=3, dim=1),
    "inf norm": lambda x: x.norm(p=float("inf"), dim=1), "numbers": lambda x: 2 - 3 / (x + 4) ** 2,
    "number to a power": lambda x: 2.0**x,
    "maximum of number": lambda x: x.maximum(tg.tensor(0.1).to(x)),
    "reflect": lambda x: F.pad(x[None, None], (1, 1, 1, 0), mode="reflect"),
    "replicate": lambda x: F.pad(x[None, None], (1, 1, 1, 0), mode="replicate"),
    "clamp by tensors": lambda x: x.clamp(min=x.detach() * 0), "gelu": lambda x: F.gelu(x),
    "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
    "stack": lambda x: tg.stack([x, x * 2], 1),
    "repeat": lambda x: x.repeat(2, 1), "interleave": lambda x: x.repeat_interleave(2, 1),
    "split": lambda x: x.split([1, 2], 1), "chunk": lambda x: x.chunk(2, 1),
    "unbind": lambda x: x.unbind(0),
    "diagonal": lambda x: x.diagonal(1),
    "einsum's diagonal": lambda x: tg.einsum("ii->i", x[:, :2]),
    "trace": lambda x: tg.einsum("ij,ji", x, x.mT),
    "outer": lambda x: tg.outer(x[0], x[1]), "mv": lambda x: x @ x[0], "dot": lambda x: x[0] @ x[1],
    "bmm": lambda x: x[None] @ x.mT[None], "batched": lambda x: x.expand(4, 2, 3) @ x.mT,
    "attention": lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None],
        is_causal=True),
    "masked attention": lambda x: F.scaled_dot_product_attention(
        x[None], x[None], x[None], attn_mask=here(x, [[True, False], [False, False]])),
    "interpolate": lambda x: F.interpolate(x[None, None], scale_factor=1.5),
    "area": lambda x: F.interpolate(x[None, None], size=(3, 2), mode="area"),
    "avg_pool, padded": lambda x: F.avg_pool2d(x[None, None], 2, 1, 1, count_include_pad=False),
    "median": lambda x: x.median(1).values, "quantile": lambda x: x.quantile(0.3, 1),
    "cummax": lambda x: x.cummax(1).values, "kthvalue": lambda x: x.kthvalue(2).values,
    "logcumsumexp": lambda x: x.logcumsumexp(1), "cdist": lambda x: tg.cdist(x, x.flip(0)),
    "nansum": lambda x: x.nansum(1), "nan_to_num": lambda x: x.nan_to_num(),
    "lerp": lambda x: x.lerp(x.flip(0), 0.3), "kron": lambda x: tg.kron(x, x),
    "tensordot": lambda x: tg.tensordot(x, x, ([1], [1])), "sums": lambda x: tg.add(x, 2, alpha=3),
    "logit": lambda x: x.logit(0.1), "xlogy": lambda x: tg.xlogy(2.0, x.abs()),
    "gamma": lambda x: x.lgamma() + tg.polygamma(2, x), "fmax": lambda x: x.fmax(x.flip(0)),
    "triangular": lambda x: tg.linalg.solve_triangular(x[:, :2], x, upper=True),
    "solve, batched": lambda x: tg.linalg.solve(x[:, :2], x.expand(4, 2, 3)),
    "lu_unpack": lambda x: tg.lu_unpack(*tg.lu(x[:, :2]))[1:], "matrix_norm": lambda x:
        tg.linalg.matrix_norm(x, "nuc"),
    "wide qr": lambda x: tg.linalg.qr(x), "float and back": lambda x: x.float().double(),
    "cpu and back": lambda x: x.cpu().to(x.device) * 2,
    "dropout": lambda x: F.dropout(x, 0.5, generator=tg.Generator().manual_seed(3)),
    "gumbel": lambda x: x + tg.rand_like(x, generator=tg.Generator().manual_seed(3)),
}  # fmt: skip


def written(x: Tensor) -> Tensor:
    out = x * 1.0
    out.diagonal().mul_(x[0, :2])
    return out


def here(like: Tensor, data: Any) -> Tensor:
    return tg.tensor(data, device=like.device)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_and_its_gradients(name: str) -> None:
    x = tg.tensor(sample((2, 3), 5, avoid=(0.0,), distinct=True))
    f = FUNCTIONS[name]
    close(two_orders(f, moved([x], "cuda")), two_orders(f, moved([x], "cpu")))


def test_ops_without_gradients() -> None:
    def run(device: str) -> list[Tensor]:
        x, y = tg.tensor(sample((2, 3), 1)).to(device), tg.tensor(sample((2, 3), 2)).to(device)
        i = tg.tensor(INDEX).to(device)
        return [
            x > y, x <= 0.1, x == y, (x > 0) & (y > 0), (x > 0) | (y > 0), ~(x > 0),
            (x > 0) ^ (y > 0),
            x.isnan(), x.isfinite(), (x * float("inf")).isinf(), x.argmax(1),
            x.argmin(), x.argsort(1),
            x.all(),
            (x > 0).any(1), (x > 0).sum(), i.sum(), i.cumsum(1), i // 2, i % 2, -i, i & 1,
            x.nonzero()[:, 1],
            tg.nn.functional.one_hot(i), tg.where(x > 0)[0], i.float().mean(), i.max(), x.round(),
            x.floor(),
            i.prod(), i.scatter_add(1, i, i), x.long(), x.half().float(), i.bool(),
            tg.zeros_like(x),
            tg.full_like(x, 3), tg.ones_like(i), x.tril(), tg.zeros(2, device=device),
            tg.eye(2, device=device),
            tg.arange(3, device=device), tg.linspace(0, 1, 4, device=device),
            tg.full((2,), 3, device=device),
            tg.as_tensor([1.0, 2.0], device=device), tg.tensor(x), tg.ones(2, device=device).int(),
            tg.isclose(x, x), *tg.meshgrid(x[0], y[1]),
            tg.searchsorted(x[0].sort().values, y), tg.searchsorted(x.sort().values, y, right=True),
            tg.bucketize(x, y[0].sort().values), tg.bincount(i.flatten(), minlength=5),
            tg.bincount(i.flatten(), x.flatten()), *tg.unique(i, return_inverse=True),
            *tg.unique(i % 2, return_counts=True, dim=1),
            tg.tensor([tg.allclose(x, y), tg.equal(x, x)]).to(device),
        ]  # fmt: skip

    close(run("cuda"), run("cpu"), rtol=1e-6)


def test_generators_give_the_same_numbers_on_both_devices() -> None:
    def run(device: str) -> list[Tensor]:
        tg.manual_seed(4)
        p = tg.full((4, 5), 0.3, device=device)
        g = tg.Generator(device=device).manual_seed(9)
        linear = tg.nn.init.kaiming_uniform_(tg.empty(3, 4, device=device))
        drawn = tg.nn.init.trunc_normal_(tg.empty(3, 4, device=device))
        return [
            tg.rand(3, device=device), tg.randn(3, device=device, generator=g),
            tg.randperm(5, device=device),
            tg.randint(0, 9, (4,), device=device), tg.bernoulli(p), tg.multinomial(p, 2),
            tg.randn_like(p),
            tg.multinomial(p, 2, replacement=True), tg.normal(p, 2.0),
            tg.empty(3, device=device).normal_(),
            tg.empty(3, device=device).uniform_(), linear, drawn,
            tg.empty(3, device=device).exponential_(), tg.empty(3, device=device).bernoulli_(0.3),
            p.new_zeros(2), p.new_full((2,), 3), p.new_tensor([1, 2]), p.new_ones(2, 2),
            F.dropout2d(tg.ones(2, 3, 4, 4, device=device)),
            tg.nn.init.orthogonal_(tg.empty(3, 4, device=device)),
            tg.nn.init.eye_(tg.empty(3, 4, device=device)),
        ]  # fmt: skip

    close(run("cuda"), run("cpu"), rtol=0)


def test_in_place() -> None:
    def run(device: str) -> list[Any]:
        x = tg.tensor(sample((3, 4), 1), requires_grad=True)
        x = moved([x], device)[0]
        y = x * 2
        y += 1
        y *= x
        y.sub_(0.5).relu_().clamp_(max=2.0)
        y[0] = 3.0
        y[1, [0, 2]] = x[2, :2]
        y[y > 1.5] = 0.25
        y[2] = [1.0, 2.0, 3.0, 4.0]
        z = tg.zeros(3, 4, dtype=tg.float64, device=device)
        z[0], z[1, 1:3], z[:, 3] = np.arange(4.0), [5, 6], z[0, 1]
        z[1, 0] = tg.tensor(7.0)  # from the CPU, as PyTorch's copy_ does
        z[tg.tensor([2, 1])] = tg.ones(2, 4, dtype=tg.float64, device=device)
        z.fill_(2.0)[1].zero_()
        z.copy_(y.detach())
        return [y, tg.autograd.grad(y.sum(), x)[0], z]

    close(run("cuda"), run("cpu"))


# --- layers ---------------------------------------------------------------------------------------

nn = tg.nn
LAYERS: dict[str, tuple[Any, ...]] = {  # name: how to make it, then the shapes that it takes
    **{n: (getattr(nn, n), (2, 4)) for n in (
        "CELU", "ELU", "GELU", "GLU", "SELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh",
        "LeakyReLU", "LogSigmoid", "Mish", "PReLU", "ReLU", "ReLU6", "Sigmoid", "SiLU", "Softplus",
        "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Identity", "Flatten",
    )},
    **{n: (lambda n=n: getattr(nn, n)(1), (2, 4)) for n in ("Softmax", "LogSoftmax", "Softmin")},
    "Threshold": (lambda: nn.Threshold(0.1, 2.0), (2, 4)),
    "Linear": (lambda: nn.Linear(4, 3), (2, 4)),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 2)), (2, 4)),
    "Dropout": (lambda: nn.Dropout(0.4), (2, 4)),
    "Dropout2d": (lambda: nn.Dropout2d(0.4), (2, 4, 3, 3)),
    "Conv1d": (lambda: nn.Conv1d(2, 3, 2), (2, 2, 5)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(2, 3, 4, 2, 1), (2, 2, 3)),
    "Conv2d, circular": (lambda: nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"),
        (1, 1, 4, 4)),
    "Conv2d": (lambda: nn.Conv2d(2, 4, 3, 2, 1, groups=2), (2, 2, 5, 5)),
    "Conv2d, same": (lambda: nn.Conv2d(2, 3, 2, padding="same", bias=False), (1, 2, 4, 4)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 3, 4, 2, 1), (2, 2, 3, 3)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), (3, 4)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(2), (2, 2, 3, 3)),
    "BatchNorm2d, eval": (lambda: nn.BatchNorm2d(2).eval(), (2, 2, 3, 3)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 3, 3)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(2, affine=True), (2, 2, 3, 3)),
    "LayerNorm": (lambda: nn.LayerNorm(4), (2, 3, 4)),
    "RMSNorm": (lambda: nn.RMSNorm(4), (2, 3, 4)),
    "MaxPool1d": (lambda: nn.MaxPool1d(3, 2, 1, return_indices=True), (1, 2, 5)),
    "AvgPool1d": (lambda: nn.AvgPool1d(2), (1, 2, 4)),
    "AdaptiveAvgPool1d": (lambda: nn.AdaptiveAvgPool1d(3), (1, 2, 5)),
    "AdaptiveMaxPool1d": (lambda: nn.AdaptiveMaxPool1d(3, True), (1, 2, 5)),
    "AdaptiveMaxPool2d": (lambda: nn.AdaptiveMaxPool2d((2, 3), True), (1, 2, 5, 4)),
    "Unfold": (lambda: nn.Unfold(2, padding=1), (1, 2, 3, 4)),
    "Fold": (lambda: nn.Fold((3, 4), 2), (1, 8, 6)),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), (1, 2, 5, 5)),
    "MaxPool2d, indices": (lambda: nn.MaxPool2d(3, 2, 1, 1, True), (1, 2, 5, 5)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), (1, 2, 4, 4)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((2, 3)), (1, 2, 5, 4)),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), (1, 4, 2, 2)),
    "PixelUnshuffle": (lambda: nn.PixelUnshuffle(2), (1, 1, 4, 4)),
    "ChannelShuffle": (lambda: nn.ChannelShuffle(2), (1, 4, 2, 2)),
    "CircularPad2d": (lambda: nn.CircularPad2d(1), (1, 1, 3, 3)),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d(1), (1, 1, 3, 3)),
    "ReplicationPad2d": (lambda: nn.ReplicationPad2d(1), (1, 1, 3, 3)),
    "ZeroPad2d": (lambda: nn.ZeroPad2d(1), (1, 1, 3, 3)),
    "Upsample": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (1, 2, 3, 3)),
    "Upsample, bicubic": (lambda: nn.Upsample(scale_factor=2, mode="bicubic"), (1, 1, 3, 3)),
    "Upsample, lines": (lambda: nn.Upsample(scale_factor=2, mode="linear"), (1, 2, 3)),
    "Upsample, volumes": (lambda: nn.Upsample(3, mode="nearest-exact"), (1, 1, 2, 2, 2)),
    "LSTM": (lambda: nn.LSTM(3, 4), (5, 2, 3)),
    "GRU": (lambda: nn.GRU(3, 4), (5, 2, 3)),
    "RNN": (lambda: nn.RNN(3, 4), (5, 2, 3)),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(4, 2, 3, 0.0), (3, 2, 4)),
    "TransformerDecoderLayer": (
        lambda: nn.TransformerDecoderLayer(4, 2, 3, 0.0), (3, 2, 4), (2, 2, 4)),
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 3, 0.0), 2), (3, 2, 4)),
    "TransformerDecoder": (lambda: nn.TransformerDecoder(
        nn.TransformerDecoderLayer(4, 2, 3, 0.0), 1), (3, 2, 4), (2, 2, 4)),
    "weight_norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (2, 4)),
    "weight_norm, old": (lambda: nn.utils.weight_norm(nn.Linear(4, 3)), (2, 4)),
    "Embedding, all": (lambda: Look(nn.Embedding(5, 3, 1, 0.5, 1.0, True)), (2, 4)),
    "ParameterList": (lambda: Listed(nn.ParameterList([tg.ones(4)])), (2, 4)),
    "HingeEmbeddingLoss": (lambda: Signed(nn.HingeEmbeddingLoss()), (2, 4), (2, 4)),
    "SoftMarginLoss": (lambda: Signed(nn.SoftMarginLoss()), (2, 4), (2, 4)),
    "MarginRankingLoss": (lambda: Signed(nn.MarginRankingLoss()), (2, 4), (2, 4), (2, 4)),
    "MultiMarginLoss": (lambda: Classes(nn.MultiMarginLoss(2)), (2, 4)),
    "PairwiseDistance": (nn.PairwiseDistance, (2, 4), (2, 4)),
    "TripletMarginLoss": (nn.TripletMarginLoss, (2, 4), (2, 4), (2, 4)),
    "CosineEmbeddingLoss": (lambda: Signed(nn.CosineEmbeddingLoss()), (2, 4), (2, 4), (2,)),
    "PoissonNLLLoss": (lambda: Positive(nn.PoissonNLLLoss(full=True)), (2, 4), (2, 4)),
    "MultiheadAttention": (lambda: Attend(nn.MultiheadAttention(4, 2, batch_first=True)),
        (2, 3, 4)),
    "Sequential": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh()), (2, 4)),
    "ModuleList": (lambda: nn.ModuleList([nn.Linear(4, 3)])[0], (2, 4)),
    "ModuleDict": (lambda: nn.ModuleDict({"a": nn.Linear(4, 3)})["a"], (2, 4)),
    "Embedding": (lambda: Look(nn.Embedding(5, 3)), (2, 4)),
    "spectral_norm": (lambda: nn.utils.spectral_norm(nn.Linear(4, 3)), (2, 4)),
    **{n: (getattr(nn, n), (2, 4), (2, 4)) for n in ("MSELoss", "L1Loss", "SmoothL1Loss",
        "HuberLoss")},
    "BCELoss": (lambda: Between(nn.BCELoss()), (2, 4), (2, 4)),
    "BCEWithLogitsLoss": (lambda: Between(nn.BCEWithLogitsLoss(), False), (2, 4), (2, 4)),
    "CrossEntropyLoss": (lambda: Classes(nn.CrossEntropyLoss()), (2, 4)),
    "NLLLoss": (lambda: Classes(nn.NLLLoss()), (2, 4)),
    "KLDivLoss": (lambda: nn.KLDivLoss(reduction="batchmean"), (2, 4), (2, 4)),
    "GaussianNLLLoss": (lambda: Positive(nn.GaussianNLLLoss()), (2, 4), (2, 4)),
}  # fmt: skip


class Wrapped(nn.Module):
    def __init__(self, inner: Any, *more: Any) -> None:
        super().__init__()
        self.inner, self.more = inner, more


class Attend(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, x, x)[0]


class Look(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.inner(here(x, INDEX)) * x.sum()


class Between(Wrapped):
    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.inner(x if self.more else x.sigmoid(), t.sigmoid())


class Listed(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.inner[0]


class Signed(Wrapped):
    def forward(self, *xs: Tensor) -> Tensor:
        return self.inner(*xs[:-1], xs[-1].sign())


class Classes(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, here(x, [3, 1]))


class Positive(Wrapped):
    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        more = (t.exp(),) if isinstance(self.inner, nn.GaussianNLLLoss) else ()
        return self.inner(x, *more, t.exp() + 1)


def test_every_layer_has_a_row() -> None:
    classes = {n for n in nn.__all__ if n[0].isupper() and n not in ("Module", "Parameter")}
    assert classes <= set(LAYERS), f"add a row for {classes - set(LAYERS)}"


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_its_gradients_and_its_state(name: str) -> None:
    make, *shapes = LAYERS[name]

    def run(device: str) -> list[Any]:
        tg.manual_seed(1)
        layer = make().double().to(device)
        xs = [
            tg.tensor(sample(s, i, avoid=(0.0,), distinct=True)).to(device)
            for i, s in enumerate(shapes)
        ]
        tensors = moved(xs, device) + list(layer.parameters())
        out = first = layer(*tensors[: len(xs)])
        while not isinstance(out, Tensor):
            out = out[0]
        found = two_orders(lambda *_: out, [t for t in tensors if t.requires_grad])
        return [
            found,
            list(layer.state_dict().values()),
            first if isinstance(first, Tensor) else None,
        ]

    close(run("cuda"), run("cpu"), rtol=1e-8)


# --- optimizers, schedules, averages --------------------------------------------------------------

optim = tg.optim
OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda ps: optim.SGD(ps, lr=0.1),
    "momentum": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True, maximize=True),
    "RMSprop": lambda ps: optim.RMSprop(ps, lr=0.01, momentum=0.5, centered=True),
    "Adam": lambda ps: optim.Adam(ps, lr=0.01),
    "Adam, decay": lambda ps: optim.Adam(ps, lr=0.01, weight_decay=0.1, betas=(0.5, 0.9)),
    "Adam, maximize": lambda ps: optim.Adam(ps, lr=0.01, maximize=True),
    "amsgrad": lambda ps: optim.Adam(ps, lr=0.01, amsgrad=True),
    "AdamW": lambda ps: optim.AdamW(ps, lr=0.01, weight_decay=0.1, eps=1e-3),
    "Adagrad": lambda ps: optim.Adagrad(ps, lr=0.01, lr_decay=0.1, weight_decay=0.1),
    "Muon": lambda ps: optim.Muon([p for p in ps if p.ndim > 1], lr=0.01),
}


def network(dtype: Any = tg.float32) -> Any:
    tg.manual_seed(2)
    return nn.Sequential(
        nn.Unflatten(1, (1, 4, 4)), nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4),
        nn.SiLU(),
        nn.Flatten(), nn.Linear(64, 3),
    ).to(dtype)  # fmt: skip


def train(
    model: Any, opt: Any, steps: int, after: Any = lambda: None, seed: int = 0
) -> list[Tensor]:
    """A few steps on random data; the losses."""
    device, dtype = next(model.parameters()).device, next(model.parameters()).dtype
    losses, source = [], tg.Generator().manual_seed(seed)
    for _ in range(steps):
        x = tg.randn(5, 16, dtype=dtype, device=device, generator=source)
        loss = F.cross_entropy(model(x), tg.tensor([0, 1, 2, 1, 0], device=device))
        opt.zero_grad()
        loss.backward()
        opt.step()
        after()
        losses.append(loss.detach())
    return losses


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_the_same_ten_steps(name: str, dtype: Any) -> None:
    def run(device: str) -> list[Any]:
        model = network(dtype).to(device)
        opt = OPTIMIZERS[name](model.parameters())
        losses = train(model, opt, 10)
        state = [v for s in opt.state_dict()["state"].values() for v in s.values()]
        return [losses, list(model.parameters()), [v for v in state if isinstance(v, Tensor)]]

    close(run("cuda"), run("cpu"), rtol=1e-8 if dtype == tg.float64 else 2e-4)


def test_adam_runs_as_a_kernel_where_it_fits_and_only_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    step = AdamTables.step
    monkeypatch.setattr(
        AdamTables, "step",
        lambda self, gs, *args: (calls.append([g.shape for g in gs]), step(self, gs, *args)),
    )  # fmt: skip
    for device, dtype, options in (
        ("cpu", tg.float32, {}), ("cuda", tg.float64, {}), ("cuda", tg.float32, {"amsgrad": True}),
    ):  # fmt: skip
        model = network(dtype).to(device)
        train(model, optim.Adam(model.parameters(), **options), 1)
    assert not calls
    model = network().to("cuda")
    train(model, optim.AdamW(model.parameters()), 2)
    assert calls == 2 * [[p.shape for p in model.parameters()]]  # one launch a step


@pytest.mark.parametrize("name", ["Adam", "Adam, decay", "Adam, maximize", "AdamW"])
def test_the_adam_kernel_is_adam_in_the_emulators_check_mode(name: str) -> None:
    def run() -> list[Any]:
        w = tg.tensor(sample((5, 77), 1), dtype=tg.float32, requires_grad=True)
        opt = OPTIMIZERS[name]([w])
        for k in range(4):
            w.grad = tg.tensor(sample((77, 5), 10 + k), dtype=tg.float32).mT  # not C-contiguous
            opt.step()
        return [w, opt.state[w]["exp_avg"], opt.state[w]["exp_avg_sq"]]

    expected = run()
    with cuda.emulated():
        found = run()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=2e-5, atol=1e-6)


def test_schedules_averages_and_clipping() -> None:
    def run(device: str) -> list[Any]:
        model = network(tg.float64).to(device)
        opt, ema = optim.SGD(model.parameters(), lr=0.1), optim.EMA(model, 0.9)
        schedule = optim.lr_scheduler.CosineAnnealingLR(opt, T_max=5)
        norms = [nn.utils.clip_grad_norm_(model.parameters(), 1.0)]

        def after() -> None:
            schedule.step()
            ema.update()
            norms.append(nn.utils.clip_grad_norm_(model.parameters(), 0.5))
            nn.utils.clip_grad_value_(model.parameters(), 0.1)

        train(model, opt, 3, after)
        optim.clip_weights_(model.parameters(), 0.2)
        with ema.swap():
            inside = [p.clone() for p in model.parameters()]
        other = optim.EMA(network(tg.float64))  # on the CPU: takes over what the GPU has
        other.load_state_dict(ema.state_dict())
        vector = nn.utils.parameters_to_vector(model.parameters())
        nn.utils.vector_to_parameters(vector * 2, model.parameters())
        return [inside, list(model.parameters()), norms[1:]]

    close(run("cuda"), run("cpu"))


# --- moving, saving, loading ----------------------------------------------------------------------


def test_to_cuda_cpu_and_numpy() -> None:
    x = tg.tensor(sample((2, 3), 1), requires_grad=True)
    y = x.cuda()
    assert (y.device, y.is_cuda, str(y.device), y.device.index) == (
        tg.device("cuda:0"),
        True,
        "cuda",
        0,
    )
    assert y.to("cuda") is y and y.cuda() is y and x.cpu() is x and "device='cuda'" in repr(y)
    (y * y).sum().backward()
    assert x.grad.device == "cpu" and np.allclose(x.grad.numpy(), 2 * x.detach().numpy())
    z = y.detach()
    assert z.cpu().numpy().tolist() == z.tolist() and z[0, 0].item() == float(z[0, 0])
    assert (z.to(x).device, x.to("cuda", tg.float32).dtype) == (tg.device("cpu"), tg.float32)
    assert bool(z.sum() > -99) and len(z) == 2 and [row.shape for row in z] == [(3,), (3,)]
    assert f"{z[0, 0]:.3f}" == f"{x.detach()[0, 0]:.3f}" and int(tg.ones(1, device="cuda")) == 1
    for refused in (z.numpy, lambda: np.asarray(z), lambda: np.array(z)):
        with pytest.raises(
            TypeError, match=r"can't convert a cuda tensor to numpy; use tensor.cpu"
        ):
            refused()


def test_modules_move_with_their_buffers_and_gradients() -> None:
    model = network()
    opt = optim.Adam(model.parameters())
    train(model, opt, 1)
    assert model.to("cuda") is model
    assert {t.device.type for t in model.state_dict().values()} == {"cuda"}
    assert {p.grad.device.type for p in model.parameters()} == {"cuda"}
    assert {t.device.type for t in model.cpu().state_dict().values()} == {"cpu"}
    assert {p.device.type for p in model.cuda().parameters()} == {"cuda"}
    model.zero_grad(set_to_none=False)
    opt.zero_grad(set_to_none=False)
    assert all(not p.grad.cpu().numpy().any() for p in model.parameters())


def test_modules_are_made_on_the_gpu() -> None:
    def made(device: str) -> list[Any]:
        tg.manual_seed(1)
        layers = [
            nn.Linear(3, 2, device=device),
            nn.Conv2d(2, 3, 3, device=device),
            nn.BatchNorm2d(2, device=device),
            nn.Embedding(4, 3, device=device),
            nn.LayerNorm(3, device=device),
        ]
        return [t for layer in layers for t in layer.state_dict().values()]

    close(made("cuda"), made("cpu"))


def test_half_precision_goes_through_single_precision() -> None:
    def run(device: str) -> list[Any]:
        x, w, v = moved(
            [tg.tensor(sample(s, i), dtype=tg.float16) for i, s in enumerate(HALF)], device
        )
        out = F.conv_transpose2d(F.conv2d(x, w, padding=1), v, stride=2)
        return [out, *tg.autograd.grad(out.sum(), [x, w, v])]

    close(run("cuda"), run("cpu"), rtol=1e-2)


HALF = [(1, 2, 4, 4), (4, 2, 3, 3), (4, 2, 2, 2)]


@pytest.mark.parametrize("here, there", [("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda")])
def test_a_checkpoint_of_one_device_goes_on_on_the_other(
    here: str, there: str, tmp_path: Any
) -> None:
    def made(device: str) -> tuple[Any, Any]:
        model = network(tg.float64).to(device)
        return model, optim.Adam(model.parameters(), lr=0.01)

    model, opt = made(here)
    train(model, opt, 3)
    tg.save(
        {"model": model.state_dict(), "opt": opt.state_dict(), "z": model[1].weight},
        tmp_path / "a.npz",
    )
    expected = train(model, opt, 3, seed=1)
    loaded = tg.load(tmp_path / "a.npz", map_location=there)
    assert loaded["z"].device == there and loaded["model"]["1.weight"].device == there
    for content in (loaded, tg.load(tmp_path / "a.npz")):  # map_location need not be right
        model, opt = made(there)
        model.load_state_dict(content["model"])
        opt.load_state_dict(content["opt"])
        found = train(model, opt, 3, seed=1)
        assert {
            v.device.type for s in opt.state.values() for v in s.values() if isinstance(v, Tensor)
        } == {there}
        np.testing.assert_allclose(
            [f.item() for f in found], [e.item() for e in expected], rtol=1e-9
        )


@pytest.mark.parametrize("here, there", [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_run_goes_on_on_the_other_device(here: str, there: str, tmp_path: Any) -> None:
    def go(folder: Any, device: str, steps: int, resume: bool) -> list[float]:
        model = network(tg.float64).to(device)
        opt = optim.Adam(model.parameters())
        ema = optim.EMA(model)
        loader = data.DataLoader(
            data.TensorDataset(tg.tensor(sample((20, 16), 1))), 5, shuffle=True
        )
        run, losses = Run(folder, resume=resume), []
        run.track(model=model, opt=opt, ema=ema, loader=loader)
        for _, (x,) in zip(run.steps(steps), loader.forever()):
            loss = (
                (model(x.to(device)) + tg.randn(5, 3, dtype=tg.float64, device=device))
                .square()
                .mean()
            )
            opt.zero_grad()
            loss.backward()
            opt.step()
            ema.update()
            run.log(loss=loss)
            losses.append(loss.item())
        return losses

    whole = go(tmp_path / "whole", here, 7, False)
    tg.manual_seed(0)
    first = go(tmp_path / "parts", here, 4, False)
    second = go(tmp_path / "parts", there, 7, True)
    np.testing.assert_allclose(first + second, whole, rtol=1e-9)


def test_batches_are_moved_or_drawn_on_the_device() -> None:
    x, y = tg.tensor(sample((6, 4), 1)), tg.arange(6)
    both = []
    for device in ("cpu", "cuda"):
        tg.manual_seed(0)
        on_device = data.TensorDataset(x.to(device), y.to(device))
        both.append([b for batch in data.DataLoader(on_device, 4, shuffle=True) for b in batch])
    close(both[1], both[0])
    items = data.DataLoader([(a, int(b)) for a, b in zip(x.cuda(), y, strict=True)], 3)
    assert [(a.device.type, a.shape) for a, _ in items] == [("cuda", (3, 4))] * 2


def test_a_vae_trains_to_the_same_losses() -> None:
    def run(device: str, net: Any) -> list[Any]:
        tg.manual_seed(5)
        encoder, decoder = net
        model = vae.VAE(encoder, decoder, likelihoods.Bernoulli(), 2).double().to(device)
        opt = optim.Adam(model.parameters(), lr=1e-2)
        x = tg.tensor(sample((4, 1, 8, 8), 1, 0.0, 1.0)).to(device)
        losses = []
        for _ in range(5):
            loss = -model(likelihoods.binarise(x)).elbo
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.detach())
        samples = model.sample(3, tg.Generator().manual_seed(1))
        return [
            losses,
            samples,
            model.log_prob(x, 4, tg.Generator().manual_seed(1)),
            model.reconstruct(x),
        ]

    def pair(kind: str) -> Any:
        tg.manual_seed(6)
        return nets.AUTOENCODERS[kind]((1, 8, 8), 2, 16)

    for kind in ("mlp", "conv"):
        close(run("cuda", pair(kind)), run("cpu", pair(kind)), rtol=1e-7)


def images() -> Tensor:
    return tg.tensor(sample((4, 1, 8, 8), 1, 0.05, 0.95))


def small_vae() -> Any:
    return vae.VAE(*nets.mlp_autoencoder((1, 8, 8), 2, 16), likelihoods.Gaussian(), 2).double()


MODELS: dict[str, Any] = {  # name: the model, and what is asked of it on x
    "ais": (small_vae, lambda m, x: [*annealing.ais(m, x, chains=2, steps=3, generator=noise())]),
    "iwae": (small_vae, lambda m, x: [bounds.iwae(m.log_weights(x, 3, noise()))]),
    "importance": (
        small_vae,
        lambda m, x: [
            *(r := bounds.importance(m, x, 3, noise())),
            here(x, list(bounds.average(r))).double(),
        ],
    ),
    "conditional": (
        lambda: vae.ConditionalVAE(
            *nets.mlp_autoencoder((1, 8, 8), 2, 16, classes=3), likelihoods.Bernoulli(), 2, 3
        ).double(),
        lambda m, x: [
            *m(likelihoods.binarise(x, noise()), labels=here(x, [0, 2, 1, 1]), generator=noise())
        ],
    ),
    "hierarchical": (
        lambda: hierarchical.levels((1, 8, 8), (4, 2), likelihoods.Bernoulli(), 16).double(),
        lambda m, x: [
            *m(likelihoods.binarise(x, noise()), generator=noise()),
            m.sample(2, noise()),
        ],
    ),
    "autoencoder": (
        lambda: ae.linear_autoencoder((1, 8, 8), 3).double(),
        lambda m, x: [m(x), m.loss(x)],
    ),
    "denoising": (
        lambda: ae.DenoisingAutoencoder(*parts(), ae.GaussianNoise(0.1)),
        lambda m, x: [m.loss(x, generator=noise()), m.score(x)],
    ),
    "masking": (
        lambda: ae.DenoisingAutoencoder(*parts(), ae.Masking(0.3)),
        lambda m, x: [m.loss(x, reconstruction.dissimilarity, generator=noise())],
    ),
    "k-sparse": (lambda: ae.KSparseAutoencoder(*parts(), 2), lambda m, x: [m.loss(x), m.encode(x)]),
    "sparse": (lambda: ae.SparseAutoencoder(*parts()), lambda m, x: [m.loss(x)]),
    "perceptual": (
        lambda: reconstruction.Perceptual(nets.classifier((1, 8, 8), 3, 4)).double(),
        lambda m, x: [m(x * 0.9, x), nn.functional.ssim(x * 0.9, x), metrics.psnr(x * 0.9, x)],
    ),
    "diffusion": (
        lambda: unet_diffusion().double(),
        lambda m, x: [
            m.loss(x, here(x, [0, 2, 1, 1]), "vlb", noise()),
            diffusion.hybrid_loss(m, x, here(x, [0, 2, 1, 1]), 17, generator=noise()),
            *diffusion.vlb(m, x, 1, 17, noise()),
            *(
                diffusion.sample(m, x.shape, sampler, 2, labels=1, generator=noise(), **options)
                for sampler, options in (
                    ("ancestral", {"guidance": 2.0}),
                    ("ddim", {"eta": 0.5, "known": (x > 0.5, x), "resample": 2}),
                    ("heun", {"threshold": 0.9}),
                    ("renoise", {}),
                )
            ),
        ],
    ),
    "latent": (
        lambda: nn.Flatten(),
        lambda m, x: [
            latent.interpolate(m(x)[:2], m(x)[2:], 3, spherical=True),
            latent.attribute(m(x), here(x, [True, False, True, False])),
        ],
    ),
}


def noise() -> Any:
    return tg.Generator().manual_seed(8)


def unet_diffusion() -> diffusion.Diffusion:
    net = nets.UNet(1, 16, (1, 2), attention=(1,), classes=3, out=2)
    nn.init.normal_(net.last.weight, 0.0, 0.1)
    return diffusion.Diffusion(diffusion.cosine(4), net, "v", "learned", classes=3, bounded=True)


def parts() -> Any:
    net = ae.linear_autoencoder((1, 8, 8), 4).double()
    return net.encoder, net.decoder


@pytest.mark.parametrize("name", MODELS)
def test_every_model(name: str) -> None:
    make, ask = MODELS[name]

    def run(device: str) -> list[Any]:
        tg.manual_seed(3)
        model, x = make().to(device), images().to(device)
        found = ask(model, x)
        weights = [p for p in model.parameters() if p.requires_grad]
        losses = [t.sum() for t in found if t.requires_grad]
        return [found, list(tg.autograd.grad(losses, weights, allow_unused=True)) if losses else []]

    close(run("cuda"), run("cpu"), rtol=1e-7)


def test_pictures_of_cuda_tensors(tmp_path: Any) -> None:
    plot = pytest.importorskip("tinygen.plot")
    pytest.importorskip("matplotlib")
    images = tg.rand(4, 1, 5, 5, device="cuda")
    plot.save_image(images, tmp_path / "a.png")
    plot.save_image(images.cpu(), tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    plot.image_grid(images, path=tmp_path / "c.png")
    plot.reconstruction_pairs(images, images.cpu(), path=tmp_path / "d.png")
    plot.latent_scatter(
        tg.randn(6, 2, device="cuda"), tg.arange(6, device="cuda"), path=tmp_path / "e.png"
    )
    plot.curves({"loss": [tg.ones(1, device="cuda").item(), 0.5]}, path=tmp_path / "f.png")
    plot.draw_graph(
        (tg.ones(2, device="cuda", requires_grad=True) * 2).sum(), path=tmp_path / "g.png"
    )
    decode = nn.Sequential(nn.Linear(2, 16), nn.Sigmoid(), nn.Unflatten(1, (1, 4, 4))).cuda()
    plot.latent_manifold(decode, 3, device="cuda", path=tmp_path / "h.png")


# --- errors ---------------------------------------------------------------------------------------

X, C = tg.ones(2, 4), tg.ones(1, 2, 4, 4)
SAME = r"expected all tensors to be on the same device, got"
MIXED: dict[str, Any] = {
    "add": lambda: X.cuda() + X, "matmul": lambda: X @ X.mT.cuda(),
    "cat": lambda: tg.cat([X, X.cuda()]),
    "where": lambda: tg.where(X > 0, X.cuda(), 0.0), "maximum": lambda: X.maximum(X.cuda()),
    "Linear": lambda: nn.Linear(4, 3).cuda()(X),
    "Linear, no bias": lambda: nn.Linear(4, 3, False).cuda()(X),
    "Conv2d": lambda: nn.Conv2d(2, 3, 3).cuda()(C),
    "conv weight": lambda: nn.Conv2d(2, 3, 3)(C.cuda()),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(2, 3, 3).cuda()(C),
    "BatchNorm2d": lambda: nn.BatchNorm2d(2).cuda()(C),
    "BatchNorm2d, eval": lambda: nn.BatchNorm2d(2).eval().cuda()(C),
    "LayerNorm": lambda: nn.LayerNorm(4).cuda()(X),
    "GroupNorm": lambda: nn.GroupNorm(1, 2).cuda()(C),
    "Embedding": lambda: nn.Embedding(3, 2).cuda()(tg.tensor([0, 1])),
    "mse_loss": lambda: F.mse_loss(X.cuda(), X), "bce": lambda: F.binary_cross_entropy(X.cuda(), X),
    "cross_entropy": lambda: F.cross_entropy(X.cuda(), tg.tensor([0, 1])),
    "einsum": lambda: tg.einsum("ij,ij", X, X.cuda()), "in place": lambda: X.cuda().add_(X),
    "gather": lambda: X.cuda().gather(1, tg.zeros(2, 1).long()),
    "equal": lambda: tg.equal(X, X.cuda()),
    "isclose": lambda: X.isclose(X.cuda()),
    "MultiheadAttention": lambda: nn.MultiheadAttention(4, 2).cuda()(X[None], X[None], X[None]),
    "LSTM": lambda: nn.LSTM(4, 2).cuda()(X[None]),
    "numpy array": lambda: X.cuda() * np.ones((2, 4), np.float32),
    "masked_fill": lambda: X.cuda().masked_fill(X > 0, 1.0),
    "backward": lambda: X.cuda().requires_grad_().sum().backward(tg.ones(())),
}  # fmt: skip


@pytest.mark.parametrize("name", MIXED)
def test_mixed_devices_are_refused_in_words(name: str) -> None:
    with pytest.raises(RuntimeError, match=SAME):
        MIXED[name]()


@stand_in
def test_memory_that_runs_out_says_how_much_was_asked_and_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*args: Any, **kwargs: Any) -> Any:
        raise fake_cupy.OutOfMemoryError(
            "Out of memory allocating 3,221,225,472 bytes (allocated so far: 0 bytes)."
        )

    x = tg.ones(2, device="cuda")
    words = r"asked for 3,072.0 MiB; 1,024.0 MiB of 8,192.0 MiB are free"
    cupy = sys.modules["cupy"]
    monkeypatch.setattr(fake_cupy.ndarray, "__array_ufunc__", full)
    monkeypatch.setattr(cupy, "zeros", full)
    monkeypatch.setattr(cupy, "asarray", full)
    for what in (lambda: x + 1, lambda: tg.zeros(3, device="cuda"), lambda: tg.ones(3).cuda()):
        with pytest.raises(RuntimeError, match=words):
            what()


@stand_in
def test_without_a_gpu_every_way_to_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = sys.modules["cupy"]
    monkeypatch.setattr(cupy.cuda, "is_available", lambda: False)
    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", lambda: 0)
    backend.problem.cache_clear()
    assert not cuda.is_available()
    for what in (
        lambda: tg.zeros(3, device="cuda"), lambda: X.cuda(), lambda: nn.Linear(2, 2).to("cuda"),
        lambda: nn.Linear(2, 2, device="cuda"), lambda: cuda.load("adam.cu"), cuda.synchronize,
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="no usable GPU"):
            what()


@stand_in
def test_two_cupy_packages_are_named_by_every_way_to_the_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        backend, "cupy_packages", lambda: ["cupy-cuda12x 14.2.0", "cupy-cuda13x 14.2.0"]
    )
    backend.problem.cache_clear()
    with pytest.raises(RuntimeError, match="are both installed and exclude each other"):
        tg.zeros(3, device="cuda")


def test_indices_out_of_bounds_do_not_wrap_around() -> None:
    x = tg.ones(2, 3, 4, device="cuda")
    outside: list[Any] = [
        [2, 0],
        (slice(None), [-4]),
        (..., tg.tensor([4]).cuda()),
        (None, 0, np.array([3])),
    ]
    outside += [(tg.ones(2, 3, device="cuda") > 0, [4]), 2]
    for index in outside:
        with pytest.raises(IndexError, match=r"out of bounds .* with size \d"):
            x[index].sum().item()
        with pytest.raises(IndexError, match=r"out of bounds .* with size \d"):
            x[index] = 1.0
    assert x[..., [-1, 3]].shape == (2, 3, 2) and x[:, [-3, 2], 0].shape == (2, 2)


LATE: dict[str, Any] = {  # what is wrong with it, and the error's words
    "embedding": (lambda: F.embedding(here_([3]), tg.ones(3, 2, device="cuda")),
                  IndexError, r"indices are in \[3, 3\], the table has 3 rows"),
    "gather": (lambda: tg.ones(2, 3, device="cuda").gather(1, here_([[-1], [0]])),
               IndexError, r"gather: index out of bounds: it holds -1..0, dim 1 has size 3"),
    "index": (lambda: tg.ones(2, 3, device="cuda")[here_([0, 5])],
              IndexError, r"index: index 5 is out of bounds for dim 0 with size 2; .*\(2, 3\)"),
    "cross_entropy": (lambda: F.cross_entropy(tg.ones(2, 3, device="cuda"), here_([0, 3])),
                      IndexError, "cross_entropy: Target 3 is out of bounds for 3 classes"),
    "bce": (lambda: F.binary_cross_entropy(here_([0.5]), here_([1.5])),
            RuntimeError, r"elements of target should be between 0 and 1, got \[1.5, 1.5\]"),
    "gaussian_nll": (lambda: F.gaussian_nll_loss(here_([0.5]), here_([1.5]), here_([-1.0])),
                     ValueError, "var has negative entries"),
    "bernoulli": (lambda: likelihoods.Bernoulli().log_prob(here_([[2.0]]), here_([[0.0]])),
                  ValueError, r"Bernoulli: expected pixels in \[0, 1\], got 2..2"),
}  # fmt: skip


def here_(numbers: Any) -> Tensor:
    return tg.tensor(numbers, device="cuda")


@pytest.mark.parametrize("read", ["item", "cpu", "numpy", "synchronize"])
@pytest.mark.parametrize("name", LATE)
def test_wrong_numbers_on_a_gpu_are_an_error_when_a_number_is_read(name: str, read: str) -> None:
    wrong, kind, words = LATE[name]
    other = tg.ones(1, device="cuda")
    reads: dict[str, Any] = {
        "item": other.item, "cpu": other.cpu, "numpy": lambda: other.cpu().numpy(),
        "synchronize": cuda.synchronize,
    }  # fmt: skip
    wrong()  # nobody waits for the answer
    with pytest.raises(kind, match=words) as caught:
        reads[read]()
    assert "noticed late" in caught.value.__notes__[0]
    reads[read]()  # said once


def test_wrong_numbers_are_noticed_in_time_though_nobody_reads() -> None:
    wrong, kind, words = LATE["cross_entropy"]
    with pytest.raises(kind, match=words):
        for _ in range(backend.MOST_OPEN + 1):
            wrong()


@stand_in
@pytest.mark.parametrize("net", ["classifier", "vae", "gan", "unet", "diffusion"])
def test_a_training_step_waits_for_nothing(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No number is read: the program runs ahead of the GPU until loss.item()."""
    tg.manual_seed(0)
    make, loss_of = STEPS[net]
    model = make().to("cuda")
    opt = optim.Adam(model.parameters())
    x = tg.tensor(sample((4, 1, 8, 8), 1, 0.05, 0.95), dtype=tg.float32).cuda()
    y = here_([0, 2, 1, 1])
    reads = []

    def watched(name: str) -> Any:
        read = getattr(fake_cupy.ndarray, name)
        return lambda self, *args: (reads.append(name), read(self, *args))[1]

    for name in ("get", "item", "tolist", "__bool__", "__int__", "__float__"):
        monkeypatch.setattr(fake_cupy.ndarray, name, watched(name))
    loss = loss_of(model, x, y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    assert reads == []
    loss.item()
    assert "item" in reads


STEPS: dict[str, Any] = {
    "classifier": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.GELU(), nn.MaxPool2d(2),
            nn.Dropout(0.2), nn.Flatten(), nn.LayerNorm(128), nn.Linear(128, 3),
        ),
        lambda m, x, y: F.cross_entropy(m(x), y, label_smoothing=0.1),
    ),
    "vae": (
        lambda: vae.VAE(*nets.conv_autoencoder((1, 8, 8), 2), likelihoods.Bernoulli(), 2),
        lambda m, x, y: -m(likelihoods.binarise(x)).elbo,
    ),
    "diffusion": (
        lambda: diffusion.Diffusion(
            diffusion.cosine(20), nets.UNet(1, 8, (1, 2), attention=(1,), classes=3), classes=3
        ),
        lambda m, x, y: m.loss(x * 2 - 1, y),
    ),
    "gan": (
        lambda: gan.GAN(*nets.mlp_gan((1, 8, 8), 2, 16, 2), "wgan_gp", 2),
        lambda m, x, y: m.discriminator_terms(x)["loss"] + m.generator_terms(4)["loss"],
    ),
    "unet": (
        lambda: nets.UNet(1, 8, (1, 2), attention=(1,), classes=3),
        lambda m, x, y: F.mse_loss(m(x, y.float(), y), x),
    ),
}  # fmt: skip


# --- the stand-in itself --------------------------------------------------------------------------


@stand_in
def test_the_stand_in_refuses_what_cupy_refuses() -> None:
    x, host = fake_cupy.asarray(np.ones((2, 3))), np.ones((2, 3))
    refused: list[tuple[Any, str]] = [
        (lambda: np.asarray(x), "Implicit conversion"),
        (lambda: np.ascontiguousarray(x), "Implicit conversion"),
        (lambda: x + host, "Unsupported type"), (lambda: host * x, "Unsupported type"),
        (lambda: np.where(x > 0, x, host), "Unsupported type"),
        (lambda: np.max(x, initial=0.0), "initial"),
        (lambda: np.sum(x, where=x > 0), "where"),
        (lambda: np.add(x, x, where=x > 0), "Wrong arguments"),
        (lambda: np.concatenate([x, host]), "Unsupported|Only cupy"),
        (lambda: np.vecdot(x, x), "returned NotImplemented"),
        (lambda: range(x[0, 0]), "interpreted as an integer"),
        (lambda: np.add(host, host, out=x.copy()), "Unsupported type"),
        (lambda: np.add(x, x, out=host), "return arrays"),
        (lambda: x.__setitem__(0, [1, 2, 3]), "Unsupported type"),
        (lambda: x[host > 0], "index on the host"),
        (lambda: np.add.at(x, 0, 1.0), "returned NotImplemented"),
    ]  # fmt: skip
    for what, words in refused:
        with pytest.raises((TypeError, ValueError), match=words):
            what()
    total, view = np.sum(x), x.T[0]
    assert type(total) is type(x[0, 0]) is fake_cupy.ndarray and total.shape == ()
    assert view.base is x and (x.T + 1).flags.c_contiguous and not x.T.flags.c_contiguous
    assert np.isnan(np.empty_like(x).get()).all() and x[fake_cupy.asarray([2])].shape == (1, 3)


def test_the_stand_in_has_nothing_that_the_real_cupy_has_not() -> None:
    """Run by a Python of its own: the stand-in is in the way here."""
    code = """
import inspect, sys
sys.path.insert(0, "tests")
try:
    import cupy, cupyx.scipy.special
except ImportError:
    sys.exit(3)
import fake_cupy
both = [(cupy, fake_cupy.signatures()), (cupy.linalg, fake_cupy.signatures(fake_cupy.LINALG))]
for name, signature, module in [(n, s, m) for m, found in both for n, s in found.items()]:
    try:
        theirs = inspect.signature(getattr(module, name))
    except ValueError:  # written in C
        continue
    ours = [(p.name, p.kind, p.default) for p in signature.parameters.values()]
    assert ours == [(p.name, p.kind, p.default) for p in theirs.parameters.values()], (name, theirs)
missing = [n for n in fake_cupy.UFUNCS if not isinstance(getattr(cupy, n, None), cupy.ufunc)]
methods = [n for n in vars(fake_cupy.ndarray) if not n.startswith("_") and not hasattr(cupy.ndarray,
    n)]
assert not missing + methods, missing + methods
assert cupyx.scatter_add and cupyx.scipy.special.erf and cupyx.scipy.special.erfc
"""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if run.returncode == 3:
        pytest.skip("CuPy is not installed: the stand-in cannot be compared with it")
    assert run.returncode == 0, run.stderr
