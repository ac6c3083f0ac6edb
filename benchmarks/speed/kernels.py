"""The convolution kernels on a GPU: time, share of the machine's floor, ratio to PyTorch's cuDNN.

    python benchmarks/speed/kernels.py       # needs a GPU and CuPy; compares where torch has CUDA

Every shape at batch 128: forward, gradient of the input, gradient of the weight; fp32 and TF32.
Times are CUDA events around calls as a user makes them, the weight's repacking included. A floor
is the larger of FLOPs / peak and bytes / bandwidth of an H200; on another GPU the shares are
only relative."""

import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tinygen import cuda
from tinygen.cuda import convolution

PEAK = {"fp32": 67e12, "tf32": 495e12}  # FLOP/s of an H200, by its datasheet
BANDWIDTH = 4.3e12  # bytes/s, as measured by copies
LAUNCH_US = 2.5


class Shape(NamedTuple):
    """A square layer at batch N. `transposed` layers go from the small side to the big one."""

    C: int
    size: int
    O: int  # noqa: E741
    kernel: int
    stride: int
    padding: int
    transposed: bool = False
    N: int = 128

    def out(self) -> int:
        if self.transposed:
            return (self.size - 1) * self.stride - 2 * self.padding + self.kernel
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    def __str__(self) -> str:
        name = "transposed " if self.transposed else ""
        sizes = f"{self.size}->{self.out()} px, {self.C}->{self.O}"
        return f"{name}{self.kernel}x{self.kernel} s{self.stride}, {sizes}"


SHAPES = [
    Shape(1, 28, 64, 3, 1, 1),
    Shape(64, 14, 128, 3, 1, 1),
    Shape(1, 28, 64, 4, 2, 1),
    Shape(64, 14, 128, 4, 2, 1),
    Shape(128, 7, 64, 4, 2, 1, True),
    Shape(64, 14, 1, 4, 2, 1, True),
    Shape(32, 32, 32, 3, 1, 1),
    Shape(64, 16, 64, 3, 1, 1),
    Shape(128, 8, 128, 3, 1, 1),
    Shape(256, 56, 256, 3, 1, 1),
]
OPS = ("forward", "input grad", "weight grad")


def floor_us(s: Shape, precision: str) -> float:
    """Microseconds that no kernel can beat: all three ops have the same FLOPs and move the same
    arrays."""
    small = min(s.size, s.out())
    flops = 2 * s.N * small**2 * s.C * s.O * s.kernel**2
    moved = 4 * (s.N * (s.C * s.size**2 + s.O * s.out() ** 2) + s.C * s.O * s.kernel**2)
    return 1e6 * max(flops / PEAK[precision], moved / BANDWIDTH)


def arrays(s: Shape, xp: Any, seed: int = 0) -> tuple[Any, Any, Any]:
    """x, w, g: activations channels-last, the weight as PyTorch keeps it."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((s.N, s.size, s.size, s.C), np.float32)
    g = rng.standard_normal((s.N, s.out(), s.out(), s.O), np.float32)
    first, second = (s.C, s.O) if s.transposed else (s.O, s.C)
    w = rng.standard_normal((first, second, s.kernel, s.kernel), np.float32)
    return xp.asarray(x).transpose(0, 3, 1, 2), xp.asarray(w), xp.asarray(g).transpose(0, 3, 1, 2)


def calls(s: Shape, x: Any, w: Any, g: Any, tf32: bool) -> list[Any]:
    """Forward, input gradient and weight gradient of the layer, as functions of nothing."""
    same = (s.stride,) * 2, (s.padding,) * 2, (1, 1), 1
    k, c = (s.kernel,) * 2, convolution
    if s.transposed:
        return [
            lambda: c.conv_transpose2d(x, w, *same, (0, 0), tf32=tf32),
            lambda: c.conv2d(g, w, *same, tf32=tf32),
            lambda: c.conv2d_weight(g, x, k, *same, tf32=tf32),
        ]
    extra = s.size - ((s.out() - 1) * s.stride - 2 * s.padding + s.kernel)
    return [
        lambda: c.conv2d(x, w, *same, tf32=tf32),
        lambda: c.conv_transpose2d(g, w, *same, (extra, extra), tf32=tf32),
        lambda: c.conv2d_weight(x, g, k, *same, tf32=tf32),
    ]


def torch_calls(s: Shape, torch: Any) -> list[Any]:
    """The same by PyTorch, channels-last, by cuDNN's fastest algorithm."""
    x, w, g = (torch.as_tensor(np.ascontiguousarray(a)).cuda() for a in arrays(s, np))
    x, w, g = (a.contiguous(memory_format=torch.channels_last) for a in (x, w, g))
    pair = [s.stride] * 2, [s.padding] * 2, [1, 1]
    back = torch.ops.aten.convolution_backward
    rest = None, *pair, s.transposed, [0, 0], 1
    return [
        lambda: torch.ops.aten.convolution(x, w, *rest),
        lambda: back(g, x, w, *rest, [True, False, False])[0],
        lambda: back(g, x, w, *rest, [False, True, False])[1],
    ]


def time_us(call: Any, events: Any, budget_ms: float = 30.0) -> float:
    """Median over 5 rounds of the mean time of a call, by events on the GPU's own clock."""
    call()
    once = events(call, 3)
    n = int(min(200, max(3, budget_ms / 5 / max(once, 1e-3))))
    return 1e3 * statistics.median(events(call, n) for _ in range(5))


def cupy_events(call: Any, n: int) -> float:
    """Milliseconds a call."""
    cupy = cuda.require()
    start, end = cupy.cuda.Event(), cupy.cuda.Event()
    start.record()
    for _ in range(n):
        call()
    end.record()
    end.synchronize()
    return float(cupy.cuda.get_elapsed_time(start, end)) / n


def torch_events(torch: Any) -> Any:
    def elapsed(call: Any, n: int) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(n):
            call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / n

    return elapsed


def torch_with_cuda() -> Any:
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def measure() -> Iterator[dict[str, Any]]:
    """One row for each shape, op and precision."""
    cupy, torch = cuda.require(), torch_with_cuda()
    if torch:
        torch.backends.cudnn.benchmark = True
    for s in SHAPES:
        ours = arrays(s, cupy)
        theirs = torch_calls(s, torch) if torch else [None] * 3
        for precision in PEAK:
            if torch:
                torch.backends.cudnn.allow_tf32 = precision == "tf32"
            for op, call, other in zip(
                OPS, calls(s, *ours, precision == "tf32"), theirs, strict=True
            ):
                yield {
                    "shape": str(s),
                    "op": op,
                    "precision": precision,
                    "us": time_us(call, cupy_events),
                    "floor_us": floor_us(s, precision),
                    "cudnn_us": time_us(other, torch_events(torch)) if other else None,
                }
        del ours, theirs
        cupy.get_default_memory_pool().free_all_blocks()


def geometric_mean(rows: list[dict[str, Any]], precision: str) -> float | None:
    """Of cuDNN's time / ours: above 1 is faster than cuDNN."""
    ratios = [
        r["cudnn_us"] / r["us"] for r in rows if r["precision"] == precision and r["cudnn_us"]
    ]
    return statistics.geometric_mean(ratios) if ratios else None


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"{'shape':44s} {'op':12s} {'':5s} {'us':>9s} {'floor us':>9s} {'share':>6s} "
        f"{'cuDNN us':>9s} {'speed':>6s}"
    ]
    for r in rows:
        theirs = (
            f"{r['cudnn_us']:9.1f} {r['cudnn_us'] / r['us']:5.2f}x"
            if r["cudnn_us"]
            else f"{'-':>9s} {'-':>6s}"
        )
        lines.append(
            f"{r['shape']:44s} {r['op']:12s} {r['precision']:5s} {r['us']:9.1f} "
            f"{r['floor_us']:9.1f} {r['floor_us'] / r['us']:6.1%} {theirs}"
        )
    for precision in ("fp32", "tf32"):
        if mean := geometric_mean(rows, precision):
            lines.append(f"geometric mean, {precision}: {mean:.2f}x cuDNN's speed")
    return "\n".join(lines)


def main() -> int:
    if not cuda.is_available():
        print(f"{cuda.problem()}. Nothing was measured.")
        return 0
    print(table(list(measure())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
