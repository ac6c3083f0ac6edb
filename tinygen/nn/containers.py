"""Modules that hold modules: Sequential, ModuleList, ModuleDict; and ParameterList."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from ..tensor import Tensor
from .module import Module
from .parameter import Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterList", "Sequential"]


class _Numbered(Module):
    """Modules under the names "0", "1", ...: what Sequential and ModuleList share."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def _key(self, index: int) -> str:
        size = len(self)
        if not -size <= index < size:
            raise IndexError(f"index {index} is out of range for {size} modules")
        names: list[str] = list(self._modules)
        return names[index]

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._like(list(self._modules.items())[index])
        return self._modules[self._key(index)]

    def _like(self, items: list[tuple[str, Module]]) -> Any:
        return type(self)(module for _, module in items)  # type: ignore[call-arg]

    def __setitem__(self, index: int, module: Module) -> None:
        self.register_module(self._key(index), module)

    def __delitem__(self, index: int | slice) -> None:
        keys = list(self._modules)
        for key in keys[index] if isinstance(index, slice) else [self._key(index)]:
            del self._modules[key]
        self._renumber(list(self._modules.values()))

    def _renumber(self, modules: list[Module]) -> None:
        self._modules.clear()
        for i, module in enumerate(modules):
            self.register_module(str(i), module)

    def append(self, module: Module) -> Any:
        """Add a module at the end; returns the container."""
        self.register_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Add several modules at the end; returns the container."""
        for module in modules:
            self.append(module)
        return self

    def __iadd__(self, modules: Iterable[Module]) -> Any:
        return self.extend(modules)

    def __add__(self, modules: Iterable[Module]) -> Any:
        return self._like(list(self._modules.items())).extend(modules)

    def pop(self, index: int) -> Module:
        """Take a module out and return it; those behind are renumbered."""
        module: Module = self[index]
        del self[index]
        return module

    def insert(self, index: int, module: Module) -> Any:
        """Add a module before `index`; those behind are renumbered. Returns the container."""
        modules = list(self)
        modules.insert(index, module)
        self._renumber(modules)
        return self


class Sequential(_Numbered):
    """Each module's output is the next one's input. Takes modules, or one dict of named modules.

    >>> net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> net(tg.zeros(5, 3)).shape, net[0].weight.shape
    ((5, 2), (8, 3))
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named = dict(modules[0])
        else:
            named = {str(i): module for i, module in enumerate(modules)}  # type: ignore[misc]
        for name, module in named.items():
            self.register_module(name, module)

    def _like(self, items: list[tuple[str, Module]]) -> Sequential:
        return Sequential(dict(items))

    def forward(self, input: Any) -> Any:
        """The input through all modules, one after the other."""
        for module in self._modules.values():
            input = module(input)
        return input


class ModuleList(_Numbered):
    """A list whose modules are registered; it has no forward of its own."""

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def __repr__(self) -> str:
        """Neighbours that print alike are printed once, as in "(0-2): 3 x Linear(...)"."""
        lines, start = [], 0
        for text, run in groupby(map(repr, self)):
            count = len(list(run))
            name = f"({start})" if count == 1 else f"({start}-{start + count - 1})"
            times = "" if count == 1 else f"{count} x "
            lines.append(f"{name}: {times}{text}".replace("\n", "\n  "))
            start += count
        return "ModuleList(" + ("\n  " + "\n  ".join(lines) + "\n)" if lines else ")")


class ModuleDict(Module):
    """A dict whose modules are registered; keeps the order of insertion."""

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update(modules or {})

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]  # type: ignore[no-any-return]

    def __setitem__(self, key: str, module: Module) -> None:
        self.register_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def keys(self) -> Iterable[str]:
        """The names, in the order of insertion."""
        return self._modules.keys()  # type: ignore[no-any-return]

    def values(self) -> Iterable[Module]:
        """The modules, in the order of insertion."""
        return self._modules.values()  # type: ignore[no-any-return]

    def items(self) -> Iterable[tuple[str, Module]]:
        """(name, module), in the order of insertion."""
        return self._modules.items()  # type: ignore[no-any-return]

    def update(self, modules: Mapping[str, Module]) -> None:
        """Add or replace the modules of a dict."""
        for key, module in modules.items():
            self[key] = module

    def pop(self, key: str) -> Module:
        """Take a module out and return it; KeyError where there is none."""
        return self._modules.pop(key)  # type: ignore[no-any-return]

    def clear(self) -> None:
        """Take all modules out."""
        self._modules.clear()


class ParameterList(Module):
    """A list whose Tensors are registered as parameters, named "0", "1", ...

    >>> weights = nn.ParameterList([tg.zeros(2), tg.ones(3, 1)])
    >>> weights += [tg.ones(1)]
    >>> len(weights), [w.shape for w in weights.parameters()]
    (3, [(2,), (3, 1), (1,)])
    """

    def __init__(self, values: Iterable[Tensor] | None = None) -> None:
        super().__init__()
        self.extend(values or ())

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._parameters.values())

    def __getitem__(self, index: int | slice) -> Any:
        found = list(self._parameters.values())[index]
        return ParameterList(found) if isinstance(index, slice) else found

    def __setitem__(self, index: int, value: Tensor) -> None:
        self._write(list(self._parameters)[index], value)

    def __iadd__(self, values: Iterable[Tensor]) -> ParameterList:
        return self.extend(values)

    def _write(self, name: str, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"ParameterList: expected Tensors, got {type(value).__name__}")
        self.register_parameter(name, value if isinstance(value, Parameter) else Parameter(value))

    def append(self, value: Tensor) -> ParameterList:
        """Add a parameter (or a Tensor, as one) at the end; returns the list."""
        self._write(str(len(self)), value)
        return self

    def extend(self, values: Iterable[Tensor]) -> ParameterList:
        """Add several at the end; returns the list."""
        for value in values:
            self.append(value)
        return self

    def __repr__(self) -> str:
        sizes = ["x".join(map(str, p.shape)) for p in self]
        lines = [
            f"\n    ({i}): Parameter containing: [{p.dtype} of size {size}]"
            for i, (p, size) in enumerate(zip(self, sizes))
        ]
        return f"ParameterList({''.join(lines)}" + ("\n)" if lines else ")")
