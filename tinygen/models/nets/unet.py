"""The U-Net of DDPM (Ho et al. 2020): pictures in, pictures out, at a time and with a label.

Residual blocks at three (or more) sizes, each half the last; on the way up every block also sees
what the block at its size made on the way down. 8 x 8 pixels become 4 and 2, 28 become 14 and 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ... import nn
from ...nn import functional as F
from ...ops import cat
from ...tensor import Tensor
from .text import is_word
from .time import label_net, sinusoids, with_label

__all__ = ["Attention", "Block", "UNet", "zero_"]


class Block(nn.Module):
    """x + conv(conv(x) + context): two 3x3 convolutions, each after GroupNorm and SiLU.

    (B, a, H, W), context (B, context) -> (B, b, H, W). The last convolution begins at 0: a new
    block passes x on.
    """

    def __init__(self, a: int, b: int, context: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(_groups(a), a), nn.Conv2d(a, b, 3, 1, 1)
        self.norm2, self.conv2 = nn.GroupNorm(_groups(b), b), nn.Conv2d(b, b, 3, 1, 1)
        self.time = nn.Linear(context, b)
        self.dropout = nn.Dropout(dropout)
        self.skip = nn.Conv2d(a, b, 1) if a != b else nn.Identity()
        zero_(self.conv2)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """x (B, a, H, W), context (B, context) -> (B, b, H, W)."""
        h = self.conv1(F.silu(self.norm1(x))) + self.time(context)[:, :, None, None]
        h = self.conv2(self.dropout(F.silu(self.norm2(h))))
        out: Tensor = self.skip(x) + h
        return out


class Attention(nn.Module):
    """x + attention of every pixel to every other, then to the words of a caption, if there are.

    (B, C, H, W), words (B, L, `words`) -> (B, C, H, W). Zeros among the words are not looked at.
    """

    def __init__(self, channels: int, heads: int = 4, words: int = 0) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_groups(channels), channels)
        self.attention = nn.MultiheadAttention(channels, heads, batch_first=True)
        zero_(self.attention.out_proj)
        if words:
            self.norm2 = nn.GroupNorm(_groups(channels), channels)
            self.reading = nn.MultiheadAttention(
                channels, heads, kdim=words, vdim=words, batch_first=True
            )
            zero_(self.reading.out_proj)

    def forward(self, x: Tensor, words: Tensor | None = None) -> Tensor:
        """(B, C, H, W), words (B, L, d) or None -> the shape of x."""
        pixels = _as_tokens(self.norm(x))  # (B, H W, C)
        seen, _ = self.attention(pixels, pixels, pixels, need_weights=False)
        x = x + seen.transpose(1, 2).reshape(*x.shape)
        if words is None:
            return x
        seen, _ = self.reading(
            _as_tokens(self.norm2(x)), words, words, ~is_word(words), need_weights=False
        )
        return x + seen.transpose(1, 2).reshape(*x.shape)


class Past(nn.Module):
    """x as it is, where a size has no attention."""

    def forward(self, x: Tensor, words: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> itself."""
        return x


class UNet(nn.Module):
    """(x (B, C, H, W), time (B,)[, labels (B,)]) -> (B, out, H, W).

    channels: C. width: channels at full size, `multipliers` times it at each smaller size.
    depth: blocks a size. attention: sizes (0 is the largest) with attention after each block.
    classes > 0 takes labels 0 .. classes, the last one for "none"; vectors > 0 takes such (B,
    vectors) for labels; words > 0 takes captions (B, L, words) of a TextEncoder, which every
    attention reads, while the first word joins the time. out: channels made (C).
    H and W must be divisible by 2 for each halving: ValueError says so. Ho et al. 2020
    (arXiv:2006.11239), after Ronneberger et al. 2015 (arXiv:1505.04597).

    >>> import tinygen as tg
    >>> net = tg.models.nets.UNet(channels=1, width=8, multipliers=(1, 2), attention=(1,))
    >>> net(tg.zeros(2, 1, 8, 8), tg.zeros(2)).shape
    (2, 1, 8, 8)
    """

    def __init__(
        self,
        channels: int = 1,
        width: int = 32,
        multipliers: Sequence[int] = (1, 2, 4),
        depth: int = 1,
        attention: Sequence[int] = (2,),
        classes: int = 0,
        out: int | None = None,
        dropout: float = 0.0,
        heads: int = 4,
        vectors: int = 0,
        words: int = 0,
    ) -> None:
        super().__init__()
        sizes = [width * m for m in multipliers]
        if (
            not sizes
            or min(channels, depth, *sizes) < 1
            or width % 2
            or not set(attention) <= set(range(len(sizes)))
        ):
            raise ValueError(
                f"UNet: expected channels, depth, multipliers >= 1, an even width and attention in "
                f"0..{len(sizes) - 1}, got {channels}, {depth}, {tuple(multipliers)}, {width} and "
                f"{tuple(attention)}"
            )
        self.width, self.depth, self.halvings, context = width, depth, len(sizes) - 1, 4 * width
        self.time = nn.Sequential(nn.Linear(width, context), nn.SiLU(), nn.Linear(context, context))
        self.label, self.words = label_net(classes, vectors or words, context), words
        self.first = nn.Conv2d(channels, width, 3, 1, 1)

        down = [(a, b) for a, b in pairwise([width, *sizes])]
        skips = [width, *(b for b in sizes for _ in range(depth))]
        self.down, self.down_attention = nn.ModuleList(), nn.ModuleList()
        self.up, self.up_attention = nn.ModuleList(), nn.ModuleList()
        for level, (a, b) in enumerate(down):
            for k in range(depth):
                self.down.append(Block(b if k else a, b, context, dropout))
                self.down_attention.append(_look(level in attention, b, heads, words))
        self.shrink = nn.ModuleList([nn.Conv2d(b, b, 3, 2, 1) for b in sizes[:-1]])
        self.middle, self.middle_attention = (
            Block(sizes[-1], sizes[-1], context, dropout),
            _look(bool(attention), sizes[-1], heads, words),
        )
        c = sizes[-1]
        for level, b in reversed(list(enumerate(sizes))):
            for _ in range(depth):
                self.up.append(Block(c + skips.pop(), b, context, dropout))
                self.up_attention.append(_look(level in attention, b, heads, words))
                c = b
        self.grow = nn.ModuleList([nn.Conv2d(b, b, 3, 1, 1) for b in reversed(sizes[1:])])
        self.norm, self.last = nn.GroupNorm(_groups(c), c), nn.Conv2d(c, out or channels, 3, 1, 1)
        zero_(self.last)

    def forward(self, x: Tensor, time: Tensor, labels: Tensor | None = None) -> Tensor:
        """x (B, C, H, W), time (B,) in 0..1000, labels (B, ...) or None -> (B, out, H, W)."""
        self._check(x)
        words = labels if self.words else None
        labels = labels if words is None else words[:, 0]
        context = F.silu(with_label(self.time(sinusoids(time, self.width)), self.label, labels))
        h, skips = self.first(x), []
        for i, (block, look) in enumerate(zip(self.down, self.down_attention, strict=True)):
            h = look(block(h, context), words)
            skips.append(h)
            if (i + 1) % self.depth == 0 and i + 1 < len(self.down):
                h = self.shrink[i // self.depth](h)
        h = self.middle_attention(self.middle(h, context), words)
        for i, (block, look) in enumerate(zip(self.up, self.up_attention, strict=True)):
            h = look(block(cat([h, skips.pop()], 1), context), words)
            if (i + 1) % self.depth == 0 and i + 1 < len(self.up):
                h = self.grow[i // self.depth](F.interpolate(h, scale_factor=2.0, mode="nearest"))
        return self.last(F.silu(self.norm(h)))

    def _check(self, x: Tensor) -> None:
        least = 2**self.halvings
        if x.ndim != 4 or x.shape[2] % least or x.shape[3] % least:
            raise ValueError(
                f"UNet: expected pictures (B, C, H, W), H and W divisible by {least}, got {x.shape}"
            )


def _look(wanted: bool, channels: int, heads: int, words: int) -> nn.Module:
    return Attention(channels, heads, words) if wanted else Past()


def _as_tokens(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H W, C)."""
    return x.flatten(2).transpose(1, 2)


def _groups(channels: int) -> int:
    """The largest of 8, 4, 2, 1 that divides the channels."""
    return next(n for n in (8, 4, 2, 1) if channels % n == 0)


def zero_(layer: nn.Module) -> None:
    """All parameters 0: the layer says nothing until it has learned."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
