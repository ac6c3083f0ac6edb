"""RNN, LSTM and GRU, with PyTorch's weights: one cell, stepped along a sequence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..backend import Generator
from ..checks import numbers, positive
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import empty_parameter

__all__ = ["GRU", "LSTM", "RNN"]

State = Sequence[Tensor]


class _Recurrent(Module):
    """What the three share: weights by layer and direction, and the way along the sequence.

    A cell makes its next state of W_ih x + b_ih and W_hh h + b_hh, `gates` of each, in rows.
    """

    gates = 1
    states: tuple[str, ...] = ("h_0",)  # h first: it is the output, too

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
        name = type(self).__name__
        positive(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        numbers(name, 0, 1, dropout=dropout)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional = bidirectional
        self._ends = ("", "_reverse") if bidirectional else ("",)
        rows = self.gates * hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * len(self._ends)
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (rows, width),
                "weight_hh": (rows, hidden_size),
            }
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
            for end in self._ends:
                for kind, shape in shapes.items():
                    weight = empty_parameter(*shape, dtype=dtype, device=device)
                    self.register_parameter(f"{kind}_l{layer}{end}", weight)
        self.reset_parameters()

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw all weights and biases anew: U(-k, k), k = 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound, generator)

    def forward(self, input: Tensor, hx: Any = None) -> tuple[Tensor, Any]:
        """(output, last state) for an input and the state hx, which is 0 if it is not given."""
        single = input.ndim == 2
        x = input.unsqueeze(1) if single else input
        if input.ndim not in (2, 3) or input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{type(self).__name__}: expected an input with 2 or 3 dimensions, the last of "
                f"size {self.input_size}, got shape {input.shape}"
            )
        turn = self.batch_first and not single
        x = ops.transpose(x, 0, 1) if turn else x  # (L, N, F)
        start = self._start(x, hx, single)
        finals: list[State] = []
        for layer in range(self.num_layers):
            outputs = []
            for end in self._ends:
                state = [part[len(finals)] for part in start]
                out, final = self._scan(x, f"l{layer}{end}", state, backward=end != "")
                outputs.append(out)
                finals.append(final)
            x = outputs[0] if len(outputs) == 1 else ops.cat(outputs, -1)
            if layer < self.num_layers - 1:
                x = F.dropout(x, self.dropout, self.training)
        last = [ops.stack([state[i] for state in finals]) for i in range(len(self.states))]
        if single:
            x, last = x.squeeze(1), [part.squeeze(1) for part in last]
        x = ops.transpose(x, 0, 1) if turn else x
        return x, (tuple(last) if len(last) > 1 else last[0])

    def _start(self, x: Tensor, hx: Any, single: bool) -> State:
        shape = (self.num_layers * len(self._ends), x.shape[1], self.hidden_size)
        if hx is None:
            return [ops.zeros(*shape, dtype=x.dtype, device=x.device)] * len(self.states)
        given = [hx] if isinstance(hx, Tensor) else list(hx)
        if len(given) != len(self.states):
            raise RuntimeError(
                f"{type(self).__name__}: expected {', '.join(self.states)} as hx, got {len(given)}"
            )
        given = [state.unsqueeze(1) if single else state for state in given]
        for name, state in zip(self.states, given):
            if state.shape != shape:
                raise RuntimeError(
                    f"{type(self).__name__}: expected {name} of shape {shape}, got {state.shape}"
                )
        return given

    def _scan(self, x: Tensor, name: str, state: State, backward: bool) -> tuple[Tensor, State]:
        """One layer in one direction: (L, N, F) -> (L, N, H) and the last state."""
        kinds = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if self.bias else ()))
        w_ih, w_hh, *biases = (getattr(self, f"{kind}_{name}") for kind in kinds)
        b_ih, b_hh = biases or (None, None)
        inputs = F.linear(x, w_ih, b_ih)  # all steps in one product
        outputs: list[Tensor] = []
        steps = range(x.shape[0])
        for t in reversed(steps) if backward else steps:
            state = self._step(inputs[t], F.linear(state[0], w_hh, b_hh), state)
            outputs.append(state[0])
        return ops.stack(outputs[::-1] if backward else outputs), state

    def _step(self, from_x: Tensor, from_h: Tensor, state: State) -> State:
        """The next state; from_x = W_ih x + b_ih and from_h = W_hh h + b_hh, (N, gates H) each."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        text += "" if self.num_layers == 1 else f", num_layers={self.num_layers}"
        text += "" if self.bias else f", bias={self.bias}"
        text += "" if not self.batch_first else f", batch_first={self.batch_first}"
        text += "" if not self.dropout else f", dropout={self.dropout}"
        return text + ("" if not self.bidirectional else f", bidirectional={self.bidirectional}")


class RNN(_Recurrent):
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it (Elman 1990).

    x (L, N, input_size), or (N, L, input_size) with batch_first, or (L, input_size) -> output
    (L, N, D H), h_n (D layers, N, H), D = 2 if bidirectional else 1; the weights' names as in LSTM.

    >>> out, h = nn.RNN(3, 5, nonlinearity="relu")(tg.zeros(7, 4, 3))
    >>> out.shape, h.shape
    ((7, 4, 5), (1, 4, 5))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
        bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
        bidirectional: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(
            input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device,
            dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity

    def _step(self, from_x: Tensor, from_h: Tensor, state: State) -> State:
        h = from_x + from_h
        return [ops.tanh(h) if self.nonlinearity == "tanh" else ops.relu(h)]


class LSTM(_Recurrent):
    """i, f, o = sigmoid(.), g = tanh(.) of W_i x + b_i + W_h h + b_h; c = f c + i g; h = o tanh(c).

    x (L, N, input_size), or (N, L, input_size) with batch_first, or (L, input_size) -> output
    (L, N, D H), (h_n, c_n), each (D layers, N, H), D = 2 if bidirectional else 1. The state that
    is not given is 0. weight_ih_l0 (4 H, input_size), weight_hh_l0 (4 H, H), bias_ih_l0, bias_hh_l0
    (4 H), rows in the order i, f, g, o; then l1, ..., and "_reverse" for the backward direction
    (Hochreiter & Schmidhuber 1997).

    >>> out, (h, c) = nn.LSTM(3, 5, num_layers=2)(tg.zeros(7, 4, 3))
    >>> out.shape, h.shape, c.shape
    ((7, 4, 5), (2, 4, 5), (2, 4, 5))
    """

    gates = 4
    states = ("h_0", "c_0")

    def _step(self, from_x: Tensor, from_h: Tensor, state: State) -> State:
        i, f, g, o = ops.chunk(from_x + from_h, 4, -1)
        c = ops.sigmoid(f) * state[1] + ops.sigmoid(i) * ops.tanh(g)
        return [ops.sigmoid(o) * ops.tanh(c), c]


class GRU(_Recurrent):
    """r, z = sigmoid(.), n = tanh(W_in x + b_in + r (W_hn h + b_hn)); h = (1 - z) n + z h.

    x (L, N, input_size), or (N, L, input_size) with batch_first, or (L, input_size) -> output
    (L, N, D H), h_n (D layers, N, H), D = 2 if bidirectional else 1. weight_ih_l0 (3 H,
    input_size), rows in the order r, z, n; the other names as in LSTM (Cho et al. 2014).

    >>> out, h = nn.GRU(3, 5, bidirectional=True)(tg.zeros(7, 4, 3))
    >>> out.shape, h.shape
    ((7, 4, 10), (2, 4, 5))
    """

    gates = 3

    def _step(self, from_x: Tensor, from_h: Tensor, state: State) -> State:
        (rx, zx, nx), (rh, zh, nh) = ops.chunk(from_x, 3, -1), ops.chunk(from_h, 3, -1)
        z = ops.sigmoid(zx + zh)
        n = ops.tanh(nx + ops.sigmoid(rx + rh) * nh)
        return [n + z * (state[0] - n)]
