"""Autoencoders: a code in the middle, and the picture again from it; no probability yet.

    min E |x - d(e(x))|^2

Plain; linear, which is principal component analysis; denoising (Vincent et al., 2008), whose
residual is the score; sparse by keeping the k largest (Makhzani and Frey, 2013) or by a penalty.
A code learned without labels serves a classifier with few labels: `Classifier`.

What goes wrong: there is no prior, so a random code decodes to nothing in particular; a code as
large as the picture learns to copy; SSIM is blind to the negative of a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ... import nn
from ...backend import Array, Generator
from ...checks import positive
from ...ops import rand, randn, scatter_add, topk, zeros_like
from ...tape import no_grad
from ...tensor import Tensor
from .. import nets
from ..nets.dense import mlp
from ..systems import NEEDED, settings, split
from .reconstruction import squared_error

__all__ = [
    "Autoencoder", "Classifier", "DenoisingAutoencoder", "GaussianNoise", "KSparseAutoencoder",
    "Loss", "Masking", "PCA", "SparseAutoencoder", "build", "k_sparse", "linear_autoencoder",
    "pca",
]  # fmt: skip

Loss = Callable[[Tensor, Tensor], Tensor]


class Autoencoder(nn.Module):
    """encoder: x (B, ...) -> code (B, latent); decoder: code -> a picture shaped as x.

    Pictures in [0, 1]. `code_mean` and `code_std` describe the codes that `sample` draws, once
    `measure_codes` has seen data.

    >>> import tinygen as tg
    >>> model = tg.models.build("autoencoder", {"shape": (1, 8, 8), "kind": "plain", "latent": 4})
    >>> x = tg.rand(5, 1, 8, 8)
    >>> model.encode(x).shape, model(x).shape, model.loss(x).shape
    ((5, 4), (5, 1, 8, 8), ())
    """

    classes = 0
    pixels = (0.0, 1.0)
    code_mean: Tensor
    code_std: Tensor

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.register_buffer("code_mean", Tensor([0.0]))
        self.register_buffer("code_std", Tensor([1.0]))

    def encode(self, x: Tensor) -> Tensor:
        """The code: (B, ...) -> (B, latent)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """The picture: (B, latent) -> (B, C, H, W)."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction of x, shaped as it is."""
        return self.decode(self.encode(x))

    def loss(
        self, x: Tensor, distance: Loss = squared_error, generator: Generator | None = None
    ) -> Tensor:
        """The mean over the batch of distance(reconstruction, x), a scalar.

        distance: (y, x) -> (B,), one of `reconstruction.LOSSES`, say; `generator` for what draws.
        """
        return distance(self(x), x).mean()

    def terms(
        self, batch: Tensor | Sequence[Tensor], distance: Loss = squared_error
    ) -> dict[str, Tensor]:
        """{"loss"} of a batch (x,), a scalar; it has no parts."""
        return {"loss": self.loss(split(batch)[0], distance)}

    @no_grad()
    def measure_codes(self, x: Tensor) -> None:
        """Note the mean and spread of each number of the codes of x (N, ...), for `sample`."""
        codes = self.encode(x)
        self.code_mean.copy_(codes.mean(0))
        self.code_std.copy_(codes.std(0))

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """What n random codes decode to, (n, C, H, W).

        There is no prior to draw them from: they come from the Gaussian of `measure_codes`, and
        nothing says that they look like anything. ValueError for labels.
        """
        if labels is not None:
            raise ValueError("Autoencoder.sample: labels were given; this model has none")
        like = self.code_mean
        noise = randn(n, like.shape[0], generator=generator, dtype=like.dtype, device=like.device)
        return self.decode(self.code_mean + self.code_std * noise)


# --- linear: principal component analysis -----------------------------------------------------


def linear_autoencoder(shape: Sequence[int], latent: int) -> Autoencoder:
    """One linear layer each way. With squared error its best loss is that of PCA.

    E|x - d(e(x))|^2 >= the sum of the eigenvalues of cov(x) from the (latent+1)-th on, reached
    when the decoder's columns span the first `latent` eigenvectors (Baldi and Hornik, 1989).

    >>> import tinygen as tg
    >>> model = tg.models.vae.autoencoder.linear_autoencoder((1, 8, 8), latent=4)
    >>> model(tg.zeros(5, 1, 8, 8)).shape
    (5, 1, 8, 8)
    """
    positive("linear_autoencoder", latent=latent)
    pixels = int(np.prod(shape))
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, latent))
    decoder = nn.Sequential(nn.Linear(latent, pixels), nn.Unflatten(1, tuple(shape)))
    return Autoencoder(encoder, decoder)


class PCA(NamedTuple):
    """The principal components of a data set, in float64."""

    mean: Array  # (D,)
    components: Array  # (D, D), eigenvectors in the columns, from the largest eigenvalue on
    eigenvalues: Array  # (D,), falling

    def discarded(self, latent: int) -> float:
        """The best squared error E|x - reconstruction|^2 of a linear code of that length."""
        return float(self.eigenvalues[latent:].sum())


def pca(x: Tensor) -> PCA:
    """Mean, eigenvectors and eigenvalues of the covariance (divided by B) of x (B, ...).

    >>> import tinygen as tg
    >>> found = tg.models.vae.autoencoder.pca(tg.tensor([[-2.0, 1.0], [2.0, 1.0]]))
    >>> found.mean.tolist(), found.eigenvalues.tolist(), found.discarded(latent=0)
    ([0.0, 1.0], [4.0, 0.0], 4.0)
    """
    rows = x.detach().cpu().numpy().reshape(x.shape[0], -1).astype(np.float64)
    mean = rows.mean(0)
    values, vectors = np.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    return PCA(mean, vectors[:, ::-1], values[::-1])


# --- denoising --------------------------------------------------------------------------------


class GaussianNoise:
    """x + sigma eps: the corruption whose best denoiser gives the score.

    >>> import tinygen as tg
    >>> tg.models.vae.autoencoder.GaussianNoise(sigma=0.3)(tg.zeros(5, 1, 8, 8)).shape
    (5, 1, 8, 8)
    """

    def __init__(self, sigma: float) -> None:
        if not sigma > 0.0:
            raise ValueError(f"GaussianNoise: expected sigma > 0, got {sigma}")
        self.sigma = sigma

    def __call__(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        noise = randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        return x + self.sigma * noise


class Masking:
    """Each pixel is set to 0 with probability p, 0 <= p < 1.

    >>> import tinygen as tg
    >>> masked = tg.models.vae.autoencoder.Masking(p=0.5)(tg.ones(100))
    >>> sorted(set(masked.tolist()))
    [0.0, 1.0]
    """

    def __init__(self, p: float) -> None:
        if not 0.0 <= p < 1.0:
            raise ValueError(f"Masking: expected 0 <= p < 1, got {p}")
        self.p = p

    def __call__(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        draw = rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        return x * (draw >= self.p).to(x.dtype)


class DenoisingAutoencoder(Autoencoder):
    """Sees a corrupted input and is asked for the clean one: E|x - r(corrupt(x))|^2.

    The *input* is corrupted, not the code. corrupt: GaussianNoise, Masking or any f(x, generator).
    Vincent et al. 2008.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        corrupt: Callable[[Tensor, Generator | None], Tensor],
    ) -> None:
        super().__init__(encoder, decoder)
        self.corrupt = corrupt

    def loss(
        self, x: Tensor, distance: Loss = squared_error, generator: Generator | None = None
    ) -> Tensor:
        """The mean over the batch of distance(r(corrupt(x)), x); the corruption is drawn anew."""
        return distance(self(self.corrupt(x, generator)), x).mean()

    def score(self, noisy: Tensor) -> Tensor:
        """grad log p_sigma at y = `noisy`, by Tweedie's formula: (r(y) - y) / sigma^2, shaped as y.

        The best denoiser of y = x + sigma eps is E[x|y] = y + sigma^2 grad log p_sigma(y), where
        p_sigma is the density of y (Vincent, 2011). Gaussian noise only, else ValueError.
        """
        if not isinstance(self.corrupt, GaussianNoise):
            raise ValueError("DenoisingAutoencoder.score: the noise must be GaussianNoise")
        return (self(noisy) - noisy) / self.corrupt.sigma**2


# --- sparse -----------------------------------------------------------------------------------


def k_sparse(z: Tensor, k: int) -> Tensor:
    """Keep the k largest entries of each code (B, d), make the others 0; k places, ties or not.

    Which entries are kept is a constant for the gradient: 1 through them, 0 elsewhere. ValueError
    unless 1 <= k <= d. Makhzani and Frey 2013 (arXiv:1312.5663).

    >>> import tinygen as tg
    >>> tg.models.vae.autoencoder.k_sparse(tg.tensor([[1.0, 3.0, 2.0]]), k=2)
    tensor([[0., 3., 2.]])
    """
    if z.ndim != 2 or not 1 <= k <= z.shape[1]:
        raise ValueError(f"k_sparse: expected codes (B, d) with 1 <= k <= d, got {z.shape}, k={k}")
    kept = topk(z.detach(), k, 1).indices
    ones = zeros_like(z).detach()
    return z * scatter_add(ones, 1, kept, (kept * 0 + 1).to(z.dtype))


class KSparseAutoencoder(Autoencoder):
    """Only the k largest units of the code reach the decoder (`k_sparse`)."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, k: int) -> None:
        super().__init__(encoder, decoder)
        positive("KSparseAutoencoder", k=k)
        self.k = k

    def encode(self, x: Tensor) -> Tensor:
        """The code with its k largest entries: (B, ...) -> (B, latent)."""
        return k_sparse(self.encoder(x), self.k)


class SparseAutoencoder(Autoencoder):
    """Relaxed: all units may speak, at a price. E|x - d(z)|^2 + weight E sum_j |z_j|, z = e(x)."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, weight: float = 0.1) -> None:
        super().__init__(encoder, decoder)
        if not weight >= 0.0:
            raise ValueError(f"SparseAutoencoder: expected weight >= 0, got {weight}")
        self.weight = weight

    def encode(self, x: Tensor) -> Tensor:
        """The code after a ReLU, so that 0 can be reached: (B, ...) -> (B, latent)."""
        return self.encoder(x).relu()

    def loss(
        self, x: Tensor, distance: Loss = squared_error, generator: Generator | None = None
    ) -> Tensor:
        """The mean of distance(d(z), x) + weight sum_j |z_j|, a scalar."""
        z = self.encode(x)
        return distance(self.decode(z), x).mean() + self.weight * z.abs().sum(1).mean()


# --- with few labels ----------------------------------------------------------------------------


class Classifier(nn.Module):
    """A head of two layers on an encoder: (B, ...) -> logits (B, classes).

    Semi-supervised: pre-train the encoder in an Autoencoder on all images, then fine-tune both on
    the few that have labels.
    """

    def __init__(self, encoder: nn.Module, latent: int, classes: int, hidden: int = 64) -> None:
        super().__init__()
        positive("Classifier", latent=latent, classes=classes, hidden=hidden)
        self.encoder, self.head = encoder, mlp([latent, hidden, classes])

    def forward(self, x: Tensor) -> Tensor:
        """Logits: (B, ...) -> (B, classes)."""
        return self.head(self.encoder(x))

    @no_grad()
    def accuracy(self, x: Tensor, labels: Tensor) -> float:
        """The part of the examples, in 0..1, whose largest logit is at their label."""
        return float((self(x).argmax(1) == labels).to(x.dtype).mean().item())


# --- by name ------------------------------------------------------------------------------------


def build(config: Mapping[str, Any]) -> Autoencoder:
    """kind: plain, linear, denoising (noise `sigma`), ksparse (`k` units speak) or sparse (at the
    price `weight`). net: "mlp", "conv" or "notes" (500-300). loss "ssim" ends in a sigmoid.

    >>> import tinygen as tg
    >>> config = {"shape": (1, 8, 8), "kind": "ksparse", "latent": 16, "k": 3}
    >>> model = tg.models.vae.autoencoder.build(config)
    >>> code = model.encode(tg.rand(5, 1, 8, 8))
    >>> code.shape, int((code != 0).sum(1).max().item()), model.sample(2).shape
    ((5, 16), 3, (2, 1, 8, 8))
    """
    c = settings(
        "autoencoder", config, shape=NEEDED, kind="plain", net="mlp", latent=16, loss="mse",
        sigma=0.3, k=8, weight=0.05,
    )  # fmt: skip
    model = _of_kind(c)
    model.register_buffer("code_mean", model.code_mean.expand(c.latent).clone())
    model.register_buffer("code_std", model.code_std.expand(c.latent).clone())
    return model


def _of_kind(c: Any) -> Autoencoder:
    if c.kind == "linear":
        return linear_autoencoder(c.shape, c.latent)
    if c.net == "conv":
        encoder, decoder = nets.conv_autoencoder(c.shape, c.latent, moments=1)
    else:
        hidden = [500, 300] if c.net == "notes" else 256
        encoder, decoder = nets.mlp_autoencoder(c.shape, c.latent, hidden, moments=1)
    if c.loss == "ssim":  # SSIM takes -x for x: pictures must not go below 0
        decoder = nn.Sequential(decoder, nn.Sigmoid())
    match c.kind:
        case "plain":
            return Autoencoder(encoder, decoder)
        case "denoising":
            return DenoisingAutoencoder(encoder, decoder, GaussianNoise(c.sigma))
        case "ksparse":
            return KSparseAutoencoder(encoder, decoder, c.k)
        case "sparse":
            return SparseAutoencoder(encoder, decoder, c.weight)
    raise ValueError(
        f"autoencoder: no kind is called {c.kind!r}; there are plain, linear, denoising, ksparse "
        "and sparse"
    )
