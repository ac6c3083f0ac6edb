"""Two hundred steps beside PyTorch: same weights, batches and noise, the same loss curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygen as tg
from tinygen import nn, optim
from tinygen.data import load

torch: Any = pytest.importorskip("torch", reason="parity needs PyTorch: pip install torch")
STEPS = 200


def mlp(lib: Any) -> Any:
    return lib.Sequential(
        lib.Linear(64, 48), lib.Tanh(), lib.Linear(48, 32), lib.BatchNorm1d(32), lib.ReLU(),
        lib.Linear(32, 10),
    )  # fmt: skip


def conv_net(lib: Any) -> Any:
    return lib.Sequential(
        lib.Conv2d(1, 6, 3, padding=1), lib.SiLU(), lib.MaxPool2d(2),
        lib.Conv2d(6, 8, 3, stride=2, padding=1), lib.BatchNorm2d(8), lib.LeakyReLU(0.2),
        lib.ConvTranspose2d(8, 4, 4, stride=2, padding=1), lib.GroupNorm(2, 4), lib.SiLU(),
        lib.Flatten(), lib.Linear(64, 10),
    )  # fmt: skip


def batches(shape: tuple[int, ...]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Noisy digits: images, labels and noise drawn once, for both."""
    data, rng = load("digits"), np.random.default_rng(0)
    images, labels = data.to_unit().numpy(), np.asarray(data.labels)
    found = []
    for _ in range(STEPS):
        pick = rng.integers(0, len(labels), 32)
        noise = 0.1 * rng.standard_normal((32, *shape)).astype(np.float32)
        found.append((images[pick].reshape(32, *shape) + noise, labels[pick].astype(np.int64)))
    return found


def curve(lib: Any, model: Any, optimizer: Any, data: list) -> np.ndarray:
    loss_of, losses = lib.nn.CrossEntropyLoss(), []
    for x, y in data:
        loss = loss_of(model(lib.tensor(x)), lib.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses)


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda lib, params: lib.SGD(params, lr=0.05),
        lambda lib, params: lib.SGD(
            params, lr=0.02, momentum=0.9, nesterov=True, weight_decay=1e-3
        ),
        lambda lib, params: lib.RMSprop(params, lr=1e-3),
        lambda lib, params: lib.Adam(params, lr=2e-3),
        lambda lib, params: lib.AdamW(params, lr=2e-3, weight_decay=0.05),
    ],
    ids=["SGD", "Nesterov", "RMSprop", "Adam", "AdamW"],
)
@pytest.mark.parametrize(("net", "shape"), [(mlp, (64,)), (conv_net, (1, 8, 8))])
def test_loss_curves_agree(net: Callable, shape: tuple[int, ...], make_optimizer: Callable) -> None:
    torch.manual_seed(0)
    theirs, ours = net(torch.nn), net(nn)
    ours.load_state_dict({k: tg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    data = batches(shape)
    expected = curve(torch, theirs, make_optimizer(torch.optim, theirs.parameters()), data)
    losses = curve(tg, ours, make_optimizer(optim, ours.parameters()), data)
    assert expected[-20:].mean() < 0.5 * expected[0], "the reference does not learn"
    worst = np.abs(losses - expected) / np.abs(expected)
    assert worst.max() < 1e-3, f"step {worst.argmax()}: {worst.max():.2e}"


def test_a_wrong_learning_rate_would_be_noticed() -> None:
    """The comparison is sharp: 1 % more learning rate leaves the 1e-3 band at once."""
    data = batches((64,))
    curves = []
    for lr in (0.05, 0.0505):
        tg.manual_seed(0)
        model = mlp(nn)
        curves.append(curve(tg, model, optim.SGD(model.parameters(), lr=lr), data))
    assert (np.abs(curves[1] - curves[0]) / curves[0]).max() > 1e-3
