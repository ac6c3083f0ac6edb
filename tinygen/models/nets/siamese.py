"""A Siamese discriminator: pictures are looked at one by one with the same weights, then together.

It says how much a tuple of pictures is like one of the data's, so what it can see in a pair and
not in a picture is whether the two belong together.
"""

from __future__ import annotations

from collections.abc import Sequence

from ... import nn
from ...tensor import Tensor
from .dcgan import LEAK, dcgan, halvings, spectrally_normalised, start_small

__all__ = ["Siamese", "siamese_dcgan"]


class Siamese(nn.Module):
    """judge of what `encoder` says of each picture: (B, m C, H, W) -> judge's, m pictures at once.

    encoder: (m B, C, H, W) -> (m B, F, h, w), for each picture alone. judge: (B, m F, h, w) -> any.
    A tuple is m pictures, one's channels after the other's, as models.gan.pack makes them.

    >>> import tinygen as tg
    >>> D = tg.models.nets.Siamese(tg.nn.Conv2d(3, 8, 4, 4), tg.nn.Conv2d(16, 1, 2), m=2)
    >>> D(tg.zeros(5, 6, 8, 8)).shape
    (5, 1, 1, 1)
    """

    def __init__(self, encoder: nn.Module, judge: nn.Module, m: int = 2) -> None:
        super().__init__()
        self.encoder, self.judge, self.m = encoder, judge, m

    def forward(self, x: Tensor) -> Tensor:
        """(B, m C, H, W) -> the judge's output; ValueError unless m divides the channels."""
        n, channels, *space = x.shape
        if channels % self.m:
            raise ValueError(
                f"Siamese: {channels} channels are not those of {self.m} pictures; pack them first"
            )
        features = self.encoder(x.reshape(n * self.m, channels // self.m, *space))
        return self.judge(features.reshape(n, -1, *features.shape[2:]))


def siamese_dcgan(
    shape: Sequence[int], latent: int, width: int = 32, *, norm: str = "layer"
) -> tuple[nn.Module, nn.Module]:
    """DCGAN's G: (B, latent) -> (B, *shape), and D of pairs: (B, 2 C, S, S) -> raw (B,).

    D's encoder is DCGAN's discriminator without its verdict; the two maps of features, one after
    the other, go through one more convolution of stride 2 and a linear map (Donahue et al. 2018,
    arXiv:1705.07904). width, norm and what is refused: as in `dcgan`.

    >>> import tinygen as tg
    >>> G, D = tg.models.nets.siamese_dcgan((1, 8, 8), latent=4, width=4)
    >>> G(tg.zeros(6, 4)).shape, D(tg.zeros(3, 2, 8, 8)).shape
    ((6, 1, 8, 8), (3,))
    """
    G, D = dcgan(shape, latent, width, norm="none" if norm == "spectral" else norm)
    encoder = nn.Sequential(*list(D.children())[:-2])  # without the verdict and its Flatten
    start, n = halvings(shape[1])
    features, side = width * 2 ** (n - 1), (start + 1) // 2
    judge = nn.Sequential(
        nn.Conv2d(2 * features, features, 3, 2, 1), nn.LeakyReLU(LEAK),
        nn.Flatten(), nn.Linear(features * side * side, 1), nn.Flatten(0),
    )  # fmt: skip
    judge.apply(start_small)
    pairs = Siamese(encoder, judge)
    return G, spectrally_normalised(pairs) if norm == "spectral" else pairs
