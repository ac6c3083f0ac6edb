"""Adaptive discriminator augmentation: D sees turned, moved and recoloured pictures only (ADA).

Each kind of change is made to each picture, real or generated, with probability p. G has to make
what looks like data once both are augmented, and as long as a change is often left out (p below
0.8) only the data do: augmentations do not leak into samples (Karras et al. 2020,
arXiv:2006.06676). p follows how much D overfits:

    r = E sign D(x) on data,     p += sign(r - target) n / images    after n pictures

r = 0 where D cannot tell, 1 where it knows every picture by heart.
"""

from __future__ import annotations

import math

import numpy as np

from ... import nn
from ...backend import Array
from ...checks import numbers, positive
from ...nn import functional as F
from ...ops import rand, randn, tensor, zeros
from ...tensor import Tensor, wrap

__all__ = ["AdaptiveAugment", "augmented"]

LUMA = np.ones(3) / math.sqrt(3.0)  # the axis of grey


class AdaptiveAugment(nn.Module):
    """`augmented` with a probability p that follows r: x (B, C, S, S) -> the same.

    target: of r. images: after so many pictures, all on one side of the target, p has gone from 0
    to 1 (the paper: 0.6 and 500,000). p and the statistic are buffers, so a checkpoint has them.

    >>> import tinygen as tg
    >>> ada = tg.models.gan.AdaptiveAugment(target=0.6, images=1000)
    >>> x = tg.rand(8, 3, 16, 16)
    >>> bool((ada(x) == x).all())                     # p = 0
    True
    >>> for _ in range(4): ada.update(tg.ones(25))    # D is sure of all data
    >>> round(ada.p.item(), 3)
    0.1
    """

    p: Tensor
    signs: Tensor

    def __init__(self, target: float = 0.6, images: int = 500_000, every: int = 4) -> None:
        super().__init__()
        numbers("AdaptiveAugment", -1.0, 1.0, target=target)
        positive("AdaptiveAugment", images=images, every=every)
        self.target, self.images, self.every = target, images, every
        self.register_buffer("p", tensor(0.0))
        self.register_buffer("signs", zeros(3))  # their sum, of how many, in how many batches

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, S, S), each picture changed in its own way; x itself where p = 0."""
        return augmented(x, self.p.item())

    def update(self, on_real: Tensor) -> None:
        """Note D's raw outputs for data (B,), augmented as they are; each `every` batches p moves.

        Outputs are logits or scores whose sign says data (+) or sample (-).
        """
        values = np.sign(on_real.detach().cpu().numpy())
        signs = self.signs + tensor([float(values.sum()), float(values.size), 1.0]).to(
            self.p.device
        )
        total, count, batches = signs.tolist()
        if batches >= self.every:
            step = np.sign(total / count - self.target) * count / self.images
            self.p.fill_(min(1.0, max(0.0, self.p.item() + float(step))))
            signs = signs * 0.0
        self.signs.copy_(signs)


def augmented(x: Tensor, p: float) -> Tensor:
    """Each kind of change with probability p: x (B, C, S, S) -> the same, differentiable in x.

    Mirrored, turned by 90 degrees, moved by whole pixels (an eighth of the side), made larger or
    smaller, turned, stretched, moved; then brightness, contrast, and of three colours luma, hue and
    saturation. What comes in at the edges is the picture mirrored. p = 0: x itself.
    """
    numbers("augmented", 0.0, 1.0, p=p)
    if p == 0.0 or not x.shape[0]:
        return x
    return _recoloured(_moved(x, p), p)


# --- in the plane ---------------------------------------------------------------------------------


def _normal(n: int) -> Array:
    return np.asarray(randn(n, dtype="float64").numpy())


def _uniform(n: int) -> Array:
    return np.asarray(rand(n, dtype="float64").numpy())


def _where(n: int, p: float, value: Array, neutral: float) -> Array:
    """The value (.., n) in a share p of the n pictures, the neutral element in the rest."""
    return np.where(_uniform(n) < p, value, neutral)


def _maps(a: Array, b: Array, c: Array, d: Array, x: Array, y: Array) -> Array:
    """(n, 3, 3): (u, v) -> (a u + b v + x, c u + d v + y)."""
    zero, one = np.zeros(len(a)), np.ones(len(a))
    rows = [np.stack(row, 1) for row in ((a, b, x), (c, d, y), (zero, zero, one))]
    return np.stack(rows, 1)


def _turn(angle: Array) -> Array:
    zero = np.zeros(len(angle))
    return _maps(np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle), zero, zero)


def _scale(u: Array, v: Array) -> Array:
    zero = np.zeros(len(u))
    return _maps(u, zero, zero, v, zero, zero)


def _shift(x: Array, y: Array) -> Array:
    zero, one = np.zeros(len(x)), np.ones(len(x))
    return _maps(one, zero, zero, one, x, y)


def plane_maps(n: int, side: int, p: float) -> Array:
    """(n, 3, 3): where in the picture, -1 .. 1, what is shown at a place comes from."""
    one = np.ones(n)
    flips = _where(n, p, np.sign(_uniform(n) - 0.5), 1.0)
    quarters = _where(n, p, np.floor(4 * _uniform(n)), 0.0)
    eighths = (2 * _uniform(2 * n).reshape(2, n) - 1) * side / 8
    moves = _where(n, p, np.rint(eighths) * 2 / side, 0.0)
    larger = _where(n, p, 2 ** (0.2 * _normal(n)), 1.0)
    stretch = _where(n, p, 2 ** (0.2 * _normal(n)), 1.0)
    turns = 1 - math.sqrt(1 - p)  # before and after the stretch: p that there is one
    before, after = (_where(n, turns, np.pi * (2 * _uniform(n) - 1), 0.0) for _ in range(2))
    drift = _where(n, p, 0.25 * _normal(2 * n).reshape(2, n), 0.0)  # an eighth of 2
    return (
        _scale(flips, one) @ _turn(quarters * np.pi / 2) @ _shift(*moves) @ _scale(larger, larger)
        @ _turn(before) @ _scale(stretch, 1 / stretch) @ _turn(after) @ _shift(*drift)
    )  # fmt: skip


def _moved(x: Tensor, p: float) -> Tensor:
    maps = plane_maps(x.shape[0], x.shape[3], p)[:, :2].astype(x.dtype)
    grid = F.affine_grid(wrap(maps).to(x.device), x.shape)
    return F.grid_sample(x, grid, padding_mode="reflection")


# --- colours --------------------------------------------------------------------------------------


def colour_maps(n: int, p: float) -> Array:
    """(n, 3, 4): new colours are M (red, green, blue, 1)."""
    light = np.zeros((n, 3, 4))
    light[:, :, 3] = _where(n, p, 0.2 * _normal(n), 0.0)[:, None]
    contrast = _where(n, p, 2 ** (0.5 * _normal(n)), 1.0)[:, None, None]
    grey = np.outer(LUMA, LUMA)
    inverted = _where(n, p, np.floor(2 * _uniform(n)), 0.0)[:, None, None]
    angle = _where(n, p, np.pi * (2 * _uniform(n) - 1), 0.0)[:, None, None]
    x, y, z = LUMA
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    hue = np.cos(angle) * np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * grey
    saturation = _where(n, p, 2 ** _normal(n), 1.0)[:, None, None]
    matrix = (grey + saturation * (np.eye(3) - grey)) @ hue @ (np.eye(3) - 2 * inverted * grey)
    light[:, :, :3] = np.eye(3)
    return np.asarray(matrix @ (contrast * light))


def _recoloured(x: Tensor, p: float) -> Tensor:
    maps = colour_maps(x.shape[0], p)
    if x.shape[1] != 3:  # of grey: as it changes along the grey axis
        grey = maps[:, :, :3].sum(2).mean(1), maps[:, :, 3].mean(1)
        gain, offset = (part.reshape(-1, 1, 1, 1).astype(x.dtype) for part in grey)
        return x * wrap(gain).to(x.device) + wrap(offset).to(x.device)
    matrix = wrap(maps.astype(x.dtype)).to(x.device)
    colours = matrix[:, :, :3] @ x.flatten(2) + matrix[:, :, 3:]
    return colours.reshape(x.shape)
