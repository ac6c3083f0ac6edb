"""A mixture of Bernoullis: its density sums to 1, and EM never makes it worse."""

from __future__ import annotations

import itertools

import pytest

import tinygen as tg
from tinygen.models.explicit import BernoulliMixture


def test_the_density_of_all_pictures_sums_to_one_and_is_that_of_the_formula() -> None:
    model = BernoulliMixture((1, 2, 2), 3)
    model.weights.copy_(tg.tensor([0.5, 0.3, 0.2]))
    x = tg.tensor(list(itertools.product([0.0, 1.0], repeat=4))).reshape(16, 1, 2, 2)
    assert model.log_prob(x).exp().sum().item() == pytest.approx(1.0, abs=1e-5)
    coins, weights, picture = model.coins.numpy(), model.weights.numpy(), x[5].flatten().numpy()
    each = (coins**picture * (1 - coins) ** (1 - picture)).prod(1)
    assert model.log_prob(x[5:6]).exp().item() == pytest.approx(float(weights @ each), rel=1e-5)
    posterior = model.posterior(x[5:6])[0].numpy()
    assert posterior == pytest.approx(weights * each / (weights @ each), rel=1e-4)


def test_em_never_falls_and_finds_two_kinds_of_pictures() -> None:
    kind = (tg.rand(400, 1) < 0.25).float()
    coins = kind * tg.tensor([0.9, 0.9, 0.1]) + (1 - kind) * tg.tensor([0.1, 0.1, 0.9])
    x = tg.bernoulli(coins)
    model = BernoulliMixture((3,), 2, prior=1e-3)
    found = [model.em_step(x).item() for _ in range(30)]
    assert all(b >= a - 1e-3 for a, b in zip(found, found[1:]))  # the prior counts a little
    assert sorted(model.weights.tolist()) == pytest.approx([0.25, 0.75], abs=0.07)
    samples = model.sample(4000, tg.Generator().manual_seed(0))
    assert samples.mean(0).tolist() == pytest.approx(x.mean(0).tolist(), abs=0.05)


def test_components_begin_apart_and_none_dies() -> None:
    """30 kinds of pictures, a pixel each: k-means++ gives every component its own, EM keeps it."""
    kinds = tg.eye(30).repeat_interleave(20, 0)
    model = BernoulliMixture((30,), 30, prior=0.1)
    model.start(kinds, tg.Generator().manual_seed(0))
    first = model.coins.clone()
    assert sorted(first.argmax(1).tolist()) == list(range(30))
    assert sorted({*first.flatten().tolist()}) == pytest.approx([0.25, 0.75])
    found = [model.em_step(kinds).item() for _ in range(20)]
    assert all(b >= a - 1e-3 for a, b in zip(found, found[1:]))
    assert found[-1] > -4.0 and model.weights.min().item() > 0.03  # log 30 is 3.4
    model.start(kinds[:1].expand(5, 30))  # fewer pictures than components: they must do


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="components >= 1, got 0"):
        BernoulliMixture((3,), 0)
    with pytest.raises(ValueError, match=r"expected prior > 0, got 0\.0"):
        BernoulliMixture((3,), 2, prior=0.0)
    with pytest.raises(ValueError, match="labels were given; this model has none"):
        BernoulliMixture((3,), 2).sample(1, labels=tg.tensor([0]))
