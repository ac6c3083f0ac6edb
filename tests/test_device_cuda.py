"""device="cuda" without a GPU: the whole library on the stand-in of fake_cupy.py, whose kernels run
in the emulator, against the same on the CPU.

What this proves: nothing is mixed across devices, nothing is used that CuPy lacks, the launch layer
gets what it needs, and the numbers agree. What only a GPU can say is in `make gpu-check`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fake_cupy
import numpy as np
import pytest
from test_registry import CASES, inputs

import tinygen as tg
from tinygen import Tensor, cuda
from tinygen.cuda import gpu
from tinygen.testing import sample

pytestmark = pytest.mark.skipif(
    not cuda.emulator_available(), reason="the emulator needs Linux and g++ or clang++"
)


@pytest.fixture(autouse=True)
def _cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    fake_cupy.install(monkeypatch)
    yield
    gpu.problem.cache_clear()


def close(on_cuda: Any, on_cpu: Any, rtol: float = 1e-9) -> None:
    """Equal values, dtypes and shapes, each on its own device; nested as they come."""
    if isinstance(on_cpu, (tuple, list)):
        assert len(on_cuda) == len(on_cpu)
        for a, b in zip(on_cuda, on_cpu, strict=True):
            close(a, b, rtol)
        return
    if on_cpu is None:
        assert on_cuda is None
        return
    assert (on_cuda.device, on_cpu.device) == (tg.device("cuda"), tg.device("cpu"))
    assert (on_cuda.dtype, on_cuda.shape) == (on_cpu.dtype, on_cpu.shape)
    a, b = on_cuda.detach().cpu().numpy(), on_cpu.detach().numpy()
    np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(np.abs(b).max(initial=0), 1e-30))


def moved(xs: list[Tensor], device: str) -> list[Tensor]:
    return [x.detach().to(device).requires_grad_(x.dtype.kind == "f") for x in xs]


def two_orders(f: Any, xs: list[Tensor]) -> list[Any]:
    """f(*xs), its gradient for random cotangents, and that gradient's own."""
    out = f(*xs)
    outs = [out] if isinstance(out, Tensor) else list(out)
    us = [tg.tensor(sample(o.shape, 7 + i), dtype=o.dtype).to(o.device) for i, o in enumerate(outs)]
    first = tg.autograd.grad(outs, xs, us, create_graph=True, allow_unused=True)
    live = [g for g in first if g is not None and g.requires_grad]
    vs = [tg.tensor(sample(g.shape, 70 + i), dtype=g.dtype).to(g.device) for i, g in enumerate(live)]
    second = tg.autograd.grad(live, xs, vs, allow_unused=True) if live else ()
    return [outs, list(first), list(second)]


@pytest.mark.parametrize("name", CASES)
def test_every_op_and_its_gradients(name: str) -> None:
    f, _ = CASES[name]
    xs = inputs(name)
    close(two_orders(f, moved(xs, "cuda")), two_orders(f, moved(xs, "cpu")))
