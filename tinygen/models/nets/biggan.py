"""BigGAN's networks: residual, told the class at every norm, with attention (Brock et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

from ... import nn
from ...checks import positive
from ...nn import functional as F
from ...ops import cat, tanh
from ...tensor import Tensor
from .attention import SelfAttention2d
from .condition import ConditionalBatchNorm2d, check_labels
from .dcgan import halvings, spectrally_normalised
from .heads import Projection

__all__ = ["BigGANGenerator", "DownBlock", "UpBlock", "biggan"]


class UpBlock(nn.Module):
    """Twice the side: x (B, n_in, H, W), told (B, told) -> (B, n_out, 2 H, 2 W).

    conv(relu(norm(conv(up(relu(norm(x))))))) + up(conv1(x)), both norms told; up repeats pixels, so
    the 1 x 1 convolution may come before it, at a quarter of the cost.
    """

    def __init__(self, n_in: int, n_out: int, told: int) -> None:
        super().__init__()
        self.norm1 = ConditionalBatchNorm2d(n_in, told)
        self.norm2 = ConditionalBatchNorm2d(n_out, told)
        self.conv1, self.conv2 = nn.Conv2d(n_in, n_out, 3, 1, 1), nn.Conv2d(n_out, n_out, 3, 1, 1)
        self.skip, self.up = nn.Conv2d(n_in, n_out, 1), nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        h = self.conv1(self.up(F.relu(self.norm1(x, told))))
        h = self.conv2(F.relu(self.norm2(h, told)))
        out: Tensor = h + self.up(self.skip(x))
        return out


class DownBlock(nn.Module):
    """Half the side, or with half=False the same: (B, n_in, H, W) -> (B, n_out, H / 2, W / 2).

    mean(conv(relu(conv(relu(x))))) + conv1(mean(x)), mean over 2 x 2 pixels; first: x are pixels,
    which no ReLU should cut.
    """

    def __init__(self, n_in: int, n_out: int, half: bool = True, first: bool = False) -> None:
        super().__init__()
        self.halve, self.first = half, first
        self.conv1, self.conv2 = nn.Conv2d(n_in, n_out, 3, 1, 1), nn.Conv2d(n_out, n_out, 3, 1, 1)
        self.skip = nn.Conv2d(n_in, n_out, 1) if half or n_in != n_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        if self.halve:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        out: Tensor = h + self.skip(x)
        return out


class SumPool(nn.Module):
    """relu, then the sum over all places: (B, C, H, W) -> (B, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x).sum((2, 3))


class BigGANGenerator(nn.Module):
    """(z (B, latent), labels (B,)) -> (B, *shape) in [-1, 1].

    z is cut into equal pieces, in order: the first makes the smallest map, each other one goes to a
    block, whose norms are told the label's vector (one embedding, shared by all) and their piece:
    skip-z. `attention`: the side of the map that is attended to, 0 for none.
    """

    def __init__(
        self, shape: Sequence[int], latent: int, width: int, classes: int, shared: int,
        attention: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.start, n = halvings(shape[1])
        if latent % (n + 1):
            raise ValueError(
                f"biggan: {shape[1]} pixels take {n} blocks, so z is cut into {n + 1} pieces; "
                f"{latent} numbers cannot be, take {latent + -latent % (n + 1)}"
            )
        self.piece, self.classes = latent // (n + 1), classes
        widths = [width * 2**i for i in reversed(range(n))]
        self.embedding = nn.Embedding(classes, shared)
        self.first = nn.Linear(self.piece, widths[0] * self.start**2)
        self.blocks = nn.ModuleList(
            UpBlock(a, b, shared + self.piece) for a, b in zip([widths[0], *widths], widths)
        )
        sides = [self.start * 2 ** (i + 1) for i in range(n)]
        _check_attention(attention, sides[:-1])
        self.attended = sides.index(attention) if attention else -1
        self.attention = SelfAttention2d(widths[self.attended]) if attention else nn.Identity()
        self.last = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, shape[0], 3, 1, 1)
        )

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        check_labels("BigGAN", labels, len(z), self.classes)
        label = self.embedding(labels)
        first, *pieces = z.split(self.piece, 1)
        x = self.first(first).unflatten(1, (-1, self.start, self.start))
        for i, (block, piece) in enumerate(zip(self.blocks, pieces)):
            x = block(x, cat([label, piece], 1))
            if i == self.attended:
                x = self.attention(x)
        return tanh(self.last(x))


def _check_attention(side: int, sides: Sequence[int]) -> None:
    if side and side not in sides:
        raise ValueError(f"biggan: attention at {side} pixels; there are {list(sides)}, or 0: none")


def biggan(
    shape: Sequence[int], latent: int, width: int = 16, *, classes: int, shared: int = 32,
    attention: int | None = None,
) -> tuple[BigGANGenerator, Projection]:  # fmt: skip
    """G: (z (B, latent), labels) -> (B, *shape), D: (x, labels) -> raw (B,), shape = (C, S, S).

    width: channels at the largest size, doubled at each halving. shared: numbers in a label's
    vector. attention: the side of the map where both have a SelfAttention2d, unless given half of
    the picture's; 0 for none. Every linear map of both is divided by its largest singular value,
    but G's embedding; all weights start orthogonal. ValueError for sizes that do not fit.

    The paper's for 128 x 128: latent 120, width 96, shared 128, attention 64.

    >>> import tinygen as tg
    >>> G, D = tg.models.nets.biggan((1, 8, 8), latent=6, width=4, classes=10)
    >>> x = G(tg.randn(5, 6), tg.arange(5))
    >>> x.shape, D(x, tg.arange(5)).shape
    ((5, 1, 8, 8), (5,))
    """
    positive("biggan", latent=latent, width=width, classes=classes, shared=shared)
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ValueError(f"biggan: expected a square picture (C, S, S), got {tuple(shape)}")
    attention = shape[1] // 2 if attention is None else attention
    G = BigGANGenerator(shape, latent, width, classes, shared, attention)
    n = halvings(shape[1])[1]
    widths, trunk = [width * 2**i for i in range(n)], nn.Sequential()
    for i, (a, b) in enumerate(zip([shape[0], *widths], widths)):
        trunk.append(DownBlock(a, b, first=i == 0))
        if attention == shape[1] // 2 ** (i + 1):
            trunk.append(SelfAttention2d(b))
    trunk.extend([DownBlock(widths[-1], widths[-1], half=False), SumPool()])
    D = Projection(trunk, widths[-1], classes)
    for net in (G, D):
        net.apply(_start_orthogonal)
        for child in net.children():
            if child is not G.embedding:
                spectrally_normalised(child)
    return G, D


def _start_orthogonal(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
        nn.init.orthogonal_(module.weight)
