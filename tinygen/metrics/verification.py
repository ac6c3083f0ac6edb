"""Are two pictures of one identity? A net that says so, and how well scores tell pairs apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import nn
from ..data.samplers import PairSampler
from ..ops import randn_like, softplus, square
from ..optim import AdamW
from ..tape import no_grad
from ..tensor import Tensor
from .classifier import Classifier
from .samples import as_rows

__all__ = ["Verifier", "fit_verifier", "roc_auc"]


def roc_auc(positive: Any, negative: Any) -> float:
    """P(a positive's score > a negative's) + P(they are equal) / 2: 0.5 is chance, 1 perfect.

    The area under the curve of hits against false alarms. positive (n,), negative (m,): n and m >=
    1 finite scores, else ValueError.

    >>> import tinygen as tg
    >>> tg.metrics.roc_auc([3.0, 1.0], [0.0, 1.0])             # of four pairs 3 right, 1 a tie
    0.875
    """
    p, q = as_rows(positive, "roc_auc").ravel(), np.sort(as_rows(negative, "roc_auc").ravel())
    below = np.searchsorted(q, p, "left") + np.searchsorted(q, p, "right")
    return float(below.mean() / (2 * len(q)))


class Verifier(nn.Module):
    """logit p(one identity | x, y) = bias - |e(x) - e(y)|^2, for pictures (B, C, S, S) in [-1, 1].

    e: a small net of two strided convolutions, to `features` numbers.

    >>> import tinygen as tg
    >>> model, x = tg.metrics.Verifier(channels=1, size=8), tg.zeros(6, 1, 8, 8)
    >>> model(x, x), model.auc(x)                              # all alike: no pair is told apart
    (tensor([1., 1., 1., 1., 1., 1.], grad_fn=<sub>), 0.5)
    """

    def __init__(self, channels: int = 1, size: int = 32, features: int = 32) -> None:
        super().__init__()
        self.embed = Classifier(channels, size, features=2 * features, classes=features)
        self.bias = nn.Parameter(Tensor([1.0]))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """The logit of each pair (x_i, y_i): (B, C, S, S) twice -> (B,)."""
        return self.bias - square(self.embed(x) - self.embed(y)).sum(1)

    @no_grad()
    def auc(self, x: Tensor, identities: Tensor | None = None) -> float:
        """How well the logits tell pairs of one identity from pairs of two: `roc_auc`.

        x: (2 n, C, S, S), pictures 2 i and 2 i + 1 of one identity; a pair of two is x_(2 i) and
        x_(2 i + 3). identities: (2 n,); pairs that are of one all the same are left out.
        """
        e = np.concatenate([self.embed(part).cpu().numpy() for part in x.split(500)])
        one, other = e[::2], e[1::2]
        different = np.roll(other, -1, 0)
        same, apart = (-((one - y) ** 2).sum(1) for y in (other, different))
        if identities is not None:
            who = identities.numpy()
            apart = apart[who[::2] != np.roll(who[1::2], -1)]
        return roc_auc(same, apart)


def fit_verifier(
    model: Verifier, x: Tensor, identities: Tensor, steps: int = 600, batch: int = 64,
    lr: float = 2e-3,
) -> Verifier:  # fmt: skip
    """Train by cross-entropy on pairs of x with a little noise (std 0.1); returns the same model.

    x: (N, C, S, S) in [-1, 1]; identities: (N,). A step takes batch / 2 pairs of one identity and
    compares every first picture with every second: pairs of one identity weigh as much as those of
    two. AdamW, lr falling in a line to 0; what is random comes from the default generator.
    ValueError: see data.PairSampler.
    """
    opt = AdamW(model.parameters(), lr=lr, weight_decay=1e-2)
    for step in range(steps):
        chosen = list(PairSampler(identities, batch))
        some = x[chosen]
        e = model.embed(some + 0.1 * randn_like(some))
        logits = model.bias - square(e[::2].unsqueeze(1) - e[1::2]).sum(2)  # (batch/2, batch/2)
        who = identities[chosen]
        same = (who[::2].unsqueeze(1) == who[1::2]).to(x.dtype)
        alike, unlike = softplus(-logits) * same, softplus(logits) * (1.0 - same)
        loss = alike.sum() / same.sum() + unlike.sum() / (1.0 - same).sum().clamp(min=1.0)
        opt.zero_grad()
        loss.backward()
        opt.param_groups[0]["lr"] = lr * (1 - step / steps)
        opt.step()
    return model
