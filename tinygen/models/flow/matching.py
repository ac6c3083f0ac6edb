"""Flow matching: the velocity of a continuous flow, learned without running it.

    x_t = (1 - t) x_0 + t x_1,    loss = E |v(x_t, t) - (x_1 - x_0)|^2,    t uniform on [0, 1]

x_0 ~ N(0, I) and x_1 of the data, drawn apart from each other. The minimiser is v(x, t) =
E[x_1 - x_0 | x_t = x], and its flow takes N(0, I) to the data (Lipman et al. 2022,
arXiv:2210.02747; Liu et al. 2022, rectified flow, arXiv:2209.03003). It is diffusion's regression
with straight paths: neither solver nor trace in training. With pairs (x_0, x_1) that a trained flow
joins ("reflow") the paths become straighter, and fewer steps suffice.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...backend import Generator
from ...ops import rand, randn, randn_like
from ...tape import no_grad
from ...tensor import Tensor
from ..likelihoods import sum_dims
from ..systems import split
from .continuous import Continuous
from .transform import Flow, Transform

__all__ = ["FlowMatching"]


class FlowMatching(Flow):
    """A Flow (log_prob, sample) through maps without parameters and then `way`, learned by the
    straight paths' velocities.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import Continuous, FlowMatching
    >>> model = FlowMatching((2,), way=Continuous(tg.models.nets.TimeMLP(2, 16)))
    >>> model.terms((tg.randn(8, 2),))["loss"].shape, model.sample(3).shape
    ((), (3, 2))
    """

    def __init__(self, shape: Sequence[int], *before: Transform, way: Continuous) -> None:
        super().__init__(shape, *before, way)

    @property
    def way(self) -> Continuous:
        """The continuous part."""
        last: Continuous = self.chain.layers[-1]
        return last

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = |v(x_t, t) - (x_1 - x_0)|^2, summed over dimensions, the mean over the batch."""
        x = split(batch)[0]
        for layer in list(self.chain.layers)[:-1]:
            x = layer(x)[0]
        return {"loss": self.matching_loss(x).mean()}

    def matching_loss(self, x1: Tensor, x0: Tensor | None = None) -> Tensor:
        """(B,), at one time for each pair; x0: N(0, I) unless given, then as (B, ...) as x1."""
        x1 = x1.flatten(1)
        x0 = randn_like(x1) if x0 is None else x0.flatten(1)
        t = rand(len(x1)).to(x1)
        xt = x0 + t.unsqueeze(1) * (x1 - x0)
        return sum_dims((self.way.velocity(xt, t) - (x1 - x0)).square())

    @no_grad()
    def bend(self, n: int, generator: Generator | None = None, steps: int = 20) -> float:
        """E of the integral of |dx/dt - (x(1) - x(0))|^2 over n paths: 0 where all are straight."""
        like = next(iter(self.parameters()))
        path = self.way.path(randn(n, *self.shape, generator=generator).to(like), steps)
        whole = path[-1] - path[0]
        apart = [steps * (b - a) - whole for a, b in zip(path, path[1:])]
        return sum(sum_dims(d.square()).mean().item() for d in apart) / steps
