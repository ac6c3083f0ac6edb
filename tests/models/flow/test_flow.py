"""Flows: both ways are one map, its log-determinant is that of the Jacobian, densities sum to 1."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygen as tg
from tinygen import models
from tinygen.models import nets
from tinygen.models.flow import (
    FLOWS,
    ActNorm,
    Affine,
    Continuous,
    Coupling,
    Flow,
    FlowMatching,
    Inverse,
    InvertibleConv,
    Logit,
    MaskedAutoregressive,
    Spline,
    Split,
    Squeezed,
    Standardise,
    checkerboard,
    halves,
)

SMALL = {"hidden": 8, "layers": 2, "bins": 3}


def stirred(module: tg.nn.Module, scale: float = 0.4) -> tg.nn.Module:
    """In float64, every parameter moved at random: no layer is the identity."""
    module.double()
    for p in module.parameters():
        p.data.add_(scale * tg.randn(p.shape).double())
    return module.eval()


def coupling(shape: tuple[int, ...], mask: Callable[..., tg.Tensor], curve: object) -> Coupling:
    return Coupling(mask(shape), nets.coupling_net(shape, curve.numbers, 6), curve)


def in_plane(name: str) -> Flow:
    return stirred(models.build("flow", {"flow": name, "shape": (2,)} | SMALL), 0.3)


VECTOR = {
    "standardise": lambda d: Standardise([0.5] * d, list(np.linspace(0.5, 2.0, d))),
    "actnorm": ActNorm,
    "lu": InvertibleConv,
    "matrix": lambda d: InvertibleConv(d, lu=False),
    "affine": lambda d: coupling((d,), halves, Affine()),
    "spline": lambda d: coupling((d,), checkerboard, Spline(4, reach=1.5)),
    "maf": lambda d: MaskedAutoregressive((d,), [9, 9], list(np.roll(range(d), 1))),
    "iaf": lambda d: Inverse(MaskedAutoregressive((d,), [9, 9])),
    "spline maf": lambda d: MaskedAutoregressive((d,), [9], curve=Spline(3)),
    "split": lambda d: Split(ActNorm((d + 1) // 2)),
}  # fmt: skip
PICTURE = {
    "logit": lambda c: Logit(),
    "actnorm": ActNorm,
    "lu": InvertibleConv,
    "checkerboard": lambda c: coupling((c, 2, 4), checkerboard, Affine()),
    "spline": lambda c: coupling((c, 2, 4), checkerboard, Spline(3)),
    "squeezed": lambda c: Squeezed(
        coupling((4 * c, 1, 2), halves, Affine()), Split(ActNorm(2 * c))
    ),
    "maf": lambda c: MaskedAutoregressive((c, 2, 4), [16]),
}  # fmt: skip


def holds(layer: models.flow.Transform, x: tg.Tensor) -> None:
    """There and back is x; each log_det is that of the autograd Jacobian of its own direction."""
    z, log_det = layer(x)
    back, log_back = layer.inverse(z)
    assert z.shape == x.shape and log_det.shape == (len(x),)
    assert (back - x).abs().max().item() < 1e-10 and (layer.decode(z) == back).all()
    for way, start, said in ((layer.forward, x, log_det), (layer.inverse, z, log_back)):
        for row, number in zip(start, said):
            jacobian = tg.autograd.functional.jacobian(lambda v, w=way: w(v)[0], row.unsqueeze(0))
            exact = np.linalg.slogdet(jacobian.numpy().reshape(row.numel(), -1))[1]
            assert number.item() == pytest.approx(exact, abs=1e-10)


@pytest.mark.parametrize("name", VECTOR)
@settings(deadline=None, max_examples=4)
@given(st.integers(2, 5), st.integers(0, 99))
def test_a_layer_of_vectors(name: str, size: int, seed: int) -> None:
    tg.manual_seed(seed)
    holds(stirred(VECTOR[name](size)), tg.randn(2, size).double())


@pytest.mark.parametrize("name", PICTURE)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_layer_of_pictures(name: str, channels: int) -> None:
    holds(stirred(PICTURE[name](channels)), tg.rand(2, channels, 2, 4).double())


@pytest.mark.parametrize("name", ["realnvp", "glow", "spline"])
def test_a_flow_of_several_scales(name: str) -> None:
    c = {"flow": name, "shape": (1, 4, 4), "scales": 2, "hidden": 4, "layers": 2}
    model = stirred(models.build("flow", c), 0.2)
    holds(model.chain, tg.rand(1, 1, 4, 4).double())


@pytest.mark.parametrize("name", FLOWS)
def test_the_density_integrates_to_one_and_samples_follow_it(name: str) -> None:
    model = in_plane(name)
    side = 70 if name in ("ffjord", "matching") else 150  # its density is smooth, and dear
    with tg.no_grad():
        x = model.sample(2000, tg.Generator().manual_seed(0))
        low, high = (x.mean(0) + k * (x - x.mean(0)).abs().amax(0) for k in (-1.5, 1.5))
        lines = np.linspace(low.numpy(), high.numpy(), side)
        grid = tg.tensor(np.stack(np.meshgrid(*lines.T), -1).reshape(-1, 2))
        p = model.log_prob(grid).exp().numpy() * np.prod(lines[1] - lines[0])
        assert p.sum() == pytest.approx(1.0, abs=1e-3)
        error = x.std(0).numpy() / math.sqrt(len(x))
        assert (np.abs(x.mean(0).numpy() - p @ grid.numpy()) < 4 * error).all()
        # E 1[x in box] / p(x) is the box's area, if the samples are those of p.
        inside = ((x - x.mean(0)).abs() < 0.5).all(1).numpy()
        ratio = inside / model.log_prob(x).exp().numpy()
    assert abs(ratio.mean() - 1.0) < 4 * ratio.std() / math.sqrt(len(ratio))


def test_actnorm_starts_from_the_first_batch_of_training() -> None:
    layer = ActNorm(3).double()
    x = (
        tg.tensor([1.0, -2.0, 30.0]).double().reshape(3, 1, 1)
        + 5.0 * tg.randn(40, 3, 4, 4).double()
    )
    assert (layer.eval()(x)[0] == x).all(), "evaluation sets nothing"
    z = layer.train()(x)[0].transpose(0, 1).flatten(1)
    assert z.mean(1).abs().max().item() < 1e-12
    assert (z.var(1, correction=0) - 1.0).abs().max().item() < 1e-5
    before = layer.shift.detach().clone()
    layer(x + 1.0)
    assert (layer.shift == before).all(), "the second batch sets nothing"


def test_a_matrix_is_singular_by_its_pivots_and_not_by_its_scale() -> None:
    tiny = 1e-9 * tg.eye(4)
    z, log_det = InvertibleConv(4, tiny, lu=False)(tg.ones(1, 4))
    assert z.tolist()[0] == pytest.approx([1e-9] * 4)
    assert log_det.item() == pytest.approx(4 * math.log(1e-9), rel=1e-6)
    nearly = tg.tensor([[1.0, 1.0], [1.0, 1.0 + 1e-7]])  # a rounding error from singular
    for lu in (True, False):
        with pytest.raises(ValueError, match="InvertibleConv: the matrix .* is singular"):
            InvertibleConv(2, nearly, lu=lu)


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("shape", [(2,), (1, 4, 4)])
def test_a_batch_of_none_is_a_batch(name: str, shape: tuple[int, ...]) -> None:
    c = {"flow": name, "shape": shape, "hidden": 4, "layers": 2, "scales": 1, "ode_steps": 1}
    model = stirred(models.build("flow", c), 0.1)
    assert model.log_prob(tg.rand(0, *shape).double()).shape == (0,)
    assert model.sample(0).shape == (0, *shape)


def test_a_masked_flow_sees_what_comes_before_in_its_order() -> None:
    order = [2, 0, 3, 1]
    layer = stirred(MaskedAutoregressive((4,), [24, 24], order))
    jacobian = tg.autograd.functional.jacobian(lambda v: layer(v)[0], tg.randn(1, 4).double())
    seen = jacobian.numpy().reshape(4, 4)[np.ix_(order, order)] != 0
    assert (seen == np.tril(np.ones((4, 4)))).all()


def test_a_spline_meets_the_identity_at_its_ends_and_passes_through_its_knots() -> None:
    spline, p = Spline(5, reach=2.0), 2.0 * tg.randn(1, 14, 1).double()
    at = lambda v: spline.forward(tg.tensor([[v]], dtype=tg.float64), p)
    for end in (-2.0, 2.0):
        y, log_slope = at(end * (1 - 1e-9))
        assert y.item() == pytest.approx(end, abs=1e-6)
        assert log_slope.item() == pytest.approx(0.0, abs=1e-5)
        assert at(1.5 * end)[0].item() == 1.5 * end and at(1.5 * end)[1].item() == 0.0
    x = tg.tensor(np.linspace(-2.5, 2.5, 400))[:, None]
    y = spline.forward(x, p.expand(400, -1, -1))[0]
    assert (y[1:] > y[:-1]).all()
    shares = lambda v: 0.001 + 0.995 * np.exp(v) / np.exp(v).sum()
    knots = [4.0 * np.cumsum(shares(p.numpy()[0, i : i + 5, 0]))[1] - 2.0 for i in (0, 5)]
    assert at(knots[0])[0].item() == pytest.approx(knots[1], abs=1e-9)
    assert at(knots[0])[1].item() == pytest.approx(
        math.log(0.001 + np.log1p(np.exp(p[0, 11, 0].item()) * (math.exp(0.999) - 1.0))), abs=1e-6
    )


# --- continuous flows -------------------------------------------------------------------------


def test_the_error_of_ffjord_is_of_order_four() -> None:
    tg.manual_seed(3)
    layer = stirred(Continuous(nets.TimeMLP(2, 8, layers=1)), 0.3)
    x = tg.randn(4, 2).double()

    def run(steps: int) -> np.ndarray:
        layer.steps = steps
        with tg.no_grad():
            z, log_det = layer(x)
        return tg.cat([z, log_det.unsqueeze(1)], 1).numpy()

    exact = run(160)
    errors = [np.abs(run(steps) - exact).max(0) for steps in (20, 40)]
    for place in (slice(0, 2), slice(2, 3)):  # the points, then the log-determinant
        rate = math.log2(errors[0][place].max() / errors[1][place].max())
        assert rate == pytest.approx(4.0, abs=0.4)
    layer.steps = 16
    jacobian = tg.autograd.functional.jacobian(lambda v: layer(v)[0], x[:1]).numpy().reshape(2, 2)
    assert layer(x[:1])[1].item() == pytest.approx(np.linalg.slogdet(jacobian)[1], abs=1e-4)


def test_hutchinson_is_unbiased_and_its_gradient_too() -> None:
    tg.manual_seed(4)
    layer = stirred(Continuous(nets.TimeMLP(3, 8, layers=1), steps=2), 0.5)
    x = tg.randn(1, 3).double()
    weight = layer.net.first.weight
    exact = layer(x)[1]
    (slope,) = tg.autograd.grad(exact.sum(), weight)
    layer.train()
    draws = layer(x.expand(4000, -1))[1]
    noise = draws.detach().numpy()
    assert noise.std() > 0 and abs(noise.mean() - exact.item()) < 4 * noise.std() / math.sqrt(4000)
    (noisy,) = tg.autograd.grad(draws.mean(), weight)
    assert (noisy - slope).abs().max().item() < 0.1 * slope.abs().max().item()


class Straight(tg.nn.Module):
    """The velocity from N(0, I) to N(m, s^2 I) in closed form, times 1 + `off`."""

    def __init__(self, m: float, s: float) -> None:
        super().__init__()
        self.m, self.s, self.off = m, s, tg.nn.Parameter(tg.zeros(2).double())

    def forward(self, x: tg.Tensor, time: tg.Tensor) -> tg.Tensor:
        t = time.unsqueeze(-1) / 10.0
        slope = (t * self.s**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * self.s**2)
        return self.m * (1 + self.off[0]) + slope * (1 + self.off[1]) * (x - t * self.m)


def test_flow_matching_between_two_gaussians_meets_the_closed_form() -> None:
    m, s, n = 1.5, 0.4, 20_000
    model = FlowMatching((2,), way=Continuous(Straight(m, s), steps=16))
    x1 = m + s * tg.randn(n, 2).double()
    loss = model.matching_loss(x1)
    t = np.linspace(0, 1, 20_001)
    least = 1 + s**2 - (t * s**2 - (1 - t)) ** 2 / ((1 - t) ** 2 + t**2 * s**2)
    expected = 2 * ((least[1:] + least[:-1]) / 2).mean()  # of two dimensions: nobody does better
    noise = loss.detach().numpy()
    assert abs(noise.mean() - expected) < 4 * noise.std() / math.sqrt(n)
    (slope,) = tg.autograd.grad(loss.mean(), model.way.net.off)
    assert slope.abs().max().item() < 0.1, "it is stationary in the closed form"
    x = m + s * tg.randn(20, 2).double()  # and its flow has the law of the data
    exact = models.likelihoods.gaussian_log_prob(x, 0.0 * x + m, 2 * math.log(s))
    assert (model.eval().log_prob(x) - exact).abs().max().item() < 2e-3


def test_a_trained_regression_comes_to_the_closed_form() -> None:
    m, s = 1.0, 0.5
    model = FlowMatching((1,), way=Continuous(nets.TimeMLP(1, 32, layers=1)))
    opt = tg.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(200):
        loss = model.terms((m + s * tg.randn(256, 1),))["loss"]
        opt.zero_grad()
        loss.backward()
        opt.step()
    exact, errors = Straight(m, s), []
    for t in (0.1, 0.5, 0.9):
        x = t * m + math.sqrt((1 - t) ** 2 + t**2 * s**2) * tg.linspace(-1.5, 1.5, 7).unsqueeze(1)
        wanted = exact(x.double(), tg.tensor([10 * t], dtype=tg.float64))
        errors.append((model.way.velocity(x, t) - wanted).abs().mean().item())
    assert max(errors) < 0.15


def test_straight_paths_do_not_bend() -> None:
    line = FlowMatching((2,), way=Continuous(Straight(2.0, 1.0)))
    line.way.net.forward = lambda x, time: 0.0 * x + 2.0
    assert line.bend(5) == pytest.approx(0.0, abs=1e-20)
    x0 = tg.randn(5, 2).double()
    assert (line.matching_loss(x0 + 2.0, x0) == 0.0).all(), "pairs that the flow itself joins"
    assert (line.matching_loss(x0 + 2.0) > 0.0).all()
    assert FlowMatching((2,), way=Continuous(Straight(2.0, 0.1))).bend(50) > 0.01


# --- bad input --------------------------------------------------------------------------------


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"of even H and W, got \(1, 1, 3, 4\); pad them"):
        Squeezed(Logit())(tg.rand(1, 1, 3, 4))
    with pytest.raises(ValueError, match=r"the matrix \(2, 2\) is singular"):
        InvertibleConv(2, tg.tensor([[1.0, 2.0], [2.0, 4.0]]))
    layer = InvertibleConv(2, lu=False)
    layer.weight.data.fill_(1.0)
    with pytest.raises(ValueError, match="is singular .* cannot be inverted"):
        layer(tg.ones(1, 2))
    with pytest.raises(ValueError, match=r"a permutation of 0..2, got \[0, 2, 2\]"):
        MaskedAutoregressive((3,), [8], [0, 2, 2])
    with pytest.raises(ValueError, match="needs some of both"):
        Coupling(tg.ones(2), tg.nn.Linear(2, 4), Affine())
    with pytest.raises(ValueError, match="no flow is called 'nice'; there are realnvp, glow"):
        models.build("flow", {"flow": "nice", "shape": (2,)})
    with pytest.raises(ValueError, match=r"of shape \(B, \*\(2,\)\), got \(4, 3\)"):
        in_plane("realnvp").log_prob(tg.zeros(4, 3))
    with pytest.raises(ValueError, match="this model has none"):
        in_plane("realnvp").sample(1, labels=tg.tensor([0]))
    with pytest.raises(ValueError, match="expected std > 0"):
        Standardise(0.0, 0.0)
    with pytest.raises(ValueError, match="0 < margin < 0.5"):
        Logit(0.5)
    for grey in (1.2, -0.1, math.nan):  # within 1.05, what the margin leaves, is let pass
        with pytest.raises(ValueError, match=r"Logit: expected pixels in \[0, 1\], got"):
            Logit()(tg.full((1, 1, 2, 2), grey))
    with pytest.raises(ValueError, match=r"ActNorm: the first batch .* \(1, 3\) has less than two"):
        ActNorm(3)(tg.ones(1, 3))
    with pytest.raises(ValueError, match="steps"):
        Continuous(nets.TimeMLP(2, 4)).path(tg.zeros(1, 2), 0)
    with pytest.raises(ValueError, match="flow: expected scales >= 0, got -1"):
        models.build("flow", {"shape": (1, 4, 4), "scales": -1})
    with pytest.raises(ValueError, match=r"a shape \(D,\) or \(C, H, W\), got \(2, 2\)"):
        nets.coupling_net((2, 2), 2)
