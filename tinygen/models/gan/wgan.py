"""The Wasserstein GAN with weight clipping (Arjovsky et al. 2017, arXiv:1701.07875).

    W1(p_d, p_g) = sup over f of slope <= 1 of  E f(x) - E f(G(z))      (Kantorovich and Rubinstein)

The critic f has its weights clipped to [-c, c] after each of its steps, which bounds its slope by
some K that nobody knows: its gap estimates K W1. The clipping is a line of the training loop,
`optim.clip_weights_(model.D.parameters(), c)`: it belongs to the step, not to the model.

What goes wrong: forgotten, the gap grows for ever and measures patience; with a small c the
critic's gradients vanish layer by layer, with a large one they explode; momentum makes the critic
unstable, hence RMSprop. Pictures come out softer than with a gradient penalty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import nn
from ...ops import stack
from ...tensor import Tensor
from .. import nets
from ..systems import settings
from .gan import GAN

__all__ = ["Line", "build", "line_critic"]


class Line(nn.Module):
    """Samples (theta, z) beside the data (0, u): all that there is to learn is theta.

    The paper's Example 1: W1 = |theta|, of slope 1, shows the way; the Jensen-Shannon divergence
    is log 2 wherever the two lines are apart, of slope 0.
    """

    def __init__(self, theta: float) -> None:
        super().__init__()
        self.theta = nn.Parameter(Tensor([theta]))

    def forward(self, z: Tensor) -> Tensor:
        """z (B, 1) -> (theta, z), (B, 2)."""
        return stack([self.theta.expand(len(z)), z[:, 0]], 1)


def line_critic() -> nn.Module:
    """A critic of points in the plane for `Line`: two hidden layers of 64."""
    return nets.mlp_gan((2,), 1, 64, 2)[1]


def build(config: Mapping[str, Any]) -> GAN:
    """A DCGAN (net="dcgan") or perceptrons ("mlp") for pictures of `shape`; line: two lines.

    >>> import tinygen as tg
    >>> tg.models.build("wgan", {"shape": (1, 8, 8), "latent": 4, "width": 4}).sample(3).shape
    (3, 1, 8, 8)
    >>> tg.models.build("wgan", {"line": True}).sample(3)[:, 0]        # theta begins at 2
    tensor([2., 2., 2.])
    """
    c = settings("wgan", config, shape=(2,), line=False, net="dcgan", width=32, latent=32)
    if c.line:
        return GAN(Line(2.0), line_critic(), "wgan", 1)
    if c.net == "mlp":
        G, D = nets.mlp_gan(c.shape, c.latent, 256, tanh=True)
    else:
        G, D = nets.dcgan(c.shape, c.latent, c.width)
    return GAN(G, D, "wgan", c.latent)
