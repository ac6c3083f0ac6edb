"""PyTorch on one thread: its workers and NumPy's would wait for each other on a small machine."""

from __future__ import annotations

try:
    import torch
except ImportError:  # each file of this folder then skips itself and says why
    pass
else:
    torch.set_num_threads(1)
