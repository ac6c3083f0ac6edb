"""The likelihood of every flow: in the plane beside the law's own, on pictures in bits a pixel.

    python benchmarks/quality/flows.py                    # what is not there yet: 20 min of CPU
    python benchmarks/quality/flows.py --match digits     # only rows with this in the name
    python benchmarks/quality/flows.py --report           # the tables again, from the JSON

Each row is examples/flow.py as it stands, run with these options and the seeds 0, 1, 2 (Fashion:
seed 0 alone); the numbers are those that it prints. They go to benchmarks/results/flow.
"""

import re
import statistics
from typing import Any

from rows import RESULTS, fill, load, options, over, said, table

OUT = RESULTS / "flow"
KINDS = ("realnvp", "glow", "spline", "maf", "ffjord", "matching")
ROWS = {
    **{f"two_moons {kind}": ["--flow", kind] for kind in KINDS},
    **{f"digits {kind}": ["--data", "digits", "--flow", kind] for kind in ("realnvp", "glow")},
    "fashion realnvp": ["--data", "fashion"],
}
NUMBER = r"(-?\d+\.\d+)"
PLANE = (
    rf"-log p\(x\) {NUMBER} ± {NUMBER} .* itself {NUMBER} \(its entropy {NUMBER}\), "
    rf"one Gaussian {NUMBER}"
)
PICTURES = rf"{NUMBER} ± {NUMBER} bits .* one Gaussian {NUMBER}"
PUBLISHED = {  # bits a dimension of 8-bit MNIST, from a tutorial's table of papers
    "RealNVP": 1.06, "Glow": 1.05, "FFJORD": 0.99, "i-ResNet": 1.05, "Residual Flow": 0.97,
    "a small multi-scale flow (tutorial)": 1.078,
}  # fmt: skip


def run(name: str, seed: int) -> dict[str, float]:
    """What one run of the example prints, by name."""
    text, cpu = said("flow", ROWS[name], seed)
    if pixels := "bits" in text:
        names = ["own", "error", "gaussian"]
    else:
        names = ["own", "error", "law", "entropy", "gaussian"]
    (found,) = re.findall(PICTURES if pixels else PLANE, text)
    steps = int(re.findall(r"(\d+) steps in", text)[0])
    return {"steps": steps, "cpu": cpu} | {
        name: float(number) for name, number in zip(names, found)
    }


def report(found: dict[str, Any]) -> str:
    v, rows = found["versions"], found["rows"]
    first = {name: runs[0] for name, runs in rows.items()}
    parts = [
        "# Flows in numbers\n",
        f"Made by `benchmarks/quality/flows.py`: `examples/flow.py` with its own settings; mean "
        f"± standard deviation over the seeds; tinygen {v['tinygen']}, NumPy {v['numpy']}, Python "
        f"{v['python']}. CPU s: of the first run, pictures included.\n",
    ]
    plane = [name for name in rows if name.startswith("two_moons")]
    if plane:
        one = first[plane[0]]
        parts += [
            "## Two moons, -log p(x) in nats\n",
            f"10,000 test points, standard error {one['error']:.3f}, the same points for all: the "
            f"law itself has {one['law']:.3f} on them (its entropy is {one['entropy']:.4f}), one "
            f"Gaussian {one['gaussian']:.3f}. Differences are less noisy than the numbers.\n",
            table(
                ["flow", "-log p(x)", "above the law", "seeds", "steps", "CPU s"],
                [[name.split()[1], over(rows[name], "own", 3),
                  f"{statistics.mean(r['own'] - r['law'] for r in rows[name]):.3f}",
                  len(rows[name]), first[name]["steps"], first[name]["cpu"]] for name in plane],
            ),
        ]  # fmt: skip
    pictures = [name for name in rows if name not in plane]
    if pictures:
        parts += [
            "## Pictures, bits a pixel\n",
            "Dequantised by uniform noise, so that these are upper bounds of -log2 P(x) a pixel: "
            "digits 8 x 8 of 17 grey values (382 test images), Fashion-MNIST 28 x 28 of 256 "
            "(10,000 test images). One Gaussian: full covariance, of the training images.\n",
            table(
                ["data and flow", "bits a pixel", "one Gaussian", "seeds", "steps", "CPU s"],
                [[name, over(rows[name], "own", 3), over(rows[name], "gaussian", 3),
                  len(rows[name]), first[name]["steps"], first[name]["cpu"]] for name in pictures],
            ),
            "Published, all on 8-bit **MNIST**: other data, other networks, to be compared in kind "
            "and not in value: "
            + ", ".join(f"{name} {bits}" for name, bits in PUBLISHED.items()) + ".\n",
        ]  # fmt: skip
    return "\n".join(parts)


def main() -> None:
    args, path = options(__doc__, seeds=3), OUT / "figures.json"
    found = load(path)
    fill(path, found, ROWS, run, args, lambda name, seed: seed == 0 or "fashion" not in name)
    (OUT / "figures.md").write_text(report(found))


if __name__ == "__main__":
    main()
