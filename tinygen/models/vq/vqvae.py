"""VQ-VAE: a picture as a small map of integers (van den Oord et al. 2017, arXiv:1711.00937).

    z = encoder(x),  e = the nearest vectors of a codebook,
    loss = |x - decoder(e)|^2 + |stop(z) - e|^2 + beta |z - stop(e)|^2

all means over numbers; the decoder's gradient passes to the encoder as if e were z. There is no
prior in it: what samples needs one over the integers (examples/token_prior.py). Until then
`sample` draws each integer alone, as often as it occurs at its place: the baseline.

What goes wrong: without stop() the encoder is asked to be its own codebook; vectors that no z is
near are never chosen again (restarts); z grows without bound where beta is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import nn
from ...backend import Generator
from ...checks import integers
from ...nn import functional as F
from ...ops import multinomial, where, zeros, zeros_like
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..likelihoods import logistic_bins, sum_dims
from ..systems import NEEDED, settings, split
from .quantise import Codebook, FiniteScalar, Product, Quantised, Quantiser, Residual

__all__ = ["QUANTISERS", "VQVAE", "build"]


class VQVAE(nn.Module):
    """encoder: x (B, C, H, W) in [-1, 1] -> (B, d, h, w); decoder: back; quantiser: between them.

    >>> import tinygen as tg
    >>> model = tg.models.build("vqvae", {"shape": (1, 8, 8), "width": 8, "size": 16})
    >>> x = 2.0 * tg.rand(5, 1, 8, 8) - 1.0
    >>> tokens = model.encode(x)
    >>> tokens.shape, model.decode(tokens).shape                   # 2 x 2 places
    ((5, 4), (5, 1, 8, 8))
    """

    classes = 0
    pixels = (-1.0, 1.0)
    usage: Tensor
    log_scale: Tensor

    def __init__(
        self, shape: Sequence[int], encoder: nn.Module, decoder: nn.Module, quantiser: Quantiser,
        levels: int = 256,
    ) -> None:  # fmt: skip
        super().__init__()
        integers("VQVAE", 2, levels=levels)
        self.shape, self.encoder, self.decoder = tuple(shape), encoder, decoder
        self.quantiser, self.levels = quantiser, levels
        with no_grad():
            self.map = encoder(zeros(1, *shape)).shape[2:]
        self.tokens = quantiser.tokens(*self.map)
        # What `measure` finds: how often each integer is at each place, and each channel's error.
        self.register_buffer("usage", zeros(self.tokens, quantiser.size) + 1.0 / quantiser.size)
        self.register_buffer("log_scale", zeros(shape[0], 1, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Quantised]:
        """The reconstruction of x, and what was quantised on the way."""
        q = self.quantiser(self._encoded(x))
        return self.decoder(q.z), q

    @no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """The integers of pictures, (B, tokens); ValueError for pictures with NaN or inf."""
        z = self._encoded(x)
        if not z.isfinite().all():  # of NaN some vector would be the nearest, too
            raise ValueError("VQVAE.encode: expected finite pictures, got some with NaN or inf")
        return self.quantiser(z).indices

    def _encoded(self, x: Tensor) -> Tensor:
        if x.shape[1:] != self.shape:
            raise ValueError(f"VQVAE: expected pictures (B, {self.shape}), got {x.shape}")
        z: Tensor = self.encoder(x)
        return z

    def decode(self, tokens: Tensor) -> Tensor:
        """The pictures of integers (B, tokens); ValueError for others than 0 .. size-1."""
        size = self.quantiser.size
        if tokens.ndim != 2 or tokens.shape[1] != self.tokens:
            raise ValueError(
                f"VQVAE.decode: expected integers (B, {self.tokens}), got {tokens.dtype} "
                f"{tokens.shape}"
            )
        if not ((tokens >= 0) & (tokens < size)).all():
            raise ValueError(
                f"VQVAE.decode: expected integers 0 .. {size - 1}, got {tokens.min().item()} .. "
                f"{tokens.max().item()}"
            )
        return self.decoder(self.quantiser.lookup(tokens, *self.map))

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = error + codes: the mean squared error of a number, and the quantiser's own."""
        x = split(batch)[0]
        made, q = self(x)
        error = (made - x).square().mean()
        return {"loss": error + q.loss, "error": error, "codes": q.loss}

    @no_grad()
    def measure(self, x: Tensor, batch: int = 256) -> None:
        """Note from training pictures how often each integer occurs, and how wrong the decoder is.

        Of its error it keeps the scale of each channel that makes the first `batch` likeliest.
        """
        usage = zeros(*self.usage.shape)
        for part in x.split(batch):
            usage += F.one_hot(self.encode(part), self.quantiser.size).float().sum(0).cpu()
        self.usage.copy_((usage + 1e-3) / (usage + 1e-3).sum(1, keepdim=True))
        x = x[:batch]
        made, low = self.decode(self.encode(x)), zeros_like(self.log_scale) - 7.0
        high = low + 8.0
        for _ in range(24):  # the worse third of the interval falls away
            third = (high - low) / 3.0
            left, right = (
                logistic_bins(x, made, s, self.levels).mean((0, 2, 3), keepdim=True)[0]
                for s in (low + third, high - third)
            )
            low, high = (
                where(left > right, low, low + third), where(left > right, high - third, high)
            )  # fmt: skip
        self.log_scale.copy_((low + high) / 2.0)

    def log_usage(self, tokens: Tensor) -> Tensor:
        """log P(tokens) in nats, (B,), each integer alone, as `measure` found them."""
        log_p = self.usage.log().unsqueeze(0).expand(len(tokens), -1, -1)
        return log_p.gather(2, tokens.unsqueeze(2)).sum((1, 2))

    @no_grad()
    def log_prob_bound(self, x: Tensor, log_prior: Tensor | None = None) -> Tensor:
        """log P(t) + log P(x | t) in nats, (B,), of the integers t that the encoder chooses.

        With P(x) = sum over all t of P(t) P(x | t) this is at most log P(x), as one term of a sum.
        P(x | t): grey values of a logistic about the decoder's picture (`logistic_bins`), each
        channel's scale `measure`'s. log_prior: log P(t) of a prior, (B,); None: each integer alone,
        as often as it occurs at its place. ValueError for x that is not of `levels` grey values.
        """
        grey = (0.5 * x + 0.5) * (self.levels - 1)
        if not (((grey - grey.round()).abs() < 1e-3) & (x.abs() <= 1.0)).all():
            raise ValueError(
                f"VQVAE.log_prob_bound: expected {self.levels} grey values from -1 to 1, got "
                "others; build the model with the pictures' levels"
            )
        tokens = self.encode(x)
        log_prior = self.log_usage(tokens) if log_prior is None else log_prior
        bins = logistic_bins(x, self.decode(tokens), self.log_scale, self.levels)
        return log_prior + sum_dims(bins)

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """n pictures whose integers are drawn each alone, as `measure` found them: no prior yet."""
        if labels is not None:
            raise ValueError("VQVAE.sample: labels were given; this model has none")
        draws = multinomial(self.usage, n, replacement=True, generator=generator)
        return self.decode(draws.T)


QUANTISERS = ("ema", "loss", "residual", "scales", "product", "fsq")


def build(config: Mapping[str, Any]) -> VQVAE:
    """quantiser: one of QUANTISERS; size, dim: of the codebook; width, halvings, blocks, beta.

    levels: grey values of a pixel, for the bound.

    "residual": `steps` codebooks; "scales": maps of side 1, 2, 4, .. up to the whole one, one
    codebook; "product": `steps` groups of channels; "fsq": dim channels of 5 values each.
    """
    c = settings(
        "vqvae", config, shape=NEEDED, width=32, halvings=2, blocks=1, size=128, dim=16, beta=0.25,
        quantiser="ema", steps=2, levels=256,
    )  # fmt: skip
    if c.quantiser not in QUANTISERS:
        raise ValueError(f"vqvae: quantiser {c.quantiser!r}; there are {', '.join(QUANTISERS)}")
    encoder, decoder = nets.map_autoencoder(c.shape, c.dim, c.width, c.halvings, c.blocks)
    return VQVAE(c.shape, encoder, decoder, _quantiser(c), c.levels)


def _quantiser(c: Any) -> Quantiser:
    if c.quantiser == "fsq":
        return FiniteScalar([5] * c.dim)
    if c.quantiser == "product" and c.dim % c.steps:
        raise ValueError(f"vqvae: {c.dim} channels cannot be cut into {c.steps} groups")
    dim = c.dim // c.steps if c.quantiser == "product" else c.dim
    decay = None if c.quantiser == "loss" else 0.99
    number = c.steps if c.quantiser in ("residual", "product") else 1
    books = [Codebook(c.size, dim, c.beta, decay) for _ in range(number)]
    if c.quantiser == "product":
        return Product(books)
    if c.quantiser == "residual":
        return Residual(books)
    if c.quantiser == "scales":
        side = c.shape[1] // 2**c.halvings
        return Residual(books, [2**i for i in range(side.bit_length()) if 2**i < side] + [side])
    return books[0]
