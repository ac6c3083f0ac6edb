"""Sums and maxima over all paths of a Markov chain, step by step instead of path by path.

first (K,) and step (K, K) are the chain's probabilities; emitted, T of (B, K), is log p of what is
seen at each moment given the state there. Everything is in nats.
"""

from __future__ import annotations

from ...ops import stack, zeros
from ...tensor import Tensor

__all__ = ["backward", "best_path", "forward"]


def forward(first: Tensor, step: Tensor, emitted: list[Tensor]) -> list[Tensor]:
    """log p(x_1..t, h_t): T of (B, K)."""
    alpha = [first.log() + emitted[0]]
    for e in emitted[1:]:
        alpha.append(_log_matmul(alpha[-1], step) + e)
    return alpha


def backward(step: Tensor, emitted: list[Tensor]) -> list[Tensor]:
    """log p(x_t+1..T | h_t): T of (B, K)."""
    beta = [zeros(emitted[0].shape).to(emitted[0])]
    for e in emitted[:0:-1]:
        beta.append(_log_matmul(e + beta[-1], step.T))
    return beta[::-1]


def best_path(first: Tensor, step: Tensor, emitted: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The likeliest path (B, T), and the log of its probability with all that is seen, (B,)."""
    best, back = first.log() + emitted[0], []
    for e in emitted[1:]:
        found = (best.unsqueeze(2) + step.log()).max(1)
        back.append(found.indices)  # (B, K): where the best path to each state came from
        best = found.values + e
    path = [best.argmax(1, keepdim=True)]
    for came in back[::-1]:
        path.append(came.gather(1, path[-1]))
    return stack(path[::-1], 1)[:, :, 0], best.amax(1)


def _log_matmul(log_a: Tensor, b: Tensor) -> Tensor:
    """log(e^log_a @ b), each row scaled by its largest: no underflow."""
    top = log_a.amax(1, keepdim=True)
    return ((log_a - top).exp() @ b).log() + top
