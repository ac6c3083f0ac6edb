"""From noise to data: one loop over falling t, and a table of ways to take one step.

Each sampler is a function (x_t, Step) -> x_u. They differ in how much fresh noise a step brings;
the network, its parameterisation and the process are the same to all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...backend import Generator, move
from ...ops import randn, where
from ...tape import no_grad
from ...tensor import Tensor
from .model import Diffusion
from .parameterisation import Prediction
from .process import Process, column

__all__ = [
    "SAMPLERS", "Step", "ancestral", "chain", "clip_x0", "ddim", "film", "heun", "renoise",
    "sample", "timesteps",
]  # fmt: skip


class Step(NamedTuple):
    """What a sampler has to go from t to u < t; u = 0 is the data."""

    model: Diffusion
    predict: Callable[[Tensor, int], Prediction]  # with labels, guidance and clipping applied
    noise: Callable[[], Tensor]  # a fresh N(0, I), shaped as x
    t: int
    u: int
    variance: str | None
    eta: float


def ancestral(x: Tensor, step: Step) -> Tensor:
    """x_u ~ N(mean of q(x_u | x_t, x_0 = prediction), variance): DDPM. No noise at u = 0.

    x: (B, ...) -> the same shape. Ho et al. 2020 (arXiv:2006.11239).
    """
    p = step.predict(x, step.t)
    mean = step.model.process.posterior(p.x0, x, step.t, step.u).mean
    if step.u == 0:
        return mean
    log_variance = step.model.reverse_log_variance(p, x, step.t, step.u, step.variance)
    out: Tensor = mean + (0.5 * log_variance).exp() * step.noise()
    return out


def ddim(x: Tensor, step: Step) -> Tensor:
    """x_u = a_u x_0 + sqrt(s_u^2 - sigma^2) eps + sigma noise, sigma = eta sqrt(beta-tilde).

    eta = 0 is deterministic, eta = 1 is `ancestral` with variance "small" (Song et al. 2021,
    arXiv:2010.02502).
    """
    p = step.predict(x, step.t)
    process = step.model.process
    sigma2 = step.eta**2 * process.posterior_variance(step.t, step.u)
    kept = np.sqrt(np.square(process.s[step.u]) - sigma2)
    out = float(process.a[step.u]) * p.x0 + float(kept) * p.eps
    return out + float(np.sqrt(sigma2)) * step.noise() if sigma2 > 0 else out


def heun(x: Tensor, step: Step) -> Tensor:
    """The probability-flow ODE by Heun's rule, two looks a step, in the angle phi = atan(s / a).

    x / sqrt(a^2 + s^2) = cos(phi) x_0 + sin(phi) eps moves at the speed cos(phi) eps - sin(phi) x_0
    (v of VP). In phi, and not in s / a as in Karras et al. 2022 (arXiv:2206.00364), equal steps of
    t are about equal steps. Following the first look alone is `ddim` with eta = 0, as is the last
    step, to s = 0.
    """
    process, t, u = step.model.process, step.t, step.u
    p = step.predict(x, t)
    there = float(process.a[u]) * p.x0 + float(process.s[u]) * p.eps
    if u == 0:
        return there
    angle, size = np.arctan2(process.s, process.a), np.hypot(process.a, process.s)
    speed = 0.5 * (_speed(p, angle[t]) + _speed(step.predict(there, u), angle[u]))
    return float(size[u]) * (x / float(size[t]) + float(angle[u] - angle[t]) * speed)


def _speed(p: Prediction, angle: float) -> Tensor:
    return float(np.cos(angle)) * p.eps - float(np.sin(angle)) * p.x0


def renoise(x: Tensor, step: Step) -> Tensor:
    """A wrong turn, kept to be looked at: predict x_0 and noise it again, x_u ~ q(x_u | x_0).

    Lecture notes print it. It draws from q(x_u | prediction) and not from
    q(x_u | x_t, prediction): what x_t knew beyond its mean is thrown away in every step, and even
    a perfect network loses half of the variance of N(0, 1) data.
    """
    p = step.predict(x, step.t)
    mean, variance = step.model.process.q(p.x0, step.u)
    return mean if step.u == 0 else mean + variance.sqrt() * step.noise()


SAMPLERS: dict[str, Callable[[Tensor, Step], Tensor]] = {
    "ancestral": ancestral,
    "ddim": ddim,
    "heun": heun,
    "renoise": renoise,
}


# --- predictions kept in range --------------------------------------------------------------------


def clip_x0(
    p: Prediction, x: Tensor, t: int, model: Diffusion, quantile: float | None
) -> Prediction:
    """x_0 into [-1, 1], and eps such that x_t = a x_0 + s eps still holds; both shaped as x.

    quantile = None cuts it off. A quantile q is dynamic thresholding (Saharia et al. 2022,
    arXiv:2205.11487): with c the q-quantile of |x_0| in each picture, at least 1, x_0 is cut to
    [-c, c] and divided by c.
    """
    if quantile is None:
        x0 = p.x0.clamp(-1.0, 1.0)
    else:
        size = np.abs(move(p.x0._array, "cpu")).reshape(len(x), -1)
        c = column(np.maximum(np.quantile(size, quantile, axis=1), 1.0), x)
        x0 = (p.x0 / c).clamp(-1.0, 1.0)
    a, s = model.process.level(t, x)
    return p._replace(x0=x0, eps=(x - a * x0) / s)


# --- the loop -------------------------------------------------------------------------------------


def timesteps(T: int, steps: int | None = None) -> list[int]:
    """T = t_0 > t_1 > .. > t_steps = 0, evenly spread and rounded.

    steps: all T unless given; ValueError unless 1 <= steps <= T.

    >>> from tinygen.models.diffusion import timesteps
    >>> timesteps(1000, 4), timesteps(3)
    ([1000, 750, 500, 250, 0], [3, 2, 1, 0])
    """
    steps = T if steps is None else steps
    if not 1 <= steps <= T:
        raise ValueError(f"expected 1 <= steps <= T = {T}, got {steps} sampler steps")
    return [int(t) for t in np.rint(np.linspace(T, 0, steps + 1))]


def film(
    process: Process, path: Sequence[tuple[int, Tensor]], n: int = 40
) -> list[tuple[int, Tensor]]:
    """n of a chain's (t, x_t), first to last, the root of the share of noise falling evenly.

    The share in x_t is s_t / sqrt(a_t^2 + s_t^2): a quarter of it is left in the middle of the
    film. Frames at equal steps of t would show hardly anything but noise. Where the chain is
    coarser than the film a step stays for some frames.
    """
    share = np.sqrt(process.s / np.hypot(process.a, process.s))[[t for t, _ in path]]
    return [path[int(abs(share - level).argmin())] for level in np.linspace(share[0], share[-1], n)]


def chain(
    model: Diffusion,
    shape: tuple[int, ...],
    sampler: str = "ancestral",
    steps: int | None = None,
    *,
    eta: float = 0.0,
    variance: str | None = None,
    labels: Any = None,
    guidance: float = 1.0,
    clip: bool | None = None,
    threshold: float | None = None,
    known: tuple[Tensor, Tensor] | None = None,
    resample: int = 1,
    start: Tensor | None = None,
    generator: Generator | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """(T, x_T), (t_1, x), .. (0, x_0): the reverse chain of `shape` = (B, ...), step by step.

    sampler: a key of SAMPLERS. steps: how many of the T to take (all unless given).
    eta: of ddim. variance: of ancestral, the model's own unless given.
    labels, guidance: (B,) integers or one, and how much to make of them (`Diffusion.predict`).
    clip: predictions of x_0 cut to [-1, 1] (default: if the model is `bounded`); threshold: by
        this quantile instead (`clip_x0`).
    known = (mask, x): pixels where mask is 1 are known to be x's: they are put into every x_u at
        its noise level; each step is taken `resample` times, noised again in between, so that the
        rest can agree with them (Lugmayr et al. 2022).
    start: x_T, drawn from the prior unless given.

    ValueError for a sampler that is not in the table and for options out of range.

    >>> import tinygen as tg
    >>> model = tg.models.build("diffusion_2d", {"hidden": 8, "T": 4})
    >>> [(t, x.shape) for t, x in tg.models.diffusion.chain(model, (5, 2), "heun", steps=2)]
    [(4, (5, 2)), (2, (5, 2)), (0, (5, 2))]
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"no sampler is called {sampler!r}; there are {', '.join(SAMPLERS)}")
    if (
        resample < 1
        or not 0.0 <= eta <= 1.0
        or not 0.0 < (1.0 if threshold is None else threshold) <= 1.0
    ):
        raise ValueError(
            "expected resample >= 1, 0 <= eta <= 1 and 0 < threshold <= 1, "
            f"got {resample}, {eta} and {threshold}"
        )
    if start is not None and start.shape != tuple(shape):
        raise ValueError(f"expected a start of shape {tuple(shape)}, got {start.shape}")
    like = next(iter(model.parameters()), None) if start is None else start
    where_to = {} if like is None else {"dtype": like.dtype, "device": like.device}
    times = timesteps(model.process.T, steps)
    x = model.process.prior(shape, generator, **where_to) if start is None else start
    clip = model.bounded if clip is None else clip

    def noise() -> Tensor:
        return randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)

    def predict(x: Tensor, t: int) -> Prediction:
        p = model.predict(x, t, labels, guidance)
        return clip_x0(p, x, t, model, threshold) if clip or threshold is not None else p

    def go(x: Tensor, t: int, u: int) -> Tensor:
        step = Step(model, predict, noise, t, u, variance, eta)
        for again in range(resample if known else 1):
            if again:
                mean, added = model.process.forward(x, t, u)
                x = mean + added.sqrt() * noise()
            x = SAMPLERS[sampler](x, step)
            x = _put_known(x, known, model, u, noise) if known else x
        return x

    def frames() -> Iterator[tuple[int, Tensor]]:
        nonlocal x
        yield times[0], x
        for t, u in zip(times[:-1], times[1:], strict=True):
            with no_grad():
                x = go(x, t, u)
            yield u, x

    return frames()


def _put_known(
    x: Tensor, known: tuple[Tensor, Tensor], model: Diffusion, u: int, noise: Callable[[], Tensor]
) -> Tensor:
    mask, picture = known
    mean, variance = model.process.q(picture, u)
    out: Tensor = where(mask > 0, mean + variance.sqrt() * noise() if u else picture, x)
    return out


def sample(model: Diffusion, shape: tuple[int, ...], *args: Any, **options: Any) -> Tensor:
    """x_0 (B, ...) at the end of `chain(model, shape, ...)`, which takes the options.

    >>> import tinygen as tg
    >>> model = tg.models.build("diffusion_2d", {"hidden": 8, "T": 4})
    >>> [tg.models.diffusion.sample(model, (5, 2), name).shape for name in ("ancestral", "ddim")]
    [(5, 2), (5, 2)]
    """
    *_, (_, x) = chain(model, shape, *args, **options)
    return x
