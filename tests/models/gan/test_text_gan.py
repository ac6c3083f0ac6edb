"""GAN-INT-CLS: whose caption is whose, what counts as false, and what lies half-way."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen import nn
from tinygen.data import WordTokenizer
from tinygen.models import nets
from tinygen.models.gan import TextGAN, mismatched
from tinygen.models.gan.text_gan import build

WORDS = ["a", "cat", "dog", "red", "small"]
CONFIG = {"shape": (3, 8, 8), "words": WORDS, "latent": 4, "width": 2, "text_width": 8, "told": 3}
CAPTIONS = ["a cat", "a dog", "a red cat", "a small dog", "a cat", "red dog"]


def small(seed: int = 0, **config: object) -> TextGAN:
    tg.manual_seed(seed)
    return build(CONFIG | config).double()


class Painter(nn.Module):
    """A G whose picture (width,) is the caption's vector."""

    def __init__(self) -> None:
        super().__init__()
        self.size, self.told = nn.Parameter(tg.tensor(1.0, dtype=tg.float64)), []

    def forward(self, z: tg.Tensor, told: tg.Tensor) -> tg.Tensor:
        self.told.append(told.detach().numpy())
        return self.size * told


class Near(nn.Module):
    """A D that says minus the distance of picture and caption; a caption's vector is its words'."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nets.TextEncoder(10, 16, 8)
        self.weight, self.asked = nn.Parameter(tg.eye(10, dtype=tg.float64)), []

    def read(self, tokens: tg.Tensor) -> tg.Tensor:
        hot = nn.functional.one_hot(tokens, 10).double() * (tokens > 3)[:, :, None]
        return hot.sum(1) @ self.weight

    def trunk(self, x: tg.Tensor) -> tg.Tensor:
        return x

    def match(self, seen: tg.Tensor, told: tg.Tensor) -> tg.Tensor:
        self.asked.append((seen.detach().numpy(), told.detach().numpy()))
        return -(seen - told).abs().sum(1)

    forward = match


def toy(**options: object) -> tuple[TextGAN, tg.Tensor, tg.Tensor]:
    """The model, pictures that say their caption, and the captions' tokens."""
    model = TextGAN(Painter(), Near(), "hinge", 2, WordTokenizer(WORDS), **options)
    tokens = model.tokens(CAPTIONS)
    return model, model.D.read(tokens).detach(), tokens


# --- wrong captions ---------------------------------------------------------------------------


def test_a_wrong_caption_is_another_of_the_batch_that_differs_and_any_of_those() -> None:
    tokens = small().tokens(CAPTIONS)  # the first and the fifth are the same
    generator = tg.Generator().manual_seed(0)
    drawn = np.stack([mismatched(tokens, generator).numpy() for _ in range(600)])
    rows = tokens.numpy()
    for i, row in enumerate(rows):
        differ = [j for j in range(6) if (rows[j] != row).any()]
        counts = np.bincount(drawn[:, i], minlength=6)
        assert sorted(np.flatnonzero(counts)) == differ, CAPTIONS[i]
        expected = 600 / len(differ)
        assert ((counts[differ] - expected) ** 2 / expected).sum() < 18.5  # chi^2, 4 dof: 0.1 %


def test_captions_that_are_all_the_same_are_one_error() -> None:
    model = small()
    tokens = model.tokens(["a cat", "a cat"])
    for call in (lambda: model.discriminator_terms((tg.zeros(2, 3, 8, 8).double(), tokens)),
                 lambda: model.generator_terms(2, tokens)):  # fmt: skip
        with pytest.raises(ValueError, match="mismatched: all 2 captions of the batch are the sam"):
            call()


def test_wrong_captions_count_as_false_and_own_ones_as_true() -> None:
    model, x, tokens = toy()
    terms = model.discriminator_terms((x, tokens))
    assert terms["real"].item() == 0.0 == terms["fake"].item()  # of their own captions
    (real, own), (made, of_made), (seen, wrong) = model.D.asked
    assert np.array_equal(real, own) and np.array_equal(made, of_made)
    assert np.array_equal(seen, real) and (abs(wrong - own).sum(1) > 0).all()
    assert terms["wrong"].item() == pytest.approx(-abs(wrong - own).sum(1).mean())
    on = [np.zeros(6), np.zeros(6), -abs(wrong - own).sum(1)]
    positive = lambda v: np.maximum(v, 0).mean()
    expected = positive(1 - on[0]) + 0.5 * positive(1 + on[1]) + 0.5 * positive(1 + on[2])
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-12)


def test_d_is_pulled_towards_the_match_and_away_from_the_mismatch() -> None:
    """One logit for each of the three: real up, half as fast fake and wrong down."""

    class Three(Near):
        def __init__(self) -> None:
            super().__init__()
            self.said = nn.Parameter(tg.zeros(3, dtype=tg.float64))

        def match(self, seen: tg.Tensor, told: tg.Tensor) -> tg.Tensor:
            i = len(self.asked)
            self.asked.append((seen, told))
            return self.said[i].expand(len(seen)) + 0.0 * told.sum(1)

        forward = match

    model = TextGAN(Painter(), Three(), "non_saturating", 2, WordTokenizer(WORDS))
    tokens = model.tokens(CAPTIONS)
    model.discriminator_terms((model.D.read(tokens).detach(), tokens))["loss"].backward()
    assert np.allclose(model.D.said.grad.numpy(), [-0.5, 0.25, 0.25])
    assert all(p.grad is None for p in model.G.parameters())


def test_without_wrong_captions_it_is_the_row() -> None:
    model, x, tokens = toy(aware=False)
    terms = model.discriminator_terms((x, tokens))
    assert list(terms) == ["loss", "real", "fake"] and terms["loss"].item() == 2.0


# --- captions half-way ------------------------------------------------------------------------


def test_half_way_lies_between_two_captions_that_differ() -> None:
    model, x, tokens = toy(between=0.7)
    terms = model.generator_terms(6, tokens)
    own, mixed = model.G.told[0][:6], model.G.told[0][6:]
    assert np.array_equal(own, x.numpy())
    others = 2.0 * mixed - own  # which caption it was mixed with
    for i, other in enumerate(others):
        found = [j for j in range(6) if np.allclose(other, own[j])]
        assert found and CAPTIONS[found[0]] != CAPTIONS[i]
    assert np.array_equal(model.D.asked[0][1], model.G.told[0])  # judged with what it was told
    assert terms["fooled"].item() == 0.0 == terms["between"].item()
    with tg.no_grad():
        model.G.size.fill_(2.0)  # now it paints too large
    terms = model.generator_terms(6, tokens)
    mixed = model.G.told[1][6:]
    between = abs(mixed).sum(1).mean()
    assert terms["fooled"].item() == pytest.approx(abs(x.numpy()).sum(1).mean())
    assert terms["between"].item() == pytest.approx(between)
    assert terms["loss"].item() == pytest.approx(terms["fooled"].item() + 0.7 * between)
    assert list(toy(between=0.0)[0].generator_terms(6, tokens)) == ["loss", "fooled"]


def test_g_does_not_teach_the_reader() -> None:
    model = small()
    model.generator_terms(6, model.tokens(CAPTIONS))["loss"].backward()
    assert all(p.grad is None for p in model.D.encoder.parameters())
    assert all(p.grad is not None for p in model.G.parameters())


# --- networks and samples ---------------------------------------------------------------------


def test_the_judge_sees_the_caption_at_every_place() -> None:
    model = small()
    x, tokens = tg.rand(6, 3, 8, 8).double(), model.tokens(CAPTIONS)
    seen, told, D = model.D.trunk(x), model.D.read(tokens), model.D
    short = D.shorten(told).detach().numpy()
    both = [np.concatenate([s, np.broadcast_to(t[:, None, None], (3, *s.shape[1:]))])
            for s, t in zip(seen.detach().numpy(), short)]  # fmt: skip
    expected = D.judge(tg.tensor(np.stack(both))).detach().numpy()
    assert np.allclose(D(x, told).detach().numpy(), expected, rtol=0, atol=1e-13)
    again = D(x[2:3], told[2:3]).detach().numpy()  # examples stay apart
    assert np.allclose(again, expected[2:3], rtol=0, atol=1e-12)


def test_a_captions_vector_does_not_depend_on_the_padding() -> None:
    model = small()
    long = model.tokens(["a cat"])
    short = long[:, :4]
    assert bool((long[:, 4:] == 0).all()) and long.shape[1] == 16
    assert np.allclose(model.read(long).numpy(), model.read(short).numpy(), rtol=0, atol=1e-12)


def test_samples_are_of_their_captions() -> None:
    model = small()
    seeded = lambda: tg.Generator().manual_seed(1)
    several = model.sample(6, seeded(), captions=CAPTIONS).numpy()
    assert np.array_equal(several, model.sample(6, seeded(), model.tokens(CAPTIONS)).numpy())
    assert np.array_equal(several, model.sample(6, seeded(), model.read(CAPTIONS)).numpy())
    one = model.sample(6, seeded(), captions=["a dog"]).numpy()
    assert np.allclose(one[1], several[1], rtol=0, atol=1e-12)
    assert (abs(one - several)[[0, 2, 3, 4, 5]].max((1, 2, 3)) > 1e-9).all()


@pytest.mark.parametrize("norm", ["layer", "batch", "spectral", "none"])
def test_sides_and_norms(norm: str) -> None:
    for side in (8, 32):
        model = small(norm=norm, shape=(1, side, side))
        x, tokens = tg.rand(6, 1, side, side).double(), model.tokens(CAPTIONS)
        assert model.discriminator_terms((x, tokens))["loss"].shape == ()
        assert model.sample(2, captions="a cat").shape == (2, 1, side, side)


def relation(aware: bool) -> float:
    """How much higher D says of the own caption than of a wrong one, after some steps of D."""
    model = small(width=4, aware=aware, between=0.0)
    opt = tg.optim.Adam(model.D.parameters(), lr=5e-3)
    tokens = model.tokens(["a cat", "a dog"] * 8)
    light = tg.tensor([1.0, -1.0] * 8)[:, None, None, None]  # a cat is light, a dog is dark
    for _ in range(60):
        x = (light + 0.3 * tg.randn(16, 3, 8, 8)).double()
        opt.zero_grad()
        model.discriminator_terms((x, tokens))["loss"].backward()
        opt.step()
    told = model.read(tokens)
    return float((model.D(x, told) - model.D(x, told.roll(1, 0))).detach().mean())


def test_only_a_d_that_is_shown_wrong_captions_learns_to_read() -> None:
    assert relation(aware=True) > 2.0
    assert abs(relation(aware=False)) < 1.0


# --- what cannot be -----------------------------------------------------------------------------


def test_bad_input_is_named() -> None:
    model, x = small(), tg.rand(4, 3, 8, 8).double()
    with pytest.raises(ValueError, match="TextGAN: needs 4 captions' tokens, .* got none"):
        model.discriminator_terms((x,))
    with pytest.raises(ValueError, match="TextGAN: needs 4 captions' tokens, .* got 6"):
        model.generator_terms(4, model.tokens(CAPTIONS))
    with pytest.raises(ValueError, match="the word 'bird' is not known"):
        model.sample(1, captions=["a bird"])
    with pytest.raises(ValueError, match="TextGAN: 3 samples of 2 captions; give 1 or 3"):
        model.sample(3, captions=["a cat", "a dog"])
    for row in ("wgan", "wgan_gp"):
        with pytest.raises(ValueError, match=f"TextGAN: D of {row} needs a penalty, clipped"):
            build(CONFIG | {"objective": row})
    with pytest.raises(ValueError, match="expected between >= 0"):
        build(CONFIG | {"between": -1.0})
    with pytest.raises(ValueError, match="text_gan: no words in the config"):
        build({"shape": (3, 8, 8)})
