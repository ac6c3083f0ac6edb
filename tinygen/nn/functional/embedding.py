"""Looking rows up in a table."""

from __future__ import annotations

from ... import ops
from ...backend import refuse
from ...ops.indexing import rows_within
from ...tensor import Tensor, same_device

__all__ = ["embedding"]


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """weight[input]: the rows of `weight` (K, E) at the integers `input` (...) -> (..., E).

    The row padding_idx gets no gradient. max_norm: the rows that are looked up are first shortened,
    in place, to that norm_type-norm. scale_grad_by_freq: a row's gradient is divided by how often
    it is looked up. `sparse` has no effect: the gradient is dense. IndexError for an integer
    outside 0..K - 1.

    >>> F.embedding(tg.tensor([2, 0]), tg.tensor([[0.0], [10.0], [20.0]]))
    tensor([[20.],
            [ 0.]])
    """
    if input.dtype.kind not in "iu":
        raise RuntimeError(f"embedding: expected integer indices, got {input.dtype}; use .long()")
    same_device("embedding", input, weight)
    rows = weight.shape[0]
    if input.numel():
        low, high = input._array.min(), input._array.max()
        refuse((low < 0) | (high >= rows), lambda: IndexError(
            f"embedding: index out of range in self: indices are in [{int(low)}, {int(high)}], "
            f"the table has {rows} rows"
        ))  # fmt: skip
    if max_norm is not None:
        _shorten(weight, input, max_norm, norm_type)
    out = rows_within(weight, input)
    if scale_grad_by_freq:
        times = ops.bincount(input.flatten())
        constant = out.detach()
        out = constant + (out - constant) / ops.unsqueeze(rows_within(times, input), -1)
    if padding_idx is None:
        return out
    padded = ops.unsqueeze(input == padding_idx % rows, -1)
    return ops.where(padded, out.detach(), out)


def _shorten(weight: Tensor, input: Tensor, max_norm: float, norm_type: float) -> None:
    """The rows looked up, with a norm of at most max_norm, in place and unrecorded."""
    table, used = weight.detach(), ops.unique(input.long())
    rows = rows_within(table, used)
    norms = ops.norm(rows, norm_type, -1, True)
    table[used] = ops.where(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows)
