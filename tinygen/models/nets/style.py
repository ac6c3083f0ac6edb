"""StyleGAN's networks: a code becomes a style, a style says how each convolution weighs its input.

    w = f(z)                                the mapping network
    w'_oikl = s_i w_oikl,  s = A w          modulation by the style, for each picture its own
    w''_oikl = w'_oikl / sqrt(sum_ikl w'_oikl^2 + eps)            demodulation: norm 1

Karras et al. 2020 (arXiv:1912.04958). A picture's own weights are one group of a grouped
convolution. The step before, StyleGAN1's AdaIN (1812.04958), normalises the features of a picture
instead: y = (1 + s) (x - mean(x)) / std(x) + b.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from ... import nn
from ...backend import Array
from ...checks import positive
from ...data.transforms import resize
from ...nn import functional as F
from ...ops import mean, randn, rsqrt, square, stack, zeros
from ...tensor import Tensor, wrap
from .batch import MinibatchStdDev
from .dcgan import LEAK
from .equalised import GAIN, EqualConv2d, EqualLinear, PixelNorm
from .growing import sides

__all__ = ["AdaIN", "ModulatedConv2d", "NoiseInjection", "StyleD", "StyleG", "style_networks"]

START = 4  # pixels a side of the constant that every picture begins as
EPS = 1e-8


class ModulatedConv2d(nn.Module):
    """A convolution whose weights the style scales: x (B, C, H, W), w (B, dim) -> (B, out, H, W).

    demodulate: each output's weights are then of norm 1. up: to (B, out, 2 H, 2 W), by a transposed
    convolution and a blur by [1, 3, 3, 1]. No bias. fused: one grouped convolution, a picture's own
    weights a group; False: the pictures are scaled before and after a common convolution, which is
    the same function; None: what has fewer numbers is scaled, a picture or its weights.

    >>> import tinygen as tg
    >>> conv = tg.models.nets.ModulatedConv2d(3, 4, 3, dim=5, up=True)
    >>> conv(tg.zeros(2, 3, 8, 8), tg.zeros(2, 5)).shape
    (2, 4, 16, 16)
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, dim: int, *,
        demodulate: bool = True, up: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        positive("ModulatedConv2d", in_channels=in_channels, out_channels=out_channels,
                 kernel_size=kernel_size, dim=dim)  # fmt: skip
        self.weight = nn.Parameter(randn(out_channels, in_channels, kernel_size, kernel_size))
        self.scale = 1.0 / math.sqrt(in_channels * kernel_size**2)
        self.affine = EqualLinear(dim, in_channels, bias_init=1.0)
        self.demodulate, self.up, self.fused = demodulate, up, fused

    def weights(self, w: Tensor) -> Tensor:
        """Each picture's own: styles w (B, dim) -> (B, out, C, K, K)."""
        styles = self.affine(w).reshape(w.shape[0], 1, self.weight.shape[1], 1, 1)
        weight: Tensor = self.scale * self.weight * styles
        if self.demodulate:
            weight = weight * rsqrt(square(weight).sum((2, 3, 4), keepdim=True) + EPS)
        return weight

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """x (B, C, H, W), w (B, dim) -> (B, out, H, W), or twice the side."""
        n, channels, height, width = x.shape
        out, _, k, _ = self.weight.shape
        fused = height * width >= out * k * k if self.fused is None else self.fused
        if n and fused:
            weight = self.weights(w).reshape(n * out, channels, k, k)
            y = self._convolved(x.reshape(1, n * channels, height, width), weight, n)
            return y.reshape(n, out, *y.shape[2:])
        styles, weight = self.affine(w), self.scale * self.weight
        y = self._convolved(x * styles.reshape(n, channels, 1, 1), weight, 1)
        if self.demodulate:
            norm = square(styles) @ square(weight).sum((2, 3)).T + EPS
            y = y * rsqrt(norm).reshape(n, out, 1, 1)
        return y

    def _convolved(self, x: Tensor, weight: Tensor, groups: int) -> Tensor:
        """x (B, groups C, H, W), weight (groups out, C, K, K) -> (B, groups out, ..)."""
        k = weight.shape[3]
        if not self.up:
            return F.conv2d(x, weight, padding=k // 2, groups=groups)
        apart = weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)
        y = F.conv_transpose2d(x, apart, stride=2, padding=(k - 3) // 2, groups=groups)
        return _blurred(y)


@cache
def _taps(n: int) -> Array:
    """(n - 1, n): row i has [1, 3, 3, 1] / 4 about the inputs i and i + 1."""
    rows = np.zeros((n - 1, n + 2))
    for i in range(n - 1):
        rows[i, i : i + 4] = np.array([1, 3, 3, 1]) / 4
    return rows[:, 1:-1]


def _blurred(x: Tensor) -> Tensor:
    """(B, C, n, n) -> (B, C, n - 1, n - 1), after zeros were put between the rows and columns."""
    rows = wrap(_taps(x.shape[2]).astype(x.dtype)).to(x.device)
    columns = wrap(_taps(x.shape[3]).astype(x.dtype)).to(x.device)
    return rows @ x @ columns.T


class NoiseInjection(nn.Module):
    """x + weight noise, noise ~ N(0, 1) a pixel, the same in all channels; weight begins at 0.

    While training the noise is new each time; in evaluation mode one map, a buffer.
    """

    fixed: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(zeros(1))
        self.register_buffer("fixed", randn(1, 1, side, side))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, side, side) -> the same."""
        noise = self.fixed
        if self.training:
            noise = randn(x.shape[0], 1, *x.shape[2:], dtype=x.dtype, device=x.device)
        return x + self.weight * noise


class AdaIN(nn.Module):
    """Each picture's channels at mean 0 and std 1, then scaled and shifted as its style says.

    x (B, C, H, W), w (B, dim) -> (B, C, H, W). Huang and Belongie 2017 (arXiv:1703.06868).
    """

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.affine = EqualLinear(dim, 2 * channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(1 + s) (x - mean) / std + b, (s, b) = affine(w)."""
        scale, shift = self.affine(w).unsqueeze(2).unsqueeze(3).chunk(2, 1)
        x = x - mean(x, (2, 3), keepdim=True)
        x = x * rsqrt(mean(square(x), (2, 3), keepdim=True) + EPS)
        return (1.0 + scale) * x + shift


class _Styled(nn.Module):
    """Convolution, noise, bias, leaky ReLU: StyleGAN2's modulated, or StyleGAN1's, AdaIN last."""

    def __init__(self, a: int, b: int, side: int, dim: int, up: bool, adain: bool) -> None:
        super().__init__()
        self.up = up
        self.conv: nn.Module = (
            EqualConv2d(a, b, 3, padding=1, bias=False) if adain
            else ModulatedConv2d(a, b, 3, dim, up=up)
        )  # fmt: skip
        self.noise, self.bias = NoiseInjection(side), nn.Parameter(zeros(b, 1, 1))
        self.adain = AdaIN(b, dim) if adain else None

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        if self.adain is None:
            x = self.conv(x, w)
        else:
            x = self.conv(F.interpolate(x, scale_factor=2, mode="bilinear") if self.up else x)
        x = GAIN * F.leaky_relu(self.noise(x) + self.bias, LEAK)
        return x if self.adain is None else self.adain(x, w)


class StyleG(nn.Module):
    """Generator: `mapping`, codes (B, latent) -> styles (B, dim); `synthesis`, styles -> pictures.

    levels: how many styles a picture has, one for each convolution. What each size has to show is
    added up (skip connections), beginning at a learned constant of 4 x 4.
    """

    def __init__(
        self, colours: int, latent: int, channels: Sequence[int], *, dim: int, layers: int,
        adain: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.mapping = nn.Sequential(PixelNorm())
        for n in [latent, *[dim] * (layers - 1)]:
            self.mapping.extend([EqualLinear(n, dim, gain=GAIN, lr_mul=0.01), nn.LeakyReLU(LEAK)])
        self.levels = 2 * len(channels)
        self.constant = nn.Parameter(randn(1, channels[0], START, START))
        self.convs = nn.ModuleList([_Styled(channels[0], channels[0], START, dim, False, adain)])
        for k, (a, b) in enumerate(zip(channels, channels[1:]), 1):
            side = START * 2**k
            self.convs.append(_Styled(a, b, side, dim, True, adain))
            self.convs.append(_Styled(b, b, side, dim, False, adain))
        self.to_rgb = nn.ModuleList(
            EqualConv2d(c, colours, 1) if adain
            else ModulatedConv2d(c, colours, 1, dim, demodulate=False)
            for c in channels
        )  # fmt: skip
        self.tint = nn.Parameter(zeros(colours, 1, 1))  # the bias of to_rgb
        self.adain = adain

    def styles(self, z: Tensor) -> Tensor:
        """z (B, latent) -> (B, levels, dim), one style at all levels."""
        w: Tensor = self.mapping(z)
        return stack([w] * self.levels, 1)

    def synthesis(self, w: Tensor) -> Tensor:
        """w (B, levels, dim) -> (B, C, S, S)."""
        x = self.constant.expand(w.shape[0], *self.constant.shape[1:])
        out: Tensor | None = None
        for level, conv in enumerate(self.convs):
            x = conv(x, w[:, level])
            if level % 2 == 0:  # the last of its size
                seen = self._seen(x, w[:, level + 1], level // 2)
                up = None if out is None else F.interpolate(out, scale_factor=2, mode="bilinear")
                out = seen if up is None else up + seen
        assert out is not None
        return out + self.tint

    def _seen(self, x: Tensor, w: Tensor, size: int) -> Tensor:
        layer = self.to_rgb[size]
        return layer(x) if self.adain else layer(x, w)

    def forward(self, z: Tensor) -> Tensor:
        """z (B, latent) -> (B, C, S, S)."""
        return self.synthesis(self.styles(z))


class _Halving(nn.Module):
    """D's residual block: (B, a, H, W) -> (B, b, H / 2, W / 2), [1, 3, 3, 1] before each pixel."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.first = EqualConv2d(a, a, 3, padding=1, gain=GAIN)
        self.second = EqualConv2d(a, b, 3, padding=1, gain=GAIN)
        self.skip = EqualConv2d(a, b, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        side = x.shape[2] // 2
        y = resize(F.leaky_relu(self.first(x), LEAK), side)
        y = F.leaky_relu(self.second(y), LEAK)
        return (y + self.skip(resize(x, side))) * (1.0 / GAIN)


class StyleD(nn.Sequential):
    """Discriminator: residual blocks, (B, C, S, S) -> raw (B,)."""

    def __init__(self, colours: int, channels: Sequence[int], group: int = 4) -> None:
        first, last = channels[0], channels[-1]
        super().__init__(
            EqualConv2d(colours, last, 1, gain=GAIN), nn.LeakyReLU(LEAK),
            *[_Halving(a, b) for a, b in zip(channels[::-1], channels[-2::-1])],
            MinibatchStdDev(group), EqualConv2d(first + 1, first, 3, padding=1, gain=GAIN),
            nn.LeakyReLU(LEAK), nn.Flatten(),
            EqualLinear(first * START**2, first, gain=GAIN), nn.LeakyReLU(LEAK),
            EqualLinear(first, 1), nn.Flatten(0),
        )  # fmt: skip


def style_networks(
    shape: Sequence[int], latent: int, width: int = 16, most: int = 64, *, dim: int | None = None,
    layers: int = 4, adain: bool = False, group: int = 4,
) -> tuple[StyleG, StyleD]:  # fmt: skip
    """G and D for pictures `shape` (C, S, S), S = 4 2^k; else ValueError.

    width: channels at full size, doubled at each halving up to `most`. dim: of the styles, latent
    unless given; layers: of the mapping network (the paper, 1024 pixels: 32, 512, 512, 8). adain:
    StyleGAN1's convolutions. group: see MinibatchStdDev.

    >>> import tinygen as tg
    >>> G, D = tg.models.nets.style_networks((1, 8, 8), latent=4, width=4)
    >>> G.levels, G(tg.zeros(5, 4)).shape, D(tg.zeros(5, 1, 8, 8)).shape
    (4, (5, 1, 8, 8), (5,))
    """
    dim = latent if dim is None else dim
    positive("style_networks", latent=latent, width=width, most=most, dim=dim, layers=layers)
    found = sides("style_networks", shape)
    channels = [min(width * shape[1] // side, max(most, width)) for side in found]
    G = StyleG(shape[0], latent, channels, dim=dim, layers=layers, adain=adain)
    return G, StyleD(shape[0], channels, group)
