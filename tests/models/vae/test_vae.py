"""The VAE's bound is a bound: checked where log p(x) is known in closed form."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import nn
from tinygen.models import likelihoods, nets, vae
from tinygen.testing import check_grads


def normal(*shape: int, seed: int = 0) -> tg.Tensor:
    return tg.randn(*shape, generator=tg.Generator().manual_seed(seed), dtype=tg.float64)


# --- densities ------------------------------------------------------------------------------


def test_gaussian_log_prob_integrates_to_one() -> None:
    x = tg.linspace(-30, 30, 60001, dtype=tg.float64).reshape(-1, 1)
    density = likelihoods.gaussian_log_prob(
        x, tg.full((1,), 0.7, dtype=tg.float64), math.log(2.3)
    ).exp()
    assert density.sum().item() * 1e-3 == pytest.approx(1.0, abs=1e-10)


def test_bernoulli_log_prob_sums_to_one_over_all_pictures() -> None:
    pictures = tg.tensor([[(i >> k) & 1 for k in range(4)] for i in range(16)]).double()
    logits = normal(4)
    total = likelihoods.bernoulli_log_prob(pictures, logits.expand(16, 4)).exp().sum()
    assert total.item() == pytest.approx(1.0, abs=1e-12)


@given(st.integers(1, 5), st.integers(0, 10_000))
def test_kl_is_the_mean_log_ratio(latent: int, seed: int) -> None:
    generator = tg.Generator().manual_seed(seed)
    mu, log_var = (tg.randn(1, latent, generator=generator, dtype=tg.float64) for _ in range(2))
    n = 20_000
    z = likelihoods.reparameterise(mu.expand(n, latent), log_var.expand(n, latent), generator)
    ratio = likelihoods.gaussian_log_prob(z, mu, log_var) - likelihoods.gaussian_log_prob(
        z, z * 0, 0.0
    )
    error = ratio.std().item() / math.sqrt(n)
    kl = likelihoods.kl_to_standard_normal(mu, log_var).item()
    assert kl >= 0
    assert abs(ratio.mean().item() - kl) < 6 * error + 1e-12


def test_kl_is_zero_only_at_the_prior() -> None:
    zero = tg.zeros(2, 3, dtype=tg.float64)
    assert likelihoods.kl_to_standard_normal(zero, zero).tolist() == [0.0, 0.0]


def test_reparameterise_draws_with_the_right_spread() -> None:
    mu, log_var = tg.full((40_000, 2), 1.5), tg.full((40_000, 2), math.log(4.0))
    z = likelihoods.reparameterise(mu, log_var)
    assert np.allclose(z.mean(0).numpy(), 1.5, atol=0.05)
    assert np.allclose(z.std(0).numpy(), 2.0, atol=0.05)


@pytest.mark.parametrize("shape", [(2, 3), (2, 1, 2, 2)])
def test_losses_to_second_order(shape: tuple[int, ...]) -> None:
    x = tg.rand(*shape, dtype=tg.float64)
    check_grads(likelihoods.gaussian_log_prob, x, normal(*shape), normal(1, seed=1))
    check_grads(likelihoods.bernoulli_log_prob, x, normal(*shape))
    check_grads(likelihoods.kl_to_standard_normal, normal(3, 2), normal(3, 2, seed=2))


# --- the bound, on a linear-Gaussian model: x = W z + noise, p(x) and p(z|x) in closed form ----


class LinearGaussian:
    """x = W z + N(0, s2 I): p(x) = N(0, W W^T + s2 I), p(z|x) = N(A x, V)."""

    def __init__(self, pixels: int = 3, s2: float = 0.3) -> None:
        rng = np.random.default_rng(5)
        self.s2, self.pixels = s2, pixels
        self.w = rng.standard_normal((pixels, 1))
        self.v = 1.0 / (1.0 + (self.w**2).sum() / s2)  # one latent dimension: V is a number
        self.a = self.v * self.w.T / s2

    def log_p(self, x: np.ndarray) -> np.ndarray:
        cov = self.w @ self.w.T + self.s2 * np.eye(self.pixels)
        solved = np.linalg.solve(cov, x.T).T
        return -0.5 * ((x * solved).sum(1) + np.linalg.slogdet(2 * np.pi * cov)[1])

    def model(self, mu_shift: float = 0.0, log_var_shift: float = 0.0) -> vae.VAE:
        """The VAE whose decoder is the model and whose q is the posterior, shifted."""
        encoder, decoder = nn.Linear(self.pixels, 2), nn.Linear(1, self.pixels, bias=False)
        model = vae.VAE(encoder, decoder, likelihoods.Gaussian(self.s2), 1).double()
        with tg.no_grad():
            encoder.weight.copy_(tg.tensor(np.vstack([self.a, np.zeros_like(self.a)])))
            encoder.bias.copy_(tg.tensor(np.array([mu_shift, math.log(self.v) + log_var_shift])))
            decoder.weight.copy_(tg.tensor(self.w))
            model.likelihood.log_var.copy_(tg.tensor(np.array([math.log(self.s2)])))
        return model


def elbo_exactly(toy: LinearGaussian, model: vae.VAE, x: tg.Tensor) -> np.ndarray:
    """E_q by Gauss-Hermite quadrature, which is exact here: the integrand is quadratic in z."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    mu, log_var = model.encode(x)
    total = 0.0
    for node, weight in zip(nodes, weights / np.sqrt(2 * np.pi), strict=True):
        z = mu + (0.5 * log_var).exp() * node
        total = total + weight * model.likelihood.log_prob(x, model.decoder(z))
    return (total - likelihoods.kl_to_standard_normal(mu, log_var)).detach().numpy()


def test_elbo_at_the_exact_posterior_is_log_p() -> None:
    toy, x = LinearGaussian(), normal(6, 3)
    elbo = elbo_exactly(toy, toy.model(), x)
    assert np.allclose(elbo, toy.log_p(x.numpy()), atol=1e-10, rtol=0)


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_elbo_plus_kl_to_the_posterior_is_log_p(mu_shift: float, log_var_shift: float) -> None:
    toy, x = LinearGaussian(), normal(6, 3)
    elbo = elbo_exactly(toy, toy.model(mu_shift, log_var_shift), x)
    ratio = math.exp(log_var_shift)  # KL(N(m + d, r V) || N(m, V)) in one dimension
    gap = 0.5 * (ratio + mu_shift**2 / toy.v - 1.0 - log_var_shift)
    assert np.allclose(elbo + gap, toy.log_p(x.numpy()), atol=1e-10, rtol=0)


def test_forward_estimates_the_bound() -> None:
    toy, x = LinearGaussian(), normal(3, 3)
    model = toy.model(0.3, 0.4)
    draws = model(x.repeat(20_000, 1), reduce=False)
    means = draws.elbo.reshape(20_000, 3).mean(0).detach().numpy()
    assert np.allclose(means, elbo_exactly(toy, model, x), atol=0.05)
    assert np.allclose(
        (draws.log_likelihood - draws.kl).detach().numpy(), draws.elbo.detach().numpy()
    )
    assert model(x, beta=3.0).kl.item() == pytest.approx(draws.kl.mean().item())


def test_std_bug_breaks_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """sigma = e^log_var, a real bug of two libraries: the "lower bound" can exceed log p(x)."""
    monkeypatch.setattr(
        "tinygen.models.vae.vae.reparameterise",
        lambda mu, log_var, generator=None: mu + log_var.exp() * tg.randn_like(mu),
    )
    toy, x = LinearGaussian(), normal(4, 3)
    model = toy.model(0.0, 0.5)  # q too wide; its draws, by the bug, too narrow
    buggy = model(x.repeat(4000, 1), reduce=False).elbo.reshape(4000, 4).mean(0)
    assert (buggy.detach().numpy() > toy.log_p(x.numpy()) + 0.05).all()


def test_importance_bound_rises_to_log_p_and_stays_below() -> None:
    toy, x = LinearGaussian(), normal(4, 3)
    model, truth = toy.model(0.5, 0.7), toy.log_p(normal(4, 3).numpy()).mean()
    many = x.repeat(3000, 1)
    bounds = [model.log_prob(many, k).mean().item() for k in (1, 4, 32)]
    assert bounds[0] < bounds[1] < bounds[2] < truth + 0.01
    assert bounds[2] == pytest.approx(truth, abs=0.05)
    exact = toy.model().log_prob(x, 1).numpy()  # with the exact posterior, one draw is enough
    assert np.allclose(exact, toy.log_p(x.numpy()), atol=1e-10)


# --- networks and samplers --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "shape"), [("mlp", (1, 8, 8)), ("conv", (1, 8, 8)), ("conv", (3, 12, 16))]
)
def test_networks_fit_the_data(net: str, shape: tuple[int, ...]) -> None:
    model = vae.VAE(*nets.AUTOENCODERS[net](shape, 3), likelihoods.Bernoulli(), 3)
    x = likelihoods.binarise(tg.rand(5, *shape))
    terms = model(x)
    (-terms.elbo).backward()
    assert all(p.grad is not None and p.grad.dtype == tg.float32 for p in model.parameters())
    assert model.reconstruct(x).shape == x.shape
    assert model.sample(4).shape == (4, *shape)
    drawn = model.sample(4, noise=True)
    assert set(np.unique(drawn.numpy())) <= {0.0, 1.0}


def test_a_small_model_to_second_order() -> None:
    toy = LinearGaussian()
    model = toy.model(0.2, 0.1)
    x = normal(2, 3)
    seeded = lambda x: model(x, generator=tg.Generator().manual_seed(3)).elbo  # noqa: E731
    check_grads(seeded, x, params=list(model.parameters()), float32=False)


def test_learned_variance_finds_the_noise() -> None:
    likelihood = likelihoods.Gaussian(1.0, learn=True)
    x, opt = 0.3 * tg.randn(4000, 2), tg.optim.Adam(likelihood.parameters(), lr=0.05)
    for _ in range(300):
        loss = -likelihood.log_prob(x, tg.zeros_like(x)).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    assert likelihood.log_var.exp().item() == pytest.approx(0.09, rel=0.05)


def test_binarise_keeps_the_grey_value_on_average() -> None:
    x = tg.tensor([0.0, 0.25, 1.0]).expand(20_000, 3)
    assert np.allclose(likelihoods.binarise(x).mean(0).numpy(), [0.0, 0.25, 1.0], atol=0.02)


def test_output_bias_starts_at_the_mean_image() -> None:
    images = tg.rand(50, 1, 8, 8) * 0.5
    for net in nets.AUTOENCODERS.values():
        _, decoder = net((1, 8, 8), 2)
        nets.set_output_bias(decoder, images)
        bias = [m for m in decoder.modules() if isinstance(getattr(m, "bias", None), tg.Tensor)][
            -1
        ].bias
        expected = images.mean(0).flatten() if bias.numel() > 1 else images.mean().reshape(1)
        assert np.allclose(bias.sigmoid().detach().numpy(), expected.numpy(), atol=1e-5)


# --- bad input ------------------------------------------------------------------------------


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"latent >= 1, got 0"):
        nets.mlp_autoencoder((1, 8, 8), 0)
    with pytest.raises(ValueError, match=r"divisible by 4, got 10 x 10"):
        nets.conv_autoencoder((1, 10, 10), 2)
    with pytest.raises(ValueError, match=r"variance > 0, got 0"):
        likelihoods.Gaussian(0.0)
    model = vae.VAE(*nets.mlp_autoencoder((1, 4, 4), 2), likelihoods.Bernoulli(), 2)
    with pytest.raises(ValueError, match=r"pixels in \[0, 1\], got .*to_unit"):
        model(tg.rand(2, 1, 4, 4) * 3 - 1)
    with pytest.raises(ValueError, match="samples >= 1"):
        model.log_prob(tg.rand(2, 1, 4, 4), 0)
    with pytest.raises(RuntimeError, match=r"must return \(B, 6\).*returned \(2, 4\)"):
        vae.VAE(model.encoder, model.decoder, likelihoods.Bernoulli(), 3)(tg.rand(2, 1, 4, 4))
