"""The U-Net that translates pictures: pix2pix's generator (Isola et al. 2016, arXiv:1611.07004).

Strided convolutions down to a few pixels, transposed ones up again; on the way up every layer also
sees what was there at its size on the way down (the skips). Its noise is dropout, which stays on.
"""

from __future__ import annotations

from ... import nn
from ...backend import Generator
from ...checks import numbers, positive
from ...nn import functional as F
from ...ops import cat, tanh
from ...tensor import Tensor

__all__ = ["UNetGenerator"]

NOISY = 2  # the layers, from the innermost, that have dropout: three of eight in the paper


class UNetGenerator(nn.Module):
    """(B, channels, H, W) -> (B, out, H, W) in [-1, 1].

    width: features at full size, doubled at each halving, eight times at most. halvings: how often
    H and W are halved; a last picture of 2 x 2 or 4 x 4 sees all of the input. skips=False: what is
    made comes through those few pixels alone. dropout: of the two innermost layers on the way up;
    it is the noise z, and on in evaluation too. A 3 x 3 convolution at full size begins and ends
    the net: at 32 pixels a line is one pixel wide. GroupNorm, so that a picture is translated by
    itself. ValueError for pictures that it cannot halve so often.

    >>> import tinygen as tg
    >>> G = tg.models.nets.UNetGenerator(1, 3, width=4, halvings=2)
    >>> G(tg.zeros(2, 1, 8, 8)).shape
    (2, 3, 8, 8)
    """

    def __init__(
        self, channels: int, out: int, width: int = 32, halvings: int = 3, *, skips: bool = True,
        dropout: float = 0.5,
    ) -> None:  # fmt: skip
        super().__init__()
        positive("UNetGenerator", channels=channels, out=out, width=width, halvings=halvings)
        numbers("UNetGenerator", 0.0, 1.0, dropout=dropout)
        self.channels, self.halvings, self.skips, self.dropout = channels, halvings, skips, dropout
        widths = [width * 2 ** min(i, 3) for i in range(halvings + 1)]
        pairs = list(zip(widths, widths[1:]))
        twice = 2 if skips else 1
        self.first = nn.Conv2d(channels, width, 3, 1, 1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairs)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(b * (twice if i else 1), a, 4, 2, 1)
            for i, (a, b) in enumerate(reversed(pairs))
        )
        self.down_norms = nn.ModuleList(nn.GroupNorm(1, b) for _, b in pairs)
        self.up_norms = nn.ModuleList(nn.GroupNorm(1, a) for a, _ in reversed(pairs))
        self.last = nn.Conv2d(width * twice, out, 3, 1, 1)

    def forward(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """generator: of the dropout, the default one unless given."""
        self._check(x)
        h, seen = self.first(x), []
        for layer, norm in zip(self.down, self.down_norms):
            seen.append(h)
            h = norm(layer(F.leaky_relu(h, 0.2)))
        for i, (layer, norm) in enumerate(zip(self.up, self.up_norms)):
            h = norm(layer(F.relu(h)))
            if i < NOISY:
                h = F.dropout(h, self.dropout, generator=generator)
            if self.skips:
                h = cat([h, seen.pop()], 1)
        return tanh(self.last(F.relu(h)))

    def _check(self, x: Tensor) -> None:
        least = 2**self.halvings
        if x.ndim != 4 or x.shape[1] != self.channels or x.shape[2] % least or x.shape[3] % least:
            raise ValueError(
                f"UNetGenerator: expected pictures (B, {self.channels}, H, W), H and W divisible "
                f"by {least} (halved {self.halvings} times), got {x.shape}; resize them, or build "
                "it with fewer halvings"
            )
