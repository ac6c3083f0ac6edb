"""Priors over the integers of a VQ-VAE: what to draw before the decoder can paint it.

    gpt      log P(t) = sum_i log P(t_i | t_1 .. t_{i-1})     a pass of the transformer an integer
             (van den Oord et al. 2017, arXiv:1711.00937; Esser et al. 2020, arXiv:2012.09841)
    pixelcnn the same by convolutions over the map            (see raster.py)
    var      log P(t) = sum_k log P(t_k | t_1 .. t_{k-1})     a pass a scale, coarse to fine
             (Tian et al. 2024, arXiv:2404.02905)
    maskgit  log P(t_i | some of the others), hidden ones     a few passes, the surest first
             (Chang et al. 2022, arXiv:2202.04200); a sampler, no density

The baseline is VQVAE.sample, which draws each integer alone.

What goes wrong: a codebook that is still moving under the prior (here it is frozen); integers that
are few and a transformer that is large: it learns the training pictures by heart, which the test
pictures' log P shows and the samples hide; in var a mask or an input that shows a scale its own
integers; in maskgit too few passes: what is drawn in one pass does not know of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..systems import NEEDED, settings
from . import vqvae
from .conditioned import Captioned, Conditioned
from .maskgit import Masked
from .raster import NextPlace
from .tokens import NextToken, TokenPrior
from .var import NextScale

__all__ = ["PRIORS", "build"]

PRIORS: dict[str, Callable[..., TokenPrior]] = {
    "gpt": NextToken, "pixelcnn": NextPlace, "var": NextScale, "maskgit": Masked,
}  # fmt: skip


def build(config: Mapping[str, Any]) -> TokenPrior:
    """prior: one of PRIORS; codes: the config of a VQ-VAE; width, layers, heads, classes.

    "pixelcnn" has no heads; "var" takes codes with quantiser "scales" (or "residual"); "maskgit"
    draws in `passes`. condition: what "gpt" is told: the shape of pictures (Conditioned), or of
    captions {"size": tokens, "length": the most} (Captioned); None for nothing.
    """
    c = settings(
        "token_prior", config, codes=NEEDED, prior="gpt", width=64, layers=4, heads=4, classes=0,
        passes=8, condition=None,
    )  # fmt: skip
    if c.prior not in PRIORS:
        raise ValueError(f"token_prior: prior {c.prior!r}; there are {', '.join(PRIORS)}")
    if not isinstance(c.codes, Mapping):
        raise ValueError(f"token_prior: expected codes to be a VQ-VAE's config, got {c.codes!r}")
    codes = vqvae.build(c.codes)
    if c.condition is not None:
        if c.prior != "gpt" or c.classes:
            raise ValueError("token_prior: a condition is for prior gpt, and without classes")
        net = {"width": c.width, "layers": c.layers, "heads": c.heads}
        if isinstance(c.condition, Mapping):
            return Captioned(codes, **c.condition, **net)
        return Conditioned(codes, c.condition, **net)
    how = {"width": c.width, "layers": c.layers, "classes": c.classes}
    if c.prior != "pixelcnn":
        how["heads"] = c.heads
    if c.prior == "maskgit":
        how["passes"] = c.passes
    return PRIORS[c.prior](codes, **how)
