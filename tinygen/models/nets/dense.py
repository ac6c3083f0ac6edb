"""Multilayer perceptrons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ... import nn

__all__ = ["mlp"]


def mlp(
    widths: Sequence[int],
    activation: Callable[[], nn.Module] = nn.ReLU,
    batch_norm: bool = False,
) -> nn.Sequential:
    """Linear layers of these widths, (B, widths[0]) -> (B, widths[-1]).

    Between two of them: batch norm if wished, then the activation; nothing after the last one.

    >>> import tinygen as tg
    >>> net = tg.models.nets.mlp([2, 8, 3], activation=tg.nn.SiLU)
    >>> net(tg.zeros(5, 2)).shape, len(net)
    ((5, 3), 3)
    """
    layers: list[nn.Module] = []
    for n_in, n_out in zip(widths, widths[1:]):
        layers += [nn.Linear(n_in, n_out), *[nn.BatchNorm1d(n_out)] * batch_norm, activation()]
    return nn.Sequential(*layers[: len(layers) - 1 - batch_norm])
