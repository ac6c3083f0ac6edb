"""Generative models, one file a family: the objective, the sampler, small reference networks.

Nothing here knows about loops or files. One convention for every likelihood: sum over dimensions,
mean over the batch, in nats.

The autoencoder family, in reading order: likelihoods, networks, reconstruction, autoencoder,
bounds, vae, hierarchical, annealing, latent. GANs: gan_penalties, gan, gan_nets, gan_devices.
"""

from . import (
    annealing,
    autoencoder,
    bounds,
    gan,
    gan_devices,
    gan_nets,
    gan_penalties,
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
    "gan",
    "gan_devices",
    "gan_nets",
    "gan_penalties",
    "hierarchical",
    "latent",
    "likelihoods",
    "networks",
    "reconstruction",
    "vae",
]
