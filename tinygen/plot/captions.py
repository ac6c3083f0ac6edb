"""Pictures under the words that they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .figure import DPI, PathLike, draws, finish, in_style, new_figure
from .images import BETWEEN, Range, in_parts, pixels, show, tile

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["captioned"]


@draws
def captioned(
    images: Any,
    captions: Sequence[str],
    value_range: Range | None = None,
    path: PathLike | None = None,
    *,
    clip: bool = False,
) -> Figure:
    """A row of pictures below each caption, as a Figure: as many for every one, in order.

    images (N, C, H, W); ValueError unless N is a multiple of the number of captions.

    >>> import tinygen as tg
    >>> figure = tg.plot.captioned(tg.rand(6, 3, 8, 8), ["red", "green"])
    >>> [text.get_text() for text in figure.texts]
    ['red', 'green']
    """
    name = "captioned"
    x = pixels(images, value_range, clip, name)
    if not captions or len(x) % len(captions):
        raise ValueError(f"{name}: {len(x)} pictures for {len(captions)} captions")
    each, (h, w) = len(x) // len(captions), x.shape[1:3]
    zoom = max(1, round(90 / max(h, w)))
    tall, head, edge = h * zoom, 36, 10  # all in pixels of the picture
    width = max(each * (w + 1) * zoom, 9 * max(map(len, captions))) + 2 * edge
    height = len(captions) * (tall + head) + edge
    with in_style():
        figure = new_figure(width / DPI, height / DPI, layout=None)
        for k, caption in enumerate(captions):
            line = tile(x[k * each : (k + 1) * each], each, 1, BETWEEN, name)
            bottom = height - (k + 1) * (tall + head)
            box = (edge, bottom, line.shape[1] * zoom, tall)
            show(figure.add_axes(in_parts(box, (width, height))), line)
            figure.text(edge / width, (bottom + tall + 4) / height, caption, va="bottom")
    return finish(figure, path, name)
