"""The best tree of pixels, where each depends on one other (Chow and Liu 1968)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ...backend import Array, Generator, move
from ...ops import arange, bernoulli, full, log_softmax, logsumexp, rand, stack
from ...tape import no_grad
from ...tensor import Tensor
from .queries import ExactDensity

__all__ = ["ChowLiuTree"]


class ChowLiuTree(ExactDensity):
    """p(x) = prod_i p(x_i | x_parent(i)) of binary x of `shape`; the root, pixel 0, has no parent.

    prior: so many imagined pictures of fair, independent pixels. Before `count`: a chain in the
    raster order. ValueError unless prior > 0, and for pixels that are not 0 or 1.

    >>> import tinygen as tg
    >>> model = tg.models.build("mixture", {"model": "tree", "shape": (1, 2, 2)})
    >>> same = (tg.rand(500, 1) < 0.5).float().expand(500, 4).reshape(500, 1, 2, 2)
    >>> model.count(same)                                          # four equal pixels: one coin
    >>> model.log_prob(same).mean()
    tensor(-0.6886)
    """

    parent: Tensor
    order: Tensor
    table: Tensor

    def __init__(self, shape: Sequence[int], prior: float = 1.0) -> None:
        super().__init__()
        if not prior > 0.0:
            raise ValueError(f"ChowLiuTree: expected prior > 0, got {prior}")
        self.shape, self.prior, size = tuple(shape), prior, math.prod(shape)
        self.register_buffer("table", 0.25 + 0.5 * rand(size, 2))  # p(x_i = 1 | parent is 0, 1)
        self.table[0] = 0.5
        self.register_buffer("parent", (arange(size) - 1).clamp(min=0))  # the root: its own
        self.register_buffer("order", arange(size))  # parents before children

    @no_grad()
    def count(self, x: Tensor) -> None:
        """The likeliest of all trees for pictures x (n, *shape).

        log p(x) is that of independent pixels plus the sum of its edges' mutual information.
        """
        x, a = self._flat(x), self.prior
        n, both, one = len(x) + a, x.T @ x, x.sum(0)
        p11, p1 = (both + a / 4) / n, (one + a / 2) / n  # of both (D, D), of each (D,)
        q, r = p1.unsqueeze(1), p1  # of x_i, of x_j
        joint = stack([p11, q - p11, r - p11, 1.0 - q - r + p11])  # (4, D, D)
        apart = stack([q * r, q * (1.0 - r), (1.0 - q) * r, (1.0 - q) * (1.0 - r)])
        information = (joint * (joint / apart).log()).sum(0)
        parent, order = spanning_tree(move(information._array, "cpu"))
        self.parent.copy_(arange(len(parent)).new_tensor(parent))
        self.order.copy_(self.order.new_tensor(order))
        up = self.parent
        with_up = p11[arange(len(p1)), up]
        self.table.copy_(stack([(p1 - with_up) / (1.0 - p1[up]), with_up / p1[up]], 1))
        self.table[0] = p1[0]

    def log_prob(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """log p(x), or log p(x_seen), of each example in nats, (B,)."""
        if seen is not None:
            log_p, root = self._messages(*self._parts(x, seen)), self.table[0, 0]
            return logsumexp(log_p[0] + stack([1.0 - root, root]).log(), 1)
        x = self._flat(x)
        heads = self.table[arange(x.shape[1], device=x.device), x[:, self.parent].long()]  # (B, D)
        return (x * heads.log() + (1.0 - x) * (1.0 - heads).log()).sum(1)

    def _messages(self, x: Tensor, seen: Tensor) -> list[Tensor]:
        """log p(what is seen at i and below | x_i) for every i: D of (B, 2)."""
        known = x.unsqueeze(2).eq(x.new_tensor([0.0, 1.0]))  # (B, D, 2)
        log_p = full(known.shape, -math.inf).to(x).masked_fill(known, 0.0)
        below = list(log_p.masked_fill(seen.logical_not().unsqueeze(1), 0.0).unbind(1))
        table = stack([1.0 - self.table, self.table], 2).log()  # (D, parent's value, x_i)
        for i in self.order.tolist()[:0:-1]:  # children before parents
            message = logsumexp(table[i] + below[i].unsqueeze(1), 2)  # (B, parent's value)
            up = int(self.parent[i].item())
            below[up] = below[up] + message
        return below

    @no_grad()
    def fill(self, x: Tensor, seen: Tensor, generator: Generator | None = None) -> Tensor:
        """Messages from the leaves up, then pixels from the root down."""
        flat, mask = self._parts(x, seen)
        below, filled = self._messages(flat, mask), flat.clone()
        table, known = stack([1.0 - self.table, self.table], 2).log(), mask.tolist()
        for i in self.order.tolist():
            above = filled[:, int(self.parent[i].item())].long()
            if not known[i]:
                p = log_softmax(table[i, above] + below[i], 1)[:, 1].exp()
                filled[:, i] = bernoulli(p, generator=generator)
        return filled.reshape(x.shape)


def spanning_tree(weight: Array) -> tuple[list[int], list[int]]:
    """The tree of the largest sum of weights (D, D), by Prim: parents (0: itself), parents first.

    >>> import numpy as np
    >>> from tinygen.models.explicit.tree import spanning_tree
    >>> spanning_tree(np.array([[0, 1, 5], [1, 0, 4], [5, 4, 0]]))
    ([0, 2, 0], [0, 2, 1])
    """
    parent, order = np.zeros(len(weight), int), [0]
    best = np.array(weight[0], float)  # of each node's edges to the tree
    best[0] = -np.inf
    while len(order) < len(weight):
        order.append(i := int(best.argmax()))
        best[i] = -np.inf  # it is in the tree
        nearer = (weight[i] > best) & np.isfinite(best)
        parent[nearer], best[nearer] = i, weight[i][nearer]
    return parent.tolist(), order
