"""A training run is a plain `for` loop and a folder: progress, log, checkpoints, exact resume."""

from .checkpoint import load_run as load_run
from .loop import Run as Run
