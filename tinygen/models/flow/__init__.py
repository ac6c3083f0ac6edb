"""Normalizing flows: exact likelihoods by maps that can be run both ways.

In reading order: transform (the chain, scales), coupling, glow, spline, autoregressive, continuous,
matching, flow (which of them a system is).
"""

from .autoregressive import MaskedAutoregressive
from .continuous import Continuous
from .coupling import Affine, Coupling, Curve, checkerboard, halves
from .flow import FLOWS
from .glow import ActNorm, InvertibleConv
from .matching import FlowMatching
from .spline import Spline
from .transform import Chain, Flow, Inverse, Logit, Split, Squeezed, Standardise, Transform

__all__ = [
    "FLOWS", "ActNorm", "Affine", "Chain", "Continuous", "Coupling", "Curve", "Flow",
    "FlowMatching", "Inverse", "InvertibleConv", "Logit", "MaskedAutoregressive", "Spline", "Split",
    "Squeezed", "Standardise", "Transform", "checkerboard", "halves",
]  # fmt: skip
