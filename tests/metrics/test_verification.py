"""Scores of pairs: the area under the curve by counting, and a verifier that finds an identity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import metrics
from tinygen.data import PairSampler

SCORES = st.lists(st.integers(-4, 4), min_size=1, max_size=12)


@given(SCORES, SCORES)
def test_auc_is_the_share_of_pairs_in_the_right_order(p: list[int], q: list[int]) -> None:
    right = [(a > b) + 0.5 * (a == b) for a in p for b in q]
    assert metrics.roc_auc(p, q) == pytest.approx(np.mean(right), abs=1e-12)
    assert metrics.roc_auc(q, p) == pytest.approx(1 - metrics.roc_auc(p, q), abs=1e-12)


def test_auc_wants_numbers() -> None:
    with pytest.raises(ValueError, match="roc_auc: 1 of 2 samples hold NaN"):
        metrics.roc_auc([1.0, np.nan], [0.0])
    with pytest.raises(ValueError, match="roc_auc: expected n >= 1"):
        metrics.roc_auc([], [0.0])


def stripes(n: int, seed: int) -> tuple[tg.Tensor, tg.Tensor]:
    """Pictures (n, 1, 8, 8): who it is says which row is light; louder is how light all is."""
    rng = np.random.default_rng(seed)
    who = rng.integers(0, 3, n)
    x = 0.1 * rng.standard_normal((n, 1, 8, 8)) + rng.uniform(-2, 2, (n, 1, 1, 1))
    x[np.arange(n), 0, 1 + 2 * who] += 0.8
    return tg.tensor(x.astype(np.float32)), tg.tensor(who)


@pytest.mark.parametrize("known", [True, False])
def test_a_verifier_finds_what_pairs_share(known: bool) -> None:
    tg.manual_seed(0)
    x, who = stripes(300, 0)
    told = who if known else who[tg.randperm(300).tolist()]
    model = metrics.fit_verifier(metrics.Verifier(size=8, features=8), x, told, 120, 32, lr=5e-3)
    new, new_who = stripes(300, 1)
    pairs = list(PairSampler(new_who, 400))
    auc = model.auc(new[pairs], new_who[pairs])
    assert auc > 0.95 if known else abs(auc - 0.5) < 0.15
    # A pair of two identities is x_(2 i) and x_(2 i + 3): by the model's own logits.
    x, who = new[pairs], new_who[pairs].numpy()
    logit = lambda a, b: model(a, b).detach().numpy()  # noqa: E731
    other = np.roll(np.arange(1, 400, 2), -1)
    apart = logit(x[::2], x[other.tolist()])[who[::2] != who[other]]
    assert metrics.roc_auc(logit(x[::2], x[1::2]), apart) == pytest.approx(auc, abs=1e-4)
