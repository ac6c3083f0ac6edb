"""Every objective against closed forms: what D is best, what G then descends, which way it goes."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import nn
from tinygen.models import gan, nets
from tinygen.testing import check_grads

ROWS = sorted(gan.OBJECTIVES)
KNOWN = [name for name in ROWS if gan.OBJECTIVES[name].optimal is not None]
LOGITS = [name for name in ROWS if gan.OBJECTIVES[name].output == "logit"]


def counts(seed: int, points: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """How often each point occurs in the data and in the samples: laws that a mean can mean."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 40, points), rng.integers(1, 40, points)


def losses_of_d(
    row: gan.Objective, out: tg.Tensor, n_p: np.ndarray, n_q: np.ndarray, **more: float
) -> tg.Tensor:
    """The row's own D loss when D's output at point i is out[i]."""
    points = np.arange(len(n_p))
    return row.discriminator(out[np.repeat(points, n_p)], out[np.repeat(points, n_q)], **more)


# --- the best discriminator -------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
@given(st.integers(0, 10_000))
def test_optimal_d_minimises_the_loss(name: str, seed: int) -> None:
    row, (n_p, n_q) = gan.OBJECTIVES[name], counts(seed)
    p, q = n_p / n_p.sum(), n_q / n_q.sum()
    best = tg.tensor(row.optimal(p, q))
    least = losses_of_d(row, best, n_p, n_q).item()
    rng = np.random.default_rng(seed + 1)
    for size in (1e-3, 0.1, 1.0):
        other = best + size * tg.tensor(rng.standard_normal(len(p)))
        assert losses_of_d(row, other, n_p, n_q).item() > least


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "hinge"])  # hinge has kinks
def test_gradient_is_zero_at_the_optimal_d(name: str) -> None:
    row, (n_p, n_q) = gan.OBJECTIVES[name], counts(3)
    out = tg.tensor(row.optimal(n_p / n_p.sum(), n_q / n_q.sum())).requires_grad_()
    losses_of_d(row, out, n_p, n_q).backward()
    assert np.abs(out.grad.numpy()).max() < 1e-15


@pytest.mark.parametrize("name", [n for n in LOGITS if n != "dragan"])
def test_value_at_the_optimal_d_is_minus_log_4_plus_2_jsd(name: str) -> None:
    row, (n_p, n_q) = gan.OBJECTIVES[name], counts(1)
    p, q = n_p / n_p.sum(), n_q / n_q.sum()
    m = (p + q) / 2
    jsd = 0.5 * (p * np.log(p / m)).sum() + 0.5 * (q * np.log(q / m)).sum()
    value = -losses_of_d(row, tg.tensor(row.optimal(p, q)), n_p, n_q).item()
    assert value == pytest.approx(-math.log(4) + 2 * jsd, abs=1e-13)
    same = -losses_of_d(row, tg.tensor(row.optimal(p, p)), n_p, n_p).item()
    assert same == pytest.approx(-1.3862943611198906, abs=1e-13)


def test_the_same_by_quadrature_for_gaussians() -> None:
    x = np.linspace(-12, 14, 40_001)
    p, q = (
        np.exp(-0.5 * (x - m) ** 2 / s**2) / (s * math.sqrt(2 * math.pi))
        for m, s in ((0, 1), (1.5, 0.7))
    )
    d_star = tg.tensor(gan.log_ratio(p, q)).sigmoid().numpy()
    assert np.allclose(d_star, p / (p + q), atol=1e-15)
    logit = gan.log_ratio(p, q)
    value = -(p * np.logaddexp(0, -logit) + q * np.logaddexp(0, logit)).sum() * (x[1] - x[0])
    assert value == pytest.approx(-math.log(4) + gan.two_jsd(p, q).sum() * (x[1] - x[0]), abs=1e-8)


@given(st.floats(0.55, 1.0), st.integers(0, 1000))
def test_smoothing_one_side_moves_the_optimum_to_t_p_over_p_plus_q(t: float, seed: int) -> None:
    n_p, n_q = counts(seed)
    p, q = n_p / n_p.sum(), n_q / n_q.sum()
    d = t * p / (p + q)
    for name, best in (("non_saturating", np.log(d / (1 - d))), ("least_squares", d)):
        out = tg.tensor(best).requires_grad_()
        losses_of_d(gan.OBJECTIVES[name], out, n_p, n_q, target=t).backward()
        assert np.abs(out.grad.numpy()).max() < 1e-14


# --- what the generator descends --------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN)
@given(st.integers(0, 10_000))
def test_generator_descends_the_divergence_of_its_row(name: str, seed: int) -> None:
    """d/dq of the divergence along dq, and E_dq[G's loss] at the best D held fixed: one number."""
    row, (n_p, n_q) = gan.OBJECTIVES[name], counts(seed)
    p, q = n_p / n_p.sum(), n_q / n_q.sum()
    rng = np.random.default_rng(seed)
    dq = q * rng.standard_normal(len(q))
    dq -= q * dq.sum()
    best = tg.tensor(row.optimal(p, q))
    if name == "hinge":  # |p - q| has a kink where they meet
        dq = np.where(np.abs(p - q) < 1e-6, 0.0, dq)
        dq[np.abs(p - q).argmax()] -= dq.sum()
    h = np.array([row.generator(best[i : i + 1]).item() for i in range(len(p))])
    eps = 1e-6
    slope = (row.divergence(p, q + eps * dq).sum() - row.divergence(p, q - eps * dq).sum()) / (
        2 * eps
    )
    assert slope == pytest.approx((dq * h).sum(), abs=1e-8, rel=1e-7)


@pytest.mark.parametrize("name", KNOWN)
@given(st.integers(0, 10_000))
def test_divergences_are_zero_at_equality_only(name: str, seed: int) -> None:
    row, (n_p, n_q) = gan.OBJECTIVES[name], counts(seed)
    p, q = n_p / n_p.sum(), n_q / n_q.sum()
    assert row.divergence(p, p).sum() == pytest.approx(0.0, abs=1e-14)
    assert row.divergence(p, q).sum() > 1e-4


def test_saturation_at_logit_minus_ten() -> None:
    """Where D is sure: minimax gives G next to nothing, non-saturating nearly all."""
    slopes = {}
    for name in ("minimax", "non_saturating", "maximum_likelihood"):
        logit = tg.tensor([-10.0], dtype=tg.float64, requires_grad=True)
        gan.OBJECTIVES[name].generator(logit).backward()
        slopes[name] = logit.grad.item()
    assert slopes["minimax"] == pytest.approx(-4.5397868702e-5, rel=1e-9)
    assert slopes["non_saturating"] == pytest.approx(-0.9999546021, rel=1e-9)
    assert slopes["maximum_likelihood"] == pytest.approx(-math.exp(-10), rel=1e-12)


@pytest.mark.parametrize("theta", [-2.0, 0.3, 5.0])
def test_parallel_lines(theta: float) -> None:
    """W1 = |theta| with slope 1, JS = log 2 with slope 0 (Arjovsky et al. 2017, Example 1)."""
    apart = np.array([1.0, 0.0]), np.array([0.0, 1.0])  # two laws without a common point
    assert gan.two_jsd(*apart).sum() / 2 == pytest.approx(math.log(2), abs=1e-15)
    shift = tg.tensor([theta], dtype=tg.float64, requires_grad=True)
    y = tg.rand(50, dtype=tg.float64)
    critic = lambda points: -points[:, 0].abs()  # noqa: E731  (1-Lipschitz, tight for two lines)
    data, samples = tg.stack([y * 0.0, y], 1), tg.stack([shift.expand(50), y], 1)
    row = gan.OBJECTIVES["wgan"]
    w = -row.discriminator(critic(data), critic(samples))
    assert w.item() == pytest.approx(abs(theta), abs=1e-12)
    row.generator(critic(samples)).backward()
    assert shift.grad.item() == pytest.approx(math.copysign(1.0, theta), abs=1e-12)


def test_wgan_row_descends_w1_in_one_dimension() -> None:
    """The best 1-D critic has slope sign(F_g - F_d); then d W1 / dp_g = -f*."""
    n_p, n_q = counts(5)
    p, q = n_p / n_p.sum(), n_q / n_q.sum()
    w1 = lambda q: np.abs(np.cumsum(p - q))[:-1].sum()  # noqa: E731  (unit spacing)
    f = np.concatenate([[0], np.cumsum(np.sign(np.cumsum(q - p))[:-1])])
    row = gan.OBJECTIVES["wgan"]
    assert -losses_of_d(row, tg.tensor(f), n_p, n_q).item() == pytest.approx(w1(q), abs=1e-12)
    dq = np.zeros_like(q)
    dq[[4, 20]] = 1e-7, -1e-7
    h = np.array([row.generator(tg.tensor(f[i : i + 1])).item() for i in range(len(f))])
    assert w1(q + dq) - w1(q) == pytest.approx((dq * h).sum(), rel=1e-6)


# --- which way a step goes --------------------------------------------------------------------


def toy_gan(name: str, **options: object) -> gan.GAN:
    tg.manual_seed(1)
    generator, judge = nets.mlp_gan((2,), 2, 16, 2)
    if gan.OBJECTIVES[name].output == "energy":
        return gan.BEGAN(generator, nets.mlp_energy((2,), 1, 16), 2, **options).double()
    return gan.GAN(generator, judge, name, 2, **options).double()


def belief_after_a_step(row: gan.Objective, name: str) -> tuple[float, float]:
    model = toy_gan(name)
    model.objective = row
    opt = tg.optim.SGD(model.G.parameters(), lr=1e-3)
    z = model.draw(64)
    look = lambda: row.belief(model.judge(model.G(z)))  # noqa: E731
    before = look().item()
    row.generator(model.judge(model.G(z))).backward()
    opt.step()
    return before, look().item()


@pytest.mark.parametrize("name", ROWS)
def test_one_generator_step_raises_the_belief_of_d(name: str) -> None:
    before, after = belief_after_a_step(gan.OBJECTIVES[name], name)
    assert after > before


@pytest.mark.parametrize("name", ROWS)
def test_the_sign_test_catches_a_wrong_sign(name: str) -> None:
    row = gan.OBJECTIVES[name]
    wrong = dataclasses.replace(row, generator=lambda fake: -row.generator(fake))
    before, after = belief_after_a_step(wrong, name)
    assert after < before


@pytest.mark.parametrize("name", ROWS)
def test_one_discriminator_step_tells_data_and_samples_further_apart(name: str) -> None:
    model, row = toy_gan(name), gan.OBJECTIVES[name]
    real = tg.randn(64, 2, dtype=tg.float64) + 2.0
    opt = tg.optim.SGD(model.D.parameters(), lr=1e-3)
    weight = 0.5 if row.output == "energy" else 1.0
    fake = model.sample(64)

    def gap() -> float:
        return (row.belief(model.judge(real)) - weight * row.belief(model.judge(fake))).item()

    before, seen = gap(), model.judge(fake)
    loss = row.discriminator(model.judge(real), weight * seen if row.output == "energy" else seen)
    loss.backward()
    opt.step()
    assert gap() > before


def test_least_squares_as_one_note_prints_it_has_no_minimum() -> None:
    """-E[(D(x) - 1)^2] + E[D(G(z))^2]: the further D(x) runs from 1 the better, without bound."""
    printed = lambda real, fake: -(real - 1).square().mean() + fake.square().mean()  # noqa: E731
    fake = tg.zeros(4)
    assert (
        printed(tg.full((4,), 100.0), fake)
        < printed(tg.full((4,), 10.0), fake)
        < printed(tg.ones(4), fake)
    )
    right = gan.least_squares_d
    assert (
        right(tg.full((4,), 100.0), fake)
        > right(tg.full((4,), 10.0), fake)
        > right(tg.ones(4), fake)
    )


@pytest.mark.parametrize("name", ROWS)
def test_losses_to_second_order(name: str) -> None:
    row = gan.OBJECTIVES[name]
    check_grads(row.discriminator, tg.randn(7, dtype=tg.float64), tg.randn(7, dtype=tg.float64))
    check_grads(row.generator, tg.randn(7, dtype=tg.float64))
    assert row.discriminator(tg.randn(3), tg.randn(3)).dtype == tg.float32


@pytest.mark.parametrize("name", LOGITS)
def test_losses_are_finite_where_d_is_sure(name: str) -> None:
    out = tg.tensor([-80.0, 80.0])
    row = gan.OBJECTIVES[name]
    assert np.isfinite([row.discriminator(out, out).item(), row.generator(out).item()]).all()


# --- the model --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_terms_and_gradients_of_a_step(name: str) -> None:
    model, row = toy_gan(name), gan.OBJECTIVES[name]
    terms = model.discriminator_terms(tg.randn(8, 2, dtype=tg.float64))
    assert (terms["penalty"].item() != 0.0) == (row.penalty is not None)
    terms["loss"].backward()
    assert all(p.grad is not None for p in model.D.parameters())
    assert all(p.grad is None for p in model.G.parameters())
    model.generator_terms(8)["loss"].backward()
    assert all(p.grad is not None for p in model.G.parameters())


def test_began_balances_its_two_energies() -> None:
    model = toy_gan("began", gamma=0.7, rate=0.3)
    assert model.k.item() == 0.0
    real = tg.randn(16, 2, dtype=tg.float64) * 3
    terms = model.discriminator_terms(real)
    assert terms["loss"].item() == pytest.approx(terms["real"].item())  # k = 0: data alone
    wanted = 0.3 * (0.7 * terms["real"].item() - terms["fake"].item())
    measure = model.balance()
    assert model.k.item() == pytest.approx(min(max(wanted, 0), 1), abs=1e-12)
    assert measure == pytest.approx(terms["real"].item() + abs(wanted) / 0.3, abs=1e-12)
    model.k._array[...] = 0.25
    terms = model.discriminator_terms(real)
    assert terms["loss"].item() == pytest.approx(terms["real"].item() - 0.25 * terms["fake"].item())
    for rate, end in ((1e6, 1.0), (-1e6, 0.0)):
        model._last, model.rate = (tg.tensor([2.0]), tg.tensor([0.1])), rate
        model.balance()
        assert model.k.item() == end


def test_a_packed_d_sees_whole_samples_side_by_side() -> None:
    x = tg.arange(12).reshape(6, 2).float()
    assert gan.pack(x, 3).tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert gan.pack(tg.randn(6, 1, 8, 8), 2).shape == (3, 2, 8, 8)
    generator, judge = nets.mlp_gan((2,), 2, 8, 1, packed=3)
    model = gan.GAN(generator, judge, "wgan_gp", 2, pack=3)
    assert model.judge(x).shape == (2,)
    model.discriminator_terms(x)["loss"].backward()
    with pytest.raises(ValueError, match="batch of 5 cannot be packed by 3"):
        gan.pack(tg.randn(5, 2), 3)


def test_whether_d_judges_each_sample_by_itself() -> None:
    make = lambda nets, **options: gan.GAN(*nets, "hinge", 2, **options)  # noqa: E731
    assert make(nets.mlp_gan((2,), 2, 8, 1)).apart
    assert make(nets.dcgan((1, 8, 8), 2, 4, norm="layer")).apart
    assert not make(nets.mlp_gan((2,), 2, 8, 1, packed=2), pack=2).apart
    assert not make(nets.mlp_gan((2,), 2, 8, 1, minibatch=2)).apart
    assert not make(nets.dcgan((1, 8, 8), 2, 4)).apart


def test_labels_go_into_both_networks() -> None:
    labels = tg.tensor([0, 2, 1])
    planes = nets.Conditional(nn.Identity(), 3)(tg.zeros(3, 1, 4, 4), labels)
    assert planes.shape == (3, 4, 4, 4)
    assert planes.mean((2, 3)).tolist() == [[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    generator, judge = nets.dcgan((1, 8, 8), 5, 4, classes=3)
    model = gan.GAN(nets.Conditional(generator, 3), nets.Conditional(judge, 3), "hinge", 5)
    real = tg.rand(3, 1, 8, 8)
    model.discriminator_terms((real, labels))["loss"].backward()
    model.generator_terms(3, labels)["loss"].backward()
    a, b = (model.sample(3, tg.Generator().manual_seed(0), tg.full((3,), c).long()) for c in (0, 1))
    assert not np.allclose(a.numpy(), b.numpy())


def test_sample_is_reproducible_and_leaves_the_mode_alone() -> None:
    model = toy_gan("minimax")
    a, b = (model.sample(5, tg.Generator().manual_seed(3)) for _ in range(2))
    assert (a == b).all() and model.G.training and not a.requires_grad


def test_instance_noise_reaches_d_only() -> None:
    model = toy_gan("minimax", noise=0.5)
    x = tg.zeros(4, 2, dtype=tg.float64)
    assert not np.allclose(model.judge(x).detach().numpy(), model.judge(x).detach().numpy())
    model.noise = 0.0
    assert np.allclose(model.judge(x).detach().numpy(), model.judge(x).detach().numpy())


# --- penalties --------------------------------------------------------------------------------


def seeded(penalty: object) -> object:
    return lambda critic, x, y: penalty(critic, x, y, tg.Generator().manual_seed(5))


@given(st.integers(0, 1000))
def test_penalties_of_a_linear_critic_are_known(seed: int) -> None:
    w = tg.randn(3, generator=tg.Generator().manual_seed(seed), dtype=tg.float64)
    x, y = tg.randn(6, 3, dtype=tg.float64), tg.randn(6, 3, dtype=tg.float64)
    critic, norm = (lambda x: x @ w), float(np.linalg.norm(w.numpy()))
    for name in ("interpolates", "perturbed"):
        assert gan.PENALTIES[name](critic, x, y).item() == pytest.approx((norm - 1) ** 2, abs=1e-9)
    assert gan.zero_on_data(critic, x, y).item() == pytest.approx(norm**2 / 2)


def test_interpolates_lie_on_the_segments_one_alpha_an_example() -> None:
    seen = []

    def critic(x: tg.Tensor) -> tg.Tensor:
        seen.append(x.detach().numpy())
        return x.square().flatten(1).sum(1)

    real, fake = (
        tg.randn(40, 1, 3, 3, dtype=tg.float64),
        tg.randn(40, 1, 3, 3, dtype=tg.float64) + 9.0,
    )
    gan.interpolates(critic, real, fake)
    alpha = (seen[0] - fake.numpy()) / (real.numpy() - fake.numpy())
    spread = alpha.reshape(40, -1)
    assert np.ptp(spread, axis=1).max() < 1e-12
    assert 0 <= spread.min() < 0.3 and 0.7 < spread.max() <= 1


def test_input_gradients_against_finite_differences() -> None:
    judge = nets.dcgan((1, 8, 8), 2, 3, norm="layer")[1].double()
    x = tg.randn(2, 1, 8, 8, dtype=tg.float64)
    gradient = gan.input_gradients(judge, x).detach().numpy()
    rng = np.random.default_rng(0)
    for _ in range(5):
        v = rng.standard_normal(x.shape)
        eps = 1e-6
        ahead, back = (judge(x + sign * eps * tg.tensor(v)).detach().numpy() for sign in (1, -1))
        slopes = (ahead - back) / (2 * eps)
        assert np.allclose((gradient * v).sum((1, 2, 3)), slopes, atol=1e-8)


def conv_net(*norm: nn.Module) -> nn.Module:
    """A discriminator of 4 x 4 pictures."""
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, 2, 1), *norm, nn.SiLU(), nn.Conv2d(2, 1, 2), nn.Flatten(0)
    )


def dense_net(*norm: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(16, 5), *norm, nn.Tanh(), nn.Linear(5, 1), nn.Flatten(0)
    )


NETS = {
    "linear": dense_net,
    "conv": conv_net,
    "layer norm": lambda: dense_net(nn.LayerNorm(5)),
    "group norm": lambda: conv_net(nn.GroupNorm(1, 2)),
    "instance norm": lambda: conv_net(nn.InstanceNorm2d(2, affine=True)),
    "batch norm": lambda: conv_net(nn.BatchNorm2d(2, track_running_stats=False)),
}


@pytest.mark.parametrize("name", sorted(gan.PENALTIES))
@pytest.mark.parametrize("net", sorted(NETS))
def test_penalties_to_second_order(name: str, net: str) -> None:
    judge = NETS[net]().double()
    x, y = tg.randn(3, 1, 4, 4, dtype=tg.float64), tg.randn(3, 1, 4, 4, dtype=tg.float64)
    penalty = seeded(gan.PENALTIES[name])
    check_grads(
        lambda x, y: penalty(judge, x, y) + 0.0 * y.sum(),
        x,
        y,
        params=list(judge.parameters()),
        float32=False,
    )


def test_penalty_trains_the_slope_towards_one() -> None:
    critic = nn.Linear(2, 1)
    opt = tg.optim.Adam(critic.parameters(), lr=0.05)
    x, y = tg.randn(32, 2), tg.randn(32, 2) + 3.0
    for _ in range(200):
        loss = gan.interpolates(lambda x: critic(x).flatten(), x, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    assert np.linalg.norm(critic.weight.detach().numpy()) == pytest.approx(1.0, abs=1e-2)


# --- bad input --------------------------------------------------------------------------------


def test_bad_input_is_named() -> None:
    generator, judge = nets.mlp_gan((2,), 2, 8, 1)
    with pytest.raises(ValueError, match="'wgan-gp'; there are minimax, non_saturating.*wgan_gp"):
        gan.GAN(generator, judge, "wgan-gp", 2)
    with pytest.raises(ValueError, match="no penalty is called 'gp'; there are interpolates"):
        gan.GAN(generator, judge, "wgan", 2, penalty="gp")
    sigmoid = nn.Sequential(nn.Linear(2, 1), nn.Sigmoid(), nn.Flatten(0))
    with pytest.raises(ValueError, match=r"wgan needs D's raw output \(a score\), but .* Sigmoid"):
        gan.GAN(generator, sigmoid, "wgan", 2)
    for options in ({"noise": -0.1}, {"weight": -0.1}):
        with pytest.raises(ValueError, match="noise, weight >= 0, got .*-0.1"):
            gan.GAN(generator, judge, "wgan_gp", 2, **options)
    energy = nets.mlp_energy((2,), 1, 8)
    with pytest.raises(ValueError, match="D is an autoencoder, .* hinge needs a score, high"):
        gan.GAN(generator, energy, "hinge", 2)
    bounded = nets.AutoencoderEnergy(nn.Linear(2, 1), nn.Sequential(nn.Linear(1, 2), nn.Sigmoid()))
    assert gan.BEGAN(generator, bounded, 2).judge(tg.rand(3, 2)).shape == (3,)
    with pytest.raises(ValueError, match="says: energy; .*models.gan.BEGAN"):
        gan.GAN(generator, energy, "began", 2)
    scores = gan.BEGAN(generator, judge, 2)
    scores._last = tg.tensor([-0.5]), tg.tensor([0.1])
    with pytest.raises(ValueError, match="energies are >= 0, D's mean for data is -0.5"):
        scores.balance()
    with pytest.raises(ValueError, match="no common label"):
        gan.GAN(generator, judge, "hinge", 2, pack=2).judge(tg.rand(4, 2), tg.arange(4))
    with pytest.raises(ValueError, match="smoothing < 0.5, got 0.7"):
        gan.GAN(generator, judge, "minimax", 2, smoothing=0.7)
    with pytest.raises(ValueError, match="wgan has no target to smooth"):
        gan.GAN(generator, judge, "wgan", 2, smoothing=0.1)
    with pytest.raises(RuntimeError, match=r"G makes samples \(4, 2\), the data are \(4, 3\)"):
        gan.GAN(generator, judge, "minimax", 2).discriminator_terms(tg.randn(4, 3))
    with pytest.raises(ValueError, match="'interpolates' is about D's slope .* batch norm"):
        gan.GAN(*nets.dcgan((1, 8, 8), 2, 4), "wgan_gp", 2)
    normed = gan.GAN(*nets.mlp_gan((2,), 2, 8, 1, batch_norm=True), "minimax", 2)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        normed.generator_terms(1)
