"""Initialisation by its moments and bounds; clipping; parameter vectors; spectral norm."""

import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
from tinygen import nn
from tinygen.nn import init, utils
from tinygen.testing import check_grads

SHAPES = [(40, 30), (30, 8, 3, 3)]


def filled(function, shape, *args, seed=0, **kwargs):
    x = tg.zeros(*shape, dtype=tg.float64)
    out = function(x, *args, generator=tg.Generator().manual_seed(seed), **kwargs)
    assert out is x
    return x.numpy()


def fans(shape):
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def looks_uniform(x, bound):
    assert np.abs(x).max() <= bound and np.abs(x).max() > 0.98 * bound
    assert abs(x.std() / (bound / math.sqrt(3)) - 1) < 0.1


def looks_normal(x, std):
    assert abs(x.mean()) < 5 * std / math.sqrt(x.size) and abs(x.std() / std - 1) < 0.1
    assert np.abs(x).max() > 2.5 * std


@pytest.mark.parametrize("shape", SHAPES)
def test_variances(shape):
    fan_in, fan_out = fans(shape)
    looks_uniform(filled(init.uniform_, shape, -2.0, 2.0), 2.0)
    looks_normal(filled(init.normal_, shape, 0.0, 3.0), 3.0)
    looks_uniform(filled(init.xavier_uniform_, shape, 2.0), 2 * math.sqrt(6 / (fan_in + fan_out)))
    looks_normal(filled(init.xavier_normal_, shape, 2.0), 2 * math.sqrt(2 / (fan_in + fan_out)))
    looks_uniform(filled(init.kaiming_uniform_, shape, math.sqrt(5)), 1 / math.sqrt(fan_in))
    relu = {"nonlinearity": "relu"}
    looks_normal(filled(init.kaiming_normal_, shape, **relu), math.sqrt(2 / fan_in))
    out = {"mode": "fan_out", **relu}
    looks_normal(filled(init.kaiming_normal_, shape, **out), math.sqrt(2 / fan_out))


def test_a_generator_decides_and_the_default_is_seeded():
    same = [filled(init.normal_, (3, 4), seed=5) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(same[0], filled(init.normal_, (3, 4), seed=6))
    layers = []
    for _ in range(2):
        tg.manual_seed(7)
        layers.append(nn.Conv2d(2, 3, 3).weight.detach().numpy())
    np.testing.assert_array_equal(*layers)


@pytest.mark.parametrize(
    "layer",
    [nn.Linear(50, 400), nn.Conv2d(5, 400, 3), nn.Conv1d(8, 400, 5)],
)
def test_default_bounds(layer):
    bound = 1 / math.sqrt(fans(layer.weight.shape)[0])
    for parameter in layer.parameters():
        looks_uniform(parameter.detach().numpy(), bound)


def test_constants_and_truncation():
    assert filled_plain(init.ones_) == 1 and filled_plain(init.zeros_) == 0
    assert filled_plain(init.constant_, 2.5) == 2.5
    np.testing.assert_array_equal(init.eye_(tg.ones(2, 3)).numpy(), np.eye(2, 3))
    x = filled(init.trunc_normal_, (200, 50), 1.0, 2.0, 0.0, 3.0)
    assert x.min() >= 0 and x.max() <= 3
    z = np.linspace(-0.5, 1.0, 20001)
    density = np.exp(-z * z / 2)
    assert abs(x.mean() - (1 + 2 * (z * density).sum() / density.sum())) < 0.02


def filled_plain(function, *args):
    (value,) = set(function(tg.randn(2, 3), *args).numpy().ravel().tolist())
    return value


@given(st.integers(1, 6), st.integers(1, 6))
def test_orthogonal(rows, columns):
    q = filled(init.orthogonal_, (rows, columns), gain=2.0) / 2
    gram = q @ q.T if rows <= columns else q.T @ q
    np.testing.assert_allclose(gram, np.eye(min(rows, columns)), atol=1e-12)


def test_orthogonal_is_not_biased_in_sign():
    corners = [filled(init.orthogonal_, (3, 3), seed=seed)[0, 0] > 0 for seed in range(200)]
    assert 70 < sum(corners) < 130


def test_init_is_unrecorded_but_noticed():
    w = nn.Parameter(tg.ones(2, 2))
    loss = (w * w).sum()
    init.normal_(w)
    assert w.is_leaf and w.requires_grad
    with pytest.raises(RuntimeError, match="modified by an inplace"):
        loss.backward()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: init.xavier_normal_(tg.ones(3)), "fewer than 2 dimensions"),
        (lambda: init.kaiming_normal_(tg.ones(3, 2), mode="fan"), "Mode fan not supported"),
        (lambda: init.calculate_gain("gelu"), "Unsupported nonlinearity 'gelu'"),
        (lambda: init.orthogonal_(tg.ones(3)), "2 or more dimensions"),
        (lambda: init.eye_(tg.ones(3)), "2 dimensions"),
        (lambda: init.trunc_normal_(tg.ones(3), a=9.0, b=10.0), "next to nothing"),
    ],
)
def test_init_refuses(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_gains():
    assert init.calculate_gain("tanh") == pytest.approx(5 / 3)
    assert init.calculate_gain("relu") == pytest.approx(math.sqrt(2))
    assert init.calculate_gain("leaky_relu", 0.5) == pytest.approx(math.sqrt(2 / 1.25))
    assert init.calculate_gain("linear") == 1 and init.calculate_gain("selu") == 0.75


# --- clipping ---------------------------------------------------------------------------------


def with_grads(*arrays):
    parameters = [nn.Parameter(tg.zeros(*np.shape(a))) for a in arrays]
    for p, a in zip(parameters, arrays, strict=True):
        p.grad = tg.tensor(np.asarray(a, np.float32))
    return parameters


@given(st.sampled_from([1.0, 2.0, 3.0, math.inf]), st.floats(0.1, 20.0), st.integers(0, 99))
def test_clip_grad_norm(p, limit, seed):
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal((3, 2)), rng.standard_normal(4)]
    parameters = [*with_grads(*arrays), nn.Parameter(tg.zeros(2))]
    flat = np.concatenate([a.ravel() for a in arrays])
    norm = np.linalg.norm(flat, p)
    assert utils.clip_grad_norm_(parameters, limit, p).item() == pytest.approx(norm, rel=1e-5)
    after = np.concatenate([q.grad.numpy().ravel() for q in parameters[:2]])
    np.testing.assert_allclose(after, flat * min(1, limit / (norm + 1e-6)), rtol=1e-4)
    assert parameters[2].grad is None


def test_clip_grad_norm_of_infinite_and_of_none():
    (p,) = with_grads([math.inf, 1.0])
    with pytest.raises(RuntimeError, match="non-finite .inf."):
        utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert p.grad.tolist() == [math.inf, 1.0]
    assert utils.clip_grad_norm_([nn.Parameter(tg.ones(1))], 1.0).item() == 0
    (p,) = with_grads([math.nan])
    with pytest.raises(RuntimeError, match="non-finite .nan."):
        utils.clip_grad_norm_(p, 1.0, error_if_nonfinite=True)


def test_clip_grad_value():
    (p,) = with_grads([-3.0, 0.5, 2.0])
    utils.clip_grad_value_(p, 1.0)
    assert p.grad.tolist() == [-1.0, 0.5, 1.0]


def test_vectors():
    net = nn.Sequential(nn.Linear(2, 3), nn.PReLU())
    vector = utils.parameters_to_vector(net.parameters())
    assert vector.shape == (10,) and vector.requires_grad
    kept = vector.detach().numpy().copy()
    utils.vector_to_parameters(tg.tensor(2 * kept), net.parameters())
    np.testing.assert_array_equal(
        utils.parameters_to_vector(net.parameters()).detach().numpy(), 2 * kept
    )
    with pytest.raises(ValueError, match="vector of 10 numbers"):
        utils.vector_to_parameters(tg.zeros(11), net.parameters())
    with pytest.raises(TypeError, match="expected a Tensor"):
        utils.vector_to_parameters(kept, net.parameters())


# --- spectral norm ------------------------------------------------------------------------------


def matrix(layer, transposed):
    w = layer.weight.detach().numpy()
    return (w.swapaxes(0, 1) if transposed else w).reshape(w.shape[int(transposed)], -1)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Linear(5, 4), (3, 5)),
        (lambda: nn.Conv2d(3, 4, 3), (1, 3, 5, 5)),
        (lambda: nn.ConvTranspose2d(3, 4, 3), (1, 3, 5, 5)),
    ],
)
def test_spectral_norm_is_one(make, shape):
    layer = utils.spectral_norm(make())
    names = {key.removeprefix("weight_") for key in layer.state_dict()}
    assert names == {"bias", "orig", "u", "v"}
    x = tg.randn(*shape)
    for _ in range(60):
        layer(x)
    transposed = isinstance(layer, nn.ConvTranspose2d)
    assert np.linalg.norm(matrix(layer, transposed), 2) == pytest.approx(1, rel=1e-3)
    u = layer.weight_u.numpy().copy()
    layer.eval()(x)
    np.testing.assert_array_equal(layer.weight_u.numpy(), u)


def test_spectral_norm_in_training_differentiates_through_sigma():
    """d/dW of <r, W / sigma(W)> by differences, u and v being those of the same call."""
    layer = utils.spectral_norm(nn.Linear(4, 3, bias=False)).double()
    for _ in range(500):
        layer(tg.ones(1, 4, dtype=tg.float64))
    r = np.random.default_rng(0).standard_normal((3, 4))
    out = layer(tg.tensor(np.eye(4)))
    (out.T * tg.tensor(r)).sum().backward()
    w, eps = layer.weight_orig.detach().numpy(), 1e-6
    numeric = np.zeros((3, 4))
    for i in np.ndindex(3, 4):
        d = np.zeros((3, 4))
        d[i] = eps
        up, down = ((r * (w + s * d) / np.linalg.norm(w + s * d, 2)).sum() for s in (1, -1))
        numeric[i] = (up - down) / (2 * eps)
    np.testing.assert_allclose(layer.weight_orig.grad.numpy(), numeric, atol=1e-7)


def test_spectral_norm_gradient_penalty_and_copies():
    net = nn.Sequential(utils.spectral_norm(nn.Linear(3, 5)), nn.Tanh(), nn.Linear(5, 1)).eval()

    def penalty(x):
        x = x if x.requires_grad else x.detach().requires_grad_()
        with tg.enable_grad():
            (g,) = tg.autograd.grad(net(x).sum(), x, create_graph=True)
        return ((g.square().sum(1) + 1e-9).sqrt() - 1).square().mean()

    check_grads(penalty, tg.randn(4, 3), params=net.parameters(), order=1)
    net.train()(tg.randn(2, 3))
    assert net[0].weight.is_leaf
    twin = copy.deepcopy(net)
    kept = net[0].weight_u.numpy().copy()
    for _ in range(3):
        twin(tg.randn(2, 3))
    np.testing.assert_array_equal(net[0].weight_u.numpy(), kept)
    loss = net(tg.randn(2, 3)).sum() + net(tg.randn(2, 3)).sum()
    loss.backward()


def test_spectral_norm_can_be_removed_and_is_not_doubled():
    layer = utils.spectral_norm(nn.Linear(3, 2))
    with pytest.raises(RuntimeError, match="two spectral_norm hooks"):
        utils.spectral_norm(layer)
    layer.eval()
    x = tg.randn(2, 3)
    before = layer(x).detach().numpy()
    utils.remove_spectral_norm(layer)
    assert list(layer.state_dict()) == ["bias", "weight"]
    np.testing.assert_allclose(layer(x).detach().numpy(), before, rtol=1e-6)
    with pytest.raises(ValueError, match="not found"):
        utils.remove_spectral_norm(layer)
    with pytest.raises(ValueError, match="ReLU has no parameter"):
        utils.spectral_norm(nn.ReLU())
    with pytest.raises(ValueError, match="1 or more iterations"):
        utils.spectral_norm(nn.Linear(1, 1), n_power_iterations=0)
