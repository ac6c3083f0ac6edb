"""Models whose density is a formula: log p(x) is computed, not bounded.

In reading order: queries (what all directed ones answer), components (any mixture), bernoulli,
gaussian, naive_bayes, tree, hmm, mixture (one of these by its name).
"""

from .bernoulli import BernoulliMixture
from .components import Mixture
from .gaussian import GaussianMixture
from .hmm import HiddenMarkov
from .naive_bayes import NaiveBayes
from .queries import ExactDensity
from .tree import ChowLiuTree

__all__ = [
    "BernoulliMixture",
    "ChowLiuTree",
    "ExactDensity",
    "GaussianMixture",
    "HiddenMarkov",
    "Mixture",
    "NaiveBayes",
]
