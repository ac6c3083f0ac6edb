"""Energies: their slope, what Langevin draws from them, contrastive divergence, the buffer."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygen as tg
from tinygen import models
from tinygen.autograd import grad
from tinygen.models.score import ReplayBuffer


def shaken(**config: object) -> models.score.EnergyModel:
    """A small model in float64 whose energy is not flat."""
    tg.manual_seed(0)
    model = models.build("energy", {"hidden": 16, "std": 1.0, "size": 50} | config).double()
    for p in model.parameters():
        p.data.add_(0.5 * tg.randn(p.shape, dtype=p.dtype))
    return model


def flat(model: models.score.EnergyModel) -> models.score.EnergyModel:
    """f = 0: E is that of N(0, (2 std)^2 I)."""
    for p in model.parameters():
        p.data.zero_()
    return model


def test_the_score_is_minus_the_slope_of_the_energy_and_has_no_curl() -> None:
    model, x = shaken(), tg.randn(6, 2, dtype=tg.float64)
    h = 1e-5
    for i in range(2):
        step = h * tg.eye(2, dtype=tg.float64)[i]
        slope = (model(x + step) - model(x - step)) / (2 * h)
        assert (model.score(x)[:, i] + slope).abs().max().item() < 1e-7
    jacobian = tg.autograd.functional.hessian(lambda x: model(x[None]).sum(), x[0])
    assert (jacobian - jacobian.T).abs().max().item() < 1e-12 and jacobian.abs().max().item() > 0.1
    free = models.build("score", {"hidden": 16}).double()  # a field that need not be a slope
    for p in free.parameters():
        p.data.add_(0.5 * tg.randn(p.shape, dtype=p.dtype))
    turn = tg.autograd.functional.jacobian(lambda x: free.score(x[None], 1.0)[0], x[0])
    assert (turn - turn.T).abs().max().item() > 1e-3


@pytest.mark.parametrize("sampler", ["mala", "langevin"])
def test_chains_draw_from_the_energy(sampler: str) -> None:
    model = flat(shaken(sampler=sampler, step=1.0))
    x = model.sample(4000, tg.Generator().manual_seed(0), steps=40)
    variance = 4.0 if sampler == "mala" else 4.0 / (1 - 1.0 / 16)
    assert x.numpy().var() == pytest.approx(variance, abs=4 * 4 * math.sqrt(2 / 8000))
    on, z = model.path(x, 1), model(x)
    assert not next(on).requires_grad and z.requires_grad


def test_the_loss_has_the_gradient_of_the_likelihood() -> None:
    """On a grid, where Z is a sum: d -log p / d theta = E_data dE - E_model dE."""
    model = shaken(penalty=0.0, chain=1)
    axis = tg.linspace(-12, 12, 121, dtype=tg.float64)
    cells = tg.stack([a.flatten() for a in tg.meshgrid(axis, axis, indexing="ij")], 1)
    x, params = tg.randn(5, 2, dtype=tg.float64), list(model.parameters())
    exact = model(x).mean() + tg.logsumexp(-model(cells), 0)
    wanted = grad(exact, params)
    p = (-model(cells)).softmax(0).detach().numpy()
    which = np.random.default_rng(0).choice(len(p), 20_000, p=p)
    perfect = cells[tg.tensor(which)]
    model.path = lambda start, steps: iter([perfect])  # draws of the model itself
    model.buffer.keep = lambda where, drawn: None
    found = grad(model.terms((x,))["loss"], params, allow_unused=True)
    for a, b in zip(wanted, found, strict=True):
        assert (a - b).abs().max().item() < 0.05 * max(1.0, a.abs().max().item())


def test_the_buffer_keeps_where_chains_ended_and_nothing_else() -> None:
    model = shaken(chain=3, fresh=0.0)
    before = model.buffer.points.numpy().copy()
    seen: list[tg.Tensor] = []
    keep = model.buffer.keep
    model.buffer.keep = lambda where, x: (seen.extend([where, x]), keep(where, x))
    terms = model.terms((tg.randn(20, 2, dtype=tg.float64),))
    where, drawn = seen[0].numpy(), seen[1]
    assert len(set(where.tolist())) == 20
    after = model.buffer.points.numpy()
    assert np.array_equal(after[where], drawn.numpy())
    others = np.setdiff1d(np.arange(50), where)
    assert np.array_equal(after[others], before[others])
    assert (after[where] != before[where]).any(1).mean() > 0.8  # MALA refuses a few
    assert terms["drawn"].item() == pytest.approx(model(drawn).mean().item())


def test_some_of_the_buffer_begins_anew() -> None:
    tg.manual_seed(0)
    buffer = ReplayBuffer(100, (2,), std=1.0)
    buffer.points.fill_(50.0)
    where, x = buffer.draw(40, fresh=0.25, generator=tg.Generator().manual_seed(0))
    assert ((x == 50.0).all(1)).sum().item() == 30 and x[:10].abs().max().item() < 6.0
    assert (buffer.points == 50.0).all(), "drawing changes nothing"
    model = shaken(start="data", chain=2)
    before = model.buffer.points.numpy().copy()
    model.terms((tg.randn(20, 2, dtype=tg.float64),))
    assert np.array_equal(before, model.buffer.points.numpy())


def test_training_finds_a_gaussian() -> None:
    tg.manual_seed(0)
    config = {"hidden": 16, "std": 1.0, "size": 500, "chain": 5, "step": 0.3}
    model = models.build("energy", config)
    opt = tg.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        x = 0.7 * tg.randn(100, 2) + tg.tensor([1.0, 0.0])
        opt.zero_grad()
        model.terms((x,))["loss"].backward()
        opt.step()
    axis = tg.linspace(-6, 6, 121)
    cells = tg.stack([a.flatten() for a in tg.meshgrid(axis, axis, indexing="ij")], 1)
    p = (-model(cells)).softmax(0).detach()
    mean = (p[:, None] * cells).sum(0)
    variance = (p[:, None] * (cells - mean).square()).sum(0)
    assert (mean - tg.tensor([1.0, 0.0])).abs().max().item() < 0.2
    assert (variance - 0.49).abs().max().item() < 0.2, "it began with 4"


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="expected start in .*'buffer', 'data'.* got 'noise'"):
        models.build("energy", {"start": "noise"})
    with pytest.raises(ValueError, match="expected 1 <= n <= 10, got 11"):
        ReplayBuffer(10, (2,), 1.0).draw(11)
    for zero in ({"std": 0.0}, {"step": 0.0}):
        with pytest.raises(ValueError, match="EnergyModel: expected std, step > 0, got"):
            models.build("energy", zero)
    with pytest.raises(ValueError, match="EnergyModel: sampler 'hmc'; there are mala, langevin"):
        shaken().sample(1, sampler="hmc")
    with pytest.raises(ValueError, match="this model has none"):
        shaken().sample(1, labels=tg.tensor([1]))
