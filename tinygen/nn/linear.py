"""Layers that reshape, multiply, look up or drop: Linear, Embedding, Flatten, Dropout and kin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..backend import Generator
from ..checks import integers, numbers, sizes
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter, empty_parameter

__all__ = ["Dropout", "Dropout2d", "Embedding", "Flatten", "Identity", "Linear", "Unflatten"]


class Identity(Module):
    """x; takes any arguments, for a place where a layer may be."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """x W^T + b; x (..., in_features), W (out_features, in_features), b (out_features).

    W and b start as U(-k, k), k = 1 / sqrt(in_features).

    >>> nn.Linear(3, 2)(tg.zeros(5, 4, 3)).shape
    (5, 4, 2)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        integers("Linear", 0, in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = empty_parameter(out_features, in_features, dtype=dtype, device=device)
        none = None if not bias else empty_parameter(out_features, dtype=dtype, device=device)
        self.register_parameter("bias", none)
        self.reset_parameters()

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw weight and bias anew, as at the start."""
        init.layer_default_(self.weight, self.bias, generator)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Embedding(Module):
    """The rows of a table (num_embeddings, embedding_dim), N(0, 1), at integer indices.

    The row padding_idx starts at 0 and gets no gradient. max_norm, norm_type, scale_grad_by_freq,
    sparse: as in F.embedding. IndexError for an index outside the table.

    >>> nn.Embedding(10, 4)(tg.tensor([[1, 2, 9]])).shape
    (1, 3, 4)
    """

    weight: Parameter

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False, _weight: Tensor | None = None, _freeze: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        integers("Embedding", 0, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None:
            integers("Embedding", padding_idx=padding_idx)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ValueError(
                f"Embedding: padding_idx {padding_idx} must be within {num_embeddings} embeddings"
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        if max_norm is not None:
            numbers("Embedding", 0, max_norm=max_norm)
        numbers("Embedding", finite=False, norm_type=norm_type)
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        self.weight = empty_parameter(num_embeddings, embedding_dim, dtype=dtype, device=device)
        if _weight is None:
            self.reset_parameters()
        elif _weight.shape != self.weight.shape:
            raise ValueError(
                f"Embedding: expected a _weight of shape {self.weight.shape}, got {_weight.shape}"
            )
        else:
            self.weight = Parameter(_weight)
        self.weight.requires_grad = not _freeze

    def reset_parameters(self, generator: Generator | None = None) -> None:
        """Draw the table anew, as at the start."""
        init.normal_(self.weight, generator=generator)
        if self.padding_idx is not None:
            self.weight._array[self.padding_idx] = 0

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.sparse,
        )  # fmt: skip

    @classmethod
    def from_pretrained(
        cls, embeddings: Tensor, freeze: bool = True, padding_idx: int | None = None,
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:  # fmt: skip
        """An Embedding around a given table; freeze=True keeps it out of training."""
        rows, width = embeddings.shape
        return cls(
            rows, width, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
            embeddings.detach(), freeze,
        )  # fmt: skip

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        text += "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        text += "" if self.max_norm is None else f", max_norm={self.max_norm}"
        text += "" if self.norm_type == 2 else f", norm_type={self.norm_type}"
        text += "" if not self.scale_grad_by_freq else ", scale_grad_by_freq=True"
        return text + ("" if not self.sparse else ", sparse=True")


class Flatten(Module):
    """Dimensions start_dim to end_dim as one: (N, C, H, W) becomes (N, C H W).

    >>> nn.Flatten()(tg.zeros(5, 3, 2, 2)).shape
    (5, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        integers("Flatten", start_dim=start_dim, end_dim=end_dim)
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Dimension dim split into unflattened_size; one size may be -1.

    >>> nn.Unflatten(1, (3, 2, 2))(tg.zeros(5, 12)).shape
    (5, 3, 2, 2)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        integers("Unflatten", dim=dim)
        size = sizes("Unflatten", "unflattened_size", unflattened_size, least=-1)
        self.dim, self.unflattened_size = dim, size

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Dropout(Module):
    """In training, zero each entry with probability p and divide the others by 1 - p.

    In eval() it is x itself (Srivastava et al. 2014).

    >>> nn.Dropout(0.5).eval()(tg.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        numbers(type(self).__name__, 0, 1, p=p)
        self.p, self.inplace = p, inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout2d(Dropout):
    """In training, zero each channel of (N, C, H, W) with probability p; scale as Dropout.

    >>> x = nn.Dropout2d(0.5)(tg.ones(1, 4, 2, 2))
    >>> x.amin((2, 3)) == x.amax((2, 3))  # a channel lives or dies as a whole
    tensor([[ True,  True,  True,  True]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training)
