"""Models whose density is a formula: log p(x) is computed, not bounded.

In reading order: queries (what all directed ones answer), components (any mixture), bernoulli,
gaussian, naive_bayes, tree, chain (sums over paths), hmm, mixture (one of these by its name);
fields (what all undirected ones answer), ising, rbm, markov_field (one of these).
"""

from .bernoulli import BernoulliMixture
from .components import Mixture
from .fields import MarkovField
from .gaussian import GaussianMixture
from .hmm import HiddenMarkov
from .ising import Ising
from .naive_bayes import NaiveBayes
from .queries import ExactDensity
from .rbm import RBM
from .tree import ChowLiuTree

__all__ = [
    "RBM",
    "BernoulliMixture",
    "ChowLiuTree",
    "ExactDensity",
    "GaussianMixture",
    "HiddenMarkov",
    "Ising",
    "MarkovField",
    "Mixture",
    "NaiveBayes",
]
