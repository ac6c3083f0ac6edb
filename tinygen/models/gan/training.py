"""What keeps a GAN's training alive, and what tells that it died; apart from the networks.

Two players descend two losses: plain gradient steps of both need not approach a solution (on the
bilinear game min_x max_y x y they spiral outwards). Here are the optimizers that do better,
schedules of the number of D steps, and a watch for collapse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from ... import nn
from ...backend import Array
from ...optim import SGD, Adam, Optimizer
from ...optim.optimizer import Group, State
from ...tensor import Tensor, wrap

__all__ = [
    "Extragradient", "OptimisticAdam", "OptimisticSGD", "collapse", "d_steps", "frozen",
    "max_weight", "ramp", "spread",
]  # fmt: skip


@contextmanager
def frozen(net: nn.Module) -> Iterator[None]:
    """Inside the block no gradient is computed for the net's parameters, only through it.

    >>> import tinygen as tg
    >>> net = tg.nn.Linear(2, 1)
    >>> with tg.models.gan.frozen(net):
    ...     print(net.weight.requires_grad)
    False
    >>> net.weight.requires_grad
    True
    """
    kept = [(p, p.requires_grad) for p in net.parameters()]
    try:
        net.requires_grad_(False)
        yield
    finally:
        for p, requires_grad in kept:
            p.requires_grad_(requires_grad)


# --- optimizers for two players --------------------------------------------------------------


class _Optimistic(Optimizer):
    """Moves by twice this step minus the last one: p -= 2 u_t - u_(t-1); the first is plain."""

    def update(self, p: Array, g: Array, state: State, group: Group) -> None:
        last = state.pop("last_move", None)
        before = p.copy(order="K")
        super().update(p, g, state, group)
        move = np.subtract(p, before, out=before)
        if last is not None:
            np.add(p, np.subtract(move, last._array, out=last._array), out=p)
        state["last_move"] = wrap(move)


class OptimisticSGD(_Optimistic, SGD):
    """Optimistic gradient descent: spirals into the solution of a bilinear game; options as SGD's.

    w_(t+1) = w_t - lr (2 g_t - g_(t-1)) without momentum. Daskalakis et al. 2018
    (arXiv:1711.00141).

    >>> import tinygen as tg
    >>> x, y = (tg.nn.Parameter(tg.tensor([1.0])) for _ in range(2))
    >>> opt = tg.models.gan.OptimisticSGD([x, y], lr=0.2)
    >>> for step in range(200):                        # min over x, max over y of x y
    ...     x.grad, y.grad = y.detach().clone(), -x.detach()
    ...     opt.step()
    >>> abs(x.item()) < 0.1 and abs(y.item()) < 0.1
    True
    """


class OptimisticAdam(_Optimistic, Adam):
    """Adam with optimistic steps (Daskalakis et al. 2018, arXiv:1711.00141); options as Adam's.

    On a bilinear game it comes closer than Adam, but, as Adam's steps do not shrink with the
    gradient, it does not converge at a constant lr.
    """


class Extragradient:
    """Look ahead, then step from where you were with the gradient found there (Korpelevich 1976).

        for each batch:
            compute gradients;  extra.look_ahead()     # all players move
            compute gradients;  extra.step()           # back, then the real step

    optimizers: those of all players.
    """

    def __init__(self, *optimizers: Optimizer) -> None:
        self.optimizers = optimizers
        self._kept: list[tuple[Tensor, Array]] = []

    def look_ahead(self) -> None:
        """Step all optimizers; RuntimeError if called twice without step()."""
        if self._kept:
            raise RuntimeError("Extragradient.look_ahead: called twice; step() comes in between")
        params = [p for opt in self.optimizers for p in opt._params()]
        self._kept = [(p, p._array.copy(order="K")) for p in params]
        for opt in self.optimizers:
            opt.step()

    def step(self) -> None:
        """Go back and step with the gradients of now; RuntimeError without a look_ahead()."""
        if not self._kept:
            raise RuntimeError("Extragradient.step: call look_ahead() first")
        for p, array in self._kept:
            np.copyto(p._array, array)
            p._version[0] += 1
        self._kept = []
        for opt in self.optimizers:
            opt.step()


# --- how many D steps a G step ----------------------------------------------------------------


def d_steps(step: int, k: int = 1, warm: int = 0, every: int = 0, many: int = 100) -> int:
    """D steps before the G step number `step` (from 1): k, or `many` while warming up.

    WGAN's own: d_steps(step, 5, warm=25, every=500), 100 for the first 25 and every 500th.

    >>> from tinygen.models.gan import d_steps
    >>> [d_steps(step, 5, warm=25, every=500) for step in (1, 25, 26, 500)]
    [100, 100, 5, 100]
    """
    if k < 1:
        raise ValueError(f"d_steps: expected k >= 1, got {k}")
    return many if step <= warm or (every and step % every == 0) else k


def ramp(step: int, start: float, end: float, steps: int) -> float:
    """From `start` at step 0 to `end` at step `steps` and after: to lower instance noise, say.

    >>> from tinygen.models.gan import ramp
    >>> [ramp(step, start=1.0, end=0.0, steps=10) for step in (0, 5, 20)]
    [1.0, 0.5, 0.0]
    """
    return start + (end - start) * min(max(step / steps, 0.0), 1.0)


# --- is it still alive? -----------------------------------------------------------------------


def spread(samples: Tensor) -> float:
    """Mean distance between two samples of a batch (B, ...): each and its neighbour in it.

    >>> import tinygen as tg
    >>> tg.models.gan.spread(tg.tensor([[0.0, 0.0], [3.0, 4.0]]))
    5.0
    """
    x = samples.detach().flatten(1)._array
    return float(np.sqrt(((x - np.roll(x, 1, 0)) ** 2).sum(1)).mean())


def collapse(samples: Tensor, data: Tensor, least: float = 0.35) -> str | None:
    """A line of warning where samples spread less than `least` times as wide as data; or None.

    Of pictures that are all alike, noise of the last digits apart, 0.2 to 0.3 was seen; of healthy
    runs 0.8 to 1.05 on pictures, and in the plane, where they swing at first, 0.37 and more.
    """
    ours, theirs = spread(samples), spread(data)
    if ours >= least * theirs:
        return None
    return (
        f"the generator has collapsed: samples lie {ours:.3g} apart on average, data {theirs:.3g}; "
        "see --pack, --noise or another objective"
    )


def max_weight(params: Iterable[Tensor]) -> float:
    """max |w| over all parameters."""
    return max(float(abs(p._array).max()) for p in params)
