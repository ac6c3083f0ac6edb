"""Diffusion models in three parts that combine freely: process, parameterisation, sampler.

    process = diffusion.cosine(200)                     # how data becomes noise
    model = diffusion.Diffusion(process, net, predicts="v")     # what the network is asked
    loss = model.loss(x)                                 # train it
    x = diffusion.sample(model, (64, 1, 8, 8), "ddim", steps=20)    # go back

Read in the order process, parameterisation, conditions, model, samplers, likelihood, exact; then
the systems, diffusion_2d and ddpm. The networks are in models/nets: TimeMLP for points, UNet for
pictures.
"""

from .conditions import Captions, Labels, Vectors
from .ddpm import DDPM
from .exact import ExactDenoiser
from .likelihood import VLB, discretised_log_prob, hybrid_loss, step_term, vlb
from .model import VARIANCES, Diffusion
from .parameterisation import KINDS, WEIGHTS, Prediction, loss_weight
from .process import (
    SCHEDULES,
    VE,
    VP,
    Process,
    cosine,
    equal,
    geometric,
    linear_betas,
    linear_scaled,
    schedule,
)
from .samplers import SAMPLERS, chain, film, sample, timesteps

__all__ = [
    "Captions",
    "DDPM",
    "KINDS",
    "Labels",
    "SAMPLERS",
    "SCHEDULES",
    "VARIANCES",
    "VE",
    "VLB",
    "VP",
    "Vectors",
    "WEIGHTS",
    "Diffusion",
    "ExactDenoiser",
    "Prediction",
    "Process",
    "chain",
    "cosine",
    "discretised_log_prob",
    "equal",
    "film",
    "geometric",
    "hybrid_loss",
    "linear_betas",
    "linear_scaled",
    "loss_weight",
    "sample",
    "schedule",
    "step_term",
    "timesteps",
    "vlb",
]
