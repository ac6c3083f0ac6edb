"""Autoencoders: a code in the middle, and the picture again from it; no probability yet.

    min E |x - d(e(x))|^2

Plain; linear, which is principal component analysis; denoising (Vincent et al., 2008), whose
residual is the score; sparse by keeping the k largest (Makhzani and Frey, 2013) or by a penalty.
A code learned without labels serves a classifier with few labels: `Classifier`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .. import nn
from ..backend import Array, Generator
from ..ops import rand, randn, scatter_add, topk, zeros_like
from ..tape import no_grad
from ..tensor import Tensor
from .networks import dense, positive
from .reconstruction import squared_error

__all__ = [
    "Autoencoder", "Classifier", "DenoisingAutoencoder", "GaussianNoise", "KSparseAutoencoder",
    "Masking", "PCA", "SparseAutoencoder", "k_sparse", "linear", "pca",
]  # fmt: skip

Loss = Callable[[Tensor, Tensor], Tensor]


class Autoencoder(nn.Module):
    """encoder: x (B, ...) -> code (B, latent); decoder: code -> a picture shaped as x."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction of x."""
        return self.decode(self.encode(x))

    def loss(
        self, x: Tensor, distance: Loss = squared_error, generator: Generator | None = None
    ) -> Tensor:
        """The mean over the batch of distance(reconstruction, x); `generator` for what draws."""
        return distance(self(x), x).mean()


# --- linear: principal component analysis -----------------------------------------------------


def linear(shape: Sequence[int], latent: int) -> Autoencoder:
    """One linear layer each way. With squared error its best loss is that of PCA.

    E|x - d(e(x))|^2 >= the sum of the eigenvalues of cov(x) from the (latent+1)-th on, reached
    when the decoder's columns span the first `latent` eigenvectors (Baldi and Hornik, 1989).
    """
    positive("linear", latent=latent)
    pixels = int(np.prod(shape))
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(pixels, latent))
    decoder = nn.Sequential(nn.Linear(latent, pixels), nn.Unflatten(1, tuple(shape)))
    return Autoencoder(encoder, decoder)


class PCA(NamedTuple):
    mean: Array  # (D,)
    components: Array  # (D, D), eigenvectors in the columns, from the largest eigenvalue on
    eigenvalues: Array  # (D,), falling

    def discarded(self, latent: int) -> float:
        """The best squared error E|x - reconstruction|^2 of a linear code of that length."""
        return float(self.eigenvalues[latent:].sum())


def pca(x: Tensor) -> PCA:
    """Mean, eigenvectors and eigenvalues of the covariance (divided by B) of x (B, ...)."""
    rows = x.detach().cpu().numpy().reshape(x.shape[0], -1).astype(np.float64)
    mean = rows.mean(0)
    values, vectors = np.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    return PCA(mean, vectors[:, ::-1], values[::-1])


# --- denoising --------------------------------------------------------------------------------


class GaussianNoise:
    """x + sigma eps: the corruption whose best denoiser gives the score."""

    def __init__(self, sigma: float) -> None:
        if not sigma > 0.0:
            raise ValueError(f"GaussianNoise: expected sigma > 0, got {sigma}")
        self.sigma = sigma

    def __call__(self, x: Tensor, generator: Generator | None = None) -> Tensor:
        noise = randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        return x + self.sigma * noise


class Masking:
    """Each pixel is set to 0 with probability p."""

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
        return distance(self(self.corrupt(x, generator)), x).mean()

    def score(self, noisy: Tensor) -> Tensor:
        """grad log p_sigma at y = `noisy`, by Tweedie's formula: (r(y) - y) / sigma^2.

        The best denoiser of y = x + sigma eps is E[x|y] = y + sigma^2 grad log p_sigma(y), where
        p_sigma is the density of y (Vincent, 2011). Gaussian noise only.
        """
        if not isinstance(self.corrupt, GaussianNoise):
            raise ValueError("DenoisingAutoencoder.score: the noise must be GaussianNoise")
        return (self(noisy) - noisy) / self.corrupt.sigma**2


# --- sparse -----------------------------------------------------------------------------------


def k_sparse(z: Tensor, k: int) -> Tensor:
    """Keep the k largest entries of each code (B, d), make the others 0; k places, ties or not.

    Which entries are kept is a constant for the gradient: 1 through them, 0 elsewhere.
    """
    if z.ndim != 2 or not 1 <= k <= z.shape[1]:
        raise ValueError(f"k_sparse: expected codes (B, d) with 1 <= k <= d, got {z.shape}, k={k}")
    kept = topk(z.detach(), k, 1).indices
    ones = zeros_like(z).detach()
    return z * scatter_add(ones, 1, kept, (kept * 0 + 1).to(z.dtype))


class KSparseAutoencoder(Autoencoder):
    """Only the k largest units of the code reach the decoder."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, k: int) -> None:
        super().__init__(encoder, decoder)
        positive("KSparseAutoencoder", k=k)
        self.k = k

    def encode(self, x: Tensor) -> Tensor:
        return k_sparse(self.encoder(x), self.k)


class SparseAutoencoder(Autoencoder):
    """Relaxed: all units may speak, at a price. E|x - d(z)|^2 + weight E sum_j |z_j|, z = e(x)."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, weight: float = 0.1) -> None:
        super().__init__(encoder, decoder)
        if not weight >= 0.0:
            raise ValueError(f"SparseAutoencoder: expected weight >= 0, got {weight}")
        self.weight = weight

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).relu()

    def loss(
        self, x: Tensor, distance: Loss = squared_error, generator: Generator | None = None
    ) -> Tensor:
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
        self.encoder, self.head = encoder, dense([latent, hidden, classes])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))

    @no_grad()
    def accuracy(self, x: Tensor, labels: Tensor) -> float:
        """The part of the examples, in 0..1, whose largest logit is at their label."""
        return float((self(x).argmax(1) == labels).to(x.dtype).mean().item())
