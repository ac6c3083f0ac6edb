"""pix2pix: what the judge adds to the distance, what it sees, and what the skips are for.

    python benchmarks/quality/pix2pix.py                  # what is not there yet
    python benchmarks/quality/pix2pix.py --match scenes   # only rows with this in the name
    python benchmarks/quality/pix2pix.py --report         # the tables again, from the JSON

Each row is examples/pix2pix.py as it stands, run with these options: the losses on line drawings
with the seeds 0, 1, 2, the others with 0; the numbers are those that it prints. They go to
benchmarks/results/translation/figures.{json,md}.
"""

import re

from rows import RESULTS, fill, load, options, over, said, table

OUT = RESULTS / "translation"
STEPS = 1200  # of each row, 16 pairs each
LOSSES = {
    "L1": ["--judge", "0"],
    "L2": ["--judge", "0", "--distance", "l2"],
    "cGAN": ["--weight", "0"],
    "GAN + L1 (D not shown x)": ["--blind"],
    "cGAN + L1": [],
}
NETS = {
    "L1, no skips": ["--judge", "0", "--no-skips"],
    "cGAN + L1, no skips": ["--no-skips"],
    "cGAN + L1, patches of 1": ["--patch", "1"],
    "cGAN + L1, patches of 34": ["--patch", "34"],
    "cGAN + L1, whole pictures": ["--patch", "full"],
    "cGAN + L1, no dropout": ["--dropout", "0"],
}
ROWS = {f"lines: {name}": words for name, words in (LOSSES | NETS).items()} | {
    f"scenes: {name}": [*words, "--data", "labels"] for name, words in LOSSES.items()
}
TITLES = {"lines": "Line drawings to emoji", "scenes": "What stands where to scenes"}
NUMBER = r"(\d+\.\d+)"
SAID = {
    "PSNR, dB": (rf"PSNR {NUMBER} dB", 2),
    "P to the answer": (rf"P to the answer {NUMBER}", 3),
    "Frechet": (rf"like data: Frechet {NUMBER}", 2),
    "colour": (rf"{NUMBER} times the colour", 2),
    "diversity P": (rf"P of two translations {NUMBER}", 3),
    "right shapes, %": (rf"right shapes in {NUMBER} %", 1),
}


def run(name: str, seed: int) -> dict[str, float]:
    """What one run of the example prints, by name."""
    text, cpu = said("pix2pix", [*ROWS[name], "--steps", str(STEPS)], seed)
    found = {key: re.findall(pattern, text) for key, (pattern, _) in SAID.items()}
    return {key: float(number[0]) for key, number in found.items() if number} | {"CPU s": cpu}


def report(found: dict) -> str:
    v = found["versions"]
    parts = [
        "# pix2pix in numbers\n",
        f"Made by `benchmarks/quality/pix2pix.py`: `examples/pix2pix.py` with the options there, "
        f"{STEPS} steps, on held-out pairs; mean ± standard deviation over the seeds; tinygen "
        f"{v['tinygen']}, NumPy {v['numpy']}, Python {v['python']}. PSNR: larger is nearer. P (in "
        "features of a network that no loss has seen): smaller is nearer. Frechet: smaller is more "
        "like data. colour: beside that of the answers, 1. diversity: P between two translations "
        "of one picture.\n",
    ]
    for kind, title in TITLES.items():
        rows = {k: runs for k, runs in found["rows"].items() if k.startswith(f"{kind}:")}
        digits = {key: digits for key, (_, digits) in SAID.items()} | {"CPU s": 0}
        shown = [key for key in digits if any(key in run for runs in rows.values() for run in runs)]
        lines = [[name.split(": ", 1)[1], *(over(runs, key, digits[key]) for key in shown)]
                 for name, runs in rows.items()]  # fmt: skip
        parts += [f"## {title}\n", table(["", *shown], lines)] if rows else []
    return "\n".join(parts)


def main() -> None:
    args = options(__doc__, seeds=3)
    path = OUT / "figures.json"
    found = load(path)
    several = [f"lines: {name}" for name in LOSSES]
    fill(path, found, ROWS, run, args, lambda name, seed: seed == 0 or name in several)
    if found["rows"]:
        path.with_suffix(".md").write_text(report(found))


if __name__ == "__main__":
    main()
