"""A training run is a plain `for` loop and a folder: progress, log, checkpoints, exact resume."""

from .loop import Run
from .progress import through
from .script import count, device, fraction, non_negative, options, positive, whole

__all__ = [
    "Run", "count", "device", "fraction", "non_negative", "options", "positive", "through",
    "whole",
]  # fmt: skip
