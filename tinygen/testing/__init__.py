"""Proof that an op is right: check_grads, and hypothesis strategies that draw its inputs.

`check_grads` needs NumPy alone; the strategies need hypothesis (pip install 'tinygen[test]'), which
is imported when one of them is called.
"""

from .gradients import GradientError, check_grads

__all__ = ["GradientError", "check_grads"]
