"""Every density of the family, against enumeration: sums, marginals, conditionals, samples."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinygen as tg
from tinygen import models
from tinygen.models.explicit import (
    BernoulliMixture,
    ChowLiuTree,
    ExactDensity,
    HiddenMarkov,
    NaiveBayes,
)

SHAPE = (1, 3, 3)
ALL = tg.tensor(list(itertools.product([0.0, 1.0], repeat=9)), dtype=tg.float64).reshape(-1, *SHAPE)
SEEN = tg.tensor([[True, False, True], [False, False, True], [True, True, False]]).unsqueeze(0)
KINDS = ("bernoulli", "naive_bayes", "tree", "hmm")
each = pytest.mark.parametrize("kind", KINDS)


def strokes(n: int = 200) -> tuple[tg.Tensor, tg.Tensor]:
    """Pictures of one of three kinds, noisy, so that a fit has something to find."""
    kinds = tg.tensor(
        [[1, 1, 1, 0, 0, 0, 0, 0, 1], [0, 1, 0, 0, 1, 0, 0, 1, 0], [1, 0, 0, 1] + 5 * [1]]
    )
    labels = tg.randint(3, (n,))
    x = tg.bernoulli(0.1 + 0.8 * kinds[labels].double())
    return x.reshape(n, *SHAPE), labels


def fitted(kind: str, rounds: int = 3) -> Any:
    tg.manual_seed(0)
    config = {"model": kind, "shape": SHAPE, "components": 3, "classes": 3}
    model: Any = models.build("mixture", config).double()
    x, labels = strokes()
    if kind == "naive_bayes":
        model.count(x, labels)
    elif kind == "tree":
        model.count(x)
    else:
        model.start(x)
        for _ in range(rounds):
            model.em_step(x)
    if kind == "hmm":  # a chain that is not the same backwards
        on = tg.tensor([[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]], dtype=tg.float64)
        model.step.copy_(on)
        model.first.copy_(on[2])
    return model


def law(model: ExactDensity) -> np.ndarray:
    """p of all 512 pictures."""
    return model.log_prob(ALL).exp().numpy()


def agree(picture: int) -> np.ndarray:
    """Which of all pictures have what is seen of this one."""
    return ((ALL[picture] == ALL) | SEEN.logical_not()).flatten(1).all(1).numpy()


@each
def test_all_pictures_sum_to_one_and_marginals_are_sums(kind: str) -> None:
    model = fitted(kind)
    p = law(model)
    assert p.sum() == pytest.approx(1.0, abs=1e-10)
    assert p.max() > 3 * 2.0**-9, "it has learned something"
    marginal = model.log_prob(ALL, SEEN).exp().numpy()
    for picture in (0, 100, 333, 511):
        assert marginal[picture] == pytest.approx(p[agree(picture)].sum(), rel=1e-10)
    nothing, everything = tg.zeros_like(SEEN), tg.ones_like(SEEN)
    assert np.allclose(model.log_prob(ALL[:3], nothing).numpy(), 0.0, atol=1e-10)
    assert np.allclose(model.log_prob(ALL, everything).exp().numpy(), p, rtol=1e-10)


@each
def test_what_is_filled_in_follows_the_conditional_and_samples_the_density(kind: str) -> None:
    model, n, picture = fitted(kind), 8000, 333
    generator = tg.Generator().manual_seed(0)
    x = ALL[picture].expand(n, *SHAPE)
    junk = x.masked_fill(SEEN.logical_not(), float("nan"))  # what is not seen plays no part
    filled = model.fill(junk, SEEN, generator)
    assert ((filled == x) | SEEN.logical_not()).all()
    p = law(model)
    for drawn, truth in (
        (filled, np.where(agree(picture), p, 0.0) / p[agree(picture)].sum()),
        (model.sample(n, generator), p),
    ):
        code = (drawn.flatten(1) @ (2.0 ** tg.arange(8, -1, -1).double())).long().numpy()
        share = np.bincount(code, minlength=512) / n
        assert not share[truth == 0].any()
        error = np.sqrt(truth * (1 - truth) / n)
        assert (np.abs(share - truth) <= 4.5 * error + 1e-9 + 3 / n).all()


def penalised(model: Any, x: tg.Tensor) -> float:
    """What EM never lets fall: log p(x) of all x, and the log of the prior."""
    total = (
        model.log_prob(x).sum() + model.prior * (model.coins.log() + (1 - model.coins).log()).sum()
    )
    if isinstance(model, HiddenMarkov):
        return (total + model.prior * (model.first.log().sum() + model.step.log().sum())).item()
    return (total + model.weights.log().sum()).item()


@pytest.mark.parametrize("kind", ["bernoulli", "hmm"])
def test_em_never_falls(kind: str) -> None:
    model, (x, _) = fitted(kind, rounds=0), strokes()
    found = [penalised(model, x)]
    for _ in range(25):
        model.em_step(x)
        found.append(penalised(model, x))
    assert min(np.diff(found)) > -1e-9 and found[-1] > found[0] + 10


def test_forward_backward_and_viterbi_are_those_of_all_paths() -> None:
    tg.manual_seed(0)
    model, x = fitted("hmm"), ALL[[5, 300, 511]]
    model.first.copy_(tg.tensor([0.6, 0.3, 0.1]))
    model.step.copy_(tg.tensor([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.7, 0.2, 0.1]]))
    first, step, coins = model.first.numpy(), model.step.numpy(), model.coins.numpy()
    rows = x[:, 0].numpy()[:, :, None]  # (3, T, 1, D)
    emitted = (coins**rows * (1 - coins) ** (1 - rows)).prod(3)  # (3, T, K)
    paths = np.array(list(itertools.product(range(3), repeat=3)))
    p = np.array([
        first[a] * step[a, b] * step[b, c] * emitted[:, 0, a] * emitted[:, 1, b] * emitted[:, 2, c]
        for a, b, c in paths
    ])  # fmt: skip
    assert np.allclose(model.log_prob(x).numpy(), np.log(p.sum(0)), rtol=1e-12)
    path, log_p = model.viterbi(x)
    assert (path.numpy() == paths[p.argmax(0)]).all()
    assert np.allclose(log_p.numpy(), np.log(p.max(0)), rtol=1e-12)
    posterior = model.posterior(x).numpy()
    for t, k in itertools.product(range(3), range(3)):
        assert np.allclose(posterior[:, t, k], p[paths[:, t] == k].sum(0) / p.sum(0), rtol=1e-10)


def test_no_tree_is_better_than_that_of_chow_and_liu() -> None:
    """All 16 trees of 4 pixels, by their Pruefer codes; a table fitted to each by counting."""
    tg.manual_seed(3)
    hidden = tg.rand(400, 1).double() < 0.5
    noisy = hidden ^ (tg.rand(400, 4) < tg.tensor([0.1, 0.4, 0.05, 0.2]))
    x = tg.cat([noisy[:, :3], noisy[:, 3:] ^ noisy[:, 1:2]], 1).double().reshape(400, 1, 2, 2)
    model = ChowLiuTree((1, 2, 2), prior=1e-6).double()
    model.count(x)
    rows = x.flatten(1).numpy()

    def score(edges: set[tuple[int, int]]) -> float:
        total = 0.0
        for i, j in edges:
            for a, b in itertools.product([0, 1], repeat=2):
                p = ((rows[:, i] == a) & (rows[:, j] == b)).mean()
                q = (rows[:, i] == a).mean() * (rows[:, j] == b).mean()
                total += p * np.log(p / q)
        return total

    trees = []
    for code in itertools.product(range(4), repeat=2):
        left, edges, todo = list(range(4)), set(), list(code)
        while todo:
            leaf = min(i for i in left if i not in todo)
            edges.add((leaf, todo.pop(0)))
            left.remove(leaf)
        trees.append(edges | {(left[0], left[1])})
    found = {(i, int(up)) for i, up in enumerate(model.parent.tolist()) if i}
    assert len(found) == 3 and score(found) == pytest.approx(max(map(score, trees)), abs=1e-9)
    coin = rows.mean(0)
    alone = (coin * np.log(coin) + (1 - coin) * np.log(1 - coin)).sum()
    assert model.log_prob(x).mean().item() == pytest.approx(alone + score(found), abs=1e-6)


def test_naive_bayes_counts_and_its_posterior_is_that_of_bayes() -> None:
    tg.manual_seed(0)
    x, labels = strokes(60)
    model = NaiveBayes(SHAPE, 3, prior=1e-9).double()
    model.count(x, labels)
    ones = x.flatten(1)[labels == 1]
    assert np.allclose(model.coins[1].numpy(), ones.mean(0).numpy(), atol=1e-6)
    assert model.weights[1].item() == pytest.approx((len(ones) + 1) / 63)
    smooth = NaiveBayes(SHAPE, 3, prior=2.0).double()  # two heads and two tails more
    smooth.count(x, labels)
    assert np.allclose(smooth.coins[1].numpy(), ((ones.sum(0) + 2) / (len(ones) + 4)).numpy())
    model = fitted("naive_bayes")
    every = tg.stack([model.log_prob_with(ALL, tg.full((512,), k)) for k in range(3)], 1).exp()
    assert every.sum().item() == pytest.approx(1.0, abs=1e-10)
    assert np.allclose(
        model.posterior(ALL).numpy(), (every / every.sum(1, keepdim=True)).numpy(), atol=1e-12
    )
    drawn = model.sample(3000, tg.Generator().manual_seed(0), tg.full((3000,), 2))
    assert np.allclose(drawn.flatten(1).mean(0).numpy(), model.coins[2].numpy(), atol=0.04)
    loss = model.terms((x, labels))["loss"].item()
    assert loss == pytest.approx(-model.log_prob_with(x, labels).mean().item())


@each
def test_bad_input_is_named(kind: str) -> None:
    model = fitted(kind)
    name = type(model).__name__
    with pytest.raises(ValueError, match=f"{name}: expected zeros and ones, got 0.5 to 0.5; binar"):
        model.log_prob(0.0 * ALL + 0.5)
    with pytest.raises(ValueError, match=rf"{name}: expected x \(B, 1, 3, 3\), got \(512, 9\)"):
        model.log_prob(ALL.flatten(1))
    with pytest.raises(ValueError, match=f"{name}: expected seen, a mask .* of bools, got float64"):
        model.log_prob(ALL, SEEN.double())
    if kind != "naive_bayes":
        with pytest.raises(ValueError, match=f"{name}: labels were given; this model has none"):
            model.sample(1, labels=tg.tensor([0]))


def test_sizes_and_names_that_cannot_be_are_named() -> None:
    with pytest.raises(ValueError, match="components >= 1, got 0"):
        BernoulliMixture((3,), 0)
    with pytest.raises(ValueError, match=r"BernoulliMixture: expected prior > 0, got 0\.0"):
        BernoulliMixture((3,), 2, prior=0.0)
    with pytest.raises(ValueError, match=r"ChowLiuTree: expected prior > 0, got 0\.0"):
        ChowLiuTree((3,), prior=0.0)
    with pytest.raises(ValueError, match=r"HiddenMarkov: .* a shape \(1, T, D\), got 0\.1, \(4,\)"):
        HiddenMarkov((4,), 2)
    with pytest.raises(ValueError, match=r"NaiveBayes: expected labels in 0\.\.2, got 0\.\.3"):
        NaiveBayes(SHAPE, 3).count(ALL[:2].float(), tg.tensor([0, 3]))
    with pytest.raises(ValueError, match=r"NaiveBayes: expected labels in 0\.\.2, got -1\.\.0"):
        NaiveBayes(SHAPE, 3).sample(2, labels=tg.tensor([0, -1]))
    with pytest.raises(ValueError, match=r"NaiveBayes: expected 3 integer labels, got .* \(2,\)"):
        NaiveBayes(SHAPE, 3).sample(3, labels=tg.tensor([0, 1]))
    with pytest.raises(ValueError, match="no model is called 'markov'; there are bernoulli, "):
        models.build("mixture", {"model": "markov", "shape": SHAPE})
