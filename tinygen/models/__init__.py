"""Generative models in families of systems, on shared networks; nothing here knows loops.

Floors, and no family imports another of its floor (a test walks it): nets, likelihoods, latent, ode
and systems (the list of all, and what every one answers) at the bottom; the families on them; what
combines families above. One convention for every likelihood: sum over dimensions, mean over the
batch, in nats.
"""

from . import (
    autoregressive,
    diffusion,
    explicit,
    flow,
    gan,
    latent,
    likelihoods,
    nets,
    ode,
    score,
    text,
    translation,
    vae,
    vq,
)
from .systems import SYSTEMS, System, build, pretrained, restore

__all__ = [
    "SYSTEMS",
    "System",
    "autoregressive",
    "build",
    "diffusion",
    "explicit",
    "flow",
    "gan",
    "latent",
    "likelihoods",
    "nets",
    "ode",
    "pretrained",
    "restore",
    "score",
    "text",
    "translation",
    "vae",
    "vq",
]
