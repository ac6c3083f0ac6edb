"""Models with a code in the middle: autoencoders, the VAE, hierarchies of them, and their bounds.

Read in the order reconstruction, autoencoder, bounds, vae, hierarchical, annealing. Densities and
what a pixel is drawn from are in models/likelihoods, the networks in models/nets.
"""

from . import annealing, autoencoder, bounds, hierarchical, reconstruction
from .hierarchical import HierarchicalVAE
from .vae import ELBO, VAE, ConditionalVAE

__all__ = [
    "ELBO",
    "VAE",
    "ConditionalVAE",
    "HierarchicalVAE",
    "annealing",
    "autoencoder",
    "bounds",
    "hierarchical",
    "reconstruction",
]
