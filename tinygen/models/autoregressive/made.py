"""MADE: a masked autoencoder that is a density (Germain et al. 2015, arXiv:1502.03509).

    log p(x) = sum_i log p(x_i | x_before i),    p(x_i = 1 | x_before i) = sigmoid(logits_i(x))

One pass through the network gives all D conditionals, since masks keep logit i from seeing x_i and
what comes later. With several orders of the dimensions p(x) is their mixture, (1/M) sum_m p_m(x),
trained one order a batch.

What goes wrong: a mask that is wrong by one lets a logit see its own pixel, and the loss falls
below the data's entropy; sampling takes D passes, one a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ... import nn
from ...backend import Generator
from ...checks import positive
from ...ops import bernoulli, logsumexp, randint, sigmoid, stack
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..likelihoods import bernoulli_log_prob
from ..systems import NEEDED, settings, split
from .pixels import begun

__all__ = ["MADE", "build"]


class MADE(nn.Module):
    """A density of binary x of `shape`; `orders` orders, the first the raster order.

    ValueError for pixels that are not 0 or 1.

    >>> import tinygen as tg
    >>> model = tg.models.build("made", {"shape": (1, 2, 2), "hidden": 32, "layers": 2})
    >>> x = tg.ones(5, 1, 2, 2)
    >>> model.log_prob(x).shape, model.sample(3).shape
    ((5,), (3, 1, 2, 2))
    """

    classes = 0
    pixels = (0.0, 1.0)

    def __init__(
        self, shape: Sequence[int], hidden: int = 500, layers: int = 2, orders: int = 1
    ) -> None:
        super().__init__()
        positive("MADE", hidden=hidden, layers=layers, orders=orders)
        self.shape, size = tuple(shape), math.prod(shape)
        rng = np.random.default_rng(0)  # the orders belong to the architecture
        shuffled = [rng.permutation(size).tolist() for _ in range(orders - 1)]
        self.net = nets.MaskedMLP(size, [hidden] * layers, [list(range(size)), *shuffled])

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, (B,), of zeros and ones (B, *shape)."""
        x = self._flat(x)
        each = [self._in_order(x, m) for m in range(len(self.net.orders))]
        return logsumexp(stack(each), 0) - math.log(len(each)) if len(each) > 1 else each[0]

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log p(x) in nats under one order, drawn at random, the mean over the batch."""
        x = self._flat(split(batch)[0])
        log_p = self._in_order(x, int(randint(len(self.net.orders), (1,)).item())).mean()
        return {"loss": -log_p, "log_prob": log_p}

    @no_grad()
    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        labels: Tensor | None = None,
        given: Tensor | None = None,
        seen: int = 0,
    ) -> Tensor:
        """n pictures of zeros and ones, (n, *shape), pixel by pixel in an order drawn for all.

        given, seen: the first `seen` pixels of pictures (n, *shape) stay as they are (in the raster
        order); the rest is drawn given these. ValueError for labels.
        """
        if labels is not None:
            raise ValueError("MADE: labels were given; this model has none")
        orders = self.net.orders
        m = 0 if given is not None else int(randint(len(orders), (1,), generator=generator).item())
        x = begun("MADE.sample", n, self.shape, 2, given, seen).flatten(1)
        x = x.to(self.net.layers[0].weight)
        for i in orders[m][seen:]:
            x[:, i] = bernoulli(sigmoid(self.net(x, m)[:, i]), generator=generator)
        return x.reshape(n, *self.shape)

    def _in_order(self, x: Tensor, m: int) -> Tensor:
        return bernoulli_log_prob(x, self.net(x, m))

    def _flat(self, x: Tensor) -> Tensor:
        if x.shape[1:] != self.shape or not ((x == 0) | (x == 1)).all():
            raise ValueError(
                f"MADE: expected zeros and ones (B, {', '.join(map(str, self.shape))}), got "
                f"{x.shape} from {x.min().item():.3g} to {x.max().item():.3g}; binarise grey values"
            )
        return x.flatten(1)


def build(config: Mapping[str, Any]) -> MADE:
    """hidden, layers, orders: see MADE."""
    c = settings("made", config, shape=NEEDED, hidden=500, layers=2, orders=1)
    return MADE(c.shape, c.hidden, c.layers, c.orders)
