"""gradcheck and gradgradcheck: check_grads by the names and arguments of torch.autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..tensor import Tensor
from .gradients import GradientError, check_grads

__all__ = ["gradcheck", "gradgradcheck"]


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    **options: Any,
) -> bool:
    """Are the gradients of func for the inputs that require one right, every entry of them?

    In float64, whatever the inputs are. GradientError if not, or False (raise_exception=False).
    PyTorch's further options have no effect.

    >>> tg.autograd.gradcheck(tg.sinh, tg.tensor([0.5, 2.0], requires_grad=True))
    True
    """
    return _check("gradcheck", func, inputs, 1, eps, atol, rtol, raise_exception)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    **options: Any,
) -> bool:
    """gradcheck of the gradients: the second derivatives too. The cotangents are random ones."""
    return _check("gradgradcheck", func, inputs, 2, eps, atol, rtol, raise_exception)


def _check(
    name: str, func: Callable[..., Any], inputs: Any, order: int, eps: float, atol: float,
    rtol: float, raise_exception: bool,
) -> bool:  # fmt: skip
    args = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    wanted = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise ValueError(f"{name}: expected an input that requires a gradient")

    def of_wanted(*xs: Tensor) -> Any:
        filled = list(args)
        for i, x in zip(wanted, xs):
            filled[i] = x
        return func(*filled)

    of_wanted.__name__ = getattr(func, "__name__", type(func).__name__)
    xs = [args[i] for i in wanted]
    try:
        check_grads(of_wanted, *xs, order=order, full=True, eps=eps, atol=atol, rtol=rtol,
                    float32=False)  # fmt: skip
    except GradientError:
        if raise_exception:
            raise
        return False
    return True
