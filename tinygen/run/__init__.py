"""A training run is a plain `for` loop and a folder: progress, log, checkpoints, exact resume."""

from .loop import Run as Run

__all__ = ["Run"]
