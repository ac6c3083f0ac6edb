"""PatchGAN: a discriminator that judges patches, each by itself (Isola et al. 2016, 1611.07004)."""

from __future__ import annotations

from ... import nn
from ...checks import integers, positive
from ...ops import leaky_relu
from ...tensor import Tensor

__all__ = ["PatchDiscriminator", "patch_halvings"]


class PatchDiscriminator(nn.Module):
    """(B, C, H, W) -> (B, 1, h, w): a verdict for each of h x w overlapping patches.

    halvings: 4 x 4 convolutions of stride 2, before one of stride 1 and the verdict; a patch is
    `receptive_field` pixels wide: 16 for 1 halving, 34 for 2, 70 for 3; 1 for none (1 x 1
    convolutions: each pixel by itself). After all but the first convolution and the verdict comes a
    GroupNorm, so that a picture is judged alone; by its mean and variance, two numbers a layer, a
    verdict hears of the rest of its picture.

    >>> import tinygen as tg
    >>> D = tg.models.nets.PatchDiscriminator(3, width=8, halvings=1)
    >>> D(tg.zeros(2, 3, 32, 32)).shape, D.receptive_field
    ((2, 1, 14, 14), 16)
    """

    def __init__(self, channels: int, width: int = 32, halvings: int = 2) -> None:
        super().__init__()
        positive("PatchDiscriminator", channels=channels, width=width)
        integers("PatchDiscriminator", 0, halvings=halvings)
        strides = [2] * halvings + [1, 1]
        widths = [channels, *(width * 2 ** min(i, 3) for i in range(halvings + 1)), 1]
        kernel, padding = (4, 1) if halvings else (1, 0)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, kernel, s, padding) for a, b, s in zip(widths, widths[1:], strides)
        )
        self.norms = nn.ModuleList(
            nn.GroupNorm(1, b) if i else nn.Identity() for i, b in enumerate(widths[1:-1])
        )
        self.receptive_field = 1
        for stride in reversed(strides):
            self.receptive_field = (self.receptive_field - 1) * stride + kernel

    def forward(self, x: Tensor) -> Tensor:
        for convolution, norm in zip(self.convolutions, self.norms):
            x = leaky_relu(norm(convolution(x)), 0.2)
        return self.convolutions[-1](x)


def patch_halvings(patch: int | str, size: int) -> int:
    """The halvings for patches of 1, 16, 34, 70, 142, .. pixels in pictures of `size` pixels.

    "full": the fewest for which every verdict sees all of the picture. ValueError for another
    patch, and for one so large that the picture is halved to less than 3 pixels.

    >>> import tinygen as tg
    >>> [tg.models.nets.patch_halvings(patch, 32) for patch in (1, 16, 34, "full")]
    [0, 1, 2, 3]
    """
    positive("patch_halvings", size=size)
    fields = [1] + [9 * 2**n - 2 for n in range(1, 13)]  # 2 r + 2 follows r
    if patch == "full":
        return next(n for n, field in enumerate(fields) if field >= 2 * size - 1)
    if patch not in [field for n, field in enumerate(fields) if size >> n >= 3 or n == 0]:
        raise ValueError(
            f"expected a patch of {', '.join(map(str, fields[:5]))}, .. pixels that fits into "
            f"{size}, or full, got {patch!r}"
        )
    return fields.index(int(patch))
