"""Codes of integers: a picture becomes tokens, tokens a picture; and priors that write tokens."""

from .maskgit import Masked
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
from .token_prior import PRIORS
from .tokens import NextToken, TokenDensity, TokenPrior, choose, nucleus
from .var import NextScale
from .vqgan import VQGAN, adaptive_weight
from .vqvae import QUANTISERS, VQVAE

__all__ = [
    "PRIORS", "QUANTISERS", "VQGAN", "VQVAE", "Codebook", "FiniteScalar", "Masked", "NextScale",
    "NextToken", "Product", "Quantised", "Quantiser", "Residual", "TokenDensity", "TokenPrior",
    "adaptive_weight", "choose", "nucleus", "perplexity", "straight_through",
]  # fmt: skip
