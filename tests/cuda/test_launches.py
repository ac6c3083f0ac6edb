"""The guard against a GPU's step that asks more of the host: benchmarks/speed/launches.py's counts.

When a change makes a step cheaper, lower its row: `python benchmarks/speed/launches.py` prints it.
When a change must make one dearer, raise the row in the same commit and say there what it buys.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tinygen as tg
from tinygen import cuda

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "speed"
BOUNDS = {  # launches (copies and fills among them), copies, fills, uploads, syncs
    "1 MLP VAE": (67, 2, 2, 1, 0),
    "2 toy GAN": (112, 0, 2, 1, 0),
    "3 DCGAN 28 px": (225, 21, 2, 1, 0),
    "4 WGAN-GP critic": (138, 24, 2, 1, 0),
    "5 DDPM U-Net 28 px": (537, 68, 8, 2, 0),
}

pytestmark = pytest.mark.skipif(
    cuda.is_available() or not cuda.emulator_available(), reason="needs the emulator, and no GPU"
)


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import launches

    return launches


@pytest.mark.parametrize("name", BOUNDS)
def test_a_step_asks_no_more_of_a_gpu_than_it_did(launches: Any, name: str) -> None:
    found = launches.counts(launches.of_workload(name))
    allowed = dict(zip(found, BOUNDS[name], strict=True))
    dearer = {kind: f"{n} > {allowed[kind]}" for kind, n in found.items() if n > allowed[kind]}
    assert not dearer, f"{name}: a step asks more than it did: {dearer}"


def test_each_kind_is_counted_where_it_belongs(launches: Any, monkeypatch: Any) -> None:
    def step(torch: Any, device: str, **sizes: int) -> Any:
        x = torch.ones(2, 3, device=device)

        def once() -> None:
            torch.nn.functional.silu(x)  # our kernel
            _ = x + x, x @ x.mT, x.sum(0)  # three of CuPy's; the transpose is a view
            _ = x.clone(), x.mT.contiguous(), x.reshape(3, 2), x.mT.reshape(6)  # three copies
            _ = torch.zeros(3, device=device), torch.tensor([1.0]).to(device)  # a fill, an upload
            x[0, 0].item()  # a sync

        return once

    monkeypatch.setitem(launches.STEPS, "it", step)
    found = launches.counts(launches.of_workload("it"))
    assert found == {"launches": 8, "copies": 3, "fills": 1, "uploads": 1, "syncs": 1}


def test_what_a_step_does_again_is_the_same(launches: Any) -> None:
    assert launches.of_workload("2 toy GAN") == launches.of_workload("2 toy GAN")


def test_the_hosts_time_is_taken(launches: Any) -> None:
    """Bounds on microseconds are no test: machines differ, and others are at work on them."""
    assert set(launches.host_us()) == {"convolution", "silu", "Adam, 64 tensors",
                                       "Adam, 200 tensors"}  # fmt: skip
    assert tg.backend.problem()
