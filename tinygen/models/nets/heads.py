"""Heads on a trunk: what the features of one network say about the class, and the source."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ... import nn
from ...checks import numbers, positive
from ...ops import randn
from ...tensor import Tensor
from .condition import check_labels

__all__ = ["ClassHead", "Noise", "Projection", "SourceAndClass", "noisy_trunk"]


class Noise(nn.Module):
    """x + std eps, eps ~ N(0, I), while training; x itself in evaluation mode.

    >>> import tinygen as tg
    >>> tg.models.nets.Noise(0.5).eval()(tg.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, std: float) -> None:
        super().__init__()
        numbers("Noise", 0.0, std=std)
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """x + std eps, shaped as x."""
        if not self.training or not self.std:
            return x
        return x + self.std * randn(x.shape, dtype=x.dtype, device=x.device)


def noisy_trunk(
    shape: Sequence[int], hidden: int = 256, layers: int = 3, noise: float = 0.5
) -> tuple[nn.Sequential, int]:
    """(B, *shape) -> (B, hidden): `layers` layers of ReLU units, Gaussian noise after each.

    noise: its std; 0.6 of it on the pictures. Returns the number of features too. The discriminator
    of Salimans et al. 2016 for small pictures (arXiv:1606.03498), without its weight norm.

    >>> import tinygen as tg
    >>> trunk, features = tg.models.nets.noisy_trunk((1, 8, 8), hidden=16)
    >>> features, trunk(tg.zeros(5, 1, 8, 8)).shape
    (16, (5, 16))
    """
    positive("noisy_trunk", hidden=hidden, layers=layers)
    net = nn.Sequential(nn.Flatten(), Noise(0.6 * noise))
    for n_in in [math.prod(shape), *[hidden] * (layers - 1)]:
        net.extend([nn.Linear(n_in, hidden), nn.ReLU(), Noise(noise)])
    return net, hidden


class ClassHead(nn.Module):
    """trunk: x (B, ...) -> features (B, F); a linear layer on them gives K logits, (B, K).

    >>> import tinygen as tg
    >>> trunk, features = tg.models.nets.dcgan_trunk((1, 8, 8), width=4)
    >>> net = tg.models.nets.ClassHead(trunk, features, classes=10)
    >>> net(tg.zeros(5, 1, 8, 8)).shape, net.features(tg.zeros(5, 1, 8, 8)).shape
    ((5, 10), (5, 32))
    """

    def __init__(self, trunk: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        positive("ClassHead", features=features, classes=classes)
        self.trunk, self.classes = trunk, classes
        self.head = nn.Linear(features, classes)

    def features(self, x: Tensor) -> Tensor:
        """What the last layer sees: x (B, ...) -> (B, F)."""
        return self.trunk(x)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the classes: x (B, ...) -> (B, K)."""
        return self.head(self.features(x))


class SourceAndClass(nn.Module):
    """Two heads on one trunk: where x is from, a raw number (B,), and the logits (B, K) of classes.

    >>> import tinygen as tg
    >>> net = tg.models.nets.SourceAndClass(tg.nn.Identity(), features=2, classes=10)
    >>> source, classes = net(tg.zeros(5, 2))
    >>> source.shape, classes.shape
    ((5,), (5, 10))
    """

    def __init__(self, trunk: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        positive("SourceAndClass", features=features, classes=classes)
        self.trunk, self.classes = trunk, classes
        self.source, self.head = nn.Linear(features, 1), nn.Linear(features, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, ...) -> source (B,), logits of the classes (B, K)."""
        features = self.trunk(x)
        return self.source(features).flatten(0), self.head(features)


class Projection(nn.Module):
    """How real x is as one of its label: psi(phi) + <e_y, phi>, phi = trunk(x) (B, features).

    x (B, ...), labels (B,) in 0..classes-1 -> raw (B,). psi is linear; e_y is a vector for each
    class. The form is that of the best D where p(y | x) of data and of samples are softmaxes of
    phi: log p(x, y) / q(x, y) = log p(y | x) / q(y | x), linear in phi for each y, + log p(x) /
    q(x). Miyato and Koyama 2018 (arXiv:1802.05637). ValueError for labels that are none.

    >>> import tinygen as tg
    >>> D = tg.models.nets.Projection(tg.nn.Identity(), features=2, classes=10)
    >>> D(tg.zeros(5, 2), tg.arange(5)).shape
    (5,)
    """

    def __init__(self, trunk: nn.Module, features: int, classes: int) -> None:
        super().__init__()
        positive("Projection", features=features, classes=classes)
        self.trunk, self.classes = trunk, classes
        self.psi, self.embedding = nn.Linear(features, 1), nn.Embedding(classes, features)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """psi(phi) + <e_y, phi>, (B,)."""
        check_labels("Projection", labels, len(x), self.classes)
        phi = self.trunk(x)
        out: Tensor = self.psi(phi).flatten(0) + (self.embedding(labels) * phi).sum(1)
        return out
