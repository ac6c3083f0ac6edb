"""The transformer's layers (Vaswani et al. 2017), and stacks of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from ..checks import numbers, positive
from ..tensor import Tensor
from . import functional as F
from .attention import MultiheadAttention
from .containers import ModuleList
from .linear import Dropout, Linear
from .module import Module
from .norms import LayerNorm

__all__ = [
    "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder",
    "TransformerEncoderLayer",
]  # fmt: skip

Activation = str | Callable[[Tensor], Tensor]


class _Layer(Module):
    """What both layers share: attentions, two linear maps, a norm and a dropout for each part.

    x + part(norm(x)) with norm_first, else norm(x + part(x)).
    """

    attentions: tuple[str, ...] = ("self_attn",)

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        positive(name, d_model=d_model, nhead=nhead, dim_feedforward=dim_feedforward)
        numbers(name, 0, 1, dropout=dropout)
        numbers(name, 0, layer_norm_eps=layer_norm_eps)
        if isinstance(activation, str):
            if activation not in ("relu", "gelu"):
                raise RuntimeError(
                    f"{name}: activation should be 'relu' or 'gelu', got {activation!r}"
                )
            activation = F.relu if activation == "relu" else F.gelu
        where = {"device": device, "dtype": dtype}
        for attention in self.attentions:
            attend = MultiheadAttention(
                d_model, nhead, dropout, bias, batch_first=batch_first, **where
            )
            self.register_module(attention, attend)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **where)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **where)
        self.norm_first, self.activation = norm_first, activation
        parts = range(1, len(self.attentions) + 2)
        for i in parts:
            norm = LayerNorm(d_model, layer_norm_eps, bias=bias, **where)
            self.register_module(f"norm{i}", norm)
        for i in parts:
            self.register_module(f"dropout{i}", Dropout(dropout))

    def _part(self, i: int, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        """x through part i, added to what it was"""
        norm, dropout = self._modules[f"norm{i}"], self._modules[f"dropout{i}"]
        if self.norm_first:
            return x + dropout(part(norm(x)))  # type: ignore[no-any-return]
        return norm(x + dropout(part(x)))  # type: ignore[no-any-return]

    def _feedforward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))  # type: ignore[no-any-return]


class TransformerEncoderLayer(_Layer):
    """Self-attention, then two linear maps, each added to its input and normalised.

    src (L, N, d_model), or (N, L, d_model) with batch_first. Masks as in MultiheadAttention: True
    where looking is forbidden. norm_first=True normalises before each part, else after it.

    >>> layer = nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, batch_first=True)
    >>> layer(tg.zeros(3, 5, 8)).shape
    (3, 5, 8)
    """

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Of src's shape. is_causal is a hint, and needs the src_mask."""

        def attend(x: Tensor) -> Any:
            return self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, True, is_causal)[
                0
            ]

        return self._part(2, self._part(1, src, attend), self._feedforward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the memory, then two linear maps; as TransformerEncoderLayer.

    tgt (T, N, d_model), memory (S, N, d_model), the batch first with batch_first.

    >>> layer = nn.TransformerDecoderLayer(8, nhead=2, dim_feedforward=16, batch_first=True)
    >>> layer(tg.zeros(3, 5, 8), tg.zeros(3, 7, 8)).shape
    (3, 5, 8)
    """

    attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Of tgt's shape. The two is_causal are hints, and need the masks."""
        own = (tgt_key_padding_mask, False, tgt_mask, True, tgt_is_causal)
        other = (memory_key_padding_mask, False, memory_mask, True, memory_is_causal)
        x = self._part(1, tgt, lambda x: self.self_attn(x, x, x, *own)[0])
        x = self._part(2, x, lambda x: self.multihead_attn(x, memory, memory, *other)[0])
        return self._part(3, x, self._feedforward)


class _Stack(Module):
    """num_layers deep copies of a layer, and a norm behind them, if one is given."""

    def __init__(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        super().__init__()
        positive(type(self).__name__, num_layers=num_layers)
        self.layers = ModuleList(copy.deepcopy(layer) for _ in range(num_layers))
        self.num_layers, self.norm = num_layers, norm

    def _run(self, x: Tensor, *args: Any) -> Tensor:
        for layer in self.layers:
            x = layer(x, *args)
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """num_layers deep copies of an encoder layer, and the norm behind them, if one is given.

    They start equal, as PyTorch's do: draw them anew for a deep one. enable_nested_tensor and
    mask_check have no effect.

    >>> layer = nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16)
    >>> nn.TransformerEncoder(layer, num_layers=2)(tg.zeros(5, 3, 8)).shape
    (5, 3, 8)
    """

    def __init__(
        self, encoder_layer: Module, num_layers: int, norm: Module | None = None,
        enable_nested_tensor: bool = True, mask_check: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(encoder_layer, num_layers, norm)

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """src through all layers, each with these masks."""
        return self._run(src, mask, src_key_padding_mask, bool(is_causal))


class TransformerDecoder(_Stack):
    """num_layers deep copies of a decoder layer, and the norm behind them, if one is given."""

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """tgt through all layers, each with this memory and these masks."""
        return self._run(
            tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask,
            bool(tgt_is_causal), memory_is_causal,
        )  # fmt: skip
