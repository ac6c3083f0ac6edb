"""The diffusion transformer: pictures as patches, the time in every norm (Peebles and Xie 2022).

    x = x + g1 attend((1 + s1) norm(x) + b1),   x = x + g2 mlp((1 + s2) norm(x) + b2)

(s, b, g)(time, label) are six vectors a block, made by one linear layer that begins at 0 ("adaptive
norm, zero"): a new block passes x on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import nn
from ...checks import positive
from ...nn import functional as F
from ...tensor import Tensor, wrap
from .text import is_word
from .time import label_net, sinusoids, with_label
from .unet import zero_

__all__ = ["DiT", "DiTBlock", "grid_positions"]


class DiTBlock(nn.Module):
    """(B, L, width), context (B, context), words (B, S, `words`) or None -> (B, L, width).

    words: a block with them also reads captions, between attention and perceptron, as in PixArt
    (Chen et al. 2023, arXiv:2310.00426).
    """

    def __init__(self, width: int, heads: int, context: int, words: int = 0) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU("tanh"), nn.Linear(4 * width, width)
        )
        self.adapt = nn.Linear(context, 6 * width)
        zero_(self.adapt)
        if words:
            self.reading = nn.MultiheadAttention(
                width, heads, kdim=words, vdim=words, batch_first=True
            )
            zero_(self.reading.out_proj)

    def forward(self, x: Tensor, context: Tensor, words: Tensor | None = None) -> Tensor:
        """(B, L, width) -> the same shape."""
        s1, b1, g1, s2, b2, g2 = self.adapt(context)[:, None].chunk(6, -1)
        h = adapted(x, s1, b1)
        x = x + g1 * self.attention(h, h, h, need_weights=False)[0]
        if words is not None:
            x = x + self.reading(x, words, words, ~is_word(words), need_weights=False)[0]
        out: Tensor = x + g2 * self.mlp(adapted(x, s2, b2))
        return out


class DiT(nn.Module):
    """(x (B, C, H, W), time (B,)[, labels (B, ...)]) -> (B, out, H, W), as UNet, by a transformer.

    channels: C; size: (H, W), of patches `patch` x `patch`, a token each; width: of a token;
    layers, heads; classes, vectors, words: what labels are, as in UNet. ValueError where H or W
    does not divide by patch, or x has another size. Peebles and Xie 2022 (arXiv:2212.09748).

    >>> import tinygen as tg
    >>> net = tg.models.nets.DiT(channels=4, size=(8, 8), patch=2, width=16, layers=1, heads=2)
    >>> net(tg.zeros(2, 4, 8, 8), tg.zeros(2)).shape
    (2, 4, 8, 8)
    """

    positions: Tensor

    def __init__(
        self,
        channels: int,
        size: Sequence[int],
        patch: int = 2,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        classes: int = 0,
        out: int | None = None,
        vectors: int = 0,
        words: int = 0,
    ) -> None:
        super().__init__()
        positive("DiT", channels=channels, patch=patch, width=width, layers=layers, heads=heads)
        if any(side % patch for side in size) or width % 4:
            raise ValueError(
                f"DiT: expected a size that divides by patch and a width that divides by 4, got "
                f"{tuple(size)}, {patch} and {width}"
            )
        self.shape, self.patch, self.width, self.words = (channels, *size), patch, width, words
        self.grid = rows, columns = (size[0] // patch, size[1] // patch)
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.label = label_net(classes, vectors or words, width)
        self.first = nn.Conv2d(channels, width, patch, patch)
        self.register_buffer("positions", grid_positions(rows, columns, width), persistent=False)
        self.blocks = nn.ModuleList(DiTBlock(width, heads, width, words) for _ in range(layers))
        self.adapt = nn.Linear(width, 2 * width)
        self.last = nn.Linear(width, (out or channels) * patch**2)
        zero_(self.adapt)
        zero_(self.last)

    def forward(self, x: Tensor, time: Tensor, labels: Tensor | None = None) -> Tensor:
        """x (B, C, H, W), time (B,) in 0..1000, labels (B, ...) or None -> (B, out, H, W)."""
        if x.shape[1:] != self.shape:
            raise ValueError(f"DiT: expected (B, {self.shape}), got {x.shape}")
        words = labels if self.words else None
        labels = labels if words is None else words[:, 0]
        context = F.silu(with_label(self.time(sinusoids(time, self.width)), self.label, labels))
        h = self.first(x).flatten(2).transpose(1, 2) + self.positions  # (B, L, width)
        for block in self.blocks:
            h = block(h, context, words)
        s, b = self.adapt(context)[:, None].chunk(2, -1)
        patches = self.last(adapted(h, s, b)).transpose(1, 2)  # (B, out patch^2, L)
        return F.pixel_shuffle(patches.reshape(*patches.shape[:2], *self.grid), self.patch)


def adapted(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """(1 + scale) norm(x) + shift: x (B, L, d), the others (B, 1, d)."""
    return F.layer_norm(x, x.shape[-1:]) * (1.0 + scale) + shift


def grid_positions(height: int, width: int, channels: int) -> Tensor:
    """(height width, channels): sines and cosines of the row, then of the column; rows in order.

    >>> import tinygen as tg
    >>> tg.models.nets.dit.grid_positions(1, 2, 4).round(decimals=2)
    tensor([[0.  , 1.  , 0.  , 1.  ],
            [0.  , 1.  , 0.84, 0.54]])
    """
    rows, columns = np.mgrid[:height, :width].reshape(2, -1).astype(np.float32)
    parts = [sinusoids(wrap(at), channels // 2).numpy() for at in (rows, columns)]
    return wrap(np.concatenate(parts, 1))
