"""LSTM: long short-term memory (Hochreiter & Schmidhuber 1997), with PyTorch's weights."""

from __future__ import annotations

import math
from typing import Any

from .. import ops
from ..backend import Generator
from ..checks import numbers, positive
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import empty_parameter

__all__ = ["LSTM"]

State = tuple[Tensor, Tensor]


class LSTM(Module):
    """i, f, o = sigmoid(.), g = tanh(.) of W_i x + b_i + W_h h + b_h; c = f c + i g; h = o tanh(c).

    x (L, N, input_size), or (N, L, input_size) with batch_first, or (L, input_size) -> output
    (L, N, D H), (h_n, c_n), each (D layers, N, H), D = 2 if bidirectional else 1. The state that
    is not given is 0. weight_ih_l0 (4 H, input_size), weight_hh_l0 (4 H, H), bias_ih_l0, bias_hh_l0
    (4 H), rows in the order i, f, g, o; then l1, ..., and "_reverse" for the backward direction.

    >>> out, (h, c) = nn.LSTM(3, 5, num_layers=2)(tg.zeros(7, 4, 3))
    >>> out.shape, h.shape, c.shape
    ((7, 4, 5), (2, 4, 5), (2, 4, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        positive("LSTM", input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        numbers("LSTM", 0, 1, dropout=dropout)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional = bidirectional
        self._ends = ("", "_reverse") if bidirectional else ("",)
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * len(self._ends)
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (width,),
                "weight_hh": (hidden_size,),
            }
            shapes |= {"bias_ih": (), "bias_hh": ()} if bias else {}
            for end in self._ends:
                for name, rest in shapes.items():
                    weight = empty_parameter(4 * hidden_size, *rest, dtype=dtype, device=device)
                    self.register_parameter(f"{name}_l{layer}{end}", weight)
        self.reset_parameters()

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw all weights and biases anew: U(-k, k), k = 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound, generator)

    def forward(self, input: Tensor, hx: State | None = None) -> tuple[Tensor, State]:
        """(output, (h_n, c_n)) for an input and the state hx = (h_0, c_0), 0 if not given."""
        single = input.ndim == 2
        x = input.unsqueeze(1) if single else input
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"LSTM: expected an input with 2 or 3 dimensions, the last of size "
                f"{self.input_size}, got shape {input.shape}"
            )
        turn = self.batch_first and not single
        x = ops.transpose(x, 0, 1) if turn else x  # (L, N, F)
        h0, c0 = self._start(x, hx, single)
        finals: list[State] = []
        for layer in range(self.num_layers):
            outputs = []
            for end in self._ends:
                start = h0[len(finals)], c0[len(finals)]
                out, final = self._scan(x, f"l{layer}{end}", start, backward=end != "")
                outputs.append(out)
                finals.append(final)
            x = outputs[0] if len(outputs) == 1 else ops.cat(outputs, -1)
            if layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        hn, cn = (ops.stack([state[i] for state in finals]) for i in (0, 1))
        if single:
            return x.squeeze(1), (hn.squeeze(1), cn.squeeze(1))
        return (ops.transpose(x, 0, 1) if turn else x), (hn, cn)

    def _start(self, x: Tensor, hx: State | None, single: bool) -> State:
        shape = (self.num_layers * len(self._ends), x.shape[1], self.hidden_size)
        if hx is None:
            zeros = ops.zeros(*shape, dtype=x.dtype, device=x.device)
            return zeros, zeros
        h, c = (state.unsqueeze(1) if single else state for state in hx)
        for name, state in (("h_0", h), ("c_0", c)):
            if state.shape != shape:
                raise RuntimeError(f"LSTM: expected {name} of shape {shape}, got {state.shape}")
        return h, c

    def _scan(self, x: Tensor, name: str, state: State, backward: bool) -> tuple[Tensor, State]:
        """One layer in one direction: (L, N, F) -> (L, N, H) and the last state."""
        weights = [getattr(self, f"{kind}_{name}") for kind in ("weight_ih", "weight_hh")]
        bias = None
        if self.bias:
            bias = getattr(self, f"bias_ih_{name}") + getattr(self, f"bias_hh_{name}")
        inputs = F.linear(x, weights[0], bias)  # all steps in one product
        across = weights[1].mT
        h, c = state
        outputs: list[Tensor] = []
        steps = range(x.shape[0])
        for t in reversed(steps) if backward else steps:
            i, f, g, o = ops.chunk(inputs[t] + ops.matmul(h, across), 4, -1)
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
            outputs.append(h)
        return ops.stack(outputs[::-1] if backward else outputs), (h, c)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        text += "" if self.num_layers == 1 else f", num_layers={self.num_layers}"
        text += "" if self.bias else f", bias={self.bias}"
        text += "" if not self.batch_first else f", batch_first={self.batch_first}"
        text += "" if not self.dropout else f", dropout={self.dropout}"
        return text + ("" if not self.bidirectional else f", bidirectional={self.bidirectional}")
