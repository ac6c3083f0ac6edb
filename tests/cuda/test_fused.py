"""The fused kernels (activations, norms, Adam over many parameters) in the emulator's check mode
against float64, bugs planted in them, and where device="cuda" runs them."""

from __future__ import annotations

import weakref

import fake_cupy
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import autograd, backend, cuda, nn
from tinygen.cuda import convolution, fused
from tinygen.ops import on_gpu
from tinygen.testing import sample

pytestmark = pytest.mark.skipif(
    not cuda.emulator_available(), reason="the kernel emulator needs Linux and g++ or clang++"
)
quick = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


def draw(shape, seed, scale=1.0, shift=0.0):
    return (np.random.default_rng(seed).standard_normal(shape) * scale + shift).astype(np.float32)


def close(out, ref, tol=2e-6):
    np.testing.assert_allclose(out, ref, rtol=tol, atol=tol * max(np.abs(ref).max(initial=0), 1e-9))


# ---- activations


def logistic(x):
    return 1 / (1 + np.exp(-x))


ACTIVATIONS = {  # name: (how many arrays, constants, closed form in float64)
    "sigmoid": (1, {}, logistic),
    "sigmoid_grad": (2, {}, lambda v, h: v * h * (1 - h)),
    "tanh_grad": (2, {}, lambda v, h: v * (1 - h * h)),
    "softplus": (1, {}, lambda x: np.logaddexp(0, x)),
    "silu": (1, {}, lambda x: x * logistic(x)),
    "silu_grad": (2, {}, lambda v, x: v * logistic(x) * (1 + x * (1 - logistic(x)))),
    "leaky": (2, {"slope": 0.2}, lambda x, t: np.where(t > 0, x, np.float32(0.2) * x)),
    "gate": (2, {}, lambda x, t: np.where(t > 0, x, 0)),
}


def test_every_kernel_has_a_row_here():
    kernels = cuda.emulate("activations.cu")
    assert set(ACTIVATIONS) == set(dir(kernels))


@pytest.mark.parametrize("name", ACTIVATIONS)
@quick
@given(n=st.integers(1, 700), scale=st.sampled_from([0.1, 1.0, 40.0]), seed=st.integers(0, 99))
def test_activations_against_their_closed_form(name, n, scale, seed):
    count, constants, formula = ACTIVATIONS[name]
    arrays = [draw(n, seed + i, scale) for i in range(count)]
    arrays[-1][::7] = [0.0, 200.0, -200.0][seed % 3]  # the kink; e^200 overflows
    with np.errstate(over="ignore"):
        ref = formula(*(a.astype(float) for a in arrays))
    np.testing.assert_allclose(
        fused.activation(name, *arrays, **constants), ref, rtol=5e-6, atol=1e-6 * scale
    )


# ---- norms


@st.composite
def images(draw):
    """The shape of x (N, C, ...), groups, and whether the statistics are over the batch."""
    batch = draw(st.booleans())
    groups, wide = draw(st.integers(1, 40)), draw(st.integers(1, 3))
    groups, wide = (groups * wide, 1) if batch else (groups, wide)
    space = draw(st.sampled_from([(), (3,), (5, 4), (9, 17), (2, 3, 2)]))
    return (draw(st.integers(1, 3)), groups * wide, *space), groups, batch


def as_rows(x):
    """(N, C, ...) -> (N, P, C)"""
    return np.moveaxis(x.reshape(*x.shape[:2], -1), 1, 2)


def averages(rows, groups, batch):
    """The mean over each group, for each of its elements."""
    n, p, c = rows.shape
    g = rows.reshape(n, p, groups, c // groups)
    return np.broadcast_to(g.mean((0, 1, 3) if batch else (1, 3), keepdims=True), g.shape).reshape(
        rows.shape
    )


def reference_norm(x, u, w, b, groups, batch, eps):
    """y, dx, dw in float64, in rows, and the mean and variance for each element."""
    x, u = as_rows(x.astype(float)), as_rows(u.astype(float))
    mean = averages(x, groups, batch)
    var = averages((x - mean) ** 2, groups, batch)
    r = 1 / np.sqrt(var + eps)
    z, wu = (x - mean) * r, w * u
    dx = r * (wu - averages(wu, groups, batch) - z * averages(wu * z, groups, batch))
    return z * w + b, dx, (u * z).sum((0, 1)), mean, var


def check_norm(shape, groups, batch, seed, shift=3.0):
    x, u = draw(shape, seed, 2.0, shift), draw(shape, seed + 1)
    x, u = (np.moveaxis(np.moveaxis(a, 1, -1).copy(), -1, 1) for a in (x, u))  # channels-last
    w, b = draw(shape[1], seed + 2), draw(shape[1], seed + 3)
    y, dx, dw, mean, var = reference_norm(x, u, w, b, groups, batch, 1e-3)
    found = fused.moments(x, groups, batch, 1e-3)
    wide = shape[1] // groups
    for out, ref in zip(found, (mean, var, 1 / np.sqrt(var + 1e-3)), strict=True):
        assert out.shape == (1 if batch else shape[0], groups)
        each = np.repeat(out, wide, 1)[:, None]
        np.testing.assert_allclose(np.broadcast_to(each, ref.shape), ref, rtol=4e-6, atol=4e-6)
    stats = found[0], found[2]
    bare = reference_norm(x, u, 1.0, 0.0, groups, batch, 1e-3)
    near = 2e-6 * np.abs(x).max() * found[2].max()  # the rounding of x - mean, times rstd
    np.testing.assert_allclose(fused.channel_norm(x, w, b, *stats), y, 5e-6, 3 * near)
    np.testing.assert_allclose(fused.channel_norm(x, None, None, *stats), bare[0], 5e-6, near)
    near *= 3 * np.abs(u).max() * found[2].max()
    np.testing.assert_allclose(fused.channel_norm_back(u, x, w, *stats), dx, 5e-6, 3 * near)
    np.testing.assert_allclose(fused.channel_norm_back(u, x, None, *stats), bare[1], 5e-6, near)
    np.testing.assert_allclose(fused.channel_norm_weight(u, x, *stats), dw, rtol=2e-5, atol=5e-5)


@settings(quick, max_examples=25)
@given(images(), st.integers(0, 99))
def test_norms_against_float64(image, seed):
    check_norm(*image, seed)


@settings(quick, max_examples=25)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 70), st.integers(1, 40), st.integers(1, 30)),
    st.booleans(),
    st.integers(0, 99),
)
def test_channel_sums_against_float64(shape, batch, seed):
    check_sums(shape, batch, seed)


def check_sums(shape, batch, seed):
    x = draw(shape, seed, 2.0, 1.0)
    last = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    out, ref = fused.channel_sums(last, batch), x.astype(float).sum((0, 2, 3) if batch else (2, 3))
    assert out.shape == ref.shape and out.base is None
    np.testing.assert_allclose(out, ref, rtol=2e-6, atol=1e-6 * np.abs(x).sum() / shape[1])


def test_channel_sums_of_many_chunks_end_in_a_second_launch(monkeypatch):
    monkeypatch.setattr(fused, "FEW", 8)
    monkeypatch.setattr(fused, "SLAB", 4)
    for batch in (True, False):
        check_sums((3, 33, 9, 7), batch, 0)


@pytest.mark.parametrize("dims", [(0, 2, 3), (2, 3)])
@pytest.mark.parametrize("keep", [False, True])
def test_a_gpus_image_is_summed_by_the_kernel(gpu, dims, keep):
    x = tg.tensor(sample((2, 4, 3, 5), 1), dtype=tg.float32)
    there, x = (image.permute(0, 3, 1, 2) for image in (x.cuda(), x))  # channels-last
    before = fake_cupy.WORK.copy()
    out = there.sum(dims, keepdim=keep)
    done = fake_cupy.WORK - before
    assert not fake_cupy.WORK or done["launch", "channel_sums"] == 1
    close(out.cpu().numpy(), x.sum(dims, keepdim=keep).numpy())
    assert there.double().sum(dims).cpu().allclose(x.double().sum(dims))


@pytest.mark.parametrize("shape, groups, batch", [
    ((2, 5, 30, 31), 5, True), ((1, 70, 300), 7, False), ((3, 33, 130), 33, True),
])  # fmt: skip
def test_norms_of_many_chunks(shape, groups, batch, monkeypatch):
    check_norm(shape, groups, batch, 5)
    monkeypatch.setattr(fused, "ENOUGH_BLOCKS", 1)  # few blocks, each of several slabs
    check_norm(shape, groups, batch, 5)


def test_the_variance_of_numbers_far_from_zero_is_right():
    x = draw((4, 2, 500), 0, 1.0, 10_000.0)
    _, var, _ = fused.moments(x, 2, True, 0.0)
    np.testing.assert_allclose(var[0], x.astype(float).var((0, 2)), rtol=1e-5)


def test_norms_have_the_same_bits_in_every_order_of_threads():
    x, u = draw((2, 40, 200), 1), draw((2, 40, 200), 2)

    def run(seed):
        with cuda.emulated(check=False, seed=seed):
            mean, var, rstd = fused.moments(x, 40, True, 1e-5)
            back = fused.channel_norm_back(u, x, None, mean, rstd)
            return mean, var, rstd, back, fused.channel_norm_weight(u, x, mean, rstd)

    for a, b in zip(run(0), run(1), strict=True):
        assert a.tobytes() == b.tobytes()


NORMS = {
    "group": (lambda: nn.GroupNorm(2, 6), (2, 6, 3, 2)),
    "batch": (lambda: nn.BatchNorm2d(3), (2, 3, 3, 2)),
    "batch 1d": (lambda: nn.BatchNorm1d(5), (4, 5)),
    "instance": (lambda: nn.InstanceNorm2d(3, affine=True), (2, 3, 3, 2)),
    "layer": (lambda: nn.LayerNorm((2, 5)), (3, 4, 2, 5)),
    "plain layer": (lambda: nn.LayerNorm(5, elementwise_affine=False), (3, 5)),
}


@pytest.mark.parametrize("name", NORMS)
def test_second_order_gradients_through_the_kernels(name):
    make, shape = NORMS[name]

    def run(dtype):
        tg.manual_seed(2)
        layer = make().to(dtype)
        x = tg.tensor(sample(shape, 1), dtype=dtype, requires_grad=True)
        for k, p in enumerate(layer.parameters()):
            p.data = tg.tensor(sample(p.shape, 50 + k), dtype=dtype)
        inputs, out = [x, *layer.parameters()], layer(x)
        found = [out]
        for k in (1, 2):
            us = [tg.tensor(sample(f.shape, 5 * k + i), dtype=dtype) for i, f in enumerate(found)]
            found = list(tg.autograd.grad(found, inputs, us, create_graph=True, allow_unused=True))
            found = [f for f in found if f is not None and f.requires_grad]
            yield from found
        yield from (out, *layer.state_dict().values())

    expected = list(run(tg.float64))
    with cuda.emulated():
        assert fused.normalises(np.ones(3, np.float32)) and not fused.normalises(np.ones(3))
        found = list(run(tg.float32))
    assert len(found) == len(expected) >= 3
    for a, b in zip(found, expected, strict=True):
        close(a.detach().numpy(), b.detach().numpy(), 5e-5)


# ---- Adam


@quick
@given(st.lists(st.integers(0, 2100), min_size=1, max_size=5), st.integers(1, 99), st.booleans())
def test_adam_over_many_parameters_is_adam_of_each(sizes, step, decoupled):
    def arrays():
        return [[abs(draw(n, 7 * i + k)) for i, n in enumerate(sizes)] for k in range(4)]

    one, many = arrays(), arrays()
    options = step, 1e-2, (0.9, 0.99), 1e-8, 0.1, decoupled
    for row in zip(*one, strict=True):
        cuda.adam(*row, *options)
    cuda.adam_many(*many, *options)
    for a, b in zip(sum(one, []), sum(many, []), strict=True):
        assert a.tobytes() == b.tobytes()


def test_more_parameters_than_a_launch_takes():
    ps = [draw(1 + k % 3, k) for k in range(130)]
    before = [p.copy() for p in ps]
    zeros = [np.zeros_like(p) for p in ps], [np.zeros_like(p) for p in ps]
    cuda.adam_many(ps, *zeros, [np.ones_like(p) for p in ps], 1, 0.5)
    for p, b in zip(ps, before, strict=True):
        np.testing.assert_allclose(p, b - 0.5, rtol=1e-5, atol=1e-5)  # the first step is lr sign(g)


def test_an_optimizers_tables_hold_on_to_no_gradient_and_follow_the_parameters():
    with cuda.emulated():
        w = tg.tensor(draw(5, 1), requires_grad=True)
        opt = tg.optim.Adam([w], lr=0.5)

        def moved():
            before, w.grad = w._array.copy(), tg.ones(5)
            gone = weakref.ref(w.grad._array)
            opt.step()
            w.grad = None
            assert gone() is None
            return before - w._array

        close(moved(), np.full(5, 0.5), 1e-4)
        close(moved(), np.full(5, 0.5), 1e-4)
        w.data = tg.tensor(draw(5, 2))  # another array: the old one must not be written to
        close(moved(), np.full(5, 0.5), 1e-4)
        (tables,) = opt._tables.values()
        assert tables.holds(
            w._array, opt.state[w]["exp_avg"]._array, opt.state[w]["exp_avg_sq"]._array
        )


def test_bad_input_to_adam_many():
    def call(g):
        p = [np.zeros(3, np.float32), np.zeros(4, np.float32)]
        zeros = [np.zeros_like(a) for a in p]
        cuda.adam_many(p, zeros, [z.copy() for z in zeros], [np.ones(3, np.float32), g], 1, 0.1)

    with pytest.raises(ValueError, match=r"one size, got 4, 4, 4, 3"):
        call(np.ones(3, np.float32))
    message = r"kernel 'adam_many', argument 'all.g\[1\]' \(float\): expected dtype float32, got fl"
    with pytest.raises(TypeError, match=message):
        call(np.ones(4))
    with pytest.raises(ValueError, match=r"argument 'all.g\[1\]' \(float\): must be C-contiguous"):
        call(np.ones(8, np.float32)[::2])
    kernel, one = cuda.emulate("adam.cu").adam_many, np.zeros(1, np.float32)
    step = (0.1,) * 9 + (0,)
    with pytest.raises(TypeError, match=r"'all.p' \(float\[64\]\): expected a list of at most 64"):
        kernel(1, 256, ([one] * 65, [], [], [], [], []), step)
    with pytest.raises(TypeError, match=r"expected a tuple of 6 numbers \(p, m, v, g, n, first\)"):
        kernel(1, 256, ([one],), step)


def test_an_access_past_one_of_many_arrays_is_named():
    a, b = np.zeros(5, np.float32), np.zeros(9, np.float32)
    kernel = cuda.emulate("adam.cu").adam_many
    with pytest.raises(cuda.KernelError, match=r"out of bounds.*of argument 'all.m\[1\]'.* past"):
        tensors = (
            [a, b],
            [a.copy(), b.copy()[:5]],
            [a.copy(), b.copy()],
            [a, b],
            [5, 9],
            [0, 1, 2],
        )
        kernel(2, 256, tensors, (0.1,) * 9 + (0,))


# ---- planted bugs: each is caught, by a check or by its values

MUTANTS = [
    ("channel_norm", "if (row >= half) continue;\n        Moments", "Moments"),
    ("channel_norm", "at.c < s.C ? min(at.first + s.chunk, s.P) : at.first", "at.first + s.chunk"),
    ("channel_norm", "min(at.c, s.C - 1) / (s.C / s.G)", "at.c / (s.C / s.G)"),
    ("channel_norm", "apart * apart * a.n * share", "0.0f"),
    ("channel_norm", "(float)s.P * (s.C / s.G)", "(float)s.P"),
    ("channel_norm", "__syncthreads();\n        if (row >= half)", "if (row >= half)"),
    ("channel_norm", "half /= 2) {\n        __syncthreads();\n        if (t < half) sums",
     "half /= 2) {\n        if (t < half) sums"),
    ("channel_norm", "if (row > 0 || at.c >= s.C) return;\n    part_u", "part_u"),
    ("channel_norm", "__syncthreads();\n        if (row < half) sum", "if (row < half) sum"),
    ("channel_norm", "if (row == 0 && at.c < s.C) sums", "if (row == 0) sums"),
    ("channel_norm", "sums[at.part * s.C + at.c] = sum[0]", "sums[at.c] = sum[0]"),
    ("activations", "if (i < n) y[i] = x[i] /", "y[i] = x[i] /"),
    ("activations", "if (i >= n) return;", ""),
    ("activations", "expf(-fabsf(x[i]))", "expf(x[i])"),
    ("adam", "all.first[t + 1]) ++t;", "all.first[t + 1]) t += 2;"),
    ("adam", "        if (i < all.n[t]) update", "        update"),
    ("adam", "* 1024 + threadIdx", "* 512 + threadIdx"),
]  # fmt: skip


def exercise(file):
    if file == "channel_norm":
        check_norm((2, 40, 70), 40, True, 0)
        check_norm((2, 6, 9), 3, False, 0)
        check_sums((2, 33, 30, 30), False, 0)
    elif file == "activations":
        for name, (count, constants, formula) in ACTIVATIONS.items():
            arrays = [draw(300, i, 40.0) for i in range(count)]
            ref = formula(*(a.astype(float) for a in arrays))
            close(fused.activation(name, *arrays, **constants), ref, 5e-6)
    else:
        test_more_parameters_than_a_launch_takes()
        ps = [draw(n, n) for n in (1500, 3, 1024)]
        zeros = [np.zeros_like(p) for p in ps], [np.zeros_like(p) for p in ps]
        before = [p.copy() for p in ps]
        cuda.adam_many(ps, *zeros, [np.ones_like(p) for p in ps], 1, 0.5)
        for p, b in zip(ps, before, strict=True):
            close(p, b - 0.5, 1e-5)


@pytest.mark.parametrize("file, right, wrong", MUTANTS)
def test_a_planted_bug_is_caught(file, right, wrong, tmp_path, monkeypatch):
    text = (cuda.kernel_folder() / f"{file}.cu").read_text()
    assert right in text
    exercise(file)
    (tmp_path / f"{file}.cu").write_text(text.replace(right, wrong))
    mutant = cuda.emulate(tmp_path / f"{file}.cu")
    monkeypatch.setattr(fused, "kernels", lambda file, like: mutant)
    with pytest.raises((cuda.KernelError, AssertionError)):
        exercise(file)


# ---- on device="cuda": which kernels run, and in what order the results lie


@pytest.fixture
def gpu(monkeypatch):
    if not cuda.is_available():
        fake_cupy.install(monkeypatch)
    yield
    backend.problem.cache_clear()


def small_net():
    tg.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.SiLU(), nn.Conv2d(8, 8, 4, 2, 1),
        nn.BatchNorm2d(8), nn.LeakyReLU(0.2), nn.Conv2d(8, 8, 3, padding=1), nn.Softplus(),
        nn.Upsample(scale_factor=2), nn.Conv2d(8, 4, 3, padding=1), nn.Sigmoid(),
        nn.Conv2d(4, 2, 1), nn.Tanh(), nn.ReLU(),
    )  # fmt: skip


def test_a_step_runs_on_the_kernels_and_copies_no_image(gpu, monkeypatch):
    names, copied = [], []
    activation, channels_last = fused.activation, convolution._channels_last

    def launched(name, *arrays, **constants):
        names.append(name)
        return activation(name, *arrays, **constants)

    def asked(a):
        copied.append(not a.transpose(0, 2, 3, 1).flags.c_contiguous)
        return channels_last(a)

    monkeypatch.setattr(on_gpu, "launch", launched)
    monkeypatch.setattr(convolution, "_channels_last", asked)
    net, x = small_net().to("cuda"), tg.tensor(sample((2, 1, 8, 8), 1), dtype=tg.float32).cuda()
    (net(x) * 2 + 1).square().mean().backward()
    assert len(copied) >= 5 * 3 - 1 and not any(copied)
    assert sorted(set(names)) == [
        "gate", "leaky", "sigmoid", "sigmoid_grad", "silu", "silu_grad", "softplus", "tanh_grad",
    ]  # fmt: skip


def test_gradients_of_parameters_are_taken_over_as_they_are(gpu, monkeypatch):
    """No copy: what a kernel or a sum made for a gradient is nobody else's."""
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.GroupNorm(2, 8), nn.ConvTranspose2d(8, 4, 2), nn.BatchNorm2d(4),
        nn.Flatten(), nn.LayerNorm(100), nn.Linear(100, 3),
    ).to("cuda")  # fmt: skip
    made = []
    accumulate = autograd._accumulate
    monkeypatch.setattr(
        autograd, "_accumulate", lambda leaf, g, *rest: (made.append(g), accumulate(leaf, g, *rest))
    )
    net(tg.tensor(sample((2, 1, 6, 6), 1), dtype=tg.float32).cuda()).square().sum().backward()
    taken = [p.shape for p in net.parameters() if any(p.grad._array is g._array for g in made)]
    assert taken == [p.shape for p in net.parameters()]


def test_float32_nets_on_the_kernels_agree_with_the_cpu(gpu):
    def run(device):
        net = small_net().to(device)
        x = tg.tensor(sample((2, 1, 8, 8), 1), dtype=tg.float32).to(device).requires_grad_()
        out = net(x)
        out.mul(tg.tensor(sample(out.shape, 2), dtype=tg.float32).to(device)).sum().backward()
        return [out, x.grad, *(p.grad for p in net.parameters())]

    for a, b in zip(run("cuda"), run("cpu"), strict=True):
        np.testing.assert_allclose(a.detach().cpu().numpy(), b.detach().numpy(), 1e-4, 1e-5)


def in_memory(x):
    """The dimensions of x by their strides, the largest first."""
    return tuple(np.argsort([-s for s in x._array.strides], kind="stable").tolist())


@pytest.mark.parametrize("dtype", [tg.float32, tg.float64])
def test_elementwise_results_lie_channels_last_as_their_inputs_do(gpu, dtype):
    def image(seed):
        return tg.tensor(sample((2, 3, 4, 5), seed), dtype=dtype)

    def both(f):
        on_cpu = f(*(image(s).permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) for s in (1, 2)))
        on_gpu_ = f(*(image(s).cuda().permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
                      for s in (1, 2)))  # fmt: skip
        assert on_gpu_.device == "cuda" and in_memory(on_gpu_) == (0, 2, 3, 1)
        close(on_gpu_.cpu().numpy(), on_cpu.numpy(), 1e-6)

    both(lambda x, y: x + y)
    both(lambda x, y: 2.0 - x)
    both(lambda x, y: F.silu(x) * y.mean((2, 3), keepdim=True))
    both(lambda x, y: x * tg.arange(5, device=x.device, dtype=dtype))  # 1-D, along the width
    both(lambda x, y: x + y.contiguous())  # of two orders: the channels-last one wins
    both(lambda x, y: x.contiguous() + y)
    both(lambda x, y: tg.where(x > y, x, y).abs())
    both(lambda x, y: x[:, 1:] * y[:, :2])  # channels of an image: strided, still innermost
    both(lambda x, y: tg.cat([x.exp(), y], 1).neg())


def test_other_orders_stay_as_cupy_has_them(gpu):
    x = tg.tensor(sample((2, 3, 4), 1)).cuda()
    assert in_memory(x * 2) == (0, 1, 2) and in_memory(x.permute(2, 1, 0) * 2) == (0, 1, 2)
    assert in_memory(x.expand(5, 2, 3, 4) + 1) == (0, 1, 2, 3)
    assert not on_gpu._channels_last(tg.ones(2, 3, 1, 1, device="cuda")._array, 4)
