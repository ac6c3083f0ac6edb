"""The guard against getting slower, which counts work instead of seconds.

One training step of four small networks, counted after a first step has made all that is made
once. BOUNDS holds what a step took when it was last measured, and a step may take no more:

    nodes   ops on the tape when backward starts
    ops     ops run in the step: forward, backward and loss
    bytes   in the arrays that those ops returned and that are no views
    gemms   calls of np.matmul, np.dot, np.einsum and np.tensordot
    copies  arrays copied as a whole: ndarray.copy, astype and flatten, np.copyto, np.concatenate,
            np.ascontiguousarray and np.pad
    peak    bytes in use at the worst moment of the step, above those in use before it

When a change makes a step cheaper, lower its row: `python tests/engine/test_work.py` prints the
table. When a change must make one dearer, raise the row in the same commit and say there what it
buys.
"""

from __future__ import annotations

import ast
import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import Tensor, nn, optim, threads
from tinygen.models import likelihoods, nets, vae
from tinygen.ops.op import REGISTRY
from tinygen.tape import Node

Work = dict[str, int]
Loss = Callable[[], Tensor]

KINDS = ("nodes", "ops", "bytes", "gemms", "copies", "peak")
BOUNDS: dict[str, tuple[int, ...]] = {
    "MLP VAE": (33, 94, 801188, 17, 0, 204548),
    "conv net": (15, 47, 499012, 21, 9, 591678),
    "U-Net": (15, 46, 514800, 42, 4, 727195),
    "transformer": (35, 105, 1582860, 22, 2, 745492),
}

GEMMS = ("matmul", "dot", "einsum", "tensordot")
COPIES = ("copyto", "concatenate", "ascontiguousarray", "pad")
COPYING_METHODS = ("copy", "astype", "flatten")
PEAK_SLACK = 1.05  # Python's own objects differ a little from version to version


def mlp_vae() -> tuple[nn.Module, Loss]:
    model = vae.VAE(*nets.mlp_autoencoder((1, 28, 28), 20, 64), likelihoods.Bernoulli(), 20)
    x = tg.rand(16, 1, 28, 28)
    return model, lambda: -model(x).elbo


def conv_net() -> tuple[nn.Module, Loss]:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 4, stride=2, padding=1), nn.BatchNorm2d(16), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(16 * 16, 10),
    )  # fmt: skip
    x, y = tg.rand(16, 3, 16, 16), tg.randint(0, 10, (16,))
    return model, lambda: F.cross_entropy(model(x), y)


class _UNet(nn.Module):
    """One step down, one residual block, one step up, one skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm1 = nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(4, 8)
        self.down, self.norm2 = nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.GroupNorm(4, 16)
        self.middle = nn.Conv2d(16, 16, 3, padding=1)
        self.up, self.last = nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.Conv2d(16, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.silu(self.norm1(self.first(x)))
        b = F.silu(self.norm2(self.down(a)))
        return self.last(tg.cat([self.up(b + self.middle(b)), a], 1))


def unet() -> tuple[nn.Module, Loss]:
    model = _UNet()
    x, noise = tg.rand(8, 1, 16, 16), tg.randn(8, 1, 16, 16)
    return model, lambda: F.mse_loss(model(x), noise)


def transformer() -> tuple[nn.Module, Loss]:
    model, x = nets.Transformer(40, 16, 1, 4), tg.randn(8, 40, 16)
    return model, lambda: model(x).square().mean()


NETS = {"MLP VAE": mlp_vae, "conv net": conv_net, "U-Net": unet, "transformer": transformer}


def training_step(net: Callable[[], tuple[nn.Module, Loss]]) -> tuple[Callable[[], None], Loss]:
    """One step of Adam as a function, and the loss that it lowers."""
    tg.manual_seed(0)
    model, loss = net()
    optimizer = optim.Adam(model.parameters(), lr=1e-3)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step, loss


def nodes(loss: Tensor) -> int:
    """How many Nodes a loss stands on."""
    seen, stack = set(), [loss.grad_fn]
    while stack:
        node = stack.pop()
        if isinstance(node, Node) and node not in seen:
            seen.add(node)
            stack += node.parents
    return len(seen)


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """Count the ops that run, their bytes, the matrix products and the copies."""
    seen: Counter[str] = Counter()

    def op(forward: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            out = forward(*args, **kwargs)
            seen["ops"] += 1
            seen["bytes"] += out.nbytes if getattr(out, "base", out) is None else 0
            return out

        return counted

    def call(kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            seen[kind] += 1
            return function(*args, **kwargs)

        return counted

    def methods(frame: Any, event: str, function: Any) -> None:
        if event == "c_call" and isinstance(getattr(function, "__self__", None), np.ndarray):
            seen["copies"] += function.__name__ in COPYING_METHODS

    kinds = {**dict.fromkeys(GEMMS, "gemms"), **dict.fromkeys(COPIES, "copies")}
    with pytest.MonkeyPatch.context() as patch:
        for made in REGISTRY.values():
            patch.setattr(made.spec, "forward", op(made.spec.forward))
        for name, kind in kinds.items():
            patch.setattr(np, name, call(kind, getattr(np, name)))
        before = sys.getprofile()
        sys.setprofile(methods)
        try:
            yield seen
        finally:
            sys.setprofile(before)


def peak(step: Callable[[], None]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        step()  # what it replaces (gradients, the optimizer's state) is traced from here on
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        step()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def work(name: str, spoil: Callable[[], Any] = lambda: None) -> Work:
    """What one training step takes; `spoil` runs within it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "count", lambda: 1)  # a profile sees one thread
        step, loss = training_step(NETS[name])
        step()
        with counting() as seen:
            step()
            spoil()
        counts = {kind: seen[kind] for kind in ("ops", "bytes", "gemms", "copies")}
        return {"nodes": nodes(loss()), **counts, "peak": peak(step)}


@pytest.mark.parametrize("name", NETS)
def test_a_training_step_takes_no_more_work_than_it_did(name: str) -> None:
    measured, allowed = work(name), dict(zip(KINDS, BOUNDS[name], strict=True))
    allowed["peak"] = int(PEAK_SLACK * allowed["peak"])
    dearer = {kind: f"{n} > {allowed[kind]}" for kind, n in measured.items() if n > allowed[kind]}
    assert not dearer, f"{name}: a step takes more than it did: {dearer}"


def test_counts_are_the_same_every_time() -> None:
    first, second = work("conv net"), work("conv net")
    del first["peak"], second["peak"]
    assert first == second


def test_more_work_is_noticed() -> None:
    """One op, one product and three copies more, each counted where it belongs."""
    x = tg.rand(4, 4)

    def spoil() -> None:
        _ = x @ x
        _ = x._array.copy(), x._array.astype(np.float64)
        np.ascontiguousarray(x._array.T)

    plain, spoiled = work("MLP VAE"), work("MLP VAE", spoil)
    more = {
        kind: spoiled[kind] - plain[kind] for kind in ("nodes", "ops", "bytes", "gemms", "copies")
    }
    assert more == {"nodes": 0, "ops": 1, "bytes": 64, "gemms": 1, "copies": 3}


def test_an_op_more_on_the_tape_and_an_array_kept_are_noticed() -> None:
    x = tg.rand(4, 4).requires_grad_()
    assert nodes((x * x).sum()) == 2 and nodes((x * x).exp().sum()) == 3
    kept: list[np.ndarray] = []
    size = 1 << 20
    assert peak(lambda: kept.append(np.ones(size, np.uint8))) >= size > peak(lambda: None)


def test_every_matrix_product_goes_through_a_function_that_is_counted() -> None:
    """`a @ b` on arrays could not be seen from here; np.matmul(a, b) can."""
    root = Path(tg.__file__).parent
    raw = {*root.glob("conv/*.py"), *root.glob("ops/*.py"), *root.glob("nn/functional/*.py")}
    of_tensors = {root / "ops" / "linalg.py", root / "ops" / "decompositions.py"}
    for path in sorted(raw - of_tensors):
        found = [n.lineno for n in ast.walk(ast.parse(path.read_text())) if _is_matmul(n)]
        assert not found, f"{path.name}, lines {found}: write np.matmul(a, b)"


def _is_matmul(node: ast.AST) -> bool:
    return isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.MatMult)


if __name__ == "__main__":
    for each in NETS:
        print(f'    "{each}": {tuple(work(each)[kind] for kind in KINDS)},')
