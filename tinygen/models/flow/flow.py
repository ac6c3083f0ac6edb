"""Normalizing flows: a map that can be run both ways turns the data into N(0, I).

    log p(x) = log N(f(x); 0, I) + log |det df/dx|

so that the likelihood is exact and a sample costs one run of f^-1. What the maps of f are:
`realnvp` affine couplings (Dinh et al. 2016, arXiv:1605.08803), `glow` with mixed channels (Kingma
and Dhariwal 2018, arXiv:1807.03039), `spline` (Durkan et al. 2019, arXiv:1906.04032), `maf` and
`iaf` (Papamakarios et al. 2017, arXiv:1705.07057; Kingma et al. 2016, arXiv:1606.04934), `ffjord`
an ODE (Grathwohl et al. 2018, arXiv:1810.01367), and `matching` the same ODE learned as a
regression (Lipman et al. 2022, arXiv:2210.02747). Pictures are dequantised, x in [0, 1); couplings
see them at several scales, half of the channels being done after each.

What goes wrong: a log-determinant of the wrong sign or of a forgotten scale, and the likelihood
grows without bound; grey values that were not dequantised do the same; f is continuous, so that
modes stay joined by thin bridges; a maf draws, and an iaf judges, one dimension a pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from ...checks import integers, positive
from .. import nets
from ..systems import NEEDED, settings
from .autoregressive import MaskedAutoregressive
from .continuous import Continuous
from .coupling import Affine, Coupling, Curve, checkerboard, halves
from .glow import ActNorm, InvertibleConv
from .matching import FlowMatching
from .spline import Spline
from .transform import Flow, Inverse, Logit, Split, Squeezed, Standardise, Transform

__all__ = ["FLOWS", "build"]

Layers = list[Transform]


def couplings(
    shape: Sequence[int],
    c: SimpleNamespace,
    curve: Curve,
    pattern: Callable[..., Any],
) -> Layers:
    """c.layers couplings, each after a normalisation, whose masks take turns."""
    return [
        layer
        for k in range(c.layers)
        for layer in (ActNorm(shape[0]), _coupling(shape, c, curve, pattern(shape, k % 2 == 1)))
    ]


def _coupling(shape: Sequence[int], c: SimpleNamespace, curve: Curve, mask: Any) -> Coupling:
    return Coupling(mask, nets.coupling_net(shape, curve.numbers, c.hidden), curve)


def realnvp(shape: Sequence[int], c: SimpleNamespace, scales: int, curve: Curve) -> Layers:
    """Checkerboards, then, at half the size, halves of the channels, one of which goes on."""
    layers = couplings(shape, c, curve, checkerboard)
    if scales:
        small = (4 * shape[0], shape[1] // 2, shape[2] // 2)
        rest = realnvp((small[0] // 2, *small[1:]), c, scales - 1, curve)
        layers.append(Squeezed(*couplings(small, c, curve, halves), Split(*rest)))
    return layers


def glow(shape: Sequence[int], c: SimpleNamespace, scales: int, curve: Curve) -> Layers:
    """Steps of normalisation, mixed channels and a coupling; pictures are squeezed first."""
    if len(shape) == 3 and scales:
        small = (4 * shape[0], shape[1] // 2, shape[2] // 2)
        rest = glow((small[0] // 2, *small[1:]), c, scales - 1, curve) if scales > 1 else []
        done = [Split(*rest)] if rest else []
        return [Squeezed(*glow(small, c, 0, curve), *done)]
    layers: Layers = []
    for _ in range(c.layers):
        layers += [ActNorm(shape[0]), InvertibleConv(shape[0]),
                   _coupling(shape, c, curve, halves(shape))]  # fmt: skip
    return layers


def masked(shape: Sequence[int], c: SimpleNamespace, inverse: bool = False) -> Layers:
    """Masked autoregressive layers, the order of the numbers turned round after each."""
    order = list(range(math.prod(shape)))
    layers: Layers = []
    for k in range(c.layers):
        turned = order[::-1] if k % 2 else order
        layer = MaskedAutoregressive(shape, [c.hidden] * 2, turned)
        layers += [ActNorm(shape[0]), Inverse(layer) if inverse else layer]
    return layers


def _way(shape: Sequence[int], c: SimpleNamespace) -> Continuous:
    return Continuous(nets.TimeMLP(math.prod(shape), c.hidden, layers=2), c.ode_steps)


def _coupled(make: Callable[..., Layers], spline: bool = False) -> Callable[..., Flow]:
    def flow(shape: Sequence[int], c: SimpleNamespace, before: Layers) -> Flow:
        curve = Spline(c.bins) if spline else Affine()
        return Flow(shape, *before, *make(shape, c, c.scales if len(shape) == 3 else 0, curve))

    return flow


FLOWS: dict[str, Callable[[Sequence[int], SimpleNamespace, Layers], Flow]] = {
    "realnvp": _coupled(realnvp),
    "glow": _coupled(glow),
    "spline": _coupled(realnvp, spline=True),
    "maf": lambda shape, c, before: Flow(shape, *before, *masked(shape, c)),
    "iaf": lambda shape, c, before: Flow(shape, *before, *masked(shape, c, inverse=True)),
    "ffjord": lambda shape, c, before: Flow(shape, *before, _way(shape, c)),
    "matching": lambda shape, c, before: FlowMatching(shape, *before, way=_way(shape, c)),
}


def build(config: Mapping[str, Any]) -> Flow:
    """flow: a key of FLOWS. shape: (D,), or (C, H, W) for pixels in [0, 1].

    hidden: units of every network. layers: how many maps there are (at each scale). scales: how
    often pictures are squeezed. bins: of a spline. ode_steps: of the solver. mean, std: of the
    points, which are standardised by them. ValueError for another flow.

    >>> import tinygen as tg
    >>> model = tg.models.build("flow", {"flow": "spline", "shape": (2,), "hidden": 8, "layers": 2})
    >>> model.log_prob(tg.zeros(5, 2)).shape, model.sample(3).shape
    ((5,), (3, 2))
    """
    c = settings("flow", config, flow="realnvp", shape=NEEDED, hidden=64, layers=8, scales=1,
                 bins=8, ode_steps=8, mean=0.0, std=1.0)  # fmt: skip
    if c.flow not in FLOWS:
        raise ValueError(f"flow: no flow is called {c.flow!r}; there are {', '.join(FLOWS)}")
    positive("flow", hidden=c.hidden, layers=c.layers)
    integers("flow", 0, scales=c.scales)
    shape = tuple(c.shape)
    before: Layers = [Logit()] if len(shape) == 3 else [Standardise(c.mean, c.std)]
    return FLOWS[c.flow](shape, c, before)
