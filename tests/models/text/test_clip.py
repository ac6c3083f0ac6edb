"""CLIP: the loss's optimum is the pointwise mutual information; vectors, scale, re-ranking."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import tinygen as tg
from tinygen import models
from tinygen.models.text import CLIP, best_of, contrastive_loss

CONFIG = {"shape": (1, 8, 8), "words": ["a", "black", "cat", "red"], "length": 7, "width": 4,
          "dim": 6, "text_width": 8, "text_layers": 1}  # fmt: skip
CAPTIONS = ["a cat", "a black cat", "a red cat", "red"]


def model(**more: Any) -> CLIP:
    tg.manual_seed(0)
    made = models.build("clip", CONFIG | more).double()
    assert isinstance(made, CLIP)
    return made


def pictures(n: int) -> tg.Tensor:
    generator = tg.Generator().manual_seed(1)
    return 2.0 * tg.rand(n, 1, 8, 8, generator=generator, dtype=tg.float64) - 1.0


def test_the_optimum_of_a_free_table_is_the_pointwise_mutual_information() -> None:
    """Over all batches of two pairs of a law of 3 x 4, each with its probability."""
    rng = np.random.default_rng(0)
    law = rng.uniform(0.2, 1.0, (3, 4))
    law /= law.sum()
    pairs = list(itertools.product(range(3), range(4)))
    batches = list(itertools.product(pairs, repeat=2))
    rows, columns = (np.array([[p[i] for p in batch] for batch in batches]) for i in (0, 1))
    weight = tg.tensor([law[a] * law[b] for a, b in batches])
    table = tg.tensor(rng.normal(size=(3, 4)), requires_grad=True)  # from anywhere
    for lr in (0.1, 0.01):
        opt = tg.optim.Adam([table], lr=lr)
        for _ in range(150):
            logits = table[rows[:, :, None], columns[:, None, :]]  # (batches, 2, 2)
            opt.zero_grad()
            (weight * contrastive_loss(logits)).sum().backward()
            opt.step()
    information = np.log(law / np.outer(law.sum(1), law.sum(0)))
    off = table.detach().numpy() - information
    assert np.ptp(off) < 1e-3, off


def test_the_loss_is_the_mean_of_both_directions() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 5))
    one = lambda z: -np.mean(np.diag(z) - np.log(np.exp(z).sum(1)))
    expected = 0.5 * (one(logits) + one(logits.T))
    assert contrastive_loss(tg.tensor(logits)).item() == pytest.approx(expected, rel=1e-12)
    twice = contrastive_loss(tg.tensor(np.stack([logits, 3.0 * logits])))
    assert twice.shape == (2,) and twice[0].item() == pytest.approx(expected, rel=1e-12)
    same = np.zeros((4, 4))
    assert contrastive_loss(tg.tensor(same)).item() == pytest.approx(math.log(4))


def test_a_caption_that_is_twice_in_a_batch_puts_a_floor_under_the_loss() -> None:
    certain = 50.0 * tg.eye(4, dtype=tg.float64)
    certain[0, 1] = certain[1, 0] = 50.0
    assert contrastive_loss(certain).item() == pytest.approx(0.5 * math.log(2), abs=1e-9)


def test_vectors_have_length_1_and_the_loss_is_that_of_their_cosines() -> None:
    made, x = model(), pictures(4)
    a, b = made.see(x).detach().numpy(), made.read(CAPTIONS).detach().numpy()
    for vectors in (a, b):
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0)
    assert np.allclose(made.score(x, CAPTIONS).numpy(), a @ b.T)
    assert np.allclose(made.score(x, CAPTIONS, batch=3).numpy(), a @ b.T)
    terms = made.terms((x, made.tokens(CAPTIONS)))
    logits = a @ b.T / 0.07
    assert terms["loss"].item() == pytest.approx(contrastive_loss(tg.tensor(logits)).item())
    assert terms["scale"].item() == pytest.approx(1.0 / 0.07)
    assert terms["accuracy"].item() == (logits.argmax(1) == np.arange(4)).mean()


def test_a_caption_s_vector_does_not_depend_on_the_padding_or_the_others() -> None:
    made = model()
    alone = made.read(["red"]).detach().numpy()
    assert np.allclose(made.read(CAPTIONS)[3:].detach().numpy(), alone, atol=1e-12)
    short = made.read(made.tokens(["red"])[:, :3])
    assert np.allclose(short.detach().numpy(), alone, atol=1e-12)


def test_the_scale_is_learned_and_stays_below_100() -> None:
    made, x = model(), pictures(4)
    tokens = made.tokens(CAPTIONS)

    def loss(log_scale: float) -> tg.Tensor:
        made.log_scale.data.fill_(log_scale)
        return made.terms((x, tokens))["loss"]

    loss(2.0).backward()
    slope = (loss(2.0 + 1e-5) - loss(2.0 - 1e-5)).item() / 2e-5
    assert abs(slope) > 1e-3 and made.log_scale.grad.item() == pytest.approx(slope, rel=1e-4)
    made.zero_grad()
    loss(7.0).backward()  # beyond the limit, from which it must come back
    assert made.terms((x, tokens))["scale"].item() == pytest.approx(100.0)
    assert abs(made.log_scale.grad.item()) > 0.1


def test_pictures_and_captions_find_each_other() -> None:
    made = model(halvings=1)
    x = tg.zeros(3, 1, 8, 8, dtype=tg.float64)
    x[0, :, :4], x[1, :, 4:], x[2, :, :, :4] = 1.0, 1.0, 1.0
    batch = (x, made.tokens(CAPTIONS[:3]))
    opt = tg.optim.Adam(made.parameters(), lr=0.003)
    for _ in range(60):
        opt.zero_grad()
        terms = made.terms(batch)
        terms["loss"].backward()
        opt.step()
    assert terms["accuracy"].item() == 1.0 and terms["loss"].item() < 0.1


def test_re_ranking_keeps_the_picture_that_is_nearest_to_its_own_caption() -> None:
    made, x = model(), pictures(12)
    kept = best_of(made, x, CAPTIONS)
    scores = made.score(x, CAPTIONS).numpy()
    for i, picture in enumerate(kept.numpy()):
        place = 3 * i + scores[3 * i : 3 * i + 3, i].argmax()
        assert np.array_equal(picture, x[int(place)].numpy())
    assert np.array_equal(best_of(made, x[:4], CAPTIONS).numpy(), x[:4].numpy())  # k = 1


def test_bad_input_is_named() -> None:
    made, x = model(), pictures(3)
    with pytest.raises(ValueError, match=r"CLIP: expected pictures \(B, \(1, 8, 8\)\), got \(3, 1"):
        made.see(x[:, :, :4])
    with pytest.raises(ValueError, match="an empty caption"):
        made.read(["a cat", " "])
    with pytest.raises(ValueError, match="the word 'dog' is not known; there are a, black, cat"):
        made.score(x, ["a dog"])
    with pytest.raises(ValueError, match="needs length 8, got length=7"):
        made.read(["a cat a cat a cat"])
    with pytest.raises(ValueError, match="a batch of pictures and their captions' tokens"):
        made.terms((x,))
    with pytest.raises(ValueError, match=r"expected tables \(..., N, N\), got \(3, 2\)"):
        made.terms((x, made.tokens(["a cat", "red"])))
    with pytest.raises(ValueError, match="best_of: 3 pictures for 2 captions"):
        best_of(made, x, ["a cat", "red"])
    with pytest.raises(ValueError, match="temperature"):
        model(temperature=0.0)
    with pytest.raises(ValueError, match="clip: no words in the config"):
        models.build("clip", {"shape": (1, 8, 8)})
