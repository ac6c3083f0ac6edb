"""PixelCNN: what a pixel sees, that its densities sum to 1, and that sampling follows them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import tinygen as tg
from tinygen.models.autoregressive import LAWS, Logistics, PixelCNN, Table


def pictures(side: int = 3) -> tg.Tensor:
    """All binary pictures of side x side pixels."""
    rows = list(itertools.product([0.0, 1.0], repeat=side * side))
    return tg.tensor(rows, dtype=tg.float64).reshape(-1, 1, side, side)


def seen(model: PixelCNN, side: int) -> np.ndarray:
    """(H W, H W): whether the numbers of pixel i change with pixel j."""
    x = tg.rand(1, 1, side, side).round().double()
    jacobian = tg.autograd.functional.jacobian(lambda v: model.double()(v).sum(1), x)
    return jacobian.numpy().reshape(side * side, side * side) != 0


@pytest.mark.parametrize("side", [4, 7])
def test_the_gated_network_sees_every_pixel_before_and_none_after(side: int) -> None:
    tg.manual_seed(side)
    found = seen(PixelCNN((1, side, side), 6, 4, kernel=3), side)
    assert not np.triu(found).any(), "a pixel sees itself or what comes later"
    # The reach of four layers from the right: 3 + 1 + 1 + 1 columns a layer of rows above.
    assert (found == np.tril(np.ones_like(found), -1)).all(), "there is a blind spot"


def test_the_plain_network_has_a_blind_spot() -> None:
    tg.manual_seed(0)
    side = 9
    found = seen(PixelCNN((1, side, side), 6, 5, kernel=3, gated=False), side)
    assert not np.triu(found).any()
    middle = found[7 * side + 4].reshape(side, side)  # what row 7, column 4 sees
    blind = np.array([[c > 4 + 3 + (7 - r) for c in range(side)] for r in range(side)])
    blind[7:] = True
    missed = ~middle[:7]
    assert missed.any() and missed[6, 8], "the far right of the row above is not seen"
    gated = seen(PixelCNN((1, side, side), 6, 5, kernel=3), side)[7 * side + 4].reshape(side, side)
    assert gated[:7].all(), "the gated network sees it all"


@pytest.mark.parametrize("gated", [True, False])
def test_the_density_of_all_pictures_sums_to_one(gated: bool) -> None:
    tg.manual_seed(1)
    model = PixelCNN((1, 3, 3), 8, 3, gated=gated).double()
    assert model.log_prob(pictures()).exp().sum().item() == pytest.approx(1.0, abs=1e-10)


def test_a_mutated_mask_is_caught() -> None:
    tg.manual_seed(1)
    model = PixelCNN((1, 3, 3), 8, 3, gated=False).double()
    model.body[0].mask[..., 3, 3] = 1.0  # the first layer sees its own pixel
    assert np.diag(seen(model, 3)).any()
    assert abs(model.log_prob(pictures()).exp().sum().item() - 1.0) > 1e-4
    gated = PixelCNN((1, 3, 3), 8, 3).double()
    gated.body[1].first = True  # a later layer that shifts once more breaks shapes or sight
    with pytest.raises(RuntimeError):
        gated(pictures())


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_the_laws_of_a_pixel_sum_to_one(levels: int) -> None:
    values = (tg.arange(levels, dtype=tg.float64) / (levels - 1)).reshape(-1, 1, 1, 1)
    for law in (Table(levels), Logistics(levels, 3)):
        numbers = 2.0 * tg.randn(1, law.channels, 1, 1, dtype=tg.float64)
        p = law.log_prob(values, numbers.expand(levels, -1, 1, 1)).exp()
        assert p.sum().item() == pytest.approx(1.0, abs=1e-12)


def test_a_broad_logistic_law_loses_no_digits() -> None:
    """Of a law far broader than the range a grey value's share is tiny: 1 - e^-d, d = 1e-9."""
    law, x = Logistics(256, 1), tg.full((1, 1, 1, 1), 100 / 255)
    numbers = tg.tensor([0.0, 0.1, 15.0]).reshape(1, 3, 1, 1)
    exact = law.log_prob(x.double(), numbers.double()).item()
    assert exact == pytest.approx(math.log(2 / 255 * math.exp(-15.0) / 4), abs=1e-6)
    assert law.log_prob(x, numbers).item() == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize("name", LAWS)
def test_draws_follow_the_law(name: str) -> None:
    levels = 2 if name == "bernoulli" else 9
    law = LAWS[name](levels)
    generator = tg.Generator().manual_seed(0)
    numbers = tg.randn(1, law.channels, generator=generator)
    values = (tg.arange(levels) / (levels - 1)).reshape(-1, 1, 1, 1)
    p = law.log_prob(values, numbers.reshape(1, -1, 1, 1).expand(levels, -1, 1, 1)).exp().numpy()
    draws = law.draw(numbers.expand(20_000, -1), generator).numpy()
    share = np.bincount(np.rint(draws * (levels - 1)).astype(int), minlength=levels) / 20_000
    assert np.abs(share - p).max() < 0.015
    cold = law.draw(numbers.expand(2000, -1), generator, temperature=0.05).numpy()
    assert np.std(cold) < np.std(draws) + 1e-9


@pytest.mark.parametrize("name", LAWS)
def test_top_k_draws_only_the_likeliest_and_in_their_shares(name: str) -> None:
    levels = 2 if name == "bernoulli" else 9
    law, k = LAWS[name](levels), max(1, levels // 3)
    generator = tg.Generator().manual_seed(3)
    numbers = tg.randn(1, law.channels, generator=generator)
    values = (tg.arange(levels) / (levels - 1)).reshape(-1, 1, 1, 1)
    p = law.log_prob(values, numbers.reshape(1, -1, 1, 1).expand(levels, -1, 1, 1)).exp().numpy()
    p[np.argsort(p)[:-k]] = 0.0
    draws = law.draw(numbers.expand(20_000, -1), generator, top_k=k).numpy()
    share = np.bincount(np.rint(draws * (levels - 1)).astype(int), minlength=levels) / 20_000
    assert np.abs(share - p / p.sum()).max() < 0.015 and (share[p == 0.0] == 0.0).all()
    every = law.draw(numbers.expand(20_000, -1), generator, top_k=levels).numpy()
    assert abs(every.mean() - law.draw(numbers.expand(20_000, -1), generator).numpy().mean()) < 0.02


@pytest.mark.parametrize(("dtype", "near"), [(tg.float32, 1e-5), (tg.float64, 1e-12)])
@pytest.mark.parametrize("variant", ["gated", "plain", "classes", "embedding"])
def test_the_cache_gives_the_numbers_of_whole_passes(variant: str, dtype, near: float) -> None:
    tg.manual_seed(4)
    told = {"classes": tg.arange(5) % 3, "embedding": tg.randn(5, 4)}.get(variant)
    options = {"plain": {"gated": False}, "classes": {"classes": 3}, "embedding": {"embedding": 4}}
    model = PixelCNN((1, 6, 5), 6, 3, likelihood="softmax", levels=3, **options.get(variant, {}))
    model = model.to(dtype)
    told = told.to(dtype) if variant == "embedding" else told
    for p in model.parameters():
        p.data.mul_(2.0)
    x = (tg.randint(3, (5, 1, 6, 5)) / 2.0).to(dtype)
    with tg.no_grad():
        whole, seen = model(x, told), 12
        pixels = list(model.in_turn(x, told, seen))
    assert [(row, column) for row, column, _ in pixels] == [divmod(i, 5) for i in range(seen, 30)]
    assert whole.std().item() > 0.1, "there is something to be wrong about"
    for row, column, numbers in pixels:
        assert (numbers - whole[:, :, row, column]).abs().max().item() < near
    given = {"labels" if variant == "classes" else "embedding": told}
    with_it, without = (
        model.sample(5, tg.Generator().manual_seed(1), **given, given=x, seen=7, cache=cache)
        for cache in (True, False)
    )
    assert (with_it == without).all() and (with_it.flatten(1)[:, :7] == x.flatten(1)[:, :7]).all()


def test_samples_follow_the_density_and_keep_what_is_given() -> None:
    tg.manual_seed(2)
    model = PixelCNN((1, 2, 2), 8, 2)
    model.head[3].weight.data.mul_(4.0)
    p = model.log_prob(pictures(2).float()).exp().detach().numpy()
    draws = model.sample(8000, tg.Generator().manual_seed(0))
    code = (draws.flatten(1) * tg.tensor([8.0, 4.0, 2.0, 1.0])).sum(1).long().numpy()
    assert np.abs(np.bincount(code, minlength=16) / 8000 - p).max() < 0.02
    x = pictures(2).float()[6:7].repeat_interleave(50, 0)
    done = model.sample(50, tg.Generator().manual_seed(1), given=x, seen=3)
    assert (done.flatten(1)[:, :3] == x.flatten(1)[:, :3]).all()


def test_labels_and_embeddings_reach_every_pixel() -> None:
    tg.manual_seed(3)
    model = PixelCNN((1, 3, 3), 8, 2, classes=3)
    x = tg.zeros(1, 1, 3, 3)
    one, two = (model(x, tg.tensor([k])) for k in (0, 1))
    assert (one != two).all()
    decoder = PixelCNN((1, 3, 3), 8, 2, embedding=5)
    c = tg.randn(2, 5, requires_grad=True)
    decoder.log_prob(tg.ones(2, 1, 3, 3), c).sum().backward()
    assert (c.grad != 0).all() and decoder.sample(2, embedding=c.detach()).shape == (2, 1, 3, 3)


def test_bad_input_is_named() -> None:
    model = PixelCNN((1, 3, 3), 8, 2)
    with pytest.raises(ValueError, match="of 2 grey values 0, 1/1, .., 1, got .* with others"):
        model.log_prob(tg.full((1, 1, 3, 3), 0.5))
    with pytest.raises(ValueError, match="has 0 classes .* was given"):
        model.sample(1, labels=tg.tensor([0]))
    with pytest.raises(ValueError, match="PixelCNN.sample: expected top_k >= 1, got 0"):
        model.sample(1, top_k=0)
    with pytest.raises(ValueError, match="3 classes .* nothing was given"):
        PixelCNN((1, 3, 3), 8, 2, classes=3).log_prob(tg.ones(1, 1, 3, 3))
    with pytest.raises(ValueError, match="there are bernoulli, softmax, logistic"):
        PixelCNN((1, 3, 3), likelihood="gauss")
    with pytest.raises(ValueError, match="a Bernoulli pixel has 2 values, got levels=17"):
        PixelCNN((1, 3, 3), levels=17)
    with pytest.raises(ValueError, match=r"grey pictures \(1, H, W\), got \(3, 8, 8\)"):
        PixelCNN((3, 8, 8))
