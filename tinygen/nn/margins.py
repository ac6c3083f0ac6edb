"""The losses of functional/margins.py as modules."""

from __future__ import annotations

from ..checks import integers, numbers
from ..tensor import Tensor
from . import functional as F
from .losses import _Loss, _WeightedLoss
from .module import Module

__all__ = [
    "CosineEmbeddingLoss", "HingeEmbeddingLoss", "MarginRankingLoss", "MultiMarginLoss",
    "PairwiseDistance", "PoissonNLLLoss", "SoftMarginLoss", "TripletMarginLoss",
]  # fmt: skip


class MarginRankingLoss(_Loss):
    """max(0, -t (x1 - x2) + margin): t = 1 asks for x1 > x2 by the margin, -1 for the reverse.

    loss(x1, x2, t); "mean" over all entries.

    >>> nn.MarginRankingLoss(0.5)(tg.tensor([1.0]), tg.tensor([3.0]), tg.tensor([1.0]))
    tensor(2.5)
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        numbers("MarginRankingLoss", margin=margin)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(input1, input2, target, self.margin, self.reduction)


class HingeEmbeddingLoss(_Loss):
    """x where t = 1, max(0, margin - x) where t = -1; "mean" over all entries."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        numbers("HingeEmbeddingLoss", margin=margin)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, self.margin, self.reduction)


class SoftMarginLoss(_Loss):
    """log(1 + e^(-t x)) for t = 1 or -1; "mean" over all entries."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """sum over c != t of weight[t] max(0, margin - x[t] + x[c])^p / C, for scores x and classes t.

    >>> nn.MultiMarginLoss()(tg.tensor([[0.0, 0.5]]), tg.tensor([0]))  # 1.5 / 2
    tensor(0.75)
    """

    def __init__(
        self, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(weight, reduction)
        integers("MultiMarginLoss", p=p)
        if p not in (1, 2):
            raise ValueError(f"MultiMarginLoss: expected p = 1 or 2, got {p}")
        numbers("MultiMarginLoss", margin=margin)
        self.p, self.margin = p, margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, self.reduction)


class PairwiseDistance(Module):
    """||x1 - x2 + eps||_p over the last dimension.

    >>> nn.PairwiseDistance()(tg.tensor([[3.0, 4.0]]), tg.zeros(1, 2))
    tensor([5.])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        numbers("PairwiseDistance", finite=False, p=p)
        numbers("PairwiseDistance", 0, eps=eps)
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class TripletMarginLoss(_Loss):
    """max(0, ||a - p|| - ||a - n|| + margin), of an anchor, what is like it, and what is not.

    "mean" over the rows (N, D); swap as in F.triplet_margin_loss.

    >>> a, p, n = tg.zeros(1, 2), tg.tensor([[3.0, 4.0]]), tg.tensor([[0.0, 2.0]])
    >>> nn.TripletMarginLoss()(a, p, n)  # 5 - 2 + 1
    tensor(4.)
    """

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(reduction)
        numbers("TripletMarginLoss", 0, margin=margin, eps=eps)
        numbers("TripletMarginLoss", finite=False, p=p)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, self.reduction
        )


class CosineEmbeddingLoss(_Loss):
    """1 - cos(x1, x2) where t = 1, max(0, cos(x1, x2) - margin) where t = -1; rows (N, D)."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        numbers("CosineEmbeddingLoss", margin=margin)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, self.margin, self.reduction)


class PoissonNLLLoss(_Loss):
    """e^x - t x for counts t and log-rates x (x - t log x for rates, log_input=False), in nats.

    full=True adds log t! by Stirling's formula; "mean" over all entries.

    >>> nn.PoissonNLLLoss()(tg.tensor([0.0]), tg.tensor([3.0]))
    tensor(1.)
    """

    def __init__(
        self, log_input: bool = True, full: bool = False, eps: float = 1e-8,
        reduction: str = "mean",
    ) -> None:  # fmt: skip
        super().__init__(reduction)
        numbers("PoissonNLLLoss", 0, eps=eps)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(
            log_input, target, self.log_input, self.full, self.eps, self.reduction
        )
