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
        if p.ndim > 1 and not name.startswith("codes"):
            p.data.mul_(3.0)
    return model


def sequences(model: Any) -> tg.Tensor:
    """All there are."""
    return tg.tensor(list(itertools.product(range(model.size), repeat=model.length)))


DENSITIES = ["gpt", "pixelcnn", "var"]


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
        for module in (vq.tokens, vq.raster, vq.var):
            patch.setattr(module, "choose", noted)
        a, b = (
            model.draw(20, tg.Generator().manual_seed(0), labels, cache=cached)
            for cached in (True, False)
        )
    assert (a == b).all() and len(seen) == 2 * model.passes
    with_, without = (tg.cat(part, 1) for part in (seen[: model.passes], seen[model.passes :]))
    assert (with_ - without).abs().max().item() < 1e-11
    assert (with_ - model(a, labels)).abs().max().item() < 1e-11, "the density knows others"


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
    with pytest.raises(ValueError, match="Transformer: made for 4 tokens, got 9"):
        model(tg.zeros(1, 9).long())
    other = small("maskgit").state_dict()
    with pytest.raises(RuntimeError, match="NextToken"):
        model.load_state_dict(other)
    with pytest.raises(ValueError, match="the model has 0 classes, and labels were given"):
        model.sample(1, labels=tg.tensor([0]))
    with pytest.raises(ValueError, match="the model has 3 classes, and none were given"):
        small(classes=3).sample(1)
    with pytest.raises(ValueError, match="temperature > 0, got 0"):
        model.sample(1, temperature=0.0)
    with pytest.raises(ValueError, match="prior 'lstm'; there are gpt, pixelcnn, var"):
        build({"codes": {"shape": (1, 4, 4)}, "prior": "lstm"})
    with pytest.raises(ValueError, match="expected codes to be a VQ-VAE's config, got 'x.npz'"):
        build({"codes": "x.npz"})
    with pytest.raises(ValueError, match="quantiser scales or residual, got one with Codebook"):
        build({"codes": {"shape": (1, 4, 4)}, "prior": "var"})
    with pytest.raises(ValueError, match="maps of 4 x 4 integers, got 21 integers of several"):
        build({"codes": {"shape": (1, 8, 8), "halvings": 1, "quantiser": "scales"},
               "prior": "pixelcnn"})  # fmt: skip
    with pytest.raises(ValueError, match="passes"):
        small("maskgit", passes=0)


# --- a PixelCNN -----------------------------------------------------------------------------------


def test_a_place_sees_every_integer_before_it_and_no_other() -> None:
    """The gradient of the logits in the integers, each as a row of size numbers."""
    model = small("pixelcnn", size=5, shape=(1, 8, 8))  # 4 x 4 places
    read = lambda hot: (hot @ model.net.vectors.weight).movedim(2, 1).reshape(1, -1, 4, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "_map", lambda hot: hot)
        patch.setattr(model.net, "_read", read)
        cotangent = tg.randn(16, 5, dtype=tg.float64)
        total = lambda hot: (model(hot) * cotangent).sum((0, 2))
        slopes = tg.autograd.functional.jacobian(total, tg.rand(1, 16, 5, dtype=tg.float64))
    found = np.abs(slopes.numpy()).sum((1, 3)) != 0  # (logits of, integer)
    assert (found == np.tril(np.ones((16, 16)), -1)).all()


def test_integers_have_no_order() -> None:
    """Each is read as a vector of its own: no line has all of them on it."""
    model = small("pixelcnn", size=5)
    tokens = tg.tensor([[k, 0, 0, 0] for k in range(5)])
    seen = model.net._read(model._map(tokens))[:, :, 0, 0].detach().numpy()
    assert np.linalg.matrix_rank(seen - seen[0]) == 4


def test_two_maps_of_a_product_stand_below_each_other() -> None:
    codes = {"shape": (1, 4, 4), "width": 4, "halvings": 1, "size": 2, "dim": 4}
    tg.manual_seed(0)
    config = {"codes": codes | {"quantiser": "product"}, "prior": "pixelcnn", "width": 8}
    model = build(config | {"layers": 3}).double()
    assert model.net.shape == (1, 4, 2) and model.draw(5).shape == (5, 8)
    assert model.log_prob(sequences(model)).exp().sum().item() == pytest.approx(1.0, abs=1e-10)


# --- next scale -----------------------------------------------------------------------------------


def test_a_scale_sees_every_coarser_integer_and_no_other() -> None:
    """The gradient of the logits in the integers, each as a row of size numbers."""
    model = small("var", size=5, shape=(1, 8, 8))  # 1 + 4 + 16 integers
    book = model.codes.quantiser.books[0]

    def rows(hot: tg.Tensor, h: int, w: int) -> tg.Tensor:
        return (hot @ book.vectors).transpose(1, 2).reshape(len(hot), -1, h, w)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(book, "lookup", rows)
        hot = tg.rand(1, 21, 5, dtype=tg.float64)
        cotangent = tg.randn(21, 5, dtype=tg.float64)
        total = lambda x: (model(x) * cotangent).sum((0, 2))
        slopes = tg.autograd.functional.jacobian(total, hot)
    found = np.abs(slopes.numpy()).sum((1, 3)) != 0  # (logits of, integer)
    scale = np.repeat([0, 1, 2], [1, 4, 16])
    assert (found == (scale[:, None] > scale)).all()


@pytest.mark.parametrize(("prior", "passes"), [("gpt", 21), ("var", 3), ("maskgit", 5)])
def test_a_sample_takes_the_passes_that_are_told(prior: str, passes: int) -> None:
    more = {"passes": 5} if prior == "maskgit" else {}
    codes = {"shape": (1, 8, 8), "width": 4, "halvings": 1, "size": 8, "dim": 4}
    codes["quantiser"] = "scales"
    model = build({"codes": codes, "prior": prior, "width": 8, "layers": 1} | more)
    with pytest.MonkeyPatch.context() as patch:
        forward, calls = model.net.forward, []
        patch.setattr(model.net, "forward", lambda *a: calls.append(1) or forward(*a))
        model.sample(2, tg.Generator().manual_seed(0))
    assert len(calls) == model.passes == passes


# --- masked prediction ----------------------------------------------------------------------------


def test_what_is_hidden_is_guessed_from_all_others_and_is_not_seen() -> None:
    model = small("maskgit")
    tokens = tg.tensor([[3, 1, 3, 2]])  # 3: hidden
    logits = model(tokens)
    for i in range(4):
        other = tokens.clone()
        other[0, i] = 0
        assert (model(other) != logits).any(2).all(), "a place does not see another"
    seen: list[tg.Tensor] = []
    forward = model.forward
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "forward", lambda x, y: seen.append(x) or forward(x, y))
        tg.manual_seed(3)
        truth = tg.randint(3, (4000, 4))
        terms = model.terms((truth,))
    hidden = seen[0] == 3
    assert (seen[0] == truth).logical_or(hidden).all() and hidden.any(1).all()
    p = tg.log_softmax(model(seen[0]), 2).gather(2, truth.unsqueeze(2))[:, :, 0]
    assert terms["loss"].item() == pytest.approx(-p[hidden].mean().item(), rel=1e-10)
    # P(more than m of 4 are hidden) = P(cos(pi r / 2) > m / 4) = 2 acos(m / 4) / pi
    counts = hidden.long().sum(1).numpy()
    for m in range(4):
        assert (counts > m).mean() == pytest.approx(2.0 * np.arccos(m / 4) / np.pi, abs=0.03)
    assert np.ptp(hidden.double().mean(0).numpy()) < 0.05, "some places are hidden more often"


def test_an_integer_that_was_kept_stays_and_the_schedule_is_the_cosine() -> None:
    model = small("maskgit", size=9, shape=(1, 8, 8))  # 16 integers
    seen: list[tg.Tensor] = []
    forward = model.forward
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "forward", lambda x, y: seen.append(x) or forward(x, y))
        seen.append(model.draw(30, tg.Generator().manual_seed(0), passes=4))
    hidden = [int((x == 9).sum().item()) / 30 for x in seen]
    assert hidden == [16, 14, 11, 6, 0]  # floor(16 cos(pi s / 8))
    for before, after in zip(seen, seen[1:]):
        assert ((before == after) | (before == 9)).all()
    assert len(model.draw(3, passes=40).unique()) > 1  # more passes than integers


def test_without_noise_the_surest_are_kept() -> None:
    model = small("maskgit", size=9, shape=(1, 8, 8))
    seen: list[tg.Tensor] = []
    forward = model.forward
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "forward", lambda x, y: seen.append(x) or forward(x, y))
        model.draw(5, tg.Generator().manual_seed(0), passes=4, noise=0.0, top_k=1)
    sure = tg.log_softmax(model(seen[0]), 2).amax(2)
    for row, kept in zip(sure, seen[1] != 9):
        assert row[kept].min() >= row[~kept].max()


def test_one_pass_after_the_other_knows_what_one_pass_does_not() -> None:
    """Four integers that are alike: one pass draws each alone, four passes draw them alike."""
    model = small("maskgit", width=16, layers=1)
    tokens = (tg.arange(60) % 3).unsqueeze(1).expand(60, 4)
    opt = tg.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(100):
        opt.zero_grad()
        model.terms((tokens,))["loss"].backward()
        opt.step()
    alike = {}
    for passes in (1, 4):
        draws = model.draw(300, tg.Generator().manual_seed(0), passes=passes)
        alike[passes] = (draws == draws[:, :1]).all(1).double().mean().item()
    assert alike[4] > 0.9 and alike[1] < 0.2
