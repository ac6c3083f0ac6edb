"""What every picture shares: arrays from anywhere, one style, figures without global state, files.

matplotlib and Pillow are imported inside the functions that need them. Figures are made by the
object API, never through pyplot: nothing has to be closed, no window opens, no display is needed.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from functools import cache, wraps
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar, cast

import numpy as np

from ..backend import Array, move
from ..serialization import write_atomically
from ..tensor import Tensor, as_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS", "DPI", "GREY", "INK", "PathLike", "draws", "finish", "finite", "in_style",
    "leave_out", "left_out", "needs", "new_figure", "plain_axes", "png_bytes", "points_2d",
    "to_numpy", "write",
]  # fmt: skip

PathLike: TypeAlias = "str | os.PathLike[str]"
P = ParamSpec("P")
T = TypeVar("T")

INK, GREY, FAINT = "#222222", "#6b6b6b", "#d9d9d9"

# Ten colours that stay apart for colour-blind eyes too (M. A. Petroff, arXiv:2107.02270).
COLOURS = (
    "#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6",
    "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd",
)  # fmt: skip

STYLE: Any = {  # matplotlib's rcParams
    "font.family": "serif",
    "font.serif": ["STIXGeneral"],  # comes with matplotlib, so a picture is the same everywhere
    "mathtext.fontset": "stix",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.labelsize": 11,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 9.5,
    "ytick.labelsize": 9.5,
    "text.color": INK,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "image.interpolation": "nearest",
}
DPI = 150


def to_numpy(x: Any, name: str) -> np.ndarray[Any, Any]:
    """Numbers on the CPU, from a Tensor (it may require a gradient), an array or nested lists."""
    if isinstance(x, Tensor):
        x = x._array
    array = x if hasattr(x, "dtype") else as_array(x)
    if type(array).__module__.partition(".")[0] == "cupy":
        array = move(array, "cpu")
    array = np.asarray(array)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected numbers, got {array.dtype}")
    return array


def finite(array: Array, name: str) -> Array:
    """The array itself; ValueError, which counts them, where a value is NaN or infinite."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        raise ValueError(f"{name}: {bad} of {array.size} values are NaN or infinite")
    return array


def points_2d(x: Any, name: str) -> np.ndarray[Any, Any]:
    """An (N, 2) array of finite points, N >= 1; ValueError for another shape."""
    array = to_numpy(x, name)
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"{name}: expected points of shape (N, 2), got {array.shape}")
    if not len(array):
        raise ValueError(f"{name}: there are no points (shape {array.shape})")
    return finite(array, name)  # type: ignore[no-any-return]


def needs(package: str) -> ImportError:
    """The error for a missing drawing package."""
    return ImportError(f"tinygen.plot needs {package}: pip install 'tinygen[plot]'")


_missing: list[str] = []  # the packages for want of which pictures are left out


def leave_out() -> str:
    """From now on, draw nothing where a package for it is missing: what `draws` returns None.

    Returns what to tell the reader, "" where all is there. A script that trains for an hour says
    it at its start, and does not stop at its first picture.
    """
    packages = {"matplotlib": "matplotlib", "PIL": "Pillow"}
    _missing[:] = [name for module, name in packages.items() if find_spec(module) is None]
    return left_out()


def left_out() -> str:
    """Why pictures are left out, "" where they are not."""
    return f"no pictures: {needs(' and '.join(_missing))}" if _missing else ""


def draws(function: Callable[P, T]) -> Callable[P, T]:
    """Decorates a function that makes a picture: after `leave_out` it may return None instead."""

    @wraps(function)
    def drawn(*args: P.args, **options: P.kwargs) -> T:
        return cast(T, None) if _missing else function(*args, **options)

    return drawn


@cache
def _figure_class() -> Any:
    from matplotlib.figure import Figure

    class Picture(Figure):
        """A Figure in tinygen's style whoever draws it; a notebook shows it without pyplot.

        Ticks are made while drawing, so the style must hold then too.
        """

        def draw(self, renderer: Any) -> None:
            with in_style():
                super().draw(renderer)

        def get_tightbbox(self, *args: Any, **options: Any) -> Any:
            with in_style():
                return super().get_tightbbox(*args, **options)

        def _repr_png_(self) -> bytes:
            return png_bytes(self)

    return Picture


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """An empty Figure of that size in inches."""
    figure: Figure = _figure_class()(figsize=(width, height), dpi=DPI, layout=layout)
    return figure


def in_style() -> Any:
    """A context in which artists are made in tinygen's style; rcParams outside stay as they are."""
    try:
        import matplotlib
    except ImportError as error:
        raise needs("matplotlib") from error
    return matplotlib.rc_context(STYLE)


def png_bytes(figure: Figure, **options: Any) -> bytes:
    """The figure as a PNG file's bytes, the same ones for the same picture."""
    return _render(figure, "png", **options)


def _render(figure: Figure, kind: str, **options: Any) -> bytes:
    """The bytes of the picture, the same ones for the same picture (no dates, no versions)."""
    import matplotlib

    undated = {"png": "Software", "svg": "Date", "pdf": "CreationDate"}
    metadata: Any = {undated[kind]: None} if kind in undated else None
    buffer = io.BytesIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": "tinygen"}):  # saving has settings too
        options = {"dpi": figure.dpi, "metadata": metadata, **options}
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def finish(figure: Figure, path: PathLike | None, name: str) -> Figure:
    """Save the figure where a path is given, in the format that its suffix says; return it.

    ValueError for a suffix that matplotlib does not know, OSError where it cannot be written.
    """
    if path is not None:
        kind = Path(path).suffix.lstrip(".").lower() or "png"
        known = figure.canvas.get_supported_filetypes()
        if kind not in known:
            raise ValueError(
                f"{name}: cannot write {str(path)!r}: no picture format is called {kind!r}; "
                f"use one of {', '.join(sorted(known))}"
            )
        write(path, _render(figure, kind), name)
    return figure


def write(path: PathLike, content: bytes, name: str) -> None:
    """Write a file so that it is either there whole or not at all; its folder is made.

    Raises OSError (PermissionError, NotADirectoryError, ...) with the file's name and the reason.
    """

    def fill(file: IO[bytes]) -> None:
        file.write(content)

    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(Path(path), fill)
    except OSError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        reason = cause.strerror or str(cause).removeprefix("save: ")
        message = f"{name}: cannot write {str(path)!r}: {reason}; give another path"
        raise type(error)(message) from error


def plain_axes(axes: Axes) -> None:
    """No ticks and no frame: the picture speaks."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
