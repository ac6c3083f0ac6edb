"""A training run is a plain `for` loop and a folder: progress, log, checkpoints, exact resume."""

from .loop import Run as Run
from .script import count as count
from .script import device as device
from .script import fraction as fraction
from .script import non_negative as non_negative
from .script import options as options
from .script import positive as positive
from .script import whole as whole
