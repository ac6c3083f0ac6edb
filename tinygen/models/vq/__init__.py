"""Codes of integers: a picture becomes tokens, tokens a picture; and priors that write tokens.

Here too: diffusion in such maps before they are rounded, or in maps that never are.
"""

from .latent_diffusion import SPACES, KLAutoencoder, LatentDiffusion, Pixels, VQAutoencoder
from .quantise import (
    Codebook,
    FiniteScalar,
    Product,
    Quantised,
    Quantiser,
    Residual,
    perplexity,
    straight_through,
)
from .vqgan import VQGAN, adaptive_weight
from .vqvae import QUANTISERS, VQVAE

__all__ = [
    "QUANTISERS", "SPACES", "VQGAN", "VQVAE", "Codebook", "FiniteScalar", "KLAutoencoder",
    "LatentDiffusion", "Pixels", "Product", "Quantised", "Quantiser", "Residual", "VQAutoencoder",
    "adaptive_weight", "perplexity", "straight_through",
]  # fmt: skip
