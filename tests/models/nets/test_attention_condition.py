"""Self-attention of GANs, conditional batch norm and the projection head: formulas, and order 2."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen as tg
from tinygen import nn
from tinygen.models import nets
from tinygen.testing import check_grads


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize(("height", "width"), [(4, 6), (3, 4), (3, 3)])
def test_attention_is_its_formula(height: int, width: int) -> None:
    tg.manual_seed(0)
    block, x = nets.SelfAttention2d(16).double(), tg.randn(2, 16, height, width).double()
    assert np.array_equal(block(x).detach().numpy(), x.numpy())  # gamma begins at 0
    with tg.no_grad():
        block.gamma.fill_(0.7)
    q, k, v, o = (layer.weight.detach().numpy()[:, :, 0, 0]
                  for layer in (block.query, block.key, block.value, block.out))  # fmt: skip
    assert q.shape == k.shape == (2, 16) and v.shape == (8, 16) and o.shape == (16, 8)
    even = height % 2 == width % 2 == 0
    for picture, out in zip(x.numpy(), block(x).detach().numpy()):
        keys, values = (np.einsum("oc,chw->ohw", w, picture) for w in (k, v))
        if even:  # the largest of each 2 x 2
            keys, values = (m.reshape(len(m), height // 2, 2, width // 2, 2).max((2, 4))
                            for m in (keys, values))  # fmt: skip
        keys, values = keys.reshape(2, -1), values.reshape(8, -1)
        for i in range(height):
            for j in range(width):
                weights = softmax((q @ picture[:, i, j]) @ keys)
                expected = picture[:, i, j] + 0.7 * (o @ (values @ weights))
                assert np.allclose(out[:, i, j], expected, rtol=0, atol=1e-12)


def test_attention_reaches_every_place_and_its_gradients_hold_at_order_2() -> None:
    tg.manual_seed(1)
    block = nets.SelfAttention2d(8).double()
    with tg.no_grad():
        block.gamma.fill_(0.5)
    check_grads(block, tg.randn(2, 8, 3, 3), params=block.parameters())
    x = tg.randn(1, 8, 3, 3).double().requires_grad_()
    block(x)[0, 0, 0, 0].backward()
    assert (abs(x.grad.numpy()).sum((0, 1)) > 0).all()


def test_conditional_norm_is_its_formula_for_each_example() -> None:
    tg.manual_seed(0)
    layer = nets.ConditionalBatchNorm2d(3, 5).double()
    x, told = 4.0 + 3.0 * tg.randn(6, 3, 2, 4).double(), tg.randn(6, 5).double()
    a, c = x.numpy(), told.numpy()
    mean, var = a.mean((0, 2, 3), keepdims=True), a.var((0, 2, 3), keepdims=True)
    scale, shift = (c @ part.weight.detach().numpy().T for part in (layer.scale, layer.shift))
    expected = (1 + scale)[:, :, None, None] * (a - mean) / np.sqrt(var + 1e-5)
    expected = expected + shift[:, :, None, None]
    assert np.allclose(layer(x, told).detach().numpy(), expected, rtol=0, atol=1e-12)
    layer.eval()  # the running statistics, and each example by itself
    for _ in range(2):
        n, r = a.size // 3, layer.norm
        running = 0.9 + 0.1 * var.ravel() * n / (n - 1)
        expected = (a - 0.1 * mean) / np.sqrt(running.reshape(1, 3, 1, 1) + 1e-5)
        expected = expected * (1 + scale)[:, :, None, None] + shift[:, :, None, None]
        assert np.allclose(r.running_mean.numpy(), 0.1 * mean.ravel())
        assert np.allclose(layer(x, told).detach().numpy(), expected, rtol=0, atol=1e-12)
    assert np.allclose(layer(x[2:3], told[2:3]).detach().numpy(), expected[2:3], atol=1e-12)


def test_conditional_norm_has_right_gradients_at_order_2() -> None:
    tg.manual_seed(2)
    layer = nets.ConditionalBatchNorm2d(2, 3)
    check_grads(layer, tg.randn(4, 2, 2, 2), tg.randn(4, 3), params=layer.parameters(), rtol=1e-4)


# --- the projection head ------------------------------------------------------------------------


def test_projection_is_its_formula_and_its_gradients_hold_at_order_2() -> None:
    tg.manual_seed(0)
    D = nets.Projection(nn.Linear(4, 3), 3, classes=5).double()
    x, labels = tg.randn(6, 4).double(), tg.tensor([4, 0, 1, 1, 2, 4])
    phi, psi = D.trunk(x).detach().numpy(), D.psi
    e = D.embedding.weight.detach().numpy()[labels.numpy()]
    expected = phi @ psi.weight.detach().numpy()[0] + psi.bias.item() + (e * phi).sum(1)
    assert np.allclose(D(x, labels).detach().numpy(), expected, rtol=0, atol=1e-13)
    check_grads(lambda x: D(x, labels).square(), x, params=D.parameters(), float32=False)


def laws(rng: np.random.Generator, classes: int, points: int) -> list[np.ndarray]:
    """Two joint laws (classes, points) of y and x: the data's and the samples'."""
    return [rng.dirichlet(np.ones(classes * points)).reshape(classes, points) for _ in range(2)]


def loss_of(D: nets.Projection, p: np.ndarray, q: np.ndarray, x: tg.Tensor) -> tg.Tensor:
    """The cross-entropy of D as an expectation over all (y, x), and no draws."""
    y = tg.arange(p.size) // p.shape[1]
    out = D(x.repeat(len(p), 1), y)
    return (tg.tensor(p.ravel()) * nn.functional.softplus(-out)
            + tg.tensor(q.ravel()) * nn.functional.softplus(out)).sum()  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_the_best_projection_d_of_a_discrete_joint_law(seed: int) -> None:
    """e_y = log p(y | x) / q(y | x) and psi = log p(x) / q(x), on one-hot x: slope 0, log p / q."""
    rng = np.random.default_rng(seed)
    p, q = laws(rng, 3, 4)
    D, x = nets.Projection(nn.Identity(), 4, 3).double(), tg.eye(4, dtype="float64")
    of_x = np.log(p.sum(0) / q.sum(0))
    with tg.no_grad():
        D.psi.weight.copy_(tg.tensor(of_x[None]))
        D.psi.bias.fill_(0.0)
        D.embedding.weight.copy_(tg.tensor(np.log(p / q) - of_x))
    out = np.stack([D(x, tg.full((4,), y)).detach().numpy() for y in range(3)])
    assert np.allclose(out, np.log(p / q), rtol=0, atol=1e-12)
    loss = loss_of(D, p, q, x)
    jsd = (p * np.log(2 * p / (p + q)) + q * np.log(2 * q / (p + q))).sum() / 2
    assert loss.item() == pytest.approx(np.log(4) - 2 * jsd, rel=1e-12)
    loss.backward()
    for parameter in D.parameters():
        assert abs(parameter.grad.numpy()).max() < 1e-14


def test_training_finds_it_where_both_laws_are_softmaxes_of_phi() -> None:
    """The paper's case: 2 features, 8 points, 3 classes; log p / q - log p(x) / q(x) is linear."""
    rng = np.random.default_rng(0)
    phi, v = rng.standard_normal((8, 2)), rng.standard_normal((2, 3, 2))
    p, q = (softmax(phi @ w.T).T * rng.dirichlet(np.full(8, 5.0)) for w in v)
    trunk = nn.Linear(8, 10, bias=False).double()  # phi beside the point itself, for p(x) / q(x)
    with tg.no_grad():
        trunk.weight.copy_(tg.tensor(np.concatenate([phi, np.eye(8)], 1).T))
    D, x = nets.Projection(trunk, 10, 3).double(), tg.eye(8, dtype="float64")
    few = tg.tensor(np.concatenate([np.ones((3, 2)), np.zeros((3, 8))], 1))  # e_y sees phi only
    with tg.no_grad():
        D.embedding.weight.mul_(few)
    steps, lr = 800, 0.2
    opt = tg.optim.Adam([*D.psi.parameters(), D.embedding.weight], lr=lr)
    for step in range(steps):
        opt.zero_grad()
        loss_of(D, p, q, x).backward()
        D.embedding.weight.grad.mul_(few)
        opt.param_groups[0]["lr"] = lr * (1 - step / steps)
        opt.step()
    out = np.stack([D(x, tg.full((8,), y)).detach().numpy() for y in range(3)])
    assert np.allclose(out, np.log(p / q), rtol=0, atol=0.02)
    found = D.embedding.weight.detach().numpy()[:, :2]
    expected = v[0] - v[1]  # up to one vector for all classes, which psi may take
    assert np.allclose(found - found[0], expected - expected[0], atol=0.05)


def test_labels_out_of_range_are_one_error() -> None:
    D = nets.Projection(nn.Identity(), 2, 3)
    with pytest.raises(ValueError, match=r"Projection: expected labels in 0..2, got 0..3"):
        D(tg.zeros(4, 2), tg.arange(4))
    with pytest.raises(ValueError, match="Projection: expected 4 integer labels, got float32"):
        D(tg.zeros(4, 2), tg.zeros(4))
