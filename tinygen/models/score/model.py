"""A network that says the score of noised data at every level of noise, and what follows from it.

    s(x, sigma) ~ grad log q_sigma(x),     q_sigma = data with noise N(0, sigma^2 I)

As it begins, s is the score of one Gaussian of the data's size; the network F bends it from there
(after Karras et al. 2022, arXiv:2206.00364; c^2 = sigma^2 + std^2):

    s(x, sigma) = -x / c^2 + std / (sigma c) F(x / c, log sigma)

Samples come by annealed Langevin, or by the probability-flow ODE dx/dsigma = -sigma s(x, sigma),
whose marginals are those of the noise and which has a density too (Song et al. 2021,
arXiv:2011.13456): log p(x) = log p(x at sigma_max) + the integral of the flow's divergence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ... import nn
from ...backend import Generator
from ...checks import integers, numbers, positive
from ...ops import rand, randn, zeros
from ...tape import no_grad
from ...tensor import Tensor
from ..likelihoods import gaussian_log_prob
from ..ode import divergence, integrate
from ..systems import split
from .langevin import annealed, ula
from .matching import OBJECTIVES, denoising, exact, signs, sliced

__all__ = ["SAMPLERS", "ScoreModel"]

SAMPLERS = ("annealed", "langevin", "flow")


class ScoreModel(nn.Module):
    """net(x, time (B,) in 0..1000) under a score, for data of `shape` and size `std` about 0.

    Trained with noise between sigma_min and sigma_max, by one of OBJECTIVES. `levels` levels, equal
    factors apart, and `chain` steps of size `step` sigma^2 at each make the annealed sampler; one
    level (sigma_max = sigma_min) makes it plain Langevin. ValueError for what cannot be.

    >>> import tinygen as tg
    >>> model = tg.models.build("score", {"hidden": 8, "levels": 4, "chain": 5})
    >>> x = tg.randn(6, 2)
    >>> model.score(x, 0.5).shape, model.log_prob(x, steps=4).shape, model.sample(3).shape
    ((6, 2), (6,), (3, 2))
    """

    classes = 0

    def __init__(
        self, net: nn.Module, shape: Sequence[int], sigma_min: float, sigma_max: float,
        levels: int = 10, std: float = 1.0, objective: str = "denoising", step: float = 0.2,
        chain: int = 100, pixels: tuple[float, float] = (-1.0, 1.0),
    ) -> None:  # fmt: skip
        super().__init__()
        positive("ScoreModel", levels=levels, chain=chain)
        numbers("ScoreModel", 0, sigma_min=sigma_min, sigma_max=sigma_max, std=std, step=step)
        if objective not in OBJECTIVES:
            raise ValueError(f"ScoreModel: objective {objective!r}; there are {OBJECTIVES}")
        if not 0 < sigma_min <= sigma_max or (sigma_min < sigma_max) != (levels > 1):
            raise ValueError(
                f"ScoreModel: expected 0 < sigma_min < sigma_max, or the same for one level, got "
                f"{sigma_min}, {sigma_max} and {levels} levels"
            )
        if not std * step > 0:
            raise ValueError(f"ScoreModel: expected std, step > 0, got {std} and {step}")
        self.net, self.shape, self.std, self.objective = net, tuple(shape), std, objective
        self.sigmas: list[float] = np.geomspace(sigma_max, sigma_min, levels).tolist()
        self.step, self.chain, self.pixels = step, chain, pixels

    def score(self, x: Tensor, sigma: Tensor | float) -> Tensor:
        """s(x, sigma), as x (B, ...) is shaped; sigma: one number, or (B,)."""
        sigma = sigma if isinstance(sigma, Tensor) else zeros(len(x)).to(x) + sigma
        top, low = math.log(self.sigmas[0]), math.log(self.sigmas[-1])
        time = 1000.0 / (top - low or 1.0) * (sigma.log() - low)
        sigma = sigma.reshape(-1, *[1] * (x.ndim - 1))
        c = (sigma.square() + self.std**2).sqrt()
        out: Tensor = self.std / (sigma * c) * self.net(x / c, time) - x / c.square()
        return out

    def losses(self, x: Tensor, sigma: Tensor, generator: Generator | None = None) -> Tensor:
        """sigma^2 times the objective on x (B, ...) with noise of sigma (B,) put on: (B,)."""
        eps = randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        column = sigma.reshape(-1, *[1] * (x.ndim - 1))
        score = lambda x: self.score(x, sigma)
        match self.objective:
            case "exact":
                loss = exact(score, x + column * eps)
            case "sliced":
                loss = sliced(score, x + column * eps, signs(x, generator))
            case _:
                loss = denoising(score, x, eps, column)
        return sigma.square() * loss

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = the mean of `losses` a dimension, log sigma drawn uniform between its ends."""
        x, _ = split(batch)
        low, ratio = self.sigmas[-1], math.log(self.sigmas[0] / self.sigmas[-1])
        sigma = low * (ratio * rand(len(x), dtype=x.dtype, device=x.device)).exp()
        return {"loss": self.losses(x, sigma).mean() / math.prod(self.shape)}

    # --- samples ----------------------------------------------------------------------------------

    def start(self, n: int, sigma: float, generator: Generator | None = None) -> Tensor:
        """n draws of N(0, (sigma^2 + std^2) I), where sampling begins."""
        like = next(iter(self.parameters()))
        z = randn(n, *self.shape, generator=generator, dtype=like.dtype, device=like.device)
        return math.hypot(sigma, self.std) * z

    def path(
        self, n: int, generator: Generator | None = None, sampler: str = "annealed"
    ) -> Iterator[Tensor]:
        """n points on their way, (n, *shape) after each step: one of SAMPLERS, else ValueError.

        "annealed": through all levels. "langevin": as many steps at the lowest level alone, from
        a start more than twice as wide as the data, with a tenth of their size in place of sigma.
        "flow": the ODE, four steps of Heun's method a level and at least `chain` in all.
        """
        if sampler not in SAMPLERS:
            raise ValueError(f"ScoreModel: sampler {sampler!r}; there are {', '.join(SAMPLERS)}")
        if sampler == "flow":
            self._check_levels()
        lowest, plain = self.sigmas[-1], sampler == "langevin" or len(self.sigmas) == 1
        x = self.start(n, 2.0 * self.std if plain else self.sigmas[0], generator)
        if sampler == "flow":
            return self._flow(x)
        if plain:
            score, steps = lambda x: self.score(x, lowest), self.chain * len(self.sigmas)
            return ula(score, x, self.step * (0.1 * self.std) ** 2, steps, generator)
        return annealed(self.score, x, self.sigmas, self.step, self.chain, generator)

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        sampler: str = "annealed",
    ) -> Tensor:  # fmt: skip
        """n samples (n, *shape): a path's end without its last noise; ValueError for labels."""
        if labels is not None:
            raise ValueError("ScoreModel: labels were given; this model has none")
        *_, x = self.path(n, generator, sampler)
        return self.denoise(x)

    @no_grad()
    def denoise(self, x: Tensor, sigma: float | None = None) -> Tensor:
        """E[x_0 | x] = x + sigma^2 s(x, sigma) (Tweedie); sigma_min unless given."""
        sigma = self.sigmas[-1] if sigma is None else sigma
        return x + sigma**2 * self.score(x, sigma)

    def _flow(self, x: Tensor) -> Iterator[Tensor]:
        with no_grad():
            ends = math.log(self.sigmas[0]), math.log(self.sigmas[-1])
            path = integrate(lambda t, state: (self._velocity(t)(state[0]),), (x,), *ends,
                             max(4 * len(self.sigmas), self.chain), "heun")  # fmt: skip
        yield from (x for (x,) in path[1:])

    def _check_levels(self) -> None:
        if len(self.sigmas) == 1:
            raise ValueError("ScoreModel: the probability flow needs levels > 1, got 1")

    def _velocity(self, log_sigma: float) -> Callable[[Tensor], Tensor]:
        """x -> dx / d log sigma = -sigma^2 s(x, sigma)."""
        sigma = math.exp(log_sigma)
        return lambda x: -(sigma**2) * self.score(x, sigma)

    # --- density ----------------------------------------------------------------------------------

    @no_grad()
    def log_prob(
        self, x: Tensor, steps: int = 40, probes: int = 0, generator: Generator | None = None,
    ) -> Tensor:  # fmt: skip
        """log p(x) in nats, (B,), of what the probability flow makes of N(0, sigma_max^2 + std^2).

        It ends at sigma_min: p is the law of data with that little noise. `steps` steps of RK4 in
        log sigma. probes = 0: the exact divergence, a backward for each dimension; else the mean
        over so many random probes, unbiased in log p for the same ODE.
        """
        integers("ScoreModel.log_prob", 0, probes=probes)
        if x.shape[1:] != self.shape:
            raise ValueError(f"ScoreModel: expected x of shape (B, *{self.shape}), got {x.shape}")
        self._check_levels()
        low, top = math.log(self.sigmas[-1]), math.log(self.sigmas[0])
        found = []
        for _ in range(max(1, probes)):
            probe = signs(x, generator) if probes else None
            field = lambda t, state, v=probe: divergence(self._velocity(t), state[0], v)
            start = (x, zeros(len(x)).to(x))
            z, total = integrate(field, start, low, top, steps)[-1]
            log_var = math.log(self.sigmas[0] ** 2 + self.std**2)
            found.append(gaussian_log_prob(z, 0.0 * z, log_var) + total)
        out: Tensor = sum(found[1:], found[0]) / len(found)
        return out
