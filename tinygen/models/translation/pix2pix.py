"""pix2pix: pictures into pictures, learned from pairs (Isola et al. 2016, arXiv:1611.07004).

    D maximises   E log D(x, y) + E log(1 - D(x, G(x, z)))
    G minimises   - w E log D(x, G(x, z)) + lambda E |y - G(x, z)|

x is what is given, y the answer, (x, y) a pair of the data; the fake pair is (x, G(x, z)), with the
same x. D judges patches, each by itself: what is sharp is seen in a patch, what goes where is told
by the distance. z is dropout, which stays on when a picture is translated.

Of several answers to one x the distance alone gives a single one: |y - G| the median of each pixel,
(y - G)^2 its mean, a brown where the answers are red and green. A picture of such pixels need be no
answer at all, and D tells it by its patches.

What goes wrong: D that is not shown x is content with any y, whatever x was; G learns to do without
its noise, and two translations of a picture are almost alike; without skips all that is to be drawn
comes through a few pixels, and lines are lost; few pairs, which D then knows by heart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...backend import Generator
from ...checks import numbers
from ...ops import cat
from ...tape import no_grad
from ...tensor import Tensor, same_shape
from .. import nets
from ..gan.objectives import loss_alone
from ..systems import NEEDED, settings

__all__ = ["DISTANCES", "Pix2Pix", "build"]

DISTANCES = {"l1": lambda a, b: (a - b).abs().mean(), "l2": lambda a, b: ((a - b) ** 2).mean()}


class Pix2Pix(nn.Module):
    """G: (x, generator) -> pictures; D: (x and y, one above the other in channels) -> verdicts.

    told: the shape of x. weight: lambda. judge: w; 0 leaves the game out. distance: a key of
    DISTANCES. blind: D is shown y alone (the paper's GAN, beside its cGAN). ValueError for an
    objective whose D needs more than its loss.

    >>> import tinygen as tg
    >>> config = {"told": (1, 16, 16), "shape": (3, 16, 16), "width": 4, "d_width": 4}
    >>> x, y = tg.zeros(2, 1, 16, 16), tg.ones(2, 3, 16, 16)
    >>> model = tg.models.build("pix2pix", config)
    >>> list(model.discriminator_terms((x, y))), list(model.generator_terms((x, y)))
    (['loss', 'real', 'fake'], ['loss', 'adversarial', 'distance'])
    >>> model.translate(x).shape
    (2, 3, 16, 16)
    """

    classes = 0
    pixels = (-1.0, 1.0)

    def __init__(
        self, G: nn.Module, D: nn.Module, told: Sequence[int], objective_name: str, *,
        weight: float = 100.0, judge: float = 1.0, distance: str = "l1", blind: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        numbers("Pix2Pix", 0.0, weight=weight, judge=judge)
        self.row = loss_alone("Pix2Pix", objective_name)
        if distance not in DISTANCES:
            raise ValueError(f"Pix2Pix: distance must be l1 or l2, got {distance!r}")
        self.G, self.D, self.told = G, D, tuple(told)
        self.weight, self.judge, self.distance, self.blind = weight, judge, distance, blind

    def forward(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """G(x, z), (B, *shape), with a gradient."""
        made: Tensor = self.G(x, generator)
        return made

    @no_grad()
    def translate(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        """G(x, z) of images (B, *told) in [-1, 1], without a gradient; another z each time.

        The noise is drawn from `generator`. ValueError for pictures of other channels, or of a size
        that cannot be halved so often; larger ones may be given, as no layer asks for a size.
        """
        return self(images, generator)

    def verdicts(self, x: Tensor, y: Tensor) -> Tensor:
        """D's raw output for each patch of the pairs, (B, 1, h, w)."""
        return self.D(y if self.blind else cat([x, y], 1))

    def discriminator_terms(
        self, batch: Sequence[Tensor], made: Tensor | None = None
    ) -> dict[str, Tensor]:
        """D's loss on pairs (x, y) and (x, made), and its mean verdicts on them.

        made: G(x, z), which gets no gradient from here; made anew unless given.
        """
        x, y = batch
        made = self.translate(x) if made is None else made.detach()
        same_shape("Pix2Pix", made, y)
        real, fake = self.verdicts(x, y), self.verdicts(x, made)
        return {"loss": self.row.discriminator(real, fake), "real": real.mean(),
                "fake": fake.mean()}  # fmt: skip

    def generator_terms(
        self, batch: Sequence[Tensor], made: Tensor | None = None
    ) -> dict[str, Tensor]:
        """loss: judge * adversarial + weight * distance. Inside `gan.frozen(D)` D is left alone."""
        x, y = batch
        made = self(x) if made is None else made
        same_shape("Pix2Pix", made, y)
        away = DISTANCES[self.distance](made, y)
        if not self.judge:
            return {"loss": self.weight * away, "distance": away}
        fooled = self.row.generator(self.verdicts(x, made))
        loss = self.judge * fooled + self.weight * away
        return {"loss": loss, "adversarial": fooled, "distance": away}


def build(config: Mapping[str, Any]) -> Pix2Pix:
    """told, shape: of x and y, (C, H, W) each. weight, judge, distance, blind: see Pix2Pix.

    width, halvings, skips, dropout: of the U-Net; halved down to 4 pixels unless told. patch: of D,
    16 unless told, see nets.patch_halvings. d_width: its features. objective: a key of OBJECTIVES.
    """
    c = settings(
        "pix2pix", config, told=NEEDED, shape=NEEDED, width=32, halvings=None, skips=True,
        dropout=0.5, patch=16, d_width=32, objective="non_saturating", weight=100.0, judge=1.0,
        distance="l1", blind=False,
    )  # fmt: skip
    told, shape = tuple(c.told), tuple(c.shape)
    if len(told) != 3 or len(shape) != 3 or told[1:] != shape[1:]:
        raise ValueError(f"pix2pix: expected told and shape (C, H, W) of one size, got {told} and "
                         f"{shape}; resize one of them")  # fmt: skip
    halvings = c.halvings or _halvings(shape[1], shape[2])
    if any(side % 2**halvings for side in shape[1:]):
        raise ValueError(
            f"pix2pix: pictures of {shape[1]} x {shape[2]} pixels cannot be halved {halvings} "
            f"times; resize them to multiples of {2**halvings}, or take fewer halvings"
        )
    G = nets.UNetGenerator(
        told[0], shape[0], c.width, halvings, skips=c.skips, dropout=c.dropout
    )  # fmt: skip
    seen = shape[0] if c.blind else told[0] + shape[0]
    D = nets.PatchDiscriminator(seen, c.d_width, nets.patch_halvings(c.patch, max(shape[1:])))
    return Pix2Pix(
        G, D, told, c.objective, weight=c.weight, judge=c.judge, distance=c.distance, blind=c.blind
    )


def _halvings(*sides: int) -> int:
    """As often as all sides allow while the smallest keeps 4 pixels, at least once."""
    n = 0
    while all(side % 2 ** (n + 1) == 0 for side in sides) and min(sides) >> (n + 1) >= 4:
        n += 1
    return max(n, 1)
