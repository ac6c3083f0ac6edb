"""Markov fields against enumeration: Z and its gradient, Gibbs sampling, three ways of learning."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinygen as tg
from tinygen import models
from tinygen.models.explicit import RBM, Ising

ALL = tg.tensor(list(itertools.product([0.0, 1.0], repeat=9)), dtype=tg.float64).reshape(
    -1, 1, 3, 3
)
FIELDS = {
    "ising": {"model": "ising"},
    "rbm": {"model": "rbm", "hidden": 4, "chains": 0},
    "wide": {"model": "rbm", "hidden": 12, "chains": 0},  # more hidden units than pixels
}
each = pytest.mark.parametrize("kind", FIELDS)


def field(kind: str, spread: float = 0.4) -> Any:
    """One with random parameters, in float64."""
    tg.manual_seed(0)
    model: Any = models.build("markov_field", FIELDS[kind] | {"shape": (1, 3, 3)}).double()
    for p in model.parameters():
        p.data.copy_(spread * tg.randn(p.shape))
    return model


def law(model: Any) -> tg.Tensor:
    """p of all 512 pictures, by the energy alone."""
    return (-model.energy(ALL)).softmax(0).detach()


@each
def test_all_pictures_sum_to_one_and_log_z_is_the_sum(kind: str) -> None:
    model = field(kind)
    assert model.log_prob(ALL).exp().sum().item() == pytest.approx(1.0, abs=1e-10)
    log_z = tg.logsumexp(-model.energy(ALL), 0)
    assert model.log_z().item() == pytest.approx(log_z.item(), abs=1e-10)


def test_the_energies_are_those_of_the_formulas() -> None:
    ising, x = field("ising"), ALL[300]
    s, f, r, d = (2 * x[0] - 1, ising.field, ising.right, ising.down)
    by_hand = -sum(f[i, j] * s[i, j] for i in range(3) for j in range(3))
    by_hand -= sum(r[i, j] * s[i, j] * s[i, j + 1] for i in range(3) for j in range(2))
    by_hand -= sum(d[i, j] * s[i, j] * s[i + 1, j] for i in range(2) for j in range(3))
    assert ising.energy(x.unsqueeze(0)).item() == pytest.approx(by_hand.item(), abs=1e-12)
    rbm, v = field("rbm"), x.flatten()
    hidden = tg.tensor(list(itertools.product([0.0, 1.0], repeat=4)), dtype=tg.float64)
    joint = v @ rbm.b + hidden @ rbm.c + hidden @ (v @ rbm.W)  # minus E(x, h), of all h
    assert rbm.energy(x.unsqueeze(0)).item() == pytest.approx(-tg.logsumexp(joint, 0).item())
    assert rbm.features(x.unsqueeze(0))[0, 1].item() == pytest.approx(
        joint.softmax(0)[hidden[:, 1] == 1].sum().item(), rel=1e-10
    )


@each
def test_the_gradient_of_log_z_is_the_mean_statistic(kind: str) -> None:
    model = field(kind)
    p, x = law(model), ALL.flatten(1)
    found = dict(
        zip(
            dict(model.named_parameters()),
            tg.autograd.grad(model.log_z(), list(model.parameters())),
        )
    )
    if kind == "ising":
        s = 2 * ALL[:, 0] - 1
        mean = lambda statistic: (p[:, None, None] * statistic).sum(0).numpy()
        truth = {"field": mean(s), "right": mean(s[:, :, 1:] * s[:, :, :-1]),
                 "down": mean(s[:, 1:] * s[:, :-1])}  # fmt: skip
    else:
        h = model.features(ALL).detach()
        truth = {"b": p @ x, "c": p @ h, "W": (p.unsqueeze(1) * x).T @ h}
    assert found.keys() == truth.keys()
    for name, value in truth.items():
        assert np.allclose(found[name].numpy(), np.asarray(value), atol=1e-10), name


@each
def test_gibbs_sampling_follows_the_law_in_the_long_run(kind: str) -> None:
    model, n = field(kind), 8000
    model.sweeps = 20
    x = model.sample(n, tg.Generator().manual_seed(0))
    code = (x.flatten(1) @ (2.0 ** tg.arange(8, -1, -1).double())).long().numpy()
    p = law(model).numpy()
    share, error = np.bincount(code, minlength=512) / n, np.sqrt(p * (1 - p) / n)
    assert (np.abs(share - p) < 4.5 * error + 2 / n).all()
    assert n * ((share - p) ** 2 / p).sum() < 511 + 5 * (2 * 511) ** 0.5  # chi squared
    seen = tg.tensor([[True, False, True], [False, True, True], [True, True, True]]).unsqueeze(0)
    filled = model.fill(ALL[300:301].expand(6000, 1, 3, 3), seen, tg.Generator().manual_seed(1))
    assert ((filled == ALL[300]) | seen.logical_not()).all()
    which = ((ALL[300] == ALL) | seen.logical_not()).flatten(1).all(1)
    given = law(model)[which] / law(model)[which].sum()
    truth = (given[:, None] * ALL[which].flatten(1)).sum(0).numpy()
    assert np.abs(filled.flatten(1).mean(0).numpy() - truth).max() < 4.5 * 0.5 / 6000**0.5


def test_a_pixel_given_its_neighbours_is_what_the_law_says() -> None:
    model = field("ising")
    log_p, logits, pseudo = model.log_prob(ALL), model.logits(ALL).flatten(1), 0.0
    for i in range(9):
        flipped = tg.arange(512) ^ 2 ** (8 - i)
        gap = (2 * ALL.flatten(1)[:, i] - 1) * logits[:, i]
        assert np.allclose(
            gap.detach().numpy(), (log_p - log_p[flipped]).detach().numpy(), atol=1e-10
        )
        pseudo = pseudo + log_p - tg.logsumexp(tg.stack([log_p, log_p[flipped]]), 0)
    assert np.allclose(
        model.pseudo_log_prob(ALL).detach().numpy(), pseudo.detach().numpy(), atol=1e-10
    )


@pytest.mark.parametrize("learn", ["exact", "pseudo"])
def test_an_ising_model_learns_the_law_that_its_data_follow(learn: str) -> None:
    """Data in exact proportion to p: both ways of learning have their optimum at its parameters."""
    truth = field("ising", 0.3)
    model = Ising((1, 3, 3), learn=learn).double()
    weight = law(truth)
    opt = tg.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(100):
        each = model.log_prob(ALL) if learn == "exact" else model.pseudo_log_prob(ALL)
        opt.zero_grad()
        (-(weight * each).sum()).backward()
        opt.step()
    for a, b in zip(model.parameters(), truth.parameters()):
        assert np.abs((a - b).detach().numpy()).max() < 5e-3
    terms = model.terms((ALL[:4],))
    named = "log_prob" if learn == "exact" else "pseudo_log_prob"
    assert terms["loss"].item() == -terms[named].item()


def test_persistent_chains_give_the_gradient_of_the_likelihood() -> None:
    """Once they follow p, up to their noise; and they go on from where they were left."""
    model = field("rbm", 0.5)
    chains = RBM((1, 3, 3), hidden=4, chains=20000, k=20).double()
    chains.load_state_dict(model.state_dict() | {"chains": chains.chains})
    before, x = chains.chains.clone(), ALL[[3, 77, 300]]
    params = list(chains.parameters())
    exact = tg.autograd.grad(-chains.log_prob(x).mean(), params)
    tg.manual_seed(1)
    found = tg.autograd.grad(chains.terms((x,))["loss"], params)
    for a, b in zip(found, exact):
        assert np.abs((a - b).numpy()).max() < 4.5 * 0.5 / 20000**0.5
    after = chains.chains.clone()
    assert not (before == after).all()
    chains.k = 1
    chains.terms((x,))
    assert (after == chains.chains).float().mean() > 0.55, "one sweep away, not begun anew"


def test_contrastive_divergence_begins_at_the_data() -> None:
    model = field("rbm", 0.0)  # fair coins: what a chain made of x no longer knows x
    tg.manual_seed(0)
    x = tg.ones(4000, 1, 3, 3).double()
    slope = tg.autograd.grad(model.terms((x,))["loss"], [model.b])[0]
    assert np.abs(slope.numpy() + 0.5).max() < 0.04  # -1 of the data, + 1/2 of the chains
    model.b.data.copy_(tg.full((9,), 30.0))  # a chain that stays at the data: no gradient
    slope = tg.autograd.grad(model.terms((x,))["loss"], [model.b])[0]
    assert np.abs(slope.numpy()).max() == 0.0


@each
def test_a_start_at_the_means_is_independent_pixels(kind: str) -> None:
    model = field(kind, 0.0)
    tg.manual_seed(0)
    x = tg.bernoulli(tg.linspace(0.1, 0.9, 9).double().expand(400, 9)).reshape(-1, 1, 3, 3)
    model.start(x)
    p = (x.sum(0) + 0.5) / 401
    truth = (x * p.log() + (1 - x) * (1 - p).log()).flatten(1).sum(1)
    assert np.allclose(model.log_prob(x).detach().numpy(), truth.numpy(), atol=1e-10)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"Ising: expected zeros and ones \(B, 1, 3, 3\), got"):
        field("ising").log_prob(0.5 * ALL)
    with pytest.raises(
        ValueError, match=r"Ising: log Z sums over all 2\^24 pairs of rows of 12 pi"
    ):
        Ising((1, 12, 12)).log_z()
    with pytest.raises(ValueError, match=r"RBM: log Z sums over all 2\^64 states .* up to 2\^20"):
        RBM((1, 8, 8), hidden=64).log_z()
    with pytest.raises(ValueError, match=r"RBM: log Z sums over all 2\^30 states of the pixels"):
        RBM((1, 5, 6), hidden=31).log_z()
    for seen in (tg.ones(3, 3, dtype=tg.bool), tg.ones(1, 3, 3)):
        with pytest.raises(ValueError, match=r"RBM: expected seen, a mask \(1, 3, 3\) of bools"):
            field("rbm").fill(ALL[:2], seen)
    with pytest.raises(ValueError, match=r"RBM: expected zeros and ones \(B, 1, 3, 3\), got"):
        field("rbm").fill(0.5 * ALL, tg.ones(1, 3, 3, dtype=tg.bool))
    with pytest.raises(
        ValueError, match=r"Ising: expected a shape \(1, H, W\) and learn 'exact' or"
    ):
        Ising((9,))
    with pytest.raises(ValueError, match="RBM: expected hidden >= 1, got 0"):
        RBM((9,), hidden=0)
    with pytest.raises(ValueError, match="RBM: labels were given; this model has none"):
        field("rbm").sample(1, labels=tg.tensor([0]))
    with pytest.raises(ValueError, match="no model is called 'potts'; there are ising, rbm"):
        models.build("markov_field", {"model": "potts", "shape": (1, 3, 3)})
