"""The judges of lesson 3: convolution, its transpose, and a CUDA kernel."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ...cuda import KernelError, emulate, emulator_available
from ..check import close
from ..exercises import exercise, expect, one_number

__all__ = ["enlarge_vjp", "kernel", "least_time", "receptive_field", "transposed_4_2_1"]

Floats = np.ndarray[Any, Any]


# The second and the third hint of each exercise.
FIELD = (
    "If an output sees r neighbours of the layer before, the first and the last of them are (r "
    "- 1) strides of that layer apart; its kernel adds its own reach.",
    "From the last layer to the first, r = 1 at the start: r = (r - 1) * stride + dilation * "
    "(kernel - 1) + 1.",
)
ENLARGE = (
    "A pixel was repeated at four places; by (2.10) of lesson 2 its cotangent is the sum of four.",
    "Reshape g to (H, 2, W, 2) and sum over the two axes of length 2.",
)
PHASES = (
    "By (3.7) output j gets w_a g_i where 2 i + a - 1 = j: even j meet the odd taps, odd j the "
    "even ones.",
    "x[2 i] = w[1] g[i] + w[3] g[i - 1] and x[2 i + 1] = w[2] g[i] + w[0] g[i + 1], where there"
    " is such a g.",
)
KERNEL = (
    "int j = blockIdx.x * blockDim.x + threadIdx.x; leave if j >= m + k - 1; then sum over the "
    "a for which 0 <= j - a < m.",
    "float sum = 0; for (int a = 0; a < k; ++a) if (j - a >= 0 && j - a < m) sum += w[a] * g[j "
    "- a]; x[j] = sum;",
)
TIME = (
    "Work: two operations for each of N O H W outputs and each of C k^2 taps. Bytes: four for "
    "each number of x, w and y.",
    "max(work / peak, bytes / bandwidth).",
)


@exercise("3.1")
def receptive_field(answer: Any) -> None:
    """receptive_field(layers): how many inputs one output sees, by (kernel, stride, dilation)."""

    def seen(layers: list[tuple[int, int, int]]) -> int:
        places = {0}
        for k, s, d in reversed(layers):
            places = {s * i + d * a for i in places for a in range(k)}
        return max(places) - min(places) + 1

    expect(one_number(answer([(5, 1, 1)])) == 5, "One layer of kernel 5 sees 5 numbers.", *FIELD)
    expect(
        one_number(answer([(3, 1, 2)])) == 5,
        "Three taps, two apart, stretch over 5 numbers.",
        *FIELD,
    )
    expect(
        one_number(answer([(3, 1, 1), (3, 1, 1)])) == 5,
        "Two layers of kernel 3: the second sees 3 numbers of the first, and these overlap.",
        *FIELD,
    )
    expect(
        one_number(answer([(3, 2, 1), (3, 1, 1)])) == seen([(3, 2, 1), (3, 1, 1)]),
        "After a layer of stride 2, neighbours are two inputs apart.",
        *FIELD,
    )
    expect(
        one_number(answer([(3, 1, 1), (3, 2, 1)])) == seen([(3, 1, 1), (3, 2, 1)]),
        "The last layer's stride moves its window; it does not make the window wider.",
        *FIELD,
    )
    rng = np.random.default_rng(1)
    for _ in range(20):
        layers = [
            (int(k), int(s), int(d))
            for k, s, d in rng.integers(1, [5, 4, 4], size=(rng.integers(1, 5), 3))
        ]
        expect(
            one_number(answer(layers)) == seen(layers),
            f"Not for {layers}: go on, layer by layer.",
            *FIELD,
        )


@exercise("3.2")
def enlarge_vjp(answer: Any) -> None:
    """enlarge_vjp(g): (2H, 2W) -> (H, W), where every pixel became a block of 2 x 2."""
    rng = np.random.default_rng(2)
    for H, W in ((3, 3), (2, 5), (1, 1)):
        g, v = rng.normal(size=(2 * H, 2 * W)), rng.normal(size=(H, W))
        found = np.asarray(answer(g))
        expect(
            found.shape == (H, W),
            f"For g of shape {g.shape}: one number a pixel, {(H, W)}.",
            *ENLARGE,
        )
        expect(
            close(np.asarray(answer(np.ones((2 * H, 2 * W)))), 4 * np.ones((H, W))),
            "With a cotangent of ones: raise one pixel by 1, and the sum of all rises by 4.",
            *ENLARGE,
        )
        enlarged = v.repeat(2, 0).repeat(2, 1)
        expect(
            close((found * v).sum(), (g * enlarged).sum()),
            "<g, enlarge(v)> and <enlarge_vjp(g), v> differ: which four entries of g belong to "
            "one pixel?",
            *ENLARGE,
        )


@exercise("3.3")
def transposed_4_2_1(answer: Any) -> None:
    """transposed_4_2_1(g, w): g (m,), w (4,) -> (2 m,), of stride 2 and padding 1."""
    one, w = np.array([1.0]), np.array([1.0, 10.0, 100.0, 1000.0])
    found = np.asarray(answer(one, w))
    expect(found.shape == (2,), "m numbers become 2 m.", *PHASES)
    expect(
        close(found, np.array([10.0, 100.0])),
        "One input alone lands, with padding 1, on taps 1 and 2: taps 0 and 3 fall off the ends.",
        *PHASES,
    )
    found = np.asarray(answer(np.array([0.0, 1.0, 0.0]), w))
    expect(
        close(found, np.array([0.0, 1.0, 10.0, 100.0, 1000.0, 0.0])),
        "With g = (0, 1, 0) the middle input must lay the whole kernel down, in its order, from "
        "pixel 2 * 1 - 1 on.",
        *PHASES,
    )
    rng = np.random.default_rng(3)
    for m in (1, 2, 7):
        g, w, v = rng.normal(size=m), rng.normal(size=4), rng.normal(size=2 * m)
        padded = np.concatenate([[0.0], v, [0.0]])
        there = np.array([w @ padded[2 * i : 2 * i + 4] for i in range(m)])
        expect(
            close(np.asarray(answer(g, w)) @ v, there @ g),
            "Right for one input, not for several: where two kernels overlap, add.",
            *PHASES,
        )


@exercise("3.4")
def kernel(answer: Any) -> None:
    """The text of a CUDA kernel `transposed`: x_j = sum_a w_a g_(j - a), bits the same always."""
    expect(isinstance(answer, str), "The text of a kernel is asked for: a string.", *KERNEL)
    expect("transposed" in answer, "The kernel must be called transposed.", *KERNEL)
    expect(
        'extern "C"' in answer,
        'Without extern "C" a C++ compiler mangles the name, and a launch on a device that asks '
        "for `transposed` does not find it.",
        *KERNEL,
    )
    expect(
        emulator_available(),
        "There is no C++ compiler here to run it with (see the beginning of section 4).",
        *KERNEL,
    )
    rng = np.random.default_rng(4)
    for m, k in ((1, 1), (5, 3), (40, 7), (30, 3), (64, 4)):
        g = rng.normal(size=m).astype(np.float32)
        w = rng.normal(size=k).astype(np.float32)
        answers = [_transposed(answer, g, w, seed) for seed in (0, 1, 2, 3)]
        expect(
            close(answers[0], np.convolve(g.astype(float), w), tol=1e-5),
            f"Wrong numbers for m = {m}, k = {k}: your x is {_few(answers[0])} where it should be "
            f"{_few(np.convolve(g, w))}. x_j sums w_a g_(j - a), where there is a g.",
            *KERNEL,
        )
        expect(
            len({x.tobytes() for x in answers}) == 1,
            "Right, but the last bits depend on the order of the threads: let the thread of x_j "
            "gather its own sum.",
            *KERNEL,
        )


def _few(x: Floats) -> str:
    return "(" + ", ".join(f"{v:.3g}" for v in x[:6]) + ", ..." * (len(x) > 6) + ")"


def _transposed(text: str, g: Floats, w: Floats, seed: int) -> Floats:
    """What the learner's kernel makes of g, in check mode."""
    x = np.zeros(len(g) + len(w) - 1, np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "transposed.cu"
        path.write_text(text.strip() + "\n")
        try:
            loaded = emulate(str(path), seed=seed)
            loaded.transposed(-(-len(x) // 32), 32, x, g, w, len(g), len(w))
        except KernelError as error:
            expect(False, f"The emulator stopped it. {error}", *KERNEL)
        except RuntimeError as error:
            expect(False, f"It was not compiled: {_errors(str(error))}", *KERNEL)
    return x


def _errors(message: str) -> str:
    """The lines of a compiler's message that say what is wrong."""
    lines = [line for line in message.splitlines() if "error:" in line]
    return "\n".join(lines or message.splitlines()[:3])


@exercise("3.5")
def least_time(answer: Any) -> None:
    """least_time(N, C, O, H, W, k, peak, bandwidth): seconds that no convolution can go below."""
    slow_memory = one_number(answer(128, 64, 128, 14, 14, 3, 1e30, 1e12))
    moved = 4 * (128 * 64 * 14 * 14 + 128 * 128 * 14 * 14 + 64 * 128 * 9)
    expect(
        close(slow_memory * 1e12 / moved, 1.0),
        "With endless arithmetic only the bytes count: x, y and w once each, 4 bytes a number.",
        *TIME,
    )
    slow_chip = one_number(answer(128, 64, 128, 14, 14, 3, 1e12, 1e30))
    work = 2 * 128 * 14 * 14 * 128 * 64 * 9
    expect(
        close(slow_chip * 1e12 / work, 1.0),
        "With endless bandwidth only the work counts: two operations a multiply-add, C k^2 of "
        "them for each number of y.",
        *TIME,
    )
    both = one_number(answer(128, 64, 128, 14, 14, 3, 67e12, 4.8e12))
    expect(
        close(both * 1e6, 1e6 * max(work / 67e12, moved / 4.8e12)),
        "Moving and computing go on at the same time: the longer of the two counts, not the sum.",
        *TIME,
    )
    thin = one_number(answer(128, 1, 64, 28, 28, 3, 67e12, 4.3e12))
    expect(
        close(thin * 1e6, 6.068, tol=1e-3), "Not for one input channel, which memory bounds.", *TIME
    )
