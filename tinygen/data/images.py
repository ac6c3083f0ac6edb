"""A set of labelled images, and the one place where pixels are scaled.

Pixels are stored as they came, in uint8 from 0 to `maximum` (255; 16 in the bundled digits).
Models see float32: in [0, 1] by `to_unit` (Bernoulli decoders) or in [-1, 1] by `to_symmetric`
(tanh generators, diffusion). `to_uint8` goes back, for files and for looking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backend import Array, float32, int64, uint8
from ..checks import numbers, positive
from ..tensor import Tensor, wrap

__all__ = ["ImageDataset", "to_symmetric", "to_uint8", "to_unit"]


def _array(x: Any) -> Array:
    return x._array if isinstance(x, Tensor) else np.asarray(x)


def to_unit(images: Any, maximum: int = 255) -> Tensor:
    """images / maximum, float32 in [0, 1], of the same shape.

    images: a uint8 Tensor or array in 0..maximum; TypeError for another dtype (scaled already?).

    >>> import numpy as np, tinygen as tg
    >>> tg.data.to_unit(np.array([0, 8, 16], np.uint8), maximum=16)
    tensor([0. , 0.5, 1. ])
    """
    positive("to_unit", maximum=maximum)
    pixels = _array(images)
    if pixels.dtype != uint8:
        raise TypeError(
            f"to_unit: expected uint8 pixels in 0..{maximum}, got {pixels.dtype} (scaled already?)"
        )
    return wrap(pixels.astype(float32) / np.float32(maximum))


def to_symmetric(images: Any, maximum: int = 255) -> Tensor:
    """2 images / maximum - 1, float32 in [-1, 1], of the same shape.

    images: a uint8 Tensor or array in 0..maximum; TypeError for another dtype.

    >>> import numpy as np, tinygen as tg
    >>> tg.data.to_symmetric(np.array([0, 8, 16], np.uint8), maximum=16)
    tensor([-1.,  0.,  1.])
    """
    unit = to_unit(images, maximum)._array
    return wrap(unit * np.float32(2) - np.float32(1))


def to_uint8(x: Any, low: float = 0.0, high: float = 1.0, maximum: int = 255) -> Tensor:
    """Pixels again: [low, high] -> 0..maximum, rounded to nearest; values outside are clipped.

    `to_uint8(to_unit(u, m), maximum=m) == u`, and `to_uint8(to_symmetric(u, m), low=-1, maximum=m)
    == u`, exactly. ValueError when x has a NaN, which no pixel can show, and unless low < high.

    >>> import tinygen as tg
    >>> tg.data.to_uint8(tg.tensor([-1.0, 1.0, 2.0]), low=-1)
    tensor([  0, 255, 255], uint8)
    """
    positive("to_uint8", maximum=maximum)
    numbers("to_uint8", low=low, high=high)
    if not low < high:
        raise ValueError(f"to_uint8: expected low < high, got {low} and {high}")
    unit = (_array(x).astype(float32) - np.float32(low)) / np.float32(high - low)
    if np.isnan(unit).any():
        raise ValueError("to_uint8: the image has NaNs")
    return wrap(np.rint(np.clip(unit, 0, 1) * np.float32(maximum)).astype(uint8))


@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labelled images: `images` (N, C, H, W) uint8 in 0..maximum, `labels` (N,) int64.

    `len(data)` is N and `data[i]` is `(images[i], labels[i])`, so a DataLoader takes it as it is.
    `classes` are the labels' names. `captions`: a text an image, or none at all. `details`: what
    else is known, by name: Tensors and arrays with a row an image, or tuples of names.

    Raises ValueError when there are not as many labels or captions as images, or the images have
    not 4 axes.

    >>> import tinygen as tg
    >>> data = tg.data.load("digits")
    >>> data, data[0][0].shape
    (ImageDataset('digits', 1,415 images (1, 8, 8), 0..16), (1, 8, 8))
    """

    name: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    maximum: int = 255
    citation: str = ""
    captions: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.images.ndim != 4:
            raise ValueError(f"{self.name}: expected images (N, C, H, W), got {self.images.shape}")
        if self.labels.shape != self.images.shape[:1]:
            raise ValueError(
                f"{self.name}: {self.images.shape[0]} images but labels of shape "
                f"{self.labels.shape}; the two files do not belong together"
            )
        if len(self.captions) not in (0, len(self)):
            raise ValueError(f"{self.name}: {len(self)} images but {len(self.captions)} captions")

    @classmethod
    def of(
        cls, name: str, images: Array, labels: Array, classes: tuple[str, ...], **rest: Any
    ) -> ImageDataset:
        """From arrays: uint8 images (N, H, W) or (N, C, H, W) and integer labels (N,)."""
        images = images[:, None] if images.ndim == 3 else images
        return cls(name, wrap(images), wrap(labels.astype(int64)), classes, **rest)

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """(images, labels), by which a DataLoader cuts batches."""
        return self.images, self.labels

    def __len__(self) -> int:
        return int(self.images.shape[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(t[index] for t in self.tensors)

    def to_unit(self) -> Tensor:
        """All images as float32 in [0, 1], (N, C, H, W)."""
        return to_unit(self.images, self.maximum)

    def to_symmetric(self) -> Tensor:
        """All images as float32 in [-1, 1], (N, C, H, W)."""
        return to_symmetric(self.images, self.maximum)

    def __repr__(self) -> str:
        n, *shape = self.images.shape
        return f"ImageDataset({self.name!r}, {n:,} images {tuple(shape)}, 0..{self.maximum})"
