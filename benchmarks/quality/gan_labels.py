"""Labels and GANs: what a class head does, and what pictures without labels are worth.

    python benchmarks/quality/gan_labels.py                  # what is not there yet: 12 min of CPU
    python benchmarks/quality/gan_labels.py --match semi     # only rows with this in the name
    python benchmarks/quality/gan_labels.py --report         # the tables again, from the JSON

Each row is an example as it stands, run on the digits with these options and the seeds 0, 1, 2; the
numbers are those that it prints. They go to benchmarks/results/gan/labels.{json,md}.
"""

import re
from typing import Any

from rows import RESULTS, fill, load, options, over, said, table

OUT = RESULTS / "gan"
EQUAL = ["--steps", "3000", "--width", "16"]
AAE = ["--prior", "classes", "--latent", "8", "--epochs", "100"]
ROWS = {
    "cgan": ["cgan", *EQUAL],
    **{f"acgan w {w}": ["acgan", *EQUAL, "--class-weight", w] for w in ("0.1", "1", "10")},
    **{f"semi {n}": ["semi_gan", "--labelled", n] for n in ("100", "50", "200")},
    "semi 100 fool": ["semi_gan", "--labelled", "100", "--fool"],
    **{f"aae {n}": ["aae", *AAE, "--labels", n] for n in ("100", "50", "200")},
}
NUMBER = r"(\d+\.\d+)"
SAID = {
    "right": rf"{NUMBER} % of \d+ samples are what",
    "apart": rf"of a class lie {NUMBER} times",
    "precision": rf"precision {NUMBER}",
    "recall": rf"recall {NUMBER}",
    "error": rf"test error {NUMBER} %",
    "alone": rf"without the unlabelled pictures {NUMBER} %",
    "in_part": rf"labels: {NUMBER} % of test pictures",
}


def run(name: str, seed: int) -> dict[str, float]:
    """What one run of the example prints, by name."""
    slug, *words = ROWS[name]
    text, cpu = said(slug, words, seed)
    found = {name: re.findall(pattern, text) for name, pattern in SAID.items()}
    return {"cpu": cpu} | {name: float(number[0]) for name, number in found.items() if number}


def wrong(runs: list[dict[str, float]]) -> list[dict[str, float]]:
    """The same with a test error in each, which the autoencoder does not print."""
    return [{"error": round(100 - row.get("in_part", 100), 1)} | row for row in runs]


def report(found: dict[str, Any]) -> str:
    v, rows = found["versions"], found["rows"]
    of = lambda start: {name: runs for name, runs in rows.items() if name.startswith(start)}
    return "\n".join([
        "# GANs and labels in numbers\n",
        "Made by `benchmarks/quality/gan_labels.py`: the examples with the options there, on the "
        "digits; mean ± standard deviation over the seeds; "
        f"tinygen {v['tinygen']}, NumPy {v['numpy']}, Python {v['python']}. CPU s: of the first "
        "run, pictures included.\n",
        "## A class head beside a D that is told the label\n",
        "3000 steps, width 16; 1000 samples. Asked for: our frozen classifier names the class that "
        "was asked for. Apart: mean distance of two samples of a class in its features, as a "
        "multiple of that of two training pictures; w: the weight of the class.\n",
        table(
            ["system", "asked for, %", "apart", "precision", "recall", "seeds", "CPU s"],
            [[name, over(runs, "right", 1), over(runs, "apart", 2), over(runs, "precision", 2),
              over(runs, "recall", 2), len(runs), runs[0]["cpu"]]
             for name, runs in {**of("cgan"), **of("acgan")}.items()],
        ),
        "## What pictures without labels are worth\n",
        "1,415 training pictures, of which so many have a label; error on the 382 test pictures, "
        "by other writers. Alone: an equal network on the labelled ones only, with the same "
        "batches. fool: G's loss is to fool D, without feature matching. aae: the adversarial "
        "autoencoder whose code says the class (`--prior classes`); its labels are drawn without "
        "regard to class, and what it does alone is in aae-figures.md.\n",
        table(
            ["system, labels", "test error, %", "alone, %", "each seed", "CPU s"],
            [[name, over(wrong(runs), "error", 1), over(runs, "alone", 1),
              ", ".join(str(row["error"]) for row in wrong(runs)), runs[0]["cpu"]]
             for name, runs in {**of("semi"), **of("aae")}.items()],
        ),
    ])  # fmt: skip


def main() -> None:
    args, path = options(__doc__, seeds=3), OUT / "labels.json"
    found = load(path)
    fill(path, found, ROWS, run, args)
    (OUT / "labels.md").write_text(report(found))


if __name__ == "__main__":
    main()
