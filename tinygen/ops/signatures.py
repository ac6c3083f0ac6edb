"""An op as its callers see it: PyTorch's parameter names, true in help(), inputs by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import Signature, signature
from typing import Any

__all__ = ["bind", "public_signature"]

PUBLIC = {"x": "input", "y": "other"}  # what PyTorch calls the inputs that bodies call x and y


def public_signature(forward: Callable[..., Any], of: str) -> Signature:
    """The forward's signature with public names, and the type `of` for each of its inputs."""
    parameters = [
        p if p.kind is p.KEYWORD_ONLY else p.replace(name=PUBLIC.get(p.name, p.name), annotation=of)
        for p in signature(forward).parameters.values()
    ]
    return Signature(parameters, return_annotation="Tensor")


def bind(
    name: str, public: Signature, inputs: Sequence[Any], constants: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The inputs in their order, and the constants; TypeError for a call that is wrong."""
    names = public.parameters
    try:
        if unknown := [repr(key) for key in constants if key not in names]:
            raise TypeError(f"got an unexpected keyword argument {unknown[0]}")
        bound = public.bind(*inputs, **constants)
    except TypeError as error:
        expected = f"{name}({', '.join(names)})"
        raise TypeError(f"{name}() {error}; expected {expected}") from None
    return bound.args, bound.kwargs
