"""Toy laws in the plane: each function draws n points, a float32 Tensor (n, 2).

Every function takes a `generator` (the default one if None) and draws independent points. Where
the modes are known, `*_centers` gives them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..backend import Array, Generator, default_generator, float32
from ..checks import integers, numbers, positive
from ..tensor import Tensor, wrap

__all__ = [
    "TOYS", "checkerboard", "checkerboard_centers", "gaussian_grid", "gaussian_ring",
    "grid_centers", "parallel_lines", "pinwheel", "ring_centers", "swiss_roll", "toy",
    "two_moons",
]  # fmt: skip


def _stream(generator: Generator | None) -> np.random.Generator:
    return (default_generator if generator is None else generator).numpy


def _check(name: str, n: int, **scales: Any) -> None:
    integers(name, 0, n=n)
    numbers(name, 0, **scales)


def _points(x: Array, y: Array) -> Tensor:
    return wrap(np.stack([x, y], axis=1).astype(float32))


def _mixture(centers: Tensor, n: int, std: float, generator: Generator | None) -> Tensor:
    """n points of an equal mixture of isotropic Gaussians about `centers` (k, 2)."""
    rng, means = _stream(generator), centers._array
    which = rng.integers(len(means), size=n)
    return wrap((means[which] + std * rng.standard_normal((n, 2))).astype(float32))


def ring_centers(modes: int = 8, radius: float = 1.0) -> Tensor:
    """The means of `gaussian_ring`, (modes, 2), counter-clockwise from (radius, 0).

    >>> import tinygen as tg
    >>> tg.data.ring_centers(modes=4)[0].tolist()
    [1.0, 0.0]
    """
    positive("ring_centers", modes=modes)
    numbers("ring_centers", radius=radius)
    angle = 2 * np.pi * np.arange(modes) / modes
    return _points(radius * np.cos(angle), radius * np.sin(angle))


def gaussian_ring(
    n: int,
    modes: int = 8,
    radius: float = 1.0,
    std: float = 0.01,
    generator: Generator | None = None,
) -> Tensor:
    """An equal mixture of `modes` Gaussians N(center, std^2 I) on a circle: (n, 2).

    The defaults are the ring of PacGAN (Lin et al. 2018, arXiv:1712.04086).

    >>> import tinygen as tg
    >>> x = tg.data.gaussian_ring(500, radius=2.0)
    >>> x.shape, round(x.norm(dim=1).mean().item(), 2)
    ((500, 2), 2.0)
    """
    _check("gaussian_ring", n, std=std)
    return _mixture(ring_centers(modes, radius), n, std, generator)


def grid_centers(side: int = 5, spacing: float = 2.0) -> Tensor:
    """The means of `gaussian_grid`, (side^2, 2), about the origin.

    >>> import tinygen as tg
    >>> tg.data.grid_centers(side=2).tolist()
    [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    positive("grid_centers", side=side)
    numbers("grid_centers", spacing=spacing)
    line = spacing * (np.arange(side) - (side - 1) / 2)
    x, y = np.meshgrid(line, line, indexing="ij")
    return _points(x.ravel(), y.ravel())


def gaussian_grid(
    n: int,
    side: int = 5,
    spacing: float = 2.0,
    std: float = 0.05,
    generator: Generator | None = None,
) -> Tensor:
    """An equal mixture of side^2 Gaussians N(center, std^2 I) on a square grid: (n, 2).

    The defaults are the 25 modes at -4, -2, 0, 2, 4 of PacGAN (arXiv:1712.04086).

    >>> import tinygen as tg
    >>> x, centers = tg.data.gaussian_grid(2500), tg.data.grid_centers()
    >>> tg.metrics.mode_report(x, centers, std=0.05).modes
    25
    """
    _check("gaussian_grid", n, std=std)
    return _mixture(grid_centers(side, spacing), n, std, generator)


def swiss_roll(n: int, noise: float = 0.05, generator: Generator | None = None) -> Tensor:
    """t (cos t, sin t) / 10 + noise N(0, I), t uniform on [1.5 pi, 4.5 pi]: 1.5 turns, (n, 2).

    The radius runs from 0.47 to 1.41. The swiss roll of manifold learning without
    its third axis.

    >>> import tinygen as tg
    >>> radius = tg.data.swiss_roll(500, noise=0.0).norm(dim=1)
    >>> bool((radius > 0.471).all()), bool((radius < 1.414).all())
    (True, True)
    """
    _check("swiss_roll", n, noise=noise)
    rng = _stream(generator)
    t = rng.uniform(1.5 * np.pi, 4.5 * np.pi, n)
    x, y = noise * rng.standard_normal((2, n))
    return _points(t * np.cos(t) / 10 + x, t * np.sin(t) / 10 + y)


def two_moons(n: int, noise: float = 0.1, generator: Generator | None = None) -> Tensor:
    """Two half circles of radius 1 that interlock, + noise N(0, I): (n, 2).

    The upper one is centred at (0, 0), the lower one at (1, 0.5); each has probability 1/2.

    >>> import tinygen as tg
    >>> x = tg.data.two_moons(500, noise=0.0)
    >>> upper = x[x[:, 1] > 0.5]                   # the lower moon ends there
    >>> x.shape, round(upper.norm(dim=1).max().item(), 4)
    ((500, 2), 1.0)
    """
    _check("two_moons", n, noise=noise)
    rng = _stream(generator)
    lower, angle = rng.integers(2, size=n), rng.uniform(0, np.pi, n)
    x, y = noise * rng.standard_normal((2, n))
    x += np.where(lower, 1 - np.cos(angle), np.cos(angle))
    y += np.where(lower, 0.5 - np.sin(angle), np.sin(angle))
    return _points(x, y)


def checkerboard_centers(squares: int = 4, side: float = 2.0) -> Tensor:
    """The centres of the filled squares of `checkerboard`: (k, 2), k = ceil(squares^2 / 2).

    >>> import tinygen as tg
    >>> tg.data.checkerboard_centers().shape, tg.data.checkerboard_centers(squares=2).tolist()
    ((8, 2), [[-1.0, -1.0], [1.0, 1.0]])
    """
    positive("checkerboard", squares=squares)
    row, column = np.indices((squares, squares))
    filled = (row + column) % 2 == 0
    middle = (squares - 1) / 2
    return _points(side * (column[filled] - middle), side * (row[filled] - middle))


def checkerboard(
    n: int, squares: int = 4, side: float = 2.0, generator: Generator | None = None
) -> Tensor:
    """Uniform on every second square of a squares x squares board about the origin: (n, 2).

    The density is 1 / (k side^2) on the k filled squares (1/32 by default), 0 elsewhere.

    >>> import tinygen as tg
    >>> x = tg.data.checkerboard(500)
    >>> (x / 2).floor().sum(1).long().remainder(2).abs().max().item()      # rows + columns even
    0
    """
    _check("checkerboard", n, side=side)
    rng, centers = _stream(generator), checkerboard_centers(squares, side)._array
    which = rng.integers(len(centers), size=n)
    return wrap((centers[which] + side * rng.uniform(-0.5, 0.5, (n, 2))).astype(float32))


def pinwheel(
    n: int,
    arms: int = 5,
    radial_std: float = 0.3,
    tangential_std: float = 0.1,
    rate: float = 0.25,
    generator: Generator | None = None,
) -> Tensor:
    """Blobs N((1, 0), diag(radial_std^2, tangential_std^2)), one an arm, swept in spirals: (n, 2).

    A point (r, s) of an arm is turned about the origin by 2 pi arm / arms + rate exp(r).
    Johnson et al. 2016, "Composing graphical models with neural networks" (arXiv:1603.06277).

    >>> import tinygen as tg
    >>> tg.data.pinwheel(500, arms=3).shape
    (500, 2)
    """
    _check("pinwheel", n, radial_std=radial_std, tangential_std=tangential_std)
    positive("pinwheel", arms=arms)
    numbers("pinwheel", rate=rate)
    rng = _stream(generator)
    arm = rng.integers(arms, size=n)
    r, s = rng.standard_normal((2, n))
    r, s = 1 + radial_std * r, tangential_std * s
    angle = 2 * np.pi * arm / arms + rate * np.exp(r)
    return _points(r * np.cos(angle) - s * np.sin(angle), r * np.sin(angle) + s * np.cos(angle))


def parallel_lines(
    n: int, distance: float = 1.0, noise: float = 0.0, generator: Generator | None = None
) -> Tensor:
    """The segments {0} x [0, 1] and {distance} x [0, 1], each with probability 1/2: (n, 2).

    Either one alone is a law of Example 1 of Arjovsky et al. 2017 (arXiv:1701.07875), between
    which JS is log 2 at every distance > 0 and W1 is the distance. `noise` is the standard
    deviation across the lines.

    >>> import tinygen as tg
    >>> sorted(set(tg.data.parallel_lines(500, distance=3.0)[:, 0].tolist()))
    [0.0, 3.0]
    """
    _check("parallel_lines", n, noise=noise)
    numbers("parallel_lines", distance=distance)
    rng = _stream(generator)
    x = distance * rng.integers(2, size=n) + noise * rng.standard_normal(n)
    return _points(x, rng.uniform(0, 1, n))


TOYS: dict[str, Callable[..., Tensor]] = {
    "ring": gaussian_ring,
    "grid": gaussian_grid,
    "swiss_roll": swiss_roll,
    "two_moons": two_moons,
    "checkerboard": checkerboard,
    "pinwheel": pinwheel,
    "parallel_lines": parallel_lines,
}


def toy(name: str, n: int, generator: Generator | None = None, **settings: Any) -> Tensor:
    """n points of the toy law called `name`, a key of TOYS: (n, 2); ValueError lists the names.

    settings: those of the law's own function, which say what they mean.

    >>> import tinygen as tg
    >>> list(tg.data.TOYS)
    ['ring', 'grid', 'swiss_roll', 'two_moons', 'checkerboard', 'pinwheel', 'parallel_lines']
    >>> tg.data.toy("grid", 100, side=3).shape
    (100, 2)
    """
    if name not in TOYS:
        raise ValueError(f"toy: no law is called {name!r}; there are {', '.join(TOYS)}")
    return TOYS[name](n, generator=generator, **settings)
