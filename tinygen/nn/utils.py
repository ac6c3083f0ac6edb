"""What works on the parameters of a network: gradient clipping, vectors, spectral norm."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import ops
from ..backend import default_generator, module_of, move
from ..tensor import Tensor, wrap
from . import parametrizations
from .module import Module
from .parameter import Parameter
from .parametrizations import remove_weight_norm
from .parametrizations import weight_norm_of_old as weight_norm

__all__ = [
    "clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "parametrizations",
    "parametrize", "remove_spectral_norm", "remove_weight_norm", "spectral_norm",
    "vector_to_parameters", "weight_norm",
]  # fmt: skip

parametrize = parametrizations  # PyTorch's second module, which has remove_parametrizations

Parameters = Tensor | Iterable[Tensor]


def _listed(parameters: Parameters) -> list[Tensor]:
    return [parameters] if isinstance(parameters, Tensor) else list(parameters)


def _grads(parameters: Parameters) -> list[Tensor]:
    return [p.grad for p in _listed(parameters) if p.grad is not None]


def _scale(grad: Tensor, factor: Any) -> None:
    grad._array *= factor
    grad._version[0] += 1


def clip_grad_norm_(
    parameters: Parameters,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients, in place, by min(1, max_norm / (norm + 1e-6)); returns the norm before.

    The norm is that of all gradients as one vector; norm_type may be inf. RuntimeError if it is not
    finite and error_if_nonfinite.

    >>> p = nn.Parameter(tg.zeros(2))
    >>> p.grad = tg.tensor([3.0, 4.0])
    >>> nn.utils.clip_grad_norm_([p], max_norm=1.0), p.grad
    (tensor(5.), tensor([0.6, 0.8]))
    """
    grads = _grads(parameters)
    if not grads:
        return ops.tensor(0.0)
    xp = module_of(grads[0]._array)
    norms = xp.stack([_norm(grad._array, float(norm_type)) for grad in grads])
    total = _norm(norms, float(norm_type))
    if error_if_nonfinite and not math.isfinite(float(total)):
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is "
            f"non-finite ({float(total)}), so it cannot be clipped"
        )
    if grads[0].is_cuda:  # to ask whether the factor is 1 would be to wait for the GPU
        factor = np.minimum(float(max_norm) / (total + 1e-6), 1.0)
    else:
        factor = min(float(max_norm) / (float(total) + 1e-6), 1.0)
    for grad in grads if grads[0].is_cuda or factor != 1.0 else ():
        _scale(grad, factor)
    return wrap(xp.asarray(total))


def _norm(x: Any, p: float) -> Any:
    """The p-norm of all entries; squares are summed by a dot product, which takes no temporary."""
    if p == math.inf:
        return np.max(np.abs(x)) if x.size else np.sum(x)
    if p == 2.0:
        flat = x.ravel(order="K")
        return np.sqrt(np.dot(flat, flat))
    return np.sum(np.abs(x) ** p) ** (1.0 / p)


def clip_grad_value_(parameters: Parameters, clip_value: float) -> None:
    """Clip every entry of every gradient to [-clip_value, clip_value], in place."""
    for grad in _grads(parameters):
        np.clip(grad._array, -clip_value, clip_value, out=grad._array)
        grad._version[0] += 1


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened, one after the other; differentiable.

    >>> nn.utils.parameters_to_vector(nn.Linear(3, 2).parameters()).shape  # 2 x 3 weights, 2 biases
    (8,)
    """
    return ops.cat([ops.reshape(parameter, (-1,)) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """The reverse of parameters_to_vector: overwrite the parameters' values, unrecorded."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a Tensor, got {type(vec).__name__}")
    targets = list(parameters)
    total = sum(parameter.numel() for parameter in targets)
    if vec.shape != (total,):
        raise ValueError(
            f"vector_to_parameters: expected a vector of {total} numbers, got shape {vec.shape}"
        )
    start = 0
    for parameter in targets:
        piece = vec._array[start : start + parameter.numel()]
        parameter._array[...] = piece.reshape(parameter.shape)
        parameter._version[0] += 1
        start += parameter.numel()


class _SpectralNorm:
    """The hooks of spectral_norm on one module."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        self.name, self.n_power_iterations, self.dim, self.eps = name, n_power_iterations, dim, eps

    def matrix(self, weight: Tensor) -> Tensor:
        """The weight with `dim` first and the rest flattened."""
        first = ops.movedim(weight, self.dim, 0) if self.dim else weight
        return ops.reshape(first, (first.shape[0], first.numel() // first.shape[0]))

    def unit(self, v: Any) -> Any:
        return v / np.maximum(np.sqrt(np.dot(v, v)), self.eps)

    def iterate(self, module: Module, w: Any, rounds: int) -> None:
        """`rounds` steps of power iteration for the largest singular value, on u and v in place."""
        u, v = (getattr(module, f"{self.name}_{side}") for side in "uv")
        for _ in range(rounds):
            v._array[...] = self.unit(w.T @ u._array)
            u._array[...] = self.unit(w @ v._array)

    def before(self, module: Module, args: Any) -> None:
        """weight = weight_orig / sigma, sigma = u^T W v; u and v are constants in the gradient."""
        weight = getattr(module, f"{self.name}_orig")
        matrix = self.matrix(weight)
        if module.training:
            self.iterate(module, matrix._array, self.n_power_iterations)
        # Copies: the next forward pass changes u and v, and this one's graph needs these.
        u, v = (
            wrap(getattr(module, f"{self.name}_{side}")._array.astype(weight.dtype))
            for side in "uv"
        )
        sigma = ops.sum(u * ops.matmul(matrix, v))
        setattr(module, self.name, weight / sigma)

    def after(self, module: Module, args: Any, out: Any) -> None:
        """Let go of the graph that `weight` was computed by."""
        setattr(module, self.name, getattr(module, self.name).detach())


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
) -> Module:
    """Divide module's weight by its largest singular value at every call (Miyato et al. 2018).

    The trained parameter becomes `weight_orig`; the buffers `weight_u` and `weight_v` hold the
    singular vectors, improved by one power iteration at each call in training. dim is the dimension
    of the outputs: 1 for transposed convolutions, else 0. Gradients, of any order, go through
    sigma = u^T W v with u and v constant.

    >>> layer = nn.utils.spectral_norm(nn.Linear(3, 3, bias=False))
    >>> with tg.no_grad():
    ...     _ = layer.weight_orig.copy_(tg.tensor([1.0, 2.0, 4.0]) * tg.eye(3))
    >>> for _ in range(20):
    ...     out = layer(tg.ones(3))
    >>> out.detach()
    tensor([0.25, 0.5 , 1.  ])
    """
    if n_power_iterations < 1:
        raise ValueError(f"spectral_norm: expected 1 or more iterations, got {n_power_iterations}")
    if f"{name}_orig" in module._parameters:
        raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
    weight = module._parameters.get(name)
    if not isinstance(weight, Parameter):
        raise ValueError(f"spectral_norm: {type(module).__name__} has no parameter {name!r}")
    outputs_second = type(module).__name__ == "ConvTranspose2d"
    norm = _SpectralNorm(name, n_power_iterations, int(outputs_second) if dim is None else dim, eps)
    matrix = norm.matrix(weight.detach())._array
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.detach())
    for side, size in zip("uv", matrix.shape, strict=True):
        start = norm.unit(default_generator.numpy.standard_normal(size)).astype(weight.dtype)
        module.register_buffer(f"{name}_{side}", wrap(move(start, weight.device)))
    norm.iterate(module, matrix, 15)
    module.register_forward_pre_hook(norm.before)
    module.register_forward_hook(norm.after)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the normalised weight an ordinary parameter again; ValueError where there is none."""
    for hooks in (module._forward_pre_hooks, module._forward_hooks):
        for key, hook in list(hooks.items()):
            norm = getattr(hook, "__self__", None)
            if isinstance(norm, _SpectralNorm) and norm.name == name:
                if hooks is module._forward_pre_hooks:
                    norm.before(module, ())
                del hooks[key]
    if f"{name}_orig" not in module._parameters:
        raise ValueError(f"spectral_norm of {name!r} not found in {type(module).__name__}")
    value = getattr(module, name).detach()
    for extra in (f"{name}_orig", f"{name}_u", f"{name}_v", name):
        delattr(module, extra)
    module.register_parameter(name, Parameter(value))
    return module
