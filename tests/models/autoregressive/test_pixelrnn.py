"""PixelRNN: the LSTMs are what they say, what a pixel sees is exact, and densities sum to 1."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygen as tg
from tinygen.models import nets
from tinygen.models.autoregressive import PixelRNN
from tinygen.models.nets.recurrent import skew, unskew

MODELS = ("row", "diagonal")


def pictures(side: int = 3) -> tg.Tensor:
    """All binary pictures of side x side pixels."""
    rows = list(itertools.product([0.0, 1.0], repeat=side * side))
    return tg.tensor(rows, dtype=tg.float64).reshape(-1, 1, side, side)


def seen(model: PixelRNN, height: int, width: int) -> np.ndarray:
    """(H W, H W): whether the logit of pixel i changes with pixel j."""
    x = tg.rand(1, 1, height, width).round().double()
    jacobian = tg.autograd.functional.jacobian(lambda v: model.double()(v), x)
    return jacobian.numpy().reshape(height * width, height * width) != 0


# --- the layers -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.integers(1, 6))
def test_skew_pushes_each_row_by_its_number(height: int, width: int) -> None:
    x = tg.randn(2, 3, height, width)
    y = skew(x)
    assert y.shape == (2, 3, height, width + height - 1)
    for i in range(height):
        assert (y[:, :, i, i : i + width] == x[:, :, i]).all()
    assert y.abs().sum().item() == pytest.approx(x.abs().sum().item(), rel=1e-5)
    assert (unskew(y) == x).all()


def cell(gates: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The paper's LSTM: h and c of gates (4 hidden,) in the order o, f, i, g."""
    o, f, i, g = np.split(gates, 4)
    s = lambda a: 1.0 / (1.0 + np.exp(-a))
    c = s(f) * c + s(i) * np.tanh(g)
    return s(o) * np.tanh(c), c


def by_hand(gates: np.ndarray, weight: np.ndarray, before) -> np.ndarray:
    """h (hidden, H, W), a pixel at a time: gates (4 hidden, H, W) of the input, weight (4 hidden,
    hidden, taps) of the state; before(i, j): the pixels that the taps look at, in their order. The
    memory comes from the one in the middle of three and from the second of two."""
    four, height, width = gates.shape
    h, c = np.zeros((2, four // 4, height, width))
    inside = lambda i, j: 0 <= i < height and 0 <= j < width
    for i in range(height):
        for j in range(width):
            places = before(i, j)
            total = gates[:, i, j].copy()
            for tap, place in enumerate(places):
                total += weight[:, :, tap] @ h[:, *place] if inside(*place) else 0.0
            memory = places[1]
            old = c[:, *memory] if inside(*memory) else np.zeros(four // 4)
            h[:, i, j], c[:, i, j] = cell(total, old)
    return h


def test_the_row_lstm_is_an_lstm_from_row_to_row() -> None:
    tg.manual_seed(0)
    layer, x = nets.RowLSTM(2, 3).double(), tg.randn(1, 2, 5, 4, dtype=tg.float64)
    w, b = layer.input.weight.detach().numpy()[:, :, 0], layer.input.bias.detach().numpy()
    left = np.pad(x.numpy()[0], ((0, 0), (0, 0), (1, 0)))
    gates = sum(np.einsum("ok,khw->ohw", w[:, :, t], left[..., t : t + 4]) for t in (0, 1))
    above = lambda i, j: [(i - 1, j - 1), (i - 1, j), (i - 1, j + 1)]
    hand = by_hand(gates + b[:, None, None], layer.lines.state.weight.detach().numpy(), above)
    assert np.abs(layer(x).detach().numpy()[0] - hand).max() < 1e-12


def test_the_diagonal_lstm_is_two_lstms_along_the_diagonals() -> None:
    tg.manual_seed(0)
    layer, x = nets.DiagonalBiLSTM(2, 3).double(), tg.randn(1, 2, 5, 4, dtype=tg.float64)
    gates = layer.input(x).detach().numpy()[0]
    above_and_left = lambda i, j: [(i - 1, j), (i, j - 1)]
    left, right = (
        by_hand(part, lines.state.weight.detach().numpy(), above_and_left)
        for part, lines in ((gates[:12], layer.left), (gates[12:, :, ::-1], layer.right))
    )
    hand = left + np.pad(right[:, :-1, ::-1], ((0, 0), (1, 0), (0, 0)))  # the right one a row late
    assert np.abs(layer(x).detach().numpy()[0] - hand).max() < 1e-12


# --- what a pixel sees ----------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(4, 4), (6, 4), (3, 7)])
def test_the_diagonal_network_sees_every_pixel_before_and_none_after(height, width) -> None:
    tg.manual_seed(height)
    model = PixelRNN((1, height, width), 8, 2, kernel=3, model="diagonal")
    found = seen(model, height, width)
    assert not np.triu(found).any(), "a pixel sees itself or what comes later"
    assert (found == np.tril(np.ones_like(found), -1)).all(), "there is a blind spot"


@pytest.mark.parametrize("layers", [1, 3])
def test_the_row_network_sees_a_triangle(layers: int) -> None:
    tg.manual_seed(layers)
    side = 7
    found = seen(PixelRNN((1, side, side), 8, layers, kernel=3), side, side)
    assert not np.triu(found).any()
    for row, column in itertools.product(range(side), repeat=2):
        here = found[row * side + column].reshape(side, side)
        for up in range(1, row + 1):  # up - 1 rows by the states, one by the convolution of 3
            right = np.nonzero(here[row - up])[0].max()
            assert right == min(side - 1, column + up), "one column more a row, in any depth"


@pytest.mark.parametrize("model", MODELS)
def test_the_density_of_all_pictures_sums_to_one(model: str) -> None:
    tg.manual_seed(1)
    net = PixelRNN((1, 3, 3), 5, 2, model=model).double()
    for p in net.parameters():
        p.data.mul_(2.0)
    assert net.log_prob(pictures()).exp().sum().item() == pytest.approx(1.0, abs=1e-10)


@pytest.mark.parametrize("model", MODELS)
def test_samples_follow_the_density_and_keep_what_is_given(model: str) -> None:
    tg.manual_seed(2)
    net = PixelRNN((1, 2, 2), 4, 1, model=model)
    net.head[3].weight.data.mul_(8.0)
    p = net.log_prob(pictures(2).float()).exp().detach().numpy()
    draws = net.sample(8000, tg.Generator().manual_seed(0))
    code = (draws.flatten(1) * tg.tensor([8.0, 4.0, 2.0, 1.0])).sum(1).long().numpy()
    assert np.abs(np.bincount(code, minlength=16) / 8000 - p).max() < 0.02
    x = pictures(2).float()[6:7].repeat_interleave(50, 0)
    done = net.sample(50, tg.Generator().manual_seed(1), given=x, seen=3)
    assert (done.flatten(1)[:, :3] == x.flatten(1)[:, :3]).all()


@pytest.mark.parametrize(("dtype", "near"), [(tg.float32, 1e-5), (tg.float64, 1e-12)])
@pytest.mark.parametrize("model", MODELS)
def test_the_cache_gives_the_numbers_of_whole_passes(model: str, dtype, near: float) -> None:
    tg.manual_seed(4)
    net = PixelRNN((1, 6, 5), 4, 2, kernel=5, model=model).to(dtype)
    for p in net.parameters():
        p.data.mul_(4.0)
    x = tg.rand(3, 1, 6, 5).round().to(dtype)
    with tg.no_grad():
        whole, pixels = net(x), list(net.in_turn(x, seen=7))
    assert [(row, column) for row, column, _ in pixels] == [divmod(i, 5) for i in range(7, 30)]
    assert whole.std().item() > 0.1, "there is something to be wrong about"
    for row, column, numbers in pixels:
        assert (numbers - whole[:, :, row, column]).abs().max().item() < near
    with_it, without = (
        net.sample(3, tg.Generator().manual_seed(1), given=x, seen=7, cache=cache)
        for cache in (True, False)
    )
    assert (with_it == without).all()


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="PixelRNN: model 'column'; there are row, diagonal"):
        PixelRNN((1, 3, 3), model="column")
    model = PixelRNN((1, 3, 3), 4, 1)
    with pytest.raises(ValueError, match="PixelRNN: expected pictures .* of 2 grey values"):
        model.log_prob(tg.full((1, 1, 3, 3), 0.5))
    with pytest.raises(ValueError, match="PixelRNN: the model has 0 classes .* was given"):
        model.sample(1, labels=tg.tensor([0]))
    with pytest.raises(ValueError, match=r"grey pictures \(1, H, W\), got \(3, 8, 8\)"):
        PixelRNN((3, 8, 8))
