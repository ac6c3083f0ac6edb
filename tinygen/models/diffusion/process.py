"""The fixed half of a diffusion model: how data turns into noise, and how one step is undone.

    q(x_t | x_0) = N(a_t x_0, s_t^2 I),     t = 1 .. T;   a_0 = 1, s_0 = 0

is all there is to a process: how much signal a_t is left and how much noise s_t has come. Two
families:

    variance-preserving (VP)  a_t^2 = alpha-bar_t = prod (1 - beta_i),  s_t^2 = 1 - alpha-bar_t
    variance-exploding (VE)   a_t = 1,  s_t = sigma_t rises far above the data

From u to a later t the chain scales by r = a_t / a_u and adds noise of variance
v = s_t^2 - r^2 s_u^2; everything below is written in r and v, so it holds for both families and
for strides t - u > 1. VP: Ho et al. 2020, "Denoising Diffusion Probabilistic Models". VE: Song and
Ermon 2019, and the hierarchical VAE with a fixed encoder.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...backend import Array, Generator, move
from ...ops import randint, randn
from ...tensor import Tensor, wrap

__all__ = [
    "Normal", "Process", "SCHEDULES", "Steps", "VE", "VP", "column", "cosine", "equal",
    "geometric", "linear_betas", "linear_scaled", "schedule",
]  # fmt: skip

Steps = Any  # one integer t for the whole batch, or (B,) integers, one for each example


class Normal(NamedTuple):
    """N(mean, variance I): the mean as x is shaped, the variance as (B, 1, ..., 1)."""

    mean: Tensor
    variance: Tensor


class Process:
    """a_1 .. a_T and s_1 .. s_T, as float64 arrays of T + 1 numbers that begin at t = 0.

    prior_std: of p(x_T) = N(0, prior_std^2 I), where sampling begins.
    Raises ValueError unless T >= 2, all is finite and positive, and every step adds noise.
    Warns when the signal is still to be seen at t = T (SNR_T > 0.02 for data of variance 1):
    sampling then begins somewhere the chain never ends.

    >>> import tinygen as tg
    >>> process, x = tg.models.diffusion.VP([0.5, 0.5, 0.999]), tg.ones(3, 2)
    >>> mean, variance = process.q(x, t=2)             # alpha-bar_2 = 1/4
    >>> mean[0].tolist(), round(variance.item(), 6)
    ([0.5, 0.5], 0.75)
    >>> round(float(process.posterior_variance(2, 1)), 6)      # beta_2 (1 - 1/2) / (1 - 1/4)
    0.333333
    """

    def __init__(self, a: Any, s: Any, prior_std: float, name: str) -> None:
        self.a = np.concatenate([[1.0], np.asarray(a, np.float64)])
        self.s = np.concatenate([[0.0], np.asarray(s, np.float64)])
        self.T, self.prior_std, self.name = len(self.a) - 1, prior_std, name
        if not (np.diff(self.s / self.a) > 0).all():
            raise ValueError(f"{name}: the noise-to-signal ratio s_t / a_t must rise in every step")
        if self.snr(self.T) > 0.02:
            warnings.warn(
                f"{self!r}: x_T still shows the data, but sampling begins at N(0, "
                f"{prior_std:.3g}^2); take more or larger steps, or schedule='cosine'",
                stacklevel=3,
            )

    def __repr__(self) -> str:
        """Its name, T, and what of the signal is left at T."""
        return (
            f"{self.name}, T = {self.T}: alpha-bar_T = {self.a[-1] ** 2:.3g}, "
            f"s_T = {self.s[-1]:.3g}, SNR_T = {self.snr(self.T):.3g}"
        )

    # --- numbers: float64 arrays, shaped as t --------------------------------------------------

    def snr(self, t: Any) -> Any:
        """Signal-to-noise ratio a_t^2 / s_t^2 of data of variance 1; infinite at t = 0."""
        with np.errstate(divide="ignore"):
            return np.square(self.a[t]) / np.square(self.s[t])

    def between(self, t: Any, u: Any) -> tuple[Any, Any]:
        """(r, v) of q(x_t | x_u) = N(r x_u, v I), u < t; float64, shaped as t."""
        r = self.a[t] / self.a[u]
        return r, np.square(self.s[t]) - np.square(r * self.s[u])

    def posterior_variance(self, t: Any, u: Any) -> Any:
        """v s_u^2 / s_t^2, the variance of q(x_u | x_t, x_0); DDPM's beta-tilde_t for u = t - 1."""
        return self.between(t, u)[1] * np.square(self.s[u] / self.s[t])

    def steps(self, t: Steps, low: int = 1) -> Any:
        """t as an integer or an array of them on the host; ValueError unless all are in low..T."""
        t = move(t._array, "cpu") if isinstance(t, Tensor) else np.asarray(t)
        if t.dtype.kind not in "iu" or t.ndim > 1:
            raise ValueError(
                f"t must be an integer or (B,) integers, got {t.dtype} of shape {t.shape}"
            )
        if t.size and (t.min() < low or t.max() > self.T):
            raise ValueError(
                f"t must be in {low}..{self.T} for {self.name}, got {t.min()}..{t.max()}"
            )
        return t

    def draw_steps(self, n: int, generator: Generator | None = None) -> Tensor:
        """n steps, uniform on 1 .. T: (n,) int64."""
        return randint(1, self.T + 1, (n,), generator=generator)

    # --- laws of x: Tensors ----------------------------------------------------------------------

    def level(self, t: Steps, x: Tensor) -> tuple[Tensor, Tensor]:
        """(a_t, s_t), to be multiplied with x: (B, 1, ..., 1), or (1, ..., 1) for one t."""
        t = self.steps(t, low=0)
        return column(self.a[t], x), column(self.s[t], x)

    def q(self, x0: Tensor, t: Steps) -> Normal:
        """q(x_t | x_0) = N(a_t x_0, s_t^2 I) in one step; ValueError unless t is in 0..T."""
        a, s = self.level(t, x0)
        return Normal(a * x0, s.square())

    def diffuse(self, x0: Tensor, t: Steps, eps: Tensor) -> Tensor:
        """x_t = a_t x_0 + s_t eps, shaped as x_0."""
        a, s = self.level(t, x0)
        return a * x0 + s * eps

    def forward(self, x: Tensor, t: Steps, u: Steps) -> Normal:
        """q(x_t | x_u) for u < t, else ValueError."""
        t, u = self._pair(t, u)
        r, v = self.between(t, u)
        return Normal(column(r, x) * x, column(v, x))

    def posterior(self, x0: Tensor, x: Tensor, t: Steps, u: Steps) -> Normal:
        """q(x_u | x_t, x_0) for u < t: what a perfect denoiser would draw the next x from.

        mean = (r s_u^2 x_t + a_u v x_0) / s_t^2,   variance = v s_u^2 / s_t^2
        """
        t, u = self._pair(t, u)
        r, v = self.between(t, u)
        noise = np.square(self.s[t])
        of_x, of_x0 = r * np.square(self.s[u]) / noise, self.a[u] * v / noise
        mean = column(of_x, x) * x + column(of_x0, x) * x0
        return Normal(mean, column(self.posterior_variance(t, u), x))

    def prior(
        self, shape: tuple[int, ...], generator: Generator | None = None, dtype: Any = None,
        device: Any = None,
    ) -> Tensor:  # fmt: skip
        """A draw of x_T ~ N(0, prior_std^2 I), of this shape."""
        return self.prior_std * randn(*shape, generator=generator, dtype=dtype, device=device)

    def _pair(self, t: Steps, u: Steps) -> tuple[Any, Any]:
        t, u = self.steps(t), self.steps(u, low=0)
        if not (u < t).all():
            raise ValueError(f"expected u < t, got t = {t}, u = {u}")
        return t, u


def column(values: Any, x: Tensor) -> Tensor:
    """Numbers (B,), or one number, as a Tensor (B, 1, ..., 1) of x's dtype, on x's device."""
    array: Array = np.asarray(values).astype(x.dtype)
    return wrap(move(array.reshape((-1,) + (1,) * (x.ndim - 1)), x.device))


class VP(Process):
    """The variance-preserving chain x_t = sqrt(1 - beta_t) x_{t-1} + sqrt(beta_t) eps.

    betas: beta_1 .. beta_T, each in (0, 1), else ValueError. Ho et al. 2020 (arXiv:2006.11239).

    >>> import tinygen as tg
    >>> tg.models.diffusion.VP([0.5, 0.5, 0.999]).alphas_bar.round(6).tolist()
    [1.0, 0.5, 0.25, 0.00025]
    """

    def __init__(self, betas: Any, name: str = "VP") -> None:
        betas = _numbers(betas, "beta", name)
        if not ((betas > 0) & (betas < 1)).all():
            wrong = int(np.argmin((betas > 0) & (betas < 1)))
            raise ValueError(
                f"{name}: beta must be in (0, 1), got beta_{wrong + 1} = {betas[wrong]:g}"
            )
        self.betas = betas
        log_alpha_bar = np.cumsum(np.log1p(-betas))
        super().__init__(np.exp(0.5 * log_alpha_bar), np.sqrt(-np.expm1(log_alpha_bar)), 1.0, name)

    @property
    def alphas_bar(self) -> np.ndarray[Any, Any]:
        """alpha-bar_0 = 1, alpha-bar_1, .., alpha-bar_T: (T + 1,) float64."""
        squares: np.ndarray[Any, Any] = np.square(self.a)
        return squares


class VE(Process):
    """The variance-exploding chain x_t = x_{t-1} + sqrt(sigma_t^2 - sigma_{t-1}^2) eps.

    sigmas: sigma_1 < .. < sigma_T, the standard deviation of all noise up to t, else ValueError.
    data_variance is what the prior adds to sigma_T^2. Song and Ermon 2019 (arXiv:1907.05600).

    >>> import tinygen as tg
    >>> process = tg.models.diffusion.VE([3.0, 5.0, 20.0])
    >>> process.between(2, 1)[1].item(), process.prior_std     # 25 - 9
    (16.0, 20.0)
    """

    def __init__(self, sigmas: Any, name: str = "VE", data_variance: float = 0.0) -> None:
        sigmas = _numbers(sigmas, "sigma", name)
        if not (np.diff(sigmas, prepend=0.0) > 0).all():
            raise ValueError(f"{name}: expected 0 < sigma_1 < sigma_2 < ..., got {sigmas}")
        prior_std = math.sqrt(sigmas[-1] ** 2 + data_variance)
        super().__init__(np.ones_like(sigmas), sigmas, prior_std, name)


def _numbers(values: Any, what: str, name: str) -> np.ndarray[Any, Any]:
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or len(numbers) < 2:
        raise ValueError(
            f"{name}: expected {what}_1 .. {what}_T with T >= 2, got shape {numbers.shape}"
        )
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name}: {what} must be finite, got {numbers}")
    return numbers


# --- schedules ----------------------------------------------------------------------------------


def linear_betas(
    T: int, start: float = 1e-4, end: float = 0.02, reference: int | None = None
) -> VP:
    """beta_t rises in equal steps from `start` to `end` (Ho et al. 2020, for T = 1000).

    With fewer steps the same betas leave signal (alpha-bar_50 = 0.603): reference=1000 makes
    them reference / T times larger, at most 0.999, so that the chain ends about where it should.

    >>> import tinygen as tg
    >>> tg.models.diffusion.linear_betas(1000)
    VP linear, T = 1000: alpha-bar_T = 4.04e-05, s_T = 1, SNR_T = 4.04e-05
    """
    betas = np.linspace(start, end, _length(T)) * (reference / T if reference else 1.0)
    return VP(np.minimum(betas, 0.999) if reference else betas, "VP linear")


def cosine(T: int, offset: float = 0.008, max_beta: float = 0.999, shift: float = 1.0) -> VP:
    """alpha-bar_t = f(t) / f(0), f(t) = cos^2(pi/2 (t/T + offset) / (1 + offset)).

    Nichol and Dhariwal 2021 (arXiv:2102.09672); beta is cut at max_beta, or alpha-bar_T would be 0.
    shift: a / s is `shift` times as large, so that below 1 more of the steps have much noise: for
    data that much noise leaves readable (Hoogeboom et al. 2023, arXiv:2301.11093, section 3.1);
    ValueError unless it is a number above 0.

    >>> import tinygen as tg
    >>> tg.models.diffusion.cosine(2, offset=0.0).alphas_bar.round(4).tolist()
    [1.0, 0.5, 0.0005]
    """
    if not 0.0 < shift < math.inf:
        raise ValueError(f"cosine: expected a shift above 0, got {shift}")
    angle = (np.arange(_length(T) + 1) / T + offset) / (1 + offset) * np.pi / 2
    signal, noise = np.square(shift * np.cos(angle)), np.square(np.sin(angle))
    f = signal / (signal + noise)
    name = "VP cosine" if shift == 1.0 else f"VP cosine, shifted by {shift:g}"
    return VP(np.minimum(1 - f[1:] / f[:-1], max_beta), name)


def geometric(
    T: int, sigma_min: float = 0.01, sigma_max: float = 10.0, data_variance: float = 0.0
) -> VE:
    """sigma_t rises by equal factors from sigma_min to sigma_max (Song and Ermon 2019).

    >>> import tinygen as tg
    >>> tg.models.diffusion.geometric(3, sigma_min=0.1, sigma_max=10.0).s.round(6).tolist()
    [0.0, 0.1, 1.0, 10.0]
    """
    return VE(np.geomspace(sigma_min, sigma_max, _length(T)), "VE geometric", data_variance)


def equal(T: int, sigma_max: float = 10.0, data_variance: float = 0.0) -> VE:
    """sigma_t^2 = sigma_max^2 t / T: equal noise in each step, which lecture notes call linear.

    >>> import tinygen as tg
    >>> (tg.models.diffusion.equal(4).s ** 2).round(6).tolist()
    [0.0, 25.0, 50.0, 75.0, 100.0]
    """
    t = np.arange(1, _length(T) + 1)
    return VE(sigma_max * np.sqrt(t / T), "VE equal increments", data_variance)


def linear_scaled(T: int) -> VP:
    """`linear_betas` with reference=1000: for T other than 1000.

    >>> import tinygen as tg
    >>> tg.models.diffusion.linear_scaled(50)
    VP linear, T = 50: alpha-bar_T = 7.74e-06, s_T = 1, SNR_T = 7.74e-06
    """
    return linear_betas(T, reference=1000)


def _length(T: int) -> int:
    if not isinstance(T, (int, np.integer)) or T < 2:
        raise ValueError(f"a schedule needs T >= 2 steps, got T = {T}")
    return int(T)


SCHEDULES: dict[str, Callable[[int], Process]] = {
    "linear": linear_betas,
    "linear_scaled": linear_scaled,
    "cosine": cosine,
    "geometric": geometric,
    "equal": equal,
}


def schedule(name: str, T: int) -> Process:
    """The process of T steps with the schedule called `name`, a key of SCHEDULES, else ValueError.

    >>> import tinygen as tg
    >>> tg.models.diffusion.schedule("geometric", 2).s.tolist()
    [0.0, 0.01, 10.0]
    """
    if name not in SCHEDULES:
        raise ValueError(f"no schedule is called {name!r}; there are {', '.join(SCHEDULES)}")
    return SCHEDULES[name](T)
