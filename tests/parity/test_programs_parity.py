"""Programs in PyTorch's usual shapes run after a change of the import, to the same numbers.

Each file of programs/ has build(), which makes the modules, and train(modules, data), which gives
numbers. It is run as it stands, then with `torch` in its import lines made `tinygen`; both from
the same weights, with the same random numbers, in float64.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygen as tg

torch: Any = pytest.importorskip("torch", reason="parity needs PyTorch: pip install torch")
HERE = Path(__file__).parent / "programs"
PROGRAMS = sorted(path.stem for path in HERE.glob("*.py"))


def ours(source: str) -> str:
    """The program with its imports changed, and nothing else."""
    source = re.sub(r"(?m)^import torch$", "import tinygen as torch", source)
    return re.sub(r"(?m)^(import|from) torch\b", r"\1 tinygen", source)


def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    images = rng.uniform(0.0, 1.0, (32, 1, 8, 8))
    labels = rng.integers(0, 10, 32)
    images[np.arange(32), 0, labels % 8] = 1.0
    return {
        "unit": images, "images": 2 * images - 1, "labels": labels,
        "points": 1.6 * rng.standard_normal((40, 4)), "tokens": rng.integers(0, 20, (32, 7)),
    }  # fmt: skip


def sizes(size: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(size[0]) if size and isinstance(size[0], (tuple, list)) else size


def same_numbers(monkeypatch: pytest.MonkeyPatch, library: Any) -> None:
    """Every random function of the library draws from one NumPy stream."""
    rng = np.random.default_rng(7)

    def tensor(array: Any) -> Any:
        return library.tensor(np.asarray(array))

    def float_(draw: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *size, **_: tensor(draw(sizes(size)))

    def like(draw: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, **_: tensor(draw(tuple(x.shape))).to(x.dtype)

    def permutation(n: int, *_: Any, **__: Any) -> Any:  # PyTorch's sampler draws more often
        return tensor(np.random.default_rng(n).permutation(n))

    for name, draw in (("randn", rng.standard_normal), ("rand", rng.random)):
        monkeypatch.setattr(library, name, float_(draw))
        monkeypatch.setattr(library, f"{name}_like", like(draw))
    monkeypatch.setattr(
        library, "randint", lambda low, high, size, **_: tensor(rng.integers(low, high, size))
    )
    monkeypatch.setattr(
        library.Tensor, "normal_",
        lambda x, mean=0, std=1: x.copy_(tensor(mean + std * rng.standard_normal(tuple(x.shape)))),
    )  # fmt: skip
    if library is tg:
        monkeypatch.setattr("tinygen.data.indexed.randperm", permutation)
        monkeypatch.setattr("tinygen.data.loader._permutation", lambda n, _: permutation(n).numpy())
    else:
        monkeypatch.setattr("torch.utils.data.dataset.randperm", permutation)
        monkeypatch.setattr(torch, "randperm", permutation)


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    tg.set_default_dtype(tg.float64)
    yield
    torch.set_default_dtype(torch.float32)


def run(
    name: str, library: Any, weights: dict[str, Any] | None
) -> tuple[list[Any], dict[str, Any]]:
    """What train() returns, and the weights (as arrays) that it began with."""
    path = HERE / f"{name}.py"
    source = path.read_text() if library is torch else ours(path.read_text())
    program: dict[str, Any] = {"__name__": name}
    exec(compile(source, str(path), "exec"), program)
    with pytest.MonkeyPatch.context() as patch:
        library.manual_seed(0)
        modules = program["build"]()
        for key, module in modules.items():
            if weights is not None:
                state = {k: tg.tensor(v) for k, v in weights[key].items()}
                assert list(module.state_dict()) == list(state), "the state dicts differ"
                module.load_state_dict(state)
        begun = {
            key: {k: v.detach().clone().numpy() for k, v in module.state_dict().items()}
            for key, module in modules.items()
        }
        same_numbers(patch, library)
        return program["train"](modules, data()), begun


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs_to_the_same_numbers(name: str) -> None:
    expected, weights = run(name, torch, None)
    found, _ = run(name, tg, weights)
    assert np.isfinite(np.array(expected, dtype=float)).all() and len(expected) > 3
    assert len(set(expected)) > 2, "the program computes nothing"
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-10)


def test_only_the_imports_are_changed() -> None:
    for name in PROGRAMS:
        before = (HERE / f"{name}.py").read_text().splitlines()
        after = ours("\n".join(before)).splitlines()
        changed = [line for line, other in zip(before, after, strict=True) if line != other]
        assert changed and all(line.startswith(("import ", "from ")) for line in changed)
