"""The three convolutions: values against plain loops, each the adjoint of the others, order 2."""

import copy
from contextlib import contextmanager
from itertools import product
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygen
from tinygen import autograd, cuda, nn
from tinygen.conv import conv1d, conv2d, conv2d_weight, conv_transpose2d, cpu, unfold
from tinygen.testing import check_grads, conv_geometries

ways = st.tuples(st.sampled_from([1, 3, 8]), st.sampled_from([1, 300, 1 << 19]))
seeds = st.integers(0, 2**32 - 1)


@contextmanager
def computed(way):
    """Small limits send small cases along every path: rows, planes, folding; many tiles, one."""
    few, tile = way
    with patch.object(cpu, "FEW", few), patch.object(unfold, "TILE", tile):
        yield


def draw(seed, *shapes, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [tinygen.from_numpy(rng.standard_normal(shape).astype(dtype)) for shape in shapes]


def channels_last(x):
    return tinygen.from_numpy(x.numpy().transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2))


def triples(geometry, x_shape, out_shape):
    """Every pixel, tap and output that meet, by the definition: loops and nothing else."""
    (s, t), (p, q), (d, e) = geometry.stride, geometry.padding, geometry.dilation
    for i, j, a, b in product(*map(range, (*out_shape[2:], *geometry.kernel))):
        h, v = i * s + a * d - p, j * t + b * e - q
        if 0 <= h < x_shape[2] and 0 <= v < x_shape[3]:
            yield h, v, i, j, a, b


def by_loops(geometry, x, w, out_shape):
    """conv2d, and with the roles of image and output exchanged conv_transpose2d."""
    out = np.zeros(out_shape)
    into, outof = x.shape[1] // geometry.groups, out.shape[1] // geometry.groups
    big, small = (out, x) if geometry.transposed else (x, out)
    for h, v, i, j, a, b in triples(geometry, big.shape, small.shape):
        at, to = ((i, j), (h, v)) if geometry.transposed else ((h, v), (i, j))
        for k in range(geometry.groups):
            c, o = slice(k * into, (k + 1) * into), slice(k * outof, (k + 1) * outof)
            weight = w[c, :, a, b] if geometry.transposed else w[o, :, a, b].T
            out[(slice(None), o, *to)] += x[(slice(None), c, *at)] @ weight
    return out


def close(x, y, rtol=1e-10):
    np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=rtol)


def dot(x, y):
    return float(np.vdot(np.asarray(x), np.asarray(y)))


@given(conv_geometries(), ways, st.booleans(), seeds)
def test_conv2d_is_its_definition(geometry, way, last, seed):
    x, w, b = draw(seed, geometry.x_shape, geometry.w_shape, (geometry.O,))
    x = channels_last(x) if last else x
    with computed(way):
        out = conv2d(x, w, b, **geometry.constants())
    expected = by_loops(geometry, x.numpy(), w.numpy(), geometry.out_shape)
    close(out, expected + b.numpy()[:, None, None])


@given(conv_geometries(transposed=True), ways, st.booleans(), seeds)
def test_conv_transpose2d_is_its_definition(geometry, way, last, seed):
    x, w, b = draw(seed, geometry.x_shape, geometry.w_shape, (geometry.O,))
    x = channels_last(x) if last else x
    with computed(way):
        out = conv_transpose2d(x, w, b, **geometry.constants())
    expected = by_loops(geometry, x.numpy(), w.numpy(), geometry.out_shape)
    close(out, expected + b.numpy()[:, None, None])


@given(conv_geometries(), ways, seeds)
def test_the_three_are_each_others_adjoints(geometry, way, seed):
    x, w, g = draw(seed, geometry.x_shape, geometry.w_shape, geometry.out_shape)
    constants = geometry.constants()
    spare = zip(x.shape[2:], geometry.padding, geometry.dilation, geometry.kernel, strict=True)
    missing = [
        (n + 2 * p - d * (k - 1) - 1) % s
        for (n, p, d, k), s in zip(spare, geometry.stride, strict=True)
    ]
    with computed(way):
        image = conv_transpose2d(g, w, **constants, output_padding=missing)
        weight = conv2d_weight(x, g, geometry.kernel, **constants)
        form = dot(g, conv2d(x, w, **constants))
    assert dot(x, image) == pytest.approx(form, rel=1e-9, abs=1e-9)
    assert dot(w, weight) == pytest.approx(form, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("few", [1, 100])
def test_the_last_tile_may_be_smaller(few):
    """7 images in tiles of 3, 3 and 1 (rows) or 2, 2, 2 and 1 (planes): as in one tile."""
    x, w = draw(0, (7, 9, 6, 5), (10, 9, 3, 3))
    x.requires_grad = w.requires_grad = True
    results = []
    for tile in (1 << 19, 3240):
        with computed((few, tile)):
            out = conv2d(x, w, padding=1)
            (g,) = draw(1, out.shape)
            results.append([out.detach(), *autograd.grad(out, (x, w), g)])
    for whole, tiled in zip(*results, strict=True):
        close(tiled, whole)


@given(conv_geometries(max_side=5, max_channels=2), ways, seeds)
def test_gradients_of_conv2d(geometry, way, seed):
    x, w, b = draw(seed, geometry.x_shape, geometry.w_shape, (geometry.O,))
    with computed(way):
        check_grads(lambda x, w, b: conv2d(x, w, b, **geometry.constants()), x, w, b, order=2)


@given(conv_geometries(transposed=True, max_side=5, max_channels=2), ways, seeds)
def test_gradients_of_conv_transpose2d(geometry, way, seed):
    x, w, b = draw(seed, geometry.x_shape, geometry.w_shape, (geometry.O,))
    with computed(way):
        check_grads(
            lambda x, w, b: conv_transpose2d(x, w, b, **geometry.constants()), x, w, b, order=2
        )


@given(conv_geometries(max_side=5, max_channels=2), ways, seeds)
def test_gradients_of_conv2d_weight(geometry, way, seed):
    x, g = draw(seed, geometry.x_shape, geometry.out_shape)
    with computed(way):
        check_grads(
            lambda x, g: conv2d_weight(x, g, geometry.kernel, **geometry.constants()), x, g, order=2
        )


def test_output_padding_beyond_the_stride():
    """Allowed while it is below the dilation; conv2d of such an image has more windows than g."""
    x, w = draw(0, (2, 3, 4, 5), (3, 2, 2, 3))
    constants = dict(stride=1, dilation=3, output_padding=(2, 1))
    check_grads(lambda x, w: conv_transpose2d(x, w, **constants), x, w, order=2, full=True)


@pytest.mark.parametrize("channels, filters", [(1, 9), (9, 1), (9, 10), (3, 2)])
@pytest.mark.parametrize("kernel, stride, padding", [(4, 2, 1), (3, 1, 1), (1, 1, 0), (6, 1, 0)])
def test_float32_of_every_path(channels, filters, kernel, stride, padding):
    """Forward and both gradients in float32: the right dtype, and the float64 values."""
    shapes = (5, channels, 6, 6), (filters, channels, kernel, kernel)

    def results(dtype):
        x, w = draw(1, *shapes, dtype=dtype)
        x.requires_grad = w.requires_grad = True
        out = conv2d(x, w, stride=stride, padding=padding)
        (g,) = draw(2, out.shape, dtype=dtype)
        return out.detach(), *autograd.grad(out, (x, w), g)

    for single, double in zip(results(np.float32), results(np.float64), strict=True):
        assert single.dtype == np.float32 and double.dtype == np.float64
        close(single, double, rtol=2e-4)


def test_memory_is_channels_last():
    x, w, v = draw(0, (2, 3, 6, 6), (8, 3, 3, 3), (8, 3, 4, 4))
    x.requires_grad = True
    down = conv2d(x, w, stride=2, padding=1)
    up = conv_transpose2d(down, v, stride=2, padding=1)
    (gx,) = autograd.grad(up.sum(), x)
    for image in (down, up, gx):
        assert image.detach().numpy().transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize(
    "layer, size",
    [
        (nn.Conv2d(16, 32, 3, padding=1), 6),
        (nn.Conv2d(32, 16, 3), 6),
        (nn.Conv2d(16, 16, 4, 2, 1), 6),
        (nn.Conv2d(16, 32, 1), 6),
        (nn.Conv2d(16, 32, 6), 6),
        (nn.Conv2d(3, 16, 3), 6),
        (nn.ConvTranspose2d(16, 32, 4, 2, 1), 6),
    ],
)
def test_weights_and_their_gradients_lie_channels_last(layer, size):
    """Then no matrix of a kernel row is copied, and an update runs over memory in order."""
    w, first = layer.weight, layer.weight.shape[0]
    x = channels_last(draw(0, (2, 16 if layer.transposed else w.shape[1], size, size))[0]).float()
    for _ in range(2):
        layer(x).square().sum().backward()
    for array in (w._array, w.grad._array, copy.deepcopy(w)._array):
        assert array.base is None and array.transpose(0, 2, 3, 1).flags.c_contiguous
    kernel = w._array.transpose(2, 3, 1, 0)
    matrices = kernel.reshape(kernel.shape[0], -1, first)
    assert np.shares_memory(matrices, w._array)


def test_a_1x1_convolution_copies_nothing():
    x, w = draw(0, (2, 16, 5, 5), (4, 16, 1, 1))
    x = channels_last(x)
    with patch.object(cpu, "_multiply", wraps=cpu._multiply) as multiply:
        conv2d(x, w)
    assert np.shares_memory(multiply.call_args.args[0], x.numpy())


@pytest.mark.parametrize("groups", [1, 3])
def test_batch_of_none(groups):
    x, w = draw(0, (0, 3, 5, 5), (6, 3 // groups, 3, 3))
    x.requires_grad = w.requires_grad = True
    out = conv2d(x, w, groups=groups)
    assert out.shape == (0, 6, 3, 3)
    gx, gw = autograd.grad(out.sum(), (x, w))
    assert gx.shape == x.shape and (gw.numpy() == 0).all() and gw.shape == w.shape
    assert conv_transpose2d(out.detach(), w.detach(), groups=groups).shape == x.shape


def test_unbatched_is_a_batch_of_one():
    x, w, v = draw(0, (3, 5, 4), (2, 3, 3, 2), (3, 2, 3, 2))
    close(conv2d(x, w), conv2d(x.reshape(1, 3, 5, 4), w)[0])
    close(conv_transpose2d(x, v), conv_transpose2d(x.reshape(1, 3, 5, 4), v)[0])


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 2), seeds)
def test_same_padding_keeps_the_size(height, width, dilation, seed):
    x, w = draw(seed, (2, 1, 6, 7), (3, 1, height, width))
    assert conv2d(x, w, padding="same", dilation=dilation).shape == (2, 3, 6, 7)
    close(conv2d(x, w, padding="valid"), conv2d(x, w))


def test_same_padding_of_an_even_kernel():
    x, w = draw(0, (1, 1, 4, 4), (1, 1, 2, 2))
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (0, 1), (0, 1)))
    close(conv2d(x, w, padding="same"), conv2d(tinygen.from_numpy(padded), w))


@given(st.integers(1, 3), st.integers(0, 2), st.integers(1, 2), st.integers(1, 2), seeds)
def test_conv1d_is_a_row(stride, padding, dilation, groups, seed):
    x, w, b = draw(seed, (2, 2, 9), (4, 2 // groups, 3), (4,))
    out = conv1d(x, w, b, stride, padding, dilation, groups)
    row = conv2d(
        x.reshape(2, 2, 1, 9), w.reshape(4, -1, 1, 3), b, (1, stride), (0, padding), (1, dilation),
        groups,
    )  # fmt: skip
    close(out, row[:, :, 0])
    close(conv1d(x[0], w, b, stride, padding, dilation, groups), out[0])
    check_grads(lambda x, w, b: conv1d(x, w, b, stride, padding, dilation, groups), x, w, b)


def test_the_cuda_kernels_in_the_emulator():
    """The same ops on the other backend: forward, gradients, and a gradient penalty's gradients."""
    if not cuda.emulator_available():
        pytest.skip("no C++ compiler for the kernel emulator")

    def everything(function, *shapes):
        inputs = draw(0, *shapes, dtype=np.float32)
        for x in inputs:
            x.requires_grad = True
        out = function(*inputs)
        (g,) = draw(1, out.shape, dtype=np.float32)
        grads = autograd.grad(out, inputs, g, create_graph=True)
        penalty = (grads[0] * grads[0]).sum() + (grads[1] * grads[1]).sum()
        return [x.detach() for x in (out, *grads, *autograd.grad(penalty, inputs[:2]))]

    for function, *shapes in (
        (lambda x, w, b: conv2d(x, w, b, 2, 1), (2, 3, 7, 6), (4, 3, 3, 3), (4,)),
        (lambda x, w, b: conv_transpose2d(x, w, b, 2, 1, 1), (2, 3, 4, 5), (3, 4, 3, 3), (4,)),
        (lambda x, w: conv_transpose2d(x, w, None, 1, 0, 2, 1, 3), (1, 2, 4, 5), (2, 3, 3, 2)),
    ):
        on_numpy = everything(function, *shapes)
        with cuda.emulated():
            emulated = everything(function, *shapes)
        for x, y in zip(emulated, on_numpy, strict=True):
            assert x.dtype == np.float32
            close(x, y, rtol=1e-4)


# --- errors ---------------------------------------------------------------------------------


def make(*shape, dtype=np.float32):
    return tinygen.from_numpy(np.ones(shape, dtype))


X, W, V = make(2, 4, 8, 8), make(6, 4, 3, 3), make(4, 6, 3, 3)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: conv2d(make(2, 3, 8, 8), W), "have 4 channels, but got 3 channels"),
        (lambda: conv2d(X, W, groups=2), "to have 8 channels, but got 4 channels"),
        (lambda: conv2d(X, make(5, 2, 3, 3), groups=2), "divisible by 2 at dimension 0"),
        (lambda: conv2d(X, W, groups=0), "non-positive groups"),
        (lambda: conv2d(make(8, 8), W), r"3D \(unbatched\) or 4D \(batched\)"),
        (lambda: conv2d(X, make(6, 4, 3)), "4D tensors"),
        (lambda: conv2d(X, make(6, 4, 9, 3)), "Kernel size can't be greater than actual input"),
        (lambda: conv2d(X, W, dilation=5), "Kernel size can't be greater than actual input"),
        (lambda: conv2d(make(2, 4, 0, 8), W), "Kernel size can't be greater than actual input"),
        (lambda: conv2d(X, W, make(5)), "bias to be 1-dimensional with 6 elements"),
        (lambda: conv2d(X, W, stride=0), "non-positive stride"),
        (lambda: conv2d(X, W, dilation=0), "non-positive dilation"),
        (lambda: conv2d(X, W, padding=-1), "negative padding"),
        (lambda: conv2d(X, W, stride=(1, 2, 3)), "one integer or two"),
        (lambda: conv2d(X, W, padding=1.5), "one integer or two"),
        (lambda: conv2d(X, W, padding="full"), "invalid padding string"),
        (lambda: conv2d(X, W, stride=2, padding="same"), "not supported for strided"),
        (lambda: conv2d(X, make(6, 4, 3, 3, dtype=np.float64)), "float32, float64"),
        (lambda: conv2d(X, W, make(6, dtype=np.float64)), "types should be the same"),
        (lambda: conv2d(make(2, 4, 8, 8, dtype=int), make(6, 4, 3, 3, dtype=int)), "floating"),
        (lambda: conv_transpose2d(make(2, 3, 8, 8), V), "have 4 channels, but got 3 channels"),
        (lambda: conv_transpose2d(X, V, make(4)), "bias to be 1-dimensional with 6 elements"),
        (lambda: conv_transpose2d(X, V, stride=2, output_padding=2), "output padding must be"),
        (lambda: conv_transpose2d(X, V, padding=6), "Output size is too small"),
        (lambda: conv_transpose2d(X, V, groups=3), "divisible by 3 at dimension 0"),
        (lambda: conv2d_weight(X, make(2, 6, 5, 6), 3), r"expected g of shape \(2, 6, 6, 6\)"),
        (lambda: conv2d_weight(X, make(2, 5, 6, 6), 3, groups=2), "divisible by groups=2"),
        (lambda: conv1d(make(2, 4, 8, 8), make(6, 4, 3)), "conv1d: expected input"),
    ],
)
def test_errors(call, words):
    with pytest.raises(RuntimeError, match=words):
        call()


def test_not_a_tensor():
    with pytest.raises(TypeError, match="conv2d: expected a Tensor as input, got ndarray"):
        conv2d(np.ones((1, 1, 3, 3)), make(1, 1, 2, 2))
    with pytest.raises(TypeError, match="got list"):
        conv2d(X, [1.0])


# --- parity with PyTorch ----------------------------------------------------------------------


@given(geometry=st.one_of(conv_geometries(), conv_geometries(transposed=True)), seed=seeds)
def test_parity_with_torch(geometry, seed):
    """Values, gradients, and the gradient of a gradient penalty (WGAN-GP's case)."""
    torch = pytest.importorskip("torch")
    arrays = [x.numpy() for x in draw(seed, geometry.x_shape, geometry.w_shape, (geometry.O,))]
    (g,) = draw(seed + 1, geometry.out_shape)
    ours = conv_transpose2d if geometry.transposed else conv2d
    theirs = getattr(torch.nn.functional, ours.__name__)

    def everything(function, tensor, grad):
        xs = [tensor(array) for array in arrays]
        for x in xs:
            x.requires_grad = True
        out = function(*xs, **geometry.constants())
        grads = grad(out, xs, tensor(g.numpy()), create_graph=True)
        penalty = sum((dx * dx).sum() for dx in grads[:2])
        return [out, *grads, *grad(penalty, xs[:2])]

    mine = everything(ours, tinygen.from_numpy, autograd.grad)
    other = everything(theirs, torch.from_numpy, torch.autograd.grad)
    for x, y in zip(mine, other, strict=True):
        close(x.detach(), y.detach().numpy(), rtol=1e-8)


@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@pytest.mark.parametrize("kernel, dilation", [((2, 3), 1), ((4, 2), 3), ((1, 5), 2)])
def test_same_padding_as_torch(kernel, dilation):
    torch = pytest.importorskip("torch")
    x, w = draw(0, (2, 3, 9, 8), (4, 3, *kernel))
    expected = torch.nn.functional.conv2d(
        torch.from_numpy(x.numpy()), torch.from_numpy(w.numpy()), None, 1, "same", dilation
    )
    close(conv2d(x, w, None, 1, "same", dilation), expected.numpy())
