"""Attention among the places of a map of features, as GANs use it."""

from __future__ import annotations

from ... import nn
from ...checks import positive
from ...nn import functional as F
from ...ops import zeros
from ...tensor import Tensor

__all__ = ["SelfAttention2d"]


class SelfAttention2d(nn.Module):
    """x + gamma o(attention of every place to every other), (B, C, H, W) -> the same shape.

        attention = softmax(q(x) k(x)^T) v(x),    gamma a number that begins at 0

    q, k: C / 8 channels; v: C / 2; all are 1 x 1 convolutions without bias. Keys and values are the
    largest of each 2 x 2 places where H and W are even, and the products are not scaled (Zhang et
    al. 2019, arXiv:1805.08318, as in BigGAN's code). At the start the block is the identity.

    >>> import tinygen as tg
    >>> block, x = tg.models.nets.SelfAttention2d(16), tg.randn(2, 16, 4, 4)
    >>> block(x).shape, float((block(x) - x).abs().max())
    ((2, 16, 4, 4), 0.0)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        positive("SelfAttention2d", channels=channels)
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.query = nn.Conv2d(channels, narrow, 1, bias=False)
        self.key = nn.Conv2d(channels, narrow, 1, bias=False)
        self.value = nn.Conv2d(channels, half, 1, bias=False)
        self.out = nn.Conv2d(half, channels, 1, bias=False)
        self.gamma = nn.Parameter(zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        keys, values = self.key(x), self.value(x)
        if x.shape[2] % 2 == x.shape[3] % 2 == 0:
            keys, values = F.max_pool2d(keys, 2), F.max_pool2d(values, 2)
        q, k, v = (part.flatten(2).transpose(1, 2) for part in (self.query(x), keys, values))
        seen = F.scaled_dot_product_attention(q, k, v, scale=1.0)  # (B, H W, C / 2)
        out: Tensor = x + self.gamma * self.out(seen.transpose(1, 2).unflatten(2, x.shape[2:]))
        return out
