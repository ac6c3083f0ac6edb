"""In which order a loader asks for samples: a `for` over a sampler gives an epoch's indices.

The random ones draw from `generator`, or from the default one. For `DataLoader(sampler=...)`, and
BatchSampler, which gives lists of indices, for `DataLoader(batch_sampler=...)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..backend import Generator, default_generator
from ..checks import positive
from ..ops import as_tensor, multinomial

__all__ = [
    "BatchSampler", "PairSampler", "RandomSampler", "Sampler", "SequentialSampler",
    "SubsetRandomSampler", "WeightedRandomSampler",
]  # fmt: skip


class Sampler:
    """To subclass: `__iter__()`, which gives the indices of one epoch, and `__len__()`."""

    def __init__(self, data_source: Any = None) -> None:
        pass

    def __class_getitem__(cls, kind: Any) -> type[Sampler]:
        return cls  # Sampler[int], as PyTorch's annotations write it

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")


class SequentialSampler(Sampler):
    """0, 1, ..., len(data_source) - 1."""

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler):
    """All indices in a random order, or `num_samples` of them; with replacement, any number.

    >>> import tinygen as tg
    >>> sorted(tg.data.RandomSampler("abcd"))
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self.num_samples = len(data_source) if num_samples is None else num_samples
        positive("RandomSampler", num_samples=self.num_samples)

    def __iter__(self) -> Iterator[int]:
        source, n = (self.generator or default_generator).numpy, len(self.data_source)
        if self.replacement:
            return iter(source.integers(n, size=self.num_samples).tolist())
        rounds = -(-self.num_samples // n)
        order = np.concatenate([source.permutation(n) for _ in range(rounds)])
        return iter(order[: self.num_samples].tolist())

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices in a random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        order = (self.generator or default_generator).numpy.permutation(len(self.indices))
        return (self.indices[i] for i in order)

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """num_samples indices, index i in proportion to weights[i] >= 0.

    >>> import tinygen as tg
    >>> list(tg.data.WeightedRandomSampler([0.0, 1.0, 0.0], 3))
    [1, 1, 1]
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        positive("WeightedRandomSampler", num_samples=num_samples)
        self.weights = as_tensor(weights, dtype="float64")
        if self.weights.ndim != 1:
            raise ValueError(
                f"WeightedRandomSampler: expected one row of weights, got {self.weights.shape}"
            )
        self.num_samples, self.replacement, self.generator = num_samples, replacement, generator

    def __iter__(self) -> Iterator[int]:
        drawn = multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        )
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class PairSampler(Sampler):
    """Pairs of one identity in a row: indices 2 i and 2 i + 1 of an epoch are two items of one.

    identities: (N,), who each item is of. An identity is drawn uniformly, then two of its items,
    never one twice. num_samples: indices in an epoch, an even number (N, or N - 1). ValueError for
    fewer than two identities, or one with a single item: there is no pair to learn from.

    >>> import tinygen as tg
    >>> who = tg.tensor([0, 0, 1, 1])
    >>> pair = list(tg.data.PairSampler(who, num_samples=2))
    >>> sorted(pair) in ([0, 1], [2, 3])
    True
    """

    def __init__(
        self, identities: Any, num_samples: int | None = None, generator: Generator | None = None
    ) -> None:
        who = as_tensor(identities).cpu().numpy()
        if who.ndim != 1:
            raise ValueError(f"PairSampler: expected one row of identities, got {who.shape}")
        self.order = np.argsort(who, kind="stable")  # one identity's items beside each other
        names, self.first, self.count = np.unique(
            who[self.order], return_index=True, return_counts=True
        )
        if len(names) < 2:
            raise ValueError(
                f"PairSampler: all {len(who)} items are of one identity; two or more are needed, "
                "or nothing says what the items of one have in common"
            )
        if self.count.min() < 2:
            raise ValueError(
                f"PairSampler: identity {names[self.count.argmin()]} has a single item, which is "
                "no pair; leave it out"
            )
        self.num_samples = len(who) // 2 * 2 if num_samples is None else num_samples
        self.generator = generator
        positive("PairSampler", num_samples=self.num_samples)
        if self.num_samples % 2:
            raise ValueError(f"PairSampler: num_samples {self.num_samples} is odd: no pairs")

    def __iter__(self) -> Iterator[int]:
        source, n = (self.generator or default_generator).numpy, self.num_samples // 2
        who = source.integers(len(self.count), size=n)
        one = source.integers(self.count[who])
        other = source.integers(self.count[who] - 1)
        other += other >= one  # any but the first
        return iter(self.order[self.first[who, None] + np.stack([one, other], 1)].ravel().tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of batch_size indices of another sampler; drop_last leaves out a smaller last one.

    >>> import tinygen as tg
    >>> list(tg.data.BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        positive("BatchSampler", batch_size=batch_size)
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, bool(drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return full + (rest > 0 and not self.drop_last)
