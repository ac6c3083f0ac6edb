"""Models of the score grad log p(x), or of an energy whose slope it is; samples by Langevin.

In reading order: matching (how a score is learned), langevin (how it draws), laws (of which all is
known), model (the score at every level of noise); then the systems score (in the plane),
ncsn (pictures) and energy.
"""

from .energy import EnergyModel, ReplayBuffer
from .langevin import annealed, gradient, mala, ula
from .laws import LAWS, Law
from .matching import OBJECTIVES, denoising, exact, signs, sliced
from .model import SAMPLERS, ScoreModel

__all__ = [
    "LAWS",
    "OBJECTIVES",
    "SAMPLERS",
    "EnergyModel",
    "Law",
    "ReplayBuffer",
    "ScoreModel",
    "annealed",
    "denoising",
    "exact",
    "gradient",
    "mala",
    "signs",
    "sliced",
    "ula",
]
