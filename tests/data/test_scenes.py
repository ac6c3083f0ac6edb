"""Scenes: what is drawn is what the caption says, and the oracle sees exactly that."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tinygen import data, metrics
from tinygen.data.scenes import (
    COLOURS,
    HELD_OUT,
    RELATIONS,
    SHAPES,
    SIZES,
    Scene,
    Thing,
    _coverage,
    describe,
    draw,
    facts,
    holds,
    label_map,
    random_scene,
    read,
    scenes,
    shorten,
)  # fmt: skip

CHOICES = (tuple(SIZES), tuple(COLOURS), SHAPES, RELATIONS, ("by day", "at night"))


def changed(text):
    """Every caption that differs from this one in one word or relation."""
    for words in CHOICES:
        for found in re.finditer(rf"\b({'|'.join(words)})\b", text):
            for word in set(words) - {found[0]}:
                yield text[: found.start()] + word + text[found.end() :]


@pytest.mark.parametrize("size", [32, 48, 64])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_oracle_reads_what_was_drawn(size, noise):
    rng = np.random.default_rng(size)
    for k in range(150):
        scene = random_scene(rng, held_out=k % 3 == 0)
        picture = draw(scene, size) + noise * rng.normal(size=(3, size, size))
        seen = holds(np.clip(picture, 0, 1), scene.caption)
        assert all(seen.values()), (scene.caption, seen)


def test_upright_scenes_are_the_same_but_for_their_angles():
    turned, upright = (scenes(40, seed=3, most=2, turned=turned) for turned in (True, False))
    assert turned.captions == upright.captions
    pairs = zip(turned.details["scenes"], upright.details["scenes"])
    for a, b in pairs:
        assert replace(a, things=tuple(replace(t, angle=0.0) for t in a.things)) == replace(
            b, things=tuple(replace(t, angle=0.0) for t in b.things)
        )
        assert all(holds(draw(b), b.caption).values())
    assert any(t.angle for scene in turned.details["scenes"] for t in scene.things)
    for shape in SHAPES:  # symmetric left and right, and a triangle stands on its base
        picture = draw(next(
            Scene((replace(t, x=0.5, y=0.5),)) for scene in upright.details["scenes"]
            for t in scene.things if t.shape == shape
        ))  # fmt: skip
        assert np.allclose(picture, picture[:, :, ::-1])
        rows = (abs(picture - picture[:, :1, :1]).max(0) > 0.3).sum(1)
        assert (rows[:16].sum() < rows[16:].sum()) == (shape == "triangle")


def test_the_oracle_rejects_one_changed_fact():
    rng = np.random.default_rng(0)
    for _ in range(40):
        scene = random_scene(rng)
        picture = draw(scene)
        for wrong in changed(scene.caption):
            seen = holds(picture, wrong)
            assert not all(seen.values()), (scene.caption, wrong)
            assert sum(not v for v in seen.values()) <= 2, "more than the changed fact fails"


def test_the_oracle_rejects_what_is_no_scene():
    rng = np.random.default_rng(1)
    assert read(np.ones((3, 32, 32))) is None and read(np.zeros((3, 32, 32))) is None
    assert read(rng.random((3, 32, 32))) is None
    pairs = [(random_scene(rng), random_scene(rng)) for _ in range(100)]
    averaged = [read((draw(a) + draw(b)) / 2) for a, b in pairs]
    assert sum(scene is not None for scene in averaged) <= 1
    cut = [read(np.concatenate([draw(a)[:, :16], draw(b)[:, 16:]], 1)) for a, b in pairs]
    assert sum(c is not None and c.caption == a.caption for c, (a, b) in zip(cut, pairs)) < 35


def test_one_drawing_by_hand():
    scene = Scene((Thing("square", "blue", "large", 0.25, 0.5, 0.15, 0.0),
                   Thing("circle", "red", "small", 0.75, 0.5, 0.1)), "night")  # fmt: skip
    assert scene.caption == "a large blue square left of a small red circle, at night"
    picture = draw(scene, 64)
    assert np.allclose(picture[:, 32, 16], COLOURS["blue"]) and picture.shape == (3, 64, 64)
    assert np.allclose(picture[:, 32, 48], COLOURS["red"])
    for thing in scene.things:  # each has the area of a circle of its radius
        assert _coverage(thing, 64).mean() == pytest.approx(np.pi * thing.radius**2, rel=0.01)
    assert set(np.unique(label_map(scene, 64))) == {0, 1, 2}
    assert facts(scene.caption)[-1] == "1 left of 2" and len(facts(scene.caption)) == 9
    assert scene.twin.time == "day" and scene.twin.things == scene.things


def test_splits_hold_out_pairs_and_share_nothing():
    train, test, rare = (data.scenes(200, 0, split) for split in ("train", "test", "held_out"))
    pairs = [[{(t.colour, t.shape) for t in s.things} & set(HELD_OUT) for s in d.details["scenes"]]
             for d in (train, test, rare)]  # fmt: skip
    assert not any(pairs[0]) and not any(pairs[1]) and all(pairs[2])
    assert not set(train.details["scenes"]) & set(test.details["scenes"])
    again = data.scenes(200, 0, "train")
    assert (again.images == train.images).all() and again.captions == train.captions
    assert not (data.scenes(200, 1).images == train.images).all()


def test_label_maps_and_twins_belong_to_their_pictures():
    d = data.scenes(30, seed=3)
    twin, maps = d.details["twin"].numpy(), d.details["label_map"].numpy()
    same = (twin == d.images.numpy()).all(1)
    assert same[maps[:, 0] > 0].mean() > 0.6, "the inside of a thing is the same by day and night"
    assert not same[maps[:, 0] == 0].any()
    for scene, picture in zip(d.details["scenes"], twin):
        assert all(holds(picture / 255, scene.twin.caption).values())


def test_the_score_counts_facts():
    d = data.scenes(12, seed=5)
    assert metrics.caption_score(d.to_unit(), d.captions) == (1.0, 1.0)
    wrong = [next(changed(text)) for text in d.captions]
    exact, share = metrics.caption_score(d.to_unit(), wrong)
    assert exact == 0.0 and 0.6 < share < 1.0
    with pytest.raises(ValueError, match="12 pictures but 1 captions"):
        metrics.caption_score(d.to_unit(), d.captions[:1])


def test_captions_are_read_as_they_are_written():
    rng = np.random.default_rng(2)
    for _ in range(50):
        scene = random_scene(rng)
        things, relations, time = describe(scene.caption)
        assert [t.words for t in things] == [t.words for t in scene.things] and time == scene.time
        assert len(relations) == len(things) - 1
    for text in (
        "a small red dog, by day",
        "a small red circle,",
        "",
        "a red circle, ",
        "red circle",
    ):
        with pytest.raises(ValueError, match="cannot read the caption"):
            describe(text)


def test_a_shorter_caption_says_less_and_nothing_else():
    rng, d = np.random.default_rng(3), data.scenes(60, seed=4, most=2)
    assert max(len(scene.things) for scene in d.details["scenes"]) == 2
    short = [shorten(text, rng) for text in d.captions]
    assert all(set(facts(a)) <= set(facts(b)) for a, b in zip(short, d.captions))
    assert metrics.caption_score(d.to_unit(), short) == (1.0, 1.0)
    left = sum(len(facts(a)) for a in short) / sum(len(facts(b)) for b in d.captions)
    assert 0.6 < left < 0.9
    assert facts("a red circle above a blue square") == [
        "2 in all", "1: red", "1: circle", "2: blue", "2: square", "1 above 2",
    ]  # fmt: skip
    other = metrics.caption_score(d.to_unit(), ["a green triangle"] * len(d))
    assert other.exact < 0.1


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="at most 3 things fit into a picture, got most=4"):
        data.scenes(3, most=4)
    with pytest.raises(ValueError, match="no split is called 'val'; there are train, test"):
        data.scenes(3, split="val")
    with pytest.raises(ValueError, match="at least 32 x 32 pixels, got size 16"):
        data.scenes(3, size=16)
    with pytest.raises(ValueError, match=r"expected a picture \(3, S, S\)"):
        read(np.zeros((32, 32)))
