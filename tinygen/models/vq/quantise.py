"""Quantisers: a map of vectors z (B, d, H, W) becomes integers, and vectors again.

    Codebook       the nearest of `size` vectors            (B, H, W)
    Residual       a codebook for what is left, again       (B, steps, H, W), or coarse to fine
    Product        a codebook for each group of channels    (B, groups, H, W)
    FiniteScalar   each channel rounded to a few values     (B, H, W)

Every one has `size` (its integers are 0 .. size-1), `dim` (d of its vectors), `forward(z) ->
Quantised`, and `lookup(indices) -> z`. The integers of all are told flat, (B, N), in the order of
their making.

Rounding has no gradient: z_q = z + stop(z_q - z) has z_q's value, and passes z the gradient that
z_q receives (straight through; Bengio et al. 2013, arXiv:1308.3432).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ... import nn
from ...checks import positive
from ...nn import functional as F
from ...ops import cat, randint, randn, randperm, stack, tanh, tensor, where, zeros
from ...tape import no_grad
from ...tensor import Tensor

__all__ = [
    "Codebook", "FiniteScalar", "Product", "Quantised", "Quantiser", "Residual", "perplexity",
    "straight_through",
]  # fmt: skip


class Quantised(NamedTuple):
    """z: as it came in, each vector replaced; indices (B, N); loss: a number to add, 0 for none."""

    z: Tensor
    indices: Tensor
    loss: Tensor


class Quantiser(nn.Module):
    """`size` values of an index; of a map of H x W vectors of length `dim` `tokens(H, W)` of them.

    ValueError for maps of vectors of another length.
    """

    size: int
    dim: int

    def check(self, z: Tensor) -> None:
        """ValueError unless z is (B, dim, H, W)."""
        if z.ndim != 4 or z.shape[1] != self.dim:
            raise ValueError(
                f"{type(self).__name__}: expected vectors (B, {self.dim}, H, W), got {z.shape}"
            )

    def tokens(self, height: int, width: int) -> int:
        """How many integers a map of H x W vectors becomes."""
        return height * width

    def lookup(self, indices: Tensor, height: int, width: int) -> Tensor:
        """The vectors that (B, tokens) integers stand for: (B, d, H, W)."""
        raise NotImplementedError


def straight_through(z: Tensor, value: Tensor) -> Tensor:
    """`value`, with the gradient of the identity in z.

    >>> import tinygen as tg
    >>> z = tg.tensor([0.2, 0.7], requires_grad=True)
    >>> y = tg.models.vq.straight_through(z, z.round())
    >>> y.tolist(), tg.autograd.grad((y * tg.tensor([2.0, 3.0])).sum(), z)[0].tolist()
    ([0.0, 1.0], [2.0, 3.0])
    """
    return z + (value - z).detach()


def perplexity(indices: Tensor, size: int) -> float:
    """exp of the entropy of how often each of `size` values occurs: 1 (one alone) .. size (alike).

    >>> import tinygen as tg
    >>> tg.models.vq.perplexity(tg.tensor([[0, 1], [1, 0]]), size=8)
    2.0
    """
    share = F.one_hot(indices.flatten(), size).double().mean(0)
    return float(math.exp(-(share * (share + (share == 0)).log()).sum().item()))


class Codebook(Quantiser):
    """The nearest of `size` vectors of length d (van den Oord et al. 2017, arXiv:1711.00937).

        loss = |stop(z) - e|^2 + beta |z - stop(e)|^2      the means over a batch's numbers

    decay: vectors are no parameters but moving averages of the z that chose them (the first term
    falls away); with decay 0 and all data in a batch that is a step of k-means. decay=None: they
    are learned by the loss. Both move in training mode only. restart: a vector that less than so
    many of a batch choose, on average, is moved to one of its z (Dhariwal et al. 2020,
    arXiv:2005.00341); 0 leaves it dead. The vectors begin at z of the first batch.

    ValueError where the first batch has fewer vectors than the codebook.

    >>> import tinygen as tg
    >>> book = tg.models.vq.Codebook(size=16, dim=4)
    >>> q = book(tg.randn(2, 4, 3, 3))
    >>> q.z.shape, q.indices.shape, book.lookup(q.indices, 3, 3).shape
    ((2, 4, 3, 3), (2, 9), (2, 4, 3, 3))
    """

    vectors: Tensor
    counts: Tensor
    sums: Tensor
    started: Tensor

    def __init__(
        self,
        size: int,
        dim: int,
        beta: float = 0.25,
        decay: float | None = 0.99,
        restart: float = 0.05,
    ) -> None:
        super().__init__()
        positive("Codebook", size=size, dim=dim)
        if decay is not None and not 0.0 <= decay < 1.0:
            raise ValueError(f"Codebook: expected decay in [0, 1) or None, got {decay}")
        self.size, self.dim, self.beta = size, dim, beta
        self.decay, self.restart = decay, restart
        start = randn(size, dim) / math.sqrt(dim)
        if decay is None:
            self.vectors = nn.Parameter(start)
        else:
            self.register_buffer("vectors", start)
            self.register_buffer("sums", start.clone())
        self.register_buffer("counts", zeros(size) + 1.0)  # moving average of the z that chose each
        self.register_buffer("started", tensor(0.0))

    def forward(self, z: Tensor) -> Quantised:
        self.check(z)
        rows = _rows(z)
        self.begin(rows.detach())
        indices = self.nearest(rows.detach())
        chosen = self.vectors[indices]
        loss = self.beta * (rows - chosen.detach()).square().mean()
        if self.decay is None:
            loss = loss + (rows.detach() - chosen).square().mean()
        if self.training:
            self._move(rows.detach(), indices)
        places = (len(z), *z.shape[2:])
        value = chosen.detach().unflatten(0, places).movedim(-1, 1)
        return Quantised(straight_through(z, value), indices.reshape(places).flatten(1), loss)

    @no_grad()
    def nearest(self, rows: Tensor) -> Tensor:
        """argmin_k |z - e_k|^2 of rows (n, d): (n,). |z|^2 is the same for all, and left out."""
        e = self.vectors
        return (e.square().sum(1) - 2.0 * rows @ e.T).argmin(1)

    def lookup(self, indices: Tensor, height: int, width: int) -> Tensor:
        return self.vectors[indices].transpose(1, 2).unflatten(2, (height, width))

    @no_grad()
    def begin(self, rows: Tensor) -> None:
        """Put the vectors at some of the rows (n, d), in training mode and the first time only."""
        if not self.training or self.started.item():
            return
        if len(rows) < self.size:
            raise ValueError(
                f"Codebook: {self.size} vectors begin at those of the first batch, which has "
                f"{len(rows)}; give it more pictures, or a smaller codebook"
            )
        self._put(slice(None), rows[randperm(len(rows))[: self.size]])
        self.started.fill_(1.0)

    @no_grad()
    def _move(self, rows: Tensor, indices: Tensor) -> None:
        chosen = F.one_hot(indices, self.size).to(rows.dtype)
        keep = 0.99 if self.decay is None else self.decay
        self.counts.mul_(keep).add_((1.0 - keep) * chosen.sum(0))
        if self.decay is not None:
            self.sums.mul_(keep).add_((1.0 - keep) * (chosen.T @ rows))
            mean = self.sums / self.counts.clamp(min=1e-12).unsqueeze(1)
            self.vectors.copy_(where((self.counts > 1e-6).unsqueeze(1), mean, self.vectors))
        dead = (self.counts < self.restart).nonzero()[:, 0]
        if len(dead):
            self._put(dead, rows[randint(len(rows), (len(dead),))])

    def _put(self, which: slice | Tensor, rows: Tensor) -> None:
        """Let these vectors be at `rows`, each as if one z had chosen it."""
        self.vectors.data[which] = rows
        self.counts[which] = 1.0
        if self.decay is not None:
            self.sums[which] = rows


def _rows(z: Tensor) -> Tensor:
    """(B, d, H, W) -> (B H W, d)."""
    return z.movedim(1, -1).reshape(-1, z.shape[1])


class Residual(Quantiser):
    """Quantise, subtract, quantise what is left: z ~ e_1 + e_2 + ... (arXiv:2203.01941).

    books: a codebook a step, or one for all. scales: the side of the map at each step, for
    coarse-to-fine codes: what is left is averaged down to it and the code drawn large again, so
    that the first token is about the whole picture (VAR; Tian et al. 2024, arXiv:2404.02905, which
    has a convolution after each enlargement; here is none). Its loss is the sum of the steps'.

    ValueError where scales are not rising.

    >>> import tinygen as tg
    >>> book = tg.models.vq.Codebook(size=8, dim=4)
    >>> q = tg.models.vq.Residual([book], scales=[1, 2, 4])(tg.randn(2, 4, 4, 4))
    >>> q.indices.shape                                          # 1 + 4 + 16
    (2, 21)
    """

    def __init__(self, books: Sequence[Codebook], scales: Sequence[int] = ()) -> None:
        super().__init__()
        if list(scales) != sorted(set(scales)) or (scales and min(scales) < 1):
            raise ValueError(f"Residual: expected rising scales >= 1, got {list(scales)}")
        if scales and len(books) not in (1, len(scales)):
            raise ValueError(f"Residual: {len(books)} codebooks for {len(scales)} scales")
        self.books, self.scales = nn.ModuleList(books), tuple(scales)
        self.size, self.dim = books[0].size, books[0].dim
        self.steps = len(scales) or len(books)

    def sides(self, height: int, width: int) -> list[tuple[int, int]]:
        """(H, W) of the map at each step."""
        return [(s, s) for s in self.scales] or [(height, width)] * self.steps

    def tokens(self, height: int, width: int) -> int:
        return sum(h * w for h, w in self.sides(height, width))

    def forward(self, z: Tensor) -> Quantised:
        self.check(z)
        if len(self.books) == 1:  # the first map alone may have fewer vectors than the book
            self._book(0).begin(_rows(z.detach()))
        left, made, loss, indices = z, z.new_zeros(z.shape), [], []
        for i, (h, w) in enumerate(self.sides(*z.shape[2:])):
            q = self._book(i)(F.interpolate(left, (h, w), mode="area"))
            step = F.interpolate(self._book(i).lookup(q.indices, h, w), z.shape[2:], mode="bicubic")
            made, left = made + step.detach(), left - step.detach()
            loss.append(q.loss)
            indices.append(q.indices)
        return Quantised(straight_through(z, made), cat(indices, 1), stack(loss).sum())

    def lookup(self, indices: Tensor, height: int, width: int) -> Tensor:
        """Of (B, n) integers, n the tokens of the first steps: the sum of those steps."""
        made, start = None, 0
        for i, (h, w) in enumerate(self.sides(height, width)):
            if start >= indices.shape[1]:
                break
            step = self._book(i).lookup(indices[:, start : start + h * w], h, w)
            step = F.interpolate(step, (height, width), mode="bicubic")
            made, start = step if made is None else made + step, start + h * w
        if made is None:
            raise ValueError("Residual.lookup: no integers were given")
        return made

    def _book(self, i: int) -> Codebook:
        book: Codebook = self.books[min(i, len(self.books) - 1)]
        return book


class Product(Quantiser):
    """The channels in groups, a codebook for each (Jegou et al. 2011): size^groups values a place.

    >>> import tinygen as tg
    >>> books = [tg.models.vq.Codebook(size=8, dim=2) for _ in range(3)]
    >>> tg.models.vq.Product(books)(tg.randn(2, 6, 4, 4)).indices.shape
    (2, 48)
    """

    def __init__(self, books: Sequence[Codebook]) -> None:
        super().__init__()
        self.books, self.size = nn.ModuleList(books), books[0].size
        self.dim = sum(book.dim for book in books)

    def tokens(self, height: int, width: int) -> int:
        return len(self.books) * height * width

    def forward(self, z: Tensor) -> Quantised:
        self.check(z)
        parts = [book(part) for book, part in zip(self.books, z.chunk(len(self.books), 1))]
        loss = stack([part.loss for part in parts]).mean()
        return Quantised(cat([p.z for p in parts], 1), cat([p.indices for p in parts], 1), loss)

    def lookup(self, indices: Tensor, height: int, width: int) -> Tensor:
        parts = zip(self.books, indices.chunk(len(self.books), 1))
        return cat([book.lookup(part, height, width) for book, part in parts], 1)


class FiniteScalar(Quantiser):
    """Each channel to one of a few values in [-1, 1] (Mentzer et al. 2023, arXiv:2309.15505).

        value_c = round(h tanh(z_c + s) - o) / floor(L_c / 2),    h = (L_c - 1) / 2

    o = 1/2, s = atanh(o / h) for even L_c, so that its values are -L/2 .. L/2 - 1; 0 for odd. There
    is nothing to learn, no loss, and no code can die. levels: L_c of each channel; size is their
    product.

    >>> import tinygen as tg
    >>> fsq = tg.models.vq.FiniteScalar([3, 3])
    >>> q = fsq(tg.tensor([[2.0, -2.0]]).reshape(1, 2, 1, 1))
    >>> q.z.flatten().tolist(), q.indices.tolist(), fsq.size
    ([1.0, -1.0], [[2]], 9)
    """

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"FiniteScalar: expected levels >= 2, got {list(levels)}")
        self.levels, self.size, self.dim = tuple(levels), math.prod(levels), len(levels)
        offset = [0.0 if n % 2 else 0.5 for n in levels]
        # A little more than the ends, so that they are reached (as the paper's code has it).
        reach = [(n - 1) * 1.001 / 2 for n in levels]
        shift = [math.atanh(o / h) for o, h in zip(offset, reach)]
        for name, row in (("offset", offset), ("reach", reach), ("shift", shift)):
            self.register_buffer(name, tensor(row).reshape(-1, 1, 1), persistent=False)
        middle = [n // 2 for n in levels]
        places = [math.prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer("middle", tensor(middle).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("places", tensor(places).reshape(-1, 1, 1), persistent=False)

    def forward(self, z: Tensor) -> Quantised:
        self.check(z)
        bounded = self.reach * tanh(z + self.shift) - self.offset
        whole = straight_through(bounded, bounded.round())
        digits = whole.detach().long() + self.middle
        indices = (digits * self.places).sum(1).flatten(1)
        return Quantised(whole / self.middle, indices, z.new_zeros(()))

    def lookup(self, indices: Tensor, height: int, width: int) -> Tensor:
        grid = indices.reshape(len(indices), 1, height, width)
        sizes = tensor(self.levels, device=indices.device).reshape(-1, 1, 1)
        digits = grid // self.places % sizes
        return (digits - self.middle).to(self.reach.dtype) / self.middle
