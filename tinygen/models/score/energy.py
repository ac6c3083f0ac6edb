"""An energy-based model: any network is a density, but for its normaliser; trained by Langevin.

    p(x) = e^(-E(x)) / Z,     E(x) = f(x) + |x|^2 / (2 (2 std)^2)

    grad -log p(data) = grad E(x+) - grad E(x-),     x+ from the data, x- from the model

A perceptron f tilts a wide Gaussian, so that Z is finite. The x- are drawn by Langevin dynamics
along the slope of E: from the data (contrastive divergence, Hinton 2002), or from where the last
chains ended, kept in a replay buffer (persistent: Tieleman 2008; Du and Mordatch 2019,
arXiv:1903.08689). Its score -grad E is conservative by construction: no curl.

What goes wrong: chains that are too short or too warm, and E learns what makes these chains look
like data, not what makes e^-E the data's law; without fresh starts the buffer forgets modes; from
the data alone valleys that no data are in are never filled; E can run away, both sides together
(hence a small penalty).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ... import nn
from ...backend import Generator
from ...checks import numbers, positive
from ...ops import randn, randperm
from ...tape import no_grad
from ...tensor import Tensor
from ..likelihoods import sum_dims
from ..nets.dense import mlp
from ..systems import settings, split
from .langevin import gradient, mala, ula

__all__ = ["EnergyModel", "ReplayBuffer", "build"]

SIGHT = 4.0  # the data as the perceptron sees them: this many of its units wide
STARTS = ("buffer", "data")
SAMPLERS = ("mala", "langevin")


class ReplayBuffer(nn.Module):
    """`size` points of `shape` where chains ended, from which the next ones start.

    >>> import tinygen as tg
    >>> buffer = tg.models.score.ReplayBuffer(10, (2,), std=3.0)
    >>> where, x = buffer.draw(4, fresh=0.0)
    >>> buffer.keep(where, x + 100.0)
    >>> (buffer.points > 50.0).sum().item()        # 4 points of 2 numbers
    8
    """

    points: Tensor

    def __init__(self, size: int, shape: Sequence[int], std: float) -> None:
        super().__init__()
        positive("ReplayBuffer", size=size)
        self.std = std
        self.register_buffer("points", std * randn(size, *shape))

    def draw(
        self, n: int, fresh: float = 0.05, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Places (n,) in the buffer, no two the same, and their points; some begin anew.

        round(fresh n) of them are draws of N(0, std^2 I). ValueError for n above the size.
        """
        if not 1 <= n <= len(self.points):
            raise ValueError(f"ReplayBuffer: expected 1 <= n <= {len(self.points)}, got {n}")
        where = randperm(len(self.points), generator=generator, device=self.points.device)[:n]
        x = self.points[where]
        k = round(fresh * n)
        x[:k] = self.std * randn(k, *x.shape[1:], generator=generator, device=x.device).to(x)
        return where, x

    @no_grad()
    def keep(self, where: Tensor, x: Tensor) -> None:
        """Points x (n, ...) take these places."""
        self.points[where] = x.detach()


class EnergyModel(nn.Module):
    """E(x) for points of `shape`: a perceptron of `hidden` units on a Gaussian of 2 `std`.

    start: where the chains of training begin, "buffer" or "data". sampler: "mala", or "langevin"
    without correction; `chain` steps of size `step` a batch. ValueError for others.

    >>> import tinygen as tg
    >>> model = tg.models.build("energy", {"hidden": 8, "chain": 2})
    >>> x = tg.randn(5, 2)
    >>> model(x).shape, model.score(x).shape, model.sample(3, steps=4).shape
    ((5,), (5, 2), (3, 2))
    """

    classes = 0
    pixels = (-1.0, 1.0)

    def __init__(
        self, shape: Sequence[int], hidden: int = 64, std: float = 1.0, start: str = "buffer",
        sampler: str = "mala", chain: int = 20, step: float = 0.1, size: int = 5000,
        penalty: float = 1e-3, fresh: float = 0.05,
    ) -> None:  # fmt: skip
        super().__init__()
        positive("EnergyModel", hidden=hidden, chain=chain)
        numbers("EnergyModel", 0, std=std, step=step, penalty=penalty)
        numbers("EnergyModel", 0, 1, fresh=fresh)
        if not std * step > 0:
            raise ValueError(f"EnergyModel: expected std, step > 0, got {std} and {step}")
        if start not in STARTS or sampler not in SAMPLERS:
            raise ValueError(
                f"EnergyModel: expected start in {STARTS} and sampler in {SAMPLERS}, got {start!r} "
                f"and {sampler!r}"
            )
        self.shape, self.std, self.begin, self.sampler = tuple(shape), std, start, sampler
        self.chain, self.step, self.penalty, self.fresh = chain, step, penalty, fresh
        self.net = mlp([math.prod(self.shape), hidden, hidden, 1], activation=nn.SiLU)
        self.buffer = ReplayBuffer(size, shape, 2.0 * std)

    def forward(self, x: Tensor) -> Tensor:
        """E(x) in nats: (B, *shape) -> (B,)."""
        wide = sum_dims(x.square()) / (8.0 * self.std**2)
        out: Tensor = self.net(x.flatten(1) * (SIGHT / self.std))[:, 0] + wide
        return out

    def score(self, x: Tensor) -> Tensor:
        """-grad E(x), as x is shaped."""
        return gradient(lambda x: -self(x), x)[1]

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = E(x+) - E(x-) + penalty (E(x+)^2 + E(x-)^2), means; chains and buffer move on."""
        x, _ = split(batch)
        where, start = (None, x) if self.begin == "data" else self.buffer.draw(len(x), self.fresh)
        *_, drawn = self.path(start, self.chain)
        if where is not None:
            self.buffer.keep(where, drawn)
        low, high = self(x), self(drawn)
        gap = low.mean() - high.mean()
        size = low.square().mean() + high.square().mean()
        return {"loss": gap + self.penalty * size, "data": low.mean(), "drawn": high.mean()}

    def path(
        self, x: Tensor, steps: int, generator: Generator | None = None,
        sampler: str | None = None,
    ) -> Iterator[Tensor]:  # fmt: skip
        """Where `steps` steps of the sampler lead from x (B, *shape), after each; no graph."""
        sampler = self.sampler if sampler is None else sampler
        if sampler not in SAMPLERS:
            raise ValueError(f"EnergyModel: sampler {sampler!r}; there are {', '.join(SAMPLERS)}")
        if sampler == "mala":
            log_density = lambda x: -self(x)
            chains = mala(log_density, x.detach(), self.step, steps, generator, reach=2.0)
            return (x for x, _ in chains)
        return ula(self.score, x.detach(), self.step, steps, generator)

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        steps: int = 500, sampler: str | None = None,
    ) -> Tensor:  # fmt: skip
        """n points (n, *shape), chains of `steps` steps from N(0, (2 std)^2 I); no labels."""
        if labels is not None:
            raise ValueError("EnergyModel: labels were given; this model has none")
        like = next(iter(self.parameters()))
        x = randn(n, *self.shape, generator=generator, dtype=like.dtype, device=like.device)
        *_, x = self.path(2.0 * self.std * x, steps, generator, sampler)
        return x


def build(config: Mapping[str, Any]) -> EnergyModel:
    """hidden, std, start, sampler, chain, step, size, penalty, fresh: see EnergyModel."""
    c = settings("energy", config, shape=(2,), hidden=64, std=4.0, start="buffer", sampler="mala",
                 chain=20, step=0.1, size=5000, penalty=1e-3, fresh=0.05)  # fmt: skip
    return EnergyModel(c.shape, c.hidden, c.std, c.start, c.sampler, c.chain, c.step, c.size,
                       c.penalty, c.fresh)  # fmt: skip
