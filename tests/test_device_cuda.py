"""device="cuda" without a GPU: the whole library on the stand-in of fake_cupy.py, whose kernels run
in the emulator, against the same on the CPU.

What this proves: nothing is mixed across devices, nothing is used that CuPy lacks, the launch layer
gets what it needs, and the numbers agree. What only a GPU can say is in `make gpu-check`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fake_cupy
import numpy as np
import pytest
from test_registry import CASES, inputs

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import Tensor, cuda
from tinygen.backend import move
from tinygen.cuda import gpu
from tinygen.ops.convert import _to_device
from tinygen.ops.indexing import _put
from tinygen.testing import sample

pytestmark = pytest.mark.skipif(
    not cuda.emulator_available(), reason="the emulator needs Linux and g++ or clang++"
)


@pytest.fixture(autouse=True)
def _cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fake_cupy.install(monkeypatch)
    yield
    gpu.problem.cache_clear()


def close(on_cuda: Any, on_cpu: Any, rtol: float = 1e-9) -> None:
    """Equal values, dtypes and shapes, each on its own device; nested as they come."""
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
    vs = [tg.tensor(sample(g.shape, 70 + i), dtype=g.dtype).to(g.device) for i, g in enumerate(live)]
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
    "cumprod": lambda x: x.cumprod(0), "prod": lambda x: x.prod(), "sort": lambda x: x.sort(0).values,
    "topk": lambda x: x.topk(1, 0).values, "flatten": lambda x: x.flatten(), "var": lambda x: x.std(),
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
    "huber": lambda x: F.huber_loss(x, x.detach() * 2), "l1": lambda x: F.l1_loss(x, x.detach() + 1),
    "smooth_l1": lambda x: F.smooth_l1_loss(x, x.detach() * 2),
    "gaussian_nll": lambda x: F.gaussian_nll_loss(x, x.detach() * 2, x.square() + 1),
    "cosine": lambda x: F.cosine_similarity(x, x.flip(0)), "normalize": lambda x: F.normalize(x),
    "sort": lambda x: x.sort(1, descending=True).values, "topk": lambda x: x.topk(2, 1).values,
    "max": lambda x: x.max(1).values, "min": lambda x: x.min(0).values, "cumprod": lambda x: x.cumprod(1),
    "prod": lambda x: x.prod(1), "std": lambda x: x.std(1), "norms": lambda x: x.norm(p=3, dim=1),
    "inf norm": lambda x: x.norm(p=float("inf"), dim=1), "numbers": lambda x: 2 - 3 / (x + 4) ** 2,
    "number to a power": lambda x: 2.0**x, "maximum of number": lambda x: x.maximum(tg.tensor(0.1).to(x)),
    "reflect": lambda x: F.pad(x[None, None], (1, 1, 1, 0), mode="reflect"),
    "replicate": lambda x: F.pad(x[None, None], (1, 1, 1, 0), mode="replicate"),
    "clamp by tensors": lambda x: x.clamp(min=x.detach() * 0), "gelu": lambda x: F.gelu(x),
    "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"), "stack": lambda x: tg.stack([x, x * 2], 1),
    "repeat": lambda x: x.repeat(2, 1), "interleave": lambda x: x.repeat_interleave(2, 1),
    "split": lambda x: x.split([1, 2], 1), "chunk": lambda x: x.chunk(2, 1), "unbind": lambda x: x.unbind(0),
    "diagonal": lambda x: tg.einsum("ii->i", x[:, :2]), "trace": lambda x: tg.einsum("ij,ji", x, x.mT),
    "outer": lambda x: tg.outer(x[0], x[1]), "mv": lambda x: x @ x[0], "dot": lambda x: x[0] @ x[1],
    "bmm": lambda x: x[None] @ x.mT[None], "batched": lambda x: x.expand(4, 2, 3) @ x.mT,
    "attention": lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None], is_causal=True),
    "masked attention": lambda x: F.scaled_dot_product_attention(
        x[None], x[None], x[None], attn_mask=here(x, [[True, False], [False, False]])),
    "interpolate": lambda x: F.interpolate(x[None, None], scale_factor=1.5),
    "area": lambda x: F.interpolate(x[None, None], size=(3, 2), mode="area"),
    "avg_pool, padded": lambda x: F.avg_pool2d(x[None, None], 2, 1, 1, count_include_pad=False),
    "float and back": lambda x: x.float().double(), "cpu and back": lambda x: x.cpu().to(x.device) * 2,
    "dropout": lambda x: F.dropout(x, 0.5, generator=tg.Generator().manual_seed(3)),
    "gumbel": lambda x: x + tg.rand_like(x, generator=tg.Generator().manual_seed(3)),
}  # fmt: skip


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
            x > y, x <= 0.1, x == y, (x > 0) & (y > 0), (x > 0) | (y > 0), ~(x > 0), (x > 0) ^ (y > 0),
            x.isnan(), x.isfinite(), (x / 0).isinf(), x.argmax(1), x.argmin(), x.argsort(1), x.all(),
            (x > 0).any(1), (x > 0).sum(), i.sum(), i.cumsum(1), i // 2, i % 2, -i, i & 1, x.nonzero()[:, 1],
            tg.nn.functional.one_hot(i), tg.where(x > 0)[0], i.float().mean(), i.max(), x.round(), x.floor(),
            i.prod(), i.scatter_add(1, i, i), x.long(), x.half().float(), i.bool(), tg.zeros_like(x),
            tg.full_like(x, 3), tg.ones_like(i), x.tril(), tg.zeros(2, device=device), tg.eye(2, device=device),
            tg.arange(3, device=device), tg.linspace(0, 1, 4, device=device), tg.full((2,), 3, device=device),
            tg.as_tensor([1.0, 2.0], device=device), tg.tensor(x), tg.ones(2, device=device).int(),
            tg.isclose(x, x),
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
            tg.rand(3, device=device), tg.randn(3, device=device, generator=g), tg.randperm(5, device=device),
            tg.randint(0, 9, (4,), device=device), tg.bernoulli(p), tg.multinomial(p, 2), tg.randn_like(p),
            tg.multinomial(p, 2, replacement=True), tg.normal(p, 2.0), tg.empty(3, device=device).normal_(),
            tg.empty(3, device=device).uniform_(), linear, drawn, F.dropout2d(tg.ones(2, 3, 4, 4, device=device)),
            tg.nn.init.orthogonal_(tg.empty(3, 4, device=device)), tg.nn.init.eye_(tg.empty(3, 4, device=device)),
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
    "Dropout": (lambda: nn.Dropout(0.4), (2, 4)), "Dropout2d": (lambda: nn.Dropout2d(0.4), (2, 4, 3, 3)),
    "Conv1d": (lambda: nn.Conv1d(2, 3, 2), (2, 2, 5)),
    "Conv2d": (lambda: nn.Conv2d(2, 4, 3, 2, 1, groups=2), (2, 2, 5, 5)),
    "Conv2d, same": (lambda: nn.Conv2d(2, 3, 2, padding="same", bias=False), (1, 2, 4, 4)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 3, 4, 2, 1), (2, 2, 3, 3)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(4), (3, 4)), "BatchNorm2d": (lambda: nn.BatchNorm2d(2), (2, 2, 3, 3)),
    "BatchNorm2d, eval": (lambda: nn.BatchNorm2d(2).eval(), (2, 2, 3, 3)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (2, 4, 3, 3)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(2, affine=True), (2, 2, 3, 3)),
    "LayerNorm": (lambda: nn.LayerNorm(4), (2, 3, 4)),
    "MaxPool2d": (lambda: nn.MaxPool2d(3, 2, 1), (1, 2, 5, 5)), "AvgPool2d": (lambda: nn.AvgPool2d(2), (1, 2, 4, 4)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((2, 3)), (1, 2, 5, 4)),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), (1, 4, 2, 2)),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d(1), (1, 1, 3, 3)),
    "ReplicationPad2d": (lambda: nn.ReplicationPad2d(1), (1, 1, 3, 3)),
    "ZeroPad2d": (lambda: nn.ZeroPad2d(1), (1, 1, 3, 3)),
    "Upsample": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (1, 2, 3, 3)),
    "LSTM": (lambda: nn.LSTM(3, 4), (5, 2, 3)),
    "MultiheadAttention": (lambda: Attend(nn.MultiheadAttention(4, 2, batch_first=True)), (2, 3, 4)),
    "Sequential": (lambda: nn.Sequential(nn.Linear(4, 3), nn.Tanh()), (2, 4)),
    "ModuleList": (lambda: nn.ModuleList([nn.Linear(4, 3)])[0], (2, 4)),
    "ModuleDict": (lambda: nn.ModuleDict({"a": nn.Linear(4, 3)})["a"], (2, 4)),
    "Embedding": (lambda: Look(nn.Embedding(5, 3)), (2, 4)),
    "spectral_norm": (lambda: nn.utils.spectral_norm(nn.Linear(4, 3)), (2, 4)),
    **{n: (getattr(nn, n), (2, 4), (2, 4)) for n in ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss")},
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


class Classes(Wrapped):
    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x, here(x, [3, 1]))


class Positive(Wrapped):
    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.inner(x, t, t.exp())


def test_every_layer_has_a_row() -> None:
    classes = {n for n in nn.__all__ if n[0].isupper() and n not in ("Module", "Parameter")}
    assert classes <= set(LAYERS), f"add a row for {classes - set(LAYERS)}"


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_its_gradients_and_its_state(name: str) -> None:
    make, *shapes = LAYERS[name]

    def run(device: str) -> list[Any]:
        tg.manual_seed(1)
        layer = make().double().to(device)
        xs = [tg.tensor(sample(s, i, avoid=(0.0,), distinct=True)).to(device) for i, s in enumerate(shapes)]
        tensors = moved(xs, device) + list(layer.parameters())
        out = first = layer(*tensors[: len(xs)])
        while not isinstance(out, Tensor):
            out = out[0]
        found = two_orders(lambda *_: out, [t for t in tensors if t.requires_grad])
        return [found, list(layer.state_dict().values()), first if isinstance(first, Tensor) else None]

    close(run("cuda"), run("cpu"), rtol=1e-8)
