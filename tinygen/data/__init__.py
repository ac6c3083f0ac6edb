"""Data: toy laws in the plane, digits, emoji, letters and drawn scenes, the MNIST family, batches.

    data = load("digits")                        # uint8 (1415, 1, 8, 8), values 0..16
    train = TensorDataset(data.to_unit(), data.labels)
    for x, y in DataLoader(train, batch_size=64, shuffle=True): ...

`toy(name, n)` and `load(name)` list the names they know when given another; `toy_log_prob` and
`toy_entropy` are exact. `scenes(n)` draws pictures with captions, `polygons.triangles(n)` a
manifold, `squares(name, side)` makes a set's pictures as large as a network asks for; `folder` and
`pairs` read your own; `aligned` pairs drawings and colours; `fonts` draws emoji and letters at
other sizes, `transforms` crops, blurs, degrades and masks.
"""

from . import fonts, polygons, transforms
from .aligned import ALIGNED, aligned
from .datasets import default_root, load
from .files import folder, pairs, picture
from .formats import read_cifar10, read_idx, write_idx
from .images import ImageDataset, to_symmetric, to_uint8, to_unit
from .indexed import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from .loader import DataLoader, default_collate
from .samplers import (
    BatchSampler,
    PairSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .scenes import scenes
from .sources import SOURCES, Source
from .squares import SQUARES, squares
from .text import ByteTokenizer, WordTokenizer
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
from .toy_density import toy_entropy, toy_log_prob

__all__ = [
    "ALIGNED",
    "SOURCES",
    "SQUARES",
    "TOYS",
    "ByteTokenizer",
    "BatchSampler",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "ImageDataset",
    "PairSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Source",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WordTokenizer",
    "WeightedRandomSampler",
    "aligned",
    "checkerboard",
    "checkerboard_centers",
    "default_collate",
    "default_root",
    "folder",
    "fonts",
    "gaussian_grid",
    "gaussian_ring",
    "grid_centers",
    "load",
    "pairs",
    "picture",
    "parallel_lines",
    "pinwheel",
    "polygons",
    "random_split",
    "read_cifar10",
    "read_idx",
    "ring_centers",
    "scenes",
    "squares",
    "swiss_roll",
    "to_symmetric",
    "to_uint8",
    "to_unit",
    "toy",
    "toy_entropy",
    "toy_log_prob",
    "transforms",
    "two_moons",
    "write_idx",
]
