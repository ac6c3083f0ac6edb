"""Generative models in families of systems, on shared networks; nothing here knows loops or files.

Three floors, and no family imports another of its floor (a test walks it): nets, likelihoods and
latent at the bottom; vae, gan and diffusion on them; what combines families above. One convention
for every likelihood: sum over dimensions, mean over the batch, in nats.
"""

from . import diffusion, gan, latent, likelihoods, nets, vae

__all__ = ["diffusion", "gan", "latent", "likelihoods", "nets", "vae"]
