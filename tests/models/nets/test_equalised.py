"""Equalised layers are scaled layers, pixels are normalised, a group's spread is a plane."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen import nn
from tinygen.models import nets
from tinygen.testing import gradcheck, gradgradcheck


@pytest.mark.parametrize("gain", [1.0, 2**0.5])
@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_an_equalised_layer_is_the_scaled_layer(kind: str, gain: float) -> None:
    """The same function as a plain layer of weights c w, and one that learns c times as fast."""
    tg.manual_seed(0)
    if kind == "linear":
        ours, plain, x, fan = nets.EqualLinear(6, 4, gain=gain), nn.Linear(6, 4), tg.rand(5, 6), 6
    else:
        ours = nets.EqualConv2d(3, 4, 3, stride=2, padding=1, gain=gain)
        plain, x, fan = nn.Conv2d(3, 4, 3, 2, 1), tg.rand(5, 3, 7, 6), 27
    ours, plain, x = ours.double(), plain.double(), x.double()
    c = gain / fan**0.5
    assert ours.scale == pytest.approx(c, rel=1e-12)
    with tg.no_grad():
        ours.bias.normal_()
        plain.weight.copy_(c * ours.weight)
        plain.bias.copy_(ours.bias)
    for layer in (ours, plain):
        out = layer(x)
        (out * tg.linspace(-1, 1, out.numel(), dtype="float64").reshape(out.shape)).sum().backward()
    assert np.allclose(ours(x).detach().numpy(), plain(x).detach().numpy(), rtol=0, atol=1e-12)
    assert np.allclose(ours.weight.grad.numpy(), c * plain.weight.grad.numpy(), rtol=1e-10)
    for layer in (ours, plain):  # Adam's first step is lr for every weight: c lr of what is used
        tg.optim.Adam([layer.weight], lr=1e-3, eps=1e-30).step()
    moved = abs(c * ours.weight.detach().numpy() - plain.weight.detach().numpy())
    assert moved.max() == pytest.approx(1e-3 * abs(1 - c), rel=1e-6)


def test_weights_begin_at_size_one_and_outputs_too() -> None:
    tg.manual_seed(0)
    layer, x = nets.EqualLinear(400, 300), tg.randn(200, 400)
    assert layer.weight.std().item() == pytest.approx(1, abs=0.02)
    assert (
        layer(x).std().item() == pytest.approx(1, abs=0.03)
        and not layer.bias.detach().numpy().any()
    )
    he = nn.Sequential(*[nets.EqualLinear(400, 400, gain=2**0.5), nn.ReLU()] * 1)
    assert he(x).square().mean().item() == pytest.approx(1, abs=0.05)  # a ReLU keeps the size


def test_lr_mul_slows_a_layer_down_and_leaves_it_the_same_function() -> None:
    slow = nets.EqualLinear(400, 300, lr_mul=0.01, bias_init=0.7)
    assert slow.weight.std().item() == pytest.approx(100, rel=0.02)
    out = slow(tg.randn(200, 400)).detach()
    assert out.std().item() == pytest.approx(1, abs=0.03)
    assert out.mean().item() == pytest.approx(0.7, abs=0.05)
    assert slow.bias[0].item() == pytest.approx(70)


def test_pixel_norm() -> None:
    x = tg.randn(4, 7, 3, 5, dtype="float64")
    y = nets.PixelNorm()(x).numpy()
    assert np.allclose((y**2).mean(1), 1, atol=1e-6)
    assert np.allclose(y / x.numpy(), (y / x.numpy())[:, :1])  # the direction is kept
    small = (tg.randn(2, 3, 2, 2, dtype="float64") + 0.1).requires_grad_()
    assert gradcheck(nets.PixelNorm(), small) and gradgradcheck(nets.PixelNorm(), small)


# --- minibatch standard deviation -----------------------------------------------------------------


def by_hand(x: np.ndarray, group: int) -> np.ndarray:
    """The number of each example's group: those whose place is the same modulo B / group."""
    n = len(x)
    apart = [x[k :: n // group].std(0).mean() for k in range(n // group)]
    return np.array([apart[i % (n // group)] for i in range(n)])


@pytest.mark.parametrize(("n", "size"), [(8, 4), (4, 4), (6, 3), (3, 3), (2, 2), (12, 4)])
def test_the_plane_is_of_the_group(n: int, size: int) -> None:
    x = (
        np.random.default_rng(0).standard_normal((n, 3, 2, 5))
        * np.arange(1, n + 1)[:, None, None, None]
    )
    out = nets.MinibatchStdDev(4)(tg.tensor(x)).numpy()
    assert out.shape == (n, 4, 2, 5) and (out[:, :3] == x).all()
    assert np.allclose(out[:, 3], by_hand(x, size)[:, None, None], atol=1e-7)
    assert len(np.unique(out[:, 3].round(9))) == n // size


def test_a_group_of_copies_gives_itself_away_beside_one_that_differs() -> None:
    x = np.zeros((8, 2, 2, 2))
    x[1::2] = np.random.default_rng(0).standard_normal((4, 2, 2, 2))
    plane = nets.MinibatchStdDev(4)(tg.tensor(x)).numpy()[:, -1, 0, 0]
    assert (plane[::2] < 2e-4).all() and (plane[1::2] > 0.3).all()
    assert nets.MinibatchStdDev()(tg.zeros(0, 3, 2, 2)).shape == (0, 4, 2, 2)
    with pytest.raises(ValueError, match="MinibatchStdDev: expected group >= 1, got 0"):
        nets.MinibatchStdDev(0)


def test_minibatch_std_at_order_two() -> None:
    x = tg.randn(4, 1, 2, 1, dtype="float64").requires_grad_()
    look = nets.MinibatchStdDev(2)
    assert gradcheck(look, x) and gradgradcheck(look, x)
