"""A batch of no examples is a batch: every function of (N, ...) takes N = 0, forward and back."""

from collections.abc import Callable

import pytest

import tinygen as tg
from tinygen import nn
from tinygen.autograd import grad
from tinygen.nn import functional as F

IMAGE, ROWS = (4, 6, 6), (5, 4)
FUNCTIONS: dict[str, tuple[tuple[int, ...], Callable[[tg.Tensor], tg.Tensor]]] = {
    "conv2d": (IMAGE, lambda x: F.conv2d(x, tg.ones(3, 4, 3, 3))),
    "conv_transpose2d": (IMAGE, lambda x: F.conv_transpose2d(x, tg.ones(4, 3, 3, 3), stride=2)),
    "max_pool2d": (IMAGE, lambda x: F.max_pool2d(x, 2)),
    "avg_pool2d": (IMAGE, lambda x: F.avg_pool2d(x, 2)),
    "adaptive_avg_pool2d": (IMAGE, lambda x: F.adaptive_avg_pool2d(x, 4)),
    "nearest": (IMAGE, lambda x: F.interpolate(x, scale_factor=2)),
    "bicubic": (IMAGE, lambda x: F.interpolate(x, (5, 7), mode="bicubic")),
    "area": (IMAGE, lambda x: F.interpolate(x, (4, 4), mode="area")),
    "pixel_shuffle": (IMAGE, lambda x: F.pixel_shuffle(x, 2)),
    "pixel_unshuffle": (IMAGE, lambda x: F.pixel_unshuffle(x, 2)),
    "channel_shuffle": (IMAGE, lambda x: F.channel_shuffle(x, 2)),
    "grid_sample": (IMAGE, lambda x: F.grid_sample(x, tg.zeros(len(x), 3, 5, 2))),
    "pad": (IMAGE, lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect")),
    "unfold": (IMAGE, lambda x: F.unfold(x, 3)),
    "fold": ((36, 9), lambda x: F.fold(x, (5, 5), 3)),
    "group_norm": (IMAGE, lambda x: F.group_norm(x, 2, tg.ones(4), tg.ones(4))),
    "batch_norm": (IMAGE, lambda x: F.batch_norm(x, tg.zeros(4), tg.ones(4))),
    "layer_norm": (ROWS, lambda x: F.layer_norm(x, (4,))),
    "linear": (ROWS, lambda x: F.linear(x, tg.ones(3, 4))),
    "softmax": (ROWS, lambda x: F.softmax(x, -1)),
    "attention": (ROWS, lambda x: F.scaled_dot_product_attention(x, x, x)),
    "MultiheadAttention": (ROWS, lambda x: nn.MultiheadAttention(4, 2, batch_first=True)(
        x, x, x, attn_mask=tg.zeros(2 * len(x), 5, 5)
    )[0]),
    "LSTM": (ROWS, lambda x: nn.LSTM(4, 3, batch_first=True)(x)[0]),
    "cross_entropy": (ROWS, lambda x: F.cross_entropy(
        x, tg.zeros(len(x), 4).long(), reduction="none"
    )),
    "kthvalue": (ROWS, lambda x: x.kthvalue(2).values),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_none_in_none_out(name: str) -> None:
    shape, f = FUNCTIONS[name]
    x = tg.zeros(0, *shape, requires_grad=True)
    out = f(x)
    assert out.shape == (0, *f(tg.ones(2, *shape)).shape[1:])
    (slope,) = grad((out**2).sum(), x, create_graph=True)
    assert slope.shape == grad((slope**2).sum(), x)[0].shape == x.shape
