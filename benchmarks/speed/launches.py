"""What a training step on a GPU asks of the host, counted where there is no GPU.

    python benchmarks/speed/launches.py [--workloads 1,5] [--names]

Each workload takes its step on tests/cuda/fake_cupy.py, small: the counts do not depend on sizes.
    launches   all that is queued: our kernels, CuPy's, products; with the copies and the fills
    copies     of arrays on the GPU; fills: zeros, ones, full and the like
    uploads    from the host to the GPU
    syncs      numbers that the host waits for; loss.item() is none of a step's
Then the host's microseconds for a launch through our launch layer, CuPy and the driver left out.
`--names` adds which launches they are. Needs the extra `test` and a C++ compiler."""

import argparse
import statistics
import sys
import time
import types
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "cuda"), str(ROOT / "benchmarks" / "speed")]

import codes  # noqa: E402
import fake_cupy  # noqa: E402
import workloads  # noqa: E402

import tinygen as tg  # noqa: E402
from tinygen.cuda import convolution, fused, gpu, launch, source  # noqa: E402

Work = Counter[tuple[str, str]]
STEPS = workloads.STEPS | codes.STEPS
SMALL = {"batch": 2, "width": 8}


def work(step: Callable[[], Any]) -> Work:
    """What one step does, after two that made all that is made once."""
    for _ in range(2):
        step()
    before = fake_cupy.WORK.copy()
    step()
    return fake_cupy.WORK - before


def of_workload(name: str) -> Work:
    """What a step of the workload does."""
    with pytest.MonkeyPatch.context() as patch:
        fake_cupy.install(patch)
        tg.manual_seed(0)
        try:
            return work(STEPS[name](tg, "cuda", **SMALL))
        finally:
            tg.backend.problem.cache_clear()


def counts(found: Work) -> dict[str, int]:
    """By kind; copies and fills are launches, too."""
    kinds: Counter[str] = Counter()
    for (kind, _), n in found.items():
        kinds[kind] += n
    launches = kinds["launch"] + kinds["copy"] + kinds["fill"]
    return {
        "launches": launches, "copies": kinds["copy"], "fills": kinds["fill"],
        "uploads": kinds["upload"], "syncs": kinds["sync"],
    }  # fmt: skip


# --- the host's time --------------------------------------------------------------------------


class _Array:
    """As much of a CuPy array as the launch layer looks at."""

    def __init__(self, size: int) -> None:
        self.dtype, self.size, self.shape = np.dtype(np.float32), size, (size,)
        self.flags = types.SimpleNamespace(c_contiguous=True)
        self.data = types.SimpleNamespace(ptr=512)


_Array.__module__ = "cupy"


def _kernel(file: str, name: str) -> launch.Kernel:
    """A kernel of ours whose launch reaches a function that does nothing."""
    found = source.read(file)
    module = gpu.GpuModule.__new__(gpu.GpuModule)
    module.source, module.functions = found, {name: lambda *args, **options: None}
    return launch.Kernel(name, found.kernels[name], module, gpu=True)


def median_us(call: Callable[[], Any], repeats: int = 300) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


def host_us() -> dict[str, float]:
    """Microseconds a launch, and a step of Adam for 64 and for 200 tensors."""
    y, x, w = (_Array(1000) for _ in range(3))
    s = tuple(convolution.Conv(*range(1, 17)))
    conv = _kernel("conv2d.cu", "conv2d_gemm_64x64")
    silu, adam = _kernel("activations.cu", "silu"), _kernel("adam.cu", "adam_many")
    found = {
        "convolution": median_us(lambda: conv((100, 1, 1), 64, y, x, w, s)),
        "silu": median_us(lambda: silu(100, 256, y, x, 1000)),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", types.SimpleNamespace(ndarray=_Array))
        patch.setattr(launch, "cupy", lambda: sys.modules["cupy"])
        here = types.SimpleNamespace(adam_many=adam)
        patch.setattr(fused, "kernels", lambda file, like: here)
        for n in (64, 200):
            ps, ms, vs, gs = ([_Array(100) for _ in range(n)] for _ in range(4))
            tables = fused.AdamTables(ps, ms, vs)
            found[f"Adam, {n} tensors"] = median_us(
                lambda: (tables.holds(*ps, *ms, *vs),  # noqa: B023  (called at once)
                         tables.step(gs, 1, 0.1, (0.9, 0.99), 1e-8, 0.0, False))  # noqa: B023
            )  # fmt: skip
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", help="numbers, e.g. 1,5; all")
    parser.add_argument("--names", action="store_true", help="which launches they are")
    args = parser.parse_args()
    wanted = args.workloads.split(",") if args.workloads else [n.split()[0] for n in STEPS]
    print("| workload | launches | copies | fills | uploads | syncs |\n|---|--:|--:|--:|--:|--:|")
    for name in [name for name in STEPS if name.split()[0] in wanted]:
        found = of_workload(name)
        print(f"| {name} | {' | '.join(map(str, counts(found).values()))} |", flush=True)
        if args.names:
            print("  ", ", ".join(f"{n} {kind} {what}" for (kind, what), n in found.most_common()))
    print("\n| host | us |\n|---|--:|")
    for what, us in host_us().items():
        print(f"| {what} | {us:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
