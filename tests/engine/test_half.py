"""float16 is float64 rounded: every function on all float16 numbers, or on long, large, far ones.

The reference is the same function in float64 on the very same numbers, its cotangent too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import Tensor, nn
from tinygen.conv import conv2d_weight
from tinygen.ops.half import through_float32

RNG = np.random.default_rng(0)


def half(*arrays: Any) -> list[np.ndarray]:
    return [np.asarray(a).astype(np.float16) for a in arrays]


def uniform(*shape: int, low: float = -1.5, high: float = 1.5) -> np.ndarray:
    return RNG.uniform(low, high, shape).astype(np.float16)


def run(f: Callable, arrays: list[np.ndarray], dtype: Any) -> list[np.ndarray]:
    """The value and the gradients for a cotangent in [1/2, 3/2] (1 of a number)."""
    xs = [tg.tensor(a.astype(dtype), requires_grad=True) for a in arrays]
    with np.errstate(all="ignore"):
        out = f(*xs)
        assert out.dtype == dtype, f"{out.dtype} for {dtype}"
        u = np.random.default_rng(1).uniform(0.5, 1.5, out.shape).astype(np.float16)
        u = u if out.ndim else np.ones((), np.float16)
        grads = tg.autograd.grad(out, xs, tg.tensor(u.astype(dtype)), allow_unused=True)
    return [t.detach().numpy() for t in (out, *grads) if t is not None]


ULPS = (1.0, 3.0)  # for a value and for a gradient


def agree(
    f: Callable, *arrays: np.ndarray, ulps: tuple[float, float] = ULPS, scale: float = 0.0
) -> None:
    """Within `ulps` of the float16 that float64 rounds to, or within `scale` of the largest."""
    for k, (a, exact) in enumerate(
        zip(run(f, list(arrays), tg.float16), run(f, list(arrays), tg.float64), strict=True)
    ):
        with np.errstate(over="ignore"):
            rounded = exact.astype(np.float16)
        spacing = np.spacing(np.clip(np.abs(rounded), 6e-5, 6e4)).astype(np.float64)
        size = np.abs(exact).max(initial=0, where=np.isfinite(exact))
        with np.errstate(invalid="ignore"):
            good = np.abs(a - exact) <= np.maximum(ulps[k > 0] * spacing, scale * size)
        good |= (a == rounded) | (np.isnan(a) & np.isnan(exact))
        good |= (np.abs(exact) > 65000) & (np.abs(a.astype(float)) > 65000)
        if not good.all():
            i = np.unravel_index(np.argmin(good), good.shape)
            what = "value" if k == 0 else f"gradient {k - 1}"
            raise AssertionError(f"{what} at {i}: {a[i]}, float64 {exact[i]:.6g}")


# --- functions of one number, on every one there is ---------------------------------------------

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
EVERY = EVERY[np.isfinite(EVERY)]
OPS = """exp expm1 log log1p sqrt sin cos tanh sigmoid erf relu abs sign floor ceil round trunc
    square reciprocal neg frac exp2 log2 log10 tan asin atan sinh cosh asinh acosh atanh sinc erfc
    erfinv lgamma digamma logit nan_to_num""".split()
ACTIVATIONS = """relu relu6 hardtanh leaky_relu elu selu celu gelu silu mish softplus logsigmoid
    sigmoid tanh softsign tanhshrink hardshrink softshrink hardsigmoid hardswish""".split()
OF_ONE: dict[str, Callable[[Tensor], Tensor]] = {
    **{f"tg.{name}": getattr(tg, name) for name in OPS},
    **{name: getattr(F, name) for name in ACTIVATIONS},
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "celu 0.5": lambda x: F.celu(x, 0.5),
    "elu 0.7": lambda x: F.elu(x, 0.7),
    "softplus 2": lambda x: F.softplus(x, 2.0),
    "threshold": lambda x: F.threshold(x, 0.1, 5.0),
    "prelu": lambda x: F.prelu(x, tg.tensor([0.3], dtype=x.dtype)),
    "clamp": lambda x: x.clamp(-0.5, 300.0),
    "binary_cross_entropy_with_logits": lambda x: F.binary_cross_entropy_with_logits(
        x, x.detach() * 0 + 0.25, reduction="none"),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_ONE)
def test_functions_of_one_number(name: str) -> None:
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        y = OF_ONE[name](tg.tensor(EVERY).double()).half().numpy()
    # Where the value overflows, so may the gradient.
    cancels = name.endswith(("gelu", "tanh"))  # 1 - |erf| and 1 - tanh^2 far out, in float32 too
    agree(OF_ONE[name], EVERY[np.isfinite(y)], ulps=(20.0, 20.0) if cancels else ULPS)


# --- sums, norms, products: long, large, far from 0 -----------------------------------------------


def labels(n: int) -> Tensor:
    return tg.arange(n) % 4


FAR = [uniform(3, 5000), 100 + uniform(3, 3000), uniform(4, 3000, low=-300, high=300)]
FAR += [uniform(5000, 3, low=0.1), *half(np.arange(8192.0).reshape(2, 4096))]
LONG: dict[str, Callable[[Tensor], Tensor]] = {
    **{name: getattr(tg, name) for name in ("sum", "mean", "var", "std", "norm", "amax", "amin")},
    **{f"{name} -1": lambda x, name=name: getattr(x, name)(-1) for name in (
        "sum", "mean", "var", "std", "logsumexp", "softmax", "log_softmax", "cumsum")},
    **{f"{name} 0": lambda x, name=name: getattr(x, name)(0) for name in (
        "sum", "mean", "logsumexp", "softmax", "log_softmax", "cumsum")},
    **{f"norm {p}": lambda x, p=p: x.norm(p, dim=-1) for p in (0, 1, 1.5, 2, 3, float("inf"))},
    "glu": lambda x: F.glu(x[:, :2], 1),
    "softmin": lambda x: F.softmin(x, -1),
    "normalize": lambda x: F.normalize(x, dim=-1),
    "cosine_similarity": lambda x: F.cosine_similarity(x, x.detach() * 0 + 0.5, dim=0),
    "layer_norm": lambda x: F.layer_norm(x, x.shape[-1:]),
    "instance_norm": lambda x: F.instance_norm(x[None]),
    "mse_loss": lambda x: F.mse_loss(x, x.detach() * 0.5),
    "rms_norm": lambda x: F.rms_norm(x, x.shape[-1:]),
    "pairwise_distance": lambda x: F.pairwise_distance(x, x.detach() * 0.5),
    "hinge_embedding_loss": lambda x: F.hinge_embedding_loss(x, x.detach().sign()),
    "soft_margin_loss": lambda x: F.soft_margin_loss(x, x.detach().sign()),
    "poisson_nll_loss": lambda x: F.poisson_nll_loss(x.clamp(max=9), x.detach().abs()),
    "l1_loss": lambda x: F.l1_loss(x, x.detach() * 0.5),
    "smooth_l1_loss": lambda x: F.smooth_l1_loss(x, x.detach() * 0.5),
    "huber_loss": lambda x: F.huber_loss(x, x.detach() * 0.5),
    "gaussian_nll_loss": lambda x: F.gaussian_nll_loss(x, x.detach() * 0.5, 2.0),
    "binary_cross_entropy_with_logits": lambda x: F.binary_cross_entropy_with_logits(
        x, x.detach() * 0 + 0.25),
    "kl_div": lambda x: F.kl_div(x, x.detach() * 0 + 0.25, reduction="batchmean"),
    "cross_entropy": lambda x: F.cross_entropy(x[:, :4], labels(len(x)) % x[:, :4].shape[1]),
    "nll_loss": lambda x: F.nll_loss(x, labels(len(x)) % x.shape[1]),
    "expand": lambda x: x[0].expand(3000, *x.shape[1:]) if x.shape[1] < 9 else x,
    "gather": lambda x: x[:9].gather(1, tg.zeros(len(x[:9]), 5000, dtype=tg.int64)),
    "scatter_add": lambda x: (x * 0).scatter_add(1, tg.zeros(x.shape, dtype=tg.int64), x.abs()),
    "einsum": lambda x: tg.einsum("ij->j", x),
    "repeat": lambda x: x[:9, :3].repeat(2500, 1),
    "pad": lambda x: F.pad(x[:, :3], (3000, 0), mode="replicate") if len(x) < 9 else x,
    "embedding": lambda x: F.embedding(tg.zeros(5000, dtype=tg.int64), x[:, :3]),
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_sums_and_norms(name: str) -> None:
    for x in FAR:
        agree(LONG[name], x, scale=5e-4)


def test_named_numbers() -> None:
    ones = tg.ones(70000, dtype=tg.float16)
    assert ones.mean().item() == 1.0 and ones.norm().item() == pytest.approx(264.6, abs=0.2)
    assert ones[:5000].cumsum(0)[-1].item() == 5000 and ones.std().item() == 0
    x = tg.tensor([5.6], dtype=tg.float16)
    assert tg.erf(x).item() == 1.0 and F.gelu(x).item() == x.item()
    far = tg.tensor([400.0, *[0.0] * 9], dtype=tg.float16)  # whose square float16 has not
    assert F.mse_loss(far, far * 0).item() == 16000
    assert F.huber_loss(far, far * 0, delta=250.0).item() == pytest.approx(6875, rel=1e-3)
    assert F.smooth_l1_loss(far, far * 0, beta=250.0).item() == pytest.approx(27.5, rel=1e-3)
    nll = F.gaussian_nll_loss(far, far * 0, far * 0 + 2)
    assert nll.item() == pytest.approx(4000.35, abs=4)
    mixed = tg.tensor([300.0, 300.0, 0.01], dtype=tg.float16)
    assert mixed.prod().item() == pytest.approx(900, rel=1e-3)
    above = EVERY[EVERY > 0]
    for slope in np.linspace(0.01, 0.5, 50):  # a positive number stays what it is
        np.testing.assert_array_equal(F.leaky_relu(tg.tensor(above), slope).numpy(), above)
    ramp = F.layer_norm(tg.arange(4096).half(), (4096,))
    assert ramp[0].item() == pytest.approx(-1.732, abs=2e-3)


# --- functions of several tensors -----------------------------------------------------------------

IMAGE, FAR_IMAGE = uniform(2, 4, 32, 32), 100 + uniform(2, 4, 32, 64)
W, B = uniform(6, 4, 3, 3, low=-0.5, high=0.5), uniform(6)
Case = tuple[Callable[..., Tensor], list[np.ndarray]]
SEVERAL: dict[str, Case] = {
    "matmul": (tg.matmul, [uniform(30, 3000, low=0), uniform(3000, 20, low=0)]),
    "linear": (F.linear, [uniform(3000, 50, low=0), uniform(6, 50, low=0), uniform(6)]),
    "linear, cancelling": (
        F.linear, half(np.ones((3, 70)), np.full((6, 70), 1e3), -np.full(6, 2e4))
    ),
    "addmm": (tg.addmm, [uniform(5, 6), uniform(5, 3000, low=0), uniform(3000, 6, low=0)]),
    "addmm, cancelling": (
        tg.addmm, half(-np.full((3, 6), 2e4), np.ones((3, 70)), np.full((70, 6), 1e3))
    ),
    "einsum": (lambda x, y: tg.einsum("ij,kj->ik", x, y), [uniform(5, 4000), uniform(4, 4000)]),
    "broadcast": (lambda x, y: x * y + y, [uniform(5000, 4, low=0.1), uniform(4, low=0.1)]),
    "conv1d": (F.conv1d, [uniform(4, 4, 4096, low=0), W[:, :, 0], B]),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, 2, 1), [uniform(4, 4, 64, 64, low=0), W, B]),
    "conv2d, wide": (F.conv2d, [uniform(1, 64, 6, 6, low=0), uniform(6, 64, 3, 3, low=0), B]),
    "conv_transpose2d": (
        lambda x, w, b: F.conv_transpose2d(x, w, b, 2, 1), [uniform(4, 6, 40, 40, low=0), W, B[:4]]
    ),
    "conv2d_weight": (
        lambda x, g: conv2d_weight(x, g, (3, 3)), [uniform(4, 4, 34, 34), uniform(4, 6, 32, 32)]
    ),
    **{f"batch_norm {k}": (lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
       [x, *half(np.ones(4), np.zeros(4))]) for k, x in enumerate((IMAGE, FAR_IMAGE))},
    **{f"group_norm {k}": (lambda x, w, b: F.group_norm(x, 2, w, b),
       [x, *half(np.ones(4), np.zeros(4))]) for k, x in enumerate((IMAGE, FAR_IMAGE))},
    "batch_norm, eval": (
        lambda x, m, v: F.batch_norm(x, m, v), [FAR_IMAGE, *half(100 * np.ones(4), np.ones(4))]
    ),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 1, 1), [FAR_IMAGE]),
    "avg_pool2d, blocks": (lambda x: F.avg_pool2d(x, 32), [FAR_IMAGE]),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, 1), [FAR_IMAGE]),
    "interpolate": (lambda x: F.interpolate(x, size=(7, 5), mode="bilinear"), [FAR_IMAGE]),
    "interpolate, area": (lambda x: F.interpolate(x, size=(1, 2), mode="area"), [FAR_IMAGE]),
    "interpolate, bicubic": (lambda x: F.interpolate(x, size=(7, 5), mode="bicubic"), [FAR_IMAGE]),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), [IMAGE]),
    "max_pool1d": (lambda x: F.max_pool1d(x[0], 2), [IMAGE]),
    "avg_pool1d": (lambda x: F.avg_pool1d(x[0], 16), [FAR_IMAGE]),
    "adaptive_avg_pool1d": (lambda x: F.adaptive_avg_pool1d(x[0], 5), [FAR_IMAGE]),
    "adaptive_max_pool1d": (lambda x: F.adaptive_max_pool1d(x[0], 5), [IMAGE]),
    "adaptive_max_pool2d": (lambda x: F.adaptive_max_pool2d(x, 5), [IMAGE]),
    "unfold": (lambda x: F.unfold(x, 9, padding=4), [IMAGE]),
    "fold": (lambda x: F.fold(x, (32, 32), 9, padding=4), [uniform(2, 81, 1024, low=0.5)]),
    "conv_transpose1d": (
        lambda x, w, b: F.conv_transpose1d(x, w, b, 2),
        [uniform(4, 6, 900, low=0), W[..., 0], B[:4]],
    ),
    "affine_grid": (lambda x: F.affine_grid(x, (3, 1, 40, 50)), [uniform(3, 2, 3)]),
    "grid_sample": (F.grid_sample, [IMAGE, uniform(2, 90, 90, 2, low=-1.2, high=1.2)]),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, 2), [IMAGE]),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 2), [IMAGE]),
    "multi_margin_loss": (
        lambda x: F.multi_margin_loss(x, labels(30000), 2), [uniform(30000, 4, low=-9)]
    ),
    "cosine_embedding_loss": (
        lambda x, y: F.cosine_embedding_loss(x, y, (labels(3000) % 2 * 2 - 1).to(x.dtype)),
        [uniform(3000, 50), uniform(3000, 50)],
    ),
    "triplet_margin_loss": (F.triplet_margin_loss, [uniform(3000, 50) for _ in "apn"]),
    "margin_ranking_loss": (
        lambda x, y: F.margin_ranking_loss(x, y, y.detach().sign(), 0.25),
        [uniform(70000), uniform(70000)],
    ),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), [IMAGE]),
    "binary_cross_entropy": (
        lambda x: F.binary_cross_entropy(x, x.detach() * 0 + 0.25),
        [uniform(70000, low=0.1, high=0.9)],
    ),
    "scaled_dot_product_attention": (
        F.scaled_dot_product_attention, [uniform(2, 40, 64, low=-9, high=9) for _ in "qkv"]
    ),
    **{f"{name}, weighted": (lambda x, w, name=name: getattr(F, name)(x, labels(30000), w),
       [uniform(30000, 4, low=-9), 1 + W[0, :, 0, 0]]) for name in ("cross_entropy", "nll_loss")},
    "dropout": (lambda x: F.dropout(x, 0.0), [IMAGE]),
    "dropout2d": (lambda x: F.dropout2d(x, 0.0), [IMAGE]),
    "gumbel_softmax": (lambda x: F.gumbel_softmax(x * 0, dim=0).sum(0), [uniform(5, 5)]),
}  # fmt: skip


@pytest.mark.parametrize("name", SEVERAL)
def test_functions_of_several(name: str) -> None:
    f, arrays = SEVERAL[name]
    agree(f, *arrays, scale=5e-3 if "norm" in name else 5e-4)


def test_every_function_is_here() -> None:
    named = {n.split(",")[0].split()[0] for n in (*OF_ONE, *LONG, *SEVERAL)}
    integers = {"one_hot"}
    cancels = {"ssim"}  # its variances are differences: see the test below
    missing = set(F.__all__) - named - integers - cancels - {"softmax", "log_softmax"}
    assert not missing, f"no float16 case for {sorted(missing)}"


def test_ssim_is_computed_in_float32() -> None:
    x, y = tg.rand(2, 1, 16, 16).half(), tg.rand(2, 1, 16, 16).half()
    exact = F.ssim(x.double(), y.double()).numpy()
    assert np.allclose(F.ssim(x, y).numpy(), exact, rtol=1e-3)


def test_batch_norm_keeps_its_statistics_in_their_dtype() -> None:
    for dtype in (tg.float16, tg.float32):
        net = nn.BatchNorm1d(3).to(dtype)
        x = 100 + tg.randn(64, 3)
        out = net(x.half())
        assert out.dtype == tg.float16 and net.running_mean.dtype == dtype
        np.testing.assert_allclose(net.running_mean.numpy(), 0.1 * x.mean(0).numpy(), rtol=2e-3)
        assert net.eval()(x.half()).dtype == tg.float16


def test_float16_beside_float32_promotes() -> None:
    x, y = tg.ones(3, dtype=tg.float16), tg.ones(3)
    assert F.mse_loss(x, y).dtype == F.mse_loss(y, x).dtype == tg.float32
    assert (
        x.sum(dtype=tg.float64).dtype == tg.float64
        and F.mse_loss(input=x, target=x).dtype == x.dtype
    )
    assert F.softmax(x, 0, dtype=tg.float32).dtype == tg.float32


def test_only_float16_goes_another_way() -> None:
    seen: list[Any] = []
    f = through_float32(lambda x, k=2: (seen.append(x.dtype), x * k)[1])
    for dtype in (tg.float16, tg.float32, tg.float64, tg.int64):
        x = tg.ones(2, dtype=dtype)
        assert f(x).dtype == dtype and f(x=x, k=3).tolist() == [3, 3]
    assert seen[::2] == [tg.float32, tg.float32, tg.float64, tg.int64]
