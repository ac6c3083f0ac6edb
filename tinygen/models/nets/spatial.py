"""Encoder and decoder between pictures and small maps of features, for codes with places."""

from __future__ import annotations

from collections.abc import Sequence

from ... import nn
from ...checks import positive
from ...nn import functional as F
from ...tensor import Tensor

__all__ = ["ResidualBlock", "map_autoencoder"]


class ResidualBlock(nn.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))), 3 x 3, (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        groups = next(g for g in (8, 4, 2, 1) if channels % g == 0)
        self.norm1, self.norm2 = nn.GroupNorm(groups, channels), nn.GroupNorm(groups, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        return x + self.conv2(F.silu(self.norm2(h)))


def map_autoencoder(
    shape: Sequence[int],
    channels: int,
    width: int = 32,
    halvings: int = 2,
    blocks: int = 1,
    *,
    moments: int = 1,
) -> tuple[nn.Sequential, nn.Sequential]:
    """Encoder (B, C, H, W) -> (B, moments channels, H/2^k, W/2^k) and decoder back from channels.

    k = halvings; width: features of a place at half size, doubled at each smaller one; blocks:
    residual blocks at each of these sizes. Sizes are halved by 4 x 4 convolutions of stride
    2 and doubled by repeating pixels before a 3 x 3 one, so that no checkerboard appears. The
    decoder's output is linear. ValueError for a size that cannot be halved so often.

    >>> import tinygen as tg
    >>> encoder, decoder = tg.models.nets.map_autoencoder((3, 16, 16), channels=4, width=8)
    >>> z = encoder(tg.zeros(2, 3, 16, 16))
    >>> z.shape, decoder(z).shape
    ((2, 4, 4, 4), (2, 3, 16, 16))
    """
    positive("map_autoencoder", channels=channels, width=width, halvings=halvings)
    colours, *size = shape
    if any(side % 2**halvings for side in size):
        raise ValueError(
            f"map_autoencoder: {' x '.join(map(str, size))} pixels cannot be halved {halvings} "
            f"times; pad them, or take fewer halvings"
        )
    widths = [width * 2**i for i in range(halvings)]
    encoder: list[nn.Module] = []
    for a, b in zip([colours, *widths], widths):
        encoder += [nn.Conv2d(a, b, 4, 2, 1), *[ResidualBlock(b) for _ in range(blocks)], nn.SiLU()]
    encoder += [nn.Conv2d(widths[-1], moments * channels, 1)]
    decoder: list[nn.Module] = [nn.Conv2d(channels, widths[-1], 3, 1, 1)]
    for b, a in zip(widths[::-1], [*widths[-2::-1], colours]):
        decoder += [*[ResidualBlock(b) for _ in range(blocks)], nn.SiLU()]
        decoder += [nn.Upsample(scale_factor=2), nn.Conv2d(b, a, 3, 1, 1)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder)
