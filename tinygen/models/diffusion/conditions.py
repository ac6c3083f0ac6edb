"""What a diffusion model can be told beside x_t, each with a word for "nothing".

condition(given, x) is what the network gets for a batch x: what was given, checked, (B, ...); where
that is None, its "nothing". Classifier-free guidance trains with both and samples with both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import nn
from ...backend import Array, int64, move, refuse
from ...ops import zeros
from ...tensor import Tensor, wrap
from ..nets.text import TextEncoder

__all__ = ["Captions", "Labels", "Vectors"]


class Labels:
    """Integers (B,) or one, in 0..classes-1; `classes` itself stands for "no label".

    ValueError for others.

    >>> import tinygen as tg
    >>> tg.models.diffusion.Labels(10)(None, tg.zeros(2, 5)), tg.models.diffusion.Labels(10)
    (tensor([10, 10]), Labels(10))
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def __repr__(self) -> str:
        return f"Labels({self.classes})"

    def __call__(self, given: Any, x: Tensor) -> Tensor:
        given = self.classes if given is None else given
        array: Array = given._array if isinstance(given, Tensor) else np.asarray(given)
        if array.dtype.kind not in "iu" or array.shape not in ((), (1,), x.shape[:1]):
            raise ValueError(
                f"labels must be one integer or ({len(x)},) integers, got {array.dtype} of shape "
                f"{array.shape}"
            )
        if array.size:
            low, high = array.min(), array.max()
            refuse((low < 0) | (high > self.classes), lambda: ValueError(
                f"labels must be in 0..{self.classes - 1} (or {self.classes} for none), "
                f"got {int(low)}..{int(high)}"
            ))  # fmt: skip
        return wrap(np.broadcast_to(move(array, x.device), x.shape[:1]).astype(int64))


class Captions(nn.Module):
    """Tokens (B, L) integers, read by `encoder`; nothing: the tokens `empty`, of no words.

    What it answers, the words (B, L, width), it also takes: a caption need not be read at every
    step of sampling, and what lies between two captions can be told too.

    >>> import tinygen as tg
    >>> encoder = tg.models.nets.TextEncoder(size=10, length=6, width=8)
    >>> captions = tg.models.diffusion.Captions(encoder, empty=[1, 2])
    >>> captions(None, tg.zeros(3, 1, 8, 8)).shape
    (3, 6, 8)
    """

    empty: Tensor

    def __init__(self, encoder: TextEncoder, empty: Sequence[int]) -> None:
        super().__init__()
        self.encoder = encoder
        row = np.pad(np.asarray(empty, int64), (0, encoder.length - len(empty)))
        self.register_buffer("empty", wrap(row[None]), persistent=False)

    def forward(self, given: Any, x: Tensor) -> Tensor:
        """ValueError unless `given` is (B, L) integers or (B, L, width) words, or None."""
        if given is None:
            nothing = self.encoder(self.empty)
            return nothing.expand(len(x), *nothing.shape[1:])
        size = (len(x), self.encoder.length)
        if given.dtype.kind == "f" and given.shape == (*size, self.encoder.width):
            return given
        if given.shape != size:
            raise ValueError(f"captions must be tokens {size}, got {given.dtype} {given.shape}")
        words: Tensor = self.encoder(given)
        return words


class Vectors:
    """Vectors (B, width); nothing: zeros. ValueError for others.

    >>> import tinygen as tg
    >>> tg.models.diffusion.Vectors(2)(None, tg.zeros(1, 1, 8, 8))
    tensor([[0., 0.]])
    """

    def __init__(self, width: int) -> None:
        self.width = width

    def __repr__(self) -> str:
        return f"Vectors({self.width})"

    def __call__(self, given: Any, x: Tensor) -> Tensor:
        if given is None:
            return zeros(len(x), self.width, dtype=x.dtype, device=x.device)
        if given.shape != (len(x), self.width) or given.dtype.kind != "f":
            raise ValueError(
                f"expected vectors ({len(x)}, {self.width}), got {given.dtype} of shape "
                f"{given.shape}"
            )
        return given
