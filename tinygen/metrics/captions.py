"""How much of a caption a picture shows, by the oracle of the drawn scenes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..data.scenes import holds
from ..tensor import Tensor

__all__ = ["CaptionScore", "caption_score"]


class CaptionScore(NamedTuple):
    """The share of pictures that show all facts of their caption, and of all facts shown."""

    exact: float
    facts: float


def caption_score(pictures: Tensor, captions: Sequence[str]) -> CaptionScore:
    """Score pictures (N, 3, S, S) in [0, 1] against captions of `data.scenes`, one each.

    A fact is the number of things, the time, or a thing's size, colour, shape or side. A picture
    that is no scene shows none. ValueError for a caption that the grammar does not make and for
    unlike numbers of pictures and captions.

    >>> import tinygen as tg
    >>> data = tg.data.scenes(20)
    >>> tg.metrics.caption_score(data.to_unit(), data.captions)
    CaptionScore(exact=1.0, facts=1.0)
    """
    if len(pictures) != len(captions):
        raise ValueError(f"caption_score: {len(pictures)} pictures but {len(captions)} captions")
    shown = [list(holds(p, text).values()) for p, text in zip(pictures.numpy(), captions)]
    exact = float(np.mean([all(row) for row in shown]))
    return CaptionScore(exact, float(np.mean([fact for row in shown for fact in row])))
