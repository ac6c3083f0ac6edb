"""Pooling, interpolation, pixel shuffle: values against loops and closed forms, order 2, parity."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import tinygen
from tinygen import autograd
from tinygen.ops.folding import fold, unfold
from tinygen.ops.images import (
    adaptive_avg_pool2d,
    avg_pool2d,
    channel_shuffle,
    interpolate,
    max_pool2d,
    pixel_shuffle,
    pixel_unshuffle,
)
from tinygen.ops.more_pooling import (
    adaptive_avg_pool1d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    avg_pool1d,
    max_pool1d,
)
from tinygen.testing import check_grads

seeds = st.integers(0, 2**32 - 1)
sides = st.tuples(st.integers(1, 7), st.integers(1, 7))
factors = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def pools(draw):
    """(shape, kernel, stride, padding, ceil_mode) with at least one window inside."""
    shape = (draw(st.integers(0, 2)), draw(st.integers(1, 2)), *draw(sides))
    kernel, stride = draw(factors), draw(factors)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    assume(all(shape[2 + i] + 2 * padding[i] >= kernel[i] for i in (0, 1)))
    return shape, kernel, stride, padding, draw(st.booleans())


def image(seed, shape, dtype=np.float64, last=False):
    """No two pixels are nearly equal, so that a maximum is smooth around them."""
    count = math.prod(shape)
    values = np.random.default_rng(seed).permutation(count) / max(count, 1) - 0.5
    x = values.reshape(shape).astype(dtype)
    return tinygen.from_numpy(x.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2) if last else x)


def close(x, y, tolerance=1e-10):
    np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=tolerance, atol=tolerance)


def outputs(size, kernel, stride, padding, ceil):
    outs = (size + 2 * padding - kernel) / stride + 1
    outs = math.ceil(outs) if ceil else math.floor(outs)
    return outs - 1 if ceil and (outs - 1) * stride >= size + padding else outs


def windows(pool):
    """For each output pixel: the rows and columns of its window that lie inside the image."""
    (_, _, *size), kernel, stride, padding, ceil = pool
    outs = [outputs(size[i], kernel[i], stride[i], padding[i], ceil) for i in (0, 1)]
    for i in range(outs[0]):
        for j in range(outs[1]):
            start = (i * stride[0] - padding[0], j * stride[1] - padding[1])
            yield (
                i,
                j,
                *(slice(max(start[k], 0), min(start[k] + kernel[k], size[k])) for k in (0, 1)),
            )


@given(pools(), st.booleans(), seeds)
def test_max_pool2d_is_its_definition(pool, recorded, seed):
    shape, kernel, stride, padding, ceil = pool
    x = image(seed, shape)
    expected = {(i, j): x.numpy()[:, :, h, w].max((2, 3)) for i, j, h, w in windows(pool)}
    x.requires_grad = recorded
    out = max_pool2d(x, kernel, stride, padding, ceil_mode=ceil).detach()
    assert out.numpy()[0, 0].size == len(expected) if shape[0] else out.shape[0] == 0
    for (i, j), value in expected.items():
        close(out.numpy()[:, :, i, j], value)


@given(pools(), seeds)
def test_avg_pool2d_is_its_definition(pool, seed):
    shape, kernel, stride, padding, ceil = pool
    x = image(seed, shape)
    inside = avg_pool2d(x, kernel, stride, padding, ceil, count_include_pad=False)
    whole = avg_pool2d(x, kernel, stride, padding, ceil, divisor_override=7)
    for i, j, h, w in windows(pool):
        window = x.numpy()[:, :, h, w]
        close(inside.numpy()[:, :, i, j], window.mean((2, 3)))
        close(whole.numpy()[:, :, i, j], window.sum((2, 3)) / 7)


def test_padding_counts_as_zeros_in_the_mean():
    ones = tinygen.ones(1, 1, 2, 2)
    close(avg_pool2d(ones, 2, 1, 1)[0, 0], [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]])
    close(avg_pool2d(ones, 2, 1, 1, divisor_override=-2)[0, 0, 1], [-1, -2, -1])


@given(pools(), st.booleans(), seeds)
def test_gradients_of_pooling(pool, include, seed):
    shape, kernel, stride, padding, ceil = pool
    assume(shape[0] > 0)
    x = image(seed, shape)
    check_grads(lambda x: max_pool2d(x, kernel, stride, padding, 1, ceil), x, order=2)
    check_grads(lambda x: max_pool2d(x, kernel, stride, padding, 1, ceil) ** 3, x, order=2)
    check_grads(lambda x: avg_pool2d(x, kernel, stride, padding, ceil, include) ** 3, x, order=2)


@given(sides, sides, seeds)
def test_adaptive_max_pool2d(size, target, seed):
    x = image(seed, (2, 2, *size))
    out, at = adaptive_max_pool2d(x, target, return_indices=True)
    for i in range(target[0]):
        h = slice(i * size[0] // target[0], math.ceil((i + 1) * size[0] / target[0]))
        for j in range(target[1]):
            w = slice(j * size[1] // target[1], math.ceil((j + 1) * size[1] / target[1]))
            close(out.numpy()[:, :, i, j], x.numpy()[:, :, h, w].max((2, 3)))
    close(x.flatten(2).gather(2, at.flatten(2)), out.flatten(2))
    check_grads(lambda x: adaptive_max_pool2d(x, target) ** 3, x, order=2)


@given(pools(), seeds)
def test_indices_of_maxima_point_at_them(pool, seed):
    shape, kernel, stride, padding, ceil = pool
    x = image(seed, shape)
    out, at = max_pool2d(x, kernel, stride, padding, 1, ceil, return_indices=True)
    close(x.flatten(2).gather(2, at.flatten(2)), out.flatten(2))


@given(st.integers(1, 9), st.integers(1, 3), st.integers(1, 3), st.integers(0, 1), seeds)
def test_pools_of_lines_are_those_of_rows(length, kernel, stride, padding, seed):
    padding = min(padding, kernel // 2)
    assume(length + 2 * padding >= kernel)
    x = image(seed, (2, 3, length))
    rows, k, s, p = x.unsqueeze(2), (1, kernel), (1, stride), (0, padding)
    close(max_pool1d(x, kernel, stride, padding), max_pool2d(rows, k, s, p)[:, :, 0])
    close(avg_pool1d(x, kernel, stride, padding), avg_pool2d(rows, k, s, p)[:, :, 0])
    close(adaptive_avg_pool1d(x, stride), adaptive_avg_pool2d(rows, (1, stride))[:, :, 0])
    close(adaptive_max_pool1d(x, stride), adaptive_max_pool2d(rows, (1, stride))[:, :, 0])
    close(max_pool1d(x[0], (kernel,)), max_pool1d(x, kernel)[0]) if length >= kernel else None
    check_grads(lambda x: max_pool1d(x, kernel, stride, padding) ** 3, x, order=2)


@given(pools(), st.integers(1, 2), seeds)
def test_unfold_and_fold_are_adjoint(pool, dilation, seed):
    """<unfold(x), y> = <x, fold(y)>; and a convolution is a product with the columns."""
    (_, channels, *size), kernel, stride, padding, _ = pool
    assume(all(size[i] + 2 * padding[i] > dilation * (kernel[i] - 1) for i in (0, 1)))
    options = dict(kernel_size=kernel, dilation=dilation, padding=padding, stride=stride)
    x = image(seed, (2, channels, *size))
    columns = unfold(x, **options)
    y = image(seed + 1, columns.shape)
    close((columns * y).sum(), (x * fold(y, tuple(size), **options)).sum())
    w = image(seed + 2, (3, channels, *kernel))
    out = tinygen.nn.functional.conv2d(x, w, None, stride, padding, dilation)
    close((w.flatten(1) @ columns).reshape(out.shape), out)
    check_grads(lambda x: unfold(x, **options) ** 3, x, order=2)
    check_grads(lambda y: fold(y, tuple(size), **options) ** 3, y, order=2)


def test_unfold_and_fold_as_torch():
    options = dict(kernel_size=(2, 3), dilation=(2, 1), padding=(1, 2), stride=(2, 1))
    x = image(0, (2, 3, 5, 6))
    assert_parity(
        lambda x: unfold(x, **options), lambda F, x: F.unfold(x, **options), x.detach(), 1
    )
    y = unfold(x, **options).detach()
    assert_parity(
        lambda y: fold(y, (5, 6), **options), lambda F, y: F.fold(y, (5, 6), **options), y, 1
    )


@given(sides, sides, seeds)
def test_adaptive_avg_pool2d(size, target, seed):
    x = image(seed, (2, 2, *size))
    out = adaptive_avg_pool2d(x, target)
    for i in range(target[0]):
        h = slice(i * size[0] // target[0], math.ceil((i + 1) * size[0] / target[0]))
        for j in range(target[1]):
            w = slice(j * size[1] // target[1], math.ceil((j + 1) * size[1] / target[1]))
            close(out.numpy()[:, :, i, j], x.numpy()[:, :, h, w].mean((2, 3)))
    close(interpolate(x, size=target, mode="area"), out)
    assert adaptive_avg_pool2d(x, (None, 1)).shape == (2, 2, size[0], 1)
    check_grads(lambda x: adaptive_avg_pool2d(x, target) ** 3, x, order=2)


@given(sides, sides, st.booleans(), seeds)
def test_bilinear_reproduces_what_is_bilinear(size, target, corners, seed):
    """f(h, w) = (1 + 2h)(3 - w) at the points read; clamped to the image, as the formula says."""
    h, w = np.arange(size[0])[:, None], np.arange(size[1])
    x = tinygen.from_numpy(((1 + 2 * h) * (3.0 - w))[None, None])
    out = interpolate(x, size=target, mode="bilinear", align_corners=corners)

    def points(n, m):
        if corners:
            return np.arange(m) * ((n - 1) / (m - 1) if m > 1 else 0)
        return np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)

    p, q = points(size[0], target[0])[:, None], points(size[1], target[1])
    close(out[0, 0], (1 + 2 * p) * (3 - q))
    x = image(seed, (2, 1, *size))
    check_grads(
        lambda x: interpolate(x, size=target, mode="bilinear", align_corners=corners) ** 3, x
    )


@given(sides, sides, st.booleans(), seeds)
def test_bicubic_reproduces_lines_and_is_differentiable(size, target, corners, seed):
    """Keys' cubic weighs to 1, and gives back what is linear, away from the edges."""
    lines = tinygen.from_numpy(np.arange(9.0)[None, None, :, None] * 2 + np.arange(9.0))
    out = interpolate(lines, size=(17, 17), mode="bicubic", align_corners=True)
    close(out[0, 0, 4:13, 4:13], (np.arange(17.0)[:, None] + np.arange(17.0) / 2)[4:13, 4:13])
    x = image(seed, (2, 1, *size))
    options = dict(size=target, mode="bicubic", align_corners=corners)
    close(interpolate(x * 0 + 3, **options), np.full((2, 1, *target), 3.0))
    check_grads(lambda x: interpolate(x, **options) ** 3, x)


def test_bicubic_of_infinity_has_the_sign_of_its_weight():
    x = tinygen.zeros(1, 1, 1, 6)
    x[..., 2] = math.inf
    out = interpolate(x, size=(1, 12), mode="bicubic")[0, 0, 0].numpy()
    finite = interpolate(x.clamp(max=1.0), size=(1, 12), mode="bicubic")[0, 0, 0].numpy()
    close(out, np.where(finite == 0, 0, np.sign(finite) * math.inf))


@pytest.mark.parametrize("mode", ["linear", "trilinear", "nearest", "nearest-exact", "area"])
@given(st.lists(st.integers(1, 4), min_size=3, max_size=3), st.integers(1, 6), seeds)
def test_lines_and_volumes_as_torch(mode, size, target, seed):
    shapes = {"linear": [(2, 3, size[0])], "trilinear": [(1, 2, *size)]}
    for shape in shapes.get(mode, [(2, 3, size[0]), (1, 2, *size)]):
        assert_parity(
            lambda x: interpolate(x, target, mode=mode),
            lambda F, x: F.interpolate(x, target, mode=mode),
            image(seed, shape),
            seed,
        )
        check_grads(lambda x: interpolate(x, target, mode=mode) ** 3, image(seed, shape))


@given(sides, sides, seeds)
def test_nearest_reads_a_pixel(size, target, seed):
    x = image(seed, (2, 3, *size), last=True)
    out = interpolate(x, size=target)
    rows = [i * size[0] // target[0] for i in range(target[0])]
    columns = [j * size[1] // target[1] for j in range(target[1])]
    close(out, x.numpy()[:, :, rows][:, :, :, columns])
    check_grads(lambda x: interpolate(x, size=target) ** 3, x, order=2)


@given(st.integers(1, 3), st.integers(1, 2), sides, seeds)
def test_pixel_shuffle(factor, channels, size, seed):
    x = image(seed, (2, channels * factor**2, *size), last=True)
    out = pixel_shuffle(x, factor)
    assert out.shape == (2, channels, size[0] * factor, size[1] * factor)
    for a in range(factor):
        for b in range(factor):
            close(
                out.numpy()[:, :, a::factor, b::factor], x.numpy()[:, a * factor + b :: factor**2]
            )
    close(pixel_unshuffle(out, factor), x)
    check_grads(lambda x: pixel_shuffle(x, factor) ** 3, x, order=2)
    check_grads(lambda x: pixel_unshuffle(x, factor) ** 3, out, order=2)


def test_the_first_of_equal_values_gets_the_gradient():
    x = tinygen.zeros(1, 1, 2, 2, requires_grad=True)
    (gx,) = autograd.grad(max_pool2d(x, 2).sum(), x)
    close(gx[0, 0], [[1, 0], [0, 0]])


def test_nan_wins_a_maximum():
    x = tinygen.tensor([[[[1.0, float("nan")], [3.0, 2.0]]]])
    for recorded in (False, True):
        x.requires_grad = recorded
        assert math.isnan(max_pool2d(x, 2).detach().item())


functions = {
    "max_pool2d": lambda x: max_pool2d(x, 3, 2, 1),
    "avg_pool2d": lambda x: avg_pool2d(x, 3, 2, 1),
    "avg_pool2d, blocks": lambda x: avg_pool2d(x, 2),
    "adaptive_avg_pool2d": lambda x: adaptive_avg_pool2d(x, (3, 2)),
    "bilinear": lambda x: interpolate(x, scale_factor=1.5, mode="bilinear"),
    "nearest": lambda x: interpolate(x, scale_factor=2),
    "pixel_shuffle": lambda x: pixel_shuffle(x, 2),
    "pixel_unshuffle": lambda x: pixel_unshuffle(x, 2),
}


@pytest.mark.parametrize("name", functions)
def test_layout_and_dtype_are_kept(name):
    """Out of a channels-last float32 image comes one, forward and backward."""
    x = image(0, (2, 8, 4, 4), np.float32, last=True)
    x.requires_grad = True
    out = functions[name](x)
    (gx,) = autograd.grad(out, x, image(1, out.shape, np.float32, last=True))
    for result in (out.detach(), gx):
        assert result.dtype == np.float32
        assert result.numpy().transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("name", [n for n in functions if n not in ("bilinear", "nearest")])
def test_unbatched(name):
    x = image(0, (1, 8, 4, 4))
    close(functions[name](x[0]), functions[name](x)[0])


X = image(0, (2, 3, 4, 4))


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: max_pool2d(X, 5), RuntimeError, "Output size is too small"),
        (lambda: max_pool2d(X, 2, padding=2), RuntimeError, "at most half of effective kernel"),
        (lambda: max_pool2d(X, 0), RuntimeError, "non-positive kernel_size"),
        (lambda: max_pool2d(X, 2, stride=0), RuntimeError, "non-positive stride"),
        (lambda: max_pool2d(X[0, 0], 2), RuntimeError, "3D .* or 4D"),
        (lambda: max_pool2d(X.numpy(), 2), TypeError, "expected a Tensor"),
        (
            lambda: avg_pool2d(tinygen.from_numpy(np.ones((1, 2, 2), int)), 2),
            RuntimeError,
            "floating-point",
        ),
        (lambda: avg_pool2d(X, 2, divisor_override=0), RuntimeError, "divisor must be not zero"),
        (lambda: max_pool1d(X, 2), RuntimeError, "max_pool1d: expected 2D .* or 3D"),
        (lambda: max_pool1d(X[0], (2, 2)), RuntimeError, "max_pool1d: expected kernel_size to be"),
        (lambda: avg_pool1d(X[0], 2, stride=0), RuntimeError, "avg_pool1d: non-positive stride"),
        (lambda: adaptive_max_pool2d(X, 0), RuntimeError, "non-positive output_size"),
        (lambda: adaptive_max_pool2d(X[..., :0], 1), RuntimeError, "non-empty"),
        (lambda: unfold(X, 6), RuntimeError, "unfold: no window of kernel_size .6, 6."),
        (lambda: unfold(X[0, 0], 2), RuntimeError, "3D .* or 4D"),
        (lambda: fold(X[0], (4, 4), 2), RuntimeError, "fold: expected .N, a multiple of 4, 9."),
        (lambda: fold(X, (4, 4), 2), RuntimeError, "fold: expected .N, C KH KW, L."),
        (lambda: adaptive_avg_pool2d(X, 0), RuntimeError, "non-positive output_size"),
        (lambda: adaptive_avg_pool2d(X[:, :, :0], 1), RuntimeError, "non-empty"),
        (lambda: interpolate(X), ValueError, "exactly one of size and scale_factor"),
        (lambda: interpolate(X, 2, 2.0), ValueError, "exactly one of size and scale_factor"),
        (lambda: interpolate(X, 2, mode="cubic"), NotImplementedError, "mode must be"),
        (lambda: interpolate(X, 2, align_corners=True), ValueError, "align_corners"),
        (lambda: interpolate(X, scale_factor=0.1), RuntimeError, "non-positive output size"),
        (lambda: interpolate(X[0, 0], 2), RuntimeError, "4D"),
        (lambda: interpolate(X, 2, mode="linear"), NotImplementedError, "'linear' needs 3D input"),
        (lambda: interpolate(X[0], 2, mode="bicubic"), NotImplementedError, "needs 4D input"),
        (lambda: interpolate(X, (2, 3, 4)), ValueError, "expected one number or 2"),
        (lambda: channel_shuffle(X, 2), RuntimeError, "divisible by groups=2, got .2, 3, 4, 4."),
        (lambda: pixel_shuffle(X, 2), RuntimeError, "divisible by the square"),
        (lambda: pixel_unshuffle(X, 3), RuntimeError, "divisible by downscale_factor"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


MODES = ["nearest", "nearest-exact", "bilinear", "bicubic", "area"]
# --- parity with PyTorch ------------------------------------------------------------------------


def assert_parity(ours, theirs, x, seed, gradients=True):
    """Values and gradients of the same call."""
    torch = pytest.importorskip("torch")
    x.requires_grad = True
    y = torch.from_numpy(x.detach().numpy()).requires_grad_()
    out, expected = ours(x), theirs(torch.nn.functional, y)
    close(out.detach(), expected.detach().numpy())
    if not gradients:
        return
    g = image(seed, out.shape)
    (gx,) = autograd.grad(out, x, g)
    (gy,) = torch.autograd.grad(expected, y, torch.from_numpy(g.numpy()))
    close(gx, gy.numpy())


@given(pools(), st.integers(1, 2), st.booleans(), seeds)
def test_pooling_as_torch(pool, dilation, include, seed):
    shape, kernel, stride, padding, ceil = pool
    x = image(seed, shape)
    assert_parity(
        lambda x: avg_pool2d(x, kernel, stride, padding, ceil, include),
        lambda F, x: F.avg_pool2d(x, kernel, stride, padding, ceil, include),
        x,
        seed,
    )
    reach = [dilation * (k - 1) + 1 for k in kernel]
    assume(all(shape[2 + i] + 2 * padding[i] >= reach[i] for i in (0, 1)))
    assert_parity(
        lambda x: max_pool2d(x, kernel, stride, padding, dilation, ceil),
        lambda F, x: F.max_pool2d(x, kernel, stride, padding, dilation, ceil),
        x.detach(),
        seed,
    )


@given(sides, st.floats(0.4, 3.0), st.sampled_from(MODES), seeds)
def test_interpolate_as_torch(size, scale, mode, seed):
    scale = round(scale * 4) / 4  # exact, so that both sides read the same pixel
    outs = tuple(math.floor(n * scale) for n in size)
    assume(min(outs) >= 1)
    assert_parity(
        lambda x: interpolate(x, scale_factor=scale, mode=mode),
        lambda F, x: F.interpolate(x, scale_factor=scale, mode=mode),
        image(seed, (2, 3, *size)),
        seed,
        gradients=mode != "bicubic" or outs != size or scale == 1,
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scale", [1.25, 2.25, 2.5])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_size_that_stays_or_doubles_as_torch(n, scale, mode):
    """PyTorch's gradient of "bicubic" is that of a copy where the size stays; its value is not."""
    assert_parity(
        lambda x: interpolate(x, scale_factor=scale, mode=mode),
        lambda F, x: F.interpolate(x, scale_factor=scale, mode=mode),
        image(0, (1, 2, n, n)),
        0,
        gradients=mode != "bicubic" or int(n * scale) != n,
    )


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@given(sides, sides, st.booleans(), seeds)
def test_bilinear_and_bicubic_as_torch(mode, size, target, corners, seed):
    options = dict(size=target, mode=mode, align_corners=corners)
    assert_parity(
        lambda x: interpolate(x, **options),
        lambda F, x: F.interpolate(x, **options),
        image(seed, (2, 3, *size)),
        seed,
    )
