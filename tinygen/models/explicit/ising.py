"""The Ising model: pixels are spins that lean to their four neighbours (Ising 1925)."""

from __future__ import annotations

from collections.abc import Sequence

from ... import nn
from ...backend import Generator
from ...nn import functional as F
from ...ops import arange, bernoulli, full, logsumexp, where, zeros
from ...tape import no_grad
from ...tensor import Tensor
from ..likelihoods import bernoulli_log_prob
from ..systems import split
from .fields import MarkovField, all_binary

__all__ = ["Ising"]


class Ising(MarkovField):
    """Spins s = 2 x - 1 on a grid (1, H, W), a field for each and a coupling for each edge.

        E(x) = - sum_i field_i s_i - sum_edges coupling_ij s_i s_j

    coupling: of every edge to begin with, 1 / temperature. Z is a product of matrices, one a row:
    H 4^W terms in place of 2^(H W), exact while 4^W is. learn="pseudo" trains on the mean of
    sum_i log p(x_i | all others) instead of log p(x), which needs no Z (Besag 1975). ValueError for
    another shape, another `learn`, and pixels that are not 0 or 1.

    >>> import tinygen as tg
    >>> config = {"model": "ising", "shape": (1, 3, 3), "coupling": 0.5}
    >>> model = tg.models.build("markov_field", config)
    >>> up, down = model.log_prob(tg.ones(1, 1, 3, 3)), model.log_prob(tg.zeros(1, 1, 3, 3))
    >>> bool(up == down)
    True
    """

    def __init__(self, shape: Sequence[int], coupling: float = 0.0, learn: str = "exact") -> None:
        super().__init__()
        if len(shape) != 3 or shape[0] != 1 or learn not in ("exact", "pseudo"):
            raise ValueError(
                "Ising: expected a shape (1, H, W) and learn 'exact' or 'pseudo', got "
                f"{tuple(shape)}, {learn!r}"
            )
        self.shape, self.learn = tuple(shape), learn
        _, H, W = self.shape
        self.field = nn.Parameter(zeros(H, W))
        self.right = nn.Parameter(full((H, W - 1), coupling))  # of (i, j) and (i, j + 1)
        self.down = nn.Parameter(full((H - 1, W), coupling))  # of (i, j) and (i + 1, j)

    @no_grad()
    def start(self, x: Tensor) -> None:
        self.field.copy_(0.5 * self._log_odds(x)[0])
        self.right.zero_()
        self.down.zero_()

    def energy(self, x: Tensor) -> Tensor:
        s = 2.0 * self._checked(x)[:, 0] - 1.0
        across = (self.right * s[:, :, 1:] * s[:, :, :-1]).sum((1, 2))
        along = (self.down * s[:, 1:] * s[:, :-1]).sum((1, 2))
        return -(self.field * s).sum((1, 2)) - across - along

    def log_z(self) -> Tensor:
        """Row by row: the sum over all rows above is one number for each of the 2^W rows here."""
        _, H, W = self.shape
        self._affordable(2 * W, f"pairs of rows of {W} pixels")
        s = 2.0 * all_binary(W, self.field) - 1.0  # (2^W, W)
        inside = s @ self.field.T + (s[:, 1:] * s[:, :-1]) @ self.right.T  # (2^W, H)
        total = inside[:, 0]
        for i in range(1, H):
            between = (s * self.down[i - 1]) @ s.T  # (2^W above, 2^W here)
            total = logsumexp(total.unsqueeze(1) + between, 0) + inside[:, i]
        return logsumexp(total, 0)

    def logits(self, x: Tensor) -> Tensor:
        """log p(x_i = 1 | all others) - log p(x_i = 0 | all others), (B, 1, H, W)."""
        s = 2.0 * x[:, 0] - 1.0
        across, along = self.right * s[:, :, 1:], self.down * s[:, 1:]  # from right, from below
        back, up = self.right * s[:, :, :-1], self.down * s[:, :-1]  # from left, from above
        field = self.field + F.pad(across, (0, 1)) + F.pad(back, (1, 0))
        field = field + F.pad(along, (0, 0, 0, 1)) + F.pad(up, (0, 0, 1, 0))
        return 2.0 * field.unsqueeze(1)

    def pseudo_log_prob(self, x: Tensor) -> Tensor:
        """sum_i log p(x_i | all others) in nats, (B,): no density of x, but cheap at any size."""
        return bernoulli_log_prob(self._checked(x), self.logits(x))

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log p(x) in nats, or minus its pseudo-likelihood, the mean over the batch."""
        if self.learn == "exact":
            return super().terms(batch)
        pseudo = self.pseudo_log_prob(split(batch)[0]).mean()
        return {"loss": -pseudo, "pseudo_log_prob": pseudo}

    @no_grad()
    def gibbs(
        self, x: Tensor, generator: Generator | None = None, seen: Tensor | None = None
    ) -> Tensor:
        """The black squares of a chessboard given the white ones, all at once; then the white."""
        _, H, W = self.shape
        i, j = arange(H, device=x.device).unsqueeze(1), arange(W, device=x.device)
        for colour in (0, 1):
            drawn = bernoulli(self.logits(x).sigmoid(), generator=generator)
            turn = (i + j) % 2 == colour
            x = where(turn if seen is None else turn & seen.logical_not(), drawn, x)
        return x
