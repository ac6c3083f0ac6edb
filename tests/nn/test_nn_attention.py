"""Attention and LSTM against loops written out in NumPy; gradients at order 2; masks; bad input."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import nn
from tinygen.nn.functional import attention
from tinygen.testing import check_grads


def normal(*shape, seed=0):
    return tg.tensor(np.random.default_rng(seed).standard_normal(shape))


def attend(q, k, v, bias):
    """softmax(q k^T / sqrt(E) + bias) v, one query at a time; a query without keys gives 0."""
    out = np.zeros((len(q), v.shape[1]))
    for i, row in enumerate(q):
        scores = k @ row / math.sqrt(q.shape[1]) + bias[i]
        weights = np.where(np.isfinite(scores), np.exp(scores), 0.0)
        out[i] = weights @ v / weights.sum() if weights.any() else 0.0
    return out


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 99))
def test_scaled_dot_product_attention(length, source, width, seed):
    rng = np.random.default_rng(seed)
    shapes = (2, length, width), (2, source, width), (2, source, 2)
    q, k, v = (rng.standard_normal(shape) for shape in shapes)
    visible = rng.random((length, source)) < 0.6
    bias = rng.standard_normal((length, source))
    causal = np.tril(np.ones((length, source))) > 0
    cases = [
        ({}, np.zeros((length, source))),
        ({"attn_mask": tg.tensor(visible)}, np.where(visible, 0.0, -np.inf)),
        ({"attn_mask": tg.tensor(bias)}, bias),
        (
            {"attn_mask": tg.tensor(np.where(visible, bias, -np.inf))},
            np.where(visible, bias, -np.inf),
        ),
        ({"is_causal": True}, np.where(causal, 0.0, -np.inf)),
    ]
    for options, added in cases:
        out = F.scaled_dot_product_attention(tg.tensor(q), tg.tensor(k), tg.tensor(v), **options)
        expected = np.stack([attend(q[n], k[n], v[n], added) for n in range(2)])
        np.testing.assert_allclose(out.numpy(), expected, atol=1e-12)


def test_attention_gradients():
    q, k, v = normal(2, 3, 4), normal(2, 5, 4, seed=1), normal(2, 5, 2, seed=2)
    attention = F.scaled_dot_product_attention
    check_grads(attention, q, k, v)
    check_grads(lambda q, k, v: attention(q, k, v, is_causal=True, scale=0.7), q, k, v)
    check_grads(attention, q, k, v, normal(3, 5, seed=3))
    blind = tg.tensor(np.array([[True] * 5, [False] * 5, [True, False] * 2 + [True]]))
    check_grads(attention, q, k, v, blind)

    def dropping(q, k, v):
        return attention(q, k, v, dropout_p=0.4, generator=tg.Generator().manual_seed(1))

    check_grads(dropping, q, k, v)


@pytest.mark.parametrize("scores", [1, 60, 200, 1 << 17])
def test_attention_in_pieces_of_the_batch_and_of_the_queries(monkeypatch, scores):
    monkeypatch.setattr(attention, "SCORES", scores)
    q, k, v, u = (normal(3, 2, 5, 4, seed=i).requires_grad_() for i in range(4))
    visible = tg.tensor(np.random.default_rng(0).random((3, 1, 5, 5)) < 0.5)
    for mask in (None, tg.tril(tg.ones(5, 5)) > 0, tg.tensor([[True], [False]] * 2 + [[True]]),
                 visible, normal(5, 5, seed=9)):  # fmt: skip
        out = F.scaled_dot_product_attention(q, k, v, mask)
        written_out = attention.attention_weights(q, k, mask) @ v
        np.testing.assert_allclose(out.detach().numpy(), written_out.detach().numpy(), atol=1e-12)
        for mine, theirs in zip(
            tg.autograd.grad((out * u).sum(), [q, k, v]),
            tg.autograd.grad((written_out * u).sum(), [q, k, v]), strict=True,
        ):  # fmt: skip
            np.testing.assert_allclose(mine.numpy(), theirs.numpy(), atol=1e-12)


def test_attention_keeps_no_weights_for_the_backward_pass():
    q, k, v = (tg.randn(8, 4, 100, 8).requires_grad_() for _ in range(3))
    tracemalloc.start()
    try:
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < out._array.nbytes + 4 * 100 * 100 * 4 < 8 * 4 * 100 * 100 * 4 / 3


def test_attention_refuses():
    q = tg.ones(2, 3, 4)
    with pytest.raises(RuntimeError, match="not both"):
        F.scaled_dot_product_attention(q, q, q, tg.ones(3, 3), is_causal=True)
    with pytest.raises(RuntimeError, match=r"got \(2, 3, 4\), \(2, 3, 5\)"):
        F.scaled_dot_product_attention(q, tg.ones(2, 3, 5), q)


# --- MultiheadAttention ---------------------------------------------------------------------------


def shaken(layer):
    for i, parameter in enumerate(layer.parameters()):
        nn.init.normal_(parameter, 0.1, 0.6, generator=tg.Generator().manual_seed(i))
    return layer


def test_multihead_attention_is_attention_of_each_head():
    layer = shaken(nn.MultiheadAttention(6, 3, batch_first=True)).double()
    x = normal(2, 4, 6)
    out, weights = layer(x, x, x)
    w, b = layer.in_proj_weight.detach().numpy(), layer.in_proj_bias.detach().numpy()
    q, k, v = np.split(x.numpy() @ w.T + b, 3, axis=-1)
    mixed = [
        np.concatenate(
            [
                attend(*(z[n, :, 2 * h : 2 * h + 2] for z in (q, k, v)), np.zeros((4, 4)))
                for h in range(3)
            ],
            axis=1,
        )
        for n in range(2)
    ]
    project = layer.out_proj
    expected = np.stack(mixed) @ project.weight.detach().numpy().T + project.bias.detach().numpy()
    np.testing.assert_allclose(out.detach().numpy(), expected, atol=1e-12)
    np.testing.assert_allclose(weights.detach().numpy().sum(-1), 1)
    assert weights.shape == (2, 4, 4)
    assert layer(x, x, x, average_attn_weights=False)[1].shape == (2, 3, 4, 4)
    assert layer(x, x, x, need_weights=False)[1] is None
    single, _ = layer(x[0], x[0], x[0])
    np.testing.assert_allclose(single.detach().numpy(), expected[0], atol=1e-12)
    layer.batch_first = False
    turned, _ = layer(*[x.transpose(0, 1)] * 3)
    np.testing.assert_allclose(turned.transpose(0, 1).detach().numpy(), expected, atol=1e-12)


def test_multihead_attention_gradients():
    packed = shaken(nn.MultiheadAttention(4, 2, batch_first=True))
    x = normal(2, 3, 4)
    causal = tg.triu(tg.ones(3, 3), 1) > 0
    padding = tg.tensor([[False, False, True], [False, True, True]])

    def f(x):
        return packed(x, x, x, key_padding_mask=padding, attn_mask=causal)

    check_grads(f, x, params=packed.parameters())
    split = shaken(nn.MultiheadAttention(4, 2, kdim=3, vdim=5, bias=False))
    assert list(split.state_dict())[:3] == ["q_proj_weight", "k_proj_weight", "v_proj_weight"]
    check_grads(split, normal(2, 1, 4), normal(3, 1, 3), normal(3, 1, 5), params=split.parameters())


def test_multihead_attention_masks():
    """A masked key changes nothing; a boolean mask is its float equivalent."""
    layer = shaken(nn.MultiheadAttention(4, 2, batch_first=True)).double()
    x, other = normal(2, 3, 4), normal(2, 3, 4, seed=9).numpy()
    changed = x.numpy().copy()
    changed[:, 2] = other[:, 2]
    y = tg.tensor(changed)
    padding = tg.tensor([[False, False, True]] * 2)
    a, _ = layer(x, x, x, key_padding_mask=padding)
    b, _ = layer(x, y, y, key_padding_mask=padding)
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), atol=1e-12)
    added = tg.tensor(np.where(padding.numpy(), -np.inf, 0.0))
    c, _ = layer(x, x, x, key_padding_mask=added)
    np.testing.assert_allclose(a.detach().numpy(), c.detach().numpy(), atol=1e-12)
    per_head = tg.tensor(np.tile(padding.numpy()[0], (4, 3, 1)))
    d, _ = layer(x, x, x, attn_mask=per_head)
    np.testing.assert_allclose(a.detach().numpy(), d.detach().numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda m, x: nn.MultiheadAttention(4, 3), ValueError, "embed_dim .4. must be divisible"),
        (lambda m, x: m(x, x, tg.ones(3, 2, 5)), RuntimeError, "expected value.*size 4"),
        (lambda m, x: m(x, x, x[:2]), RuntimeError, "must be equal"),
        (lambda m, x: m(x, x, x, attn_mask=tg.ones(2, 3)), RuntimeError, r"should be \(3, 3\)"),
        (
            lambda m, x: m(x, x, x, tg.ones(3, 2)),
            RuntimeError,
            r"key_padding_mask of shape \(2, 3\)",
        ),
        (lambda m, x: m(x, x, x, is_causal=True), RuntimeError, "need attn_mask"),
    ],
)
def test_multihead_attention_refuses(call, error, text):
    with pytest.raises(error, match=text):
        call(nn.MultiheadAttention(4, 2), tg.ones(3, 2, 4))


# --- LSTM -----------------------------------------------------------------------------------------


def lstm(x, h, c, w_ih, w_hh, b):
    """One layer over x (L, N, F), written out."""
    outputs = []
    for row in x:
        i, f, g, o = np.split(row @ w_ih.T + h @ w_hh.T + b, 4, axis=-1)
        i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs), h, c


def test_lstm_is_its_equations():
    layer = shaken(nn.LSTM(3, 2, num_layers=2, bidirectional=True)).double()
    x, start = normal(4, 5, 3), (normal(4, 5, 2, seed=1), normal(4, 5, 2, seed=2))
    out, (hn, cn) = layer(x, start)
    state = {key: value.numpy() for key, value in layer.state_dict().items()}
    inputs, finals = x.numpy(), []
    for level in (0, 1):
        sides = []
        for end in ("", "_reverse"):
            name = f"l{level}{end}"
            bias = state[f"bias_ih_{name}"] + state[f"bias_hh_{name}"]
            order = slice(None, None, -1 if end else 1)
            h0, c0 = (s.numpy()[len(finals)] for s in start)
            weights = state[f"weight_ih_{name}"], state[f"weight_hh_{name}"]
            y, h, c = lstm(inputs[order], h0, c0, *weights, bias)
            sides.append(y[order])
            finals.append((h, c))
        inputs = np.concatenate(sides, -1)
    np.testing.assert_allclose(out.detach().numpy(), inputs, atol=1e-12)
    np.testing.assert_allclose(hn.detach().numpy(), np.stack([h for h, _ in finals]), atol=1e-12)
    np.testing.assert_allclose(cn.detach().numpy(), np.stack([c for _, c in finals]), atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_lstm_gradients(bias):
    layer = shaken(nn.LSTM(2, 3, 2, bias=bias, bidirectional=bias, batch_first=True))
    ends = 4 if bias else 2
    h, c = normal(ends, 2, 3, seed=1), normal(ends, 2, 3, seed=2)

    def f(x, h, c):
        out, (hn, cn) = layer(x, (h, c))
        return out, hn, cn

    check_grads(f, normal(2, 3, 2), h, c, params=layer.parameters())


def test_lstm_layouts():
    layer = shaken(nn.LSTM(3, 2, 2)).double()
    x = normal(4, 5, 3)
    out, (hn, _) = layer(x)
    assert out.shape == (4, 5, 2) and hn.shape == (2, 5, 2)
    single, (h1, _) = layer(x[:, 0])
    np.testing.assert_allclose(single.detach().numpy(), out.detach().numpy()[:, 0], atol=1e-14)
    assert h1.shape == (2, 2)
    layer.batch_first = True
    first, _ = layer(x.transpose(0, 1))
    np.testing.assert_allclose(
        first.transpose(0, 1).detach().numpy(), out.detach().numpy(), atol=1e-14
    )
    again, _ = layer(x[:, 0])
    np.testing.assert_allclose(again.detach().numpy(), single.detach().numpy(), atol=1e-14)


def test_lstm_dropout_between_layers_only_in_training():
    layer, x = nn.LSTM(3, 4, 2, dropout=0.5), normal(3, 2, 3).float()
    a, b = layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy()
    assert not np.allclose(a, b)
    last, only = nn.LSTM(3, 4, dropout=0.5), normal(3, 2, 3).float()
    np.testing.assert_array_equal(last(only)[0].detach().numpy(), last(only)[0].detach().numpy())
    layer.eval()
    np.testing.assert_array_equal(layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy())


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nn.LSTM(3, 2)(tg.ones(4, 5, 2)), RuntimeError, "size 3, got shape"),
        (lambda: nn.LSTM(3, 2)(tg.ones(3)), RuntimeError, "2 or 3 dimensions"),
        (lambda: nn.LSTM(3, 0), ValueError, "LSTM: expected hidden_size >= 1, got 0"),
        (lambda: nn.LSTM(3, 2, dropout=2.0), ValueError, r"LSTM: expected dropout in \[0, 1\]"),
        (
            lambda: nn.LSTM(3, 2)(tg.ones(4, 5, 3), (tg.ones(1, 4, 2), tg.ones(1, 5, 2))),
            RuntimeError,
            r"h_0 of shape \(1, 5, 2\), got \(1, 4, 2\)",
        ),
    ],
)
def test_lstm_refuses(call, error, text):
    with pytest.raises(error, match=text):
        call()
