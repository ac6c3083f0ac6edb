"""Gradient penalties: what a discriminator's gradient with respect to its input should be.

Each is a function of D, a batch of data and one of samples, and returns a scalar that training
differentiates once more (double backward). The gradient is that of one output by its own input:
D must not mix the examples of a batch, so no batch norm in it.
"""

from __future__ import annotations

from collections.abc import Callable

from ...autograd import grad
from ...backend import Generator
from ...ops import mean, rand, sqrt, square
from ...tape import enable_grad
from ...tensor import Tensor

__all__ = [
    "Critic", "PENALTIES", "gradient_norms", "input_gradients", "interpolates", "one_centred",
    "perturbed", "zero_on_data",
]  # fmt: skip

Critic = Callable[[Tensor], Tensor]


def input_gradients(critic: Critic, x: Tensor) -> Tensor:
    """d critic(x)_i / d x_i for every example, shaped as x (B, ...); itself differentiable.

    >>> import tinygen as tg
    >>> tg.models.gan.input_gradients(lambda x: 3 * x[:, 0], tg.randn(1, 2))
    tensor([[3., 0.]])
    """
    with enable_grad():
        x = x if x.requires_grad else x.detach().requires_grad_()
        (gradient,) = grad(critic(x).sum(), [x], create_graph=True)
    return gradient


def gradient_norms(critic: Critic, x: Tensor) -> Tensor:
    """|d critic / dx| of each example, (B,); 1e-12 under the root keeps it smooth at 0."""
    return sqrt(input_gradients(critic, x).flatten(1).square().sum(1) + 1e-12)


def one_centred(critic: Critic, x: Tensor) -> Tensor:
    """E[(|d critic / dx| - 1)^2] at the points x (B, ...), a scalar."""
    return mean(square(gradient_norms(critic, x) - 1.0))


def _uniform(x: Tensor, generator: Generator | None) -> Tensor:
    """One number of U(0, 1) an example, shaped to multiply x."""
    shape = (x.shape[0],) + (1,) * (x.ndim - 1)
    return rand(shape, generator=generator, dtype=x.dtype, device=x.device)


def interpolates(
    critic: Critic, real: Tensor, fake: Tensor, generator: Generator | None = None
) -> Tensor:
    """WGAN-GP: E[(|d critic / dx| - 1)^2] between the data and the samples.

    The points are alpha x + (1 - alpha) G(z), alpha ~ U(0, 1) an example; real, fake (B, ...)
    of one shape -> a scalar. Gulrajani et al. 2017 (arXiv:1704.00028).

    >>> import tinygen as tg
    >>> x, y = tg.randn(2, 8, 2)
    >>> round(tg.models.gan.interpolates(lambda x: 3 * x[:, 0], x, y).item(), 4)       # (3 - 1)^2
    4.0
    """
    alpha = _uniform(real, generator)
    return one_centred(critic, alpha * real + (1.0 - alpha) * fake)


def perturbed(
    critic: Critic, real: Tensor, fake: Tensor, generator: Generator | None = None
) -> Tensor:
    """DRAGAN: E[(|d critic / dx| - 1)^2] at x + delta, about the data only; G(z) plays no part.

    delta = alpha (1/2) std(x) u, u ~ U(0, 1) an entry, alpha ~ U(-1, 1) an example, std over the
    whole batch, after Kodali et al. 2017 (arXiv:1705.07215), of D's raw output.

    >>> import tinygen as tg
    >>> x, y = tg.randn(2, 8, 2)
    >>> round(tg.models.gan.perturbed(lambda x: 3 * x[:, 0], x, y).item(), 4)
    4.0
    """
    noise = rand(real.shape, generator=generator, dtype=real.dtype, device=real.device)
    alpha = 2.0 * _uniform(real, generator) - 1.0
    return one_centred(critic, real + alpha * (0.5 * real.std() * noise))


def zero_on_data(
    critic: Critic, real: Tensor, fake: Tensor, generator: Generator | None = None
) -> Tensor:
    """R1: E[|d critic / dx|^2] / 2 on data (Mescheder et al. 2018, arXiv:1801.04406); a scalar.

    >>> import tinygen as tg
    >>> x, y = tg.randn(2, 8, 2)
    >>> tg.models.gan.zero_on_data(lambda x: 3 * x[:, 0], x, y)        # 3^2 / 2
    tensor(4.5)
    """
    return 0.5 * mean(input_gradients(critic, real).flatten(1).square().sum(1))


PENALTIES: dict[str, Callable[..., Tensor]] = {
    "interpolates": interpolates,
    "perturbed": perturbed,
    "zero_on_data": zero_on_data,
    "r1": zero_on_data,  # as the literature calls it
}
