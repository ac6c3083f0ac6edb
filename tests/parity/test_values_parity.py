"""Beside PyTorch where numbers go wrong: NaN, inf, 0, ties, integers, no elements, no dimensions.

Every function gets every kind of input; value, shape, dtype and gradients must be PyTorch's, or
both must raise. KNOWN holds what differs on purpose, with the reason. For NaN among the inputs only
the value counts: what flows back from a NaN is nobody's gradient.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygen as tg
import tinygen.nn.functional as F

torch: Any = pytest.importorskip("torch", reason="parity needs PyTorch: pip install torch")
INF, NAN = math.inf, math.nan
Function = Callable[..., Any]  # of a library, its nn.functional and Tensors


def ops(names: str) -> dict[str, Function]:
    return {n: lambda t, F, *xs, n=n: getattr(t, n)(*xs) for n in names.split()}


def functional(names: str) -> dict[str, Function]:
    return {f"F.{n}": lambda t, F, *xs, n=n: getattr(F, n)(*xs) for n in names.split()}


def methods(**calls: tuple[Any, ...]) -> dict[str, Function]:
    """x.name(*args); what follows a _ in the key tells calls of one name apart."""

    def method(key: str, args: tuple[Any, ...]) -> Function:
        name = key.split("__")[0]

        def call(t: Any, F: Any, x: Any) -> Any:
            out = getattr(x, name)(*args)
            return out if hasattr(out, "shape") else out[0]

        return call

    return {key: method(key, args) for key, args in calls.items()}


def zeros(t: Any, x: Any) -> Any:
    """A class index for each row of x."""
    return t.zeros(x.shape[:1] if x.ndim > 1 else (), dtype=t.int64)


ONE: dict[str, Function] = {
    **ops("""neg square exp expm1 log log1p sqrt rsqrt reciprocal sin cos tanh sigmoid erf abs sign
        floor ceil round trunc sum mean prod amax amin max min var std argmax argmin isnan isinf
        isfinite nonzero logical_not clone flatten norm frac exp2 log2 log10 tan asin acos atan
        sinh cosh asinh acosh atanh sinc erfc erfinv lgamma digamma logit nansum nanmean median
        count_nonzero nan_to_num trace"""),
    **functional("""relu relu6 hardtanh leaky_relu elu selu celu gelu silu mish softplus logsigmoid
        softsign tanhshrink hardshrink softshrink hardsigmoid hardswish"""),
    **methods(
        norm__0=(0,), norm__half=(0.5,), norm__1=(1,), norm__1h=(1.5,), norm__2=(2,), norm__3=(3,),
        norm__inf=(INF,), norm__minus_inf=(-INF,), norm__minus_1=(-1,), norm__fro=("fro",),
        norm__dim=(2, -1), norm__3_dim=(3, -1, True), norm__inf_dim=(INF, -1),
        sum__last=(-1,), mean__last=(-1, True), prod__last=(-1,), var__last=(-1,), std__last=(-1,),
        sum__no_dim=((),), mean__no_dim=((),), var__unbiased=(True,), std__biased=(False,),
        var__positions=(0, True, True), std__positions=(0, False), amax__last=(-1,), amin__0=(0,),
        max__last=(-1,), min__last=(-1,), argmax__last=(-1,), argmin__0=(0,), cumsum=(-1,),
        cumsum__0=(0,), cumprod=(-1,), cumprod__0=(0,), logsumexp=(-1,), softmax=(-1,),
        log_softmax=(-1,), softmax__0=(0,), log_softmax__0=(0,), sort=(-1,), sort__down=(-1, True),
        flip=(-1,), roll=(1,), tril=(), triu=(1,), squeeze=(), unsqueeze=(-1,), reshape=(-1,),
        median__last=(-1,), kthvalue=(1,), kthvalue__0=(1, 0), quantile=(0.3,),
        quantile__last=(0.3, -1), cummax=(-1,), cummin=(0,), logcumsumexp=(-1,), nansum__last=(-1,),
        nanmean__last=(-1,), repeat_interleave=(2,), chunk=(2, -1), split=(1, -1), t=(), all=(),
        any=(), all__0=(0,),
    ),
    "round decimals": lambda t, F, x: t.round(x, decimals=1),
    "div trunc": lambda t, F, x: t.div(x, 0.7, rounding_mode="trunc"),
    "div floor": lambda t, F, x: t.div(x, 0.7, rounding_mode="floor"),
    "div trunc 0": lambda t, F, x: t.div(x, 0, rounding_mode="trunc"),
    "fmod 0.7": lambda t, F, x: t.fmod(x, 0.7), "fmod 0": lambda t, F, x: t.fmod(x, 0),
    "add alpha": lambda t, F, x: t.add(x, x, alpha=2),
    "logit eps": lambda t, F, x: t.logit(x, 0.1),
    "polygamma 2": lambda t, F, x: t.polygamma(2, x),
    "std_mean": lambda t, F, x: t.std_mean(x)[0], "aminmax": lambda t, F, x: t.aminmax(x)[0],
    "cumsum dtype": lambda t, F, x: t.cumsum(x, -1, dtype=t.float64),
    "softmax dtype": lambda t, F, x: t.softmax(x, -1, dtype=t.float64),
    "mean dtype": lambda t, F, x: t.mean(x, dtype=t.float64),
    "float_power": lambda t, F, x: t.float_power(x, 2), "kron": lambda t, F, x: t.kron(x, x),
    "inner": lambda t, F, x: t.inner(x, x), "lerp": lambda t, F, x: t.lerp(x, x * 2, 0.3),
    "F.gelu tanh": lambda t, F, x: F.gelu(x, approximate="tanh"),
    "F.celu 0.5": lambda t, F, x: F.celu(x, 0.5),
    "F.softplus 2": lambda t, F, x: F.softplus(x, 2.0),
    "F.softplus threshold": lambda t, F, x: F.softplus(x * 9, 1.5, 4.0),
    "F.softplus far": lambda t, F, x: F.softplus(x * 30),
    "F.threshold": lambda t, F, x: F.threshold(x, 0.1, 5.0),
    "F.hardshrink 0.3": lambda t, F, x: F.hardshrink(x, 0.3),
    "clamp": lambda t, F, x: t.clamp(x, -0.5, 0.6),
    "clamp min": lambda t, F, x: t.clamp(x, min=0.1),
    "clamp by tensors": lambda t, F, x: t.clamp(x, x.detach() * 0 + 0.5, x.detach() * 0 + 0.7),
    "var unbiased=False": lambda t, F, x: x.var(unbiased=False),
    "tg.std(x, True)": lambda t, F, x: t.std(x, True),
    "F.normalize": lambda t, F, x: F.normalize(x, dim=-1),
    "F.normalize 3": lambda t, F, x: F.normalize(x, 3.0, dim=0),
    "F.glu": lambda t, F, x: F.glu(x, -1),
    "where": lambda t, F, x: t.where(x > 0, x, x * 2),
    "where alone": lambda t, F, x: t.where(x > 0)[0],
    "x**2": lambda t, F, x: x**2, "x**3": lambda t, F, x: x**3, "x**0": lambda t, F, x: x**0,
    "x // 0.7": lambda t, F, x: x // 0.7, "x % 0.7": lambda t, F, x: x % 0.7,
    "x // 0": lambda t, F, x: x // 0, "x % 0": lambda t, F, x: x % 0,
    "2 // x": lambda t, F, x: 2 // x, "2 % x": lambda t, F, x: 2 % x,
    "1 / x": lambda t, F, x: 1 / x,
    "masked_fill": lambda t, F, x: x.masked_fill(x > 0, 2.5),
    "x[mask]": lambda t, F, x: x[x > 0],
    "cat": lambda t, F, x: t.cat([x, x], 0),
    "meshgrid": lambda t, F, x: t.meshgrid(x, x * 2, indexing="ij")[0],
    "meshgrid xy": lambda t, F, x: t.meshgrid(x, x[:1], indexing="xy")[1],
    "F.pad": lambda t, F, x: F.pad(x, (1, 2)),
    "einsum": lambda t, F, x: t.einsum("...i->...", x),
    "F.dropout all": lambda t, F, x: F.dropout(x, 1.0),
    "F.mse_loss": lambda t, F, x: F.mse_loss(x, x.detach() * 0.5),
    "F.smooth_l1_loss": lambda t, F, x: F.smooth_l1_loss(x, x.detach() * 0.5 + 0.3, beta=0.5),
    "F.huber_loss": lambda t, F, x: F.huber_loss(x, t.zeros_like(x), delta=0.5),
    "F.bce_with_logits": lambda t, F, x: F.binary_cross_entropy_with_logits(
        x, t.zeros_like(x) + 0.3),
    "F.bce": lambda t, F, x: F.binary_cross_entropy(t.sigmoid(x), t.zeros_like(x) + 0.3),
    "F.kl_div": lambda t, F, x: F.kl_div(x, t.sigmoid(x.detach()), reduction="batchmean"),
    "F.gaussian_nll_loss": lambda t, F, x: F.gaussian_nll_loss(x, x.detach() * 0.5, t.sigmoid(x)),
    "F.cross_entropy": lambda t, F, x: F.cross_entropy(x, zeros(t, x)),
    "F.nll_loss": lambda t, F, x: F.nll_loss(x, zeros(t, x)),
    "F.layer_norm": lambda t, F, x: F.layer_norm(x, tuple(x.shape[-1:])),
    "F.cosine_similarity": lambda t, F, x: F.cosine_similarity(x, x.detach() * 2 + 1, dim=-1),
    "F.prelu": lambda t, F, x: F.prelu(x, t.tensor([0.25]).to(x.dtype)),
}  # fmt: skip
TWO: dict[str, Function] = {
    **ops("""add sub mul div maximum minimum logaddexp remainder floor_divide eq lt ge logical_and
        hypot atan2 fmod fmax fmin xlogy copysign ldexp kron inner dist clamp_min clamp_max
        float_power"""),
    "div trunc": lambda t, F, x, y: t.div(x, y, rounding_mode="trunc"),
    "div floor": lambda t, F, x, y: t.div(x, y, rounding_mode="floor"),
    "addcdiv": lambda t, F, x, y: t.addcdiv(x, y, x), "lerp": lambda t, F, x, y: t.lerp(x, y, 0.5),
    "addcmul": lambda t, F, x, y: t.addcmul(x, y, x),
    "logcumsumexp": lambda t, F, x, y: t.logcumsumexp(x, -1),
    **functional("scaled_dot_product_attention prelu cross_entropy"),
    "where": lambda t, F, x, y: t.where(x > y, x, y),
    "clamp min": lambda t, F, x, y: t.clamp(x, min=y),
    "clamp max": lambda t, F, x, y: t.clamp(x, max=y),
    "F.mse_loss": lambda t, F, x, y: F.mse_loss(x, y, reduction="none"),
    "F.huber_loss": lambda t, F, x, y: F.huber_loss(x, y, reduction="none"),
    "F.smooth_l1_loss": lambda t, F, x, y: F.smooth_l1_loss(x, y, reduction="none"),
    "F.kl_div": lambda t, F, x, y: F.kl_div(x, y.detach(), reduction="none"),
    "F.gaussian_nll_loss": lambda t, F, x, y: F.gaussian_nll_loss(
        x, x.detach() * 0, y * y, reduction="none"),
    "F.cosine_similarity": lambda t, F, x, y: F.cosine_similarity(x, y, dim=-1),
    "F.cosine_similarity 0": lambda t, F, x, y: F.cosine_similarity(x, y, dim=0),
    "matmul": lambda t, F, x, y: x @ y,
    "causal attention": lambda t, F, x, y: F.scaled_dot_product_attention(x, y, y, is_causal=True),
}  # fmt: skip
IMAGE: dict[str, Function] = {
    "avg_pool2d": lambda t, F, x: F.avg_pool2d(x, 2),
    "avg_pool2d 3": lambda t, F, x: F.avg_pool2d(x, 3, 1, 1),
    "avg_pool2d inside": lambda t, F, x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "avg_pool2d divisor": lambda t, F, x: F.avg_pool2d(x, 3, 2, 1, divisor_override=-2),
    "avg_pool2d ceil": lambda t, F, x: F.avg_pool2d(x, (3, 2), (2, 2), ceil_mode=True),
    "max_pool2d": lambda t, F, x: F.max_pool2d(x, 3, 2, 1),
    "adaptive_avg_pool2d": lambda t, F, x: F.adaptive_avg_pool2d(x, (4, 3)),
    "adaptive_avg_pool2d 1": lambda t, F, x: F.adaptive_avg_pool2d(x, 1),
    "bilinear": lambda t, F, x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "bilinear 7": lambda t, F, x: F.interpolate(x, size=(7, 5), mode="bilinear"),
    "bilinear corners": lambda t, F, x: F.interpolate(
        x, size=(9, 5), mode="bilinear", align_corners=True),
    "nearest": lambda t, F, x: F.interpolate(x, size=(5, 11)),
    "area": lambda t, F, x: F.interpolate(x, size=(4, 3), mode="area"),
    "reflect": lambda t, F, x: F.pad(x, (1, 2, 2, 1), mode="reflect"),
    "batch_norm": lambda t, F, x: F.batch_norm(x, None, None, training=True),
    "group_norm": lambda t, F, x: F.group_norm(x, 2),
    "instance_norm": lambda t, F, x: F.instance_norm(x),
    "prelu": lambda t, F, x: F.prelu(x, (0.2 * t.arange(4) - 0.1).to(x.dtype)),
    "sum": lambda t, F, x: x.sum((0, 2, 3)),
    "conv2d": lambda t, F, x: F.conv2d(x, t.full((2, 4, 3, 3), 0.5).to(x.dtype), padding=1),
    "conv_transpose2d": lambda t, F, x: F.conv_transpose2d(
        x, t.full((4, 2, 3, 3), 0.5).to(x.dtype), stride=2),
}  # fmt: skip

KNOWN = {
    ("sign", "nan"): "PyTorch's sign of NaN is 0, which hides it; here it is NaN, as in NumPy",
    ("prod", "inf"): "the others' product; PyTorch divides by inf and has NaN",
    ("prod__last", "inf"): "as prod",
    ("cumprod", "inf"): "as prod",
    ("cumprod__0", "inf"): "as prod",
    ("var", "inf"): "x - inf is NaN for all; the value is NaN in both",
    **{(name, "inf"): "as var" for name in (
        "var__last", "var__unbiased", "var__positions", "var unbiased=False")},
    ("norm__minus_1", "inf"): "of -inf alone: 0 and NaN",
    ("F.bce_with_logits", "inf"): "inf for -inf and NaN for inf; PyTorch the other way round",
    ("logcumsumexp", "inf"): "inf minus inf: 1/2 each here or all of it, in PyTorch NaN",
    ("logcumsumexp", "pair"): "as before",
    ("polygamma 2", "inf"): "0, PyTorch has NaN",
    ("hypot", "pair"): "the gradient at (0, 0) is 0, as norm's; PyTorch has NaN",
    ("xlogy", "pair"): "the gradient of 0 log 0 for the 0 inside is 0; PyTorch has NaN",
    ("copysign", "pair"): "the gradient of inf is 1 or -1; PyTorch divides and has NaN",
    ("quantile", "inf"): "between -inf and -inf, or a number, is -inf; PyTorch has NaN",
    ("quantile__last", "inf"): "as quantile",
    ("quantile__last", "empty"): "of no rows there are no quantiles; PyTorch refuses",
    **{(name, kind): "which of several that tie" for name in ("kthvalue", "kthvalue__0") for kind in
       ("zeros", "ones", "ties", "inf")},
    **{("median", kind): "of no integers: refused; PyTorch's smallest one" for kind in (
        "bool", "uint8", "int8", "int32", "int64")},
    ("add alpha", "bool"): "True + 2 True = 3; PyTorch's is True",
    ("lerp", "bool"): "PyTorch refuses",
    **{("lerp", kind): "PyTorch refuses" for kind in ("uint8", "int8", "int32", "int64")},
    ("F.hardsigmoid", ""): "PyTorch's slope 1 / 6 is a float32",
    ("all", "uint8"): "bool, as for every dtype; PyTorch keeps uint8 for its oldest programs",
    **{(name, "uint8"): "as all" for name in ("all__0", "any")},
    ("F.hardtanh", "uint8"): "PyTorch refuses",
    **{(name, "0-d"): "needs a dimension here" for name in ("flip",)},
    ("F.cross_entropy", "empty"): "probabilities of no class: 0, PyTorch's mean is 0 / 0",
}  # fmt: skip


def result(lib: Any, fun: Any, f: Function, arrays: list[np.ndarray]) -> Any:
    """(value, gradients or None), or the exception."""
    try:
        xs = [lib.tensor(a) for a in arrays]
        xs = [x.requires_grad_() if x.is_floating_point() else x for x in xs]
        out = f(lib, fun, *xs)
        value, grads = out.detach().numpy(), None
        if out.requires_grad:
            u = np.asarray(np.random.default_rng(0).uniform(0.5, 1.5, value.shape))
            grads = lib.autograd.grad(out, xs, lib.tensor(u.astype(value.dtype)), allow_unused=True)
            grads = [None if g is None else g.detach().numpy() for g in grads]
        return value, grads
    except Exception as error:
        return error


def same(a: Any, b: Any) -> bool:
    if a is None or b is None:  # no gradient, and a gradient of 0, are one
        return not any(x.any() for x in (a, b) if x is not None)
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return np.allclose(a.astype(float), b.astype(float), 1e-6, 1e-7, equal_nan=True)


def difference(f: Function, *arrays: np.ndarray, grads: bool = True) -> str:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        here = result(tg, F, f, list(arrays))
        there = result(torch, torch.nn.functional, f, list(arrays))
    if isinstance(here, Exception) or isinstance(there, Exception):
        both = isinstance(here, Exception) and isinstance(there, Exception)
        return (
            ""
            if both or "not implemented" in str(there)
            else f"here {here!r:.90}, PyTorch {there!r:.90}"
        )
    if not same(here[0], there[0]):
        return f"here {here[0].dtype}{here[0].shape} {np.ravel(here[0])[:5]}, PyTorch " + (
            f"{there[0].dtype}{there[0].shape} {np.ravel(there[0])[:5]}"
        )
    if (here[1] is None) != (there[1] is None):
        return f"gradients: here {here[1] is not None}, PyTorch {there[1] is not None}"
    for a, b in zip(here[1] or [], there[1] or [], strict=True):
        if grads and not same(a, b):
            return f"gradient: here {np.ravel(a)[:5]}, PyTorch {np.ravel(b)[:5]}"
    return ""


def report(found: list[tuple[str, str, str]]) -> None:
    """(function, kind of input, difference): none but the KNOWN ones."""
    bad = [
        f"{kind} {name}: {text}"
        for name, kind, text in found
        if text and not {(name, kind.split()[0]), (name, "")} & set(KNOWN)
    ]
    assert not bad, "\n".join(bad)


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).uniform(-1.5, 1.5, shape)


SPECIAL: dict[str, Callable[[np.ndarray], None]] = {
    "nan": lambda x: x.__setitem__((..., 1), NAN),
    "inf": lambda x: x.__setitem__((..., 1), INF),
    "inf negative": lambda x: x.__setitem__((..., 1), -INF),
    "zeros": lambda x: x.fill(0.0),
    "ones": lambda x: x.fill(1.0),
    "ties": lambda x: x.__setitem__((..., slice(3)), 0.5),
    "inf only": lambda x: x.fill(-INF),
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_special_numbers(kind: str) -> None:
    found = []
    for shape in ((4,), (2, 4)):
        for name, f in ONE.items():
            x = draw(*shape)
            SPECIAL[kind](x)
            found.append((name, kind, difference(f, x, grads=kind != "nan")))
    report(found)


@pytest.mark.parametrize("first", [NAN, INF, -INF, 0.0, 1.0])
@pytest.mark.parametrize("second", [NAN, INF, -INF, 0.0, 1.0])
def test_special_pairs(first: float, second: float) -> None:
    x, y = draw(4), np.abs(draw(4)) + 0.1
    x[1], y[1] = first, second
    nan = math.isnan(first + second) and first != second or math.isnan(first)
    report([(name, "pair", difference(f, x, y, grads=not nan)) for name, f in TWO.items()])


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_one_special_pixel(value: float) -> None:
    x = draw(2, 4, 6, 8)
    x[0, 1, 2, 3] = value
    report([(name, "pixel", difference(f, x, grads=False)) for name, f in IMAGE.items()])


@pytest.mark.parametrize("shape", [(), (1,), (0,), (0, 2), (2, 0), (2, 0, 4), (1, 1)])
def test_few_or_no_elements(shape: tuple[int, ...]) -> None:
    kind = "0-d" if shape == () else "empty" if 0 in shape else "one"
    report([(name, kind, difference(f, draw(*shape))) for name, f in ONE.items()])


SHAPES = [
    ((), ()), ((), (1,)), ((3,), ()), ((0,), ()), ((0,), (1,)), ((0, 3), (3,)), ((2, 3), (3,)),
    ((2, 3), (2, 1)), ((3, 1), (1, 4)), ((0,), (0,)), ((2, 5, 4), (2, 3, 4)), ((4, 3), (4,)),
    ((2, 3, 4), (2, 5, 4)), ((2, 3, 5, 4), (2, 3, 3, 4)), ((2, 3, 4), (2, 0, 4)), ((4, 4), (4,)),
]  # fmt: skip


@pytest.mark.parametrize("shapes", SHAPES)
def test_shapes_of_two(shapes: tuple[tuple[int, ...], ...]) -> None:
    x, y = draw(*shapes[0]), np.abs(draw(*shapes[1])) + 0.1
    kind = "empty" if 0 in (*shapes[0], *shapes[1]) else "pair"
    report([(name, kind, difference(f, x, y)) for name, f in TWO.items()])


NUMBERS = """neg abs sign square sum prod amax amin max min nonzero max__last min__last cumsum
    cumsum__0 cumprod cumprod__0 prod__last sum__last sum__no_dim logsumexp sort sort__down exp
    all any all__0 where masked_fill einsum cat flatten clone F.threshold F.relu6
    F.hardtanh lgamma nansum median median__last kthvalue cummax cummin count_nonzero nan_to_num
    trace float_power kron inner erfinv""".split()
NUMBERS += ["cumsum dtype", "softmax dtype", "mean dtype", "add alpha", "lerp", "aminmax"]
DIVISIONS = ["x // 0", "x % 0", "2 // x", "2 % x", "div trunc 0", "fmod 0", "fmod 0.7"]


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int32", "int64"])
def test_integers(dtype: str) -> None:
    found, top = [], 2 if dtype == "bool" else 100
    for shape in ((), (4,), (0,), (2, 3)):
        x = np.asarray(np.random.default_rng(0).integers(0, top, shape)).astype(dtype)
        for name in NUMBERS + DIVISIONS * (dtype != "bool"):
            if dtype != "bool" or name not in ("neg", "abs", "square", "F.relu6", "F.hardtanh"):
                found.append((name, dtype, difference(ONE[name], x)))
    report(found)
    for zero in (0, 3):
        x, y = np.arange(6).astype(dtype), np.asarray([1, 2, zero, 1, 2, 3]).astype(dtype)
        for name in ("floor_divide", "remainder") * (dtype != "bool"):
            report([(name, dtype, difference(TWO[name], x, y))])


def test_a_var_that_does_not_fit_is_refused() -> None:
    for shape in ((3,), (4, 3), (4, 1), (4,), (1, 3)):
        var = np.abs(draw(*shape)) + 0.1
        f = lambda t, F, x, v: F.gaussian_nll_loss(x, x.detach() * 0, v, reduction="none")  # noqa: E731
        assert not difference(f, draw(4, 3), var), shape
    assert not difference(lambda t, F, x: F.gaussian_nll_loss(x, x * 2, 0.5, full=True), draw(3))


def test_binary_cross_entropy_bounds_its_logarithms_in_the_gradient_too() -> None:
    """max(log x, -100) is what the value has; PyTorch's gradient for the target is log x, -inf."""
    t = tg.tensor([0.3, 0.3], requires_grad=True)
    F.binary_cross_entropy(tg.tensor([1.0, 0.0]), t, reduction="sum").backward()
    assert t.grad.tolist() == [-100.0, 100.0]
