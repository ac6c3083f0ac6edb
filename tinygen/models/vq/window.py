"""Pictures larger than in training: a window of the training's size slides over the map.

    t_yx ~ P(t_yx | what the window about (y, x) holds above and to the left of it)

The window's middle is at the place to draw, but it does not leave the map: at the border the place
moves to the window's (Esser et al. 2020, arXiv:2012.09841, figure 6). A convolutional decoder makes
a picture of a map of any size. (Laws of a whole thing, a face say, are none of its windows: train
on pieces of pictures.)
"""

from __future__ import annotations

from typing import Any

from ...backend import Generator
from ...ops import zeros
from ...tape import no_grad
from ...tensor import Tensor
from .tokens import TokenDensity, choose

__all__ = ["slide"]


@no_grad()
def slide(
    prior: TokenDensity, n: int, height: int, width: int, generator: Generator | None = None,
    labels: Tensor | None = None, **how: Any,
) -> Tensor:  # fmt: skip
    """n pictures of maps of height x width integers, which each see the prior's map of them.

    labels: as the prior takes them; pictures that it is told are as large as those to draw. how:
    see `choose`. With the size of the training it draws the integers that `sample` draws.

    ValueError for a map that is smaller than the prior's, or where a place has not one integer.

    >>> import tinygen as tg
    >>> codes = {"shape": (1, 8, 8), "width": 8, "size": 16}              # 2 x 2 integers
    >>> model = tg.models.build("token_prior", {"codes": codes, "width": 8})
    >>> tg.models.vq.slide(model, 5, height=3, width=4).shape
    (5, 1, 12, 16)
    """
    h, w = prior.codes.map
    if prior.length != h * w:
        raise ValueError(f"slide: expected an integer a place, got {prior.length} for {h} x {w}")
    if height < h or width < w:
        raise ValueError(f"slide: expected a map of {h} x {w} at least, got {height} x {width}")
    tokens = zeros(n, height, width, device=prior.codes.usage.device).long()
    for y in range(height):
        for x in range(width):
            top, left = (
                min(max(0, at - side // 2), most - side)
                for at, side, most in ((y, h, height), (x, w, width))
            )
            seen = tokens[:, top : top + h, left : left + w].flatten(1)
            told = labels if labels is None or labels.ndim < 4 else _part(prior, labels, top, left)
            place = (y - top) * w + x - left
            logits = prior(seen, told)[:, place : place + 1]
            tokens[:, y, x] = choose(logits, generator, **how)[:, 0]
    vectors = prior.codes.quantiser.lookup(tokens.flatten(1), height, width)
    return prior.codes.decoder(vectors)


def _part(prior: TokenDensity, pictures: Tensor, top: int, left: int) -> Tensor:
    """What of large pictures (n, C, H, W) belongs to the window at a place of the map."""
    (rows, columns), (h, w) = prior.told[1:], prior.codes.map
    top, left = top * rows // h, left * columns // w
    return pictures[:, :, top : top + rows, left : left + columns]
