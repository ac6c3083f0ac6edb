"""Everything that only a GPU can tell, in one command and under nine minutes: `make gpu-check`.

    python benchmarks/gpu_check.py [--out benchmarks/results]

Values against float64 on the CPU, 100 repeats for equal bits, the test suite, the kernels'
times, training steps against eager PyTorch. Prints tables and writes JSON with the GPU, driver,
versions and date. Without a GPU it says so, measures nothing and exits with 0."""

import argparse
import datetime
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import steps

import kernels
from tinygen import conv_numpy, cuda

LIMIT = 9 * 60  # seconds, for everything
TESTS_LIMIT = 240
FP32_ERROR, TF32_ERROR = 1e-5, 2e-3


def machine() -> dict[str, Any]:
    """What was measured on, and with what."""
    cupy, torch = cuda.require(), kernels.torch_with_cuda()
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    return {
        "gpu": properties["name"].decode(),
        "memory_bytes": properties["totalGlobalMem"],
        "driver_cuda": cupy.cuda.runtime.driverGetVersion(),
        "runtime_cuda": cupy.cuda.runtime.runtimeGetVersion(),
        "nvrtc": ".".join(map(str, cupy.cuda.nvrtc.getVersion())),
        "cupy": cupy.__version__,
        "numpy": np.__version__,
        "torch": torch.__version__ if torch else None,
        "cudnn": torch.backends.cudnn.version() if torch else None,
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def reference(s: kernels.Shape, x: Any, w: Any, g: Any) -> list[Any]:
    """Forward, input gradient and weight gradient in float64 on the CPU."""
    x, w, g = (a.astype(np.float64) for a in (x, w, g))
    same = (s.stride,) * 2, (s.padding,) * 2, (1, 1), 1
    k = (s.kernel,) * 2
    if s.transposed:
        forward = conv_numpy.conv_transpose2d(x, w, *same, (0, 0))
        return [forward, conv_numpy.conv2d(g, w, *same), conv_numpy.conv2d_weight(g, x, k, *same)]
    extra = (s.size - ((s.out() - 1) * s.stride - 2 * s.padding + s.kernel),) * 2
    back = conv_numpy.conv_transpose2d(g, w, *same, extra)
    return [conv_numpy.conv2d(x, w, *same), back, conv_numpy.conv2d_weight(x, g, k, *same)]


def check_values() -> list[dict[str, Any]]:
    """Norm-wise relative error of every op, and of every shape of the table at a smaller batch."""
    cupy, rows = cuda.require(), []
    odd = [
        kernels.Shape(3, 13, 5, 3, 2, 1),
        kernels.Shape(20, 9, 12, 5, 1, 2),
        kernels.Shape(5, 7, 3, 4, 3, 1, True),
    ]
    for s in [s._replace(N=4) for s in [*kernels.SHAPES, *odd]]:
        host = kernels.arrays(s, np)
        refs, device = reference(s, *host), [cupy.asarray(a) for a in host]
        for precision, limit in (("fp32", FP32_ERROR), ("tf32", TF32_ERROR)):
            for op, call, ref in zip(
                kernels.OPS, kernels.calls(s, *device, precision == "tf32"), refs, strict=True
            ):
                error = float(np.linalg.norm(cupy.asnumpy(call()) - ref) / np.linalg.norm(ref))
                rows.append(
                    {
                        "shape": str(s),
                        "op": op,
                        "precision": precision,
                        "error": error,
                        "ok": error < limit,
                    }
                )
    return rows


def check_bits(repeats: int = 100) -> list[dict[str, Any]]:
    """Whether repeated calls give the same bits."""
    cupy, rows = cuda.require(), []
    for s in kernels.SHAPES[:-1]:
        for op, call in zip(
            kernels.OPS, kernels.calls(s, *kernels.arrays(s, cupy), False), strict=True
        ):
            first = call()
            same = all(bool((call() == first).all()) for _ in range(repeats))
            rows.append({"shape": str(s), "op": op, "ok": same})
    return rows


def run_tests(seconds: float) -> dict[str, Any]:
    """The test suite on this machine, where its device="cuda" cases run too."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", str(HERE.parent / "tests")]
    try:
        run = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds, cwd=HERE.parent
        )
    except subprocess.TimeoutExpired:
        return {"ok": False, "summary": f"stopped after {seconds:.0f} s"}
    lines = run.stdout.strip().splitlines()
    return {"ok": run.returncode == 0, "summary": lines[-1] if lines else run.stderr[-300:]}


def time_steps() -> list[dict[str, Any]]:
    """Training steps by tinygen and by eager PyTorch, in fp32."""
    import tinygen

    torch, rows = kernels.torch_with_cuda(), []
    if torch:
        torch.backends.cudnn.allow_tf32 = False
    for name, make in steps.STEPS.items():
        ours = steps.time_step_ms(make(tinygen, "cuda"))
        theirs = steps.time_step_ms(make(torch, "cuda")) if torch else None
        rows.append({"model": name, "ms": ours, "torch_ms": theirs})
    return rows


def check(out: Path) -> int:
    """All of it; 0 when everything that ran is right. Values come first, times only on kernels
    that are right."""
    if not cuda.is_available():
        print(f"{cuda.problem()}. Nothing was measured.")
        return 0
    start, result = time.monotonic(), {"machine": machine()}
    print(json.dumps(result["machine"], indent=1))
    result["values"], result["bits"] = check_values(), check_bits()
    wrong = [r for r in [*result["values"], *result["bits"]] if not r["ok"]]
    print(
        f"values and bits: {len(result['values'] + result['bits'])} checks, {len(wrong)} wrong",
        *wrong,
        sep="\n",
    )
    result["kernels"] = kernels.measure()
    print(kernels.table(result["kernels"]))
    result["steps"] = time_steps()
    for r in result["steps"]:
        ratio = (
            f", {r['ms'] / r['torch_ms']:.2f} of PyTorch's {r['torch_ms']:.2f} ms"
            if r["torch_ms"]
            else ""
        )
        print(f"{r['model']:20s} {r['ms']:8.2f} ms a step{ratio}")
    result["tests"] = run_tests(min(TESTS_LIMIT, LIMIT - (time.monotonic() - start)))
    print(f"tests: {result['tests']['summary']}")
    result["seconds"] = round(time.monotonic() - start, 1)
    print(f"written: {write(result, out)} ({result['seconds']} s)")
    return int(bool(wrong) or not result["tests"]["ok"])


def write(result: dict[str, Any], out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    name = f"{result['machine']['gpu']}-{result['machine']['date'][:10]}".replace(" ", "-")
    path = out / f"gpu-{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for the JSON")
    sys.exit(check(parser.parse_args().out))
