"""Layers and losses beside PyTorch's: state, repr, forward, gradients, running statistics."""

import copy
import inspect

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the parity suite needs PyTorch")

import torch.nn.functional as TF  # noqa: E402

import tinygen as tg  # noqa: E402
import tinygen.nn.functional as F  # noqa: E402
from tinygen import nn  # noqa: E402

RNG = np.random.default_rng


def close(ours, theirs, what=""):
    """float32 agreement: within 2e-5 of the tensor's own scale."""
    a, b = ours.detach().numpy(), theirs.detach().numpy()
    assert a.shape == b.shape and a.dtype == b.dtype, f"{what}: {a.shape} {a.dtype}"
    scale = max(1.0, float(np.abs(b).max())) if b.size else 1.0
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5 * scale, err_msg=what)


def outputs(out):
    """The tensors in what a module returned."""
    if isinstance(out, (tuple, list)):
        return [t for part in out for t in outputs(part)]
    return [] if out is None else [out]


def compare(ours, theirs, *arrays, calls=2):
    """Forward and backward of both, from the same weights, `calls` times over (running state)."""
    for k in range(calls):
        xs = [a if a.dtype.kind != "f" else a + np.float32(0.1 * k) for a in arrays]
        mine = [tg.tensor(a).requires_grad_(a.dtype.kind == "f") for a in xs]
        other = [torch.from_numpy(a.copy()).requires_grad_(a.dtype.kind == "f") for a in xs]
        out, expected = outputs(ours(*mine)), outputs(theirs(*other))
        assert len(out) == len(expected)
        for i, (a, b) in enumerate(zip(out, expected, strict=True)):
            close(a, b, f"output {i}")
        seeds = [RNG(i).standard_normal(t.shape).astype(np.float32) for i, t in enumerate(out)]
        sum((o * tg.tensor(s)).sum() for o, s in zip(out, seeds, strict=True)).backward()
        sum(
            (o * torch.from_numpy(s)).sum() for o, s in zip(expected, seeds, strict=True)
        ).backward()
        for i, (a, b) in enumerate(zip(mine, other, strict=True)):
            if b.grad is not None:
                close(a.grad, b.grad, f"gradient of input {i}")


def twins(name, *args, **kwargs):
    """The layer in both libraries with the same random weights; state goes both ways."""
    theirs = getattr(torch.nn, name)(*args, **kwargs)
    ours = getattr(nn, name)(*args, **kwargs)
    with torch.no_grad():
        for i, p in enumerate(theirs.parameters()):
            p.copy_(torch.from_numpy(np.asarray(0.3 + 0.5 * RNG(i).standard_normal(p.shape))))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    back = {key: torch.from_numpy(v.numpy()) for key, v in ours.state_dict().items()}
    copy.deepcopy(theirs).load_state_dict(back, strict=True)
    return ours, theirs


def printed(module):
    """PyTorch's repr, without the subclass of Linear that its quantisation wants."""
    return repr(module).replace("NonDynamicallyQuantizableLinear", "Linear")


def check(name, shapes, *args, train=True, **kwargs):
    ours, theirs = twins(name, *args, **kwargs)
    assert repr(ours) == printed(theirs)
    ours.train(train), theirs.train(train)
    arrays = [
        shape if isinstance(shape, np.ndarray) else RNG(9).standard_normal(shape).astype(np.float32)
        for shape in shapes
    ]
    compare(ours, theirs, *arrays)
    for (key, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if q.grad is not None:
            close(p.grad, q.grad, f"gradient of {key}")
    for (key, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        close(a, b, key)


IMAGE = (2, 4, 6, 5)
LAYERS = [
    ("Identity", [(2, 3)]),
    ("Linear", [(5, 3)], 3, 4),
    ("Linear", [(2, 5, 3)], 3, 4, {"bias": False}),
    ("Conv1d", [(2, 4, 9)], 4, 6, 3, {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}),
    ("Conv1d", [(4, 9)], 4, 6, 3, {"padding": "same"}),
    ("Conv2d", [IMAGE], 4, 6, (3, 2), {"stride": (2, 1), "padding": (1, 0), "groups": 2}),
    ("Conv2d", [IMAGE], 4, 3, 3, {"padding": "same", "dilation": 2, "bias": False}),
    ("Conv2d", [IMAGE], 4, 3, 3, {"padding": 1, "padding_mode": "reflect"}),
    ("Conv2d", [IMAGE], 4, 3, 3, {"padding": "valid"}),
    ("ConvTranspose2d", [IMAGE], 4, 3, 4, {"stride": 2, "padding": 1}),
    ("ConvTranspose2d", [IMAGE], 4, 6, 3, 2, 1, 1, 2, {"dilation": 2}),
    ("ConvTranspose1d", [(2, 4, 6)], 4, 3, 4, {"stride": 2, "padding": 1}),
    ("ConvTranspose1d", [(4, 6)], 4, 6, 3, 2, 1, 1, 2, {"dilation": 2}),
    ("Conv2d", [IMAGE], 4, 3, 3, {"padding": (2, 1), "padding_mode": "circular"}),
    ("Conv1d", [(2, 4, 9)], 4, 6, 3, {"padding": "same", "padding_mode": "circular"}),
    ("BatchNorm1d", [(6, 3)], 3),
    ("BatchNorm1d", [(6, 3, 4)], 3, {"momentum": None}),
    ("BatchNorm2d", [IMAGE], 4, {"eps": 1e-3, "momentum": 0.4}),
    ("BatchNorm2d", [IMAGE], 4, {"affine": False}),
    ("BatchNorm2d", [IMAGE], 4, {"track_running_stats": False}),
    ("BatchNorm2d", [IMAGE], 4, {"train": False}),
    ("GroupNorm", [IMAGE], 2, 4),
    ("GroupNorm", [(3, 6)], 3, 6, {"affine": False}),
    ("LayerNorm", [(2, 3, 5)], 5),
    ("LayerNorm", [(2, 3, 5)], [3, 5], {"bias": False}),
    ("LayerNorm", [(2, 3, 5)], (3, 5), {"elementwise_affine": False}),
    ("RMSNorm", [(2, 3, 5)], 5),
    ("RMSNorm", [(2, 3, 5)], (3, 5), 1e-3),
    ("RMSNorm", [(2, 3, 5)], [3, 5], {"elementwise_affine": False}),
    ("InstanceNorm2d", [IMAGE], 4),
    ("InstanceNorm2d", [(4, 6, 5)], 4, {"affine": True}),
    ("InstanceNorm2d", [IMAGE], 4, {"affine": True, "track_running_stats": True}),
    ("InstanceNorm2d", [IMAGE], 4, {"track_running_stats": True, "train": False}),
    ("Embedding", [np.array([[0, 4, 4], [2, 1, 0]])], 5, 3),
    ("Embedding", [np.array([[0, 4, 4], [2, 1, 0]])], 5, 3, {"padding_idx": -1}),
    ("Embedding", [np.array([[0, 4, 4], [2, 1, 0]])], 5, 3, {"max_norm": 0.7}),
    ("Embedding", [np.array([0, 4])], 5, 3, None, 0.5, 1.0),
    ("Embedding", [np.array([[0, 4, 4], [2, 4, 0]])], 5, 3, {"scale_grad_by_freq": True}),
    ("Dropout", [(3, 4)], 0.3, {"train": False}),
    ("Dropout2d", [IMAGE], {"train": False}),
    ("Flatten", [IMAGE]),
    ("Flatten", [IMAGE], 0, 2),
    ("Unflatten", [(2, 12, 2)], 1, (3, 4)),
    ("Upsample", [IMAGE], {"scale_factor": 2}),
    ("Upsample", [IMAGE], (9, 4), {"mode": "bilinear"}),
    ("Upsample", [IMAGE], {"scale_factor": 3, "mode": "bilinear", "align_corners": True}),
    ("Upsample", [IMAGE], (9, 4), {"mode": "bicubic"}),
    ("Upsample", [(2, 3, 5)], 8, {"mode": "linear"}),
    ("Upsample", [(2, 3, 5)], {"scale_factor": 3}),
    ("Upsample", [(1, 2, 3, 2, 2)], {"scale_factor": (2.0, 1.5, 3.0), "mode": "trilinear"}),
    ("Upsample", [(2, 3, 5)], 4, {"mode": "nearest-exact"}),
    ("MaxPool1d", [(2, 3, 9)], 3, 2, 1),
    ("MaxPool1d", [(3, 9)], 2, {"dilation": 3, "ceil_mode": True}),
    ("AvgPool1d", [(2, 3, 9)], 3, 2, 1, {"count_include_pad": False}),
    ("AvgPool1d", [(3, 9)], (2,)),
    ("AdaptiveAvgPool1d", [(2, 3, 9)], 4),
    ("AdaptiveMaxPool1d", [(2, 3, 9)], 4),
    ("AdaptiveMaxPool1d", [(3, 9)], 1),
    ("AdaptiveMaxPool2d", [IMAGE], (4, None)),
    ("AdaptiveMaxPool2d", [(4, 6, 5)], 3),
    ("Fold", [(2, 12, 6)], (3, 4), 2),
    ("Unfold", [IMAGE], (2, 3), {"dilation": 2, "padding": (1, 2), "stride": 2}),
    ("AvgPool2d", [IMAGE], 2),
    ("AvgPool2d", [IMAGE], 3, 2, 1, {"count_include_pad": False}),
    ("AvgPool2d", [IMAGE], (3, 2), (2, 2), {"ceil_mode": True}),
    ("MaxPool2d", [IMAGE], 2),
    ("MaxPool2d", [IMAGE], 3, 2, 1, {"ceil_mode": True}),
    ("MaxPool2d", [IMAGE], 2, 1, {"dilation": 2}),
    ("AdaptiveAvgPool2d", [IMAGE], 3),
    ("AdaptiveAvgPool2d", [IMAGE], (None, 2)),
    ("ZeroPad2d", [IMAGE], (1, 0, 2, 1)),
    ("ZeroPad2d", [IMAGE], -1),
    ("ReflectionPad2d", [IMAGE], 2),
    ("ReplicationPad2d", [IMAGE], (1, 2, 0, 3)),
    ("CircularPad2d", [IMAGE], (1, 2, 0, 3)),
    ("PixelShuffle", [IMAGE], 2),
    ("PixelUnshuffle", [(2, 3, 4, 6)], 2),
    ("ChannelShuffle", [IMAGE], 2),
    ("ReLU", [(4, 6)]),
    ("ReLU6", [(4, 6)]),
    ("SELU", [(4, 6)]),
    ("SiLU", [(4, 6)]),
    ("Mish", [(4, 6)]),
    ("Sigmoid", [(4, 6)]),
    ("LogSigmoid", [(4, 6)]),
    ("Tanh", [(4, 6)]),
    ("Tanhshrink", [(4, 6)]),
    ("Softsign", [(4, 6)]),
    ("Hardsigmoid", [(4, 6)]),
    ("Hardswish", [(4, 6)]),
    ("LeakyReLU", [(4, 6)], 0.2),
    ("ELU", [(4, 6)], 0.7),
    ("CELU", [(4, 6)], 0.7),
    ("GELU", [(4, 6)]),
    ("GELU", [(4, 6)], {"approximate": "tanh"}),
    ("Softplus", [(4, 6)]),
    ("Softplus", [(4, 6)], {"beta": 2.0, "threshold": 30.0}),
    ("Hardtanh", [(4, 6)]),
    ("Hardtanh", [(4, 6)], -0.3, 0.4),
    ("Hardshrink", [(4, 6)], 0.3),
    ("Softshrink", [(4, 6)], 0.3),
    ("Threshold", [(4, 6)], 0.1, 5.0),
    ("PReLU", [(4, 6)]),
    ("PReLU", [IMAGE], 4),
    ("GLU", [(4, 6)], 0),
    ("Softmax", [(4, 6)], 0),
    ("LogSoftmax", [(4, 6)], -1),
    ("Softmin", [(4, 6)], 1),
    ("LSTM", [(4, 2, 3)], 3, 5),
    ("LSTM", [(2, 4, 3)], 3, 5, {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("LSTM", [(4, 3)], 3, 5, 2, {"bias": False}),
    ("LSTM", [(4, 2, 3)], 3, 5, 2, {"dropout": 0.5, "train": False}),
    ("GRU", [(4, 2, 3)], 3, 5),
    ("GRU", [(2, 4, 3)], 3, 5, {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("GRU", [(4, 3), (2, 5)], 3, 5, 2, {"bias": False}),
    ("RNN", [(4, 2, 3)], 3, 5),
    ("RNN", [(4, 2, 3), (4, 2, 5)], 3, 5, 2, "relu", {"bidirectional": True}),
    ("TransformerEncoderLayer", [(5, 2, 6)], 6, 3, 8, 0.0),
    ("TransformerEncoderLayer", [(2, 5, 6)], 6, 2, 8, 0.0, "gelu",
     {"batch_first": True, "norm_first": True, "layer_norm_eps": 1e-3}),
    ("TransformerEncoderLayer", [(5, 6)], 6, 2, 8, {"bias": False, "train": False}),
    ("TransformerDecoderLayer", [(5, 2, 6), (4, 2, 6)], 6, 3, 8, 0.0),
    ("TransformerDecoderLayer", [(2, 5, 6), (2, 4, 6)], 6, 2, 8, 0.0,
     {"batch_first": True, "norm_first": True}),
    ("MultiheadAttention", [(5, 2, 6)] * 3, 6, 3),
    ("MultiheadAttention", [(2, 5, 6)] * 3, 6, 2, {"batch_first": True, "bias": False}),
    ("MultiheadAttention", [(5, 6), (4, 3), (4, 7)], 6, 2, {"kdim": 3, "vdim": 7}),
]  # fmt: skip


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: f"{case[0]}{case[2:]}")
def test_layer(case):
    name, shapes, *args = case
    kwargs = args.pop() if args and isinstance(args[-1], dict) else {}
    check(name, shapes, *args, **kwargs)


@pytest.mark.parametrize(
    "name", sorted({case[0] for case in LAYERS} | {"Sequential", "ModuleList"})
)
def test_constructors_take_pytorchs_arguments(name):
    """Ours are a subset, with the same defaults and in the same order."""
    ours = inspect.signature(getattr(nn, name)).parameters
    theirs = inspect.signature(getattr(torch.nn, name)).parameters
    shared = [p for p in ours if p in theirs]
    if not any(p.kind is p.VAR_POSITIONAL for p in [*ours.values(), *theirs.values()]):
        assert set(ours) <= set(theirs), set(ours) - set(theirs)
        assert shared == [p for p in theirs if p in ours]
    empty = inspect.Parameter.empty
    for p in shared:
        if theirs[p].default not in (empty, None) and not callable(theirs[p].default):
            assert ours[p].default in (theirs[p].default, empty), p


def test_networks_print_alike():
    def net(n):
        return n.Sequential(
            n.Conv2d(1, 8, 3, bias=False),
            n.Sequential(n.ReLU(), n.BatchNorm2d(8)),
            n.ModuleList([n.Linear(2, 2), n.Linear(2, 2), n.Linear(2, 3)]),
            n.ModuleDict({"a": n.MultiheadAttention(4, 2), "b": n.ModuleList()}),
            n.MSELoss(),
            n.ReLU(inplace=True),
            n.LeakyReLU(0.2, True),
            n.GroupNorm(2, 4, bias=False),
            n.TransformerEncoder(n.TransformerEncoderLayer(4, 2), 2, n.LayerNorm(4)),
            n.TransformerDecoder(n.TransformerDecoderLayer(4, 2), 1),
            n.utils.parametrizations.weight_norm(n.Linear(2, 2)),
            n.utils.weight_norm(n.Linear(2, 2)),
            n.ModuleList([n.ReLU()]) + [n.ReLU()],
        )

    assert repr(net(nn)) == printed(net(torch.nn))


@pytest.mark.parametrize("masks", ["attn", "padding", "both", "float"])
def test_multihead_attention_masks(masks):
    ours, theirs = twins("MultiheadAttention", 6, 2, batch_first=True)
    attn = np.triu(np.ones((5, 5)), 1) > 0
    padding = np.zeros((2, 5), bool)
    padding[1, 3:] = True
    options = {}
    if masks != "padding":
        options["attn_mask"] = attn
    if masks != "attn":
        options["key_padding_mask"] = padding
    if masks == "float":
        options = {k: np.where(v, -2.0, 0.5).astype(np.float32) for k, v in options.items()}
    x = RNG(0).standard_normal((2, 5, 6)).astype(np.float32)
    mine = {k: tg.tensor(v) for k, v in options.items()}
    other = {k: torch.from_numpy(v) for k, v in options.items()}
    compare(lambda x: ours(x, x, x, **mine), lambda x: theirs(x, x, x, **other), x)


@pytest.mark.parametrize(
    ("causal", "mask"), [(False, None), (True, None), (False, "bool"), (False, "float")]
)
def test_scaled_dot_product_attention(causal, mask):
    shapes = (2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 2)
    arrays = [RNG(i).standard_normal(s).astype(np.float32) for i, s in enumerate(shapes)]
    m = RNG(5).standard_normal((4, 6)).astype(np.float32)
    m = m > 0 if mask == "bool" else m
    if mask == "bool":
        m[0] = False
    mine, other = (tg.tensor(m), torch.from_numpy(m)) if mask else (None, None)
    compare(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, mine, is_causal=causal),
        lambda q, k, v: TF.scaled_dot_product_attention(q, k, v, other, is_causal=causal),
        *arrays,
    )


# --- losses --------------------------------------------------------------------------------------

X = RNG(0).standard_normal((4, 3)).astype(np.float32)
T = RNG(1).standard_normal((4, 3)).astype(np.float32)
P = RNG(2).random((4, 3), np.float32)
Q = (RNG(3).random((4, 3)) + 0.1).astype(np.float32)
Q /= Q.sum(1, keepdims=True)
LOG = np.log(Q[::-1].copy())
S = np.where(RNG(6).random((4, 3)) > 0.5, 1, -1).astype(np.float32)
CLASSES = np.array([0, 2, 1, 2])
SOME = np.array([0, -100, 1, 2])
W = np.array([0.5, 2.0, 1.5], np.float32)
MAPS = RNG(4).standard_normal((2, 3, 2, 2)).astype(np.float32)
MAP_CLASSES = RNG(5).integers(0, 3, (2, 2, 2))

LOSSES = [
    ("mse_loss", X, T),
    ("l1_loss", X, T),
    ("smooth_l1_loss", X, T, {"beta": 0.5}),
    ("smooth_l1_loss", X, T, {"beta": 0.0}),
    ("huber_loss", X, T, {"delta": 0.5}),
    ("gaussian_nll_loss", X, T, P, {"full": True}),
    ("gaussian_nll_loss", X, T, P, {"eps": 0.5}),
    ("binary_cross_entropy", P, P[::-1].copy()),
    ("binary_cross_entropy", P, P[::-1].copy(), {"weight": W}),
    ("binary_cross_entropy_with_logits", X, P),
    ("binary_cross_entropy_with_logits", 30 * X, P.round()),
    ("binary_cross_entropy_with_logits", X, P, {"weight": W, "pos_weight": W}),
    ("cross_entropy", X, CLASSES),
    ("cross_entropy", X, SOME, {"weight": W, "label_smoothing": 0.2}),
    ("cross_entropy", X, CLASSES, {"ignore_index": 2}),
    ("cross_entropy", X[0], CLASSES[0]),
    ("cross_entropy", MAPS, MAP_CLASSES, {"weight": W}),
    ("cross_entropy", X, Q, {"weight": W, "label_smoothing": 0.1}),
    ("cross_entropy", X, Q),
    ("nll_loss", LOG, CLASSES, {"weight": W}),
    ("nll_loss", LOG, SOME),
    ("nll_loss", MAPS, MAP_CLASSES),
    ("margin_ranking_loss", X, T, S, {"margin": 0.3}),
    ("hinge_embedding_loss", X, S),
    ("hinge_embedding_loss", X, S, {"margin": 0.2}),
    ("multi_margin_loss", X, CLASSES),
    ("multi_margin_loss", X, CLASSES, {"p": 2, "margin": 0.7, "weight": W}),
    ("multi_margin_loss", X[0], CLASSES[0]),
    ("triplet_margin_loss", X, T, T[::-1].copy()),
    ("triplet_margin_loss", X, T, T[::-1].copy(), {"margin": 0.5, "p": 1, "swap": True}),
    ("cosine_embedding_loss", X, T, S[:, 0].copy()),
    ("cosine_embedding_loss", X, T, S[:, 0].copy(), {"margin": -0.2}),
    ("cosine_embedding_loss", X[0], T[0], S[0, 0].astype(int)),
    ("poisson_nll_loss", X, 3 * P),
    ("poisson_nll_loss", P, 3 * P[::-1] + 0.1, {"log_input": False, "full": True}),
    ("kl_div", LOG, Q),
    ("kl_div", LOG, LOG[::-1].copy(), {"log_target": True}),
]


@pytest.mark.filterwarnings("ignore:.*batchmean")
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case[0])
def test_loss(case, reduction):
    name, *arrays = case
    arrays = [np.asarray(a) if not isinstance(a, dict) else a for a in arrays]
    options = arrays.pop() if isinstance(arrays[-1], dict) else {}
    mine = {k: tg.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    other = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    compare(
        lambda *xs: getattr(F, name)(*xs, reduction=reduction, **mine),
        lambda *xs: getattr(TF, name)(*xs, reduction=reduction, **other),
        *arrays,
        calls=1,
    )


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_soft_margin_loss(reduction):
    """Of targets that need no gradient, which PyTorch does not have."""
    for t in (S, S.astype(np.int64)):
        compare(
            lambda x, t=t: F.soft_margin_loss(x, tg.tensor(t), reduction=reduction),
            lambda x, t=t: TF.soft_margin_loss(x, torch.from_numpy(t), reduction=reduction),
            X,
        )  # fmt: skip


def test_binary_cross_entropy_at_the_ends():
    x, t = np.array([0, 1, 0, 1], np.float32), np.array([0, 1, 1, 0], np.float32)
    compare(
        lambda x: F.binary_cross_entropy(x, tg.tensor(t)),
        lambda x: TF.binary_cross_entropy(x, torch.from_numpy(t)),
        x, calls=1,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*batchmean:UserWarning")
def test_batchmean():
    compare(
        lambda x, t: F.kl_div(x, t, "batchmean"),
        lambda x, t: TF.kl_div(x, t, reduction="batchmean"),
        LOG, Q,
    )  # fmt: skip


# --- training ---------------------------------------------------------------------------------


def classifier(n):
    return n.Sequential(
        n.Conv2d(1, 8, 3, padding=1, bias=False), n.BatchNorm2d(8), n.SiLU(), n.MaxPool2d(2),
        n.Conv2d(8, 8, 3, stride=2, padding=1), n.GroupNorm(2, 8), n.GELU(),
        n.Flatten(), n.Linear(32, 16), n.LayerNorm(16), n.Tanh(), n.Linear(16, 4),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "lr", "tolerance"), [(np.float64, 0.02, 1e-6), (np.float32, 0.004, 1e-3)]
)
def test_200_training_steps(dtype, lr, tolerance):
    """The same weights and batches, SGD with momentum: the two loss curves stay together.

    In float64 over a rough stretch, where a rounding error in float32 grows a thousandfold.
    """
    torch.manual_seed(0)
    theirs, ours = classifier(torch.nn), classifier(nn)
    ours.load_state_dict(theirs.state_dict())
    if dtype == np.float64:
        ours.double(), theirs.double()
    images = RNG(0).standard_normal((256, 1, 8, 8)).astype(dtype)
    labels = (images[:, 0, :4].mean((1, 2)) > 0) + 2 * (images[:, 0, :, :4].mean((1, 2)) > 0)
    curves = []
    for lib, n, net in ((tg, nn, ours), (torch, torch.nn, theirs)):
        parameters, loss_of, curve = list(net.parameters()), n.CrossEntropyLoss(), []
        velocity = [np.zeros(p.shape, dtype) for p in parameters]
        for step in range(200):
            rows = (32 * step + np.arange(32)) % 256
            loss = loss_of(net(lib.tensor(images[rows])), lib.tensor(labels[rows]))
            net.zero_grad()
            loss.backward()
            n.utils.clip_grad_norm_(parameters, 1.0)
            for p, v in zip(parameters, velocity, strict=True):
                v *= 0.9
                v += p.grad.numpy()
                p.data = lib.tensor(p.detach().numpy() - dtype(lr) * v)
            curve.append(loss.item())
        curves.append(np.array(curve))
    np.testing.assert_allclose(*curves, rtol=tolerance)
    assert curves[0][-8:].mean() < 0.8 * curves[0][:8].mean()


# --- functional, init, utils ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shapes", "options"),
    [
        ("normalize", [(4, 5)], {}),
        ("normalize", [(4, 5)], {"p": 3.0, "dim": 0}),
        ("cosine_similarity", [(4, 5), (4, 5)], {}),
        ("softmin", [(4, 5)], {"dim": 0}),
        ("group_norm", [(2, 4, 3), 2, (4,), (4,)], {}),
        ("instance_norm", [(2, 4, 3, 2)], {}),
        ("pad", [(2, 3, 4), (1, 2)], {}),
        ("pad", [(2, 3, 4, 4), (1, 2, 0, 3)], {"mode": "reflect"}),
        ("pad", [(2, 3, 4, 4), (1, -2, 0, 3)], {"value": 2.0}),
        ("pad", [(2, 3, 4, 4), (1, 4, 0, 3)], {"mode": "circular"}),
        ("pairwise_distance", [(4, 5), (4, 5)], {}),
        ("pairwise_distance", [(2, 4, 5), (5,)], {"p": 3.0, "keepdim": True}),
    ],
)  # fmt: skip
def test_functional(name, shapes, options):
    first = [isinstance(s, tuple) and not (name == "pad" and i) for i, s in enumerate(shapes)]
    arrays = [
        RNG(i).standard_normal(s).astype(np.float32)
        for i, (s, random) in enumerate(zip(shapes, first, strict=True))
        if random
    ]

    def call(module):
        def f(*xs):
            rest = iter(xs)
            args = [next(rest) if random else s for s, random in zip(shapes, first, strict=True)]
            return getattr(module, name)(*args, **options)

        return f

    compare(call(F), call(TF), *arrays)


def test_everything_in_functional_has_pytorchs_name_and_order():
    for name in F.__all__:
        ours = getattr(F, name)
        if not inspect.isfunction(ours) or not hasattr(TF, name):
            continue
        try:
            theirs = inspect.signature(getattr(TF, name)).parameters
        except ValueError:
            continue
        if any(p.kind is p.VAR_POSITIONAL for p in theirs.values()):
            continue
        mine = list(inspect.signature(ours).parameters)
        shared = [p for p in mine if p in theirs]
        assert shared == [p for p in theirs if p in mine], name
        assert len(shared) >= min(2, len(theirs)), (name, mine, list(theirs))


@pytest.mark.parametrize("p", [1.0, 2.0, float("inf")])
def test_clipping(p):
    arrays = [
        5 * RNG(i).standard_normal(s).astype(np.float32) for i, s in enumerate([(3, 2), (4,)])
    ]
    ours = [nn.Parameter(tg.zeros(*a.shape)) for a in arrays]
    theirs = [torch.nn.Parameter(torch.zeros(a.shape)) for a in arrays]
    for a, q, r in zip(arrays, ours, theirs, strict=True):
        q.grad, r.grad = tg.tensor(a), torch.from_numpy(a.copy())
    close(nn.utils.clip_grad_norm_(ours, 1.5, p), torch.nn.utils.clip_grad_norm_(theirs, 1.5, p))
    nn.utils.clip_grad_value_(ours, 0.3)
    torch.nn.utils.clip_grad_value_(theirs, 0.3)
    for q, r in zip(ours, theirs, strict=True):
        close(q.grad, r.grad)


@pytest.mark.parametrize(
    ("name", "args", "shape"),
    [
        ("Linear", (4, 3), (5, 4)),
        ("Conv2d", (4, 3, 3), IMAGE),
        ("ConvTranspose2d", (4, 3, 3), IMAGE),
    ],
)
@pytest.mark.parametrize("train", [True, False])
def test_spectral_norm(name, args, shape, train):
    theirs = torch.nn.utils.spectral_norm(getattr(torch.nn, name)(*args))
    ours = nn.utils.spectral_norm(getattr(nn, name)(*args))
    assert set(ours.state_dict()) == set(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    ours.train(train), theirs.train(train)
    compare(ours, theirs, RNG(0).standard_normal(shape).astype(np.float32))
    for key, value in ours.state_dict().items():
        close(value, theirs.state_dict()[key], key)
    for key, p in ours.named_parameters():
        close(p.grad, dict(theirs.named_parameters())[key].grad, key)


@pytest.mark.filterwarnings("ignore:.*deprecated:FutureWarning")
@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize(
    ("name", "args", "shape"),
    [
        ("Linear", (4, 3), (5, 4)),
        ("Conv2d", (4, 3, 3), IMAGE),
        ("ConvTranspose1d", (4, 3, 3), (2, 4, 6)),
    ],
)
@pytest.mark.parametrize("api", ["old", "new"])
def test_weight_norm(api, name, args, shape, dim):
    layers = []
    for n in (torch.nn, nn):
        norm = n.utils.weight_norm if api == "old" else n.utils.parametrizations.weight_norm
        layers.append(norm(getattr(n, name)(*args), dim=dim))
    theirs, ours = layers
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    compare(ours, theirs, RNG(0).standard_normal(shape).astype(np.float32))
    for key, p in ours.named_parameters():
        close(p.grad, dict(theirs.named_parameters())[key].grad, key)
    for n, layer in ((torch.nn, theirs), (nn, ours)):
        if api == "old":
            n.utils.remove_weight_norm(layer)
        else:
            n.utils.parametrize.remove_parametrizations(layer, "weight")
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    close(ours.weight, theirs.weight)


@pytest.mark.parametrize("masks", ["none", "causal", "padding"])
def test_transformers(masks):
    """Whole stacks, with masks; one layer's weights, copied, as PyTorch copies them."""
    stacks = []
    for n in (torch.nn, nn):
        encoder = n.TransformerEncoderLayer(6, 2, 8, 0.0, batch_first=True)
        decoder = n.TransformerDecoderLayer(6, 2, 8, 0.0, batch_first=True)
        stacks.append(n.ModuleList([
            n.TransformerEncoder(encoder, 2, n.LayerNorm(6), enable_nested_tensor=False),
            n.TransformerDecoder(decoder, 2),
        ]))  # fmt: skip
    theirs, ours = stacks
    ours.load_state_dict(theirs.state_dict())
    first, second = ours[0].layers
    assert first is not second and first.linear1.weight is not second.linear1.weight

    def run(lib, stack, x, y):
        causal = lib.triu(lib.ones(5, 5), 1) > 0 if masks == "causal" else None
        padding = lib.arange(4).expand(2, 4) > 2 if masks == "padding" else None
        memory = stack[0](y, src_key_padding_mask=padding)
        return stack[1](x, memory, tgt_mask=causal, memory_key_padding_mask=padding)

    x, y = (RNG(i).standard_normal((2, n, 6)).astype(np.float32) for i, n in enumerate((5, 4)))
    compare(lambda *xs: run(tg, ours, *xs), lambda *xs: run(torch, theirs, *xs), x, y)


def test_indices_of_maxima():
    x = RNG(0).standard_normal((2, 3, 7, 6)).astype(np.float32)
    for call in (
        lambda n, f, x: f.max_pool2d(x, (3, 2), 2, 1, return_indices=True),
        lambda n, f, x: f.max_pool2d(x[0], 2, 1, dilation=2, return_indices=True),
        lambda n, f, x: n.MaxPool2d(3, 2, 1, 1, True, True)(x),
        lambda n, f, x: f.max_pool1d(x[0], 3, 2, return_indices=True),
        lambda n, f, x: n.MaxPool1d(2, return_indices=True)(x[0]),
        lambda n, f, x: f.adaptive_max_pool2d(x, (3, 4), True),
        lambda n, f, x: f.adaptive_max_pool2d(x[1], (None, 4), return_indices=True),
        lambda n, f, x: n.AdaptiveMaxPool1d(4, True)(x[0]),
    ):
        ours, theirs = call(nn, F, tg.tensor(x)), call(torch.nn, TF, torch.from_numpy(x))
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == b.numpy().dtype and np.array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_grid_sample(mode, padding, corners):
    x = RNG(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    grid = RNG(1).uniform(-2.5, 2.5, (2, 6, 3, 2)).astype(np.float32)
    theta = RNG(2).standard_normal((2, 2, 3)).astype(np.float32)

    def call(f):
        def sampled(x, grid, theta):
            points = (grid, f.affine_grid(theta, (2, 3, 4, 3), corners))
            if mode == "nearest":  # nothing flows back to a grid: None here, 0 in PyTorch
                points = [grid.detach() for grid in points]
            return [f.grid_sample(x, at, mode, padding, corners) for at in points]

        return sampled

    compare(call(F), call(TF), x, grid, theta, calls=1)


def test_load_state_dict_by_assignment():
    for lib, n in ((tg, nn), (torch, torch.nn)):
        layer, state = n.Linear(2, 3), n.Linear(2, 3).double().state_dict()
        layer.load_state_dict(state, assign=True)
        assert layer.weight.dtype == lib.float64 and layer.weight.requires_grad
        state["weight"].zero_()
        assert layer.weight.sum() == 0
        layer(lib.ones(1, 2, dtype=lib.float64)).sum().backward()
        assert layer.weight.grad.dtype == lib.float64


def test_parameter_lists():
    lists = []
    for lib, n in ((tg, nn), (torch, torch.nn)):
        made = n.ParameterList([lib.zeros(2), n.Parameter(lib.ones(3, 1))])
        made += [lib.ones(1)]
        made.append(lib.zeros(()))
        made[0] = n.Parameter(lib.ones(4))
        layers = n.ModuleList([n.ReLU()])
        layers += [n.Tanh()]
        popped = layers.pop(0)
        lists.append((
            len(made), list(made.state_dict()), [tuple(p.shape) for p in made], len(made[1:]),
            repr(layers), repr(popped),
        ))  # fmt: skip
    assert lists[0] == lists[1]


def test_gains():
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


def test_errors_are_of_pytorchs_type():
    def both(call):
        kinds = []
        for lib, n, f in ((tg, nn, F), (torch, torch.nn, TF)):
            with pytest.raises(Exception) as caught:
                call(lib, n, f)
            kinds.append(caught.type)
        assert kinds[0] is kinds[1], kinds

    both(lambda lib, n, f: n.Linear(3, 2)(lib.ones(4, 5)))
    both(lambda lib, n, f: n.BatchNorm1d(3)(lib.ones(1, 3)))
    both(lambda lib, n, f: n.BatchNorm2d(3)(lib.ones(2, 3)))
    both(lambda lib, n, f: n.GroupNorm(4, 6))
    both(lambda lib, n, f: n.LayerNorm(3)(lib.ones(2, 4)))
    both(lambda lib, n, f: n.Embedding(3, 2)(lib.tensor([3])))
    both(lambda lib, n, f: n.Dropout(1.5))
    both(lambda lib, n, f: f.mse_loss(lib.ones(2), lib.ones(2), reduction="avg"))
    both(lambda lib, n, f: f.cross_entropy(lib.ones(2, 3), lib.tensor([0, 3])))
    both(lambda lib, n, f: f.cross_entropy(lib.ones(2, 3), lib.tensor([0, 1, 1])))
    both(lambda lib, n, f: f.cross_entropy(lib.ones(2, 3), lib.ones(2)))
    both(lambda lib, n, f: f.binary_cross_entropy(lib.ones(2), lib.ones(3)))
    both(lambda lib, n, f: f.binary_cross_entropy(2 * lib.ones(2), lib.ones(2)))
    both(lambda lib, n, f: f.binary_cross_entropy_with_logits(lib.ones(2), lib.ones(3)))
    both(lambda lib, n, f: n.Linear(2, 2).load_state_dict({}))
    both(lambda lib, n, f: n.Linear(2, 2).wieght)
