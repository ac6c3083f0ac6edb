"""Three remarks on GANs, measured: what D looks at, data or compute, and a term for variety.

    python benchmarks/quality/gan_remarks.py                 # what is not there yet: 30 min of CPU
    python benchmarks/quality/gan_remarks.py --match pixels  # only rows with this in the name
    python benchmarks/quality/gan_remarks.py --report        # the tables again, from the JSON

Each row is examples/dcgan.py as it stands, run on the digits with these options and the seeds 0, 1,
2; the numbers are those that it prints. They go to benchmarks/results/gan/remarks.{json,md}.
"""

import re
from typing import Any

from rows import RESULTS, fill, load, options, over, said, table

OUT = RESULTS / "gan"
SMALL = ["--width", "16", "--steps", "2000"]
PICTURES, WIDTHS, STEPS = ("176", "353", "707", "1415"), ("8", "16", "32"), ("500", "2000", "8000")
EXTRA = {
    "nothing": [],
    "minibatch 16": ["--minibatch", "16"],
    "pack 2": ["--pack", "2"],
    **{f"entropy {w}": ["--entropy", w] for w in ("0.1", "0.3", "1")},
}
ROWS = {
    "D on pixels": SMALL,
    **{f"D on {n} numbers": [*SMALL, "--encoding", n] for n in ("8", "32", "64")},
    **{f"G with {name}": [*SMALL, *words] for name, words in EXTRA.items() if words},
    **{f"{n} pictures": [*SMALL, "--pictures", n] for n in PICTURES[:-1]},
    **{f"width {w}": ["--steps", "2000", "--width", w] for w in WIDTHS if w != "16"},
    **{f"{n} steps": ["--width", "16", "--steps", n] for n in STEPS if n != "2000"},
}
NUMBER = r"(-?\d+\.\d+)"
SAID = {
    "frechet": rf"samples: Frechet {NUMBER}",
    "kid": rf"KID {NUMBER}",
    "precision": rf"precision {NUMBER}",
    "recall": rf"recall {NUMBER}",
    "score": rf"score {NUMBER} of 10",
}
SHOWN = {"Fréchet": ("frechet", 2), "KID": ("kid", 3), "precision": ("precision", 2),
         "recall": ("recall", 2), "score": ("score", 2)}  # fmt: skip


def run(name: str, seed: int) -> dict[str, float]:
    """What one run of the example prints, by name."""
    text, cpu = said("dcgan", ROWS[name], seed)
    return {"cpu": cpu} | {key: float(re.findall(what, text)[0]) for key, what in SAID.items()}


def rows_of(found: dict[str, Any], names: dict[str, str]) -> str:
    """The table of the rows that there are: what it is called on the page, and in the file."""
    lines = [
        [shown, *(over(runs, *key) for key in SHOWN.values()), len(runs), over(runs, "cpu", 0)]
        for shown, name in names.items() if (runs := found["rows"].get(name))
    ]  # fmt: skip
    return table(["", *SHOWN, "seeds", "CPU s"], lines)


def report(found: dict[str, Any]) -> str:
    v, plain = found["versions"], "D on pixels"  # the one row that is in every table
    named = lambda *starts: {name: name for name in ROWS if name.startswith(starts)}
    return "\n".join([
        "# Three remarks on GANs in numbers\n",
        "Made by `benchmarks/quality/gan_remarks.py`: examples/dcgan.py on the digits, unless said "
        "otherwise all 1,415, width 16, 2000 steps of batch 64. 1000 samples against 1000 training "
        "pictures in the features of our own classifier; mean ± standard deviation over the seeds; "
        f"tinygen {v['tinygen']}, NumPy {v['numpy']}, Python {v['python']}.\n",
        "## What D looks at\n",
        "Pixels, or so many numbers of the encoder of an autoencoder that was trained before, for "
        "500 steps, and stays as it is (its time is counted).\n",
        rows_of(found, named("D on")),
        '## "More data? No: compute"\n',
        "From one setting, one thing at a time: pictures, width, steps. Fréchet is against the "
        "first 1000 training pictures, also where D saw fewer.\n",
        rows_of(found, named(*PICTURES) | {"1415 pictures, width 16, 2000 steps": plain}
                | named("width", *STEPS)),
        "## Variety: D sees the batch, or G is paid for entropy\n",
        "minibatch: kernels of minibatch discrimination in D; pack: samples that D sees at once; "
        "entropy: weight of the entropy of the samples, by their nearest neighbours, in G's loss, "
        "nats for each pixel (models/gan/diversity.py).\n",
        rows_of(found, {"nothing": plain} | named("G with")),
    ])  # fmt: skip


def main() -> None:
    args, path = options(__doc__, seeds=3), OUT / "remarks.json"
    found = load(path)
    fill(path, found, ROWS, run, args)
    (OUT / "remarks.md").write_text(report(found))


if __name__ == "__main__":
    main()
