"""A GAN in the plane: what D sees, where it sends each sample, and how G bends the codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd import grad
from ..backend import Array, float32, move
from ..tape import enable_grad, no_grad
from ..tensor import Tensor, wrap
from .figure import COLOURS, GREY, PathLike, draws, finish, in_style, new_figure, points_2d
from .plane import Extent, _checked_extent, _on_grid, _plane_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["extent_of", "generator_arrows", "lab", "warp_grid"]


def extent_of(*points: Any, margin: float = 0.25) -> Extent:
    """A square (xmin, xmax, ymin, ymax) about all points (N, 2), `margin` of its side around them.

    >>> from tinygen.plot.gan import extent_of
    >>> extent_of([[0.0, 0.0], [2.0, 1.0]])
    (-0.25, 2.25, -0.75, 1.75)
    """
    x = np.concatenate([points_2d(p, "extent_of") for p in points])
    middle, half = (x.max(0) + x.min(0)) / 2, float((x.max(0) - x.min(0)).max()) / 2
    half = (half or 1.0) * (1 + margin)
    (a, b), (c, d) = ((float(m - half), float(m + half)) for m in middle)
    return a, b, c, d


def generator_arrows(model: Any, codes: Tensor) -> tuple[Array, Array]:
    """Samples G(z) (n, 2), and minus the gradient of G's loss by each, (n, 2): the way D sends it.

    model: a GAN of the plane; codes (n, latent). Two arrays.
    """
    with no_grad():
        x = model.G(codes)
    x = x.detach().requires_grad_()
    with enable_grad():
        loss = model.objective.generator(model.D(x)) * float(len(x))
        (gradient,) = grad(loss, [x])
    return x.detach().cpu().numpy(), -gradient.cpu().numpy()


@draws
def lab(
    model: Any,
    data: Any,
    codes: Tensor,
    extent: Extent | None = None,
    resolution: int = 80,
    title: str | None = None,
    path: PathLike | None = None,
) -> Figure:
    """D's output as a field, data in grey, samples in blue, and an arrow for each sample.

    model: a GAN of the plane; where D judges no point by itself (model.apart) field and arrows are
    left out. Arrows
    have the direction of minus the gradient of G's loss, and lengths in proportion to it.

    >>> import tinygen as tg
    >>> from tinygen.plot.gan import lab
    >>> gan = tg.models.build("gan", {"shape": (2,), "hidden": 8})
    >>> lab(gan, tg.randn(20, 2), gan.draw(20), resolution=10).get_size_inches().tolist()
    [5.0, 4.8]
    """
    points = points_2d(data, "lab")
    extent = _checked_extent(extent or extent_of(points))
    with in_style():
        figure = new_figure(5.0, 4.8)
        axes = figure.add_subplot()
        if model.apart:
            _field(axes, model.D, extent, resolution, codes.device)
            samples, arrows = generator_arrows(model, codes)
        else:
            with no_grad():
                samples = points_2d(model.G(codes), "lab")
        axes.scatter(
            points[:, 0], points[:, 1], s=3, color=GREY, linewidths=0, alpha=0.5, label="data"
        )
        axes.scatter(
            samples[:, 0], samples[:, 1], s=9, color=COLOURS[0], linewidths=0, label="samples"
        )
        if model.apart:
            _arrows(axes, samples, arrows, extent)
        _plane_axes(axes, extent, title)
        axes.legend(loc="upper right", markerscale=2, handletextpad=0.1)
    return finish(figure, path, "lab")


def _field(
    axes: Axes, judge: Callable[[Tensor], Any], extent: Extent, resolution: int, where: Any
) -> None:
    """Colours by rank, so that one steep place does not hide the rest; contours of the values."""
    values = _on_grid(judge, extent, resolution, where)
    ranks = np.argsort(np.argsort(values.ravel())).reshape(values.shape) / values.size
    axes.imshow(ranks, extent=extent, origin="lower", cmap="RdYlBu", alpha=0.55, aspect="equal")


def _arrows(axes: Axes, x: Array, arrows: Array, extent: Extent) -> None:
    longest = float(np.sqrt((arrows**2).sum(1)).max())
    if longest > 0:
        scale = 0.08 * (extent[1] - extent[0]) / longest
        axes.quiver(
            *x.T, *(scale * arrows).T, angles="xy", scale_units="xy", scale=1, width=0.0025,
            color=COLOURS[2], alpha=0.8,
        )  # fmt: skip


@draws
def warp_grid(
    generator: Callable[[Tensor], Any],
    data: Any = None,
    lines: int = 21,
    reach: float = 2.5,
    title: str | None = None,
    path: PathLike | None = None,
    *,
    device: Any = "cpu",
) -> Figure:
    """What a generator of 2-D codes makes of the square lattice [-reach, reach]^2 of codes.

    Where lines crowd the samples are dense; a line that jumps a gap shows a fold or a tear.

    generator: (M, 2) -> (M, 2). data: points (N, 2) to draw under it.

    >>> import tinygen as tg
    >>> from tinygen.plot.gan import warp_grid
    >>> len(warp_grid(lambda z: z, lines=3).axes[0].lines)     # 3 each way
    6
    """
    along = np.linspace(-reach, reach, 200, dtype=float32)
    across = np.linspace(-reach, reach, lines, dtype=float32)
    one, other = (a.ravel() for a in np.meshgrid(across, along, indexing="ij"))
    curves = []
    for pair in ((one, other), (other, one)):
        with no_grad():
            out = generator(wrap(move(np.stack(pair, 1), device)))
        curves.append(points_2d(out, "warp_grid").reshape(lines, len(along), 2))
    with in_style():
        figure = new_figure(4.8, 4.8)
        axes = figure.add_subplot()
        if data is not None:
            x = points_2d(data, "warp_grid")
            axes.scatter(x[:, 0], x[:, 1], s=4, color=GREY, linewidths=0, alpha=0.5)
        for k, family in enumerate(curves):
            for curve in family:
                axes.plot(*curve.T, lw=0.6, color=COLOURS[2 * k], alpha=0.8)
        _plane_axes(axes, None, title)
    return finish(figure, path, "warp_grid")
