"""The diffusion process, the parameterisations and the losses, against closed forms in float64."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen.models import diffusion as D
from tinygen.models import nets
from tinygen.testing import check_grads

pytestmark = pytest.mark.filterwarnings("ignore:.*x_T still shows the data")


def normal(*shape: int, seed: int = 0) -> tg.Tensor:
    return tg.randn(*shape, generator=tg.Generator().manual_seed(seed), dtype=tg.float64)


@st.composite
def processes(draw: st.DrawFn) -> D.Process:
    """VP and VE chains: the named schedules, and random increments."""
    T = draw(st.integers(2, 12))
    name = draw(st.sampled_from([*D.SCHEDULES, "random VP", "random VE"]))
    if name in D.SCHEDULES:
        return D.schedule(name, T)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    if name == "random VP":
        return D.VP(rng.uniform(0.001, 0.9, T))
    return D.VE(np.cumsum(rng.uniform(0.05, 1.0, T)))


# --- process ------------------------------------------------------------------------------------


def test_alpha_bar_of_the_paper_s_betas() -> None:
    known = {50: 0.603, 100: 0.364, 300: 0.0481, 1000: 4.04e-5}
    for T, value in known.items():
        assert D.linear_betas(T).alphas_bar[T] == pytest.approx(value, rel=2e-3)


@pytest.mark.parametrize("shift", [0.25, 0.5, 2.0])
def test_a_shifted_cosine_has_so_many_times_the_signal(shift):
    plain, shifted = D.cosine(100), D.cosine(100, shift=shift)
    ratio = (shifted.a[1:-1] / shifted.s[1:-1]) / (plain.a[1:-1] / plain.s[1:-1])
    assert ratio == pytest.approx(shift, rel=3e-3)
    assert repr(shifted).startswith(f"VP cosine, shifted by {shift:g}, T = 100")


@pytest.mark.parametrize("shift", [0.0, -1.0, float("nan"), float("inf")])
def test_a_shift_is_above_0(shift):
    with pytest.raises(ValueError, match="cosine: expected a shift above 0, got"):
        D.cosine(10, shift=shift)


@given(processes())
def test_one_step_equals_the_composed_chain(process: D.Process) -> None:
    """x_t = r_t x_{t-1} + sqrt(v_t) eps, composed: the signal's factor and the variance."""
    signal, variance = 1.0, 0.0
    for t in range(1, process.T + 1):
        r, v = process.between(t, t - 1)
        signal, variance = r * signal, r**2 * variance + v
        x0 = normal(3, 2)
        mean, var = process.q(x0, t)
        assert np.allclose(mean.numpy(), signal * x0.numpy(), rtol=1e-12)
        assert var.item() == pytest.approx(variance, rel=1e-10)


def test_a_step_of_vp_is_the_one_with_its_beta() -> None:
    betas = np.array([0.1, 0.3, 0.2])
    process, x = D.VP(betas), normal(4, 2)
    for t, beta in enumerate(betas, 1):
        mean, variance = process.forward(x, t, t - 1)
        assert np.allclose(mean.numpy(), math.sqrt(1 - beta) * x.numpy(), atol=1e-12)
        assert variance.item() == pytest.approx(beta, rel=1e-12)


@given(processes(), st.data())
def test_posterior_is_the_conditioned_joint_gaussian(
    process: D.Process, data: st.DataObject
) -> None:
    """(x_u, x_t) given x_0 is Gaussian with the chain's covariance; condition it on x_t."""
    t = data.draw(st.integers(1, process.T))
    u = data.draw(st.integers(0, t - 1))
    x0, xt = normal(5, 1), normal(5, 1, seed=1)
    r, _ = process.between(t, u)
    var_u, var_t = process.s[u] ** 2, process.s[t] ** 2
    gain = r * var_u / var_t  # cov(x_u, x_t) / var(x_t)
    mean = process.a[u] * x0.numpy() + gain * (xt.numpy() - process.a[t] * x0.numpy())
    got = process.posterior(x0, xt, t, u)
    assert np.allclose(got.mean.numpy(), mean, atol=1e-10)
    assert got.variance.item() == pytest.approx(var_u - gain * r * var_u, rel=1e-6, abs=1e-13)


def test_posterior_of_vp_has_the_paper_s_coefficients() -> None:
    process, x0, x = D.linear_betas(10, 0.01, 0.3), normal(6, 2), normal(6, 2, seed=1)
    t, beta = 7, process.betas[6]
    now, before = process.alphas_bar[7], process.alphas_bar[6]
    mean = (
        math.sqrt(before) * beta / (1 - now) * x0
        + math.sqrt(1 - beta) * (1 - before) / (1 - now) * x
    )
    got = process.posterior(x0, x, t, t - 1)
    assert np.allclose(got.mean.numpy(), mean.numpy(), atol=1e-12)
    assert got.variance.item() == pytest.approx((1 - before) / (1 - now) * beta, rel=1e-12)


def test_diffuse_draws_from_q() -> None:
    process, n = D.cosine(20), 40_000
    x0 = tg.full((n, 1), 0.7, dtype=tg.float64)
    x = process.diffuse(x0, 13, normal(n, 1))
    mean, variance = process.q(x0[:1], 13)
    assert x.mean().item() == pytest.approx(mean.item(), abs=0.02)
    assert x.var().item() == pytest.approx(variance.item(), rel=0.03)


def test_a_batch_of_steps_is_each_step_alone() -> None:
    process, x0, eps = D.cosine(9), normal(4, 1, 2, 2), normal(4, 1, 2, 2, seed=1)
    t = tg.tensor([1, 9, 4, 2])
    together = process.diffuse(x0, t, eps).numpy()
    alone = [
        process.diffuse(x0[i : i + 1], k, eps[i : i + 1]).numpy() for i, k in enumerate(t.tolist())
    ]
    assert np.array_equal(together, np.concatenate(alone))


@pytest.mark.parametrize("name", D.SCHEDULES)
@pytest.mark.parametrize("T", [2, 3, 10, 1000, 4000])
def test_schedules_are_finite_from_2_to_4000_steps(name: str, T: int) -> None:
    process = D.schedule(name, T)
    assert process.T == T and len(process.a) == len(process.s) == T + 1
    assert np.isfinite(process.a).all() and np.isfinite(process.s).all()
    assert (process.a > 0).all() and (np.diff(process.snr(np.arange(1, T + 1))) < 0).all()
    t = np.arange(1, T + 1)
    assert (process.between(t, t - 1)[1] > 0).all()
    posterior = process.posterior_variance(t, t - 1)
    assert posterior[0] == 0 and (posterior[1:] > 0).all()
    for kind in D.KINDS:
        for weight in D.WEIGHTS:
            w = D.loss_weight(weight, kind, process, t)
            assert np.isfinite(w).all() and (w > 0).all(), (kind, weight)


def test_a_chain_that_ends_before_the_prior_warns() -> None:
    with pytest.warns(UserWarning, match=r"T = 50: alpha-bar_T = 0.603.*x_T still shows"):
        D.linear_betas(50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for process in (D.linear_betas(1000), D.linear_scaled(50), D.cosine(50), D.geometric(50)):
            assert "alpha-bar_T" in repr(process)


# --- parameterisations ----------------------------------------------------------------------------


class Says(tg.nn.Module):
    """A network that says what it was given."""

    def __init__(self, out: tg.Tensor) -> None:
        super().__init__()
        self.out = out

    def forward(self, x: tg.Tensor, time: tg.Tensor, y: object = None) -> tg.Tensor:
        return self.out


@given(processes(), st.sampled_from(D.KINDS), st.integers(0, 1000))
def test_every_parameterisation_gives_x0_and_eps_back(
    process: D.Process, kind: str, seed: int
) -> None:
    t = 1 + seed % process.T
    x0, eps = normal(4, 3, seed=seed), normal(4, 3, seed=seed + 1)
    a, s = float(process.a[t]), float(process.s[t])
    said = {"x0": x0, "eps": eps, "v": a * eps - s * x0, "score": -eps / s}[kind]
    model = D.Diffusion(process, Says(said), kind)
    p = model.predict(process.diffuse(x0, t, eps), t)
    assert np.allclose(p.x0.numpy(), x0.numpy(), atol=1e-7 + 1e-11 / a)
    assert np.allclose(p.eps.numpy(), eps.numpy(), atol=1e-7)


def test_score_is_the_gradient_of_the_log_density() -> None:
    process, x0, eps = D.cosine(10), normal(3, 2), normal(3, 2, seed=1)
    x = process.diffuse(x0, 6, eps).detach().requires_grad_()
    mean, variance = process.q(x0, 6)
    log_q = (-0.5 * (x - mean).square() / variance).sum()
    (score,) = tg.autograd.grad(log_q, x)
    assert np.allclose(score.numpy(), (-eps / float(process.s[6])).numpy(), atol=1e-12)


@given(processes(), st.sampled_from(["x0", "snr", "min_snr", "vlb"]), st.integers(0, 1000))
def test_losses_of_all_parameterisations_are_one_loss(
    process: D.Process, weight: str, seed: int
) -> None:
    """The same mistake about x_t, said as x0, eps, v or score, costs the same."""
    n = process.T
    t = tg.arange(1, n + 1)
    x0, eps, guess = (normal(n, 3, seed=seed + k) for k in range(3))
    a, s = process.level(t, x0)
    x = process.diffuse(x0, t, eps)
    guess_eps = (x - a * guess) / s
    said = {"x0": guess, "eps": guess_eps, "v": a * guess_eps - s * guess, "score": -guess_eps / s}
    losses = {
        kind: D.Diffusion(process, Says(out), kind).errors(x0, t, eps, weight=weight).numpy()
        for kind, out in said.items()
    }
    for kind, loss in losses.items():
        assert np.allclose(loss, losses["x0"], rtol=1e-6), kind
    of_x0 = (guess - x0).square().mean(1).numpy()
    expected = {"x0": of_x0, "snr": process.snr(t.numpy()) * of_x0}
    if weight in expected:
        assert np.allclose(losses["x0"], expected[weight], rtol=1e-6)


@pytest.mark.parametrize("kind", D.KINDS)
def test_simple_is_the_plain_error_of_the_target(kind: str) -> None:
    process, x0, eps, out = D.cosine(8), normal(3, 2), normal(3, 2, seed=1), normal(3, 2, seed=2)
    t = 5
    a, s = float(process.a[t]), float(process.s[t])
    target = {"x0": x0, "eps": eps, "v": a * eps - s * x0, "score": -eps / s}[kind]
    loss = D.Diffusion(process, Says(out), kind).errors(x0, t, eps)
    assert np.allclose(loss.numpy(), (target - out).square().mean(1).numpy(), rtol=1e-12)


@pytest.mark.parametrize("kind", D.KINDS)
@pytest.mark.parametrize("weight", D.WEIGHTS)
def test_losses_to_second_order(kind: str, weight: str) -> None:
    net = nets.TimeMLP(2, hidden=4, layers=1)
    tg.nn.init.normal_(net.last.weight)
    model = D.Diffusion(D.cosine(6), net, kind)
    t, eps = tg.tensor([1, 3, 6]), normal(3, 2, seed=4)
    scale = D.loss_weight(weight, kind, model.process, t).max()
    f = lambda x0: model.errors(x0, t, eps.to(x0.dtype), weight=weight) / float(scale)  # noqa: E731
    check_grads(f, normal(3, 2), params=list(net.parameters()), float32=False)


def test_loss_draws_every_step_and_is_the_mean_of_errors() -> None:
    process = D.cosine(5)
    model = D.Diffusion(process, Says(tg.zeros(20_000, 1)), "eps")
    loss = model.loss(tg.zeros(20_000, 1))
    assert loss.item() == pytest.approx(1.0, abs=0.05)  # E eps^2
    drawn = process.draw_steps(1000).numpy()
    assert set(drawn) == {1, 2, 3, 4, 5}


# --- the exact denoiser, and what training comes to -----------------------------------------


def test_exact_denoiser_is_the_posterior_mean() -> None:
    """Tweedie: a E[x0|x] = x + s^2 grad log q(x), with the mixture's density differentiated."""
    process, means = D.cosine(10), normal(3, 2)
    weights, std = tg.tensor([0.5, 0.2, 0.3], dtype=tg.float64), 0.4
    net = D.ExactDenoiser(process, means, std, weights)
    model, t = D.Diffusion(process, net, "x0"), 6
    a, s = float(process.a[t]), float(process.s[t])
    x = normal(5, 2, seed=1).requires_grad_()
    c = a**2 * std**2 + s**2
    log_q = (weights.log() - 0.5 * (x[:, None] - a * means).square().sum(2) / c).logsumexp(1).sum()
    (score,) = tg.autograd.grad(log_q, x)
    expected = (x.detach().numpy() + s**2 * score.numpy()) / a
    assert np.allclose(model.predict(x.detach(), t).x0.numpy(), expected, atol=1e-10)


def test_training_comes_down_to_the_irreducible_loss_and_not_below() -> None:
    """On a mixture the best eps is known in closed form; what it cannot predict, no net can."""
    process, means = D.cosine(20), tg.tensor([[-1.0], [1.0]])
    generator = tg.Generator().manual_seed(5)

    def draw(n: int) -> tg.Tensor:
        side = tg.randint(0, 2, (n,), generator=generator)
        return means[side] + 0.3 * tg.randn(n, 1, generator=generator)

    net = nets.TimeMLP(1, hidden=32, layers=2)
    model = D.Diffusion(process, net, "eps")
    best = D.Diffusion(process, D.ExactDenoiser(process, means, 0.3), "x0")
    test, t = draw(20_000), process.draw_steps(20_000, generator)
    eps = tg.randn(20_000, 1, generator=generator)

    def gap() -> tuple[float, float]:
        """The loss less the best one on the same draws, and the error of that difference."""
        with tg.no_grad():
            a, s = process.level(t, test)
            x = process.diffuse(test, t, eps)
            difference = model.errors(test, t, eps) - (best.predict(x, t).eps - eps).square().mean(
                1
            )
        return difference.mean().item(), difference.std().item() / math.sqrt(20_000)

    before, _ = gap()
    opt = tg.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(500):
        loss = model.loss(draw(256), generator=generator)
        opt.zero_grad()
        loss.backward()
        opt.step()
    after, error = gap()
    assert before > 0.3
    assert -4 * error < after < 0.03


# --- bad input ------------------------------------------------------------------------------


def test_bad_schedules_are_refused() -> None:
    with pytest.raises(ValueError, match=r"beta must be in \(0, 1\), got beta_2 = 1"):
        D.VP([0.1, 1.0, 0.2])
    with pytest.raises(ValueError, match=r"beta must be in \(0, 1\), got beta_1 = 0"):
        D.VP([0.0, 0.5])
    with pytest.raises(ValueError, match="beta must be finite"):
        D.VP([0.1, math.nan])
    with pytest.raises(ValueError, match=r"T >= 2, got shape \(1,\)"):
        D.VP([0.1])
    with pytest.raises(ValueError, match="0 < sigma_1 < sigma_2"):
        D.VE([0.1, 0.1])
    for make in D.SCHEDULES.values():
        with pytest.raises(ValueError, match="T >= 2 steps, got T = 1"):
            make(1)
    with pytest.raises(ValueError, match="no schedule is called 'cubic'; there are linear"):
        D.schedule("cubic", 10)


def test_steps_outside_1_to_T_are_refused() -> None:
    model = D.Diffusion(D.cosine(10), nets.TimeMLP(2, 8))
    for t in (0, 11, tg.tensor([1, 11])):
        with pytest.raises(ValueError, match=r"t must be in 1..10 for VP cosine, got"):
            model.predict(tg.zeros(2, 2), t)
    with pytest.raises(ValueError, match="integer"):
        model.predict(tg.zeros(2, 2), tg.tensor([0.5, 1.0]))
    with pytest.raises(ValueError, match="u < t"):
        model.process.posterior(tg.zeros(1, 2), tg.zeros(1, 2), 3, 3)


def test_unknown_names_are_refused() -> None:
    process, net = D.cosine(10), nets.TimeMLP(2, 8)
    with pytest.raises(ValueError, match="no parameterisation is called 'noise'"):
        D.Diffusion(process, net, "noise")
    with pytest.raises(ValueError, match="no variance is called 'huge'"):
        D.Diffusion(process, net, variance="huge")
    with pytest.raises(ValueError, match="no loss weight is called 'best'"):
        D.Diffusion(process, net).loss(tg.zeros(3, 2), weight="best")
    with pytest.raises(RuntimeError, match=r"the network made \(3, 3\) of x with shape \(3, 2\)"):
        D.Diffusion(process, Says(tg.zeros(3, 3))).loss(tg.zeros(3, 2))


def test_numbers_need_no_second_dimension() -> None:
    model = D.Diffusion(D.cosine(10), Says(tg.zeros(3)))
    assert model.predict(tg.ones(3), 2).x0.shape == (3,)


def test_a_network_for_a_learned_variance_needs_twice_the_channels() -> None:
    for made in (1, 3):
        model = D.Diffusion(D.cosine(10), nets.TimeMLP(1, 8, out=made), variance="learned")
        with pytest.raises(RuntimeError, match=rf"made \(3, {made}\).*twice the channels"):
            model.predict(tg.zeros(3, 1), 2)


def test_labels_that_no_one_would_see_are_refused() -> None:
    """A conditional model on a network without labels would train, and guidance do nothing."""
    model = D.Diffusion(D.cosine(10), nets.TimeMLP(2, 8), classes=3)
    with pytest.raises(ValueError, match="the network was made with classes = 0"):
        model.loss(tg.zeros(4, 2), 1)
    model = D.Diffusion(D.cosine(10), nets.TimeMLP(2, 8, classes=3), classes=3)
    for y in (0.7, tg.tensor([0.0, 1.0, 2.0, 1.0]), [0, 1], [[0], [1], [2], [1]]):
        with pytest.raises(ValueError, match=r"one integer or \(4,\) integers, got"):
            model.loss(tg.zeros(4, 2), y)


def test_data_out_of_range_is_said_once() -> None:
    model = D.Diffusion(D.cosine(10), nets.TimeMLP(2, 8), bounded=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.loss(tg.rand(3, 2) * 2 - 1)
    with pytest.warns(
        UserWarning, match=r"the data lies in 0\.\.16, not in \[-1, 1\].*to_symmetric"
    ):
        model.loss(tg.tensor([[0.0, 16.0]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.loss(tg.tensor([[0.0, 16.0]]))
    other = D.Diffusion(D.cosine(10), nets.TimeMLP(2, 8), bounded=True)
    with pytest.warns(UserWarning, match=r"the data lies in 0\.\.16"):
        D.vlb(other, tg.tensor([[0.0, 16.0]]))


def test_a_checkpoint_of_another_schedule_is_refused() -> None:
    net = nets.TimeMLP(2, 8)
    state = D.Diffusion(D.cosine(10), net).state_dict()
    D.Diffusion(D.cosine(10), net).load_state_dict(state)
    for other in (D.cosine(20), D.linear_scaled(10), D.geometric(10)):
        with pytest.raises(
            RuntimeError, match=r"trained with another schedule: T = 10.*this model"
        ):
            D.Diffusion(other, net).load_state_dict(state)
