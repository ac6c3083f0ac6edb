"""Pictures of the plane: codes, the manifold they decode to, densities, critics, samples, paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import Array, device, float32, move
from ..tape import no_grad
from ..tensor import Tensor, wrap
from .figure import (
    COLOURS,
    DPI,
    INK,
    PathLike,
    draws,
    finish,
    finite,
    in_style,
    new_figure,
    points_2d,
    to_numpy,
)
from .images import Range, in_parts, pixels, show, tile

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Extent", "density_2d", "latent_manifold", "latent_scatter", "manifold_codes", "paths_2d",
    "samples_2d",
]  # fmt: skip

Extent = tuple[float, float, float, float]  # xmin, xmax, ymin, ymax
MARKERS = "os^Dv"  # ten colours a marker


@draws
def latent_scatter(
    codes: Any,
    labels: Any = None,
    names: Sequence[str] | None = None,
    title: str | None = None,
    path: PathLike | None = None,
) -> Figure:
    """2-D codes (N, 2), coloured by label (N,), with a legend and each class's label at its median.

    names: what label k is called, `names[k]`; the labels themselves unless given.

    >>> import tinygen as tg
    >>> tg.plot.latent_scatter(tg.randn(6, 2), labels=[0, 1] * 3).get_size_inches().tolist()
    [6.2, 5.2]
    """
    z = points_2d(codes, "latent_scatter")
    y = np.zeros(len(z), int) if labels is None else to_numpy(labels, "latent_scatter")
    if y.shape != (len(z),):
        raise ValueError(
            f"latent_scatter: {len(z)} codes need labels of shape ({len(z)},), got {y.shape}"
        )
    classes = np.unique(y)
    if names is not None and (classes.min() < 0 or classes.max() >= len(names)):
        raise ValueError(
            f"latent_scatter: labels run from {classes.min()} to {classes.max()}, but there are "
            f"{len(names)} names"
        )
    with in_style():
        figure = new_figure(6.2 if labels is not None else 5.2, 5.2)
        axes = figure.add_subplot()
        for k, label in enumerate(classes):
            _class_dots(axes, z[y == label], k, str(names[int(label)] if names else label), len(z))
        if labels is not None:
            _mark_medians(axes, z, y, classes, names)
            _dot_legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5), labelspacing=0.35)
        _code_axes(axes, title)
    return finish(figure, path, "latent_scatter")


def _dot_size(n: int) -> float:
    """Area of a dot, smaller in a crowd."""
    return float(np.clip(9000 / n, 4, 16))


def _class_dots(axes: Axes, z: Array, k: int, label: str, n: int) -> None:
    axes.scatter(
        z[:, 0], z[:, 1], s=_dot_size(n), color=COLOURS[k % len(COLOURS)], label=label, alpha=0.8,
        marker=MARKERS[k // len(COLOURS) % len(MARKERS)], linewidths=0,
    )  # fmt: skip


def _dot_legend(axes: Axes, **options: Any) -> None:
    """A legend whose dots are all as large as its letters."""
    for handle in axes.legend(handletextpad=0.1, **options).legend_handles:
        handle.set(sizes=[36], alpha=1)  # type: ignore[union-attr]


def _mark_medians(
    axes: Axes, z: Array, y: Array, classes: Array, names: Sequence[str] | None
) -> None:
    from matplotlib.patheffects import withStroke

    for label in classes:
        x0, x1 = np.median(z[y == label], axis=0)
        text = axes.text(x0, x1, str(names[int(label)] if names else label), ha="center")
        text.set(va="center", fontsize=13 if names is None else 10.5, fontweight="bold")
        text.set_path_effects([withStroke(linewidth=3, foreground="white", alpha=0.9)])


def _code_axes(axes: Axes, title: str | None = None) -> None:
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel="$z_1$", ylabel="$z_2$", title=title or "")


def manifold_codes(n: int) -> np.ndarray[Any, Any]:
    """(n * n, 2) codes that cut the mass of N(0, I) into n x n equal cells, one in each.

    Coordinates are Phi^-1((i + 1/2) / n). The order is that of a picture: the first row of n codes
    has the largest z_2, and z_1 grows from left to right.

    >>> import tinygen as tg
    >>> tg.plot.manifold_codes(3)[:3].astype(float).round(2).tolist()      # Phi^-1(5/6) = 0.97
    [[-0.97, 0.97], [0.0, 0.97], [0.97, 0.97]]
    """
    if n < 1:
        raise ValueError(f"manifold_codes: expected n >= 1, got {n}")
    normal = NormalDist()
    z = np.array([normal.inv_cdf((i + 0.5) / n) for i in range(n)], dtype=float32)
    z1, z2 = np.meshgrid(z, z[::-1])
    return np.stack([z1.ravel(), z2.ravel()], axis=1)


@draws
def latent_manifold(
    decode: Callable[[Tensor], Any],
    n: int = 20,
    value_range: Range | None = None,
    path: PathLike | None = None,
    *,
    padding: int = 1,
    clip: bool = False,
    device: str | device = "cpu",  # noqa: A002  (PyTorch's name)
) -> Figure:
    """What a decoder makes of the plane: decode(Tensor (n * n, 2)) -> images, at their codes.

    The codes are those of `manifold_codes(n)`: under the prior every picture is equally likely.
    `padding` black pixels keep neighbours apart.

    >>> import tinygen as tg
    >>> figure = tg.plot.latent_manifold(lambda z: z.sigmoid().reshape(-1, 1, 1, 2), n=3)
    >>> figure.axes[0].get_xlabel()
    '$z_1$'
    """
    codes = manifold_codes(n)
    with no_grad():
        images = decode(wrap(move(codes, device)))
    tiles = pixels(images, value_range, clip, "latent_manifold")
    if len(tiles) != n * n:
        raise ValueError(f"latent_manifold: decode made {len(tiles)} images of {n * n} codes")
    grid = tile(tiles, n, padding, 0.0, "latent_manifold")
    with in_style():
        figure = _manifold_figure(grid, padding)
    return finish(figure, path, "latent_manifold")


def _manifold_figure(grid: Array, padding: int) -> Figure:
    """The pictures side by side, with whole z on the axes where they fall: at Phi(z) of the way."""
    height, width = grid.shape[:2]
    zoom = max(1, round(850 / max(height, width))) / DPI
    left, bottom, edge = 0.62, 0.56, 0.1
    wide, high = width * zoom, height * zoom
    size = (left + wide + edge, bottom + high + edge)
    figure = new_figure(*size, layout=None)
    axes = figure.add_axes(in_parts((left, bottom, wide, high), size))
    show(axes, grid)
    marks = (-2, -1, 0, 1, 2)
    cells = np.array([NormalDist().cdf(z) for z in marks])
    names = [str(z).replace("-", "\N{MINUS SIGN}") for z in marks]
    start = -(padding + 1) / 2  # of the first cell, half a gap before its picture
    axes.set_xticks(start + cells * (width + padding), names)
    axes.set_yticks(start + (1 - cells) * (height + padding), names)
    axes.set(xlabel="$z_1$", ylabel="$z_2$")
    return figure


@draws
def density_2d(
    function: Callable[[Tensor], Any],
    extent: Extent = (-4, 4, -4, 4),
    samples: Any = None,
    kind: str = "log_density",
    resolution: int = 200,
    title: str | None = None,
    path: PathLike | None = None,
    *,
    device: str | device = "cpu",  # noqa: A002  (PyTorch's name)
) -> Figure:
    """A function of the plane, Tensor (M, 2) -> (M,) or (M, 1), with samples (N, 2) on it if given.

    kind="log_density": the picture shows exp(f), brightest at the maximum. kind="critic": it shows
    f itself with contour lines and a scale. extent = (xmin, xmax, ymin, ymax).

    >>> import tinygen as tg
    >>> log_density = tg.models.likelihoods.standard_normal_log_prob
    >>> tg.plot.density_2d(log_density, resolution=20).get_size_inches().tolist()
    [4.8, 4.8]
    """
    if kind not in ("log_density", "critic"):
        raise ValueError(f"density_2d: kind must be 'log_density' or 'critic', got {kind!r}")
    values = _on_grid(function, extent, resolution, device)
    points = None if samples is None else points_2d(samples, "density_2d")
    with in_style():
        figure = new_figure(5.6 if kind == "critic" else 4.8, 4.8)
        axes = figure.add_subplot()
        draw = _draw_density if kind == "log_density" else _draw_critic
        draw(axes, values, extent)
        if points is not None:
            colour = INK if kind == "critic" else COLOURS[2]
            axes.scatter(points[:, 0], points[:, 1], 5, color=colour, linewidths=0, alpha=0.7)
        _plane_axes(axes, extent, title)
    return finish(figure, path, "density_2d")


def _on_grid(
    function: Callable[[Tensor], Any], extent: Extent, resolution: int, where: str | device
) -> Array:
    """values[i, j] = function at (x_j, y_i), evaluated without recording, 10,000 points a call."""
    xmin, xmax, ymin, ymax = _checked_extent(extent)
    x, y = np.linspace(xmin, xmax, resolution), np.linspace(ymin, ymax, resolution)
    grid = np.stack([a.ravel() for a in np.meshgrid(x, y)], axis=1).astype(float32)
    parts = []
    with no_grad():
        for chunk in np.split(grid, range(10_000, len(grid), 10_000)):
            part = to_numpy(function(wrap(move(chunk, where))), "density_2d")
            if part.shape not in ((len(chunk),), (len(chunk), 1)):
                raise ValueError(
                    f"density_2d: the function gave shape {part.shape} for {len(chunk)} points; "
                    f"expected ({len(chunk)},) or ({len(chunk)}, 1)"
                )
            parts.append(part.reshape(-1))
    return np.concatenate(parts).reshape(resolution, resolution)


def _checked_extent(extent: Extent) -> Extent:
    xmin, xmax, ymin, ymax = extent
    if not (xmin < xmax and ymin < ymax):
        raise ValueError(f"extent must be (xmin, xmax, ymin, ymax), increasing, got {extent}")
    return extent


def _draw_density(axes: Axes, log_density: Array, extent: Extent) -> None:
    top = log_density.max()
    if not np.isfinite(top):
        raise ValueError(f"density_2d: the largest log density on the grid is {top}")
    density = np.exp(log_density - top)
    axes.imshow(
        density, extent=extent, origin="lower", cmap="Blues", interpolation="bilinear", vmin=0
    )


def _draw_critic(axes: Axes, values: Array, extent: Extent) -> None:
    values = finite(values, "density_2d")
    image = axes.imshow(
        values, extent=extent, origin="lower", cmap="cividis", interpolation="bilinear", alpha=0.85
    )
    axes.contour(values, 10, extent=extent, colors="white", linewidths=0.6, linestyles="solid")
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.85, pad=0.03)
    bar.outline.set_visible(False)


def _plane_axes(axes: Axes, extent: Extent | None, title: str | None) -> None:
    axes.set_aspect("equal")
    if extent is not None:
        axes.set(xlim=extent[:2], ylim=extent[2:])
    axes.set(xlabel="$x_1$", ylabel="$x_2$", title=title or "")


def _dots(axes: Axes, x: Array, colour: str, label: str) -> None:
    axes.scatter(
        x[:, 0], x[:, 1], s=_dot_size(len(x)), color=colour, alpha=0.8, linewidths=0, label=label
    )


@draws
def samples_2d(
    samples: Any,
    reference: Any = None,
    extent: Extent | None = None,
    labels: tuple[str, str] = ("model", "data"),
    title: str | None = None,
    path: PathLike | None = None,
) -> Figure:
    """Samples (N, 2) of a model, over reference samples (M, 2) of the data where they are given.

    extent = (xmin, xmax, ymin, ymax); that of all points unless given.

    >>> import tinygen as tg
    >>> tg.plot.samples_2d(tg.randn(20, 2), tg.data.two_moons(20)).get_size_inches().tolist()
    [4.8, 4.8]
    """
    x = points_2d(samples, "samples_2d")
    real = None if reference is None else points_2d(reference, "samples_2d")
    if extent is not None:
        _checked_extent(extent)
    with in_style():
        figure = new_figure(4.8, 4.8)
        axes = figure.add_subplot()
        if real is not None:
            _dots(axes, real, "#b5b5b5", labels[1])
        _dots(axes, x, COLOURS[0], labels[0])
        _plane_axes(axes, extent, title)
        if real is not None:
            _dot_legend(axes, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
            axes.set_title(title or "", pad=28)  # above the legend
    return finish(figure, path, "samples_2d")


@draws
def paths_2d(
    paths: Any,
    extent: Extent | None = None,
    title: str | None = None,
    path: PathLike | None = None,
) -> Figure:
    """Lines of N points that move together, (S, N, 2) for S moments, with a dot where each ends.

    ValueError for another shape, NaNs and infinities.

    >>> import tinygen as tg
    >>> len(tg.plot.paths_2d(tg.randn(3, 5, 2)).axes[0].lines)
    5
    """
    lines = to_numpy(paths, "paths_2d")
    if lines.ndim != 3 or lines.shape[2] != 2 or not lines.size:
        raise ValueError(f"paths_2d: expected (S, N, 2), S moments of N points, got {lines.shape}")
    lines = finite(lines, "paths_2d")
    if extent is not None:
        _checked_extent(extent)
    with in_style():
        figure = new_figure(4.8, 4.8)
        axes = figure.add_subplot()
        axes.plot(lines[:, :, 0], lines[:, :, 1], color="#9a9a9a", linewidth=0.5)
        ends = lines[-1]
        axes.scatter(ends[:, 0], ends[:, 1], s=_dot_size(len(ends)), color=COLOURS[0], zorder=3)
        _plane_axes(axes, extent, title)
    return finish(figure, path, "paths_2d")
