"""Every layer: gradients of input and parameters at order 2, shapes, dtypes, modes, bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import nn
from tinygen.nn.functional import channel_norm
from tinygen.testing import check_grads

RNG = np.random.default_rng(0)


def data(*shape):
    """Normal numbers, none nearer than 0.05 to 0, where activations have their kinks."""
    x = np.random.default_rng(len(shape) + sum(shape)).standard_normal(shape)
    return tg.tensor(x + 0.05 * np.sign(x))


def shaken(layer):
    """The layer with parameters away from 0 and 1, where gradients hide."""
    for i, parameter in enumerate(layer.parameters()):
        nn.init.normal_(parameter, 0.3, 0.5, generator=tg.Generator().manual_seed(i))
    return layer


SMOOTH = {
    "Identity": (nn.Identity, (2, 3)),
    "Linear": (lambda: nn.Linear(3, 4), (5, 3)),
    "Linear, no bias, 3-d": (lambda: nn.Linear(3, 4, bias=False), (2, 5, 3)),
    "Linear, 1-d": (lambda: nn.Linear(3, 4), (3,)),
    "Conv1d": (lambda: nn.Conv1d(2, 3, 3, padding=1, stride=2), (2, 2, 7)),
    "Conv2d": (lambda: nn.Conv2d(2, 4, 3, padding=1, groups=2), (2, 2, 5, 4)),
    "Conv2d, reflect": (
        lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (1, 2, 4, 5),
    ),
    "ConvTranspose2d": (
        lambda: nn.ConvTranspose2d(3, 2, 4, stride=2, padding=1, output_padding=1), (2, 3, 3, 2),
    ),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(3), (6, 3)),
    "BatchNorm1d, (N, C, L)": (lambda: nn.BatchNorm1d(3), (2, 3, 4)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3), (2, 3, 4, 2)),
    "BatchNorm2d, no affine": (lambda: nn.BatchNorm2d(3, affine=False), (2, 3, 3, 2)),
    "BatchNorm2d, eval": (lambda: nn.BatchNorm2d(3).eval(), (2, 3, 4, 2)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 6), (2, 6, 3, 2)),
    "GroupNorm, 1 group, 2-d": (lambda: nn.GroupNorm(1, 6), (3, 6)),
    "LayerNorm": (lambda: nn.LayerNorm(5), (2, 3, 5)),
    "LayerNorm, two dimensions": (lambda: nn.LayerNorm([3, 4], bias=False), (2, 3, 4)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(3, affine=True), (2, 3, 4, 3)),
    "InstanceNorm2d, (C, H, W)": (lambda: nn.InstanceNorm2d(3), (3, 4, 3)),
    "Flatten": (nn.Flatten, (2, 3, 2, 2)),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 3)), (2, 6)),
    "Upsample, nearest": (lambda: nn.Upsample(scale_factor=2), (2, 2, 3, 2)),
    "Upsample, bilinear": (lambda: nn.Upsample((5, 4), mode="bilinear"), (1, 2, 3, 2)),
    "AvgPool2d": (lambda: nn.AvgPool2d(2), (2, 2, 4, 6)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), (2, 2, 4, 4)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d((2, 3)), (2, 2, 5, 4)),
    "ZeroPad2d": (lambda: nn.ZeroPad2d((1, 2, 0, 1)), (1, 2, 3, 2)),
    "ReflectionPad2d": (lambda: nn.ReflectionPad2d(1), (1, 2, 3, 2)),
    "ReplicationPad2d": (lambda: nn.ReplicationPad2d((0, 2, 1, 1)), (1, 2, 3, 2)),
    "PixelShuffle": (lambda: nn.PixelShuffle(2), (1, 8, 2, 3)),
    "PReLU": (nn.PReLU, (3, 4)),
    "PReLU, one a channel": (lambda: nn.PReLU(3), (2, 3, 4)),
    "spectral_norm": (lambda: nn.utils.spectral_norm(nn.Linear(4, 3)).eval(), (2, 4)),
    "spectral_norm of ConvTranspose2d": (
        lambda: nn.utils.spectral_norm(nn.ConvTranspose2d(2, 3, 2)).eval(), (1, 2, 3, 2),
    ),
    "Dropout, eval": (lambda: nn.Dropout(0.5).eval(), (3, 4)),
    "network": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.SiLU(), nn.Flatten(), nn.Linear(8, 2)
        ),
        (3, 1, 4, 4),
    ),
}  # fmt: skip

ACTIVATIONS = {
    name: getattr(nn, name)
    for name in (
        "ReLU", "ReLU6", "LeakyReLU", "ELU", "SELU", "CELU", "SiLU", "Mish", "Sigmoid", "Tanh",
        "LogSigmoid", "Tanhshrink", "Softsign", "Softplus", "Hardsigmoid", "Hardswish", "Hardtanh",
        "Hardshrink", "Softshrink", "GLU",
    )
} | {
    "GELU": nn.GELU,
    "GELU, tanh": lambda: nn.GELU(approximate="tanh"),
    "Softplus, beta": lambda: nn.Softplus(beta=2.5),
    "CELU, alpha": lambda: nn.CELU(0.7),
    "ELU, alpha": lambda: nn.ELU(0.7),
    "Threshold": lambda: nn.Threshold(0.1, -2.0),
    "Softmax": lambda: nn.Softmax(1),
    "LogSoftmax": lambda: nn.LogSoftmax(-1),
    "Softmin": lambda: nn.Softmin(0),
}  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_layer_gradients(name):
    make, shape = SMOOTH[name]
    layer = shaken(make())
    check_grads(layer, data(*shape), params=layer.parameters())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_gradients(name):
    check_grads(ACTIVATIONS[name](), data(4, 6))


@pytest.mark.parametrize("name", ["BatchNorm2d", "GroupNorm", "LayerNorm", "InstanceNorm2d"])
def test_norm_gradients_at_order_3(name):
    make, shape = SMOOTH[name]
    layer = shaken(make())
    check_grads(layer, data(*shape), params=layer.parameters(), order=3, float32=False)


def test_embedding_gradients():
    index = tg.tensor([[0, 2, 2], [3, 1, 0]])
    for layer in (nn.Embedding(4, 3), nn.Embedding(5, 3, padding_idx=-1)):
        check_grads(layer, index, params=layer.parameters())


@given(st.data())
def test_norms_have_their_moments(draw):
    """In float64, over random shapes: mean 0, and variance var / (var + eps)."""
    n, groups, per, h, w = (draw.draw(st.integers(1, 4)) for _ in range(5))
    h += 1
    channels, eps = groups * per, draw.draw(st.sampled_from([1e-5, 1e-2, 1.0]))
    array = np.random.default_rng(n + h).normal(3.0, 2.0, (n, channels, h, w))
    x = tg.tensor(array)
    cases = [
        (F.batch_norm(x, None, None, training=True, eps=eps), array, (0, 2, 3)),
        (F.instance_norm(x, eps=eps), array, (2, 3)),
        (F.layer_norm(x, (h, w), eps=eps), array, (2, 3)),
        (F.group_norm(x, groups, eps=eps), array.reshape(n, groups, per, h, w), (2, 3, 4)),
    ]
    for out, source, axes in cases:
        centred = source - source.mean(axes, keepdims=True)
        expected = centred / np.sqrt(source.var(axes, keepdims=True) + eps)
        np.testing.assert_allclose(out.numpy().reshape(source.shape), expected, atol=1e-12)


@given(st.integers(2, 5), st.integers(1, 4), st.integers(1, 3), st.sampled_from([0.1, 0.7, None]))
def test_batch_norm_running_statistics(n, channels, steps, momentum):
    layer = nn.BatchNorm1d(channels, momentum=momentum).double()
    batches = np.random.default_rng(n).normal(2.0, 3.0, (steps, n, channels))
    mean, var = np.zeros(channels), np.ones(channels)
    for k, batch in enumerate(batches, 1):
        layer(tg.tensor(batch))
        m = 1 / k if momentum is None else momentum
        mean = (1 - m) * mean + m * batch.mean(0)
        var = (1 - m) * var + m * batch.var(0, ddof=1)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), var, rtol=1e-12)
    assert layer.num_batches_tracked.item() == steps
    x = batches[0]
    frozen = layer.eval()(tg.tensor(x)).detach().numpy()
    np.testing.assert_allclose(frozen, (x - mean) / np.sqrt(var + 1e-5), rtol=1e-9)
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-12)


def test_batch_norm_without_running_statistics_uses_the_batch_in_eval_too():
    layer, x = nn.BatchNorm2d(2, track_running_stats=False), data(3, 2, 2, 2)
    np.testing.assert_allclose(layer(x).detach().numpy(), layer.eval()(x).detach().numpy())
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert list(nn.BatchNorm2d(2, affine=False).state_dict())[0] == "running_mean"


def test_instance_norm_running_statistics():
    layer = nn.InstanceNorm2d(2, track_running_stats=True).double()
    x = np.random.default_rng(0).normal(2.0, 3.0, (3, 2, 4, 4))
    layer(tg.tensor(x))
    np.testing.assert_allclose(layer.running_mean.numpy(), 0.1 * x.mean((0, 2, 3)), rtol=1e-12)
    var = x.var((2, 3), ddof=1).mean(0)
    np.testing.assert_allclose(layer.running_var.numpy(), 0.9 + 0.1 * var, rtol=1e-12)
    out = layer.eval()(tg.tensor(x)).detach().numpy()
    mean, var = 0.1 * x.mean((0, 2, 3)), 0.9 + 0.1 * var
    expected = (x - mean[:, None, None]) / np.sqrt(var + 1e-5)[:, None, None]
    np.testing.assert_allclose(out, expected, rtol=1e-9)


def test_norms_keep_channels_last_memory():
    x = tg.from_numpy(np.random.default_rng(0).random((2, 5, 4, 6), np.float32)).permute(0, 3, 1, 2)
    for layer in (nn.BatchNorm2d(6), nn.GroupNorm(3, 6), nn.InstanceNorm2d(6), nn.Dropout(0.5)):
        assert layer(x).permute(0, 2, 3, 1).is_contiguous(), type(layer).__name__


@pytest.mark.parametrize("mean", [0.0, 10.0, 300.0])
def test_a_norm_of_float16_does_not_overflow(mean):
    flat = tg.full((2, 16, 4, 4), mean, dtype=tg.float16)
    assert np.array_equal(nn.GroupNorm(4, 16).half()(flat).detach().numpy(), np.zeros(flat.shape))
    x = (mean + RNG.standard_normal((2, 16, 4, 4))).astype(np.float16)
    out = nn.GroupNorm(4, 16).half()(tg.tensor(x)).detach().numpy()
    groups = x.astype(np.float64).reshape(2, 4, -1)
    exact = groups - groups.mean(2, keepdims=True)
    exact = (exact / np.sqrt((exact**2).mean(2, keepdims=True) + 1e-5)).reshape(x.shape)
    near = 4e-3 + 6e-4 * mean  # the mean itself is kept in float16
    assert out.dtype == np.float16 and np.abs(out - exact).max() < near


@pytest.mark.parametrize("shape", [(3, 8, 1, 1), (3, 8, 4, 4), (3, 300, 2, 2), (3, 8, 5, 3)])
def test_a_norm_sums_up_once_for_all_its_gradients(shape, monkeypatch):
    """And anew in the next backward, whatever has happened to the arrays in between."""
    sums, made = channel_norm._product_sums, []

    def counted(g, x):
        made.append(g.shape)
        return sums(g, x)

    monkeypatch.setattr(channel_norm, "_product_sums", counted)
    layer = nn.GroupNorm(2, shape[1]).double()
    x = tg.randn(*shape, dtype=tg.float64, requires_grad=True)
    v = tg.randn(*shape, dtype=tg.float64)
    loss = (layer(x) * v).sum()
    first = tg.autograd.grad(loss, [x, layer.weight], retain_graph=True)
    v._array *= 2.0
    second = tg.autograd.grad(loss, [x, layer.weight])
    assert len(made) == 2
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(2 * a.numpy(), b.numpy(), rtol=1e-12)


@pytest.mark.parametrize("layer", [nn.GroupNorm(2, 6), nn.BatchNorm2d(6)])
@pytest.mark.parametrize("side", [(1, 1), (2, 3), (2, 4), (3, 3), (4, 4)])
def test_norms_of_large_images_take_longer_rows(layer, side, monkeypatch):
    x, layer = data(2, 6, *side), shaken(layer.double())
    near = layer(x).detach()
    monkeypatch.setattr(channel_norm, "GRAIN", 1)
    np.testing.assert_allclose(layer(x).detach().numpy(), near.numpy(), rtol=1e-12)
    check_grads(layer, x, order=2)


# --- dropout ----------------------------------------------------------------------------------


@given(st.floats(0.05, 0.9), st.integers(0, 100))
def test_dropout_drops_a_share_p_and_rescales(p, seed):
    x = tg.ones(400, 50)
    out = F.dropout(x, p, generator=tg.Generator().manual_seed(seed)).numpy()
    kept = out != 0
    np.testing.assert_allclose(out[kept], 1 / (1 - p), rtol=1e-6)
    assert abs(kept.mean() - (1 - p)) < 5 * math.sqrt(p * (1 - p) / x.numel())


def test_dropout_by_generator_mode_and_channel():
    x = tg.ones(4, 50, 3, 3)
    again = [F.dropout(x, 0.5, generator=tg.Generator().manual_seed(3)).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*again)
    assert nn.Dropout(0.5).eval()(x) is x and F.dropout(x, 0.0) is x
    assert not F.dropout(x, 1.0).numpy().any()
    channels = nn.Dropout2d(0.5)(x).numpy().reshape(4, 50, 9)
    assert (channels == channels[:, :, :1]).all() and 0 < channels.mean() < 2
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match="between 0 and 1"):
            F.dropout(x, p)
        with pytest.raises(ValueError, match=r"Dropout: expected p in \[0, 1\]"):
            nn.Dropout(p)
    with pytest.raises(RuntimeError, match="dropout2d: expected"):
        F.dropout2d(tg.ones(3, 4))


def test_dropout_gradient_is_the_mask():
    def f(x):
        return F.dropout(x, 0.4, generator=tg.Generator().manual_seed(1)) * x

    check_grads(f, data(4, 5))


# --- embedding, activations: what they are -----------------------------------------------------


def test_embedding_looks_up_and_padding_gets_no_gradient():
    layer = nn.Embedding(5, 3, padding_idx=1)
    assert not layer.weight.detach().numpy()[1].any()
    index = tg.tensor([[1, 4], [4, 0]])
    out = layer(index)
    np.testing.assert_array_equal(
        out.detach().numpy(), layer.weight.detach().numpy()[index.numpy()]
    )
    out.sum().backward()
    assert layer.weight.grad.numpy().sum(1).tolist() == [3.0, 0.0, 0.0, 0.0, 6.0]
    weight = tg.ones(5, 3, requires_grad=True)
    F.embedding(index, weight, padding_idx=-1).sum().backward()
    assert weight.grad.numpy().sum(1).tolist() == [3.0, 3.0, 0.0, 0.0, 0.0]
    table = nn.Embedding.from_pretrained(tg.ones(2, 3))
    assert not table.weight.requires_grad and table(tg.tensor([1])).shape == (1, 3)


@pytest.mark.parametrize(
    ("index", "error", "text"),
    [
        ([5], IndexError, "the table has 5 rows"),
        ([-1], IndexError, "out of range"),
        ([0.5], RuntimeError, "expected integer indices"),
    ],
)
def test_embedding_refuses(index, error, text):
    with pytest.raises(error, match=text):
        nn.Embedding(5, 3)(tg.tensor(index))


CLOSED = {
    "relu6": lambda x: np.clip(x, 0, 6),
    "hardtanh": lambda x: np.clip(x, -1, 1),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "celu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "logsigmoid": lambda x: -np.logaddexp(0, -x),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "tanhshrink": lambda x: x - np.tanh(x),
    "hardshrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "softshrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "hardsigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hardswish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "silu": lambda x: x / (1 + np.exp(-x)),
}


@pytest.mark.parametrize("name", CLOSED)
def test_activations_against_closed_forms(name):
    x = np.linspace(-8, 8, 101)
    out = getattr(F, name)(tg.tensor(x)).numpy()
    np.testing.assert_allclose(out, CLOSED[name](x), rtol=1e-12, atol=1e-12)


def test_logsigmoid_and_softplus_do_not_overflow():
    x = tg.tensor([-1e4, -50.0, 50.0, 1e4], dtype=tg.float64)
    assert F.logsigmoid(x).tolist() == [-1e4, -50.0, -math.log1p(math.exp(-50)), 0.0]
    assert F.softplus(x).tolist() == [0.0, math.log1p(math.exp(-50)), 50.0, 1e4]


def test_gumbel_softmax_samples_from_the_softmax():
    logits = tg.tensor(np.log([0.2, 0.5, 0.3])).expand(20000, 3)
    hard = F.gumbel_softmax(logits, 0.5, hard=True, generator=tg.Generator()).numpy()
    assert set(np.unique(hard.round(12))) == {0.0, 1.0}
    np.testing.assert_allclose(hard.mean(0), [0.2, 0.5, 0.3], atol=0.02)

    def soft(x):
        return F.gumbel_softmax(x, 0.8, generator=tg.Generator().manual_seed(2))

    check_grads(soft, data(4, 3))
    x = data(4, 3).requires_grad_()
    straight = F.gumbel_softmax(x, 0.8, True, generator=tg.Generator().manual_seed(2))
    u = data(4, 3)
    (through,) = tg.autograd.grad(straight, x, u)
    (expected,) = tg.autograd.grad(soft(x), x, u)
    np.testing.assert_allclose(through.numpy(), expected.numpy())


def test_normalize_and_cosine_similarity():
    x, y = data(4, 5), data(5, 4).T
    for p in (1.0, 2.0, 3.0):
        norms = np.linalg.norm(F.normalize(x, p, dim=0).numpy(), p, axis=0)
        np.testing.assert_allclose(norms, 1)
    assert not F.normalize(tg.zeros(2, 3)).numpy().any()
    a, b = x.numpy(), y.numpy()
    expected = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(F.cosine_similarity(x, y).numpy(), expected)
    check_grads(F.normalize, x)
    check_grads(F.cosine_similarity, x, y)


def test_conv_transpose_output_size():
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1)
    x = data(1, 2, 4, 4).float()
    assert layer(x, output_size=(8, 7)).shape == (1, 3, 8, 7)
    with pytest.raises(ValueError, match="can give 7 to 8"):
        layer(x, output_size=(9, 7))


def test_conv_padding_modes_equal_padding_first():
    x = data(2, 2, 5, 6).float()
    for padding in (1, "same"):
        layer = nn.Conv2d(2, 3, 3, padding=padding, padding_mode="replicate")
        plain = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), layer.weight, layer.bias)
        np.testing.assert_allclose(layer(x).detach().numpy(), plain.detach().numpy(), rtol=1e-6)


# --- bad input ----------------------------------------------------------------------------------

BAD = {
    "Linear features": (lambda: nn.Linear(3, 2)(tg.ones(4, 5)), RuntimeError, "linear.*5.*3"),
    "BatchNorm channels": (
        lambda: nn.BatchNorm2d(3)(tg.ones(2, 4, 2, 2)), ValueError, "expected 3 channels.*4",
    ),
    "BatchNorm dimensions": (
        lambda: nn.BatchNorm2d(3)(tg.ones(2, 3)), ValueError, "expected 4D input .got 2D",
    ),
    "BatchNorm1d dimensions": (
        lambda: nn.BatchNorm1d(3)(tg.ones(2, 3, 1, 1)), ValueError, "expected 2D or 3D input",
    ),
    "BatchNorm one value": (
        lambda: nn.BatchNorm1d(3)(tg.ones(1, 3)), ValueError, "more than 1 value per channel",
    ),
    "F.batch_norm eval": (
        lambda: F.batch_norm(tg.ones(2, 3), None, None), RuntimeError, "running_mean and",
    ),
    "F.batch_norm weight": (
        lambda: F.batch_norm(tg.ones(2, 3), None, None, tg.ones(4), training=True),
        RuntimeError, "3 channels, but weight",
    ),
    "InstanceNorm one value": (
        lambda: nn.InstanceNorm2d(3)(tg.ones(2, 3, 1, 1)), ValueError, "more than 1 spatial",
    ),
    "InstanceNorm channels": (
        lambda: nn.InstanceNorm2d(3)(tg.ones(2, 4, 2, 2)), ValueError, "expected 3 channels",
    ),
    "GroupNorm groups": (lambda: nn.GroupNorm(4, 6), ValueError, "6. must be divisible.*4"),
    "GroupNorm channels": (
        lambda: nn.GroupNorm(2, 6)(tg.ones(2, 4, 3)), RuntimeError, r"expected an input \(N, 6",
    ),
    "F.group_norm groups": (
        lambda: F.group_norm(tg.ones(2, 6, 2), 4), RuntimeError, "num_groups=4",
    ),
    "LayerNorm shape": (
        lambda: nn.LayerNorm([3, 4])(tg.ones(2, 4, 3)), RuntimeError, r"shape \[\*, 3, 4\]",
    ),
    "LayerNorm weight": (
        lambda: F.layer_norm(tg.ones(2, 3), 3, tg.ones(2)), RuntimeError, "expected weight",
    ),
    "PReLU channels": (lambda: nn.PReLU(3)(tg.ones(2, 4)), RuntimeError, "4 channels, got 3"),
    "GLU odd": (lambda: F.glu(tg.ones(2, 3)), RuntimeError, "must be even"),
    "GELU approximate": (lambda: nn.GELU("exact"), ValueError, "'none' or 'tanh'"),
    "Hardtanh ends": (lambda: nn.Hardtanh(1.0, -1.0), ValueError, "min_val < max_val"),
    "Conv2d groups": (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "divisible by groups"),
    "Conv2d padding_mode": (
        lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), ValueError, "padding_mode",
    ),
    "ConvTranspose2d padding_mode": (
        lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), ValueError, "'zeros'",
    ),
    "Embedding padding": (lambda: nn.Embedding(3, 2, padding_idx=3), ValueError, "within 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, error, text = BAD[name]
    with pytest.raises(error, match=text):
        call()
