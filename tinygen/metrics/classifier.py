"""Small classifiers of digits and emoji whose features stand in for Inception's.

`digits_classifier()` is for the bundled digits (8 x 8); the weights, digits_classifier.npz, come
from benchmarks/quality/gan_classifier.py. Pictures of other sets: train one with `fit_classifier`.
Distances in these features compare models with each other, not with published FIDs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import nn
from ..backend import Array
from ..data.transforms import resize
from ..nn import functional as F
from ..ops import ones, randn_like, randperm, softmax
from ..optim import AdamW
from ..tape import no_grad
from ..tensor import Tensor

__all__ = [
    "Classifier", "digits_classifier", "emoji_classifier", "emoji_features", "fit_classifier",
]  # fmt: skip

WEIGHTS = Path(__file__).parent / "digits_classifier.npz"
EMOJI_WEIGHTS = Path(__file__).parent / "emoji_classifier.npz"


class Classifier(nn.Module):
    """Two strided convolutions, 32 features, 10 classes, for pictures (B, C, S, S) in [-1, 1].

    `spread` (features,) is the standard deviation of each feature on the training set, 1 before
    training. ValueError, in `features` and `probabilities`, for pictures of another shape than
    (channels, size, size).

    >>> import tinygen as tg
    >>> model, x = tg.metrics.Classifier(channels=1, size=8), tg.zeros(5, 1, 8, 8)
    >>> model(x).shape, model.features(x).shape, model.probabilities(x).shape
    ((5, 10), (5, 32), (5, 10))
    """

    spread: Tensor

    def __init__(
        self, channels: int = 1, size: int = 8, features: int = 32, classes: int = 10
    ) -> None:
        super().__init__()
        side = (size + 3) // 4
        self.shape = (channels, size, size)
        self.body = nn.Sequential(
            nn.Conv2d(channels, 16, 3, 2, 1), nn.SiLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.SiLU(),
            nn.Flatten(), nn.Linear(32 * side * side, features), nn.SiLU(),
        )  # fmt: skip
        self.head = nn.Linear(features, classes)
        self.register_buffer("spread", ones(features))  # of the features, on the training set

    def forward(self, x: Tensor) -> Tensor:
        """Logits: (B, C, S, S) -> (B, classes)."""
        return self.head(self.body(x))  # type: ignore[no-any-return]

    def _parts(self, x: Tensor, size: int = 1000) -> list[Tensor]:
        if x.shape[1:] != self.shape:
            raise ValueError(f"Classifier: expected pictures (B, {self.shape}), got {x.shape}")
        return [x[i : i + size] for i in range(0, len(x), size)]

    @no_grad()
    def features(self, x: Tensor) -> Array:
        """What the last layer sees: (B, C, S, S) -> array (B, features), without a gradient.

        Each number is divided by its standard deviation on the training set.
        """
        parts = [(self.body(part) / self.spread).cpu().numpy() for part in self._parts(x)]
        return np.concatenate(parts)

    @no_grad()
    def probabilities(self, x: Tensor) -> Array:
        """p(class | picture): (B, C, S, S) -> float64 array (B, classes), rows that sum to 1."""
        parts = [softmax(self(part).double(), 1).cpu().numpy() for part in self._parts(x)]
        return np.concatenate(parts)


def fit_classifier(
    model: Classifier,
    x: Tensor,
    labels: Tensor,
    steps: int = 1500,
    batch: int = 128,
    lr: float = 2e-3,
) -> Classifier:
    """Train by cross-entropy on pictures with a little noise (std 0.1); returns the same model.

    x: (N, C, S, S) in [-1, 1]; labels: (N,) integers. AdamW, lr falling in a line to 0; batches are
    drawn by the default generator. At the end it measures `model.spread` on x.
    """
    opt = AdamW(model.parameters(), lr=lr, weight_decay=1e-2)
    for step in range(steps):
        chosen = randperm(len(x))[:batch]
        some = x[chosen]
        loss = F.cross_entropy(model(some + 0.1 * randn_like(some)), labels[chosen])
        opt.zero_grad()
        loss.backward()
        opt.param_groups[0]["lr"] = lr * (1 - step / steps)
        opt.step()
    model.spread._array[...] *= np.maximum(model.features(x).std(0), 1e-6)
    return model


def digits_classifier() -> Classifier:
    """The one whose weights come with the package, for the bundled digits (8 x 8, in [-1, 1]).

    It has seen the training forms only; of the test pictures it names 92 % rightly.

    >>> import tinygen as tg
    >>> test = tg.data.load("digits", split="test")
    >>> p = tg.metrics.digits_classifier().probabilities(test.to_symmetric())
    >>> round(float((p.argmax(1) == test.labels.numpy()).mean()), 2)
    0.92
    """
    return _loaded(Classifier(), WEIGHTS)


def emoji_classifier() -> Classifier:
    """The one for emoji at 32 pixels, (B, 3, 32, 32) in [-1, 1]: 8 groups, 32 features.

    For metrics only; losses have `models.nets.perceptual`, another network from another seed.

    >>> import tinygen as tg
    >>> x = tg.data.load("emoji", "test").to_symmetric()
    >>> tg.metrics.emoji_classifier().features(x).shape
    (230, 32)
    """
    return _loaded(Classifier(channels=3, size=32, classes=8), EMOJI_WEIGHTS)


def emoji_features(x: Tensor) -> Array:
    """Features (N, 32) of pictures (N, C, S, S), grey or coloured, of any side, in [-1, 1].

    As `emoji_classifier` sees them at 32 pixels, clipped and with their grey in three channels. For
    other pictures than emoji too; distances of one set of data are then compared with each other.

    >>> import tinygen as tg
    >>> tg.metrics.emoji_features(tg.zeros(5, 1, 16, 16)).shape
    (5, 32)
    """
    x = x.detach().cpu().clamp(-1.0, 1.0)
    x = x if x.shape[-1] == 32 else resize(x, 32)
    return emoji_classifier().features(x.expand(x.shape[0], 3, 32, 32))


def _loaded(model: Classifier, weights: Path) -> Classifier:
    with np.load(weights) as file:
        state = {name: Tensor(file[name].astype(np.float32)) for name in file.files}
    model.load_state_dict(state)
    return model
