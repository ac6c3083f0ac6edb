"""A gated PixelCNN as the prior: the integers of a map in raster order, by convolutions.

    log P(t) = sum_i log P(t_i | those above and to the left)

as in the VQ-VAE's paper (van den Oord et al. 2017, arXiv:1711.00937). The integers have no order,
so that each is read as a vector of its own, and drawn from a table of all. Maps of one size that a
quantiser makes of a picture (residual, product) stand below each other as one map.
"""

from __future__ import annotations

from ...backend import Generator
from ...ops import zeros
from ...tape import no_grad
from ...tensor import Tensor
from ..autoregressive import PixelCNN
from ..autoregressive.raster import Raster
from .tokens import TokenDensity, choose
from .vqvae import VQVAE

__all__ = ["NextPlace"]


class NextPlace(TokenDensity):
    """One place of the map after the other; what a pass made of those before is kept.

    ValueError where the quantiser's maps are of several sizes.

    >>> import tinygen as tg
    >>> config = {"codes": {"shape": (1, 8, 8), "width": 8, "size": 16}, "prior": "pixelcnn"}
    >>> model = tg.models.build("token_prior", config | {"width": 8, "layers": 2})
    >>> model.sample(5).shape, model.passes
    ((5, 1, 8, 8), 4)
    """

    def __init__(self, codes: VQVAE, width: int = 64, layers: int = 4, classes: int = 0) -> None:
        super().__init__(codes, classes)
        height, columns = codes.map
        if self.length % (height * columns):
            raise ValueError(
                f"NextPlace: expected maps of {height} x {columns} integers, got {self.length} "
                "integers of several sizes; prior var is for those"
            )
        self.net = PixelCNN((1, self.length // columns, columns), width, layers, classes=classes,
                            likelihood="softmax", levels=self.size, symbols=True)  # fmt: skip
        self.passes = self.length

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.net(self._map(tokens), labels).flatten(2).transpose(1, 2)

    def _map(self, tokens: Tensor) -> Tensor:
        """The integers (B, tokens) as grey values k / (size - 1), (B, 1, H, W)."""
        like = next(self.net.parameters())
        return tokens.to(like.dtype).reshape(-1, *self.net.shape) / (self.size - 1)

    @no_grad()
    def draw(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None,
        temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None,
        cache: bool = True,
    ) -> Tensor:  # fmt: skip
        """The integers of n pictures (n, tokens); temperature, top_k, top_p: see `choose`.

        cache: the features of the places before are kept; without, a whole pass each.
        """
        tokens = zeros(n, self.length, device=self.codes.usage.device).long()
        x = self._map(tokens)  # drawn on, as places are
        places = self.net.in_turn(x, labels) if cache else Raster.in_turn(self.net, x, labels)
        for i, (row, column, logits) in enumerate(places):
            new = choose(logits.unsqueeze(1), generator, temperature, top_k, top_p)
            tokens[:, i : i + 1] = new
            x[:, :, row, column] = new.to(x.dtype) / (self.size - 1)
        return tokens
