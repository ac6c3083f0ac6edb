"""Codes of integers: a picture becomes tokens, tokens a picture; and priors that write tokens.

Here too: diffusion in such maps before they are rounded, or in maps that never are.
"""

from .conditioned import Captioned, Conditioned, Told
from .latent_diffusion import SPACES, KLAutoencoder, LatentDiffusion, Pixels, VQAutoencoder
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
from .raster import NextPlace
from .token_prior import PRIORS
from .tokens import NextToken, TokenDensity, TokenPrior, TokenTransformer, choose, nucleus
from .var import NextScale
from .vqgan import VQGAN, adaptive_weight
from .vqvae import QUANTISERS, VQVAE
from .window import slide

__all__ = [
    "PRIORS", "QUANTISERS", "SPACES", "VQGAN", "VQVAE", "Captioned", "Codebook", "Conditioned",
    "FiniteScalar", "KLAutoencoder", "LatentDiffusion", "Masked", "NextPlace", "NextScale",
    "NextToken", "Pixels", "Product", "Quantised", "Quantiser", "Residual", "Told", "TokenDensity",
    "TokenPrior", "TokenTransformer", "VQAutoencoder", "adaptive_weight", "choose", "nucleus",
    "perplexity", "slide", "straight_through",
]  # fmt: skip
