"""Markov fields: the Ising model and the restricted Boltzmann machine.

    p(x) = e^-E(x) / Z
    ising   E(x) = -sum_i field_i s_i - sum_edges coupling_ij s_i s_j,     s = 2 x - 1
    rbm     E(x) = -b x - sum_j log(1 + e^(c_j + (x W)_j))

Graphs without arrows: any non-negative function of neighbours may stand in the product, no factor
has to be a probability. The price is Z, a sum over all 2^D pictures that in general nobody can do:
without it there is no density, and pictures come from a Markov chain, Gibbs sampling. The gradient
of log p(x) is the mean of -dE at the data minus its mean under the model, and it is this second
mean that every way of learning replaces: by the exact sum (`log_z`, where it can be paid), by each
pixel given its neighbours (pseudo-likelihood), by k steps of a chain (contrastive divergence).

What goes wrong: a chain that moves slowly between modes shows one kind of picture and teaches the
wrong gradient; the loss of contrastive divergence does not say how good the model is; near the
critical temperature of the Ising model, 2.27, clusters are as large as the grid and Gibbs sampling
takes forever to turn them; CD that begins at the data never sees modes that are far from any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..systems import NEEDED, settings
from .fields import MarkovField
from .ising import Ising
from .rbm import RBM

__all__ = ["FIELDS", "build"]

FIELDS = ("ising", "rbm")


def build(config: Mapping[str, Any]) -> MarkovField:
    """model: one of FIELDS. coupling, learn; hidden, k, chains: see Ising and RBM.

    ValueError for a model of another name.
    """
    c = settings(
        "markov_field", config, shape=NEEDED, model="rbm", coupling=0.0, learn="exact",
        hidden=16, k=1, chains=100,
    )  # fmt: skip
    if c.model == "ising":
        return Ising(c.shape, c.coupling, c.learn)
    if c.model == "rbm":
        return RBM(c.shape, c.hidden, c.k, c.chains)
    raise ValueError(f"markov_field: no model is called {c.model!r}; there are {', '.join(FIELDS)}")
