"""Losses as modules: those of nn/functional with `reduction` (and weights) fixed beforehand."""

from __future__ import annotations

from ..checks import integers, numbers
from ..tensor import Tensor
from . import functional as F
from .module import Module

__all__ = [
    "BCELoss", "BCEWithLogitsLoss", "CrossEntropyLoss", "GaussianNLLLoss", "HuberLoss",
    "KLDivLoss", "L1Loss", "MSELoss", "NLLLoss", "SmoothL1Loss",
]  # fmt: skip


class _Loss(Module):
    """A loss that needs to know how it is reduced: "mean", "sum" or "none"."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        allowed = ("none", "mean", "sum", "batchmean")[: 4 if isinstance(self, KLDivLoss) else 3]
        if reduction not in allowed:
            raise ValueError(
                f"{type(self).__name__}: {reduction!r} is not a valid value for reduction; "
                f"expected one of {allowed}"
            )
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """A loss with a weight: a buffer, so that it moves with the module."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.register_buffer("weight", weight)


class MSELoss(_Loss):
    """(x - t)^2, "mean" over all entries.

    >>> nn.MSELoss()(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))  # of 0 and 4
    tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """|x - t|, "mean" over all entries.

    >>> nn.L1Loss(reduction="sum")(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, self.reduction)


class SmoothL1Loss(_Loss):
    """(x - t)^2 / (2 beta) where |x - t| < beta, else |x - t| - beta / 2; "mean" over all entries.

    >>> nn.SmoothL1Loss()(tg.tensor([0.0, 3.0]), tg.tensor([1.0, 0.0]))  # of 0.5 and 2.5
    tensor(1.5)
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        numbers("SmoothL1Loss", 0, beta=beta)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)


class HuberLoss(_Loss):
    """(x - t)^2 / 2 where |x - t| < delta, else delta (|x - t| - delta / 2)

    "mean" over all entries.

    >>> nn.HuberLoss(delta=2.0)(tg.tensor([0.0, 3.0]), tg.tensor([1.0, 0.0]))  # of 0.5 and 4
    tensor(2.25)
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        numbers("HuberLoss", 0, delta=delta)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, self.reduction, self.delta)


class GaussianNLLLoss(_Loss):
    """(log v + (x - t)^2 / v) / 2 with v = max(var, eps), in nats; full=True adds log(2 pi) / 2.

    loss(x, t, var); "mean" over all entries.

    >>> nn.GaussianNLLLoss()(tg.tensor([2.0]), tg.tensor([0.0]), tg.tensor([1.0]))
    tensor(2.)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        numbers("GaussianNLLLoss", 0, eps=eps)
        self.full, self.eps = full, eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class BCELoss(_WeightedLoss):
    """-(t log x + (1 - t) log(1 - x)) for probabilities x, in nats; "mean" over all entries.

    >>> nn.BCELoss()(tg.tensor([0.5, 0.5]), tg.tensor([1.0, 0.0]))  # log 2
    tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """-(pos_weight t log sigmoid(x) + (1 - t) log sigmoid(-x)) for logits x, in nats.

    "mean" over all entries; stable for every x.

    >>> nn.BCEWithLogitsLoss()(tg.zeros(2), tg.tensor([1.0, 0.0]))  # log 2
    tensor(0.6931)
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight
        )


class NLLLoss(_WeightedLoss):
    """-weight[t] x[t] for log-probabilities x (N, C, ...) and class indices t (N, ...).

    "mean" divides by the sum of the weights of the targets that are not ignore_index.

    >>> nn.NLLLoss()(tg.tensor([[-1.0, -2.0], [-3.0, -4.0]]), tg.tensor([0, 1]))  # (1 + 4) / 2
    tensor(2.5)
    """

    def __init__(
        self, weight: Tensor | None = None, ignore_index: int = -100, reduction: str = "mean"
    ) -> None:
        super().__init__(weight, reduction)
        integers(type(self).__name__, ignore_index=ignore_index)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class CrossEntropyLoss(_WeightedLoss):
    """-log softmax(x)[t] for logits x (N, C, ...) and class indices t (N, ...), in nats.

    t may also be probabilities, of x's shape; "mean" is over N, ... as in F.cross_entropy.

    >>> nn.CrossEntropyLoss()(tg.zeros(2, 4), tg.tensor([0, 3]))  # log 4
    tensor(1.3863)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction)
        integers(type(self).__name__, ignore_index=ignore_index)
        numbers("CrossEntropyLoss", 0, 1, label_smoothing=label_smoothing)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class KLDivLoss(_Loss):
    """t (log t - x) for log-probabilities x; reduction="batchmean" is the divergence KL(t || e^x).

    >>> x, t = tg.tensor([[0.5, 0.5]]).log(), tg.tensor([[1.0, 0.0]])
    >>> nn.KLDivLoss(reduction="batchmean")(x, t)  # log 2
    tensor(0.6931)
    """

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, self.reduction, self.log_target)
