"""Densities that one can sum: mixtures, naive Bayes, a tree, a hidden Markov model.

    bernoulli     p(x) = sum_j w_j prod_i m_ji^x_i (1 - m_ji)^(1 - x_i)
    gaussian      p(x) = sum_j w_j N(x; mean_j, covariance_j)
    naive_bayes   p(x, y) = p(y) prod_i p(x_i | y)
    tree          p(x) = prod_i p(x_i | x_parent(i))
    hmm           p(x) = sum_h p(h_1) prod_t p(h_t | h_t-1) prod_t p(x_t | h_t)

All are directed graphs in which sums over what is not seen are cheap. So all three things that one
may ask of a model are exact: the density, `log_prob(x, seen)` also of a part of x; samples; and
inference, `fill(x, seen)`, a draw of the rest given that part. The first, second and last are
fitted by EM (Dempster, Laird and Rubin 1977), the other two by counting once.

What goes wrong: components that begin alike stay alike or die, no picture choosing them (hence
`start` and `mend`); a coin that is never heads makes one unseen heads impossible (hence the prior),
a Gaussian on a single point has an infinite density (hence the floor); pixels are independent
within a component, so samples are noisy; a tree sees one neighbour of each pixel only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..systems import NEEDED, settings
from .bernoulli import BernoulliMixture
from .gaussian import GaussianMixture
from .hmm import HiddenMarkov
from .naive_bayes import NaiveBayes
from .queries import ExactDensity
from .tree import ChowLiuTree

__all__ = ["MODELS", "build"]

MODELS = ("bernoulli", "gaussian", "naive_bayes", "tree", "hmm")


def build(config: Mapping[str, Any]) -> ExactDensity:
    """model: one of MODELS. components (or states), prior, floor, classes: see each model's class.

    ValueError for a model of another name.
    """
    c = settings(
        "mixture", config, shape=NEEDED, model="bernoulli", components=40, prior=0.3, floor=1e-3
    )
    if c.model == "bernoulli":
        return BernoulliMixture(c.shape, c.components, c.prior)
    if c.model == "gaussian":
        return GaussianMixture(c.shape, c.components, c.floor)
    if c.model == "naive_bayes":
        classes = settings("mixture", config, classes=NEEDED).classes
        return NaiveBayes(c.shape, classes, c.prior)
    if c.model == "tree":
        return ChowLiuTree(c.shape, c.prior)
    if c.model == "hmm":
        return HiddenMarkov(c.shape, c.components, c.prior)
    raise ValueError(f"mixture: no model is called {c.model!r}; there are {', '.join(MODELS)}")
