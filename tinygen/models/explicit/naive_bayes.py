"""Naive Bayes: a mixture whose component is seen, the label. Fitting it is counting."""

from __future__ import annotations

from collections.abc import Sequence

from ...backend import Generator
from ...nn import functional as F
from ...ops import bernoulli, multinomial
from ...tape import no_grad
from ...tensor import Tensor
from ..nets import check_labels
from ..systems import split
from .bernoulli import BernoulliMixture

__all__ = ["NaiveBayes"]


class NaiveBayes(BernoulliMixture):
    """p(x, y) = p(y) prod_i p(x_i | y): given the label the pixels are independent coins.

    A generative model that classifies: `posterior(x)` is p(y | x), by Bayes. It fits p(x, y) by one
    pass of counting, where logistic regression, whose p(y | x) has the same form, fits that alone
    by descent: with few labels counting is ahead, with many the other (Ng and Jordan 2001).

    >>> import tinygen as tg
    >>> config = {"model": "naive_bayes", "shape": (1, 2, 2), "classes": 3}
    >>> model = tg.models.build("mixture", config)
    >>> x, y = tg.eye(4)[:3].reshape(3, 1, 2, 2), tg.arange(3)
    >>> model.count(x, y)
    >>> model.posterior(x).argmax(1).tolist(), model.sample(2, labels=tg.tensor([0, 2])).shape
    ([0, 1, 2], (2, 1, 2, 2))
    """

    def __init__(self, shape: Sequence[int], classes: int, prior: float = 0.3) -> None:
        super().__init__(shape, classes, prior)
        self.classes = classes

    @no_grad()
    def count(self, x: Tensor, labels: Tensor) -> None:
        """Fit p(y) and p(x_i | y) to x (n, *shape) and their labels (n,): EM's M step, once."""
        check_labels("NaiveBayes", labels, len(x), self.classes)
        self._maximise(self._flat(x), F.one_hot(labels, self.classes).to(self.coins))

    def log_prob_with(self, x: Tensor, labels: Tensor) -> Tensor:
        """log p(x, y) in nats, (B,)."""
        check_labels("NaiveBayes", labels, len(x), self.classes)
        return self.log_joint(x).gather(1, labels.unsqueeze(1))[:, 0]

    def terms(self, batch: Tensor | Sequence[Tensor]) -> dict[str, Tensor]:
        """loss = -log p(x, y) in nats, -log p(x) of a batch without labels; log_prob = log p(x)."""
        x, labels = split(batch)
        log_p = self.log_prob(x)
        joint = log_p if labels is None else self.log_prob_with(x, labels)
        return {"loss": -joint.mean(), "log_prob": log_p.mean()}

    @no_grad()
    def sample(
        self, n: int, generator: Generator | None = None, labels: Tensor | None = None
    ) -> Tensor:
        """n pictures, (n, *shape), of these labels (n,), drawn from p(y) where none are given."""
        if labels is None:
            labels = multinomial(self.weights, n, replacement=True, generator=generator)
        check_labels("NaiveBayes", labels, n, self.classes)
        return bernoulli(self.coins[labels], generator=generator).reshape(n, *self.shape)
