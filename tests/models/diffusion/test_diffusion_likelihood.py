"""The bound of a diffusion model: against the ELBO of the whole chain, and as a bound."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen.models import diffusion as D
from tinygen.models import nets
from tinygen.models.diffusion.likelihood import prior_term
from tinygen.models.likelihoods import kl_gaussians
from tinygen.testing import check_grads

pytestmark = pytest.mark.filterwarnings("ignore:.*x_T still shows the data")
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(4)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def normal(*shape: int, seed: int = 0) -> tg.Tensor:
    return tg.randn(*shape, generator=tg.Generator().manual_seed(seed), dtype=tg.float64)


class Gains(tg.nn.Module):
    """x_0 = gain_t x_t: a linear network, so that the whole chain is one Gaussian."""

    def __init__(self, gains: np.ndarray) -> None:
        super().__init__()
        self.gains = gains

    def forward(self, x: tg.Tensor, time: tg.Tensor) -> tg.Tensor:
        t = np.rint(time.numpy() * len(self.gains) / 1000).astype(int)
        return x * tg.tensor(self.gains[t - 1][:, None], dtype=x.dtype)


def terms_exactly(model: D.Diffusion, x0: tg.Tensor) -> list[float]:
    """The step terms t = 1 .. T at one x_0 (1, 1): quadratic in eps, so quadrature is exact."""
    return [
        sum(
            w * D.step_term(model, x0, t, x0 * 0 + node).item()
            for node, w in zip(NODES, WEIGHTS, strict=True)
        )
        for t in range(1, model.process.T + 1)
    ]


def log_normal(mean_square: float, variance: float) -> float:
    return -0.5 * (math.log(2 * math.pi * variance) + mean_square / variance)


@given(st.integers(0, 200), st.sampled_from(["small", "large"]), st.integers(2, 6))
def test_the_terms_sum_to_the_elbo_of_the_chain(seed: int, variance: str, T: int) -> None:
    """E_q[log p(x_0 .. x_T)] + H(q(x_1 .. x_T | x_0)), from the covariance of the whole chain."""
    rng = np.random.default_rng(seed)
    process = D.VP(rng.uniform(0.05, 0.6, T)) if seed % 2 else D.VE(rng.uniform(0.2, 1, T).cumsum())
    model = D.Diffusion(process, Gains(rng.uniform(-1, 1, T)), "x0", variance)
    a, s, x0 = process.a, process.s, float(rng.normal())

    cov = np.array([[s[min(i, j)] ** 2 * a[max(i, j)] / a[min(i, j)] for j in range(T + 1)]
                    for i in range(T + 1)])  # fmt: skip
    mean = a * x0
    elbo = 0.5 * np.linalg.slogdet(2 * np.pi * math.e * cov[1:, 1:])[1]
    elbo += log_normal(mean[T] ** 2 + cov[T, T], process.prior_std**2)
    density = process.prior_std**2  # variance of x_t under p, down to x_0
    for t in range(T, 0, -1):
        u = t - 1
        r, v = a[t] / a[u], s[t] ** 2 - (a[t] / a[u] * s[u]) ** 2
        g = r * s[u] ** 2 / s[t] ** 2 + a[u] * v / s[t] ** 2 * model.net.gains[t - 1]
        first = max(t, 2)
        r1 = a[first] / a[first - 1]
        small = (s[first] ** 2 - (r1 * s[first - 1]) ** 2) * s[first - 1] ** 2 / s[first] ** 2
        noise = v if variance == "large" else small
        spread = cov[u, u] - 2 * g * cov[u, t] + g * g * cov[t, t]
        elbo += log_normal((mean[u] - g * mean[t]) ** 2 + spread, noise)
        density = g * g * density + noise

    x = tg.tensor([[x0]], dtype=tg.float64)
    total = prior_term(model, x).item() + sum(terms_exactly(model, x))
    assert total == pytest.approx(-elbo, rel=1e-8, abs=1e-8)
    assert total >= -log_normal(x0**2, density) - 1e-9  # and it bounds -log p(x_0)


def test_the_bound_closes_with_more_steps() -> None:
    """N(0, 0.5^2) data and the perfect denoiser: the mean gap to -log p falls like 1 / T."""
    gaps = []
    for T in (8, 24, 72):
        process = D.linear_scaled(T)
        net = D.ExactDenoiser(process, tg.zeros(1, 1, dtype=tg.float64), 0.5)
        model = D.Diffusion(process, net, "x0", "large")
        gap = 0.0
        for node, w in zip(NODES, WEIGHTS, strict=True):
            x = tg.tensor([[0.5 * node]], dtype=tg.float64)
            total = prior_term(model, x).item() + sum(terms_exactly(model, x))
            gap += w * (total + log_normal((0.5 * node) ** 2, 0.25))
        gaps.append(gap)
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2] > 0
    assert gaps[2] < 0.1


def test_gaussian_kl_is_the_mean_log_ratio() -> None:
    mean1, log1, mean2, log2 = (normal(1, 3, seed=k) for k in range(4))
    z = mean1 + (0.5 * log1).exp() * normal(100_000, 3, seed=9)
    log_q = -0.5 * (log1 + (z - mean1).square() / log1.exp())
    log_p = -0.5 * (log2 + (z - mean2).square() / log2.exp())
    sampled = (log_q - log_p).sum(1).mean().item()
    assert kl_gaussians(mean1, log1, mean2, log2).item() == pytest.approx(sampled, rel=0.03)


# --- the discretised decoder ------------------------------------------------------------------


@given(st.integers(2, 40), st.floats(-1.5, 1.5), st.floats(-9, 2))
def test_discretised_masses_sum_to_one(levels: int, mean: float, log_var: float) -> None:
    x = tg.linspace(-1, 1, levels, dtype=tg.float64).reshape(-1, 1)
    masses = D.discretised_log_prob(x, x * 0 + mean, x * 0 + log_var, levels).exp()
    assert masses.sum().item() == pytest.approx(1.0, abs=1e-9)


def test_discretised_mass_is_the_integral_of_the_density() -> None:
    x, mean, log_var = 0.25, 0.1, math.log(0.04)  # a cell of 9 levels: 0.125 .. 0.375
    fine = np.linspace(0.125, 0.375, 20_001)
    density = np.exp(-0.5 * (math.log(2 * math.pi) + log_var + (fine - mean) ** 2 / 0.04))
    expected = math.log(np.trapezoid(density, fine))
    got = D.discretised_log_prob(*(tg.tensor([[v]]).double() for v in (x, mean, log_var)), 9)
    assert got.item() == pytest.approx(expected, abs=1e-6)


def test_far_out_it_stays_a_finite_lower_bound_with_a_slope() -> None:
    mean = tg.tensor([[0.9]], requires_grad=True)
    log_p = D.discretised_log_prob(tg.tensor([[-0.5]]), mean, tg.tensor([[-6.0]]), 9)
    log_p.sum().backward()
    assert -1000 < log_p.item() < -100 and mean.grad.item() < -10


def test_discretised_to_second_order() -> None:
    x = tg.tensor([[-1.0, 0.0, 0.5], [1.0, -0.5, 0.0]]).double()
    check_grads(lambda m, v: D.discretised_log_prob(x.to(m.dtype), m, v, 5),
                0.5 * normal(2, 3), normal(2, 3, seed=1) - 1)  # fmt: skip


def test_the_bound_of_discrete_data_is_one() -> None:
    """Three equally likely grey values and the perfect denoiser: -ELBO is near log 3 for each.

    The masses e^ELBO sum to 1 at most, or it would be no bound.
    """
    process, means = D.cosine(60), tg.tensor([[-1.0], [0.0], [1.0]]).double()
    model = D.Diffusion(process, D.ExactDenoiser(process, means, 0.0), "x0", "small")
    terms = D.vlb(model, means.repeat(2000, 1), levels=3)
    assert terms.steps.shape == (6000, 59) and (terms.steps.numpy() > -1e-9).all()
    nats = terms.total.reshape(2000, 3).mean(0).numpy()
    assert np.exp(-nats).sum() <= 1.0
    assert nats == pytest.approx(np.full(3, math.log(3)), abs=0.2)


# --- losses on the bound ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", D.KINDS)
def test_weight_vlb_is_the_bound(kind: str) -> None:
    """T terms of weight 'vlb' have the bound's value (t >= 2), and its slope at t = 1."""
    net = nets.TimeMLP(3, 8).double()
    tg.nn.init.normal_(net.last.weight)
    model, t = D.Diffusion(D.cosine(7), net, kind), tg.arange(1, 8)
    x0, eps = normal(7, 3), normal(7, 3, seed=1)
    terms = D.step_term(model, x0, t, eps)
    errors = model.errors(x0, t, eps, weight="vlb") * 3 / 7
    assert np.allclose(terms.detach().numpy()[1:], errors.detach().numpy()[1:], rtol=1e-8)
    slopes = [
        tg.autograd.grad(f[0], net.last.weight, retain_graph=True)[0].numpy()
        for f in (terms, errors)
    ]
    assert np.allclose(slopes[0], slopes[1], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("variance", D.VARIANCES)
@pytest.mark.parametrize("levels", [None, 5])
def test_step_terms_to_second_order(variance: str, levels: int | None) -> None:
    net = nets.TimeMLP(2, 4, 1, out=4 if variance == "learned" else 2)
    tg.nn.init.normal_(net.last.weight, 0.0, 0.3)
    model = D.Diffusion(D.cosine(5), net, "v", variance)
    x0, t, eps = tg.tensor([[0.0, 0.5], [-1.0, 1.0]]).double(), tg.tensor([1, 3]), normal(2, 2)
    f = lambda e: D.step_term(model, x0.to(e.dtype), t, e, levels=levels)  # noqa: E731
    check_grads(f, eps, params=list(net.parameters()), float32=False, atol=1e-4, rtol=1e-4)


def test_a_learned_variance_finds_its_place() -> None:
    """Points (std 0) need "small", which is exact for them; N(0, 1) data needs "large"."""
    process, t = D.cosine(10), 2
    for std, expected in ((0.0, 0.0), (1.0, 1.0)):
        net = nets.TimeMLP(1, 16, 1, out=2)
        model = D.Diffusion(process, net, "v", "learned")
        opt = tg.optim.Adam(net.parameters(), 1e-2)
        for _ in range(300):
            loss = D.step_term(model, std * tg.randn(128, 1), t, tg.randn(128, 1)).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
        seen = process.diffuse(std * tg.randn(200, 1), t, tg.randn(200, 1))
        fraction = model.predict(seen, t).fraction
        assert fraction is not None
        assert fraction.mean().item() == pytest.approx(expected, abs=0.15), std


def test_the_hybrid_loss_teaches_the_mean_by_l_simple_alone() -> None:
    net = nets.TimeMLP(2, 8, out=4)
    model, x0, eps, t = D.Diffusion(D.cosine(5), net, variance="learned"), normal(4, 2).float(), \
        normal(4, 2, seed=1).float(), tg.tensor([1, 2, 3, 5])  # fmt: skip
    term = D.step_term(model, x0, t, eps, freeze_mean=True).sum()
    (slope,) = tg.autograd.grad(term, net.last.bias)
    assert np.array_equal(slope.numpy()[:2], [0, 0]) and (slope.numpy()[2:] != 0).all()
    with pytest.raises(ValueError, match="make it with variance='learned'"):
        D.hybrid_loss(D.Diffusion(D.cosine(5), net), x0)
    with pytest.raises(ValueError, match="levels >= 2, got 1"):
        D.discretised_log_prob(x0, x0, x0, 1)
