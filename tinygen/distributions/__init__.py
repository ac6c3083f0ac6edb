"""torch.distributions: draws, log-densities, entropies and divergences, in nats.

    D.Normal(loc, scale).rsample()              # a draw with a gradient, where has_rsample says so
    D.kl_divergence(posterior, prior)

Read distribution.py first, then location, discrete, gamma, multivariate, mixture; transforms and
transformed; kl.
"""

from typing import TYPE_CHECKING, NoReturn

from ..names import missing
from . import constraints, kl, transforms
from .discrete import Bernoulli, Categorical
from .distribution import Distribution
from .gamma import Beta, Dirichlet, Gamma
from .kl import kl_divergence, register_kl
from .location import Laplace, Normal, Uniform
from .mixture import MixtureSameFamily
from .multivariate import Independent, MultivariateNormal
from .transformed import TransformedDistribution
from .transforms import (
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    SigmoidTransform,
    SoftplusTransform,
    TanhTransform,
    Transform,
)

__all__ = [
    "AffineTransform", "Bernoulli", "Beta", "Categorical", "ComposeTransform", "Dirichlet",
    "Distribution", "ExpTransform", "Gamma", "Independent", "Laplace", "MixtureSameFamily",
    "MultivariateNormal", "Normal", "SigmoidTransform", "SoftplusTransform", "TanhTransform",
    "Transform", "TransformedDistribution", "Uniform", "constraints", "kl", "kl_divergence",
    "register_kl", "transforms",
]  # fmt: skip

if not TYPE_CHECKING:  # for a type checker, a name that is not there is an error of its own

    def __getattr__(name: str) -> NoReturn:
        raise missing(__name__, name, __all__)
