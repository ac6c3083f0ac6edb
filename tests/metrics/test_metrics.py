"""Metrics against closed forms: the discrete likelihood, the MSE's optimum, SSIM's properties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import metrics
from tinygen.models import likelihoods
from tinygen.testing import check_grads


def uniform(*shape: int, seed: int = 0) -> tg.Tensor:
    return tg.rand(*shape, generator=tg.Generator().manual_seed(seed), dtype=tg.float64)


# --- bits per dimension and dequantisation -------------------------------------------------------


def test_bits_per_dim_of_a_fair_coin_and_of_uniform_bytes() -> None:
    assert metrics.bits_per_dim(-64 * math.log(0.5), 64) == pytest.approx(1.0)
    assert metrics.bits_per_dim(0.0, 3, levels=256) == pytest.approx(8.0)  # density 1 on [0, 1)^3
    nats = tg.tensor([3 * math.log(256.0), 0.0])
    assert metrics.bits_per_dim(nats, 3).tolist() == pytest.approx([8.0, 0.0])


@given(st.integers(2, 17), st.integers(0, 1000))
def test_dequantising_a_histogram_gives_its_discrete_probability(levels: int, seed: int) -> None:
    """A density that is constant on each grey value's cell: Jensen's gap is 0."""
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(levels))
    x = rng.integers(0, levels, (50, 3)).astype(np.uint8)
    u = likelihoods.dequantise(tg.tensor(x), levels - 1).numpy()
    assert (u >= 0).all() and (u < 1).all() and (np.floor(u * levels) == x).mean() > 0.999
    log_density = np.log(p[x] * levels).sum(1).mean()
    discrete = -np.log2(p[x]).sum(1).mean() / 3
    assert metrics.bits_per_dim(-log_density, 3, levels) == pytest.approx(discrete)


def test_dequantisation_is_a_bound() -> None:
    """x in 0..15, p = N(0.5, 0.05^2): E_u log p((x+u)/16) - log 16 <= log P(x), and not equal."""
    x = tg.tensor(np.arange(4, 12, dtype=np.uint8)).unsqueeze(1)
    mean, log_var = tg.tensor([0.5]).double(), tg.tensor(np.array([2 * math.log(0.05)]))
    u = likelihoods.dequantise(x.repeat(4000, 1), 15).double()
    bound = likelihoods.gaussian_log_prob(u, mean, log_var).reshape(4000, 8).mean(0).numpy()
    edges = np.array([math.erf((i / 16 - 0.5) / (0.05 * math.sqrt(2))) / 2 for i in range(4, 13)])
    gap = np.log(np.diff(edges)) - (bound - math.log(16))
    assert (gap > 0.02).all()
    error = metrics.bits_per_dim(-bound[0], 1, 16) + np.log2(np.diff(edges))[0]
    assert error == pytest.approx(gap[0] / math.log(2))


# --- PSNR: another scale, not another loss --------------------------------------------------------


@given(st.integers(0, 1000))
def test_psnr_orders_reconstructions_as_mse_does(seed: int) -> None:
    x, noise = uniform(1, 1, 4, 4, seed=seed), uniform(9, 1, 4, 4, seed=seed + 1) - 0.5
    y = x + noise * uniform(9, 1, 1, 1, seed=seed + 2)
    psnr = metrics.psnr(y, x.expand(9, 1, 4, 4)).numpy()
    mse = (y - x).square().flatten(1).mean(1).numpy()
    assert np.array_equal(np.argsort(-psnr), np.argsort(mse))
    assert np.allclose(psnr, -10 * np.log10(mse))


def test_psnr_and_mse_have_one_optimum_and_one_direction() -> None:
    """The best constant for two pictures: the argmin of each one's own loss; gradients parallel."""
    x = uniform(1, 1, 3, 3)
    grid = tg.linspace(0, 1, 1001, dtype=tg.float64).reshape(-1, 1, 1, 1).expand(1001, 1, 3, 3)
    wide = x.expand(1001, 1, 3, 3)
    mse = (grid - wide).square().flatten(1).mean(1)
    assert metrics.psnr(grid, wide).argmax().item() == mse.argmin().item()
    y = uniform(1, 1, 3, 3, seed=1).requires_grad_()
    (one,) = tg.autograd.grad(-metrics.psnr(y, x).sum(), y)
    (two,) = tg.autograd.grad((y - x).square().mean(), y)
    ratio = (one / two).numpy()
    assert np.allclose(ratio, ratio.flat[0]) and ratio.flat[0] > 0


# --- SSIM -----------------------------------------------------------------------------------------


@given(st.integers(1, 3), st.integers(3, 14), st.integers(3, 14), st.integers(0, 1000))
def test_ssim_is_symmetric_bounded_and_one_for_equal(c: int, h: int, w: int, seed: int) -> None:
    x, y = uniform(2, c, h, w, seed=seed), uniform(2, c, h, w, seed=seed + 1)
    there, back = metrics.ssim(y, x).numpy(), metrics.ssim(x, y).numpy()
    assert np.allclose(there, back) and (np.abs(there) <= 1).all() and (there < 0.999).all()
    assert np.allclose(metrics.ssim(x, x).numpy(), 1.0)
    scaled = metrics.ssim(255 * y, 255 * x, data_range=255.0).numpy()
    assert np.allclose(scaled, there)  # units do not matter


def test_ssim_of_one_window_by_hand() -> None:
    x, y = uniform(1, 1, 3, 3).numpy(), uniform(1, 1, 3, 3, seed=1).numpy()
    row = np.exp(-0.5 * (np.arange(-1, 2) / 1.5) ** 2)
    w = np.outer(row, row) / row.sum() ** 2
    mx, my = (w * x).sum(), (w * y).sum()
    vx, vy, cov = (
        (w * (x - mx) ** 2).sum(),
        (w * (y - my) ** 2).sum(),
        (w * (x - mx) * (y - my)).sum(),
    )
    c1, c2 = 1e-4, 9e-4
    wanted = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert metrics.ssim(tg.tensor(y), tg.tensor(x)).item() == pytest.approx(wanted)


def test_ssim_prefers_contrast_where_mse_prefers_blur() -> None:
    """A brighter copy of a texture against a flat grey of the same MSE: SSIM sees the texture."""
    x = 0.5 + 0.2 * tg.tensor(np.indices((16, 16)).sum(0) % 2 * 2.0 - 1.0).reshape(1, 1, 16, 16)
    flat, brighter = tg.full_like(x, 0.5), x + 0.2
    assert metrics.psnr(flat, x).item() == pytest.approx(metrics.psnr(brighter, x).item())
    assert metrics.ssim(brighter, x).item() > metrics.ssim(flat, x).item() + 0.5


def test_ssim_takes_a_negative_for_the_picture() -> None:
    """What its docstring warns of, and why a decoder trained with it ends in a sigmoid."""
    x = uniform(2, 1, 12, 12)
    assert (metrics.ssim(-x, x) > 0.95).all()


def test_gradients_and_dtypes() -> None:
    x, y = uniform(2, 1, 5, 5), uniform(2, 1, 5, 5, seed=1)
    check_grads(metrics.ssim, y, x)
    check_grads(metrics.psnr, y, x)
    assert metrics.ssim(y.float(), x.float()).dtype == tg.float32


# --- codes --------------------------------------------------------------------------------------


def test_active_units_counts_what_moves() -> None:
    mu = tg.tensor(np.random.default_rng(0).standard_normal((500, 4)) * [1.0, 0.5, 0.01, 0.0])
    assert metrics.active_units(mu) == 2
    assert metrics.active_units(mu, threshold=1e-6) == 3


def test_mean_and_error_covers_the_mean() -> None:
    draws = [
        metrics.mean_and_error(np.random.default_rng(s).standard_normal(50)) for s in range(400)
    ]
    assert 0.9 < np.mean([abs(m) < 2 * e for m, e in draws]) < 0.99


def test_rate_and_distortion_add_up_to_minus_the_elbo() -> None:
    rate, distortion = metrics.rate_distortion(3.0, -20.0)
    assert rate + distortion == 23.0


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="dims >= 1 and levels >= 2, got 0, 1"):
        metrics.bits_per_dim(0.0, 0, 1)
    with pytest.raises(ValueError, match="same shape"):
        metrics.psnr(tg.ones(1, 2), tg.ones(1, 3))
    with pytest.raises(ValueError, match="data_range > 0"):
        metrics.psnr(tg.ones(1, 2), tg.ones(1, 2), 0.0)
    with pytest.raises(ValueError, match=r"\(N >= 2, latent\), got \(1, 2\)"):
        metrics.active_units(tg.ones(1, 2))
    with pytest.raises(TypeError, match="uint8 pixels, got float32"):
        likelihoods.dequantise(tg.ones(2))
    with pytest.raises(ValueError, match="above the maximum, 16"):
        likelihoods.dequantise(tg.tensor(np.array([17], np.uint8)), 16)
    with pytest.raises(ValueError, match="at least two numbers"):
        metrics.mean_and_error([1.0])
