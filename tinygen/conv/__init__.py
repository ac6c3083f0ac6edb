"""The convolutions: ops (closed under differentiation), and cpu, which computes them in NumPy.

In reading order: unfold (windows laid out as rows), cpu (the three as matrix products), ops,
lines.
"""

from .lines import conv_transpose1d
from .ops import conv1d, conv2d, conv2d_weight, conv_transpose2d

__all__ = ["conv1d", "conv2d", "conv2d_weight", "conv_transpose1d", "conv_transpose2d"]
