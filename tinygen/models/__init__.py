"""Generative models, one file a family: the objective, the sampler, small reference networks.

Nothing here knows about loops or files. One convention for every likelihood: sum over dimensions,
mean over the batch, in nats.

The autoencoder family, in reading order: likelihoods, networks, reconstruction, autoencoder,
bounds, vae, hierarchical, annealing, latent. GANs: gan_penalties, gan, gan_nets, gan_devices.
Diffusion: diffusion (the process, the question and the way back), unet, ddpm.
"""

from . import (
    annealing,
    autoencoder,
    bounds,
    ddpm,
    diffusion,
    gan,
    gan_devices,
    gan_nets,
    gan_penalties,
    hierarchical,
    latent,
    likelihoods,
    networks,
    reconstruction,
    unet,
    vae,
)

__all__ = [
    "annealing",
    "autoencoder",
    "bounds",
    "ddpm",
    "diffusion",
    "gan",
    "gan_devices",
    "gan_nets",
    "gan_penalties",
    "hierarchical",
    "latent",
    "likelihoods",
    "networks",
    "reconstruction",
    "unet",
    "vae",
]
