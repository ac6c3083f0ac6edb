"""A flow in continuous time: points move with a velocity that a network says.

    dx/dt = v(x, t),  x(0) = z ~ N(0, I),  x(1) = data;    d log p(x(t))/dt = -tr dv/dx

Chen et al. 2018 (arXiv:1806.07366), Grathwohl et al. 2018 (FFJORD, arXiv:1810.01367). Time runs in
Runge-Kutta steps, and gradients go through the steps as they were run: the density is that of the
solver's curve up to its error of order h^4. The trace is exact, one vector-Jacobian product a
dimension, or Hutchinson's: e' (dv/dx) e with E e e' = I, unbiased, one product.
"""

from __future__ import annotations

from ... import nn
from ...checks import positive
from ...ops import full, randint, zeros
from ...tape import is_grad_enabled
from ...tensor import Tensor
from ..ode import divergence, integrate
from .transform import Mapped, Transform

__all__ = ["Continuous"]

RATE = 10.0  # what a network is told for t = 1: sines of it are smooth along a step


class Continuous(Transform):
    """The map from x(1) to x(0) in `steps` Runge-Kutta steps.

    net: (x (B, D), time (1,) or (B,)) -> v (B, D), the time running from 0 to RATE = 10.

    In training the trace is Hutchinson's, with one sign vector e for the whole way; in evaluation
    it is exact. method: of `ode.integrate`. ValueError unless steps >= 1.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import Continuous
    >>> layer = Continuous(lambda x, t: x).eval()                    # x(1) = e x(0)
    >>> with tg.no_grad():
    ...     layer.inverse(tg.ones(1, 2))                             # e, and log |det| = 2
    (tensor([[2.7183, 2.7183]]), tensor([2.]))
    """

    def __init__(self, net: nn.Module, steps: int = 8, method: str = "rk4") -> None:
        super().__init__()
        positive("Continuous", steps=steps)
        self.net, self.steps, self.method = net, steps, method

    def velocity(self, x: Tensor, t: Tensor | float) -> Tensor:
        """v(x, t), (B, D), of x (B, D) and a time t or times (B,) in 0..1."""
        time = t if isinstance(t, Tensor) else full((1,), t).to(x)
        v: Tensor = self.net(x, RATE * time)
        return v

    def forward(self, x: Tensor) -> Mapped:
        return self._travel(x, 1.0, 0.0)

    def inverse(self, z: Tensor) -> Mapped:
        return self._travel(z, 0.0, 1.0)

    def decode(self, z: Tensor) -> Tensor:
        return self.path(z)[-1]

    def path(self, z: Tensor, steps: int | None = None) -> list[Tensor]:
        """Where z (B, ...) is at the times 0, .., 1: steps + 1 of (B, ...)."""
        move = lambda t, state: (self.velocity(state[0], t),)
        steps = self.steps if steps is None else steps
        states = integrate(move, (z.flatten(1),), 0.0, 1.0, steps, self.method)
        return [x.reshape(*z.shape) for (x,) in states]

    def _travel(self, x: Tensor, start: float, end: float) -> Mapped:
        flat = x.flatten(1)
        signs = 2.0 * randint(2, flat.shape).to(flat) - 1.0 if self.training else None
        recorded = is_grad_enabled()
        field = lambda t, state: divergence(
            lambda at: self.velocity(at, t), state[0], signs, create_graph=recorded
        )
        state = (flat, zeros(len(x)).to(flat))
        y, log_det = integrate(field, state, start, end, self.steps, self.method)[-1]
        return y.reshape(*x.shape), log_det
