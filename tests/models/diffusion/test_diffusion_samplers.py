"""Samplers: their variance by an exact recursion with a perfect network; options; bad input."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen.models import diffusion as D
from tinygen.models import nets
from tinygen.models.diffusion.samplers import SAMPLERS, Step

pytestmark = pytest.mark.filterwarnings("ignore:.*x_T still shows the data")


def exact(process: D.Process, std: float = 1.0, dims: int = 1) -> D.Diffusion:
    """The perfect model of data N(0, std^2 I)."""
    means = tg.zeros(1, dims, dtype=tg.float64)
    return D.Diffusion(process, D.ExactDenoiser(process, means, std), "x0")


def variance_at_the_end(
    process: D.Process, sampler: str, std: float = 1.0, steps: int | None = None,
    variance: str = "small", eta: float = 0.0,
) -> float:  # fmt: skip
    """The exact variance of x_0. With a perfect network of N(0, std^2) a step is linear,

    x_u = gain x_t + added noise, and the sampler itself says its gain and its noise: it is given
    x = 1 without noise, and x = 0 with noise 1.
    """
    model, now = exact(process, std), process.prior_std**2
    probe, noise = tg.tensor([[1.0], [0.0]]).double(), tg.tensor([[0.0], [1.0]]).double()
    times = D.timesteps(process.T, steps)
    for t, u in zip(times, times[1:], strict=False):
        step = Step(model, model.predict, lambda: noise, t, u, variance, eta)
        gain, added = SAMPLERS[sampler](probe, step).flatten().tolist()
        now = gain**2 * now + added**2
    return now


# --- the known numbers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("T", "std", "variance", "expected"),
    [
        (1000, 1.0, "large", 0.9999),
        (1000, 1.0, "small", 0.9911),
        (1000, 2.0, "large", 3.991),
        (1000, 2.0, "small", 3.975),
        (50, 2.0, "large", 1.783),
    ],
)
def test_variance_of_ancestral_samples(T: int, std: float, variance: str, expected: float) -> None:
    got = variance_at_the_end(D.linear_betas(T), "ancestral", std, variance=variance)
    assert got == pytest.approx(expected, abs=6e-5 if std == 1 else 6e-4)


@pytest.mark.parametrize(
    ("T", "wrong", "right"), [(50, 0.467, 0.871), (200, 0.491, 0.966), (1000, 0.498, 0.993)]
)
def test_the_notes_sampler_loses_half_of_the_variance(T: int, wrong: float, right: float) -> None:
    process = D.geometric(T, 0.01, 10.0)
    assert variance_at_the_end(process, "renoise") == pytest.approx(wrong, abs=6e-4)
    assert variance_at_the_end(process, "ancestral") == pytest.approx(right, abs=6e-4)


def test_the_recursion_is_what_samples_do() -> None:
    process, n = D.linear_scaled(30), 40_000
    model = exact(process, 2.0)
    for sampler, variance in (("ancestral", "large"), ("ancestral", "small"), ("ddim", "small")):
        start = process.prior((n, 1), dtype=tg.float64)
        x = D.sample(model, (n, 1), sampler, start=start, variance=variance)
        expected = variance_at_the_end(process, sampler, 2.0, variance=variance)
        assert x.var().item() == pytest.approx(expected, rel=0.04), sampler


def test_deterministic_samplers_come_near_the_data_and_heun_nearer() -> None:
    process = D.cosine(1000)
    errors = {
        (sampler, steps): abs(variance_at_the_end(process, sampler, 0.5, steps) - 0.25)
        for sampler in ("ddim", "heun")
        for steps in (20, 100)
    }
    assert errors["heun", 20] < 0.5 * errors["ddim", 20]
    assert errors["ddim", 100] < 0.5 * errors["ddim", 20] and errors["ddim", 100] < 0.02


@given(st.sampled_from(sorted(D.SCHEDULES)), st.integers(2, 20), st.integers(0, 100))
def test_ddim_with_eta_1_is_ddpm(name: str, T: int, seed: int) -> None:
    """Not only in its marginals: with the same noise it takes the same step."""
    process = D.schedule(name, T)
    model = exact(process, 0.7, 2)
    steps = 1 + seed % T
    start = process.prior((4, 2), dtype=tg.float64)
    ends = [
        D.sample(model, (4, 2), sampler, steps, start=start,
                 generator=tg.Generator().manual_seed(seed), **options)
        for sampler, options in (("ddim", {"eta": 1.0}), ("ancestral", {"variance": "small"}))
    ]  # fmt: skip
    assert np.allclose(ends[0].numpy(), ends[1].numpy(), rtol=1e-6, atol=1e-8)


def test_ancestral_draws_a_mixture_with_its_weights() -> None:
    process, means = D.cosine(100), tg.tensor([[-2.0], [2.0]]).double()
    weights = tg.tensor([0.25, 0.75], dtype=tg.float64)
    model = D.Diffusion(process, D.ExactDenoiser(process, means, 0.2, weights), "x0")
    x = D.sample(model, (4000, 1), start=process.prior((4000, 1), dtype=tg.float64))
    right = x.numpy() > 0
    assert right.mean() == pytest.approx(0.75, abs=0.03)
    assert x.numpy()[right].std() == pytest.approx(0.2, rel=0.08)


# --- options --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", D.SCHEDULES)
@pytest.mark.parametrize("T", [2, 1000, 4000])
@pytest.mark.parametrize("kind", D.KINDS)
def test_no_nan_from_2_to_4000_steps(name: str, T: int, kind: str) -> None:
    """float32, an untrained network, at most 25 steps of each chain."""
    net = nets.TimeMLP(2, 8, 1)
    tg.nn.init.normal_(net.last.weight, 0.0, 0.1)
    model = D.Diffusion(D.schedule(name, T), net, kind)
    for sampler in D.SAMPLERS:
        x = D.sample(model, (3, 2), sampler, min(T, 25), clip=True)
        assert x.dtype == tg.float32 and np.isfinite(x.numpy()).all(), sampler
    loss = model.loss(tg.randn(8, 2))
    loss.backward()
    assert np.isfinite(loss.item())
    assert all(np.isfinite(p.grad.numpy()).all() for p in net.parameters())


@given(st.integers(2, 500), st.data())
def test_timesteps_fall_from_T_to_0(T: int, data: st.DataObject) -> None:
    steps = data.draw(st.integers(1, T))
    times = D.timesteps(T, steps)
    assert times[0] == T and times[-1] == 0 and len(times) == steps + 1
    assert all(a > b for a, b in zip(times, times[1:], strict=False))


def test_chain_shows_every_step_and_leaves_recording_on() -> None:
    model = D.Diffusion(D.cosine(10), nets.TimeMLP(2, 8))
    seen = []
    for t, x in D.chain(model, (3, 2), "ddim", 5):
        assert tg.is_grad_enabled() and not x.requires_grad
        seen.append(t)
    assert seen == [10, 8, 6, 4, 2, 0]


def test_clipping_keeps_x0_in_range_and_x_t_consistent() -> None:
    process = D.cosine(10)

    class Far(tg.nn.Module):
        def forward(self, x: tg.Tensor, time: tg.Tensor) -> tg.Tensor:
            return x * 0 + 3.0

    model = D.Diffusion(process, Far(), "x0", bounded=True)
    start = tg.zeros(2, 4)
    assert np.allclose(D.sample(model, (2, 4), "ddim", start=start).numpy(), 1.0)
    assert np.allclose(D.sample(model, (2, 4), "ddim", start=start, clip=False).numpy(), 3.0)


def test_dynamic_thresholding_scales_each_picture_by_its_own_quantile() -> None:
    from tinygen.models.diffusion.samplers import clip_x0

    process = D.cosine(10)
    model = D.Diffusion(process, nets.TimeMLP(4, 8))
    x0 = tg.tensor([[0.1, -0.2, 0.3, 0.4], [4.0, -2.0, 1.0, 0.0]]).double()
    x = normal = tg.randn(2, 4, dtype=tg.float64)
    a, s = process.level(5, normal)
    p = clip_x0(D.Prediction(x0, (x - a * x0) / s), x, 5, model, 0.5)
    assert np.allclose(p.x0[0].numpy(), x0[0].numpy())  # within range: left alone
    assert np.allclose(p.x0[1].numpy(), [1.0, -1.0, 1 / 1.5, 0.0])  # median of 4, 2, 1, 0 is 1.5
    assert np.allclose((a * p.x0 + s * p.eps).numpy(), x.numpy())


# --- labels and guidance --------------------------------------------------------------------------


class Labelled(tg.nn.Module):
    """eps = 1 + label, or 0.5 for "no label" (2)."""

    def forward(self, x: tg.Tensor, time: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        said = tg.tensor([1.0, 2.0, 0.5])[y].to(x.dtype)
        return x * 0 + said[:, None]


def test_guidance_goes_from_no_label_through_the_label_and_beyond() -> None:
    model = D.Diffusion(D.cosine(10), Labelled(), classes=2)
    x, y = tg.zeros(2, 3), tg.tensor([0, 1])
    for g, expected in ((1.0, [1.0, 2.0]), (0.0, [0.5, 0.5]), (3.0, [2.0, 5.0])):
        assert np.allclose(model.predict(x, 4, y, g).eps[:, 0].numpy(), expected), g
    assert np.allclose(model.predict(x, 4).eps.numpy(), 0.5)


def test_guidance_leaves_a_learned_variance_alone() -> None:
    net = nets.TimeMLP(2, 8, classes=3, out=4)
    tg.nn.init.normal_(net.last.weight)
    model = D.Diffusion(D.cosine(10), net, variance="learned", classes=3)
    x, y = tg.randn(3, 2), tg.tensor([0, 1, 2])
    plain, guided = model.predict(x, 4, y), model.predict(x, 4, y, 5.0)
    assert np.allclose(guided.fraction.detach().numpy(), plain.fraction.detach().numpy(), atol=1e-5)
    assert not np.allclose(guided.eps.detach().numpy(), plain.eps.detach().numpy(), atol=0.01)


def test_guidance_0_is_the_unconditional_sampler() -> None:
    net = nets.TimeMLP(2, 8, classes=3)
    tg.nn.init.normal_(net.last.weight)
    model = D.Diffusion(D.cosine(10), net, classes=3)
    start = tg.randn(4, 2)
    free = D.sample(model, (4, 2), "ddim", start=start)
    none = D.sample(model, (4, 2), "ddim", start=start, labels=1, guidance=0.0)
    one = D.sample(model, (4, 2), "ddim", start=start, labels=1)
    assert np.allclose(free.numpy(), none.numpy(), atol=1e-5)
    assert not np.allclose(free.numpy(), one.numpy(), atol=1e-3)


def test_labels_are_dropped_as_often_as_said() -> None:
    model = D.Diffusion(D.cosine(10), Labelled(), classes=2, drop=0.3)
    y = model.drop_labels(tg.zeros(20_000, dtype=tg.int64))
    assert (y.numpy() == 2).mean() == pytest.approx(0.3, abs=0.02)
    assert set(y.numpy()) == {0, 2}


# --- inpainting -----------------------------------------------------------------------------------


def test_known_pixels_stay_and_the_rest_agrees_with_them() -> None:
    """Two modes (-1, -1) and (1, 1): who knows the first number knows the second."""
    process, means = D.cosine(60), tg.tensor([[-1.0, -1.0], [1.0, 1.0]]).double()
    model = D.Diffusion(process, D.ExactDenoiser(process, means, 0.1), "x0")
    n = 400
    sign = tg.tensor(np.where(np.arange(n) % 2, 1.0, -1.0)[:, None])
    picture, mask = tg.cat([sign, sign * 0], 1), tg.tensor([[1.0, 0.0]]).double()
    start = process.prior((n, 2), dtype=tg.float64)
    agree = {}
    for resample in (1, 5):
        x = D.sample(model, (n, 2), known=(mask, picture), resample=resample, start=start)
        assert np.array_equal(x[:, 0].numpy(), picture[:, 0].numpy())
        agree[resample] = float((np.sign(x[:, 1].numpy()) == sign[:, 0].numpy()).mean())
    assert agree[1] > 0.8 and agree[5] > 0.97, agree


# --- bad input ------------------------------------------------------------------------------


def test_bad_input_is_named() -> None:
    plain = D.Diffusion(D.cosine(10), nets.TimeMLP(2, 8))
    with pytest.raises(ValueError, match="1 <= steps <= T = 10, got 11 sampler steps"):
        D.sample(plain, (1, 2), "ddim", 11)
    with pytest.raises(ValueError, match="no sampler is called 'euler'; there are ancestral, ddim"):
        D.sample(plain, (1, 2), "euler")
    with pytest.raises(ValueError, match=r"guidance = 3 needs a conditional model \(classes > 0\)"):
        D.sample(plain, (1, 2), guidance=3.0)
    with pytest.raises(ValueError, match="the model is not conditional"):
        D.sample(plain, (1, 2), labels=1)
    with pytest.raises(ValueError, match=r"expected a start of shape \(4, 2\), got \(3, 2\)"):
        D.sample(plain, (4, 2), start=tg.zeros(3, 2))
    with pytest.raises(ValueError, match="0 <= eta <= 1"):
        D.sample(plain, (1, 2), eta=2.0)
    with pytest.raises(ValueError, match="'learned' needs a model made with variance='learned'"):
        D.sample(plain, (1, 2), variance="learned")
    labelled = D.Diffusion(D.cosine(10), nets.TimeMLP(2, 8, classes=3), classes=3)
    with pytest.raises(ValueError, match="guidance = 3 needs labels"):
        D.sample(labelled, (1, 2), guidance=3.0)
    for y in (4, -1, tg.tensor([0, 5])):
        with pytest.raises(ValueError, match=r"labels must be in 0..2 \(or 3 for none\), got"):
            D.sample(labelled, (2, 2), labels=y)


@pytest.mark.parametrize("name", ["cosine", "linear_scaled", "geometric"])
def test_half_of_a_film_shows_more_than_noise(name: str) -> None:
    process = D.schedule(name, 200)
    path = [(t, tg.zeros(1)) for t in D.timesteps(200, None)]
    frames = [t for t, _ in D.film(process, path, 31)]
    share = process.s[frames] / np.hypot(process.a[frames], process.s[frames])
    assert frames[0] == 200 and frames[-1] == 0 and len(frames) == 31
    assert share[10] < 0.5 and share[15] < 0.3 and (np.diff(share) <= 0).all()
    assert [t for t, _ in D.film(process, path[:1], 2)] == [200, 200]
