"""A vector field in the plane, as arrows over a density."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import device, float32, move
from ..tape import no_grad
from ..tensor import Tensor, wrap
from .figure import COLOURS, PathLike, draws, finish, finite, in_style, new_figure, to_numpy
from .plane import Extent, _checked_extent, _draw_density, _on_grid, _plane_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["field_2d"]


@draws
def field_2d(
    field: Callable[[Tensor], Any],
    extent: Extent = (-4, 4, -4, 4),
    log_density: Callable[[Tensor], Any] | None = None,
    side: int = 24,
    title: str | None = None,
    path: PathLike | None = None,
    *,
    device: str | device = "cpu",  # noqa: A002  (PyTorch's name)
) -> Figure:
    """Arrows of a field, (M, 2) -> (M, 2), at side x side points, over exp(log_density) if given.

    Lengths follow the square root of the field's, the longest as long as a cell: a score is large
    far out and small where it matters. extent = (xmin, xmax, ymin, ymax).

    >>> import tinygen as tg
    >>> from tinygen.plot.fields import field_2d
    >>> field_2d(lambda x: -x, side=3).get_size_inches().tolist()
    [4.8, 4.8]
    """
    xmin, xmax, ymin, ymax = _checked_extent(extent)
    cell = (xmax - xmin) / side, (ymax - ymin) / side
    x = np.linspace(xmin + cell[0] / 2, xmax - cell[0] / 2, side)
    y = np.linspace(ymin + cell[1] / 2, ymax - cell[1] / 2, side)
    grid = np.stack([a.ravel() for a in np.meshgrid(x, y)], axis=1).astype(float32)
    with no_grad():
        arrows = finite(to_numpy(field(wrap(move(grid, device))), "field_2d"), "field_2d")
    if arrows.shape != grid.shape:
        raise ValueError(f"field_2d: the field gave {arrows.shape} for points {grid.shape}")
    length = np.sqrt((arrows**2).sum(1, keepdims=True))
    arrows = arrows / np.sqrt(np.maximum(length * length.max(), 1e-30)) * min(cell)
    with in_style():
        figure = new_figure(4.8, 4.8)
        axes = figure.add_subplot()
        if log_density is not None:
            _draw_density(axes, _on_grid(log_density, extent, 200, device), extent)
        axes.quiver(*grid.T, *arrows.T, angles="xy", scale_units="xy", scale=1, width=0.003,
                    color=COLOURS[2], alpha=0.9, pivot="mid")  # fmt: skip
        _plane_axes(axes, extent, title)
    return finish(figure, path, "field_2d")
