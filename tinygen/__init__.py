"""tinygen: tensors, gradients of any order and generative models, from scratch in NumPy.

    import tinygen as tg

    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    x.grad                                      # tensor([2., 4.])

Names are PyTorch's and mean what they mean there. NumPy is all it needs; nn, optim, data, models,
plot and the rest are imported at first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import autograd
from .backend import (
    Generator,
    default_generator,
    device,
    float16,
    float32,
    float64,
    get_default_dtype,
    get_rng_state,
    int8,
    int16,
    int32,
    int64,
    manual_seed,
    set_default_dtype,
    set_rng_state,
    uint8,
)
from .backend import bool_ as bool
from .constants import *
from .constants import __all__ as _constants
from .ops import *
from .ops import __all__ as _ops
from .tape import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .tensor import Tensor

if TYPE_CHECKING:
    from . import (
        cuda,
        data,
        distributions,
        linalg,
        metrics,
        models,
        nn,
        optim,
        plot,
        run,
        testing,
        utils,
    )
    from .serialization import load, save

__version__ = "0.1.0"

float, double, half = float32, float64, float16
short, int, long = int16, int32, int64
inference_mode = no_grad

_LAZY = (
    "cuda",
    "data",
    "distributions",
    "linalg",
    "metrics",
    "models",
    "nn",
    "optim",
    "plot",
    "run",
    "testing",
    "utils",
)

__all__ = [
    "Generator",
    "Tensor",
    "autograd",
    "bool",
    "default_generator",
    "device",
    "double",
    "enable_grad",
    "float",
    "float16",
    "float32",
    "float64",
    "get_default_dtype",
    "get_rng_state",
    "half",
    "inference_mode",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_floating_point",
    "is_grad_enabled",
    "is_tensor",
    "load",
    "long",
    "manual_seed",
    "no_grad",
    "numel",
    "save",
    "set_default_dtype",
    "set_grad_enabled",
    "set_rng_state",
    "short",
    "uint8",
    *_constants,
    *_LAZY,
    *_ops,
]


def is_tensor(x: Any) -> Any:
    """Is x a Tensor?"""
    return isinstance(x, Tensor)


def is_floating_point(input: Tensor) -> Any:
    """Is its dtype float16, float32 or float64?"""
    return input.is_floating_point()


def numel(input: Tensor) -> Any:
    """The number of its elements."""
    return input.numel()


if not TYPE_CHECKING:  # for a type checker, a name that is not there is an error of its own

    def __getattr__(name: str) -> Any:
        if name in _LAZY:
            return importlib.import_module(f".{name}", __name__)
        if name in ("save", "load"):
            return getattr(importlib.import_module(".serialization", __name__), name)
        from .names import missing

        raise missing("tinygen", name, __all__)

    def _of_autograd(name: str) -> Any:
        """torch.autograd's names that stand in files below autograd.py."""
        if name == "functional":
            return importlib.import_module(".derivatives", __name__)
        if name in ("gradcheck", "gradgradcheck"):
            return getattr(importlib.import_module(".testing", __name__), name)
        from .names import missing

        raise missing("tinygen.autograd", name, autograd.__all__)

    autograd.__getattr__ = _of_autograd


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
