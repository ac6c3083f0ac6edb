"""Image transformer: what a pixel sees, that its densities sum to 1, and what its cache draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import tinygen as tg
from tinygen.models import nets
from tinygen.models.autoregressive import ImageGPT


def pictures(side: int = 3) -> tg.Tensor:
    """All binary pictures of side x side pixels."""
    rows = list(itertools.product([0.0, 1.0], repeat=side * side))
    return tg.tensor(rows, dtype=tg.float64).reshape(-1, 1, side, side)


def small(shape: tuple[int, ...] = (1, 3, 3), **options) -> ImageGPT:
    """A model whose weights are large enough for every pixel to matter."""
    model = ImageGPT(shape, 8, 2, 2, **options).double()
    for p in model.parameters():
        if p.ndim == 2:
            p.data.mul_(4.0)
    return model


def seen(model: ImageGPT) -> np.ndarray:
    """(D, D): whether the numbers of pixel i change with the token that stands for pixel j."""
    size = model.net.length
    embedded = 0.5 * tg.randn(size, 8, dtype=tg.float64)
    start = model.embedding(model._start(1, None))

    def numbers(x: tg.Tensor) -> tg.Tensor:
        return model.head(model.net(tg.cat([start, x[:-1].unsqueeze(0)], 1))).sum((0, 2))

    jacobian = tg.autograd.functional.jacobian(numbers, embedded)
    return np.abs(jacobian.numpy()).sum(-1) != 0


def test_a_pixel_sees_every_pixel_before_and_none_after() -> None:
    tg.manual_seed(0)
    found = seen(small((1, 3, 4)))
    assert (found == np.tril(np.ones_like(found), -1)).all()


@pytest.mark.parametrize("options", [{}, {"likelihood": "softmax"}, {"classes": 3}])
def test_the_density_of_all_pictures_sums_to_one(options) -> None:
    tg.manual_seed(1)
    labels = tg.full((512,), 2) if options.get("classes") else None
    total = small(**options).log_prob(pictures(), labels).exp().sum().item()
    assert total == pytest.approx(1.0, abs=1e-10)


def test_a_mutated_mask_is_caught() -> None:
    tg.manual_seed(1)
    model = small()
    model.net.mask.copy_(tg.tril(tg.ones(9, 9), 1) > 0)  # each token sees one that comes later
    assert np.triu(seen(model)).any()
    assert abs(model.log_prob(pictures()).exp().sum().item() - 1.0) > 1e-4


@pytest.mark.parametrize(("dtype", "bound"), [(tg.float32, 1e-5), (tg.float64, 1e-12)])
def test_the_cache_gives_the_logits_of_going_without(dtype, bound: float) -> None:
    tg.manual_seed(2)
    net = nets.Transformer(12, 16, 3, 4).to(dtype)
    x = tg.randn(3, 12, 16, dtype=dtype)
    for cuts in ([1] * 12, [5, 1, 1, 3, 2], [12]):
        cache = nets.Cache(12)
        with tg.no_grad():
            parts = [net(part, cache) for part in x.split(cuts, 1)]
            assert (tg.cat(parts, 1) - net(x)).abs().max().item() < bound
    with pytest.raises(ValueError, match="made for 12 tokens, got 13"):
        net(x[:, :1], cache)


def test_tokens_of_one_block_of_a_mask_see_each_other_with_a_cache_too() -> None:
    tg.manual_seed(2)
    block = tg.tensor([0, 1, 1, 2, 2, 2])  # scales of 1, 2 and 3 tokens
    net = nets.Transformer(6, 8, 2, 2, block.unsqueeze(0) <= block.unsqueeze(1)).double()
    x, cache = tg.randn(1, 6, 8, dtype=tg.float64), nets.Cache(6)
    with tg.no_grad():
        whole = net(x)
        parts = tg.cat([net(part, cache) for part in x.split([1, 2, 3], 1)], 1)
        assert (parts - whole).abs().max().item() < 1e-12
        x[:, 2, 0] += 1.0
        assert ((net(x) != whole).any(2)[0] == tg.tensor([0, 1, 1, 1, 1, 1])).all()


def test_samples_are_the_same_with_a_cache_and_without() -> None:
    tg.manual_seed(3)
    model = small((1, 4, 4), likelihood="softmax", levels=5, classes=2)
    labels, x = tg.arange(40) % 2, tg.rand(40, 1, 4, 4).round()
    for given in ({}, {"given": x, "seen": 7}):
        with_, without = (
            model.sample(40, tg.Generator().manual_seed(0), labels, cache=cached, **given)
            for cached in (True, False)
        )
        assert (with_ == without).all()
    assert (with_.flatten(1)[:, :7] == x.flatten(1)[:, :7]).all()


def test_samples_follow_the_density() -> None:
    tg.manual_seed(2)
    model = small((1, 2, 2))
    p = model.log_prob(pictures(2)).exp().detach().numpy()
    draws = model.sample(8000, tg.Generator().manual_seed(0))
    code = (draws.flatten(1) * tg.tensor([8.0, 4.0, 2.0, 1.0])).sum(1).long().numpy()
    assert p.max() - p.min() > 0.05
    assert np.abs(np.bincount(code, minlength=16) / 8000 - p).max() < 0.02


def test_top_k_and_temperature_keep_to_the_likelier_values() -> None:
    tg.manual_seed(2)
    model = small((1, 2, 2))
    mode = model.sample(50, tg.Generator().manual_seed(0), top_k=1)
    cold = model.sample(50, tg.Generator().manual_seed(0), temperature=1e-4)
    assert (mode == mode[:1]).all() and (cold == mode).all()


def test_the_label_reaches_every_pixel() -> None:
    tg.manual_seed(3)
    model, x = small(classes=3), tg.zeros(1, 1, 3, 3)
    one, two = (model(x, tg.tensor([k])) for k in (0, 1))
    assert (one != two).all()


def test_the_attention_that_is_shown_is_the_one_that_is_used() -> None:
    tg.manual_seed(4)
    net = nets.Transformer(5, 8, 1, 2).double()
    x = tg.randn(2, 5, 8, dtype=tg.float64)
    (looks,) = net.attention(x)  # (B, heads, L, L)
    assert (looks.sum(-1) - 1.0).abs().max() < 1e-12 and not looks.triu(1).any()
    block, h = net.blocks[0], x + net.positions
    mixed = (looks @ block._heads(h)[2]).transpose(1, 2).reshape(2, 5, 8)
    h = h + block.out(mixed)
    assert (net.norm(h + block.mlp(block.norm2(h))) - net(x)).abs().max().item() < 1e-12


def test_bad_input_is_named() -> None:
    model = ImageGPT((1, 3, 3), 8, 1, 2)
    with pytest.raises(ValueError, match="of 2 grey values 0, 1/1, .., 1, got .* with others"):
        model.log_prob(tg.full((1, 1, 3, 3), 0.5))
    with pytest.raises(ValueError, match="has 0 classes .* was given"):
        model.sample(1, labels=tg.tensor([0]))
    with pytest.raises(ValueError, match=r"expected labels in 0..2, got 3..3"):
        ImageGPT((1, 3, 3), 8, 1, 2, classes=3).sample(1, labels=tg.tensor([3]))
    with pytest.raises(ValueError, match="there are bernoulli, softmax, logistic"):
        ImageGPT((1, 3, 3), likelihood="gauss")
    with pytest.raises(ValueError, match=r"grey pictures \(1, H, W\), got \(3, 8, 8\)"):
        ImageGPT((3, 8, 8))
    with pytest.raises(ValueError, match="width 9 does not divide by heads 2"):
        ImageGPT((1, 3, 3), 9, 1, 2)
    with pytest.raises(ValueError, match="temperature > 0, got 0"):
        model.sample(1, temperature=0.0)
    with pytest.raises(ValueError, match=r"a mask of booleans \(4, 4\), got bool \(3, 3\)"):
        nets.Transformer(4, 8, 1, 2, tg.ones(3, 3) > 0)


def test_attention_is_looked_at_in_fewer_tokens_than_there_are_places_and_in_none() -> None:
    net = nets.Transformer(6, 8, 2, 2)
    x = tg.randn(3, 4, 8)
    looks = net.attention(x)
    assert looks.shape == (2, 3, 2, 4, 4) and tg.allclose(looks.sum(-1), tg.ones(2, 3, 2, 4))
    assert (looks.triu(1) == 0).all()
    assert net(x[:0]).shape == (0, 4, 8)
    assert small().log_prob(pictures()[:0]).shape == (0,)
