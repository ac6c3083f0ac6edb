"""Every version of every kernel against float64 NumPy, in the emulator's check mode, over random
geometries."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinygen import cuda
from tinygen.cuda import convolution

pytestmark = pytest.mark.skipif(
    not cuda.emulator_available(), reason="the kernel emulator needs Linux and g++ or clang++"
)
quick = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))

FORWARD = [
    "naive",
    "tile",
    "gemm_128x128",
    "gemm_128x32",
    "gemm_64x64",
    "gemm_64x64_any",
    "tf32_128x64",
    "tf32_128x32",
    "tf32_64x64",
    "one_in",
    "one_out",
]
TRANSPOSED = [v for v in FORWARD if v != "one_in"]
WEIGHT = [
    "naive",
    "tile",
    "gemm_128x128",
    "gemm_128x32",
    "gemm_64x64",
    "gemm_64x64_any",
    "tf32_128x64",
    "tf32_64x64",
    "one_in_3x3",
    "one_in_4x4",
]


@dataclass
class Geometry:
    """x (N, C, H, W), w (O, C/groups, KH, KW) and what lies between."""

    N: int
    C: int
    O: int  # noqa: E741
    size: tuple
    kernel: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    groups: int
    seed: int

    def out(self):
        sizes = zip(self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in sizes)

    def arrays(self):
        rng = np.random.default_rng(self.seed)
        shapes = (
            (self.N, self.C, *self.size),
            (self.O, self.C // self.groups, *self.kernel),
            (self.N, self.O, *self.out()),
        )
        return [rng.standard_normal(s).astype(np.float32) for s in shapes]

    def options(self):
        return self.stride, self.padding, self.dilation, self.groups

    def extra(self):
        """The output_padding with which the transposed convolution gives back `size`."""
        sizes = zip(
            self.size,
            self.out(),
            self.kernel,
            self.stride,
            self.padding,
            self.dilation,
            strict=True,
        )
        return tuple(n - ((m - 1) * s - 2 * p + d * (k - 1) + 1) for n, m, k, s, p, d in sizes)


def pair(lo, hi):
    return st.tuples(st.integers(lo, hi), st.integers(lo, hi))


@st.composite
def geometries(draw, version="any", op="conv2d"):
    """Sizes that this version takes: multiples of 4 where it loads 16 bytes, one channel where
    it wants one."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    four = 4 if version.startswith(("gemm", "tf32")) and not version.endswith("any") else 1
    C, O = (four * draw(st.integers(1, 9 // four)) for _ in range(2))  # noqa: E741
    kernel = draw(pair(1, 4))
    if version.startswith("one"):
        groups, C, O = 1, 4 * C, 4 * O  # noqa: E741
        C, O = (1, O) if "in" in version else (C, 1)  # noqa: E741
        O, C = (C, O) if op == "conv_transpose2d" else (O, C)  # noqa: E741
    if version.startswith("one_in_"):
        kernel = (int(version[-1]),) * 2
    stride, padding, dilation = draw(pair(1, 3)), draw(pair(0, 3)), draw(pair(1, 2))
    least = [
        max(1, d * (k - 1) + 1 - 2 * p) for k, p, d in zip(kernel, padding, dilation, strict=True)
    ]
    size = tuple(draw(st.integers(n, n + 7)) for n in least)
    return Geometry(
        draw(st.integers(1, 3)),
        C * groups,
        O * groups,
        size,
        kernel,
        stride,
        padding,
        dilation,
        groups,
        draw(st.integers(0, 99)),
    )


# ---- the reference: one matrix product a tap, in float64


def taps(x_padded, geo):
    """For each tap its place in the weight and the (N, C, OH, OW) view of the padded x that it
    meets."""
    (OH, OW), (sh, sw), (dh, dw) = geo.out(), geo.stride, geo.dilation
    for kh, kw in np.ndindex(geo.kernel):
        rows = slice(kh * dh, kh * dh + (OH - 1) * sh + 1, sh)
        yield kh, kw, x_padded[:, :, rows, kw * dw : kw * dw + (OW - 1) * sw + 1 : sw]


def padded(x, geo):
    (ph, pw) = geo.padding
    return np.pad(x.astype(np.float64), ((0, 0), (0, 0), (ph, ph), (pw, pw)))


def grouped(a, geo, axis=1):
    return a.reshape(*a.shape[:axis], geo.groups, a.shape[axis] // geo.groups, *a.shape[axis + 1 :])


def reference_conv2d(x, w, geo):
    y = np.zeros((geo.N, geo.groups, geo.O // geo.groups, *geo.out()))
    for kh, kw, patch in taps(padded(x, geo), geo):
        y += np.einsum(
            "ngchw,goc->ngohw", grouped(patch, geo), grouped(w[..., kh, kw].astype(float), geo, 0)
        )
    return y.reshape(geo.N, geo.O, *geo.out())


def reference_input(g, w, geo):
    dx = padded(np.zeros((geo.N, geo.C, *geo.size)), geo)
    for kh, kw, patch in taps(dx, geo):
        d = np.einsum(
            "ngohw,goc->ngchw",
            grouped(g.astype(float), geo),
            grouped(w[..., kh, kw].astype(float), geo, 0),
        )
        patch += d.reshape(patch.shape)
    (ph, pw), (H, W) = geo.padding, geo.size
    return dx[:, :, ph : ph + H, pw : pw + W]


def reference_weight(x, g, geo):
    dw = np.zeros((geo.groups, geo.O // geo.groups, geo.C // geo.groups, *geo.kernel))
    for kh, kw, patch in taps(padded(x, geo), geo):
        dw[..., kh, kw] = np.einsum(
            "ngchw,ngohw->goc", grouped(patch, geo), grouped(g.astype(float), geo)
        )
    return dw.reshape(geo.O, geo.C // geo.groups, *geo.kernel)


def check_close(out, ref, version=""):
    """Norm-wise 1e-6 in float32 (the promise is 1e-5) and 1e-3 in TF32, whose step is 2^-11 =
    5e-4."""
    assert out.shape == ref.shape and out.dtype == np.float32
    limit = 1.5e-3 if version.startswith("tf32") else 1e-6
    assert np.linalg.norm(out - ref) <= limit * np.linalg.norm(ref) + 1e-30


@pytest.mark.parametrize("version", FORWARD)
@quick
@given(st.data())
def test_conv2d(version, data):
    geo = data.draw(geometries(version))
    x, w, _ = geo.arrays()
    y = convolution.conv2d(x, w, *geo.options(), version=version)
    check_close(y, reference_conv2d(x, w, geo), version)
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("version", TRANSPOSED)
@quick
@given(st.data())
def test_conv_transpose2d(version, data):
    geo = data.draw(geometries(version, "conv_transpose2d"))
    _, w, g = geo.arrays()
    dx = convolution.conv_transpose2d(g, w, *geo.options(), geo.extra(), version=version)
    check_close(dx, reference_input(g, w, geo), version)
    assert dx.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("version", WEIGHT)
@quick
@given(st.data())
def test_conv2d_weight(version, data):
    geo = data.draw(geometries(version))
    x, _, g = geo.arrays()
    dw = convolution.conv2d_weight(x, g, geo.kernel, *geo.options(), version=version)
    check_close(dw, reference_weight(x, g, geo), version)


@settings(quick, max_examples=40)
@given(geometries())
def test_adjoint_identities_of_the_chosen_kernels(geo):
    """<g, conv(x, w)> = <x, conv_transpose(g, w)> = <w, conv_weight(x, g)>."""
    x, w, g = geo.arrays()
    y = cuda.conv2d(x, w, *geo.options())
    dx = cuda.conv_transpose2d(g, w, *geo.options(), geo.extra())
    dw = cuda.conv2d_weight(x, g, geo.kernel, *geo.options())
    a, b, c = (np.vdot(p.astype(float), q) for p, q in ((g, y), (x, dx), (w, dw)))
    scale = np.linalg.norm(g) * np.linalg.norm(y) + 1e-30
    assert abs(a - b) <= 1e-6 * scale and abs(a - c) <= 1e-6 * scale


BIG = [
    Geometry(2, 1, 64, (14, 14), (3, 3), (1, 1), (1, 1), (1, 1), 1, 0),
    Geometry(2, 64, 1, (7, 7), (4, 4), (1, 1), (0, 0), (1, 1), 1, 1),
    Geometry(2, 1, 64, (14, 14), (4, 4), (2, 2), (1, 1), (1, 1), 1, 2),
    Geometry(3, 36, 68, (9, 9), (3, 3), (1, 1), (1, 1), (1, 1), 1, 3),
    Geometry(5, 20, 132, (6, 6), (4, 4), (2, 2), (1, 1), (1, 1), 1, 4),
    Geometry(2, 12, 12, (8, 8), (3, 3), (1, 1), (1, 1), (1, 1), 12, 5),
    Geometry(2, 5, 70, (11, 8), (3, 3), (2, 2), (1, 1), (1, 1), 1, 6),
]


@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize("geo", BIG, ids=lambda g: f"{g.C}to{g.O}g{g.groups}")
def test_several_tiles_slabs_and_splits(geo, tf32, monkeypatch):
    """Sizes past one tile in every direction, through the chosen kernels."""
    monkeypatch.setattr(cuda, "allow_tf32", tf32)
    x, w, g = geo.arrays()
    version = "tf32" if tf32 else ""
    check_close(cuda.conv2d(x, w, *geo.options()), reference_conv2d(x, w, geo), version)
    check_close(
        cuda.conv_transpose2d(g, w, *geo.options(), geo.extra()),
        reference_input(g, w, geo),
        version,
    )
    check_close(
        cuda.conv2d_weight(x, g, geo.kernel, *geo.options()), reference_weight(x, g, geo), version
    )


def test_the_big_tiles_with_several_blocks_in_both_directions():
    geo = Geometry(3, 12, 132, (9, 10), (3, 3), (1, 1), (1, 1), (1, 1), 1, 0)
    x, w, g = geo.arrays()
    for version in ("gemm_128x128", "gemm_128x32", "tf32_128x64", "tf32_128x32"):
        check_close(
            convolution.conv2d(x, w, *geo.options(), version=version),
            reference_conv2d(x, w, geo),
            version,
        )
    geo = Geometry(3, 132, 12, (9, 10), (3, 3), (1, 1), (1, 1), (1, 1), 1, 0)
    x, w, g = geo.arrays()
    for version in ("gemm_128x128", "gemm_128x32", "tf32_128x64", "tf32_128x32"):
        dx = convolution.conv_transpose2d(g, w, *geo.options(), (0, 0), version=version)
        check_close(dx, reference_input(g, w, geo), version)


@pytest.mark.parametrize("version", WEIGHT)
def test_weight_gradient_has_the_same_bits_in_any_thread_order(version):
    geo = {"one_in_3x3": BIG[0], "one_in_4x4": BIG[2]}.get(version, BIG[3])
    x, _, g = geo.arrays()
    results = []
    for seed in (None, 0, 1):
        with cuda.emulated(check=False, seed=seed):
            results.append(
                convolution.conv2d_weight(x, g, geo.kernel, *geo.options(), version=version)
            )
    assert all((r == results[0]).all() for r in results)


def test_empty_batch_and_empty_sums():
    x, w = np.zeros((0, 4, 5, 5), np.float32), np.ones((8, 4, 3, 3), np.float32)
    same = (1, 1), (1, 1), (1, 1), 1
    assert cuda.conv2d(x, w, *same).shape == (0, 8, 5, 5)
    g = np.zeros((0, 8, 5, 5), np.float32)
    assert cuda.conv_transpose2d(g, w, *same, (0, 0)).shape == (0, 4, 5, 5)
    assert (cuda.conv2d_weight(x, g, (3, 3), *same) == np.zeros((8, 4, 3, 3))).all()


def test_outputs_that_no_tap_reaches_are_zero_even_beside_infinities():
    """A 1x1 kernel with stride 2 reaches a quarter of the pixels; the phases without taps must
    not read x at all."""
    x, w = np.full((1, 4, 3, 3), np.inf, np.float32), np.ones((4, 4, 1, 1), np.float32)
    for version in TRANSPOSED[:-1]:
        y = convolution.conv_transpose2d(x, w, (2, 2), (0, 0), (1, 1), 1, (1, 1), version=version)
        assert (
            np.isinf(y[..., ::2, ::2]).all()
            and (y[..., 1::2, :] == 0).all()
            and (y[..., :, 1::2] == 0).all()
        )


# What runs at batch 128, in fp32: forward, input gradient, weight gradient.
FLOORS = {
    (1, 28, 64, 3, 1, 1): ("one_in", "one_out", "one_in_3x3"),
    (64, 14, 128, 3, 1, 1): ("gemm_64x64", "gemm_64x64", "gemm_128x128"),
    (1, 28, 64, 4, 2, 1): ("one_in", "one_out", "one_in_4x4"),
    (64, 14, 128, 4, 2, 1): ("gemm_64x64", "gemm_64x64", "gemm_128x128"),
    (32, 32, 32, 3, 1, 1): ("gemm_128x32", "gemm_128x32", "gemm_128x32"),
    (256, 56, 256, 3, 1, 1): ("gemm_128x128", "gemm_128x128", "gemm_128x128"),
    (3, 32, 64, 3, 1, 1): ("gemm_64x64_any", "gemm_64x64_any", "gemm_64x64_any"),
}


@pytest.mark.parametrize("sizes", FLOORS, ids=str)
def test_which_kernel_runs(sizes):
    C, n, O, k, s, p = sizes  # noqa: E741
    m = (n + 2 * p - k) // s + 1
    rest = (k, k, s, s, p, p, 1, 1, 1)
    forward, back = (
        convolution.Conv(128, C, n, n, O, m, m, *rest),
        convolution.Conv(128, O, m, m, C, n, n, *rest),
    )
    chosen = (
        convolution.choose("conv2d", forward, False),
        convolution.choose("conv_transpose2d", back, False),
    )
    assert (*chosen, convolution.choose("conv2d_weight", forward, False)) == FLOORS[sizes]


def test_sizes_past_32_bits_take_the_general_kernel_or_are_refused():
    huge = convolution.Conv(1, 64, 8192, 8192, 64, 8192, 8192, 3, 3, 1, 1, 1, 1, 1, 1, 1)
    assert convolution.choose("conv2d", huge, False) == "naive"
    assert convolution.choose("conv_transpose2d", huge, False) == "naive"
    x = np.broadcast_to(np.float32(0), (2**15, 1, 2**8, 2**8))
    with pytest.raises(ValueError, match="too many pixels for one launch; split the batch"):
        cuda.conv2d(x, np.ones((1, 1, 1, 1), np.float32), (1, 1), (0, 0), (1, 1), 1)


def test_shapes_that_do_not_fit_are_named():
    x, w = np.zeros((1, 4, 5, 5), np.float32), np.zeros((8, 3, 3, 3), np.float32)
    with pytest.raises(
        ValueError,
        match=r"conv2d: weight \(8, 3, 3, 3\) does not fit input \(1, 4, 5, 5\) with groups=1",
    ):
        cuda.conv2d(x, w, (1, 1), (0, 0), (1, 1), 1)
    with pytest.raises(ValueError, match="leave an output of -1 x 3 pixels"):
        cuda.conv2d(x, np.zeros((8, 4, 7, 3), np.float32), (1, 1), (0, 0), (1, 1), 1)


def test_a_version_that_cannot_take_the_sizes_says_so():
    x, w = np.zeros((1, 3, 5, 5), np.float32), np.zeros((8, 3, 3, 3), np.float32)
    with pytest.raises(ValueError, match="conv2d_gemm_64x64 does not take these sizes: Conv"):
        convolution.conv2d(x, w, (1, 1), (1, 1), (1, 1), 1, version="gemm_64x64")


def test_arrays_that_start_off_16_bytes_are_copied():
    """A contiguous view may start anywhere; a 16-byte load may not."""
    geo = Geometry(1, 4, 4, (6, 6), (3, 3), (1, 1), (1, 1), (1, 1), 1, 0)
    x, w, _ = geo.arrays()
    shifted = np.zeros(x.size + 1, np.float32)[1:].reshape(1, 6, 6, 4).transpose(0, 3, 1, 2)
    shifted[...] = x
    check_close(
        convolution.conv2d(shifted, w, *geo.options(), version="gemm_64x64"),
        reference_conv2d(x, w, geo),
    )


# ---- Adam and Philox


@quick
@given(
    st.integers(1, 700),
    st.integers(1, 1000),
    st.booleans(),
    st.sampled_from([0.0, 0.1]),
    st.integers(0, 99),
)
def test_adam_against_the_papers_formula(n, step, decoupled, decay, seed):
    rng = np.random.default_rng(seed)
    p, m, g = (rng.standard_normal(n).astype(np.float32) for _ in range(3))
    v, lr, (b1, b2), eps = rng.random(n).astype(np.float32), 1e-2, (0.9, 0.99), 1e-8
    P, M, V, G = (a.astype(float) for a in (p, m, v, g))
    P, G = (P * (1 - lr * decay), G) if decoupled else (P, G + decay * P)
    M, V = b1 * M + (1 - b1) * G, b2 * V + (1 - b2) * G**2
    P = P - lr * (M / (1 - b1**step)) / (np.sqrt(V / (1 - b2**step)) + eps)
    cuda.adam(p, m, v, g, step, lr, (b1, b2), eps, decay, decoupled)
    for out, ref in ((p, P), (m, M), (v, V)):
        np.testing.assert_allclose(out, ref, rtol=2e-6, atol=2e-6)


def philox4x32(counter, key):
    """Ten rounds on Python integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & 0xFFFFFFFF, a >> 32 ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


@pytest.mark.parametrize(
    "offset, stream, seed, known",
    [
        (0, 0, 0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (2**64 - 1, 2**64 - 1, 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            0x85A308D3243F6A88,
            0x0370734413198A2E,
            0x299F31D0A4093822,
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_known_answers(offset, stream, seed, known):
    out = np.zeros(4, np.uint32)
    cuda.philox_bits(out, seed, stream, offset)
    assert " ".join(f"{n:08x}" for n in out) == known
    words = [offset & 0xFFFFFFFF, offset >> 32, stream & 0xFFFFFFFF, stream >> 32]
    assert philox4x32(words, [seed & 0xFFFFFFFF, seed >> 32]) == out.tolist()


@quick
@given(st.integers(1, 1100), st.integers(0, 2**64 - 1), st.integers(0, 2**32))
def test_uniforms_and_normals_follow_from_the_bits(n, seed, offset):
    bits, u, z = np.zeros(n, np.uint32), np.full(n, -1, np.float32), np.zeros(n, np.float32)
    cuda.philox_bits(bits, seed, 0, offset)
    cuda.philox_uniform(u, seed, 0, offset)
    cuda.philox_normal(z, seed, 0, offset)
    assert (u == (bits >> 8) / 2.0**24).all()
    whole = np.resize(u, n // 2 * 2).astype(float).reshape(-1, 2)
    radius, angle = np.sqrt(-2 * np.log1p(-whole[:, 0])), 2 * math.pi * whole[:, 1]
    np.testing.assert_allclose(
        z[: n // 2 * 2],
        np.stack((radius * np.cos(angle), radius * np.sin(angle)), 1).ravel(),
        rtol=1e-4,
        atol=3e-6,
    )


def test_normals_are_standard_normal():
    z = np.zeros(200_000, np.float32)
    with cuda.emulated(check=False):
        cuda.philox_normal(z, seed=1)
    moments = [np.mean(z.astype(float) ** k) for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.05)


# ---- bugs planted in our own kernels: each is caught, by a check or by its values

MUTANTS = [
    ("conv2d", "tile", "Bs[j][tx];\n        __syncthreads();", "Bs[j][tx];"),
    ("conv2d", "gemm_64x64", "store(half ^ 1);\n        __syncthreads();", "store(half ^ 1);"),
    ("conv2d", "gemm_64x64", "store(half ^ 1);", "store(half);"),
    ("conv2d", "gemm_64x64", "if (m >= rows) continue;", ""),
    ("conv2d", "gemm_64x64", "if (o >= cols) continue;", ""),
    ("conv2d", "gemm_64x64", "(unsigned)(pixel[i].iw + dw) < s.W", "true"),
    ("conv2d", "gemm_64x64", "inside = k0 + i * B_ROWS < b_rows", "inside = true"),
    ("conv2d", "tf32_64x64", "cp.async.wait_group 1;", "cp.async.wait_group 2;"),
    ("conv2d", "tf32_64x64", "fetch(k0 + 2 * KT, (slab + 2) % 3);", "fetch(k0 + 2 * KT, slab);"),
    ("conv2d", "naive", "if (i >= total) return;", ""),
    ("conv_transpose2d", "gemm_64x64", "i_step = k_step * dil / stride;", "i_step = 1;"),
    ("conv_transpose2d", "gemm_64x64", "(unsigned)(pixel[i].ih - dh) < s.H", "true"),
    ("conv_transpose2d", "naive", "th < 0 || th % s.stride_h", "th % s.stride_h"),
    ("conv2d_weight", "gemm_64x64", "place.step(A_ROWS, s);", "place.step(BK, s);"),
    ("conv2d_weight", "tile", "As[ty][tx] = inside ?", "As[ty][tx] = true ?"),
    ("conv2d_weight", "tile", "[lane] = sum;\n    __syncthreads();", "[lane] = sum;"),
    ("conv2d", "gemm_64x64", "float4 v = inside ?", "float4 v = true ?"),  # from here in tile.cuh
    ("conv_transpose2d", "gemm_64x64_any", "to[0] = inside ?", "to[0] = true ?"),
    ("conv_transpose2d", "gemm_64x64", "&As[k][row + 32]", "&As[k][row + 16]"),
    ("conv2d_weight", "gemm_128x32", "&Bs[k][col + 16]", "&Bs[k][col]"),
    ("conv2d", "tf32_64x64", "(inside ? 16 : 0)", "(16)"),
    ("conv_transpose2d", "tf32_64x64", "k + q + v / 2 * 4", "k + q + v % 2 * 4"),
    ("conv2d_weight", "tf32_64x64", "mma(acc[i][j], a[i], b[j])", "mma(acc[i][j], a[i], b[i])"),
]  # fmt: skip
MUTANT_GEOMETRIES = [
    Geometry(2, 8, 12, (7, 6), (3, 3), (1, 1), (1, 1), (1, 1), 1, 0),
    Geometry(1, 4, 20, (6, 9), (2, 1), (2, 3), (1, 0), (1, 1), 1, 1),
    Geometry(3, 20, 4, (9, 9), (1, 2), (3, 2), (0, 0), (2, 1), 1, 2),
    Geometry(1, 4, 8, (9, 8), (3, 3), (1, 2), (1, 1), (2, 1), 1, 3),
]


def run_all(op, version):
    for geo in MUTANT_GEOMETRIES:
        x, w, g = geo.arrays()
        if op == "conv2d":
            y = convolution.conv2d(x, w, *geo.options(), version=version)
            check_close(y, reference_conv2d(x, w, geo), version)
        elif op == "conv_transpose2d":
            dx = convolution.conv_transpose2d(g, w, *geo.options(), geo.extra(), version=version)
            check_close(dx, reference_input(g, w, geo), version)
        else:
            dw = convolution.conv2d_weight(x, g, geo.kernel, *geo.options(), version=version)
            check_close(dw, reference_weight(x, g, geo), version)


@pytest.mark.parametrize("op, version, right, wrong", MUTANTS)
def test_a_bug_planted_in_our_own_kernel_is_caught(
    op, version, right, wrong, tmp_path, monkeypatch
):
    texts = {f: (cuda.kernel_folder() / f).read_text() for f in (f"{op}.cu", "tile.cuh")}
    assert sum(right in text for text in texts.values()) == 1
    for file, text in texts.items():
        (tmp_path / file).write_text(text.replace(right, wrong))
    mutant = cuda.emulate(tmp_path / f"{op}.cu")
    run_all(op, version)
    monkeypatch.setattr(convolution, "kernels", lambda file, like: mutant)
    with pytest.raises((cuda.KernelError, AssertionError)):
        run_all(op, version)
