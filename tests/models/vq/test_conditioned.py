"""A prior that is told a picture, and maps larger than in training."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinygen as tg
from tinygen.models import vq
from tinygen.models.vq.token_prior import build


def model_of(shape: tuple[int, ...] = (1, 8, 8), size: int = 5, **more: Any) -> Any:
    """A prior whose weights are large enough for everything to matter."""
    tg.manual_seed(1)
    codes = {"shape": shape, "width": 4, "halvings": 1, "size": size, "dim": 4}
    model = build({"codes": codes, "width": 8, "layers": 2, "heads": 2} | more).double()
    for name, p in model.named_parameters():
        if p.ndim == 2 and not name.startswith("codes"):
            p.data.mul_(3.0)
    return model.eval()


def pictures(n: int, *shape: int) -> tg.Tensor:
    return tg.randn(n, *shape, dtype=tg.float64)


# --- told a picture -------------------------------------------------------------------------------


def test_given_a_picture_the_probabilities_of_all_sequences_sum_to_one() -> None:
    model = model_of((1, 4, 4), size=3, condition=(2, 4, 4))
    all_ = tg.tensor(list(itertools.product(range(3), repeat=4)))
    told = [None, *(x.expand(81, -1, -1, -1) for x in pictures(2, 2, 4, 4).split(1))]
    laws = [model.log_prob(all_, x) for x in told]
    for log_p in laws:
        assert log_p.exp().sum().item() == pytest.approx(1.0, abs=1e-10)
    assert min((a - b).abs().max().item() for a, b in itertools.combinations(laws, 2)) > 0.1


def test_every_integer_sees_the_whole_picture_and_the_integers_before_it() -> None:
    model = model_of(condition=(1, 8, 8))
    told, tokens = pictures(1, 1, 8, 8).requires_grad_(), tg.randint(5, (1, 16))
    logits = model(tokens, told)
    for i in (0, 15):
        slope = tg.autograd.grad(logits[0, i].square().sum(), told, retain_graph=True)[0]
        assert (slope != 0).all()
    for i in range(16):
        other = tokens.clone()
        other[0, i] = (other[0, i] + 1) % 5
        moved = (model(other, told) != logits).any(2)[0]
        assert not moved[: i + 1].any() and moved[i + 1 :].all()


def test_drawing_with_a_picture_is_the_same_with_a_cache_and_without() -> None:
    model, told = model_of(condition=(1, 8, 8)), pictures(20, 1, 8, 8)
    a, b = (model.draw(20, tg.Generator().manual_seed(0), told, cache=c) for c in (True, False))
    assert (a == b).all() and not (a == model.draw(20, tg.Generator().manual_seed(0))).all()


def test_in_training_some_pictures_are_not_told() -> None:
    model, tokens = model_of(condition=(1, 8, 8)), tg.randint(5, (400, 16))
    told = pictures(1, 1, 8, 8).expand(400, -1, -1, -1)
    known, unknown = (model.start(400, x) for x in (told, None))
    start = model.train().start(400, told)
    blind, seeing = ((start == x).all(2).all(1) for x in (unknown, known))
    assert (blind ^ seeing).all() and 20 <= blind.long().sum().item() <= 65  # 40, a tenth
    model.hidden = 0.0
    loss = model.terms((tokens, told))["loss"]
    assert loss.item() == pytest.approx(-model.log_prob(tokens, told).mean().item(), rel=1e-12)
    model.hidden = 1.0
    loss = model.terms((tokens, told))["loss"]
    assert loss.item() == pytest.approx(-model.log_prob(tokens).mean().item(), rel=1e-12)
    loss.backward()
    assert model.unknown.grad.abs().max().item() > 0.0


def test_what_is_drawn_is_what_the_picture_says() -> None:
    """Integers that are the picture's signs, place by place."""
    codes = {"shape": (1, 4, 4), "width": 4, "halvings": 1, "size": 2, "dim": 4}
    tg.manual_seed(0)
    model = build({"codes": codes, "width": 16, "layers": 1, "condition": (1, 4, 4)}).double()
    model.train()
    places = pictures(200, 1, 2, 2)
    tokens = (places > 0).flatten(1).long()
    told = places.repeat_interleave(2, 2).repeat_interleave(2, 3)
    opt = tg.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(60):
        opt.zero_grad()
        model.terms((tokens[:150], told[:150]))["loss"].backward()
        opt.step()
    right = model.eval().draw(50, tg.Generator().manual_seed(0), told[150:]) == tokens[150:]
    assert right.double().mean().item() > 0.9


# --- told a caption -------------------------------------------------------------------------------

CAPTION = {"condition": {"size": 9, "length": 6}}


def test_given_a_caption_the_probabilities_of_all_sequences_sum_to_one() -> None:
    model = model_of((1, 4, 4), size=3, **CAPTION)
    all_ = tg.tensor(list(itertools.product(range(3), repeat=4)))
    captions = [None, *(tg.tensor([row] * 81) for row in ([1, 5, 2], [1, 7, 2], [1, 5, 7, 2]))]
    laws = [model.log_prob(all_, tokens) for tokens in captions]
    for log_p in laws:
        assert log_p.exp().sum().item() == pytest.approx(1.0, abs=1e-10)
    assert min((a - b).abs().max().item() for a, b in itertools.combinations(laws, 2)) > 1e-3


def test_padding_says_nothing_and_every_place_reads_every_word() -> None:
    model, tokens = model_of(**CAPTION), tg.randint(5, (1, 16))
    caption = tg.tensor([[1, 5, 7, 2]])
    logits = model(tokens, caption)
    longer = tg.cat([caption, tg.zeros(1, 2).long()], 1)
    assert (model(tokens, longer) - logits).abs().max().item() < 1e-12
    for word in range(4):
        other = caption.clone()
        other[0, word] = 8
        assert ((model(tokens, other) - logits).abs().max(2).values > 1e-9).all()
    a, b = (model.draw(9, tg.Generator().manual_seed(0), caption.expand(9, 4), cache=c)
            for c in (True, False))  # fmt: skip
    assert (a == b).all()


def test_it_learns_what_the_captions_say() -> None:
    tg.manual_seed(0)
    codes = {"shape": (1, 4, 4), "width": 4, "halvings": 1, "size": 2, "dim": 4}
    model = build({"codes": codes, "width": 16, "layers": 1} | CAPTION).double().train()
    bits = tg.tensor(list(itertools.product(range(2), repeat=4)))  # a word for each place
    captions = tg.cat(
        [tg.ones(16, 1).long(), bits + tg.tensor([2, 4, 2, 4]), tg.full((16, 1), 8)], 1
    )
    opt = tg.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for _ in range(100):
        opt.zero_grad()
        model.terms((bits, captions))["loss"].backward()
        opt.step()
    right = model.eval().draw(16, tg.Generator().manual_seed(0), captions) == bits
    assert right.double().mean().item() > 0.9


# --- a window that slides -------------------------------------------------------------------------


def seen_by(model: Any, height: int, width: int, **more: Any) -> list[tuple[Any, ...]]:
    """(integers, what is told) of every pass of a window over a map."""
    seen, forward = [], type(model).forward
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model), "forward", lambda self, t, told=None: (
            seen.append((t.clone(), told)), forward(self, t, told))[1])  # fmt: skip
        vq.slide(model, 2, height, width, tg.Generator().manual_seed(0), **more)
    return seen


@pytest.mark.parametrize("told", [None, "class", "picture"])
def test_at_the_size_of_the_training_a_window_draws_as_ever(told: str | None) -> None:
    more = {"class": {"classes": 3}, "picture": {"condition": (1, 8, 8)}}.get(told or "", {})
    model = model_of(**more)
    labels = {"class": tg.arange(6) % 3, "picture": pictures(6, 1, 8, 8)}.get(told or "")
    for how in ({}, {"temperature": 0.7, "top_k": 3}):
        a = model.sample(6, tg.Generator().manual_seed(3), labels, **how)
        b = vq.slide(model, 6, 4, 4, tg.Generator().manual_seed(3), labels, **how)
        assert (a == b).all()


def test_each_integer_sees_the_earlier_ones_of_its_window_and_no_other() -> None:
    """Its law is that of the window alone, of which the prior knows nothing that comes later."""
    model, (height, width) = model_of(), (7, 9)
    laws, maps, choose = [], [], vq.window.choose
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vq.window, "choose", lambda p, *a: (laws.append(p), choose(p, *a))[1])
        vectors = lambda t, h, w: (maps.append(t), pictures(2, 4, h, w))[1]
        patch.setattr(model.codes.quantiser, "lookup", vectors)
        made = vq.slide(model, 2, height, width, tg.Generator().manual_seed(0))
    assert made.shape == (2, 1, 14, 18) and len(laws) == height * width
    tokens, inside = maps[0].reshape(2, height, width), []
    for (y, x), law in zip(np.ndindex(height, width), laws):
        top, left = (min(max(0, at - 2), most - 4) for at, most in ((y, height), (x, width)))
        window = tokens[:, top : top + 4, left : left + 4].flatten(1)
        inside.append((y - top, x - left))
        place = 4 * (y - top) + x - left
        assert (law - model(window)[:, place : place + 1]).abs().max().item() < 1e-12
    assert inside.count((2, 2)) == 4 * 6 and set(inside) == set(np.ndindex(4, 4))


def test_a_window_is_told_its_part_of_a_large_picture() -> None:
    model, large = model_of(condition=(1, 8, 8)), pictures(2, 1, 12, 16)
    seen = seen_by(model, 6, 8, labels=large)
    corners = {(min(max(0, y - 2), 2), min(max(0, x - 2), 4)) for y, x in np.ndindex(6, 8)}
    assert len(corners) == 15
    for (y, x), (_, told) in zip(np.ndindex(6, 8), seen):
        top, left = 2 * min(max(0, y - 2), 2), 2 * min(max(0, x - 2), 4)
        assert (told == large[:, :, top : top + 8, left : left + 8]).all()


def test_what_holds_between_neighbours_goes_on_beyond_the_training() -> None:
    """Maps of one colour, of three: a map twice as high and wide is of one colour too."""
    model = model_of(size=3, layers=1, width=16)
    tokens = (tg.arange(30) % 3).unsqueeze(1).expand(30, 16)
    opt = tg.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.02)
    for _ in range(60):
        opt.zero_grad()
        model.terms((tokens,))["loss"].backward()
        opt.step()
    model.codes.decoder = tg.nn.Identity()
    vectors = vq.slide(model, 20, 8, 8, tg.Generator().manual_seed(0))
    alike = (vectors == vectors[:, :, :1, :1]).all((1, 2, 3)).double().mean().item()
    assert alike > 0.9


def test_bad_input_is_named() -> None:
    model = model_of()
    with pytest.raises(ValueError, match="slide: expected a map of 4 x 4 at least, got 3 x 9"):
        vq.slide(model, 1, 3, 9)
    codes = {"shape": (1, 8, 8), "width": 4, "size": 8, "dim": 4, "quantiser": "product"}
    with pytest.raises(ValueError, match="expected an integer a place, got 8 for 2 x 2"):
        vq.slide(build({"codes": codes, "width": 8}), 1, 4, 4)
    with pytest.raises(ValueError, match=r"\(1, 6, 8\) cannot be halved to .* 16 integers, 4 x 4"):
        model_of(condition=(1, 6, 8))
    with pytest.raises(ValueError, match="a condition is for prior gpt, and without classes"):
        model_of(condition=(1, 8, 8), classes=3)
    told = model_of(condition=(1, 8, 8))
    with pytest.raises(ValueError, match=r"expected 2 pictures \(1, 8, 8\), got \(2, 3, 8, 8\)"):
        told.sample(2, labels=tg.zeros(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"Captioned: expected 2 captions, got \(3, 4\)"):
        model_of(**CAPTION).sample(2, labels=tg.ones(3, 4).long())
    with pytest.raises(ValueError, match=r"integer tokens \(B, L\) with L <= 6, got"):
        model_of(**CAPTION).sample(2, labels=tg.ones(2, 7).long())
    with pytest.raises(ValueError, match="expected hidden .* got 2"):
        vq.Conditioned(model.codes, (1, 8, 8), hidden=2.0)
