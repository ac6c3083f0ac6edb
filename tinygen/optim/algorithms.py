"""From gradient to step: SGD, momentum, Adagrad, RMSprop, Adam, AdamW, in rising difficulty.

An optimizer is its `update`: what it does to one parameter's array, given the gradient, what
it remembers of that parameter (`state`) and the hyper-parameters of its group. The formulas
run on `pieces` of the arrays, small enough for what they compute on the way to stay in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..backend import Array
from ..checks import numbers
from ..tensor import Tensor, wrap
from . import on_gpu
from .optimizer import Group, Optimizer, State, pieces

__all__ = ["Adagrad", "Adam", "AdamW", "RMSprop", "SGD"]


def _zeros(state: State, names: Iterable[str], p: Array) -> None:
    """Start the running averages `names` at zero."""
    for name in names:
        state[name] = wrap(np.zeros_like(p))


def _array(state: State, name: str, there: Any = True) -> Array | None:
    return state[name]._array if there else None


def _gradient(p: Array, g: Array, group: Group) -> Array:
    """The gradient to descend: its sign turned to maximize, weight_decay * p added (L2 penalty)."""
    if group["maximize"]:
        g = -g
    return g + float(group["weight_decay"]) * p if group["weight_decay"] else g


class SGD(Optimizer):
    """Stochastic gradient descent, plain or with momentum.

        g   = grad + weight_decay * p                     (maximize: -grad)
        buf = momentum * buf + (1 - dampening) * g        (buf = g at the first step)
        p  -= lr * buf                                    (nesterov: lr * (g + momentum * buf))

    Nesterov's form is the one of Sutskever et al., "On the importance of initialization and
    momentum in deep learning" (2013), with the learning rate outside of the buffer.

    >>> p = tg.tensor(1.0, requires_grad=True)
    >>> optimizer = optim.SGD([p], lr=0.1)
    >>> (p * p).backward()  # the gradient is 2
    >>> optimizer.step()
    >>> p
    tensor(0.8, requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def _check(self, group: Group) -> None:
        super()._check(group)
        numbers("SGD", 0, momentum=group["momentum"], dampening=group["dampening"])
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        lr, momentum = float(group["lr"]), float(group["momentum"])
        if not momentum:
            for p, g in pieces(param, grad):
                p -= lr * _gradient(p, g, group)
            return
        first = state.get("momentum_buffer") is None
        if first:
            _zeros(state, ["momentum_buffer"], param)
        for p, g, buf in pieces(param, grad, state["momentum_buffer"]._array):
            g = _gradient(p, g, group)
            buf *= momentum
            buf += g if first else (1.0 - float(group["dampening"])) * g
            p -= lr * (g + momentum * buf if group["nesterov"] else buf)


class Adagrad(Optimizer):
    """The gradient divided by the root of the sum of its squares so far.

        v  += g^2                                         (from initial_accumulator_value)
        p  -= lr / (1 + (t - 1) * lr_decay) * g / (sqrt(v) + eps)

    g = grad + weight_decay * p. Duchi, Hazan and Singer, "Adaptive subgradient methods for online
    learning and stochastic optimization" (2011).

    >>> p = tg.tensor(1.0, requires_grad=True)
    >>> p.grad = tg.tensor(500.0)  # of any size: the first step is lr
    >>> optim.Adagrad([p], lr=0.1).step()
    >>> p
    tensor(0.9, requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "eps": eps,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "maximize": maximize,
            },
        )

    def _check(self, group: Group) -> None:
        super()._check(group)
        names = ("lr_decay", "initial_accumulator_value", "eps")
        numbers("Adagrad", 0, **{key: group[key] for key in names})

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        if not state:
            start = float(group["initial_accumulator_value"])
            state["step"], state["sum"] = 0, wrap(np.full_like(param, start))
        state["step"] += 1
        lr = float(group["lr"]) / (1.0 + (state["step"] - 1) * float(group["lr_decay"]))
        for p, g, v in pieces(param, grad, state["sum"]._array):
            g = _gradient(p, g, group)
            v += g * g
            p -= lr * g / (np.sqrt(v) + float(group["eps"]))


class RMSprop(Optimizer):
    """The gradient divided by the root of a running mean of its square.

        v = alpha * v + (1 - alpha) * g^2                 (centered: minus (running mean of g)^2)
        p -= lr * g / (sqrt(v) + eps)                     (with momentum: through a buffer, as SGD)

    g = grad + weight_decay * p. Hinton, lecture 6e of "Neural Networks for Machine Learning"
    (2012); centered: Graves, "Generating sequences with recurrent neural networks"
    (arXiv:1308.0850).

    >>> p = tg.tensor(1.0, requires_grad=True)
    >>> p.grad = tg.tensor(500.0)  # of any size: the first step is lr / sqrt(1 - alpha)
    >>> optim.RMSprop([p], lr=0.01).step()
    >>> p
    tensor(0.9, requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "maximize": maximize,
            },
        )

    def _check(self, group: Group) -> None:
        super()._check(group)
        numbers("RMSprop", 0, **{key: group[key] for key in ("alpha", "eps", "momentum")})

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        lr, alpha, momentum = float(group["lr"]), float(group["alpha"]), float(group["momentum"])
        if not state:
            state["step"] = 0
            _zeros(state, ["square_avg"], param)
            _zeros(state, ["momentum_buffer"] * (momentum > 0), param)
            _zeros(state, ["grad_avg"] * bool(group["centered"]), param)
        state["step"] += 1
        square, mean = _array(state, "square_avg"), _array(state, "grad_avg", group["centered"])
        velocity = _array(state, "momentum_buffer", momentum)
        for p, g, v, m, buf in pieces(param, grad, square, mean, velocity):
            g = _gradient(p, g, group)
            v *= alpha
            v += (1.0 - alpha) * (g * g)
            if group["centered"]:
                m += (1.0 - alpha) * (g - m)
                v = v - m * m
            g = g / (np.sqrt(v) + float(group["eps"]))
            if momentum:
                buf *= momentum
                buf += g
                g = buf
            p -= lr * g


class Adam(Optimizer):
    """Momentum over RMSprop, both corrected for their start at zero.

        m = beta1 * m + (1 - beta1) * g                   m_hat = m / (1 - beta1^t)
        v = beta2 * v + (1 - beta2) * g^2                 v_hat = v / (1 - beta2^t)
        p -= lr * m_hat / (sqrt(v_hat) + eps)             (amsgrad: the largest v so far)

    g = grad + weight_decay * p. Kingma and Ba, "Adam: a method for stochastic optimization"
    (arXiv:1412.6980); amsgrad: Reddi et al., "On the convergence of Adam and beyond" (2018).

    >>> p = tg.tensor(1.0, requires_grad=True)
    >>> p.grad = tg.tensor(500.0)  # of any size: the first step is lr
    >>> optim.Adam([p], lr=0.1).step()
    >>> p
    tensor(0.9, requires_grad=True)
    """

    decoupled = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )
        self._tables: on_gpu.Tables = {}

    def _check(self, group: Group) -> None:
        super()._check(group)
        name, betas = type(self).__name__, group["betas"]
        numbers(name, 0, eps=group["eps"])
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"{name}: expected two betas, got {betas!r}")
        for i, beta in enumerate(betas):
            numbers(name, beta=beta)
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta} (expected [0, 1))")

    def update_all(self, params: list[Tensor], group: Group) -> None:
        """On a GPU all parameters of a group in one launch; else one after the other."""
        fit = [p for p in params if on_gpu.fits(p._array, group)]
        states = [self._begin(p._array, self.state[p], group) for p in fit]
        on_gpu.adam(fit, states, group, self.decoupled, self._tables)
        if len(fit) < len(params):
            super().update_all([p for p in params if not on_gpu.fits(p._array, group)], group)

    def _begin(self, p: Array, state: State, group: Group) -> State:
        """Count one more step of a parameter; at the first, start its averages."""
        if not state:
            state["step"] = 0
            _zeros(state, ["exp_avg", "exp_avg_sq"], p)
            _zeros(state, ["max_exp_avg_sq"] * group["amsgrad"], p)
        state["step"] += 1
        return state

    def update(self, param: Array, grad: Array, state: State, group: Group) -> None:
        t = self._begin(param, state, group)["step"]
        lr, eps, (beta1, beta2) = float(group["lr"]), float(group["eps"]), group["betas"]
        if self.decoupled:
            param *= 1.0 - lr * float(group["weight_decay"])
            group = {**group, "weight_decay": 0.0}
        # The corrections of m_hat and v_hat as factors of lr and eps, as at the end of section 2.
        root = math.sqrt(1.0 - beta2**t)
        lr, eps = lr * root / (1.0 - beta1**t), eps * root
        averages = _array(state, "exp_avg"), _array(state, "exp_avg_sq")
        largest = _array(state, "max_exp_avg_sq", group["amsgrad"])
        for p, g, m, v, top in pieces(param, grad, *averages, largest):
            g = _gradient(p, g, group)
            m += (1.0 - beta1) * (g - m)
            v *= beta2
            v += (1.0 - beta2) * (g * g)
            if group["amsgrad"]:
                v = np.maximum(top, v, out=top)
            p -= lr * (m / (np.sqrt(v) + eps))


class AdamW(Adam):
    """Adam with weight decay decoupled from the gradient: p *= 1 - lr * weight_decay, then Adam.

    Loshchilov and Hutter, "Decoupled weight decay regularization" (arXiv:1711.05101).

    >>> p = tg.tensor(1.0, requires_grad=True)
    >>> p.grad = tg.tensor(500.0)
    >>> optim.AdamW([p], lr=0.1, weight_decay=0.5).step()
    >>> p  # 1 * (1 - 0.05) - 0.1
    tensor(0.85, requires_grad=True)
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
