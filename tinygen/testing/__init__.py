"""Proof that an op is right: check_grads, and hypothesis strategies that draw its inputs.

`check_grads` needs NumPy alone; the strategies need hypothesis (pip install 'tinygen[test]'), which
is imported when one of them is called.
"""

from .gradients import GradientError, check_grads
from .programs import Program, programs
from .strategies import (
    ConvGeometry,
    broadcastable_shapes,
    conv_geometries,
    lay_out,
    sample,
    shapes,
    tensors,
    use_ci_profile,
)

__all__ = [
    "ConvGeometry",
    "GradientError",
    "Program",
    "broadcastable_shapes",
    "check_grads",
    "conv_geometries",
    "lay_out",
    "programs",
    "sample",
    "shapes",
    "tensors",
    "use_ci_profile",
]
