"""Generative models, one file a family: the objective, the sampler, small reference networks.

Nothing here knows about loops or files. One convention for every likelihood: sum over dimensions,
mean over the batch, in nats.
"""

from . import vae

__all__ = ["vae"]
