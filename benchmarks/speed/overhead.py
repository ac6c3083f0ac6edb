"""What an op costs beyond its arithmetic: chains of small ops, tinygen and PyTorch in turn.

    python benchmarks/speed/overhead.py [--rounds 7] [--json out.json] [--clean-env]

A chain is 100 ops of one kind on 4 x 4 float32 tensors, where arithmetic takes almost no time. Each
library runs in a process of its own, one at a time (A B A B ...), on one thread. The table gives
the median over the rounds in microseconds an op and, as ratio, the median of the paired ratios.

    no grad     forward under no_grad
    recorded    forward of a tensor that requires a gradient
    backward    backward of that chain from a given cotangent
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

LIBRARIES = ("tinygen", "torch")
COLUMNS = ("no grad", "recorded", "backward")
LENGTH = 100
BLAS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS")  # they change NumPy's GEMM

CHAINS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "add": lambda torch, x, w: x + w,
    "mul": lambda torch, x, w: x * w,
    "mul by a number": lambda torch, x, w: x * 1.01,
    "exp": lambda torch, x, w: (-x).exp(),  # two ops; exp alone would overflow
    "tanh": lambda torch, x, w: x.tanh(),
    "relu": lambda torch, x, w: torch.relu(x),
    "matmul": lambda torch, x, w: x @ w,
    "sum": lambda torch, x, w: x.sum(1, keepdim=True) * w,  # two: the sum and a broadcast product
    "reshape": lambda torch, x, w: x.reshape(2, 8).reshape(4, 4),  # two
}
OPS_A_LINK = {"exp": 2, "sum": 2, "reshape": 2}


def seconds(f: Callable[[], Any], budget: float) -> float:
    """The median time of f over `budget` seconds, after a warm-up."""
    f()
    times: list[float] = []
    start = time.perf_counter()
    while time.perf_counter() - start < budget or len(times) < 5:
        before = time.perf_counter()
        f()
        times.append(time.perf_counter() - before)
    return statistics.median(times)


def measure(torch: Any, budget: float) -> dict[str, list[float]]:
    """chain -> [no grad, recorded, backward], in microseconds an op."""
    torch.manual_seed(0)
    return {
        name: measure_chain(torch, link, LENGTH // OPS_A_LINK.get(name, 1), budget)
        for name, link in CHAINS.items()
    }


def measure_chain(torch: Any, link: Any, links: int, budget: float) -> list[float]:
    x, w, cotangent = 0.3 * torch.randn(4, 4), 0.3 * torch.randn(4, 4), torch.randn(4, 4)
    leaf = x.clone().requires_grad_()
    backwards: list[float] = []

    def chain(h: Any) -> Any:
        for _ in range(links):
            h = link(torch, h, w)
        return h

    def plain() -> None:
        with torch.no_grad():
            chain(x)

    def both() -> None:
        """Forward and backward; only the backward is timed, and the graph dies afterwards."""
        out = chain(leaf)
        before = time.perf_counter()
        out.backward(cotangent)
        backwards.append(time.perf_counter() - before)
        leaf.grad = None

    forward = [seconds(plain, budget), seconds(lambda: chain(leaf), budget)]
    seconds(both, 2 * budget)
    return [1e6 / LENGTH * t for t in (*forward, statistics.median(backwards))]


def child(library: str, budget: float) -> None:
    module = __import__(library)
    if library == "torch":
        module.set_num_threads(1)
    print(json.dumps(measure(module, budget)))


def run(library: str, budget: float, env: dict[str, str]) -> dict[str, list[float]]:
    command = [sys.executable, __file__, "--child", library, "--budget", str(budget)]
    done = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def environment(clean: bool) -> dict[str, str]:
    """One thread each; with --clean-env without what slows NumPy's BLAS down."""
    env = {k: v for k, v in os.environ.items() if not (clean and k in BLAS)}
    return env | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def summarise(rounds: list[dict[str, dict[str, list[float]]]]) -> dict[str, Any]:
    """Medians over the rounds for each chain and column, and of the ratios within a round."""
    table: dict[str, Any] = {}
    for name in CHAINS:
        for k, column in enumerate(COLUMNS):
            ours, theirs = ([r[lib][name][k] for r in rounds] for lib in LIBRARIES)
            ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
            table.setdefault(name, {})[column] = {
                "tinygen_us": statistics.median(ours),
                "torch_us": statistics.median(theirs),
                "ratio": statistics.median(ratios),
            }
    return table


def geometric_means(table: dict[str, Any]) -> dict[str, float]:
    return {
        column: statistics.geometric_mean(row[column]["ratio"] for row in table.values())
        for column in COLUMNS
    }


def show(table: dict[str, Any]) -> None:
    print(f"{'us an op':<16}" + "".join(f"| {c + ': tinygen':>18} torch ratio " for c in COLUMNS))
    for name, row in table.items():
        cells = (
            f"| {c['tinygen_us']:18.2f} {c['torch_us']:5.2f} {c['ratio']:5.2f} "
            for c in row.values()
        )
        print(f"{name:<16}" + "".join(cells))
    means = geometric_means(table)
    print("geometric mean  " + "".join(f"| {'':18} {'':5} {means[c]:5.2f} " for c in COLUMNS))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="how often each library runs")
    parser.add_argument("--budget", type=float, default=0.05, help="seconds for one measurement")
    parser.add_argument("--json", metavar="FILE", help="write the numbers there")
    parser.add_argument("--clean-env", action="store_true", help=f"unset {', '.join(BLAS)}")
    parser.add_argument("--child", choices=LIBRARIES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(args.child, args.budget)
    env = environment(args.clean_env)
    settings = {k: env[k] for k in BLAS if k in env}
    rounds = []
    for i in range(args.rounds):
        order = LIBRARIES if i % 2 == 0 else LIBRARIES[::-1]
        rounds.append({library: run(library, args.budget, env) for library in order})
    table = summarise(rounds)
    print("BLAS settings:", " ".join(f"{k}={v}" for k, v in settings.items()))
    show(table)
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"settings": settings, "rounds": args.rounds, "table": table,
                       "geometric_mean_ratio": geometric_means(table)}, file, indent=2)  # fmt: skip


if __name__ == "__main__":
    main()
