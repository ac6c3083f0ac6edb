"""Weights that are computed from other parameters whenever they are used: weight normalisation.

The module gets a subclass of its class, of the same name, with the weight as a property.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import ops
from ..tensor import Tensor
from .containers import ModuleDict
from .module import Module
from .parameter import Parameter

__all__ = [
    "ParametrizationList", "remove_parametrizations", "remove_weight_norm", "weight_norm",
    "weight_norm_of_old",
]  # fmt: skip

Getter = Callable[[Any], Tensor]


class _WeightNorm(Module):
    """w = g v / ||v||: a length and a direction for each slice of `dim` (Salimans & Kingma 2016).

    dim = None or -1, as in PyTorch: one length for all of it.
    """

    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        return v * (g / self.norm(v))

    def norm(self, v: Tensor) -> Tensor:
        """||v||: 0-d, or of size 1 in all dimensions but dim."""
        if self.dim == -1:
            return ops.norm(v)
        slices = ops.reshape(ops.movedim(v, self.dim, 0), (v.shape[self.dim], -1))
        shape = [1] * v.ndim
        shape[self.dim] = -1
        return ops.reshape(ops.norm(slices, 2, 1), shape)


class ParametrizationList(Module):
    """The parameters `original0`, `original1` that a weight is computed from, and how."""

    def __init__(self, how: Module, *originals: Tensor) -> None:
        super().__init__()
        for i, original in enumerate(originals):
            self.register_parameter(f"original{i}", Parameter(original.detach()))
        self.register_module("0", how)

    def forward(self) -> Tensor:
        return self._modules["0"](*self._parameters.values())  # type: ignore[no-any-return]


def _compute(module: Module, name: str, getter: Getter | None, label: str = "") -> None:
    """Make module.name a property; with no getter, an ordinary attribute again."""
    now, plain = type(module), getattr(type(module), "_plain", type(module))
    found: dict[str, Any] = {} if now is plain else {**vars(now)}
    properties = {k: p for k, p in found.items() if isinstance(p, property) and k != name}
    if getter is not None:
        properties[name] = property(getter)
    fields = {**properties, "_plain": plain, "__module__": plain.__module__, "__doc__": now.__doc__}
    module.__class__ = type(label or now.__name__, (plain,), fields) if properties else plain


def _weight(function: str, module: Module, name: str) -> Tensor:
    weight = module._parameters.get(name)
    if not isinstance(weight, Parameter):
        raise ValueError(f"{function}: {type(module).__name__} has no parameter {name!r}")
    return weight.detach()


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """nn.utils.parametrizations.weight_norm: the weight is g v / ||v||, by slices of `dim`.

    The trained parameters are parametrizations.weight.original0, g, which starts as ||w||, and
    original1, v, which starts as w (Salimans & Kingma 2016).

    >>> layer = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    >>> {key: value.shape for key, value in layer.parametrizations.weight.state_dict().items()}
    {'original0': (2, 1), 'original1': (2, 3)}
    """
    weight, how = _weight("weight_norm", module, name), _WeightNorm(dim)
    delattr(module, name)
    if "parametrizations" not in module._modules:
        module.register_module("parametrizations", ModuleDict())
    module.parametrizations[name] = ParametrizationList(how, how.norm(weight), weight)
    plain = getattr(type(module), "_plain", type(module))
    label = f"Parametrized{plain.__name__}"
    _compute(module, name, lambda self: self.parametrizations[name](), label)
    return module


def remove_parametrizations(module: Module, tensor_name: str) -> Module:
    """Make a parametrised weight an ordinary parameter again, with the value that it has."""
    found = module._modules.get("parametrizations")
    if found is None or tensor_name not in found:
        raise ValueError(
            f"remove_parametrizations: {type(module).__name__} has no parametrization on "
            f"{tensor_name!r}"
        )
    value = getattr(module, tensor_name).detach()
    found.pop(tensor_name)
    if not len(found):
        del module._modules["parametrizations"]
    _compute(module, tensor_name, None)
    module.register_parameter(tensor_name, Parameter(value))
    return module


def weight_norm_of_old(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """nn.utils.weight_norm: the weight is g v / ||v||, by slices of `dim`.

    The trained parameters are `weight_g`, which starts as ||w||, and `weight_v`, which starts as w
    (Salimans & Kingma 2016).

    >>> layer = nn.utils.weight_norm(nn.Linear(3, 2))
    >>> layer.weight_g.shape, layer.weight_v.shape
    ((2, 1), (2, 3))
    """
    if f"{name}_g" in module._parameters:
        raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
    weight, how = _weight("weight_norm", module, name), _WeightNorm(dim)
    delattr(module, name)
    module.register_parameter(f"{name}_g", Parameter(how.norm(weight)))
    module.register_parameter(f"{name}_v", Parameter(weight))
    _compute(module, name, lambda self: how(getattr(self, f"{name}_g"), getattr(self, f"{name}_v")))
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight of nn.utils.weight_norm an ordinary parameter again."""
    if f"{name}_g" not in module._parameters:
        raise ValueError(f"weight_norm of {name!r} not found in {type(module).__name__}")
    value = getattr(module, name).detach()
    for part in "gv":
        delattr(module, f"{name}_{part}")
    _compute(module, name, None)
    module.register_parameter(name, Parameter(value))
    return module
