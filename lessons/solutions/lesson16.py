"""Lesson 16: right answers to the exercises, by more than one route, and plausible wrong ones."""

import numpy as np

import tinygen as tg


def alpha_bar(betas):
    """The product of the alphas so far, 1 before the first."""
    return np.concatenate([[1.0], np.cumprod(1 - np.asarray(betas))])


def alpha_bar_in_logs(betas):
    """Sums of logarithms, as a Tensor."""
    return tg.tensor(np.exp(np.concatenate([[0.0], np.cumsum(np.log1p(-np.asarray(betas)))])))


def alpha_bar_without_t0(betas):
    """Wrong: T numbers; t = 0 is missing."""
    return np.cumprod(1 - np.asarray(betas))


def alpha_bar_of_signal(betas):
    """Wrong: the share of the size, not of the variance."""
    return np.sqrt(alpha_bar(betas))


def alpha_bar_of_noise(betas):
    """Wrong: the product of the betas."""
    return np.concatenate([[1.0], np.cumprod(betas)])


def posterior_stride(x0, xt, bar_u, bar_t):
    """(16.11) and (16.12) with alpha = bar_t / bar_u."""
    alpha = bar_t / bar_u
    of_xt = np.sqrt(alpha) * (1 - bar_u) / (1 - bar_t)
    of_x0 = np.sqrt(bar_u) * (1 - alpha) / (1 - bar_t)
    return of_xt * xt + of_x0 * x0, (1 - alpha) * (1 - bar_u) / (1 - bar_t)


def posterior_by_regression(x0, xt, bar_u, bar_t):
    """The joint Gaussian of (x_u, x_t) given x_0, conditioned on x_t."""
    cov, var_t = np.sqrt(bar_t / bar_u) * (1 - bar_u), 1 - bar_t
    mean = np.sqrt(bar_u) * x0 + cov / var_t * (xt - np.sqrt(bar_t) * x0)
    return mean, 1 - bar_u - cov**2 / var_t


def posterior_by_precision(x0, xt, bar_u, bar_t):
    """(16.10): precisions add, and each mean counts by its own."""
    alpha = bar_t / bar_u
    of_xt, of_x0 = alpha / (1 - alpha), 1 / (1 - bar_u)
    mean = (of_xt * xt / np.sqrt(alpha) + of_x0 * np.sqrt(bar_u) * x0) / (of_xt + of_x0)
    return mean, 1 / (of_xt + of_x0)


def posterior_renoised(x0, xt, bar_u, bar_t):
    """Wrong: q(x_u | x_0), the slide's."""
    return np.sqrt(bar_u) * x0, 1 - bar_u


def posterior_of_one_step(x0, xt, bar_u, bar_t):
    """Wrong: alpha-bar_t in the place of the stride's alpha."""
    of_xt = np.sqrt(bar_t) * (1 - bar_u) / (1 - bar_t)
    of_x0 = np.sqrt(bar_u) * (1 - bar_t) / (1 - bar_t)
    return of_xt * xt + of_x0 * x0, (1 - bar_t) * (1 - bar_u) / (1 - bar_t)


def posterior_large(x0, xt, bar_u, bar_t):
    """Wrong: the forward variance of the stride."""
    return posterior_stride(x0, xt, bar_u, bar_t)[0], 1 - bar_t / bar_u


def betas_from_snr(snr):
    """alpha-bar = SNR / (1 + SNR), then ratios of neighbours."""
    bar = np.concatenate([[1.0], snr / (1 + snr)])
    return 1 - bar[1:] / bar[:-1]


def betas_by_ve(snr):
    """By way of the VE chain: beta_t = alpha-bar_t times the increment of sigma^2."""
    sigma2 = 1 / np.asarray(snr)
    return np.diff(sigma2, prepend=0.0) / (1 + sigma2)


def betas_from_bar_alone(snr):
    """Wrong: 1 - alpha-bar_t, the noise of all steps."""
    return 1 / (1 + snr)


def betas_of_ratio(snr):
    """Wrong: ratios of the SNR itself."""
    return 1 - snr / np.concatenate([[snr[0] * 2], snr[:-1]])


def score_from_v(v, xt, alpha_bar_t):
    """epsilon = s x_t + a v; score = -epsilon / s."""
    a, s = np.sqrt(alpha_bar_t), np.sqrt(1 - alpha_bar_t)
    return -(s * xt + a * v) / s


def score_by_x0(v, xt, alpha_bar_t):
    """x_0 = a x_t - s v; score = -(x_t - a x_0) / s^2."""
    a, s = np.sqrt(alpha_bar_t), np.sqrt(1 - alpha_bar_t)
    return tg.tensor(-(xt - a * (a * xt - s * v)) / s**2)


def score_of_wrong_sign(v, xt, alpha_bar_t):
    """Wrong: epsilon / s."""
    return -score_from_v(v, xt, alpha_bar_t)


def score_without_scale(v, xt, alpha_bar_t):
    """Wrong: -epsilon."""
    return score_from_v(v, xt, alpha_bar_t) * np.sqrt(1 - alpha_bar_t)


def score_of_v(v, xt, alpha_bar_t):
    """Wrong: v taken for epsilon."""
    return -v / np.sqrt(1 - alpha_bar_t)


def step_back(xt, x0_hat, sigma_t, sigma_u, noise):
    """(16.26)."""
    part = sigma_u**2 / sigma_t**2
    return x0_hat + part * (xt - x0_hat) + np.sqrt(part * (sigma_t**2 - sigma_u**2)) * noise


def step_back_by_precision(xt, x0_hat, sigma_t, sigma_u, noise):
    """Precisions add: 1 / sigma_u^2 of the guess, 1 / (sigma_t^2 - sigma_u^2) of x_t."""
    if sigma_u == 0:
        return x0_hat
    of_guess, of_xt = 1 / sigma_u**2, 1 / (sigma_t**2 - sigma_u**2)
    mean = (of_guess * x0_hat + of_xt * xt) / (of_guess + of_xt)
    return mean + noise / np.sqrt(of_guess + of_xt)


def step_back_that_divides(xt, x0_hat, sigma_t, sigma_u, noise):
    """Wrong at the end only: precisions that divide by sigma_u = 0."""
    of_guess, of_xt = 1 / sigma_u**2, 1 / (sigma_t**2 - sigma_u**2)
    mean = (of_guess * x0_hat + of_xt * xt) / (of_guess + of_xt)
    return mean + noise / np.sqrt(of_guess + of_xt)


def step_of_the_slide(xt, x0_hat, sigma_t, sigma_u, noise):
    """Wrong: noise the guess again."""
    return x0_hat + sigma_u * noise


def step_without_noise(xt, x0_hat, sigma_t, sigma_u, noise):
    """Wrong: the mean alone."""
    return x0_hat + sigma_u**2 / sigma_t**2 * (xt - x0_hat)


def step_with_forward_noise(xt, x0_hat, sigma_t, sigma_u, noise):
    """Wrong: the forward step's variance, even at the end."""
    return step_without_noise(xt, x0_hat, sigma_t, sigma_u, noise) + noise * np.sqrt(
        sigma_t**2 - sigma_u**2
    )


def posterior_mean_alone(x0, xt, bar_u, bar_t):
    """Wrong: no variance."""
    return posterior_stride(x0, xt, bar_u, bar_t)[0]


RIGHT = {
    "16.1": [alpha_bar, alpha_bar_in_logs],
    "16.2": [posterior_stride, posterior_by_regression, posterior_by_precision],
    "16.3": [betas_from_snr, betas_by_ve],
    "16.4": [score_from_v, score_by_x0],
    "16.5": [step_back, step_back_by_precision],
}
WRONG = {
    "16.1": [alpha_bar_without_t0, alpha_bar_of_signal, alpha_bar_of_noise],
    "16.2": [posterior_renoised, posterior_of_one_step, posterior_large, posterior_mean_alone],
    "16.3": [betas_from_bar_alone, betas_of_ratio],
    "16.4": [score_of_wrong_sign, score_without_scale, score_of_v],
    "16.5": [
        step_back_that_divides,
        step_of_the_slide,
        step_without_noise,
        step_with_forward_noise,
    ],
}
