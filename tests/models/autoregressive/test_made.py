"""MADE: the masks hold in any order, the density sums to 1, and a sample follows it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygen as tg
from tinygen.models import nets
from tinygen.models.autoregressive import MADE, ImageGPT, PixelCNN


def pictures(side: int = 3) -> tg.Tensor:
    """All binary pictures of side x side pixels."""
    rows = list(itertools.product([0.0, 1.0], repeat=side * side))
    return tg.tensor(rows, dtype=tg.float64).reshape(-1, 1, side, side)


def seen(net: nets.MaskedMLP, which: int) -> np.ndarray:
    """(D, D): whether output i changes with input j."""
    size = len(net.orders[0])
    jacobian = tg.autograd.functional.jacobian(lambda x: net(x, which), tg.randn(1, size))
    return jacobian.numpy().reshape(size, size) != 0


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(7)), st.integers(1, 3), st.integers(9, 30))
def test_an_output_sees_exactly_what_comes_before_it(order, layers, width) -> None:
    net = nets.MaskedMLP(7, [width * 3] * layers, [range(7), order])
    place = np.argsort(order)
    allowed = place[None, :] < place[:, None]
    found = seen(net, 1)
    assert not (found & ~allowed).any()
    assert found.sum() >= allowed.sum() - 3, "a dead unit may cost a connection, a mask must not"
    assert not np.triu(seen(net, 0)).any()


@pytest.mark.parametrize("orders", [1, 4])
def test_the_density_of_all_pictures_sums_to_one(orders: int) -> None:
    model = MADE((1, 3, 3), hidden=40, layers=2, orders=orders).double()
    total = model.log_prob(pictures()).exp().sum().item()
    assert total == pytest.approx(1.0, abs=1e-10)


def test_a_mutated_mask_is_caught() -> None:
    model = MADE((1, 3, 3), hidden=40, layers=2).double()
    mask = model.net.mask_0_2
    mask.copy_(tg.ones_like(mask))  # every output sees every hidden unit
    assert np.triu(seen(model.net.float(), 0)).any()
    assert abs(model.double().log_prob(pictures()).exp().sum().item() - 1.0) > 1e-4


def test_samples_follow_the_density_and_completions_keep_what_is_given() -> None:
    tg.manual_seed(0)
    model = MADE((1, 2, 2), hidden=20, layers=1, orders=2)
    for p in model.parameters():
        p.data.mul_(3.0)
    x = pictures(2).float()
    p = model.log_prob(x).exp().detach().numpy()
    generator = tg.Generator().manual_seed(0)
    draws = tg.cat([model.sample(500, generator) for _ in range(16)])
    code = (draws.flatten(1) * tg.tensor([8.0, 4.0, 2.0, 1.0])).sum(1).long().numpy()
    share = np.bincount(code, minlength=16) / len(code)
    # the order is drawn once a call: 16 calls of two orders
    assert np.abs(share - p).max() < 0.06
    given_ = x[5:6].repeat_interleave(200, 0)
    done = model.sample(200, generator, given=given_, seen=2)
    assert (done.flatten(1)[:, :2] == given_.flatten(1)[:, :2]).all()
    assert len(np.unique(done.numpy().reshape(200, -1), axis=0)) > 1


def test_bad_input_is_named() -> None:
    model = MADE((1, 2, 2), hidden=8, layers=1)
    with pytest.raises(ValueError, match="expected zeros and ones .* binarise grey values"):
        model.log_prob(tg.full((1, 1, 2, 2), 0.5))
    with pytest.raises(ValueError, match="this model has none"):
        model.sample(1, labels=tg.tensor([1]))
    with pytest.raises(ValueError, match=r"a permutation of 0..3, got \[0, 1, 1, 3\]"):
        nets.MaskedMLP(4, [8], [[0, 1, 1, 3]])


def test_few_hidden_units_still_see_the_whole_order() -> None:
    """Fewer units than there are degrees: the last output sees pixels from all over the order."""
    for width in (1, 5, 20):
        net = nets.MaskedMLP(40, [width, width])
        first, between, last = (getattr(net, f"mask_0_{i}").numpy() for i in range(3))
        paths = last @ between @ first
        assert not np.triu(paths).any()
        assert (paths[39, :39] > 0).all(), "what comes late is seen too"


def models() -> list:
    return [MADE((1, 3, 3), 8, 1, orders=2), PixelCNN((1, 3, 3), 4, 1), ImageGPT((1, 3, 3), 8, 1)]


@pytest.mark.parametrize("model", models(), ids=lambda model: type(model).__name__)
def test_what_is_given_to_go_on_from_is_checked(model) -> None:
    name, x = type(model).__name__, tg.ones(2, 1, 3, 3)
    wanted = rf"{name}.sample: expected given \(2, 1, 3, 3\) and seen in 0..9, got"
    for given_, number in ((x[:1], 2), (x[..., :2], 2), (x, 10), (None, 2)):
        with pytest.raises(ValueError, match=wanted):
            model.sample(2, given=given_, seen=number)
    with pytest.raises(ValueError, match=f"{name}.sample: expected seen >= 0, got -1"):
        model.sample(2, given=x, seen=-1)
    with pytest.raises(ValueError, match="of 2 grey values"):
        model.sample(2, given=0.4 * x, seen=2)
    unknown = tg.cat([x[:, :, :1], tg.full((2, 1, 2, 3), float("nan"))], 2)
    one, two = (
        model.sample(2, tg.Generator().manual_seed(0), given=g, seen=3) for g in (unknown, x)
    )
    assert (one == two).all(), "what is not seen plays no part"
