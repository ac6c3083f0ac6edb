"""Pictures made of pixels: grids, originals beside reconstructions, animations.

Images have shape (N, C, H, W) with C = 1 (grey) or 3 (red, green, blue), or (N, H, W), and values
in `value_range`: (0, 1) unless it is given, (0, 255) for uint8. Slight overshoot is clipped; values
that miss the range by more than half its length are an error, since they mean that it is the wrong
one. `clip=True` says that overshoot is expected, as for an unbounded decoder or for noise.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import Array
from .figure import (
    DPI,
    PathLike,
    draws,
    finish,
    finite,
    in_style,
    needs,
    new_figure,
    plain_axes,
    png_bytes,
    to_numpy,
    write,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "BETWEEN", "Range", "encode", "enlarge", "gif", "grid_array", "image_grid", "in_parts",
    "pixels", "reconstruction_pairs", "save_image", "show", "tile",
]  # fmt: skip

Range = tuple[float, float]
BETWEEN = 0.5  # grey between pictures: black or white would melt into binary ones


def pixels(
    images: Any, value_range: Range | None = None, clip: bool = False, name: str = "pixels"
) -> np.ndarray[Any, Any]:
    """Images as uint8 (N, H, W, C), C = 1 or 3: value_range[0] -> 0, value_range[1] -> 255.

    Raises ValueError for a wrong number of dimensions or channels, an empty batch, NaNs, and
    values far outside the range.

    >>> from tinygen.plot.images import pixels
    >>> pixels([[[0.0, 0.5, 1.0]]]).ravel().tolist()
    [0, 128, 255]
    """
    x = to_numpy(images, name)
    if x.ndim not in (3, 4):
        raise ValueError(f"{name}: expected images (N, C, H, W) or (N, H, W), got shape {x.shape}")
    x = x[:, None] if x.ndim == 3 else x
    if x.size == 0:
        raise ValueError(f"{name}: there are no images in a batch of shape {x.shape}")
    if x.shape[1] not in (1, 3):
        raise ValueError(f"{name}: expected 1 or 3 channels, got {x.shape[1]} in shape {x.shape}")
    low, high = value_range or ((0, 255) if x.dtype == np.uint8 else (0, 1))
    unit = (finite(x, name).astype(np.float64) - low) / _span(low, high, name)
    if not clip and (unit.min() < -0.5 or unit.max() > 1.5):
        raise ValueError(
            f"{name}: values from {x.min():.4g} to {x.max():.4g} do not fit in value_range "
            f"({low:g}, {high:g}); give their range, or clip=True if the overshoot is meant"
        )
    levels: np.ndarray[Any, Any] = np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)
    return levels.transpose(0, 2, 3, 1)


def _span(low: float, high: float, name: str) -> float:
    if not high > low:
        raise ValueError(f"{name}: expected value_range (low, high), low < high, got {low, high}")
    return high - low


def tile(tiles: Array, nrow: int, padding: int, pad_value: float, name: str) -> Array:
    """uint8 (N, H, W, C) laid out row by row, `nrow` in a row, `padding` pixels between them.

    (H', W') for C = 1, else (H', W', 3). pad_value: 0 black .. 1 white. ValueError unless nrow >= 1
    and padding >= 0.
    """
    if nrow < 1 or padding < 0:
        raise ValueError(f"{name}: expected nrow >= 1 and padding >= 0, got {nrow} and {padding}")
    n, h, w, c = tiles.shape
    cols = min(nrow, n)
    rows = -(-n // cols)
    pad = np.uint8(round(255 * min(max(pad_value, 0.0), 1.0)))
    cells = np.full((rows * cols, h + padding, w + padding, c), pad, dtype=np.uint8)
    cells[:n, :h, :w] = tiles
    grid = cells.reshape(rows, cols, h + padding, w + padding, c).transpose(0, 2, 1, 3, 4)
    grid = grid.reshape(rows * (h + padding), cols * (w + padding), c)
    grid = grid[: len(grid) - padding, : grid.shape[1] - padding]
    return grid[:, :, 0] if c == 1 else grid


def grid_array(
    images: Any,
    nrow: int = 8,
    padding: int = 1,
    value_range: Range | None = None,
    pad_value: float = BETWEEN,
    clip: bool = False,
) -> np.ndarray[Any, Any]:
    """One uint8 array of all images: (H', W'), or (H', W', 3) for colour. No matplotlib needed.

    nrow images stand in a row (torchvision's name), `padding` pixels of `pad_value` (0 black, 1
    white) between neighbours and none around; the last row is filled up with it.

    >>> import tinygen as tg
    >>> tg.plot.grid_array(tg.rand(5, 1, 8, 8), nrow=3).shape  # 2 rows of 3: 2 * 8 + 1, 3 * 8 + 2
    (17, 26)
    """
    tiles = pixels(images, value_range, clip, "grid_array")
    return tile(tiles, nrow, padding, pad_value, "grid_array")  # type: ignore[no-any-return]


@draws
def save_image(images: Any, path: PathLike, scale: int | None = None, **options: Any) -> None:
    """The grid of `grid_array(images, **options)` as a file, by Pillow: quick enough for a loop.

    Every pixel becomes scale x scale pixels; None picks the scale that makes it about 512 wide.

    >>> import os, tempfile, tinygen as tg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tg.plot.save_image(tg.rand(5, 1, 8, 8), os.path.join(folder, "five.png"), nrow=3)
    ...     os.listdir(folder)
    ['five.png']
    """
    grid = grid_array(images, **options)
    write(path, encode(grid, scale, str(path).rpartition(".")[2], "save_image"), "save_image")


def encode(grid: Array, scale: int | None, kind: str, name: str) -> bytes:
    """The bytes of a picture file of a uint8 array, enlarged without smoothing.

    kind: "png", "jpg", ...; ValueError for one that Pillow does not know.
    """
    buffer = io.BytesIO()
    try:
        _pillow().fromarray(enlarge(grid, scale)).save(buffer, {"jpg": "jpeg"}.get(kind, kind))
    except KeyError:
        raise ValueError(f"{name}: no picture format is called {kind!r}; try .png") from None
    return buffer.getvalue()


def enlarge(grid: Array, scale: int | None = None) -> Array:
    """Every pixel as a square of scale x scale; None: so that the larger side is about 512.

    >>> import numpy as np
    >>> from tinygen.plot.images import enlarge
    >>> enlarge(np.eye(2, dtype=np.uint8), scale=3).shape
    (6, 6)
    """
    if scale is None:
        scale = max(1, round(512 / max(grid.shape[:2])))
    return grid.repeat(scale, axis=0).repeat(scale, axis=1)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise needs("Pillow") from error
    return Image


@draws
def image_grid(
    images: Any,
    nrow: int = 8,
    padding: int = 1,
    value_range: Range | None = None,
    title: str | None = None,
    path: PathLike | None = None,
    *,
    pad_value: float = BETWEEN,
    clip: bool = False,
) -> Figure:
    """The images in a grid, nrow in a row, as a Figure. See `grid_array` for what they may be.

    Every pixel becomes a square of a whole number of the picture's dots. title: a line above.

    >>> import tinygen as tg
    >>> figure = tg.plot.image_grid(tg.rand(5, 1, 8, 8), nrow=3)
    >>> figure.axes[0].images[0].get_array().shape     # grey as red, green and blue
    (17, 26, 3)
    """
    tiles = pixels(images, value_range, clip, "image_grid")
    grid = tile(tiles, nrow, padding, pad_value, "image_grid")
    height, width = grid.shape[:2]
    zoom = max(1, round(900 / max(height, width)))  # a whole number: all pixels equally large
    wide, high = width * zoom / DPI, height * zoom / DPI
    head = 0.34 if title else 0.0
    with in_style():
        figure = new_figure(wide, high + head, layout=None)
        axes = figure.add_axes((0, 0, 1, high / (high + head)))
        show(axes, grid)
        if title:
            figure.text(0.5, 1 - 0.5 * head / (high + head), title, ha="center", va="center")
    return finish(figure, path, "image_grid")


def show(axes: Axes, grid: Array) -> None:
    """Pixels exactly as they are: (H, W) grey or (H, W, 3) colour. (A colour map may round.)"""
    colour = grid if grid.ndim == 3 else np.stack([grid] * 3, axis=-1)
    axes.imshow(colour, interpolation="nearest", aspect="auto")
    plain_axes(axes)


@draws
def reconstruction_pairs(
    originals: Any,
    reconstructions: Any,
    nrow: int = 10,
    value_range: Range | None = None,
    labels: tuple[str, str] = ("original", "reconstruction"),
    path: PathLike | None = None,
    *,
    clip: bool = False,
) -> Figure:
    """Each original with its reconstruction right below it, `nrow` pairs in a row, as a Figure.

    Both (N, C, H, W) in one value_range; ValueError where they differ in number or size.

    >>> import tinygen as tg
    >>> x = tg.rand(4, 1, 8, 8)
    >>> len(tg.plot.reconstruction_pairs(x, x.round()).axes)   # a strip of each
    2
    """
    name = "reconstruction_pairs"
    x, y = (pixels(images, value_range, clip, name) for images in (originals, reconstructions))
    if x.shape != y.shape:
        raise ValueError(
            f"{name}: {len(x)} originals of size {x.shape[1:]} (H, W, C), but {len(y)} "
            f"reconstructions of size {y.shape[1:]}"
        )
    bands = [slice(i, i + nrow) for i in range(0, len(x), nrow)]
    h, w = x.shape[1:3]
    zoom = max(1, round(90 / max(h, w)))
    tall, gap, edge = (h + 1) * zoom, 24, 10  # all in pixels of the picture
    margin = 45 + 10 * max(map(len, labels))
    width = margin + min(nrow, len(x)) * (w + 1) * zoom + edge
    height = len(bands) * (2 * tall + gap) - gap + 2 * edge
    with in_style():
        figure = new_figure(width / DPI, height / DPI, layout=None)
        for k, band in enumerate(bands):
            for row, (tiles, label) in enumerate(zip((x, y), labels, strict=True)):
                line = tile(tiles[band], nrow, 1, BETWEEN, name)
                bottom = height - edge - k * (2 * tall + gap) - (row + 1) * tall
                box = (margin, bottom, line.shape[1] * zoom, h * zoom)
                show(figure.add_axes(in_parts(box, (width, height))), line)
                x0, y0 = (margin - 15) / width, (bottom + h * zoom / 2) / height
                figure.text(x0, y0, label, ha="right", va="center")
    return finish(figure, path, name)


def in_parts(
    box: tuple[float, float, float, float], size: tuple[float, float]
) -> tuple[float, float, float, float]:
    """A box (left, bottom, width, height) in parts of a figure of that size, in the same unit."""
    return box[0] / size[0], box[1] / size[1], box[2] / size[0], box[3] / size[1]


@draws
def gif(frames: Iterable[Any], path: PathLike, fps: float = 10, pause: float = 0.0) -> None:
    """An animation that repeats: `frames` are uint8 arrays (H, W) or (H, W, 3), Figures or files.

    The last frame stands `pause` seconds longer. GIF counts time in 1/100 s: fps <= 50.

    >>> import os, tempfile, tinygen as tg
    >>> frames = [tg.plot.grid_array(tg.rand(4, 1, 8, 8)) for _ in range(3)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tg.plot.gif(frames, os.path.join(folder, "noise.gif"), fps=5)
    ...     os.listdir(folder)
    ['noise.gif']
    """
    if not 0 < fps <= 50:
        raise ValueError(f"gif: expected 0 < fps <= 50, got {fps}")
    pictures = [_frame(frame) for frame in frames]
    if not pictures:
        raise ValueError("gif: there are no frames")
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        raise ValueError(f"gif: frames differ in size (width, height): {sorted(sizes)}")
    durations = [round(100 / fps) * 10] * len(pictures)
    durations[-1] += round(100 * pause) * 10
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "gif", save_all=True, append_images=pictures[1:], duration=durations, loop=0
    )
    write(path, buffer.getvalue(), "gif")


def _frame(frame: Any) -> Any:
    if hasattr(frame, "savefig"):
        return _pillow().open(io.BytesIO(png_bytes(frame, dpi=100))).convert("RGB")
    if isinstance(frame, (str, os.PathLike)):
        return _pillow().open(frame).convert("RGB")
    array = to_numpy(frame, "gif")
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise ValueError(
            "gif: expected frames as uint8 arrays (H, W) or (H, W, 3), as grid_array returns them, "
            f"Figures or files; got {array.dtype} {array.shape}"
        )
    return _pillow().fromarray(array)
