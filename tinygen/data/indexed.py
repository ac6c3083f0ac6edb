"""Data sets by index: `Dataset`, `TensorDataset`, and parts and unions of others."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from ..backend import Generator
from ..checks import integers
from ..ops import randperm
from ..tensor import Tensor, wrap

__all__ = ["ConcatDataset", "Dataset", "Subset", "TensorDataset", "random_split"]


class Dataset:
    """To subclass: `__len__()` and `__getitem__(index)`, which returns one sample."""

    def __class_getitem__(cls, kind: Any) -> type[Dataset]:
        return cls  # Dataset[Tensor], as PyTorch's annotations write it

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__")

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class TensorDataset(Dataset):
    """Tensors (or NumPy arrays) with the same first size: sample i is `(t[i] for t in tensors)`.

    Raises ValueError when their first sizes differ.

    >>> import tinygen as tg
    >>> data = tg.data.TensorDataset(tg.rand(10, 1, 8, 8), tg.arange(10))
    >>> len(data), data[3][1].item()
    (10, 3)
    """

    def __init__(self, *tensors: Any) -> None:
        self.tensors = tuple(t if isinstance(t, Tensor) else wrap(np.asarray(t)) for t in tensors)
        shapes = [t.shape for t in self.tensors]
        if not shapes or () in shapes or len({shape[0] for shape in shapes}) > 1:
            raise ValueError(
                f"TensorDataset: expected tensors with the same first size, got shapes {shapes}"
            )

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(t[index] for t in self.tensors)


class Subset(Dataset):
    """The samples of `dataset` at `indices`, in their order.

    >>> import tinygen as tg
    >>> tg.data.Subset("abcd", [3, 0])[0]
    'd'
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]


class ConcatDataset(Dataset):
    """One data set after the other. ValueError for none, TypeError for one without a length.

    >>> import tinygen as tg
    >>> both = tg.data.ConcatDataset(["ab", "cd"])
    >>> len(both), both[2], both[-1]
    (4, 'c', 'd')
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: expected at least one data set")
        for dataset in self.datasets:
            if not hasattr(dataset, "__len__"):
                raise TypeError(f"ConcatDataset: expected data sets with len(), got {dataset!r}")
        self.cumulative_sizes = list(accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: Any) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"ConcatDataset: index {index} of {len(self)} samples")
        index %= len(self)
        which = bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - ([0, *self.cumulative_sizes])[which]]


def random_split(
    dataset: Any, lengths: Sequence[float], generator: Generator | None = None
) -> list[Subset]:
    """Parts of the given lengths, drawn at random without overlap: integers that sum to the
    data set's length, or shares that sum to 1. ValueError where they do not.

    >>> import tinygen as tg
    >>> train, test = tg.data.random_split(range(10), [0.8, 0.2])
    >>> len(train), sorted([*train, *test])
    (8, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    n, sizes = len(dataset), list(lengths)
    if math.isclose(sum(sizes), 1.0):
        if any(not 0 <= share <= 1 for share in sizes):
            raise ValueError(f"random_split: expected shares in [0, 1], got {sizes}")
        sizes = [math.floor(n * share) for share in sizes]
        for i in range(n - int(sum(sizes))):  # what rounding has left over
            sizes[i % len(sizes)] += 1
    for size in sizes:
        integers("random_split", 0, length=size)
    if sum(sizes) != n:
        raise ValueError(
            f"random_split: expected lengths that sum to the {n} samples of the data set (or "
            f"shares that sum to 1), got {list(lengths)}"
        )
    order = randperm(n, generator=generator).tolist()
    ends = list(accumulate(sizes))
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
