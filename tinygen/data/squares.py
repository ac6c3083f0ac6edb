"""Square pictures of the side that a network asks for, 4 2^k pixels: what GANs are trained on."""

from __future__ import annotations

from ..checks import positive
from ..ops import pad
from ..tensor import Tensor
from . import fonts
from .datasets import load
from .sources import SOURCES
from .transforms import resize

__all__ = ["SQUARES", "squares"]

SQUARES = ("faces", "people", *sorted(SOURCES, key=lambda name: name != "emoji"))


def squares(name: str, side: int, root: str | None = None, download: bool = False) -> Tensor:
    """The pictures that a set has to train on, as (N, C, side, side) in [-1, 1].

    "faces": the 112 faces among the bundled emoji; "emoji": all of them; "people": persons and
    hands in six skin tones (needs the emoji font, and so do the others at another side than 32); or
    a name of SOURCES, whose pictures are padded by what is missing to a multiple of 8 pixels, then
    resized. ValueError for another name.

    >>> import tinygen as tg
    >>> tg.data.squares("faces", 32).shape, tg.data.squares("digits", 16).shape
    ((112, 3, 32, 32), (1415, 1, 16, 16))
    """
    positive("squares", side=side)
    if name not in SQUARES:
        raise ValueError(f"squares: no set is called {name!r}; there are {', '.join(SQUARES)}")
    if name == "people":
        return fonts.emoji(side, variants=True).to_symmetric()
    if name in ("faces", "emoji"):
        known = load("emoji", "all")
        drawn = known if side == 32 else fonts.emoji(side)
        groups = known.details["subgroups"]
        kept = [i for i, group in enumerate(groups) if name == "emoji" or group.startswith("face")]
        return drawn.to_symmetric()[kept]
    x = load(name, root=root, download=download).to_symmetric()
    missing = -x.shape[2] % 8 // 2
    x = pad(x, (missing,) * 4, value=-1.0) if missing else x
    return x if x.shape[2] == side else resize(x, side)
