"""The diffusion model of images: a U-Net under a `Diffusion` (Ho et al. 2020, arXiv:2006.11239).

    x_t = a_t x_0 + s_t eps,  eps ~ N(0, I);      the U-Net sees x_t, t and the label, says eps or v

What goes wrong: noise added on the last step of sampling makes pictures grainy; a schedule that
ends before all is noise starts the way back from a law it never saw; asked for eps, the network
must be exact where there is little noise to see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...backend import Generator
from ...tensor import Tensor
from ..nets.unet import UNet
from ..systems import NEEDED, settings, split
from .likelihood import hybrid_loss
from .model import Diffusion
from .process import Process, schedule
from .samplers import sample

__all__ = ["DDPM", "build"]


class DDPM(Diffusion):
    """A `Diffusion` that knows what it makes: samples of `shape`, trained by one loss.

    loss: a key of WEIGHTS, or "hybrid" (levels: the grey values of a pixel), which also learns the
    variance. The other options are those of `Diffusion`.

    >>> import tinygen as tg
    >>> model = tg.models.build("ddpm", {"shape": (1, 8, 8), "width": 8, "T": 2})
    >>> model.terms((tg.zeros(2, 1, 8, 8),))["loss"].shape, model.sample(2).shape
    ((), (2, 1, 8, 8))
    """

    pixels = (-1.0, 1.0)

    def __init__(
        self,
        process: Process,
        net: nn.Module,
        shape: Sequence[int],
        loss: str = "simple",
        levels: int | None = None,
        **options: Any,
    ) -> None:
        variance = "learned" if loss == "hybrid" else "small"
        super().__init__(process, net, variance=variance, **options)
        self.shape, self.weight, self.grey_levels = tuple(shape), loss, levels

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """{"loss"} of a batch (x,) or (x, labels), a scalar, with t and eps drawn here."""
        x, labels = split(batch)
        labels = labels if self.condition else None
        if self.weight == "hybrid":
            return {"loss": hybrid_loss(self, x, labels, self.grey_levels)}
        return {"loss": self.loss(x, labels, self.weight)}

    def sample(
        self,
        n: int,
        generator: Generator | None = None,
        labels: Any = None,
        sampler: str = "ancestral",
        steps: int | None = None,
        **options: Any,
    ) -> Tensor:
        """n samples of `shape`; labels (n,) or one; options: those of `diffusion.chain`."""
        return sample(
            self, (n, *self.shape), sampler, steps, generator=generator, labels=labels, **options
        )


def build(config: Mapping[str, Any]) -> DDPM:
    """For pictures of `shape` in [-1, 1].

    classes: how many labels; drop: the share of them that is hidden in training. width, depth: of
    the U-Net. schedule, T: of the process. parameterisation: what the U-Net is asked for. With
    loss="hybrid" it makes twice the channels, for the variance. levels: grey values of a pixel.

    >>> import tinygen as tg
    >>> config = {"shape": (1, 8, 8), "classes": 10, "width": 8, "T": 2, "schedule": "cosine"}
    >>> model = tg.models.diffusion.ddpm.build(config)
    >>> model.sample(2, labels=[7, 1], sampler="ddim", guidance=3.0).shape
    (2, 1, 8, 8)
    """
    c = settings(
        "ddpm", config, shape=NEEDED, classes=0, drop=0.3, width=16, depth=1, schedule="cosine",
        T=200, parameterisation="v", loss="simple", levels=None,
    )  # fmt: skip
    channels = c.shape[0]
    out = 2 * channels if c.loss == "hybrid" else channels
    net = UNet(channels, c.width, depth=c.depth, classes=c.classes, out=out)
    return DDPM(
        schedule(c.schedule, c.T), net, c.shape, c.loss, c.levels,
        predicts=c.parameterisation, classes=c.classes, drop=c.drop, bounded=True,
    )  # fmt: skip
