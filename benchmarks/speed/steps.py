"""Training steps of tinygen and of PyTorch, side by side on a CPU: time and peak memory.

    python benchmarks/speed/steps.py [--threads 2] [--workloads 1,5] [--repeats 9] [--out NAME]
    python benchmarks/speed/steps.py --scale      # how time grows with batch, channels and depth

Three processes for each workload, which take turns (A B C A B C ...) so that a busy machine slows
all of them: tinygen, PyTorch as installed, and PyTorch with the malloc thresholds that tinygen
sets for itself on glibc. Each turn runs a few steps and reports their median; a ratio is taken
within a round, and the table gives the median over rounds. Memory is the highest resident size of
the process less what it held after its imports.

On a machine that others use as well, `--threads 1 --clock cpu` measures the time that a process had
a core, not the time that passed: what is left of the others is their share of the caches."""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]

import codes  # noqa: E402
import gans  # noqa: E402
import styles  # noqa: E402
import workloads  # noqa: E402
from workloads import Step  # noqa: E402

STEPS = workloads.STEPS | codes.STEPS | gans.STEPS | styles.STEPS
SIDES = ("tinygen", "torch", "torch+malloc")
KEEP_FREED = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
# What a machine may set to keep OpenBLAS from using the CPU that it has; MKL does not look at it.
BLAS_LIMITS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
TURN = 0.4  # seconds that a turn should last
SCALES = {"batch": (0.5, 1, 2, 4), "width": (0.5, 1, 2), "depth": (1, 2, 3)}
SCALED = {"1": {"batch": 128, "width": 512}, "5": {"batch": 32, "width": 32, "depth": 1}}


def time_step_ms(step: Step, seconds: float = 3.0) -> float:
    """Mean milliseconds of a step; reading the loss at the end waits for the device."""
    for _ in range(3):
        step().item()
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(5):
            loss = step()
        loss.item()
        n += 5
    return 1e3 * (time.perf_counter() - start) / n


# --- a worker: one library, one workload ------------------------------------------------------


def resident(field: str) -> float:
    """VmRSS or VmHWM of this process in MiB (0 where the system does not tell)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def load(library: str, threads: int) -> Any:
    if library == "tinygen":
        import tinygen
        import tinygen.nn
        import tinygen.optim

        return tinygen
    import torch

    torch.set_num_threads(threads)
    return torch


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def work(side: str, workload: str, args: Any, sizes: dict[str, int]) -> None:
    """Read a number of steps from stdin, run them, write their times in ms; until stdin ends."""
    library, clock = load(side.partition("+")[0], args.threads), CLOCKS[args.clock]
    library.manual_seed(0)
    baseline = resident("VmRSS")
    step = STEPS[workload](library, "cpu", **sizes)
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = clock()
            loss = step().item()
            times.append(1e3 * (clock() - start))
        report = {"ms": times, "loss": loss, "mib": resident("VmHWM") - baseline}
        print(json.dumps(report), flush=True)


class Worker:
    """A child process that runs steps when told to, and sleeps in between."""

    def __init__(self, side: str, workload: str, args: Any, sizes: dict[str, int]) -> None:
        env = dict(os.environ) | (KEEP_FREED if side.endswith("+malloc") else {})
        if not args.keep_env:
            env = {k: v for k, v in env.items() if k not in BLAS_LIMITS}
        pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        env |= {name: str(args.threads) for name in pools}
        command = [sys.executable, __file__, "--work", side, workload, json.dumps(sizes)]
        self.process = subprocess.Popen(
            [*command, "--threads", str(args.threads), "--clock", args.clock],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=env,
        )

    def run(self, steps: int) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker died: {self.process.args}")
        report: dict[str, Any] = json.loads(line)
        return report

    def end(self) -> None:
        self.process.communicate()


# --- the comparison ----------------------------------------------------------------------------


def compare(workload: str, args: Any, sizes: dict[str, int] | None = None) -> dict[str, Any]:
    """Rounds of turns; the medians, the ratios within a round and the peak memory of each side."""
    sides = SIDES[: args.sides]
    workers = {side: Worker(side, workload, args, sizes or {}) for side in sides}
    for worker in workers.values():
        once = statistics.median(worker.run(4)["ms"][1:])
    steps = max(3, round(1e3 * TURN / once))
    rounds: list[dict[str, float]] = []
    reports: dict[str, Any] = {}
    for _ in range(args.repeats):
        reports = {side: worker.run(steps) for side, worker in workers.items()}
        rounds.append({side: statistics.median(r["ms"]) for side, r in reports.items()})
    for worker in workers.values():
        worker.end()
    row: dict[str, Any] = {"workload": workload, **(sizes or {}), "steps": steps * args.repeats}
    for side in sides:
        row[side] = {
            "ms": statistics.median(r[side] for r in rounds),
            "mib": reports[side]["mib"],
            "loss": reports[side]["loss"],
            "rounds_ms": [round(r[side], 3) for r in rounds],
        }
    row["ratios"] = {
        side: statistics.median(r["tinygen"] / r[side] for r in rounds) for side in sides[1:]
    }
    row["memory_ratio"] = row["tinygen"]["mib"] / max(row[sides[1]]["mib"], 1) if sides[1:] else 0
    return row


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a line a workload, then the geometric means of 1-6."""
    lines = [
        "| workload | tinygen ms | PyTorch ms | ratio | PyTorch, same malloc, ms | ratio | "
        "tinygen MiB | PyTorch MiB | ratio |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        ours, plain, tuned = (row[side] for side in SIDES)
        lines.append(
            f"| {row['workload']} | {ours['ms']:.2f} | {plain['ms']:.2f} "
            f"| {row['ratios']['torch']:.2f} | {tuned['ms']:.2f} "
            f"| {row['ratios']['torch+malloc']:.2f} | {ours['mib']:.0f} | {plain['mib']:.0f} "
            f"| {row['memory_ratio']:.2f} |"
        )
    training = [row for row in rows if row["workload"].split()[0] in set("123456")]
    means = {
        side: statistics.geometric_mean(row["ratios"][side] for row in training)
        for side in (SIDES[1:] if training else ())
    }
    if means:
        lines.append(
            f"| geometric mean of 1-6 | | | **{means['torch']:.2f}** | "
            f"| **{means['torch+malloc']:.2f}** | | | |"
        )
    return "\n".join(lines)


def scale(args: Any) -> list[dict[str, Any]]:
    """Time of a step as one size grows and the others stay."""
    rows = []
    for key, base in SCALED.items():
        workload = next(name for name in STEPS if name.startswith(f"{key} "))
        for what, value in base.items():
            for factor in SCALES[what]:
                row = compare(workload, args, {**base, what: int(value * factor)})
                rows.append(row | {"varied": what})
                print(scale_line(row, what), flush=True)
    return rows


def scale_line(row: dict[str, Any], what: str) -> str:
    return (
        f"{row['workload']:20s} {what:6s} {row[what]:5d} {row['tinygen']['ms']:9.2f} ms "
        f"{row['torch']['ms']:9.2f} ms  {row['ratios']['torch']:.2f}"
    )


def machine(args: Any) -> dict[str, Any]:
    import numpy
    import torch

    import tinygen

    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": args.threads,
        "clock": args.clock,
        "load": os.getloadavg(),
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "torch": torch.__version__,
        "tinygen": tinygen.__version__,
        "libc": "-".join(platform.libc_ver()),
        "unset": [] if args.keep_env else [name for name in BLAS_LIMITS if name in os.environ],
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def write(result: dict[str, Any], text: str, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    m = result["machine"]
    out.with_suffix(".md").write_text(
        f"{text}\n\n{m['cpu']}, {m['threads']} threads of {m['cores']}, {m['clock']} time; "
        f"Python {m['python']}, NumPy {m['numpy']}, PyTorch {m['torch']}; {m['date'][:10]}. "
        f"Unset for both libraries: {', '.join(m['unset']) or 'nothing'}.\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workloads", default="1,2,3,4,5,6,7", help="numbers, e.g. 1,5")
    parser.add_argument("--repeats", type=int, default=9, help="rounds")
    parser.add_argument("--sides", type=int, default=3, help="1: tinygen alone; 2: no malloc run")
    parser.add_argument("--scale", action="store_true", help="vary batch, channels and depth")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: see above")
    parser.add_argument("--keep-env", action="store_true", help=f"do not unset {BLAS_LIMITS}")
    parser.add_argument("--out", type=Path, help="write OUT.json and OUT.md")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        side, workload, sizes = args.work
        work(side, workload, args, json.loads(sizes))
        return 0
    if args.scale:
        args.sides = 2
        result = {"machine": machine(args), "scale": scale(args)}
        lines = [scale_line(row, row["varied"]) for row in result["scale"]]
        text = "\n".join(["```", "workload, what varies, tinygen, PyTorch, ratio", *lines, "```"])
    else:
        rows = []
        for workload in [name for name in STEPS if name.split()[0] in args.workloads.split(",")]:
            rows.append(compare(workload, args))
            times = "  ".join(
                f"{side} {rows[-1][side]['ms']:.2f} ms" for side in SIDES[: args.sides]
            )
            print(f"{workload:20s} {times}", flush=True)
        result = {"machine": machine(args), "rows": rows}
        text = table(rows) if args.sides == 3 else ""
        print(text)
    if args.out:
        write(result, text, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
