"""A hidden Markov model: the rows of a picture as a sequence, fitted by Baum and Welch."""

from __future__ import annotations

from collections.abc import Sequence

from ...backend import Generator
from ...checks import positive
from ...ops import bernoulli, full, logsumexp, multinomial, rand, softmax, stack, where, zeros
from ...tape import no_grad
from ...tensor import Tensor
from .chain import backward, best_path, forward
from .components import far_apart
from .queries import ExactDensity

__all__ = ["HiddenMarkov"]


class HiddenMarkov(ExactDensity):
    """p(x) = sum over h of p(h_1) prod_t p(h_t | h_t-1) prod_t p(x_t | h_t), x_t the t-th row.

    `states` values of h_t; in state k the pixels of a row are coins m_k. The sum over states^T
    paths takes T states^2 steps, forward. shape: (1, T, D). prior: imagined heads, and tails, of a
    coin, and imagined steps from each state to each. ValueError unless states >= 1 and prior > 0,
    and for pixels that are not 0 or 1.

    >>> import tinygen as tg
    >>> model = tg.models.build("mixture", {"model": "hmm", "shape": (1, 3, 4), "components": 5})
    >>> x = tg.ones(6, 1, 3, 4)
    >>> path, log_p = model.viterbi(x)                     # the likeliest path is one of all
    >>> path.shape, bool((log_p <= model.log_prob(x)).all())
    ((6, 3), True)
    """

    first: Tensor
    step: Tensor
    coins: Tensor

    def __init__(self, shape: Sequence[int], states: int, prior: float = 0.1) -> None:
        super().__init__()
        positive("HiddenMarkov", states=states)
        if not prior > 0.0 or len(shape) != 3 or shape[0] != 1:
            raise ValueError(
                f"HiddenMarkov: expected prior > 0 and a shape (1, T, D), got {prior}, {shape}"
            )
        self.shape, self.prior = tuple(shape), prior
        self.register_buffer("first", full((states,), 1.0 / states))
        self.register_buffer("step", full((states, states), 1.0 / states))  # from row to column
        self.register_buffer("coins", 0.25 + 0.5 * rand(states, shape[2]))

    def _emitted(self, x: Tensor, seen: Tensor) -> list[Tensor]:
        """log p(what is seen of row t | h_t): T of (B, states)."""
        known = seen.to(self.coins).reshape(self.shape[1:])
        heads, tails = self.coins.log().T, (1.0 - self.coins).log().T
        rows = x.reshape(-1, *self.shape[1:])
        return [(r * k) @ heads + ((1.0 - r) * k) @ tails for r, k in zip(rows.unbind(1), known)]

    def log_prob(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """log p(x), or log p(x_seen), of each example in nats, (B,)."""
        return logsumexp(
            forward(self.first, self.step, self._emitted(*self._parts(x, seen)))[-1], 1
        )

    def posterior(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """p(h_t | x_seen), (B, T, states)."""
        emitted = self._emitted(*self._parts(x, seen))
        both = zip(forward(self.first, self.step, emitted), backward(self.step, emitted))
        return stack([softmax(a + b, 1) for a, b in both], 1)

    @no_grad()
    def viterbi(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The likeliest path of states (B, T), and log p(x, path), (B,)."""
        return best_path(self.first, self.step, self._emitted(*self._parts(x, None)))

    @no_grad()
    def start(self, x: Tensor, generator: Generator | None = None) -> None:
        """Lean each state's coins to a row of x (n, *shape), rows far apart (`far_apart`)."""
        rows = self._flat(x).reshape(-1, self.shape[2])
        self.coins.copy_(0.25 + 0.5 * rows[far_apart(rows, len(self.coins), generator)])

    @no_grad()
    def em_step(self, x: Tensor) -> Tensor:
        """One round of Baum-Welch, EM, on all x (n, *shape); the mean log p(x) before it, in nats.

        What never falls is sum log p(x) + prior sum log of all probabilities.
        """
        flat, seen = self._parts(x, None)
        emitted = self._emitted(flat, seen)
        alpha, beta = forward(self.first, self.step, emitted), backward(self.step, emitted)
        share = stack([softmax(a + b, 1) for a, b in zip(alpha, beta)], 1)  # p(h_t | x)
        steps = zeros(self.step.shape).to(self.step)
        for a, e, b in zip(alpha, emitted[1:], beta[1:]):
            p, q = softmax(a, 1), softmax(e + b, 1)  # each example's, up to a factor
            steps += (p / ((p @ self.step) * q).sum(1, keepdim=True)).T @ q  # its factor is here
        first, steps = share[:, 0].sum(0) + self.prior, steps * self.step + self.prior
        self.first.copy_(first / first.sum())
        self.step.copy_(steps / steps.sum(1, keepdim=True))
        share = share.flatten(0, 1)  # (n T, states)
        heads = share.T @ flat.reshape(-1, self.shape[2]) + self.prior
        self.coins.copy_(heads / (share.sum(0) + 2.0 * self.prior).unsqueeze(1))
        return logsumexp(alpha[-1], 1).mean()

    @no_grad()
    def fill(self, x: Tensor, seen: Tensor, generator: Generator | None = None) -> Tensor:
        """States drawn from the last to the first, given what is seen; then the pixels."""
        alpha = forward(self.first, self.step, self._emitted(*self._parts(x, seen)))
        states = [multinomial(softmax(alpha[-1], 1), 1, generator=generator)[:, 0]]
        for a in alpha[-2::-1]:
            p = softmax(a + self.step.log()[:, states[-1]].T, 1)
            states.append(multinomial(p, 1, generator=generator)[:, 0])
        drawn = bernoulli(self.coins[stack(states[::-1], 1)], generator=generator)
        return where(seen, x, drawn.reshape(x.shape))
