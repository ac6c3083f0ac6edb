"""Pairs of one identity: who is drawn, which two, and what cannot be."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen.data import DataLoader, PairSampler, TensorDataset

WHO = np.array([3, 1, 1, 3, 7, 1, 3, 1, 7, 1])  # of 3, 5 and 2 items, in no order


def test_two_different_items_of_one_identity_each_pair_alike() -> None:
    sampler = PairSampler(tg.tensor(WHO), 30_000, tg.Generator().manual_seed(0))
    pairs = np.array(list(sampler)).reshape(-1, 2)
    assert len(sampler) == pairs.size and pairs.size == 30_000
    assert (WHO[pairs[:, 0]] == WHO[pairs[:, 1]]).all() and (pairs[:, 0] != pairs[:, 1]).all()
    counts = np.zeros((10, 10))
    np.add.at(counts, tuple(pairs.T), 1)
    for who in (1, 3, 7):  # a third of the pairs each, and all ordered pairs of it alike
        of = np.flatnonzero(who == WHO)
        cells = counts[np.ix_(of, of)][~np.eye(len(of), dtype=bool)]
        expected = 5000 / len(cells)
        assert (abs(cells - expected) < 5 * np.sqrt(expected)).all()


def test_an_epoch_goes_on_where_it_was_left() -> None:
    def loader() -> DataLoader:
        return DataLoader(TensorDataset(tg.arange(10)), 4, sampler=PairSampler(WHO), drop_last=True)

    tg.manual_seed(0)
    one = loader()
    stream = one.forever()
    first = next(stream)[0].tolist()
    state = one.state_dict()
    then = next(stream)[0].tolist()
    again = loader()
    again.load_state_dict(state)
    assert next(again.forever())[0].tolist() == then and len(first) == 4
    assert list(PairSampler(WHO, generator=tg.Generator().manual_seed(1))) == list(
        PairSampler(WHO, generator=tg.Generator().manual_seed(1))
    )
    assert len(PairSampler(WHO[:9])) == 8  # an odd number of items: whole pairs only


def test_refusals() -> None:
    with pytest.raises(ValueError, match="all 3 items are of one identity; two or more are needed"):
        PairSampler([4, 4, 4])
    with pytest.raises(ValueError, match="identity 9 has a single item, which is no pair"):
        PairSampler([4, 4, 9])
    with pytest.raises(ValueError, match="num_samples 3 is odd"):
        PairSampler(WHO, 3)
    with pytest.raises(ValueError, match=r"one row of identities, got \(2, 2\)"):
        PairSampler([[1, 1], [2, 2]])
