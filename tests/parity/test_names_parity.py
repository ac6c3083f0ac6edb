"""Parameters have PyTorch's names, in PyTorch's order: read from its signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import ops

torch: Any = pytest.importorskip("torch", reason="parity needs PyTorch: pip install torch")

# What only we have: NumPy's generator on every random function, sizes as f(2, 3) too.
OURS = {"generator", "more", "size", "dtype", "device"}
ELSEWHERE = {  # where PyTorch's documentation is silent, or says it in two ways
    "einsum": "its docstring names *args",
    "concatenate": "its docstring says axis, its parser dim too",
    "index_fill": "no docstring", "index_put": "no docstring", "masked_scatter": "no docstring",
    "split_with_sizes": "no docstring",
    "searchsorted": "its docstring says values, its parser input",
    "scatter": "four signatures", "unique": "(*args, **kwargs)",
    "masked_fill": "a method only",
    "result_type": "ours takes any number of operands",
    "split": "split_size as in Tensor.split; torch.split has split_size_or_sections",
    "gumbel_softmax": "without PyTorch's eps, which does nothing there",
    **{f"{kind}_pool{n}": "a dispatcher's (*args, **kwargs)" for kind, n in (
        ("max", "1d"), ("max", "2d"), ("adaptive_max", "1d"), ("adaptive_max", "2d"))},
    "one_hot": "its docstring says tensor, its parser input",
    "relu": "no docstring", "log_softmax": "no docstring", "logsigmoid": "no docstring",
    "max": "three signatures", "min": "three signatures",
    "std": "the older (dim, unbiased, keepdim), too", "var": "as std",
}  # fmt: skip


def theirs(function: Any) -> list[list[str]]:
    """The parameters' names, of each form that the signature or the docstring gives."""
    try:
        return [list(inspect.signature(function).parameters)]
    except (ValueError, TypeError):
        pass
    forms = rf"(?:^|\n|:: )\s*{re.escape(function.__name__)}\(([^)]*(?:\([^)]*\)[^)]*)*)\)"
    found = [match[1].split(",") for match in re.finditer(forms, function.__doc__ or "")]
    return [[re.split("[:=]", part)[0].strip().lstrip("*") for part in form] for form in found]


def cases() -> list[Any]:
    pairs = [(name, getattr(ops, name), torch) for name in ops.__all__]
    pairs += [(f"F.{name}", getattr(F, name), torch.nn.functional) for name in F.__all__]
    found = []
    for name, ours, module in pairs:
        plain = name.removeprefix("F.")
        same = getattr(module, plain, None) or getattr(torch.nn.functional, plain, None)
        if same is not None and plain not in ELSEWHERE:
            found.append(pytest.param(ours, same, id=name))
    return found


@pytest.mark.parametrize(("ours", "same"), cases())
def test_parameters_are_pytorchs(ours: Any, same: Any) -> None:
    names = [name for name in inspect.signature(ours).parameters if name not in OURS]
    forms = theirs(same)
    assert any([n for n in form if n in names] == names for form in forms), (names, forms)


def test_what_the_docstrings_do_not_say() -> None:
    for library in (torch, tg):
        x, index = library.tensor([[1.0, -2.0]]), library.tensor([1])
        f = library.nn.functional
        assert library.relu(input=x).tolist() == [[1.0, 0.0]]
        assert f.one_hot(input=index, num_classes=2).tolist() == [[0, 1]]
        assert library.max(input=x, other=-x).tolist() == [[1.0, 2.0]]
        assert x.split(split_size=1, dim=1)[1].tolist() == [[-2.0]]
        assert x.masked_fill(mask=x < 0, value=3.0).tolist() == [[1.0, 3.0]]
        assert f.log_softmax(input=x * 0, dim=0).tolist() == [[0.0, 0.0]]
        assert library.searchsorted(sorted_sequence=x[0] * -1, input=x[0]).tolist() == [1, 0]
        assert x.index_fill(dim=1, index=index, value=3.0).tolist() == [[1.0, 3.0]]
        assert x.index_put(indices=(index - 1,), values=x).tolist() == x.tolist()
        assert x.masked_scatter(mask=x < 0, source=x).tolist() == [[1.0, 1.0]]
        assert x.scatter(dim=0, index=index[None] - 1, src=x[:, 1:]).tolist() == [[-2.0, -2.0]]
        assert x.scatter(dim=0, index=index[None] - 1, value=3.0).tolist() == [[3.0, -2.0]]
        assert library.concatenate([x, x], dim=1).shape == (1, 4)
        parts = library.split_with_sizes(input=x, split_sizes=[1, 1], dim=1)
        assert parts[1].tolist() == [[-2.0]]
        values, counts = library.unique(x, sorted=True, return_counts=True, dim=None)
        assert values.tolist() == [-2.0, 1.0] and counts.tolist() == [1, 1]
        assert f.max_pool2d(input=x[None], kernel_size=(1, 2)).tolist() == [[[1.0]]]
        found = f.max_pool1d(input=x[None], kernel_size=2, stride=1, ceil_mode=False,
                             return_indices=True)  # fmt: skip
        assert [part.tolist() for part in found] == [[[[1.0]]], [[[0]]]]
        for pool, size in ((f.adaptive_max_pool1d, 1), (f.adaptive_max_pool2d, (1, 1))):
            found = pool(input=x[None], output_size=size, return_indices=True)
            assert [part.tolist() for part in found] == [[[[1.0]]], [[[0]]]]
