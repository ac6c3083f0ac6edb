"""Latent diffusion: first compress, then diffuse (Rombach et al. 2022, arXiv:2112.10752).

    autoencoder     |x - decoder(z)| + w KL(N(mean, std^2) || N(0, I)),   z = mean + std eps
                    (or the square of the error, or its root: small things on a wide ground)
    scaling         u = (z - shift) / scale,  each channel's mean and deviation on training data
    diffusion       of u, the autoencoder as it is;      a sample is decoder(scale u + shift)

The latents are a map, a place for each few pixels, and w is small: unlike a VAE's their law is far
from N(0, I), and the diffusion model learns it. A step costs what the small map costs. Instead of
the KL a VQ-VAE may keep the latents in bounds: the diffusion is then of what the encoder says, and
rounding to the codebook belongs to the decoder.

What goes wrong: latents that are not scaled: the chain ends at N(0, I), and at the schedule's
middle data of deviation 10 is hardly noised, of 0.1 all noise; a large w, which leaves channels
that say nothing; and nothing that the decoder cannot draw can ever be sampled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ... import nn
from ...backend import Generator
from ...checks import numbers
from ...nn import functional as F
from ...ops import ones, randn, zeros, zeros_like
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..diffusion.ddpm import DDPM
from ..diffusion.process import schedule
from ..likelihoods import kl_to_standard_normal, reparameterise
from ..systems import NEEDED, settings, split
from . import vqvae

__all__ = [
    "ERRORS", "KLAutoencoder", "LatentDiffusion", "Pixels", "SPACES", "VQAutoencoder",
    "autoencoder", "build",
]  # fmt: skip


def rms_loss(made: Tensor, x: Tensor) -> Tensor:
    """The root of the mean square of each picture's errors, averaged over pictures."""
    return (F.mse_loss(made, x, reduction="none").flatten(1).mean(1) + 1e-6).sqrt().mean()


ERRORS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss, "l2": F.mse_loss, "rms": rms_loss,
}  # fmt: skip


class KLAutoencoder(nn.Module):
    """Pictures (B, C, H, W) to maps (B, d, h, w) of Gaussians, and back; weight: w of the KL.

    encoder: -> (B, 2 d, h, w), means above log-variances, which are kept in [-30, 20]. error: "l1",
    whose best answer is a median, which forgets what is small; "l2", a mean, which blurs; or "rms",
    a picture's root of "l2", which goes on asking where little is wrong.

    >>> import tinygen as tg
    >>> made = tg.models.nets.map_autoencoder((3, 16, 16), channels=4, width=8, moments=2)
    >>> model = tg.models.vq.KLAutoencoder(*made)
    >>> mean, std = model.moments(tg.zeros(2, 3, 16, 16))
    >>> mean.shape, std.shape, model.decode(mean).shape
    ((2, 4, 4, 4), (2, 4, 4, 4), (2, 3, 16, 16))
    """

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, weight: float = 1e-3, error: str = "l1"
    ) -> None:
        super().__init__()
        numbers("KLAutoencoder", 0.0, weight=weight)
        if error not in ERRORS:
            raise ValueError(f"KLAutoencoder: error {error!r}; there are {', '.join(ERRORS)}")
        self.encoder, self.decoder, self.weight = encoder, decoder, weight
        self.error = ERRORS[error]

    def _encoded(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        return mean, log_var.clamp(-30.0, 20.0)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents of x, (B, d, h, w) each."""
        mean, log_var = self._encoded(x)
        return mean, (0.5 * log_var).exp()

    def decode(self, z: Tensor) -> Tensor:
        """(B, d, h, w) -> pictures."""
        return self.decoder(z)

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = error + w kl: the mean error of a number, the KL in nats a number."""
        x = split(batch)[0]
        mean, log_var = self._encoded(x)
        made = self.decoder(reparameterise(mean, log_var))
        error = self.error(made, x)
        kl = kl_to_standard_normal(mean, log_var).mean() / x[0].numel()
        return {"loss": error + self.weight * kl, "error": error, "kl": kl}


class VQAutoencoder(nn.Module):
    """A VQ-VAE as one: exact latents, before the codebook; the decoder rounds them to it.

    >>> import tinygen as tg
    >>> vqvae = tg.models.build("vqvae", {"shape": (1, 8, 8), "width": 8, "size": 16, "dim": 4})
    >>> model = tg.models.vq.VQAutoencoder(vqvae).eval()
    >>> z, std = model.moments(tg.zeros(2, 1, 8, 8))
    >>> z.shape, std.max().item(), model.decode(z).shape
    ((2, 4, 2, 2), 0.0, (2, 1, 8, 8))
    """

    def __init__(self, vqvae: vqvae.VQVAE) -> None:
        super().__init__()
        self.vqvae = vqvae

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the encoder says of x, and 0."""
        z = self.vqvae.encoder(x)
        return z, zeros_like(z)

    def decode(self, z: Tensor) -> Tensor:
        """The pictures of the codebook's vectors nearest to z."""
        return self.vqvae.decoder(self.vqvae.quantiser(z).z)

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """Those of the VQ-VAE."""
        return self.vqvae.terms(batch)


class Pixels(nn.Module):
    """No autoencoder: the latents are the pixels. The diffusion beside which the others stand.

    >>> import tinygen as tg
    >>> x = tg.rand(2, 3, 8, 8)
    >>> (tg.models.vq.Pixels().decode(tg.models.vq.Pixels().moments(x)[0]) == x).all().item()
    True
    """

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x, and 0."""
        return x, zeros_like(x)

    def decode(self, z: Tensor) -> Tensor:
        """z."""
        return z

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """ValueError: there is nothing to learn."""
        raise ValueError("Pixels: there is no autoencoder to train; diffuse with terms()")


class LatentDiffusion(nn.Module):
    """An autoencoder, and a DDPM of its latents, scaled as `measure` finds.

    Train the autoencoder by `autoencoder_terms`, `measure` its latents, then train `diffusion` by
    `terms`, whose gradient goes no further. Pictures of `shape` in [-1, 1].

    >>> import tinygen as tg
    >>> config = {"shape": (1, 16, 16), "width": 8, "ae_width": 8, "T": 2}
    >>> model, x = tg.models.build("latent_diffusion", config), 2.0 * tg.rand(6, 1, 16, 16) - 1.0
    >>> model.measure(x)
    >>> z = model.encode(x)
    >>> z.shape, model.decode(z).shape, model.sample(2).shape
    ((6, 4, 4, 4), (6, 1, 16, 16), (2, 1, 16, 16))
    >>> sorted(model.autoencoder_terms((x,))), sorted(model.terms((x,)))
    (['error', 'kl', 'loss'], ['loss'])
    """

    pixels = (-1.0, 1.0)
    shift: Tensor
    scale: Tensor

    def __init__(self, shape: Sequence[int], autoencoder: nn.Module, diffusion: DDPM) -> None:
        super().__init__()
        self.shape, self.autoencoder, self.diffusion = tuple(shape), autoencoder, diffusion
        self.classes = diffusion.classes
        self.register_buffer("shift", zeros(diffusion.shape[0], 1, 1))
        self.register_buffer("scale", ones(diffusion.shape[0], 1, 1))

    def autoencoder_terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """The first stage: the autoencoder's loss and its parts."""
        self._check(split(batch)[0], self.shape, "pictures")
        terms: dict[str, Tensor] = self.autoencoder.train().terms(batch)
        return terms

    @no_grad()
    def measure(self, x: Tensor, batch: int = 256) -> None:
        """Between the stages: shift and scale from training pictures x, channel by channel.

        The variance of latents is that of their means and the mean of their variances.
        ValueError for a channel that is the same everywhere.
        """
        self.autoencoder.eval()
        parts = [self.autoencoder.moments(part) for part in x.split(batch)]
        n = sum(mean[:, :1].numel() for mean, _ in parts)
        shift = sum(mean.sum((0, 2, 3), keepdim=True) for mean, _ in parts)[0] / n
        squares = ((mean - shift).square() + std.square() for mean, std in parts)
        variance = sum(square.sum((0, 2, 3), keepdim=True) for square in squares)[0] / n
        if not (variance > 1e-12).all():
            raise ValueError(
                "LatentDiffusion.measure: latents with a channel that is the same everywhere "
                f"(variances {variance.flatten().tolist()}); train the autoencoder first"
            )
        self.shift.copy_(shift)
        self.scale.copy_(variance.sqrt())

    @no_grad()
    def encode(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        """A draw of the latents of pictures, scaled: (B, d, h, w) of mean 0 and variance 1."""
        self._check(x, self.shape, "pictures")
        self.autoencoder.eval()
        mean, std = self.autoencoder.moments(x)
        noise = randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return (mean + std * noise - self.shift) / self.scale

    def decode(self, z: Tensor) -> Tensor:
        """The pictures of scaled latents (B, d, h, w)."""
        self._check(z, self.diffusion.shape, "latents")
        pictures: Tensor = self.autoencoder.eval().decode(z * self.scale + self.shift)
        return pictures

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """The second stage: {"loss"} of the diffusion, of a batch (x,) or (x, labels) of pictures.

        The autoencoder gets no gradient.
        """
        x, labels = split(batch)
        z = self.encode(x)
        return self.diffusion.terms((z,) if labels is None else (z, labels))

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Any = None, **options: Any
    ) -> Tensor:
        """n pictures; labels and options (sampler, steps, guidance) as those of DDPM.sample."""
        return self.decode(self.diffusion.sample(n, generator, labels, **options)).clamp(-1.0, 1.0)

    def _check(self, x: Tensor, shape: tuple[int, ...], what: str) -> None:
        if x.shape[1:] != shape:
            raise ValueError(f"LatentDiffusion: expected {what} (B, {shape}), got {x.shape}")


SPACES = ("kl", "vq", "pixels")


def build(config: Mapping[str, Any]) -> LatentDiffusion:
    """space: one of SPACES, what the diffusion is of. Pictures of `shape` in [-1, 1].

    dim, halvings, ae_width, blocks: of the autoencoder's map (`nets.map_autoencoder`); kl: the
    weight w; error: one of ERRORS; size: of the codebook. classes, drop, width, depth, schedule, T,
    parameterisation: of the diffusion, as ddpm.build. Its U-Net has up to three sizes, as often as
    the map can be halved.
    """
    c = settings(
        "latent_diffusion", config, shape=NEEDED, space="kl", dim=4, halvings=2, ae_width=32,
        blocks=1, kl=1e-3, error="l1", size=128, classes=0, drop=0.3, width=32, depth=1,
        schedule="cosine", T=200, parameterisation="v",
    )  # fmt: skip
    shape, pair = autoencoder(c)
    halvings = next(k for k in (2, 1, 0) if not any(side % 2**k for side in shape[1:]))
    net = nets.UNet(
        shape[0], c.width, (1, 2, 4)[: halvings + 1], c.depth, (halvings,), classes=c.classes
    )
    diffusion = DDPM(
        schedule(c.schedule, c.T), net, shape, predicts=c.parameterisation, classes=c.classes,
        drop=c.drop, bounded=c.space == "pixels",
    )  # fmt: skip
    return LatentDiffusion(c.shape, pair, diffusion)


def autoencoder(c: Any) -> tuple[tuple[int, ...], nn.Module]:
    """Of settings as `build` has them: the shape of the latents, and the autoencoder.

    ValueError for a space that is none of SPACES.
    """
    if c.space not in SPACES:
        raise ValueError(f"latent_diffusion: space {c.space!r}; there are {', '.join(SPACES)}")
    if c.space == "pixels":
        return tuple(c.shape), Pixels()
    shape = (c.dim, *(side // 2**c.halvings for side in c.shape[1:]))
    if c.space == "kl":
        pair = nets.map_autoencoder(c.shape, c.dim, c.ae_width, c.halvings, c.blocks, moments=2)
        return shape, KLAutoencoder(*pair, c.kl, c.error)
    names = {"shape", "dim", "halvings", "blocks", "size"}
    taken = {name: value for name, value in vars(c).items() if name in names}
    return shape, VQAutoencoder(vqvae.build(taken | {"width": c.ae_width}))
