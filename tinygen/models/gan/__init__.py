"""Generative adversarial networks: one table of objectives, the model that uses a row, the tricks.

Read in the order objectives, penalties, diversity, gan, training; then the systems.
Networks are in models/nets.
"""

from .aae import AAE, ClassifyingAAE, drawn
from .acgan import ACGAN
from .augment import AdaptiveAugment, augmented
from .began import BEGAN
from .bigan import BiGAN
from .biggan import BigGAN, orthogonal_penalty
from .diversity import entropy
from .gan import GAN, pack
from .objectives import (
    OBJECTIVES,
    Objective,
    critic_gap,
    cross_entropy,
    energy_gap,
    hinge_d,
    least_squares_d,
    log_ratio,
    objective,
    two_jsd,
)
from .penalties import PENALTIES, input_gradients, interpolates, perturbed, zero_on_data
from .progan import Growth, ProGAN
from .sdgan import SDGAN
from .semi_gan import SemiGAN
from .stylegan import StyleGAN
from .text_gan import TextGAN, mismatched
from .training import (
    Extragradient,
    OptimisticAdam,
    OptimisticSGD,
    collapse,
    d_steps,
    frozen,
    max_weight,
    ramp,
    spread,
)

__all__ = [
    "AAE",
    "ACGAN",
    "AdaptiveAugment",
    "BEGAN",
    "BiGAN",
    "BigGAN",
    "ClassifyingAAE",
    "Extragradient",
    "GAN",
    "Growth",
    "OBJECTIVES",
    "Objective",
    "OptimisticAdam",
    "OptimisticSGD",
    "PENALTIES",
    "ProGAN",
    "SDGAN",
    "SemiGAN",
    "StyleGAN",
    "TextGAN",
    "augmented",
    "collapse",
    "critic_gap",
    "cross_entropy",
    "d_steps",
    "drawn",
    "energy_gap",
    "entropy",
    "frozen",
    "hinge_d",
    "input_gradients",
    "interpolates",
    "least_squares_d",
    "log_ratio",
    "max_weight",
    "mismatched",
    "objective",
    "orthogonal_penalty",
    "pack",
    "perturbed",
    "ramp",
    "spread",
    "two_jsd",
    "zero_on_data",
]
