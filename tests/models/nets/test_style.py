"""StyleGAN's layers: modulation by hand, weights of norm 1, every layer at order 2."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen.models import nets
from tinygen.nn import functional as F
from tinygen.testing import gradcheck, gradgradcheck


def conv(seed: int = 0, **options: object) -> nets.ModulatedConv2d:
    tg.manual_seed(seed)
    layer = nets.ModulatedConv2d(3, 4, 3, 5, **options).double()
    with tg.no_grad():
        layer.affine.bias.normal_()
    return layer


def drawn(*shape: int) -> tg.Tensor:
    return tg.randn(*shape, dtype="float64")


def np_of(x: tg.Tensor) -> np.ndarray:
    return x.detach().numpy()


# --- modulated convolution ------------------------------------------------------------------------


def test_demodulated_weights_have_norm_one() -> None:
    """Of every output channel of every picture; without demodulation they are c w s."""
    layer, w = conv(), 3.0 * drawn(6, 5)
    weights = np_of(layer.weights(w))
    assert weights.shape == (6, 4, 3, 3, 3)
    assert np.allclose((weights**2).sum((2, 3, 4)), 1, atol=1e-6)
    assert not np.allclose((weights**2).sum((1, 3, 4)), 1, atol=1e-2)
    plain = conv(demodulate=False)
    s = np_of(w) @ np_of(plain.affine.weight).T / 5**0.5 + np_of(plain.affine.bias)
    by_hand = np_of(plain.weight)[None] / 27**0.5 * s[:, None, :, None, None]
    assert np.allclose(np_of(plain.weights(w)), by_hand, atol=1e-12)


def test_outputs_are_of_size_one_whatever_the_style() -> None:
    """What demodulation is for: of inputs of variance 1, outputs of variance 1."""
    tg.manual_seed(0)
    layer, x = nets.ModulatedConv2d(32, 32, 3, 8), tg.randn(4, 32, 16, 16)
    for scale in (0.1, 1.0, 10.0):
        inner = np_of(layer(x, scale * tg.randn(4, 8)))[:, :, 1:-1, 1:-1]
        assert inner.std((0, 2, 3)).mean() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("demodulate", [True, False])
def test_groups_are_pictures(demodulate: bool) -> None:
    """A grouped convolution of all is a convolution of each, and scaling x and y instead of w."""
    layer, x, w = conv(demodulate=demodulate, fused=True), drawn(5, 3, 6, 7), drawn(5, 5)
    out, weights = np_of(layer(x, w)), layer.weights(w)
    each = [np_of(F.conv2d(x[i : i + 1], weights[i], padding=1)) for i in range(5)]
    assert out.shape == (5, 4, 6, 7) and np.allclose(out, np.concatenate(each), atol=1e-12)
    layer.fused = False
    assert np.allclose(out, np_of(layer(x, w)), atol=1e-12)
    assert layer(x[:0], w[:0]).shape == (0, 4, 6, 7)


@pytest.mark.parametrize("fused", [True, False])
def test_twice_the_side_by_zeros_between_and_a_blur(fused: bool) -> None:
    layer, x, w = conv(up=True, fused=fused), drawn(2, 3, 4, 5), drawn(2, 5)
    weights = np_of(layer.weights(w))
    taps = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16
    wide = np.zeros((2, 3, 8, 10))
    wide[:, :, ::2, ::2] = np_of(x)
    full = np.zeros((2, 4, 9 + 3, 11 + 3))  # a margin of 1 before and 2 after
    for i, j in np.ndindex(8, 10):
        spread = np.einsum("nc,nocab->noab", wide[:, :, i, j], weights)
        full[:, :, i + 1 : i + 4, j + 1 : j + 4] += spread
    by_hand = np.zeros((2, 4, 8, 10))
    for i, j in np.ndindex(8, 10):
        by_hand[:, :, i, j] = (full[:, :, i : i + 4, j : j + 4] * taps).sum((2, 3))
    assert np.allclose(np_of(layer(x, w)), by_hand, atol=1e-12)
    assert layer(x[:0], w[:0]).shape == (0, 4, 8, 10)


@pytest.mark.parametrize("options", [{}, {"up": True}, {"demodulate": False}])
@pytest.mark.parametrize("fused", [True, False])
def test_a_modulated_layer_at_order_two(options: dict[str, bool], fused: bool) -> None:
    """In the picture, in the style and, the convolution being linear in it, in the weight."""
    tg.manual_seed(0)
    layer = nets.ModulatedConv2d(1, 2, 3, 2, fused=fused, **options).double()
    x, w, weight = drawn(2, 1, 2, 2), drawn(2, 2), drawn(2, 1, 3, 3)

    def run(x: tg.Tensor, w: tg.Tensor, weight: tg.Tensor) -> tg.Tensor:
        layer._parameters["weight"] = weight
        return layer(x, w)

    inputs = [t.requires_grad_() for t in (x, w, weight)]
    assert gradcheck(run, inputs) and gradgradcheck(run, inputs)


# --- the other layers -----------------------------------------------------------------------------


def test_adain() -> None:
    tg.manual_seed(0)
    layer, x, w = nets.AdaIN(3, 4).double(), 5 + 2 * drawn(6, 3, 7, 5), drawn(6, 4)
    out = np_of(layer(x, w))
    scale, shift = np.split(np_of(w) @ np_of(layer.affine.weight).T / 2, 2, 1)
    assert np.allclose(out.mean((2, 3)), shift, atol=1e-9)
    assert np.allclose(out.std((2, 3)), abs(1 + scale), atol=1e-6)
    x, w = drawn(1, 3, 2, 1).requires_grad_(), drawn(1, 4).requires_grad_()
    assert gradcheck(layer, [x, w]) and gradgradcheck(layer, [x, w])


def test_noise_is_new_while_training_and_fixed_afterwards() -> None:
    layer, x = nets.NoiseInjection(4), tg.zeros(5, 3, 4, 4)
    assert not np_of(layer(x)).any()  # its weight begins at 0
    with tg.no_grad():
        layer.weight.fill_(2.0)
    a, b = np_of(layer(x)), np_of(layer(x))
    assert (a != b).any() and (a == a[:, :1]).all() and (a[0] != a[1]).any()
    layer.eval()
    a = np_of(layer(x))
    assert (a == 2 * layer.fixed.numpy()).all() and (a == np_of(layer(x))).all()


@pytest.mark.parametrize("adain", [False, True])
def test_each_level_has_its_style(adain: bool) -> None:
    tg.manual_seed(0)
    G, D = nets.style_networks((2, 16, 16), 3, 2, 4, adain=adain)
    G.eval()
    w = G.styles(tg.randn(2, 3))
    assert G.levels == 6 and w.shape == (2, 6, 3) and (w[:, 0] == w[:, 5]).numpy().all()
    x = G.synthesis(w)
    assert x.shape == (2, 2, 16, 16) and D(x).shape == (2,)
    for level in range(6 - adain):  # the last is to_rgb's, which AdaIN's nets do not style
        other = w.clone()
        other[:, level] = tg.randn(2, 3)
        assert (G.synthesis(other) != x).numpy().any(), level


def test_what_cannot_be() -> None:
    with pytest.raises(
        ValueError, match=r"style_networks: expected pictures .*, got \(1, 28, 28\)"
    ):
        nets.style_networks((1, 28, 28), 4)
    with pytest.raises(ValueError, match="ModulatedConv2d: expected dim >= 1, got 0"):
        nets.ModulatedConv2d(3, 4, 3, 0)
