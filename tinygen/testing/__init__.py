"""Proof that an op is right: check_grads, and hypothesis strategies that draw its inputs.

`check_grads` needs NumPy alone; the strategies need hypothesis (pip install 'tinygen[test]'), which
is imported when one of them is called.
"""

from .fuzz import FuzzProgram, check_program, fuzz_programs
from .gradcheck import gradcheck, gradgradcheck
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
    "FuzzProgram",
    "GradientError",
    "Program",
    "broadcastable_shapes",
    "check_grads",
    "check_program",
    "conv_geometries",
    "fuzz_programs",
    "gradcheck",
    "gradgradcheck",
    "lay_out",
    "programs",
    "sample",
    "shapes",
    "tensors",
    "use_ci_profile",
]
