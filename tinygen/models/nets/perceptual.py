"""A distance of pictures in a network's features: small where two look alike to it.

    d(x, y) = sum over layers of mean ( f_l(x) - f_l(y) )^2,    f_l at length 1 across channels

after Zhang et al. 2018 (LPIPS, arXiv:1801.03924), with all channels counting alike. The network
comes with the package. It tells the groups of emoji apart, and it is for losses only: what a model
was trained to please cannot measure it (metrics have a classifier of their own).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ... import nn
from ...tensor import Tensor, same_shape

__all__ = ["EmojiFeatures", "Perceptual", "perceptual"]

WEIGHTS = Path(__file__).parent / "emoji_features.npz"


class EmojiFeatures(nn.Module):
    """Six 3 x 3 convolutions in three sizes: (B, 3, S, S) in [-1, 1] -> logits of 8 groups.

    >>> import tinygen as tg
    >>> net = tg.models.nets.EmojiFeatures(width=8)
    >>> [f.shape for f in net.layers(tg.zeros(2, 3, 32, 32))], net(tg.zeros(2, 3, 32, 32)).shape
    ([(2, 8, 32, 32), (2, 16, 16, 16), (2, 32, 8, 8)], (2, 8))
    """

    def __init__(self, width: int = 24, classes: int = 8) -> None:
        super().__init__()
        widths = [3, width, 2 * width, 4 * width]
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, 1 if i == 0 else 2, 1), nn.GroupNorm(4, b), nn.ReLU(),
                nn.Conv2d(b, b, 3, 1, 1), nn.GroupNorm(4, b), nn.ReLU(),
            )
            for i, (a, b) in enumerate(zip(widths, widths[1:]))
        )  # fmt: skip
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(widths[-1], classes)

    def layers(self, x: Tensor) -> list[Tensor]:
        """What each size sees: (B, width 2^l, S / 2^l, S / 2^l) for l = 0, 1, 2."""
        found = []
        for block in self.blocks:
            x = block(x)
            found.append(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, classes)."""
        return self.head(self.drop(self.layers(x)[-1].mean((2, 3))))


class Perceptual(nn.Module):
    """d(x, y), (B,), of pictures (B, 3, S, S) in [-1, 1]; differentiable, its weights held still.

    >>> import tinygen as tg
    >>> x = tg.data.load("emoji").to_symmetric()[:2]
    >>> tg.models.nets.perceptual()(x, x)
    tensor([0., 0.])
    """

    def __init__(self, features: EmojiFeatures) -> None:
        super().__init__()
        self.features = features.eval().requires_grad_(False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        same_shape("perceptual", x, y)
        pairs = zip(self.features.layers(x), self.features.layers(y))
        apart = [((_unit(a) - _unit(b)) ** 2).sum(1).mean((1, 2)) for a, b in pairs]
        return apart[0] + apart[1] + apart[2]


def perceptual() -> Perceptual:
    """The one whose weights come with the package."""
    features = EmojiFeatures()
    with np.load(WEIGHTS) as file:
        features.load_state_dict({k: Tensor(file[k].astype(np.float32)) for k in file.files})
    return Perceptual(features)


def _unit(x: Tensor) -> Tensor:
    """At length 1 across channels."""
    return x / ((x**2).sum(1, keepdim=True) + 1e-8).sqrt()
