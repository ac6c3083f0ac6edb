"""The computation graph of a tensor: as Graphviz text, and drawn in layers.

The tape holds what a gradient flows through. So the graph shows ops and the leaves that require a
gradient; constants and data do not appear. An arrow points the way the forward pass went.

The drawing is the method of Sugiyama, Tagawa and Toda (1981) in its simplest form: layers by the
longest path to the output, long arrows threaded through every layer between, an order within each
layer that puts everything near what it is connected with, and then the same for the positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..tape import Node
from ..tensor import Tensor
from .figure import GREY, PathLike, draws, finish, in_style, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Graph", "Layout", "arrange", "draw_graph", "layers", "to_dot", "trace"]

Vertex: TypeAlias = "Node | Tensor"
Edge: TypeAlias = tuple[int, int]  # from, to

LEAF_FILL, OP_FILL, OUT_FILL = "#dcebfa", "#ffffff", "#fdeccb"


@dataclass
class Graph:
    """Vertices with what is written on them, and the edges between them, oldest first."""

    labels: list[str] = field(default_factory=list)
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    leaf: list[bool] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)


def trace(tensor: Tensor, params: Any = None, name: str = "trace") -> Graph:
    """The graph that `tensor` was computed by. The last vertex is the tensor itself.

    params: {name: Tensor}, or a module with named_parameters(): what the leaves are called.

    >>> import tinygen as tg
    >>> from tinygen.plot.graph import trace
    >>> w = tg.ones(2, requires_grad=True)
    >>> graph = trace((w * w).sum(), {"w": w})
    >>> graph.labels, graph.edges
    (['w', 'mul', 'sum'], [(0, 1), (0, 1), (1, 2)])
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected a Tensor, got {type(tensor).__name__}")
    if not tensor.requires_grad:
        raise ValueError(
            f"{name}: the tensor has no graph: it does not require a gradient (computed under "
            "no_grad, detached, or from data alone)"
        )
    names = _names(params)
    vertices = _vertices(tensor._node or tensor)
    number = {id(vertex): i for i, vertex in enumerate(vertices)}
    graph = Graph()
    for i, vertex in enumerate(vertices):
        is_leaf = isinstance(vertex, Tensor)
        label = names.get(id(vertex), "leaf") if isinstance(vertex, Tensor) else vertex.name()
        graph.labels.append(label)
        graph.shapes.append(vertex.shape)
        graph.leaf.append(is_leaf)
        parents = [] if isinstance(vertex, Tensor) else vertex.parents
        graph.edges += [(number[id(parent)], i) for parent in parents if parent is not None]
    return graph


def _names(params: Any) -> dict[int, str]:
    if hasattr(params, "named_parameters"):
        params = dict(params.named_parameters())
    if not isinstance(params or {}, Mapping):
        kind = type(params).__name__
        raise TypeError(f"params: expected {{name: Tensor}} or a module, got {kind}")
    return {id(tensor): str(name) for name, tensor in (params or {}).items()}


def _vertices(root: Vertex) -> list[Vertex]:
    """Everything that the root was computed from, parents first. Iterative: graphs are deep."""
    order: list[Vertex] = []
    seen: set[int] = set()
    stack: list[tuple[Vertex, bool]] = [(root, False)]
    while stack:
        vertex, parents_done = stack.pop()
        if parents_done:
            order.append(vertex)
        elif id(vertex) not in seen:
            seen.add(id(vertex))
            stack.append((vertex, True))
            parents = [] if isinstance(vertex, Tensor) else vertex.parents
            stack += [(p, False) for p in reversed(parents) if p is not None and id(p) not in seen]
    return order


def to_dot(tensor: Tensor, params: Any = None) -> str:
    """The graph in Graphviz' language: `dot -Tsvg` draws it.

    Ops are rounded boxes, leaves filled ones, each with its shape. params names the leaves:
    {name: Tensor} or a module. Raises ValueError for a tensor without a graph.

    >>> import tinygen as tg
    >>> w = tg.ones(2, requires_grad=True)
    >>> tg.plot.to_dot((w * w).sum(), {"w": w}).splitlines()[-4:]
    ['  n0 -> n1', '  n0 -> n1', '  n1 -> n2', '}']
    """
    graph = trace(tensor, params, "to_dot")
    lines = ["digraph {", f'  node [shape=box, style="rounded,filled", fillcolor="{OP_FILL}"]']
    for i, (label, shape) in enumerate(zip(graph.labels, graph.shapes, strict=True)):
        text = label.replace("\\", r"\\").replace('"', r"\"") + r"\n" + _shape(shape)
        fill = f', style=filled, fillcolor="{LEAF_FILL}"' if graph.leaf[i] else ""
        lines.append(f'  n{i} [label="{text}"{fill}]')
    lines += [f"  n{a} -> n{b}" for a, b in graph.edges]
    return "\n".join([*lines, "}", ""])


def _shape(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) or "scalar"


# --- layout -----------------------------------------------------------------------------------


def layers(graph: Graph) -> list[int]:
    """The layer of each vertex: 0 for the output, one more than its farthest child otherwise.

    >>> from tinygen.plot.graph import Graph, layers
    >>> layers(Graph(labels=["w", "mul", "sum"], edges=[(0, 1), (1, 2), (0, 2)]))
    [2, 1, 0]
    """
    depth = [0] * len(graph.labels)
    children: dict[int, list[int]] = {}
    for a, b in graph.edges:
        children.setdefault(a, []).append(b)
    for vertex in reversed(range(len(depth))):  # children come later in the order than parents
        depth[vertex] = max((depth[child] + 1 for child in children.get(vertex, [])), default=0)
    return depth


@dataclass
class Layout:
    """Where everything is: x, y of the vertices and then of the bends of long edges."""

    x: np.ndarray[Any, Any]
    y: np.ndarray[Any, Any]
    paths: list[list[int]]  # one an edge: its start, its bends, its end


def arrange(graph: Graph, widths: list[float], bend: float = 0.25) -> Layout:
    """Positions in which nothing overlaps, arrows are short and few of them cross.

    widths: of the vertices; bend: the width that a long arrow takes in a layer it passes.
    """
    depth = layers(graph)
    sizes = list(widths)
    paths = []
    for a, b in dict.fromkeys(graph.edges):
        bends = range(depth[b] + 1, depth[a])
        first = len(depth)
        depth += reversed(bends)
        sizes += [bend] * len(bends)
        paths.append([a, *range(first, len(depth)), b])
    up, down = _neighbours(paths, len(depth))
    rows: list[list[int]] = [[] for _ in range(max(depth) + 1)]
    for vertex in _from_output(up, len(graph.labels) - 1, len(depth)):
        rows[depth[vertex]].append(vertex)
    _order(rows, up, down)
    pull = np.where(graph.leaf, 0.2, 1.0)  # an op lines up with ops, a leaf stands aside,
    pull = np.concatenate([pull, np.full(len(depth) - len(pull), 4.0)])  # long arrows are straight
    x = _positions(rows, up, down, np.array(sizes), pull)
    return Layout(x, np.array(depth, float), paths)


def _neighbours(paths: list[list[int]], n: int) -> tuple[list[list[int]], list[list[int]]]:
    """For each vertex what feeds it (one layer up), and what it feeds."""
    up: list[list[int]] = [[] for _ in range(n)]
    down: list[list[int]] = [[] for _ in range(n)]
    for path in paths:
        for a, b in zip(path, path[1:], strict=False):
            up[b].append(a)
            down[a].append(b)
    return up, down


def _from_output(up: list[list[int]], output: int, n: int) -> list[int]:
    """All vertices, depth first from the output: a starting order with few crossings."""
    order, seen, stack = [], {output}, [output]
    while stack:
        vertex = stack.pop()
        order.append(vertex)
        for parent in reversed(up[vertex]):
            if parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return order


def _order(rows: list[list[int]], up: list[list[int]], down: list[list[int]]) -> None:
    """Sort each row by the mean place of its neighbours, to and fro; keep the best order seen."""
    best, fewest = [list(row) for row in rows], _crossings(rows, up)
    for sweep in range(12):
        towards, near = (rows[1:], down) if sweep % 2 == 0 else (rows[-2::-1], up)
        for row in towards:
            place = {v: i / max(len(r) - 1, 1) for r in rows for i, v in enumerate(r)}
            mean = {v: np.mean([place[u] for u in near[v]] or [place[v]]) for v in row}
            row.sort(key=mean.__getitem__)
        crossings = _crossings(rows, up)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    for row, order in zip(rows, best, strict=True):
        row[:] = order


def _crossings(rows: list[list[int]], up: list[list[int]]) -> int:
    place = {v: i for row in rows for i, v in enumerate(row)}
    count = 0
    for row in rows:
        ends = np.array([(place[v], place[u]) for v in row for u in up[v]] or [(0, 0)])
        gap = ends[:, None] - ends[None]
        count += int((gap[..., 0] * gap[..., 1] < 0).sum()) // 2
    return count


def _positions(
    rows: list[list[int]], up: list[list[int]], down: list[list[int]], sizes: Any, pull: Any
) -> np.ndarray[Any, Any]:
    """x of every vertex: each row drawn to its neighbours' mean, kept in order and apart.

    An edge pulls with the product of its ends' `pull`.
    """
    x = np.zeros(len(sizes))
    for row in rows:
        x[row] = _apart(x[row], sizes[row], np.ones(len(row)))
    near = [np.array(a + b, dtype=int) for a, b in zip(up, down, strict=True)]
    weight = [pull[v] * pull[near[v]] for v in range(len(x))]
    for sweep in range(100):
        for row in rows if sweep % 2 else rows[::-1]:
            total = [weight[v].sum() for v in row]
            wish = [weight[v] @ x[near[v]] for v in row]
            if all(total):
                x[row] = _apart(np.array(wish) / total, sizes[row], np.array(total))
    return x


def _apart(wish: Any, sizes: Any, weights: Any) -> Any:
    """The positions nearest to `wish` (weighted least squares) in this order, without overlap.

    Taking off the room that the neighbours need makes it isotonic regression: pool adjacent
    violators.
    """
    room = np.concatenate([[0.0], np.cumsum((sizes[1:] + sizes[:-1]) / 2)])
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for value, weight in zip(wish - room, weights, strict=True):
        pools.append((float(value), float(weight), 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, v, n), (b, w, m) = pools[-2:]
            pools[-2:] = [((a * v + b * w) / (v + w), v + w, n + m)]
    return np.repeat([mean for mean, _, _ in pools], [n for _, _, n in pools]) + room


# --- drawing ----------------------------------------------------------------------------------


@draws
def draw_graph(
    tensor: Tensor, params: Any = None, path: PathLike | None = None, max_vertices: int = 150
) -> Figure:
    """The graph drawn from the leaves above to `tensor` below; readable for about 40 vertices.

    params names the leaves: {name: Tensor} or a module. Raises ValueError for a tensor without a
    graph and for one of more than `max_vertices` vertices (to_dot has no limit).

    >>> import tinygen as tg
    >>> w = tg.ones(2, requires_grad=True)
    >>> [text.get_text() for text in tg.plot.draw_graph((w * w).sum(), {"w": w}).axes[0].texts]
    ['w', '2', 'mul', '2', 'sum', 'scalar']
    """
    graph = trace(tensor, params, "draw_graph")
    if len(graph.labels) > max_vertices:
        raise ValueError(
            f"draw_graph: {len(graph.labels)} vertices are too many to read (max_vertices="
            f"{max_vertices}); draw a smaller model, or a part, or give to_dot(tensor) to Graphviz"
        )
    inner = [0.16 + 0.085 * max(len(a), 0.8 * len(_shape(s))) for a, s in _texts(graph)]
    layout = arrange(graph, [w + 0.22 for w in inner])
    x, y = layout.x - min(layout.x[: len(inner)] - np.array(inner) / 2), layout.y * 0.66
    last = len(graph.labels) - 1
    width = max(float(max(x[: last + 1] + np.array(inner) / 2)), float(x.max()))
    low = min(0.0, float(x.min()))
    with in_style():
        figure = new_figure(width - low + 0.3, float(y.max()) + 0.9, layout=None)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(low - 0.15, width + 0.15), ylim=(-0.45, y.max() + 0.45))
        axes.axis("off")
        for route in layout.paths:
            _arrow(axes, x[route], y[route])
        for i, wide in enumerate(inner):
            fill = LEAF_FILL if graph.leaf[i] else OUT_FILL if i == last else OP_FILL
            _box(axes, x[i], y[i], wide, fill, 0.02 if graph.leaf[i] else 0.12)
            axes.text(x[i], y[i] + 0.02, graph.labels[i], ha="center", va="bottom", fontsize=10)
            axes.text(
                x[i], y[i] - 0.015, _shape(graph.shapes[i]), ha="center", va="top", fontsize=7.5,
                color=GREY,
            )  # fmt: skip
    return finish(figure, path, "draw_graph")


def _texts(graph: Graph) -> list[tuple[str, tuple[int, ...]]]:
    return list(zip(graph.labels, graph.shapes, strict=True))


def _box(axes: Axes, x: float, y: float, width: float, fill: str, rounding: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = f"round,pad=0,rounding_size={rounding}"
    corner, high = (x - width / 2, y - 0.19), 0.38
    axes.add_patch(
        FancyBboxPatch(corner, width, high, boxstyle=style, fc=fill, ec=GREY, lw=0.7, zorder=2)
    )


def _arrow(axes: Axes, x: Any, y: Any) -> None:
    """A smooth line through the bends: vertical at each, so that it reads as one."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    y = np.array(y)
    y[0] -= 0.19
    y[-1] += 0.20
    points, codes = [(x[0], y[0])], [Path.MOVETO]
    for k in range(1, len(x)):
        middle = (y[k - 1] + y[k]) / 2
        points += [(x[k - 1], middle), (x[k], middle), (x[k], y[k])]
        codes += [Path.CURVE4] * 3
    axes.add_patch(
        FancyArrowPatch(
            path=Path(points, codes), arrowstyle="-|>,head_length=3,head_width=1.6",
            color=GREY, lw=0.8, zorder=1, shrinkA=0, shrinkB=0,
        )
    )  # fmt: skip
