"""Whole-tensor questions, beside NumPy's answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg

NUMBERS = st.sampled_from([0.0, 1.0, 1.0 + 1e-6, 1.1, -1.0, float("nan"), float("inf")])


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=4), st.booleans())
def test_close_as_numpy(pairs: list[tuple[float, float]], equal_nan: bool) -> None:
    x, y = np.array(pairs).T
    expected = np.isclose(x, y, equal_nan=equal_nan)
    a, b = tg.tensor(x), tg.tensor(y)
    assert tg.isclose(a, b, equal_nan=equal_nan).tolist() == expected.tolist()
    assert tg.allclose(a, b, equal_nan=equal_nan) is bool(expected.all())
    assert tg.equal(a, b) is bool((x == y).all())


def test_tensors_of_different_shapes_are_not_equal() -> None:
    assert tg.equal(tg.ones(2, 1), tg.ones(2)) is False
    assert tg.ones(2).equal(tg.ones(2)) is True


@pytest.mark.parametrize("indexing", ["ij", "xy"])
def test_meshgrid_as_numpy(indexing: str) -> None:
    x, y = tg.arange(3), tg.arange(10, 12)
    ours = tg.meshgrid(x, y, indexing=indexing)
    theirs = np.meshgrid(x.numpy(), y.numpy(), indexing=indexing)
    assert all(np.array_equal(a.numpy(), b) for a, b in zip(ours, theirs, strict=True))
    with pytest.raises(RuntimeError, match="1-D tensors"):
        tg.meshgrid(tg.ones(2, 2))
