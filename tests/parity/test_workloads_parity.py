"""The steps that benchmarks/speed times: of equal weights and draws, both make the same losses.

So both do the same arithmetic, and one's time beside the other's says something.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygen as tg
import tinygen.nn
import tinygen.optim

torch: Any = pytest.importorskip("torch", reason="parity needs PyTorch: pip install torch")
SPEED = Path(__file__).resolve().parents[2] / "benchmarks" / "speed"


class SameDraws:
    """A library whose weights and random numbers come from NumPy, in the order they are asked."""

    def __init__(self, lib: Any) -> None:
        self.lib, self.rng, self.nn = lib, np.random.default_rng(0), Layers(self, lib.nn)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.lib, name)

    def new(self, array: Any, dtype: Any = np.float32) -> Any:
        return self.lib.tensor(np.asarray(array, dtype))

    def rand(self, *shape: int, device: str | None = None) -> Any:
        return self.new(self.rng.random(shape))

    def randn(self, *shape: int, device: str | None = None) -> Any:
        return self.new(self.rng.standard_normal(shape))

    def randint(self, low: int, high: int, shape: tuple[int, ...], device: str) -> Any:
        return self.new(self.rng.integers(low, high, shape), np.int64)


class Layers:
    """lib.nn, every layer of which begins where NumPy says."""

    def __init__(self, same: SameDraws, nn: Any) -> None:
        self.same, self.lib_nn = same, nn

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.lib_nn, name)
        if not name.startswith(("Linear", "Conv", "Embedding", "Multihead")):
            return found

        def layer(*args: Any, **kwargs: Any) -> Any:
            made = found(*args, **kwargs)
            for p in made.parameters():
                draw = self.same.rng.standard_normal(tuple(p.shape))
                with self.same.lib.no_grad():
                    p.copy_(self.same.new(draw / max(1, p[0].numel()) ** 0.5))
            return made

        return layer


@pytest.fixture(scope="module")
def steps() -> dict[str, Any]:
    sys.path.insert(0, str(SPEED))
    try:
        return {
            **importlib.import_module("workloads").STEPS,
            **importlib.import_module("codes").STEPS,
            **importlib.import_module("gans").STEPS,
            **importlib.import_module("styles").STEPS,
        }
    finally:
        sys.path.remove(str(SPEED))


NAMES = (
    "1 MLP VAE|2 toy GAN|3 DCGAN 28 px|4 WGAN-GP critic|5 DDPM U-Net 28 px|6 DDPM U-Net 8 px|"
    "7 DDIM sampling 8 px|8 gated PixelCNN|9 image transformer|10 RealNVP 28 px|11 token prior|"
    "12 VQ-GAN 32 px|13 latent diffusion 32 px|14 BigGAN 28 px|15 StyleGAN2 32 px"
).split("|")


def test_all_steps_are_compared(steps: dict[str, Any]) -> None:
    assert set(steps) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_the_same_arithmetic(name: str, steps: dict[str, Any]) -> None:
    losses = []
    for lib in (tg, torch):
        step = steps[name](SameDraws(lib), "cpu", batch=4, width=16, depth=1)
        losses.append([step().item() for _ in range(4)])
    ours, theirs = map(np.array, losses)
    assert len(set(theirs)) > 1 or name.startswith("7"), "the reference does not learn"
    np.testing.assert_allclose(ours, theirs, rtol=1e-3, err_msg=name)
