"""The same examples in every run, no deadlines, and the default dtype and random state put back."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

import tinygen as tg
from tinygen import backend, threads
from tinygen.testing import use_ci_profile

use_ci_profile(max_examples=20)
if "PYTEST_XDIST_WORKER" in os.environ and (blas := threads.openblas()):
    blas[1](1)  # BLAS's threads would spin on the cores of the other workers


@pytest.fixture(autouse=True)
def _fresh_state() -> Iterator[None]:
    """Every test starts from one seed, in float32, with recording on; whatever ran before it."""
    tg.manual_seed(0)
    yield
    backend._open.clear()  # complaints that a test of device="cuda" has left
    tg.set_default_dtype(tg.float32)
    assert tg.is_grad_enabled(), "a test left gradient recording switched off"
