"""Which pixel a window meets where: what pooling and convolution have in common.

Output i and tap a of a window meet at the pixel i * stride + a * dilation - padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

__all__ = [
    "Pair", "Size", "as_pair", "is_int", "meetings", "output_size", "overlap", "transposed_size",
]  # fmt: skip

Pair: TypeAlias = tuple[int, int]
Size: TypeAlias = int | Sequence[int]


def is_int(value: Any) -> bool:
    return hasattr(value, "__index__")


def as_pair(name: str, what: str, value: Any, least: int) -> Pair:
    """(height, width) from one integer or two, none of them smaller than `least`."""
    both = tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(both) != 2 or not all(map(is_int, both)):
        raise RuntimeError(f"{name}: expected {what} to be one integer or two, got {value!r}")
    if min(both) < least:
        fault = "non-positive" if least else "negative"
        raise RuntimeError(f"{name}: {fault} {what} is not supported, got {value!r}")
    return int(both[0]), int(both[1])


def output_size(x: Any, w: Any, stride: Pair, padding: Pair, dilation: Pair) -> Pair:
    """Height and width of conv2d's output, from the shapes of x and w; may come out <= 0."""
    height, width = (
        (x[2 + k] + 2 * padding[k] - dilation[k] * (w[2 + k] - 1) - 1) // stride[k] + 1
        for k in (0, 1)
    )
    return height, width


def transposed_size(
    g: Any, w: Any, stride: Pair, padding: Pair, dilation: Pair, output_padding: Pair
) -> Pair:
    """Height and width of conv_transpose2d's output; output_padding rows are added at the end."""
    height, width = (
        (g[2 + k] - 1) * stride[k]
        - 2 * padding[k]
        + dilation[k] * (w[2 + k] - 1)
        + 1
        + output_padding[k]
        for k in (0, 1)
    )
    return height, width


def overlap(outs: int, size: int, stride: int, offset: int) -> tuple[slice, slice]:
    """The outputs i whose pixel i * stride + offset lies inside the image, and these pixels."""
    first = max(0, -(offset // stride))
    last = min(outs, -((offset - size) // stride))
    if last <= first:
        return slice(0, 0), slice(0, 0)
    start = first * stride + offset
    return slice(first, last), slice(start, start + (last - first - 1) * stride + 1, stride)


def meetings(
    kernel: Pair, outs: Pair, image: Pair, stride: Pair, dilation: Pair, padding: Pair
) -> Iterator[tuple[int, int, Any, Any]]:
    """For each tap a, b: the part of the output that it reaches, and the pixels it meets there.

    Both are indices of the last two dimensions.
    """
    rows, columns = (
        [overlap(outs[k], image[k], stride[k], a * dilation[k] - padding[k]) for a in range(taps)]
        for k, taps in enumerate(kernel)
    )
    for a, (i, h) in enumerate(rows):
        for b, (j, v) in enumerate(columns):
            yield a, b, (..., i, j), (..., h, v)
