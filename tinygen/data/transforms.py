"""What is done to pictures on their way into a model: small functions of Tensors (B, C, H, W).

Pixels are in [0, 1] where colours are mixed (`colour_jitter`, `to_grey`), in any range elsewhere.
What is random takes a `generator`, and each picture of a batch has a draw of its own.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from ..backend import Array, Generator
from ..checks import numbers, positive
from ..nn import functional as F
from ..ops import clamp, flip, pad, rand, randint, randn, stack, tensor, where
from ..tensor import Tensor, wrap

__all__ = [
    "blur", "box_mask", "colour_jitter", "degrade", "edges", "free_form_mask", "random_crop",
    "random_flip", "resize", "to_grey",
]  # fmt: skip

GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601


def random_crop(
    x: Tensor, size: int, padding: int = 0, generator: Generator | None = None
) -> Tensor:
    """A random square of each picture, (B, C, size, size), after `padding` zeros on each side.

    >>> import tinygen as tg
    >>> tg.data.transforms.random_crop(tg.rand(4, 3, 32, 32), 28).shape
    (4, 3, 28, 28)
    """
    _pictures("random_crop", x)
    positive("random_crop", size=size)
    x = pad(x, (padding,) * 4) if padding else x
    n, _, height, width = x.shape
    if size > min(height, width):
        raise ValueError(f"random_crop: size {size} out of pictures of {height} x {width} pixels")
    top = randint(0, height - size + 1, (n,), generator=generator).tolist()
    left = randint(0, width - size + 1, (n,), generator=generator).tolist()
    return stack([p[:, i : i + size, j : j + size] for p, i, j in zip(x, top, left, strict=True)])


def random_flip(x: Tensor, p: float = 0.5, generator: Generator | None = None) -> Tensor:
    """Each picture mirrored left to right with probability p."""
    _pictures("random_flip", x)
    numbers("random_flip", 0.0, 1.0, p=p)
    turned = rand(x.shape[0], 1, 1, 1, generator=generator) < p
    return where(turned, flip(x, (3,)), x)


def resize(x: Tensor, size: int | tuple[int, int]) -> Tensor:
    """To `size` (H, W) or size x size pixels, bilinearly and antialiased, as Pillow's BILINEAR.

    Each new pixel is a mean of the old ones under a triangle as wide as a new pixel (never narrower
    than an old one), so that nothing is skipped when a picture gets smaller. Differentiable.

    >>> import tinygen as tg
    >>> tg.data.transforms.resize(tg.rand(2, 3, 32, 32), 8).shape
    (2, 3, 8, 8)
    """
    _pictures("resize", x)
    height, width = (size, size) if isinstance(size, int) else size
    positive("resize", height=height, width=width)
    rows = wrap(_triangles(x.shape[2], height).astype(x.dtype)).to(x.device)
    columns = wrap(_triangles(x.shape[3], width).astype(x.dtype)).to(x.device)
    return rows @ x @ columns.T


def colour_jitter(
    x: Tensor, brightness: float = 0.2, contrast: float = 0.2, saturation: float = 0.2,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Brightness, contrast and saturation of each picture times factors in 1 - s .. 1 + s.

    x: (B, 3, H, W) in [0, 1], and so is the result: brightness mixes with black, contrast with the
    picture's mean grey, saturation with its grey version, in this order.
    """
    _pictures("colour_jitter", x, channels=3)
    numbers(
        "colour_jitter", 0.0, 1.0, brightness=brightness, contrast=contrast, saturation=saturation
    )
    for strength, what in ((brightness, "black"), (contrast, "mean"), (saturation, "grey")):
        draw = rand(x.shape[0], 1, 1, 1, generator=generator, dtype=x.dtype).to(x.device)
        factor = 1 + strength * (2 * draw - 1)
        grey = to_grey(x)
        other = {"black": 0 * grey, "mean": grey.mean((2, 3), keepdim=True), "grey": grey}[what]
        x = clamp(factor * x + (1 - factor) * other, 0.0, 1.0)
    return x


def to_grey(x: Tensor) -> Tensor:
    """0.299 R + 0.587 G + 0.114 B: (B, 3, H, W) -> (B, 1, H, W)."""
    _pictures("to_grey", x, channels=3)
    weights = tensor(GREY, dtype=x.dtype).to(x.device).reshape(1, 3, 1, 1)
    return (x * weights).sum(1, keepdim=True)


def edges(x: Tensor) -> Tensor:
    """Length of Sobel's slope, the largest over channels: (B, C, H, W) -> (B, 1, H, W).

    A step of height 1 between two rows or columns gives 1 on both sides of it.
    """
    _pictures("edges", x)
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
    both = wrap(np.stack([kernel, kernel.T])[:, None].astype(x.dtype)).to(x.device)
    n, channels, height, width = x.shape
    padded = F.pad(x.reshape(n * channels, 1, height, width), (1, 1, 1, 1), mode="replicate")
    slopes = (F.conv2d(padded, both) ** 2).sum(1).sqrt()
    return slopes.reshape(n, channels, height, width).amax(1, keepdim=True)


def blur(x: Tensor, sigma: float) -> Tensor:
    """Means under a Gaussian of `sigma` pixels, cut at 3 sigma, edges repeated."""
    _pictures("blur", x)
    numbers("blur", 0.0, sigma=sigma)
    if sigma == 0:
        return x
    reach = max(1, math.ceil(3 * sigma))
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    bell = (bell / bell.sum()).astype(x.dtype)
    n, channels, height, width = x.shape
    flat = F.pad(x.reshape(n * channels, 1, height, width), (reach,) * 4, mode="replicate")
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        flat = F.conv2d(flat, wrap(bell.reshape(shape)).to(x.device))
    return flat.reshape(n, channels, height, width)


def degrade(
    x: Tensor, factor: int = 2, sigma: float = 0.7, noise: float = 0.02,
    generator: Generator | None = None,
) -> Tensor:  # fmt: skip
    """Blurred, made `factor` times smaller and noisy: (B, C, H, W) -> (B, C, H / f, W / f).

    ValueError unless the factor divides both sides.
    """
    _pictures("degrade", x)
    positive("degrade", factor=factor)
    numbers("degrade", 0.0, noise=noise)
    height, width = x.shape[2:]
    if height % factor or width % factor:
        raise ValueError(f"degrade: a factor of {factor} does not divide {height} x {width} pixels")
    small = resize(blur(x, sigma), (height // factor, width // factor))
    extra = randn(small.shape, generator=generator, dtype=x.dtype).to(x.device)
    return small + noise * extra if noise else small


def box_mask(n: int, size: int, share: float = 0.25, generator: Generator | None = None) -> Tensor:
    """n masks (n, 1, size, size): 1 where it is seen, 0 in a square hole of `share` of the area."""
    positive("box_mask", n=n, size=size)
    numbers("box_mask", 0.0, 1.0, share=share)
    side = min(size, max(1, round(size * math.sqrt(share))))
    corners = randint(0, size - side + 1, (n, 2), generator=generator).tolist()
    out = np.ones((n, 1, size, size), np.float32)
    for mask, (i, j) in zip(out, corners, strict=True):
        mask[:, i : i + side, j : j + side] = 0
    return wrap(out)


def free_form_mask(
    n: int, size: int, strokes: int = 3, width: float = 0.1, generator: Generator | None = None
) -> Tensor:
    """n masks (n, 1, size, size), 0 along `strokes` random broken lines of `width` times the side.

    After Yu et al. 2018, "Free-Form Image Inpainting with Gated Convolution" (arXiv:1806.03589).
    """
    positive("free_form_mask", n=n, size=size, strokes=strokes)
    numbers("free_form_mask", 0.0, 1.0, width=width)
    points = rand(n, strokes, 4, 2, generator=generator).numpy()
    at = (np.arange(size) + 0.5) / size
    grid = np.stack(np.meshgrid(at, at, indexing="ij"), -1)  # (size, size, 2)
    near = np.full((n, size, size), np.inf)
    for k in range(3):  # from each point to the next
        a, b = points[:, :, None, None, k], points[:, :, None, None, k + 1]
        along = b - a
        t = ((grid - a) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
        nearest = a + np.clip(t, 0, 1)[..., None] * along
        near = np.minimum(near, np.hypot(*np.moveaxis(grid - nearest, -1, 0)).min(1))
    return wrap((near > width / 2).astype(np.float32)[:, None])


@cache
def _triangles(old: int, new: int) -> Array:
    """(new, old): each row the weights of the old pixels in a new one, summing to 1."""
    scale = old / new
    reach = max(scale, 1.0)
    middle = (np.arange(new) + 0.5) * scale
    apart = np.abs(np.arange(old) + 0.5 - middle[:, None]) / reach
    weights = np.maximum(1 - apart, 0)
    return weights / weights.sum(1, keepdims=True)


def _pictures(name: str, x: Tensor, channels: int | None = None) -> None:
    if x.ndim != 4 or channels not in (None, x.shape[1]):
        wanted = f"(B, {channels or 'C'}, H, W)"
        raise ValueError(f"{name}: expected pictures {wanted}, got {x.shape}")
