"""Cells, transformers, weight_norm, RMSNorm, grids, tables: formulas, and gradients at order 2."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import nn
from tinygen.testing import check_grads, sample

RNG = np.random.default_rng


def normal(*shape, seed=0):
    return tg.tensor(RNG(seed).standard_normal(shape))


def close(x, y, tolerance=1e-10):
    x, y = (v.detach().numpy() if isinstance(v, tg.Tensor) else np.asarray(v) for v in (x, y))
    np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# --- RMSNorm --------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(1, 3), st.integers(0, 99))
def test_rms_norm(shape, dims, seed):
    dims = min(dims, len(shape))
    x, w = normal(*shape, seed=seed), normal(*shape[-dims:], seed=seed + 1)
    square = np.square(x.numpy()).mean(tuple(range(-dims, 0)), keepdims=True)
    close(F.rms_norm(x, shape[-dims:], w, 0.1), x.numpy() / np.sqrt(square + 0.1) * w.numpy())
    close(F.rms_norm(5 * x, shape[-dims:], eps=0.0), F.rms_norm(x, shape[-dims:], eps=0.0))
    check_grads(lambda x, w: F.rms_norm(x, shape[-dims:], w, 0.1), x, w)


# --- recurrent --------------------------------------------------------------------------------


def numpy_gru(x, h, w, u, b, c):
    (wr, wz, wn), (ur, uz, un) = np.split(w, 3), np.split(u, 3)
    (br, bz, bn), (cr, cz, cn) = np.split(b, 3), np.split(c, 3)
    r, z = sigmoid(x @ wr.T + br + h @ ur.T + cr), sigmoid(x @ wz.T + bz + h @ uz.T + cz)
    n = np.tanh(x @ wn.T + bn + r * (h @ un.T + cn))
    return (1 - z) * n + z * h


CELLS = {
    "GRU": numpy_gru,
    "RNN": lambda x, h, w, u, b, c: np.tanh(x @ w.T + b + h @ u.T + c),
}


@pytest.mark.parametrize("kind", CELLS)
@given(st.integers(1, 4), st.integers(1, 2), st.booleans(), st.integers(0, 99))
def test_cells_step_by_step(kind, length, batch, batch_first, seed):
    tg.manual_seed(seed)
    net = getattr(nn, kind)(3, 2, batch_first=batch_first).double()
    weights = [p.detach().numpy() for p in net.parameters()]
    x, h = normal(length, batch, 3, seed=seed), normal(1, batch, 2, seed=seed + 1)
    out, last = net(x.transpose(0, 1) if batch_first else x, h)
    out, state = out.transpose(0, 1) if batch_first else out, h.numpy()[0]
    for t in range(length):
        state = CELLS[kind](x.numpy()[t], state, *weights)
        close(out[t], state)
    close(last[0], state)


@pytest.mark.parametrize("kind", [*CELLS, "LSTM"])
def test_gradients_through_time(kind):
    net = getattr(nn, kind)(2, 2, num_layers=2, bidirectional=True).double()
    names = [name for name, _ in net.named_parameters()]

    def f(x, *weights):
        for name, w in zip(names, weights, strict=True):
            net._parameters[name] = w
        return net(x)[0]

    weights = [p.detach() for p in net.parameters()]
    check_grads(f, normal(2, 1, 2), *weights, float32=False)


# --- transformers -----------------------------------------------------------------------------


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_causal_encoder_does_not_see_the_future(norm_first):
    layer = nn.TransformerEncoderLayer(
        4, 2, 8, 0.0, batch_first=True, norm_first=norm_first
    ).double()
    net, mask = nn.TransformerEncoder(layer, 2), tg.triu(tg.ones(5, 5), 1) > 0
    x, y = normal(1, 5, 4), normal(1, 5, 4, seed=1)
    y[:, :3] = x[:, :3]
    seen = [net(v, mask, is_causal=True) for v in (x, y)]
    close(seen[0][:, :3], seen[1][:, :3])
    assert not tg.allclose(seen[0][:, 3:], seen[1][:, 3:])


def test_a_layer_is_its_formula():
    """x + attention(norm(x)), and again with the two linear maps, by hand."""
    layer = nn.TransformerDecoderLayer(4, 2, 8, 0.0, "gelu", norm_first=True).double()
    x, memory = normal(3, 2, 4), normal(5, 2, 4, seed=1)
    h = layer.norm1(x)
    y = x + layer.self_attn(h, h, h)[0]
    y = y + layer.multihead_attn(layer.norm2(y), memory, memory)[0]
    y = y + layer.linear2(F.gelu(layer.linear1(layer.norm3(y))))
    close(layer(x, memory), y)
    check_grads(lambda x, m: layer(x, m), x, memory, float32=False)


def test_dropout_is_only_for_training():
    layer = nn.TransformerEncoderLayer(4, 2, 8, 0.5)
    x = normal(3, 2, 4).float()
    assert not tg.equal(layer(x), layer(x))
    layer.eval()
    assert tg.equal(layer(x), layer(x))


# --- weight_norm --------------------------------------------------------------------------------

APIS = {"old": nn.utils.weight_norm, "new": nn.utils.parametrizations.weight_norm}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("dim", [0, 1, 2, None])
def test_weight_norm_is_length_times_direction(api, dim):
    conv = nn.Conv1d(3, 2, 4).double()
    w = conv.weight.detach().clone()
    APIS[api](conv, dim=dim)
    close(conv.weight, w)
    g, v = [p for name, p in conv.named_parameters() if name != "bias"]
    with tg.no_grad():
        v.mul_(7.0)
        g.mul_(0.5)
    close(conv.weight, w / 2)
    check_grads(lambda x: conv(x), normal(2, 3, 6), float32=False)
    conv(normal(2, 3, 6)).sum().backward()
    inner = (v.grad * v).sum(None if dim is None else tuple(d for d in range(3) if d != dim))
    close(inner, inner * 0, 1e-9)  # nothing pulls a direction longer


@pytest.mark.parametrize("api", APIS)
def test_weight_norm_of_copies_and_of_several_weights(api):
    net = nn.LSTM(2, 3)
    plain, x = copy.deepcopy(net), normal(4, 1, 2).float()
    remove = (nn.utils.remove_weight_norm if api == "old"
              else nn.utils.parametrizations.remove_parametrizations)  # fmt: skip
    for name in ("weight_hh_l0", "weight_ih_l0"):
        APIS[api](net, name)
    close(net(x)[0], plain(x)[0], 1e-6)
    other = copy.deepcopy(net)
    with tg.no_grad():
        for p in other.parameters():
            p.mul_(2.0)
    close(net(x)[0], plain(x)[0], 1e-6)
    remove(net, "weight_hh_l0")
    assert isinstance(net._parameters["weight_hh_l0"], nn.Parameter)
    assert "weight_ih_l0" not in net._parameters
    close(net(x)[0], plain(x)[0], 1e-6)
    remove(net, "weight_ih_l0")
    assert type(net) is nn.LSTM and not tg.equal(other(x)[0], plain(x)[0])
    assert set(net.state_dict()) == set(plain.state_dict())


# --- grids ------------------------------------------------------------------------------------

sides = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(sides, st.booleans(), st.sampled_from(["bilinear", "nearest"]), st.integers(0, 99))
def test_the_identity_and_shifts_of_a_grid(size, corners, mode, seed):
    x = normal(2, 3, *size, seed=seed)
    theta = tg.tensor([[[1.0, 0, 0], [0, 1.0, 0]]] * 2, dtype=tg.float64)
    grid = F.affine_grid(theta, x.shape, corners)
    close(F.grid_sample(x, grid, mode, align_corners=corners), x)
    if not corners:  # one pixel is 2 / size
        shifted = F.grid_sample(x, grid + 2 / tg.tensor([size[1], size[0]]).double(), mode)
        close(shifted, F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:])
        around = F.grid_sample(x, -grid, mode, "reflection")
        close(around, x.flip(2, 3))


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@given(sides, st.booleans(), st.integers(0, 99))
def test_gradients_of_grid_sample(padding, size, corners, seed):
    x = normal(1, 2, *size, seed=seed)
    grid = tg.tensor(sample((1, 2, 3, 2), seed, -1.9, 1.9, avoid=(-1.0, 0.0, 1.0), distinct=True))

    def f(x, grid):
        return F.grid_sample(x, grid, "bilinear", padding, corners)

    check_grads(f, x, grid * 0.9171 + 0.00371)
    check_grads(lambda x: F.grid_sample(x, grid.to(x.dtype), "nearest", padding, corners), x)


@given(st.integers(1, 3), sides, st.booleans(), st.integers(0, 99))
def test_affine_grid_is_a_linear_map_of_points(n, size, corners, seed):
    theta = normal(n, 2, 3, seed=seed)
    out = F.affine_grid(theta, (n, 1, *size), corners).numpy()
    for i in range(size[0]):
        for j in range(size[1]):
            p = [
                (2 * k / max(m - 1, 1) - (m > 1) if corners else (2 * k + 1) / m - 1)
                for k, m in ((j, size[1]), (i, size[0]))
            ]
            close(out[:, i, j], theta.numpy() @ np.array([*p, 1.0]))
    check_grads(lambda t: F.affine_grid(t, (n, 1, *size), corners), theta)


# --- tables and lists ---------------------------------------------------------------------------


def test_rows_that_are_looked_up_are_shortened_in_place():
    table = nn.Embedding(3, 2, max_norm=1.0)
    with tg.no_grad():
        table.weight.copy_(tg.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]]))
    out = table(tg.tensor([0, 1, 0]))
    expected = [[0.6, 0.8], [0.3, 0.4], [6.0, 8.0]]
    close(table.weight, np.float32(expected), 1e-6)
    close(out, np.float32(expected)[[0, 1, 0]], 1e-6)


def test_a_gradient_by_frequency():
    index = tg.tensor([[0, 2], [2, 2]])
    weight, u = normal(4, 3), normal(2, 2, 3, seed=1)

    def f(w):
        return F.embedding(index, w, scale_grad_by_freq=True) * u

    plain = weight.detach().requires_grad_()
    (F.embedding(index, plain) * u).sum().backward()
    scaled = weight.detach().requires_grad_()
    assert tg.equal(f(scaled), F.embedding(index, scaled) * u)
    f(scaled).sum().backward()
    close(scaled.grad, plain.grad / tg.tensor([1.0, 1, 3, 1], dtype=tg.float64)[:, None])


def test_assigning_a_state_changes_nothing_when_it_does_not_fit():
    layer = nn.Linear(2, 3)
    before = layer.weight
    good = {"weight": tg.zeros(3, 2, dtype=tg.float64), "bias": tg.zeros(3)}
    for bad in (
        {"weight": tg.zeros(2, 3)},
        {"weight": tg.zeros(3, 2).long()},
        {"more": tg.ones(1)},
    ):
        with pytest.raises(RuntimeError, match="loading state_dict for Linear"):
            layer.load_state_dict({**good, **bad}, assign=True)
    assert layer.weight is before and layer.weight.dtype == tg.float32
    layer.load_state_dict(good, assign=True)
    memory = layer.weight.data.numpy(), good["weight"].numpy()
    assert layer.weight is before and np.shares_memory(*memory)


def test_a_graph_notices_that_a_state_was_assigned():
    layer = nn.Linear(2, 3)
    out = layer(tg.ones(1, 2).requires_grad_()).sum()
    layer.load_state_dict(nn.Linear(2, 3).state_dict(), assign=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


X = tg.ones(4, 3)
BAD = {
    "rms shape": (lambda: F.rms_norm(X, 4), RuntimeError, "rms_norm: given normalized_shape=.4,."),
    "rms weight": (lambda: F.rms_norm(X, 3, tg.ones(2)), RuntimeError, r"weight of .*\(2,"),
    "nonlinearity": (lambda: nn.RNN(2, 3, 1, "selu"), ValueError, "RNN: nonlinearity must be"),
    "input of a cell": (lambda: nn.GRU(2, 3)(X), RuntimeError, r"GRU: expected .*size 2.*\(4, 3\)"),
    "state of a cell": (lambda: nn.GRU(3, 2)(X, X), RuntimeError, r"GRU: expected h_0 of shape"),
    "one state too few": (lambda: nn.LSTM(3, 2)(X, X[:1]), RuntimeError, "LSTM: expected h_0, c_0"),
    "activation": (
        lambda: nn.TransformerEncoderLayer(4, 2, activation="silu"), RuntimeError,
        "EncoderLayer: activation should be 'relu' or 'gelu', got 'silu'",
    ),
    "heads": (lambda: nn.TransformerEncoderLayer(4, 3), ValueError, "embed_dim .4. .*divisible"),
    "no weight": (lambda: APIS["new"](nn.ReLU()), ValueError, "weight_norm: ReLU has no parameter"),
    "twice": (
        lambda: APIS["old"](APIS["old"](nn.Linear(2, 2))), RuntimeError, "two weight_norm hooks",
    ),
    "nothing to remove": (
        lambda: nn.utils.remove_weight_norm(nn.Linear(2, 2)), ValueError, "'weight' not found in L",
    ),
    "nothing to remove, new": (
        lambda: nn.utils.parametrize.remove_parametrizations(nn.Linear(2, 2), "weight"), ValueError,
        "Linear has no parametrization on 'weight'",
    ),
    "grid": (lambda: F.grid_sample(X[None, None], X), RuntimeError, r"OH, OW, 2.*\(4, 3\)"),
    "grid's dtype": (
        lambda: F.grid_sample(X[None, None], tg.ones(1, 2, 2, 2).double()), RuntimeError, "float64",
    ),
    "mode": (
        lambda: F.grid_sample(X, X, "bicubic"), ValueError, "or 'nearest', got 'bicubic'",
    ),
    "padding mode": (lambda: F.grid_sample(X, X, padding_mode="x"), ValueError, "'reflection', "),
    "theta": (lambda: F.affine_grid(X, (1, 1, 2, 2)), ValueError, r"theta \(N, 2, 3\).*\(4, 3\)"),
    "table": (lambda: nn.Embedding(3, 2, _weight=X), ValueError, r"_weight of shape \(3, 2\)"),
    "no tensor": (lambda: nn.ParameterList([3]), TypeError, "ParameterList: expected Tensors, got"),
    "circular": (
        lambda: F.pad(X, (4, 0), mode="circular"), RuntimeError, "circular .* exceed size 3",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name):
    call, error, text = BAD[name]
    with pytest.raises(error, match=text):
        call()
