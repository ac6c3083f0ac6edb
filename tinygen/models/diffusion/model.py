"""The learned half: a network under a parameterisation, on a process; its losses."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ... import nn
from ...backend import Array, Generator, move
from ...ops import cat, rand, randn, where
from ...tensor import Tensor, wrap
from .conditions import Labels
from .parameterisation import Prediction, check_kind, loss_weight, prediction, target
from .process import Process, Steps, column

__all__ = ["Diffusion", "Net", "VARIANCES"]

VARIANCES = ("small", "large", "learned")
Net = Callable[..., Any]
Condition = Callable[[Any, Tensor], Tensor]


class Diffusion(nn.Module):
    """A reverse chain p(x_u | x_t) = N(posterior mean at the predicted x_0, variance).

    net: (x, time) -> as x, or (x, time, told) of a conditional model; time (B,) is 1000 t / T.
    predicts: what the network's output is, one of KINDS.
    variance: of the reverse step: "small" is the posterior's (beta-tilde), "large" the forward
        step's (beta), the two bounds on the true one for data of variance 0 and 1; "learned" takes
        a second half of output channels as the place between their logarithms (Nichol and
        Dhariwal 2021).
    classes: labels are 0 .. classes - 1, and `classes` itself stands for "no label"; or
    condition: another thing that the network is told (`conditions`); "labels" are then such.
    drop: the share of labels that `loss` replaces by "nothing", for classifier-free guidance.
    bounded: the data lies in [-1, 1], as images do: checked, and used by samplers that clip.

    >>> import tinygen as tg
    >>> process, net = tg.models.diffusion.cosine(4), tg.models.nets.TimeMLP(dims=2, hidden=8)
    >>> model = tg.models.diffusion.Diffusion(process, net, predicts="v")
    >>> x = tg.randn(5, 2)
    >>> model.loss(x).shape, model.predict(x, 3).x0.shape
    ((), (5, 2))
    """

    levels: Tensor

    def __init__(
        self,
        process: Process,
        net: Net,
        predicts: str = "eps",
        variance: str = "small",
        classes: int = 0,
        drop: float = 0.1,
        bounded: bool = False,
        condition: Condition | None = None,
    ) -> None:
        super().__init__()
        if variance not in VARIANCES:
            raise ValueError(
                f"no variance is called {variance!r}; there are {', '.join(VARIANCES)}"
            )
        if classes < 0 or not 0 <= drop < 1:
            raise ValueError(f"expected classes >= 0 and drop in [0, 1), got {classes} and {drop}")
        self.process, self.net, self.predicts = process, net, check_kind(predicts)
        self.variance, self.classes, self.drop, self.bounded = variance, classes, drop, bounded
        self.condition = condition or (Labels(classes) if classes else None)
        self.register_buffer("levels", wrap(np.stack([process.a, process.s])))
        self._warned = False

    # --- prediction -----------------------------------------------------------------------------

    def predict(self, x: Tensor, t: Steps, labels: Any = None, guidance: float = 1.0) -> Prediction:
        """x_0 and eps as the network sees them in x = x_t.

        guidance = g answers none + g (label - none) (Ho and Salimans 2022, their w is g - 1):
        1 is the plain conditional model, 0 the unconditional one, more exaggerates the label. A
        learned variance is that of the conditional model, whatever g.
        """
        out, fraction = self.output(x, t, labels, guidance)
        a, s = self.process.level(t, x)
        return prediction(self.predicts, out, x, a, s)._replace(fraction=fraction)

    def output(
        self, x: Tensor, t: Steps, labels: Any = None, guidance: float = 1.0
    ) -> tuple[Tensor, Tensor | None]:
        """The network's word as it is, as x is shaped, and the place of a learned log-variance.

        RuntimeError for a network that makes another shape, ValueError for labels of an
        unconditional model and guidance without labels.
        """
        steps = np.broadcast_to(self.process.steps(t), x.shape[:1])
        time = wrap(move((steps * (1000.0 / self.process.T)).astype(x.dtype), x.device))
        self._check_labels(labels, guidance)
        if self.condition is None:
            return self._parts(self.net(x, time), x)
        told = self.told(labels, x)
        if guidance == 1.0:
            return self._parts(self.net(x, time, told), x)
        told = cat([told, self.told(None, x)])
        both = self.net(cat([x, x]), cat([time, time]), told).chunk(2)
        (labelled, place), (plain, _) = (self._parts(half, x) for half in both)
        return plain + guidance * (labelled - plain), place

    def told(self, labels: Any, x: Tensor) -> Tensor:
        """What a conditional network gets for a batch x: labels, checked; None for "nothing"."""
        assert self.condition is not None
        return self.condition(labels, x)

    def _parts(self, out: Tensor, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """The network's word and, of a learned variance, its place: 0 "small", 1 "large"."""
        learned = self.variance == "learned"
        if out.shape != ((len(x), 2 * x.shape[1], *x.shape[2:]) if learned else x.shape):
            raise RuntimeError(
                f"Diffusion: the network made {out.shape} of x with shape {x.shape}"
                + ("; a learned variance needs twice the channels" if learned else "")
            )
        if not learned:
            return out, None
        word, place = out.chunk(2, dim=1)
        return word, 0.5 * (place + 1.0)

    def _check_labels(self, labels: Any, guidance: float) -> None:
        if guidance != 1.0 and (self.condition is None or labels is None):
            what = "labels" if self.condition else "a conditional model (classes > 0)"
            raise ValueError(f"guidance = {guidance:g} needs {what}")
        if labels is not None and self.condition is None:
            raise ValueError("got labels, but the model is not conditional (classes = 0)")

    # --- the reverse step -------------------------------------------------------------------------

    def reverse_log_variance(
        self, p: Prediction, x: Tensor, t: Steps, u: Steps, variance: str | None = None
    ) -> Tensor:
        """log of the variance of p(x_u | x_t); at u = 0 "small" takes that of p(x_1 | x_2).

        (B, 1, ..., 1), or as x where it is learned. ValueError for "learned" of a model that is
        not.
        """
        t, u = self.process.steps(t), self.process.steps(u, low=0)
        large = column(np.log(self.process.between(t, u)[1]), x)
        first = u == 0
        posterior = self.process.posterior_variance(np.where(first, 2, t), np.where(first, 1, u))
        small = column(np.log(posterior), x)
        match variance or self.variance:
            case "large":
                return large
            case "small":
                return small
            case _ if p.fraction is not None:
                return p.fraction * large + (1.0 - p.fraction) * small
        raise ValueError("variance 'learned' needs a model made with variance='learned'")

    # --- losses -----------------------------------------------------------------------------------

    def errors(
        self, x0: Tensor, t: Steps, eps: Tensor, labels: Any = None, weight: str = "simple"
    ) -> Tensor:
        """w_t |target - network|^2 of x_t = a_t x_0 + s_t eps, mean over dimensions: (B,).

        x0, eps: (B, ...); t: one integer or (B,) of them; weight: one of WEIGHTS (`loss_weight`).
        """
        a, s = self.process.level(t, x0)
        x = a * x0 + s * eps
        difference = target(self.predicts, x0, eps, a, s) - self.output(x, t, labels)[0]
        w = column(loss_weight(weight, self.predicts, self.process, t), x0)
        errors: Tensor = (w * difference.square()).flatten(1).mean(1)
        return errors

    def loss(
        self,
        x0: Tensor,
        labels: Any = None,
        weight: str = "simple",
        generator: Generator | None = None,
    ) -> Tensor:
        """The mean of `errors` over the batch, with t uniform on 1..T and eps ~ N(0, I) drawn here.

        x0: (B, ...) -> a scalar. weight: see `loss_weight`. Labels (B,) are dropped with
        probability `drop`.
        """
        self.check_range(x0)
        t = self.process.draw_steps(len(x0), generator)
        eps = randn(x0.shape, generator=generator, dtype=x0.dtype, device=x0.device)
        if labels is not None and self.condition is not None:
            labels = self.drop_labels(self.told(labels, x0), generator)
        loss: Tensor = self.errors(x0, t, eps, labels, weight).mean()
        return loss

    def drop_labels(self, told: Tensor, generator: Generator | None = None) -> Tensor:
        """What the network is told (B, ...) with a share `drop` of it replaced by "nothing"."""
        dropped = rand((len(told),), generator=generator, device=told.device) < self.drop
        dropped = dropped.reshape(-1, *[1] * (told.ndim - 1))
        out: Tensor = where(dropped, self.told(None, told), told)
        return out

    def check_range(self, x0: Tensor) -> None:
        """Warn once if a model of bounded data sees other data."""
        if not self.bounded or self._warned or not x0.numel():
            return
        self._warned = x0.is_cuda  # there only the first batch is looked at: looking is waiting
        low, high = float(x0._array.min()), float(x0._array.max())
        if low < -1.001 or high > 1.001:
            self._warned = True
            warnings.warn(
                f"Diffusion: the data lies in {low:.3g}..{high:.3g}, not in [-1, 1]; scale images "
                "with data.to_symmetric, or make the model with bounded=False",
                stacklevel=3,
            )

    # --- checkpoints --------------------------------------------------------------------------

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """As nn.Module's; RuntimeError if the checkpoint was trained on another schedule."""
        if "levels" in state_dict:
            levels = state_dict["levels"]
            array = move(levels._array, "cpu") if isinstance(levels, Tensor) else np.asarray(levels)
            if array.shape != self.levels.shape or not np.allclose(
                array, self._tables(), rtol=1e-4
            ):
                raise RuntimeError(
                    f"the checkpoint was trained with another schedule: T = {array.shape[-1] - 1}, "
                    f"alpha-bar_T = {array[0, -1] ** 2:.3g}, s_T = {array[1, -1]:.3g}; this "
                    f"model has {self.process!r}"
                )
        return super().load_state_dict(state_dict, strict, assign)

    def _tables(self) -> Array:
        return np.stack([self.process.a, self.process.s])
