"""Data: toy laws in the plane, the bundled digits, the MNIST family and CIFAR-10, batches.

    data = load("digits")                        # uint8 (1415, 1, 8, 8), values 0..16
    train = TensorDataset(data.to_unit(), data.labels)
    for x, y in DataLoader(train, batch_size=64, shuffle=True): ...

`toy(name, n)` and `load(name)` list the names they know when given another.
"""

from .datasets import default_root, load
from .formats import read_cifar10, read_idx, write_idx
from .images import ImageDataset, to_symmetric, to_uint8, to_unit
from .indexed import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from .loader import DataLoader, default_collate
from .samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .sources import SOURCES, Source
from .toy import (
    TOYS,
    checkerboard,
    checkerboard_centers,
    gaussian_grid,
    gaussian_ring,
    grid_centers,
    parallel_lines,
    pinwheel,
    ring_centers,
    swiss_roll,
    toy,
    two_moons,
)

__all__ = [
    "SOURCES",
    "TOYS",
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "ImageDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Source",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "checkerboard",
    "checkerboard_centers",
    "default_collate",
    "default_root",
    "gaussian_grid",
    "gaussian_ring",
    "grid_centers",
    "load",
    "parallel_lines",
    "pinwheel",
    "random_split",
    "read_cifar10",
    "read_idx",
    "ring_centers",
    "swiss_roll",
    "to_symmetric",
    "to_uint8",
    "to_unit",
    "toy",
    "two_moons",
    "write_idx",
]
