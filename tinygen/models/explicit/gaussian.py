"""A mixture of Gaussians with full covariances: k-means to begin with, then EM."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...backend import Generator
from ...linalg import cholesky, eigh, solve, solve_triangular
from ...nn import functional as F
from ...ops import clamp, eye, multinomial, randn, where
from ...tape import no_grad
from ...tensor import Tensor
from ..likelihoods import LOG_2PI
from .components import Mixture, far_apart

__all__ = ["GaussianMixture"]


class GaussianMixture(Mixture):
    """p(x) = sum_j w_j N(x; mean_j, covariance_j) of x of `shape`, D numbers in all.

    floor: no covariance has a smaller eigenvalue. Without it a component that settles on one point
    has an infinite density. ValueError unless components >= 1 and floor > 0.

    >>> import tinygen as tg
    >>> model = tg.models.build("mixture", {"model": "gaussian", "shape": (2,), "components": 3})
    >>> x = tg.data.two_moons(200)
    >>> model.start(x)
    >>> bool(model.em_step(x) < model.em_step(x))
    True
    >>> w, means, covariances = model.conditional(x, tg.tensor([True, False]))   # x_2 given x_1
    >>> w.shape, means.shape, covariances.shape
    ((200, 3), (200, 3, 1), (3, 1, 1))
    """

    means: Tensor
    covariances: Tensor
    binary = False

    def __init__(self, shape: Sequence[int], components: int, floor: float = 1e-3) -> None:
        super().__init__(components)
        if not floor > 0.0:
            raise ValueError(f"GaussianMixture: expected floor > 0, got {floor}")
        self.shape, self.floor = tuple(shape), floor
        size = math.prod(shape)
        self.register_buffer("means", randn(components, size))
        self.register_buffer("covariances", eye(size).expand(components, size, size).clone())

    def log_each(self, x: Tensor, seen: Tensor | None) -> Tensor:
        """log N of the seen numbers: their own means and their own block of the covariance."""
        seen = self._mask(None) if seen is None else seen
        L = cholesky(self.covariances[:, seen][:, :, seen])  # (K, s, s)
        away = (x[:, seen].unsqueeze(1) - self.means[:, seen]).permute(1, 2, 0)  # (K, s, B)
        z = solve_triangular(L, away, upper=False)
        half_log_det = L.diagonal(dim1=1, dim2=2).log().sum(1)
        return (-0.5 * (L.shape[1] * LOG_2PI + z.square().sum(1))).T - half_log_det

    def conditional(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """p(rest | x_seen), a mixture: weights (B, K), means (B, K, u), covariances (K, u, u).

        mean_u + S_us S_ss^-1 (x_s - mean_s),     S_uu - S_us S_ss^-1 S_su
        """
        x, s = self._parts(x, seen)
        u, S = s.logical_not(), self.covariances
        gain = solve(S[:, s][:, :, s], S[:, s][:, :, u]).mT  # (K, u, s)
        away = (x[:, s].unsqueeze(1) - self.means[:, s]).unsqueeze(-1)  # (B, K, s, 1)
        means = self.means[:, u] + (gain @ away).squeeze(-1)
        return self.posterior(x.reshape(-1, *self.shape), seen), means, (
            S[:, u][:, :, u] - gain @ S[:, s][:, :, u]
        )  # fmt: skip

    @no_grad()
    def start(self, x: Tensor, generator: Generator | None = None, rounds: int = 10) -> None:
        """k-means (Lloyd 1982) from points far apart: so many rounds of x to its nearest mean."""
        x = self._flat(x)
        self.means.copy_(x[far_apart(x, len(self.means), generator)])
        for _ in range(rounds):
            far = self.means.square().sum(1) - 2.0 * x @ self.means.T  # and |x|^2, alike for all
            self._maximise(x, F.one_hot(far.argmin(1), len(self.means)).to(x))

    def restart(self, j: int, x: Tensor) -> None:
        """About x, as wide as the components are on the average."""
        self.means[j], self.covariances[j] = x, self.covariances.mean(0)

    def refit(self, x: Tensor, share: Tensor) -> None:
        """Mean and covariance of what each component explains.

        Eigenvalues below the floor are raised to it: of all covariances above the floor that one is
        the likeliest. A component that explains nothing stays where it is.
        """
        count = share.sum(0)
        alive = (count > 1e-6).unsqueeze(1)
        share = share / clamp(count, min=1e-6)
        self.means.copy_(where(alive, share.T @ x, self.means))
        for j, mean in enumerate(self.means):
            away = x - mean
            values, U = eigh((share[:, j : j + 1] * away).T @ away)
            if alive[j].item():
                self.covariances[j] = (U * clamp(values, min=self.floor)) @ U.T

    @no_grad()
    def fill(self, x: Tensor, seen: Tensor, generator: Generator | None = None) -> Tensor:
        weights, means, covariances = self.conditional(x, seen)
        which = multinomial(weights, 1, generator=generator)  # (B, 1)
        mean = means.take_along_dim(which.unsqueeze(2), 1).squeeze(1)
        noise = randn(mean.shape, generator=generator).to(mean)
        spread = cholesky(covariances)[which[:, 0]] @ noise.unsqueeze(-1)
        filled = self._flat(x).clone()
        filled[:, self._mask(seen).logical_not()] = mean + spread.squeeze(-1)
        return filled.reshape(x.shape)
