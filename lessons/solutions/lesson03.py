"""Lesson 3: right answers, by more than one route, and wrong ones that the judge must refuse."""

import numpy as np

import tinygen as tg


def receptive_field(layers):
    """Backwards: r neighbours of this layer are (r - 1) strides and one kernel below."""
    r = 1
    for k, s, d in reversed(layers):
        r = (r - 1) * s + d * (k - 1) + 1
    return r


def receptive_field_forwards(layers):
    """Forwards: a layer adds d (k - 1) of its steps, and its stride makes later steps longer."""
    r, step = 1, 1
    for k, s, d in layers:
        r += d * (k - 1) * step
        step *= s
    return r


def field_without_stride(layers):
    """Forgets the strides."""
    return 1 + sum(d * (k - 1) for k, s, d in layers)


def field_product(layers):
    """Multiplies the kernels, as if windows did not overlap."""
    return int(np.prod([d * (k - 1) + 1 for k, s, d in layers]))


def field_wrong_order(layers):
    """Lets a layer's stride widen its own window."""
    r, step = 1, 1
    for k, s, d in layers:
        step *= s
        r += d * (k - 1) * step
    return r


def enlarge_vjp(g):
    """Four places come back to one pixel: their sum."""
    H, W = g.shape
    return g.reshape(H // 2, 2, W // 2, 2).sum((1, 3))


def enlarge_vjp_by_slices(g):
    """The same, corner by corner."""
    return g[::2, ::2] + g[1::2, ::2] + g[::2, 1::2] + g[1::2, 1::2]


def enlarge_mean(g):
    """A mean where a sum is right."""
    return enlarge_vjp(g) / 4


def enlarge_corner(g):
    """One of the four places only."""
    return 4 * g[::2, ::2]


def enlarge_wrong_reshape(g):
    """The right shape, and the wrong neighbours."""
    H, W = g.shape
    return g.reshape(2, H // 2, 2, W // 2).sum((0, 2))


def transposed_4_2_1(g, w):
    """Even outputs see taps 1 and 3, odd ones taps 0 and 2."""
    x = np.zeros(2 * len(g))
    x[0::2] = w[1] * g
    x[2::2] += w[3] * g[:-1]
    x[1::2] = w[2] * g
    x[1:-1:2] += w[0] * g[1:]
    return x


def transposed_by_library(g, w):
    """tinygen's, on an image of height 1."""
    out = tg.nn.functional.conv_transpose2d(
        tg.tensor(np.asarray(g, float)[None, None, None]),
        tg.tensor(np.asarray(w, float)[None, None, None]),
        stride=(1, 2),
        padding=(0, 1),
    )
    return out.numpy().ravel()


def transposed_flipped(g, w):
    """The kernel turned round."""
    return transposed_4_2_1(g, w[::-1])


def transposed_no_overlap(g, w):
    """Forgets the neighbours' taps."""
    return np.stack([w[1] * g, w[2] * g], axis=1).ravel()


def transposed_uncut(g, w):
    """Forgets the padding."""
    x = np.zeros(2 * len(g) + 2)
    for i in range(len(g)):
        x[2 * i : 2 * i + 4] += g[i] * w
    return x


HEAD = (
    'extern "C" __global__ void transposed(float* x, const float* g, const float* w, int m, int k)'
)
START = "{ int j = blockIdx.x * blockDim.x + threadIdx.x; "

KERNEL = f"""{HEAD} {START}
    if (j >= m + k - 1) return;
    float sum = 0;
    for (int a = 0; a < k; ++a)
        if (j - a >= 0 && j - a < m) sum += w[a] * g[j - a];
    x[j] = sum;
}}"""
KERNEL_BY_BOUNDS = f"""{HEAD} {START}
    if (j >= m + k - 1) return;
    int from = j - k + 1 > 0 ? j - k + 1 : 0, to = j < m - 1 ? j : m - 1;
    float sum = 0;
    for (int i = from; i <= to; ++i) sum += w[j - i] * g[i];
    x[j] = sum;
}}"""
NO_GUARD = KERNEL.replace("    if (j >= m + k - 1) return;\n", "")
OUTSIDE = KERNEL.replace("if (j - a >= 0 && j - a < m) ", "")
NOT_TURNED = KERNEL.replace("w[a]", "w[k - 1 - a]")
SCATTER = f"""{HEAD} {START}
    if (j >= m) return;
    for (int a = 0; a < k; ++a) atomicAdd(&x[j + a], w[a] * g[j]);
}}"""
RACE = SCATTER.replace("atomicAdd(&x[j + a], w[a] * g[j])", "x[j + a] += w[a] * g[j]")
MANGLED = KERNEL.replace('extern "C" ', "")
NO_SEMICOLON = KERNEL.replace("float sum = 0;", "float sum = 0")


def least_time(N, C, O, H, W, k, peak, bandwidth):  # noqa: E741
    """The longer of the time for the work and the time for the bytes."""
    work = 2 * N * O * H * W * C * k * k
    moved = 4 * (N * C * H * W + N * O * H * W + O * C * k * k)
    return max(work / peak, moved / bandwidth)


def least_time_by_roofline(N, C, O, H, W, k, peak, bandwidth):  # noqa: E741
    """Work over the rate under the roof."""
    work = 2 * N * O * H * W * C * k * k
    intensity = work / (4 * (N * (C + O) * H * W + O * C * k * k))
    return work / min(peak, intensity * bandwidth)


def least_time_sum(N, C, O, H, W, k, peak, bandwidth):  # noqa: E741
    """Adds the two times."""
    work = 2 * N * O * H * W * C * k * k
    return work / peak + 4 * (N * (C + O) * H * W + O * C * k * k) / bandwidth


def least_time_half(N, C, O, H, W, k, peak, bandwidth):  # noqa: E741
    """Counts a multiply-add as one operation."""
    work = N * O * H * W * C * k * k
    return max(work / peak, 4 * (N * (C + O) * H * W + O * C * k * k) / bandwidth)


def least_time_patches(N, C, O, H, W, k, peak, bandwidth):  # noqa: E741
    """Moves every patch, k^2 times x."""
    work = 2 * N * O * H * W * C * k * k
    return max(work / peak, 4 * (N * (C * k * k + O) * H * W + O * C * k * k) / bandwidth)


RIGHT = {
    "3.1": [receptive_field, receptive_field_forwards],
    "3.2": [enlarge_vjp, enlarge_vjp_by_slices],
    "3.3": [transposed_4_2_1, transposed_by_library],
    "3.4": [KERNEL, KERNEL_BY_BOUNDS],
    "3.5": [least_time, least_time_by_roofline],
}
WRONG = {
    "3.1": [field_without_stride, field_product, field_wrong_order],
    "3.2": [enlarge_mean, enlarge_corner, enlarge_wrong_reshape],
    "3.3": [transposed_flipped, transposed_no_overlap, transposed_uncut],
    "3.4": [NO_GUARD, OUTSIDE, NOT_TURNED, SCATTER, RACE, MANGLED, NO_SEMICOLON],
    "3.5": [least_time_sum, least_time_half, least_time_patches],
}
