"""Codes of integers: a picture becomes tokens, tokens a picture; and priors that write tokens."""

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
    "QUANTISERS", "VQGAN", "VQVAE", "Codebook", "FiniteScalar", "Product", "Quantised", "Quantiser",
    "Residual", "adaptive_weight", "perplexity", "straight_through",
]  # fmt: skip
