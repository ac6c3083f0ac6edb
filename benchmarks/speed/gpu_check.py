"""Everything that only a GPU can tell, in one command and under nine minutes: `make gpu-check`.

    python benchmarks/speed/gpu_check.py [--out benchmarks/results/speed]

Phases, each a process of its own that is stopped when its time is over, so that nothing (a kernel
that hangs, a test that waits) keeps the others from running: values against float64 on the CPU,
100 repeats for equal bits, the kernels' times, training steps against eager PyTorch, the tests of
device="cuda", then the rest of the test suite for as long as time is left. What was done is
printed as tables and written as JSON with the GPU, driver, versions and date, whatever happened.
Without a GPU it says so, measures nothing and exits with 0."""

import argparse
import datetime
import importlib.util
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TESTS = ROOT / "tests"
sys.path[:0] = [str(ROOT), str(HERE)]

import steps  # noqa: E402

import kernels  # noqa: E402
import tinygen as tg  # noqa: E402
import tinygen.nn.functional as F  # noqa: E402
from tinygen import Tensor, cuda, nn  # noqa: E402
from tinygen.conv import cpu  # noqa: E402

LIMIT = 9 * 60.0  # seconds, for everything
RESERVE = 20.0  # of them, for ending a phase by force and for writing
LEAST = 5.0  # a phase is not begun with less
SIZES = (16, 64, 28, 28)  # of what the fused kernels get
FP32_ERROR, TF32_ERROR = 1e-5, 2e-3
ON_CUDA = (
    "cuda/test_device_cuda.py", "cuda/test_fused.py", "cuda/test_cuda.py", "engine/test_errors.py"
)  # fmt: skip

Row = dict[str, Any]


# --- the phases: each yields its results row by row ----------------------------------------------


def machine() -> Iterator[Row]:
    """What is measured on, and with what; or why nothing is."""
    if not cuda.is_available():
        yield {"problem": cuda.problem()}
        return
    cupy, torch = cuda.require(), kernels.torch_with_cuda()
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    yield {
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
        forward = cpu.conv_transpose2d(x, w, *same, (0, 0))
        return [forward, cpu.conv2d(g, w, *same), cpu.conv2d_weight(g, x, k, *same)]
    extra = (s.size - ((s.out() - 1) * s.stride - 2 * s.padding + s.kernel),) * 2
    back = cpu.conv_transpose2d(g, w, *same, extra)
    return [cpu.conv2d(x, w, *same), back, cpu.conv2d_weight(x, g, k, *same)]


ODD = [
    kernels.Shape(3, 13, 5, 3, 2, 1),
    kernels.Shape(20, 9, 12, 5, 1, 2),
    kernels.Shape(5, 7, 3, 4, 3, 1, True),
]


def values() -> Iterator[Row]:
    """Norm-wise relative error of every convolution, for every shape of the table at a smaller
    batch, and of what the fused kernels compute."""
    cupy = cuda.require()
    for s in [s._replace(N=4) for s in [*kernels.SHAPES, *ODD]]:
        host = kernels.arrays(s, np)
        refs, device = reference(s, *host), [cupy.asarray(a) for a in host]
        for precision, limit in (("fp32", FP32_ERROR), ("tf32", TF32_ERROR)):
            calls = kernels.calls(s, *device, precision == "tf32")
            for op, call, ref in zip(kernels.OPS, calls, refs, strict=True):
                yield _compared(str(s), op, precision, call().get(), ref, limit)
    for name in FUSED:
        exact = fused(name, "cpu", tg.float64)
        for i, (a, ref) in enumerate(zip(fused(name, "cuda", tg.float32), exact, strict=True)):
            op = f"gradient {i}" if i else "forward"
            yield _compared(name, op, "fp32", a.cpu().numpy(), ref.numpy(), FP32_ERROR)


def _compared(shape: str, op: str, precision: str, a: Any, ref: Any, limit: float) -> Row:
    error = float(np.linalg.norm(a - ref) / np.linalg.norm(ref))
    return {
        "shape": shape, "op": op, "precision": precision, "error": error, "ok": error < limit,
    }  # fmt: skip


def adam_steps(x: Tensor) -> Tensor:
    """How far three steps of Adam go from x, with a gradient that differs in each element."""
    w = x.detach().clone().requires_grad_()
    optimizer = tg.optim.Adam([w], lr=1e-2)
    for k in range(3):
        w.grad = (x.detach() * (k + 1)).sin()
        optimizer.step()
    return (w.detach() - x.detach()) + (x - x.detach())


FUSED: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": F.sigmoid, "softplus": F.softplus, "silu": F.silu, "tanh": F.tanh, "relu": F.relu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "batch_norm": lambda x: F.batch_norm(x, None, None, training=True),
    "group_norm": lambda x: F.group_norm(x, 8, x.detach()[0, :, 0, 0], x.detach()[1, :, 0, 0]),
    "layer_norm": lambda x: F.layer_norm(x, (28,)),
    "adam": adam_steps,
}  # fmt: skip


def fused(name: str, device: str, dtype: Any) -> list[Tensor]:
    """Output, gradient and gradient of the gradient of one of FUSED."""
    rng = np.random.default_rng(0)
    x, u, v = (
        tg.tensor(rng.standard_normal(SIZES).astype(np.float32)).to(device).to(dtype)
        for _ in range(3)
    )
    x.requires_grad_()
    out = FUSED[name](x)
    (first,) = tg.autograd.grad(out, x, u, create_graph=True)
    found = [out, first]
    if first.requires_grad and name not in ("relu", "leaky_relu"):  # theirs is 0
        found += tg.autograd.grad(first, x, v)
    return [t.detach() for t in found]


def bits(repeats: int = 100) -> Iterator[Row]:
    """Whether repeated calls give the same bits."""
    cupy = cuda.require()
    for s in kernels.SHAPES[:-1]:
        calls = kernels.calls(s, *kernels.arrays(s, cupy), False)
        for op, call in zip(kernels.OPS, calls, strict=True):
            first = call()
            differing = cupy.zeros((), bool)
            for _ in range(repeats):
                differing |= (call() != first).any()
            yield {"shape": str(s), "op": op, "repeats": repeats, "ok": not bool(differing)}
    tg.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.GroupNorm(2, 8), nn.SiLU(), nn.BatchNorm2d(8))
    net, x = net.to("cuda"), tg.randn(32, 4, 32, 32, device="cuda")
    grads = [_gradients(net, x) for _ in range(repeats)]
    same = all(g.tobytes() == grads[0].tobytes() for g in grads)
    yield {"shape": "a small net", "op": "all gradients", "repeats": repeats, "ok": same}


def _gradients(net: Any, x: Tensor) -> Any:
    loss = (net(x) ** 3).sum()
    found = tg.autograd.grad(loss, list(net.parameters()))
    return np.concatenate([g.cpu().numpy().ravel() for g in found])


def training_steps() -> Iterator[Row]:
    """Training steps by tinygen and by eager PyTorch, in fp32."""
    torch = kernels.torch_with_cuda()
    if torch:
        torch.backends.cudnn.allow_tf32 = False
    for name, make in steps.STEPS.items():
        ours = steps.time_step_ms(make(tg, "cuda"))
        theirs = steps.time_step_ms(make(torch, "cuda")) if torch else None
        yield {"model": name, "ms": ours, "torch_ms": theirs}


def tests_on_cuda() -> Iterator[Row]:
    """The tests that run on a GPU where there is one."""
    yield from run_pytest([str(TESTS / name) for name in ON_CUDA])


def other_tests() -> Iterator[Row]:
    yield from run_pytest([str(TESTS), *(f"--ignore={TESTS / name}" for name in ON_CUDA)])


def run_pytest(arguments: list[str]) -> Iterator[Row]:
    """A row for each failure when it comes, the counts now and then, and how it ended."""
    if importlib.util.find_spec("pytest") is None:
        yield {"ok": False, "said": "pytest is not installed: pip install 'tinygen[test]'"}
        return
    command = [sys.executable, "-u", "-m", "pytest", "-v", "-p", "no:cacheprovider", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT
    )
    counts: Counter[str] = Counter()
    lines: list[str] = []
    for line in process.stdout or ():
        lines.append(line.rstrip())
        found = re.match(r"(\S+::.*) (PASSED|FAILED|ERROR|SKIPPED|XFAIL)\b", line)
        if found:
            counts[found[2].lower()] += 1
            if found[2] in ("FAILED", "ERROR"):
                yield {"test": found[1], "ok": False}
            elif sum(counts.values()) % 25 == 0:
                yield {"counts": dict(counts)}
    status = process.wait()
    yield {"counts": dict(counts), "ok": status == 0} | (
        {"said": "\n".join(lines[-40:])} if status else {}
    )


PHASES: dict[str, tuple[Callable[[], Iterator[Row]], float]] = {  # and the seconds it gets at most
    "machine": (machine, 60),
    "values": (values, 100),
    "bits": (bits, 60),
    "kernels": (kernels.measure, 120),
    "steps": (training_steps, 100),
    "tests": (tests_on_cuda, LIMIT),
    "other tests": (other_tests, LIMIT),
}
OPTIONAL = ("other tests",)  # takes what time is left, and may end unfinished


# --- running them ---------------------------------------------------------------------------------


def command(name: str) -> list[str]:
    return [sys.executable, str(Path(__file__).resolve()), "--phase", name]


def run_phase(name: str, seconds: float) -> Row:
    """The rows that a phase gives within its time, and how it ended."""
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command(name), stdout=out, stderr=errors, start_new_session=True, text=True
        )
        try:
            status = process.wait(seconds)
            ended = "done" if status == 0 else "failed"
        except subprocess.TimeoutExpired:
            ended = f"stopped after {seconds:.0f} s"
        finally:
            stop(process)
        out.seek(0), errors.seek(0)
        rows = list(_rows(out.read()))
        said = errors.read().strip()[-2000:] if ended == "failed" else ""
    took = round(time.monotonic() - start, 1)
    return {"ended": ended, "seconds": took, "rows": rows} | ({"error": said} if said else {})


def _rows(text: str) -> Iterator[Row]:
    """The rows in what a phase printed: one JSON object a line; the last may be cut off."""
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue


def stop(process: Any) -> None:
    """End a phase and all that it started. One that the driver holds on to is left behind."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait(5)
    except (ProcessLookupError, PermissionError, subprocess.TimeoutExpired):
        pass


def check(out: Path) -> int:
    """All phases; 0 when everything is right and nothing is missing but optional phases."""
    start, phases = time.monotonic(), {}
    first = run_phase("machine", PHASES["machine"][1])
    found = first["rows"][0] if first["rows"] else {"problem": f"no answer: {first}"}
    if "problem" in found:
        print(f"{found['problem']}. Nothing was measured.")
        return 1 if not first["rows"] else 0
    print(json.dumps(found, indent=1), flush=True)
    try:
        for name, (_, most) in list(PHASES.items())[1:]:
            left = LIMIT - RESERVE - (time.monotonic() - start)
            if left < LEAST:
                phases[name] = {"ended": "skipped: the time was over", "seconds": 0.0, "rows": []}
            else:
                phases[name] = run_phase(name, min(most, left))
            print(report(name, phases[name]), flush=True)
    finally:
        seconds = round(time.monotonic() - start, 1)
        result = {"machine": found, "seconds": seconds, "phases": phases}
        print(f"written: {write(result, out)} ({seconds} s)", flush=True)
    return int(not all(right(name, phase) for name, phase in phases.items()))


def right(name: str, phase: Row) -> bool:
    complete = phase["ended"] == "done" or (name in OPTIONAL and phase["ended"] != "failed")
    return complete and all(row.get("ok", True) for row in phase["rows"])


def report(name: str, phase: Row) -> str:
    """What a phase found: its table or its wrong rows; then how it ended."""
    rows, lines = phase["rows"], []
    if name == "kernels" and rows:
        lines.append(kernels.table(rows))
    elif name == "steps":
        lines += map(step_line, rows)
    elif name in ("tests", "other tests"):
        lines += [f"FAILED {row['test']}" for row in rows if "test" in row]
        lines += [row["said"] for row in rows if "said" in row]
        lines += [str(row["counts"]) for row in rows if "counts" in row][-1:]
    else:
        wrong = [str(row) for row in rows if not row.get("ok", True)]
        lines += [*wrong, f"{len(rows)} checks, {len(wrong)} wrong"]
    if "error" in phase:
        lines.append(phase["error"])
    return "\n".join([f"--- {name}: {phase['ended']} ({phase['seconds']} s)", *lines])


def step_line(row: Row) -> str:
    theirs = row["torch_ms"]
    ratio = f", {row['ms'] / theirs:.2f} of PyTorch's {theirs:.2f} ms" if theirs else ""
    return f"{row['model']:20s} {row['ms']:8.2f} ms a step{ratio}"


def write(result: Row, out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    name = f"{result['machine']['gpu']}-{result['machine']['date'][:10]}".replace(" ", "-")
    path = out / f"gpu-{name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "benchmarks" / "results" / "speed",
        help="folder for the JSON",
    )
    parser.add_argument("--phase", choices=PHASES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.phase is None:
        return check(args.out)
    for row in PHASES[args.phase][0]():
        print(json.dumps(row), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
