"""Parameter and Module: what a network is made of, and how its state is named, moved and saved."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from ..backend import float16, float32, float64
from ..tape import Handle
from ..tensor import Tensor, wrap
from .parameter import Parameter
from .state import Incompatible, convert, load, target

__all__ = ["Handle", "Module"]

M = TypeVar("M", bound="Module")


def _unimplemented(self: Module, *args: Any, **kwargs: Any) -> Any:
    """What the module computes from its inputs; write module(x), which calls the hooks as well."""
    raise NotImplementedError(f'Module [{type(self).__name__}] is missing a "forward" function')


class Module:
    """The base of every layer and network, as torch.nn.Module.

    Parameters, buffers and Modules that are assigned as attributes are registered under the
    attribute's name, in the order of assignment; state_dict() names them by their path.

    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = nn.Parameter(tg.tensor(3.0))
    ...
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> Scale()(tg.tensor(2.0)).item(), list(Scale().state_dict())
    (6.0, ['factor'])
    """

    training: bool
    forward: Callable[..., Any] = _unimplemented

    def __init__(self) -> None:
        fields: dict[str, Any] = {
            "training": True,
            "_parameters": {},
            "_buffers": {},
            "_modules": {},
            "_transient": set(),  # names of the buffers that are not saved
            "_forward_pre_hooks": {},
            "_forward_hooks": {},
        }
        self.__dict__.update(fields)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for hook in tuple(self._forward_pre_hooks.values()):
            changed = hook(self, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        out = self.forward(*args, **kwargs)
        for hook in tuple(self._forward_hooks.values()):
            changed = hook(self, args, out)
            out = out if changed is None else changed
        return out

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call hook(module, args) before forward; what it returns replaces the arguments."""
        return Handle(self._forward_pre_hooks, hook)

    def register_forward_hook(self, hook: Callable[..., Any]) -> Handle:
        """Call hook(module, args, output) after forward; what it returns replaces the output."""
        return Handle(self._forward_hooks, hook)

    # --- attributes ---------------------------------------------------------------------------

    def _registries(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        fields = self.__dict__
        if "_modules" not in fields:
            raise AttributeError(
                f"{type(self).__name__}: call super().__init__() before assigning parameters, "
                "buffers or modules"
            )
        return fields["_parameters"], fields["_buffers"], fields["_modules"]

    def __getattr__(self, name: str) -> Any:
        fields = self.__dict__
        for registry in ("_parameters", "_buffers", "_modules"):
            if registry in fields and name in fields[registry]:
                return fields[registry][name]
        hint = ""
        if "_modules" not in fields:
            hint = "; was super().__init__() called?" if not name.startswith("__") else ""
        elif close := difflib.get_close_matches(name, dir(self), n=1):
            hint = f"; did you mean {close[0]!r}?"
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._forget(name, "_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self._forget(name, "_modules")
            self._modules[name] = value  # even over a method, as in PyTorch
        elif name in self.__dict__.get("_parameters", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign {type(value).__name__} as parameter {name!r} "
                    "(nn.Parameter or None expected); copy_() into it, or wrap it in nn.Parameter"
                )
            self._parameters[name] = None
        elif name in self.__dict__.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign {type(value).__name__} as buffer {name!r} "
                    "(Tensor or None expected)"
                )
            self._buffers[name] = value
        elif name in self.__dict__.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign {type(value).__name__} as child module {name!r} "
                    "(nn.Module or None expected)"
                )
            self._modules[name] = None
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        for registry in self._registries():
            if name in registry:
                del registry[name]
                self._transient.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = [*self._parameters, *self._buffers, *self._modules]
        return sorted({*object.__dir__(self), *names})

    def _forget(self, name: str, registry: str) -> None:
        """Make the name free for this registry, whatever was assigned to it before.

        AttributeError before super().__init__().
        """
        own = self.__dict__.get(registry)
        for other in (*self._registries(), self.__dict__):
            if other is not own:
                other.pop(name, None)

    def _register(self, registry: str, name: str, value: Any, kind: type) -> None:
        if value is not None and not isinstance(value, kind):
            raise TypeError(
                f"{name!r}: expected a {kind.__name__} or None, got {type(value).__name__}"
            )
        if not isinstance(name, str) or "." in name or name == "":
            raise KeyError(f"the name of a {kind.__name__} is a string without '.', got {name!r}")
        places = (*self._registries(), self.__dict__, *map(vars, type(self).__mro__))
        own = self.__dict__[registry]
        if name not in own and any(name in place for place in places):
            raise KeyError(
                f"{type(self).__name__}: attribute {name!r} already exists; take another name"
            )
        own[name] = value

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter; None keeps the name free, as in `bias=False`.

        KeyError for a name that an attribute or a method has; for buffers and modules too.
        """
        if isinstance(param, Tensor) and param.grad_fn is not None:
            raise ValueError(
                f"cannot assign a non-leaf Tensor to parameter {name!r}: a parameter must be "
                "created explicitly"
            )
        self._register("_parameters", name, param, Parameter)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a Tensor that is state but no parameter; persistent=False keeps it out of files."""
        self._register("_buffers", name, tensor, Tensor)
        (self._transient.discard if persistent else self._transient.add)(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a module below this one; None keeps the name free. `add_module` is the same."""
        self._register("_modules", name, module, Module)

    add_module = register_module

    # --- walking ------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """(name, module) of the modules right below this one; one that is shared comes once."""
        seen: set[Module] = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules right below this one."""
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """(path, module) of this module and all below it; one that is shared comes once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, path, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it; one that is shared comes once."""
        return (module for _, module in self.named_modules())

    def _named(
        self, registry: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(None, prefix, remove_duplicate)
        for path, module in modules if recurse else [(prefix, self)]:
            for name, value in getattr(module, registry).items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """(path, parameter) of this module and, with recurse, all below it; shared ones once.

        >>> [name for name, _ in nn.Sequential(nn.Linear(2, 3), nn.ReLU()).named_parameters()]
        ['0.weight', '0.bias']
        """
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters of this module and, with recurse, of all below it: for an optimizer."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """(path, buffer) of this module and, with recurse, of all below it."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers of this module and, with recurse, of all below it."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module at a path such as "encoder.2"; AttributeError where there is none."""
        module = self
        for name in target.split(".") if target else []:
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"get_submodule: {name!r} in {target!r} is no Module")
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as "encoder.2.bias"; AttributeError where there is none."""
        path, _, name = target.rpartition(".")
        parameter = getattr(self.get_submodule(path), name)
        if not isinstance(parameter, Parameter):
            raise AttributeError(f"get_parameter: {target!r} is no Parameter")
        return parameter

    # --- changing all at once -----------------------------------------------------------------

    def apply(self: M, fn: Callable[[Module], None]) -> M:
        """Call fn on every submodule, children first, then on this one; returns the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self: M, mode: bool = True) -> M:
        """Training mode, which Dropout and the batch norms ask for, for this and all below it."""
        if not isinstance(mode, bool):
            raise ValueError(f"train: expected a bool, got {type(mode).__name__}")
        for module in self.modules():
            module.training = mode
        return self

    def eval(self: M) -> M:
        """The reverse of train(): no dropout, running statistics; gradients are still recorded."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Set requires_grad of all parameters: False freezes them."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the parameters' gradients; with set_to_none=False, fill them with zeros."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = wrap(np.zeros_like(parameter.grad._array))

    def to(self: M, *args: Any, device: Any = None, dtype: Any = None) -> M:
        """to("cuda"), to(float64), to("cuda", float64), to(tensor): moves and casts in place.

        The Parameters stay the same objects, so an optimizer that holds them goes on working. Only
        floating-point tensors are cast.
        """
        device, dtype = target(args, device, dtype)
        for tensor in itertools.chain(self.parameters(), self.buffers()):
            convert(tensor, device, dtype)
            if tensor.grad is not None:
                convert(tensor.grad, device, dtype)
        return self

    def cuda(self: M, device: Any = None) -> M:
        """Move all parameters and buffers to the GPU, in place."""
        return self.to(device=device or "cuda")

    def cpu(self: M) -> M:
        """Move all parameters and buffers to the CPU, in place."""
        return self.to(device="cpu")

    def float(self: M) -> M:
        """Cast all floating parameters and buffers to float32, in place."""
        return self.to(dtype=float32)

    def double(self: M) -> M:
        """Cast all floating parameters and buffers to float64, in place."""
        return self.to(dtype=float64)

    def half(self: M) -> M:
        """Cast all floating parameters and buffers to float16, in place."""
        return self.to(dtype=float16)

    # --- state --------------------------------------------------------------------------------

    def state_dict(self, prefix: str = "", keep_vars: bool = False) -> dict[str, Tensor]:
        """Path -> Tensor (detached, sharing memory) of parameters and persistent buffers."""
        return {
            prefix + name: value if keep_vars else value.detach() for name, value in self._state()
        }

    def _state(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        for name, value in itertools.chain(self._parameters.items(), self._buffers.items()):
            if value is not None and name not in self._transient:
                yield prefix + name, value
        for name, module in self._modules.items():
            if module is not None:
                yield from module._state(f"{prefix}{name}.")

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Incompatible:
        """Copy values (Tensors, or what np.asarray takes) into the parameters and buffers.

        All faults are found first and reported by one RuntimeError; nothing is changed then.
        strict=False lets missing and unexpected keys pass and returns them. assign=True copies
        nothing: the values' own memory, dtype and device take the place of what was there (the
        Parameters stay the same objects).
        """
        return load(type(self).__name__, dict(self._state()), state_dict, strict, assign)

    # --- how it prints ------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What a layer prints between its brackets."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        if not self._modules:
            inside = extra if len(lines) < 2 else "\n  " + "\n  ".join(lines) + "\n"
            return f"{type(self).__name__}({inside})"
        for name, module in self._modules.items():
            lines.append(f"({name}): " + repr(module).replace("\n", "\n  "))
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"
