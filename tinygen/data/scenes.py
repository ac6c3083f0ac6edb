"""Scenes: one to three shapes drawn from factors, a caption by grammar, and an oracle that reads.

    train = scenes(1000, size=32)              # an ImageDataset with captions, label maps, twins
    train.captions[0]                          # "a small blue square, by day"
    read(picture)                              # the Scene that it shows, or None
    holds(picture, caption)                    # fact by fact: does the picture show it?

No file is read: a shape is the set where a signed distance is negative, and a pixel's coverage is
that distance in pixels, cut to 0..1. Shapes of one size have one area, never touch, and no two of a
scene agree in colour and shape; so exactly one caption in this grammar is true up to order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise, permutations
from typing import Any

import numpy as np

from ..backend import Array
from ..checks import positive
from ..tensor import Tensor, wrap
from .images import ImageDataset

__all__ = [
    "COLOURS", "HELD_OUT", "RELATIONS", "SHAPES", "SIZES", "TIMES", "Scene", "Thing", "caption",
    "describe", "draw", "facts", "holds", "label_map", "random_scene", "read", "scenes", "shorten",
]  # fmt: skip

SHAPES = ("circle", "square", "triangle", "cross")
COLOURS = {
    "red": (0.85, 0.12, 0.12), "green": (0.15, 0.62, 0.22), "blue": (0.12, 0.30, 0.90),
    "yellow": (0.95, 0.80, 0.05), "purple": (0.62, 0.18, 0.72), "orange": (0.98, 0.50, 0.05),
}  # fmt: skip
SIZES = {"small": (0.095, 0.11), "large": (0.15, 0.175)}  # radius of the circle of its area
TIMES = {"day": (0.93, 0.96, 1.0), "night": (0.05, 0.06, 0.16)}  # the background
RELATIONS = ("left of", "right of", "above", "below")
HELD_OUT = (("red", "square"), ("blue", "triangle"), ("yellow", "circle"), ("purple", "cross"))
SPLITS = ("train", "test", "held_out")
UPRIGHT = {"circle": 0.0, "square": 0.0, "triangle": np.pi / 2, "cross": 0.0}  # angles
TURN = {"circle": 0.0, "square": np.pi / 2, "triangle": 2 * np.pi / 3, "cross": np.pi / 2}
REACH = {"circle": 1.0, "square": 1.2533, "triangle": 1.5551, "cross": 1.2533}  # of a radius of 1
GAP, MARGIN = 0.1, 0.08  # between two shapes; between |dx| and |dy| of a relation
SMALLEST = 32  # pixels a side: below it neighbours run together for the oracle
UNLIKE = 0.13  # largest difference, over 5 x 5 pixels, that noise and rounding make
PALE = 0.14  # largest difference of a colour's mean
DIVIDE = (SIZES["small"][1] + SIZES["large"][0]) / 2


@dataclass(frozen=True)
class Thing:
    """A shape: what is said of it, and where it is, in units of the picture's side."""

    shape: str
    colour: str
    size: str
    x: float = 0.5
    y: float = 0.5
    radius: float = 0.1
    angle: float = 0.0

    @property
    def words(self) -> str:
        return f"a {self.size} {self.colour} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """Things in the order in which they are told, by day or at night."""

    things: tuple[Thing, ...]
    time: str = "day"

    @property
    def caption(self) -> str:
        """ "a small red circle left of a large blue square, at night"."""
        return caption(self)

    @property
    def twin(self) -> Scene:
        """The same things at the other time."""
        return replace(self, time="night" if self.time == "day" else "day")


# --- making them ------------------------------------------------------------------------------


def scenes(
    n: int,
    seed: int = 0,
    split: str = "train",
    size: int = 32,
    most: int = 3,
    turned: bool = True,
) -> ImageDataset:
    """n scenes of 1 to `most` things with their captions: images (n, 3, size, size) uint8.

    split: "train" and "test" never show a pair of HELD_OUT and share no scene; every scene of
    "held_out" shows one. turned: by any angle; without it the same scenes, each shape upright.
    labels: the first thing's place in SHAPES.

    details: "scenes", the factors; "label_map" (n, 1, size, size), 0 for the background and 1 + the
    place in SHAPES; "twin", the same scenes by night where they are by day, and the other way.

    Raises ValueError for another split, a size below 32 pixels, `most` not in 1..3.

    >>> import tinygen as tg
    >>> data = tg.data.scenes(100)
    >>> data.images.shape, data.captions[0]
    ((100, 3, 32, 32), 'a small blue square, by day')
    """
    positive("scenes", n=n, most=most)
    if most > 3:
        raise ValueError(f"scenes: at most 3 things fit into a picture, got most={most}")
    if split not in SPLITS:
        raise ValueError(f"scenes: no split is called {split!r}; there are {', '.join(SPLITS)}")
    rng = np.random.default_rng([seed, SPLITS.index(split)])
    made = tuple(random_scene(rng, split == "held_out", most, turned) for _ in range(n))
    pictures = [np.stack([_bytes(draw(one, size)) for one in row])
                for row in (made, [scene.twin for scene in made])]  # fmt: skip
    maps = np.stack([label_map(scene, size) for scene in made])
    first = np.array([SHAPES.index(scene.things[0].shape) for scene in made])
    details = {"scenes": made, "label_map": wrap(maps[:, None]), "twin": wrap(pictures[1])}
    return ImageDataset.of(
        "scenes", pictures[0], first, SHAPES,
        captions=tuple(scene.caption for scene in made), details=details,
        citation="drawn by tinygen.data.scenes",
    )  # fmt: skip


def random_scene(
    rng: np.random.Generator, held_out: bool = False, most: int = 3, turned: bool = True
) -> Scene:
    """One scene of 1 to `most` things; held_out: it shows a pair of HELD_OUT, otherwise none."""
    while True:
        n = int(rng.integers(1, most + 1))
        pairs = [(str(rng.choice(list(COLOURS))), str(rng.choice(SHAPES))) for _ in range(n)]
        rare = any(pair in HELD_OUT for pair in pairs)
        if len(set(pairs)) < n or rare is not held_out:
            continue
        things = tuple(_placed(rng, *pair, turned) for pair in pairs)
        if _apart(things):
            return Scene(things, str(rng.choice(list(TIMES))))


def _placed(rng: np.random.Generator, colour: str, shape: str, turned: bool) -> Thing:
    size = str(rng.choice(list(SIZES)))
    radius = rng.uniform(*SIZES[size])
    edge = radius * REACH[shape] + 0.02
    x, y = rng.uniform(edge, 1 - edge, 2)
    angle = rng.uniform(0, TURN[shape] or 1)
    return Thing(shape, colour, size, x, y, radius, angle if turned else UPRIGHT[shape])


def _apart(things: tuple[Thing, ...]) -> bool:
    """No two touch, and of two told one after the other it is clear on which side one is."""
    reach = [thing.radius * REACH[thing.shape] for thing in things]
    near = any(np.hypot(a.x - b.x, a.y - b.y) < reach[i] + reach[j] + GAP
               for i, a in enumerate(things) for j, b in enumerate(things[:i]))  # fmt: skip
    clear = all(abs(abs(a.x - b.x) - abs(a.y - b.y)) > MARGIN for a, b in pairwise(things))
    return clear and not near


# --- drawing them -----------------------------------------------------------------------------


def draw(scene: Scene, size: int = 32) -> Array:
    """The picture, (3, size, size) float64 in [0, 1]; ValueError below 32 pixels."""
    if size < SMALLEST:
        raise ValueError(f"scenes: at least {SMALLEST} x {SMALLEST} pixels, got size {size}")
    picture = np.ones((size, size, 3)) * TIMES[scene.time]
    for thing in scene.things:
        picture += _coverage(thing, size)[..., None] * (COLOURS[thing.colour] - picture)
    return picture.transpose(2, 0, 1)


def label_map(scene: Scene, size: int = 32) -> Array:
    """What covers most of each pixel, (size, size) uint8: 0 or 1 + the place in SHAPES."""
    out = np.zeros((size, size), np.uint8)
    for thing in scene.things:
        out[_coverage(thing, size) > 0.5] = 1 + SHAPES.index(thing.shape)
    return out


def _bytes(picture: Array) -> Array:
    return np.rint(255 * picture).astype(np.uint8)


def _coverage(thing: Thing, size: int) -> Array:
    """The share of each pixel that the thing covers, (size, size), by its signed distance."""
    at = (np.arange(size) + 0.5) / size
    angles = np.array([thing.angle])
    return _covered(
        thing.shape, at[None] - thing.x, at[:, None] - thing.y, thing.radius, angles, size
    )[0]


def _covered(shape: str, x: Array, y: Array, radius: float, angles: Array, size: int) -> Array:
    """Coverage of pixels at (x, y) from the middle, for each angle: (angles, H, W)."""
    cos, sin = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    u, v = cos * x + sin * y, cos * y - sin * x
    if shape == "circle":
        distance = np.hypot(u, v) - radius
    elif shape == "square":
        distance = np.maximum(abs(u), abs(v)) - radius * np.sqrt(np.pi) / 2
    elif shape == "triangle":
        inner = radius * np.sqrt(np.pi / (3 * np.sqrt(3)))
        sides = [u * np.cos(t) + v * np.sin(t) for t in np.arange(3) * 2 * np.pi / 3]
        distance = np.maximum.reduce(sides) - inner
    else:
        arm = radius * np.sqrt(np.pi / 5)
        flat = np.maximum(abs(u) - 1.5 * arm, abs(v) - 0.5 * arm)
        distance = np.minimum(flat, np.maximum(abs(u) - 0.5 * arm, abs(v) - 1.5 * arm))
    return np.clip(0.5 - distance * size, 0, 1)


# --- words ------------------------------------------------------------------------------------


def caption(scene: Scene) -> str:
    """Its things in their order, how each lies to the next, and the time."""
    text = scene.things[0].words
    for a, b in pairwise(scene.things):
        text += f" {_relation(a, b)} {b.words}"
    return f"{text}, {'by day' if scene.time == 'day' else 'at night'}"


def shorten(text: str, rng: np.random.Generator) -> str:
    """The caption with each size, and the time, left out or not by the toss of a coin.

    >>> import numpy as np
    >>> from tinygen.data.scenes import shorten
    >>> shorten("a small red circle, by day", np.random.default_rng(1))
    'a red circle'
    """
    body, *time = text.split(", ")
    kept = [word for word in body.split(" ") if word not in SIZES or rng.random() < 0.5]
    return ", ".join([" ".join(kept), *(time if rng.random() < 0.5 else [])])


def _relation(a: Thing, b: Thing) -> str:
    dx, dy = b.x - a.x, b.y - a.y
    if abs(dx) > abs(dy):
        return "left of" if dx > 0 else "right of"
    return "above" if dy > 0 else "below"


_THING = rf"a (?:({'|'.join(SIZES)}) )?({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})"


def describe(text: str) -> tuple[list[Thing], list[str], str]:
    """A caption taken apart: its things, the relation of each to the next, the time.

    Sizes and the time may be left out, and are "" then: "a red circle above a blue square".
    ValueError for a text that the grammar does not make; it names what was not understood.
    """
    body, comma, when = text.partition(", ")
    times = {"by day": "day", "at night": "night"} | ({} if comma else {"": ""})
    parts = re.split(rf" ({'|'.join(RELATIONS)}) ", body)
    strange = [part for part in parts[::2] if not re.fullmatch(_THING, part)]
    if strange or when not in times or len(parts) > 5:
        raise ValueError(
            f"scenes: cannot read the caption {text!r}: {strange[0] if strange else when!r} is "
            f"neither 'a [{'|'.join(SIZES)}] <{'|'.join(COLOURS)}> <{'|'.join(SHAPES)}>' nor ', by "
            "day' or ', at night'; things are joined by left of, right of, above, below"
        )
    things = []
    for part in parts[::2]:
        size, colour, shape = re.fullmatch(_THING, part).groups()  # type: ignore[union-attr]
        things.append(Thing(shape, colour, size or ""))
    return things, parts[1::2], times[when]


def facts(text: str) -> list[str]:
    """What a caption says, one fact a string: the number, the time, each thing, each relation.

    >>> from tinygen.data.scenes import facts
    >>> facts("a small red circle, by day")
    ['1 in all', 'by day', '1: small', '1: red', '1: circle']
    """
    things, relations, time = describe(text)
    said = [f"{len(things)} in all", *["by day" if time == "day" else "at night"] * bool(time)]
    said += [f"{i}: {word}" for i, thing in enumerate(things, 1)
             for word in (thing.size, thing.colour, thing.shape) if word]  # fmt: skip
    return said + [f"{i} {relation} {i + 1}" for i, relation in enumerate(relations, 1)]


# --- the oracle -------------------------------------------------------------------------------


def holds(picture: Any, text: str) -> dict[str, bool]:
    """Which facts of the caption the picture shows, {fact: bool}; none in a picture of no scene.

    picture: (3, S, S) in [0, 1]. Things are matched so that most facts hold.
    """
    things, relations, time = describe(text)
    said = facts(text)
    seen = read(picture)
    if seen is None:
        return dict.fromkeys(said, False)
    order: list[Thing | None] = [*seen.things, *[None] * (len(things) - len(seen.things))]
    start = [len(seen.things) == len(things), *[seen.time == time] * bool(time)]
    trials = []
    for found in permutations(order, len(things)):
        each = [f is not None and getattr(f, name) == getattr(t, name)
                for t, f in zip(things, found) for name in ("size", "colour", "shape")
                if getattr(t, name)]  # fmt: skip
        beside = [a is not None and b is not None and _relation(a, b) == relation
                  for (a, b), relation in zip(pairwise(found), relations)]  # fmt: skip
        trials.append([*start, *each, *beside])
    return dict(zip(said, max(trials, key=sum)))


def read(picture: Any) -> Scene | None:
    """The scene that a picture (3, S, S) in [0, 1] shows; None if it shows none.

    Time by the border, things by what differs from it, each one's colour by its inside, its shape
    and angle by the best of 96 drawings. What was read is drawn again, and must look like the
    picture: noise of standard deviation 0.05 a pixel is forgiven, an average of scenes is not.

    ValueError for another shape.
    """
    x = np.asarray(picture.numpy() if isinstance(picture, Tensor) else picture, float)
    if x.ndim != 3 or x.shape[0] != 3 or x.shape[1] != x.shape[2] or x.shape[1] < SMALLEST:
        raise ValueError(f"scenes: expected a picture (3, S, S), S >= {SMALLEST}, got {x.shape}")
    size = x.shape[1]
    border = np.concatenate([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], 1).mean(1)
    time = min(TIMES, key=lambda name: float(np.sum((border - TIMES[name]) ** 2)))
    if np.abs(border - TIMES[time]).max() > PALE:
        return None
    ground = np.array(TIMES[time])[:, None, None]
    away = _blurred(x - ground, 1)
    parts = _parts(np.sqrt((away**2).sum(0)) > 0.22)
    things = [thing for mask in parts if (thing := _recognised(x - ground, mask, time, size))]
    if not 1 <= len(parts) <= 3 or len(things) < len(parts):
        return None
    seen = Scene(tuple(things), time)
    difference = _blurred(x - draw(seen, size), 2)
    return seen if np.sqrt((difference**2).mean(0)).max() < UNLIKE else None


def _recognised(away: Array, mask: Array, time: str, size: int) -> Thing | None:
    """The thing whose drawing is nearest to what lies within `mask`."""
    strength = np.sqrt((away**2).sum(0)) * mask
    inside = strength > 0.7 * np.quantile(strength[mask], 0.8)
    colour = away[:, inside].mean(1) + TIMES[time]
    name = min(COLOURS, key=lambda c: float(np.sum((colour - COLOURS[c]) ** 2)))
    if np.abs(colour - COLOURS[name]).max() > PALE:
        return None
    step = np.array(COLOURS[name]) - TIMES[time]
    wide = _blurred(mask[None].astype(float), 2)[0] > 0
    share = np.tensordot(step, away, 1) / (step @ step) * wide
    area = share.sum()
    if area < 4:
        return None
    at = (np.arange(size) + 0.5) / size
    x, y = (share * at).sum() / area, (share * at[:, None]).sum() / area
    radius = np.sqrt(area / np.pi) / size
    best: tuple[float, str, float] = (np.inf, "", 0.0)
    for shape in SHAPES:
        angles = np.arange(32) / 32 * TURN[shape] if shape != "circle" else np.zeros(1)
        drawn = _covered(shape, at[None] - x, at[:, None] - y, radius, angles, size)
        errors = ((drawn - share) ** 2 * wide).sum((1, 2))
        best = min(best, (float(errors.min()), shape, float(angles[errors.argmin()])))
    word = "small" if radius < DIVIDE else "large"
    return Thing(best[1], name, word, float(x), float(y), float(radius), best[2])


def _parts(mask: Array) -> list[Array]:
    """The connected parts of a mask (8 neighbours) of at least 8 pixels."""
    number = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        padded = np.pad(number, 1)
        h, w = mask.shape
        around = [padded[i : i + h, j : j + w] for i in range(3) for j in range(3)]
        spread = np.maximum.reduce(around) * mask
        if (spread == number).all():
            break
        number = spread
    found, counts = np.unique(number[mask], return_counts=True)
    return [number == k for k, count in zip(found, counts) if count >= 8]


def _blurred(x: Array, reach: int) -> Array:
    """Means over windows of (2 reach + 1)^2 pixels, (C, H, W), edges repeated."""
    n = 2 * reach + 1
    padded = np.pad(x, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (n, n), axis=(1, 2))
    return windows.mean((-1, -2))
