"""Every bound on log p(x) is a bound, every estimator estimates what it says: closed forms."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import nn
from tinygen.models import likelihoods, nets, vae
from tinygen.models.vae import annealing, bounds, hierarchical
from tinygen.run import Run
from tinygen.testing import check_grads

S2 = 0.3  # the noise of x = W z + N(0, S2 I), z in two dimensions, x in four
W = np.random.default_rng(5).standard_normal((4, 2))
V = np.linalg.inv(np.eye(2) + W.T @ W / S2)  # posterior covariance, not diagonal


def normal(*shape: int, seed: int = 0) -> tg.Tensor:
    return tg.randn(*shape, generator=tg.Generator().manual_seed(seed), dtype=tg.float64)


def log_p(x: tg.Tensor) -> np.ndarray:
    cov = W @ W.T + S2 * np.eye(4)
    solved = np.linalg.solve(cov, x.numpy().T).T
    return -0.5 * ((x.numpy() * solved).sum(1) + np.linalg.slogdet(2 * np.pi * cov)[1])


def linear_gaussian(log_var: float = -1.0, shift: float = 0.2) -> vae.VAE:
    """The exact decoder; an encoder with the exact mean, shifted, and a diagonal covariance."""
    encoder, decoder = nn.Linear(4, 4), nn.Linear(2, 4, bias=False)
    model = vae.VAE(encoder, decoder, likelihoods.Gaussian(S2), 2).double()
    with tg.no_grad():
        encoder.weight.copy_(tg.tensor(np.vstack([V @ W.T / S2, np.zeros((2, 4))])))
        encoder.bias.copy_(tg.tensor(np.array([shift, -shift, log_var, log_var])))
        decoder.weight.copy_(tg.tensor(W))
        model.likelihood.log_var.copy_(tg.tensor(np.array([math.log(S2)])))
    return model


# --- importance weights -------------------------------------------------------------------------


def mean_bounds(model: vae.VAE, x: tg.Tensor, ks: tuple[int, ...], inverted: bool = False):
    """E of the bound for each k, and its standard error, from the same 2^14 weights an example."""
    log_w = model.log_weights(x, 2**14, tg.Generator().manual_seed(1)).detach()
    log_w = -log_w if inverted else log_w
    found = []
    for k in ks:
        values = bounds.iwae(log_w.reshape(k, -1)).reshape(-1, x.shape[0])
        values = -values if inverted else values
        found.append((values.mean().item(), values.std().item() / math.sqrt(values.numel())))
    return found


def test_iwae_bounds_rise_with_k_and_stay_below_log_p() -> None:
    x = normal(6, 4, seed=3)
    truth = log_p(x).mean()
    (one, e1), (four, e4), (many, e64) = mean_bounds(linear_gaussian(), x, (1, 4, 64))
    assert one + 5 * e1 < four - 5 * e4 < many
    assert many < truth + 4 * e64 and many == pytest.approx(truth, abs=0.03)
    elbo = linear_gaussian()(x.repeat(4000, 1)).elbo.item()
    assert one == pytest.approx(elbo, abs=0.05)  # k = 1 is the ELBO


def test_inverted_weights_are_caught() -> None:
    """1/w for w, a real bug: weights made of the loss. More draws then make the bound worse."""
    x = normal(6, 4, seed=3)
    (one, e1), (many, e64) = mean_bounds(linear_gaussian(), x, (1, 64), inverted=True)
    assert many + 5 * e64 < one - 5 * e1  # it falls with k: the monotone test catches it
    log_w = linear_gaussian().log_weights(x, 64)
    assert (bounds.iwae(-log_w).detach().numpy() > log_p(x) + 1.0).all()  # and "log p" >> log p


def test_inverted_weights_pull_at_the_worst_draws() -> None:
    log_w = normal(8, 3).requires_grad_()
    (right,) = tg.autograd.grad(bounds.iwae(log_w).sum(), log_w)
    (wrong,) = tg.autograd.grad(-bounds.iwae(-log_w).sum(), log_w)
    best = log_w.detach().numpy().argmax(0)
    assert np.array_equal(right.numpy().argmax(0), best)
    assert np.array_equal(wrong.numpy().argmin(0), best)


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 1000))
def test_both_gradient_forms_are_one_gradient(k: int, batch: int, seed: int) -> None:
    log_w = (3.0 * normal(k, batch, seed=seed)).requires_grad_()
    cotangent = normal(batch, seed=seed + 1)
    values, grads = [], []
    for form in ("bound", "weights"):
        value = bounds.iwae(log_w, form)
        values.append(value.detach().numpy())
        grads.append(tg.autograd.grad(value, log_w, cotangent)[0].numpy())
    assert np.allclose(*values, atol=1e-12) and np.allclose(*grads, atol=1e-12)
    assert np.allclose(np.exp(values[0]), np.exp(log_w.detach().numpy()).mean(0))


def test_importance_says_how_sure_it_is() -> None:
    """The standard error covers the truth as often as it should, and ess lies in 1..k."""
    x = normal(1, 4, seed=3).expand(1500, 4)
    found = bounds.importance(linear_gaussian(), x, 300)
    off = (found.log_p.numpy() - log_p(x)) / found.error.numpy()
    assert 0.9 < (np.abs(off) < 2).mean() < 0.99 and abs(off.mean()) < 0.3
    assert (found.ess >= 1).all() and (found.ess <= 300).all()
    mean, over_images, over_draws = bounds.average(found)
    assert over_images < 3 * over_draws  # one image 1500 times: the only spread is the draws'
    assert abs(mean - log_p(x).mean()) < 6 * over_draws


def test_importance_in_parts_is_importance() -> None:
    x, model = normal(3, 4), linear_gaussian()
    parts = bounds.importance(model, x, 10, tg.Generator().manual_seed(1), at_once=1)
    seeded = tg.Generator().manual_seed(1)
    whole = tg.cat([model.log_weights(x, 1, seeded) for _ in range(10)])
    assert np.allclose(parts.log_p.numpy(), bounds.iwae(whole).detach().numpy(), atol=1e-12)


def test_annealed_importance_sampling_finds_log_p() -> None:
    x = normal(4, 4, seed=3)
    found = annealing.ais(linear_gaussian(), x, 64, 60, generator=tg.Generator().manual_seed(2))
    off = np.abs(found.log_p.numpy() - log_p(x))
    assert (off < 4 * found.error.numpy() + 0.01).all() and (found.error < 0.25).all()


def test_annealing_in_one_step_is_importance_sampling_from_the_prior() -> None:
    x, model = normal(2, 4, seed=3), linear_gaussian()
    found = annealing.ais(model, x, 50, 1, generator=tg.Generator().manual_seed(2))
    seeded, rows = tg.Generator().manual_seed(2), 2 * (annealing.PILOTS + 50)
    z = tg.randn(rows, 2, generator=seeded, dtype=tg.float64)[2 * annealing.PILOTS :]
    direct = model.log_likelihood(x.repeat(50, 1), z).reshape(50, 2)
    assert np.allclose(found.log_p.numpy(), bounds.iwae(direct).detach().numpy(), atol=1e-10)


def test_no_chain_chooses_its_own_step_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain whose own past set its step would not keep f_t, and E[w] would not be p(x)."""
    x, pilots, step = normal(3, 4, seed=3), 3 * annealing.PILOTS, annealing._hmc

    def sizes(flip: slice) -> list[np.ndarray]:
        seen = []

        def spied(model, x, z, t, leapfrog, size, generator):
            seen.append(size.numpy())
            z, accepted = step(model, x, z, t, leapfrog, size, generator)
            flags = accepted.numpy().copy()
            flags[flip] = False
            return z, tg.tensor(flags)

        monkeypatch.setattr(annealing, "_hmc", spied)
        annealing.ais(linear_gaussian(), x, 5, 4, generator=tg.Generator().manual_seed(2))
        return seen

    untouched = sizes(slice(0, 0))
    assert np.array_equal(untouched, sizes(slice(pilots, None)))
    assert not np.array_equal(untouched, sizes(slice(pilots)))


def test_the_hamiltonian_step_keeps_the_posterior_and_conserves_energy() -> None:
    """Draws of the exact posterior stay draws of it, even where steps are coarse."""
    model, n = linear_gaussian(), 4000
    x = normal(1, 4, seed=3).expand(n, 4)
    mean = (x[:1].numpy() @ W / S2 @ V)[0]
    start = tg.tensor(mean + normal(n, 2).numpy() @ np.linalg.cholesky(V).T)
    for step_size, low, high in ((0.05, 0.97, 1.0), (0.25, 0.2, 0.95)):
        z, rates = start, []
        for _ in range(5):
            size = tg.full((n, 1), step_size, dtype=tg.float64)
            z, accepted = annealing._hmc(model, x, z, 1.0, 5, size, None)
            rates.append(accepted.double().mean().item())
        assert low <= np.mean(rates) <= high, rates
        assert np.allclose(z.mean(0).detach().numpy(), mean, atol=0.05)
        assert np.allclose(np.cov(z.detach().numpy().T), V, atol=0.03)


# --- two estimators of one gradient -------------------------------------------------------------


def encoder_gradients(estimator: str, n: int) -> np.ndarray:
    """n draws of the gradient of the ELBO with respect to the encoder's bias: (n, 4)."""
    model, found = linear_gaussian(), []
    x, generator = normal(1, 4, seed=3), tg.Generator().manual_seed(7)
    for _ in range(n):
        if estimator == "score":
            elbo = model.score_function(x, 8, generator=generator).elbo
        else:
            elbo = model(x, generator=generator).elbo
        found.append(tg.autograd.grad(elbo, model.encoder.bias)[0].numpy())
    return np.array(found)


def test_score_function_and_reparameterisation_agree_in_the_mean() -> None:
    score, path = encoder_gradients("score", 1500), encoder_gradients("path", 1500)
    error = np.sqrt(score.var(0) / len(score) + path.var(0) / len(path))
    assert (np.abs(score.mean(0) - path.mean(0)) < 4.5 * error).all()
    z = linear_gaussian().encode(normal(1, 4, seed=3))[0].detach()  # the exact gradient of mu
    wanted = -(z.numpy() @ np.linalg.inv(V) - normal(1, 4, seed=3).numpy() @ W / S2)
    assert np.allclose(path.mean(0)[:2], wanted, atol=5 * error[:2].max())
    assert np.allclose(score.mean(0)[:2], wanted, atol=5 * error[:2].max())
    assert (8 * score.var(0) > path.var(0)).all()  # a draw of it says less


def test_the_baseline_leaves_its_own_draw_out() -> None:
    """A baseline that knows its own draw would bias the gradient."""
    values = normal(4, 3).requires_grad_()
    found = bounds.leave_one_out(values)
    by_hand = [np.delete(values.detach().numpy(), i, 0).mean(0) for i in range(4)]
    assert np.allclose(found.numpy(), by_hand) and not found.requires_grad
    assert (bounds.leave_one_out(values[:1]).numpy() == 0).all()


def test_the_decoder_has_the_same_gradient_either_way() -> None:
    model, x = linear_gaussian(), normal(3, 4)
    one = model.score_function(x, 1, generator=tg.Generator().manual_seed(1))
    two = model(x, generator=tg.Generator().manual_seed(1))
    assert one.elbo.item() == pytest.approx(two.elbo.item(), abs=1e-12)
    grads = [tg.autograd.grad(e.elbo, model.decoder.weight)[0].numpy() for e in (one, two)]
    assert np.allclose(*grads, atol=1e-12)


# --- KL, likelihoods ----------------------------------------------------------------------------


@given(st.integers(1, 4), st.integers(0, 10_000))
def test_kl_between_gaussians_is_the_mean_log_ratio(size: int, seed: int) -> None:
    m1, v1, m2, v2 = (normal(1, size, seed=seed + i) for i in range(4))
    kl = likelihoods.kl_gaussians(m1, v1, m2, v2).item()
    z = likelihoods.reparameterise(m1.expand(20_000, size), v1.expand(20_000, size))
    ratio = likelihoods.gaussian_log_prob(z, m1, v1) - likelihoods.gaussian_log_prob(z, m2, v2)
    assert kl >= 0 and abs(ratio.mean().item() - kl) < 6 * ratio.std().item() / math.sqrt(20_000)
    assert likelihoods.kl_gaussians(m1, v1, m1 * 0, v1 * 0).item() == pytest.approx(
        likelihoods.kl_to_standard_normal(m1, v1).item()
    )


def test_per_pixel_gaussian_is_a_density_with_a_floor() -> None:
    likelihood = likelihoods.GaussianPerPixel(0.01)
    out = tg.tensor([[[[0.3]], [[-9.0]]]]).double()
    x = tg.linspace(-3, 3, 60001, dtype=tg.float64).reshape(-1, 1, 1, 1)
    total = likelihood.log_prob(x, out.expand(60001, 2, 1, 1)).exp().sum().item() * 1e-4
    assert total == pytest.approx(1.0, abs=1e-6)
    assert likelihood.moments(out)[1].item() >= math.log(0.01)
    drawn = likelihood.sample(out.expand(20000, 2, 1, 1))
    assert drawn.std().item() == pytest.approx(
        math.exp(likelihood.moments(out)[1].item() / 2), rel=0.05
    )


def test_the_squared_error_weighs_one_over_two_eta() -> None:
    x, y, eta = normal(2, 5), normal(2, 5, seed=1), 0.2
    by_hand = -(x - y).square().sum(1) / (2 * eta) - 2.5 * math.log(2 * math.pi * eta)
    got = likelihoods.Gaussian(eta).double().log_prob(x, y)
    assert np.allclose(got.numpy(), by_hand.numpy(), atol=1e-6)


@pytest.mark.parametrize("form", ["bound", "weights"])
def test_iwae_of_a_model_to_second_order(form: str) -> None:
    model = linear_gaussian()
    f = lambda x: model.iwae(x, 3, "bound", tg.Generator().manual_seed(1))  # noqa: E731
    check_grads(f, normal(2, 4), params=list(model.parameters()), float32=False)
    order = 1 if form == "weights" else 2  # the weights are constants in that form by intention
    check_grads(lambda w: bounds.iwae(w, form), normal(3, 2), order=order)


def test_densities_to_second_order() -> None:
    args = [normal(2, 3, seed=i) for i in range(4)]
    check_grads(likelihoods.kl_gaussians, *args)
    check_grads(likelihoods.standard_normal_log_prob, args[0])
    check_grads(likelihoods.GaussianPerPixel().log_prob, args[0], normal(2, 6))


# --- conditional ----------------------------------------------------------------------------------


@pytest.mark.parametrize("net", sorted(nets.AUTOENCODERS))
def test_conditional_vae_uses_its_label(net: str) -> None:
    pair = nets.AUTOENCODERS[net]((1, 8, 8), 3, classes=4)
    model = vae.ConditionalVAE(*pair, likelihoods.Bernoulli(), 3, 4)
    x, c = likelihoods.binarise(tg.rand(5, 1, 8, 8)), tg.tensor([0, 1, 2, 3, 3])
    (-model(x, labels=c).elbo).backward()
    assert all(p.grad is not None and p.grad.dtype == tg.float32 for p in model.parameters())
    z = tg.zeros(5, 3)
    assert not np.allclose(
        model.decode(z, c).detach().numpy()[0], model.decode(z, c).detach().numpy()[1]
    )
    assert not np.allclose(
        model.encode(x, c)[0].detach().numpy(), model.encode(x, c * 0)[0].detach().numpy()
    )
    assert model.sample(5, labels=c).shape == x.shape == model.reconstruct(x, c).shape
    assert model.log_prob(x, 7, labels=c).shape == (5,)


def test_conditional_vae_is_exact_where_the_label_shifts_the_mean() -> None:
    """x = W z + (label) + noise: log p(x|c) is the linear-Gaussian one of x - label."""
    model = linear_gaussian(shift=0.0)

    class Shifted(nn.Module):
        def forward(self, z: tg.Tensor, labels: tg.Tensor) -> tg.Tensor:
            return model.decoder(z) + 2.0 * labels.double().unsqueeze(1)

    class Centred(nn.Module):
        def forward(self, x: tg.Tensor, labels: tg.Tensor) -> tg.Tensor:
            return model.encoder(x - 2.0 * labels.double().unsqueeze(1))

    both = vae.ConditionalVAE(Centred(), Shifted(), model.likelihood, 2, 2)
    x, c = normal(6, 4), tg.tensor([0, 1, 1, 0, 1, 0])
    truth = log_p(x - 2.0 * c.double().unsqueeze(1))
    assert np.allclose(both.log_prob(x, 20_000, labels=c).numpy(), truth, atol=0.05)


# --- shapes and dtypes ----------------------------------------------------------------------------

LIKELIHOODS = [
    likelihoods.Bernoulli,
    likelihoods.Gaussian,
    lambda: likelihoods.Gaussian(0.1, True),
    likelihoods.GaussianPerPixel,
]


@given(
    st.sampled_from(sorted(nets.AUTOENCODERS)),
    st.tuples(st.integers(1, 3), st.sampled_from([4, 8, 12]), st.sampled_from([4, 8])),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from(LIKELIHOODS),
    st.sampled_from([0, 3]),
    st.sampled_from([tg.float32, tg.float64]),
)
def test_every_model_keeps_shapes_and_dtypes(net, shape, batch, latent, likelihood, classes, dtype):
    p = likelihood()
    pair = nets.AUTOENCODERS[net](shape, latent, 4, outputs=p.outputs, classes=classes)
    plain = vae.VAE(*pair, p, latent)
    model = vae.ConditionalVAE(*pair, p, latent, classes) if classes else plain
    model = model.double() if dtype == tg.float64 else model
    x = tg.rand(batch, *shape, dtype=dtype)
    c = tg.arange(batch) % classes if classes else None
    for terms in (
        model(x, reduce=False, labels=c),
        model.score_function(x, 3, reduce=False, labels=c),
    ):
        assert all(t.shape == (batch,) and t.dtype == dtype for t in terms)
        assert (terms.kl >= 0).all() and np.isfinite(terms.elbo.detach().numpy()).all()
    assert model.log_weights(x, 2, labels=c).shape == (2, batch)
    for form in ("bound", "weights"):
        model.zero_grad()
        (-model.iwae(x, 2, form, labels=c)).backward()
        grads = [q.grad for q in model.parameters()]
        assert all(g is not None and g.dtype == dtype for g in grads)
    for noise in (False, True):
        pictures = model.sample(batch, noise=noise, labels=c)
        assert pictures.shape == x.shape and pictures.dtype == dtype
    assert model.log_prob(x, 2, labels=c).dtype == dtype


# --- hierarchical: on a linear-Gaussian chain one draw is exact -----------------------------------


def chain(levels: int, wrong: float = 0.0) -> tuple[hierarchical.HierarchicalVAE, np.ndarray]:
    """z_K ~ N(0, 1), z_{k-1} = a z_k + N(0, s), x = a z_1 + N(0, s), and q its exact posterior."""
    a, s = 0.8, 0.5
    variances = [1.0]  # of z_K, z_{K-1}, ..., z_1, x
    for _ in range(levels):
        variances.append(a * a * variances[-1] + s)
    encoders, decoders = [], []
    for prior in reversed(variances[:-1]):  # q(z_k|z_{k-1}) = N(v a z / s, v)
        v = 1.0 / (1.0 / prior + a * a / s)
        encoders.append(affine(v * a / s, math.log(v) + wrong))
    for k in range(levels):
        decoders.append(affine(a, math.log(s)) if k else nn.Linear(1, 1, bias=False))
    model = hierarchical.HierarchicalVAE(
        encoders, decoders, likelihoods.Gaussian(s), [1] * levels
    ).double()
    with tg.no_grad():
        model.decoders[0].weight.fill_(a)
        model.likelihood.log_var.fill_(math.log(s))
    return model, np.array(variances[-1])


def affine(slope: float, log_var: float) -> nn.Linear:
    net = nn.Linear(1, 2).double()
    with tg.no_grad():
        net.weight.copy_(tg.tensor(np.array([[slope], [0.0]])))
        net.bias.copy_(tg.tensor(np.array([0.0, log_var])))
    return net


@pytest.mark.parametrize("levels", [1, 2, 3, 6])
def test_hierarchical_vae_is_exact_on_a_linear_gaussian_chain(levels: int) -> None:
    model, variance = chain(levels)
    x = normal(8, 1)
    truth = -0.5 * (x.numpy()[:, 0] ** 2 / variance + np.log(2 * np.pi * variance))
    terms = model(x, reduce=False)
    assert np.allclose(terms.elbo.detach().numpy(), truth, atol=1e-10, rtol=0)  # whatever was drawn
    assert np.allclose(model.log_prob(x, 3).numpy(), truth, atol=1e-10, rtol=0)
    assert terms.kls.shape == (levels, 8)
    assert np.allclose(
        (terms.log_likelihood - terms.kls.sum(0)).detach().numpy(), truth, atol=1e-10
    )


@pytest.mark.parametrize("levels", [2, 4])
def test_hierarchical_bound_is_below_log_p_and_rises(levels: int) -> None:
    model, variance = chain(levels, wrong=0.4)
    x = normal(1, 1).expand(3000, 1)
    truth = -0.5 * (x.numpy()[0, 0] ** 2 / variance + np.log(2 * np.pi * variance))
    one, many = (model.log_prob(x, k).mean().item() for k in (1, 16))
    assert one < many < truth + 0.01 and one < truth - 0.02
    kls = model(x).kls.detach().numpy()
    assert kls.shape == (levels,) and kls.sum() > 0


def test_hierarchical_samples_have_the_chain_s_spread() -> None:
    model, variance = chain(3)
    assert model.sample(20_000, noise=True).var().item() == pytest.approx(variance, rel=0.05)


def test_hierarchical_iwae_repeats_with_its_generator() -> None:
    model, x = chain(2, wrong=0.4)[0], normal(8, 1)
    one, two = (model.iwae(x, 3, generator=tg.Generator().manual_seed(1)) for _ in range(2))
    assert one.item() == two.item()


def test_pictures_of_same_size_levels_leave_the_last_noise_out() -> None:
    model = hierarchical.noised((1, 2, 2), [0.1, 0.5], likelihoods.Gaussian(0.1), hidden=8)
    z = tg.randn(3, 4, generator=tg.Generator().manual_seed(1))  # z_2: there is no other draw
    wanted = model.decoders[1](z).chunk(2, dim=1)[0].reshape(3, 1, 2, 2).detach().numpy()
    clean, noisy = (
        model.sample(3, tg.Generator().manual_seed(1), noise=noise) for noise in (False, True)
    )
    assert np.allclose(clean.numpy(), wanted)
    assert not np.allclose(noisy.numpy(), wanted, atol=0.1)
    one = hierarchical.noised((1, 2, 2), [0.5], likelihoods.Gaussian(), 8)
    assert one.sample(3).shape[0] == 3  # one level: the decoder has no parameter at all


def test_hierarchical_to_second_order() -> None:
    model, _ = chain(2, wrong=0.2)
    f = lambda x: model(x, 0.7, tg.Generator().manual_seed(1)).elbo  # noqa: E731
    check_grads(f, normal(3, 1), params=list(model.parameters()), float32=False)


def test_shared_levels_share_one_network_and_lead_to_diffusion() -> None:
    x = tg.rand(4, 1, 2, 2) * 2 - 1
    own = hierarchical.levels((1, 2, 2), [3, 2], likelihoods.Gaussian(0.1), hidden=8)
    learned = hierarchical.shared((1, 2, 2), 5, 3, likelihoods.Gaussian(0.1), hidden=8)
    betas = [0.1, 0.2, 0.3, 0.5, 0.9]
    fixed = hierarchical.noised((1, 2, 2), betas, likelihoods.Gaussian(0.1), hidden=8)
    assert len(list(learned.parameters())) == 24 and len(list(fixed.parameters())) == 6
    for model in (own, learned, fixed):
        terms = model(x)
        (-terms.elbo).backward()
        assert all(p.grad is not None and p.grad.dtype == tg.float32 for p in model.parameters())
        assert model.sample(3).shape == (3, 1, 2, 2) and model.reconstruct(x).shape == x.shape
    codes, _ = fixed.up(tg.full((4000, 1, 2, 2), 0.7))
    kept = math.prod(1 - b for b in [0.1, 0.2, 0.3])  # z_3 = sqrt(kept) x + sqrt(1 - kept) eps
    assert codes[2].mean().item() == pytest.approx(0.7 * math.sqrt(kept), abs=0.03)
    assert codes[2].var().item() == pytest.approx(1 - kept, abs=0.03)


def test_shared_levels_have_a_first_encoder_and_a_last_decoder_of_their_own() -> None:
    """Codes of a size that is not the picture's; the networks between them are one each way."""
    x = tg.rand(6, 1, 2, 3)
    model = hierarchical.shared((1, 2, 3), 4, 5, likelihoods.Bernoulli(), hidden=8)
    assert [code.shape for code in model.up(x)[0]] == [(6, 5)] * 4
    assert model.sample(3).shape == (3, 1, 2, 3)
    for (end, *between), inputs in ((model.encoders, 6), (model.decoders, 5)):
        assert len({id(step.net) for step in between}) == 1
        assert len({step.level for step in between}) == 3
        weights = [p.shape for p in end.parameters()]
        assert weights[0] == (8, inputs) and id(end) not in map(id, between[0].net.modules())
    code, _ = model.up(x, tg.Generator().manual_seed(3))  # z_1 is the first encoder's own Gaussian
    mean, log_var = model.encoders[0](x).chunk(2, dim=1)
    eps = tg.randn(6, 5, generator=tg.Generator().manual_seed(3))
    assert np.allclose(code[0].detach().numpy(), (mean + (0.5 * log_var).exp() * eps).detach())


def test_shared_levels_to_second_order() -> None:
    model = hierarchical.shared((1, 1, 2), 3, 2, likelihoods.Gaussian(0.5), hidden=3).double()
    f = lambda x: model(x, 0.7, tg.Generator().manual_seed(1)).elbo  # noqa: E731
    check_grads(f, normal(2, 1, 1, 2), params=list(model.parameters()), float32=False)


# --- bad input ------------------------------------------------------------------------------------


def test_bad_input_is_named() -> None:
    pair = nets.mlp_autoencoder((1, 4, 4), 2, classes=3)
    model, x = vae.ConditionalVAE(*pair, likelihoods.Bernoulli(), 2, 3), tg.rand(2, 1, 4, 4)
    with pytest.raises(ValueError, match=r"labels in 0..2, got 0..3"):
        model(x, labels=tg.tensor([0, 3]))
    with pytest.raises(ValueError, match=r"labels in 0..2, got -1..1"):
        model(x, labels=tg.tensor([-1, 1]))
    with pytest.raises(ValueError, match=r"2 integer labels, got float32"):
        model(x, labels=tg.tensor([0.0, 1.0]))
    with pytest.raises(ValueError, match="give the labels"):
        model(x)
    with pytest.raises(ValueError, match="takes a ConditionalVAE"):
        linear_gaussian()(normal(2, 4), labels=tg.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"pixels in \[0, 1\], got -1"):
        likelihoods.Bernoulli().log_prob(x * 0 - 1, x)
    with pytest.raises(ValueError, match=r"pixels in \[0, 1\], got nan"):
        likelihoods.Bernoulli().log_prob(x * math.nan, x)
    with pytest.raises(ValueError, match=r"binarise: expected pixels in \[0, 1\], got 0..255"):
        likelihoods.binarise(tg.tensor([0.0, 255.0]))
    with pytest.raises(ValueError, match=r"binarise: .* got nan"):
        likelihoods.binarise(x * math.nan)
    twice = tg.zeros(2, 2, 4, 4)  # broadcast, it would count every pixel twice
    for likelihood, out in (
        (likelihoods.Bernoulli(), twice),
        (likelihoods.Gaussian(), twice),
        (likelihoods.GaussianPerPixel(), tg.zeros(2, 4, 4, 4)),
    ):
        name = type(likelihood).__name__
        with pytest.raises(ValueError, match=rf"{name}: .*\(2, 1, 4, 4\).*\(2, 2, 4, 4\)"):
            likelihood.log_prob(x, out)
    with pytest.raises(ValueError, match="form 'bound' or 'weights', got 'best'"):
        bounds.iwae(tg.ones(2, 2), "best")
    with pytest.raises(ValueError, match="k >= 1, got 0"):
        linear_gaussian().log_weights(normal(2, 4), 0)
    with pytest.raises(ValueError, match="smallest > 0"):
        likelihoods.GaussianPerPixel(0.0)
    with pytest.raises(RuntimeError, match="outputs=2"):
        likelihoods.GaussianPerPixel().log_prob(tg.ones(2, 1), tg.ones(2, 1))
    with pytest.raises(ValueError, match="got 2, 1 and 2"):
        hierarchical.HierarchicalVAE(
            [nn.Identity()] * 2, [nn.Identity()], likelihoods.Bernoulli(), [1, 1]
        )
    with pytest.raises(ValueError, match="latent >= 1, got 0"):
        hierarchical.levels((4,), [2, 0], likelihoods.Bernoulli())
    with pytest.raises(ValueError, match="noised: .*count >= 1, got 0"):
        hierarchical.noised((4,), [], likelihoods.Gaussian())
    with pytest.raises(ValueError, match="0 < beta < 1, got 1"):
        hierarchical.FixedNoise(1.0)
    with pytest.raises(ValueError, match="steps >= 1, got 0"):
        annealing.ais(linear_gaussian(), normal(1, 4), steps=0)


def test_a_checkpoint_of_another_architecture(tmp_path) -> None:
    def run(latent: int, resume: bool) -> None:
        model = vae.VAE(
            *nets.mlp_autoencoder((1, 4, 4), latent, 8), likelihoods.Bernoulli(), latent
        )
        housekeeping = Run(tmp_path, resume=resume)
        housekeeping.track(model=model)
        for _ in housekeeping.steps(1):
            pass

    run(2, resume=False)
    with pytest.raises(RuntimeError, match=r"(?s)last.npz.*model.*encoder"):
        run(3, resume=True)
