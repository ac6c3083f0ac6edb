"""A density in the plane beside its samples: what a flow, or a score, has learned."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..tensor import Tensor
from .figure import COLOURS, PathLike, draws, finish, in_style, new_figure, points_2d
from .plane import Extent, _dots, _draw_density, _on_grid, _plane_axes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["density_and_samples"]


@draws
def density_and_samples(
    log_density: Callable[[Tensor], Any],
    samples: Any,
    reference: Any,
    extent: Extent,
    resolution: int = 100,
    title: str | None = None,
    path: PathLike | None = None,
    *,
    device: Any = "cpu",
) -> Figure:
    """Left the density, exp of Tensor (M, 2) -> (M,), right samples (N, 2) over reference (K, 2).

    extent = (xmin, xmax, ymin, ymax), of both.

    >>> import tinygen as tg
    >>> from tinygen.plot.flow import density_and_samples
    >>> log_density = tg.models.likelihoods.standard_normal_log_prob
    >>> x, box = tg.randn(20, 2), (-3, 3, -3, 3)
    >>> figure = density_and_samples(log_density, x, x, box, resolution=10)
    >>> [axes.get_title() for axes in figure.axes]
    ['density', 'samples, data in grey']
    """
    values = _on_grid(log_density, extent, resolution, device)
    x, real = (points_2d(points, "density_and_samples") for points in (samples, reference))
    high = 3.5 * (extent[3] - extent[2]) / (extent[1] - extent[0])
    with in_style():
        figure = new_figure(8.4, high + (1.3 if title else 0.9))
        left, right = figure.subplots(1, 2)
        _draw_density(left, values, extent)
        _dots(right, real, "#b5b5b5", "data")
        _dots(right, x, COLOURS[0], "samples")
        _plane_axes(left, extent, "density")
        _plane_axes(right, extent, "samples, data in grey")
        right.set_ylabel("")
        if title:
            figure.suptitle(title)
    return finish(figure, path, "density_and_samples")
