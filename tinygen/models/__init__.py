"""Generative models, one file a family: the objective, the sampler, small reference networks.

Nothing here knows about loops or files. One convention for every likelihood: sum over dimensions,
mean over the batch, in nats.

The autoencoder family, in reading order: likelihoods, networks, reconstruction, autoencoder,
bounds, vae, hierarchical, annealing, latent.
"""

from . import (
    annealing,
    autoencoder,
    bounds,
    hierarchical,
    latent,
    likelihoods,
    networks,
    reconstruction,
    vae,
)

__all__ = [
    "annealing",
    "autoencoder",
    "bounds",
    "hierarchical",
    "latent",
    "likelihoods",
    "networks",
    "reconstruction",
    "vae",
]
