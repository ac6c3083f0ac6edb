"""Pairs of pictures that lie on each other: what is given, and the answer, pixel by pixel.

lines    a line drawing -> the emoji in colour
grey     a grey emoji   -> the emoji in colour
labels   what stands where, a colour a class (`PALETTE`) -> the scene, by day or at night
"""

from __future__ import annotations

import numpy as np

from ..tensor import Tensor, wrap
from .datasets import load
from .images import ImageDataset, to_symmetric
from .scenes import scenes
from .transforms import to_grey

__all__ = ["ALIGNED", "PALETTE", "aligned"]

ALIGNED = ("lines", "labels", "grey")
PALETTE = ((0, 0, 0), (230, 60, 60), (60, 160, 230), (240, 200, 40), (120, 200, 80))
# of the background, then circle, square, triangle, cross: the order of scenes.SHAPES
SCENES = {"train": 2000, "test": 300}


def aligned(name: str, split: str = "train") -> tuple[Tensor, Tensor, ImageDataset]:
    """x and y, float32 in [-1, 1], (N, 1 or 3, 32, 32) and (N, 3, 32, 32), and the set they are of.

    split: "train" or "test". Labels do not say a shape's colour, nor the time: these are G's to
    choose. ValueError for another name, which lists them, or split.

    >>> import tinygen as tg
    >>> x, y, emoji = tg.data.aligned("lines", "test")
    >>> x.shape, y.shape
    ((230, 1, 32, 32), (230, 3, 32, 32))
    """
    if name not in ALIGNED:
        raise ValueError(f"aligned: no pairs are called {name!r}; there are {', '.join(ALIGNED)}")
    if split not in SCENES:
        raise ValueError(f"aligned: no split is called {split!r}; there are train and test")
    found = scenes(SCENES[split], split=split) if name == "labels" else load("emoji", split)
    y = found.to_symmetric()
    if name == "lines":
        return to_symmetric(found.details["line"]), y, found
    if name == "grey":
        return to_grey(y), y, found
    coloured = np.array(PALETTE, np.uint8)[found.details["label_map"].numpy()[:, 0]]
    return to_symmetric(wrap(np.ascontiguousarray(coloured.transpose(0, 3, 1, 2)))), y, found
