"""A term for G that keeps the samples of a batch apart: their entropy, estimated from neighbours.

-log D(G(z)) is as small for a hundred copies of one good sample as for a hundred good ones. Packing
and minibatch discrimination show D the batch, so that it may find out; this asks G itself.

What goes wrong: nothing in it knows the data, so that it pulls the law of samples wider than theirs
as well; in many dimensions the nearest neighbour is about as far as any other, and says little.
"""

from __future__ import annotations

import math

from ...checks import positive
from ...ops import cdist, eye, log, masked_fill, square, topk
from ...tape import no_grad
from ...tensor import Tensor

__all__ = ["entropy"]


def entropy(x: Tensor, k: int = 1) -> Tensor:
    """The entropy of the law that x (n, d) is drawn from, in nats, a differentiable scalar.

        H = psi(n) - psi(k) + log V_d + (d / n) sum_i log r_i,     V_d = pi^(d/2) / Gamma(d/2 + 1)

    r_i: the distance of x_i from its k-th neighbour among the others; V_d: the volume of the ball.
    1e-12 beside r_i^2 keeps copies finite; who is whose neighbour is taken as given. ValueError
    unless 1 <= k < n. Kozachenko and Leonenko 1987; with k, Kraskov et al. 2004
    (arXiv:cond-mat/0305641).

    >>> import math, tinygen as tg
    >>> x = tg.randn(2000, 1, generator=tg.Generator().manual_seed(0))
    >>> bool(abs(tg.models.gan.entropy(x) - 0.5 * math.log(2 * math.pi * math.e)) < 0.1)
    True
    """
    positive("entropy", k=k)
    n, d = x.shape
    if not k < n:
        raise ValueError(f"entropy: expected more than k = {k} samples, got {n}")
    with no_grad():
        far = masked_fill(cdist(x, x), eye(n, dtype="bool", device=x.device), math.inf)
        neighbour = topk(far, k, 1, largest=False).indices[:, -1]
    r_squared = square(x - x[neighbour]).sum(1) + 1e-12
    harmonic = sum(1.0 / i for i in range(k, n))  # psi(n) - psi(k)
    volume = 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d + 1.0)
    return harmonic + volume + 0.5 * d * log(r_squared).mean()
