"""Generative models in families of systems, on shared networks; nothing here knows loops.

Floors, and no family imports another of its floor (a test walks it): nets, likelihoods, latent and
systems (the list of all, and what every one answers) at the bottom; explicit, vae, gan and
diffusion on them; what combines families above. One convention for every likelihood: sum over
dimensions, mean over the batch, in nats.
"""

from . import diffusion, explicit, gan, latent, likelihoods, nets, vae
from .systems import SYSTEMS, System, build, pretrained, restore

__all__ = [
    "SYSTEMS",
    "System",
    "build",
    "diffusion",
    "explicit",
    "gan",
    "latent",
    "likelihoods",
    "nets",
    "pretrained",
    "restore",
    "vae",
]
