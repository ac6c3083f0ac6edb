"""PyTorch's `torch.utils`: where a PyTorch program looks for DataLoader."""

from . import data

__all__ = ["data"]
