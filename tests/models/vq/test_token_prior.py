"""Priors over integers: they sum to 1, the cache changes nothing, and each sees what it may."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinygen as tg
from tinygen.models import vq
from tinygen.models.vq.token_prior import build


def small(
    prior: str = "gpt", size: int = 3, shape: tuple[int, ...] = (1, 4, 4), **more: Any
) -> Any:
    """A prior over maps of 2 x 2, whose weights are large enough for everything to matter."""
    tg.manual_seed(1)
    codes = {"shape": shape, "width": 4, "halvings": 1, "size": size, "dim": 4}
    codes["quantiser"] = "scales" if prior == "var" else "ema"
    config = {"codes": codes, "prior": prior, "width": 8, "layers": 2, "heads": 2} | more
    model = build(config).double()
    for name, p in model.named_parameters():
        if p.ndim == 2 and not name.startswith("codes"):
            p.data.mul_(3.0)
    return model


def sequences(model: Any) -> tg.Tensor:
    """All there are."""
    return tg.tensor(list(itertools.product(range(model.size), repeat=model.length)))


DENSITIES = ["gpt"]


@pytest.mark.parametrize("prior", DENSITIES)
@pytest.mark.parametrize("classes", [0, 3])
def test_the_probabilities_of_all_sequences_sum_to_one(prior: str, classes: int) -> None:
    model = small(prior, classes=classes)
    all_ = sequences(model)
    labels = tg.full((len(all_),), 2) if classes else None
    p = model.log_prob(all_, labels).exp()
    assert p.sum().item() == pytest.approx(1.0, abs=1e-10)
    assert p.max().item() > 3.0 / len(p), "too even to tell"


@pytest.mark.parametrize("prior", DENSITIES)
def test_samples_follow_the_density(prior: str) -> None:
    model = small(prior, size=2)
    draws = model.draw(8000, tg.Generator().manual_seed(0)).numpy()
    place = 2 ** np.arange(model.length)[::-1]
    found = np.bincount(draws @ place, minlength=2**model.length) / len(draws)
    expected = model.log_prob(sequences(model)).exp().detach().numpy()
    assert np.abs(found - expected).max() < 0.02 and np.ptp(expected) > 0.05


@pytest.mark.parametrize("prior", DENSITIES)
def test_drawing_is_the_same_with_a_cache_and_without(prior: str) -> None:
    model = small(prior, size=9, shape=(1, 8, 8), classes=2)
    labels, seen = tg.arange(20) % 2, []
    choose = vq.tokens.choose

    def noted(logits: tg.Tensor, *rest: Any) -> tg.Tensor:
        seen.append(logits)
        return choose(logits, *rest)

    with pytest.MonkeyPatch.context() as patch:
        for module in (vq.tokens, *MODULES):
            patch.setattr(module, "choose", noted)
        a, b = (
            model.draw(20, tg.Generator().manual_seed(0), labels, cache=cached)
            for cached in (True, False)
        )
    assert (a == b).all() and len(seen) == 2 * model.passes
    with_, without = (tg.cat(part, 1) for part in (seen[: model.passes], seen[model.passes :]))
    assert (with_ - without).abs().max().item() < 1e-11
    assert (with_ - model(a, labels)).abs().max().item() < 1e-11, "the density knows others"


MODULES: list[Any] = []


def test_the_vqvae_stays_as_it_is_while_the_prior_learns() -> None:
    model = small(size=4)
    before = {k: v.numpy().copy() for k, v in model.codes.state_dict().items()}
    model.train()
    x = tg.randn(16, 1, 4, 4, dtype=tg.float64)
    opt = tg.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        opt.zero_grad()
        model.terms((x,))["loss"].backward()
        opt.step()
    after = model.codes.state_dict()
    assert model.training and not model.codes.training
    assert all(np.array_equal(v, after[k].numpy()) for k, v in before.items())
    tokens = model.tokens(x)
    assert (model.tokens(tokens) == tokens).all()
    assert model.terms((x,))["loss"].item() == model.terms((tokens,))["loss"].item()


def test_a_prior_learns_what_integers_say_of_each_other() -> None:
    """All four alike: log 3 nats, where each alone has 4 log 3."""
    model = small(width=16, layers=1)
    tokens = (tg.arange(30) % 3).unsqueeze(1).expand(30, 4)
    opt = tg.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(60):
        opt.zero_grad()
        model.terms((tokens,))["loss"].backward()
        opt.step()
    assert -model.log_prob(tokens).mean().item() < np.log(3.0) + 0.1
    model.codes.usage.fill_(1.0 / 3.0)
    assert model.codes.log_usage(tokens).numpy() == pytest.approx(-4.0 * np.log(3.0))


def test_choices_keep_to_the_likelier_values() -> None:
    p = tg.tensor([[0.1, 0.4, 0.3, 0.2], [0.97, 0.01, 0.01, 0.01]])
    kept = vq.nucleus(p.log(), 0.65).exp()
    assert (kept > 0).tolist() == [[False, True, True, False], [True, False, False, False]]
    assert (vq.nucleus(p.log(), 1.0).exp() - p).abs().max().item() < 1e-6
    many = p.log().repeat(2000, 1).reshape(2000, 2, 4)
    g = tg.Generator().manual_seed(0)
    assert set(vq.choose(many, g, top_k=2)[:, 0].tolist()) == {1, 2}
    assert set(vq.choose(many, g, top_p=0.65)[:, 0].tolist()) == {1, 2}
    assert set(vq.choose(many, g, temperature=1e-3)[:, 0].tolist()) == {1}
    shares = np.bincount(vq.choose(many, g)[:, 0].numpy(), minlength=4) / 2000
    assert np.abs(shares - p[0].numpy()).max() < 0.04


def test_bad_input_is_named() -> None:
    model = small()
    with pytest.raises(ValueError, match=r"expected 4 integers 0 \.\. 2 .* shape \(1, 5\)"):
        model.log_prob(tg.zeros(1, 5).long())
    with pytest.raises(ValueError, match=r"expected 4 integers 0 \.\. 2 .*, 0 \.\. 3"):
        model.log_prob(tg.tensor([[0, 1, 2, 3]]))
    with pytest.raises(ValueError, match="the model has 0 classes, and labels were given"):
        model.sample(1, labels=tg.tensor([0]))
    with pytest.raises(ValueError, match="the model has 3 classes, and none were given"):
        small(classes=3).sample(1)
    with pytest.raises(ValueError, match="temperature > 0, got 0"):
        model.sample(1, temperature=0.0)
    with pytest.raises(ValueError, match="prior 'lstm'; there are gpt"):
        build({"codes": {"shape": (1, 4, 4)}, "prior": "lstm"})
    with pytest.raises(ValueError, match="expected codes to be a VQ-VAE's config, got 'x.npz'"):
        build({"codes": "x.npz"})
