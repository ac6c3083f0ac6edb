"""The progressive GAN: 4 x 4 pixels first, then one more doubling at a time (Karras et al. 2018).

    stage k, side 4 2^k:   x_k = (1 - alpha) up(down(x)) + alpha x,   x the data at that side
                           G and D fade their newest block in by the same alpha: nets/growing.py

Coarse form is learned where a step costs least, and D is never shown what G cannot yet draw. What
helps beside: equalised layers, every pixel of G normalised, a plane in D of how much a group of
pictures differs. `stage` and `alpha` are the state of the growing, buffers of G and D that every
checkpoint holds; when to be where is configuration, `Growth`, and a run cannot go on with another.

The paper's objective is `wgan_gp` with 1 step of D, and drift: + 0.001 E[D(x)^2], which holds the
critic's free constant near 0. `non_saturating` with R1, as in the follow-up (1812.04948), is the
default.

What goes wrong: with alpha the wrong way round a new block is thrown at D at once and taken back;
data that are not faded as samples are give D the sharpness to tell them by; the std of a whole
batch says less than a group's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...checks import numbers, positive
from ...ops import mean, square
from ...tensor import Tensor
from .. import nets
from ..systems import NEEDED, settings
from .gan import GAN
from .objectives import objective

__all__ = ["Growth", "ProGAN", "build"]


class Growth:
    """When the networks grow: step -> (stage, alpha).

    Each stage takes `stage_steps` steps; alpha rises in a line over the first half of them, of
    stage 0 it is 1. The last stage has no end. grow=False: the last stage from the first step. To
    be tracked by a Run: a resume with other stages is refused.

    >>> import tinygen as tg
    >>> growth = tg.models.gan.Growth((3, 16, 16), stage_steps=100)
    >>> [growth.at(step) for step in (1, 101, 125, 150, 200, 201, 900)]
    [(0, 1.0), (1, 0.02), (1, 0.5), (1, 1.0), (1, 1.0), (2, 0.02), (2, 1.0)]
    """

    def __init__(self, shape: Sequence[int], stage_steps: int, grow: bool = True) -> None:
        positive("Growth", stage_steps=stage_steps)
        self.sides, self.stage_steps, self.grow = nets.sides("Growth", shape), stage_steps, grow

    def at(self, step: int) -> tuple[int, float]:
        """(stage, alpha) of a step, counted from 1."""
        positive("Growth.at", step=step)
        last = len(self.sides) - 1
        if not self.grow:
            return last, 1.0
        stage = min((step - 1) // self.stage_steps, last)
        done = step - stage * self.stage_steps
        return stage, min(1.0, done / max(1, self.stage_steps // 2)) if stage else 1.0

    def __repr__(self) -> str:
        if not self.grow:
            return f"{self.sides[-1]} pixels at once"
        return f"{', '.join(map(str, self.sides))} pixels, {self.stage_steps} steps each"

    def state_dict(self) -> dict[str, Any]:
        """The plan: sides, stage_steps, grow."""
        return {"sides": self.sides, "stage_steps": self.stage_steps, "grow": self.grow}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Nothing is taken over; ValueError where the plan is another one."""
        theirs = Growth((1, *[state_dict["sides"][-1]] * 2), state_dict["stage_steps"],
                        state_dict["grow"])  # fmt: skip
        if repr(theirs) != repr(self):
            raise ValueError(
                f"it was grown by other stages: {theirs}; asked for are {self}. Take its own "
                "stages, or start anew"
            )


class ProGAN(GAN):
    """A GAN of growing networks, for pictures (B, C, S, S) of the full size, whatever the stage.

    Data are shrunk to the present stage before D sees them; samples are shown at full size, their
    pixels as large as they are. A new one is at stage 0; `grow` moves it.

    >>> import tinygen as tg
    >>> G, D = tg.models.nets.growing((1, 8, 8), latent=4, width=4)
    >>> model = tg.models.gan.ProGAN(G, D, "wgan_gp", latent=4)
    >>> model.grow(1, alpha=0.5)
    >>> model.stage, model.alpha, model.sample(3).shape
    (1, 0.5, (3, 1, 8, 8))
    """

    G: nets.GrowingG
    D: nets.GrowingD

    def __init__(
        self, G: nn.Module, D: nn.Module, objective_name: str, latent: int,
        *, drift: float = 1e-3, **options: Any,
    ) -> None:  # fmt: skip
        numbers("ProGAN", 0.0, drift=drift)
        super().__init__(G, D, objective_name, latent, **options)
        self.drift = drift

    def grow(self, stage: int, alpha: float = 1.0) -> None:
        """Both networks to `stage` 0, 1, .., the newest block faded in by alpha in [0, 1]."""
        self.G.grow(stage, alpha)
        self.D.grow(stage, alpha)

    @property
    def stage(self) -> int:
        """How often the side was doubled."""
        return self.G.now[0]

    @property
    def alpha(self) -> float:
        """How far the newest block is faded in."""
        return self.G.now[1]

    def shown(self, x: Tensor) -> Tensor:
        """Data as D gets to see them at this stage: (B, C, S, S) -> (B, C, 4 2^stage, ..)."""
        stage, alpha = self.G.now
        for _ in range(self.G.last - stage):
            x = nets.shrunk(x)
        return nets.faded(nets.grown(nets.shrunk(x)), x, alpha) if alpha < 1.0 else x

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """G(z) in evaluation mode, at full size: z (B, latent) -> (B, C, S, S)."""
        x = super().decode(z, labels)
        for _ in range(self.G.last - self.stage):
            x = nets.grown(x)
        return x

    def discriminator_terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """As GAN's, of data (B, C, S, S) at full size."""
        x, *rest = [batch] if isinstance(batch, Tensor) else batch
        return super().discriminator_terms((self.shown(x), *rest))

    def discriminator_loss(self, on_real: Tensor, on_fake: Tensor) -> Tensor:
        """The row's loss of D + drift E[D(x)^2]."""
        return super().discriminator_loss(on_real, on_fake) + self.drift * mean(square(on_real))


def build(config: Mapping[str, Any]) -> ProGAN:
    """For pictures of `shape` (C, S, S) in [-1, 1], S = 4 2^k; at stage 0.

    width, most, group: see nets.growing. gamma: of R1, for objectives without a penalty of their
    own.

    >>> import tinygen as tg
    >>> model = tg.models.build("progan", {"shape": (1, 8, 8), "latent": 4, "width": 4})
    >>> model.stage, model.G(model.draw(3)).shape, model.sample(3).shape
    (0, (3, 1, 4, 4), (3, 1, 8, 8))
    """
    c = settings(
        "progan", config, shape=NEEDED, objective="non_saturating", latent=64, width=16, most=64,
        group=4, gamma=0.1, drift=1e-3,
    )  # fmt: skip
    nets.sides("progan", c.shape)
    G, D = nets.growing(c.shape, c.latent, c.width, c.most, group=c.group)
    own = objective(c.objective).penalty is not None
    r1: dict[str, Any] = {} if own else {"penalty": "r1", "weight": c.gamma}
    return ProGAN(G, D, c.objective, c.latent, drift=c.drift, **r1)
