"""Batches: `DataLoader`, with PyTorch's arguments and meaning.

What PyTorch's loader has not: its position can be saved in the middle of an epoch and comes back
bit for bit, `forever()` is an endless stream for loops that count steps, and a batch is drawn
from a set of tensors by one indexing instead of one an item. There are no worker processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..backend import Array, Generator, default_generator, move
from ..checks import integers, positive
from ..tensor import Tensor, wrap
from .indexed import Subset
from .samplers import BatchSampler

__all__ = ["DataLoader", "default_collate"]


def default_collate(samples: list[Any]) -> Any:
    """A batch of samples: Tensors, arrays and numbers stacked, in tuples, lists and dicts.

    Tuples become lists, strings stay a list of strings. ValueError where shapes differ.

    >>> import tinygen as tg
    >>> x, y = tg.data.default_collate([(tg.zeros(3), 1), (tg.ones(3), 2)])
    >>> x.shape, y
    ((2, 3), tensor([1, 2]))
    """
    first = samples[0]
    if isinstance(first, dict):
        return {key: default_collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        return [default_collate(list(column)) for column in zip(*samples, strict=True)]
    if isinstance(first, str):
        return samples
    return wrap(np.stack([s._array if isinstance(s, Tensor) else np.asarray(s) for s in samples]))


def _permutation(n: int, seed: int | None) -> Array:
    return np.random.Generator(np.random.PCG64(seed)).permutation(n)


class DataLoader:
    """Batches of a data set; each `for` over it is one epoch.

    dataset: anything with `len()` and `[index]`. shuffle: a new order every epoch, drawn from
    `generator` (if None, from one of the loader's own, seeded by the default generator at the
    first epoch). sampler: an iterable of an epoch's indices instead; batch_sampler: of an epoch's
    lists of indices. drop_last: leave out the last batch when it is smaller. collate_fn: a batch
    from a list of samples. What speaks of worker processes (num_workers, pin_memory, timeout, ...)
    is there for programs that pass it, and does nothing.

    `state_dict()`, taken anywhere, holds the position: after `load_state_dict` the next `for` goes
    on with the batch that would have come, and the epochs after it are those that would have
    come. `epoch` counts finished (or abandoned) epochs. One position is kept: with two
    iterators at once, the one that moved last.

    Raises TypeError for what is no data set, no integer batch_size, ..., ValueError when batch_size
    is below 1 or larger than the data set.

    >>> import tinygen as tg
    >>> loader = tg.data.DataLoader(tg.data.TensorDataset(tg.arange(5)), batch_size=2)
    >>> [x.tolist() for (x,) in loader]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Any = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
    ) -> None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(
                f"DataLoader: expected a data set with len() and [index], got {dataset!r}"
            )
        positive("DataLoader", batch_size=batch_size)
        integers("DataLoader", 0, num_workers=num_workers)
        if not isinstance(generator, (Generator, type(None))):
            raise TypeError(f"DataLoader: expected a Generator, got {generator!r}")
        if collate_fn is not None and not callable(collate_fn):
            raise TypeError(f"DataLoader: expected collate_fn to be a function, got {collate_fn!r}")
        if sampler is None and batch_size > len(dataset):
            raise ValueError(
                f"DataLoader: batch_size {batch_size} is larger than the data set "
                f"({len(dataset)} samples); choose one of at most {len(dataset)}"
            )
        if (sampler is not None and (shuffle or batch_sampler is not None)) or (
            batch_sampler is not None and (batch_size != 1 or shuffle or drop_last)
        ):
            raise ValueError(
                "DataLoader: expected sampler without shuffle, or batch_sampler without "
                "batch_size, shuffle, sampler and drop_last"
            )
        self.dataset, self.batch_size = dataset, int(batch_size)
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.shuffle, self.drop_last = bool(shuffle), bool(drop_last)
        self.generator, self.collate_fn = generator, collate_fn
        self.num_workers, self.pin_memory = num_workers, pin_memory
        self.epoch = 0
        self._own: Generator | None = None
        self._batch = 0  # batches handed out in the current epoch
        self._seed: int | None = None  # of the current epoch's order; None between epochs
        self._drawn: list[list[int]] | None = None  # the current epoch's batches, of a sampler
        self._resume = False  # does the next `for` go on with the current epoch?

    def __len__(self) -> int:
        """Batches in an epoch."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        count = len(self.dataset if self.sampler is None else self.sampler)
        full, rest = divmod(count, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        self._begin()
        batches = self._batches()
        for batch in range(self._batch, len(batches)):
            self._batch = batch + 1
            yield self._fetch(batches[batch])
        self.epoch, self._seed, self._batch, self._drawn = self.epoch + 1, None, 0, None

    def forever(self) -> Iterator[Any]:
        """Epoch after epoch without end: `for step, batch in zip(run.steps(n), loader.forever())`.

        The steps stand first: zip asks its first part first, so no batch is drawn and not used.
        """
        while True:
            yield from self

    def _begin(self) -> None:
        if not self._resume:
            self.epoch += self._seed is not None  # the last epoch was left before its end
            self._seed, self._batch, self._drawn = self._draw_seed(), 0, self._sampled()
        self._resume = False

    def _draw_seed(self) -> int:
        return int(self._stream().numpy.integers(2**63)) if self.shuffle else 0

    def _stream(self) -> Generator:
        if self.generator is not None:
            return self.generator
        if self._own is None:
            self._own = Generator().manual_seed(int(default_generator.numpy.integers(2**63)))
        return self._own

    def _sampled(self) -> list[list[int]] | None:
        """What the sampler says of a new epoch."""
        batches = self.batch_sampler
        if batches is None and self.sampler is not None:
            batches = BatchSampler(self.sampler, self.batch_size, self.drop_last)
        return None if batches is None else [[int(i) for i in batch] for batch in batches]

    def _batches(self) -> Sequence[Any]:
        """The indices of each batch of the current epoch: a function of its seed, or sampled."""
        if self._drawn is not None:
            return self._drawn
        n, size = len(self.dataset), self.batch_size
        order = _permutation(n, self._seed) if self.shuffle else np.arange(n)
        return [order[i * size : (i + 1) * size] for i in range(len(self))]

    def _fetch(self, indices: Any) -> Any:
        """A batch: of a set of tensors, or of a part of one, by one indexing."""
        dataset = self.dataset
        while type(dataset) is Subset:
            dataset, indices = dataset.dataset, [dataset.indices[i] for i in indices]
        tensors = getattr(dataset, "tensors", None)
        if tensors is not None and self.collate_fn is None:
            indices = np.asarray(indices)
            return [wrap(t._array[move(indices, t.device)]) for t in tensors]
        return (self.collate_fn or default_collate)([dataset[int(i)] for i in indices])

    def _shape(self) -> dict[str, int | bool]:
        """What a saved position depends on."""
        return {
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def state_dict(self) -> dict[str, Any]:
        """The position, and the state of the generator that orders the epochs, ready for JSON."""
        stream = self.generator or self._own
        return {
            **self._shape(),
            "epoch": self.epoch,
            "batch": self._batch,
            "seed": self._seed,
            "drawn": self._drawn,
            "generator": stream.get_state() if stream is not None else None,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a saved position; the next `for` (or `forever`) goes on from there.

        Raises ValueError when the state is of a loader with another data set size, batch size,
        shuffle or drop_last, or is not a loader's state.
        """
        own = self._shape()
        missing = [key for key in (*own, "epoch", "batch", "seed", "generator") if key not in state]
        if missing:
            raise ValueError(f"DataLoader.load_state_dict: the state has no {', '.join(missing)}")
        differs = [
            f"{key} {state[key]} there, {own[key]} here" for key in own if state[key] != own[key]
        ]
        if differs:
            raise ValueError(f"DataLoader.load_state_dict: another loader: {'; '.join(differs)}")
        if state["generator"] is None:
            self._own = None
        else:
            self._take_stream().set_state(state["generator"])
        self.epoch, self._batch = int(state["epoch"]), int(state["batch"])
        self._seed = None if state["seed"] is None else int(state["seed"])
        self._drawn = state.get("drawn")
        self._resume = self._seed is not None

    def _take_stream(self) -> Generator:
        """The generator to restore a state into; drawing nothing from the default generator."""
        self._own = self._own or Generator()
        return self.generator or self._own
