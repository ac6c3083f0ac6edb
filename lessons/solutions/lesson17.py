"""Lesson 17: right answers to the exercises, by more than one route, and plausible wrong ones."""

import math

import numpy as np

import tinygen as tg


def ancestral_step(xt, eps_hat, t, betas, noise):
    """Ho et al.'s form of the mean, and beta-tilde."""
    bar = np.concatenate([[1.0], np.cumprod(1 - betas)])
    mean = (xt - betas[t - 1] / np.sqrt(1 - bar[t]) * eps_hat) / np.sqrt(1 - betas[t - 1])
    return mean + np.sqrt(betas[t - 1] * (1 - bar[t - 1]) / (1 - bar[t])) * noise


def ancestral_by_x0(xt, eps_hat, t, betas, noise):
    """By way of the guess of x_0 and q(x_{t-1} | x_t, x_0), as (17.10) with eta = 1."""
    bar = np.concatenate([[1.0], np.cumprod(1 - betas)])
    x0 = (xt - np.sqrt(1 - bar[t]) * eps_hat) / np.sqrt(bar[t])
    variance = betas[t - 1] * (1 - bar[t - 1]) / (1 - bar[t])
    kept = np.sqrt(max(1 - bar[t - 1] - variance, 0.0))
    return np.sqrt(bar[t - 1]) * x0 + kept * eps_hat + np.sqrt(variance) * noise


def ancestral_noisy_end(xt, eps_hat, t, betas, noise):
    """Wrong: variance beta_t, at t = 1 too."""
    return ancestral_step(xt, eps_hat, t, betas, 0.0 * noise) + np.sqrt(betas[t - 1]) * noise


def ancestral_large(xt, eps_hat, t, betas, noise):
    """Wrong: variance beta_t, none at the end."""
    return ancestral_noisy_end(xt, eps_hat, t, betas, noise if t > 1 else 0.0 * noise)


def ancestral_off_by_one(xt, eps_hat, t, betas, noise):
    """Wrong: betas[t] taken for beta_t."""
    bar = np.cumprod(1 - betas)
    mean = (xt - betas[t] / np.sqrt(1 - bar[t]) * eps_hat) / np.sqrt(1 - betas[t])
    return mean + np.sqrt(betas[t] * (1 - bar[t - 1]) / (1 - bar[t])) * noise * (t > 1)


def ddim_jump(xt, eps_hat, bar_t, bar_u):
    """Guess x_0, mix again."""
    x0 = (xt - np.sqrt(1 - bar_t) * eps_hat) / np.sqrt(bar_t)
    return np.sqrt(bar_u) * x0 + np.sqrt(1 - bar_u) * eps_hat


def ddim_by_euler(xt, eps_hat, bar_t, bar_u):
    """An Euler step of the flow in x / a, as a Tensor."""
    rho_t, rho_u = math.sqrt((1 - bar_t) / bar_t), math.sqrt((1 - bar_u) / bar_u)
    return tg.tensor(math.sqrt(bar_u) * (xt / math.sqrt(bar_t) + (rho_u - rho_t) * eps_hat))


def ddim_without_noise(xt, eps_hat, bar_t, bar_u):
    """Wrong: the noise is not put back."""
    return np.sqrt(bar_u) * (xt - np.sqrt(1 - bar_t) * eps_hat) / np.sqrt(bar_t)


def ddim_without_scale(xt, eps_hat, bar_t, bar_u):
    """Wrong: x_0 not divided by a_t."""
    return np.sqrt(bar_u) * (xt - np.sqrt(1 - bar_t) * eps_hat) + np.sqrt(1 - bar_u) * eps_hat


def ddim_of_variances(xt, eps_hat, bar_t, bar_u):
    """Wrong: variances where standard deviations belong."""
    return bar_u * (xt - (1 - bar_t) * eps_hat) / bar_t + (1 - bar_u) * eps_hat


def ema(values, decay):
    """(17.7), update by update."""
    average = values[0]
    for i, value in enumerate(values[1:], 1):
        d = min(decay, i / (i + 9))
        average = d * average + (1 - d) * value
    return average


def ema_by_shares(values, decay):
    """The right side of (17.7)."""
    d = np.minimum(decay, np.arange(1, len(values)) / (np.arange(1, len(values)) + 9))
    later = np.append(np.cumprod(d[::-1])[::-1], 1.0)  # product of the decays from j on
    return later[0] * values[0] + ((1 - d) * later[1:] * values[1:]).sum()


def ema_without_warmup(values, decay):
    """Wrong: the constant decay throughout."""
    average = values[0]
    for value in values[1:]:
        average = decay * average + (1 - decay) * value
    return average


def ema_from_zero(values, decay):
    """Wrong: counts from 0 and so forgets the beginning."""
    average = values[0]
    for i, value in enumerate(values[1:]):
        d = min(decay, i / (i + 9))
        average = d * average + (1 - d) * value
    return average


def ema_always_warm(values, decay):
    """Wrong: max for min."""
    average = values[0]
    for i, value in enumerate(values[1:], 1):
        d = i / (i + 9)
        average = d * average + (1 - d) * value
    return average


def memory_eps(xt, points, alpha_bar_t):
    """Weights by a softmax of squared distances."""
    a, s = np.sqrt(alpha_bar_t), np.sqrt(1 - alpha_bar_t)
    logs = -0.5 * ((xt[:, None] - a * points) ** 2).sum(2) / s**2
    shares = np.exp(logs - logs.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    return (xt - a * (shares @ points)) / s


def memory_by_score(xt, points, alpha_bar_t):
    """-s times the gradient of log q(x_t), by autograd."""
    a, s = np.sqrt(alpha_bar_t), np.sqrt(1 - alpha_bar_t)
    x = tg.tensor(np.asarray(xt, np.float64), requires_grad=True)
    apart = (x[:, None] - tg.tensor(a * points)).square().sum(2)
    (score,) = tg.autograd.grad((-0.5 * apart / s**2).logsumexp(1).sum(), [x])
    return -s * score


def memory_of_nearest(xt, points, alpha_bar_t):
    """Wrong: the nearest point alone."""
    a, s = np.sqrt(alpha_bar_t), np.sqrt(1 - alpha_bar_t)
    nearest = ((xt[:, None] - a * points) ** 2).sum(2).argmin(1)
    return (xt - a * points[nearest]) / s


def memory_of_mean(xt, points, alpha_bar_t):
    """Wrong: all points have equal shares."""
    a, s = np.sqrt(alpha_bar_t), np.sqrt(1 - alpha_bar_t)
    return (xt - a * points.mean(0)) / s


def memory_that_underflows(xt, points, alpha_bar_t):
    """Wrong: 0 / 0 far from all points."""
    a, s = np.sqrt(alpha_bar_t), np.sqrt(1 - alpha_bar_t)
    shares = np.exp(-0.5 * ((xt[:, None] - a * points) ** 2).sum(2) / s**2)
    with np.errstate(invalid="ignore"):
        shares = shares / shares.sum(1, keepdims=True)
    return (xt - a * (shares @ points)) / s


def bits(nats, dims, levels):
    """Mass = density times the cell's width, in each dimension."""
    return nats / (dims * math.log(2)) - math.log2(2 / (levels - 1))


def bits_by_mass(nats, dims, levels):
    """The mass of the image's cell, in nats, then in bits."""
    return (nats - dims * np.log(2.0) + dims * np.log(levels - 1.0)) / dims / np.log(2.0)


def bits_of_density(nats, dims, levels):
    """Wrong: no width."""
    return nats / (dims * math.log(2))


def bits_of_wrong_sign(nats, dims, levels):
    """Wrong: the width on the wrong side."""
    return nats / (dims * math.log(2)) + math.log2(2 / (levels - 1))


def bits_of_unit_range(nats, dims, levels):
    """Wrong: the cells of data in [0, 1]."""
    return nats / (dims * math.log(2)) + math.log2(levels)


def bits_of_too_many_gaps(nats, dims, levels):
    """Wrong: as many gaps as grey levels."""
    return nats / (dims * math.log(2)) - math.log2(2 / levels)


RIGHT = {
    "17.1": [ancestral_step, ancestral_by_x0],
    "17.2": [ddim_jump, ddim_by_euler],
    "17.3": [ema, ema_by_shares],
    "17.4": [memory_eps, memory_by_score],
    "17.5": [bits, bits_by_mass],
}
WRONG = {
    "17.1": [ancestral_noisy_end, ancestral_large, ancestral_off_by_one],
    "17.2": [ddim_without_noise, ddim_without_scale, ddim_of_variances],
    "17.3": [ema_without_warmup, ema_from_zero, ema_always_warm],
    "17.4": [memory_of_nearest, memory_of_mean, memory_that_underflows],
    "17.5": [bits_of_density, bits_of_wrong_sign, bits_of_unit_range, bits_of_too_many_gaps],
}
