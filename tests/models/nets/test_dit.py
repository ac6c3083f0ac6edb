"""The diffusion transformer: patches back where they were, a block that begins as nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygen as tg
from tinygen.models.nets import DiT
from tinygen.models.nets.dit import DiTBlock, grid_positions


def stirred(module: Any) -> Any:
    """Float64, with no layer left at 0."""
    for parameter in module.double().parameters():
        parameter.data.add_(0.3 * tg.randn(parameter.shape, dtype=tg.float64))
    return module


def test_a_new_block_passes_x_on_and_a_new_net_says_0() -> None:
    x, context, words = tg.randn(2, 5, 8), tg.randn(2, 6), tg.randn(2, 3, 4)
    assert (DiTBlock(8, 2, 6, words=4)(x, context, words) == x).all()
    net = DiT(3, (4, 6), patch=2, width=8, layers=1, heads=2)
    assert (net(tg.randn(2, 3, 4, 6), tg.full((2,), 10.0)) == 0.0).all()


def test_without_blocks_each_patch_comes_back_to_its_place() -> None:
    # The first layer takes a patch's 12 numbers, the last gives them back: the net is a norm of
    # each patch, and nothing of one patch is found in another.
    tg.manual_seed(0)
    net = DiT(3, (4, 6), patch=2, width=12, layers=1, heads=2).double()
    net.positions.fill_(0.0)
    net.first.weight.data.copy_(tg.eye(12, dtype=tg.float64).reshape(12, 3, 2, 2))
    net.first.bias.data.fill_(0.0)
    net.last.weight.data.copy_(tg.eye(12, dtype=tg.float64))
    x = tg.randn(2, 3, 4, 6, dtype=tg.float64)
    y = net(x, tg.zeros(2, dtype=tg.float64)).detach().numpy()
    patches = x.numpy().reshape(2, 3, 2, 2, 3, 2)  # channel, row, inside it, column, inside it
    mean, variance = (f(patches, axis=(1, 3, 5), keepdims=True) for f in (np.mean, np.var))
    expected = ((patches - mean) / np.sqrt(variance + 1e-5)).reshape(y.shape)
    assert np.allclose(y, expected, atol=1e-12)


def test_everything_it_is_told_moves_every_patch() -> None:
    tg.manual_seed(1)
    net = stirred(DiT(2, (4, 4), patch=2, width=8, layers=2, heads=2, words=6))
    x, time = tg.randn(1, 2, 4, 4, dtype=tg.float64), tg.full((1,), 300.0, dtype=tg.float64)
    words = tg.randn(1, 3, 6, dtype=tg.float64)
    out = net(x, time, words).detach().numpy()
    there = x.clone()
    there[0, 0, 0, 0] += 1.0
    said = words.clone()
    said[0, 2] += 1.0
    for other in (net(there, time, words), net(x, time + 200.0, words), net(x, time, said)):
        moved = np.abs(other.detach().numpy() - out)[0].reshape(2, 2, 2, 2, 2).max((0, 2, 4))
        assert (moved > 1e-6).all()
    longer = tg.cat([words, tg.zeros(1, 4, 6, dtype=tg.float64)], 1)
    assert np.allclose(net(x, time, longer).detach().numpy(), out, atol=1e-12)


def test_labels_and_vectors() -> None:
    tg.manual_seed(2)
    x, time = tg.randn(3, 1, 4, 4), tg.zeros(3)
    a = stirred(DiT(1, (4, 4), width=8, layers=1, heads=2, classes=2)).float()
    same = a(x[:1].expand(3, 1, 4, 4), time, tg.tensor([0, 1, 2])).detach().numpy()
    assert len({row.tobytes() for row in same}) == 3
    b = stirred(DiT(1, (4, 4), width=8, layers=1, heads=2, vectors=5, out=2)).float()
    assert b(x, time, tg.randn(3, 5)).shape == (3, 2, 4, 4)


def test_places_are_told_apart() -> None:
    places = grid_positions(4, 5, 8).numpy()
    assert places.shape == (20, 8)
    far = np.abs(places[:, None] - places[None]).max(2) + np.eye(20)
    assert far.min() > 0.05
    assert np.allclose(places[:5, :4], places[0, :4])  # one row: the first half is the same


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"a size that divides by patch .* got \(5, 4\), 2 and 8"):
        DiT(1, (5, 4), patch=2, width=8)
    with pytest.raises(ValueError, match=r"DiT: expected \(B, \(1, 4, 4\)\), got \(2, 1, 8, 8\)"):
        DiT(1, (4, 4), width=8, layers=1, heads=2)(tg.zeros(2, 1, 8, 8), tg.zeros(2))
    with pytest.raises(ValueError, match="classes = 0"):
        DiT(1, (4, 4), width=8, layers=1, heads=2)(tg.zeros(2, 1, 4, 4), tg.zeros(2), tg.ones(2))
