"""PyTorch's `torch.utils.data`, by the names known from there; the code is in tinygen.data."""

from ..data import DataLoader, Dataset, TensorDataset

__all__ = ["DataLoader", "Dataset", "TensorDataset"]
