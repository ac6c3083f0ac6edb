"""Maps that can be run both ways, each with the logarithm of how much it stretches space.

    log p(x) = log N(f(x); 0, I) + log |det df/dx|,    f = f_K o .. o f_1

A map of the chain keeps the shape of x; `forward` goes from the data to the noise, `inverse` back,
and each gives the log |det| of the map it is, (B,), so that the two have opposite signs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ... import nn
from ...backend import Generator
from ...nn import functional as F
from ...ops import cat, logit, randn, sigmoid, zeros
from ...tape import no_grad
from ...tensor import Tensor
from ..likelihoods import standard_normal_log_prob, sum_dims
from ..systems import split

__all__ = [
    "Chain", "Flow", "Inverse", "Logit", "Mapped", "Split", "Squeezed", "Standardise", "Transform",
]  # fmt: skip

Mapped = tuple[Tensor, Tensor]  # where x goes, and log |det| of going there, (B,)


class Transform(nn.Module):
    """A map of (B, ...) onto itself. A new one writes `forward` and `inverse`."""

    def forward(self, x: Tensor) -> Mapped:
        """(z, log |det dz/dx|), data to noise."""
        raise NotImplementedError

    def inverse(self, z: Tensor) -> Mapped:
        """(x, log |det dx/dz|), noise to data."""
        raise NotImplementedError

    def decode(self, z: Tensor) -> Tensor:
        """x of z alone, where that is cheaper."""
        return self.inverse(z)[0]


class Chain(Transform):
    """One map after the other; backwards in the opposite order.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import Chain, Standardise
    >>> Chain(Standardise(1.0, 2.0), Standardise(0.0, 2.0))(tg.tensor([[5.0]]))    # -2 log 2
    (tensor([[1.]]), tensor([-1.3863]))
    """

    def __init__(self, *layers: Transform) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Mapped:
        total = zeros(len(x)).to(x)
        for layer in self.layers:
            x, log_det = layer(x)
            total = total + log_det
        return x, total

    def inverse(self, z: Tensor) -> Mapped:
        total = zeros(len(z)).to(z)
        for layer in reversed(list(self.layers)):
            z, log_det = layer.inverse(z)
            total = total + log_det
        return z, total

    def decode(self, z: Tensor) -> Tensor:
        for layer in reversed(list(self.layers)):
            z = layer.decode(z)
        return z


class Flow(nn.Module):
    """The density of x (B, *shape) that a map onto N(0, I) gives, and its samples.

    pixels: the range of pictures, for what draws them.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import Flow, Standardise
    >>> model = Flow((2,), Standardise(mean=3.0, std=2.0))           # N(3, 4 I)
    >>> model.log_prob(tg.full((1, 2), 3.0)), model.sample(5).shape  # -log 2 pi - 2 log 2
    (tensor([-3.2242]), (5, 2))
    """

    classes = 0
    pixels = (0.0, 1.0)

    def __init__(self, shape: Sequence[int], *layers: Transform) -> None:
        super().__init__()
        self.shape, self.chain = tuple(shape), Chain(*layers)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, (B,)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"Flow: expected x of shape (B, *{self.shape}), got {x.shape}")
        z, log_det = self.chain(x)
        return standard_normal_log_prob(z) + log_det

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log p(x) in nats, the mean over the batch (x,) or (x, labels)."""
        log_p = self.log_prob(split(batch)[0]).mean()
        return {"loss": -log_p, "log_prob": log_p}

    @no_grad()
    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        labels: Tensor | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """n draws (n, *shape): z ~ temperature N(0, I), taken back. ValueError for labels."""
        if labels is not None:
            raise ValueError("Flow: labels were given; this model has none")
        z = randn(n, *self.shape, generator=generator)
        like = next(iter(self.parameters()), z)
        return self.chain.decode(temperature * z.to(like))


class Inverse(Transform):
    """The same map, the other way round: of an autoregressive flow, the inverse one (IAF).

    >>> import tinygen as tg
    >>> from tinygen.models.flow import Inverse, Standardise
    >>> Inverse(Standardise(0.0, 2.0))(tg.tensor([[3.0]]))           # log 2
    (tensor([[6.]]), tensor([0.6931]))
    """

    def __init__(self, layer: Transform) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Mapped:
        return self.layer.inverse(x)

    def inverse(self, z: Tensor) -> Mapped:
        mapped: Mapped = self.layer(z)
        return mapped


class Standardise(Transform):
    """z = (x - mean) / std, numbers that are known before training.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import Standardise
    >>> Standardise(mean=3.0, std=2.0)(tg.tensor([[5.0, 1.0]]))      # -2 log 2
    (tensor([[ 1., -1.]]), tensor([-1.3863]))
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float]) -> None:
        super().__init__()
        for name, value in (("mean", mean), ("std", std)):
            self.register_buffer(name, Tensor(value))
        if not (self.std > 0.0).all():
            raise ValueError(f"Standardise: expected std > 0, got {std}")

    def forward(self, x: Tensor) -> Mapped:
        z = (x - self.mean) / self.std
        return z, -self._log_det(z)

    def inverse(self, z: Tensor) -> Mapped:
        x = self.mean + self.std * z
        return x, self._log_det(x)

    def _log_det(self, x: Tensor) -> Tensor:
        return sum_dims(self.std.log() + 0.0 * x)


class Logit(Transform):
    """Pixels in [0, 1] onto the line: logit(a + (1 - 2 a) x), a so small that 0 and 1 stay finite.

    Dinh et al. 2016 (arXiv:1605.08803) have a = 0.05. ValueError for x beyond what that leaves.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import Logit
    >>> z, log_det = Logit()(tg.tensor([[0.5]]))
    >>> z, log_det                                                   # log(0.9 / (1/2 * 1/2))
    (tensor([[0.]]), tensor([1.2809]))
    """

    def __init__(self, margin: float = 0.05) -> None:
        super().__init__()
        if not 0.0 < margin < 0.5:
            raise ValueError(f"Logit: expected 0 < margin < 0.5, got {margin}")
        self.margin = margin

    def forward(self, x: Tensor) -> Mapped:
        inside = self.margin + (1.0 - 2.0 * self.margin) * x
        if not ((inside >= 0.0) & (inside <= 1.0)).all():
            raise ValueError(
                f"Logit: expected pixels in [0, 1], got {x.min().item():.3g} to "
                f"{x.max().item():.3g}; likelihoods.dequantise brings them there"
            )
        z = logit(inside)
        return z, -self._log_det(z)

    def inverse(self, z: Tensor) -> Mapped:
        return (sigmoid(z) - self.margin) / (1.0 - 2.0 * self.margin), self._log_det(z)

    def _log_det(self, z: Tensor) -> Tensor:
        """Of the way back: log of s'(z) / (1 - 2 a), s the sigmoid and s' = s (1 - s)."""
        slope = -F.softplus(z) - F.softplus(-z)
        return sum_dims(slope - math.log(1.0 - 2.0 * self.margin))


class Squeezed(Chain):
    """A chain that sees blocks of 2 x 2 pixels as 4 channels: inside, (4 C, H/2, W/2).

    ValueError for an odd height or width.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import Logit, Squeezed
    >>> Squeezed(Logit())(tg.full((1, 1, 2, 2), 0.5))[0].shape
    (1, 1, 2, 2)
    """

    def forward(self, x: Tensor) -> Mapped:
        z, log_det = super().forward(self._squeeze(x))
        return F.pixel_shuffle(z, 2), log_det

    def inverse(self, z: Tensor) -> Mapped:
        x, log_det = super().inverse(self._squeeze(z))
        return F.pixel_shuffle(x, 2), log_det

    def decode(self, z: Tensor) -> Tensor:
        return F.pixel_shuffle(super().decode(self._squeeze(z)), 2)

    def _squeeze(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[2] % 2 or x.shape[3] % 2:
            raise ValueError(
                f"Squeezed: expected pictures (B, C, H, W) of even H and W, got {x.shape}; pad "
                "them, or take fewer scales"
            )
        return F.pixel_unshuffle(x, 2)


class Split(Chain):
    """A chain for the first half of the channels; the other half is done, and is noise.

    >>> import tinygen as tg
    >>> from tinygen.models.flow import Split, Standardise
    >>> Split(Standardise(0.0, 2.0))(tg.tensor([[4.0, 4.0]]))        # -log 2
    (tensor([[2., 4.]]), tensor([-0.6931]))
    """

    def forward(self, x: Tensor) -> Mapped:
        x, done = x.chunk(2, 1)
        z, log_det = super().forward(x)
        return cat([z, done], 1), log_det

    def inverse(self, z: Tensor) -> Mapped:
        z, done = z.chunk(2, 1)
        x, log_det = super().inverse(z)
        return cat([x, done], 1), log_det

    def decode(self, z: Tensor) -> Tensor:
        z, done = z.chunk(2, 1)
        return cat([super().decode(z), done], 1)
