"""Multilayer perceptrons, and the check of sizes that all networks make."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ... import nn

__all__ = ["mlp", "positive"]


def positive(name: str, **numbers: int) -> None:
    """Raise ValueError for a size that is not an integer >= 1."""
    for key, value in numbers.items():
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name}: expected {key} >= 1, got {value}")


def mlp(
    widths: Sequence[int],
    activation: Callable[[], nn.Module] = nn.ReLU,
    batch_norm: bool = False,
) -> nn.Sequential:
    """Linear layers of these widths, (B, widths[0]) -> (B, widths[-1]).

    Between two of them: batch norm if wished, then the activation; nothing after the last one.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in zip(widths, widths[1:]):
        layers += [nn.Linear(n_in, n_out), *[nn.BatchNorm1d(n_out)] * batch_norm, activation()]
    return nn.Sequential(*layers[: len(layers) - 1 - batch_norm])
